//! The tests of a chart: asked for, and looked at.

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use quarterdeck_shared::protocol::{TestRequest, TestsAnswer};
use quarterdeck_shared::snapshot::ChartTests;
use quarterdeck_shared::status::Phase;

use super::Shared;
use super::answer::{Answer, Failure, In, body};
use super::commands::{Taken, refuse_suspended, taken, under_way};
use crate::access::Peer;
use crate::journal::fact::{Fact, Patch};

/// Names in one request; a chart has some ten tests.
const ONLY_MAX: usize = 100;

/// A test that takes longer is a person's to run.
const TIMEOUT_SECONDS_MAX: u64 = 24 * 60 * 60;

/// The worker of the environment runs them, before it looks for anything else. While it is syncing they are refused: what they would
/// test is about to be another release.
pub(super) async fn test(
    State(context): State<Shared>,
    Extension(peer): Extension<Peer>,
    In(environment): In,
    bytes: Bytes,
) -> Answer<Taken> {
    let TestRequest { only, timeout_seconds } = body(&bytes)?;
    let name = &environment.id;
    if only.len() > ONLY_MAX {
        return Err(Failure::bad_request(
            format!("more than {ONLY_MAX} names of tests"),
            "leave out the names to run all",
        ));
    }
    if let Some(seconds) = timeout_seconds.filter(|seconds| !(1..=TIMEOUT_SECONDS_MAX).contains(seconds)) {
        return Err(Failure::bad_request(
            format!("a test has no {seconds} s to be done"),
            "use e.g. 30s, 5m, 24h at most",
        ));
    }
    refuse_suspended(&context, name)?;
    let status = context.journal.snapshot().environment(name);
    let deployed = status.as_ref().and_then(|status| status.revision.clone());
    let (Some(status), Some(revision)) = (status, deployed) else {
        let hint = format!("sync it first: qd sync {name}");
        return Err(Failure::conflict(format!("{name} is not deployed, so there is nothing to test"), &hint));
    };
    let later = "ask again when that is done";
    if let Some(sync) = under_way(&status) {
        return Err(Failure::conflict(format!("{name} is being synced: {sync}"), later));
    }
    if environment.intent().is_some() {
        return Err(Failure::conflict(format!("{name} is about to be synced"), later));
    }
    if let Some(tests) = status.tests.as_ref().filter(|tests| !tests.phase.is_final()) {
        let who = tests.cause.describe();
        return Err(Failure::conflict(format!("tests of {name} are running already: {who} asked for them"), later));
    }
    let (at, cause) = (Timestamp::now(), peer.cause());
    let message = format!("the tests of {name} will run on {}", revision.short());
    let (phase, finished, (told, hint)) = (Phase::Queued, None, Default::default());
    let tests = ChartTests { at, cause, only, timeout_seconds, revision, phase, finished, message: told, hint };
    context.journal.record(vec![Fact::patch(name, Patch::Tests(Box::new(tests)))]).await?;
    environment.wake();
    let mut answer = taken(message);
    answer.1.tests = Some(at);
    Ok(answer)
}

pub(super) async fn tests(State(context): State<Shared>, In(environment): In) -> Answer<Json<TestsAnswer>> {
    let name = &environment.id;
    let run = context.journal.snapshot().environment(name).and_then(|status| status.tests);
    let Some(run) = run else {
        let hint = format!("run them: qd test {name}");
        return Err(Failure::not_found(format!("no tests of {name} were run"), &hint));
    };
    let tests = environment.tests_of(run.at);
    Ok(Json(TestsAnswer { environment: name.clone(), run: *run, tests }))
}
