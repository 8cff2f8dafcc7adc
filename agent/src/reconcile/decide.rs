//! Whether a plan may become so: pure.

use std::collections::VecDeque;
use std::time::Duration;

use quarterdeck_shared::application::SyncPolicy;
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::ApplicationStatus;
use tokio::time::Instant;

use super::{HEALS, HEALS_WITHIN};
use crate::context::Drift;
use crate::journal::fact::Intent;

/// How things stand before a plan.
pub(super) struct Standing<'a> {
    pub(super) status: &'a ApplicationStatus,
    pub(super) policy: &'a SyncPolicy,
    pub(super) intent: Option<&'a Intent>,
    pub(super) drift: Option<&'a Drift>,
    pub(super) revision: &'a Revision,
    pub(super) heals: &'a [Instant],
}

/// What is done with a plan.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// There is nothing in it.
    Nothing,
    /// It is left, for this reason, until something changes or this time has gone by.
    Hold { message: String, look_again: Option<Duration> },
    /// It becomes so, for this reason.
    Sync(Cause),
}

/// Decides. A plan that was refused is decided like any other: where it would become so, the refusal is told instead.
pub(super) fn decide(standing: &Standing<'_>, nothing: bool, refused: bool, now: Instant) -> Decision {
    let Standing { status, policy, intent, drift, revision, heals } = standing;
    let hold = |message: &str| Decision::Hold { message: message.to_owned(), look_again: None };
    if nothing && !refused {
        return Decision::Nothing;
    }
    if status.suspended {
        return hold("differs from git, and syncing is suspended");
    }
    if let Some(intent) = intent {
        return Decision::Sync(intent.cause.clone());
    }
    let is_new = status.revision.as_ref().map(|deployed| &deployed.commit) != Some(&revision.commit);
    if is_new && policy.automatic {
        return Decision::Sync(Cause::Commit { revision: (*revision).clone() });
    }
    if is_new {
        return hold("differs from git, and automatic sync is off");
    }
    if !policy.self_heal {
        return hold("the cluster was changed, and self-heal is off");
    }
    let lately = heals.iter().filter(|at| now.duration_since(**at) < HEALS_WITHIN).count();
    if lately >= HEALS {
        let who = drift.and_then(|drift| drift.manager.as_deref()).unwrap_or("somebody");
        let what = drift.map_or_else(|| "an object".to_owned(), |drift| drift.resource.short());
        let message = format!(
            "{who} changes {what} again and again: reverted {HEALS} times within {} s, next try in {} s",
            HEALS_WITHIN.as_secs(),
            HEALS_WITHIN.as_secs()
        );
        return Decision::Hold { message, look_again: Some(HEALS_WITHIN) };
    }
    Decision::Sync(match drift {
        Some(drift) => Cause::Drift { resource: drift.resource.clone(), manager: drift.manager.clone() },
        // The options of the application changed, or the last life of the agent ended in the middle.
        None => Cause::Agent,
    })
}

