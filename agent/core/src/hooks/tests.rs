use proptest::prelude::*;
use quarterdeck_shared::change::Wait;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::{Value, json};

use super::*;

const BEFORE_CREATION: DeletePolicy = DeletePolicy { before_creation: true, succeeded: false, failed: false };

fn moment(name: &str) -> Moment {
    Moment::named(name).unwrap()
}

fn hook(kind: &str, name: &str, moments: &[&str], weight: i64) -> Hook {
    let (group, version) = if kind == "Job" { ("batch", "batch/v1") } else { ("", "v1") };
    let object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"name": name, "annotations": {"helm.sh/hook": moments.join(",")}},
        "spec": {"ttlSecondsAfterFinished": 0},
    });
    let resource = ResourceRef::new(group, kind, Some("shop"), name);
    Hook {
        manifest: Manifest::new(resource, "v1".to_owned(), object, "hooks.yaml".into()),
        moments: moments.iter().map(|name| moment(name)).collect(),
        weight,
        deleted: BEFORE_CREATION,
        timeout: Duration::from_secs(300),
    }
}

fn wanted(content: &str, hooks: Vec<Hook>) -> Wanted {
    Wanted { hooks, content: content.to_owned(), rollback: false, deletion: None }
}

fn running(content: &str, event: Event, passed: Option<When>) -> Option<Running> {
    Some(Running { content: content.to_owned(), event, id: "s-1".to_owned(), passed })
}

#[test]
fn a_moment_is_read_as_it_is_written() {
    for name in ["pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-rollback", "post-rollback"] {
        assert_eq!((moment(name).name(), moment(name).is_on_demand()), (name, false));
    }
    for (name, means) in
        [("test", "test"), ("test-success", "test"), ("pre-delete", "pre-delete"), ("post-delete", "post-delete")]
    {
        assert_eq!((moment(name).name(), moment(name).is_on_demand()), (means, true));
    }
    assert_eq!(Moment::named("test-failure"), None);
}

#[test]
fn hooks_are_due_where_the_content_is_not_what_was_applied() {
    use Event::{Install, Rollback, Upgrade};
    let all = ["pre-install", "pre-upgrade", "pre-rollback"];
    let record = |applied: Option<&str>, running| Record { applied: applied.map(str::to_owned), running };
    let (nothing, objects) = (Seen { is_first: true, changes: true }, Seen { is_first: false, changes: true });
    let as_git_says = Seen { is_first: false, changes: false };
    for (what, record, seen, rollback, expected) in [
        ("the first release", Record::default(), nothing, false, Some(Install)),
        ("to a pin as well", Record::default(), nothing, true, Some(Install)),
        ("the first one failed", record(None, running("b", Install, None)), objects, false, Some(Install)),
        ("and was corrected", record(None, running("a", Install, None)), objects, false, Some(Install)),
        ("another content", record(Some("a"), None), objects, false, Some(Upgrade)),
        ("of hooks alone", record(Some("a"), None), as_git_says, false, Some(Upgrade)),
        ("the same content", record(Some("b"), None), objects, false, None),
        ("an upgrade failed", record(Some("a"), running("b", Upgrade, None)), as_git_says, false, Some(Upgrade)),
        ("back from one that failed", record(Some("b"), running("c", Upgrade, None)), objects, false, None),
        ("a rollback", record(Some("a"), None), objects, true, Some(Rollback)),
        ("a failed upgrade is pinned", record(Some("a"), running("b", Upgrade, None)), objects, true, Some(Upgrade)),
        ("deployed before without hooks", Record::default(), as_git_says, false, None),
        ("and changes", Record::default(), objects, false, Some(Upgrade)),
        ("and failed then", record(None, running("a", Upgrade, None)), objects, false, Some(Upgrade)),
    ] {
        let wanted = Wanted { rollback, ..wanted("b", vec![hook("Job", "migrate", &all, 0)]) };
        assert_eq!(due(&wanted, &record, seen).map(|due| due.event), expected, "{what}");
    }
    let of_an_install = wanted("b", vec![hook("Job", "migrate", &["pre-install"], 0)]);
    assert_eq!(due(&of_an_install, &record(Some("a"), None), objects), None, "no hook of an upgrade");
}

