//! What every door of the agent asks of the machine that it runs on, and no door asks of another.
//!
//! - [`program`]: the one runner of programs: time, bytes, process group.
//! - [`open_files`]: the limit of open files, by its number and by its words.
//! - [`certificate`]: why a server's certificate was rejected, in words that lead on.
//! - [`file`]: a file that a person names, up to a bound.
//! - [`secret`]: the one reader of tokens, passwords and build arguments.
//! - [`identity`]: which agent this is, and on which host.
//!
//! It knows nothing of git, engines, registries and clusters; those crates stand on this one and not on each other.

pub mod certificate;
pub mod file;
pub mod identity;
pub mod open_files;
pub mod program;
pub mod secret;
