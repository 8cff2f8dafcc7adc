//! How things stand: sync, health, and the phases of runs and their stages.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::EnvironmentName;

/// Whether the cluster is as git says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SyncStatus {
    /// Every object is as its manifest.
    Synced,
    /// At least one object differs, is missing, or should be gone.
    OutOfSync,
    /// Not compared yet, or the comparison failed.
    #[default]
    Unknown,
}

/// How well an object or an application is. Ordered: the later, the worse; an application is as healthy as its worst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Health {
    /// It does its work.
    Healthy,
    /// It is stopped on purpose.
    Suspended,
    /// It is on its way.
    Progressing,
    /// It should be there and is not.
    Missing,
    /// It fails.
    Degraded,
    /// It could not be judged.
    #[default]
    Unknown,
}

impl Health {
    /// The worst of them; Healthy for none.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().max().unwrap_or(Self::Healthy)
    }
}

/// Where a run or a stage stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// It waits for its turn.
    #[default]
    Queued,
    /// It is being done.
    Running,
    /// It did what it should.
    Succeeded,
    /// It did not; the message says why.
    Failed,
    /// There was nothing to do.
    Skipped,
    /// A person stopped it, or a newer run took its place.
    Cancelled,
    /// The agent ended in the middle of it; what is still owed is done by a later run.
    Interrupted,
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// The steps of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// The commit's tree is at hand.
    Checkout,
    /// The image is built.
    Build,
    /// The images that were built pass their tests.
    Test,
    /// The images are in the registry.
    Push,
    /// The images that were pushed have no vulnerabilities that are too severe.
    Scan,
    /// What was pushed is signed by the key of the application.
    Sign,
    /// The artifact is written into the manifests of an environment in git.
    Promote,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Which.
    pub kind: StageKind,
    /// To which environment, of a promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// 0 to 100, where the engine tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// One line: what it does, what came out, or why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Stage {
    /// A stage that waits for its turn.
    pub fn queued(kind: StageKind) -> Self {
        Self {
            kind,
            environment: None,
            phase: Phase::Queued,
            started: None,
            finished: None,
            percent: None,
            message: String::new(),
        }
    }

    /// A promotion to one environment that waits for its turn.
    pub fn promotion(environment: &EnvironmentName) -> Self {
        Self { environment: Some(environment.clone()), ..Self::queued(StageKind::Promote) }
    }
}

/// Words for `Display`, which pads, so that columns align.
macro_rules! words {
    ($type:ty { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word for it, as on screen and on the wire.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words!(SyncStatus { Synced => "Synced", OutOfSync => "OutOfSync", Unknown => "Unknown" });
words!(Health {
    Healthy => "Healthy", Suspended => "Suspended", Progressing => "Progressing",
    Missing => "Missing", Degraded => "Degraded", Unknown => "Unknown",
});
words!(Phase {
    Queued => "Queued", Running => "Running", Succeeded => "Succeeded", Failed => "Failed",
    Skipped => "Skipped", Cancelled => "Cancelled", Interrupted => "Interrupted",
});
words!(StageKind {
    Checkout => "checkout", Build => "build", Test => "test", Push => "push", Scan => "scan", Sign => "sign",
    Promote => "promote",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_as_healthy_as_its_worst() {
        use Health::*;
        for (all, worst) in [
            (vec![], Healthy),
            (vec![Healthy, Suspended], Suspended),
            (vec![Degraded, Progressing, Missing], Degraded),
            (vec![Unknown, Degraded], Unknown),
        ] {
            assert_eq!(Health::worst(all.clone()), worst, "{all:?}");
        }
    }
}