#[test]
fn hooks_run_by_weight_then_name_then_kind() {
    let all = vec![
        hook("Job", "b", &["pre-install"], 0),
        hook("Job", "a", &["pre-install", "post-install"], 0),
        hook("ConfigMap", "a", &["pre-install"], 0),
        hook("Job", "z", &["pre-install"], -5),
        hook("Job", "last", &["post-install"], -9),
        hook("Job", "other", &["pre-upgrade"], -9),
    ];
    let due = due(&wanted("b", all), &Record::default(), Seen { is_first: true, changes: true }).unwrap();
    let Phases { before, after } = due.phases("shop/prod", "s-7");
    let names = |phase: &Phase| phase.runs.iter().map(|run| run.moment.describe(run.resource())).collect::<Vec<_>>();
    assert_eq!(
        names(&before),
        [
            "Job/z (pre-install, weight -5)",
            "ConfigMap/a (pre-install, weight 0)",
            "Job/a (pre-install, weight 0)",
            "Job/b (pre-install, weight 0)",
        ]
    );
    assert_eq!(names(&after), ["Job/last (post-install, weight -9)", "Job/a (post-install, weight 0)"]);
    assert!(!before.passed && !after.passed);
}

#[test]
fn a_run_goes_on_where_it_was() {
    let wanted = wanted("b", vec![hook("Job", "a", &["pre-upgrade", "post-upgrade"], 0)]);
    let record = Record { applied: Some("a".to_owned()), running: running("b", Event::Upgrade, Some(When::Before)) };
    let due = due(&wanted, &record, Seen { is_first: false, changes: true }).unwrap();
    assert_eq!(due.record(record.applied.clone(), "s-9"), record, "its id and what it passed stay");
    let Phases { before, after } = due.phases("shop/prod", "s-9");
    assert_eq!((before.passed, after.passed), (true, false));
    let annotation = &before.runs[0].manifest.object.head()["metadata"]["annotations"][HOOK_ANNOTATION];
    assert!(annotation.as_str().unwrap().starts_with("shop/prod pre-upgrade s-1 "), "{annotation}");
}

/// A run of a Job as a pre-install hook, changed.
fn run(change: impl Fn(&mut Hook)) -> Run {
    let mut hook = hook("Job", "migrate", &["pre-install"], 0);
    change(&mut hook);
    Run::new(&hook, "pre-install", "shop/prod", "s-1")
}

#[test]
fn a_job_stays_long_enough_for_its_end_to_be_seen() {
    let ttl = |run: Run| run.manifest.object.value()["spec"]["ttlSecondsAfterFinished"].clone();
    assert_eq!(ttl(run(|_| ())), 60);
    let longer = |hook: &mut Hook| {
        let mut object = hook.manifest.object.clone().into_value();
        object["spec"]["ttlSecondsAfterFinished"] = json!(90);
        hook.manifest.object = object.into();
    };
    assert_eq!(ttl(run(longer)), 90);
}

#[test]
fn jobs_and_pods_are_waited_for() {
    for (kind, wait) in [("Job", Wait::Completed), ("Pod", Wait::Completed), ("ConfigMap", Wait::None)] {
        let run = Run::new(&hook(kind, "a", &["pre-install"], 0), "pre-install", "shop/prod", "s-1");
        assert_eq!(run.wait(), wait, "{kind}");
    }
}

