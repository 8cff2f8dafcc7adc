//! A row: what is asked of all rows when a table is drawn or scrolled.

use std::borrow::Cow;

use quarterdeck_shared::snapshot::Object;
use quarterdeck_shared::status::{Health, Phase};

use crate::model::geometry;
use crate::model::store::{Slot, Store};
use crate::model::summary::{self, Summary};
use crate::text;

/// A row: the slot, and what is asked of all rows when the table is drawn or scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Where the object is.
    pub slot: Slot,
    /// The row below which it stands; itself where it stands by itself.
    pub head: Slot,
    /// How it is; none of what is in no cluster.
    pub health: Option<Health>,
    /// Lines it takes: more than one where it says why it is not well.
    pub lines: u16,
}

/// The longest that is said of how long ago something was: lines are counted for it, so that none comes while time goes.
const AGO_LONGEST: &str = "7199s ago";

/// The row of an object; whether it is open, so that what stands below it speaks for itself.
pub(super) fn row(fleet: &Store, (slot, object): (Slot, &Object), head: Slot, is_open: bool, columns: u16) -> Row {
    let ago = |_| AGO_LONGEST.to_owned();
    let (health, why): (Option<Health>, Cow<'_, str>) = match object {
        Object::Application(a) => {
            let health = Summary::of_application(fleet, a).map(|summary| summary.health);
            (health, summary::why_application(fleet, a, is_open, ago))
        }
        Object::Environment(e) => (Some(e.health), summary::why(e, ago)),
        Object::Pod(p) => (Some(p.health), if p.health < Health::Missing { "".into() } else { Cow::from(&*p.message) }),
        Object::Run(r) => match r.phase {
            Phase::Queued => (Some(Health::Missing), "".into()),
            Phase::Running => (Some(Health::Progressing), "".into()),
            Phase::Succeeded | Phase::Skipped => (Some(Health::Healthy), "".into()),
            Phase::Cancelled => (Some(Health::Suspended), "".into()),
            Phase::Failed | Phase::Interrupted => (Some(Health::Degraded), text::with_hint(&r.message, &r.hint)),
        },
        Object::Connection(c) if c.reachable => (Some(Health::Healthy), "".into()),
        Object::Connection(c) => {
            (Some(Health::Degraded), text::with_hint(c.error.as_deref().unwrap_or_default(), &c.hint))
        }
        Object::Repository(r) => match &r.error {
            Some(error) => (Some(Health::Degraded), text::with_hint(error, &r.hint)),
            None if r.polled.is_none() => (Some(Health::Progressing), "".into()),
            None => (Some(Health::Healthy), "".into()),
        },
        Object::ApplicationSource(s) => match &s.error {
            Some(_) => (Some(Health::Degraded), s.line().into()),
            None if s.commit.is_none() || !s.pruning.is_empty() => (Some(Health::Progressing), s.line().into()),
            None => (Some(Health::Healthy), "".into()),
        },
        Object::FollowedImage(f) => match f.problem() {
            Some((problem, hint)) => (Some(Health::Degraded), text::with_hint(problem, hint)),
            None if f.checked.is_none() => (Some(Health::Progressing), "".into()),
            None if f.is_held() => (Some(Health::Suspended), f.line().into()),
            None => (Some(Health::Healthy), "".into()),
        },
        Object::Agent(_) | Object::Resource(_) => (None, "".into()),
    };
    // Two lines where all of it stands in the pane of the environment, so that many in trouble are still a list.
    let lines = match object {
        Object::Application(_) | Object::Environment(_) | Object::Pod(_) => geometry::row_lines(&why, columns).min(3),
        _ => geometry::row_lines(&why, columns),
    };
    Row { slot, head, health, lines }
}
