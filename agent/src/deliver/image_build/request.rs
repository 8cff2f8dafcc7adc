//! What the engine is asked for: the files of the commit, the arguments, and the labels that the image is found by again.

use std::collections::BTreeMap;
use std::sync::Arc;

use quarterdeck_shared::application::{CacheTo, ImageSpec};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::commit_tree::CommitTree;
use crate::deliver::DeliverError;
use crate::deliver::image_build::Commit;
use crate::deliver::values::{given, secrets};
use crate::poll::Repository;
use quarterdeck_container::engine::base::base_images;
use quarterdeck_container::engine::{BuildRequest, GivenValue};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::tree::Tree as _;
use quarterdeck_core::tree::links::{Followed, resolve};
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;

/// The longest Dockerfile whose base images get logins; those that people write have a hundredth of it.
const DOCKERFILE_MAX: u64 = 1 << 20;

/// The build argument by which BuildKit keeps the folders of `RUN --mount=type=cache` apart: what a fork writes into one is
/// never seen by another commit.
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// The build argument by which BuildKit, since 0.11, and many programs are told what time is to be in what they make.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The largest file that a build context may hold; larger ones belong into a registry or a volume.
const BLOB_MAX: u64 = 512 << 20;

/// What the engine is asked for, but for logins and keys.
pub(super) fn request(
    commit: &Commit<'_>,
    spec: &ImageSpec,
    name: &ImageRef,
    tag: &str,
) -> Result<BuildRequest, DeliverError> {
    let (repository, checkout) = (&commit.code.repository, &commit.checkout);
    let mut labels = labels(commit, spec);
    labels.insert("org.opencontainers.image.source".to_owned(), repository.address().to_owned());
    labels.insert("org.opencontainers.image.version".to_owned(), tag.to_owned());
    let mut args = given("build argument", &spec.args, commit.is_of_fork)?;
    if commit.is_of_fork {
        args.insert(CACHE_NAMESPACE.to_owned(), GivenValue::Plain(format!("fork-{}", checkout.id)));
    }
    if spec.source_date_epoch {
        let seconds = checkout.time.as_second().to_string();
        args.insert(SOURCE_DATE_EPOCH.to_owned(), GivenValue::Plain(seconds));
    }
    // The commit's time: building a commit twice gives one image.
    labels.insert("org.opencontainers.image.created".to_owned(), checkout.time.to_string());
    Ok(BuildRequest {
        tree: Arc::new(CommitTree { mirror: repository.mirror(), commit: checkout.id.clone(), bytes_max: BLOB_MAX }),
        context: spec.context.clone(),
        modified: u64::try_from(checkout.time.as_second()).unwrap_or_default(),
        dockerfile: spec.dockerfile.clone(),
        target: spec.target.clone(),
        args,
        secrets: secrets(&spec.secrets, commit.is_of_fork)?,
        ssh: None,
        platforms: platforms(spec),
        // What a fork builds is neither kept for others nor made of what others are given a login for.
        cache_from: if commit.is_of_fork { Vec::new() } else { caches(spec)? },
        inline_cache: spec.cache_to == Some(CacheTo::Inline) && !commit.is_of_fork,
        cache_to: if commit.is_of_fork { None } else { cache_to(spec)? },
        labels,
        tags: vec![name.clone()],
        no_cache: false,
        logins: BTreeMap::new(),
    })
}

fn platforms(spec: &ImageSpec) -> Vec<String> {
    let one = spec.platform.iter().filter(|_| spec.platforms.is_empty());
    one.chain(&spec.platforms).cloned().collect()
}

/// The image under which a registry keeps the cache.
fn cache_to(spec: &ImageSpec) -> Result<Option<ImageRef>, DeliverError> {
    match &spec.cache_to {
        Some(CacheTo::Registry(name)) => Ok(Some(ImageRef::parse(name)?)),
        _ => Ok(None),
    }
}

fn caches(spec: &ImageSpec) -> Result<Vec<ImageRef>, DeliverError> {
    Ok(spec.cache_from.iter().map(|image| ImageRef::parse(image)).collect::<Result<_, _>>()?)
}

/// The images that the Dockerfile builds on. One that is missing or too long is told by the build itself.
pub(super) async fn bases(
    repository: &Repository,
    commit: &CommitId,
    spec: &ImageSpec,
    request: &BuildRequest,
) -> Vec<ImageRef> {
    let (commit, path) = (commit.clone(), format!("{}/{}", spec.context, spec.dockerfile));
    let read = repository.work(move |mirror| Ok(file(mirror, &commit, &path))).await;
    let text = read.ok().flatten().unwrap_or_default();
    base_images(&String::from_utf8_lossy(&text), &request.args)
}

/// A Dockerfile, links followed as the engine follows them.
fn file(mirror: &Mirror, commit: &CommitId, path: &str) -> Option<Vec<u8>> {
    let tree = CommitTree { mirror, commit: commit.clone(), bytes_max: DOCKERFILE_MAX };
    match resolve(&tree, path) {
        Ok(Followed::File(entry)) => tree.blob(&entry).ok(),
        _ => None,
    }
}

/// The label that names the application of an image.
pub const APPLICATION_LABEL: &str = "dev.quarterdeck.application";

/// The label that names the commit of an image, as OCI has it.
pub const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// What an image is known by on the engine, so that one that was built before is found even where the history was lost. One
/// of a fork's code is another, though the commit be the same: it was built without secrets.
pub(super) fn labels(commit: &Commit<'_>, spec: &ImageSpec) -> BTreeMap<String, String> {
    let of_fork = if commit.is_of_fork { "fork-" } else { "" };
    BTreeMap::from([
        (APPLICATION_LABEL.to_owned(), commit.application.spec.name.to_string()),
        ("dev.quarterdeck.build".to_owned(), format!("{of_fork}{}", digest_of(spec))),
        (REVISION_LABEL.to_owned(), commit.checkout.id.to_string()),
    ])
}

/// Of everything that makes the image another one, apart from the commit.
fn digest_of(spec: &ImageSpec) -> String {
    let ImageSpec {
        name: _,
        context,
        dockerfile,
        target,
        args,
        secrets,
        ssh,
        source_date_epoch,
        cache_from: _,
        cache_to,
        platform,
        platforms,
    } = spec;
    let mut parts = vec![json!(context), json!(dockerfile), json!(target), json!(args)];
    // Left out where they are not used: an image that was built before there were such options is found again.
    let more = [
        ("secrets", json!(secrets), !secrets.is_empty()),
        // With which key a step fetched is not to be seen in what it fetched.
        ("ssh", json!(true), !ssh.is_off()),
        ("source_date_epoch", json!(source_date_epoch), *source_date_epoch),
        // A cache in a registry is beside the image.
        ("cache_to", json!(cache_to), *cache_to == Some(CacheTo::Inline)),
        ("platform", json!(platform), platform.is_some()),
        ("platforms", json!(platforms), !platforms.is_empty()),
    ];
    parts.extend(more.into_iter().filter(|(_, _, is_used)| *is_used).map(|(name, value, _)| json!({ name: value })));
    let text = Value::from(parts).to_string();
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
