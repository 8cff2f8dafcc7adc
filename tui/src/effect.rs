//! What an update asks the world to do. An update itself does nothing: it returns these, and the runtime does them.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::{EventRecord, SyncRecord};
use quarterdeck_shared::protocol::{Accepted, DeliverRequest, RollbackRequest, SuspendRequest, SyncRequest};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::RunId;
use serde::{Deserialize, Serialize};

use crate::model::diff::DiffDocument;
use crate::model::log::Resume;
use crate::model::log::Source;
use crate::model::text::TextDocument;

/// Names a request or a stream: for which screen, and which of the requests of that screen. An answer whose ticket is
/// not the one that is waited for is late, and is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// The screen; zero for a command, whose answer is told wherever the reader is.
    pub screen: u64,
    /// A number that nothing else has.
    pub number: u64,
}

/// Something for the runtime to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the agent; the answer comes as a message.
    Ask(Ticket, Ask),
    /// Ask the agent after a moment, in which more of what makes the answer old may happen.
    AskSoon(Ticket, Ask),
    /// Send a command; the answer comes as a message.
    Send(Ticket, Send),
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

/// Syncs that are asked for: months of most applications.
pub const SYNCS_ASKED: usize = 200;

/// What can be asked of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// What a sync would change, to the present revision or to another.
    Diff(ApplicationName, Option<String>),
    /// What is rendered.
    Manifests(ApplicationName, Option<String>),
    /// A live object.
    Object(ApplicationName, ResourceRef),
    /// The newest syncs.
    History(ApplicationName),
    /// Events before an id, or the newest.
    Events(Option<ApplicationName>, Option<u64>),
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
    /// To [`Ask::Events`].
    Events(Vec<EventRecord>),
    /// To a command.
    Accepted(Accepted),
}

/// Commands to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Send {
    /// Make the cluster equal to git.
    Sync(ApplicationName, SyncRequest),
    /// Build an image.
    Build(ApplicationName, DeliverRequest),
    /// Push an image.
    Push(ApplicationName, DeliverRequest),
    /// Hold at an earlier revision.
    Rollback(ApplicationName, RollbackRequest),
    /// Follow git again.
    Unpin(ApplicationName),
    /// Stop syncing.
    Suspend(ApplicationName, SuspendRequest),
    /// Go on syncing.
    Resume(ApplicationName),
    /// Poll its repositories now.
    Refresh(ApplicationName),
    /// Stop a run.
    Cancel(RunId),
}

impl Send {
    /// What is asked for, for the message that tells of its failure: `sync of shop`.
    pub fn words(&self) -> String {
        match self {
            Self::Sync(name, _) => format!("sync of {name}"),
            Self::Build(name, _) => format!("build of {name}"),
            Self::Push(name, _) => format!("push of {name}"),
            Self::Rollback(name, _) => format!("rollback of {name}"),
            Self::Unpin(name) => format!("unpin of {name}"),
            Self::Suspend(name, _) => format!("suspend of {name}"),
            Self::Resume(name) => format!("resume of {name}"),
            Self::Refresh(name) => format!("refresh of {name}"),
            Self::Cancel(run) => format!("cancel of run {run}"),
        }
    }
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
