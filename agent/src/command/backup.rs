//! `qd-agent backup FILE` and `qd-agent restore FILE`: the history as one file, of one moment.
//!
//! Git, registry and cluster hold the truth, and mirrors are fetched again. The history alone knows what persons asked
//! for (suspensions, pins, syncs) and what happened; this is what a backup is for.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use quarterdeck_shared::event::Event;

use crate::access::Peer;
use crate::history::About;
use crate::history::sqlite::copy::{Contents, contents, copy, exchange};
use crate::history::sqlite::{self, Writer, prefix};

/// Copies the history in `data_dir`, of a running agent or a stopped one, to `file`: whole, or not at all.
pub fn backup(data_dir: &Path, file: &Path, force: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let history = data_dir.join("history.db");
    let file = std::path::absolute(file)?;
    anyhow::ensure!(!is_part_of(&history, &file), "{} is the history itself: name another file", file.display());
    let exists = || anyhow::anyhow!("{} exists: name another file, or replace it with --force", file.display());
    if file.exists() && !force {
        return Err(exists());
    }
    let cannot = || format!("cannot write {}", file.display());
    let made = beside(&file).with_context(cannot)?;
    let contents = copy(&history, made.path())?;
    made.as_file().sync_all().with_context(cannot)?;
    let bytes = made.as_file().metadata().with_context(cannot)?.len();
    if force {
        made.persist(&file).map_err(|error| error.error).with_context(cannot)?;
    } else {
        made.persist_noclobber(&file).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => anyhow::Error::from(error.error).context(cannot()),
        })?;
    }
    sync_folder(&file).with_context(cannot)?;
    writeln!(out, "{}: {} KiB, {}", file.display(), bytes.div_ceil(1024), line(&contents))?;
    Ok(())
}

/// Puts a backup in the place of the history in `data_dir`, where no agent runs. Says first what the agent will take up;
/// without `yes` a person is asked on `input`.
pub fn restore(
    data_dir: &Path,
    file: &Path,
    yes: bool,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let history = data_dir.join("history.db");
    let file = std::path::absolute(file)?;
    let _lock = crate::agent::claim(data_dir).context("cannot restore")?;
    anyhow::ensure!(!is_part_of(&history, &file), "{} is the history itself: name a backup", file.display());
    let cannot = || format!("cannot write in {}", data_dir.display());
    // A copy is prepared, so that the backup stays as it is and a bad one changes nothing.
    let made = beside(&history).with_context(cannot)?;
    let found = copy(&file, made.path())?;
    let now = Timestamp::now();
    let aside = data_dir.join(format!("history.db.{}", now.strftime("%Y%m%dT%H%M%SZ")));
    describe(&file, &found, out)?;
    if history.exists() {
        writeln!(out, "{}", after(&history, &found))?;
        writeln!(out, "the current history is kept as {}", aside.display())?;
    }
    if !yes && !asked(input, out)? {
        anyhow::bail!("nothing was changed");
    }
    mark(made.path(), &file, &found, now)?;
    made.as_file().sync_all().with_context(cannot)?;
    exchange(&history, made.path(), &aside).with_context(cannot)?;
    let _ = made.keep();
    sync_folder(&history).with_context(cannot)?;
    writeln!(out, "restored {}: start the agent", history.display())?;
    Ok(())
}

/// Whether a person is there to be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// An empty file for its owner alone, in the folder of another that it will replace.
fn beside(file: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    tempfile::Builder::new().prefix(".qd-history-").tempfile_in(folder)
}

fn sync_folder(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Whether a path leads to the history, or to what SQLite keeps beside it, by whatever name.
fn is_part_of(history: &Path, file: &Path) -> bool {
    let of = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let beside = |ending: &str| PathBuf::from(format!("{}{ending}", history.display()));
    of(file).is_some_and(|file| ["", "-wal", "-shm"].iter().any(|ending| of(&beside(ending)) == Some(file)))
}

/// The restored history says that it is one: an event, by the person who did it.
fn mark(copy: &Path, from: &Path, found: &Contents, now: Timestamp) -> anyhow::Result<()> {
    let who = Peer::of_user(rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let event = Event::HistoryRestored { from: from.display().to_string(), state_of: found.newest };
    let mut connection = sqlite::open(copy)?;
    let transaction = connection.transaction()?;
    // What comes now is of another life than what came after the backup was taken: its ids must not be the same.
    let writer = Writer { transaction: &transaction, history: prefix::draw() };
    writer.prefix(copy)?;
    writer.event(now, &About::Agent, &who.cause(), &event)?;
    transaction.commit()?;
    sqlite::checkpoint(&connection)?;
    Ok(())
}

fn asked(input: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<bool> {
    write!(out, "restore? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What a history holds, in a line.
fn line(contents: &Contents) -> String {
    let Contents { environments, runs, syncs, events, newest, .. } = contents;
    let newest = newest.map_or("none".to_owned(), |newest| format!("{newest:.0}"));
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (environments, runs) = (count(*environments as u64, "environment"), count(*runs, "run"));
    let (syncs, events) = (count(*syncs, "sync"), count(*events, "event"));
    format!("{environments}, {runs}, {syncs}, {events}; the newest event is of {newest}")
}

/// What the agent will take up.
fn describe(file: &Path, contents: &Contents, out: &mut dyn Write) -> io::Result<()> {
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let Contents { suspended, pinned, asked, unfinished, .. } = contents;
    writeln!(out, "{}: {}", file.display(), line(contents))?;
    writeln!(out, "suspended: {}", list(suspended.iter().map(ToString::to_string).collect()))?;
    writeln!(out, "pinned: {}", list(pinned.iter().map(|(name, at)| format!("{name} to {at}")).collect()))?;
    writeln!(out, "requested syncs: {}", list(asked.iter().map(ToString::to_string).collect()))?;
    let run = |run: &quarterdeck_shared::snapshot::RunStatus| {
        format!("run {} of {} ({}, {})", run.id.number, run.application, run.reference, run.phase)
    };
    writeln!(out, "unfinished runs, resumed at the next start: {}", list(unfinished.iter().map(run).collect()))
}

/// What is in the history of now and will not be known any more.
fn after(history: &Path, backup: &Contents) -> String {
    let text = match contents(history) {
        Ok(now) => format!("in place of: {}", line(&now)),
        Err(error) => {
            format!("in place of a history that cannot be read: {}", quarterdeck_shared::error::chain(&error))
        }
    };
    let since = backup.newest.map_or(String::new(), |newest| format!(" after {newest:.0}"));
    format!(
        "{text}\nsuspensions, pins, runs and syncs{since} are not in the backup; git, registry and clusters are not changed"
    )
}

#[cfg(test)]
mod tests;
