//! Marks of what environments run, in each Harbor whose `[[registry]]` has `labels = true` or `deployed_tags = true`: set once an environment
//! runs an image, taken off when none of its name runs it any longer.
//!
//! What is so is asked of Harbor, so nothing is kept between runs of the agent. A place is looked at when what runs there changes, and
//! once after a start. A registry that does not do it delays nothing else: it is told in the log, and tried again.

mod labels;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::harbor::{Harbor, HarborError};
use quarterdeck_container::registry::oci::{Registries, RegistryError};
use quarterdeck_core::backoff::doubled;
use quarterdeck_core::deployed_marks::{self as marks, Changes, Mark, Place, Running, Wanted};
use quarterdeck_core::image_ref::{ImageRef, ImageRefError};
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::{Failure, Hint, chain};
use quarterdeck_shared::snapshot::{EnvironmentStatus, Object};
use tokio::time::Instant;

use crate::config::{Config, RegistryConfig};
use crate::context::Context;
use crate::images::LoginError;
use crate::journal::snapshots;

/// What runs is compared this often at most: a fleet that is synced says more in a second than marks have to follow.
const PACE: Duration = Duration::from_millis(500);

/// The waits after a failure, from the first to the longest: a person who adds a permission sees it used within minutes.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// The releases of an environment in whose repositories a mark may be left: this one and the one before.
const RELEASES: usize = 2;

/// Why marks are not as they should be.
#[derive(Debug, thiserror::Error)]
enum MarkError {
    #[error(transparent)]
    Harbor(#[from] HarborError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Name(#[from] ImageRefError),
    #[error("an answer of the Harbor registry {registry} cannot be read: {source}")]
    Answer { registry: String, source: serde_json::Error },
}

impl Hint for MarkError {
    fn hint(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Harbor(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Login(error) => error.hint(),
            Self::Name(_) | Self::Answer { .. } => "".into(),
        }
    }
}

/// What is known of the environments, what was done, and what could not be.
#[derive(Default)]
struct Kept {
    /// What each environment of the configuration runs; none where that is not known.
    running: BTreeMap<EnvironmentId, Option<Vec<String>>>,
    /// Names of the images that each runs or ran.
    before: BTreeMap<EnvironmentId, BTreeSet<String>>,
    done: BTreeMap<Place, Wanted>,
    failed: BTreeMap<Place, Failed>,
}

struct Failed {
    message: String,
    times: u32,
    again: Instant,
}

/// Keeps marks until the agent ends.
pub async fn keep(context: Arc<Context>) {
    let snapshot = context.journal.snapshot();
    let (mut changes, mut configuration) = (snapshot.subscribe(), context.config.subscribe());
    let mut kept = Kept::default();
    let mut seen = *changes.borrow_and_update();
    let mut registries = marked(&configuration.borrow_and_update());
    let mut is_stale = kept.takes_note_of_all(&context).await;
    loop {
        let again = kept.failed.values().map(|failed| failed.again).min();
        if !registries.is_empty() && (is_stale || again.is_some_and(|again| again <= Instant::now())) {
            tokio::select! {
                () = kept.round(&context, &registries) => {}
                () = context.stop.cancelled() => return,
            }
        }
        is_stale = false;
        let again = kept.failed.values().map(|failed| failed.again).min();
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            () = context.stop.cancelled() => return,
        }
        tokio::select! {
            changed = changes.changed(), if !registries.is_empty() => {
                if changed.is_err() {
                    return;
                }
                match snapshot.since(seen) {
                    Ok(changed) => {
                        seen = changed.revision;
                        is_stale = kept.takes_note_of(&changed);
                    }
                    Err(_) => {
                        seen = *changes.borrow();
                        is_stale = kept.takes_note_of_all(&context).await;
                    }
                }
            }
            changed = configuration.changed() => {
                if changed.is_err() {
                    return;
                }
                registries = marked(&configuration.borrow_and_update());
                // A login may be another one now.
                kept.failed.clear();
                seen = *changes.borrow_and_update();
                is_stale = kept.takes_note_of_all(&context).await;
            }
            () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
            () = context.stop.cancelled() => return,
        }
    }
}

/// The registries whose artifacts have marks, and which.
fn marked(config: &Config) -> BTreeSet<(Mark, String)> {
    let marks = |registry: &RegistryConfig| {
        let marks = [(Mark::Label, registry.labels), (Mark::Tag, registry.deployed_tags)];
        let host = registry.host.clone();
        marks.into_iter().filter(|(_, is_wanted)| *is_wanted).map(move |(mark, _)| (mark, host.clone()))
    };
    config.registry.iter().flat_map(marks).collect()
}

impl Kept {
    /// What changed environments run; whether it is something else than before.
    fn takes_note_of(&mut self, changed: &snapshots::Changes) -> bool {
        let mut is_other = false;
        for (_, object) in &changed.keys {
            let Some(Object::Environment(status)) = object.as_deref() else { continue };
            let runs = runs(status);
            if let Some(known) = self.running.get_mut(&status.environment).filter(|known| **known != runs) {
                *known = runs;
                is_other = true;
            }
        }
        is_other
    }

