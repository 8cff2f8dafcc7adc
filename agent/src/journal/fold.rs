//! How facts change an environment or an application: pure. What follows from a change (health became another) is told as an event.

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{ApplicationStatus, EnvironmentStatus, Pending, SpecSummary};
use quarterdeck_shared::status::{Health, SyncStatus};

use super::fact::{ApplicationPatch, Patch};
use crate::history::EnvironmentRow;

/// What a patch led to.
#[derive(Debug, Default, PartialEq)]
pub struct Folded {
    /// What happened by it.
    pub events: Vec<(Cause, Event)>,
    /// Whether it has to be kept over a restart.
    pub keep: bool,
}

/// An application that nothing is known of yet.
pub fn new_application(name: &ApplicationName) -> ApplicationStatus {
    ApplicationStatus {
        name: name.clone(),
        environments: Vec::new(),
        code: None,
        images: Vec::new(),
        defined: None,
        last: None,
        artifact: None,
        message: String::new(),
        unseen: Vec::new(),
    }
}

/// Applies a patch of an application; whether it has to be kept over a restart.
pub fn fold_application(status: &mut ApplicationStatus, patch: ApplicationPatch) -> bool {
    match patch {
        ApplicationPatch::Configured { environments, code, images, defined } => {
            (status.environments, status.code, status.images) = (environments, code, images);
            status.defined = defined;
            status.message.clear();
            false
        }
        ApplicationPatch::Last(last) => {
            status.last = Some(last);
            true
        }
        ApplicationPatch::Refused(message) => {
            status.message = message;
            false
        }
        ApplicationPatch::Unseen(unseen) => {
            status.unseen = unseen;
            false
        }
    }
}

/// An environment that nothing is known of yet.
pub fn new_row(id: &EnvironmentId, spec: SpecSummary, now: Timestamp) -> EnvironmentRow {
    EnvironmentRow {
        status: EnvironmentStatus {
            environment: id.clone(),
            sync: SyncStatus::Unknown,
            health: Health::Unknown,
            revision: None,
            images: Vec::new(),
            suspended: false,
            message: String::new(),
            hint: String::new(),
            since: now,
            unseen: Vec::new(),
            last_known: None,
            target: None,
            suspension: None,
            pin: None,
            pending: None,
            progress: None,
            last: None,
            last_sync: None,
            tests: None,
            deletion: None,
            drifted: 0,
            resources: 0,
            rendered: None,
            spec,
        },
        sync_message: String::new(),
        sync_hint: String::new(),
        health_message: String::new(),
    }
}

/// Applies a patch.
pub fn fold(row: &mut EnvironmentRow, patch: Patch, now: Timestamp) -> Folded {
    let status = &mut row.status;
    let mut folded = Folded { keep: true, ..Folded::default() };
    match patch {
        Patch::Configured(spec) => status.spec = spec,
        Patch::Target { revision, rewritten } => {
            if status.target.as_ref() != Some(&revision) {
                let event = Event::RevisionChanged { revision: revision.clone(), rewritten };
                folded.events.push((Cause::Agent, event));
            }
            status.target = Some(revision);
        }
        Patch::Deployed { revision, images } => {
            status.revision = Some(revision);
            status.images = images;
        }
        Patch::Compared { sync, why: Failure { message, hint }, drifted, resources } => {
            if sync != status.sync {
                let event = Event::SyncStatusChanged { from: status.sync, to: sync, message: message.clone() };
                folded.events.push((Cause::Agent, event));
                status.since = now;
            } else {
                folded.keep = message != row.sync_message
                    || hint != row.sync_hint
                    || drifted != status.drifted
                    || resources.is_some_and(|n| n != status.resources);
            }
            status.sync = sync;
            status.drifted = drifted;
            status.resources = resources.unwrap_or(status.resources);
            (row.sync_message, row.sync_hint) = (message, hint);
        }
        Patch::Assessed { health, message } => {
            if health != status.health {
                let event = Event::HealthChanged { from: status.health, to: health, message: message.clone() };
                folded.events.push((Cause::Agent, event));
                status.since = now;
            } else {
                // The words change with every pod of a rollout; who looks sees them, a restart does without.
                folded.keep = false;
            }
            status.health = health;
            row.health_message = message;
        }
        Patch::Rendered(from) => {
            status.rendered = Some(from);
            folded.keep = false;
        }
        Patch::Progress(progress) => {
            status.progress = progress;
            folded.keep = false;
        }
        Patch::Pending(pending) => status.pending = pending,
        Patch::Suspension(hold) => {
            status.suspended = hold.is_some();
            status.suspension = hold;
        }
        Patch::Pin(pin) => status.pin = pin,
        Patch::Deletion(deletion) => status.deletion = Some(deletion),
        Patch::Undeployed => {
            status.revision = None;
            status.images = Vec::new();
        }
        Patch::Tests(tests) => status.tests = Some(tests),
        Patch::Last(last) => status.last = Some(last),
        Patch::Unseen { of, unseen } => {
            status.unseen.retain(|before| before.of != of);
            status.unseen.extend(unseen);
            status.unseen.sort_by_key(|unseen| unseen.of);
            folded.keep = false;
        }
    }
    let why = why(row);
    (row.status.message, row.status.hint) = (why.message, why.hint);
    folded
}

