//! Repository addresses: read once, compared by a key, shown without secrets.
//!
//! Two spellings of one repository share a mirror and a poll, so every address has a canonical [`RepositoryUrl::key`].
//! The key is cautious: sharing too little costs one poll more, sharing too much would deploy the wrong repository.
//! The syntax is git's, read by gix; transports that run commands (`ext::`) and unknown ones are refused here, once.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use gix::bstr::ByteSlice;
use sha2::{Digest, Sha256};

/// Why a text is not a repository address. It never shows user names or passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text does not follow git's syntax.
    #[error("`{url}` is not a repository address: {why}; write a path, file://, ssh://, user@host:path or https://")]
    Syntax {
        /// The text without its user information.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// A scheme that is not spoken.
    #[error("`{url}` uses {scheme}, which is not supported; write a path, file://, ssh://, user@host:path or https://")]
    Scheme {
        /// The text without its user information.
        url: String,
        /// The scheme.
        scheme: String,
    },
}

/// The address of a repository.
#[derive(Clone, PartialEq, Eq)]
pub struct RepositoryUrl {
    location: Location,
    key: String,
}

/// What an address says, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A directory of this machine, absolute.
    File(PathBuf),
    /// `ssh://` or `user@host:path`.
    Ssh { user: Option<String>, host: String, port: Option<u16>, path: String },
    /// `http://` or `https://`. `base` is the address to speak to: without user information.
    Http { tls: bool, host: String, port: Option<u16>, path: String, base: String, userinfo: Option<UserInfo> },
}

/// What stood before the `@` of an http address. It has no `Debug` on purpose.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserInfo {
    pub(crate) user: String,
    pub(crate) password: Option<String>,
}

impl RepositoryUrl {
    /// Reads an address; a relative path is taken from `base`, which is the directory of the file it was written in.
    pub fn parse(text: &str, base: &Path) -> Result<Self, UrlError> {
        let text = text.trim();
        let syntax = |why: &str| UrlError::Syntax { url: redact(text), why: why.to_owned() };
        if text.is_empty() {
            return Err(syntax("it is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(syntax("it has control characters"));
        }
        let url = gix::url::parse(text).map_err(|_| syntax("it does not follow the syntax of git"))?;
        let location = read(url, base).map_err(|refusal| match refusal {
            Refusal::Syntax(why) => syntax(why),
            Refusal::Scheme(scheme) => UrlError::Scheme { url: redact(text), scheme },
        })?;
        Ok(Self { key: key(&location), location })
    }

    /// The canonical spelling: equal for two addresses of one repository. It holds no secret.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A directory name for the mirror of this repository: readable, safe in a path, and one for each key.
    pub fn mirror_name(&self) -> String {
        let last = self.key.rsplit('/').next().unwrap_or_default();
        let word: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(40).collect();
        let hash = Sha256::digest(self.key.as_bytes());
        let hash: String = hash.iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("{}-{hash}.git", if word.is_empty() { "repository" } else { &word })
    }

    /// Whether a configuration that is written for the addresses that start with `prefix` is meant for this one, and
    /// how specific it is (longer is more specific). Whole path components count: `/ops` does not cover `/opsec`.
    /// A prefix without a user covers every user.
    pub fn covered_by(&self, prefix: &str, base: &Path) -> Result<Option<usize>, UrlError> {
        let prefix = prefix.trim();
        // A host alone is no address for git, so it gets the shortest path.
        let is_host = prefix.ends_with(':') || prefix.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
        let whole = if is_host { format!("{prefix}/") } else { prefix.to_owned() };
        let prefix = Self::parse(&whole, base)?;
        let path = match (&prefix.location, &self.location) {
            (Location::File(prefix), Location::File(own)) => own.starts_with(prefix).then(|| text(prefix)),
            (
                Location::Ssh { user, host, port, path },
                Location::Ssh { user: own_user, host: own_host, port: own_port, path: own_path },
            ) => {
                let user = user.is_none() || user == own_user;
                (user && host == own_host && port == own_port && below(own_path, path)).then(|| path.clone())
            }
            (
                Location::Http { tls, host, port, path, .. },
                Location::Http { tls: own_tls, host: own_host, port: own_port, path: own_path, .. },
            ) => {
                (tls == own_tls && host == own_host && port == own_port && below(own_path, path)).then(|| path.clone())
            }
            _ => None,
        };
        Ok(path.map(|path| path.len()))
    }

    /// What the forge at `web`, its address in a browser, calls this repository: `ops/shop`. Nothing where it is elsewhere:
    /// on another host, or, by http, at another port or beside the forge's folder. The port of ssh says nothing.
    pub fn project_at(&self, web: &Self) -> Option<String> {
        let Location::Http { host, port, path: folder, .. } = &web.location else { return None };
        let project = match &self.location {
            Location::Http { host: own, port: own_port, path, .. } if own == host && own_port == port => {
                let inside = below(path, folder).then(|| trimmed(path)[trimmed(folder).len()..].to_owned())?;
                inside.trim_start_matches('/').to_owned()
            }
            Location::Ssh { host: own, path, .. } if own == host => trimmed(path),
            _ => return None,
        };
        project.contains('/').then_some(project)
    }

    /// Whether another address, on whatever host and by whatever way, names the same project, as far as paths tell: a forge
    /// names a repository by addresses that nobody here may use.
    pub fn is_probably(&self, other: &Self) -> bool {
        let path = |url: &Self| match &url.location {
            Location::Http { path, .. } | Location::Ssh { path, .. } => Some(trimmed(path)),
            Location::File(_) => None,
        };
        let ends = |long: &str, short: &str| {
            long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let (Some(one), Some(other)) = (path(self), path(other)) else { return self.key == other.key };
        let (one, other) = if one.len() < other.len() { (other, one) } else { (one, other) };
        other.contains('/') && ends(&one, &other)
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }
}

/// The address as a person may see it: no user information of http addresses at all (forges take tokens as user names).
impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::File(path) => write!(f, "{}", path.display()),
            Location::Http { base, .. } => f.write_str(base),
            Location::Ssh { user, host, port, path } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&bracketed(host))?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                write!(f, "/{}", path.trim_start_matches('/'))
            }
        }
    }
}

