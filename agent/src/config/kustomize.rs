//! What kustomizations may take from elsewhere, and what kustomize changes in the objects of a chart, as it is written.

use std::collections::BTreeSet;
use std::path::Path;

use quarterdeck_core::charts::address::Repository;
use quarterdeck_git::url::{RepositoryUrl, redact};
use quarterdeck_shared::application::{KustomizeSpec, PostRender, RemoteFile, RenderKind};
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
        KustomizeSpec { remote: self.remote, remote_files: self.remote_file.into_iter().map(file).collect() }
    }

    /// Everything that is wrong with it. A chart is changed by kustomize where it has a `post_render`.
    pub(super) fn check(
        &self,
        render: RenderKind,
        has_post_render: bool,
        base: &Path,
        say: &mut impl FnMut(&[&'static str], String),
    ) {
        let is_for_others = match render {
            RenderKind::Auto | RenderKind::Kustomize => false,
            RenderKind::Helm => !has_post_render,
            RenderKind::Plain | RenderKind::Jsonnet => true,
        };
        if *self != Self::default() && is_for_others {
            let message = "settings of kustomize, and render is not \"kustomize\": leave out one of the two";
            say(&["kustomize"], message.to_owned());
        }
        let Self { remote, remote_file } = self;
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
const OF_PATCH: &[&str] = &["patch", "target", "options"];
const OF_IMAGE: &[&str] = &["name", "newName", "newTag", "digest", "tagSuffix"];

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
        for (option, entries, known, needed) in
            [("patches", patches, OF_PATCH, "patch"), ("images", images, OF_IMAGE, "name")]
        {
            if entries.len() > CHANGES_MAX {
                let count = entries.len();
                say(
                    option,
                    format!(
                        "{count} {option} are more than {CHANGES_MAX}: write them into a kustomization, and name it by path"
                    ),
                );
            }
            for entry in entries {
                if let Some(unknown) = entry.keys().find(|key| !known.contains(&key.as_str())) {
                    say(option, format!("unknown field {unknown:?} in {option}; there are: {}", known.join(", ")));
                }
                if entry.get(needed).and_then(Value::as_str).unwrap_or_default().is_empty() {
                    say(option, format!("an entry of {option} has no {needed}: write it as text"));
                }
                if entry.values().any(has_date) {
                    say(option, format!("a date in {option} is not text: write it in quotes"));
                }
            }
        }
    }
}
