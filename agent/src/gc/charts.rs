//! Archives of charts that no environment deploys any more.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::protocol::{GcItem, GcKind};
use quarterdeck_shared::revision::ChartRelease;

use super::Deleted;
use crate::charts::store::{self, named};
use crate::context::{Context, Environment};

/// Archives of one chart that are kept since they were used lately: a range of a chart that is released with each commit has a new
/// one every few minutes.
const LATELY_MAX: usize = 20;

/// An archive on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalChart {
    path: PathBuf,
    name: String,
    used: Timestamp,
    bytes: u64,
    kept: Option<&'static str>,
}

/// The archives that there are, each with why it stays.
pub(super) async fn found(context: &Context, now: Timestamp) -> Result<Vec<LocalChart>, Failure> {
    let needed = needed(context);
    let folder = context.data_dir.join(store::FOLDER);
    let oldest = now - SignedDuration::from_hours(24 * i64::from(context.config().gc.days));
    let failed = |error: io::Error| Failure::text(format!("cannot look through {}: {error}", folder.display()));
    let within = folder.clone();
    let looked = tokio::task::spawn_blocking(move || charts_in(&within, &needed, oldest)).await;
    looked.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)
}

/// Deletes those that nobody needs, while no reload takes one into use.
pub(super) async fn delete(context: &Context, now: Timestamp, deleted: &mut Deleted) -> Result<(), Failure> {
    let _no_reload = context.reload.clone().read_owned().await;
    for chart in found(context, now).await?.into_iter().filter(|chart| chart.kept.is_none()) {
        let gone = store::delete(&chart.path).await;
        gone.map_err(|error| Failure::text(format!("cannot delete {}: {error}", chart.path.display())))?;
        deleted.add(chart.bytes);
    }
    Ok(())
}

/// As it is shown.
pub(super) fn item(chart: LocalChart) -> GcItem {
    GcItem {
        kind: GcKind::Chart,
        name: chart.name,
        application: None,
        commit: None,
        at: chart.used,
        bytes: chart.bytes,
        kept: chart.kept.map(str::to_owned),
    }
}

/// The archives that environments deploy, are about to, or are held at.
fn needed(context: &Context) -> BTreeSet<PathBuf> {
    let ids: Vec<_> = context.journal.snapshot().environments();
    let with_chart = |status: &quarterdeck_shared::snapshot::EnvironmentStatus| {
        let environment = context.environment(&status.environment)?;
        let pinned = status.pin.as_ref().map(|pin| &pin.revision);
        let revisions = status.revision.iter().chain(&status.target).chain(pinned);
        let releases: Vec<ChartRelease> = revisions.filter_map(|one| one.chart.as_deref().cloned()).collect();
        Some(archives(&environment, releases))
    };
    ids.iter().filter_map(with_chart).flatten().collect()
}

fn archives(environment: &Environment, mut releases: Vec<ChartRelease>) -> Vec<PathBuf> {
    let Some(source) = &environment.chart else { return Vec::new() };
    releases.extend(source.state().borrow().release.clone());
    releases.iter().map(|release| source.store().path(release)).collect()
}

/// The archives in the folders of a folder, each with why it stays. Blocks.
fn charts_in(folder: &Path, needed: &BTreeSet<PathBuf>, oldest: Timestamp) -> io::Result<Vec<LocalChart>> {
    let mut found = Vec::new();
    let folders = match std::fs::read_dir(folder) {
        Ok(folders) => folders,
        // Nothing was kept yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for chart in folders {
        let chart = chart?;
        if !chart.file_type()?.is_dir() {
            continue;
        }
        let of = chart.file_name().to_string_lossy().into_owned();
        let (_, name) = of.split_once('-').unwrap_or(("", &of));
        let mut archives = Vec::new();
        for file in std::fs::read_dir(chart.path())? {
            let file = file?;
            let file_name = file.file_name().to_string_lossy().into_owned();
            let (Some((version, _)), Ok(metadata)) = (named(&file_name), file.metadata()) else { continue };
            let used = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
            let (path, name, used) = (file.path(), format!("{name} {version}"), used.unwrap_or(Timestamp::UNIX_EPOCH));
            archives.push(LocalChart { path, name, used, bytes: metadata.len(), kept: None });
        }
        archives.sort_by_key(|archive| std::cmp::Reverse(archive.used));
        let mut lately = 0;
        for archive in &mut archives {
            if needed.contains(&archive.path) {
                archive.kept = Some("an environment deploys it");
            } else if archive.used > oldest && lately < LATELY_MAX {
                lately += 1;
                archive.kept = Some("it was used lately");
            }
        }
        found.extend(archives);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deployed_or_was_used_lately_stays() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let (before, after) = (now - SignedDuration::from_hours(1), now + SignedDuration::from_hours(1));
        assert_eq!(charts_in(&folder.path().join("none"), &BTreeSet::new(), before).unwrap(), []);
        let of = folder.path().join("1f3c-kube-podinfo");
        std::fs::create_dir(&of).unwrap();
        for file in ["6.7.1@aa.tgz", "6.8.0@bb.tgz", "chosen-77", ".tmp@1.tgz"] {
            std::fs::write(of.join(file), "12345").unwrap();
        }
        let needed = BTreeSet::from([of.join("6.8.0@bb.tgz")]);
        let told = |oldest: Timestamp| {
            let mut found = charts_in(folder.path(), &needed, oldest).unwrap();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            found.into_iter().map(|one| (one.name, one.bytes, one.kept)).collect::<Vec<_>>()
        };
        let deployed = ("kube-podinfo 6.8.0".to_owned(), 5, Some("an environment deploys it"));
        assert_eq!(told(before), [("kube-podinfo 6.7.1".to_owned(), 5, Some("it was used lately")), deployed.clone()]);
        assert_eq!(told(after), [("kube-podinfo 6.7.1".to_owned(), 5, None), deployed]);
        for number in 0..LATELY_MAX {
            std::fs::write(of.join(format!("7.0.{number}@cc.tgz")), "12345").unwrap();
        }
        assert_eq!(told(before).iter().filter(|(.., kept)| kept.is_none()).count(), 1);
    }
}
