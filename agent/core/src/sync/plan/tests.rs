use proptest::prelude::*;
use serde_json::{Value, json};

use super::contents::{Blind, Contents};
use super::*;
use crate::sync::ENVIRONMENT_LABEL;
use crate::sync::neighbours::{Neighbours, Wants};

/// Environment `shop/prod`; git wants `a` and `b`, and `old` is in the inventory.
struct Scene {
    desired: Vec<Manifest>,
    observed: Vec<Observed>,
    inventory: Inventory,
    left: Vec<(InventoryItem, Left)>,
    prune: bool,
    partial: bool,
    anyway: Vec<ResourceRef>,
    neighbours: Neighbours,
    strangers: BTreeMap<String, Stranger>,
}

fn manifest(name: &str) -> Manifest {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "prod"}, "data": {"a": "1"},
    });
    let resource = ResourceRef::new("", "ConfigMap", Some("prod"), name);
    Manifest::new(resource, "v1".to_owned(), object, format!("{name}.yaml").into())
}

fn item(name: &str) -> InventoryItem {
    InventoryItem { resource: manifest(name).resource, version: "v1".to_owned() }
}

fn live(owner: Option<&str>, value: &str) -> Arc<Value> {
    let labels = owner.map_or(json!({}), |owner| json!({APPLICATION_LABEL: owner, ENVIRONMENT_LABEL: "prod"}));
    Arc::new(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "a", "namespace": "prod", "resourceVersion": "5", "uid": "u", "labels": labels,
            "managedFields": [{"manager": "quarterdeck", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:quarterdeck.dev/application": {}}}, "f:data": {"f:a": {}},
            }}],
        },
        "data": {"a": value},
    }))
}

fn ours() -> Left {
    Left::Ours { uid: "u".to_owned(), keep: None, contents: Box::default() }
}

impl Scene {
    fn new(observed: [Observed; 2]) -> Self {
        Self {
            desired: vec![manifest("a"), manifest("b")],
            observed: observed.to_vec(),
            inventory: Inventory { items: [item("a"), item("old")].into() },
            left: vec![(item("old"), ours())],
            prune: true,
            partial: false,
            anyway: vec![],
            neighbours: Neighbours::default(),
            strangers: BTreeMap::new(),
        }
    }

    fn left(mut self, left: Left) -> Self {
        self.left = vec![(item("old"), left)];
        self
    }

    fn decide(&self) -> Decided {
        plan(&Inputs {
            environment: &"shop/prod".parse().unwrap(),
            desired: &self.desired,
            observed: &self.observed,
            inventory: &self.inventory,
            left: &self.left,
            leaving: Leaving {
                prune: self.prune,
                anyway: &self.anyway,
                neighbours: Some(&self.neighbours),
                wipes: false,
            },
            strangers: &self.strangers,
            partial: self.partial,
        })
    }

    /// `= a, + b (why), - old | during a b old | after a b | refused: …`
    fn check(&self, expected: &str) -> Decided {
        let decided = self.decide();
        let lines: Vec<String> = decided
            .changes
            .iter()
            .map(|change| {
                let reason = change.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                format!("{} {}{reason}", change.action.sign(), change.resource.name)
            })
            .collect();
        let names = |inventory: &Inventory| {
            inventory.items.iter().map(|item| item.resource.name.clone()).collect::<Vec<_>>().join(" ")
        };
        let refused: Vec<String> = decided.refusals.iter().map(|refusal| format!(" | {refusal}")).collect();
        let during = names(&decided.during);
        let after = names(&decided.after);
        let got = format!("{} | during {during} | after {after}{}", lines.join(", "), refused.concat());
        assert_eq!(got, expected);
        decided
    }
}

fn inhabited() -> Left {
    let contents = Contents { ours: 2, others: [("neigh/prod".to_owned(), 1)].into(), ..Contents::default() };
    Left::Ours { uid: "u".to_owned(), keep: None, contents: Box::new(contents) }
}

/// Application `other` beside, which wants these.
fn neighbour(objects: impl Iterator<Item = ResourceRef>, unrendered: Option<&str>) -> Neighbours {
    let (objects, unrendered) = (Arc::new(objects.collect()), unrendered.map(str::to_owned));
    Neighbours([("other/prod".parse().unwrap(), Wants { objects, unrendered, beside: true })].into())
}

fn known() -> Observed {
    Observed::Known(ContentDigest([0; 32]))
}

