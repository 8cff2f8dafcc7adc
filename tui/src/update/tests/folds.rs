//! Applications with several environments: their rows, and what is asked of which.

use quarterdeck_shared::protocol::WatchRecord;
use quarterdeck_shared::snapshot::{EnvironmentStatus, Key, Object};
use quarterdeck_shared::status::{Health, SyncStatus};

use super::*;
use crate::effect::Ask;
use crate::model::act::Act;
use crate::model::overlay::Overlay;
use crate::model::subject::Subject;
use crate::screen::Place;

/// The rows of the list, of these applications.
fn rows(model: &Model, of: &[&str]) -> Vec<String> {
    let Place::Applications(table) = model.place() else { panic!("the list is seen") };
    let keys = table.rows().iter().filter_map(|row| model.world.fleet.key(row.slot));
    let name = |key: &Key| key.0.split_once('/').map(|(_, name)| name.to_owned());
    let is_of = |name: &String| of.contains(&name.split('/').next().unwrap_or_default());
    keys.filter_map(name).filter(is_of).collect()
}

fn put(model: &mut Model, object: Object) {
    let record = WatchRecord::Put { revision: 2, key: object.key(), object: Box::new(object) };
    tell(model, LinkMessage::Records(vec![record]));
}

fn del(model: &mut Model, key: Key) {
    tell(model, LinkMessage::Records(vec![WatchRecord::Del { revision: 2, key }]));
}

fn environment(address: &str, health: Health) -> Object {
    Object::Environment(Box::new(fixture::environment(address, health)))
}

const FOLDED: &[&str] = &["media"];
const OPEN: &[&str] = &["media", "media/qa", "media/prod"];

#[test]
fn an_application_opens_to_its_environments_and_closes() {
    for (keys, open, selected) in [
        ("right", true, "media"),
        ("space", true, "media"),
        ("enter", true, "media"),
        ("right right", true, "media"),
        ("enter enter", false, "media"),
        ("space space", false, "media"),
        ("right left", false, "media"),
        ("left", false, "media"),
        ("right j", true, "media/qa"),
        ("right j j", true, "media/prod"),
        ("right j j left", true, "media"),
        ("right j j left left", false, "media"),
    ] {
        let mut model = console();
        choose(&mut model, "media");
        assert!(press(&mut model, keys).is_empty(), "{keys}");
        assert_eq!(rows(&model, &["media"]), if open { OPEN } else { FOLDED }, "{keys}");
        assert_eq!(subject(&model), selected, "{keys}");
        assert_eq!(model.screens.len(), 1, "{keys}: nothing is opened");
    }
}

#[test]
fn an_environment_and_an_application_without_any_open_their_screens() {
    for (name, keys, there, of) in [
        ("media", "right j enter", "Environment", "media/qa"),
        ("shop", "right left space enter", "Environment", "shop"),
        ("tools", "right left space enter", "Runs", "tools"),
    ] {
        let mut model = console();
        choose(&mut model, name);
        press(&mut model, keys);
        assert_eq!(model.place().name(), there, "{name}");
        assert_eq!(model.place().scope().map(|of| model.world.fleet.called(&of)).as_deref(), Some(of));
    }
}

#[test]
fn environments_stay_below_their_application_in_every_order() {
    let mut model = console();
    choose(&mut model, "media");
    press(&mut model, "right");
    let of = ["ledger", "media", "shop", "cart"];
    let open = |before: &[&'static str], after: &[&'static str]| [before, OPEN, after].concat();
    assert_eq!(rows(&model, &of), open(&["cart", "ledger"], &["shop"]));
    press(&mut model, "s");
    assert_eq!(rows(&model, &of), open(&["cart"], &["shop", "ledger"]), "Missing comes before Progressing");
    put(&mut model, environment("media/qa", Health::Unknown));
    assert_eq!(rows(&model, &of), open(&[], &["cart", "shop", "ledger"]), "the whole moves with its worst");
    put(&mut model, environment("media/qa", Health::Healthy));
    put(&mut model, environment("media/prod", Health::Healthy));
    assert_eq!(rows(&model, &of), open(&["cart", "shop", "ledger"], &[]));
    press(&mut model, "s");
    let since = EnvironmentStatus { since: fixture::ago_s(1), ..fixture::environment("media/qa", Health::Healthy) };
    put(&mut model, Object::Environment(Box::new(since)));
    assert_eq!(rows(&model, &of), open(&[], &["shop", "cart", "ledger"]));
}

#[test]
fn rows_follow_environments_that_come_and_go() {
    for keys in ["", "right"] {
        let mut model = console();
        choose(&mut model, "media");
        press(&mut model, keys);
        let shown = |all: &[&str]| {
            if keys.is_empty() { vec!["media".to_owned()] } else { all.iter().map(ToString::to_string).collect() }
        };
        let application = |all: &[&str]| Object::Application(Box::new(fixture::application("media", all)));
        put(&mut model, environment("media/dev", Health::Healthy));
        assert_eq!(rows(&model, &["media"]), shown(OPEN), "it is none of the application yet");
        put(&mut model, application(&["dev", "qa", "prod"]));
        assert_eq!(rows(&model, &["media"]), shown(&["media", "media/dev", "media/qa", "media/prod"]));
        del(&mut model, Key::environment(&fixture::id("media/qa")));
        assert_eq!(rows(&model, &["media"]), shown(&["media", "media/dev", "media/prod"]));
        put(&mut model, application(&["prod"]));
        assert_eq!(rows(&model, &["media"]), ["media"], "one is the application's own row");
        assert_eq!(model.place().subject(&model.world), Some(Subject::Environment(fixture::id("media/prod"))));
        del(&mut model, Key::application(&fixture::name("media")));
        assert_eq!(rows(&model, &["media"]), Vec::<String>::new());
    }
}

