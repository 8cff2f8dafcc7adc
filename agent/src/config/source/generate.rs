//! `[[application_source.generate]]`: what a template is made for.

use std::collections::BTreeMap;
use std::path::Path;

use quarterdeck_core::directories::Pattern;
use quarterdeck_core::generate::is_name;
use quarterdeck_core::trigger::TagGlob;
use quarterdeck_git::url::RepositoryUrl;
use serde::Deserialize;

use crate::config::Config;
use crate::config::forge::ForgeConfig;

/// Generators of one template: two give each with each, and more than a person can follow nobody needs.
const GENERATORS_MAX: usize = 2;

/// What a template is made for, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenGenerator {
    /// The entries that are written here.
    list: Option<Vec<BTreeMap<String, String>>>,
    /// The directories of the source that match.
    directories: Option<String>,
    /// The clusters of the source with these labels; all of them where empty.
    clusters: Option<BTreeMap<String, String>>,
    /// The branches whose names match.
    branches: Option<String>,
    /// The open merge requests into branches whose names match.
    merge_requests: Option<String>,
    /// Whose branches or merge requests; the source's own where absent.
    repository: Option<String>,
    /// Merge requests of forks, too.
    #[serde(default)]
    forks: bool,
}

/// What a template is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generator {
    /// These entries.
    List(Vec<BTreeMap<String, String>>),
    /// Directories of the source.
    Directories(Pattern),
    /// Clusters with these labels.
    Clusters(BTreeMap<String, String>),
    /// Branches of a repository.
    Branches {
        /// Their names.
        named: TagGlob,
        /// Whose.
        repository: Option<String>,
    },
    /// Open merge requests of a repository of a forge.
    MergeRequests {
        /// Into which branches.
        into: TagGlob,
        /// Whose.
        repository: Option<String>,
        /// Those of forks, too: whoever may fork runs code in a cluster then.
        forks: bool,
    },
}

impl WrittenGenerator {
    /// What it means, or what is wrong with it.
    pub(super) fn read(&self) -> Result<Generator, (&'static str, String)> {
        let Self { list, directories, clusters, branches, merge_requests, repository, forks } = self;
        let one = "write one of list, directories, clusters, branches and merge_requests";
        let of = |option: &'static str, glob: &str| TagGlob::parse(glob).map_err(|error| (option, error.to_string()));
        let repository = repository.clone();
        let generator = match (list, directories, clusters, branches, merge_requests) {
            (Some(list), None, None, None, None) => Generator::List(list.clone()),
            (None, Some(pattern), None, None, None) => {
                Generator::Directories(Pattern::parse(pattern).map_err(|error| ("directories", error.to_string()))?)
            }
            (None, None, Some(labels), None, None) => Generator::Clusters(labels.clone()),
            (None, None, None, Some(glob), None) => {
                Generator::Branches { named: of("branches", glob)?, repository: repository.clone() }
            }
            (None, None, None, None, Some(glob)) => {
                let into = of("merge_requests", glob)?;
                Generator::MergeRequests { into, repository: repository.clone(), forks: *forks }
            }
            (None, None, None, None, None) => return Err(("", format!("what is the template made for? {one}"))),
            _ => return Err(("", format!("a template is made for one thing in each table: {one}"))),
        };
        let is_of_repository = matches!(generator, Generator::Branches { .. } | Generator::MergeRequests { .. });
        if repository.is_some() && !is_of_repository {
            return Err((
                "repository",
                "only branches and merge_requests are of a repository: leave it out".to_owned(),
            ));
        }
        if *forks && !matches!(generator, Generator::MergeRequests { .. }) {
            return Err(("forks", "only merge_requests can be of forks: leave it out".to_owned()));
        }
        Ok(generator)
    }
}

impl Generator {
    /// Of which repository it lists something, where it does.
    pub fn repository<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        match self {
            Self::Branches { repository, .. } | Self::MergeRequests { repository, .. } => {
                Some(repository.as_deref().unwrap_or(own))
            }
            Self::List(_) | Self::Directories(_) | Self::Clusters(_) => None,
        }
    }

    /// The names that it gives; those behind `cluster.` are the labels of clusters.
    fn names(&self) -> Vec<&str> {
        match self {
            Self::List(entries) => entries.iter().flat_map(|entry| entry.keys()).map(String::as_str).collect(),
            Self::Directories(_) => vec!["app", "env"],
            Self::Clusters(_) => vec!["cluster"],
            Self::Branches { .. } => vec!["branch"],
            Self::MergeRequests { .. } => vec!["merge_request"],
        }
    }
}

