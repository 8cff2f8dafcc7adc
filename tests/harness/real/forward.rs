//! A way to a real part that counts what goes over it, and that can be held up: how a slow network is played.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    up: AtomicU64,
    down: AtomicU64,
    /// Bytes from the part that may go through, all in all.
    allowed: watch::Sender<u64>,
    /// Connections that were held up.
    held: watch::Sender<u64>,
}

impl Forward {
    /// A way to `HOST:PORT`.
    pub async fn to(part: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts {
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            allowed: watch::Sender::new(u64::MAX),
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
        Traffic { connections: read(connections), requests: read(requests), up: read(up), down: read(down) }
    }

    /// Lets so many more bytes come from the part; then everything waits until [`Forward::release`].
    pub fn hold_after(&self, bytes: u64) {
        self.counts.held.send_replace(0);
        self.counts.allowed.send_replace(self.counts.down.load(Ordering::Relaxed) + bytes);
    }

    /// Waits until something is held up.
    pub async fn held(&self) -> anyhow::Result<()> {
        self.counts.held.subscribe().wait_for(|held| *held > 0).await?;
        Ok(())
    }

    /// Lets everything through again.
    pub fn release(&self) {
        self.counts.allowed.send_replace(u64::MAX);
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries both ways until either side ends.
async fn carry(client: TcpStream, part: &str, counts: &Counts) {
    let Ok(server) = TcpStream::connect(part).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            counts.up.fetch_add(read as u64, Ordering::Relaxed);
            // A client writes the head of a request in one piece.
            if [&b"GET "[..], b"POST ", b"HEAD ", b"PUT ", b"PATCH "].iter().any(|verb| buffer.starts_with(verb)) {
                counts.requests.fetch_add(1, Ordering::Relaxed);
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let mut allowed = counts.allowed.subscribe();
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let all = counts.down.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
            if all > *allowed.borrow() {
                counts.held.send_modify(|held| *held += 1);
                let _ = allowed.wait_for(|allowed| all <= *allowed).await;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    // Neither http nor ssh goes on where one of both has ended.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
