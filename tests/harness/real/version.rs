//! Versions of the shop on their way: the tag's run, the promotion, the sync, the pods, the Service that answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::snapshot::{EnvironmentStatus, RunId, RunStatus};
use quarterdeck_shared::status::{Health, Phase, SyncStatus};

use super::town::PATIENCE;
use super::{Town, http};
use crate::agent::{digest, is_at, promotion};

/// A version that was pushed and promoted.
pub struct Version {
    /// `sha256:…`
    pub digest: String,
    /// The promotion.
    pub commit: String,
}

impl Town {
    /// Waits for the end of a tag's run, which has to succeed.
    pub async fn run(&self, tag: &str) -> anyhow::Result<RunStatus> {
        let ended = |run: &RunStatus| run.reference == tag && run.phase.is_final();
        let run = self.agent.wait_run(&format!("the run of {tag}"), ended).await?;
        ensure!(run.phase == Phase::Succeeded, "{tag} {}: {}\n{}", run.phase, run.message, self.agent.log());
        Ok(run)
    }

    /// The lines of a run's log.
    pub async fn log(&self, run: RunId) -> anyhow::Result<Vec<String>> {
        let mut log = self.agent.client().stream::<LogRecord>(&format!("/v1/runs/{run}/log"), None).await?;
        let mut lines = Vec::new();
        while let Some(record) = log.next().await? {
            if let LogRecord::Line { text, .. } = record {
                lines.push(text.to_string());
            }
        }
        Ok(lines)
    }

    /// What a successful push came to.
    pub fn promoted(&self, run: &RunStatus) -> anyhow::Result<Version> {
        let digest = digest(run);
        let commit = promotion(run).map(|commit| commit.as_str().to_owned());
        Ok(Version {
            digest: digest.context("a pushed artifact has a digest")?.to_string(),
            commit: commit
                .with_context(|| format!("the push was not promoted: {}\n{}", run.message, self.agent.log()))?,
        })
    }

    /// Waits until the shop is synced to a commit.
    pub async fn synced(&self, what: &str, commit: &str) -> anyhow::Result<EnvironmentStatus> {
        self.agent.wait_for(what, "shop", |app| app.sync == SyncStatus::Synced && is_at(app, commit)).await
    }

    /// Waits until the shop is synced to a commit, and healthy.
    pub async fn healthy(&self, what: &str, commit: &str) -> anyhow::Result<EnvironmentStatus> {
        let well = |app: &EnvironmentStatus| {
            app.health == Health::Healthy && app.sync == SyncStatus::Synced && is_at(app, commit)
        };
        self.agent.wait_for(what, "shop", well).await
    }

    /// What the kubelet says that it runs, of the pods that are not on their way out. One that is over stays as an object until
    /// Kubernetes collects it, and runs nothing: an etcd that is put back brings such.
    pub fn runs_digest(&self, version: &Version) -> anyhow::Result<()> {
        let pods = self.kubectl(&["get", "pods", "--selector", "app=shop", "-o", "json"])?;
        let pods: serde_json::Value = serde_json::from_str(&pods)?;
        let running: Vec<&str> = pods["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .filter(|pod| !["Failed", "Succeeded"].iter().any(|over| pod["status"]["phase"] == *over))
            .filter_map(|pod| pod["status"]["containerStatuses"][0]["imageID"].as_str())
            .collect();
        let right = running.len() == 2 && running.iter().all(|id| id.ends_with(&version.digest));
        ensure!(right, "pods run {running:?} instead of two of {}", version.digest);
        Ok(())
    }

    /// Waits until the Service answers with a version.
    pub async fn answers(&self, version: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let seen = match self.address() {
                Ok(address) => http(&address, "GET", "/", "", "").await,
                Err(error) => Err(error),
            };
            match seen {
                Ok((200, body)) if body.trim() == format!("shop {version}") => return Ok(()),
                seen => ensure!(started.elapsed() < PATIENCE, "the Service does not answer with {version}: {seen:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where the Service of the shop answers.
    pub fn address(&self) -> anyhow::Result<String> {
        Ok(self.kubectl(&["get", "service", "shop", "-o", "jsonpath={.spec.clusterIP}"])? + ":80")
    }

    /// Waits until kubectl prints what is wanted.
    pub async fn until(&self, what: &str, words: &[&str], wanted: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let seen = self.kubectl(words)?;
            if seen == wanted {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "waited for {what}, and saw {seen:?}\n{}", self.agent.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What a client met who asked the Service over and over.
#[derive(Debug, Default)]
pub struct Polled {
    /// How often it asked.
    pub asked: usize,
    /// What failed.
    pub failed: Vec<String>,
    /// What it was answered, each once.
    pub answers: BTreeSet<String>,
}

/// Asks until it is over.
pub async fn poll(address: String, over: Arc<AtomicBool>) -> Polled {
    let mut polled = Polled::default();
    while !over.load(Ordering::Relaxed) {
        polled.asked += 1;
        match http(&address, "GET", "/", "", "").await {
            Ok((200, body)) => drop(polled.answers.insert(body.trim().to_owned())),
            Ok((status, body)) => polled.failed.push(format!("{status} {body}")),
            Err(error) => polled.failed.push(format!("{error:#}")),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    polled
}