fn predicted(live: Option<Arc<Value>>, value: &str) -> Observed {
    let predicted = self::live(Some("shop"), value);
    match live {
        Some(live) => Observed::Predicted { predicted, live, scaled: None },
        None => Observed::Absent(None),
    }
}

#[test]
fn what_is_as_it_was_is_unchanged() {
    let same = predicted(Some(live(Some("shop"), "1")), "1");
    let decided = Scene::new([known(), same])
        .left(Left::Gone)
        .check("= a, = b, · old (no longer in git, and gone already) | during a b | after a b");
    assert_eq!(decided.unchanged.len(), 2);
    assert!(decided.writes.is_empty());
}

#[test]
fn what_is_missing_is_created_and_what_differs_is_configured() {
    let differs = predicted(Some(live(Some("shop"), "0")), "1");
    let decided = Scene::new([differs, predicted(None, "1")])
        .check("~ a, + b, - old (no longer in git) | during a b old | after a b");
    assert_eq!(decided.changes[0].fields[0].path, "data.a");
    assert_eq!(decided.writes, [(0, Later::No), (1, Later::No)]);
    assert_eq!(decided.prunes, [(item("old"), "u".to_owned())]);
}

#[test]
fn an_object_that_was_nobodys_is_taken_over() {
    Scene::new([predicted(Some(live(None, "1")), "1"), known()])
        .check("~ a, = b, - old (no longer in git) | during a b old | after a b");
}

#[test]
fn what_needs_something_of_this_plan_comes_later() {
    let decided = Scene::new([known(), Observed::Later("its kind comes with this sync".to_owned())])
        .check("= a, + b (its kind comes with this sync), - old (no longer in git) | during a b old | after a b");
    assert_eq!(decided.writes, [(1, Later::Yes)]);
}

#[test]
fn a_job_that_cannot_be_changed_holds_up_nothing_else() {
    for (group, kind, immutable, expected) in [
        ("batch", "Job", true, "+ a, · b (no), - old (no longer in git) | during a old b | after a b"),
        ("batch", "Job", false, "+ a, - old (no longer in git) | during a old b | after a b | Job/b (b.yaml): no"),
        (
            "apps",
            "Deployment",
            true,
            "+ a, - old (no longer in git) | during a old b | after a b | Deployment/b (b.yaml): no",
        ),
    ] {
        let mut scene = Scene::new([predicted(None, "1"), known()]);
        let resource = ResourceRef::new(group, kind, Some("prod"), "b");
        scene.desired[1].resource = resource.clone();
        let (origin, message, hint) = ("b.yaml".into(), "no".to_owned(), "delete it".to_owned());
        scene.observed[1] = Observed::Refused(Refusal { resource, origin, message, hint, immutable });
        let undone = scene.check(expected).undone;
        let told =
            if (kind, immutable) == ("Job", true) { ("Job/b (b.yaml): no", "delete it", 1) } else { ("", "", 0) };
        assert_eq!((&*undone.message(), undone.hint(), undone.differing()), told);
    }
}

#[test]
fn an_object_of_another_application_is_refused_and_both_are_named() {
    let mut scene = Scene::new([predicted(Some(live(Some("other"), "1")), "1"), known()]);
    scene.neighbours = neighbour(std::iter::once(manifest("a").resource), None);
    scene.check(
        "= b, - old (no longer in git) | during a b old | after a b \
         | ConfigMap/a (a.yaml): it belongs to environment other/prod, and shop/prod wants it too",
    );
}

