//! `[[application.environment.source]]`: another repository or artifact whose files an environment takes, as it is written, and
//! the paths that name one: `$values/prod.yaml`.

use std::collections::BTreeSet;
use std::path::Path;

use quarterdeck_shared::application::{
    ArtifactSpec, EnvironmentSource, EnvironmentSourceName, FileParameter, folder_of, source_of,
};
use serde::Deserialize;

use super::artifact::WrittenArtifact;
use super::locate::Step;
use super::revision;
use super::values::{check_address, escapes};

/// Sources of one environment beside its own repository: each is polled, a commit of any of them wakes the environment, and all of
/// them are in the line that says what is deployed. A chart, its values and some shared parts are three.
const SOURCES_MAX: usize = 8;

/// A source as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSource {
    name: EnvironmentSourceName,
    repository: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
    tag_pattern: Option<String>,
    semver: Option<String>,
    commit: Option<String>,
    artifact: Option<WrittenArtifact>,
    #[serde(default)]
    path: String,
}

impl WrittenSource {
    /// What of it is taken.
    fn revision(&self) -> revision::Options<'_> {
        let Self { name: _, repository: _, branch, tag, tag_pattern, semver, commit, artifact, path: _ } = self;
        let all =
            [("branch", branch), ("tag", tag), ("tag_pattern", tag_pattern), ("semver", semver), ("commit", commit)];
        revision::Options::new(all, artifact.is_some())
    }

    fn read(self, base: &Path) -> EnvironmentSource {
        let follow = self.revision().read();
        let Self { name, repository, artifact, path, .. } = self;
        let artifact = artifact.map(|artifact| artifact.read(base));
        let repository = artifact.as_ref().map(ArtifactSpec::describe).or(repository).unwrap_or_default();
        EnvironmentSource { name, repository, follow, artifact, path: path.trim_matches('/').to_owned() }
    }

    fn check(&self, base: &Path, say: &mut impl FnMut(&[&'static str], String)) {
        let name = &self.name;
        match (&self.repository, &self.artifact) {
            (Some(_), Some(_)) => say(
                &["repository"],
                "the files come from a repository or an artifact: leave out repository or artifact".to_owned(),
            ),
            (Some(repository), None) => check_address(repository, base, &mut |message| say(&["repository"], message)),
            (None, Some(artifact)) => artifact.check(say),
            (None, None) => {
                let add = "add repository = \"…\" or [application.environment.source.artifact]";
                say(&[], format!("source {name} has no files: {add}"));
            }
        }
        self.revision().check(false, say);
        if escapes(&self.path) {
            say(&["path"], format!("the path {:?} must be a folder inside the repository", self.path));
        }
    }
}

/// What sources mean that were found right.
pub(super) fn read(written: Vec<WrittenSource>, base: &Path) -> Vec<EnvironmentSource> {
    written.into_iter().map(|source| source.read(base)).collect()
}

/// What of an environment may name a source.
pub(super) struct Paths<'a> {
    /// The folder of its manifests.
    pub(super) path: &'a str,
    /// The values files of its chart.
    pub(super) values_files: &'a [String],
    /// Values of a chart that are the texts of files.
    pub(super) file_parameters: &'a [FileParameter],
    /// The folders of its jsonnet libraries.
    pub(super) libs: &'a [String],
    /// Whether images are written into its files.
    pub(super) is_promoted: bool,
}

/// The keys of an option, and a path that stands there.
type Named<'a> = (&'static [&'static str], &'a str);

/// Everything that is wrong with the sources of an environment, and with what names them.
pub(super) fn check(sources: &[WrittenSource], paths: &Paths<'_>, base: &Path, say: &mut impl FnMut(&[Step], String)) {
    if sources.len() > SOURCES_MAX {
        let message = format!("{} sources are more than {SOURCES_MAX}: bring some together in one", sources.len());
        say(&[Step::Key("source")], message);
    }
    let mut names = BTreeSet::new();
    for (index, source) in sources.iter().enumerate() {
        let place = [Step::Key("source"), Step::Index(index)];
        let mut say = |keys: &[&'static str], message: String| {
            let below = keys.iter().map(|key| Step::Key(key));
            say(&place.iter().cloned().chain(below).collect::<Vec<_>>(), message);
        };
        if !names.insert(&source.name) {
            say(&["name"], format!("source {} is defined twice: choose another name", source.name));
        }
        source.check(base, &mut say);
    }
    let mut say = |keys: &[&'static str], message: String| {
        say(&keys.iter().map(|key| Step::Key(key)).collect::<Vec<_>>(), message);
    };
    for (keys, path) in paths.all() {
        if let Some(name) = source_of(path).filter(|name| !names.iter().any(|known| known.as_str() == *name)) {
            let known = names.iter().map(|name| folder_of(name)).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { String::new() } else { format!("; there are: {known}") };
            let add = format!("add [[application.environment.source]] with name = {name:?}");
            say(keys, format!("{path:?} begins with ${name}, and no source has this name{known}: {add}"));
        }
    }
    if let Some((keys, path)) = paths.promoted_elsewhere() {
        let name = source_of(path).unwrap_or_default();
        let why = format!("a promotion changes the environment's own repository, and {path:?} is of source {name}");
        let remedy = format!("make the repository of {name} the environment's, and the other one a source");
        say(keys, format!("{why}: {remedy}, or set promote.by = \"none\""));
    }
}

impl<'a> Paths<'a> {
    fn all(&self) -> impl Iterator<Item = Named<'a>> {
        let values_files = self.values_files.iter().map(|path| (VALUES_FILES, path.as_str()));
        let libs = self.libs.iter().map(|path| (LIBS, path.as_str()));
        let parameters = self.file_parameters.iter().map(|one| (FILE_PARAMETERS, one.path.as_str()));
        [(PATH, self.path)].into_iter().chain(values_files).chain(parameters).chain(libs)
    }

    /// What a promotion would have to change, where that is of a source: the values files where there are some, else the folder of
    /// the manifests.
    fn promoted_elsewhere(&self) -> Option<Named<'a>> {
        if !self.is_promoted || self.values_files.iter().any(|path| source_of(path).is_none()) {
            return None;
        }
        let wanted = if self.values_files.is_empty() { PATH } else { VALUES_FILES };
        self.all().find(|(keys, path)| *keys == wanted && source_of(path).is_some())
    }
}

const PATH: &[&str] = &["path"];
const VALUES_FILES: &[&str] = &["helm", "values_files"];
const FILE_PARAMETERS: &[&str] = &["helm", "file_parameters"];
const LIBS: &[&str] = &["jsonnet", "libs"];
