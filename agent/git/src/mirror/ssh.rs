//! How ssh is run: never asking, with host keys checked, and with the person's own agent and configuration.
//!
//! The options are few on purpose: `~/.ssh/config` decides everything else (jump hosts, ports, keys, known hosts).
//!
//! Most of a poll over ssh is the making of the connection (0.7 s of 0.75 s where that was measured), so OpenSSH shares
//! one connection between all sessions with a host: `ControlMaster`. It ends by itself soon after the last poll, and
//! with [`hang_up`] when the agent stops.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use quarterdeck_system::program::{Limits, run};
use sha2::{Digest, Sha256};

use super::program::unprompted;
use crate::url::Location;
use crate::{GitError, Remote};

/// How long an unused connection is kept: three times the common poll interval of 30 s.
const PERSIST: &str = "ControlPersist=90";
/// The longest path of a socket, less what ssh puts behind the directory: `/`, 8 digits of ours, 40 of `%C`, and 17 of a
/// temporary name.
const CONTROL_DIR_MAX: usize = 107 - 1 - 8 - 40 - 17;

/// The program and its options, before the host. `mirrors` is the directory of the mirrors.
pub(crate) fn program(remote: &Remote, mirrors: Option<&Path>) -> Vec<OsString> {
    let access = &remote.access;
    let program = access.ssh_program.clone().map(OsString::from).or_else(|| std::env::var_os("GIT_SSH"));
    let mut words: Vec<OsString> = vec![program.unwrap_or_else(|| "ssh".into())];
    // BatchMode refuses whatever would ask: passwords, passphrases, unknown host keys. ServerAlive ends dead links.
    for option in ["BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=2"] {
        words.extend(["-o".into(), option.into()]);
    }
    if let Some(key) = &access.ssh_key {
        words.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), key.into()]);
    }
    if let Some(hosts) = &access.known_hosts {
        // Quoted, for ssh takes a bare space as the end of a file's name.
        words.extend(["-o".into(), format!("UserKnownHostsFile=\"{}\"", hosts.display()).into()]);
    }
    if let Some(sockets) = mirrors.and_then(control_dir) {
        // `%C` stands for host, port and user. The key is not in it, and forges know us by the key: so we put it in.
        let hash = Sha256::digest(words.join(std::ffi::OsStr::new("\0")).as_encoded_bytes());
        let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let path = format!("ControlPath={}/{hash}%C", sockets.display());
        for option in ["ControlMaster=auto", PERSIST, &path] {
            words.extend(["-o".into(), option.into()]);
        }
    }
    words
}

/// Where the sockets of shared connections are: beside the mirrors, for us alone. `None` where the path would be too
/// long for a socket or has a character that ssh reads as its own; then each session makes its connection.
fn control_dir(mirrors: &Path) -> Option<PathBuf> {
    let dir = mirrors.join(".ssh");
    let text = dir.to_str()?;
    if text.len() > CONTROL_DIR_MAX || text.contains(['%', '"', ' ', '$', '~']) {
        return None;
    }
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).ok()?;
    Some(dir)
}

/// How long the end of all shared connections together may take. Each is a word to a process of this machine, which takes
/// milliseconds; one that is stopped or hangs must not hold up the end of the agent, of which all other work has 8 s.
const HANG_UP_WITHIN: Duration = Duration::from_secs(2);
/// Of what `ssh -O exit` prints, which is `Exit request sent.`
const HANG_UP_BYTES_MAX: u64 = 4 << 10;

/// Ends the shared connections, because the agent stops. What cannot be ended ends by itself. Blocks for two seconds at the
/// most.
pub fn hang_up(mirrors: &Path) {
    hang_up_within(mirrors, HANG_UP_WITHIN);
}

fn hang_up_within(mirrors: &Path, within: Duration) {
    let started = Instant::now();
    for socket in std::fs::read_dir(mirrors.join(".ssh")).into_iter().flatten().flatten() {
        let time = within.saturating_sub(started.elapsed());
        if time.is_zero() {
            return;
        }
        let mut command = Command::new("ssh");
        // The host is not used: the socket says which connection is meant.
        let path = format!("ControlPath={}", socket.path().display());
        command.args(["-o", &path, "-O", "exit", "forge"]);
        unprompted(&mut command);
        let _ = run(command, b"", Limits { time, output_bytes: HANG_UP_BYTES_MAX });
    }
}

/// The command that starts `service` (`git-upload-pack`) on the other side; `None` if the address is no ssh address.
pub(crate) fn command(remote: &Remote, mirrors: Option<&Path>, service: &str) -> Option<Command> {
    let Location::Ssh { user, host, port, path } = remote.url.location() else { return None };
    let words = program(remote, mirrors);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["-o", "SendEnv=GIT_PROTOCOL"]);
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    let host = user.as_ref().map_or_else(|| host.clone(), |user| format!("{user}@{host}"));
    // The other side's shell reads this line: the path is quoted for it as git does.
    command.arg(host).arg(format!("{service} {}", quoted(path)));
    unprompted(&mut command);
    command.env("GIT_PROTOCOL", "version=2");
    Some(command)
}

