//! Pushing one commit to one branch, only if the branch is where we saw it.
//!
//! The `git` program does it: gix cannot push (GitoxideLabs/gitoxide#306). Credentials go through its environment and
//! never through arguments, which everyone on a machine can read; the way through ssh is the one that fetches take.

use std::path::PathBuf;
use std::process::Command;

use secrecy::ExposeSecret;

use super::operation::{Bounds, Operation};
use super::program::{git, with_options};
use super::{Mirror, auth, fetch, process, ssh};
use crate::error::gives_another_reason;
use crate::id::GixId;
use crate::url::Location;
use crate::{CommitId, GitError, PushOutcome};
use quarterdeck_core::failpoint;
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_system::certificate::Distrust;

impl Mirror {
    /// Moves `branch` of the remote from `expected_old` to `new`, which has to be in the mirror. If the branch is
    /// elsewhere nothing happens, and the answer says where. What the forge refuses is told in its words.
    pub fn push(&self, branch: &str, expected_old: &CommitId, new: &CommitId) -> Result<PushOutcome, GitError> {
        let name = format!("refs/heads/{branch}");
        let valid = gix::validate::reference::name(name.as_str().into()).is_ok();
        if !valid {
            return Err(self.not_found(format!("branch {branch}")));
        }
        let _writing = self.writing();
        let limits = &self.remote.access.limits;
        let bounds = Bounds {
            doing: "the push",
            time: limits.transfer_time,
            stall: limits.transfer_time,
            bytes: 1 << 20,
            bytes_option: None,
        };
        let talk = Operation::new(self.url(), bounds, self.interrupt.clone());
        let lease = format!("--force-with-lease={name}:{expected_old}");
        let spec = format!("{new}:{name}");
        let mut command = git(&self.dir, &["push", "--porcelain", "--no-verify", &lease, "--", &self.address(), &spec]);
        self.reach(&mut command)?;
        failpoint::reached("git: before a push");
        let finished = process::run(command, b"", &talk)?;
        failpoint::reached("git: after a push");
        if finished.status.success() {
            // The mirror follows at once, so that what comes next (a render) need not wait for a poll.
            self.edit(&self.repository(), [fetch::update(&name, new.to_gix())].into_iter())?;
            return Ok(PushOutcome::Pushed);
        }
        let printed = String::from_utf8_lossy(&finished.stdout).into_owned();
        match Refusal::read(&printed, &finished.stderr) {
            Refusal::Raced => {
                let now = self.list_refs()?.branches.get(branch).cloned();
                // The answer of a push can be lost on its way back although the branch moved.
                if now.as_ref() == Some(new) { Ok(PushOutcome::Pushed) } else { Ok(PushOutcome::Raced { now }) }
            }
            Refusal::Rejected(detail) => Err(GitError::PushRejected {
                url: self.url(),
                branch: branch.to_owned(),
                detail: self.scrubbed(&detail),
            }),
            Refusal::Unstored(said) => {
                let detail = format!("it could not store what was pushed: {}", self.scrubbed(&said));
                let not_stored = GitError::Protocol { url: self.url(), detail };
                // A mirror that lost a file on the way sent half of it.
                Err(self.damaged("pushing from it").unwrap_or(not_stored))
            }
            Refusal::Failed(said) => Err(self.failed(branch, &self.scrubbed(&said))),
        }
    }

