//! How long an agent is waited for, and who is told of it.
//!
//! A person who waits without a word does not know whether the program hangs, the agent, or the cluster. So after a few
//! seconds they are told. What the agent only has to look up is given up soon after. What takes it work may take long,
//! by which a slow cluster and a frozen agent look alike: then the agent is asked for its version beside, which costs it
//! nothing, and is given up only where it is silent to that as well. A change is waited for to the end, for whoever gives
//! up does not know whether it is made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use quarterdeck_shared::routes;
use tokio::time::{Instant, timeout_at};

use crate::client::{Client, request};

/// What a request asks of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To look up what it knows.
    Read,
    /// To find something out: it may ask a cluster, a repository, everything.
    Work,
    /// To change something.
    Change,
}

impl Kind {
    /// Of a request, by the routes of [`quarterdeck_shared::protocol`].
    pub fn of(method: &Method, path: &str) -> Self {
        const WORK: [&str; 8] = ["diff", "manifests", "object", "commits", "logs", "packages", "doctor", "gc"];
        let path = path.split('?').next().unwrap_or(path);
        match path.rsplit('/').next() {
            _ if method != Method::GET => Self::Change,
            Some(last) if WORK.contains(&last) => Self::Work,
            _ => Self::Read,
        }
    }
}

/// That the agent has been waited for long enough for a person to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How long so far.
    pub waited: Duration,
    /// For how long at the most.
    pub most: Duration,
    /// For what.
    pub kind: Kind,
}

impl Waiting {
    /// For a screen, from which a person can go on.
    pub fn text(&self) -> String {
        let (waited, most) = (self.waited.as_secs(), self.most.as_secs());
        format!("the agent has not answered for {waited} s; waiting up to {most} s")
    }

    /// For a command, which nothing but an interrupt stops.
    pub fn with_way_out(&self) -> String {
        let more = match self.kind {
            Kind::Change => "; the request may still be carried out",
            Kind::Read | Kind::Work => "",
        };
        format!("{} (ctrl-c to stop{more})", self.text())
    }
}

/// Who is told that the agent is waited for. Each client and its clones tell it once, until an answer comes.
#[derive(Clone)]
pub(super) struct WaitNotice {
    say: Arc<dyn Fn(&Waiting) + Send + Sync>,
    said: Arc<AtomicBool>,
}

impl Default for WaitNotice {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for WaitNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitNotice({:?})", self.said)
    }
}

impl WaitNotice {
    pub(super) fn new(say: impl Fn(&Waiting) + Send + Sync + 'static) -> Self {
        Self { say: Arc::new(say), said: Arc::default() }
    }

    fn waiting(&self, waiting: &Waiting) {
        if !self.said.swap(true, Ordering::Relaxed) {
            (self.say)(waiting);
        }
    }

    fn answered(&self) {
        self.said.store(false, Ordering::Relaxed);
    }
}

impl Client {
    /// Waits for an exchange with the agent as long as its kind deserves; after how long it was given up, where it was.
    pub(super) async fn patiently<T>(&self, kind: Kind, exchange: impl Future<Output = T>) -> Result<T, Duration> {
        let limits = &*self.limits;
        let (began, mut exchange) = (Instant::now(), std::pin::pin!(exchange));
        let most = if kind == Kind::Read { limits.read.min(limits.answer) } else { limits.answer };
        let answered = |answer| {
            self.notice.answered();
            answer
        };
        if let Ok(answer) = timeout_at(began + limits.notice.min(most), &mut exchange).await {
            return Ok(answered(answer));
        }
        self.notice.waiting(&Waiting { waited: limits.notice, most, kind });
        if kind != Kind::Work {
            return timeout_at(began + most, exchange).await.map(answered).map_err(|_| most);
        }
        // Asked beside from now on, so that it is known when a look would be given up.
        let read = limits.read.min(most);
        let is_alive = tokio::select! {
            answer = &mut exchange => return Ok(answered(answer)),
            alive = timeout_at(began + read, self.is_alive()) => alive.unwrap_or(false),
        };
        let most = if is_alive { most } else { read };
        timeout_at(began + most, exchange).await.map(answered).map_err(|_| most)
    }

    /// Whether the agent answers what costs it nothing.
    async fn is_alive(&self) -> bool {
        let asked = async {
            let (_, stream) = self.connect().await.ok()?;
            let request = request(Method::GET, routes::VERSION.path(), None).ok()?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.ok()?;
            tokio::select! {
                answer = sender.send_request(request) => answer.ok(),
                _ = connection => None,
            }
        };
        asked.await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_how_long_and_what_a_change_may_still_do() {
        let waiting =
            |kind| Waiting { waited: Duration::from_secs(5), most: Duration::from_secs(120), kind }.with_way_out();
        assert_eq!(waiting(Kind::Work), "the agent has not answered for 5 s; waiting up to 120 s (ctrl-c to stop)");
        assert!(waiting(Kind::Change).ends_with("(ctrl-c to stop; the request may still be carried out)"));
    }

    #[test]
    fn what_costs_the_agent_work_is_told_from_what_it_knows() {
        for (method, path, kind) in [
            (Method::GET, "/v1/state", Kind::Read),
            (Method::GET, "/v1/watch?epoch=e&since=1", Kind::Read),
            (Method::GET, "/v1/runs/17/log?follow=true", Kind::Read),
            (Method::GET, "/v1/applications/shop/history?limit=20", Kind::Read),
            (Method::GET, "/v1/applications/shop/diff?revision=a/state", Kind::Work),
            (Method::GET, "/v1/applications/shop/logs?follow=true", Kind::Work),
            (Method::GET, "/v1/runs/17/packages", Kind::Work),
            (Method::GET, "/v1/doctor", Kind::Work),
            (Method::GET, "/v1/gc", Kind::Work),
            (Method::POST, "/v1/applications/shop/suspend", Kind::Change),
        ] {
            assert_eq!(Kind::of(&method, path), kind, "{method} {path}");
        }
    }
}