#[test]
fn what_is_there_under_the_name_of_a_hook_decides() {
    let plain = run(|_| ());
    let live = |annotations: Value, labels: Value| json!({"metadata": {"name": "migrate", "uid": "u", "annotations": annotations, "labels": labels}});
    let mine = plain.manifest.object.head()["metadata"]["annotations"].clone();
    let ours = |key: &str| live(json!({HOOK_ANNOTATION: key}), json!({}));
    let of = |environment: &str| {
        let labels = json!({"quarterdeck.dev/application": "shop", "quarterdeck.dev/environment": environment});
        live(json!({}), labels)
    };
    let going = {
        let mut going = live(mine.clone(), json!({}));
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        going
    };
    let replace = || "replace u".to_owned();
    let kept = run(|hook| hook.deleted = DeletePolicy { succeeded: true, ..DeletePolicy::default() });
    for (what, run, live, failed, expected) in [
        ("nothing", &plain, None, false, "create".to_owned()),
        ("it runs already", &plain, Some(live(mine.clone(), json!({}))), false, "wait".to_owned()),
        ("it failed and is tried again", &plain, Some(live(mine.clone(), json!({}))), true, replace()),
        ("of an earlier run", &plain, Some(ours("shop/prod pre-install s-0 00")), false, replace()),
        ("of another phase of this run", &plain, Some(ours("shop/prod post-install s-1 00")), false, replace()),
        ("being deleted", &plain, Some(going), false, replace()),
        ("made by helm", &plain, Some(live(json!({"helm.sh/hook": "pre-install"}), json!({}))), false, replace()),
        ("an object of this environment before", &plain, Some(of("prod")), false, replace()),
        (
            "an object of another environment",
            &plain,
            Some(of("qa")),
            false,
            "it exists and belongs to environment shop/qa".to_owned(),
        ),
        (
            "a hook of another environment",
            &plain,
            Some(ours("shop/qa pre-install s-1 00")),
            false,
            "it exists and belongs to environment shop/qa".to_owned(),
        ),
        ("something else", &plain, Some(live(json!({}), json!({}))), false, "it exists and is not a hook".to_owned()),
        (
            "its policy keeps it",
            &kept,
            Some(ours("shop/prod pre-install s-0 00")),
            false,
            "it exists, and its delete policy keeps it".to_owned(),
        ),
    ] {
        let found = match begin(run, live.as_ref(), failed) {
            Begin::Create => "create".to_owned(),
            Begin::Replace(uid) => format!("replace {uid}"),
            Begin::Wait => "wait".to_owned(),
            Begin::Refuse { message, .. } => message,
        };
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_definition_is_never_deleted() {
    let definition = run(|hook| {
        hook.manifest.resource = ResourceRef::new("apiextensions.k8s.io", "CustomResourceDefinition", None, "a.b");
        hook.deleted = DeletePolicy { before_creation: true, succeeded: true, failed: true };
    });
    assert!(!definition.goes_when_succeeded() && !definition.goes_when_failed());
    let live = json!({"metadata": {"annotations": {HOOK_ANNOTATION: "shop/prod pre-install s-0 00"}}});
    assert_eq!(begin(&definition, Some(&live), false), Begin::Create);
}

#[test]
fn the_worst_and_newest_pod_says_why() {
    let pod = |name: &str, phase: &str, created: &str, code: i64| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]},
            "status": {"phase": phase, "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": code, "message": "no such table\n"}}}]},
        })
    };
    let pods = [
        pod("old", "Failed", "2026-01-01T00:00:00Z", 1),
        pod("new", "Failed", "2026-01-02T00:00:00Z", 2),
        pod("done", "Succeeded", "2026-01-03T00:00:00Z", 0),
    ];
    assert_eq!(pod_report(&pods).as_deref(), Some("Pod/new: container a: exit 2, \"no such table\""));
    assert_eq!(pod_report(&pods[2..]), None);
    let mut running = pods[2].clone();
    running["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    assert_eq!(pod_report(&[running.clone()]), None, "its Job says that it runs");
    running["status"] = json!({"phase": "Pending"});
    assert!(pod_report(&[running]).unwrap().starts_with("Pod/done: "));
    assert_eq!(pod_report(&[]), None);
}

