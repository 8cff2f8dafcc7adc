//! Which agent wrote an inventory, and what follows where it was another: it is told, and nobody fights over the mark.
//!
//! - The first time that a run of this agent sees an inventory with the id of another agent it takes over: the mark is
//!   written anew, and both agents' persons read so. A data directory that came with its id to another host is the same
//!   agent, and takes over without a word.
//! - Once the mark was ours in this run, another one means that two agents operate the environment now.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use quarterdeck_shared::id::SyncId;
use serde_json::{Value, json};

use quarterdeck_system::identity::Identity;

/// The id of the agent that wrote it last.
const AGENT: &str = "quarterdeck.dev/agent";
/// The name of its host, for people.
const HOST: &str = "quarterdeck.dev/agent-host";
/// The sync in which it did, of that agent; for people.
const SYNC: &str = "quarterdeck.dev/sync";
/// When, by its clock; for people.
const WRITTEN: &str = "quarterdeck.dev/written";

/// Another agent is spoken of for this long after it wrote: one that still works writes again with its next sync, and one
/// that was ended is no concern for longer than the incident that it made.
const TOLD_FOR: Duration = Duration::from_secs(3600);

/// Who wrote an inventory last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    id: String,
    pub(crate) host: String,
    at: Option<Timestamp>,
}

impl Mark {
    /// The mark on an object; none where it has none.
    pub(crate) fn of(object: &Value) -> Option<Self> {
        let annotations = &object["metadata"]["annotations"];
        let text = |name: &str| annotations[name].as_str().map(str::to_owned);
        let at = text(WRITTEN).and_then(|text| text.parse().ok());
        Some(Self { id: text(AGENT)?, host: text(HOST).unwrap_or_default(), at })
    }

    /// Puts the mark of this agent on an object.
    pub(super) fn put(object: &mut Value, me: &Identity, by: Option<SyncId>, now: Timestamp) {
        if me.id.is_empty() {
            return;
        }
        let annotations = &mut object["metadata"]["annotations"];
        annotations[AGENT] = json!(me.id);
        annotations[HOST] = json!(me.host);
        annotations[WRITTEN] = json!(now.to_string());
        if let Some(sync) = by {
            annotations[SYNC] = json!(sync);
        }
    }

    /// Whether another agent than this one wrote it.
    pub(crate) fn is_of_another(&self, me: &Identity) -> bool {
        !me.id.is_empty() && self.id != me.id
    }

    fn is_of(&self, me: &Identity) -> bool {
        self.id == me.id && self.host == me.host
    }
}

/// Another agent was noticed: news for a person, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherAgent {
    /// The name of its host.
    pub host: String,
    /// When it last wrote, by its clock.
    pub last: Option<Timestamp>,
    /// Whether this agent takes over; else both are at work.
    pub taken_over: bool,
}

/// What is known of who operates an environment.
#[derive(Debug, Default)]
pub(super) struct Operator {
    /// The mark was ours in this run.
    ours: bool,
    other: Option<(Mark, Instant)>,
    news: Option<OtherAgent>,
}

impl Operator {
    /// Takes in the mark of an inventory that was read.
    pub(super) fn saw(&mut self, mark: Option<&Mark>, me: &Identity, now: Instant) {
        let Some(mark) = mark.filter(|_| !me.id.is_empty()) else { return };
        if mark.is_of(me) {
            self.ours = true;
            return;
        }
        let told = OtherAgent { host: mark.host.clone(), last: mark.at, taken_over: !self.ours };
        if !self.ours {
            if mark.is_of_another(me) && self.news.is_none() {
                self.news = Some(told);
            }
            return;
        }
        // The same mark again is no new sign of life.
        if self.other.as_ref().is_some_and(|(before, _)| before == mark) {
            return;
        }
        let is_known = self.other.as_ref().is_some_and(|(before, _)| before.id == mark.id && before.host == mark.host);
        if !is_known {
            self.news = Some(told);
        }
        self.other = Some((mark.clone(), now));
    }

    /// This agent wrote it.
    pub(super) fn wrote(&mut self) {
        self.ours = true;
    }

    /// Whether the mark has to be written although nothing else changed.
    pub(super) fn takes_over(&self) -> bool {
        !self.ours && self.news.as_ref().is_some_and(|news| news.taken_over)
    }

    /// What is news, once.
    pub(super) fn news(&mut self) -> Option<OtherAgent> {
        self.news.take()
    }

    /// The host of another agent that is at work.
    pub(super) fn other(&self, now: Instant) -> Option<&str> {
        let (mark, at) = self.other.as_ref()?;
        (now.saturating_duration_since(*at) < TOLD_FOR).then_some(mark.host.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(id: &str, host: &str) -> Identity {
        Identity { id: id.to_owned(), host: host.to_owned() }
    }

    fn mark(id: &str, host: &str, second: i64) -> Mark {
        Mark { id: id.to_owned(), host: host.to_owned(), at: Timestamp::from_second(second).ok() }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let (me, at) = (identity("a1", "anna"), Timestamp::from_second(7).unwrap());
        let mut object = json!({"metadata": {"annotations": {"other": "stays"}}});
        assert_eq!(Mark::of(&object), None);
        Mark::put(&mut object, &me, None, at);
        assert_eq!(Mark::of(&object), Some(mark("a1", "anna", 7)));
        assert_eq!(object["metadata"]["annotations"]["other"], "stays");
    }

    #[test]
    fn a_new_agent_takes_over_and_says_so_once() {
        let (mut operator, me, now) = (Operator::default(), identity("b2", "berta"), Instant::now());
        operator.saw(Some(&mark("a1", "anna", 1)), &me, now);
        assert!(operator.takes_over());
        let news = operator.news().unwrap();
        assert_eq!((news.host.as_str(), news.taken_over), ("anna", true));
        operator.wrote();
        assert_eq!((operator.takes_over(), operator.news(), operator.other(now)), (false, None, None));
    }

    #[test]
    fn the_same_agent_on_another_host_is_quiet_until_both_write() {
        let (mut operator, me, now) = (Operator::default(), identity("a1", "pod-2"), Instant::now());
        operator.saw(Some(&mark("a1", "pod-1", 1)), &me, now);
        assert_eq!((operator.takes_over(), operator.news()), (false, None));
        operator.wrote();
        operator.saw(Some(&mark("a1", "pod-1", 2)), &me, now);
        assert_eq!(operator.news().map(|news| news.taken_over), Some(false));
    }

    #[test]
    fn two_agents_at_work_are_told_while_they_write() {
        let (mut operator, me, now) = (Operator::default(), identity("a1", "anna"), Instant::now());
        operator.wrote();
        operator.saw(None, &me, now);
        assert_eq!(operator.news(), None, "an inventory of before the marks");
        operator.saw(Some(&mark("b2", "berta", 1)), &me, now);
        assert_eq!(operator.news().map(|news| (news.host, news.taken_over)), Some(("berta".to_owned(), false)));
        operator.saw(Some(&mark("b2", "berta", 2)), &me, now + TOLD_FOR / 2);
        assert_eq!(operator.news(), None, "told once");
        assert_eq!(operator.other(now + TOLD_FOR), Some("berta"), "it wrote again meanwhile");
        operator.saw(Some(&mark("b2", "berta", 2)), &me, now + TOLD_FOR);
        assert_eq!(operator.other(now + TOLD_FOR * 2), None, "the same mark is no sign of life");
    }
}
