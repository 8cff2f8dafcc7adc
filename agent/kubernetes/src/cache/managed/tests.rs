use quarterdeck_core::health::{Surroundings, assess_in};
use quarterdeck_shared::resource::InventoryItem;

use super::*;

#[test]
fn only_the_first_and_the_last_in_a_place_need_other_watches() {
    let mut applied = Applied::default();
    let lives = |kinds: &[&str]| {
        let item = |kind: &&str| InventoryItem {
            resource: ResourceRef::new("", kind, Some("prod"), "x"),
            version: "v1".to_owned(),
        };
        Inventory { items: kinds.iter().map(item).collect() }
    };
    let mut moves = |name: &str, kinds: &[&str]| {
        let name: EnvironmentId = format!("{name}/prod").parse().unwrap();
        applied.track(&name, &lives(kinds), &Memory::new(), &mut Vec::new())
    };
    for (what, name, kinds, moved) in [
        ("the first", "a", &["ConfigMap"][..], true),
        ("the first again", "a", &["ConfigMap"], false),
        ("a second", "b", &["ConfigMap"], false),
        ("it has another kind too", "b", &["ConfigMap", "Secret"], true),
        ("the first goes", "a", &[], false),
        ("it has that no more", "b", &["ConfigMap"], true),
    ] {
        assert_eq!(moves(name, kinds), moved, "{what}");
    }
    let scopes: Vec<String> = applied.scopes().into_iter().map(|(_, kind, _, _)| kind).collect();
    assert_eq!(scopes, ["ConfigMap"]);
    applied.forget(&"b/prod".parse().unwrap(), &mut Vec::new());
    assert!(applied.scopes().is_empty());
}

#[test]
fn what_is_normal_for_a_moment_is_otherwise_when_its_time_is_over() {
    let service = serde_json::json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "shop", "namespace": "prod", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] }, "status": {},
    });
    let name: EnvironmentId = "shop/prod".parse().unwrap();
    let resource = ResourceRef::new("", "Service", Some("prod"), "shop");
    let time = |minute: &str| -> Timestamp { format!("2026-01-01T00:{minute}:00Z").parse().unwrap() };
    let seen = |version: &str| {
        let surroundings = Surroundings { now: Some(time("01")), ..Surroundings::default() };
        Seen {
            resource: resource.clone(),
            environment: Some(name.clone()),
            api: "v1".into(),
            version: version.into(),
            uid: Uid::of("a"),
            digest: ContentDigest([0; 32]),
            edition: 0,
            verdict: assess_in(&service, surroundings),
            created: None,
            manager: None,
            ended: None,
        }
    };
    let mut applied = Applied::default();
    let item = InventoryItem { resource: resource.clone(), version: "v1".to_owned() };
    applied.track(&name, &Inventory { items: [item].into() }, &Memory::new(), &mut Vec::new());
    let told = |changes: &[ClusterChange]| match changes {
        [] => None,
        [ClusterChange::ResourceChanged(status)] => Some((status.health, status.message.clone())),
        other => panic!("{other:?}"),
    };
    let at = |applied: &mut Applied, time: Timestamp| {
        let mut changes = Vec::new();
        applied.expire(time, &mut changes);
        told(&changes)
    };
    for version in ["1", "2"] {
        applied.put(seen(version), ToldBy::Followed, &mut Vec::new());
        assert_eq!(applied.due(), Some(time("15")));
        assert_eq!(at(&mut applied, time("14")), None);
    }
    let (health, message) = at(&mut applied, time("15")).unwrap();
    assert_eq!(health, Health::Degraded);
    assert!(message.ends_with("for more than 15 minutes"), "{message}");
    assert_eq!((applied.due(), at(&mut applied, time("16"))), (None, None), "it is told once");
}

#[test]
fn what_went_and_is_listed_as_it_was_says_that_the_cluster_was_set_back() {
    let name: EnvironmentId = "shop/prod".parse().unwrap();
    let resource = ResourceRef::new("", "ConfigMap", Some("prod"), "shop");
    let seen = |uid: &str, version: &str| Seen {
        resource: resource.clone(),
        environment: Some(name.clone()),
        api: "v1".into(),
        version: version.into(),
        uid: Uid::of(uid),
        digest: ContentDigest([0; 32]),
        edition: 0,
        verdict: assess_in(&serde_json::json!({}), Surroundings::default()),
        created: None,
        manager: None,
        ended: None,
    };
    let before = Instant::now();
    let mut applied = Applied::default();
    applied.put(seen("a", "7"), ToldBy::Followed, &mut Vec::new());
    assert!(applied.remove(&resource, Uid::of("a"), "v1", &mut Vec::new()));
    let later = Instant::now();
    for (what, uid, version, told, set_back) in [
        ("as it was", "a", "7", ToldBy::Listed(later), true),
        ("as it was before that", "a", "5", ToldBy::Listed(later), true),
        ("it had lost its label alone", "a", "9", ToldBy::Listed(later), false),
        ("another of its name", "b", "7", ToldBy::Listed(later), false),
        ("a list that was asked for before it went", "a", "7", ToldBy::Listed(before), false),
        ("a watch, which tells what it was asked for", "a", "7", ToldBy::Followed, false),
    ] {
        assert_eq!(applied.is_set_back(&seen(uid, version), told), set_back, "{what}");
    }
    applied.replaced();
    assert!(!applied.is_set_back(&seen("a", "7"), ToldBy::Listed(later)), "that is known by then");
}

