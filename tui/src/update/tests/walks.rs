//! Going about: screens, selections, filters, searches.

use super::*;
use crate::effect::{Answer, Ask};
use crate::keymap::Root;
use crate::model::log::scroll::Position;
use crate::model::log::{Resume, Source};
use crate::screen::Place;

/// The kinds of the screens, from the lowest to the one that is seen.
fn kinds(model: &Model) -> Vec<&str> {
    model.screens.iter().map(|screen| screen.place.name()).collect()
}

#[test]
fn keys_lead_to_screens_and_back() {
    let mut model = console();
    for (keys, there) in [
        ("enter", vec!["Applications", "Environment"]),
        ("l", vec!["Applications", "Environment", "Logs"]),
        ("esc d", vec!["Applications", "Environment", "Diff"]),
        ("h", vec!["Applications", "Environment", "Diff", "History"]),
        ("esc esc esc esc esc", vec!["Applications"]),
        ("2", vec!["Runs"]),
        ("enter", vec!["Runs", "Logs"]),
        ("esc v", vec!["Runs", "Scan"]),
        ("esc V", vec!["Runs", "Packages"]),
        ("esc enter", vec!["Runs", "Logs"]),
        ("3", vec!["Pods"]),
        ("y", vec!["Pods", "Text"]),
        ("4", vec!["Events"]),
        ("5", vec!["System"]),
        ("6", vec!["Logs"]),
        ("7", vec!["ConsoleLog"]),
        ("1 o", vec!["Applications", "Pods"]),
        ("1 t", vec!["Applications", "Runs"]),
    ] {
        press(&mut model, keys);
        assert_eq!(kinds(&model), there, "{keys}");
    }
}

#[test]
fn a_top_view_is_as_it_was_left() {
    let mut model = console();
    choose(&mut model, "ledger");
    press(&mut model, "enter 3 1");
    assert_eq!(kinds(&model), ["Applications"]);
    assert_eq!(subject(&model), "ledger");
}

#[test]
fn what_is_left_is_ended_and_what_is_late_is_dropped() {
    let mut model = console();
    let opened = tickets(&press(&mut model, "l"));
    let left = press(&mut model, "esc");
    assert_eq!(left, [Effect::Drop(opened[0])]);
    update(&mut model, Message::Lines(opened[0], fixture::lines()));
    assert_eq!(kinds(&model), ["Applications"]);

    let first = tickets(&press(&mut model, "h"))[0];
    assert!(press(&mut model, "r").is_empty(), "one request at a time");
    let again = update(&mut model, Message::Answered(first, Ok(Answer::History(fixture::syncs()))));
    let second = tickets(&again)[0];
    assert!(matches!(&again[0], Effect::Ask(_, Ask::History(_))), "what was asked for meanwhile is asked once more");
    update(&mut model, Message::Answered(first, Ok(Answer::History(Vec::new()))));
    let Place::History(screen) = &model.screen().place else { panic!("the history is seen") };
    assert_eq!(screen.records.len(), fixture::syncs().len(), "an old answer changes nothing");
    assert_eq!(screen.records.all.wait.pending, Some(second.number));
}

#[test]
fn a_filter_applies_while_it_is_typed_and_goes_with_escape() {
    let mut model = console();
    let rows = |model: &Model| match &model.screen().place {
        Place::Applications(table) => table.rows().len(),
        _ => 0,
    };
    let all = rows(&model);
    press(&mut model, "/");
    type_in(&mut model, "led");
    assert_eq!(rows(&model), 1);
    press(&mut model, "esc");
    assert_eq!(rows(&model), all, "escape takes back what was typed");
    press(&mut model, "/");
    type_in(&mut model, "led");
    press(&mut model, "enter");
    assert_eq!((rows(&model), model.overlay.is_none()), (1, true));
    press(&mut model, "esc");
    assert_eq!(rows(&model), all);
}