proptest! {
    /// Whatever was recorded and is seen: each hook of the event has one run, in the order of weights, and what was done as
    /// a whole is not due again.
    #[test]
    fn each_hook_of_the_event_runs_once_and_not_again(
        picked in prop::collection::vec((0usize..6, -3i64..3, 0usize..4), 0..12),
        applied in prop::option::of("[ab]"), begun in prop::option::of(("[ab]", 0usize..3)),
        is_first in any::<bool>(), changes in any::<bool>(), rollback in any::<bool>(),
    ) {
        const MOMENTS: [&str; 6] = ["pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-rollback", "post-rollback"];
        let hooks: Vec<Hook> = picked.iter().enumerate()
            .map(|(n, (at, weight, name))| hook("Job", &format!("n{name}-{n}"), &[MOMENTS[*at]], *weight)).collect();
        let wanted = Wanted { rollback, ..wanted("b", hooks.clone()) };
        let events = [Event::Install, Event::Upgrade, Event::Rollback];
        let running = begun.and_then(|(content, event)| running(&content, events[event], None));
        let record = Record { applied, running };
        if let Some(due) = due(&wanted, &record, Seen { is_first, changes }) {
            let Phases { before, after } = due.phases("shop/prod", "s-2");
            let of = hooks.iter().filter(|hook| hook.moments[0].event == due.event).count();
            prop_assert!(of > 0);
            prop_assert_eq!(before.runs.len() + after.runs.len(), of);
            for phase in [&before, &after] {
                prop_assert!(phase.runs.is_sorted_by_key(|run| (run.moment.weight, run.resource().name.clone())));
            }
        }
        let done = Record { applied: Some("b".to_owned()), running: None };
        prop_assert_eq!(due(&wanted, &done, Seen { is_first, changes }), None);
    }
}

#[test]
fn tests_run_in_their_order_and_only_those_that_are_meant() {
    let all = [
        hook("Pod", "web-http", &["test"], 0),
        hook("Job", "migrate", &["pre-upgrade"], -9),
        hook("Pod", "web-grpc", &["test-success", "post-upgrade"], -5),
        hook("Pod", "db", &["test"], 1),
    ];
    let runs = tests(&all, "shop/prod", "7", Some(Duration::from_secs(9)));
    let names = |runs: &[Run]| runs.iter().map(|run| run.resource().name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&runs), ["web-grpc", "web-http", "db"]);
    assert!(runs.iter().all(|run| run.timeout == Duration::from_secs(9) && run.moment.phase == "test"));
    let of = |only: &[&str]| chosen(runs.clone(), &only.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    for (only, expected) in [
        (&[][..], &["web-grpc", "web-http", "db"][..]),
        (&["db"], &["db"]),
        (&["db", "web-*"], &["web-grpc", "web-http", "db"]),
        (&["web-http", "web-http"], &["web-http"]),
    ] {
        assert_eq!(of(only).map(|runs| names(&runs)).unwrap(), expected, "{only:?}");
    }
    let named = NoTests::Named { missing: "web".to_owned(), names: names(&runs) };
    assert_eq!((of(&["db", "web"]).unwrap_err(), chosen(Vec::new(), &[]).unwrap_err()), (named, NoTests::None));
    assert_eq!(Moment::named("test-failure"), None);
}

#[test]
fn a_deletion_runs_its_hooks_whatever_was_applied_and_what_comes_next_is_installed() {
    let all = vec![hook("Job", "drain", &["pre-delete"], 0), hook("Job", "other", &["pre-install", "post-delete"], 0)];
    let seen = Seen { is_first: false, changes: true };
    let deletes = Wanted { deletion: Some("7".to_owned()), ..wanted("deletion 7", all.clone()) };
    let was = Record { applied: Some("b".to_owned()), running: None };
    let begun = due(&deletes, &was, seen).unwrap();
    assert_eq!((begun.event, begun.id.as_deref()), (Event::Delete, Some("7")));
    let Phases { before, after } = begun.phases("shop/prod", "");
    let moments =
        [before, after].map(|phase| phase.runs.iter().map(|run| run.moment.phase.clone()).collect::<Vec<_>>());
    assert_eq!(moments, [["pre-delete"], ["post-delete"]]);
    // A run that was cut off goes on with what it passed.
    let mut cut = begun.record(was.applied.clone(), "");
    cut.running.as_mut().unwrap().passed = Some(When::Before);
    assert_eq!(due(&deletes, &cut, seen).unwrap().passed, Some(When::Before));
    assert_eq!(due(&wanted("b", all.clone()), &cut, seen), None, "what was applied still is");
    let installs = due(&wanted("b", all), &Record::deleted(), seen).unwrap();
    assert_eq!(installs.event, Event::Install);
}
