//! The address of a folder of a repository, as kustomize reads it (`api/internal/git/repospec.go` of kustomize 5.8).

/// A folder of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFolder {
    /// What `git clone` is given.
    pub repository: String,
    /// The folder in it; `""` is its root.
    pub path: String,
    /// What `ref`, or else `version`, of the query says.
    pub reference: Option<String>,
}

/// The address of a file or folder elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder of a repository.
    Folder(GitFolder),
    /// A file of a web server.
    File,
}

const SCHEMES: [&str; 4] = ["ssh://", "https://", "http://", "file://"];

/// Reads an address; nothing where kustomize takes the text for a path of its own files.
pub fn read(text: &str) -> Option<Address> {
    if text.contains(['\n', '\0']) || text.starts_with('/') {
        return None;
    }
    let folder = folder(text);
    let is_http = ["http://", "https://"].iter().any(|scheme| begins(text, scheme));
    // Kustomize asks a web server for a file first, and git where that is none. Here the address decides.
    let is_file = is_http
        && match &folder {
            None => true,
            Some(folder) => folder.reference.is_none() && !has_marker(text) && names_file(text),
        };
    if is_file { Some(Address::File) } else { folder.map(Address::Folder) }
}

/// Whether a text is an address that no kustomization may leave unread: what kustomize would fetch.
pub fn is_remote(text: &str) -> bool {
    let others = ["gitlab.com/", "bitbucket.org/"].iter().any(|begin| text.starts_with(begin));
    !text.contains('\n') && (read(text).is_some() || others || text.contains("://") || text.contains("?ref="))
}

fn folder(text: &str) -> Option<GitFolder> {
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let text = without(text, "git::").unwrap_or(text);
    let scheme = SCHEMES.into_iter().find(|scheme| begins(text, scheme)).unwrap_or_default();
    let rest = &text[scheme.len()..];
    let (user, rest) = user_of(rest);
    let is_github = begins(rest, "github.com/") || begins(rest, "github.com:");
    let (host, rest) = if scheme == "file://" {
        (format!("{scheme}{user}"), rest)
    } else {
        let has_colon = scheme.is_empty() && (!user.is_empty() || is_github);
        if scheme.is_empty() && !has_colon {
            return None;
        }
        let slash = rest.find('/');
        let colon = rest.find(':').filter(|colon| has_colon && *colon > 0 && slash.is_none_or(|slash| *colon < slash));
        let end = colon.or(slash).map_or(0, |at| at + 1);
        let host = match is_github {
            true if scheme == "ssh://" || !user.is_empty() => format!("{user}github.com:"),
            true => "https://github.com/".to_owned(),
            false if end == 0 => return None,
            false => format!("{scheme}{user}{}", &rest[..end]),
        };
        (host, &rest[end..])
    };
    let (repository, path) = parts(rest, scheme == "file://")?;
    let path = path.trim_start_matches('/').trim_end_matches('/');
    let leaves = crate::tree::paths::join("", path).is_none();
    if repository.is_empty() || leaves {
        return None;
    }
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| plain(value))
    };
    let path = crate::tree::paths::join("", path).unwrap_or_default();
    Some(GitFolder { repository: format!("{host}{repository}"), path, reference: value("ref").or(value("version")) })
}

/// The repository in the path of an address, and the folder in it.
fn parts(rest: &str, is_file: bool) -> Option<(&str, &str)> {
    if let Some(at) = rest.find("_git/") {
        let end = rest[at + 5..].find('/').map_or(rest.len(), |slash| at + 5 + slash);
        return Some((&rest[..end], &rest[end..]));
    }
    if let Some(at) = rest.find("//") {
        return Some((&rest[..at], &rest[at + 2..]));
    }
    if let Some(at) = rest.find(".git") {
        return Some((&rest[..at + 4], &rest[at + 4..]));
    }
    if is_file {
        return Some((rest, ""));
    }
    // Organisation and repository, as on GitHub.
    let first = rest.find('/')?;
    let end = rest[first + 1..].find('/').map_or(rest.len(), |slash| first + 1 + slash);
    Some((&rest[..end], &rest[end..]))
}

/// Whether an address says itself where its repository ends.
fn has_marker(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.contains("_git/") || rest.contains("//") || rest.contains(".git/") || rest.ends_with(".git")
}

fn names_file(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending))
}

