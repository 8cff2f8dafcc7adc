//! The machine's disk: what the agent made there and nobody needs any more is deleted, once an hour and when a person asks.
//!
//! ```text
//! engine, history, snapshot ─► images.rs ─┐
//!                                         ├─► what nobody needs ─► deleted, and an event
//! mirrors, configuration ───► mirrors.rs ─┤
//! archives, environments ───► charts.rs ──┤
//! tags of registries ───────► previews.rs ┘
//! ```
//! Which images and tags those are is decided by [`quarterdeck_core::gc`].

mod charts;
mod images;
mod mirrors;
mod previews;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::protocol::{Check, CheckResult, GcAnswer};

use crate::context::Context;
use crate::journal::fact::Fact;

/// A busy fleet builds some hundred images a day: an hour's fit on any disk that takes a week's.
const EVERY: Duration = Duration::from_secs(3600);

/// Deletes until the agent ends.
pub async fn keep(context: Arc<Context>) {
    let mut asked = context.gc.subscribe();
    loop {
        let cause = tokio::select! {
            () = tokio::time::sleep(EVERY) => Cause::Agent,
            changed = asked.changed() => match changed {
                Ok(()) => asked.borrow_and_update().clone(),
                Err(_) => return,
            },
            () = context.stop.cancelled() => return,
        };
        if cause == Cause::Agent && !context.config().gc.automatic {
            continue;
        }
        tokio::select! {
            () = clean(&context, cause) => {}
            () = context.stop.cancelled() => return,
        }
    }
}

/// What is there, what of it nobody needs, and why the rest stays.
pub async fn report(context: &Context) -> GcAnswer {
    let mut answer = GcAnswer::default();
    match images::found(context, Timestamp::now()).await {
        Ok(found) => answer.items.extend(found.into_iter().map(images::item)),
        Err(why) => answer.problems.push(problem("engine", why)),
    }
    match mirrors::found(context, Timestamp::now(), true).await {
        Ok(found) => answer.items.extend(found.into_iter().map(mirrors::item)),
        Err(why) => answer.problems.push(problem("mirrors", why)),
    }
    match charts::found(context, Timestamp::now()).await {
        Ok(found) => answer.items.extend(found.into_iter().map(charts::item)),
        Err(why) => answer.problems.push(problem("charts", why)),
    }
    for found in previews::found(context, Timestamp::now()).await {
        match found {
            Ok(found) => answer.items.extend(found.into_iter().map(previews::item)),
            Err(why) => answer.problems.push(problem("merge request images", why)),
        }
    }
    answer
        .items
        .sort_by(|a, b| (a.kept.is_some(), a.kind, a.at, &a.name).cmp(&(b.kept.is_some(), b.kind, b.at, &b.name)));
    answer
}

fn problem(name: &str, Failure { message, hint }: Failure) -> Check {
    Check { name: name.to_owned(), result: CheckResult::Bad, message, hint }
}

async fn clean(context: &Context, cause: Cause) {
    let now = Timestamp::now();
    let [mut images, mut mirrors, mut charts, mut tags] = [const { Deleted::NONE }; 4];
    let results = [
        images::delete(context, now, &mut images).await,
        mirrors::delete(context, now, &mut mirrors).await,
        charts::delete(context, now, &mut charts).await,
        previews::delete(context, now, &mut tags).await,
    ];
    for why in results.into_iter().filter_map(Result::err) {
        tracing::warn!("cannot delete all unneeded images, mirrors, charts and tags: {}", why.message);
    }
    if images.count + mirrors.count + charts.count + tags.count == 0 {
        return;
    }
    let bytes = images.bytes + mirrors.bytes + charts.bytes;
    let (images, mirrors, charts, tags) = (images.count, mirrors.count, charts.count, tags.count);
    tracing::info!(images, mirrors, charts, tags, bytes, "unneeded images, mirrors, charts and tags were deleted");
    let event = Event::Cleaned { images, mirrors, charts, tags, bytes };
    if let Err(error) = context.journal.record(vec![Fact::at_large(cause, event)]).await {
        tracing::warn!(error = %chain(&error), "what was deleted is not in the history");
    }
}

/// What was deleted of one kind.
#[derive(Debug)]
struct Deleted {
    count: u64,
    bytes: u64,
}

impl Deleted {
    const NONE: Self = Self { count: 0, bytes: 0 };

    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}
