//! What kustomizations may take from elsewhere, what an environment writes into its own, and what kustomize changes in the objects of a
//! chart, as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quarterdeck_core::charts::address::Repository;
use quarterdeck_core::render::kustomize::leaves;
use quarterdeck_git::url::{RepositoryUrl, redact};
use quarterdeck_shared::application::{
    KustomizeSpec, MetadataIn, Overlay, PostRender, RemoteFile, RenderKind, Replicas,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::values::{escapes, has_date};

/// Repositories and files of one environment: as many as one render takes.
const REMOTES_MAX: usize = 100;

/// Patches and images of one environment: more are a kustomization, and belong into a repository.
const CHANGES_MAX: usize = 100;

/// `[application.environment.kustomize]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenKustomize {
    remote: Vec<String>,
    remote_file: Vec<WrittenFile>,
    generate: bool,
    namespace: Option<String>,
    name_prefix: Option<String>,
    name_suffix: Option<String>,
    pub(super) components: Vec<String>,
    patches: Vec<Map<String, Value>>,
    images: Vec<Map<String, Value>>,
    replicas: Vec<Replicas>,
    labels: BTreeMap<String, String>,
    labels_in: MetadataIn,
    annotations: BTreeMap<String, String>,
    annotations_in: MetadataIn,
}

/// Of what the environment is whose kustomize is checked.
pub(super) struct Around<'a> {
    /// How its manifests are rendered.
    pub(super) render: RenderKind,
    /// The folder of its manifests.
    pub(super) path: &'a str,
    /// Whether its chart is from elsewhere.
    pub(super) has_chart: bool,
    /// Whether kustomize changes the objects of its chart.
    pub(super) has_post_render: bool,
}

/// `[[application.environment.kustomize.remote_file]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    url: String,
    sha256: String,
}

impl WrittenKustomize {
    /// What it means.
    pub(super) fn read(self) -> KustomizeSpec {
        let file = |WrittenFile { url, sha256 }| RemoteFile { url, sha256 };
        let overlay = self.overlay();
        KustomizeSpec { remote: self.remote, remote_files: self.remote_file.into_iter().map(file).collect(), overlay }
    }

    fn overlay(&self) -> Overlay {
        let Self {
            remote: _,
            remote_file: _,
            generate,
            namespace,
            name_prefix,
            name_suffix,
            components,
            patches,
            images,
            replicas,
            labels,
            labels_in,
            annotations,
            annotations_in,
        } = self.clone();
        Overlay {
            generate,
            namespace,
            name_prefix,
            name_suffix,
            components,
            patches,
            images,
            replicas,
            labels,
            labels_in,
            annotations,
            annotations_in,
        }
    }

    /// Everything that is wrong with it. A chart is changed by kustomize where it has a `post_render`.
    pub(super) fn check(&self, around: &Around<'_>, base: &Path, say: &mut impl FnMut(&[&'static str], String)) {
        let is_of_chart = around.has_chart || around.render == RenderKind::Helm;
        let is_for_others = match around.render {
            RenderKind::Auto | RenderKind::Kustomize => false,
            RenderKind::Helm => !around.has_post_render,
            RenderKind::Plain | RenderKind::Jsonnet => true,
        };
        if *self != Self::default() && is_for_others {
            let message = "settings of kustomize, and render is not \"kustomize\": leave out one of the two";
            say(&["kustomize"], message.to_owned());
        } else if is_of_chart && !self.overlay().is_empty() {
            let message = "a chart has no kustomization to write into: change its objects by helm.post_render";
            say(&["kustomize"], message.to_owned());
        }
        self.check_overlay(around.path, say);
        self.check_remotes(base, say);
    }

    /// Everything that is wrong with what is written into the kustomization.
    fn check_overlay(&self, path: &str, say: &mut impl FnMut(&[&'static str], String)) {
        let texts =
            [("namespace", &self.namespace), ("name_prefix", &self.name_prefix), ("name_suffix", &self.name_suffix)];
        for (option, _) in texts.into_iter().filter(|(_, text)| text.as_ref().is_some_and(String::is_empty)) {
            say(&["kustomize", option], format!("{option} is empty: leave it out"));
        }
        // An address is held against `remote` where the kustomization is read.
        let is_outside = |folder: &&String| folder.is_empty() || leaves(path, folder);
        for folder in self.components.iter().filter(is_outside) {
            let rule = "write a folder inside the repository, as seen from the folder of the environment";
            say(&["kustomize", "components"], format!("the component {folder:?} leads out of the repository: {rule}"));
        }
        changes(&self.patches, &self.images, &["patch", "path"], &mut |option, message| {
            say(&["kustomize", option], message);
        });
        let files = self.patches.iter().filter_map(|patch| patch.get("path")?.as_str());
        for file in files.filter(|file| leaves(path, file)) {
            let rule = "write a file below the folder of the environment, or the patch itself";
            say(&["kustomize", "patches"], format!("the patch {file:?} leads out of the repository: {rule}"));
        }
        let counts = [
            ("components", self.components.len()),
            ("replicas", self.replicas.len()),
            ("labels", self.labels.len()),
            ("annotations", self.annotations.len()),
        ];
        for (option, count) in counts.into_iter().filter(|(_, count)| *count > CHANGES_MAX) {
            say(&["kustomize", option], too_many(option, count));
        }
        let mut names = BTreeSet::new();
        for Replicas { name, count: _ } in &self.replicas {
            if name.is_empty() || !names.insert(name) {
                let message = format!("replicas name {name:?} twice, or not at all: write each object once");
                say(&["kustomize", "replicas"], message);
            }
        }
        for (option, place, pairs) in
            [("labels_in", self.labels_in, &self.labels), ("annotations_in", self.annotations_in, &self.annotations)]
        {
            if place != MetadataIn::Objects && pairs.is_empty() {
                let of = option.trim_end_matches("_in");
                say(&["kustomize", option], format!("{option} says where {of} are written, and there are none"));
            }
        }
        if self.annotations_in == MetadataIn::Selectors {
            let message = "annotations are in no selector: write \"objects\" or \"templates\"";
            say(&["kustomize", "annotations_in"], message.to_owned());
        }
    }

    /// Everything that is wrong with what may be taken from elsewhere.
    fn check_remotes(&self, base: &Path, say: &mut impl FnMut(&[&'static str], String)) {
        let Self { remote, remote_file, .. } = self;
        if remote.len() + remote_file.len() > REMOTES_MAX {
            let count = remote.len() + remote_file.len();
            say(&["kustomize"], format!("{count} remotes are more than {REMOTES_MAX}: copy some into the repository"));
        }
        for address in remote {
            if let Some(problem) = fault(address, base) {
                say(&["kustomize", "remote"], problem);
            }
        }
        let mut urls = BTreeSet::new();
        for WrittenFile { url, sha256 } in remote_file {
            let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
            let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
            let problem = match host {
                None | Some("") => {
                    Some(format!("{:?} is not the address of a file: write https://host/path", redact(url)))
                }
                Some(host) if host.contains('@') => {
                    Some("the address of a file has a login in it: files are fetched without one".to_owned())
                }
                Some(_) if !urls.insert(url) => Some(format!("{url} is named twice: leave out one of the two")),
                Some(_) => None,
            };
            if let Some(problem) = problem {
                say(&["kustomize", "remote_file"], problem);
            }
            if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                let rule = "write the 64 digits of `sha256sum`, in lower case";
                say(&["kustomize", "remote_file"], format!("{sha256:?} is not a valid SHA-256: {rule}"));
            }
        }
    }
}

/// What is wrong with the address of a repository or of charts.
fn fault(address: &str, base: &Path) -> Option<String> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    if address.starts_with("oci://") {
        return Repository::read(address).err().map(|error| error.to_string());
    }
    if rest.contains("//") || rest.contains('?') {
        let rule = "remote names repositories: leave out the folder and ref, which the kustomization has";
        return Some(format!("{:?} is a folder of a repository: {rule}", redact(address)));
    }
    let host = rest.split('/').next().unwrap_or_default();
    if address.starts_with("http") && host.contains('@') {
        let rule = "write it without; a login is that of [[repository]]";
        return Some(format!("{} has a login in it: {rule}", redact(address)));
    }
    // Charts may be at the root of a host.
    let git = RepositoryUrl::parse(address, base);
    git.err().filter(|_| Repository::read(address).is_err()).map(|error| error.to_string())
}

/// `[application.environment.helm.post_render]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenPostRender {
    path: Option<String>,
    patches: Vec<Map<String, Value>>,
    images: Vec<Map<String, Value>>,
}

