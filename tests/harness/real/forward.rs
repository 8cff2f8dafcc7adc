//! A way to a real part that counts what goes over it, and that can be held up: how a slow network is played.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What went over a way since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that were made.
    pub connections: u64,
    /// Requests of HTTP.
    pub requests: u64,
    /// Bytes towards the part.
    pub up: u64,
    /// Bytes from it.
    pub down: u64,
}

/// A port of this machine that leads to a part. Dropping it cuts every connection.
pub struct Forward {
    port: u16,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

struct Counts {
    connections: AtomicU64,
    requests: AtomicU64,
    up: Direction,
    down: Direction,
    /// How often something was held up.
    held: watch::Sender<u64>,
}

/// What went in one direction over all connections.
struct Direction {
    bytes: AtomicU64,
    /// Bytes that may go through, all in all.
    allowed: watch::Sender<u64>,
}

impl Direction {
    fn new() -> Self {
        Self { bytes: AtomicU64::new(0), allowed: watch::Sender::new(u64::MAX) }
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Forward {
    /// A way to `HOST:PORT`.
    pub async fn to(part: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts {
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            up: Direction::new(),
            down: Direction::new(),
            held: watch::Sender::new(0),
        });
        let (part, shared) = (part.to_owned(), counts.clone());
        let task = tokio::spawn(async move {
            // They end with the task.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (part, counts) = (part.clone(), shared.clone());
                connections.spawn(async move { carry(client, &part, &counts).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, counts, task })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What went over it until now.
    pub fn traffic(&self) -> Traffic {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { connections, requests, up, down, .. } = &*self.counts;
        Traffic { connections: read(connections), requests: read(requests), up: up.bytes(), down: down.bytes() }
    }

    /// Lets so many more bytes come from the part; then what comes waits until [`Forward::release`].
    pub fn hold_down_after(&self, bytes: u64) {
        self.hold(&self.counts.down, bytes);
    }

    /// Lets so many more bytes go to the part; then what goes waits until [`Forward::release`].
    pub fn hold_up_after(&self, bytes: u64) {
        self.hold(&self.counts.up, bytes);
    }

    fn hold(&self, direction: &Direction, bytes: u64) {
        self.counts.held.send_replace(0);
        direction.allowed.send_replace(direction.bytes() + bytes);
    }

    /// Waits until something is held up.
    pub async fn held(&self) -> anyhow::Result<()> {
        let mut held = self.counts.held.subscribe();
        let held = held.wait_for(|held| *held > 0);
        tokio::time::timeout(Duration::from_secs(120), held).await.context("nothing was held up in two minutes")??;
        Ok(())
    }

    /// Lets everything through again.
    pub fn release(&self) {
        self.counts.up.allowed.send_replace(u64::MAX);
        self.counts.down.allowed.send_replace(u64::MAX);
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries both ways until either side ends: neither http nor ssh goes on where one of both has ended, and who sent half of
/// something sees that nobody is there to take the rest.
async fn carry(client: TcpStream, part: &str, counts: &Counts) {
    let Ok(server) = TcpStream::connect(part).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // A client writes the head of a request in one piece.
    let verbs = [&b"GET "[..], b"POST ", b"HEAD ", b"PUT ", b"PATCH "];
    let asks = |piece: &[u8]| {
        let is_request = verbs.iter().any(|verb| piece.starts_with(verb));
        counts.requests.fetch_add(u64::from(is_request), Ordering::Relaxed);
    };
    tokio::select! {
        _ = pass(&mut from_client, &mut to_server, &counts.up, &counts.held, asks) => {}
        _ = pass(&mut from_server, &mut to_client, &counts.down, &counts.held, |_| ()) => {}
    }
}

/// Carries one way until it ends.
async fn pass(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    direction: &Direction,
    held: &watch::Sender<u64>,
    mut see: impl FnMut(&[u8]),
) -> anyhow::Result<()> {
    let mut allowed = direction.allowed.subscribe();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        see(&buffer[..read]);
        let all = direction.bytes.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        if all > *allowed.borrow() {
            held.send_modify(|held| *held += 1);
            allowed.wait_for(|allowed| all <= *allowed).await?;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
