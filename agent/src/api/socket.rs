//! The socket: where the agent listens, made so that only who may can reach it.
//!
//! The folder is ours, no link, 0700 (0750 where a group shares it); the socket is 0600 (0660). A socket that a dead
//! agent left is taken over only under locks that the kernel frees with their holder: one on a file beside the socket,
//! and one on the path itself, which stays when the folder goes. A socket that systemd opened (`LISTEN_FDS`) is used as
//! it is.
//!
//! Cleaners of temporary folders remove sockets of programs that run. So the path is looked at now and then, and where it
//! does not lead to our socket the agent listens there anew; connections that are open go on.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quarterdeck_shared::error::Hint;
use rustix::fs::FlockOperation;
use sha2::{Digest as _, Sha256};
use tokio::net::UnixListener;
use tokio::sync::watch;

/// What `sun_path` of a Unix socket holds on Linux, less its end.
const PATH_MAX: usize = 107;

/// The agent cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path does not fit.
    #[error("the socket path {path} is longer than {PATH_MAX} bytes, which the kernel does not accept")]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// The folder is not safe.
    #[error("the socket folder {dir} is not safe to use: {why}")]
    Folder {
        /// Which.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another agent is there.
    #[error("another agent already listens at {path}")]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// There is no such group.
    #[error("agent.socket_group: group {group} does not exist")]
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

impl Hint for SocketError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::TooLong { .. } => "set agent.socket to a shorter path",
            Self::Folder { .. } => "remove it, or set agent.socket to a folder of your own",
            Self::Taken { .. } => "stop it first, or set agent.socket to another place",
            Self::Group { .. } | Self::Io { .. } => "",
        }
        .into()
    }
}

/// A socket that is listened on; the file goes and the locks are freed when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: watch::Sender<Arc<UnixListener>>,
    /// Nothing where systemd gave the socket.
    own: Option<Own>,
}

/// A socket that we made.
#[derive(Debug)]
struct Own {
    path: PathBuf,
    gid: Option<u32>,
    made: Made,
    _path_lock: Option<StdListener>,
}

/// What is under the path as long as nobody touches it.
#[derive(Debug)]
struct Made {
    device: u64,
    inode: u64,
    /// Nothing while it is taken anew.
    lock: Option<File>,
}

/// What a look at the path came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is ours.
    Ours,
    /// It was not, and the agent listens there again.
    Again(Missed),
}

/// What was under the path instead of our socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Nothing.
    Removed,
    /// Something else.
    Replaced,
}

impl std::fmt::Display for Missed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Removed => "it was removed while the agent runs",
            Self::Replaced => "it was replaced while the agent runs",
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(own) = self.own.as_ref().filter(|own| own.missed().is_none()) {
            // Not being there is as good.
            let _ = std::fs::remove_file(&own.path);
        }
    }
}

impl Socket {
    /// The listener to accept from, and the next one where the path is listened at anew.
    pub fn listener(&self) -> watch::Receiver<Arc<UnixListener>> {
        self.listener.subscribe()
    }

    /// Where it is; empty where systemd gave it.
    pub fn path(&self) -> &Path {
        self.own.as_ref().map_or(Path::new(""), |own| &own.path)
    }

    /// Looks whether the path leads to our socket, and listens there again where it does not.
    pub fn check(&mut self) -> Result<Presence, SocketError> {
        let Some(own) = &mut self.own else { return Ok(Presence::Ours) };
        let Some(missed) = own.missed() else { return Ok(Presence::Ours) };
        // Whoever answers there is another agent, which came to the path where ours was removed.
        if StdStream::connect(&own.path).is_ok() {
            return Err(SocketError::Taken { path: own.path.clone() });
        }
        // Our own, where the folder is still there.
        own.made.lock = None;
        let (listener, made) = bind(&own.path, own.gid)?;
        own.made = made;
        self.listener.send_replace(Arc::new(listener));
        Ok(Presence::Again(missed))
    }
}

impl Own {
    fn missed(&self) -> Option<Missed> {
        match std::fs::symlink_metadata(&self.path) {
            Err(_) => Some(Missed::Removed),
            Ok(found) if (found.dev(), found.ino()) == (self.made.device, self.made.inode) => None,
            Ok(_) => Some(Missed::Replaced),
        }
    }
}

/// Listens on systemd's socket where it gave one, else at `path`.
pub fn listen(path: &Path, group: Option<&str>) -> Result<Socket, SocketError> {
    if let Some(listener) =
        listenfd::ListenFd::from_env().take_unix_listener(0).map_err(io("take systemd's socket for", path))?
    {
        listener.set_nonblocking(true).map_err(io("prepare systemd's socket for", path))?;
        let listener = UnixListener::from_std(listener).map_err(io("listen on systemd's socket for", path))?;
        return Ok(Socket { listener: watch::Sender::new(Arc::new(listener)), own: None });
    }
    if path.as_os_str().len() > PATH_MAX {
        return Err(SocketError::TooLong { path: path.to_owned() });
    }
    let gid = match group {
        Some(group) => {
            Some(crate::access::group_id(group).ok_or_else(|| SocketError::Group { group: group.to_owned() })?)
        }
        None => None,
    };
    let path_lock = lock_path(path)?;
    let (listener, made) = bind(path, gid)?;
    let own = Own { path: path.to_owned(), gid, made, _path_lock: path_lock };
    Ok(Socket { listener: watch::Sender::new(Arc::new(listener)), own: Some(own) })
}

/// Makes the folder where it is missing, locks it, and listens.
fn bind(path: &Path, gid: Option<u32>) -> Result<(UnixListener, Made), SocketError> {
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
    let found = std::fs::symlink_metadata(path).map_err(io("look at", path))?;
    Ok((listener, Made { device: found.dev(), inode: found.ino(), lock: Some(lock) }))
}

/// Locks the path itself, by a name that is in no folder: it is bound as long as the process lives, whoever removes what.
/// Nothing where another user has taken that name: it is not an agent that could listen here, as the folder is ours.
fn lock_path(path: &Path) -> Result<Option<StdListener>, SocketError> {
    let whole = std::path::absolute(path).map_err(io("find", path))?;
    // A digest, since the name is bounded as a path is.
    let digest = Sha256::digest(whole.as_os_str().as_bytes());
    let name = digest.iter().take(16).fold("quarterdeck-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let address = SocketAddr::from_abstract_name(name).map_err(io("lock", path))?;
    match StdListener::bind_addr(&address) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let holder =
                StdStream::connect_addr(&address).and_then(|held| Ok(rustix::net::sockopt::socket_peercred(&held)?));
            match holder {
                Ok(holder) if holder.uid == rustix::process::getuid() => {
                    Err(SocketError::Taken { path: path.to_owned() })
                }
                _ => Ok(None),
            }
        }
        Err(error) => Err(io("lock", path)(error)),
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Io { doing, path, source }
}

/// Makes the folder, or verifies the one that is there.
fn prepare_folder(dir: &Path, gid: Option<u32>) -> Result<(), SocketError> {
    let io = |doing| io(doing, dir);
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
mod tests;
