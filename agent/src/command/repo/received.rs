//! `qd-agent repo received`: the post-receive hook asks the agent to poll its repository now, and says in one line what comes of it.
//!
//! It fails no push: whatever happens, the answer is a line and success. Who pushes waits for it, so it gives up early.

use std::io::{self, Read as _, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use quarterdeck_shared::protocol::{ReceivedRequest, SYSTEM_SOCKET};
use quarterdeck_shared::routes;

use crate::config::{AgentConfig, places};

/// An agent answers in milliseconds; one that does not is frozen or overloaded, and polls by itself some day.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer is a status and a sentence.
const ANSWER_MAX: u64 = 64 * 1024;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The agent polls.
    Polled,
    /// No application has the repository.
    Unused,
    /// The user may not ask for this.
    Forbidden,
    /// No agent listens.
    NotRunning,
    /// An agent listens, and gives no answer that helps.
    NoAnswer,
}

impl Outcome {
    fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Polled,
            403 => Self::Forbidden,
            404 => Self::Unused,
            _ => Self::NoAnswer,
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::Polled => "polled now",
            Self::Unused => "no application of the agent uses this repository",
            Self::Forbidden => "this user may not ask the agent to poll; it will see this push at its next poll",
            Self::NotRunning => "the agent is not running; it will see this push when it starts",
            Self::NoAnswer => "the agent does not answer; it will see this push at its next poll",
        }
    }
}

/// Asks the agent, by the directory that git runs its hooks in.
pub(super) fn received(config: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    // Absolute and without links, as the system keeps it.
    let directory = std::env::current_dir().context("cannot find the repository")?;
    let outcome = ask(sockets(config), directory, PATIENCE);
    // A client that went away reads nothing.
    let _ = writeln!(out, "quarterdeck: {}", outcome.line());
    Ok(())
}

/// Where the agent may listen: where its configuration says, else where an agent of this user or of the system does, as it does
/// for a configuration that cannot be read.
pub(crate) fn sockets(config: &Path) -> Vec<PathBuf> {
    let agent = AgentConfig::read(config).unwrap_or_default();
    let first = places::socket(&agent);
    if agent.socket.is_some() { vec![first] } else { vec![first, SYSTEM_SOCKET.into()] }
}

/// Asks the first agent that listens. A thread of its own does, since connecting alone can take forever where an agent is
/// frozen; it ends with this process.
fn ask(sockets: Vec<PathBuf>, directory: PathBuf, patience: Duration) -> Outcome {
    match serde_json::to_string(&ReceivedRequest { directory }) {
        Ok(body) => post(sockets, routes::RECEIVED.path().to_owned(), body, patience),
        Err(_) => Outcome::NoAnswer,
    }
}

/// Posts this to the first agent that listens.
pub(crate) fn post(sockets: Vec<PathBuf>, path: String, body: String, patience: Duration) -> Outcome {
    let (sender, receiver) = sync_channel(1);
    let asking = move || {
        let stream = sockets.iter().find_map(|socket| UnixStream::connect(socket).ok());
        let outcome = match stream.map(|stream| status(stream, &path, &body)) {
            None => Outcome::NotRunning,
            Some(Ok(status)) => Outcome::of_status(status),
            Some(Err(_)) => Outcome::NoAnswer,
        };
        let _ = sender.send(outcome);
    };
    std::thread::spawn(asking);
    match receiver.recv_timeout(patience) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Outcome::NoAnswer,
    }
}

/// The status of the answer.
fn status(mut stream: UnixStream, path: &str, body: &str) -> io::Result<u16> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: qd\r\nconnection: close\r\ncontent-type: application/json\r\n");
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    let line = String::from_utf8_lossy(&answer);
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::other("the answer has no status"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// An agent that answers once, with this.
    fn agent(socket: &Path, answer: &'static [u8]) -> std::thread::JoinHandle<String> {
        let listener = UnixListener::bind(socket).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).unwrap();
            let _ = stream.write_all(answer);
            String::from_utf8_lossy(&asked[..read]).into_owned()
        })
    }

    #[test]
    fn whatever_the_agent_answers_the_hook_has_a_line() {
        let folder = tempfile::tempdir().unwrap();
        for (number, (answer, outcome)) in [
            (&b"HTTP/1.1 202 Accepted\r\n\r\n{}"[..], Outcome::Polled),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", Outcome::Unused),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", Outcome::Forbidden),
            (b"HTTP/1.1 503 \r\n\r\n", Outcome::NoAnswer),
            (b"SSH-2.0-OpenSSH\r\n", Outcome::NoAnswer),
            (b"HTTP/1.1 2", Outcome::NoAnswer),
            (b"", Outcome::NoAnswer),
        ]
        .into_iter()
        .enumerate()
        {
            let socket = folder.path().join(number.to_string());
            let agent = agent(&socket, answer);
            let got = ask(vec![folder.path().join("none"), socket], "/own/shop.git".into(), Duration::from_secs(60));
            assert_eq!(got, outcome, "{}", String::from_utf8_lossy(answer));
            let asked = agent.join().unwrap();
            assert!(asked.starts_with("POST /v1/repositories/received HTTP/1.1\r\n"), "{asked}");
            assert!(asked.ends_with("\r\n\r\n{\"directory\":\"/own/shop.git\"}"), "{asked}");
        }
    }

    #[test]
    fn no_agent_and_a_frozen_one_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        let asked = |patience| ask(vec![socket.clone()], "/own/shop.git".into(), patience);
        assert_eq!(asked(Duration::from_secs(60)), Outcome::NotRunning);
        let listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(asked(Duration::from_millis(50)), Outcome::NoAnswer, "it accepts nothing");
        drop(listener);
        assert_eq!(asked(Duration::from_secs(60)), Outcome::NotRunning, "a dead agent left its socket");
    }

    #[test]
    fn the_socket_is_where_the_configuration_says_or_where_agents_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "[agent]\nsocket = \"run/a.sock\"\n[[application]]\nhalf = written\n").unwrap();
        let system = PathBuf::from(SYSTEM_SOCKET);
        assert_eq!(sockets(&file).last(), Some(&system), "one that cannot be read says nothing");
        std::fs::write(&file, "[agent]\nsocket = \"run/a.sock\"\n[[application]]\nwhat = \"is this\"\n").unwrap();
        assert_eq!(sockets(&file), [folder.path().join("run/a.sock")]);
        assert_eq!(sockets(&folder.path().join("none")).last(), Some(&system));
    }
}
