use quarterdeck_shared::application::{EnvironmentName, SyncPolicy};

use super::*;

fn environment(name: &str) -> EnvironmentSpec {
    let name: EnvironmentName = name.parse().unwrap();
    EnvironmentSpec::new(name, "https://forge/ops/fleet".to_owned(), "shop".to_owned())
}

fn application(name: &str, environments: &[EnvironmentSpec]) -> ApplicationSpec {
    let environments = environments.to_vec();
    ApplicationSpec { name: name.parse().unwrap(), delivery: None, environments, followed: Vec::new() }
}

/// The applications of a source that keeps another one.
fn fates(before: &[ApplicationSpec], after: &[ApplicationSpec], with: impl FnOnce(&mut Change<'_>)) -> Vec<String> {
    let mut change = Change {
        prune: true,
        prune_max: 2,
        may_be_empty: false,
        is_same_place: true,
        before: before.iter().collect(),
        after: after.iter().collect(),
        is_suspended: &|_| false,
    };
    with(&mut change);
    let fate = |(id, departure): (EnvironmentId, Departure)| match departure {
        Departure::Deleted => format!("{id} deleted"),
        Departure::Renamed(to) => format!("{id} is {to}"),
        Departure::Left(why) => format!("{id} left: {why}"),
    };
    departures(&change).into_iter().map(fate).collect()
}

#[test]
fn what_leaves_is_deleted_only_where_that_is_asked_and_likely_meant() {
    let stays = || application("cart", &[EnvironmentSpec { path: "cart".to_owned(), ..environment("qa") }]);
    let shop = |spec: EnvironmentSpec| [stays(), application("shop", &[spec])];
    let plain = shop(environment("qa"));
    let after = [stays()];
    let manual = SyncPolicy { automatic: false, ..SyncPolicy::default() };
    let unpruned = SyncPolicy { prune: false, ..SyncPolicy::default() };
    assert_eq!(fates(&plain, &after, |_| {}), ["shop/qa deleted"]);
    assert_eq!(fates(&plain, &plain, |_| {}), [""; 0]);
    assert_eq!(fates(&after, &plain, |_| {}), [""; 0], "what comes does not leave");
    assert_eq!(fates(&plain, &after, |it| it.prune = false), ["shop/qa left: its source does not set prune"]);
    let moved = ["shop/qa left: its source is read from another place than before"];
    assert_eq!(fates(&plain, &after, |it| it.is_same_place = false), moved);
    let suspended = fates(&plain, &after, |it| it.is_suspended = &|id| id.to_string() == "shop/qa");
    assert_eq!(suspended, ["shop/qa left: it is suspended"]);
    let empty = ["cart/qa", "shop/qa"].map(|id| format!("{id} left: its source has no applications left"));
    assert_eq!(fates(&plain, &[], |_| {}), empty);
    let gone = ["cart/qa deleted", "shop/qa deleted"];
    assert_eq!(fates(&plain, &[], |it| it.may_be_empty = true), gone);
    for (spec, why) in [
        (EnvironmentSpec { protected: true, ..environment("qa") }, "it is protected"),
        (EnvironmentSpec { sync: manual, ..environment("qa") }, "its automatic sync is off"),
        (EnvironmentSpec { sync: unpruned, ..environment("qa") }, "its prune is off"),
    ] {
        assert_eq!(fates(&shop(spec), &after, |_| {}), [format!("shop/qa left: {why}")]);
    }
}

#[test]
fn an_environment_of_an_application_that_stays_leaves_too() {
    let before = [application("shop", &[environment("prod"), environment("qa")])];
    let after = [application("shop", &[environment("prod")])];
    assert_eq!(fates(&before, &after, |_| {}), ["shop/qa deleted"]);
}

#[test]
fn more_than_the_bound_at_once_are_all_left() {
    let names = ["a", "b", "c", "d"];
    let of = |names: &[&str]| -> Vec<ApplicationSpec> {
        let one =
            |name: &&str| application(name, &[EnvironmentSpec { namespace: (*name).to_owned(), ..environment("qa") }]);
        names.iter().map(one).collect()
    };
    assert_eq!(fates(&of(&names), &of(&["c", "d"]), |_| {}), ["a/qa deleted", "b/qa deleted"]);
    let why = "3 environments left the source at the same time; prune_max is 2";
    let left = ["a", "b", "c"].map(|name| format!("{name}/qa left: {why}"));
    assert_eq!(fates(&of(&names), &of(&["d"]), |_| {}), left);
}

#[test]
fn the_same_manifests_under_another_name_are_a_rename() {
    let before = [application("shop", &[environment("qa")])];
    let after = [application("store", &[EnvironmentSpec { protected: true, ..environment("test") }])];
    assert_eq!(fates(&before, &after, |_| {}), ["shop/qa is store/test"]);
    let elsewhere = [application("store", &[EnvironmentSpec { namespace: "store".to_owned(), ..environment("qa") }])];
    assert_eq!(fates(&before, &elsewhere, |_| {}), ["shop/qa deleted"]);
}