#[test]
fn an_object_that_its_application_does_not_want_any_more_is_taken_over() {
    let scene = |owner: &str| Scene::new([predicted(Some(live(Some(owner), "1")), "1"), known()]).left(Left::Gone);
    let rest = "· old (no longer in git, and gone already) | during a b | after a b";
    let refused = |why: &str| format!("= b, {rest} | ConfigMap/a (a.yaml): {why}");
    let both = "it belongs to environment other/prod, and shop/prod wants it too";
    let a = || std::iter::once(manifest("a").resource);
    for (wants, unrendered, expected) in [
        (
            false,
            None,
            format!("~ a (taken over from environment other/prod, which does not want it any more), = b, {rest}"),
        ),
        (true, None, refused(both)),
        (true, Some("bad"), refused(both)),
        (false, Some("bad"), refused("it belongs to environment other/prod, which cannot be rendered: bad")),
    ] {
        let mut scene = scene("other");
        scene.neighbours = neighbour(a().filter(|_| wants), unrendered);
        let decided = scene.check(&expected);
        assert_eq!(decided.contested, wants || unrendered.is_some());
    }
    for (stranger, expected) in [
        (
            Some(Stranger::Left),
            format!("~ a (taken over from environment gone/prod, which is not configured any more), = b, {rest}"),
        ),
        (
            Some(Stranger::Operated("anna".to_owned())),
            refused(
                "it belongs to environment gone/prod, and shop/prod wants it too; the agent on anna operates gone/prod",
            ),
        ),
        (Some(Stranger::Unknown), refused("it belongs to environment gone/prod, which is not configured here")),
        (None, refused("it belongs to environment gone/prod, which is not configured here")),
    ] {
        let mut scene = scene("gone");
        let adopts = stranger == Some(Stranger::Left);
        scene.strangers = stranger.into_iter().map(|stranger| ("gone/prod".to_owned(), stranger)).collect();
        let decided = scene.check(&expected);
        assert_eq!(decided.adopted.contains_key("gone/prod"), adopts);
    }
}

#[test]
fn what_another_application_wants_is_handed_over_and_stays_known_until_it_has_it() {
    let mut scene = Scene::new([known(), known()]);
    scene.neighbours = neighbour(std::iter::once(item("old").resource), None);
    let decided = scene
        .check("= a, = b, · old (environment other/prod wants it now: handed over) | during a b old | after a b old");
    assert_eq!(decided.undone.handed, [item("old").resource]);
    assert!(!decided.undone.is_final());
    // Also where a person names it, and where pruning is off.
    (scene.anyway, scene.prune) = (vec![item("old").resource], false);
    assert_eq!(scene.decide().prunes, []);
    scene.left = vec![(item("old"), Left::NotOurs(Some("other/prod".to_owned())))];
    scene.check("= a, = b, · old (no longer in git, and environment other/prod's now) | during a b | after a b");
}

#[test]
fn what_holds_data_waits_until_every_application_beside_is_rendered() {
    let claim = InventoryItem {
        resource: ResourceRef::new("", "PersistentVolumeClaim", Some("prod"), "data"),
        version: "v1".to_owned(),
    };
    let mut scene = Scene::new([known(), known()]);
    scene.left.push((claim.clone(), ours()));
    scene.inventory.items.insert(claim.clone());
    scene.neighbours = neighbour(std::iter::empty(), Some("bad manifest"));
    let decided = scene.check(
        "= a, = b, - old (no longer in git), · data (not deleted: environment other/prod may want it now, and cannot be \
         rendered: bad manifest) | during a b old data | after a b data",
    );
    assert_eq!(
        decided.undone.message(),
        "PersistentVolumeClaim/data is not deleted: environment other/prod may want it now, and cannot be rendered: bad manifest"
    );
    assert!(decided.undone.open.is_empty() && !decided.undone.is_final());
    scene.anyway = vec![claim.resource];
    assert_eq!(scene.decide().prunes.len(), 2);
}

#[test]
fn what_others_live_in_is_deleted_only_by_its_name() {
    let mut scene = Scene::new([known(), known()]).left(inhabited());
    let contents = "2 objects of this environment and 1 of neigh/prod are in it";
    let decided = scene.check(&format!("= a, = b, · old (not deleted: {contents}) | during a b old | after a b old"));
    assert_eq!(decided.undone.message(), format!("ConfigMap/old is not deleted: {contents}"));
    assert!(decided.undone.is_final(), "nothing of it is open");
    scene.anyway = vec![item("old").resource];
    scene.check("= a, = b, - old (no longer in git) | during a b old | after a b");

    for passes in [false, true] {
        let unseen = Some(Blind { why: "cannot list Widgets: no".to_owned(), passes });
        let contents = Box::new(Contents { unseen, ..Contents::default() });
        let decided =
            Scene::new([known(), known()]).left(Left::Ours { uid: "u".to_owned(), keep: None, contents }).decide();
        assert_eq!((decided.prunes.len(), decided.undone.is_final()), (0, !passes));
    }
}

#[test]
fn what_is_not_gone_keeps_the_application_open() {
    for (left, message) in [
        (Left::Unseen("forbidden".to_owned()), "ConfigMap/old left git and cannot be read: forbidden"),
        (
            Left::Going("finalizer a/b".to_owned()),
            "ConfigMap/old left git and is being deleted: waiting for finalizer a/b",
        ),
    ] {
        let decided = Scene::new([known(), known()]).left(left).decide();
        assert_eq!((decided.undone.message().as_str(), decided.prunes.len()), (message, 0));
        assert!(!decided.undone.is_final() && decided.after.items.contains(&item("old")));
    }
}

