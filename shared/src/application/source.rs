//! Other repositories and artifacts that an environment takes files of: a chart there, values here.

use super::{ArtifactSpec, EnvironmentSourceName, Follow};

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
}

impl EnvironmentSource {
    /// The folder that its files are seen in: `$values`.
    pub fn folder(&self) -> String {
        folder_of(&self.name)
    }

    /// `values: ssh://forge.example/ops/values.git main, prod`, for people; `repository` is its address without secrets.
    pub fn describe(&self, repository: &str) -> String {
        let Self { name, repository: _, follow, artifact, path } = self;
        let followed = match (artifact, follow) {
            (Some(_), _) | (None, Follow::Default) => String::new(),
            (None, Follow::Branch(text) | Follow::Tag(text) | Follow::NewestTag(text) | Follow::Semver(text)) => {
                format!(" {text}")
            }
            (None, Follow::Commit(commit)) => format!(" {}", commit.short()),
        };
        let folder = if path.is_empty() { String::new() } else { format!(", {path}") };
        format!("{name}: {repository}{followed}{folder}")
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
    fn a_source_is_described_by_what_is_taken_of_it() {
        let of = |follow, path: &str| EnvironmentSource {
            name: "values".parse().unwrap(),
            repository: String::new(),
            follow,
            artifact: None,
            path: path.to_owned(),
        };
        for (source, words) in [
            (of(Follow::Default, ""), "values: /r"),
            (of(Follow::Branch("main".to_owned()), "prod"), "values: /r main, prod"),
            (of(Follow::Semver(">=1".to_owned()), ""), "values: /r >=1"),
            (of(Follow::Commit("1f3c2a9d".repeat(5).parse().unwrap()), ""), "values: /r 1f3c2a9"),
        ] {
            assert_eq!(source.describe("/r"), words);
        }
        assert_eq!(of(Follow::Default, "").folder(), "$values");
    }
}
