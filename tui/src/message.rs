//! All that can happen to the console. A list of these, played into the same model, makes the same screen.

use jiff::Timestamp;
use quarterdeck_shared::protocol::{LogRecord, Role, State, WatchRecord};
use serde::{Deserialize, Serialize};

use crate::effect::{Answer, Ticket};
use crate::keymap::Key;
use crate::model::link::Problem;

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Message {
    /// It is now so late. Comes before the messages of a batch.
    Time(Timestamp),
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// The link to the agent.
    Link(LinkMessage),
    /// The agent has been waited for so long that a person should know; in a sentence.
    Waiting(String),
    /// A request was answered.
    Answered(Ticket, Result<Answer, Problem>),
    /// Lines of a log that is followed.
    Lines(Ticket, Vec<LogRecord>),
    /// A log ended, or broke off.
    Ended(Ticket, Option<Problem>),
}

/// What happened to the link to the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum LinkMessage {
    /// An agent answered that understands us; what we may do there.
    Hello(Role),
    /// All that is so.
    State(Box<State>),
    /// What changed, in order. Also an empty one says that the agent is there.
    Records(Vec<WatchRecord>),
    /// The agent does not answer, or ceased to.
    Lost {
        /// Attempts that failed in a row.
        attempts: u32,
        /// Why.
        problem: Problem,
    },
    /// An agent answered that speaks another wire.
    Incompatible(Problem),
}
