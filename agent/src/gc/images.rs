//! The images that were built here: which of them the engine has, which are needed, and which go.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use quarterdeck_container::engine::{LabelledImage, Removal};
use quarterdeck_core::gc::{Kept, LocalImage, Needs, Rules};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::application::{ApplicationSpec, EnvironmentId};
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::protocol::{GcItem, GcKind, ROWS_MAX};

use super::Deleted;
use crate::context::Context;
use crate::deliver::{APPLICATION_LABEL, REVISION_LABEL};

/// The images that the engine has, each with why it stays. None where no application has code: there may be no engine then.
pub(super) async fn found(context: &Context, now: Timestamp) -> Result<Vec<(LocalImage, Option<Kept>)>, Failure> {
    let config = context.config();
    if config.applications.iter().all(|application| application.delivery.is_none()) {
        return Ok(Vec::new());
    }
    let (needs, built) = needed(context, &config.applications).await?;
    let listed = context.images().engine.labelled(APPLICATION_LABEL).await.map_err(|error| Failure::of(&error))?;
    let images: Vec<LocalImage> = listed.into_iter().filter_map(|image| local(image, &built)).collect();
    let age = SignedDuration::from_hours(24 * i64::from(config.gc.days));
    let kept = needs.why_kept(&images, Rules { images: config.gc.images, age }, now);
    Ok(images.into_iter().zip(kept).collect())
}

/// Deletes those that nobody needs. One that the engine does not let go stays until the next time.
pub(super) async fn delete(context: &Context, now: Timestamp, deleted: &mut Deleted) -> Result<(), Failure> {
    for (image, _) in found(context, now).await?.into_iter().filter(|(_, kept)| kept.is_none()) {
        // A run may have been queued meanwhile.
        let runs = context.journal.snapshot().runs(&image.of.0);
        if runs.iter().any(|run| !run.phase.is_final() && run.commit == image.of.1) {
            continue;
        }
        match context.images().engine.remove(&image.id, &image.names).await.map_err(|error| Failure::of(&error))? {
            Removal::Done => deleted.add(image.bytes),
            Removal::Refused(why) => tracing::info!(image = %name(&image), %why, "the engine needs an image still"),
        }
    }
    Ok(())
}

/// As it is shown.
pub(super) fn item((image, kept): (LocalImage, Option<Kept>)) -> GcItem {
    GcItem {
        kind: GcKind::Image,
        name: name(&image).to_owned(),
        application: Some(image.of.0),
        commit: Some(image.of.1),
        at: image.built,
        bytes: image.bytes,
        kept: kept.map(|kept| kept.to_string()),
    }
}

fn name(image: &LocalImage) -> &str {
    image.names.first().unwrap_or(&image.id)
}

/// What is needed, and when the images were built that the history knows, by their ids.
async fn needed(
    context: &Context,
    applications: &[ApplicationSpec],
) -> Result<(Needs, BTreeMap<String, Timestamp>), Failure> {
    let (mut needs, mut built) = (Needs::default(), BTreeMap::new());
    for application in applications.iter().filter(|application| application.delivery.is_some()) {
        let name = application.name.clone();
        let environments = application.environments.iter().map(|one| EnvironmentId::new(&application.name, &one.name));
        let environments: Vec<EnvironmentId> = environments.collect();
        let now = environments.iter().filter_map(|id| context.journal.snapshot().environment(id));
        let mut deployed: Vec<String> = now.flat_map(|environment| environment.images).collect();
        let known = context.journal.ask(move |history| {
            let released =
                environments.iter().map(|id| history.released_images(id, 2)).collect::<Result<Vec<_>, _>>()?;
            Ok((history.runs(Some(&name), None, ROWS_MAX)?, history.artifacts(&name)?, released))
        });
        let (runs, artifacts, released) = known.await.map_err(|error| Failure::text(chain(&error)))?;
        deployed.extend(released.into_iter().flatten().flatten());
        let images = application.delivery.iter().flat_map(|delivery| &delivery.images);
        let names = images.filter_map(|image| Some(ImageRef::parse(&image.name).ok()?.name())).collect();
        needs.add(&application.name, names, &runs, &artifacts, &deployed);
        for artifact in artifacts {
            built.extend(artifact.images.into_iter().map(|image| (image.id, artifact.built)));
        }
    }
    Ok((needs, built))
}

/// An image with labels that can be ours. What was built from steps that were all cached is told to be as old as they are.
fn local(image: LabelledImage, built: &BTreeMap<String, Timestamp>) -> Option<LocalImage> {
    let of = (image.labels.get(APPLICATION_LABEL)?.parse().ok()?, image.labels.get(REVISION_LABEL)?.parse().ok()?);
    let created = Timestamp::from_second(image.created).unwrap_or(Timestamp::UNIX_EPOCH);
    let built = built.get(&image.id).map_or(created, |built| created.max(*built));
    Some(LocalImage { id: image.id, names: image.names, of, built, bytes: image.size_bytes })
}
