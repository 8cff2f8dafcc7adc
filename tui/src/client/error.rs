//! Why the agent could not be asked, or what it answered instead; each with what to do next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use quarterdeck_shared::protocol::{ErrorAnswer, WIRE_VERSION};

/// A socket at which no agent answered.
#[derive(Debug)]
pub struct Tried {
    /// Where.
    pub socket: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Why the agent could not be asked, or what it answered instead.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// None of the sockets was answered.
    #[error("no agent answers: {}", places(.tried))]
    NoAgent {
        /// Each socket, in the order of trying.
        tried: Vec<Tried>,
    },
    /// An agent of another version answered.
    #[error("the agent at {} speaks version {theirs} of the wire; this qd speaks version {WIRE_VERSION}", .socket.display())]
    WireVersion {
        /// Where.
        socket: PathBuf,
        /// Its version, as it wrote it.
        theirs: String,
    },
    /// Something else than an agent answered.
    #[error("what listens at {} is not a Quarterdeck agent: its answer to {request} names no version of the wire", .socket.display())]
    NotAnAgent {
        /// What was asked.
        request: String,
        /// Where.
        socket: PathBuf,
    },
    /// The agent answered that it cannot or will not.
    #[error("{}", .answer.message)]
    Answer {
        /// The HTTP status.
        status: StatusCode,
        /// In its words.
        answer: ErrorAnswer,
    },
    /// The whole answer did not come in time.
    #[error("the agent{} did not answer {request} within {seconds} s", process(*.pid))]
    Slow {
        /// What was asked.
        request: String,
        /// The deadline.
        seconds: u64,
        /// The agent's process, where its socket tells.
        pid: Option<u32>,
        /// Whether that process is stopped, as by SIGSTOP or a debugger.
        stopped: bool,
        /// Whether the request was to change something, which may still be carried out.
        changes: bool,
    },
    /// A stream that always says something said nothing.
    #[error("the agent went silent: nothing came on {request} for {seconds} s")]
    Silent {
        /// What was asked.
        request: String,
        /// The deadline.
        seconds: u64,
    },
    /// The connection ended before the answer did.
    #[error("the connection to the agent broke during {request}")]
    Lost {
        /// What was asked.
        request: String,
        /// In the library's words.
        #[source]
        source: hyper::Error,
    },
    /// The answer is not what the wire promises.
    #[error("the agent's answer to {request} cannot be read")]
    Garbled {
        /// What was asked.
        request: String,
        /// Where it ceases to be readable.
        #[source]
        source: serde_json::Error,
    },
    /// The answer, or one line of it, is beyond all measure.
    #[error("the agent's answer to {request} is longer than {limit} bytes")]
    TooLong {
        /// What was asked.
        request: String,
        /// The limit.
        limit: usize,
    },
    /// A request that cannot be written as JSON.
    #[error("cannot write the body of {request}")]
    Unwritable {
        /// What was to be asked.
        request: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A path that HTTP does not allow.
    #[error("{path:?} cannot be asked for")]
    BadPath {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: http::Error,
    },
}

impl ClientError {
    /// The agent at the other end of a connection did not answer for so long.
    pub(super) fn slow(request: &str, limit: Duration, pid: Option<u32>, changes: bool) -> Self {
        let stat = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        let stopped = stat.is_some_and(|stat| is_stopped(&stat));
        Self::Slow { request: request.to_owned(), seconds: limit.as_secs(), pid, stopped, changes }
    }

    /// Whether the state must be listed again: the watch asked from a revision that is too old or of another life.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Answer { status: StatusCode::GONE, .. })
    }

    /// Whether there is no such application, run or object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Answer { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether there was no agent to talk to: none answers, not in time, or not in our wire.
    pub fn is_no_agent(&self) -> bool {
        match self {
            Self::NoAgent { .. } | Self::WireVersion { .. } | Self::NotAnAgent { .. } => true,
            Self::Slow { .. } | Self::Silent { .. } | Self::Lost { .. } => true,
            Self::Answer { .. } | Self::Garbled { .. } | Self::TooLong { .. } => false,
            Self::Unwritable { .. } | Self::BadPath { .. } => false,
        }
    }

