//! How long a forge that does not take something is left alone.

use std::time::Duration;

use quarterdeck_core::backoff::doubled;
use quarterdeck_shared::error::Failure;
use tokio::time::Instant;

use crate::forge::ForgeError;

/// The first wait after a failure, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// The wait after a refusal: some forges ban an address for many of them.
const REFUSED: Duration = Duration::from_secs(600);

/// Of one kind of what a forge is told.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    not_before: Option<Instant>,
    /// The words of the last failure, which are logged once.
    warned: String,
}

impl Patience {
    /// Whether it is left alone now.
    pub(super) fn is_waiting(&self) -> bool {
        self.not_before.is_some_and(|at| at > Instant::now())
    }

    /// When it is asked again after a failure; this may be now.
    pub(super) fn again(&self) -> Option<Instant> {
        self.not_before
    }

    /// It took all of it.
    pub(super) fn good(&mut self, forge: &str, what: &str) {
        if self.failures > 0 {
            tracing::info!(%forge, "the forge accepts {what} again");
        }
        *self = Self::default();
    }

    /// It did not.
    pub(super) fn failed(&mut self, error: &ForgeError, what: &str) {
        let Failure { message, hint } = Failure::of(error);
        self.failures += 1;
        let wait = match error {
            ForgeError::Refused { .. } => REFUSED,
            // One that limits requests says for how long, and what is asked before counts as well.
            _ => doubled(WAIT.0, self.failures, WAIT.1).max(error.retry_after().unwrap_or_default()),
        };
        self.not_before = Some(Instant::now() + wait);
        // Of one pause after the other only the number differs.
        let told = message.split(", and asks for a pause").next().unwrap_or_default().to_owned();
        if self.warned != told {
            tracing::warn!(error = %message, %hint, "{what} wait");
        }
        self.warned = told;
    }
}
