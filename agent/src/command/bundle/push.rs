//! `qd-agent bundle push` and `apply`: a bundle into a registry, manifests last, so that who follows them finds all that they name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use quarterdeck_container::bundle::archive::{Archive, Part};
use quarterdeck_container::bundle::layout::{Descriptor, REVISION};
use quarterdeck_container::bundle::names::Prefix;
use quarterdeck_container::registry::oci::{Upload, UploadError, UploadedManifest};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::application::{ArtifactFollow, EnvironmentId};
use quarterdeck_shared::error::Hint;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::routes;

use crate::command::repo::{self, Outcome};
use crate::config::{Config, places};
use crate::configuration;
use crate::images::Images;

/// The tag of the manifests that an environment follows.
const CURRENT: &str = "current";

/// `MANIFEST_BLOB_UNKNOWN`, as engines write the codes of registries.
const UNKNOWN_MANIFEST: &str = "manifest blob unknown";

/// An agent answers in milliseconds; one that does not looks by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nothing is pushed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// The environment is deployed from git.
    #[error("{0} follows git, not an artifact of a registry")]
    FollowsGit(EnvironmentId),
    /// What it follows cannot be moved by a push.
    #[error("{environment} follows {what}, which a bundle cannot move")]
    FollowsOther {
        /// Which.
        environment: EnvironmentId,
        /// A digest or a range.
        what: &'static str,
    },
    /// The bundle has no manifests, or several.
    #[error("{0} has no manifests: it is not a bundle of an environment")]
    NoManifests(String),
    /// The registry refused.
    #[error("cannot push {from} to {to}")]
    Refused {
        /// What.
        from: String,
        /// Where to.
        to: String,
        /// Why not.
        source: UploadError,
    },
}

impl Hint for PushError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::FollowsGit(_) | Self::FollowsOther { .. } => {
                "set repository and tag = \"current\" in [application.environment.artifact]".into()
            }
            Self::Refused { source: UploadError::Registry(error), .. } => error.hint().into_owned().into(),
            // So answers a registry that looks for every platform of an index.
            Self::Refused { source: UploadError::Refused { message }, .. } if message.starts_with(UNKNOWN_MANIFEST) => {
                "make the bundle with all platforms, without --platform".into()
            }
            Self::Refused { source: UploadError::Refused { .. }, .. } => {
                "check the login under [[registry]], and that its projects and rules accept the image".into()
            }
            Self::Refused { .. } | Self::NoManifests(_) => "".into(),
        }
    }
}

/// Where all of it goes.
struct Goal {
    prefix: Prefix,
    /// The repository of the manifests; by the name that the bundle has for them where absent.
    manifests: Option<ImageRef>,
    tag: String,
}

pub(super) async fn push(file: &Path, to: &str, config: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = configuration::in_force(config)?;
    let prefix = Prefix::read(to)?;
    bring(file, &config, Goal { prefix, manifests: None, tag: CURRENT.to_owned() }, out).await
}

pub(super) async fn apply(
    file: &Path,
    environment: &EnvironmentId,
    path: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let config = configuration::in_force(path)?;
    let spec = super::configured(&config, path, environment)?;
    let artifact = spec.artifact.ok_or_else(|| PushError::FollowsGit(environment.clone()))?;
    let other = |what| PushError::FollowsOther { environment: environment.clone(), what };
    let tag = match artifact.follow {
        ArtifactFollow::Tag(tag) => tag,
        ArtifactFollow::Digest(_) => return Err(other("a digest").into()),
        ArtifactFollow::Semver(_) => return Err(other("a range of versions").into()),
    };
    let image = ImageRef::parse(&artifact.image)?;
    bring(file, &config, Goal { prefix: Prefix::above(&image), manifests: Some(image), tag }, out).await?;
    if !artifact.verify.is_empty() {
        writeln!(out, "{environment} requires a signature: it deploys the manifests once their digest is signed")?;
    }
    let refresh = routes::REFRESH.of(&environment.application);
    let line = match repo::post(repo::sockets(path), refresh, "{}".to_owned(), PATIENCE) {
        Outcome::Polled => "the agent looks now",
        Outcome::NotRunning => "the agent is not running; it looks when it starts",
        Outcome::Forbidden => "this user may not ask the agent to look now; it will see this at its next look",
        Outcome::Unused | Outcome::NoAnswer => "the agent does not answer; it will see this at its next look",
    };
    Ok(writeln!(out, "{line}")?)
}

