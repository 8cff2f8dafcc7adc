//! What is written into the history, and what it lets go.

use std::path::Path;

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId, EnvironmentName};
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::event::{Cause, Event, SyncRecord};
use quarterdeck_shared::id::Prefix;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{ApplicationStatus, RunId, RunStatus};
use quarterdeck_shared::status::Phase;
use rusqlite::{Transaction, params};
use serde::Serialize;

use super::read::{IS_RELEASE, number_of};
use super::{Result, prefix};
use crate::config::HistoryConfig;
use crate::history::{About, Comment, CommitStatuses, EnvironmentRow, Intent};
use quarterdeck_core::sync::plan::Remembered;
use quarterdeck_core::trigger::SeenRefs;

/// Artifacts kept of each application: a rollback reaches as far as its syncs, a rebuild costs minutes only.
pub(super) const ARTIFACTS_KEPT: u32 = 200;

/// Comments kept: more than merge requests are open at a time.
const COMMENTS_KEPT: u32 = 2_000;

/// What the journal writes, each within its transaction.
pub struct Writer<'a> {
    /// The transaction.
    pub transaction: &'a Transaction<'a>,
    /// What the ids of events begin with.
    pub history: Prefix,
}

impl Writer<'_> {
    /// Keeps the prefix, which was drawn for the files at this path.
    pub fn prefix(&self, path: &Path) -> Result<()> {
        prefix::keep(self.transaction, path, self.history)
    }

    /// Keeps an event.
    pub fn event(&self, at: Timestamp, about: &About, cause: &Cause, event: &Event) -> Result<()> {
        let (application, environment) = about.parts();
        self.transaction
            .prepare_cached(
                "INSERT INTO event (history, at, application, environment, cause, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                self.history.to_string(),
                at.to_string(),
                application.map(ApplicationName::as_str),
                environment.map(EnvironmentName::as_str),
                json(cause)?,
                json(event)?
            ])?;
        Ok(())
    }

    /// Keeps a run as it is now.
    pub fn run(&self, run: &RunStatus) -> Result<()> {
        let RunStatus { id, application, phase, queued, .. } = run;
        self.transaction
            .prepare_cached("INSERT INTO run (id, application, open, at, body, cut_off, is_check) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET open = ?3, body = ?5, cut_off = ?6")?
            .execute(params![id.number as i64, application.as_str(), !phase.is_final(), queued.to_string(), json(run)?, *phase == Phase::Interrupted, run.is_check()])?;
        Ok(())
    }

    /// Keeps a sync as it is now.
    pub fn sync(&self, sync: &SyncRecord) -> Result<()> {
        let SyncRecord { id, environment, phase, started, .. } = sync;
        self.transaction
            .prepare_cached("INSERT INTO sync (id, environment, open, at, body) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET open = ?3, body = ?5")?
            .execute(params![id.number as i64, environment.to_string(), !phase.is_final(), started.to_string(), json(sync)?])?;
        Ok(())
    }

    /// Keeps an artifact as it is now, under a new number: what was last worked with is the newest, whatever the clock says.
    pub fn artifact(&self, artifact: &Artifact) -> Result<()> {
        let Artifact { application, commit, tag, built, .. } = artifact;
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO artifact (application, commit_id, tag, at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![application.as_str(), commit.as_str(), tag, built.to_string(), json(artifact)?])?;
        Ok(())
    }

    /// Keeps an environment as it is now.
    pub fn environment(&self, row: &EnvironmentRow) -> Result<()> {
        self.transaction
            .prepare_cached(
                "INSERT INTO environment (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = ?2",
            )?
            .execute(params![row.status.environment.to_string(), json(row)?])?;
        Ok(())
    }

    /// Keeps an application as it is now.
    pub fn application(&self, status: &ApplicationStatus) -> Result<()> {
        self.transaction
            .prepare_cached(
                "INSERT INTO application (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = ?2",
            )?
            .execute(params![status.name.as_str(), json(status)?])?;
        Ok(())
    }

    /// Keeps which refs need no thought any more.
    pub fn refs_seen(&self, application: &ApplicationName, repository: &str, refs: &SeenRefs) -> Result<()> {
        self.transaction
            .prepare_cached("INSERT INTO tags_seen (application, repository, tags) VALUES (?1, ?2, ?3) ON CONFLICT (application) DO UPDATE SET repository = ?2, tags = ?3")?
            .execute(params![application.as_str(), repository, json(refs)?])?;
        Ok(())
    }

    /// Keeps what the forge knows of a run, by its number, and what it does not.
    pub fn commit_statuses(&self, run: u64, statuses: &CommitStatuses) -> Result<()> {
        self.transaction
            .prepare_cached(
                "INSERT INTO commit_status (run, body) VALUES (?1, ?2) ON CONFLICT (run) DO UPDATE SET body = ?2",
            )?
            .execute(params![run as i64, json(statuses)?])?;
        Ok(())
    }

    /// Keeps our comment on a merge request. The newest are kept; of one that is let go its forge is asked.
    pub fn comment(&self, merge_request: &str, comment: &Comment) -> Result<()> {
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO comment (merge_request, body) VALUES (?1, ?2)")?
            .execute(params![merge_request, json(comment)?])?;
        self.transaction
            .prepare_cached("DELETE FROM comment WHERE rowid <= (SELECT max(rowid) FROM comment) - ?1")?
            .execute([COMMENTS_KEPT])?;
        Ok(())
    }

    /// Keeps what was applied.
    pub fn applied(
        &self,
        environment: &EnvironmentId,
        applied: &[(ResourceRef, Remembered)],
        gone: &[ResourceRef],
    ) -> Result<()> {
        let environment = environment.to_string();
        let mut insert = self.transaction.prepare_cached("INSERT INTO applied (environment, resource, manifest, live, ended) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET manifest = ?3, live = ?4, ended = ?5")?;
        for (resource, Remembered { manifest, live, ended }) in applied {
            let ended = number_of(*ended);
            insert.execute(params![environment, json(resource)?, manifest.0, live.0, ended])?;
        }
        let mut delete =
            self.transaction.prepare_cached("DELETE FROM applied WHERE environment = ?1 AND resource = ?2")?;
        for resource in gone {
            delete.execute(params![environment, json(resource)?])?;
        }
        Ok(())
    }

    /// Keeps what a person asked for.
    pub fn intent(&self, environment: &EnvironmentId, intent: &Intent) -> Result<()> {
        self.transaction
            .prepare_cached("INSERT INTO intent (environment, body) VALUES (?1, ?2) ON CONFLICT (environment) DO UPDATE SET body = ?2")?
            .execute(params![environment.to_string(), json(intent)?])?;
        Ok(())
    }

    /// Keeps that it is owed no more. Another one stays.
    pub fn intent_done(&self, environment: &EnvironmentId, intent: &Intent) -> Result<()> {
        self.transaction
            .prepare_cached("DELETE FROM intent WHERE environment = ?1 AND body = ?2")?
            .execute(params![environment.to_string(), json(intent)?])?;
        Ok(())
    }

    /// Lets go what is over the bounds of the configuration; returns the runs whose logs may go with them. Without a time
    /// that is believed nothing goes by its age.
    pub fn let_go(&self, bounds: &HistoryConfig, now: Option<Timestamp>) -> Result<Vec<RunId>> {
        let kept = jiff::SignedDuration::from_hours(24 * i64::from(bounds.days));
        let oldest = now.and_then(|now| now.saturating_sub(kept).ok()).unwrap_or(Timestamp::MIN).to_string();
        // Runs that were cut off and taken up count by themselves, and so do those of branches and merge requests: no storm of
        // restarts or reloads and no busy week pushes releases out.
        let runs: Vec<String> = self
            .transaction
            .prepare_cached(RUNS_TO_LET_GO)?
            .query_map(params![bounds.runs, oldest], |row| row.get(0))?
            .collect::<std::result::Result<_, _>>()?;
        let runs: Vec<RunId> = runs.iter().filter_map(|id| id.parse().ok()).collect();
        for run in &runs {
            self.transaction.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([run.number as i64])?;
            self.transaction
                .prepare_cached("DELETE FROM commit_status WHERE run = ?1")?
                .execute([run.number as i64])?;
        }
        self.transaction.execute(&syncs_to_let_go(), params![bounds.syncs, oldest])?;
        self.transaction.execute(
            "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?1 OR at < ?2 AND id NOT IN (SELECT max(id) FROM event GROUP BY application, environment)",
            params![bounds.events, oldest],
        )?;
        self.transaction.execute(
            "DELETE FROM artifact WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER (PARTITION BY application, body ->> '$.pushed' IS NULL ORDER BY rowid DESC) AS place FROM artifact) WHERE place > ?1)",
            [ARTIFACTS_KEPT],
        )?;
        Ok(runs)
    }
}

