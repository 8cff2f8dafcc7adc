//! `[[application_source.generate]]`: what a template is made for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quarterdeck_core::directories::Pattern;
use quarterdeck_core::generate::globs::Globs;
use quarterdeck_core::generate::{Element, is_name};
use quarterdeck_core::trigger::TagGlob;
use quarterdeck_git::url::RepositoryUrl;
use serde::Deserialize;

use crate::config::Config;
use crate::config::forge::ForgeConfig;

/// Generators of one template: a product of two whose elements are merged with those of two more, and more than a person can
/// follow nobody needs.
const GENERATORS_MAX: usize = 4;

/// What a template is made for, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenGenerator {
    /// The entries that are written here.
    list: Option<Vec<BTreeMap<String, String>>>,
    /// The directories of the source that match.
    directories: Option<WrittenDirectories>,
    /// The files of the source that match, with what is written in them.
    files: Option<Vec<String>>,
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
    /// Values of each of them, beside its own.
    #[serde(default)]
    values: BTreeMap<String, String>,
    /// What stands before the names of all that it gives.
    prefix: Option<String>,
    /// By which values it adds its own to what the tables before it give, instead of each with each.
    #[serde(default)]
    merge: Vec<String>,
}

/// Directories, as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a pattern with {app}, as \"apps/{app}\", or a list of patterns, as [\"apps/*\"]")]
enum WrittenDirectories {
    /// `apps/{app}/envs/{env}`
    Named(String),
    /// `apps/*`, `!apps/old`
    Any(Vec<String>),
}

/// One table of generators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it lists.
    pub generator: Generator,
    /// Values of each of it, beside its own.
    pub values: BTreeMap<String, String>,
    /// What stands before the names of all that it gives.
    pub prefix: Option<String>,
    /// By which values it is merged into what stands before it; empty where each is made with each.
    pub merge: Vec<String>,
}

/// What a template is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generator {
    /// These entries.
    List(Vec<BTreeMap<String, String>>),
    /// Directories of the source, whose names are those of applications.
    Directories(Pattern),
    /// Directories of the source, whatever they are called.
    Folders(Globs),
    /// Files of the source.
    Files(Globs),
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
    pub(super) fn read(&self) -> Result<Given, (&'static str, String)> {
        let Self { values, prefix, merge, .. } = self;
        let generator = self.generator()?;
        if let Some(name) = values.keys().find(|name| !is_name(name)) {
            return Err(("values", unnameable(name)));
        }
        if let Some(prefix) = prefix.as_ref().filter(|prefix| !is_name(prefix)) {
            return Err(("prefix", unnameable(prefix)));
        }
        Ok(Given { generator, values: values.clone(), prefix: prefix.clone(), merge: merge.clone() })
    }

    fn generator(&self) -> Result<Generator, (&'static str, String)> {
        let Self { list, directories, files, clusters, branches, merge_requests, repository, forks, .. } = self;
        let one = "write one of list, directories, files, clusters, branches and merge_requests";
        let of = |option: &'static str, glob: &str| TagGlob::parse(glob).map_err(|error| (option, error.to_string()));
        let paths =
            |option: &'static str, globs: &[String]| Globs::parse(globs).map_err(|error| (option, error.to_string()));
        let repository = repository.clone();
        let mut all = Vec::new();
        all.extend(list.clone().map(|list| Ok(Generator::List(list))));
        all.extend(directories.as_ref().map(|written| match written {
            WrittenDirectories::Named(pattern) => {
                Pattern::parse(pattern).map(Generator::Directories).map_err(|error| ("directories", error.to_string()))
            }
            WrittenDirectories::Any(globs) => paths("directories", globs).map(Generator::Folders),
        }));
        all.extend(files.as_ref().map(|globs| paths("files", globs).map(Generator::Files)));
        all.extend(clusters.clone().map(|labels| Ok(Generator::Clusters(labels))));
        all.extend(branches.as_ref().map(|glob| {
            let repository = repository.clone();
            of("branches", glob).map(|named| Generator::Branches { named, repository })
        }));
        all.extend(merge_requests.as_ref().map(|glob| {
            let (repository, forks) = (repository.clone(), *forks);
            of("merge_requests", glob).map(|into| Generator::MergeRequests { into, repository, forks })
        }));
        let several = all.len() > 1;
        let generator = match all.into_iter().next() {
            None => return Err(("", format!("what is the template made for? {one}"))),
            Some(_) if several => return Err(("", format!("a template is made for one thing in each table: {one}"))),
            Some(generator) => generator?,
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

impl Given {
    /// The names that it gives, as far as they are known before anything is read.
    fn names(&self) -> BTreeSet<String> {
        let own = self.generator.names().into_iter().chain(self.values.keys().map(String::as_str));
        let with_prefix = |name: &str| match &self.prefix {
            Some(prefix) => format!("{prefix}.{name}"),
            None => name.to_owned(),
        };
        own.map(with_prefix).collect()
    }

    /// Of these elements, which are all of its generator, what it gives.
    pub fn of(&self, elements: Vec<Element>) -> Vec<Element> {
        let with = |element: Element| {
            let element = element.with(&self.values);
            match &self.prefix {
                Some(prefix) => element.prefixed(prefix),
                None => element,
            }
        };
        elements.into_iter().map(with).collect()
    }
}

impl Generator {
    /// Of which repository it lists something, where it does.
    pub fn repository<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        match self {
            Self::Branches { repository, .. } | Self::MergeRequests { repository, .. } => {
                Some(repository.as_deref().unwrap_or(own))
            }
            Self::List(_) | Self::Directories(_) | Self::Folders(_) | Self::Files(_) | Self::Clusters(_) => None,
        }
    }

    /// The names that it gives, without those of labels and of what is written in files.
    fn names(&self) -> Vec<&str> {
        match self {
            Self::List(entries) => entries.iter().flat_map(|entry| entry.keys()).map(String::as_str).collect(),
            Self::Directories(_) => vec!["app", "env"],
            Self::Folders(_) | Self::Files(_) => vec!["path"],
            Self::Clusters(_) => vec!["cluster"],
            Self::Branches { .. } => vec!["branch"],
            Self::MergeRequests { .. } => vec!["merge_request"],
        }
    }
}

fn unnameable(name: &str) -> String {
    format!(
        "{name:?} cannot name a value: begin with a-z, use letters, digits, '_', '-' and '.', and no name that options know, as tag and commit"
    )
}

/// What is wrong with the generators of a source: which of them, its option, and what.
pub(super) fn problems(
    written: &[WrittenGenerator],
    own: &str,
    config: &Config,
    base: &Path,
) -> Vec<(usize, &'static str, String)> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (index, written) in written.iter().enumerate() {
        match written.read() {
            Ok(given) => {
                let wrong = problem(&given.generator, own, config, base).or_else(|| of_names(&given, index, &names));
                problems.extend(wrong.map(|(option, what)| (index, option, what)));
                names.extend(given.names());
            }
            Err((option, what)) => problems.push((index, option, what)),
        }
    }
    if written.len() > GENERATORS_MAX {
        let what =
            format!("{} generators; the limit is {GENERATORS_MAX}, of which each is made with each", written.len());
        problems.push((GENERATORS_MAX, "", what));
    }
    problems
}