    /// The address as git takes it, without user information.
    fn address(&self) -> String {
        match self.remote.url.location() {
            Location::File(path) => path.display().to_string(),
            Location::Http { base, .. } => base.clone(),
            // Written as scp does, because `ssh://` has no way to say "below the home directory".
            Location::Ssh { user, host, port: None, path } if !path.starts_with('/') && !host.contains(':') => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                format!("{user}{host}:{path}")
            }
            Location::Ssh { .. } => self.remote.url.to_string(),
        }
    }

    /// How git reaches the remote: key, certificate authority, credentials.
    fn reach(&self, command: &mut Command) -> Result<(), GitError> {
        let mut config: Vec<(String, String)> = Vec::new();
        match self.remote.url.location() {
            Location::File(_) => {}
            Location::Ssh { .. } => {
                // git hands this line to a shell, so each word is quoted for it.
                let words: Vec<String> = ssh::program(&self.remote, self.dir.parent())
                    .iter()
                    .map(|word| ssh::quoted(&word.to_string_lossy()))
                    .collect();
                command.env("GIT_SSH_COMMAND", words.join(" ")).env("GIT_SSH_VARIANT", "ssh");
            }
            Location::Http { base, .. } => {
                // Who is trusted when git reads is trusted when it writes: the program does not look at SSL_CERT_FILE, and
                // a GIT_SSL_CAINFO that stands around would outdo what the configuration names.
                let named = self.remote.access.ca_file.clone().map(PathBuf::into_os_string);
                if let Some(file) = named.or_else(|| std::env::var_os("SSL_CERT_FILE")) {
                    command.env("GIT_SSL_CAINFO", file);
                }
                if let Some(credential) = auth::configured(&self.remote)? {
                    if !auth::may_travel(&self.remote) {
                        return Err(GitError::PlainHttp { url: self.url() });
                    }
                    let header = format!("Authorization: {}", credential.header().expose_secret());
                    config.push((format!("http.{base}.extraHeader"), header));
                    // A refused token must not set helpers going.
                    config.push(("credential.helper".into(), String::new()));
                }
            }
        }
        with_options(command, &config);
        Ok(())
    }

    fn scrubbed(&self, text: &str) -> String {
        match auth::configured(&self.remote) {
            Ok(Some(credential)) => credential.scrub(text),
            // What a credential helper told is known from the fetch before.
            _ => SecretScrubber::global().scrub(text).into_owned(),
        }
    }

    /// A push that never came to the branch.
    fn failed(&self, branch: &str, said: &str) -> GitError {
        // What the other side says stands behind a word of git's; all else is said by the program here.
        let doing = "pushing from it";
        let ours = self.ours(doing, &own_words(said)).or_else(|| self.damaged(doing));
        let ssh = matches!(self.remote.url.location(), Location::Ssh { .. });
        ours.unwrap_or_else(|| failure(self.url(), branch, said, ssh))
    }
}

/// What a push that never came to the branch, for no trouble of this machine, was about, by what git printed: the forge's
/// own sentence first, where it gives a reason; then the status.
fn failure(url: String, branch: &str, said: &str, ssh: bool) -> GitError {
    let theirs = forge_words(said);
    let branch = branch.to_owned();
    if gives_another_reason(&theirs) {
        return GitError::PushRejected { url, branch, detail: theirs };
    }
    if ssh {
        return ssh::failure(&url, said);
    }
    let detail = said.replace('\n', "; ");
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["error: 413", "HTTP 413"]) {
        let detail = "it is larger than the server, or a proxy before it, accepts (413)".to_owned();
        return GitError::PushRejected { url, branch, detail };
    }
    if says(&[
        "error: 401",
        "error: 403",
        "Authentication failed",
        "could not read Username",
        "could not read Password",
    ]) {
        return GitError::AccessDenied { url, detail };
    }
    if says(&["not found", "does not appear to be a git repository", "error: 404"]) {
        return GitError::NoRepository { url, detail };
    }
    if says(&["certificate"]) {
        return GitError::Certificate { url, why: Distrust::Other(detail) };
    }
    GitError::Unreachable { url, detail }
}

/// What the forge itself said: `remote:` lines, and `ERROR:` where it refuses before git speaks.
fn forge_words(said: &str) -> String {
    let theirs = said.lines().filter_map(|line| line.strip_prefix("remote:").or_else(|| line.strip_prefix("ERROR:")));
    let lines: Vec<&str> = theirs.map(|line| line.trim().trim_matches('=')).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

/// What the program on this machine said.
fn own_words(said: &str) -> String {
    let ours = said.lines().filter(|line| !line.starts_with("remote:") && !line.starts_with("ERROR:"));
    ours.collect::<Vec<_>>().join("; ")
}

/// How a push failed.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// The branch is not where it was seen.
    Raced,
    /// The forge's words.
    Rejected(String),
    /// What arrived was not whole, or the forge could not write it: no rule of the forge's. Its words.
    Unstored(String),
    /// It did not come to the branch.
    Failed(String),
}