/// Runs that are over the bounds, ranked by an index that holds all that is asked: no body of those that stay is read.
pub(super) const RUNS_TO_LET_GO: &str =
    "SELECT body ->> '$.id' FROM run WHERE id IN (SELECT id FROM (SELECT id, open, at,
    row_number() OVER (PARTITION BY application, cut_off, is_check ORDER BY id DESC) AS place FROM run)
    WHERE NOT open AND place > 1 AND (place > ?1 OR at < ?2))";

/// Syncs that are over the bounds. Of each environment are kept:
/// - its newest of all;
/// - releases: as many contents as syncs are to be kept, each with its newest sync; the last two whatever their age, so that
///   there is always one to roll back to;
/// - reverts of drift, and what failed, was partial, or brought what was there already: as many of each, by themselves, so
///   that no fight and no failure pushes a release out.
fn syncs_to_let_go() -> String {
    format!(
        "DELETE FROM sync WHERE id IN (
            WITH turned AS (
                SELECT id, environment, open, at, body ->> '$.cause.by' = 'drift' AS heal, {IS_RELEASE} AS release,
                    row_number() OVER (PARTITION BY environment, {IS_RELEASE}, coalesce(body ->> '$.content', body ->> '$.revision.commit') ORDER BY id DESC) AS turn,
                    row_number() OVER (PARTITION BY environment ORDER BY id DESC) AS newest
                FROM sync
            ), ranked AS (
                SELECT id, open, at, newest, release AND turn = 1 AS first,
                    row_number() OVER (PARTITION BY environment, heal, release AND turn = 1 ORDER BY id DESC) AS place
                FROM turned
            )
            SELECT id FROM ranked WHERE NOT open AND newest > 1 AND NOT (first AND place <= 2) AND (place > ?1 OR at < ?2)
        )"
    )
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}
