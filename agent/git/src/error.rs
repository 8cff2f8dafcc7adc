//! What can go wrong with a repository, in words for the person who has to mend it.

mod hint;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use hint::gives_another_reason;
use quarterdeck_system::certificate::Distrust;

/// What to do about a failure: the poller decides by this and by nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GitErrorKind {
    /// The credentials are refused (401, 403, a public key): stop hammering, some forges ban the whole address.
    Credentials,
    /// The remote or the network did not answer in time or at all, or with a bad certificate, or this machine was too short
    /// of something to ask: try again with back-off.
    Unreachable,
    /// What the remote sent is refused as hostile or over a bound: try again rarely.
    Refused,
    /// The thing that was asked for is not there (repository, branch, tag, commit, path).
    NotFound,
    /// The forge said no to a push (a protected branch, a hook).
    Rejected,
    /// The mirror, the disk or the git program failed here.
    Local,
}

/// Why something with a git repository failed.
///
/// The text says what failed, [`Hint`](quarterdeck_shared::error::Hint) what to do. `url` is always the redacted form. `detail` is what the other side or a library said: bounded, in one line for
/// errors of libraries, and without control characters.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// 401, 403 or a refused key.
    #[error("access to {url} is refused: {detail}")]
    AccessDenied {
        /// The repository.
        url: String,
        /// The status and what the server said.
        detail: String,
    },
    /// ssh does not know the host, or knows it under another key.
    #[error("the ssh host key of {url} is not trusted: {detail}")]
    HostKey {
        /// The repository.
        url: String,
        /// What ssh said.
        detail: String,
    },
    /// Credentials would travel in clear text.
    #[error("credentials for {url} are not sent over plain http, where anyone on the way reads them")]
    PlainHttp {
        /// The repository.
        url: String,
    },
    /// A named secret cannot be had.
    #[error("the credentials for {url} cannot be read: {detail}")]
    Secret {
        /// The repository.
        url: String,
        /// Which file or variable, and why.
        detail: String,
    },
    /// The other side or the way there is away.
    #[error("{url} cannot be reached: {detail}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What failed.
        detail: String,
    },
    /// The certificate of the other side is not to be trusted.
    #[error("the certificate of {url} was rejected: {why}")]
    Certificate {
        /// The repository.
        url: String,
        /// What is wrong with it.
        why: Distrust,
    },
    /// A limit of time was reached.
    #[error("{url} did not finish {doing} within {limit:?}")]
    TimedOut {
        /// The repository.
        url: String,
        /// What was under way.
        doing: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// Stopped because the agent is stopping.
    #[error("{doing} of {url} was interrupted")]
    Interrupted {
        /// The repository.
        url: String,
        /// What was under way.
        doing: &'static str,
    },
    /// The server answered, but not as a git server does.
    #[error("{url} did not answer as a git server: {detail}")]
    Protocol {
        /// The repository.
        url: String,
        /// What was wrong.
        detail: String,
    },
    /// There is no such repository, or these credentials may not see it.
    #[error("there is no repository at {url}, or these credentials may not see it: {detail}")]
    NoRepository {
        /// The repository.
        url: String,
        /// What the server said.
        detail: String,
    },
    /// git does not serve a directory that belongs to another user.
    #[error("git refuses to read {url}, which belongs to another user")]
    Ownership {
        /// The repository.
        url: String,
        /// Its directory, as git names it.
        path: String,
    },
    /// More than a bound allows.
    #[error("{url} sent more than {limit} {what}")]
    TooMuch {
        /// The repository.
        url: String,
        /// The bound.
        limit: u64,
        /// Of what: bytes, refs.
        what: &'static str,
        /// The option that holds the bound, where one does.
        option: Option<&'static str>,
    },
    /// A name that is not there.
    #[error("{what} is not in {url}")]
    NotFound {
        /// The repository.
        url: String,
        /// What was looked for.
        what: String,
    },
    /// A blob over the limit of the caller.
    #[error("{what} of {url} has {}, over the limit of {}", bytes(*.size), bytes(*.limit))]
    BlobTooBig {
        /// The repository.
        url: String,
        /// Which object or path.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The forge refused a push, in its words.
    #[error("{url} refused the push to {branch}: {detail}")]
    PushRejected {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The forge's words.
        detail: String,
    },
    /// An edit that cannot become a commit.
    #[error("cannot write {path} in a commit: {why}")]
    BadEdit {
        /// The path of the edit.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The mirror on disk failed.
    #[error("the mirror {dir} failed while {doing}: {detail}")]
    Mirror {
        /// The directory of the mirror.
        dir: PathBuf,
        /// What was under way.
        doing: &'static str,
        /// What the library or the system said.
        detail: String,
    },
    /// What came cannot be kept.
    #[error("the disk has no room for what {url} sent: {detail}")]
    NoRoom {
        /// The repository.
        url: String,
        /// What the library or the system said.
        detail: String,
    },
    /// This process may open no more files.
    #[error("nothing was asked of {url}: {limit}")]
    OpenFiles {
        /// The repository.
        url: String,
        /// What is reached, and how it is raised.
        limit: String,
    },
    /// The file that says who may sign is not to be had.
    #[error("cannot read the signers in {}: {why}", file.display())]
    Signers {
        /// The file.
        file: PathBuf,
        /// What the system or gpg said.
        why: String,
    },
    /// A program is not on this machine.
    #[error("`{program}` is not installed")]
    NotInstalled {
        /// Which.
        program: String,
        /// With what it comes.
        comes: &'static str,
    },
    /// A program could not be started or failed.
    #[error("`{program}` {detail}")]
    Program {
        /// The program.
        program: String,
        /// What happened.
        detail: String,
    },
}

/// As people say it.
fn bytes(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{count} bytes"),
        more => format!("{:.1} MiB", more as f64 / f64::from(1 << 20)),
    }
}

impl GitError {
    /// What to do about it.
    pub fn kind(&self) -> GitErrorKind {
        use GitError::*;
        match self {
            AccessDenied { .. } | HostKey { .. } | PlainHttp { .. } | Secret { .. } => GitErrorKind::Credentials,
            Unreachable { .. } | Certificate { .. } | TimedOut { .. } | Interrupted { .. } | Protocol { .. } => {
                GitErrorKind::Unreachable
            }
            TooMuch { .. } | BlobTooBig { .. } => GitErrorKind::Refused,
            NoRepository { .. } | NotFound { .. } => GitErrorKind::NotFound,
            PushRejected { .. } => GitErrorKind::Rejected,
            BadEdit { .. } | Mirror { .. } | NoRoom { .. } | OpenFiles { .. } | Ownership { .. } | Program { .. } => {
                GitErrorKind::Local
            }
            Signers { .. } | NotInstalled { .. } => GitErrorKind::Local,
        }
    }
}

impl GitError {
    /// Whether it passes by itself, or with the trouble of this machine: then trying again is of use.
    pub fn passes(&self) -> bool {
        use GitError::*;
        self.kind() == GitErrorKind::Unreachable || matches!(self, Mirror { .. } | NoRoom { .. } | OpenFiles { .. })
    }
}

/// The longest text of another's that a message carries: what fits on a screen of 80x24, twice.
const DETAIL_MAX: usize = 2000;

/// A library's error with all its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    clean(&quarterdeck_shared::error::chain(error)).replace('\n', "; ")
}

