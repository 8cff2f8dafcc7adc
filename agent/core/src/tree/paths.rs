//! Paths of a tree, as texts.

/// Resolves a path as it is written in a file of `folder`: `../base` in `apps/shop` is `apps/base`.
/// Nothing where it leaves the repository or is absolute.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The folder that a file is in.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether a path is in a folder, at any depth; every path is in `""`.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() && !path.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_within_the_repository() {
        for (folder, relative, path) in [
            ("apps/shop", "../base", Some("apps/base")),
            ("apps/shop", "./a//b/", Some("apps/shop/a/b")),
            ("", "a", Some("a")),
            ("apps", "..", Some("")),
            ("apps", "../..", None),
            ("apps", "/etc/passwd", None),
        ] {
            assert_eq!(join(folder, relative).as_deref(), path, "{folder} {relative}");
        }
    }
}
