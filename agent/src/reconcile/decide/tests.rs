use jiff::Timestamp;
use proptest::prelude::*;
use quarterdeck_shared::event::{Part, SyncRecord};
use quarterdeck_shared::id::{Prefix, SyncId};
use quarterdeck_shared::protocol::SyncRequest;
use quarterdeck_shared::snapshot::{Hold, SpecSummary};

use super::*;
use crate::journal::fold::new_row;
use crate::reconcile::fights::{HEALS, WAIT_FIRST};

fn revision(digit: &str) -> Revision {
    Revision::new("main", digit.repeat(40).parse().unwrap())
}

fn resource(name: &str) -> ResourceRef {
    ResourceRef::new("apps", "Deployment", Some("prod"), name)
}

fn change(name: &str, action: Action) -> Change {
    Change { resource: resource(name), action, fields: Vec::new(), reason: None }
}

fn person() -> Cause {
    Cause::Person { uid: 7, name: "alice".to_owned() }
}

fn status(deployed: Option<&str>) -> EnvironmentStatus {
    let mut status = new_row(&"shop/prod".parse().unwrap(), SpecSummary::default(), Timestamp::UNIX_EPOCH).status;
    status.revision = deployed.map(revision);
    status
}

fn intent() -> Intent {
    Intent { request: SyncRequest::default(), cause: person(), at: Timestamp::UNIX_EPOCH, adoption: None }
}

fn fought(names: &[&str], now: Instant) -> Fights {
    let mut fights = Fights::default();
    for _ in 0..HEALS {
        names.iter().for_each(|name| fights.healed(&resource(name), now));
    }
    fights
}

#[test]
fn policies_and_persons_decide() {
    let drift = Drift { resource: resource("shop"), manager: Some("kubectl-edit".to_owned()) };
    let intent = intent();
    let all = SyncPolicy::default();
    let manual = SyncPolicy { automatic: false, ..all.clone() };
    let lenient = SyncPolicy { self_heal: false, ..all.clone() };
    let now = Instant::now();
    let (peace, fought) = (Fights::default(), fought(&["shop"], now));
    let change = change("shop", Action::Configure);
    let sync = |cause| Some(cause);
    let of_drift = Cause::Drift { resource: drift.resource.clone(), manager: drift.manager.clone() };
    let of_commit = Cause::Commit { revision: revision("b") };
    // deployed, suspended, policy, intent, drift, fights, applied before -> the cause of the sync, or none where it is held
    type Case<'a> = (&'a str, bool, &'a SyncPolicy, bool, bool, &'a Fights, bool, Option<Cause>);
    let cases: [Case<'_>; 13] = [
        ("a", false, &all, false, false, &peace, false, sync(of_commit.clone())),
        ("a", false, &all, false, false, &fought, true, sync(of_commit)),
        ("a", false, &manual, false, false, &peace, false, None),
        ("a", false, &manual, true, false, &peace, false, sync(person())),
        ("a", false, &manual, false, true, &peace, true, sync(of_drift.clone())),
        ("b", false, &manual, false, true, &peace, false, None),
        ("a", true, &all, false, false, &peace, false, None),
        ("a", true, &all, true, false, &peace, false, None),
        ("b", false, &all, false, true, &peace, false, sync(of_drift)),
        ("b", false, &lenient, false, true, &peace, true, None),
        ("b", false, &lenient, true, true, &peace, true, sync(person())),
        ("b", false, &all, false, true, &fought, true, None),
        ("b", false, &all, true, true, &fought, true, sync(person())),
    ];
    for (index, (deployed, suspended, policy, asked, drifted, fights, again, expected)) in cases.into_iter().enumerate()
    {
        let mut status = status(Some(deployed));
        status.suspended = suspended;
        let target = revision("b");
        let standing = Standing {
            status: &status,
            policy,
            intent: asked.then_some(&intent),
            drift: drifted.then_some(&drift),
            revision: &target,
            differing: &[Differing { change: &change, again }],
            hooks: false,
            fights,
        };
        let decision = decide(&standing, false, false, now);
        match expected {
            Some(cause) => assert_eq!(decision, Decision::Sync { cause, held: Held::default() }, "case {index}"),
            None => assert!(matches!(decision, Decision::Hold { .. }), "case {index}: {decision:?}"),
        }
        assert_eq!(decide(&standing, true, false, now), Decision::Nothing, "case {index}");
    }
}

/// What the cluster refused to say may differ or not.
#[test]
fn a_plan_that_could_not_be_told_is_not_said_to_differ() {
    let (manual, fights, target) =
        (SyncPolicy { automatic: false, ..SyncPolicy::default() }, Fights::default(), revision("b"));
    let one = change("one", Action::Configure);
    let differing = [Differing { change: &one, again: false }];
    for (suspended, differing, refused, message) in [
        (true, &differing[..], false, "suspended; differs from git"),
        (true, &differing[..], true, "suspended; differs from git"),
        (true, &[], true, "suspended; whether it differs from git is not known"),
        (false, &[], true, "whether it differs from git is not known, and automatic sync is off"),
    ] {
        let mut status = status(Some("a"));
        status.suspended = suspended;
        let policy = &manual;
        let standing = Standing {
            status: &status,
            policy,
            intent: None,
            drift: None,
            revision: &target,
            differing,
            hooks: false,
            fights: &fights,
        };
        let decision = decide(&standing, false, refused, Instant::now());
        assert_eq!(decision, Decision::Hold { message: message.to_owned(), retry_after: None });
    }
}