impl Refusal {
    /// Reads what `git push --porcelain` printed: a line `!<tab>from:to<tab>[reason] (detail)` for a refused ref.
    fn read(printed: &str, said: &str) -> Self {
        let Some(summary) = printed.lines().find_map(|line| line.strip_prefix("!\t")?.split('\t').nth(1)) else {
            return Refusal::Failed(said.to_owned());
        };
        let raced = ["(stale info)", "(fetch first)", "(non-fast-forward)", "cannot lock ref", "failed to update ref"];
        // A forge that cannot write its own refs says so in the words of a race.
        let broken = ["No space left on device", "Disk quota exceeded", "Permission denied", "Read-only file system"];
        let broken = broken.iter().any(|word| said.contains(word) || summary.contains(word));
        if !broken
            && raced
                .iter()
                .any(|word| summary.contains(word) || summary.contains("remote rejected") && said.contains(word))
        {
            return Refusal::Raced;
        }
        // What hooks print comes as `remote:` lines; the reason of the ref says which rule it was.
        let words = forge_words(said);
        let reason = summary.trim_start_matches("[remote rejected] ").trim_start_matches("[rejected] ");
        if !broken && ["(unpacker error)", "(missing necessary objects)"].contains(&reason) {
            return Refusal::Unstored(if words.is_empty() { reason.to_owned() } else { format!("{words} {reason}") });
        }
        Refusal::Rejected(if words.is_empty() { reason.to_owned() } else { format!("{words} {reason}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarterdeck_shared::error::Failure;

    #[test]
    fn what_git_push_prints_is_understood() {
        let line = |summary: &str| format!("To /srv/x\n!\tabc:refs/heads/main\t{summary}\nDone\n");
        for (printed, said, refusal) in [
            (line("[rejected] (stale info)"), "", Refusal::Raced),
            (line("[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)"), "", Refusal::Raced),
            (
                line("[remote rejected] (pre-receive hook declined)"),
                "remote: \nremote: GitLab: You are not allowed to push code to protected branches.\nerror: failed",
                Refusal::Rejected(
                    "GitLab: You are not allowed to push code to protected branches. (pre-receive hook declined)"
                        .into(),
                ),
            ),
            (line("[remote rejected] (protected branch)"), "", Refusal::Rejected("(protected branch)".into())),
            (
                line("[remote rejected] (failed to update ref)"),
                "remote: error: cannot lock ref 'refs/heads/main': Unable to create '/srv/x.git/refs/heads/main.lock': No space left on device",
                Refusal::Rejected(
                    "error: cannot lock ref 'refs/heads/main': Unable to create '/srv/x.git/refs/heads/main.lock': No space left on device (failed to update ref)"
                        .into(),
                ),
            ),
            (line("[remote rejected] (unpacker error)"), "", Refusal::Unstored("(unpacker error)".into())),
            (
                line("[remote rejected] (unpacker error)"),
                "remote: fatal: early EOF\nerror: remote unpack failed: index-pack abnormal exit",
                Refusal::Unstored("fatal: early EOF (unpacker error)".into()),
            ),
            (
                line("[remote rejected] (unpacker error)"),
                "remote: error: file write error: No space left on device",
                Refusal::Rejected("error: file write error: No space left on device (unpacker error)".into()),
            ),
            (String::new(), "fatal: unable to access", Refusal::Failed("fatal: unable to access".into())),
        ] {
            assert_eq!(Refusal::read(&printed, said), refusal);
        }
    }

    #[test]
    fn a_push_that_never_came_is_told_by_whose_trouble_it_was() {
        const ARCHIVED: &str = "remote: This repository was archived so it is read-only.\nfatal: unable to access 'https://forge/x/': The requested URL returned error: 403";
        const RIGHTS: &str = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.";
        let over_ssh = |words: &str| format!("{words}\n{RIGHTS}");
        for (ssh, said, told) in [
            (false, ARCHIVED.to_owned(), "URL refused the push to main: This repository was archived so it is read-only."),
            (true, over_ssh("ERROR: This repository was archived so it is read-only."), "URL refused the push to main: This repository was archived so it is read-only."),
            (true, over_ssh("remote:\nremote: ========\nremote:\nremote: ERROR: Your push to this repository would cause it to exceed the allocated storage of 1 GiB.\nremote:"), "URL refused the push to main: ERROR: Your push to this repository would cause it to exceed the allocated storage of 1 GiB."),
            (false, "remote: Permission to ops/x.git denied to bot.\nfatal: unable to access 'https://forge/x/': The requested URL returned error: 403".to_owned(), "access to URL is refused: remote: Permission to ops/x.git denied to bot.; fatal: unable to access 'https://forge/x/': The requested URL returned error: 403\nhint: check the credentials that the configuration names for it"),
            (false, "fatal: unable to access 'https://forge/x/': The requested URL returned error: 403".to_owned(), "access to URL is refused: fatal: unable to access 'https://forge/x/': The requested URL returned error: 403\nhint: check the credentials that the configuration names for it"),
            (true, over_ssh("git@forge: Permission denied (publickey)."), "access to URL is refused: git@forge: Permission denied (publickey).; fatal: Could not read from remote repository.; ; Please make sure you have the correct access rights; and the repository exists.\nhint: check the credentials that the configuration names for it"),
            (false, "error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413\nsend-pack: unexpected disconnect\nfatal: the remote end hung up unexpectedly".to_owned(), "URL refused the push to main: it is larger than the server, or a proxy before it, accepts (413)"),
            (false, "remote: error: file write error: No space left on device\nfatal: the remote end hung up".to_owned(), "URL refused the push to main: error: file write error: No space left on device"),
        ] {
            assert_eq!(Failure::of(&failure("URL".to_owned(), "main", &said, ssh)).to_string(), told);
        }
    }
}