/// Why it is as it is: why it is not synced, else why it is not healthy, else what holds it; and what waits in git. During the
/// first sync that is what is being done, since nothing else is so any more. What to do is known of the first of these alone.
fn why(row: &EnvironmentRow) -> Failure {
    let EnvironmentRow { status, sync_message: sync, sync_hint, health_message: health } = row;
    if let (Some(progress), None) = (&status.progress, &status.revision) {
        return Failure::text(progress.describe());
    }
    let held = status.held();
    let pending = status.pending.as_ref().map(Pending::describe).unwrap_or_default();
    let why = [sync.as_str(), health, &held].into_iter().find(|message| !message.is_empty()).unwrap_or_default();
    // What waits is no reason of what is not healthy.
    let is_unhealthy = sync.is_empty() && !health.is_empty();
    let parts = [why, if is_unhealthy { "" } else { &pending }];
    let message = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    Failure { message, hint: if sync.is_empty() { String::new() } else { sync_hint.clone() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_health_is_an_event_and_a_change_of_words_is_none() {
        let name: EnvironmentId = "shop/prod".parse().unwrap();
        let start = Timestamp::UNIX_EPOCH;
        let later = start + jiff::SignedDuration::from_secs(5);
        let mut row = new_row(&name, SpecSummary::default(), start);
        let assessed = |message: &str| Patch::Assessed { health: Health::Degraded, message: message.to_owned() };

        let first = fold(&mut row, assessed("exit 1"), later);
        assert_eq!(first.events.len(), 1);
        assert!(first.keep);
        assert_eq!(row.status.since, later);

        let second = fold(&mut row, assessed("exit 2"), later);
        assert_eq!(second, Folded::default());
        assert_eq!(row.status.message, "exit 2");
    }

    #[test]
    fn why_it_is_not_synced_outranks_why_it_is_not_healthy() {
        let name: EnvironmentId = "shop/prod".parse().unwrap();
        let mut row = new_row(&name, SpecSummary::default(), Timestamp::UNIX_EPOCH);
        fold(
            &mut row,
            Patch::Assessed { health: Health::Degraded, message: "exit 1".to_owned() },
            Timestamp::UNIX_EPOCH,
        );
        let compared = |message: &str, hint: &str| Patch::Compared {
            sync: SyncStatus::Unknown,
            why: Failure { message: message.to_owned(), hint: hint.to_owned() },
            drifted: 0,
            resources: None,
        };
        fold(&mut row, compared("bad manifest", "correct it"), Timestamp::UNIX_EPOCH);
        assert_eq!((&*row.status.message, &*row.status.hint), ("bad manifest", "correct it"));
        fold(&mut row, compared("", ""), Timestamp::UNIX_EPOCH);
        assert_eq!((&*row.status.message, &*row.status.hint), ("exit 1", ""));
    }

    #[test]
    fn what_holds_it_and_what_waits_is_said_where_nothing_is_wrong() {
        use quarterdeck_shared::revision::Revision;
        use quarterdeck_shared::snapshot::{Hold, Pin, Progress};
        let at = |reference: &str, digit: char| Revision::new(reference, digit.to_string().repeat(40).parse().unwrap());
        let hold = |reason: &str| Hold { reason: reason.to_owned(), cause: Cause::Agent, at: Timestamp::UNIX_EPOCH };
        let by = Cause::Agent.describe();
        let mut row = new_row(&"shop/prod".parse().unwrap(), SpecSummary::default(), Timestamp::UNIX_EPOCH);
        let mut then = |patch: Patch| {
            fold(&mut row, patch, Timestamp::UNIX_EPOCH);
            row.status.message.clone()
        };
        let assessed = |health, message: &str| Patch::Assessed { health, message: message.to_owned() };
        then(assessed(Health::Missing, "no objects found in the cluster"));
        let first = then(Patch::Progress(Some(Progress::Planning { objects: 80 })));
        assert_eq!(first, "planning 80 objects", "nothing else is so any more");
        then(Patch::Progress(None));
        then(Patch::Deployed { revision: at("main", 'a'), images: Vec::new() });
        then(assessed(Health::Healthy, ""));
        then(Patch::Pin(Some(Pin { revision: at(Revision::PIN, 'a'), hold: hold("bad release") })));
        let pending = Pending { commits: 2, newest: at("main", 'e') };
        let pinned = format!("pinned to aaaaaaa by {by}: bad release; 2 commits wait, newest main@eeeeeee");
        assert_eq!(then(Patch::Pending(Some(pending))), pinned);
        assert_eq!(then(Patch::Progress(Some(Progress::Planning { objects: 80 }))), pinned, "it runs already");
        assert_eq!(then(assessed(Health::Degraded, "exit 1")), "exit 1");
        then(assessed(Health::Healthy, ""));
        then(Patch::Suspension(Some(hold("month end"))));
        let both = format!("suspended by {by}: month end; {pinned}");
        assert_eq!(then(Patch::Progress(None)), both);
    }
}
