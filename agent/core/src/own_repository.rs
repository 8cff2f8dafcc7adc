//! Repositories of one's own, which the agent's machine holds itself: how they are named, and what a key may do with them where
//! git comes over ssh. Pure.
//!
//! ```text
//! SSH_ORIGINAL_COMMAND ─ request::decide ─► a service of git and a name, or why not
//! ```

pub mod name;
pub mod request;
