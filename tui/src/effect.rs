//! What an update asks the world to do. An update itself does nothing: it returns these, and the runtime does them.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::id::EventId;
use quarterdeck_shared::protocol::{Accepted, ImageAnswer};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::RunId;
use serde::{Deserialize, Serialize};

use crate::model::act::Act;
use crate::model::diff::DiffDocument;
use crate::model::log::{Resume, Source};
use crate::model::packages::Packages;
use crate::model::subject::Subject;
use crate::model::text::TextDocument;

/// Names a request or a stream: for whom, and which of theirs. An answer whose ticket is not the one that is waited for is
/// late, and is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// Who waits for it.
    pub asker: Asker,
    /// A number that nothing else has.
    pub number: u64,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Asker {
    /// The screen of this number.
    Screen(u64),
    /// The question over the screen, for its plan.
    Question,
    /// The person who gave a command: its answer is told wherever they are by then.
    Person,
}

impl Ticket {
    /// A ticket of a screen.
    pub fn of(screen: u64, number: u64) -> Self {
        Self { asker: Asker::Screen(screen), number }
    }

    /// A ticket of the question.
    pub fn of_question(number: u64) -> Self {
        Self { asker: Asker::Question, number }
    }
}

/// Something for the runtime to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the agent; the answer comes as a message.
    Ask(Ticket, Ask),
    /// Ask the agent after a moment, in which more of what makes the answer old may happen.
    AskSoon(Ticket, Ask),
    /// Send a command; the answer comes as a message.
    Send(Ticket, Act),
    /// Follow a log; its lines come as messages.
    Follow(Ticket, Source, Resume),
    /// End a request or stream whose answer nobody waits for any more.
    Drop(Ticket),
    /// Try to reach the agent now rather than after the present pause.
    Reconnect,
    /// Move within the console's own log.
    OwnLog(OwnLog),
    /// Draw everything anew.
    Repaint,
    /// Stop the process as a job of the shell.
    Stop,
    /// End.
    Quit,
}

/// Events that are asked for at once: several screens of them.
pub const EVENTS_ASKED: usize = 200;

/// Syncs that are asked for: months of most environments.
pub const SYNCS_ASKED: usize = 200;

/// What can be asked of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// What a sync would change, to the present revision or to another.
    Diff(EnvironmentId, Option<String>),
    /// What is rendered.
    Manifests(EnvironmentId, Option<String>),
    /// A live object.
    Object(EnvironmentId, ResourceRef),
    /// The newest syncs.
    History(EnvironmentId),
    /// Whether registries have their images.
    Images(EnvironmentId),
    /// What is in the images of a run.
    Packages(RunId),
    /// Events of an application, of an environment or of all; before an id, or the newest.
    Events(Option<Subject>, Option<EventId>),
}

/// What the agent answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Diff`], made ready for drawing.
    Diff(Box<DiffDocument>),
    /// To [`Ask::Manifests`] and [`Ask::Object`].
    Text(Box<TextDocument>),
    /// To [`Ask::History`].
    History(Vec<SyncRecord>),
    /// To [`Ask::Images`].
    Images(Vec<ImageAnswer>),
    /// To [`Ask::Packages`], made ready for a list.
    Packages(Box<Packages>),
    /// To [`Ask::Events`].
    Events(Vec<EventRecord>),
    /// To a command.
    Accepted(Accepted),
}

/// Moves within the console's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnLog {
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Follow the end again.
    End,
}
