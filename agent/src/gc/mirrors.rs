//! Mirrors of repositories that are not in the configuration any more: those that are polled, and those that kustomizations take
//! something from.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use quarterdeck_git::mirror::{DESCRIPTION, Mirror};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::protocol::{GcItem, GcKind};

use super::Deleted;
use crate::context::Context;

/// A mirror on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalMirror {
    path: PathBuf,
    name: String,
    changed: Timestamp,
    bytes: u64,
    kept: Option<&'static str>,
}

/// The mirrors that there are, those in use only where they are asked for: to measure one reads its whole folder.
pub(super) async fn found(context: &Context, now: Timestamp, used_too: bool) -> Result<Vec<LocalMirror>, Failure> {
    let repositories = context.repositories.all();
    let name = |mirror: &Mirror| mirror.dir().file_name().map(|name| name.to_string_lossy().into_owned());
    let polled = repositories.iter().filter_map(|repository| name(&repository.mirror())).collect();
    let mut found = looked_through(context, now, context.data_dir.join("mirrors"), polled, used_too).await?;
    let remotes = context.remotes.mirrors();
    // It is made by the first kustomization that takes something.
    if remotes.is_dir() {
        found.extend(looked_through(context, now, remotes, named_by_kustomizations(context), used_too).await?);
    }
    Ok(found)
}

async fn looked_through(
    context: &Context,
    now: Timestamp,
    folder: PathBuf,
    used: BTreeSet<String>,
    used_too: bool,
) -> Result<Vec<LocalMirror>, Failure> {
    let oldest = now - SignedDuration::from_hours(24 * i64::from(context.config().gc.days));
    let failed = |error: io::Error| Failure::text(format!("cannot look through {}: {error}", folder.display()));
    let (within, is_looking) = (folder.clone(), move |folder: &Path| mirrors_in(folder, &used, used_too, oldest));
    let looked = tokio::task::spawn_blocking(move || is_looking(&within)).await;
    looked.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)
}

/// The mirrors of repositories that the kustomizations of some environment may name.
fn named_by_kustomizations(context: &Context) -> BTreeSet<String> {
    let config = context.config();
    let environments = config.applications.iter().flat_map(|application| &application.environments);
    let named = environments.flat_map(|environment| &environment.kustomize.remote);
    named.filter_map(|address| context.remotes.mirror_name(address)).collect()
}

/// Deletes those that nobody needs, while no reload takes one into use.
pub(super) async fn delete(context: &Context, now: Timestamp, deleted: &mut Deleted) -> Result<(), Failure> {
    let _no_reload = context.reload.clone().read_owned().await;
    for mirror in found(context, now, false).await?.into_iter().filter(|mirror| mirror.kept.is_none()) {
        let path = mirror.path.clone();
        let gone = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        let gone = gone.unwrap_or_else(|error| Err(io::Error::other(error)));
        gone.map_err(|error| Failure::text(format!("cannot delete {}: {error}", mirror.path.display())))?;
        deleted.add(mirror.bytes);
    }
    Ok(())
}

/// As it is shown.
pub(super) fn item(mirror: LocalMirror) -> GcItem {
    GcItem {
        kind: GcKind::Mirror,
        name: mirror.name,
        application: None,
        commit: None,
        at: mirror.changed,
        bytes: mirror.bytes,
        kept: mirror.kept.map(str::to_owned),
    }
}

/// The mirrors in a folder, each with why it stays; what begins with a dot is no mirror. Blocks.
fn mirrors_in(
    folder: &Path,
    used: &BTreeSet<String>,
    used_too: bool,
    oldest: Timestamp,
) -> io::Result<Vec<LocalMirror>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_used = used.contains(&name);
        if name.starts_with('.') || !entry.file_type()?.is_dir() || is_used && !used_too {
            continue;
        }
        let (bytes, changed) = size(&entry.path())?;
        let kept = match is_used {
            true => Some("its repository is in the configuration"),
            false => (changed > oldest).then_some("it changed lately"),
        };
        let name = std::fs::read_to_string(entry.path().join(DESCRIPTION)).map_or(name, |text| text.trim().to_owned());
        found.push(LocalMirror { path: entry.path(), name, changed, bytes, kept });
    }
    Ok(found)
}

/// The bytes of all files below a folder, and the newest change of one. What goes while it is looked at counts for nothing.
fn size(folder: &Path) -> io::Result<(u64, Timestamp)> {
    let (mut bytes, mut changed) = (0, Timestamp::UNIX_EPOCH);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        changed = changed.max(modified.unwrap_or(Timestamp::UNIX_EPOCH));
        if metadata.is_dir() {
            let (below, last) = size(&entry.path()).unwrap_or((0, changed));
            (bytes, changed) = (bytes + below, changed.max(last));
        } else {
            bytes += metadata.len();
        }
    }
    Ok((bytes, changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_or_changed_lately_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["used", "left", ".ssh"] {
            std::fs::create_dir_all(folder.path().join(name).join("objects")).unwrap();
            std::fs::write(folder.path().join(name).join("objects/pack"), "12345").unwrap();
        }
        std::fs::write(folder.path().join("used/description"), "ssh://forge.example/shop.git\n").unwrap();
        let used = BTreeSet::from(["used".to_owned()]);
        let told = |used_too: bool, oldest: Timestamp| {
            let mut found = mirrors_in(folder.path(), &used, used_too, oldest).unwrap();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            found.into_iter().map(|one| (one.name, one.bytes, one.kept)).collect::<Vec<_>>()
        };
        let used = ("ssh://forge.example/shop.git".to_owned(), 5 + 29, Some("its repository is in the configuration"));
        let now = Timestamp::now();
        let (before, after) = (now - SignedDuration::from_hours(1), now + SignedDuration::from_hours(1));
        assert_eq!(told(true, before), [("left".to_owned(), 5, Some("it changed lately")), used.clone()]);
        assert_eq!(told(false, after), [("left".to_owned(), 5, None)]);
        assert_eq!(told(true, after), [("left".to_owned(), 5, None), used]);
    }
}
