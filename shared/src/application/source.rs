//! What an environment follows of a repository, and the other repositories and artifacts that it takes files of: a chart there,
//! values here.

use super::{ArtifactSpec, EnvironmentSourceName};
use crate::revision::CommitId;

/// What is deployed of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Follow {
    /// The remote's default branch.
    #[default]
    Default,
    /// A branch.
    Branch(String),
    /// A tag. Nothing is promoted to it: a promotion is a commit on a branch.
    Tag(String),
    /// The newest tag that matches a pattern, in natural order. Nothing is promoted to it.
    NewestTag(String),
    /// The newest version in a range of those that tags name. Nothing is promoted to it.
    Semver(String),
    /// A commit, which never moves. Nothing is promoted to it.
    Commit(CommitId),
}

impl Follow {
    /// Whether promotions can be commits on what is followed.
    pub fn is_branch(&self) -> bool {
        matches!(self, Self::Default | Self::Branch(_))
    }

    /// The branch that promotions go to, where one is named.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch(branch) => Some(branch),
            Self::Default | Self::Tag(_) | Self::NewestTag(_) | Self::Semver(_) | Self::Commit(_) => None,
        }
    }
}

/// What one source adds to the files of an environment: its files are seen as the folder `$name` beside those of the environment's
/// own repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentSource {
    /// What paths call it, behind a `$`.
    pub name: EnvironmentSourceName,
    /// Where the files are; like the repository of an environment.
    pub repository: String,
    /// What is taken of it.
    pub follow: Follow,
    /// The artifact of a registry that they come from instead; `repository` describes it then.
    pub artifact: Option<ArtifactSpec>,
    /// The folder of it that is taken; all of it where empty.
    pub path: String,
    /// Whether its files are in the artifact of the environment, as a bundle brings them. `artifact` is that one then, and `path` the
    /// folder in it.
    pub bundled: bool,
}

impl EnvironmentSource {
    /// The folder that its files are seen in: `$values`.
    pub fn folder(&self) -> String {
        folder_of(&self.name)
    }

    /// The path in its repository of what is at a path of the environment; nothing where that is not of this source.
    pub fn path_of(&self, path: &str) -> Option<String> {
        let parts = |text: &str| -> Vec<String> {
            text.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
        };
        let all = parts(path);
        let (first, rest) = all.split_first()?;
        (*first == self.folder()).then(|| [parts(&self.path), rest.to_vec()].concat().join("/"))
    }

    /// What of it is taken, for people: `main`; nothing where that is the default branch, or what its artifact says.
    pub fn follows(&self) -> String {
        match (&self.artifact, &self.follow) {
            (Some(_), _) | (None, Follow::Default) => String::new(),
            (None, Follow::Branch(text) | Follow::Tag(text) | Follow::NewestTag(text) | Follow::Semver(text)) => {
                text.clone()
            }
            (None, Follow::Commit(commit)) => commit.short().to_owned(),
        }
    }
}

/// The folder that the files of a source are seen in: `$values`.
pub fn folder_of(source: &EnvironmentSourceName) -> String {
    format!("${source}")
}

/// What a path calls the source that it is of, without the `$`; nothing of a path of the environment's own files.
pub fn source_of(path: &str) -> Option<&str> {
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.next()?.strip_prefix('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_source_by_its_first_folder() {
        for (path, source) in [
            ("$values/prod/podinfo.yaml", Some("values")),
            ("$charts", Some("charts")),
            ("./$charts/podinfo", Some("charts")),
            ("$", Some("")),
            ("prod/$values/a.yaml", None),
            ("values/a.yaml", None),
            ("", None),
        ] {
            assert_eq!(source_of(path), source, "{path}");
        }
    }

    #[test]
    fn a_source_says_what_of_it_is_taken() {
        let of = |follow| EnvironmentSource {
            name: "values".parse().unwrap(),
            repository: String::new(),
            follow,
            artifact: None,
            path: String::new(),
            bundled: false,
        };
        for (follow, words) in [
            (Follow::Default, ""),
            (Follow::Branch("main".to_owned()), "main"),
            (Follow::Semver(">=1".to_owned()), ">=1"),
            (Follow::Commit("1f3c2a9d".repeat(5).parse().unwrap()), "1f3c2a9"),
        ] {
            assert_eq!(of(follow).follows(), words);
        }
        assert_eq!(of(Follow::Default).folder(), "$values");
        let below = EnvironmentSource { path: "teams/shop".to_owned(), ..of(Follow::Default) };
        for (path, all, taken) in [
            ("$values/prod.yaml", Some("prod.yaml"), Some("teams/shop/prod.yaml")),
            ("./$values//deep/a.yaml", Some("deep/a.yaml"), Some("teams/shop/deep/a.yaml")),
            ("$values", Some(""), Some("teams/shop")),
            ("$valuesx/prod.yaml", None, None),
            ("prod.yaml", None, None),
        ] {
            assert_eq!(of(Follow::Default).path_of(path).as_deref(), all, "{path}");
            assert_eq!(below.path_of(path).as_deref(), taken, "{path}");
        }
    }
}