/// A manual environment; a person applied one object of a commit that changes another and removes a third.
#[test]
fn of_a_manual_application_only_what_was_applied_before_is_applied_again() {
    let manual = SyncPolicy { automatic: false, ..SyncPolicy::default() };
    let mut status = status(Some("a"));
    let part = Part::new([resource("one")].iter(), 3);
    status.last_sync = Some(SyncRecord {
        id: SyncId::new(Prefix::of(1), 1),
        environment: "shop/prod".parse().unwrap(),
        revision: revision("b"),
        part: Some(part),
        content: String::new(),
        cause: person(),
        phase: Phase::Succeeded,
        started: Timestamp::UNIX_EPOCH,
        finished: None,
        message: String::new(),
        hint: String::new(),
        images: Vec::new(),
        changes: Vec::new(),
    });
    let (drifted, newer, old) =
        (change("beside", Action::Configure), change("two", Action::Configure), change("precious", Action::Prune));
    let differing = [
        Differing { change: &drifted, again: true },
        Differing { change: &newer, again: false },
        Differing { change: &old, again: false },
    ];
    let drift = Drift { resource: resource("beside"), manager: None };
    let standing = |differing| Standing {
        status: &status,
        policy: &manual,
        intent: None,
        drift: Some(&drift),
        revision: &REVISION,
        differing,
        hooks: false,
        fights: &PEACE,
    };
    static REVISION: std::sync::LazyLock<Revision> = std::sync::LazyLock::new(|| revision("b"));
    static PEACE: std::sync::LazyLock<Fights> = std::sync::LazyLock::new(Fights::default);
    let words = "1 of 3 objects of main@bbbbbbb applied, and automatic sync is off";
    let Decision::Sync { cause: Cause::Drift { .. }, held } =
        decide(&standing(&differing), false, false, Instant::now())
    else {
        panic!("the drift is not reverted")
    };
    assert_eq!(held.objects, [resource("two"), resource("precious")].into());
    assert_eq!(held.message, words);
    let held = Decision::Hold { message: words.to_owned(), retry_after: None };
    assert_eq!(decide(&standing(&differing[1..]), false, false, Instant::now()), held);
    assert_eq!(
        decide(&standing(&differing), false, true, Instant::now()),
        held,
        "a refusal of what waits is not told yet"
    );
}

#[test]
fn what_is_fought_over_is_held_and_the_rest_is_reverted() {
    let (policy, status, now) = (SyncPolicy::default(), status(Some("b")), Instant::now());
    let (shop, till) = (change("shop", Action::Configure), change("till", Action::Create));
    let differing = [Differing { change: &shop, again: true }, Differing { change: &till, again: true }];
    let drift = Drift { resource: resource("shop"), manager: Some("hpa".to_owned()) };
    let (fights, target) = (fought(&["shop"], now), revision("b"));
    let standing = Standing {
        status: &status,
        policy: &policy,
        intent: None,
        drift: Some(&drift),
        revision: &target,
        differing: &differing,
        hooks: false,
        fights: &fights,
    };
    let Decision::Sync { cause, held } = decide(&standing, false, false, now) else { panic!("nothing is reverted") };
    assert_eq!(cause, Cause::Drift { resource: resource("till"), manager: None });
    assert_eq!((held.objects, held.retry_after), ([resource("shop")].into(), Some(WAIT_FIRST)));
    assert!(held.message.contains("keeps changing Deployment/shop"), "{}", held.message);
    let later = now + WAIT_FIRST;
    let Decision::Sync { held, .. } = decide(&standing, false, false, later) else { panic!("it is tried again") };
    assert_eq!(held, Held::default());
}

#[test]
fn a_suspended_application_says_by_whom() {
    let (policy, mut status) = (SyncPolicy::default(), status(Some("a")));
    status.suspended = true;
    status.suspension = Some(Hold { reason: "a test".to_owned(), cause: person(), at: Timestamp::UNIX_EPOCH });
    let (target, fights) = (revision("b"), Fights::default());
    let standing = Standing {
        status: &status,
        policy: &policy,
        intent: None,
        drift: None,
        revision: &target,
        differing: &[],
        hooks: false,
        fights: &fights,
    };
    let message = "suspended by alice: a test; differs from git".to_owned();
    let held = Decision::Hold { message, retry_after: None };
    assert_eq!(decide(&standing, false, false, Instant::now()), held);
}

