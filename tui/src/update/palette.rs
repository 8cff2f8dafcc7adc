//! The palette: commands, places and applications by a few letters of their names.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use quarterdeck_shared::application::EnvironmentId;
use tui_input::Input;

use crate::console::Model;
use crate::effect::Effect;
use crate::keymap::{Binding, Code, Command, EVERYWHERE, Key};
use crate::model::overlay::{Entry, Overlay, PALETTE_LINES, Palette, Target};
use crate::model::viewport;
use crate::screen::environment::{self, Environment};
use crate::update::{go, keys};

/// Entries that are shown at most: who looks further types another letter.
const ENTRIES_MAX: usize = 200;
/// Opens it.
pub(super) fn begin(model: &mut Model) {
    let palette = Palette { input: Input::default(), entries: Vec::new(), cursor: 0, top: 0 };
    model.overlay = Some(Overlay::Palette(palette));
    refresh(model);
}

/// A key while it is open.
pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let Some(Overlay::Palette(palette)) = &mut model.overlay else { return };
    let last = palette.entries.len().saturating_sub(1);
    match (key.code, key.ctrl) {
        (Code::Esc, _) => return model.overlay = None,
        (Code::Backspace, false) if palette.input.value().is_empty() => return model.overlay = None,
        (Code::Enter, _) => return choose(model, effects),
        (Code::Down, _) | (Code::Tab, _) | (Code::Char('n'), true) => palette.cursor = (palette.cursor + 1).min(last),
        (Code::Up, _) | (Code::BackTab, _) | (Code::Char('p'), true) => {
            palette.cursor = palette.cursor.saturating_sub(1);
        }
        (Code::PageDown, _) => palette.cursor = (palette.cursor + usize::from(PALETTE_LINES)).min(last),
        (Code::PageUp, _) => palette.cursor = palette.cursor.saturating_sub(usize::from(PALETTE_LINES)),
        _ => {
            if keys::edit(&mut palette.input, key) {
                refresh(model);
            }
            return;
        }
    }
    palette.top = viewport::top(palette.top, palette.cursor, palette.entries.len(), PALETTE_LINES, |_| 1);
}

/// Finds anew what matches.
pub(super) fn refresh(model: &mut Model) {
    let Some(Overlay::Palette(palette)) = &model.overlay else { return };
    let entries = entries(model, palette.input.value());
    if let Some(Overlay::Palette(palette)) = &mut model.overlay {
        (palette.entries, palette.cursor, palette.top) = (entries, 0, 0);
    }
}

fn choose(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Overlay::Palette(palette)) = model.overlay.take() else { return };
    let Some(entry) = palette.entries.into_iter().nth(palette.cursor) else { return };
    match entry.target {
        Target::Command(command) => keys::run(model, command, effects),
        Target::Open(name) => go::push(model, Environment::new(name).into(), effects),
        Target::Of(command, name) => {
            go::push(model, Environment::new(name).into(), effects);
            keys::run(model, command, effects);
        }
    }
}

/// What matches, the best first. `sync sh` means the command of an application; else commands, places and applications.
fn entries(model: &Model, typed: &str) -> Vec<Entry> {
    if let Some((word, rest)) = typed.trim_start().split_once(' ')
        && let Some(binding) = of_application().find(|binding| binding.word == word)
    {
        let all = model.world.fleet.ids().map(|name| of(binding, name)).collect();
        return best(all, rest);
    }
    let bindings = model.place().keys().iter().chain(EVERYWHERE);
    let mut all: Vec<Entry> = bindings.filter(|b| is_offered(b.command)).map(command).collect();
    all.extend(model.world.fleet.ids().map(|name| named(model, name)));
    best(all, typed)
}

/// Commands that can be given for an application by its name.
fn of_application() -> impl Iterator<Item = &'static Binding> {
    environment::KEYS.iter().chain(EVERYWHERE).filter(|binding| {
        use Command::*;
        matches!(
            binding.command,
            Diff | Sync
                | Rollback
                | Build
                | Push
                | Logs
                | Events
                | History
                | Manifests
                | Pods
                | Runs
                | Suspend
                | Unpin
                | Refresh
        )
    })
}

fn command(binding: &Binding) -> Entry {
    Entry {
        name: binding.word.to_owned(),
        help: binding.help.to_owned(),
        key: binding.shown().to_owned(),
        target: Target::Command(binding.command),
    }
}

fn named(model: &Model, name: &EnvironmentId) -> Entry {
    let help = model.world.fleet.environment(name).map(|a| format!("{}, {}", a.sync, a.health)).unwrap_or_default();
    Entry { name: name.to_string(), help, key: String::new(), target: Target::Open(name.clone()) }
}

fn of(binding: &Binding, name: &EnvironmentId) -> Entry {
    Entry {
        name: format!("{} {name}", binding.word),
        help: binding.help.to_owned(),
        key: binding.shown().to_owned(),
        target: Target::Of(binding.command, name.clone()),
    }
}

/// Moving about is done with the keys themselves; the palette would only be slower.
fn is_offered(command: Command) -> bool {
    use Command::*;
    !matches!(
        command,
        Up | Down | HalfUp | HalfDown | PageUp | PageDown | Top | Bottom | Left | Right | Open | Back | Palette
    )
}

fn best(all: Vec<Entry>, typed: &str) -> Vec<Entry> {
    let typed = typed.trim();
    if typed.is_empty() {
        return all.into_iter().take(ENTRIES_MAX).collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut score = |entry: &Entry| pattern.score(Utf32Str::new(&entry.name, &mut buffer), &mut matcher);
    let mut scored: Vec<(u32, Entry)> = all.into_iter().filter_map(|entry| Some((score(&entry)?, entry))).collect();
    // Among equals the shorter name is the more exact match.
    scored.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.len().cmp(&y.name.len())));
    scored.into_iter().take(ENTRIES_MAX).map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&str]) -> Vec<Entry> {
        let entry = |name: &&str| Entry {
            name: (*name).to_owned(),
            help: String::new(),
            key: String::new(),
            target: Target::Command(Command::Help),
        };
        names.iter().map(entry).collect()
    }

    #[test]
    fn a_few_letters_find_the_nearest_name() {
        let names = |typed| {
            best(all(&["sync", "suspend", "system", "shop", "shop-admin"]), typed)
                .into_iter()
                .map(|e| e.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names("sho"), ["shop", "shop-admin"]);
        assert_eq!(names("sy"), ["sync", "system"]);
        assert_eq!(names("shad"), ["shop-admin"]);
        assert_eq!(names("zzz"), Vec::<String>::new());
        assert_eq!(names("").len(), 5);
    }
}
