//! Images of merge requests that were pushed: which of their tags the registries have, which are needed, and which go. Looked at where
//! an application pushes them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::oci::{Creations, TagRemoval};
use quarterdeck_core::gc::previews::{Kept, PreviewTag, Rules, why_kept};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::trigger::merge_request_of;
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec, EnvironmentId};
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::protocol::{GcItem, GcKind};

use super::Deleted;
use crate::context::Context;

/// Tags of a repository that are looked through: a registry with more of them has other things to keep house for.
const TAGS_MAX: usize = 10_000;

/// Releases of an environment whose images stay: this one and the one before, as of images on the engine.
const RELEASES: usize = 2;

/// A tag, whose it is, and why it stays.
#[derive(Debug, Clone)]
pub(super) struct Found {
    application: ApplicationName,
    image: ImageRef,
    at: Timestamp,
    kept: Option<Kept>,
}

/// The tags that there are, by image: what one registry does not tell keeps nothing of the others from being told.
pub(super) async fn found(context: &Context, now: Timestamp) -> Vec<Result<Vec<Found>, Failure>> {
    let config = context.config();
    let pushes = |spec: &&ApplicationSpec| spec.delivery.as_ref().is_some_and(|one| one.code.push_merge_requests);
    let applications: Vec<&ApplicationSpec> = config.applications.iter().filter(pushes).collect();
    if applications.is_empty() {
        return Vec::new();
    }
    let deployed = match deployed(context).await {
        Ok(deployed) => deployed,
        Err(why) => return vec![Err(why)],
    };
    let age = SignedDuration::from_hours(24 * i64::from(config.gc.days));
    let rules = Rules { newest: config.gc.merge_request_images, age };
    let mut all = Vec::new();
    for application in applications {
        let name = application.name.clone();
        let artifacts = match context.journal.ask(move |history| history.artifacts(&name)).await {
            Ok(artifacts) => artifacts,
            Err(error) => return vec![Err(Failure::text(chain(&error)))],
        };
        for image in application.delivery.iter().flat_map(|delivery| &delivery.images) {
            let Ok(image) = ImageRef::parse(&image.name) else { continue };
            let tags = tags(context, &image, &artifacts, &deployed).await;
            all.push(tags.map(|tags| judged(&application.name, &image, tags, rules, now)));
        }
    }
    all
}

