//! A tag, or a new commit of a branch or merge request, becomes a run: what the refs ask for beyond what was thought of
//! before is queued, in one transaction with the note that it was thought of. Beside a run as well: who waits is seen, and
//! a tag that is deleted meanwhile is not lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::Code;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{RunId, RunStatus};
use quarterdeck_shared::status::Phase;

use super::DeliverError;
use super::run::{check, new_run};
use super::stages;
use crate::context::{Application, Codebase, Context, Destination};
use crate::journal::fact::{Batch, Fact};
use quarterdeck_core::promote::log::Promotion;
use quarterdeck_core::queue::bound::{self, WAITING_MAX};
use quarterdeck_core::run::ended;
use quarterdeck_core::trigger::{self, HeadRules, SeenRefs};
use quarterdeck_git::{GitError, RefSnapshot, Target};
use tokio::time::Instant;

/// How long the first numbers of a life wait for the deploy repository, whose log says which were given before. One that
/// does not answer within this time is away, and holds no build back.
const NUMBERS_WITHIN: Duration = Duration::from_secs(10);

/// Promotions whose numbers are looked at: numbers only grow, so the newest few say it, also where some are cherry-picks.
const NUMBERS_LOOKED_AT: usize = 20;

/// Commits that are looked at for them.
const COMMITS_LOOKED_AT: usize = 2_000;

/// What was thought of already.
#[derive(Default)]
pub(super) struct Owing {
    /// The refs that need no thought any more.
    thought_of: Option<Arc<RefSnapshot>>,
    /// Whether the deploy branch was asked which numbers were given before.
    numbered: bool,
    /// Whether it was waited for: once in a life.
    waited: bool,
}

impl Owing {
    /// Queues what is owed.
    pub(super) async fn queue(
        &mut self,
        context: &Context,
        application: &Application,
        code: &Codebase,
    ) -> Result<(), DeliverError> {
        let repository = &code.repository;
        let Some(refs) = repository.refs().borrow().clone() else { return Ok(()) };
        let Code { branches, merge_requests, .. } = &code.spec.code;
        let heads_trigger = !branches.is_empty() || *merge_requests;
        let is_thought_of = |before: &Arc<RefSnapshot>| {
            let same_heads = before.branches == refs.branches && before.merge_requests == refs.merge_requests;
            before.tags == refs.tags
                && before.branches.is_empty() == refs.branches.is_empty()
                && (same_heads || !heads_trigger)
        };
        if self.thought_of.as_ref().is_some_and(is_thought_of) {
            return Ok(());
        }
        let name = &application.spec.name;
        let address = repository.address().to_owned();
        let of = name.clone();
        let seen =
            context.journal.ask(move |history| history.refs_seen(&of)).await?.filter(|seen| seen.repository == address);
        let rules = stages::rules(&code.spec.code)?;
        let seen = seen.map(|seen| seen.refs);
        let heads = trigger::owed_heads(&HeadRules::new(&code.spec.code)?, &refs, seen.as_ref());
        let seen = seen.map(|seen| seen.tags);
        let of_seen = seen.as_ref().map_or(0, |seen| seen.there.len() + seen.going.len());
        let asked = refs.clone();
        let decision = repository
            .work(move |mirror| {
                let time_of = |tag: &str| mirror.time_of(&asked.tags.get(tag)?.object);
                Ok(trigger::owed(&rules, &asked, seen.as_ref(), time_of))
            })
            .await;
        let decision = decision.map_err(|source| DeliverError::Git { doing: "look at the tags", source })?;
        for tag in &decision.without_commit {
            tracing::warn!(tag, "the tag points at no commit and triggers nothing");
        }
        if !decision.owed.is_empty() || !heads.owed.is_empty() {
            self.number(context, application).await;
        }
        let mut facts = Batch::new();
        if decision.lost > 0 {
            let (repository, lost, of) = (repository.address().to_owned(), decision.lost as u64, of_seen as u64);
            tracing::warn!(lost, of, "tags vanished; those that come back unchanged are not run again");
            facts.push(Fact::happened(name, &Cause::Agent, Event::TagsLost { repository, lost, of }));
        }
        let now = Timestamp::now();
        let tags = decision.owed.into_iter().map(|owed| new_run(context, application, owed, now));
        let checks = heads.owed.into_iter().map(|owed| check(context, application, owed, now));
        let new: Vec<RunStatus> = tags.chain(checks).collect();
        let refused = refused(context, application, &new);
        for run in new {
            facts.extend(if refused.contains(&run.id) { no_room(run, now) } else { queued(run) });
        }
        facts.push(Fact::RefsSeen {
            application: name.clone(),
            repository: repository.address().to_owned(),
            refs: SeenRefs { tags: decision.seen, branches: heads.branches, merge_requests: heads.merge_requests },
        });
        context.journal.record(facts).await?;
        self.thought_of = Some(refs);
        Ok(())
    }

