//! What holds of the keys of all screens.

use std::collections::BTreeMap;

use super::*;
use crate::keymap::{self, Command, Key};

#[test]
fn every_key_can_be_pressed_and_means_one_thing() {
    for (screen, keys) in KEYS {
        let mut seen = BTreeMap::new();
        for binding in keys.iter().chain(EVERYWHERE) {
            for name in binding.keys.split(' ') {
                let key: Key = name.parse().unwrap_or_else(|_| panic!("{name:?} is no key"));
                assert_eq!(key.to_string(), name);
                let other = seen.insert(name, binding.command);
                assert_eq!(other, None, "{name} on {screen} is bound twice");
            }
        }
    }
}

#[test]
fn the_keys_of_the_main_commands() {
    for (key, screen, command) in [
        ("S", "Applications", Command::Sync),
        ("d", "Environment", Command::Diff),
        ("b", "Applications", Command::Build),
        ("p", "Applications", Command::Push),
        ("R", "History", Command::Rollback),
        ("z", "Environment", Command::Suspend),
        ("r", "Pods", Command::Refresh),
        ("l", "Pods", Command::Logs),
        ("e", "Environment", Command::Events),
        ("e", "Logs", Command::NextError),
        ("space", "Logs", Command::Fold),
        ("]", "Logs", Command::NextStep),
        ("y", "Environment", Command::Yaml),
        ("h", "Applications", Command::History),
        ("x", "Runs", Command::Cancel),
        ("v", "Runs", Command::Scan),
        ("V", "Runs", Command::Packages),
        ("ctrl-d", "Logs", Command::HalfDown),
        ("3", "Diff", Command::Go(Root::Pods)),
        ("ctrl-c", "Text", Command::Quit),
    ] {
        let pressed = key.parse().expect("a key of the table");
        let (_, keys) = KEYS.iter().find(|(name, _)| *name == screen).expect("it is in the list");
        assert_eq!(keymap::command(keys, pressed), Some(command), "{key} on {screen}");
    }
}

#[test]
fn the_help_fits_a_terminal_of_80_columns() {
    // Beside the keys; see what draws it.
    const ROOM: usize = 80 - 20;
    for (_, binding) in bindings() {
        assert!(crate::text::columns(binding.help) <= ROOM, "{:?}", binding.help);
    }
}

#[test]
fn a_top_view_says_which_it_is() {
    for root in Root::ALL {
        assert_eq!(Place::top(root).root(), Some(root));
    }
}
