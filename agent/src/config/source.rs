//! `[[application_source]]`: a repository that defines applications beside the configuration, and what these may say.
//!
//! Whoever may push to it decides what is deployed, so what is in it may do less than the configuration: see [`allowed`].

mod allowed;
pub mod file;
pub mod generate;
pub mod spelled;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use quarterdeck_core::directories::Pattern;
use quarterdeck_core::trigger::TagGlob;
use quarterdeck_core::yaml::Part;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::SourceName;
use serde::Deserialize;

use self::generate::{Generator, Given, WrittenGenerator};
use self::spelled::{FileProblem, Spelled, Syntax};
use super::Config;
use super::finding::Finding;
use super::locate::Step;
use super::sops::SopsConfig;
use super::values::escapes;

/// A source of applications.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationSource {
    /// What screens and events call it.
    pub name: SourceName,
    /// Where its files are; reached as other repositories are.
    pub repository: String,
    /// The branch that is read; the remote's default branch where absent.
    pub branch: Option<String>,
    /// The folder whose `.toml` files define applications, with all below it.
    pub path: Option<String>,
    /// Its `.yaml` and `.yml` files do so, too. Off by default: manifests may be beside them.
    #[serde(default)]
    pub yaml: bool,
    /// Instead of files: each directory that matches is an environment of an application.
    pub pattern: Option<String>,
    /// The file that says what such a directory means.
    pub template: Option<String>,
    /// Instead of that file: what it would say, here.
    #[serde(default)]
    pub application: Vec<serde_json::Value>,
    /// The text that they are written in, and which source of it this is.
    #[serde(skip)]
    pub written_in: Option<(Arc<str>, usize)>,
    /// The same for more than directories.
    #[serde(default)]
    pub generate: Vec<WrittenGenerator>,
    /// Whether the objects of what leaves it are deleted.
    #[serde(default)]
    pub prune: bool,
    /// Environments that may be deleted at the same time: more is a moved folder or a wrong merge more often than a wish.
    #[serde(default = "default_prune_max")]
    pub prune_max: usize,
    /// The clusters that its environments may be in.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// Patterns of the namespaces that they may be in.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// The beginnings of the addresses of repositories and charts that its applications may use beside the source's own.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Patterns of the images that they may build, push and follow.
    #[serde(default)]
    pub images: Vec<String>,
    /// What decrypts the files of its environments: these keys, and nothing else.
    #[serde(default)]
    pub(super) sops: SopsConfig,
}

/// Four applications with an environment for tests and one for use, and some room.
const fn default_prune_max() -> usize {
    10
}

/// Where in its repository a source defines applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout<'a> {
    /// Files below a folder.
    Files(&'a str),
    /// A template, for each of what these give; of several, for each with each, or merged.
    Template(Vec<Given>, TemplateAt<'a>),
}

/// Where a template is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateAt<'a> {
    /// In this file of the source.
    File(&'a str),
    /// In the configuration.
    Configuration,
}

/// What a template in the configuration is called where files of a source have their names.
pub const IN_CONFIGURATION: &str = "configuration";

impl ApplicationSource {
    /// Where its applications are; nothing where the configuration was not checked.
    pub fn layout(&self) -> Option<Layout<'_>> {
        let template = match (&self.template, self.application.is_empty()) {
            (Some(file), true) => Some(TemplateAt::File(file)),
            (None, false) => Some(TemplateAt::Configuration),
            _ => None,
        };
        match (&self.path, &self.pattern, template) {
            (Some(path), None, None) => Some(Layout::Files(path)),
            (None, Some(pattern), Some(template)) => {
                let generator = Generator::Directories(Pattern::parse(pattern).ok()?);
                let given = Given { generator, values: BTreeMap::new(), prefix: None, merge: Vec::new() };
                Some(Layout::Template(vec![given], template))
            }
            (None, None, Some(template)) => {
                let generators: Option<Vec<Given>> = self.generate.iter().map(|one| one.read().ok()).collect();
                Some(Layout::Template(generators.filter(|all| !all.is_empty())?, template))
            }
            _ => None,
        }
    }

    /// What a template is made for; nothing where there is none.
    pub fn generators(&self) -> Vec<Generator> {
        match self.layout() {
            Some(Layout::Template(given, _)) => given.into_iter().map(|one| one.generator).collect(),
            Some(Layout::Files(_)) | None => Vec::new(),
        }
    }

    /// The template that is in the configuration, as a file of a source has one, and its text.
    pub fn inline(&self) -> Option<(serde_json::Value, Spelled<'_>)> {
        let (text, index) = self.written_in.as_ref()?;
        let below = vec![Part::Key("application_source".to_owned()), Part::Index(*index)];
        Some((serde_json::json!({ "application": self.application }), Spelled { text, syntax: Syntax::Toml, below }))
    }

    /// Its own repository, and those whose branches and merge requests it lists.
    pub fn repositories_read(&self) -> Vec<String> {
        let generators = self.generators();
        let listed = generators.iter().filter_map(|one| one.repository(&self.repository)).map(str::to_owned);
        listed.chain([self.repository.clone()]).collect()
    }

    /// Where it is read from, in a line: applications that are not in another place have not left it.
    pub fn place(&self) -> String {
        let Self { branch, path, yaml, pattern, template, application, generate, .. } = self;
        let inline = application.iter().map(ToString::to_string).collect::<String>();
        format!("{branch:?} {path:?} {yaml} {pattern:?} {template:?} {generate:?} {inline}").trim_end().to_owned()
    }
}