    /// No number of a run is given twice, also where the history was lost or is an older one: people know runs by it. The
    /// commits of promotions say which run wrote them, so numbers go on after the highest of them. What cannot be known are runs since the last
    /// promotion, and those of applications that promote nowhere.
    async fn number(&mut self, context: &Context, application: &Application) {
        if self.numbered {
            return;
        }
        let within = if std::mem::replace(&mut self.waited, true) { Duration::ZERO } else { NUMBERS_WITHIN };
        let until = Instant::now() + within;
        let mut all = true;
        for to in &application.destinations {
            match numbers(to, application, until).await {
                Some(highest) => context.journal.numbers_are_given_up_to(highest),
                None => all = false,
            }
        }
        self.numbered = all;
    }
}

/// Tags among the new runs for which the queue has no room.
fn refused(context: &Context, application: &Application, new: &[RunStatus]) -> BTreeSet<RunId> {
    let ids: BTreeSet<RunId> = new.iter().map(|run| run.id).collect();
    let refused = context.journal.snapshot().with_runs(&application.spec.name, |runs| {
        let all: Vec<&RunStatus> = runs.iter().copied().chain(new).collect();
        bound::refused(&all, |run| ids.contains(&run.id), WAITING_MAX)
    });
    refused.into_iter().collect()
}

fn queued(run: RunStatus) -> Batch {
    let event = Event::RunQueued { run: run.id };
    vec![Fact::happened(&run.application, &run.cause, event), Fact::Run(Box::new(run))]
}

/// A tag that is not queued is a run that failed, so that people and forges hear of it and can ask for it again.
fn no_room(run: RunStatus, now: Timestamp) -> Batch {
    let full = DeliverError::NoRoom { application: run.application.clone(), run: Some(run.id.number) };
    tracing::warn!(tag = %run.reference, error = %full, "a tag is not queued");
    let run = ended(run, Phase::Failed, Failure::of(&full), now);
    let event = Event::RunFinished { run: run.id, phase: run.phase, message: run.message.clone() };
    vec![Fact::happened(&run.application, &run.cause, event), Fact::Run(Box::new(run))]
}

/// The highest number of a run that the branch of an environment tells of; none where that cannot be said now.
async fn numbers(to: &Destination, application: &Application, until: Instant) -> Option<u64> {
    let mut refs = to.repository.refs();
    tokio::select! {
        _ = refs.wait_for(|refs| refs.is_some()) => {}
        () = tokio::time::sleep_until(until) => return None,
        () = application.delivering.cancelled() => return None,
    }
    let default = refs.borrow().as_ref().and_then(|refs| refs.default_branch.clone());
    let target = to.branch().map_or(Target::Default, |branch| Target::Branch(branch.to_owned()));
    let found = to.repository.work(move |mirror| {
        let tip = mirror.resolve(&target, default.as_deref())?;
        let read = |commit: &quarterdeck_git::CommitInfo| Promotion::read(commit);
        let promotions = mirror.search(&tip, COMMITS_LOOKED_AT, NUMBERS_LOOKED_AT, read)?;
        Ok::<_, GitError>(promotions.iter().map(|promotion| promotion.run.number).max())
    });
    // A branch that does not exist yet, or a mirror in trouble: the promotion tells.
    let found = found.await.inspect_err(|error| tracing::debug!(%error, "cannot read the deploy branch")).ok()?;
    Some(found.unwrap_or(0))
}
