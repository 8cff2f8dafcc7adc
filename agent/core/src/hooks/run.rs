//! One hook that runs: what is sent, what is done about an object of that name that is there already, and what its pods say.

use std::time::Duration;

use quarterdeck_shared::change::{HookMoment, Wait};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::status::Health;
use serde_json::{Value, json};

use super::{DeletePolicy, Hook};
use crate::health;
use crate::sync::managed_fields;
use crate::sync::manifest::{Manifest, is_definition};

/// On the object of a hook: the environment, the phase, the run and the manifest that it was created for.
pub const HOOK_ANNOTATION: &str = "quarterdeck.dev/hook";

/// On the object of a hook that `helm` created.
const HELM_ANNOTATION: &str = "helm.sh/hook";

/// A Job that ended stays so long at least, in seconds: its end is looked for once a second, and an API server may be away
/// for some. Until then nobody but its delete policy removes it.
const TIME_TO_LIVE_MIN: i64 = 60;

/// The hooks of a release that run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Phases {
    /// Before its objects.
    pub before: Phase,
    /// After them.
    pub after: Phase,
}

/// The hooks of one side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Phase {
    /// One after another.
    pub runs: Vec<Run>,
    /// All of them succeeded already; only what is to be deleted then may be left.
    pub passed: bool,
}

/// A hook that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// As it is sent.
    pub manifest: Manifest,
    /// When.
    pub moment: HookMoment,
    /// When its object is deleted.
    pub deleted: DeletePolicy,
    /// It has to be done within this time.
    pub timeout: Duration,
    /// [`HOOK_ANNOTATION`] of its object.
    key: String,
}

/// What is done about a hook, by what is there under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It is created.
    Create,
    /// What is there, with this uid, is deleted first, and its end is waited for.
    Replace(String),
    /// It runs already: it was created in this very run.
    Wait,
    /// It cannot be created.
    Refuse {
        /// Why.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl Run {
    pub(super) fn new(hook: &Hook, phase: &str, environment: &str, id: &str) -> Self {
        let Hook { manifest, moments: _, weight, deleted, timeout } = hook;
        let digest: String = manifest.digest.0[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let key = format!("{environment} {phase} {id} {digest}");
        let mut object = manifest.object.clone().into_value();
        object["metadata"]["annotations"][HOOK_ANNOTATION] = json!(key);
        let ttl = object.pointer_mut("/spec/ttlSecondsAfterFinished").filter(|_| manifest.resource.kind == "Job");
        if let Some(ttl) = ttl.filter(|ttl| ttl.as_i64().is_some_and(|seconds| seconds < TIME_TO_LIVE_MIN)) {
            *ttl = json!(TIME_TO_LIVE_MIN);
        }
        let Manifest { resource, version, origin, confidential, .. } = manifest.clone();
        Self {
            manifest: Manifest { confidential, ..Manifest::new(resource, version, object, origin) },
            moment: HookMoment { phase: phase.to_owned(), weight: *weight },
            deleted: *deleted,
            timeout: *timeout,
            key,
        }
    }

    /// The object that is run.
    pub fn resource(&self) -> &ResourceRef {
        &self.manifest.resource
    }

    /// What is waited for: Jobs and Pods until they are completed, definitions until they are established; of other kinds
    /// that they were created.
    pub fn wait(&self) -> Wait {
        if !self.may_be_deleted() {
            return Wait::Established;
        }
        match (self.resource().group.as_str(), self.resource().kind.as_str()) {
            ("batch", "Job") | ("", "Pod") => Wait::Completed,
            _ => Wait::None,
        }
    }

    /// Whether a live object was created in this run of this hook.
    pub fn is_mine(&self, live: &Value) -> bool {
        live["metadata"]["annotations"][HOOK_ANNOTATION] == self.key
    }

    /// Whether its object is deleted when its phase succeeded.
    pub fn goes_when_succeeded(&self) -> bool {
        self.deleted.succeeded && self.may_be_deleted()
    }

    /// Whether its object is deleted when it failed.
    pub fn goes_when_failed(&self) -> bool {
        self.deleted.failed && self.may_be_deleted()
    }

    fn may_be_deleted(&self) -> bool {
        !is_definition(&self.resource().group, &self.resource().kind)
    }

    /// Whose the hook of a live object is; none where it is not a hook of ours.
    fn owner(live: &Value) -> Option<&str> {
        live["metadata"]["annotations"][HOOK_ANNOTATION].as_str()?.split(' ').next()
    }

    fn environment(&self) -> &str {
        self.key.split(' ').next().unwrap_or_default()
    }
}

/// What is done about a hook where this is live under its name. `failed` tells whether a live object of this very run has
/// failed: it is tried again then.
pub fn begin(run: &Run, live: Option<&Value>, failed: bool) -> Begin {
    let Some(live) = live else { return Begin::Create };
    let uid = live["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    if live["metadata"]["deletionTimestamp"].is_string() {
        return Begin::Replace(uid);
    }
    if run.is_mine(live) && !failed {
        return Begin::Wait;
    }
    let refuse = |message: String, hint: &str| Begin::Refuse { message, hint: hint.to_owned() };
    let applied_by = managed_fields::owner_of(live).map(|owner| owner.to_string());
    match (
        Run::owner(live).map(str::to_owned).or(applied_by),
        live["metadata"]["annotations"][HELM_ANNOTATION].is_string(),
    ) {
        (Some(other), _) if other != run.environment() => {
            return refuse(format!("it exists and belongs to environment {other}"), "rename one of the two");
        }
        (None, false) => {
            return refuse("it exists and is not a hook".to_owned(), "delete it, or rename the hook");
        }
        // What was an object of this environment before left git for it.
        (Some(_), _) | (None, true) => {}
    }
    // A definition is brought up to date instead.
    if !run.may_be_deleted() {
        return Begin::Create;
    }
    if !run.deleted.before_creation {
        let hint = "delete it, or add before-hook-creation to its delete policy";
        return refuse("it exists, and its delete policy keeps it".to_owned(), hint);
    }
    Begin::Replace(uid)
}

/// What the pods of a hook say, in a line: the newest of those that fail, or have not started. None where all are well.
pub fn pod_report(pods: &[Value]) -> Option<String> {
    let verdicts = pods.iter().map(|pod| (pod, health::assess(pod)));
    let runs = |pod: &Value, health: Health| health == Health::Progressing && pod["status"]["phase"] == "Running";
    let is_well = |pod: &Value, health: Health| health == Health::Healthy || runs(pod, health);
    let unwell = verdicts.filter(|(pod, verdict)| !is_well(pod, verdict.health) && !verdict.reason.is_empty());
    let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    // The worst says why, and of those that are as bad the newest.
    let (pod, verdict) = unwell.max_by_key(|(pod, verdict)| (verdict.health, text(pod, "creationTimestamp")))?;
    Some(format!("Pod/{}: {}", text(pod, "name"), verdict.reason))
}