/// Lets each source with a template in the configuration know the text, and says what is wrong with the form of such a template.
pub(super) fn read_inline(config: &mut Config, text: &str) -> Vec<FileProblem> {
    let shared: Arc<str> = text.into();
    let mut problems = Vec::new();
    for (index, source) in
        config.application_source.iter_mut().enumerate().filter(|(_, one)| !one.application.is_empty())
    {
        source.written_in = Some((shared.clone(), index));
        problems.extend(source.inline().and_then(|(template, spelled)| file::wrong_form(&template, &spelled)));
    }
    problems
}

/// What is wrong with the sources of a configuration.
pub(super) fn check(config: &Config, base: &Path, findings: &mut Vec<Finding>) {
    let mut names = BTreeSet::new();
    for (index, source) in config.application_source.iter().enumerate() {
        let mut say = |option: &'static str, message: String| {
            let place = vec![Step::Key("application_source"), Step::Index(index), Step::Key(option)];
            findings.push(Finding { place, message });
        };
        if !names.insert(&source.name) {
            say("name", format!("source {} is defined twice: choose another name", source.name));
        }
        if let Err(error) = RepositoryUrl::parse(&source.repository, base) {
            say("repository", error.to_string());
        }
        check_layout(source, &mut say);
        if source.yaml && source.path.is_none() {
            say("yaml", "the end of the template's name says what it is written in: leave out yaml".to_owned());
        }
        if source.prune_max == 0 {
            say("prune_max", "nothing could be pruned: leave out prune instead".to_owned());
        }
        let generators = generate::problems(&source.generate, &source.repository, config, base);
        check_limits(source, config, base, &mut say);
        findings.extend(generators.into_iter().map(|(at, option, message)| {
            let place = [Step::Key("application_source"), Step::Index(index), Step::Key("generate"), Step::Index(at)];
            let option = (!option.is_empty()).then_some(Step::Key(option));
            Finding { place: place.into_iter().chain(option).collect(), message }
        }));
    }
}

