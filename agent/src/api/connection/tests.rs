//! Clients that are slow, deaf or gone, and a listener that takes another's place.

use std::path::PathBuf;

use axum::body::Body;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use futures::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::*;

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(200);

/// Where somebody listens who echoes bodies, and under `/endless` never stops talking; and what is told when that ends.
fn listen(patience: Patience) -> (tempfile::TempDir, PathBuf, oneshot::Receiver<()>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let (talking, ended) = oneshot::channel::<()>();
    let talking = Arc::new(Mutex::new(Some(talking)));
    let endless = move || {
        // Dropped with the stream.
        let talking = talking.lock().unwrap().take();
        let chunks = stream::repeat_with(move || {
            let _ = &talking;
            Ok::<_, std::convert::Infallible>(vec![b'x'; 64 << 10])
        });
        async { Body::from_stream(chunks) }
    };
    let router = Router::new()
        .route("/", post(async |body: axum::body::Bytes| body))
        .route("/endless", get(endless))
        .route_layer(from_fn(whole));
    let (_, listeners) = watch::channel(Arc::new(listener));
    tokio::spawn(serve(listeners, router, patience, CancellationToken::new()));
    (folder, path, ended)
}

/// Says the beginning at once and then a byte now and then, for ever: what it is told until it is let go.
async fn dribble(path: &PathBuf, beginning: &str) -> String {
    let (mut read, mut write) = UnixStream::connect(path).await.unwrap().into_split();
    write.write_all(beginning.as_bytes()).await.unwrap();
    let dribbling = async {
        let mut ticks = tokio::time::interval(SHORT / 20);
        while write.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let ended = async {
        tokio::select! {
            // A connection that ends with bytes that nobody took ends with an error, after what it had to say.
            _ = read.read_to_end(&mut answer) => {}
            () = dribbling => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("nobody lets it go");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn who_is_slow_and_comes_to_an_end_is_served() {
    let (_folder, path, _) = listen(Patience::default());
    let mut stream = UnixStream::connect(&path).await.unwrap();
    for byte in b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_let_go() {
    let (_folder, path, _) = listen(Patience { head: SHORT, body: LONG, write: LONG });
    assert_eq!(dribble(&path, "GET / HTTP/1.1\r\nhost: a\r\nx: ").await, "");
}

#[tokio::test]
async fn a_body_that_never_ends_is_told_so_and_let_go() {
    let (_folder, path, _) = listen(Patience { head: LONG, body: SHORT, write: LONG });
    let answer = dribble(&path, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("the body of the request did not come within 200ms"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_told_so() {
    let (_folder, path, _) = listen(Patience::default());
    let answer = dribble(&path, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 65537\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("the body of the request is longer than 65536 bytes"), "{answer}");
}

#[tokio::test]
async fn who_takes_nothing_is_let_go() {
    let (_folder, path, ended) = listen(Patience { head: LONG, body: LONG, write: SHORT });
    let mut deaf = UnixStream::connect(&path).await.unwrap();
    deaf.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("nobody lets it go");
    ended.expect_err("the stream was dropped");
    // What was on its way when the patience ended, and no more.
    let mut left = Vec::new();
    let _ = deaf.read_to_end(&mut left).await;
    assert!(left.starts_with(b"HTTP/1.1 200 "));
}

/// As an agent that was stopped and goes on finds them: one client gave up meanwhile, and two wait.
#[tokio::test]
async fn a_command_whose_client_is_gone_is_not_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (_kept, listeners) = watch::channel(Arc::new(UnixListener::bind(&path).unwrap()));
    let done = Arc::new(Mutex::new(Vec::new()));
    let command = {
        let done = done.clone();
        async move |line: Option<Extension<Line>>, body: String| {
            let command = async move {
                done.lock().unwrap().push(body);
                "done".into_response()
            };
            carry_out(line, command).await
        }
    };
    let router = Router::new().route("/", post(command)).route_layer(from_fn(whole));
    let mut clients = Vec::new();
    for name in ["gone", "left", "here"] {
        let mut client = UnixStream::connect(&path).await.unwrap();
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nconnection: close\r\n\r\n{name}");
        client.write_all(request.as_bytes()).await.unwrap();
        clients.push(client);
    }
    drop(clients.remove(0));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listeners, router, Patience::default(), stop.clone()));
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }
    stop.cancel();
    serving.await.unwrap();
    // Each on a connection of its own, so in any order.
    let mut done = std::mem::take(&mut *done.lock().unwrap());
    done.sort();
    assert_eq!(done, ["here", "left"]);
}

#[tokio::test]
async fn the_next_listener_is_served_and_what_is_open_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["one", "two"].map(|name| folder.path().join(name));
    let [one, two] = paths.each_ref().map(|path| Arc::new(UnixListener::bind(path).unwrap()));
    let (listener, listeners) = watch::channel(one);
    let router = Router::new().route("/", get(async || "here"));
    tokio::spawn(serve(listeners, router, Patience::default(), CancellationToken::new()));
    let ask = async |stream: &mut UnixStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 512];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 200 ")
    };
    let mut first = UnixStream::connect(&paths[0]).await.unwrap();
    assert!(ask(&mut first).await);
    listener.send_replace(two);
    let mut second = UnixStream::connect(&paths[1]).await.unwrap();
    assert!(ask(&mut second).await && ask(&mut first).await);
}
