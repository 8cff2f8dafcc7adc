//! What the walk through a plan waits for: kinds until they are served, objects until they are as their step wants them.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use quarterdeck_shared::change::Wait;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;
use tokio::time::Instant;

use super::{Executor, Walk};
use crate::problem::{ApiProblem, Class};
use quarterdeck_core::steps::{self, Reached};
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::sync::managed_fields;
use quarterdeck_core::sync::manifest::{Manifest, is_definition};

/// A look at what is waited for comes this often at least.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(1);

/// The pauses between the looks at what is waited for.
pub(super) fn pauses(first: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new().with_min_delay(first).with_max_delay(LOOK_MAX).without_max_times().build()
}

impl Executor<'_> {
    /// Waits until the cluster serves the kinds of these objects: their CRDs were written a moment ago. Not for what cannot
    /// come, since somebody changed a CRD meanwhile, and not for who is stopped.
    pub(super) async fn wait_for_kinds(
        &self,
        objects: &[Manifest],
        timeout: Duration,
        walk: &mut Walk<'_>,
    ) -> Result<(), ApiProblem> {
        let (begun, deadline) = (Instant::now(), Instant::now() + timeout);
        let mut pauses = pauses(Duration::from_millis(50));
        loop {
            let kinds = self.observer.objects.kinds().await?;
            let is_unknown = |m: &&Manifest| {
                kinds.get(&m.resource.group, &m.resource.kind).is_none_or(|kind| kind.version(&m.version).is_none())
            };
            let missing: BTreeSet<_> =
                objects.iter().filter(is_unknown).map(|m| (&m.resource.group, &m.resource.kind)).collect();
            self.waits(&walk.done, |waiting| waiting.set(DEFINITION, missing.len()));
            let Some(unknown) = objects.iter().find(is_unknown) else { return Ok(()) };
            let cannot = |message: String| {
                let doing = format!("wait for the kind of {}", unknown.resource.short());
                ApiProblem::new(Class::KindMissing, doing, message)
            };
            // Most are served within a moment.
            if begun.elapsed() >= LOOK_MAX
                && let Some(what) = self.changed_definition(&unknown.resource.group, walk).await?
            {
                return Err(cannot(what));
            }
            let pause = pauses.next().unwrap_or(LOOK_MAX);
            if Instant::now() + pause >= deadline {
                let message = format!("the cluster does not serve it {} s after its definition", timeout.as_secs());
                return Err(cannot(message));
            }
            tokio::time::sleep(pause).await;
            walk.executed.stopped = (self.stop)();
            if walk.executed.stopped {
                return Ok(());
            }
            self.observer.objects.kinds_now().await?;
        }
    }

    /// A definition of this group that is not as this walk wrote or found it: its kind may never be served then.
    async fn changed_definition(&self, group: &str, walk: &Walk<'_>) -> Result<Option<String>, ApiProblem> {
        let suffix = format!(".{group}");
        let is_of_group =
            |resource: &ResourceRef| is_definition(&resource.group, &resource.kind) && resource.name.ends_with(&suffix);
        for (resource, written) in walk.executed.memory.iter().filter(|(resource, _)| is_of_group(resource)) {
            match self.observer.objects.get(resource, Some("v1")).await? {
                Some(live) if managed_fields::digest(&live) == written.live => {}
                Some(_) => return Ok(Some(format!("{} was changed in the meantime", resource.short()))),
                None => return Ok(Some(format!("{} was deleted in the meantime", resource.short()))),
            }
        }
        Ok(None)
    }

    /// Waits until a written object is as its step waits for it, or somebody stops it; the digest of it then. Nothing of the
    /// object is kept between two looks at it: dozens of large ones are waited for at the same time.
    pub(super) async fn wait_for(
        &self,
        manifest: &Manifest,
        mut live: Value,
        wait: Wait,
        timeout: Duration,
    ) -> Result<ContentDigest, ApiProblem> {
        let until = |what: &str| format!("wait until {} is {what}", manifest.resource.short());
        let doing = || match wait {
            Wait::Established => format!("establish {}", manifest.resource.short()),
            Wait::Healthy => until("healthy"),
            Wait::Completed => until("completed"),
            Wait::None | Wait::Gone => until("written"),
        };
        let deadline = Instant::now() + timeout;
        let written = managed_fields::digest(&live);
        let mut digest = written;
        let mut defines = (wait == Wait::Established).then(|| served(&live)).flatten();
        let mut pauses = pauses(Duration::from_millis(25));
        loop {
            let waits = match steps::reached(wait, &live) {
                Reached::Yes => {
                    self.observer.cache.wrote(&live);
                    return Ok(digest);
                }
                Reached::Never(why) => return Err(ApiProblem::new(Class::Invalid, doing(), why)),
                Reached::NotYet(how) => how,
            };
            drop(live);
            let pause = pauses.next().unwrap_or(LOOK_MAX);
            if Instant::now() + pause >= deadline {
                let message = format!("after {} s: {waits}", timeout.as_secs());
                return Err(ApiProblem::new(Class::Timeout, doing(), message));
            }
            match defines.take() {
                Some(kind) => defines = self.wait_served(kind, deadline).await,
                None => tokio::time::sleep(pause).await,
            }
            if (self.stop)() {
                return Ok(digest);
            }
            let read = self.observer.objects.get(&manifest.resource, Some(&manifest.version)).await?;
            live = read.ok_or_else(|| ApiProblem::new(Class::NotFound, doing(), "it was deleted in the meantime"))?;
            digest = managed_fields::digest(&live);
            // What is healthy or completed may be so although a controller writes to it; a definition is as it is written.
            if wait == Wait::Established && digest != written {
                return Err(ApiProblem::new(Class::Conflict, doing(), "it was changed in the meantime"));
            }
        }
    }

    /// Waits until the server serves this kind, for [`LOOK_MAX`] at most and not beyond the deadline: a look at its definition
    /// comes then, which also says why where the server cannot be asked. The kind where it is not served yet.
    async fn wait_served(&self, kind: Served, deadline: Instant) -> Option<Served> {
        let until = deadline.min(Instant::now() + LOOK_MAX);
        for pause in pauses(Duration::from_millis(25)) {
            if Instant::now() + pause >= until || (self.stop)() {
                break;
            }
            tokio::time::sleep(pause).await;
            let Served { group, version, kind } = &kind;
            if matches!(self.observer.objects.serves(group, version, kind).await, Ok(true)) {
                return None;
            }
        }
        Some(kind)
    }
}

/// A kind as its definition says that it is served.
struct Served {
    group: String,
    version: String,
    kind: String,
}

/// What a definition serves; nothing where it serves no version.
fn served(definition: &Value) -> Option<Served> {
    let (spec, text) = (&definition["spec"], |value: &Value| value.as_str().map(str::to_owned));
    let version = spec["versions"].as_array()?.iter().find(|version| version["served"] == true)?;
    Some(Served { group: text(&spec["group"])?, version: text(&version["name"])?, kind: text(&spec["names"]["kind"])? })
}

const DEFINITION: &str = "CustomResourceDefinition";
