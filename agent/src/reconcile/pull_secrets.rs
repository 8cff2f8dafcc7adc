//! The pull secrets of an environment are kept as they are wanted: at each pass that has something to do, and at rest by the clock,
//! since nothing tells of a password that was rotated. What cannot be done is told at the environment and stops nothing.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck_shared::snapshot::{Cover, Unseen};
use tokio::time::Instant;

use crate::config::Config;
use crate::context::{Context, Environment};
use crate::journal::fact::{Fact, Patch};
use crate::pull_secrets::read;
use crate::worker::Requeue;
use quarterdeck_kubernetes::{Class, PullSecrets};

/// At rest they are looked at this often: one request for each Secret and each of its ServiceAccounts. Logins that credential helpers
/// hand out live for hours.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// A login that could not be had is tried again this often: the person who puts it right waits for it.
const TRY_EVERY: Duration = Duration::from_secs(30);

/// What is remembered of them between passes.
#[derive(Default)]
pub(super) struct Kept {
    /// As they were read last.
    wanted: Arc<PullSecrets>,
    /// When to look again; at the next pass where absent.
    due: Option<Instant>,
    /// Whether all of them are as they are wanted.
    is_whole: bool,
    /// What consoles were told last.
    told: Option<Vec<Unseen>>,
    /// Under which configuration they were read; each reload makes another.
    config: Option<Arc<Config>>,
}

impl Kept {
    /// The pull secrets that a sync makes.
    pub(super) fn wanted(&self) -> Arc<PullSecrets> {
        self.wanted.clone()
    }

    /// The same pass as was asked for, but no later than they are to be looked at.
    pub(super) fn no_later(&self, environment: &Environment, next: Requeue) -> Requeue {
        if self.is_done(environment) {
            return next;
        }
        let due = self.due.map_or(TRY_EVERY, |due| due.saturating_duration_since(Instant::now()));
        match next {
            Requeue::Idle => Requeue::After(due),
            Requeue::After(wait) => Requeue::After(wait.min(due)),
            Requeue::Now | Requeue::Retry => next,
        }
    }

    /// Looks at them where the pass has something to do or they are due. An environment without any is looked at once: an
    /// earlier configuration may have had some.
    pub(super) async fn keep_due(&mut self, context: &Context, environment: &Environment, has_work: bool) {
        let is_reloaded = || self.config.as_ref().is_none_or(|config| !Arc::ptr_eq(config, &context.config()));
        let is_due = match self.due {
            None => true,
            Some(_) if self.is_done(environment) => false,
            Some(due) => has_work || due <= Instant::now() || is_reloaded(),
        };
        if is_due {
            self.keep(context, environment).await;
        }
    }

    /// Whether none is wanted, and none is left of an earlier configuration.
    fn is_done(&self, environment: &Environment) -> bool {
        environment.spec.pull_secrets.is_empty() && (self.is_whole || self.due.is_none())
    }

    /// Looks at them once more where something was missing that the sync may have made: the namespace, a ServiceAccount.
    pub(super) async fn keep_after_sync(&mut self, context: &Context, environment: &Environment) {
        if !self.is_whole && !environment.spec.pull_secrets.is_empty() {
            self.keep(context, environment).await;
        }
    }

    /// Makes them as they are wanted, and tells what is not so.
    async fn keep(&mut self, context: &Context, environment: &Environment) {
        let (name, spec) = (&environment.id, &environment.spec);
        self.config = (!spec.pull_secrets.is_empty()).then(|| context.config());
        let (wanted, mut problems) = read(&context.images(), &spec.pull_secrets).await;
        self.wanted = Arc::new(wanted);
        let kept = environment.cluster.keep_pull_secrets(name, &spec.namespace, &self.wanted).await;
        let is_known = match kept {
            Ok(refused) => {
                problems.extend(refused.into_iter().map(|(secret, problem)| (secret, problem.to_string())));
                true
            }
            // A cluster that is away is told as such, and the namespace comes with a sync.
            Err(problem) if problem.class.is_transient() || problem.class == Class::NamespaceMissing => false,
            Err(problem) => {
                let all = spec.pull_secrets.iter().map(|secret| (secret.name.clone(), problem.to_string()));
                problems.extend(all);
                true
            }
        };
        self.tell(context, environment, &problems).await;
        self.is_whole = is_known && problems.is_empty();
        let wait = if self.is_whole { LOOK_EVERY } else { TRY_EVERY };
        self.due = is_known.then(|| Instant::now() + wait);
    }

    /// Says which pull secrets are not up to date, where that is news.
    async fn tell(&mut self, context: &Context, environment: &Environment, problems: &[(String, String)]) {
        let name = &environment.id;
        let unseen: Vec<Unseen> = problems
            .iter()
            .map(|(secret, reason)| Unseen {
                of: Cover::PullSecret,
                what: format!("pull secret {secret}"),
                reason: reason.clone(),
                last_seen: None,
            })
            .collect();
        // An earlier configuration may have left another answer.
        let shown = || {
            let shown = context.journal.snapshot().unseen(name).unwrap_or_default();
            shown.into_iter().filter(|unseen| unseen.of == Cover::PullSecret).collect()
        };
        if self.told.take().unwrap_or_else(shown) == unseen {
            self.told = Some(unseen);
            return;
        }
        for unseen in &unseen {
            tracing::warn!(what = unseen.what, reason = unseen.reason, "a pull secret is not up to date");
        }
        self.told = Some(unseen.clone());
        context.journal.publish(vec![Fact::patch(name, Patch::Unseen { of: Cover::PullSecret, unseen })]).await;
    }
}