/// The user at the beginning, with its `@`.
fn user_of(text: &str) -> (&str, &str) {
    let is_user = |user: &str| {
        user.starts_with(|c: char| c.is_ascii_alphabetic())
            && user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    match text.find('@') {
        Some(at) if is_user(&text[..at]) => text.split_at(at + 1),
        _ => ("", text),
    }
}

fn begins(text: &str, begin: &str) -> bool {
    without(text, begin).is_some()
}

fn without<'t>(text: &'t str, begin: &str) -> Option<&'t str> {
    let head = text.get(..begin.len())?;
    head.eq_ignore_ascii_case(begin).then(|| &text[begin.len()..])
}

/// The value of a query: `%2F` is a slash.
fn plain(value: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), value.as_bytes());
    while let [first, tail @ ..] = rest {
        let two = tail.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let escaped = two.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_as_kustomize_reads_them() {
        for (text, repository, path, reference) in [
            (
                "https://github.com/argoproj/argo-cd//manifests/cluster-install?ref=v2.9.3",
                "https://github.com/argoproj/argo-cd",
                "manifests/cluster-install",
                "v2.9.3",
            ),
            ("github.com/org/repo/a/b?ref=v1", "https://github.com/org/repo", "a/b", "v1"),
            ("github.com/org/repo?version=v1", "https://github.com/org/repo", "", "v1"),
            (
                "git::https://forge.example/org/repo.git//base?ref=v1&timeout=90s",
                "https://forge.example/org/repo.git",
                "base",
                "v1",
            ),
            ("https://forge.example/org/repo.git/base?ref=v1", "https://forge.example/org/repo.git", "base", "v1"),
            (
                "https://forge.example/group/sub/repo//base/?ref=v1",
                "https://forge.example/group/sub/repo",
                "base",
                "v1",
            ),
            (
                "https://forge.example/org/repo/install.yaml?ref=v1",
                "https://forge.example/org/repo",
                "install.yaml",
                "v1",
            ),
            (
                "ssh://git@forge.example:2222/org/repo//base?ref=v1",
                "ssh://git@forge.example:2222/org/repo",
                "base",
                "v1",
            ),
            ("git@forge.example:org/repo//base?ref=v1", "git@forge.example:org/repo", "base", "v1"),
            ("git@github.com:org/repo.git/base?ref=v1", "git@github.com:org/repo.git", "base", "v1"),
            ("ssh://git@github.com/org/repo?ref=v1", "git@github.com:org/repo", "", "v1"),
            (
                "https://me@dev.azure.com/org/project/_git/repo/base?ref=v1",
                "https://me@dev.azure.com/org/project/_git/repo",
                "base",
                "v1",
            ),
            ("file:///srv/git/repo//base?ref=refs%2Ftags%2Fv1", "file:///srv/git/repo", "base", "refs/tags/v1"),
            ("file:///srv/git/repo?ref=v1", "file:///srv/git/repo", "", "v1"),
        ] {
            let folder = GitFolder {
                repository: repository.to_owned(),
                path: path.to_owned(),
                reference: Some(reference.to_owned()),
            };
            assert_eq!(read(text), Some(Address::Folder(folder)), "{text}");
        }
    }

    #[test]
    fn files_are_told_from_folders() {
        let unpinned = |repository: &str, path: &str| {
            let (repository, path) = (repository.to_owned(), path.to_owned());
            Some(Address::Folder(GitFolder { repository, path, reference: None }))
        };
        for (text, expected) in [
            ("https://raw.githubusercontent.com/argoproj/argo-cd/v2.9.3/manifests/install.yaml", Some(Address::File)),
            ("https://web.example/install.yaml", Some(Address::File)),
            ("https://web.example/a.json?token=b", Some(Address::File)),
            ("https://github.com/org/repo//base", unpinned("https://github.com/org/repo", "base")),
            ("https://github.com/org/repo//a.yaml", unpinned("https://github.com/org/repo", "a.yaml")),
            ("github.com/org/repo", unpinned("https://github.com/org/repo", "")),
            ("https://github.com/org/repo//../../etc?ref=v1", Some(Address::File)),
            ("../base", None),
            ("/etc/passwd", None),
            ("gitlab.com/org/repo", None),
            ("a\nhttps://web.example/a.yaml", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for (text, is) in [("gitlab.com/org/repo", true), ("s3::x://a", true), ("base?ref=v1", true), ("base", false)] {
            assert_eq!(is_remote(text), is, "{text}");
        }
    }
}