/// What kustomize knows of a patch and of an image.
const OF_PATCH: &[&str] = &["patch", "path", "target", "options"];
const OF_IMAGE: &[&str] = &["name", "newName", "newTag", "digest", "tagSuffix"];

fn too_many(option: &str, count: usize) -> String {
    format!("{count} {option} are more than {CHANGES_MAX}: write them into a kustomization, and name it by path")
}

/// Everything that is wrong with patches and images of a kustomization; of `sources` a patch has one.
fn changes(
    patches: &[Map<String, Value>],
    images: &[Map<String, Value>],
    sources: &[&'static str],
    say: &mut impl FnMut(&'static str, String),
) {
    for (option, entries, known, needed) in
        [("patches", patches, OF_PATCH, sources), ("images", images, OF_IMAGE, &["name"])]
    {
        if entries.len() > CHANGES_MAX {
            say(option, too_many(option, entries.len()));
        }
        let is_known =
            |key: &str| known.contains(&key) && (option != "patches" || key != "path" || sources.contains(&"path"));
        for entry in entries {
            if let Some(unknown) = entry.keys().find(|key| !is_known(key)) {
                let all: Vec<&str> = known.iter().copied().filter(|key| is_known(key)).collect();
                say(option, format!("unknown field {unknown:?} in {option}; there are: {}", all.join(", ")));
            }
            let is_text = |key: &&&str| !entry.get(**key).and_then(Value::as_str).unwrap_or_default().is_empty();
            match needed.iter().filter(is_text).count() {
                1 => {}
                0 => say(option, format!("an entry of {option} has no {}: write it as text", needed.join(" or "))),
                _ => {
                    say(option, format!("an entry of {option} has {}: leave out one of the two", needed.join(" and ")))
                }
            }
            if entry.values().any(has_date) {
                say(option, format!("a date in {option} is not text: write it in quotes"));
            }
        }
    }
}

impl WrittenPostRender {
    /// What it means.
    pub(super) fn read(self) -> PostRender {
        let Self { path, patches, images } = self;
        PostRender { path, patches, images }
    }

    /// Everything that is wrong with it.
    pub(super) fn check(&self, say: &mut impl FnMut(&[&'static str], String)) {
        let mut say = |option: &'static str, message: String| say(&["helm", "post_render", option], message);
        let Self { path, patches, images } = self;
        if path.is_none() && patches.is_empty() && images.is_empty() {
            say("patches", "post_render changes nothing: write patches, images or path, or leave it out".to_owned());
        }
        if let Some(path) = path.as_ref().filter(|path| escapes(path)) {
            say("path", format!("the path {path:?} must be a folder inside the repository"));
        }
        changes(patches, images, &["patch"], &mut say);
    }
}
