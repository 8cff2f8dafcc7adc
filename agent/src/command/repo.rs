//! `qd-agent repo …`: repositories of one's own, in the data directory, that a team pushes to over ssh.
//!
//! ```text
//! git push ══ ssh ══► sshd ─► repo serve: decide* ─► git receive-pack ─► post-receive ─► repo received ══ socket ══► agent: poll now
//! ```
//!
//! They are plain bare repositories: an application names one by its path, and nothing else in the agent knows that it is one's own.
//! Whatever fails here fails neither a push nor a poll. What has a star decides, and is
//! [`quarterdeck_core::own_repository`].

mod create;
mod list;
mod received;
mod remove;
mod serve;
mod used;

use std::borrow::Cow;
use std::io::Write;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use quarterdeck_core::own_repository::name::{NamePattern, RepositoryName};
use quarterdeck_core::own_repository::request::Permit;
use quarterdeck_shared::error::Hint;

use super::config_path::ConfigPath;
use crate::config::{AgentConfig, places};

pub(crate) use self::received::{Outcome, post, sockets};
pub(crate) use self::remove::RemoveError;

/// What is done with a repository of one's own.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum RepoCommand {
    /// Create an empty repository in the data directory and print how to use it
    Create {
        /// Its name: shop, team/shop
        name: RepositoryName,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// List the repositories: refs, size, last push, and the applications that use each
    List {
        /// How to print them
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Print the path of a repository
    Path {
        /// Its name
        name: RepositoryName,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Delete a repository that no application uses
    Rm {
        /// Its name
        name: RepositoryName,
        /// Delete it with its branches and tags
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Serve one git command over ssh: the forced command of a key in ~/.ssh/authorized_keys
    Serve {
        /// The owner of the key, for the reflogs of the repositories
        #[arg(long, value_name = "NAME", value_parser = serve::user)]
        user: Option<String>,
        /// Let the key clone and fetch, not push
        #[arg(long)]
        read_only: bool,
        /// Let the key use this repository only, or those that a pattern matches: shop, team/*. May be repeated
        #[arg(long = "repository", value_name = "PATTERN")]
        only: Vec<NamePattern>,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Ask the agent to poll the repository in the current directory: what the post-receive hook runs
    #[command(hide = true)]
    Received {
        #[command(flatten)]
        config: ConfigPath,
    },
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns
    Table,
    /// An array of name, path, refs, bytes, pushed, used_by
    Json,
}

/// Does it.
pub(crate) fn run(command: RepoCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        RepoCommand::Create { name, config } => create::create(&config.path()?, &name, out),
        RepoCommand::List { output, config } => list::list(&config.path()?, output, out),
        RepoCommand::Path { name, config } => list::path(&config.path()?, &name, out),
        RepoCommand::Rm { name, force, config } => remove::remove(&config.path()?, &name, force, out),
        RepoCommand::Serve { user, read_only, only, config } => {
            serve::serve(&config.path()?, user, &Permit { read_only, only })
        }
        RepoCommand::Received { config } => received::received(&config.path()?, out),
    }
}

/// The folder of the repositories, as the agent's own table of the configuration says. The other tables are not read: whoever edits
/// them at this moment stops no push.
fn root(config: &Path) -> anyhow::Result<PathBuf> {
    Ok(folder_in(&places::data_dir(&AgentConfig::read(config)?)?))
}

/// Where the repositories are in a data directory.
fn folder_in(data_dir: &Path) -> PathBuf {
    data_dir.join("repositories")
}

/// The data directory belongs to another user: what is made in it could not be read or pushed to.
#[derive(Debug, thiserror::Error)]
#[error("the data directory {dir} belongs to user {owner}, and this command runs as {own}")]
pub(crate) struct Foreign {
    dir: PathBuf,
    owner: u32,
    own: u32,
}

impl Hint for Foreign {
    fn hint(&self) -> Cow<'_, str> {
        format!("run it as the agent's user: sudo -u '#{}' qd-agent repo …", self.owner).into()
    }
}

/// Sees that a data directory is ours, where it exists.
fn is_ours(data_dir: &Path) -> Result<(), Foreign> {
    let own = rustix::process::getuid().as_raw();
    match std::fs::metadata(data_dir).map(|found| found.uid()) {
        Ok(owner) if owner != own => Err(Foreign { dir: data_dir.to_owned(), owner, own }),
        _ => Ok(()),
    }
}
