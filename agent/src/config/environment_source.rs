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
    bundled: bool,
    #[serde(default)]
    path: String,
}

impl WrittenSource {
    /// What paths call it.
    pub(super) fn name(&self) -> &EnvironmentSourceName {
        &self.name
    }

    /// What of it is taken.
    pub(super) fn revision(&self) -> revision::Options<'_> {
        let Self { name: _, repository: _, branch, tag, tag_pattern, semver, commit, artifact, bundled, path: _ } =
            self;
        let all =
            [("branch", branch), ("tag", tag), ("tag_pattern", tag_pattern), ("semver", semver), ("commit", commit)];
        revision::Options::new(all, artifact.is_some() || *bundled)
    }

    fn read(self, own: Option<&ArtifactSpec>, base: &Path) -> EnvironmentSource {
        let follow = self.revision().read();
        let Self { name, repository, artifact, bundled, path, .. } = self;
        let artifact = match bundled {
            true => own.cloned(),
            false => artifact.map(|artifact| artifact.read(base)),
        };
        let repository = artifact.as_ref().map(ArtifactSpec::describe).or(repository).unwrap_or_default();
        let path = if bundled { folder_of(&name) } else { path.trim_matches('/').to_owned() };
        EnvironmentSource { name, repository, follow, artifact, path, bundled }
    }

    fn check(&self, has_artifact: bool, base: &Path, say: &mut impl FnMut(&[&'static str], String)) {
        let name = &self.name;
        if self.bundled {
            let other = [("repository", self.repository.is_some()), ("artifact", self.artifact.is_some())];
            let other = other.into_iter().chain([("path", !self.path.is_empty())]);
            for (option, _) in other.filter(|(_, is_set)| *is_set) {
                let why = "a bundled source is in the artifact of the environment, as the bundle brought it";
                say(&[option], format!("{why}: leave out {option} or bundled"));
            }
            if !has_artifact {
                let add = "add [application.environment.artifact], or leave out bundled";
                say(&["bundled"], format!("source {name} is in a bundle, and the environment follows git: {add}"));
            }
            return self.revision().check(false, say);
        }
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

/// What sources mean that were found right; `own` is the artifact of their environment.
pub(super) fn read(written: Vec<WrittenSource>, own: Option<&ArtifactSpec>, base: &Path) -> Vec<EnvironmentSource> {
    written.into_iter().map(|source| source.read(own, base)).collect()
}

/// The source that images are written into: the one that is named, else the one that has all that could be changed. The values files
/// can where there are some, else the folder of the manifests.
pub(super) fn promoted<'a>(paths: &Paths<'a>) -> Promoted<'a> {
    if let Some(name) = paths.named {
        return Promoted::Into(name.as_str());
    }
    let all = paths.changeable();
    if all.iter().any(|(_, path)| source_of(path).is_none()) {
        return Promoted::Own;
    }
    let names: BTreeSet<&str> = all.iter().filter_map(|(_, path)| source_of(path)).collect();
    let names: Vec<&str> = names.into_iter().collect();
    match names[..] {
        [] => Promoted::Own,
        [one] => Promoted::Into(one),
        _ => Promoted::Unclear(names),
    }
}

/// Where images are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Promoted<'a> {
    /// Into the environment's own repository.
    Own,
    /// Into a source.
    Into(&'a str),
    /// Into one of these sources: a person has to say which.
    Unclear(Vec<&'a str>),
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
    /// The source that these are of, where a person says so.
    pub(super) named: Option<&'a EnvironmentSourceName>,
    /// Whether its own files are those of an artifact.
    pub(super) has_artifact: bool,
}

/// The keys of an option, and a path that stands there.
type Named<'a> = (&'static [&'static str], &'a str);

/// Everything that is wrong with the sources of an environment, and with what names them.
pub(super) fn check(sources: &[WrittenSource], paths: &Paths<'_>, base: &Path, say: &mut impl FnMut(&[Step], String)) {
    let promoted = promoted(paths);
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
        source.check(paths.has_artifact, base, &mut say);
        // A promotion is a commit on a branch of it.
        if paths.is_promoted && promoted == Promoted::Into(source.name.as_str()) {
            source.revision().check_promoted(&mut say);
        }
    }
    let mut say = |keys: &[&'static str], message: String| {
        say(&keys.iter().map(|key| Step::Key(key)).collect::<Vec<_>>(), message);
    };
    let is_known = |name: &str| names.iter().any(|known| known.as_str() == name);
    let known = names.iter().map(|name| folder_of(name)).collect::<Vec<_>>().join(", ");
    for (keys, path) in paths.all() {
        if let Some(name) = source_of(path).filter(|name| !is_known(name)) {
            let known = if known.is_empty() { String::new() } else { format!("; there are: {known}") };
            let add = format!("add [[application.environment.source]] with name = {name:?}");
            say(keys, format!("{path:?} begins with ${name}, and no source has this name{known}: {add}"));
        }
    }
    if let Some(name) = paths.named.filter(|name| !is_known(name.as_str())) {
        let known = if known.is_empty() { String::new() } else { format!("; there are: {known}") };
        let remedy = "leave out promote.source for the environment's own repository";
        say(&["promote", "source"], format!("the environment has no source {name}{known}: {remedy}"));
    }
    if let Promoted::Unclear(names) = promoted
        && paths.is_promoted
    {
        let (keys, _) = paths.changeable()[0];
        let (first, names) = (names[0], names.join(", "));
        let why = format!("images are written into one source, and these files are of several ({names})");
        say(keys, format!("{why}: set promote.source = {first:?} or another of them, or promote.by = \"none\""));
    }
}

impl<'a> Paths<'a> {
    fn all(&self) -> impl Iterator<Item = Named<'a>> {
        let values_files = self.values_files.iter().map(|path| (VALUES_FILES, path.as_str()));
        let libs = self.libs.iter().map(|path| (LIBS, path.as_str()));
        let parameters = self.file_parameters.iter().map(|one| (FILE_PARAMETERS, one.path.as_str()));
        [(PATH, self.path)].into_iter().chain(values_files).chain(parameters).chain(libs)
    }

    /// What a promotion may change: the values files where there are some, else the folder of the manifests.
    fn changeable(&self) -> Vec<Named<'a>> {
        let wanted = if self.values_files.is_empty() { PATH } else { VALUES_FILES };
        self.all().filter(|(keys, _)| *keys == wanted).collect()
    }
}

const PATH: &[&str] = &["path"];
const VALUES_FILES: &[&str] = &["helm", "values_files"];
const FILE_PARAMETERS: &[&str] = &["helm", "file_parameters"];
const LIBS: &[&str] = &["jsonnet", "libs"];
