//! Which folders or files of a repository a template is made for, by patterns such as `apps/*` and `!apps/old`. Pure.

use std::collections::BTreeSet;

use gix_glob::wildmatch::Mode;

use crate::tree::paths::parent;

/// Patterns of one generator: each file of a repository is held against all of them.
const PATTERNS_MAX: usize = 100;

/// Patterns that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobsError {
    /// Nothing is meant.
    #[error("no pattern says what is meant: write e.g. \"apps/*\"")]
    Nothing,
    /// It leads out of the repository, or is empty.
    #[error("the pattern {0:?} must be inside the repository: write e.g. \"apps/*\"")]
    Outside(String),
    /// They are too many.
    #[error("{0} patterns; the limit is {PATTERNS_MAX}")]
    TooMany(usize),
}

/// Patterns of paths: what one means, and none with `!` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globs {
    meant: Vec<String>,
    excluded: Vec<String>,
}

impl Globs {
    /// Reads patterns. `*` is any part of one name, `**` any folders.
    ///
    /// # Errors
    /// Where one cannot be meant.
    pub fn parse(written: &[String]) -> Result<Self, GlobsError> {
        if written.len() > PATTERNS_MAX {
            return Err(GlobsError::TooMany(written.len()));
        }
        let (mut meant, mut excluded) = (Vec::new(), Vec::new());
        for text in written {
            let pattern = text.strip_prefix('!').unwrap_or(text);
            if pattern.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(GlobsError::Outside(text.clone()));
            }
            let into = if text.starts_with('!') { &mut excluded } else { &mut meant };
            into.push(pattern.to_owned());
        }
        if meant.is_empty() { Err(GlobsError::Nothing) } else { Ok(Self { meant, excluded }) }
    }

    /// Whether a path is meant.
    pub fn matches(&self, path: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, path));
        any(&self.meant) && !any(&self.excluded)
    }

    /// The folder that all of them are in.
    pub fn root(&self) -> String {
        let mut roots = self.meant.iter().map(|pattern| fixed(pattern));
        let first = roots.next().unwrap_or_default();
        let common = roots.fold(first, |one, other| {
            one.into_iter().zip(other).take_while(|(one, other)| one == other).map(|(one, _)| one).collect()
        });
        common.join("/")
    }

    /// The folders that are meant, of the files of a repository. What is hidden is none.
    pub fn folders<'p>(&self, files: impl IntoIterator<Item = &'p str>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        for file in files {
            let mut folder = parent(file);
            while !folder.is_empty() && seen.insert(folder) {
                folder = parent(folder);
            }
        }
        let is_hidden = |folder: &str| folder.split('/').any(|part| part.starts_with('.'));
        seen.into_iter().filter(|folder| !is_hidden(folder) && self.matches(folder)).map(str::to_owned).collect()
    }
}

/// Whether a path is one of a pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    gix_glob::wildmatch(pattern.into(), path.into(), Mode::NO_MATCH_SLASH_LITERAL)
}

/// The folders before the first name that is a pattern; the last name is a file, or the folder itself.
fn fixed(pattern: &str) -> Vec<&str> {
    let folders = pattern.rsplit_once('/').map(|(folders, _)| folders.split('/')).into_iter().flatten();
    folders.take_while(|name| !name.contains(['*', '?', '[', '\\'])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Result<Globs, GlobsError> {
        Globs::parse(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn folders_are_those_that_one_pattern_means_and_none_excludes() {
        let files = ["README.md", "apps/shop/a.yaml", "apps/shop/qa/b.yaml", "apps/old/a", "apps/.x/a", "infra/dns/a"];
        for (patterns, root, wanted) in [
            (vec!["apps/*"], "apps", vec!["apps/old", "apps/shop"]),
            (vec!["apps/*", "!apps/old"], "apps", vec!["apps/shop"]),
            (vec!["apps/shop", "infra/*"], "", vec!["apps/shop", "infra/dns"]),
            (vec!["*"], "", vec!["apps", "infra"]),
            (vec!["*/*"], "", vec!["apps/old", "apps/shop", "infra/dns"]),
            (vec!["apps/**"], "apps", vec!["apps/old", "apps/shop", "apps/shop/qa"]),
            (vec!["apps/s*/qa"], "apps", vec!["apps/shop/qa"]),
            (vec!["apps/shop/qa"], "apps/shop", vec!["apps/shop/qa"]),
            (vec!["none/*"], "none", vec![]),
        ] {
            let globs = globs(&patterns).unwrap();
            assert_eq!(globs.root(), root, "{patterns:?}");
            assert_eq!(globs.folders(files).into_iter().collect::<Vec<_>>(), wanted, "{patterns:?}");
        }
    }

    #[test]
    fn patterns_that_mean_nothing_or_lead_out_are_refused() {
        for (patterns, told) in [
            (vec![], "no pattern says what is meant"),
            (vec!["!apps/*"], "no pattern says what is meant"),
            (vec!["/apps/*"], "the pattern \"/apps/*\" must be inside the repository"),
            (vec!["apps/*", "!../x"], "the pattern \"!../x\" must be inside the repository"),
            (vec![""], "the pattern \"\" must be inside"),
            (vec!["a"; PATTERNS_MAX + 1], "101 patterns; the limit is 100"),
        ] {
            let error = globs(&patterns).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
        }
    }
}
