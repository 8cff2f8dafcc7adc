//! Lines of logs, and their ends.

use quarterdeck_shared::protocol::LogRecord;

use crate::console::Model;
use crate::effect::{Asker, Ticket};
use crate::model::link::Problem;
use crate::model::log::ring::LineKind;
use crate::model::log::{LogScreen, Stream};

/// Takes lines. Those of a stream that was left or opened anew are dropped.
pub(super) fn lines(model: &mut Model, ticket: Ticket, records: Vec<LogRecord>) {
    if let Some(log) = log_of(model, ticket) {
        log.take(records);
    }
}

/// Takes the end of a stream: it is told in the log, where the lines end.
pub(super) fn ended(model: &mut Model, ticket: Ticket, problem: Option<Problem>) {
    let Some(log) = log_of(model, ticket) else { return };
    match problem {
        None => {
            log.say(LineKind::Notice, "end of the log");
            log.stream = Stream::Ended;
        }
        Some(problem) => {
            log.say(LineKind::Gap, &problem.message);
            log.stream = Stream::Broken(problem);
        }
    }
}

fn log_of(model: &mut Model, ticket: Ticket) -> Option<&mut LogScreen> {
    let mut screens = model.screens.iter_mut().chain(model.shelf.values_mut());
    let screen = screens.find(|screen| ticket.asker == Asker::Screen(screen.id))?;
    screen.place.log().filter(|log| log.number == ticket.number)
}
