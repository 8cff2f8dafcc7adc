//! Credentials for http: found without a prompt, sent only where they may go, and forgotten when they are refused.
//!
//! In this order: the token that the configuration names (read at each use, so that a rotated one is taken up), what
//! stands in the address itself, and git's credential helpers. Helpers are asked through `git credential`, only after
//! a 401, and told what became of their answer; so an ordinary poll starts no process.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use secrecy::{ExposeSecret, SecretString};

use super::operation::Operation;
use super::process;
use super::program::git;
use crate::url::Location;
use crate::{GitError, Remote};
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_system::secret::{self, Place};

/// The shortest token of any forge that we know.
const TOKEN_MIN: usize = 20;

/// A user name and its secret.
#[derive(Clone)]
pub(crate) struct Credential {
    user: String,
    secret: SecretString,
    /// Given by a helper, who wants to hear whether it was right.
    pub(crate) from_helper: bool,
}

impl Credential {
    /// The value of an `Authorization` header.
    pub(crate) fn header(&self) -> SecretString {
        let pair = format!("{}:{}", self.user, self.secret.expose_secret());
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)).into()
    }

    /// Takes the secret out of a text of the server, however short it is: some echo what they were sent.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let secret = self.secret.expose_secret();
        let encoded = self.header();
        let encoded = encoded.expose_secret().trim_start_matches("Basic ");
        let text =
            if secret.is_empty() { text.to_owned() } else { text.replace(secret, "***").replace(encoded, "***") };
        SecretScrubber::global().scrub(&text).into_owned()
    }
}

/// The credentials that the configuration or the address names, if any.
pub(crate) fn configured(remote: &Remote) -> Result<Option<Credential>, GitError> {
    let access = &remote.access;
    let user = access.username.clone().unwrap_or_else(|| "git".to_owned());
    if let Some(place) = Place::named(access.token_env.as_deref(), access.token_file.as_deref()) {
        let told = |detail: String| GitError::Secret { url: remote.url.to_string(), detail };
        let text = secret::read(&place).map_err(|error| told(error.to_string()))?;
        // A token is one line; what is below it is a note.
        let token = text.expose_secret().lines().next().map(str::trim).filter(|line| !line.is_empty());
        let token =
            token.ok_or_else(|| told(format!("the first line of {place} is empty; it should hold the token")))?;
        return Ok(Some(Credential { user, secret: token.to_owned().into(), from_helper: false }));
    }
    let Location::Http { userinfo: Some(info), .. } = remote.url.location() else { return Ok(None) };
    // `https://TOKEN@host` is how some forges write it: the token is the user name and there is no password.
    let secret = info.password.clone().unwrap_or_default();
    SecretScrubber::global().keep(if secret.is_empty() { token_of(&info.user) } else { &secret });
    Ok(Some(Credential { user: info.user.clone(), secret: secret.into(), from_helper: false }))
}

/// A user without a password is a token where it is as long as tokens are (20 characters and more); a name is masked nowhere.
fn token_of(user: &str) -> &str {
    if user.len() >= TOKEN_MIN { user } else { "" }
}

/// Whether credentials may travel to this address: encrypted, within this machine, or because a person said so.
pub(crate) fn may_travel(remote: &Remote) -> bool {
    match remote.url.location() {
        Location::Http { tls: false, host, .. } => remote.access.insecure || is_loopback(host),
        _ => true,
    }
}

/// Asks git's credential helpers. `None` if none of them knows.
pub(crate) fn from_helpers(remote: &Remote, dir: &Path, talk: &Arc<Operation>) -> Result<Option<Credential>, GitError> {
    let finished = process::run(git(dir, &["credential", "fill"]), question(remote).as_bytes(), talk)?;
    if !finished.status.success() {
        // Without a helper git would prompt, and fails because it may not.
        return Ok(None);
    }
    let answer = String::from_utf8_lossy(&finished.stdout).into_owned();
    let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let (Some(user), Some(secret)) = (field("username"), field("password")) else { return Ok(None) };
    SecretScrubber::global().keep(secret);
    Ok(Some(Credential { user: user.to_owned(), secret: secret.to_owned().into(), from_helper: true }))
}

/// Tells the helpers whether what they gave was taken. Their own failures change nothing for us.
pub(crate) fn tell_helpers(
    remote: &Remote,
    dir: &Path,
    talk: &Arc<Operation>,
    credential: &Credential,
    accepted: bool,
) {
    let Credential { user, secret, from_helper: true } = credential else { return };
    let verb = if accepted { "approve" } else { "reject" };
    let text = format!(
        "{}username={user}\npassword={}\n\n",
        question(remote).trim_end_matches('\n').to_owned() + "\n",
        secret.expose_secret()
    );
    let _ = process::run(git(dir, &["credential", verb]), text.as_bytes(), talk);
}

fn question(remote: &Remote) -> String {
    let mut text = format!("url={}\n", remote.url);
    if let Some(user) = &remote.access.username {
        text.push_str(&format!("username={user}\n"));
    }
    text.push('\n');
    text
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RepositoryConfig;
    use crate::url::RepositoryUrl;

    fn remote(url: &str, access: RepositoryConfig) -> Remote {
        let url = RepositoryUrl::parse(url, Path::new("/")).unwrap();
        Remote { url, access, merge_requests: false }
    }

    #[test]
    fn a_token_comes_from_its_file_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let access = RepositoryConfig { token_file: Some(file.path().into()), ..Default::default() };
        let remote = remote("https://ann:other@forge/shop", access);
        let path = file.path().display();
        for (text, why) in [
            ("", format!("the file {path} is empty")),
            ("\ntoken", format!("the first line of the file {path} is empty; it should hold the token")),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let told = configured(&remote).err().unwrap().to_string();
            assert!(told.ends_with(&why), "{told}");
        }
        for token in ["first", "second"] {
            std::fs::write(file.path(), format!("{token}\n")).unwrap();
            let header = configured(&remote).unwrap().unwrap().header();
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("git:{token}"));
            assert_eq!(header.expose_secret(), format!("Basic {pair}"));
        }
    }

    #[test]
    fn credentials_travel_encrypted_or_not_at_all() {
        for (url, insecure, may) in [
            ("https://forge/shop", false, true),
            ("http://forge/shop", false, false),
            ("http://forge/shop", true, true),
            ("http://127.0.0.1:3000/shop", false, true),
            ("http://[::1]:3000/shop", false, true),
            ("http://localhost/shop", false, true),
            ("http://localhost.evil/shop", false, false),
        ] {
            assert_eq!(may_travel(&remote(url, RepositoryConfig { insecure, ..Default::default() })), may, "{url}");
        }
    }

    #[test]
    fn a_secret_that_a_server_echoes_is_scrubbed() {
        let credential = configured(&remote("https://ann:s3cret@forge/shop", Default::default())).unwrap().unwrap();
        let encoded = base64::engine::general_purpose::STANDARD.encode("ann:s3cret");
        assert_eq!(credential.scrub(&format!("bad token s3cret ({encoded})")), "bad token *** (***)");
        let token = "glpat-0123456789abcdefgh";
        let credential =
            configured(&remote(&format!("https://{token}@forge/shop"), Default::default())).unwrap().unwrap();
        assert_eq!(credential.scrub(&format!("bad token {token}")), "bad token ***");
    }
}