/// Remembers that drift was reverted; as many as decide anything.
pub(super) fn note_heal(heals: &mut VecDeque<Instant>, now: Instant) {
    heals.push_back(now);
    if heals.len() > HEALS {
        heals.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use quarterdeck_shared::protocol::SyncRequest;
    use quarterdeck_shared::resource::ResourceRef;
    use quarterdeck_shared::snapshot::SpecSummary;

    use super::*;
    use crate::journal::fold::new_row;

    fn revision(digit: &str) -> Revision {
        Revision::new("main", digit.repeat(40).parse().unwrap())
    }

    #[test]
    fn policies_and_persons_decide() {
        let name = "shop".parse().unwrap();
        let person = Cause::Person { uid: 7, name: "alice".to_owned() };
        let drift = Drift {
            resource: ResourceRef::new("apps", "Deployment", Some("prod"), "shop"),
            manager: Some("kubectl-edit".to_owned()),
        };
        let intent = Intent { request: SyncRequest::default(), cause: person.clone(), at: Timestamp::UNIX_EPOCH };
        let all = SyncPolicy::default();
        let manual = SyncPolicy { automatic: false, ..all.clone() };
        let lenient = SyncPolicy { self_heal: false, ..all.clone() };
        let now = Instant::now();
        let fought = [now; HEALS];
        let sync = |cause| Some(cause);
        let of_drift = Cause::Drift { resource: drift.resource.clone(), manager: drift.manager.clone() };
        let of_commit = Cause::Commit { revision: revision("b") };
        // deployed, suspended, policy, intent, drift, heals -> the cause of the sync, or none where it is held
        type Case<'a> = (&'a str, bool, &'a SyncPolicy, bool, bool, &'a [Instant], Option<Cause>);
        let cases: [Case<'_>; 10] = [
            ("a", false, &all, false, false, &[], sync(of_commit.clone())),
            ("a", false, &manual, false, false, &[], None),
            ("a", false, &manual, true, false, &[], sync(person.clone())),
            ("a", true, &all, false, false, &[], None),
            ("a", true, &all, true, false, &[], None),
            ("b", false, &all, false, true, &[], sync(of_drift.clone())),
            ("b", false, &lenient, false, true, &[], None),
            ("b", false, &lenient, true, true, &[], sync(person.clone())),
            ("b", false, &all, false, true, &fought, None),
            ("b", false, &all, true, true, &fought, sync(person)),
        ];
        for (index, (deployed, suspended, policy, asked, drifted, heals, expected)) in cases.into_iter().enumerate() {
            let mut status = new_row(&name, SpecSummary::default(), Timestamp::UNIX_EPOCH).status;
            status.revision = Some(revision(deployed));
            status.suspended = suspended;
            let target = revision("b");
            let standing = Standing {
                status: &status,
                policy,
                intent: asked.then_some(&intent),
                drift: drifted.then_some(&drift),
                revision: &target,
                heals,
            };
            let decision = decide(&standing, false, false, now);
            match expected {
                Some(cause) => assert_eq!(decision, Decision::Sync(cause), "case {index}"),
                None => assert!(matches!(decision, Decision::Hold { .. }), "case {index}: {decision:?}"),
            }
            assert_eq!(decide(&standing, true, false, now), Decision::Nothing, "case {index}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn nothing_is_synced_against_a_persons_will(
            (suspended, automatic, self_heal) in any::<(bool, bool, bool)>(),
            (is_deployed, is_new, asked, drifted) in any::<(bool, bool, bool, bool)>(),
            (nothing, refused) in any::<(bool, bool)>(),
            fought in 0..HEALS + 2,
        ) {
            let mut status = new_row(&"shop".parse().unwrap(), SpecSummary::default(), Timestamp::UNIX_EPOCH).status;
            status.revision = is_deployed.then(|| revision(if is_new { "a" } else { "b" }));
            status.suspended = suspended;
            let is_new = is_new || !is_deployed;
            let policy = SyncPolicy { automatic, self_heal, ..SyncPolicy::default() };
            let cause = Cause::Person { uid: 7, name: "alice".to_owned() };
            let intent = Intent { request: SyncRequest::default(), cause: cause.clone(), at: Timestamp::UNIX_EPOCH };
            let drift = Drift { resource: ResourceRef::new("", "ConfigMap", Some("prod"), "a"), manager: None };
            let (target, now) = (revision("b"), Instant::now());
            let heals = vec![now; fought];
            let standing = Standing {
                status: &status,
                policy: &policy,
                intent: asked.then_some(&intent),
                drift: drifted.then_some(&drift),
                revision: &target,
                heals: &heals,
            };
            let decision = decide(&standing, nothing, refused, now);
            let synced = matches!(decision, Decision::Sync(_));
            prop_assert_eq!(decision == Decision::Nothing, nothing && !refused);
            if synced {
                prop_assert!(!suspended);
                let by_itself = if is_new { automatic } else { self_heal && fought < HEALS };
                prop_assert!(asked || by_itself);
            }
            if asked && !suspended && decision != Decision::Nothing {
                prop_assert_eq!(&decision, &Decision::Sync(cause));
            }
            // The same standing is decided the same way.
            prop_assert_eq!(decide(&standing, nothing, refused, now), decision);
        }
    }
}