#[test]
fn hooks_alone_are_run_where_that_is_automatic_or_a_person_asks() {
    let (automatic, intent, fights) = (SyncPolicy::default(), intent(), Fights::default());
    let manual = SyncPolicy { automatic: false, ..automatic.clone() };
    let target = revision("b");
    let waits =
        || Decision::Hold { message: "differs from git, and automatic sync is off".to_owned(), retry_after: None };
    let sync = |cause| Decision::Sync { cause, held: Held::default() };
    for (deployed, policy, asked, expected) in [
        ("a", &automatic, false, sync(Cause::Commit { revision: target.clone() })),
        ("b", &automatic, false, sync(Cause::Agent)),
        ("a", &manual, false, waits()),
        ("b", &manual, false, waits()),
        ("b", &manual, true, sync(person())),
    ] {
        let status = status(Some(deployed));
        let standing = Standing {
            status: &status,
            policy,
            intent: asked.then_some(&intent),
            drift: None,
            revision: &target,
            differing: &[],
            hooks: true,
            fights: &fights,
        };
        assert_eq!(decide(&standing, false, false, Instant::now()), expected, "{deployed} {policy:?}");
    }
}

/// A manual environment whose next commit has hooks: what somebody changed meanwhile is reverted without them.
#[test]
fn a_revert_runs_no_hooks_that_nobody_asked_for() {
    let manual = SyncPolicy { automatic: false, ..SyncPolicy::default() };
    let (status, target, fights) = (status(Some("a")), revision("b"), Fights::default());
    let drifted = change("shop", Action::Configure);
    let drift = Drift { resource: resource("shop"), manager: None };
    let standing = Standing {
        status: &status,
        policy: &manual,
        intent: None,
        drift: Some(&drift),
        revision: &target,
        differing: &[Differing { change: &drifted, again: true }],
        hooks: true,
        fights: &fights,
    };
    let Decision::Sync { cause: Cause::Drift { .. }, held } = decide(&standing, false, false, Instant::now()) else {
        panic!("the drift is not reverted")
    };
    assert_eq!((held.hooks, held.objects.len(), held.is_empty()), (true, 0, false));
    assert_eq!(held.message, "differs from git, and automatic sync is off");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_synced_against_a_persons_will(
        (suspended, automatic, self_heal) in any::<(bool, bool, bool)>(),
        (is_deployed, is_new, asked, drifted) in any::<(bool, bool, bool, bool)>(),
        (nothing, refused, hooks) in any::<(bool, bool, bool)>(),
        objects in proptest::collection::vec((any::<bool>(), any::<bool>(), 0..3_u8), 0..6),
    ) {
        let mut status = status(is_deployed.then_some(if is_new { "a" } else { "b" }));
        status.suspended = suspended;
        let is_new = is_new || !is_deployed;
        let policy = SyncPolicy { automatic, self_heal, ..SyncPolicy::default() };
        let intent = intent();
        let drift = Drift { resource: resource("0"), manager: None };
        let (target, now) = (revision("b"), Instant::now());
        let actions = [Action::Create, Action::Configure, Action::Prune];
        let changes: Vec<Change> = objects
            .iter()
            .enumerate()
            .map(|(name, (_, _, action))| change(&name.to_string(), actions[*action as usize]))
            .collect();
        let differing: Vec<Differing<'_>> = changes
            .iter()
            .zip(&objects)
            .map(|(change, (again, _, _))| Differing { change, again: *again && change.action != Action::Prune })
            .collect();
        let mut fights = Fights::default();
        for (change, _) in changes.iter().zip(&objects).filter(|(_, (_, fought, _))| *fought) {
            (0..HEALS).for_each(|_| fights.healed(&change.resource, now));
        }
        let standing = Standing {
            status: &status,
            policy: &policy,
            intent: asked.then_some(&intent),
            drift: drifted.then_some(&drift),
            revision: &target,
            differing: &differing,
            hooks,
            fights: &fights,
        };
        let decision = decide(&standing, nothing, refused, now);
        prop_assert_eq!(decision == Decision::Nothing, nothing && !refused);
        if asked && !suspended && decision != Decision::Nothing {
            prop_assert_eq!(&decision, &Decision::Sync { cause: person(), held: Held::default() });
        }
        if let Decision::Sync { held, .. } = &decision {
            prop_assert!(!suspended);
            let done: Vec<_> = differing.iter().filter(|one| !held.objects.contains(&one.change.resource)).collect();
            let is_release = is_new && automatic;
            if !(asked || is_release || refused) {
                prop_assert!(self_heal || done.is_empty(), "nothing is reverted where that is off");
                let is_held = |one: &&&Differing<'_>| fights.wait(&one.change.resource, now).is_some();
                prop_assert!(!done.iter().any(|one| is_held(&one)), "no fight goes on");
                prop_assert!(automatic || done.iter().all(|one| one.again), "nothing is applied that nobody asked for");
            }
            prop_assert_eq!(held.is_empty(), held.message.is_empty(), "what is held is told");
            prop_assert!(!hooks || held.hooks || asked || automatic, "no hook is run that nobody asked for");
            prop_assert!(!hooks || held.hooks || held.objects.is_empty(), "hooks are run for the whole");
        }
        // The same standing is decided the same way.
        prop_assert_eq!(decide(&standing, nothing, refused, now), decision);
    }
}
