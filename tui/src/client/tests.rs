//! The client against a socket: what it asks, and what it makes of an agent that is away, old, slow or mad.

use std::time::Duration;

use quarterdeck_shared::protocol::{Accepted, Check, CheckResult, SuspendRequest, WIRE_VERSION, WatchRecord};
use serde_json::json;

use super::*;
use crate::standin::{Reply, StandIn, socket_in};

/// Patient, for a machine that has other things to do, and small.
fn limits() -> Limits {
    Limits { answer_bytes_max: 16 * 1024, line_bytes_max: 8 * 1024, ..Limits::default() }
}

fn client(agent: &StandIn) -> Client {
    Client::with_limits(vec![agent.socket()], limits())
}

#[tokio::test]
async fn it_asks_and_reads_the_answer() {
    let check =
        Check { name: "engine".to_owned(), result: CheckResult::Good, message: "well".to_owned(), hint: String::new() };
    let good = check.clone();
    let agent = StandIn::start(move |asked| match asked {
        "GET /v1/doctor" => Reply::json(&[&good]),
        _ => Reply::json(&json!({"message": "suspended shop"})),
    });
    let client = client(&agent);

    assert_eq!(client.get::<Vec<Check>>("/v1/doctor").await.unwrap(), [check]);
    let reason = SuspendRequest { reason: "a fire".to_owned() };
    client.post::<Accepted>("/v1/environments/shop/suspend", &reason).await.unwrap();
    client.post_empty::<Accepted>("/v1/environments/shop/resume").await.unwrap();

    assert_eq!(
        agent.asked(),
        [
            "GET /v1/doctor",
            r#"POST /v1/environments/shop/suspend {"reason":"a fire"}"#,
            "POST /v1/environments/shop/resume",
        ]
    );
}

#[tokio::test]
async fn a_watch_gives_records_until_it_ends() {
    let agent = StandIn::start(|_| {
        Reply::records(&[WatchRecord::Bookmark { revision: 7 }, WatchRecord::Bookmark { revision: 8 }])
    });
    let mut records = client(&agent).watch("e", 6).await.unwrap();
    assert_eq!(records.next().await.unwrap(), Some(WatchRecord::Bookmark { revision: 7 }));
    assert_eq!(records.next().await.unwrap(), Some(WatchRecord::Bookmark { revision: 8 }));
    assert_eq!(records.next().await.unwrap(), None);
    assert_eq!(records.next().await.unwrap(), None, "an ended stream stays ended");
    assert_eq!(agent.asked(), ["GET /v1/watch?epoch=e&since=6"]);
}

#[tokio::test]
async fn the_first_socket_that_answers_is_asked() {
    let agent = StandIn::start(|_| Reply::json(&json!([])));
    let nowhere = tempfile::tempdir().unwrap();
    let client = Client::new(vec![socket_in(nowhere.path()), agent.socket()]);
    assert_eq!(client.get::<Vec<Check>>("/v1/doctor").await.unwrap(), []);
}

#[tokio::test]
async fn no_agent_is_told_with_each_place_and_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead.sock");
    drop(tokio::net::UnixListener::bind(&dead).unwrap());
    let error = Client::new(vec![socket_in(folder.path()), dead]).state().await.unwrap_err();

    let text = error.to_string().replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(text, "no agent answers: DIR/agent.sock (it does not exist), DIR/dead.sock (nothing listens)");
    assert_eq!(error.hints()[0], "start one: qd-agent run");
    assert!(error.hints()[1].contains("systemctl --user start quarterdeck"));
}

#[tokio::test]
async fn an_agent_of_another_wire_is_told_and_who_should_move() {
    for (theirs, who) in [(WIRE_VERSION + 1, "install the qd that"), (WIRE_VERSION - 1, "install the qd-agent that")] {
        let agent = StandIn::start(move |_| Reply::Answer(StatusCode::OK, Some(theirs), "{}".to_owned()));
        let error = client(&agent).state().await.unwrap_err();
        assert!(matches!(error, ClientError::WireVersion { .. }), "{error}");
        assert!(error.to_string().contains(&format!("speaks version {theirs} of the wire")), "{error}");
        assert!(error.hints()[0].starts_with(who), "{:?}", error.hints());
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_agents_words() {
    let agent = StandIn::start(|_| Reply::error(403, "forbidden", "shop is protected", "ask an approver"));
    let error = client(&agent).post_empty::<Accepted>("/v1/environments/shop/sync").await.unwrap_err();
    assert_eq!(error.to_string(), "shop is protected");
    assert_eq!(error.hints(), ["ask an approver"]);

    let agent = StandIn::start(|_| Reply::error(410, "gone", "too old", ""));
    let error = client(&agent).watch("e", 1).await.unwrap_err();
    assert!(error.is_gone() && !error.is_not_found());
}

#[tokio::test]
async fn a_slow_agent_is_given_up() {
    let agent = StandIn::start(|asked| match asked {
        "GET /v1/state" => Reply::Never,
        _ => Reply::Lines(vec![], true),
    });
    let [notice, read, answer] = [50, 100, 200].map(Duration::from_millis);
    let client = Client::with_limits(vec![agent.socket()], Limits { notice, read, answer, ..limits() });
    assert!(matches!(client.state().await, Err(ClientError::Slow { .. })));
    // A body that never comes to its end, and a stream that says nothing.
    assert!(matches!(client.get::<Vec<Check>>("/v1/doctor").await, Err(ClientError::Slow { .. })));
    let mut silent = client.stream::<WatchRecord>("/v1/watch", Some(Duration::from_millis(50))).await.unwrap();
    assert!(matches!(silent.next().await, Err(ClientError::Silent { .. })));
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let agent = StandIn::start(|_| Reply::Flood);
    let client = Client::with_limits(vec![agent.socket()], limits());
    assert!(matches!(client.state().await, Err(ClientError::TooLong { limit: 16_384, .. })));
    let mut flood = client.stream::<WatchRecord>("/v1/watch", None).await.unwrap();
    assert!(matches!(flood.next().await, Err(ClientError::TooLong { limit: 8_192, .. })));
}

#[tokio::test]
async fn garbage_is_told_as_such() {
    let agent = StandIn::garbage(b"220 mail.example ESMTP\r\n");
    assert!(matches!(client(&agent).state().await, Err(ClientError::Lost { .. })));

    let agent = StandIn::garbage(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    assert!(matches!(client(&agent).state().await, Err(ClientError::NotAnAgent { .. })));

    let agent = StandIn::garbage(b"HTTP/1.1 200 OK\r\nx-quarterdeck-wire: 1\r\ncontent-length: 9\r\n\r\n{\"cut");
    assert!(matches!(client(&agent).state().await, Err(ClientError::Lost { .. })));

    let agent = StandIn::start(|_| Reply::Lines(vec!["{\"type\":\"neither\"}".to_owned()], false));
    assert!(matches!(client(&agent).state().await, Err(ClientError::Garbled { .. })));
    let mut records = client(&agent).watch("e", 1).await.unwrap();
    assert!(matches!(records.next().await, Err(ClientError::Garbled { .. })));

    let agent = StandIn::start(|_| Reply::Answer(StatusCode::BAD_GATEWAY, Some(WIRE_VERSION), "<html>".to_owned()));
    let error = client(&agent).state().await.unwrap_err();
    assert_eq!(error.to_string(), "the agent's answer to GET /v1/state (502 Bad Gateway) cannot be read");
}
