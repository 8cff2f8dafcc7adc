use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::hooks;

fn resource(text: &str) -> ResourceRef {
    let parts: Vec<&str> = text.split('/').collect();
    ResourceRef::new(parts[0], parts[1], Some(parts[2]).filter(|namespace| !namespace.is_empty()), parts[3])
}

fn write(text: &str, later: Later) -> Write {
    let object = json!({"name": text});
    let manifest = Manifest::new(resource(text), "v1".to_owned(), object, "test".into());
    Write { manifest, later, takes_over: false }
}

fn deletion(text: &str) -> Deletion {
    (InventoryItem { resource: resource(text), version: "v1".to_owned() }, "uid".to_owned())
}

/// The steps, a line each.
fn lines(steps: &[Step]) -> Vec<String> {
    let names = |resources: &mut dyn Iterator<Item = &ResourceRef>| {
        resources.map(ResourceRef::short).collect::<Vec<_>>().join(" ")
    };
    let line = |step: &Step| match step {
        Step::Announce { namespace_follows: true } => "announce, if the namespace exists".to_owned(),
        Step::Announce { namespace_follows: false } => "announce".to_owned(),
        Step::CreateNamespace => "namespace".to_owned(),
        Step::PullSecrets => "pull secrets".to_owned(),
        Step::Apply { writes, wait, timeout } => {
            let names = names(&mut writes.iter().map(|write| &write.manifest.resource));
            format!("apply {names}: {wait:?} {} s", timeout.as_secs())
        }
        Step::DryRun { manifests, timeout } => {
            let names = names(&mut manifests.iter().map(|manifest| &manifest.resource));
            format!("dry run {names}: {} s", timeout.as_secs())
        }
        Step::Delete { deletions, holders, timeout } => {
            let names = names(&mut deletions.iter().map(|(item, _)| &item.resource));
            format!("delete {names}, {} of them holders: {} s", holders.len(), timeout.as_secs())
        }
        Step::Hook(run) => {
            format!("hook {}: {:?} {} s", run.moment.describe(run.resource()), run.wait(), run.timeout.as_secs())
        }
        Step::Passed(when) => format!("passed {when:?}"),
        Step::Clear { runs, timeout } => {
            let names = names(&mut runs.iter().map(Run::resource));
            format!("clear {names}: {} s", timeout.as_secs())
        }
        Step::Conclude => "conclude".to_owned(),
    };
    steps.iter().map(line).collect()
}

#[test]
fn what_others_need_comes_first_and_deletions_go_the_other_way_round() {
    let writes = [
        write("/Namespace//shop", Later::No),
        write("apiextensions.k8s.io/CustomResourceDefinition//boats.sea.example", Later::No),
        write("storage.k8s.io/StorageClass//fast", Later::No),
        write("/ConfigMap/shop/flags", Later::Yes),
        write("/Secret/shop/key", Later::No),
        write("sea.example/Boat/shop/skiff", Later::Yes),
    ];
    let deletions =
        [deletion("apps/Deployment/shop/old"), deletion("/ConfigMap/shop/old"), deletion("/Namespace//old")];
    assert_eq!(
        lines(&by_kind(&writes, &deletions, true, &Phases::default())),
        [
            "announce, if the namespace exists",
            "namespace",
            "apply Namespace/shop CustomResourceDefinition/boats.sea.example: Established 30 s",
            "announce",
            "dry run ConfigMap/flags Boat/skiff: 30 s",
            "apply StorageClass/fast: None 0 s",
            "apply ConfigMap/flags Secret/key: None 0 s",
            "apply Boat/skiff: None 0 s",
            "delete Deployment/old, 0 of them holders: 3 s",
            "delete ConfigMap/old, 0 of them holders: 3 s",
            "delete Namespace/old, 1 of them holders: 3 s",
            "conclude",
        ]
    );
    assert_eq!(
        lines(&by_kind(&[], &[], false, &Phases::default())),
        ["announce, if the namespace exists", "announce", "conclude"]
    );
}

