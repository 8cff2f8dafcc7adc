//! Bare repositories that this machine holds for a team: made, listed, measured, removed, and served to git over ssh.
//!
//! What a name may be and who may have which service is decided in [`quarterdeck_core::own_repository`]; git itself speaks with
//! the client. A repository comes and goes as a whole: it is made and removed under a name that begins with a dot, which is none.

mod error;
mod facts;

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use quarterdeck_core::own_repository::name::RepositoryName;
use quarterdeck_core::own_repository::request::Service;
use quarterdeck_system::program::{self, Limits};

pub use self::error::OwnError;
pub use self::facts::{Facts, directory_of, facts_of, list};

/// What an own repository has beside git's defaults.
///
/// - Objects are checked as they come, since others fetch them from here.
/// - A push is as large at most as what the agent fetches of it (`pack_bytes` of `[repository.limits]`).
/// - Reflogs say who moved which ref, tags included.
/// - Hooks are its own, also where the user's configuration of git names others for all repositories.
const CONFIGURATION: &str = "\
[receive]
\tfsckObjects = true
\tmaxInputSize = 2g
[core]
\tlogAllRefUpdates = always
\thooksPath = hooks
";

/// `git init` writes a dozen small files.
const INIT: Limits = Limits { time: Duration::from_secs(30), output_bytes: 64 * 1024 };

/// Makes an empty repository below `root` whose `HEAD` is `main`, with this post-receive hook.
pub fn create(root: &Path, name: &RepositoryName, hook: &str) -> Result<(), OwnError> {
    let path = root.join(name.folder());
    let io = |doing| OwnError::io(doing, &path);
    let parent = path.parent().unwrap_or(root);
    // As the data directory is: for the agent's user alone.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io("make the folder of"))?;
    let made = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(io("make"))?;
    let mut init = Command::new("git");
    plain(&mut init).args(["init", "--quiet", "--bare", "--initial-branch=main", "--template="]).arg(made.path());
    // The agent reads refs that are files; ids of 40 digits are what all forges take.
    init.env("GIT_DEFAULT_REF_FORMAT", "files").env("GIT_DEFAULT_HASH", "sha1");
    init.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let finished = program::run(init, b"", INIT).and_then(program::Finished::successful);
    finished.map_err(|source| OwnError::Git { path: path.clone(), source })?;
    let add = || -> io::Result<()> {
        let config = made.path().join("config");
        std::fs::write(&config, std::fs::read_to_string(&config)? + CONFIGURATION)?;
        let hooks = made.path().join("hooks");
        std::fs::create_dir_all(&hooks)?;
        std::fs::write(hooks.join("post-receive"), hook)?;
        std::fs::set_permissions(hooks.join("post-receive"), std::fs::Permissions::from_mode(0o700))
    };
    add().map_err(io("write the files of"))?;
    if path.exists() {
        return Err(OwnError::Exists { name: name.clone(), path });
    }
    std::fs::rename(made.path(), &path).map_err(io("make"))?;
    // Moved: nothing is left to clear.
    let _ = made.keep();
    Ok(())
}

/// Removes a repository, and the folders of its name that are empty then.
pub fn remove(root: &Path, name: &RepositoryName) -> Result<(), OwnError> {
    let path = root.join(name.folder());
    let parent = path.parent().unwrap_or(root);
    let io = |doing| OwnError::io(doing, &path);
    let aside = tempfile::Builder::new().prefix(".removed-").tempdir_in(parent).map_err(io("remove"))?;
    std::fs::rename(&path, aside.path().join("repository")).map_err(io("remove"))?;
    aside.close().map_err(io("delete the files of"))?;
    let empty = parent.ancestors().take_while(|folder| *folder != root && folder.starts_with(root));
    // The first that holds another repository stays, and those around it.
    empty.map(std::fs::remove_dir).take_while(Result::is_ok).for_each(drop);
    Ok(())
}

/// Who pushes, as reflogs have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// By the line of its key.
    pub user: String,
    /// From where it connects.
    pub address: Option<IpAddr>,
}

/// The program that serves a repository to a client at the other end of standard input and output.
///
/// Variables of git are what a client could send along where sshd lets it, so none stays but the version of the protocol.
pub fn serve(service: Service, directory: &Path, client: Option<&Client>) -> Command {
    let mut command = Command::new("git");
    plain(&mut command).arg(service.subcommand());
    if service == Service::UploadPack {
        command.arg("--strict");
    }
    command.arg(directory);
    if let Some(version) = std::env::var("GIT_PROTOCOL").ok().filter(|text| is_protocol(text)) {
        command.env("GIT_PROTOCOL", version);
    }
    if let Some(Client { user, address }) = client {
        let host = address.map_or_else(|| "ssh".to_owned(), |address| address.to_string());
        command.env("GIT_COMMITTER_NAME", user).env("GIT_COMMITTER_EMAIL", format!("{user}@{host}"));
    }
    command
}

/// `version=2`, as git sends it.
fn is_protocol(text: &str) -> bool {
    text.strip_prefix("version=")
        .is_some_and(|version| version.len() == 1 && version.bytes().all(|b| b.is_ascii_digit()))
}

/// Takes every variable of git away from a program.
fn plain(command: &mut Command) -> &mut Command {
    let of_git = std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"GIT_"));
    for name in of_git {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests;