fn check_layout(source: &ApplicationSource, say: &mut impl FnMut(&'static str, String)) {
    let ApplicationSource { path, pattern, template, application, generate, .. } = source;
    if !application.is_empty() {
        if let Some(option) = [("path", path), ("template", template)].iter().find(|(_, value)| value.is_some()) {
            let option = option.0;
            return say(option, format!("the template is in [[application_source.application]]: leave out {option}"));
        }
        if pattern.is_none() && generate.is_empty() {
            say("application", "what is it made for? Add [[application_source.generate]]".to_owned());
        }
    }
    if !generate.is_empty() && (path.is_some() || pattern.is_some()) {
        let option = if path.is_some() { "path" } else { "pattern" };
        return say(
            option,
            format!("[[application_source.generate]] says what the template is made for: leave out {option}"),
        );
    }
    match (path, pattern, template) {
        (None, None, None) if !application.is_empty() => {}
        (None, Some(pattern), None) if !application.is_empty() => {
            if let Err(error) = Pattern::parse(pattern) {
                say("pattern", error.to_string());
            }
        }
        (None, None, Some(template)) if !generate.is_empty() => check_template(template, say),
        (None, None, None) => {
            say("name", "where are the applications? Set path, or pattern and template".to_owned());
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            say("path", "applications are in files below path, or in directories by pattern: leave out one".to_owned());
        }
        (None, Some(_), None) => say("pattern", "what does a directory mean? Set template to a file".to_owned()),
        (None, None, Some(_)) => {
            say("template", "what is it made for? Set pattern, or add [[application_source.generate]]".to_owned());
        }
        (Some(path), None, None) if escapes(path) => {
            say("path", format!("the path {path:?} must be a folder inside the repository"));
        }
        (Some(_), None, None) => {}
        (None, Some(pattern), Some(template)) => {
            if let Err(error) = Pattern::parse(pattern) {
                say("pattern", error.to_string());
            }
            check_template(template, say);
        }
    }
}

fn check_template(template: &str, say: &mut impl FnMut(&'static str, String)) {
    if template.is_empty() || escapes(template) {
        say("template", format!("the template {template:?} must be a file inside the repository"));
    }
}

fn check_limits(source: &ApplicationSource, config: &Config, base: &Path, say: &mut impl FnMut(&'static str, String)) {
    let ApplicationSource { clusters, namespaces, repositories, images, sops, .. } = source;
    if let Some(problem) = sops.problem() {
        say("sops", problem);
    }
    if clusters.is_empty() {
        say("name", "which clusters may its applications use? Set clusters = [\"…\"]".to_owned());
    }
    if namespaces.is_empty() {
        say(
            "name",
            "which namespaces may its applications use? Set namespaces = [\"team-*\"], or [\"*\"] for all".to_owned(),
        );
    }
    let is_known = |name: &str| {
        let known = &config.cluster;
        known.is_empty() || name == "in-cluster" || known.iter().any(|cluster| cluster.name == name)
    };
    if let Some(cluster) = clusters.iter().find(|name| !is_known(name)) {
        say("clusters", format!("no [[cluster]] has the name {cluster:?}"));
    }
    for (option, patterns) in [("namespaces", namespaces), ("images", images)] {
        for pattern in patterns {
            if let Err(error) = TagGlob::parse(pattern) {
                say(option, error.to_string());
            }
        }
    }
    for prefix in repositories.iter().filter(|prefix| !prefix.starts_with("oci://")) {
        // Any address will do to see whether the prefix can be read.
        if let Err(error) = RepositoryUrl::parse("/", base).and_then(|any| any.covered_by(prefix, base)) {
            say("repositories", error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a source that is written so, with its line.
    fn told(text: &str) -> String {
        let text = format!(
            "[[application_source]]\nname = 'teams'\nrepository = '/srv/fleet'\nclusters = ['staging']\nnamespaces = ['*']\n{text}\n"
        );
        let problem = Config::parse(Path::new("/etc/qd/config.toml"), &text).err().map(|error| error.to_string());
        problem.map(|text| text.replace("/etc/qd/config.toml:", "")).unwrap_or_default()
    }

    #[test]
    fn a_source_says_where_its_applications_are_and_what_its_template_is_made_for() {
        for (text, wrong) in [
            ("path = 'apps'", ""),
            ("path = 'apps'\nyaml = true\nprune = true\nprune_max = 3", ""),
            ("pattern = 'apps/{app}'\ntemplate = 'app.toml'", ""),
            ("template = 'app.yaml'\n[[application_source.generate]]\nclusters = {}", ""),
            ("", "2:8: where are the applications?"),
            ("template = 'app.toml'", "6:12: what is it made for?"),
            ("pattern = 'apps/{app}'", "6:11: what does a directory mean?"),
            ("path = 'a'\npattern = 'apps/{app}'", "6:8: applications are in files below path, or"),
            ("path = '../a'", "6:8: the path \"../a\" must be a folder inside"),
            ("path = 'a'\nprune_max = 0", "7:13: nothing could be pruned"),
            ("pattern = 'apps/{app}'\ntemplate = 'app.toml'\nyaml = true", "8:8: the end of the template's name says"),
            (
                "path = 'a'\n[[application_source.generate]]\nclusters = {}",
                "6:8: [[application_source.generate]] says what",
            ),
            (
                "template = '/app.toml'\n[[application_source.generate]]\nclusters = {}",
                "6:12: the template \"/app.toml\"",
            ),
            (
                "template = 'a.toml'\n[[application_source.generate]]\nbranches = '['",
                "8:12: `[` opens a `[` that is not closed",
            ),
            ("template = 'a.toml'\n[[application_source.generate]]\nbranch = '*'", "8:1: unknown field `branch`"),
            (
                "template = 'a.toml'\n[[application_source.generate]]\ndirectories = 3",
                "8:15: a pattern with {app}, as \"apps/{app}\", or a list of patterns",
            ),
            (
                "[[application_source.application]]\nname = '{a}'\n[[application_source.generate]]\nlist = [{ a = 'b' }]",
                "",
            ),
            (
                "[[application_source.application]]\nname = 'a'",
                "6:1: what is it made for? Add [[application_source.generate]]",
            ),
            (
                "template = 'a.toml'\n[[application_source.application]]\nname = 'a'",
                "6:12: the template is in [[application_source.application]]: leave out template",
            ),
            (
                "[[application_source.application]]\nnmae = '{a}'\n[[application_source.generate]]\nclusters = {}",
                "7:1: unknown field `nmae`",
            ),
            (
                "[[application_source.generate]]\nclusters = {}\n[[application_source.application]]\nname = '{a}'\n\
                 [[application_source.application.environment]]\nname = 'qa'\nnamespace = 3",
                "12:13: invalid type: integer `3`, expected a string",
            ),
        ] {
            let told = told(text);
            assert!(told.starts_with(wrong) && told.is_empty() == wrong.is_empty(), "{text}: {told}");
        }
    }

    #[test]
    fn a_source_in_another_folder_is_in_another_place_and_one_that_prunes_is_not() {
        let of = |text: &str| -> ApplicationSource {
            toml::from_str(&format!("name = 'teams'\nrepository = '/srv/fleet'\n{text}\n")).unwrap()
        };
        assert_eq!(of("path = 'a'").place(), of("path = 'a'\nprune = true\nclusters = ['b']").place());
        for other in ["path = 'b'", "path = 'a'\nbranch = 'b'", "path = 'a'\nyaml = true"] {
            assert_ne!(of("path = 'a'").place(), of(other).place(), "{other}");
        }
    }
}