#[test]
fn one_object_under_two_api_groups_is_forgotten_under_the_old_one() {
    let twin = ResourceRef::new("events.k8s.io", "ConfigMap", Some("prod"), "old");
    Scene::new([known(), known()]).left(Left::Renamed(twin)).check(
        "= a, = b, · old (the same object as ConfigMap/old of events.k8s.io, which git wants) | during a b | after a b",
    );
}

#[test]
fn what_is_written_twice_is_refused() {
    let mut scene = Scene::new([known(), known()]);
    scene.desired[1].resource = scene.desired[0].resource.clone();
    scene.check("= a, - old (no longer in git) | during a old | after a | ConfigMap/a (b.yaml): it is written twice");
}

fn annotated(name: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {name: value}}})
}

#[test]
fn pruning_is_held_back_where_it_should_be() {
    let kept = "= a, = b, · old (pruning is off) | during a b old | after a b old";
    let mut scene = Scene::new([known(), known()]);
    scene.prune = false;
    scene.check(kept);
    for (left, expected) in [
        (
            Left::Ours {
                uid: "u".to_owned(),
                keep: kept_by(&annotated("quarterdeck.dev/prune", "disabled")),
                contents: Box::default(),
            },
            "= a, = b, · old (quarterdeck.dev/prune: disabled) | during a b old | after a b old",
        ),
        (
            Left::Ours {
                uid: "u".to_owned(),
                keep: kept_by(&annotated("helm.sh/resource-policy", "keep")),
                contents: Box::default(),
            },
            "= a, = b, · old (helm.sh/resource-policy: keep) | during a b old | after a b old",
        ),
        (
            Left::Ours {
                uid: "u".to_owned(),
                keep: kept_by(&annotated("helm.sh/resource-policy", "delete")),
                contents: Box::default(),
            },
            "= a, = b, - old (no longer in git) | during a b old | after a b",
        ),
        (
            Left::Unseen("no".to_owned()),
            "= a, = b, · old (no longer in git, and cannot be read: no) | during a b old | after a b old",
        ),
        (
            Left::NotOurs(Some("other/prod".to_owned())),
            "= a, = b, · old (no longer in git, and environment other/prod's now) | during a b | after a b",
        ),
        (Left::NotOurs(None), "= a, = b, · old (no longer in git, and nobody's now) | during a b | after a b"),
    ] {
        Scene::new([known(), known()]).left(left).check(expected);
    }
}

#[test]
fn a_partial_sync_prunes_nothing_and_forgets_nothing() {
    let mut scene = Scene::new([known(), known()]);
    scene.partial = true;
    scene.check("= a, = b | during a b old | after a b old");
}

#[test]
fn nothing_rendered_prunes_nothing() {
    let scene = Scene::new([known(), known()]);
    assert_eq!(candidates(&scene.desired, &scene.inventory), [item("old")]);
    assert_eq!(candidates(&[], &scene.inventory), []);
    let empty = Scene { desired: vec![], observed: vec![], left: vec![], ..scene };
    let decided = empty.check(" | during a old | after a old");
    assert_eq!(decided.prunes, []);
}

#[test]
fn a_new_version_of_an_object_replaces_the_old_in_the_inventory() {
    let mut scene = Scene::new([known(), known()]);
    scene.desired[0].version = "v2".to_owned();
    let decided = scene.decide();
    let of_a: Vec<_> = decided.during.items.iter().filter(|i| i.resource.name == "a").collect();
    assert_eq!(of_a.len(), 1);
    assert_eq!(of_a[0].version, "v2");
}