async fn bring(file: &Path, config: &Config, goal: Goal, out: &mut dyn Write) -> anyhow::Result<()> {
    let archive = Archive::open(file)?;
    let of = |what: &'static str| archive.index.manifests.iter().filter(move |root| root.part() == what);
    let mut manifests = of("manifests");
    let (Some(_), None) = (manifests.next(), manifests.next()) else {
        return Err(PushError::NoManifests(file.display().to_string()).into());
    };
    // Nothing goes out before all of it is known to be whole.
    let mut parts: Vec<(&Descriptor, ImageRef, Part)> = Vec::new();
    let mut hosts = BTreeSet::new();
    for root in of("image").chain(of("chart")).chain(of("manifests")) {
        let part = archive.part(root)?;
        archive.verify(&part, root.name())?;
        parts.push((root, goal.place(root, &mut hosts)?, part));
    }
    let images = Images::new(config, &places::data_dir(&config.agent)?);
    let short = archive.index.annotations.get(REVISION).and_then(|text| text.parse::<Revision>().ok());
    let short = short.map(|revision| revision.commit.short().to_owned());
    for (root, place, part) in &parts {
        let tags: Vec<String> = match root.part() {
            "manifests" => short.iter().cloned().chain([goal.tag.clone()]).collect(),
            // Without a tag it is known by its digest alone.
            _ => vec![place.tag().unwrap_or(&root.digest).to_owned()],
        };
        let login = images.login(place).await?;
        let blobs = archive.uploaded(part);
        let upload = Upload {
            image: place,
            login: login.as_ref(),
            blobs: &blobs,
            manifests: &uploaded(part, &tags),
            done: Arc::default(),
        };
        let refused = |source| PushError::Refused { from: root.name().to_owned(), to: place.name(), source };
        let sent = images.registries.upload(upload).await.map_err(refused)?;
        let (at, digest, all) = (place.name(), &root.digest, blobs.len());
        let tags: String = tags.iter().filter(|tag| *tag != digest).map(|tag| format!(":{tag}")).collect();
        writeln!(out, "pushed {} {} to {at}{tags} {digest} ({sent} of {all} blobs new)", root.part(), root.name())?;
    }
    if !hosts.is_empty() {
        writeln!(out, "\ncontainerd of each node finds the images under their own names with:\n")?;
    }
    for host in hosts {
        let registry = goal.prefix.below("x")?;
        writeln!(out, "{}", goal.prefix.hosts_toml(&host, images.registries.is_plain(registry.registry())))?;
    }
    Ok(())
}

impl Goal {
    /// Where a part goes, with its tag; the host of an image is noted.
    fn place(&self, root: &Descriptor, hosts: &mut BTreeSet<String>) -> anyhow::Result<ImageRef> {
        let name = root.name();
        let place = match (root.part(), &self.manifests) {
            ("manifests", Some(image)) => image.clone(),
            ("manifests", None) => self.prefix.below(name)?,
            ("chart", _) => self.prefix.below(&format!("charts/{name}"))?,
            _ => {
                let image = ImageRef::parse(name).with_context(|| format!("blob {} has no name", root.digest))?;
                hosts.insert(image.registry().to_owned());
                let place = self.prefix.mirrors(&image)?;
                image
                    .tag()
                    .or(image.digest().is_none().then_some("latest"))
                    .map_or(Ok(place.clone()), |tag| place.with_tag(tag))?
            }
        };
        Ok(place)
    }
}

/// The manifests of a part in their order: those of platforms by their digests, and the last, which names them, by its tags.
fn uploaded(part: &Part, tags: &[String]) -> Vec<UploadedManifest> {
    let last = part.manifests.len().saturating_sub(1);
    let mut all = Vec::new();
    for (number, (named, bytes)) in part.manifests.iter().enumerate() {
        let by_digest = [named.digest.clone()];
        let references = if number == last { tags } else { &by_digest };
        all.extend(references.iter().map(|reference| UploadedManifest {
            reference: reference.clone(),
            media_type: named.media_type.clone(),
            bytes: bytes.clone(),
        }));
    }
    all
}
