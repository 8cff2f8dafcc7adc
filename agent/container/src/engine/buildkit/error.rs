//! What goes wrong between us and a BuildKit daemon, and what `buildctl` means by what it prints.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use quarterdeck_shared::error::Hint;

use crate::engine::BuildError;

/// Why a daemon, or the program that speaks to it, did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum BuildkitError {
    /// The program is not installed.
    #[error("buildctl is not on the PATH, and [engine.buildkit] builds with it")]
    Missing,
    /// A file of the configuration.
    #[error("cannot read {option} of [engine.buildkit]: {}", path.display())]
    File {
        /// `ca_file`
        option: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not answer, or the connection broke.
    #[error("the BuildKit daemon at {address} is unreachable while {doing}: {message}")]
    Away {
        /// Where it should be.
        address: String,
        /// What we were doing.
        doing: String,
        /// The words of `buildctl`.
        message: String,
    },
    /// One of the two does not accept the certificate of the other.
    #[error("the BuildKit daemon at {address} and the agent reject each other's certificates: {message}")]
    Certificate {
        /// Where it is.
        address: String,
        /// The words of `buildctl`.
        message: String,
    },
    /// The program failed, in words that are no others of these.
    #[error("{doing}: buildctl failed: {message}")]
    Failed {
        /// What we were doing.
        doing: String,
        /// Its words.
        message: String,
    },
    /// The program could not be started or followed.
    #[error("{doing}: cannot run buildctl")]
    Program {
        /// What we were doing.
        doing: String,
        /// Why not.
        source: io::Error,
    },
    /// Arguments of programs are seen by every user of a machine.
    #[error("the build argument {name} is secret, and buildctl takes build arguments on its command line only")]
    SecretArgument {
        /// Which.
        name: String,
    },
    /// The disk of this machine.
    #[error("{doing}: cannot write {}", path.display())]
    Write {
        /// What we were doing.
        doing: String,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk of this machine.
    #[error("cannot read the built images in {}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It was removed, or built by something else.
    #[error("image {id} was not built by the BuildKit daemon, or was removed")]
    NoImage {
        /// Its id or name.
        id: String,
    },
    /// What was built is no image.
    #[error("image {id} is damaged: {what}")]
    Damaged {
        /// Its id.
        id: String,
        /// What is wrong.
        what: String,
    },
    /// The engine that tests is of another platform.
    #[error("the image was built for {has}, and the container engine that tests it runs {wanted}")]
    NoPart {
        /// What is there.
        has: String,
        /// What is wanted.
        wanted: String,
    },
    /// A daemon runs nothing.
    #[error("a test that runs a command needs a container engine beside [engine.buildkit]")]
    NoEngine(#[source] Box<BuildError>),
}

impl Hint for BuildkitError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Missing => {
                "install buildctl where the agent runs, on its PATH: it is in the archives of github.com/moby/buildkit/releases"
            }
            Self::File { .. } => "correct the option, or let the user of the agent read the file",
            Self::Away { message, .. } if message.contains("server preface") => {
                "the daemon may require TLS: set ca_file, cert_file and key_file in [engine.buildkit]"
            }
            // With TLS 1.3 a client may write before it hears that its certificate was rejected.
            Self::Away { message, .. } if ["broken pipe", "reset by peer"].iter().any(|part| message.contains(part)) => {
                "the daemon closed the connection: see its log, and whether its authority signed cert_file"
            }
            Self::Away { .. } => "see that buildkitd runs and listens there: buildctl --addr ADDRESS debug workers",
            Self::Certificate { .. } => {
                "check ca_file, cert_file and key_file in [engine.buildkit], and the names in the daemon's certificate"
            }
            Self::SecretArgument { .. } => "make it a build secret: `secrets` in [[application.image]]",
            Self::NoImage { .. } => "build it again: `qd runs retry`",
            Self::Damaged { .. } => "build it again: `qd build APP COMMIT --rebuild`",
            Self::NoPart { .. } => "add that platform to `platforms`, or test by a stage of the Dockerfile",
            Self::NoEngine(_) => {
                "start Docker or Podman, set `address` in [engine], or test by a stage of the Dockerfile: `target`"
            }
            Self::Failed { .. } | Self::Program { .. } | Self::Write { .. } | Self::Read { .. } => "",
        }
        .into()
    }
}

impl BuildkitError {
    /// Whether trying the same again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::NoEngine(error) => error.is_transient(),
            _ => false,
        }
    }

    /// What `buildctl` said in its last words, where they are about the connection and not about the build.
    pub(super) fn of_connection(address: &str, doing: &str, said: &str) -> Option<Self> {
        let said = said.strip_prefix("listing workers for Build: ").unwrap_or(said);
        let (address, message) = (address.to_owned(), said.to_owned());
        let begins = ["failed to list workers", "failed to get info", "failed to receive status", "failed to dial"];
        let breaks = ["error reading from server", "connection error: desc", "transport is closing"];
        let is_broken = said.contains("Unavailable") && breaks.iter().any(|part| said.contains(part));
        if !is_broken && !begins.iter().any(|part| said.starts_with(part)) {
            return None;
        }
        if said.contains("x509:") || said.contains("tls:") {
            return Some(Self::Certificate { address, message });
        }
        Some(Self::Away { address, doing: doing.to_owned(), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_about_the_connection_are_told_from_those_about_the_build() {
        let unavailable =
            |why: &str| format!("failed to list workers: Unavailable: connection error: desc = \"{why}\"");
        let refused = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused";
        let foreign = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate \
                       signed by unknown authority";
        for (said, kind) in [
            (unavailable(refused), "away"),
            (format!("listing workers for Build: {}", unavailable(refused)), "away"),
            (unavailable("error reading server preface: EOF"), "away"),
            (unavailable("error reading server preface: remote error: tls: certificate required"), "certificate"),
            (unavailable(foreign), "certificate"),
            ("failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF".into(), "away"),
            ("failed to solve: Unavailable: error reading from server: EOF".into(), "away"),
            ("failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 1".into(), "build"),
            ("failed to solve: registry.example/base:1: unexpected status from HEAD request: 503 Service Unavailable".into(), "build"),
            ("failed to solve: base:1: failed to do request: dial tcp 10.0.0.1:443: connect: connection refused".into(), "build"),
            ("failed to solve: base:1: tls: failed to verify certificate: x509: certificate has expired".into(), "build"),
        ] {
            let found = match BuildkitError::of_connection("tcp://build:1234", "building", &said) {
                Some(BuildkitError::Away { .. }) => "away",
                Some(_) => "certificate",
                None => "build",
            };
            assert_eq!(found, kind, "{said}");
        }
    }
}