#[test]
fn pull_secrets_come_before_what_pulls_and_after_the_accounts_that_name_them() {
    let writes = [
        write("/Namespace//shop", Later::No),
        write("/ServiceAccount/shop/shop", Later::Yes),
        write("/Secret/shop/key", Later::No),
        write("apps/Deployment/shop/shop", Later::No),
    ];
    let of = |writes: &[Write], hooks: &Phases| lines(&with_pull_secrets(by_kind(writes, &[], true, hooks)));
    assert_eq!(
        of(&writes, &Phases::default()),
        [
            "announce, if the namespace exists",
            "namespace",
            "apply Namespace/shop: Established 30 s",
            "announce",
            "pull secrets",
            "dry run ServiceAccount/shop: 30 s",
            "apply ServiceAccount/shop Secret/key: None 0 s",
            "pull secrets",
            "apply Deployment/shop: None 0 s",
            "conclude",
        ]
    );
    let steps = with_pull_secrets(upgrade(None));
    let first = steps.iter().position(|step| *step == Step::PullSecrets);
    let hook = steps.iter().position(|step| matches!(step, Step::Hook(_)));
    assert!(first < hook && first.is_some(), "a hook pulls as well: {:?}", lines(&steps));
    assert_eq!(steps.iter().filter(|step| **step == Step::PullSecrets).count(), 1, "no account is written");
}

/// A hook of an upgrade, and when it is deleted.
fn hook(text: &str, moment: &str, succeeded: bool) -> hooks::Hook {
    let object = json!({"metadata": {"name": text, "annotations": {}}});
    hooks::Hook {
        manifest: Manifest::new(resource(text), "v1".to_owned(), object, "test".into()),
        moments: vec![hooks::Moment::named(moment).unwrap()],
        weight: 0,
        deleted: hooks::DeletePolicy { before_creation: true, succeeded, failed: false },
        timeout: Duration::from_secs(300),
    }
}

/// What is done by a plan with hooks of an upgrade, where this phase succeeded already.
fn upgrade(passed: Option<When>) -> Vec<Step> {
    let hooks = vec![
        hook("batch/Job/shop/a", "pre-upgrade", true),
        hook("/ConfigMap/shop/b", "pre-upgrade", true),
        hook("batch/Job/shop/c", "post-upgrade", false),
    ];
    let wanted = hooks::Wanted { hooks, content: "2".to_owned(), rollback: false, deletion: None };
    let running = passed.map(|passed| hooks::Running {
        content: "2".to_owned(),
        event: hooks::Event::Upgrade,
        id: "s-1".to_owned(),
        passed: Some(passed),
    });
    let record = hooks::Record { applied: Some("1".to_owned()), running };
    let due = hooks::due(&wanted, &record, hooks::Seen { is_first: false, changes: true }).unwrap();
    let writes = [write("/Namespace//shop", Later::No), write("/Secret/shop/key", Later::No)];
    by_kind(&writes, &[deletion("/ConfigMap/shop/old")], false, &due.phases("shop/prod", "s-1"))
}

#[test]
fn hooks_run_before_and_after_what_is_written_and_deleted() {
    let before =
        ["hook Job/a (pre-upgrade, weight 0): Completed 300 s", "hook ConfigMap/b (pre-upgrade, weight 0): None 300 s"];
    let after = ["hook Job/c (post-upgrade, weight 0): Completed 300 s", "passed After"];
    let first = ["announce, if the namespace exists", "apply Namespace/shop: Established 30 s", "announce"];
    let rest = ["apply Secret/key: None 0 s", "delete ConfigMap/old, 0 of them holders: 3 s"];
    let (passed, cleared) = (["passed Before"], ["clear ConfigMap/b Job/a: 60 s"]);
    for (done, expected) in [
        (None, [&first[..], &before, &passed, &cleared, &rest, &after, &["conclude"]].concat()),
        (Some(When::Before), [&first[..], &cleared, &rest, &after, &["conclude"]].concat()),
        (Some(When::After), [&first[..], &cleared, &rest, &["conclude"]].concat()),
    ] {
        assert_eq!(lines(&upgrade(done)), expected, "{done:?}");
    }
    assert_eq!(
        shown(&upgrade(None))[1..].iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "run hook Job/a (pre-upgrade, weight 0); wait until completed, 300 s at most",
            "run hook ConfigMap/b (pre-upgrade, weight 0)",
            "delete ConfigMap/b, Job/a; wait until gone, 60 s at most",
            "apply Secret/key",
            "delete ConfigMap/old; wait until gone, 3 s at most",
            "run hook Job/c (post-upgrade, weight 0); wait until completed, 300 s at most",
        ]
    );
}

