//! Environments that left a source whose objects are to be deleted: which are owed, kept in the data directory until it is done.
//!
//! An entry is written before the commit counts by which the environment left, so that a crash between the two loses nothing; it is
//! taken back where the environment comes again, where its source leaves the configuration or prunes no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quarterdeck_core::departure::Departure;
use quarterdeck_shared::application::{EnvironmentId, SourceName};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The objects of an environment that are to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The environment that left.
    pub environment: EnvironmentId,
    /// The source that it left.
    pub source: SourceName,
    /// Where its objects are, as it named it.
    pub cluster: Option<String>,
    /// Where its inventory is.
    pub namespace: String,
    /// Where its manifests were: another environment of this repository may want the objects now.
    pub repository: String,
}

/// Held by whoever works on an environment for as long as that takes.
pub type Turn = Arc<tokio::sync::Mutex<()>>;

/// All that are owed.
pub struct Removals {
    path: PathBuf,
    news: Arc<Notify>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    owed: BTreeMap<EnvironmentId, Owed>,
    /// What was decided of the others that leave, until it was told.
    departures: BTreeMap<EnvironmentId, Departure>,
}

struct Owed {
    removal: Removal,
    turn: Turn,
    /// Ends the work; nothing where it did not begin.
    stop: Option<CancellationToken>,
    /// Why it is not done yet; empty where it is under way.
    why: String,
}

impl Owed {
    fn new(removal: Removal) -> Self {
        Self { removal, turn: Turn::default(), stop: None, why: String::new() }
    }
}

impl Removals {
    /// Reads what is owed. A file that is missing or torn owes nothing: objects stay rather than that a wrong one goes.
    pub fn open(data_dir: &Path, news: Arc<Notify>) -> Self {
        let path = data_dir.join("removals.json");
        let owed: Vec<Removal> =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let owed = owed.into_iter().map(|removal| (removal.environment.clone(), Owed::new(removal))).collect();
        Self { path, news, known: Mutex::new(Known { owed, ..Known::default() }) }
    }

    /// Takes up what was decided of environments that leave; those of `deleted` are owed from now on.
    pub fn decided(&self, departures: Vec<(EnvironmentId, Departure)>, deleted: Vec<Removal>) {
        let mut known = self.lock();
        known.departures.extend(departures);
        if deleted.is_empty() {
            return;
        }
        for removal in deleted {
            known.owed.entry(removal.environment.clone()).or_insert_with(|| Owed::new(removal));
        }
        self.write(&known);
    }

    /// What was decided of an environment that leaves now; told once.
    pub fn departure(&self, environment: &EnvironmentId) -> Option<Departure> {
        self.lock().departures.remove(environment)
    }

    /// What was decided and not asked for is of no more use: those came again, or never ran.
    pub fn forget_departures(&self) {
        self.lock().departures.clear();
    }

    /// The worker that synced it ends before its objects are deleted.
    pub fn after(&self, environment: &EnvironmentId, turn: Turn) {
        if let Some(owed) = self.lock().owed.get_mut(environment) {
            owed.turn = turn;
        }
    }

    /// Those that are owed.
    pub fn owed(&self) -> Vec<Removal> {
        self.lock().owed.values().map(|owed| owed.removal.clone()).collect()
    }

    /// Nothing of it is deleted any more; whoever operates the environment waits for this turn.
    pub fn take_back(&self, environment: &EnvironmentId) -> Option<Turn> {
        let mut known = self.lock();
        let owed = known.owed.remove(environment)?;
        owed.stop.iter().for_each(CancellationToken::cancel);
        self.write(&known);
        self.news.notify_one();
        Some(owed.turn)
    }

    /// What is to be begun, with its turn and what ends it; nothing where it is begun already.
    pub fn begin(&self, environment: &EnvironmentId, end: &CancellationToken) -> Option<(Turn, CancellationToken)> {
        let mut known = self.lock();
        let owed = known.owed.get_mut(environment).filter(|owed| owed.stop.is_none())?;
        let stop = end.child_token();
        owed.stop = Some(stop.clone());
        Some((owed.turn.clone(), stop))
    }

    /// Why one is not done yet.
    pub fn waits(&self, environment: &EnvironmentId, why: &str) {
        if let Some(owed) = self.lock().owed.get_mut(environment).filter(|owed| owed.why != why) {
            why.clone_into(&mut owed.why);
            self.news.notify_one();
        }
    }

    /// Of a source, a line for each: `shop/prod`, or why that is not done yet.
    pub fn lines(&self, source: &SourceName) -> Vec<String> {
        let known = self.lock();
        let own = known.owed.values().filter(|owed| owed.removal.source == *source);
        let line = |Owed { removal: Removal { environment, .. }, why, .. }: &Owed| match why.is_empty() {
            true => environment.to_string(),
            false => format!("{environment}: {why}"),
        };
        own.map(line).collect()
    }

    /// Whole or not at all. A disk that does not take it costs a start after a crash what is owed: objects stay then.
    fn write(&self, known: &Known) {
        let new = self.path.with_extension("json.new");
        let owed: Vec<&Removal> = known.owed.values().map(|owed| &owed.removal).collect();
        let bytes = serde_json::to_vec(&owed).unwrap_or_default();
        if let Err(error) = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &self.path)) {
            tracing::warn!(%error, "cannot write {}", self.path.display());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_owed_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Removals::open(dir.path(), Arc::default());
        let removal = Removal {
            environment: "shop/prod".parse().unwrap(),
            source: "teams".parse().unwrap(),
            cluster: None,
            namespace: "shop".to_owned(),
            repository: "/srv/fleet".to_owned(),
        };
        let id = removal.environment.clone();
        let removals = open();
        removals.decided(vec![(id.clone(), Departure::Deleted)], vec![removal.clone()]);
        assert_eq!(removals.departure(&id), Some(Departure::Deleted));
        assert_eq!(removals.departure(&id), None, "told once");
        let again = open();
        assert_eq!(again.owed(), [removal]);
        assert_eq!(again.lines(&"teams".parse().unwrap()), ["shop/prod"]);
        again.waits(&id, "the cluster is away");
        assert_eq!(again.lines(&"teams".parse().unwrap()), ["shop/prod: the cluster is away"]);
        assert_eq!(again.lines(&"web".parse().unwrap()), [""; 0]);
        let (_, stop) = again.begin(&id, &CancellationToken::new()).unwrap();
        assert!(again.begin(&id, &CancellationToken::new()).is_none(), "begun once");
        assert!(again.take_back(&id).is_some() && stop.is_cancelled());
        assert!(open().owed().is_empty() && again.take_back(&id).is_none());
        std::fs::write(dir.path().join("removals.json"), "{").unwrap();
        assert!(open().owed().is_empty());
    }
}
