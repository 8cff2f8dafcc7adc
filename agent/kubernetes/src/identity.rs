//! Whether the cluster is still the one that it was, and has not gone back in time.
//!
//! Clusters are made anew behind a kubeconfig that stays, a kubeconfig begins to point elsewhere, and etcd is restored
//! from a snapshot. Each time what is known from before is worth nothing, and a watch that goes on at a version which
//! does not exist yet is silent until it does. The uid of the namespace `kube-system` is the nearest thing to a name that
//! a cluster has (it is made with the cluster and cannot be deleted); the version of a list is its clock. They are looked at
//! when a connection was made or a watch broke, and every few minutes.

use std::time::Duration;

use tokio::time::Instant;

use crate::problem::{ApiProblem, Class};
use crate::requests::{Requests, get};

/// Asked this often at the most while all is well: watches are renewed after four to five minutes, and the first of them
/// that is asks. At rest that is one small request in five minutes for a cluster.
const EVERY: Duration = Duration::from_secs(230);

/// The list of one namespace: its uid, and the version of the cluster now.
const LIST: &str = "/api/v1/namespaces?fieldSelector=metadata.name%3Dkube-system";
const GET: &str = "/api/v1/namespaces/kube-system";

/// What a cluster is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marks {
    /// The uid of `kube-system`.
    uid: String,
    /// The version of the cluster then; absent where it may not be listed or is no number.
    version: Option<u64>,
}

/// The ways in through which it was looked at: how often the connection was restored, and how often it began to lead
/// elsewhere.
pub(super) type Ways = (u64, u64);

/// What a look at the cluster came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    /// It is the one that it was.
    Same,
    /// It is another, or an older one: what to tell of it.
    Replaced(&'static str),
    /// It may not be looked at: versions have to do.
    Unreadable,
}

/// What is done where the cluster is another or an older one.
pub(super) type Replaced<'a> = &'a (dyn Fn(&'static str) + Send + Sync);

/// What was last seen of it.
#[derive(Default)]
pub(super) struct Identity(tokio::sync::Mutex<State>);

#[derive(Default)]
struct State {
    /// When the last look failed, and how.
    failed: Option<(Instant, ApiProblem)>,
    /// When and through which ways, and what that came to.
    checked: Option<(Instant, Ways, Compared)>,
    marks: Option<Marks>,
}

impl Identity {
    /// Looks at the cluster, unless that was done lately in these ways, and after a watch broke, if one did. One at a time;
    /// the others wait for what it finds. `replaced` is called before anything else can happen: a look that is broken off
    /// leaves nothing untold.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub(super) async fn check(
        &self,
        requests: &Requests,
        ways: Ways,
        broke: Option<Instant>,
        newest: u64,
        replaced: Replaced<'_>,
    ) -> Result<Compared, ApiProblem> {
        let came = Instant::now();
        let mut state = self.0.lock().await;
        // Who waited for a look that failed does not wait for another.
        if let Some((_, problem)) = state.failed.as_ref().filter(|(at, _)| *at > came) {
            return Err(problem.clone());
        }
        if let Some((at, then, compared)) = &state.checked
            && *then == ways
            && at.elapsed() < EVERY
            && broke.is_none_or(|broke| *at > broke)
        {
            // That it was replaced has been told.
            return Ok(if *compared == Compared::Unreadable { Compared::Unreadable } else { Compared::Same });
        }
        state.check(requests, ways, newest, replaced).await
    }

    /// Looks at the cluster now: something that it said does not fit what it said before.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub(super) async fn check_now(
        &self,
        requests: &Requests,
        ways: Ways,
        newest: u64,
        replaced: Replaced<'_>,
    ) -> Result<Compared, ApiProblem> {
        self.0.lock().await.check(requests, ways, newest, replaced).await
    }
}

impl State {
    async fn check(
        &mut self,
        requests: &Requests,
        ways: Ways,
        newest: u64,
        replaced: Replaced<'_>,
    ) -> Result<Compared, ApiProblem> {
        let at = Instant::now();
        let compared = match marks(requests).await {
            Ok(now) => {
                let compared = judge(self.marks.as_ref(), &now, newest);
                self.marks = Some(now);
                if let Compared::Replaced(how) = compared {
                    replaced(how);
                }
                compared
            }
            Err(problem) if matches!(problem.class, Class::Forbidden | Class::NotFound | Class::Refused) => {
                Compared::Unreadable
            }
            Err(problem) if problem.class.is_way_in() => {
                self.failed = Some((Instant::now(), problem.clone()));
                return Err(problem);
            }
            // It has other troubles; asked again the next time.
            Err(_) => return Ok(Compared::Unreadable),
        };
        self.checked = Some((at, ways, compared.clone()));
        Ok(compared)
    }
}

/// `newest` is the newest version that had been seen when it was looked.
fn judge(before: Option<&Marks>, now: &Marks, newest: u64) -> Compared {
    match before {
        Some(before) if before.uid != now.uid => Compared::Replaced(ANOTHER),
        _ if now.version.is_some_and(|version| version < newest) => Compared::Replaced(SET_BACK),
        _ => Compared::Same,
    }
}

const ANOTHER: &str = "is another cluster now";
pub(super) const SET_BACK: &str = "was set back to an older state";

async fn marks(requests: &Requests) -> Result<Marks, ApiProblem> {
    let doing = "look at the namespace kube-system";
    let uid = |object: &serde_json::Value| object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    match requests.json(doing, get(LIST)).await {
        Ok(list) => {
            let missing = || ApiProblem::new(Class::NotFound, doing, "namespaces \"kube-system\" not found");
            let namespace = list["items"].get(0).ok_or_else(missing)?;
            let version = list["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
            Ok(Marks { uid: uid(namespace), version })
        }
        // Who may not list may still read this one.
        Err(problem) if problem.class == Class::Forbidden => {
            let namespace = requests.json(doing, get(GET)).await?;
            Ok(Marks { uid: uid(&namespace), version: None })
        }
        Err(problem) => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_uid_and_a_version_that_runs_backwards_are_noticed() {
        let marks = |uid: &str, version: Option<u64>| Marks { uid: uid.to_owned(), version };
        for (before, newest, now, compared) in [
            (None, 0, marks("a", Some(7)), Compared::Same),
            (None, 9, marks("a", Some(7)), Compared::Replaced(SET_BACK)),
            (Some(marks("a", Some(7))), 7, marks("a", Some(7)), Compared::Same),
            (Some(marks("a", Some(7))), 8, marks("a", Some(9)), Compared::Same),
            (Some(marks("a", Some(7))), 9, marks("a", Some(8)), Compared::Replaced(SET_BACK)),
            (Some(marks("a", Some(7))), 7, marks("b", Some(9)), Compared::Replaced(ANOTHER)),
            (Some(marks("a", Some(7))), 7, marks("b", Some(1)), Compared::Replaced(ANOTHER)),
            (Some(marks("a", Some(7))), 7, marks("a", None), Compared::Same),
        ] {
            assert_eq!(judge(before.as_ref(), &now, newest), compared, "{before:?} {newest} {now:?}");
        }
    }
}
