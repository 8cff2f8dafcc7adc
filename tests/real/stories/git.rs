//! Git as a real forge has it: the ways in, what it refuses, history that is rewritten, and much of it.

mod many;
mod refused;
mod rewritten;
mod told;
mod ways;

use harness::real::Town;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{Object, RepositoryStatus};

use super::*;

/// The repository whose address has this in it.
pub(crate) fn repository<'a>(state: &'a State, part: &str) -> Option<&'a RepositoryStatus> {
    let found = |object: &'a Object| if let Object::Repository(found) = object { Some(found) } else { None };
    state.objects.values().filter_map(found).find(|repository| repository.address.contains(part))
}

/// Whether such an event is in the history.
async fn happened(town: &Town, what: impl Fn(&Event) -> bool) -> anyhow::Result<bool> {
    let events: Vec<EventRecord> = town.agent.client().get("/v1/events?limit=200").await?;
    Ok(events.iter().any(|record| what(&record.event)))
}
