//! The socket: what each route asks for, and clients that do not behave.

use harness::world::World;
use quarterdeck_shared::protocol::{ErrorAnswer, Role, WIRE_HEADER, WIRE_VERSION};
use quarterdeck_shared::queries::WatchQuery;
use quarterdeck_shared::routes::{self, Method, ROUTES, Row};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::*;

#[test]
fn looking_asks_for_a_viewer_and_doing_for_an_operator() {
    let guarded = ["sync", "rollback", "unpin", "resume", "adopt", "test", "delete"];
    for route in ROUTES {
        let last = route.path.rsplit('/').next().unwrap();
        let wanted = if route.method == Method::Get { Role::Viewer } else { Role::Operator };
        assert_eq!(route.role, wanted, "{} {}", route.method, route.path);
        let is_of_one = route.method == Method::Post && route.path.contains("{address}");
        let is_guarded = is_of_one && guarded.contains(&last);
        assert_eq!(route.guarded, is_guarded, "what changes a protected cluster asks for more: {}", route.path);
    }
    assert_eq!(ROUTES.iter().filter(|route| route.method == Method::Post).flat_map(Row::templates).count(), 24);
}

#[tokio::test]
async fn a_wrong_path_is_answered_in_the_words_of_the_wire() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    for (request, status) in
        [("GET /v1/nothing", 404), ("GET /v1/environments/none/diff", 404), ("POST /v1/environments/none/sync", 404)]
    {
        let mut stream = UnixStream::connect(world.socket()).await.unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        assert!(head.contains(&format!("{WIRE_HEADER}: {WIRE_VERSION}")), "{request}: {answer}");
        let error: ErrorAnswer = serde_json::from_str(body).unwrap();
        assert!(error.error == "not_found" && !error.message.is_empty(), "{error:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_comes() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let mut stream = UnixStream::connect(world.socket()).await.unwrap();
    let head = "POST /v1/environments/shop/suspend HTTP/1.1\r\nhost: a\r\ncontent-length: 65537\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 413 "), "{answer}");
    let error: ErrorAnswer = serde_json::from_str(body).unwrap();
    assert_eq!(error.message, "the body of the request is longer than 65536 bytes");
}

#[tokio::test]
async fn garbage_idle_connections_and_a_client_that_never_reads_stop_nobody() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = UnixStream::connect(world.socket()).await.unwrap();
        // Being cut off already is as good.
        let _ = stream.write_all(&[0, 255, 13, 10, 1, 2, 3]).await;
        held.push(stream);
    }
    // Asked for the whole state many times over, and never reads an answer.
    let mut deaf = UnixStream::connect(world.socket()).await.unwrap();
    deaf.write_all("GET /v1/state HTTP/1.1\r\nhost: a\r\n\r\n".repeat(200).as_bytes()).await.unwrap();
    // Half a head and half a body, a byte at a time.
    let mut halves = Vec::new();
    for half in
        ["GET /v1/sta", "POST /v1/environments/shop/suspend HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{"]
    {
        let mut stream = UnixStream::connect(world.socket()).await.unwrap();
        for byte in half.as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        halves.push(stream);
    }
    answers(&world).await;
    drop(held);

    // Beyond what one user may hold a connection is refused at once; when they are gone, others are served again. Those that
    // hold the places watch, for who says nothing is let go after a while.
    let state: State = world.client().get(routes::STATE.path()).await.unwrap();
    let since = WatchQuery { epoch: Some(state.epoch), since: state.revision };
    let watch = format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", routes::WATCH.with(&since));
    let mut watching = Vec::new();
    loop {
        let mut stream = UnixStream::connect(world.socket()).await.unwrap();
        // One that is refused at once has its answer, whatever becomes of what is asked.
        let _ = stream.write_all(watch.as_bytes()).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        match &answer {
            b"HTTP/1.1 200" => watching.push(stream),
            b"HTTP/1.1 503" => break,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    assert!((100..=128).contains(&watching.len()), "{} watch", watching.len());
    // Nobody can ask, and the work goes on.
    manifests(&world, &[("a.yaml", &config_map("a", "unwatched"))], "While all connections are taken");
    let synced = |_: &harness::cluster::Cluster| value(&world, "a").filter(|value| value == "unwatched").map(drop);
    world.cluster.wait_for("the commit in the cluster", synced).await;
    // Many at a time, a thousand in all.
    for _ in 0..20 {
        let mut more = Vec::new();
        for _ in 0..50 {
            more.push(UnixStream::connect(world.socket()).await.unwrap());
        }
        for mut stream in more {
            let mut refused = String::new();
            // A connection whose end comes as an error had its answer all the same.
            let _ = stream.read_to_string(&mut refused).await;
            assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
            let error: ErrorAnswer = serde_json::from_str(refused.split_once("\r\n\r\n").unwrap().1).unwrap();
            assert!(error.message.contains("128 connections") && !error.hint.is_empty(), "{error:?}");
        }
    }
    drop(watching);
    world.wait("an answer", |_| Some(())).await.unwrap();
    answers(&world).await;
    // Who did not come to an end was let go: without a word where nobody knows what was asked.
    for (mut half, words) in halves.into_iter().zip(["", "HTTP/1.1 408 "]) {
        let mut answer = Vec::new();
        // The connection was not read to its end, which is told as an error after the answer.
        let _ = half.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(words) && answer.is_empty() == words.is_empty(), "{answer}");
    }
    let suspended = world.state().await.unwrap();
    assert!(!harness::world::environment(&suspended, "shop").unwrap().suspended);
}

async fn answers(world: &World) {
    let commit = manifests(world, &[("a.yaml", &config_map("a", &deploy(world).rev("main")))], "Another value");
    synced_to(world, &commit).await;
}