/// A word for a POSIX shell, whatever is in it.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''").replace('!', "'\\!'"))
}

/// What a failed ssh session was about, by what ssh and the server said.
pub(crate) fn failure(url: &str, said: &str) -> GitError {
    let url = url.to_owned();
    let detail = if said.is_empty() { "ssh ended without a message".to_owned() } else { said.replace('\n', "; ") };
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "No ED25519 host key is known"])
    {
        // The banner of a changed key is mostly asterisks; its facts are after it.
        let detail = detail
            .replace('@', "")
            .split("; ")
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        return GitError::HostKey { url, detail };
    }
    if says(&[
        "Permission denied",
        "Too many authentication failures",
        "Access denied",
        "not authorized",
        "access rights",
    ]) && !says(&["does not exist", "not found", "not appear to be a git repository"])
    {
        return GitError::AccessDenied { url, detail };
    }
    if says(&["not appear to be a git repository", "does not exist", "not found", "could not be found"]) {
        return GitError::NoRepository { url, detail };
    }
    GitError::Unreachable { url, detail }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::url::RepositoryUrl;
    use crate::{GitErrorKind, RepositoryConfig};

    fn shown(url: &str, access: RepositoryConfig) -> String {
        let url = RepositoryUrl::parse(url, Path::new("/")).unwrap();
        let command = command(&Remote { url, access, merge_requests: false }, None, "git-upload-pack").unwrap();
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_command_line_is_gits_and_never_asks() {
        let line = shown("ssh://git@forge:2222/ops/shop.git", Default::default());
        assert!(line.ends_with("-o SendEnv=GIT_PROTOCOL -p 2222 git@forge git-upload-pack '/ops/shop.git'"), "{line}");
        assert!(line.contains("BatchMode=yes") && !line.contains("StrictHostKeyChecking"), "{line}");
        let line = shown("git@forge:it's/shop!.git", Default::default());
        assert!(line.ends_with(r"git@forge git-upload-pack 'it'\''s/shop'\!'.git'"), "{line}");
        let access = RepositoryConfig { ssh_key: Some("/keys/deploy".into()), ..Default::default() };
        let line = shown("git@forge:shop", access);
        assert!(line.contains("-o IdentitiesOnly=yes -i /keys/deploy"), "{line}");
        let access = RepositoryConfig { known_hosts: Some("/etc/qd/known hosts".into()), ..Default::default() };
        let line = shown("git@forge:shop", access);
        assert!(line.contains("-o UserKnownHostsFile=\"/etc/qd/known hosts\""), "{line}");
    }

    #[test]
    fn a_connection_is_shared_by_those_with_one_key() {
        let dir = tempfile::Builder::new().prefix("qd").tempdir().unwrap();
        let words = |key: &str| {
            let url = RepositoryUrl::parse("git@forge:shop", Path::new("/")).unwrap();
            let access = RepositoryConfig { ssh_key: Some(key.into()), ..Default::default() };
            program(&Remote { url, access, merge_requests: false }, Some(dir.path()))
        };
        let path = |key| words(key).last().unwrap().to_string_lossy().into_owned();
        assert!(path("a").starts_with(&format!("ControlPath={}/.ssh/", dir.path().display())), "{}", path("a"));
        assert!(path("a").ends_with("%C") && path("a") == path("a") && path("a") != path("b"));
        assert_eq!(control_dir(&dir.path().join("x".repeat(40))), None, "no socket has so long a path");
    }

    #[test]
    fn a_connection_that_does_not_answer_holds_nothing_up() {
        let mirrors = tempfile::Builder::new().prefix("qd").tempdir().unwrap();
        let sockets = control_dir(mirrors.path()).unwrap();
        let _deaf = ["one", "two"].map(|name| std::os::unix::net::UnixListener::bind(sockets.join(name)).unwrap());
        let (end, ended) = std::sync::mpsc::channel();
        let folder = mirrors.path().to_owned();
        std::thread::spawn(move || {
            hang_up_within(&folder, Duration::from_millis(300));
            end.send(()).unwrap();
        });
        ended.recv_timeout(Duration::from_secs(30)).expect("the end of the agent waits for it");
    }

    #[test]
    fn what_ssh_says_is_understood() {
        for (said, kind) in [
            ("git@forge: Permission denied (publickey).", GitErrorKind::Credentials),
            (
                "No ED25519 host key is known for forge and you have requested strict checking.\nHost key verification failed.",
                GitErrorKind::Credentials,
            ),
            ("fatal: '/x' does not appear to be a git repository", GitErrorKind::NotFound),
            (
                "ERROR: Repository not found.\nfatal: Could not read from remote repository.\nPlease make sure you have the correct access rights",
                GitErrorKind::NotFound,
            ),
            ("ssh: connect to host forge port 22: Connection refused", GitErrorKind::Unreachable),
            ("", GitErrorKind::Unreachable),
        ] {
            assert_eq!(failure("ssh://git@forge/shop", said).kind(), kind, "{said}");
        }
    }
}