/// What is wrong with the names of a generator, beside those that the ones before it give.
fn of_names(given: &Given, index: usize, before: &BTreeSet<String>) -> Option<(&'static str, String)> {
    if !given.merge.is_empty() {
        return (index == 0)
            .then(|| ("merge", "nothing stands before it that it could be merged into: leave it out".to_owned()));
    }
    let both = given.names().into_iter().find(|name| before.contains(name))?;
    let what =
        format!("both generators give {{{both}}}: set prefix in one of them, or merge by the values that are the same");
    Some(("", what))
}

fn problem(generator: &Generator, own: &str, config: &Config, base: &Path) -> Option<(&'static str, String)> {
    if let Generator::List(entries) = generator {
        let name = entries.iter().flat_map(|entry| entry.keys()).find(|name| !is_name(name))?;
        return Some(("list", unnameable(name)));
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
            ("directories = ['apps/*', '!apps/old']\nvalues = { tier = 'web' }", ""),
            ("files = ['apps/*/config.json']\nprefix = 'file'", ""),
            ("directories = ['!apps/old']", "0 directories: no pattern says what is meant"),
            ("files = ['/apps/*']", "0 files: the pattern \"/apps/*\" must be inside the repository"),
            ("clusters = {}\nvalues = { tag = 'a' }", "0 values: \"tag\" cannot name a value"),
            ("clusters = {}\nprefix = 'a b'", "0 prefix: \"a b\" cannot name a value"),
            ("clusters = {}\nmerge = ['cluster']", "0 merge: nothing stands before it"),
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
        let wrong =
            "both generators give {cluster}: set prefix in one of them, or merge by the values that are the same";
        assert_eq!(both, [format!("1 : {wrong}")]);
        assert_eq!(of(&["list = [{ cluster = 'a' }]", "clusters = {}\nmerge = ['cluster']"]), [""; 0]);
        assert_eq!(of(&["directories = ['a/*']", "files = ['b/*']\nprefix = 'b'"]), [""; 0]);
        let paths = of(&["directories = ['a/*']", "files = ['b/*']"]);
        assert!(paths[0].starts_with("1 : both generators give {path}"), "{paths:?}");
        let five = of(&["clusters = {}", "branches = '*'", "list = []", "list = []", "list = []"]);
        assert!(five[0].starts_with("4 : 5 generators; the limit is 4"), "{five:?}");
    }
}
