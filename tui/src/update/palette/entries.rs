//! What the palette lists: commands and places, environments, and commands of applications and environments by name.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use quarterdeck_shared::application::EnvironmentId;

use crate::console::Model;
use crate::keymap::{Binding, Command, EVERYWHERE};
use crate::model::World;
use crate::model::overlay::{Entry, Target};
use crate::model::subject::Subject;
use crate::screen::environment;

/// Entries that are shown at most: who looks further types another letter.
const ENTRIES_MAX: usize = 200;

/// What matches, the best first. `sync sh` means the command of an environment; else commands, places and environments.
pub(super) fn entries(model: &Model, typed: &str) -> Vec<Entry> {
    if let Some(entries) = of_named(&model.world, typed) {
        return entries;
    }
    let bindings = model.place().keys().iter().chain(EVERYWHERE);
    let mut all: Vec<Entry> = bindings.filter(|b| is_offered(b.command)).map(command).collect();
    all.extend(environments(&model.world).map(|id| named(&model.world, id)));
    best(all, typed)
}

/// What matches where a command of an application or an environment is typed: `build sh`, `sync shop/q`.
pub(super) fn of_named(world: &World, typed: &str) -> Option<Vec<Entry>> {
    let (word, rest) = typed.trim_start().split_once(' ')?;
    let binding = named_commands().find(|binding| binding.word == word)?;
    let applications = || world.fleet.applications().map(|(_, one)| one.name.clone());
    let mut subjects: Vec<Subject> = if is_of_application(binding.command) {
        applications().map(|name| world.fleet.subject(&name)).collect()
    } else {
        Vec::new()
    };
    if !matches!(binding.command, Command::Build | Command::Push | Command::Runs | Command::Refresh) {
        subjects.extend(environments(world).map(Subject::Environment));
        subjects.sort_by_key(|subject| world.fleet.called(subject));
        subjects.dedup();
    }
    Some(best(subjects.into_iter().map(|subject| entry(binding, subject, world)).collect(), rest))
}

/// All environments, by application and in the order of the configuration.
fn environments(world: &World) -> impl Iterator<Item = EnvironmentId> {
    world.fleet.applications().flat_map(|(_, application)| application.ids())
}

/// Whether a command can be given for an application as a whole, however many environments it has.
fn is_of_application(command: Command) -> bool {
    use Command::*;
    matches!(command, Build | Push | Events | Pods | Runs | Refresh)
}

/// Commands that can be given for an application or an environment by its name.
pub(super) fn named_commands() -> impl Iterator<Item = &'static Binding> {
    environment::KEYS.iter().chain(EVERYWHERE).filter(|binding| {
        use Command::*;
        matches!(
            binding.command,
            Diff | Sync
                | Rollback
                | Test
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

fn named(world: &World, id: EnvironmentId) -> Entry {
    let help = world.fleet.environment(&id).map(|one| format!("{}, {}", one.sync, one.health)).unwrap_or_default();
    Entry { name: world.fleet.label(&id), help, key: String::new(), target: Target::Open(id) }
}

fn entry(binding: &Binding, subject: Subject, world: &World) -> Entry {
    Entry {
        name: format!("{} {}", binding.word, world.fleet.called(&subject)),
        help: binding.help.to_owned(),
        key: binding.shown().to_owned(),
        target: Target::Of(binding.command, subject),
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
