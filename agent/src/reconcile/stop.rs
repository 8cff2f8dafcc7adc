//! What stops a sync that runs: a person who suspends the environment, pins it elsewhere or takes the pin away, and the end
//! of the environment in this form. It is looked at before each object that is written or deleted.

use quarterdeck_shared::snapshot::{EnvironmentStatus, Hold};
use quarterdeck_shared::status::Phase;

use crate::context::{Context, Environment};

/// Why a sync stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// A person wants it so; who, where that is kept.
    Person(Option<String>),
    /// Its configuration is another now: the next worker does what is left.
    Configuration,
    /// The agent ends: the next run does what is left.
    Agent,
}

impl Stop {
    /// Whether what was asked for is not owed any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Person(_))
    }

    /// How the sync ended by it.
    pub(super) fn phase(&self) -> Phase {
        if self.is_final() { Phase::Cancelled } else { Phase::Interrupted }
    }

    /// `stopped by root after 41 of 10000`.
    pub(super) fn describe(&self, done: usize, total: usize) -> String {
        let by = match self {
            Self::Person(Some(name)) => format!("stopped by {name}"),
            Self::Person(None) => "stopped by an unpin".to_owned(),
            Self::Configuration => "stopped by a change of the configuration".to_owned(),
            Self::Agent => "stopped with the agent".to_owned(),
        };
        let rest = if self.is_final() { "" } else { "; the next sync does what is left" };
        format!("{by} after {done} of {total}{rest}")
    }
}

/// What stops a sync that began when the environment was so.
pub(super) fn asked(context: &Context, environment: &Environment, began: &EnvironmentStatus) -> Option<Stop> {
    if context.stop.is_cancelled() {
        return Some(Stop::Agent);
    }
    if environment.stop.is_cancelled() {
        return Some(Stop::Configuration);
    }
    let now = context.journal.snapshot().environment(&environment.id)?;
    let who = |hold: &Hold| hold.cause.describe();
    if now.suspended {
        return Some(Stop::Person(now.suspension.as_ref().map(who)));
    }
    (now.pin != began.pin).then(|| Stop::Person(now.pin.as_ref().map(|pin| who(&pin.hold))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_sync_says_who_stopped_it_and_what_is_owed() {
        for (stop, phase, words) in [
            (Stop::Person(Some("root".to_owned())), Phase::Cancelled, "stopped by root after 41 of 10000"),
            (Stop::Person(None), Phase::Cancelled, "stopped by an unpin after 41 of 10000"),
            (
                Stop::Agent,
                Phase::Interrupted,
                "stopped with the agent after 41 of 10000; the next sync does what is left",
            ),
        ] {
            assert_eq!((stop.phase(), stop.describe(41, 10_000)), (phase, words.to_owned()));
        }
    }
}
