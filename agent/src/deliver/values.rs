//! Values of build arguments, secrets and variables, and the ssh agent of a build, found where the configuration says they are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use quarterdeck_shared::application::{Ssh, ValueFrom};

use secrecy::SecretString;

use super::DeliverError;
use quarterdeck_container::engine::GivenValue;
use quarterdeck_container::engine::ssh_agent::SshAgent;
use quarterdeck_system::secret::{self, Place};

/// Each with its value now: a secret is read at each use. `what` they are is said where one is not there. Code of a fork
/// gets none that is secret.
pub(super) fn given(
    what: &'static str,
    values: &BTreeMap<String, ValueFrom>,
    is_of_fork: bool,
) -> Result<BTreeMap<String, GivenValue>, DeliverError> {
    let values = values.iter().filter(|(_, from)| !is_of_fork || !is_secret(from));
    values.map(|(name, from)| Ok((name.clone(), value(what, name, from)?))).collect()
}

/// Secrets of a build, each as it is now, byte for byte. Code of a fork gets none.
pub(super) fn secrets(
    values: &BTreeMap<String, ValueFrom>,
    is_of_fork: bool,
) -> Result<BTreeMap<String, SecretString>, DeliverError> {
    let values = values.iter().filter(|_| !is_of_fork);
    let read = |(id, from): (&String, &ValueFrom)| {
        let secret = match from {
            // None is written in the configuration, which was checked for it.
            ValueFrom::Plain(text) => Ok(text.as_str().into()),
            ValueFrom::Environment { env } => secret::read_whole(&Place::variable(env)),
            ValueFrom::File { file } => secret::read_whole(&Place::file(file)),
        };
        let secret = secret.map_err(|source| DeliverError::Value { what: "build secret", name: id.clone(), source })?;
        Ok((id.clone(), secret))
    };
    values.map(read).collect()
}

/// The ssh agent of a build: that of this process as it is now, or one of its own, which works below a folder.
pub(super) async fn ssh_agent(ssh: &Ssh, scratch: PathBuf) -> Result<Option<SshAgent>, DeliverError> {
    match ssh {
        Ssh::Agent(false) => Ok(None),
        Ssh::Agent(true) => Ok(Some(SshAgent::at(socket()?))),
        Ssh::Key(key) => Ok(Some(SshAgent::with_key(scratch, key.key_file.clone()).await?)),
    }
}

fn socket() -> Result<PathBuf, DeliverError> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(PathBuf::from);
    let Some(socket) = socket else {
        return Err(DeliverError::NoSshAgent { why: "SSH_AUTH_SOCK is not set".to_owned() });
    };
    if socket.exists() {
        return Ok(socket);
    }
    Err(DeliverError::NoSshAgent { why: format!("SSH_AUTH_SOCK names {}, which does not exist", socket.display()) })
}

/// A line about what is withheld from code of a fork; empty where nothing is.
pub(super) fn withheld<'v>(what: &str, values: impl Iterator<Item = (&'v String, &'v ValueFrom)>) -> String {
    let names: Vec<&str> = values.filter(|(_, from)| is_secret(from)).map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("{what} withheld from code of a fork: {}", names.join(", ")) }
}

fn is_secret(from: &ValueFrom) -> bool {
    !matches!(from, ValueFrom::Plain(_))
}

fn value(what: &'static str, name: &str, from: &ValueFrom) -> Result<GivenValue, DeliverError> {
    let place = match from {
        ValueFrom::Plain(value) => return Ok(GivenValue::Plain(value.clone())),
        ValueFrom::Environment { env } => Place::variable(env),
        ValueFrom::File { file } => Place::file(file),
    };
    let secret = secret::read(&place);
    secret.map(GivenValue::Secret).map_err(|source| DeliverError::Value { what, name: name.to_owned(), source })
}