/// What is wrong with the generators of a source: which of them, its option, and what.
pub(super) fn problems(
    written: &[WrittenGenerator],
    own: &str,
    config: &Config,
    base: &Path,
) -> Vec<(usize, &'static str, String)> {
    let mut problems = Vec::new();
    let mut known: Vec<Generator> = Vec::new();
    for (index, written) in written.iter().enumerate() {
        match written.read() {
            Ok(generator) => {
                problems.extend(problem(&generator, own, config, base).map(|(option, what)| (index, option, what)));
                known.push(generator);
            }
            Err((option, what)) => problems.push((index, option, what)),
        }
    }
    if written.len() > GENERATORS_MAX {
        let what =
            format!("{} generators; the limit is {GENERATORS_MAX}, of which each is made with each", written.len());
        problems.push((GENERATORS_MAX, "", what));
    }
    if let [one, other] = &known[..]
        && let Some(name) = one.names().into_iter().find(|name| other.names().contains(name))
    {
        problems.push((1, "", format!("both generators give {{{name}}}: nothing says which is meant")));
    }
    problems
}

fn problem(generator: &Generator, own: &str, config: &Config, base: &Path) -> Option<(&'static str, String)> {
    if let Generator::List(entries) = generator {
        let name = entries.iter().flat_map(|entry| entry.keys()).find(|name| !is_name(name))?;
        return Some((
            "list",
            format!(
                "{name:?} cannot name a value: use a-z, 0-9 and '_', and no name that options know, as tag and commit"
            ),
        ));
    }
    let address = generator.repository(own)?;
    let url = match RepositoryUrl::parse(address, base) {
        Ok(url) => url,
        Err(error) => return Some(("repository", error.to_string())),
    };
    let needs_forge = matches!(generator, Generator::MergeRequests { .. });
    let has_forge = config.forge.iter().any(|forge: &ForgeConfig| forge.has(&url));
    (needs_forge && !has_forge).then(|| {
        ("merge_requests", format!("no [[forge]] has the repository {url}: merge requests are asked of its forge"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with generators that are written so.
    fn told(text: &str) -> Vec<String> {
        #[derive(Deserialize)]
        struct Part {
            generate: Vec<WrittenGenerator>,
        }
        let forge = "[[forge]]\nkind = 'gitlab'\nurl = 'https://forge.example'\ntoken_env = 'T'\n";
        let config: Config = toml::from_str(forge).unwrap();
        let written = toml::from_str::<Part>(text).unwrap().generate;
        let all = problems(&written, "https://forge.example/ops/fleet.git", &config, Path::new("/etc/qd"));
        all.into_iter().map(|(index, option, what)| format!("{index} {option}: {what}")).collect()
    }

    #[test]
    fn a_generator_is_made_for_one_thing() {
        for (text, wrong) in [
            ("list = [{ app = 'a' }, { app = 'b', tier = 'web' }]", ""),
            ("directories = 'apps/{app}'", ""),
            ("clusters = {}", ""),
            ("clusters = { region = 'eu' }", ""),
            ("branches = 'feature/*'", ""),
            ("branches = '*'\nrepository = 'https://other.example/a'", ""),
            ("merge_requests = 'main'\nforks = true", ""),
            ("", "0 : what is the template made for?"),
            ("branches = '*'\nclusters = {}", "0 : a template is made for one thing in each table"),
            ("branches = ''", "0 branches: an empty pattern"),
            ("directories = 'apps'", "0 directories: the pattern \"apps\" has no {app}"),
            ("clusters = {}\nrepository = 'https://forge.example/a'", "0 repository: only branches and merge_requests"),
            ("branches = '*'\nforks = true", "0 forks: only merge_requests can be of forks"),
            ("list = [{ tag = 'a' }]", "0 list: \"tag\" cannot name a value"),
            ("list = [{ 'a b' = 'a' }]", "0 list: \"a b\" cannot name a value"),
            (
                "merge_requests = '*'\nrepository = 'https://other.example/a'",
                "0 merge_requests: no [[forge]] has the repository",
            ),
        ] {
            let told = told(&format!("[[generate]]\n{text}\n"));
            match wrong {
                "" => assert_eq!(told, [""; 0], "{text}"),
                wrong => assert!(told[0].starts_with(wrong), "{text}: {told:?}"),
            }
        }
        let of = |tables: &[&str]| told(&tables.iter().map(|one| format!("[[generate]]\n{one}\n")).collect::<String>());
        assert_eq!(of(&["list = [{ app = 'a' }]", "clusters = {}"]), [""; 0]);
        let both = of(&["list = [{ cluster = 'a' }]", "clusters = {}"]);
        assert_eq!(both, ["1 : both generators give {cluster}: nothing says which is meant"]);
        let three = of(&["clusters = {}", "branches = '*'", "list = []"]);
        assert!(three[0].starts_with("2 : 3 generators; the limit is 2"), "{three:?}");
    }
}