#[test]
fn people_see_the_steps_that_change_something() {
    let writes = [
        write("/Namespace//shop", Later::No),
        write("/ConfigMap/shop/a", Later::No),
        write("/ConfigMap/shop/b", Later::No),
        write("/ConfigMap/shop/c", Later::No),
        write("/ConfigMap/shop/d", Later::No),
    ];
    let steps = shown(&by_kind(&writes, &[deletion("/ConfigMap/shop/old")], true, &Phases::default()));
    assert_eq!(
        steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "apply Namespace/shop; wait until established, 30 s at most",
            "apply ConfigMap/a, ConfigMap/b, ConfigMap/c and 1 more",
            "delete ConfigMap/old; wait until gone, 3 s at most",
        ]
    );
}

#[test]
fn what_is_waited_for_comes_or_never_does() {
    let crd = |conditions: serde_json::Value| json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": {"conditions": conditions}});
    let job = |conditions: serde_json::Value| json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": conditions}});
    let pod = |phase: &str| json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": phase}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let is = |kind: &str, status: &str| json!({"type": kind, "status": status, "message": "the names are taken"});
    for (wait, live, expected) in [
        (Wait::None, pod("Pending"), "yes"),
        (Wait::Established, map.clone(), "yes"),
        (Wait::Established, crd(json!([])), "not yet"),
        (Wait::Established, crd(json!([is("Established", "True")])), "yes"),
        (Wait::Established, crd(json!([is("NamesAccepted", "False")])), "never"),
        (Wait::Healthy, map.clone(), "yes"),
        (Wait::Healthy, job(json!([])), "not yet"),
        (Wait::Healthy, job(json!([is("Complete", "True")])), "yes"),
        (Wait::Completed, map, "yes"),
        (Wait::Completed, job(json!([])), "not yet"),
        (Wait::Completed, job(json!([is("Complete", "True")])), "yes"),
        (Wait::Completed, job(json!([is("Failed", "True")])), "never"),
        (Wait::Completed, pod("Running"), "not yet"),
        (Wait::Completed, pod("Succeeded"), "yes"),
        (Wait::Completed, pod("Failed"), "never"),
    ] {
        let found = match reached(wait, &live) {
            Reached::Yes => "yes",
            Reached::NotYet(_) => "not yet",
            Reached::Never(_) => "never",
        };
        assert_eq!(found, expected, "{wait:?} {live}");
    }
}

proptest! {
    /// Each object is written or deleted once, whatever the plan, and nothing is written after the first deletion.
    #[test]
    fn every_object_has_one_step(picked in prop::collection::vec((0usize..6, any::<bool>()), 0..12)) {
        const KINDS: [&str; 6] = ["/Namespace/", "apiextensions.k8s.io/CustomResourceDefinition/", "/Secret/p", "apps/Deployment/p", "batch/Job/p", "sea.example/Boat/p"];
        let name = |(i, (kind, _)): (usize, &(usize, bool))| format!("{}/n{i}", KINDS[*kind]);
        let mut writes: Vec<Write> = picked.iter().enumerate().filter(|(_, (_, writes))| *writes)
            .map(|one| write(&name(one), if one.0 % 2 == 0 { Later::No } else { Later::Yes })).collect();
        writes.sort_by(|a, b| order::compare(&a.manifest.resource, &b.manifest.resource));
        let mut deletions: Vec<Deletion> = picked.iter().enumerate().filter(|(_, (_, writes))| !*writes).map(|one| deletion(&name(one))).collect();
        deletions.sort_by(|a, b| order::compare(&b.0.resource, &a.0.resource));

        let steps = by_kind(&writes, &deletions, false, &Phases::default());
        let mut written = Vec::new();
        let mut deleted = Vec::new();
        for step in &steps {
            match step {
                Step::Apply { writes, .. } => {
                    prop_assert!(deleted.is_empty() && !writes.is_empty());
                    written.extend(writes.clone());
                }
                Step::Delete { deletions, .. } => deleted.extend(deletions.clone()),
                _ => {}
            }
        }
        written.sort_by(|a, b| order::compare(&a.manifest.resource, &b.manifest.resource));
        prop_assert_eq!(written, writes);
        prop_assert_eq!(deleted, deletions);
        prop_assert_eq!(steps.last(), Some(&Step::Conclude));
    }
}
