//! `[application.environment.artifact]`: manifests from a registry, as it is written.

use std::path::{Path, PathBuf};

use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_core::follow::PolicyError;
use quarterdeck_core::follow::revision::WantedTag;
use quarterdeck_core::image_ref::{ImageRef, check_digest, check_tag};
use quarterdeck_shared::application::{ApplicationSpec, ArtifactFollow, ArtifactSpec};
use quarterdeck_shared::error::chain;
use serde::Deserialize;

use super::finding::Finding;
use super::locate::Step;

/// What is deployed where nothing is said of it; as with Flux.
const LATEST: &str = "latest";

/// An artifact as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenArtifact {
    repository: String,
    tag: Option<String>,
    semver: Option<String>,
    digest: Option<String>,
    #[serde(default)]
    verify: Vec<PathBuf>,
    media_type: Option<String>,
}

impl WrittenArtifact {
    /// What it means; relative paths of its keys begin at `base`.
    pub(super) fn read(self, base: &Path) -> ArtifactSpec {
        let Self { repository, tag, semver, digest, verify, media_type } = self;
        let follow = match (digest, semver, tag) {
            (Some(digest), ..) => ArtifactFollow::Digest(digest),
            (None, Some(range), _) => ArtifactFollow::Semver(range),
            (None, None, tag) => ArtifactFollow::Tag(tag.unwrap_or_else(|| LATEST.to_owned())),
        };
        let image = image(&repository).map_or(repository, |image| image.name());
        let verify = verify.into_iter().map(|key| base.join(key)).collect();
        ArtifactSpec { image, follow, verify, media_type }
    }

    /// What is wrong with it.
    pub(super) fn check(&self, say: &mut impl FnMut(&[&'static str], String)) {
        let mut say = |option: &'static str, message: String| say(&["artifact", option], message);
        let Self { repository, tag, semver, digest, verify, media_type } = self;
        if let Err(why) = image(repository) {
            say("repository", format!("{repository:?} is not the address of an artifact: {why}"));
        }
        let set = [("tag", tag), ("semver", semver), ("digest", digest)];
        let set: Vec<(&'static str, &String)> =
            set.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))).collect();
        if let [(one, _), (other, _), ..] = set[..] {
            say(other, format!("one of tag, semver and digest is deployed: leave out {one} or {other}"));
        }
        for (option, text) in set {
            let problem = match option {
                "tag" => check_tag(text).err().map(|why| format!("{text:?} is not a tag: {why}")),
                "digest" if text.starts_with("sha256:") => {
                    check_digest(text).err().map(|why| format!("{text:?} is not a digest: {why}"))
                }
                "digest" => Some(format!("{text:?} is not a digest: write sha256:…")),
                _ => WantedTag::in_range(text).err().map(|error| match error {
                    PolicyError::Range { .. } => format!("{error}; write \">=1.0 <2\", \"^1.4\" or \"1.4.x\""),
                    other => other.to_string(),
                }),
            };
            if let Some(problem) = problem {
                say(option, problem);
            }
        }
        if verify.iter().any(|key| key.as_os_str().is_empty()) {
            say("verify", "a public key has no file: write verify = [\"cosign.pub\"]".to_owned());
        }
        if media_type.as_ref().is_some_and(|kind| !kind.contains('/') || kind.contains(char::is_whitespace)) {
            let message = "a layer has a media type, as application/vnd.cncf.flux.content.v1.tar+gzip";
            say("media_type", message.to_owned());
        }
    }
}

/// The repository of a registry; else why it is none.
fn image(address: &str) -> Result<ImageRef, String> {
    let written = || "write oci://registry.example/ops/shop-manifests".to_owned();
    let rest = address.strip_prefix("oci://").ok_or_else(written)?;
    let host = rest.split('/').next().unwrap_or_default();
    if !(host.contains(['.', ':']) || host == "localhost") {
        return Err("it does not begin with a host".to_owned());
    }
    match ImageRef::parse(rest) {
        Ok(image) if image.tag().is_some() || image.digest().is_some() => {
            Err("it has a tag or a digest, which tag and digest say".to_owned())
        }
        Ok(image) => Ok(image),
        Err(error) => Err(error.why.to_owned()),
    }
}

/// The keys that cannot be read, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(applications: &[ApplicationSpec], findings: &mut Vec<Finding>) {
    for (index, application) in applications.iter().enumerate() {
        for (at, environment) in application.environments.iter().enumerate() {
            let place = [Step::Key("application"), Step::Index(index), Step::Key("environment"), Step::Index(at)];
            let own = environment.artifact.iter().map(|artifact| (None, artifact));
            let sources = environment.sources.iter().enumerate();
            let of_sources = sources.filter_map(|(at, source)| Some((Some(at), source.artifact.as_ref()?)));
            for (source, artifact) in own.chain(of_sources) {
                let source = source.map(|at| [Step::Key("source"), Step::Index(at)]).into_iter().flatten();
                let below = [Step::Key("artifact"), Step::Key("verify")];
                let place: Vec<Step> = place.iter().cloned().chain(source).chain(below).collect();
                for error in artifact.verify.iter().filter_map(|key| PublicKey::read(key).err()) {
                    findings.push(Finding { place: place.clone(), message: chain(&error) });
                }
            }
        }
    }
}