/// What names of temporary files begin with: gix's, ours, and those of the git program.
const TEMPORARY: [&str; 6] = [".new-mirror-", "tmp_pack_", "tmp_idx_", "tmp_obj_", "tmp_objdir-", ".tmp"];

/// Names of temporary files differ each time; without them one failure has one text.
fn nameless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, name)) =
        TEMPORARY.iter().filter_map(|name| Some((rest.find(name)?, *name))).min_by_key(|(at, _)| *at)
    {
        let (before, after) = rest.split_at(at + name.len());
        out.push_str(before);
        let drawn = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(after.len());
        if drawn > 0 {
            out.push('…');
        }
        rest = &after[drawn..];
    }
    out.push_str(rest);
    out
}

/// Text of a stranger made fit for a log and a terminal: no control characters but line breaks, and bounded.
pub(crate) fn clean(text: &str) -> String {
    let text = &nameless(text);
    let mut out = String::with_capacity(text.len().min(DETAIL_MAX));
    for c in text.trim().chars() {
        if out.len() >= DETAIL_MAX {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push('\n'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A name of a stranger, quoted so that it cannot move a cursor.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 200 bytes tell a name; a hostile one may have megabytes.
        let (shown, cut) = if self.0.len() > 200 { (&self.0[..200], "…") } else { (self.0, "") };
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_has_one_text_whatever_its_temporary_file_is_called() {
        for (text, wanted) in [
            ("cannot make /m/objects/pack/.tmpAbC123: full", "cannot make /m/objects/pack/.tmp…: full"),
            (
                "error: unable to write file objects/pack/tmp_pack_x9Y: full",
                "error: unable to write file objects/pack/tmp_pack_…: full",
            ),
            ("/m/.new-mirror-Ab12Cd/HEAD and /m/.tmpQ", "/m/.new-mirror-…/HEAD and /m/.tmp…"),
            ("a.tmp is kept", "a.tmp is kept"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(nameless(text), wanted);
        }
    }

    #[test]
    fn a_strangers_text_loses_its_control_characters_and_its_length() {
        assert_eq!(clean(" a\x1b[2Jb\r\nc\u{7} "), "a[2Jb\nc");
        assert!(clean(&"x".repeat(10_000)).len() <= DETAIL_MAX + 4);
        assert_eq!(Escaped(b"a\x1b\xff\xc3\xa4").to_string(), "a\\u{1b}\\xffä");
    }
}
