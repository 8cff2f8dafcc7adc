//! The last words of a container that crashed: "exit 1" tells little, its last log line often all.
//!
//! The API keeps them only where a pod's spec asks for it. So when a container has ended badly, the last line of its log
//! is read, once for each such end, and stands where the API would have put it. A cluster in which everything crashes
//! is not asked more than [`AT_ONCE`] times at once; who finds no room goes without.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::cache::{ObjectCache, Put, ToldBy};
use crate::logs;
use crate::objects::Objects;
use crate::watch_set::{WatchKey, What};

/// Log lines read at once.
const AT_ONCE: usize = 4;

/// Ends that are remembered: several times what crashes at one time in a cluster that can still be used.
const KEPT: usize = 4_096;

/// Asks for last words and remembers them.
pub(super) struct TerminationMessages {
    objects: Objects,
    cache: Arc<ObjectCache>,
    known: Arc<Mutex<HashMap<EndId, Said>>>,
    room: Arc<Semaphore>,
}

/// What is known of the words of an end.
enum Said {
    /// They are being asked for; the newest object that wants them.
    Asked(Box<Value>),
    /// These.
    TerminationMessages(Box<str>),
    /// It said nothing, or nobody can tell.
    Nothing,
}

/// One end of one container: the container has another id after each start.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EndId {
    pod: Box<str>,
    container: Box<str>,
    id: Box<str>,
}

/// An end whose words are not in the object.
struct WordlessEnd {
    id: EndId,
    /// Where the words go.
    pointer: String,
    /// Whether it is the end before the present life of the container.
    previous: bool,
}

impl TerminationMessages {
    pub(super) fn new(objects: Objects, cache: Arc<ObjectCache>) -> Self {
        Self { objects, cache, known: Arc::default(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Takes in an object with the words that are known, and asks for those that are not.
    pub(super) fn put(&self, cache: &ObjectCache, key: &WatchKey, mut object: Value, told: ToldBy) -> Put {
        if key.what != What::Pods {
            return cache.put(key, &object, told);
        }
        let unknown: Vec<WordlessEnd> =
            wordless_ends(&object).into_iter().filter(|end| !fill(&self.known, &mut object, end)).collect();
        let put = cache.put(key, &object, told);
        for end in unknown {
            if cache.has_pod(&object) {
                self.ask(key.clone(), &object, end);
            }
        }
        put
    }

    fn ask(&self, key: WatchKey, object: &Value, end: WordlessEnd) {
        let Ok(place) = self.room.clone().try_acquire_owned() else { return };
        {
            let mut known = lock(&self.known);
            if known.len() >= KEPT {
                known.retain(|_, said| matches!(said, Said::Asked(_)));
            }
            known.insert(end.id.clone(), Said::Asked(Box::new(object.clone())));
        }
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, pod) = (text("/metadata/namespace"), text("/metadata/name"));
        let (objects, cache, known) = (self.objects.clone(), self.cache.clone(), self.known.clone());
        let ask = async move {
            let _place = place;
            let words = logs::last_line(&objects, &namespace, &pod, &end.id.container, end.previous).await;
            let said = words.map_or(Said::Nothing, Said::TerminationMessages);
            let Some(Said::Asked(mut object)) = lock(&known).insert(end.id, said) else { return };
            for end in wordless_ends(&object) {
                fill(&known, &mut object, &end);
            }
            // Not where the pod went meanwhile; one that changed is newer, and this is passed over there.
            if cache.has_pod(&object) {
                cache.put(&key, &object, ToldBy::Followed);
            }
        };
        tokio::spawn(ask.in_current_span());
    }
}

/// True where nothing has to be asked.
fn fill(known: &Mutex<HashMap<EndId, Said>>, object: &mut Value, end: &WordlessEnd) -> bool {
    match lock(known).get_mut(&end.id) {
        Some(Said::TerminationMessages(words)) => {
            if let Some(terminated) = object.pointer_mut(&end.pointer) {
                terminated["message"] = json!(words);
            }
        }
        Some(Said::Asked(newest)) => **newest = object.clone(),
        Some(Said::Nothing) => {}
        None => return false,
    }
    true
}

fn lock(known: &Mutex<HashMap<EndId, Said>>) -> MutexGuard<'_, HashMap<EndId, Said>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Containers that ended badly and left no message: now, or before they were started again and do not run well yet.
fn wordless_ends(pod: &Value) -> Vec<WordlessEnd> {
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let mut ends = Vec::new();
    for list in ["initContainerStatuses", "containerStatuses"] {
        for (place, status) in pod["status"][list].as_array().into_iter().flatten().enumerate() {
            let now = &status["state"]["terminated"];
            let previous = !now.is_object();
            if previous && status["ready"] == true {
                continue;
            }
            let state = if previous { "lastState" } else { "state" };
            let terminated = &status[state]["terminated"];
            let ended_badly = terminated["exitCode"].as_i64().is_some_and(|code| code != 0);
            let has_words = terminated["message"].as_str().is_some_and(|words| !words.trim().is_empty());
            if ended_badly && !has_words {
                let text = |value: &Value| Box::from(value.as_str().unwrap_or_default());
                let id = EndId {
                    pod: uid.into(),
                    container: text(&status["name"]),
                    id: format!("{}{}", terminated["containerID"], terminated["finishedAt"]).into(),
                };
                let pointer = format!("/status/{list}/{place}/{state}/terminated");
                ends.push(WordlessEnd { id, pointer, previous });
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ended_badly_and_said_nothing_is_asked() {
        let status = |name: &str, rest: Value| {
            let mut status = json!({"name": name, "restartCount": 1, "ready": false});
            if let (Some(all), Some(rest)) = (status.as_object_mut(), rest.as_object()) {
                all.extend(rest.clone());
            }
            status
        };
        let ended = |code: i64, message: &str| json!({"exitCode": code, "message": message, "containerID": "c"});
        let pod = json!({"metadata": {"uid": "u"}, "status": {
            "initContainerStatuses": [status("init", json!({"state": {"terminated": ended(2, "")}}))],
            "containerStatuses": [
                status("waits", json!({"state": {"waiting": {}}, "lastState": {"terminated": ended(1, " ")}})),
                status("again", json!({"state": {"running": {}}, "lastState": {"terminated": ended(1, "")}})),
                status("well", json!({"ready": true, "state": {"running": {}}, "lastState": {"terminated": ended(1, "")}})),
                status("spoke", json!({"state": {"terminated": ended(1, "because")}})),
                status("done", json!({"state": {"terminated": ended(0, "")}})),
            ],
        }});
        let found: Vec<(String, bool)> =
            wordless_ends(&pod).into_iter().map(|end| (end.pointer, end.previous)).collect();
        assert_eq!(
            found,
            [
                ("/status/initContainerStatuses/0/state/terminated".to_owned(), false),
                ("/status/containerStatuses/0/lastState/terminated".to_owned(), true),
                ("/status/containerStatuses/1/lastState/terminated".to_owned(), true),
            ]
        );
    }
}
