//! Hooks of a plan: one after another is run and waited for. What runs already goes on, whoever began it: a restart of the
//! agent or of the API server in the middle of a migration does not begin it again.
//!
//! A hook is not dry-run before: an older object of its name would be in the way. What the server refuses of it ends the
//! walk where the hook would have run.

use std::time::Duration;

use quarterdeck_core::hooks::{self, Begin, Run, When};
use quarterdeck_core::steps::{self, Reached};
use quarterdeck_core::sync::plan::Refusal;
use quarterdeck_shared::change::Wait;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::AwaitedHook;
use serde_json::Value;
use tokio::time::Instant;

use super::progress::Done;
use super::waits::{LOOK_MAX, pauses};
use super::{Executor, Walk};
use crate::left::waits_for;
use crate::objects::{Mode, collection_path};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;

/// Pods of a Job that are looked at: one that is tried more often has said why.
const PODS_MAX: usize = 20;

/// Why a hook did not succeed.
pub(super) struct Failed {
    pub(super) message: String,
    pub(super) hint: String,
}

impl From<ApiProblem> for Failed {
    fn from(problem: ApiProblem) -> Self {
        Self { message: format!("cannot be run: {}", problem.message), hint: problem.hint.into_owned() }
    }
}

impl Executor<'_> {
    /// Runs a hook. One that does not succeed ends the walk, and its policy and those of the hooks before it say what is
    /// deleted then.
    pub(super) async fn hook(&self, run: Run, walk: &mut Walk<'_>) {
        let ended = self.run(&run, &walk.done).await;
        self.waits(&walk.done, |waiting| waiting.hook = None);
        match ended {
            Ok(true) => {
                walk.executed.hooks += 1;
                self.report(&walk.done);
                walk.succeeded.push(run);
            }
            Ok(false) => walk.executed.stopped = true,
            Err(failed) => {
                walk.executed.failed.push(refusal(&run, failed));
                let goes = run.goes_when_failed().then_some(&run);
                let before = walk.succeeded.iter().filter(|run| run.goes_when_succeeded());
                for run in goes.into_iter().chain(before) {
                    if let Err(problem) = self.delete_hook(run, steps::CLEARED_TIMEOUT).await {
                        tracing::warn!(object = %run.resource().short(), error = %problem, "a hook is not deleted");
                    }
                }
            }
        }
    }

    /// The hooks of one side succeeded: the inventory says so.
    pub(super) async fn passed(&self, when: When, walk: &mut Walk<'_>) -> Result<(), ApiProblem> {
        walk.succeeded.clear();
        if let Some(running) = &mut walk.hooks.running {
            running.passed = Some(when);
        }
        self.write_inventory(walk, &walk.plan.during).await?;
        Ok(())
    }

    /// Deletes hooks that succeeded.
    pub(super) async fn clear(&self, runs: &[Run], timeout: Duration, walk: &mut Walk<'_>) {
        for run in runs {
            if (self.stop)() {
                walk.executed.stopped = true;
                return;
            }
            if let Err(problem) = self.delete_hook(run, timeout).await {
                let message = format!("succeeded and cannot be deleted: {}", problem.message);
                let hint = problem.hint.into_owned();
                return walk.executed.failed.push(refusal(run, Failed { message, hint }));
            }
        }
    }

    /// Runs a hook to its end; false where it is stopped before.
    pub(super) async fn run(&self, run: &Run, done: &Done<'_>) -> Result<bool, Failed> {
        if (self.stop)() {
            return Ok(false);
        }
        let objects = self.observer.objects;
        let (resource, version) = (run.resource(), Some(run.manifest.version.as_str()));
        let deadline = Instant::now() + run.timeout;
        let live = objects.get(resource, version).await?;
        let has_failed = |live: &Value| matches!(steps::reached(run.wait(), live), Reached::Never(_));
        let begin = hooks::begin(run, live.as_ref(), live.as_ref().is_some_and(has_failed));
        let live = match (begin, live) {
            (Begin::Wait, Some(live)) => live,
            (Begin::Refuse { message, hint }, _) => {
                return Err(Failed { message: format!("cannot be run: {message}"), hint });
            }
            (Begin::Replace(uid), _) => {
                self.show_waiting(run, done, "the object of an earlier run is being deleted");
                if !self.gone(run, &uid, deadline).await? {
                    return Ok(false);
                }
                objects.apply(&run.manifest, Mode::Write).await?
            }
            (Begin::Create | Begin::Wait, _) => objects.apply(&run.manifest, Mode::Write).await?,
        };
        if run.manifest.defines.is_some() {
            objects.kinds_changed();
        }
        self.completed(run, live, deadline, done).await
    }

    /// Waits until the object of a hook is as it is waited for; false where that is stopped.
    async fn completed(&self, run: &Run, mut live: Value, deadline: Instant, done: &Done<'_>) -> Result<bool, Failed> {
        let resource = run.resource();
        let mut pauses = pauses(Duration::from_millis(100));
        let mut silent = None;
        loop {
            let how = match steps::reached(run.wait(), &live) {
                Reached::Yes => return Ok(true),
                Reached::Never(why) => {
                    let message = format!("failed: {}", with(why, self.pod_report(run, &live).await));
                    return Err(Failed { message, hint: hint(run, "") });
                }
                Reached::NotYet(how) => how,
            };
            let how = match silent.take() {
                Some(silence) => silence,
                None => with(how, self.pod_report(run, &live).await),
            };
            self.show_waiting(run, done, &how);
            let pause = pauses.next().unwrap_or(LOOK_MAX);
            if Instant::now() + pause >= deadline {
                let message = format!("is not done after {} s: {how}", run.timeout.as_secs());
                return Err(Failed { message, hint: hint(run, ", or raise hook_timeout") });
            }
            tokio::time::sleep(pause).await;
            if (self.stop)() {
                return Ok(false);
            }
            match self.observer.objects.get(resource, Some(&run.manifest.version)).await {
                Ok(Some(now)) if run.is_mine(&now) => live = now,
                Ok(_) => {
                    let message = "failed: its object was deleted or replaced before it was done".to_owned();
                    return Err(Failed { message, hint: String::new() });
                }
                // It goes on meanwhile.
                Err(problem) if problem.class.is_transient() => silent = Some(problem.to_string()),
                Err(problem) => return Err(problem.into()),
            }
        }
    }

    /// Deletes what has this uid, and waits for its end; false where that is stopped.
    async fn gone(&self, run: &Run, uid: &str, deadline: Instant) -> Result<bool, ApiProblem> {
        let (objects, resource) = (self.observer.objects, run.resource());
        objects.delete(resource, &run.manifest.version, uid).await?;
        let mut pauses = pauses(Duration::from_millis(50));
        loop {
            let held = match objects.get(resource, Some(&run.manifest.version)).await? {
                Some(live) if live["metadata"]["uid"] == uid => live,
                _ => return Ok(true),
            };
            if (self.stop)() {
                return Ok(false);
            }
            let pause = pauses.next().unwrap_or(LOOK_MAX);
            if Instant::now() + pause >= deadline {
                let waits = waits_for(&held).unwrap_or_else(|| "its end".to_owned());
                let message = format!("the object of an earlier run is not gone: waiting for {waits}");
                return Err(ApiProblem::new(Class::Timeout, format!("delete {}", resource.short()), message));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Deletes the object of this very run, and waits for its end.
    pub(super) async fn delete_hook(&self, run: &Run, timeout: Duration) -> Result<(), ApiProblem> {
        let live = self.observer.objects.get(run.resource(), Some(&run.manifest.version)).await?;
        let Some(live) = live.filter(|live| run.is_mine(live)) else { return Ok(()) };
        let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
        self.gone(run, uid, Instant::now() + timeout).await?;
        Ok(())
    }

    fn show_waiting(&self, run: &Run, done: &Done<'_>, how: &str) {
        let (resource, moment) = (run.resource().clone(), run.moment.clone());
        self.waits(done, |waiting| waiting.hook = Some(AwaitedHook { resource, moment, message: how.to_owned() }));
    }

    /// What the pods of a Job say that are not well; none where that cannot be read. A Pod says it itself.
    async fn pod_report(&self, run: &Run, live: &Value) -> Option<String> {
        let resource = run.resource();
        if run.wait() != Wait::Completed || resource.kind != "Job" {
            return None;
        }
        hooks::pod_report(&self.pods_of_job(resource, live).await?)
    }

    /// The pods that a Job made; none where they cannot be read.
    pub(super) async fn pods_of_job(&self, resource: &ResourceRef, live: &Value) -> Option<Vec<Value>> {
        let pods = ResourceRef::new("", "Pod", resource.namespace.as_deref(), "");
        let route = self.observer.objects.resource(&pods, Some("v1")).await.ok()?;
        let uid = live["metadata"]["uid"].as_str()?;
        let collection = collection_path(&route.resource, resource.namespace.as_deref());
        let path = format!("{collection}?limit={PODS_MAX}&labelSelector=controller-uid%3D{uid}");
        let doing = format!("list the pods of {}", resource.short());
        let mut list = self.observer.objects.requests.json(&doing, get(&path)).await.ok()?;
        let mut pods = list["items"].as_array_mut().map(std::mem::take)?;
        for pod in &mut pods {
            // Items of a list do not say what they are.
            (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
        }
        Some(pods)
    }
}

fn with(how: String, words: Option<String>) -> String {
    match words {
        Some(words) => format!("{how}; {words}"),
        None => how,
    }
}

/// `Job/migrate (apps/shop/templates/migrate.yaml): pre-upgrade hook failed: …`.
fn refusal(run: &Run, Failed { message, hint }: Failed) -> Refusal {
    let (resource, origin) = (run.resource().clone(), run.manifest.origin.clone());
    let message = format!("{} hook {message}", run.moment.phase);
    Refusal { resource, origin, message, hint, immutable: false }
}

/// Where a hook says what went wrong; its log goes with its object.
fn hint(run: &Run, more: &str) -> String {
    if run.goes_when_failed() {
        return format!("correct it{more}; its log went with its object: its delete policy has hook-failed");
    }
    let ResourceRef { kind, namespace, name, .. } = run.resource();
    let namespace = namespace.as_deref().unwrap_or_default();
    format!("read its log: kubectl -n {namespace} logs {}/{name}{more}", kind.to_ascii_lowercase())
}