#[test]
fn a_log_is_searched_and_followed() {
    let mut model = console();
    let ticket = tickets(&press(&mut model, "l"))[0];
    update(&mut model, Message::Lines(ticket, fixture::lines()));
    let found = |model: &Model| match &model.screen().place {
        Place::Logs(log) => (log.found, log.position == Position::Follow),
        _ => (None, false),
    };
    press(&mut model, "e");
    assert_eq!(found(&model), (Some(4), false), "the line that looks like an error");
    press(&mut model, "G /");
    type_in(&mut model, "search");
    press(&mut model, "enter");
    assert_eq!(found(&model).0, Some(4), "the nearest above");
    press(&mut model, "N");
    assert_eq!(found(&model).0, Some(2));
    press(&mut model, "n n");
    assert_eq!(found(&model).0, Some(2), "around the end");
    press(&mut model, "G");
    assert_eq!(found(&model), (None, true));
}

#[test]
fn the_previous_containers_have_a_log_of_their_own() {
    let mut model = console();
    press(&mut model, "3 l");
    let effects = press(&mut model, "p");
    let [Effect::Follow(_, Source::Pods { previous: true, pod: Some(_), .. }, Resume::Fresh)] = &effects[..] else {
        panic!("{effects:?}");
    };
}

#[test]
fn the_palette_goes_and_does() {
    let mut model = console();
    press(&mut model, ":");
    type_in(&mut model, "ledg");
    press(&mut model, "enter");
    assert_eq!(kinds(&model), ["Applications", "Environment"]);
    press(&mut model, ":");
    type_in(&mut model, "pipel");
    press(&mut model, "enter");
    assert_eq!(kinds(&model), ["Runs"]);
    press(&mut model, ":");
    type_in(&mut model, "diff mail");
    let effects = press(&mut model, "enter");
    assert!(
        matches!(&effects[..], [Effect::Ask(_, Ask::Diff(id, None))] if *id == fixture::id("mail/prod")),
        "{effects:?}"
    );
}

#[test]
fn every_top_view_has_its_digit() {
    for (digit, root) in (1..).zip(Root::ALL) {
        let key = digit.to_string().parse().expect("a digit is a key");
        assert_eq!(crate::keymap::command(&[], key), Some(crate::keymap::Command::Go(root)));
    }
}

#[test]
fn a_tree_closes_and_opens() {
    let mut model = console();
    choose(&mut model, "shop");
    press(&mut model, "enter");
    let rows = |model: &Model| match &model.screen().place {
        Place::Environment(screen) => screen.tree.rows().len(),
        _ => 0,
    };
    assert_eq!(rows(&model), 12);
    press(&mut model, "j left");
    assert_eq!(rows(&model), 6, "the deployment's branch is closed");
    press(&mut model, "space j k right");
    assert_eq!(rows(&model), 12);
    press(&mut model, "j j left left");
    let Place::Environment(screen) = &model.screen().place else { panic!("the application is seen") };
    assert_eq!(screen.tree.cursor, 2, "left of what owns nothing goes to its owner, which then closes");
}

#[test]
fn pasted_text_is_text() {
    let mut model = console();
    press(&mut model, "z");
    update(&mut model, Message::Paste("two\nlines\x1b[2J".to_owned()));
    let Some(crate::model::overlay::Overlay::Prompt(prompt)) = &model.overlay else { panic!("a question is open") };
    assert_eq!(prompt.input.value(), "two lines [2J");
    update(&mut model, Message::Paste("x".repeat(1_000_000)));
    let Some(crate::model::overlay::Overlay::Prompt(prompt)) = &model.overlay else { panic!("a question is open") };
    assert!(prompt.input.value().len() <= 2_000);
}

#[test]
fn control_c_gets_out_of_everything() {
    for keys in ["", "z", "S", ":", "/", "?", "l"] {
        let mut model = console();
        press(&mut model, keys);
        assert_eq!(press(&mut model, "ctrl-c"), [Effect::Quit], "{keys}");
    }
}