/// An object, by what git, the inventory and the cluster say of it.
#[derive(Debug, Clone)]
struct Drawn {
    wanted: bool,
    in_inventory: bool,
    observed: Observed,
    left: Left,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let owner = prop_oneof![Just(None), Just(Some("shop")), Just(Some("other"))];
    let live = (proptest::option::of(owner), "[01]").prop_map(|(owner, value)| owner.map(|owner| live(owner, &value)));
    let refused = Refusal {
        resource: manifest("any").resource,
        origin: "a".into(),
        message: "no".into(),
        hint: String::new(),
        immutable: false,
    };
    let observed = prop_oneof![
        Just(known()),
        Just(Observed::Same(ContentDigest([1; 32]))),
        live.prop_map(|live| predicted(live, "1")),
        Just(Observed::Later("later".to_owned())),
        Just(Observed::Refused(refused)),
    ];
    let left = prop_oneof![
        prop_oneof![Just(None), Just(Some("kept"))].prop_map(|keep| Left::Ours {
            uid: "u".to_owned(),
            keep,
            contents: Box::default()
        }),
        Just(inhabited()),
        Just(Left::Going("finalizer a/b".to_owned())),
        Just(Left::NotOurs(None)),
        Just(Left::Gone),
        Just(Left::Unseen("no".to_owned())),
    ];
    (any::<bool>(), any::<bool>(), observed, left).prop_map(|(wanted, in_inventory, observed, left)| Drawn {
        wanted,
        in_inventory,
        observed,
        left,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_is_wanted_and_there_each_has_its_line_and_nothing_else_is_pruned(
        all in proptest::collection::vec(drawn(), 0..12),
        prune in any::<bool>(),
        partial in any::<bool>(),
        wanted_beside in proptest::collection::btree_set(0..12usize, 0..4),
    ) {
        let named: Vec<(String, &Drawn)> = all.iter().enumerate().map(|(n, one)| (format!("o{n:02}"), one)).collect();
        let wanted = || named.iter().filter(|(_, one)| one.wanted);
        let desired: Vec<Manifest> = wanted().map(|(name, _)| manifest(name)).collect();
        let observed = wanted().map(|(name, one)| match &one.observed {
            Observed::Refused(refusal) => {
                Observed::Refused(Refusal { resource: manifest(name).resource, ..refusal.clone() })
            }
            other => other.clone(),
        });
        let observed: Vec<Observed> = observed.collect();
        let inventory =
            Inventory { items: named.iter().filter(|(_, one)| one.in_inventory).map(|(name, _)| item(name)).collect() };
        let candidates = candidates(&desired, &inventory);
        let of = |item: &InventoryItem| named.iter().find(|(name, _)| *name == item.resource.name).unwrap().1;
        let left: Vec<_> = candidates.iter().map(|item| (item.clone(), of(item).left.clone())).collect();
        let beside = wanted_beside.iter().map(|n| manifest(&format!("o{n:02}")).resource);
        let neighbours = neighbour(beside, None);
        let (anyway, strangers) = (vec![], BTreeMap::new());
        let scene = Scene { desired, observed, inventory, left, prune, partial, anyway, neighbours, strangers };
        let decided = scene.decide();

        for manifest in &scene.desired {
            let lines = decided.changes.iter().filter(|change| change.resource == manifest.resource).count();
            let refused = decided.refusals.iter().filter(|refusal| refusal.resource == manifest.resource).count();
            prop_assert_eq!(lines + refused, 1, "{}", manifest.resource);
        }
        // What is done to an object is one thing.
        let done = decided.writes.len() + decided.unchanged.len() + decided.refusals.len();
        prop_assert_eq!(done, scene.desired.len());
        let wanted: BTreeSet<&ResourceRef> = scene.desired.iter().map(|manifest| &manifest.resource).collect();
        for (pruned, _) in &decided.prunes {
            prop_assert!(scene.inventory.items.contains(pruned) && !wanted.contains(&pruned.resource), "{pruned:?}");
            prop_assert!(scene.neighbours.wanting(&pruned.resource).is_none(), "another environment wants {pruned:?}");
            prop_assert!(of(pruned).left == ours(), "{pruned:?}");
        }
        if !prune || partial || scene.desired.is_empty() {
            prop_assert_eq!(&decided.prunes, &[]);
        }
        // No object is lost sight of while it may be there: what is not wanted any more goes when it is gone or another's.
        for item in scene.inventory.items.iter().filter(|item| !wanted.contains(&item.resource)) {
            let is_over = !partial && !scene.desired.is_empty() && matches!(of(item).left, Left::Gone | Left::NotOurs(_));
            prop_assert_eq!(decided.during.items.contains(item), !is_over);
            let is_pruned = decided.prunes.iter().any(|(pruned, _)| pruned == item);
            prop_assert_eq!(decided.after.items.contains(item), !is_over && !is_pruned);
        }
        prop_assert!(wanted.iter().all(|one| decided.after.items.iter().any(|item| item.resource == **one)));
    }
}
