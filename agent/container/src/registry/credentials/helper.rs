//! Asks a credential helper, a program by the protocol of docker-credential-helpers.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{CredentialError, Login};
use crate::registry::words::fit;
use quarterdeck_core::output::Mask;

/// Helpers of clouds ask their server; a keychain that wants a password from a person would wait for ever.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Tokens of clouds are a few kilobytes long.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

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
    let program = format!("docker-credential-{name}");
    let problem = |why: String, missing| CredentialError::Helper {
        program: program.clone(),
        origin: origin.to_owned(),
        registry: registry.to_owned(),
        why,
        missing,
    };
    let failed = |why| problem(why, false);
    if !is_name(&program) {
        return Err(failed("its name is not a program name".to_owned()));
    }
    let path =
        find(&program, search_path).ok_or_else(|| problem("it is not installed (not in PATH)".to_owned(), true))?;
    let mut command = Command::new(path);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|error| failed(format!("it cannot be started: {error}")))?;
    let talk = tokio::time::timeout(TIME_LIMIT, talk(child, registry)).await;
    let (success, output, complaint) = talk
        .map_err(|_| failed(format!("it did not answer within {} s", TIME_LIMIT.as_secs())))?
        .map_err(|error| failed(format!("talking to it: {error}")))?;
    if !success {
        // Helpers put their complaint on standard output.
        let words = fit(&Mask::default(), if output.trim().is_empty() { &complaint } else { &output });
        return if words.contains("credentials not found") { Ok(None) } else { Err(failed(words)) };
    }
    let answer: Answer =
        serde_json::from_str(&output).map_err(|_| failed("its answer is not the JSON of a login".to_owned()))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::IdentityToken(answer.secret),
        _ => Login::Password { username: answer.username, password: answer.secret },
    }))
}

async fn talk(mut child: Child, registry: &str) -> std::io::Result<(bool, String, String)> {
    if let Some(mut input) = child.stdin.take() {
        // A helper that answers without reading closes its end; what it says counts.
        let _ = input.write_all(format!("{registry}\n").as_bytes()).await;
    }
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read_out = async {
        match out {
            Some(out) => out.take(ANSWER_BYTES_MAX).read_to_end(&mut output).await,
            None => Ok(0),
        }
    };
    let read_err = async {
        match err {
            Some(err) => err.take(ANSWER_BYTES_MAX).read_to_end(&mut complaint).await,
            None => Ok(0),
        }
    };
    let (out, err) = tokio::join!(read_out, read_err);
    out.and(err)?;
    let status = child.wait().await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((status.success(), text(output), text(complaint)))
}

/// Its name comes from a file, so it must be a name and not a path.
fn is_name(program: &str) -> bool {
    program.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// The program's place.
fn find(program: &str, search_path: &OsStr) -> Option<PathBuf> {
    let candidates = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
    candidates.map(|folder| folder.join(program)).find(|path| path.is_file())
}
