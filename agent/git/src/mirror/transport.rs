//! The way to a remote: which transport a conversation uses, and how its failure is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::http::Transport as HttpTransport;
use gix::protocol::transport::client::git::{ConnectMode, blocking_io::Connection};

use quarterdeck_system::program::Running;

use super::operation::{Bounds, Operation};
use super::process;
use super::{Mirror, http, program, ssh};
use crate::error::{chain, clean};
use crate::local::served;
use crate::url::Location;
use crate::{GitError, Remote};

/// What is kept between conversations.
pub(super) enum Link {
    /// A directory of this machine.
    Local(PathBuf),
    Ssh,
    Http(Arc<http::Session>),
}

impl Link {
    pub(super) fn new(remote: &Remote, dir: &Path) -> Self {
        match remote.url.location() {
            Location::File(path) => Link::Local(path.clone()),
            Location::Ssh { .. } => Link::Ssh,
            Location::Http { base, .. } => Link::Http(Arc::new(http::Session::new(remote, base, dir))),
        }
    }
}

/// One open conversation.
pub(super) struct Open {
    pub(super) transport: Box<dyn Transport + Send>,
    pub(super) talk: Arc<Operation>,
    running: Option<Running>,
}

impl Mirror {
    /// Speaks with the remote. `speak` may be called a second time, when what was remembered of an http server turns
    /// out to be outdated.
    pub(super) fn converse<T>(
        &self,
        bounds: impl Fn() -> Bounds,
        speak: impl Fn(Box<dyn Transport + Send>, &Arc<Operation>) -> gix::Result<T>,
    ) -> Result<T, GitError> {
        loop {
            let remembered = matches!(&self.link, Link::Http(session) if session.remembers());
            let talk = Operation::new(self.url(), bounds(), self.interrupt.clone());
            let Open { transport, talk, running } = self.connect(talk)?;
            let error = match speak(transport, &talk) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.failure(&talk, running.as_ref(), error),
            };
            if let Link::Http(session) = &self.link {
                session.forget();
            }
            let outdated = matches!(
                error,
                GitError::Protocol { .. } | GitError::NoRepository { .. } | GitError::Unreachable { .. }
            );
            // With nothing remembered the answer stands: so there are two rounds at most.
            if !(remembered && outdated) {
                return Err(error);
            }
        }
    }

    fn connect(&self, talk: Arc<Operation>) -> Result<Open, GitError> {
        let command = match &self.link {
            Link::Http(session) => {
                let conversation = http::Conversation { session: session.clone(), talk: talk.clone() };
                let Location::Http { base, .. } = self.remote.url.location() else {
                    unreachable!("an http link is made for an http address only")
                };
                let url = gix::url::parse(base.as_str()).map_err(|error| talk.verdict(&error))?;
                let transport = HttpTransport::new_http(conversation, url, Protocol::V2, false);
                return Ok(Open { transport: Box::new(transport), talk, running: None });
            }
            Link::Ssh => ssh::command(&self.remote, self.dir.parent(), "git-upload-pack"),
            Link::Local(path) => Some(upload_pack(path)),
        };
        let command = command.unwrap_or_else(|| unreachable!("an ssh link is made for an ssh address only"));
        let running = process::start(command, &talk)?;
        let (output, input) = running.ends();
        let host = None::<(String, Option<u16>)>;
        let transport = Connection::new(output, input, Protocol::V2, "", host, ConnectMode::Process, false);
        Ok(Open { transport: Box::new(transport), talk, running: Some(running) })
    }

    /// What to tell of a conversation that failed: what a transport noted, else what the other program said.
    fn failure(&self, talk: &Operation, running: Option<&Running>, error: gix::Error) -> GitError {
        if let Some(noted) = talk.noted() {
            return noted;
        }
        let doing = "storing what was fetched";
        let message = chain(&error);
        if is_of_this_disk(&message, &self.dir) {
            return self.failed_here(doing, message);
        }
        if let Some(ours) = self.ours(doing, &message).or_else(|| self.damaged(doing)) {
            return ours;
        }
        let Some(running) = running else { return talk.verdict(&error) };
        let (status, said) = running.end();
        let said = clean(&said);
        match &self.link {
            // 255 is ssh's own failure; other codes are those of the far side, which speaks through it.
            Link::Ssh if !said.is_empty() || status.is_some_and(|status| !status.success()) => {
                ssh::failure(talk.url(), &said)
            }
            Link::Local(path) if !path.exists() => {
                GitError::NoRepository { url: self.url(), detail: "there is no such directory".into() }
            }
            Link::Local(path) if said.contains("dubious ownership") => {
                let path = served(path);
                let path = std::path::absolute(&path).unwrap_or(path).display().to_string();
                GitError::Ownership { url: self.url(), path: clean(&path) }
            }
            _ if !said.is_empty() => {
                let detail = format!("{}; {}", said.replace('\n', "; "), chain(&error));
                GitError::Protocol { url: self.url(), detail }
            }
            _ => talk.verdict(&error),
        }
    }
}

/// Whether files failed, and not a connection: what that failed with is noted before. Pure.
fn is_of_this_disk(message: &str, mirror: &Path) -> bool {
    // ENOENT, EIO, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ESTALE, EUCLEAN: no pipe or socket that is open answers so.
    const OF_FILES: [i32; 8] = [2, 5, 17, 20, 21, 39, 116, 117];
    message.contains(&clean(&mirror.display().to_string()))
        || OF_FILES.iter().any(|code| message.contains(&format!("(os error {code})")))
}

fn upload_pack(path: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["upload-pack", "--strict"]).arg(served(path));
    program::unprompted(&mut command);
    command.env("GIT_PROTOCOL", "version=2");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_on_this_disk_is_known_by_its_place_or_the_systems_number() {
        let mirror = Path::new("/data/mirrors/shop-1.git");
        let system = |code| format!("cannot write a pack: {}", std::io::Error::from_raw_os_error(code));
        for (message, wanted) in [
            (system(2), true),
            (system(5), true),
            (system(17), true),
            ("the lock of /data/mirrors/shop-1.git/packed-refs was not obtained".to_owned(), true),
            (system(32), false),
            (system(104), false),
            (system(110), false),
            ("the server sent half a line".to_owned(), false),
        ] {
            assert_eq!(is_of_this_disk(&message, mirror), wanted, "{message}");
        }
    }
}
