//! The ssh agent of a build: one that runs already, or one of the build's own with one key.
//!
//! The own one is `ssh-agent SOCKET cat`: it lives as long as `cat` does, which ends when its input does, and that ends with us,
//! whichever way we end. Its socket is in a folder for this user alone, and goes at once; the program follows within ten seconds,
//! as it looks every ten for who started it.

use std::borrow::Cow;
use std::fs::Permissions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use quarterdeck_core::output::{Mask, one_line};
use quarterdeck_shared::error::Hint;
use quarterdeck_system::program::{self, Bounds, Finished, Limits, ProgramError, Running};

/// Programs that read a file and start: seconds on a machine that swaps.
const PATIENCE: Duration = Duration::from_secs(20);

const ADDS: Limits = Limits { time: PATIENCE, output_bytes: 64 << 10 };

/// An ssh agent, for as long as somebody holds this.
#[derive(Clone)]
pub struct SshAgent {
    /// Where it listens.
    pub socket: PathBuf,
    _own: Option<Arc<Own>>,
}

/// A process and its folder; the folder first, so that the socket is not there when the process is still ending.
struct Own {
    _folder: tempfile::TempDir,
    _process: Running,
}

/// Why a build has no ssh agent of its own.
#[derive(Debug, thiserror::Error)]
pub enum SshAgentError {
    /// The programs of OpenSSH are not installed.
    #[error("{program} is not on the PATH, and an ssh key of a build needs it")]
    Missing {
        /// Which.
        program: &'static str,
    },
    /// The file of the key.
    #[error("cannot read the ssh key {}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is none, has a passphrase, or others may read it.
    #[error("the ssh key {} cannot be used: {message}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// The words of `ssh-add`.
        message: String,
    },
    /// The agent does not run.
    #[error("cannot start an ssh agent for a build: {message}")]
    Start {
        /// Why not.
        message: String,
    },
}

impl Hint for SshAgentError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Missing { .. } => "install the client of OpenSSH where the agent runs",
            Self::Key { .. } => {
                "correct `key_file` in [[application.image]], or let the user of the agent read the file"
            }
            Self::Refused { .. } => {
                "it must be a private key without a passphrase that no other user can read (chmod 600)"
            }
            Self::Start { .. } => "",
        }
        .into()
    }
}

impl SshAgent {
    /// The one that listens there.
    pub fn at(socket: PathBuf) -> Self {
        Self { socket, _own: None }
    }

    /// One of its own with this key, which works below a folder.
    ///
    /// # Errors
    /// Where it cannot be started, or does not take the key.
    pub async fn with_key(scratch: PathBuf, key: PathBuf) -> Result<Self, SshAgentError> {
        let span = tracing::Span::current();
        let started = tokio::task::spawn_blocking(move || span.in_scope(|| start(&scratch, &key))).await;
        started.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
    }
}

fn start(scratch: &Path, key: &Path) -> Result<SshAgent, SshAgentError> {
    let failed = |source: io::Error| SshAgentError::Start { message: source.to_string() };
    std::fs::File::open(key).map_err(|source| SshAgentError::Key { path: key.to_owned(), source })?;
    let (mut agent, mut add) = (found("ssh-agent")?, found("ssh-add")?);
    let private = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("ssh-").permissions(private).tempdir_in(scratch).map_err(failed)?;
    let socket = folder.path().join("agent");
    agent.arg("-a").arg(&socket).arg("cat").env_remove("SSH_AUTH_SOCK");
    let process = Running::start(agent, Arc::new(Patient)).map_err(failed)?;
    let (mut output, mut input) = process.ends();
    // `cat` runs once the socket is there, and says what it is told.
    let mut answer = [0; 1];
    if let Err(error) = input.write_all(b"\n").and_then(|()| output.read_exact(&mut answer)) {
        let (_, said) = process.end();
        let said = one_line(&Mask::default(), &said);
        return Err(SshAgentError::Start { message: if said.is_empty() { error.to_string() } else { said } });
    }
    // Nobody is there to be asked for a passphrase.
    add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket);
    add.env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
    let added = program::run(add, b"", ADDS).and_then(Finished::successful);
    added.map_err(|error| SshAgentError::Refused {
        path: key.to_owned(),
        message: match error {
            ProgramError::Failed { stderr, .. } => one_line(&Mask::default(), &stderr),
            other => other.to_string(),
        },
    })?;
    Ok(SshAgent { socket, _own: Some(Arc::new(Own { _folder: folder, _process: process })) })
}

fn found(program: &'static str) -> Result<Command, SshAgentError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    program::find(program, &path).map(Command::new).ok_or(SshAgentError::Missing { program })
}

/// Of its first answer; nobody talks with it afterwards.
struct Patient;

impl Bounds for Patient {
    fn patience(&self) -> io::Result<Duration> {
        Ok(PATIENCE)
    }

    fn count(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn timed_out(&self) -> io::Error {
        io::ErrorKind::TimedOut.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(folder: &Path, passphrase: &str) -> PathBuf {
        let path = folder.join(format!("key-{}", passphrase.len()));
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(&path).status();
        assert!(made.unwrap().success());
        path
    }

    fn keys(socket: &Path) -> String {
        let listed = Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", socket).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).into_owned()
    }

    #[tokio::test]
    async fn it_has_the_key_as_long_as_it_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let agent = SshAgent::with_key(folder.path().to_owned(), key(folder.path(), "")).await.unwrap();
        let (held, socket) = (agent.clone(), agent.socket.clone());
        drop(agent);
        assert!(keys(&socket).contains("ED25519"), "{}", keys(&socket));
        assert_eq!(std::fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        drop(held);
        assert!(!socket.exists());
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_used_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let of = async |key: PathBuf| {
            let started = SshAgent::with_key(folder.path().to_owned(), key).await;
            started.err().map(|error| error.to_string()).unwrap_or_default()
        };
        let nowhere = folder.path().join("nowhere");
        assert_eq!(of(nowhere.clone()).await, format!("cannot read the ssh key {}", nowhere.display()));
        let locked = key(folder.path(), "secret");
        assert!(of(locked.clone()).await.starts_with(&format!("the ssh key {} cannot be used: ", locked.display())));
        let open = key(folder.path(), "");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(of(open).await.contains("UNPROTECTED PRIVATE KEY FILE"));
        let text = folder.path().join("text");
        std::fs::write(&text, "no key").unwrap();
        std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(of(text).await.contains("cannot be used"));
    }
}