/// Deletes those that nobody needs. One that a registry does not let go stays until the next time.
pub(super) async fn delete(context: &Context, now: Timestamp, deleted: &mut Deleted) -> Result<(), Failure> {
    let (mut failed, mut without) = (None, BTreeSet::new());
    for found in found(context, now).await {
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                failed.get_or_insert(why);
                continue;
            }
        };
        for tag in found.into_iter().filter(|tag| tag.kept.is_none()) {
            if without.contains(tag.image.registry()) {
                continue;
            }
            match remove(context, &tag.image).await {
                Ok(TagRemoval::Done) => deleted.add(0),
                Ok(TagRemoval::Unsupported) => {
                    let registry = tag.image.registry().to_owned();
                    tracing::info!(registry, image = %tag.image, "the registry deletes no tags, so merge requests' stay");
                    without.insert(registry);
                }
                Err(why) => {
                    failed.get_or_insert(why);
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// As it is shown.
pub(super) fn item(Found { application, image, at, kept }: Found) -> GcItem {
    GcItem {
        kind: GcKind::Tag,
        name: image.to_string(),
        application: Some(application),
        commit: None,
        at,
        bytes: 0,
        kept: kept.map(|kept| kept.to_string()),
    }
}

fn judged(
    application: &ApplicationName,
    image: &ImageRef,
    tags: Vec<(String, PreviewTag)>,
    rules: Rules,
    now: Timestamp,
) -> Vec<Found> {
    let (names, tags): (Vec<String>, Vec<PreviewTag>) = tags.into_iter().unzip();
    let kept = why_kept(&tags, rules, now);
    let all = names.iter().zip(tags).zip(kept);
    let found = |((name, tag), kept): ((&String, PreviewTag), Option<Kept>)| {
        let image = image.with_tag(name).ok()?;
        Some(Found { application: application.clone(), image, at: tag.at.unwrap_or(Timestamp::UNIX_EPOCH), kept })
    };
    all.filter_map(found).collect()
}

/// The tags of merge requests that a repository has.
async fn tags(
    context: &Context,
    image: &ImageRef,
    artifacts: &[Artifact],
    deployed: &BTreeSet<String>,
) -> Result<Vec<(String, PreviewTag)>, Failure> {
    let images = context.images();
    let login = images.login(image).await.map_err(|error| Failure::of(&error))?;
    let listed = images.registries.tags(image, login.as_ref(), TAGS_MAX).await.map_err(|error| Failure::of(&error))?;
    let ours = listed.tags.into_iter().filter_map(|tag| merge_request_of(&tag).map(|number| (tag, number)));
    let ours: Vec<(String, u64)> = ours.collect();
    let name = image.name();
    let known: BTreeMap<&str, Timestamp> = artifacts
        .iter()
        .filter(|artifact| artifact.images.iter().any(|one| one.name == name))
        .filter_map(|artifact| Some((&*artifact.tag, artifact.pushed?)))
        .collect();
    let unknown: BTreeSet<&str> = ours.iter().map(|(tag, _)| &**tag).filter(|tag| !known.contains_key(tag)).collect();
    let mut created = Creations::default();
    let read = images.registries.read_created(image, login.as_ref(), &unknown, &mut created).await;
    read.map_err(|error| Failure::of(&error))?;
    let mut tags = Vec::new();
    for (tag, merge_request) in ours {
        let made = || created.of(&tag).map(|at| at.0);
        // A registry may call a tag what no image can be named.
        let Ok(full) = image.with_tag(&tag) else { continue };
        let is_deployed = is_deployed(context, &full, login.as_ref(), deployed).await?;
        let at = known.get(&*tag).copied().or_else(made);
        let told = PreviewTag { name: full.to_string(), merge_request, at, is_deployed };
        tags.push((tag, told));
    }
    Ok(tags)
}

/// Whether one of these runs an image: by its name, or by its digest where that is how it is named.
async fn is_deployed(
    context: &Context,
    image: &ImageRef,
    login: Option<&Login>,
    deployed: &BTreeSet<String>,
) -> Result<bool, Failure> {
    let name = image.name();
    let of_it: Vec<&String> = deployed.iter().filter(|text| text.starts_with(&name)).collect();
    if of_it.is_empty() {
        return Ok(false);
    }
    let digest = context.images().registries.digest(image, login).await.map_err(|error| Failure::of(&error))?;
    Ok(of_it.into_iter().any(|text| match text.split_once('@') {
        Some((_, named)) => digest.as_deref() == Some(named),
        None => *text == image.to_string(),
    }))
}

/// The images that environments run, and ran before.
async fn deployed(context: &Context) -> Result<BTreeSet<String>, Failure> {
    let environments = context.journal.snapshot().environments();
    let ids: Vec<EnvironmentId> = environments.iter().map(|environment| environment.environment.clone()).collect();
    let mut all: BTreeSet<String> = environments.into_iter().flat_map(|environment| environment.images).collect();
    let released = context
        .journal
        .ask(move |history| ids.iter().map(|id| history.released_images(id, RELEASES)).collect::<Result<Vec<_>, _>>());
    let released = released.await.map_err(|error| Failure::text(chain(&error)))?;
    all.extend(released.into_iter().flatten().flatten());
    Ok(all)
}

/// Takes a tag away: by Harbor's own API where it is one.
async fn remove(context: &Context, image: &ImageRef) -> Result<TagRemoval, Failure> {
    let images = context.images();
    let login = images.login(image).await.map_err(|error| Failure::of(&error))?;
    if images.is_harbor(image.registry()) {
        let harbor = images.registries.harbor(image.registry(), login.as_ref()).map_err(|error| Failure::of(&error))?;
        harbor.take_tag_off(image, image.tag().unwrap_or_default()).await.map_err(|error| Failure::of(&error))?;
        return Ok(TagRemoval::Done);
    }
    images.registries.delete_tag(image, login.as_ref()).await.map_err(|error| Failure::of(&error))
}
