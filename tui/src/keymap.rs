//! Keys become commands in tables: one of each screen, in its file, and one of what means the same everywhere. Help, the
//! hint line and the palette are printed from them, so that they cannot lie.
//!
//! A bare key never destroys anything: what changes a cluster asks first, and its dialog's default is No. `ctrl-d` and
//! `ctrl-u` scroll, as people from vim, less and tmux expect.

pub mod key;
pub mod table;

use serde::{Deserialize, Serialize};

pub use self::key::{Code, Key};
pub use self::table::EVERYWHERE;

/// All that a person can ask of the console by a key or from the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// One row or line up.
    Up,
    /// One row or line down.
    Down,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// The first row or line.
    Top,
    /// The last row or line; in a log: follow again.
    Bottom,
    /// To the left; closes a branch.
    Left,
    /// To the right; opens a branch.
    Right,
    /// Open what is selected.
    Open,
    /// Back to where one came from; first clears a filter.
    Back,
    /// To one of the top views.
    Go(Root),

    /// What a sync would do.
    Diff,
    /// Make the cluster equal to git, after showing the plan.
    Sync,
    /// Build the images.
    Build,
    /// Push the images, building them first where they are not there.
    Push,
    /// Hold the environment at an earlier revision.
    Rollback,
    /// Follow git again.
    Unpin,
    /// Run the tests of the chart.
    Test,
    /// Stop syncing, or go on with it.
    Suspend,
    /// Poll its repositories now; elsewhere: fetch again.
    Refresh,
    /// Logs of what is selected.
    Logs,
    /// What happened to it.
    Events,
    /// The live object as YAML.
    Yaml,
    /// What git says, rendered, as YAML.
    Manifests,
    /// Its syncs.
    History,
    /// Its pods.
    Pods,
    /// Runs of its application.
    Runs,
    /// Stop a run.
    Cancel,
    /// Queue the selected run once more.
    Retry,
    /// Let the selected run of a fork's code run.
    Allow,
    /// What the scans of the selected run found.
    Scan,
    /// What is in the images that the selected run pushed.
    Packages,

    /// Filter a table, search a text.
    Filter,
    /// The next match, object or error.
    Next,
    /// The one before.
    Previous,
    /// The next line that looks like an error.
    NextError,
    /// Another order of the rows.
    Sort,
    /// Open or close a branch, or a step of a build.
    Fold,
    /// Close all steps, or open them.
    FoldAll,
    /// The next step of a build.
    NextStep,
    /// The one before.
    PreviousStep,
    /// Break long lines, or do not.
    Wrap,
    /// Show when each line was written, or do not.
    Times,
    /// Lines of the container before its last restart.
    PreviousContainer,
    /// Show unchanged lines too, or fold them.
    Context,
    /// Both sides beside each other, or one below the other.
    Sides,

    /// All commands and places, by name.
    Palette,
    /// All keys.
    Help,
    /// Draw everything anew.
    Repaint,
    /// Stop the process, as a shell's job.
    Stop,
    /// End the console; the agent goes on.
    Quit,
}

/// The views at the top, in the order of their digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Root {
    /// Is all well?
    Applications,
    /// Runs with their stages.
    Pipelines,
    /// Pods of all environments.
    Pods,
    /// What happened.
    Events,
    /// The agent, its repositories, clusters, engines and registries.
    System,
    /// The agent's own log.
    AgentLog,
    /// This console's own log.
    ConsoleLog,
}

impl Root {
    /// All of them, in the order of their digits.
    pub const ALL: [Self; 7] =
        [Self::Applications, Self::Pipelines, Self::Pods, Self::Events, Self::System, Self::AgentLog, Self::ConsoleLog];

    /// Its name on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applications => "applications",
            Self::Pipelines => "pipelines",
            Self::Pods => "pods",
            Self::Events => "events",
            Self::System => "system",
            Self::AgentLog => "agent log",
            Self::ConsoleLog => "console log",
        }
    }
}

/// A key, and what it asks for.
#[derive(Debug)]
pub struct Binding {
    /// The keys, separated by blanks, as [`Key`] reads them. The first is the one that is shown.
    pub keys: &'static str,
    /// What they ask for.
    pub command: Command,
    /// One or two words, for the hint line and the palette.
    pub word: &'static str,
    /// A sentence, for help.
    pub help: &'static str,
    /// Whether the hint line shows it.
    pub hint: bool,
}

impl Binding {
    /// The key that is shown.
    pub fn shown(&self) -> &'static str {
        self.keys.split(' ').next().unwrap_or_default()
    }
}

/// What a key asks for on a screen with these keys of its own.
pub fn command(here: &[Binding], key: Key) -> Option<Command> {
    let pressed = key.to_string();
    let mut all = here.iter().chain(EVERYWHERE);
    all.find(|binding| binding.keys.split(' ').any(|name| name == pressed)).map(|binding| binding.command)
}