    /// What each environment of the configuration runs, and ran. True: it may be anything else than before.
    async fn takes_note_of_all(&mut self, context: &Context) -> bool {
        let (config, snapshot) = (context.config(), context.journal.snapshot());
        let ids = config.applications.iter().flat_map(|application| {
            application.environments.iter().map(|environment| EnvironmentId::new(&application.name, &environment.name))
        });
        let known = |id: EnvironmentId| {
            let runs = snapshot.environment(&id).and_then(|status| runs(&status));
            (id, runs)
        };
        self.running = ids.map(known).collect();
        self.before.retain(|id, _| self.running.contains_key(id));
        let new: Vec<EnvironmentId> = self.running.keys().filter(|id| !self.before.contains_key(id)).cloned().collect();
        let asked = new.clone();
        let released = context.journal.ask(move |history| {
            asked.iter().map(|id| history.released_images(id, RELEASES)).collect::<Result<Vec<_>, _>>()
        });
        match released.await {
            Ok(released) => {
                let released = released.iter().map(|releases| names(releases.iter().flatten()));
                self.before.extend(new.into_iter().zip(released));
            }
            // Without the history a mark that is left elsewhere stays; what runs has its mark all the same.
            Err(error) => tracing::debug!(error = %chain(&error), "what ran before is not known"),
        }
        true
    }

    /// Brings each place up to date where what is wanted there is new, or due again after a failure.
    async fn round(&mut self, context: &Context, registries: &BTreeSet<(Mark, String)>) {
        let mut running = Vec::new();
        for (id, images) in &self.running {
            let before = self.before.entry(id.clone()).or_default();
            before.extend(names(images.iter().flatten()));
            running.push(Running {
                environment: id.environment.clone(),
                images: images.clone(),
                before: before.clone(),
            });
        }
        let of = |mark| marks::wanted(&running, mark, |registry| registries.contains(&(mark, registry.to_owned())));
        let wanted: BTreeMap<Place, Wanted> = of(Mark::Label).into_iter().chain(of(Mark::Tag)).collect();
        self.done.retain(|place, _| wanted.contains_key(place));
        self.failed.retain(|place, _| wanted.contains_key(place));
        for (place, wanted) in wanted {
            let is_due = self.failed.get(&place).is_none_or(|failed| failed.again <= Instant::now());
            if self.done.get(&place) == Some(&wanted) || !is_due {
                continue;
            }
            match bring(context, &place, &wanted).await {
                Ok(()) => {
                    self.failed.remove(&place);
                    self.done.insert(place, wanted);
                }
                Err(error) => self.fails(place, &error),
            }
        }
    }

    fn fails(&mut self, place: Place, error: &MarkError) {
        let Failure { message, hint } = Failure::of(error);
        let before = self.failed.remove(&place);
        if before.as_ref().is_none_or(|before| before.message != message) {
            let image = format!("{}/{}", place.registry, place.repository);
            tracing::warn!(image, environment = %place.environment, error = %message, %hint, "cannot mark what an environment runs");
        }
        let times = before.map_or(1, |before| before.times + 1);
        let asked = if let MarkError::Harbor(HarborError::Busy { wait, .. }) = error { *wait } else { None };
        let again = Instant::now() + doubled(AGAIN.0, times - 1, AGAIN.1).max(asked.unwrap_or_default());
        self.failed.insert(place, Failed { message, times, again });
    }
}

/// The images that an environment runs; none before anything is known to have been synced.
fn runs(status: &EnvironmentStatus) -> Option<Vec<String>> {
    status.revision.as_ref().map(|_| status.images.clone())
}

/// Names of images, without tag and digest: there are as many as an environment has containers.
fn names<'a>(images: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    images.filter_map(|image| Some(ImageRef::parse(image).ok()?.name())).collect()
}

/// Sets the mark of one place on what runs there, and takes it off everything else.
async fn bring(context: &Context, place: &Place, wanted: &Wanted) -> Result<(), MarkError> {
    let images = context.images();
    let any = ImageRef::parse(&format!("{}/{}", place.registry, place.repository))?;
    let login = images.login(&any).await?;
    let harbor = images.registries.harbor(&place.registry, login.as_ref())?;
    let digests = digests(&images.registries, place, wanted, login.as_ref()).await?;
    let at = At { harbor, place, any };
    let changes = match place.mark {
        Mark::Label => labels::bring(&at, &digests, wanted.is_whole).await?,
        Mark::Tag => tags::bring(&at, &digests, wanted.is_whole).await?,
    };
    if changes != Changes::default() {
        let (image, mark) = (at.any.name(), place.mark);
        tracing::info!(image, ?mark, environment = %place.environment, set = ?changes.set, taken_off = ?changes.take_off, "marks follow what runs");
    }
    Ok(())
}

/// A place in the Harbor that it is in.
struct At<'a> {
    harbor: Harbor<'a>,
    place: &'a Place,
    /// Its repository, as an image without tag and digest.
    any: ImageRef,
}

impl At<'_> {
    fn artifact(&self, digest: &str) -> Result<ImageRef, MarkError> {
        Ok(ImageRef::parse(&self.place.image(digest))?)
    }

    fn read<T>(&self, answer: Result<T, serde_json::Error>) -> Result<T, MarkError> {
        answer.map_err(|source| MarkError::Answer { registry: self.place.registry.clone(), source })
    }

    /// What a mark that cannot be set comes to: an artifact that was deleted before it could be kept is told, and no later try
    /// changes it.
    fn set(&self, digest: &str, answer: Result<(), HarborError>) -> Result<(), MarkError> {
        match answer {
            Err(error @ HarborError::Missing { .. }) => {
                let environment = &self.place.environment;
                tracing::warn!(%environment, digest, hint = %error.hint(), "{error}; an environment runs it");
                Ok(())
            }
            answer => Ok(answer?),
        }
    }
}

/// The digests of what runs. A tag that is not there has nothing that could be kept.
async fn digests(
    registries: &Registries,
    place: &Place,
    wanted: &Wanted,
    login: Option<&Login>,
) -> Result<BTreeSet<String>, MarkError> {
    let mut digests = BTreeSet::new();
    for reference in &wanted.references {
        if reference.contains(':') {
            digests.insert(reference.clone());
        } else {
            digests.extend(registries.digest(&ImageRef::parse(&place.image(reference))?, login).await?);
        }
    }
    Ok(digests)
}
