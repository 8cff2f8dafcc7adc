//! Asks a credential helper, a program by the protocol of docker-credential-helpers.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::{CredentialError, Login};
use crate::registry::messages::fit;
use quarterdeck_core::output::Mask;
use quarterdeck_system::program::{self, Limits, ProgramError};

/// Helpers of clouds ask their server, and their tokens are a few kilobytes long; a keychain that wants a password from a person
/// would wait for ever.
const LIMITS: Limits = Limits { time: Duration::from_secs(20), output_bytes: 64 << 10 };

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: SecretString,
}

/// The login that `docker-credential-NAME` has for a registry; none if it says that it knows none.
pub(super) async fn ask(
    name: &str,
    registry: &str,
    origin: &str,
    search_path: &OsStr,
) -> Result<Option<Login>, CredentialError> {
    let helper = format!("docker-credential-{name}");
    let problem = |why: String, missing| CredentialError::Helper {
        program: helper.clone(),
        origin: origin.to_owned(),
        registry: registry.to_owned(),
        why,
        missing,
    };
    let failed = |why| problem(why, false);
    if !is_name(&helper) {
        return Err(failed("its name is not a program name".to_owned()));
    }
    let missing = || problem("it is not installed (not in PATH)".to_owned(), true);
    let path = program::find(&helper, search_path).ok_or_else(missing)?;
    let mut command = Command::new(path);
    command.arg("get");
    let said = program::run_beside(command, format!("{registry}\n").into_bytes(), LIMITS).await;
    let said = said.map_err(|error| match error {
        ProgramError::Start(error) => failed(format!("it cannot be started: {error}")),
        ProgramError::TooLong(time) => failed(format!("it did not answer within {} s", time.as_secs())),
        other => failed(other.to_string()),
    })?;
    let output = String::from_utf8_lossy(&said.stdout);
    if !said.status.success() {
        // Helpers put their complaint on standard output.
        let message = fit(&Mask::default(), if output.trim().is_empty() { &said.stderr } else { &output });
        return if message.contains("credentials not found") { Ok(None) } else { Err(failed(message)) };
    }
    let answer: Answer =
        serde_json::from_str(&output).map_err(|_| failed("its answer is not the JSON of a login".to_owned()))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::IdentityToken(answer.secret),
        _ => Login::Password { username: answer.username, password: answer.secret },
    }))
}

/// Its name comes from a file, so it must be a name and not a path.
fn is_name(program: &str) -> bool {
    program.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
