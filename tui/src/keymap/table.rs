//! The key table.

use crate::keymap::Command::*;
use crate::keymap::{Binding, Command, Kind, Kind as On, Root};

/// Screens that show rows to choose from.
const ROWS: &[Kind] = &[On::Applications, On::Application, On::Runs, On::Pods, On::System, On::Events, On::History];
/// Screens on which an application is selected or shown.
const OF_APPLICATION: &[Kind] = &[On::Applications, On::Application, On::Runs, On::Pods, On::History, On::Diff];
/// Screens of text that can be searched.
const TEXTS: &[Kind] = &[On::Logs, On::Diff, On::Text];
/// Screens of text in which long lines can be broken.
const WRAPPED: &[Kind] = &[On::Logs, On::Text];
/// Screens from which events of an application can be asked for: a log uses the key for "next error".
const HAS_EVENTS: &[Kind] = &[On::Applications, On::Application, On::Runs, On::Pods, On::History];
/// Screens with a live object selected.
const HAS_OBJECT: &[Kind] = &[On::Application, On::Pods];

const fn hint(
    keys: &'static str,
    command: Command,
    on: &'static [Kind],
    word: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, command, on, word, help, hint: true }
}

const fn quiet(
    keys: &'static str,
    command: Command,
    on: &'static [Kind],
    word: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, command, on, word, help, hint: false }
}

/// Every key of the console, in the order in which hints and help show them.
pub const BINDINGS: &[Binding] = &[
    hint("enter", Open, &[On::Applications, On::Events], "open", "open what is selected"),
    hint("enter", Open, &[On::Application], "log", "log of the selected pod, or of all; else the live object"),
    hint("enter", Open, &[On::Runs], "output", "output of the selected run"),
    hint("enter", Open, &[On::Pods], "log", "log of the selected pod"),
    hint("enter", Open, &[On::History], "diff", "what differs from the selected sync's revision"),
    hint("d", Diff, OF_APPLICATION, "diff", "what a sync would change"),
    hint("S", Sync, OF_APPLICATION, "sync", "make the cluster equal to git; shows the plan and asks"),
    hint("R", Rollback, &[On::History], "rollback", "hold at the selected revision; shows the plan and asks"),
    quiet(
        "R",
        Rollback,
        &[On::Applications, On::Application, On::Runs, On::Pods],
        "rollback",
        "choose an earlier revision to hold at",
    ),
    hint(
        "b",
        Build,
        &[On::Applications, On::Application, On::Runs],
        "build",
        "build the image of a tag, branch or commit",
    ),
    hint(
        "p",
        Push,
        &[On::Applications, On::Application, On::Runs],
        "push",
        "push that image; builds it first where it is not there",
    ),
    hint(
        "l",
        Logs,
        &[On::Applications, On::Application, On::Runs, On::Pods],
        "logs",
        "follow the logs of all its pods",
    ),
    hint("x", Cancel, &[On::Runs], "cancel", "stop the selected run; asks"),
    hint("e", Events, HAS_EVENTS, "events", "what happened to the application"),
    hint(
        "h",
        History,
        &[On::Applications, On::Application, On::Runs, On::Pods, On::Diff],
        "history",
        "its syncs, newest first",
    ),
    hint("y", Yaml, HAS_OBJECT, "yaml", "the selected object as it is in the cluster"),
    quiet(
        "m",
        Manifests,
        &[On::Applications, On::Application, On::Pods, On::History, On::Text],
        "manifests",
        "what git says, rendered",
    ),
    quiet("o", Pods, &[On::Applications, On::Application, On::Runs, On::History], "pods", "pods of the application"),
    quiet("t", Runs, &[On::Applications, On::Application, On::Pods, On::History], "runs", "runs of the application"),
    quiet("z", Suspend, OF_APPLICATION, "suspend", "stop syncing it, with a reason; or go on with it"),
    quiet("u", Unpin, OF_APPLICATION, "unpin", "take the pin away and follow git again"),
    quiet("r", Refresh, &[], "refresh", "poll its repositories now; fetch this screen again"),
    hint("/", Filter, ROWS, "filter", "only rows that hold these words; !word: that do not"),
    hint("/", Filter, TEXTS, "search", "find a text"),
    hint("n", Next, &[On::Diff], "next", "next object, or next match"),
    quiet("n", Next, &[On::Logs, On::Text], "next match", "next match"),
    quiet("N", Previous, TEXTS, "previous", "the match or object before"),
    hint("e", NextError, &[On::Logs], "next error", "next line that looks like an error"),
    hint("w", Wrap, WRAPPED, "wrap", "break long lines, or do not"),
    quiet("t", Times, &[On::Logs], "times", "show when each line was written, or do not"),
    quiet("p", PreviousContainer, &[On::Logs], "previous run", "lines of the containers before their last restart"),
    hint("c", Context, &[On::Diff], "context", "show unchanged lines too, or fold them"),
    hint("v", Sides, &[On::Diff], "sides", "both sides beside each other, where the terminal is wide"),
    hint("s", Sort, &[On::Applications, On::Pods], "sort", "another order: by name, by trouble, newest first"),
    quiet("space", Fold, &[On::Application], "fold", "open or close a branch of the tree"),
    quiet("j down", Down, &[], "down", "a line down"),
    quiet("k up", Up, &[], "up", "a line up"),
    quiet("left", Left, &[], "left", "to the left; close a branch"),
    quiet("right", Right, &[], "right", "to the right; open a branch"),
    quiet("ctrl-d", HalfDown, &[], "half a page down", "half a page down"),
    quiet("ctrl-u", HalfUp, &[], "half a page up", "half a page up"),
    quiet("pagedown ctrl-f", PageDown, &[], "page down", "a page down"),
    quiet("pageup ctrl-b", PageUp, &[], "page up", "a page up"),
    quiet("g home", Top, &[], "top", "to the beginning"),
    quiet("G end", Bottom, &[], "bottom", "to the end; in a log: follow again"),
    quiet("1", Go(Root::Applications), &[], "applications", "go to the applications"),
    quiet("2", Go(Root::Pipelines), &[], "pipelines", "go to the runs of all applications"),
    quiet("3", Go(Root::Pods), &[], "pods of all", "go to the pods of all applications"),
    quiet("4", Go(Root::Events), &[], "events of all", "go to what happened"),
    quiet("5", Go(Root::System), &[], "system", "go to the agent, its repositories and connections"),
    quiet("6", Go(Root::AgentLog), &[], "agent log", "go to the agent's own log"),
    quiet("7", Go(Root::ConsoleLog), &[], "console log", "go to this console's own log"),
    hint(":", Palette, &[], "go to", "commands, places and applications by name"),
    hint("?", Help, &[], "keys", "all keys of this screen"),
    hint("esc", Back, &[], "back", "clear the filter, else back to where you came from"),
    quiet("ctrl-l", Repaint, &[], "repaint", "draw everything anew"),
    quiet("ctrl-z", Stop, &[], "stop", "stop as a job of the shell; fg takes it up again"),
    hint("q ctrl-c", Quit, &[], "quit", "end the console; the agent goes on"),
];
