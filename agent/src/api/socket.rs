//! The socket: where the agent listens, made so that only who may can reach it.
//!
//! The folder is ours, no link, 0700 (0750 where a group shares it); the socket is 0600 (0660). A socket that a dead
//! agent left is taken over only under a lock that the kernel frees with its holder. A socket that systemd opened
//! (`LISTEN_FDS`) is used as it is.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use tokio::net::UnixListener;

/// What `sun_path` of a Unix socket holds on Linux, less its end.
const PATH_MAX: usize = 107;

/// The agent cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path does not fit.
    #[error(
        "the socket path {path} is longer than {PATH_MAX} bytes, which the kernel does not take; set agent.socket to a shorter one"
    )]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// The folder is not safe.
    #[error(
        "the socket folder {dir} is not safe to use: {why}; remove it, or set agent.socket to a folder of your own"
    )]
    Folder {
        /// Which.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another agent is there.
    #[error("another agent already listens at {path}; stop it first, or set agent.socket to another place")]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// There is no such group.
    #[error("agent.socket_group names the group {group}, and there is none of that name")]
    Group {
        /// Which.
        group: String,
    },
    /// The system refuses.
    #[error("cannot {doing} {path}")]
    Io {
        /// What.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket that is listened on; the file goes and the lock is freed when it is dropped.
#[derive(Debug)]
pub struct Socket {
    /// Ready to accept.
    pub listener: UnixListener,
    path: Option<PathBuf>,
    _lock: Option<File>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Not being there is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Listens on systemd's socket where it gave one, else at `path`.
pub fn listen(path: &Path, group: Option<&str>) -> Result<Socket, SocketError> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| SocketError::Io { doing, path, source }
    };
    if let Some(listener) =
        listenfd::ListenFd::from_env().take_unix_listener(0).map_err(io("take systemd's socket for", path))?
    {
        listener.set_nonblocking(true).map_err(io("prepare systemd's socket for", path))?;
        let listener = UnixListener::from_std(listener).map_err(io("listen on systemd's socket for", path))?;
        return Ok(Socket { listener, path: None, _lock: None });
    }
    if path.as_os_str().len() > PATH_MAX {
        return Err(SocketError::TooLong { path: path.to_owned() });
    }
    let gid = match group {
        Some(group) => {
            Some(super::access::group_id(group).ok_or_else(|| SocketError::Group { group: group.to_owned() })?)
        }
        None => None,
    };
    let dir = path.parent().unwrap_or(Path::new("/"));
    prepare_folder(dir, gid)?;
    let lock_path = path.with_extension("lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(io("open the lock", &lock_path))?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| SocketError::Taken { path: path.to_owned() })?;
    // With the lock held nobody listens here: what is left is a dead agent's.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io("remove the dead agent's socket", path)(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(io("listen at", path))?;
    let mode = if gid.is_some() { 0o660 } else { 0o600 };
    if let Some(gid) = gid {
        std::os::unix::fs::chown(path, None, Some(gid)).map_err(io("give the group its socket", path))?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io("set the mode of", path))?;
    Ok(Socket { listener, path: Some(path.to_owned()), _lock: Some(lock) })
}

/// Makes the folder, or verifies the one that is there.
fn prepare_folder(dir: &Path, gid: Option<u32>) -> Result<(), SocketError> {
    let io = |doing| move |source| SocketError::Io { doing, path: dir.to_owned(), source };
    let mode = if gid.is_some() { 0o750 } else { 0o700 };
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(io("make the folder around"))?;
    }
    match DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io("make the socket folder")(error)),
        _ => {}
    }
    let unsafe_because = |why: String| Err(SocketError::Folder { dir: dir.to_owned(), why });
    let found = std::fs::symlink_metadata(dir).map_err(io("look at the socket folder"))?;
    if !found.is_dir() {
        return unsafe_because("it is a link or a file, not a folder".to_owned());
    }
    let own = rustix::process::getuid().as_raw();
    if found.uid() != own {
        return unsafe_because(format!("it belongs to user {}, and the agent runs as {own}", found.uid()));
    }
    if let Some(gid) = gid {
        std::os::unix::fs::chown(dir, None, Some(gid)).map_err(io("give the group its folder"))?;
    }
    if found.mode() & 0o7777 != mode {
        std::fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(io("set the mode of the socket folder"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn the_folder_and_the_socket_are_private_and_a_second_agent_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deck/agent.sock");
        let socket = listen(&path, None).unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        assert!(matches!(listen(&path, None), Err(SocketError::Taken { .. })));
        drop(socket);
        assert!(!path.exists());
        listen(&path, None).unwrap();
    }

    #[tokio::test]
    async fn a_dead_agents_socket_is_taken_over_and_an_open_folder_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let deck = dir.path().join("deck");
        std::fs::create_dir(&deck).unwrap();
        std::fs::set_permissions(&deck, Permissions::from_mode(0o777)).unwrap();
        let path = deck.join("agent.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _socket = listen(&path, None).unwrap();
        assert_eq!((mode(&deck), mode(&path)), (0o700, 0o600));
    }

    #[tokio::test]
    async fn a_linked_folder_and_a_long_path_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(matches!(listen(&link.join("agent.sock"), None), Err(SocketError::Folder { .. })));
        let long = dir.path().join("x".repeat(120)).join("agent.sock");
        assert!(matches!(listen(&long, None), Err(SocketError::TooLong { .. })));
    }
}
