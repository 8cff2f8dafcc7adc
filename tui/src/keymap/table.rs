//! The keys that mean the same everywhere, and those that mean the same wherever a screen has them.

use crate::keymap::Command::*;
use crate::keymap::{Binding, Command, Root};

/// A key that the hint line shows.
pub const fn hint(keys: &'static str, command: Command, word: &'static str, help: &'static str) -> Binding {
    Binding { keys, command, word, help, hint: true }
}

/// A key that only help and the palette show.
pub const fn quiet(keys: &'static str, command: Command, word: &'static str, help: &'static str) -> Binding {
    Binding { keys, command, word, help, hint: false }
}

// Of a screen on which an application or an environment is selected or shown.

/// What a sync would change.
pub const DIFF: Binding = hint("d", Diff, "diff", "what a sync would change");
/// Make the cluster equal to git.
pub const SYNC: Binding = hint("S", Sync, "sync", "make the cluster equal to git; shows the plan and asks");
/// Choose an earlier revision.
pub const ROLLBACK: Binding = quiet("R", Rollback, "rollback", "choose an earlier revision to hold at");
/// Build the images.
pub const BUILD: Binding = hint("b", Build, "build", "build the images of a tag, branch or commit");
/// Push the images.
pub const PUSH: Binding = hint("p", Push, "push", "push those images; builds them first where they are missing");
/// Logs of its pods.
pub const LOGS: Binding = hint("l", Logs, "logs", "follow the logs of all its pods");
/// What happened to it.
pub const EVENTS: Binding = hint("e", Events, "events", "what happened to it");
/// Its syncs.
pub const HISTORY: Binding = hint("h", History, "history", "its syncs, newest first");
/// The selected object.
pub const YAML: Binding = hint("y", Yaml, "yaml", "the selected object as it is in the cluster");
/// What git says.
pub const MANIFESTS: Binding = quiet("m", Manifests, "manifests", "what git says, rendered");
/// Its pods.
pub const PODS: Binding = quiet("o", Pods, "pods", "its pods");
/// Its runs.
pub const RUNS: Binding = quiet("t", Runs, "runs", "runs of its application");
/// Run the tests of its chart.
pub const TEST: Binding = hint("T", Test, "test", "run the tests of its chart; asks first");
/// Stop syncing, or go on.
pub const SUSPEND: Binding = quiet("z", Suspend, "suspend", "stop syncing it, with a reason; or go on with it");
/// Follow git again.
pub const UNPIN: Binding = quiet("u", Unpin, "unpin", "take the pin away and follow git again");

// Of lists and of texts.

/// Choose rows by words.
pub const FILTER: Binding = hint("/", Filter, "filter", "only rows that hold these words; !word: that do not");
/// Another order.
pub const SORT: Binding = hint("s", Sort, "sort", "another order: by name, by trouble, newest first");
/// Find a text.
pub const SEARCH: Binding = hint("/", Filter, "search", "find a text");
/// The next match.
pub const NEXT: Binding = quiet("n", Next, "next match", "next match");
/// The one before.
pub const PREVIOUS: Binding = quiet("N", Previous, "previous", "the match or object before");
/// Break long lines.
pub const WRAP: Binding = hint("w", Wrap, "wrap", "break long lines, or do not");

/// What means the same everywhere, in the order in which hints and help show it.
pub const EVERYWHERE: &[Binding] = &[
    quiet("r", Refresh, "refresh", "poll its repositories now; fetch this screen again"),
    quiet("j down", Down, "down", "a line down"),
    quiet("k up", Up, "up", "a line up"),
    quiet("left", Left, "left", "to the left; close a branch"),
    quiet("right", Right, "right", "to the right; open a branch"),
    quiet("ctrl-d", HalfDown, "half a page down", "half a page down"),
    quiet("ctrl-u", HalfUp, "half a page up", "half a page up"),
    quiet("pagedown ctrl-f", PageDown, "page down", "a page down"),
    quiet("pageup ctrl-b", PageUp, "page up", "a page up"),
    quiet("g home", Top, "top", "to the beginning"),
    quiet("G end", Bottom, "bottom", "to the end; in a log: follow again"),
    quiet("1", Go(Root::Applications), "applications", "go to the applications"),
    quiet("2", Go(Root::Pipelines), "pipelines", "go to the runs of all applications"),
    quiet("3", Go(Root::Pods), "pods of all", "go to the pods of all environments"),
    quiet("4", Go(Root::Events), "events of all", "go to what happened"),
    quiet("5", Go(Root::System), "system", "go to the agent, its repositories and connections"),
    quiet("6", Go(Root::AgentLog), "agent log", "go to the agent's own log"),
    quiet("7", Go(Root::ConsoleLog), "console log", "go to this console's own log"),
    hint(":", Palette, "go to", "commands, places and environments by name"),
    hint("?", Help, "keys", "all keys of this screen"),
    hint("esc", Back, "back", "clear the filter, else back to where you came from"),
    quiet("ctrl-l", Repaint, "repaint", "draw everything again"),
    quiet("ctrl-z", Stop, "stop", "stop as a job of the shell; fg takes it up again"),
    hint("q ctrl-c", Quit, "quit", "end the console; the agent goes on"),
];