impl fmt::Debug for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositoryUrl({self})")
    }
}

enum Refusal {
    Syntax(&'static str),
    Scheme(String),
}

fn read(url: gix::Url, base: &Path) -> Result<Location, Refusal> {
    use gix::url::Scheme;
    let path = url.path.to_str().map_err(|_| Refusal::Syntax("its path is not UTF-8"))?.to_owned();
    if path.chars().any(char::is_control) {
        return Err(Refusal::Syntax("its path has control characters"));
    }
    match &url.scheme {
        Scheme::File => Ok(Location::File(lexical(&base.join(path)))),
        Scheme::Ssh => {
            let host = url.host().ok_or(Refusal::Syntax("it names no host"))?.to_ascii_lowercase();
            let user = url.user().filter(|user| !user.is_empty()).map(str::to_owned);
            if host.is_empty() || host.starts_with('-') || user.as_deref().is_some_and(|user| user.starts_with('-')) {
                return Err(Refusal::Syntax("its host or user would be read as an option of ssh"));
            }
            Ok(Location::Ssh { user, host, port: url.port.filter(|port| *port != 22), path })
        }
        Scheme::Http | Scheme::Https => {
            if path.contains(['?', '#']) {
                return Err(Refusal::Syntax("it has a query or a fragment; credentials belong in the configuration"));
            }
            let tls = url.scheme == Scheme::Https;
            let host = url.host().filter(|host| !host.is_empty()).ok_or(Refusal::Syntax("it names no host"))?;
            let host = host.to_ascii_lowercase();
            let port = url.port.filter(|port| *port != if tls { 443 } else { 80 });
            let userinfo = url
                .user()
                .filter(|user| !user.is_empty())
                .map(|user| UserInfo { user: user.to_owned(), password: url.password().map(str::to_owned) });
            let mut bare = url.clone();
            bare.user = None;
            bare.password = None;
            let base = bare.to_bstring().to_string().trim_end_matches('/').to_owned();
            Ok(Location::Http { tls, host, port, path, base, userinfo })
        }
        other => Err(Refusal::Scheme(other.as_str().to_owned())),
    }
}

fn key(location: &Location) -> String {
    let at_port = |port: &Option<u16>| port.map(|port| format!(":{port}")).unwrap_or_default();
    match location {
        Location::File(path) => format!("file://{}", text(path)),
        Location::Http { tls, host, port, path, .. } => {
            let scheme = if *tls { "https" } else { "http" };
            format!("{scheme}://{}{}/{}", bracketed(host), at_port(port), trimmed(path))
        }
        Location::Ssh { user, host, port, path } => {
            // On a forge everyone is `git` and the path is a name, so `git@h:a/b` and `ssh://git@h/a/b` are the same.
            // For other users the first is below the home directory and the second is below `/`.
            let forge = user.as_deref() == Some("git");
            let home = if forge || path.starts_with(['/', '~']) { "" } else { "~/" };
            let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            format!("ssh://{user}{}{}/{home}{}", bracketed(host), at_port(port), trimmed(path))
        }
    }
}

/// Whether `path` is `prefix` or below it, whatever their slashes at both ends and `.git`.
fn below(path: &str, prefix: &str) -> bool {
    let (path, prefix) = (trimmed(path), trimmed(prefix));
    prefix.is_empty() || path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path of a network address in one spelling: forges answer to a name with and without `.git`.
fn trimmed(path: &str) -> String {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Takes `.` and `..` out without asking the disk: the directory may not be there yet.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// Characters of an address that is none, in a message: enough to know it by.
const SHOWN_MAX: usize = 200;

/// A text that may be an address, with what stands before an `@` taken out.
pub fn redact(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let (scheme, rest) = shown.split_once("://").map_or(("", shown.as_str()), |(scheme, rest)| (scheme, rest));
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let kept = match rest[..authority_end].rfind('@') {
        // The user of every forge's ssh is no secret, and people know their repositories with it.
        Some(at) if &rest[..at] == "git" => rest.to_owned(),
        Some(at) => format!("***{}", &rest[at..]),
        None => rest.to_owned(),
    };
    let kept = kept.split(['?', '#']).next().unwrap_or_default().to_owned();
    let kept = if scheme.is_empty() { kept } else { format!("{scheme}://{kept}") };
    // At the end: a token may be longer than what is shown, and its `@` has to be seen.
    kept.chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests;