    /// Whether the same request may well succeed a little later, without a person doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoAgent { .. } | Self::Slow { .. } | Self::Silent { .. } | Self::Lost { .. } => true,
            Self::Answer { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE || *status == StatusCode::GONE,
            _ => false,
        }
    }

    /// What to do next, a line each; empty where the error says it all.
    pub fn hints(&self) -> Vec<String> {
        let hints: &[&str] = match self {
            Self::NoAgent { tried } if tried.iter().any(|t| t.source.kind() == io::ErrorKind::PermissionDenied) => &[
                "the socket exists, but you may not open it: ask its owner to share it with a group of yours \
                 (`socket_group` in the agent's configuration)",
                "or start an agent of your own: qd-agent run",
            ],
            Self::NoAgent { .. } => &[
                "start one: qd-agent run",
                "or as a service: systemctl --user start quarterdeck (of the system: systemctl start quarterdeck)",
                "if it listens elsewhere, name its socket with --socket or QD_SOCKET",
            ],
            Self::WireVersion { theirs, .. } => match theirs.parse::<u32>() {
                Ok(theirs) if theirs > WIRE_VERSION => &["install the qd that came with that agent"],
                _ => &[
                    "install the qd-agent that came with this qd and restart it: systemctl --user restart quarterdeck",
                ],
            },
            Self::NotAnAgent { .. } => &["name the agent's socket with --socket or QD_SOCKET"],
            Self::Slow { pid, stopped, changes, .. } => return slow_hints(*pid, *stopped, *changes),
            Self::Silent { .. } => &["it may be overloaded or stuck; see its log: journalctl --user -u quarterdeck"],
            Self::Lost { .. } => &["it may have been stopped; try again"],
            Self::Garbled { .. } | Self::TooLong { .. } => {
                &["qd and qd-agent may be of different builds; compare them with: qd version"]
            }
            Self::Answer { answer, .. } if !answer.hint.is_empty() => return vec![answer.hint.clone()],
            Self::Answer { .. } | Self::Unwritable { .. } | Self::BadPath { .. } => &[],
        };
        hints.iter().map(|hint| (*hint).to_owned()).collect()
    }
}

fn slow_hints(pid: Option<u32>, stopped: bool, changes: bool) -> Vec<String> {
    let mut hints = Vec::new();
    if changes {
        hints.push("the request may or may not be carried out: look with qd status and qd events".to_owned());
    }
    hints.push(match pid {
        Some(pid) if stopped => {
            format!("process {pid} is stopped (SIGSTOP, or a debugger); let it go on: kill -CONT {pid}")
        }
        Some(pid) => format!("process {pid} may be overloaded or stuck; look with: ps -o pid,stat,etime,args -p {pid}"),
        None => "it may be overloaded or stuck; see its log: journalctl --user -u quarterdeck".to_owned(),
    });
    hints
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Whether a process is stopped, by its `/proc/PID/stat` (proc_pid_stat(5)): the state comes after the program's name, which
/// may hold brackets and blanks itself.
fn is_stopped(stat: &str) -> bool {
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('T' | 't'))
}

/// `/run/user/1000/quarterdeck/agent.sock (it does not exist), …`.
fn places(all: &[Tried]) -> String {
    let one = |tried: &Tried| {
        let why = match tried.source.kind() {
            io::ErrorKind::NotFound => "it does not exist".to_owned(),
            io::ErrorKind::ConnectionRefused => "nothing listens".to_owned(),
            io::ErrorKind::PermissionDenied => "you may not open it".to_owned(),
            _ => tried.source.to_string(),
        };
        format!("{} ({why})", tried.socket.display())
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_process_is_known_whatever_its_name_is() {
        for (stat, stopped) in [
            ("4711 (qd-agent) T 1 4711 4711 0 -1", true),
            ("4711 (qd-agent) t 1 4711", true),
            ("4711 (a) T b) S 1 4711", false),
            ("4711 (qd-agent) R 1", false),
            ("", false),
        ] {
            assert_eq!(is_stopped(stat), stopped, "{stat}");
        }
    }
}
