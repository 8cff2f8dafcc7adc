//! What lies over a screen: a question, the palette, the keys, a search that is being typed.

use quarterdeck_shared::application::EnvironmentId;
use serde::{Deserialize, Serialize};
use tui_input::Input;

use crate::keymap::Command;
use crate::model::act::Act;
use crate::model::diff::DiffDocument;
use crate::model::fetched::Fetched;
use crate::model::subject::Subject;

/// What lies over the screen.
#[derive(Debug, Serialize, Deserialize)]
pub enum Overlay {
    /// A filter or a search is typed, in the footer; it applies while it is typed.
    Find(Find),
    /// Something is asked that needs words.
    Prompt(Prompt),
    /// Something is asked that needs a yes.
    Confirm(Confirm),
    /// Commands, places and environments by name.
    Palette(Palette),
    /// All keys of the screen.
    Help {
        /// The first line that is seen.
        top: usize,
    },
}

/// A filter or search that is typed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Find {
    /// What is typed.
    pub input: Input,
    /// What was there before, for who changes their mind.
    pub before: String,
}

/// A question that needs words: why, or what is to be built.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prompt {
    /// What is sent with the words.
    pub act: Act,
    /// To which revision, of a rollback.
    pub aim: Option<Aim>,
    /// What is typed.
    pub input: Input,
}

/// A question that needs a yes. No is the default, and every other key is No as well.
#[derive(Debug, Serialize, Deserialize)]
pub struct Confirm {
    /// What a yes does; a rollback asks for a reason first.
    pub act: Act,
    /// To which revision, of a rollback.
    pub aim: Option<Aim>,
    /// What would be done, for what changes a cluster.
    pub plan: Option<Fetched<DiffDocument>>,
    /// The first line of the plan that is seen.
    pub top: usize,
}

/// The revision that is gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aim {
    /// Its commit.
    pub commit: String,
    /// The same in words: `main@1f3c2a9 of sync 41`.
    pub words: String,
    /// What to know before it is done; empty where there is nothing.
    pub warning: String,
}

/// Lines of the palette's list, where the terminal has them.
pub const PALETTE_LINES: u16 = 12;

/// Commands, places and environments by name.
#[derive(Debug, Serialize, Deserialize)]
pub struct Palette {
    /// What is typed.
    pub input: Input,
    /// What matches it, the best first.
    pub entries: Vec<Entry>,
    /// The entry under the cursor.
    pub cursor: usize,
    /// The first entry that is seen.
    pub top: usize,
}

/// An entry of the palette.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it does.
    pub help: String,
    /// The key that does the same.
    pub key: String,
    /// What happens.
    pub target: Target,
}

/// What an entry of the palette does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A command, where the reader is.
    Command(Command),
    /// Open an environment.
    Open(EnvironmentId),
    /// A command of an application or an environment.
    Of(Command, Subject),
}
