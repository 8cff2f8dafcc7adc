//! Why a poll was not answered, and when to ask again. Who fails is asked less and less often.

use std::time::Duration;

use quarterdeck_core::backoff::doubled;
use quarterdeck_git::{GitError, GitErrorKind};
use quarterdeck_shared::error::Failure;

use crate::artifacts::ArtifactError;
use crate::worker::jitter;

/// A remote that is away is asked at least this often: what was broken overnight is back within minutes.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The first wait after a registry failed; an interval that is shorter counts instead.
const BACKOFF_FIRST: Duration = Duration::from_secs(10);

/// A remote that refused our credentials is asked this seldom. GitLab bans an address after 30 refusals in 3 minutes,
/// older ones after 10 in one.
const REFUSED: Duration = Duration::from_secs(600);

/// Why a poll was not answered.
pub(super) enum Unanswered {
    /// By a remote of git.
    Git(GitError),
    /// By the registry of an artifact, or since what it has may not be deployed.
    Artifact(ArtifactError),
}

impl Unanswered {
    /// What a person reads.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Git(error) => Failure::of(error),
            Self::Artifact(error) => Failure::of(error),
        }
    }

    /// How long to wait after a number of failures in a row.
    pub(super) fn backoff(&self, failures: u32, interval: Duration) -> Duration {
        match self {
            Self::Git(error) => backoff(error, failures, interval),
            Self::Artifact(error) => match error.retry_after() {
                Some(wait) => wait,
                None if error.is_refusal() && failures > 3 => jitter(REFUSED),
                None => jitter(doubled(interval.min(BACKOFF_FIRST), failures - 1, BACKOFF_MAX.max(interval))),
            },
        }
    }

    /// Whether the registry asked to be left alone, whoever asks.
    pub(super) fn is_pause(&self) -> bool {
        matches!(self, Self::Artifact(error) if error.retry_after().is_some())
    }
}

impl From<GitError> for Unanswered {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

/// How long to wait after a number of failures in a row. Doubles from the interval.
fn backoff(error: &GitError, failures: u32, interval: Duration) -> Duration {
    match error.kind() {
        GitErrorKind::Credentials if failures > 3 => jitter(REFUSED),
        _ => jitter(doubled(interval, failures, BACKOFF_MAX.max(interval))),
    }
}

#[cfg(test)]
mod tests {
    use quarterdeck_container::registry::oci::RegistryError;

    use super::*;

    #[test]
    fn a_registry_is_left_alone_for_as_long_as_it_asks_and_who_refuses_us_longest() {
        let (registry, interval) = (|| "r.example".to_owned(), Duration::from_secs(300));
        let busy = |retry_after| RegistryError::Busy { registry: registry(), message: "429".into(), retry_after };
        let away = || RegistryError::Away { registry: registry(), message: "refused".into() };
        let dead = || RegistryError::NoPermission { image: "r.example/a".into(), user: Some("robot".into()) };
        for (error, failures, seconds, is_pause) in [
            (busy(Some(Duration::from_secs(42))), 1, 42.0, true),
            (busy(None), 1, 10.0, false),
            (away(), 1, 10.0, false),
            (away(), 3, 40.0, false),
            (away(), 60, 300.0, false),
            (dead(), 1, 10.0, false),
            (dead(), 4, 600.0, false),
        ] {
            let told = error.to_string();
            let error = Unanswered::Artifact(error.into());
            let wait = error.backoff(failures, interval).as_secs_f64();
            assert!((seconds * 0.89..=seconds * 1.11).contains(&wait), "{told}: after {failures} failures {wait} s");
            assert_eq!(error.is_pause(), is_pause, "{told}");
        }
    }

    #[test]
    fn who_fails_is_asked_less_and_less_and_who_refuses_us_least() {
        let away = GitError::Unreachable { url: "https://forge/x".into(), detail: "refused".into() };
        let dead = GitError::AccessDenied { url: "https://forge/x".into(), detail: "401".into() };
        let interval = Duration::from_secs(30);
        for (error, failures, seconds) in [
            (&away, 1, 60.0),
            (&away, 2, 120.0),
            (&away, 4, 300.0),
            (&away, 60, 300.0),
            (&dead, 3, 240.0),
            (&dead, 4, 600.0),
        ] {
            let wait = backoff(error, failures, interval).as_secs_f64();
            assert!((seconds * 0.89..=seconds * 1.11).contains(&wait), "{error}: after {failures} failures {wait} s");
        }
        let rare = Duration::from_secs(3_600);
        assert!(backoff(&away, 9, rare) > rare.mul_f64(0.89), "a person who polls seldom is not overruled");
    }
}