#[test]
fn a_filter_keeps_the_application_of_what_it_finds() {
    for (filter, found) in [
        ("media", OPEN),
        ("media/qa", &["media", "media/qa"]),
        ("missing", &["media", "media/prod"]),
        ("media !missing", &["media", "media/qa"]),
        ("media !prod", &[]),
        ("!media", &["tools"]),
        ("ops/tools-init", &["tools"]),
    ] {
        let mut model = console();
        choose(&mut model, "media");
        press(&mut model, "right /");
        type_in(&mut model, filter);
        assert_eq!(rows(&model, &["media", "tools"]), found, "{filter}");
    }
}

#[test]
fn an_application_is_counted_once_and_as_its_worst() {
    let mut model = console();
    choose(&mut model, "media");
    for keys in ["", "right"] {
        press(&mut model, keys);
        let Place::Applications(table) = model.place() else { panic!("the list is seen") };
        assert_eq!((table.count(Health::Missing), table.count(Health::Healthy)), (1, 5), "{keys}");
    }
}

#[test]
fn what_is_for_one_environment_asks_which() {
    for (key, word) in
        [("S", "sync"), ("d", "diff"), ("R", "rollback"), ("z", "suspend"), ("l", "logs"), ("h", "history")]
    {
        let mut model = console();
        choose(&mut model, "media");
        assert!(press(&mut model, key).is_empty(), "{key}");
        let Some(Overlay::Palette(palette)) = &model.overlay else { panic!("{key}: which one is asked") };
        let names: Vec<_> = palette.entries.iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, [format!("{word} media/qa"), format!("{word} media/prod")], "{key}");
        press(&mut model, "down enter");
        assert_eq!(model.screens[1].place.scope(), Some(Subject::Environment(fixture::id("media/prod"))), "{key}");
    }
    let mut model = console();
    choose(&mut model, "tools");
    assert!(press(&mut model, "S").is_empty());
    assert!(model.overlay.is_none());
    assert_eq!(model.toasts[0].text, "tools has no environments");
}

#[test]
fn what_is_for_the_application_asks_nothing() {
    let mut model = console();
    choose(&mut model, "media");
    press(&mut model, "b");
    let effects = press(&mut model, "enter");
    assert!(matches!(&effects[..], [Effect::Send(_, Act::Build(name, _))] if *name == fixture::name("media")));
    let whole = || Subject::Application(fixture::name("media"));
    let effects = press(&mut model, "e");
    assert!(matches!(&effects[..], [Effect::Ask(_, Ask::Events(Some(of), None))] if *of == whole()), "{effects:?}");
    for (keys, name) in [("esc o", "Pods"), ("esc t", "Runs")] {
        press(&mut model, keys);
        assert_eq!((model.place().name(), model.place().scope()), (name, Some(whole())));
    }
}

/// What happened to an only environment is told with what happened to the application; else each has events of its own.
#[test]
fn events_are_of_what_is_selected() {
    for (name, keys, of) in [
        ("shop", "e", Subject::Application(fixture::name("shop"))),
        ("media", "right j e", Subject::Environment(fixture::id("media/qa"))),
    ] {
        let mut model = console();
        choose(&mut model, name);
        let effects = press(&mut model, keys);
        assert!(
            matches!(&effects[..], [Effect::Ask(_, Ask::Events(Some(asked), None))] if *asked == of),
            "{effects:?}"
        );
    }
}

#[test]
fn a_folded_application_says_why_the_worst_is_as_it_is() {
    use crate::model::summary::why_application;
    let mut model = console();
    let failed = |address: &str, health, sync, message: &str| {
        let message = message.to_owned();
        Object::Environment(Box::new(EnvironmentStatus { sync, message, ..fixture::environment(address, health) }))
    };
    let (synced, unknown) = (SyncStatus::Synced, SyncStatus::Unknown);
    for (qa, prod, folded) in [
        (failed("media/qa", Health::Healthy, synced, ""), failed("media/prod", Health::Healthy, synced, ""), ""),
        (
            failed("media/qa", Health::Healthy, unknown, "no git"),
            failed("media/prod", Health::Progressing, synced, "slow"),
            "qa: no git",
        ),
        (
            failed("media/qa", Health::Missing, synced, "gone"),
            failed("media/prod", Health::Degraded, synced, "crash"),
            "prod: crash",
        ),
    ] {
        [qa, prod].into_iter().for_each(|object| put(&mut model, object));
        let fleet = &model.world.fleet;
        let media = fleet.application(&fixture::name("media")).expect("it is there");
        assert_eq!(why_application(fleet, media, false, |_| String::new()), folded);
        assert_eq!(why_application(fleet, media, true, |_| String::new()), "", "each says it by itself");
    }
}