/// A ConfigMap of an environment, in this version with this content.
fn seen_of(name: &EnvironmentId, resource: &ResourceRef, version: &str, digest: u8) -> Seen {
    Seen {
        resource: resource.clone(),
        environment: Some(name.clone()),
        api: "v1".into(),
        version: version.into(),
        uid: Uid::of("a"),
        digest: ContentDigest([digest; 32]),
        edition: digest.into(),
        verdict: assess_in(&serde_json::json!({}), Surroundings::default()),
        created: None,
        manager: None,
        ended: None,
    }
}

/// What is known of an environment that has it, once its watch is connected.
fn watched_of(name: &EnvironmentId, resource: &ResourceRef) -> Applied {
    let mut applied = Applied::default();
    let items = [InventoryItem { resource: resource.clone(), version: "v1".to_owned() }].into();
    applied.track(name, &Inventory { items }, &Memory::new(), &mut Vec::new());
    let (group, kind, namespace) = (String::new(), "ConfigMap".to_owned(), Some("prod".to_owned()));
    let key = WatchKey { what: watch_set::What::Applied, group, kind, version: Some("v1".to_owned()), namespace };
    applied.cover(&key, true, &mut Vec::new());
    applied
}

/// What differs from git and is left so is looked at again where anybody changes it, also between the look that found it and
/// the moment in which it is known to be left.
#[test]
fn what_is_left_to_differ_is_looked_at_again_when_it_is_another() {
    let name: EnvironmentId = "shop/prod".parse().unwrap();
    let resource = ResourceRef::new("", "ConfigMap", Some("prod"), "shop");
    let again = |changes: &[ClusterChange]| {
        changes.iter().filter(|change| matches!(change, ClusterChange::Otherwise { .. })).count()
    };
    #[derive(Clone, Copy, PartialEq)]
    enum Act {
        Nothing,
        Edits,
        Deletes,
    }
    use Act::*;
    for (expect, before, after, times) in [
        (Expect::Otherwise, Nothing, Nothing, 0),
        (Expect::Otherwise, Edits, Nothing, 1),
        (Expect::Otherwise, Nothing, Edits, 1),
        (Expect::Otherwise, Nothing, Deletes, 1),
        (Expect::Gone, Nothing, Nothing, 0),
        (Expect::Gone, Deletes, Nothing, 1),
        (Expect::Gone, Nothing, Deletes, 1),
        (Expect::Gone, Nothing, Edits, 1),
    ] {
        let (mut applied, mut changes) = (watched_of(&name, &resource), Vec::new());
        applied.put(seen_of(&name, &resource, "1", 1), ToldBy::Followed, &mut changes);
        let since = Instant::now();
        let act = |act: Act, applied: &mut Applied, changes: &mut Vec<ClusterChange>| match act {
            Nothing => {}
            Edits => drop(applied.put(seen_of(&name, &resource, "2", 2), ToldBy::Followed, changes)),
            Deletes => assert!(applied.remove(&resource, Uid::of("a"), "v1", changes)),
        };
        act(before, &mut applied, &mut changes);
        applied.expect(&name, &resource, expect, since, &mut changes);
        act(after, &mut applied, &mut changes);
        // What it is expected to be already is not compared once more.
        applied.expect(&name, &resource, expect, since, &mut changes);
        let what = format!("{expect:?}, before {}, after {}", before as u8, after as u8);
        assert_eq!(again(&changes), times, "{what}");
    }
}

/// Between the look of a plan, or a write, and the moment in which what it found is expected, the watch may tell more.
#[test]
fn what_changed_before_it_was_expected_is_no_less_told() {
    let name: EnvironmentId = "shop/prod".parse().unwrap();
    let resource = ResourceRef::new("", "ConfigMap", Some("prod"), "shop");
    let seen = |version: &str, digest: u8| seen_of(&name, &resource, version, digest);
    let watched = || watched_of(&name, &resource);
    let is_drift = |changes: &[ClusterChange]| {
        changes.iter().filter(|change| matches!(change, ClusterChange::ContentChanged { .. })).count()
    };
    for (what, before, drifts) in [("as it was seen", seen("1", 1), 0), ("edited since", seen("2", 2), 1)] {
        let (mut applied, mut changes) = (watched(), Vec::new());
        applied.put(before, ToldBy::Followed, &mut changes);
        assert_eq!(is_drift(&changes), 0, "{what}: nobody compared it yet");
        applied.expect(&name, &resource, Expect::Digest(ContentDigest([1; 32])), Instant::now(), &mut changes);
        assert_eq!(is_drift(&changes), drifts, "a plan, {what}");
    }
    for (what, told, drifts) in [("nothing more", seen("1", 0), 0), ("an edit of what we wrote", seen("3", 3), 1)] {
        let (mut applied, mut changes) = (watched(), Vec::new());
        applied.expect(&name, &resource, Expect::Otherwise, Instant::now(), &mut changes);
        applied.put(told, ToldBy::Followed, &mut changes);
        applied.wrote(seen("2", 2), &mut changes);
        assert_eq!(is_drift(&changes), drifts, "a write, {what}");
    }
}
