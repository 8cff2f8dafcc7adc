//! Events as a person would tell them. Pure.

use quarterdeck_shared::application::EnvironmentName;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::status::{Phase, StageKind};

use crate::status_style::{Tone, of_health, of_phase, of_sync};
use crate::text::{counted, size};

/// What happened, in a person's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventText<'a> {
    /// How it is meant.
    pub tone: Tone,
    /// What it was: `sync 43 failed`.
    pub what: String,
    /// What else there is to say, such as why; may be empty.
    pub more: &'a str,
}

impl EventText<'_> {
    /// All of it in one line: `suspended: a fire`, or `suspended` where nothing else is said.
    pub fn line(&self) -> String {
        if self.more.is_empty() { self.what.clone() } else { format!("{}: {}", self.what, self.more) }
    }
}

/// `build`, or `promote qa`: a stage with the environment that it is for.
pub fn stage_called(kind: StageKind, environment: Option<&EnvironmentName>) -> String {
    environment.map_or_else(|| kind.to_string(), |environment| format!("{kind} {environment}"))
}

/// What happened, with its weight.
pub fn describe(event: &Event) -> EventText<'_> {
    let (tone, what, more): (Tone, String, &str) = match event {
        Event::AgentStarted { version, interrupted: 0 } => (Tone::Plain, format!("agent {version} started"), ""),
        Event::AgentStarted { version, interrupted } => {
            (Tone::Warning, format!("agent {version} started; the previous run left {interrupted} unfinished"), "")
        }
        Event::AgentStopped => (Tone::Plain, "agent stopped".to_owned(), ""),
        Event::ConfigurationReloaded { changes } if changes.is_empty() => {
            (Tone::Plain, "configuration reloaded, nothing changed".to_owned(), "")
        }
        Event::ConfigurationReloaded { changes } => {
            (Tone::Plain, format!("configuration reloaded: {}", changes.join("; ")), "")
        }
        Event::ConfigurationRefused { message } => (Tone::Bad, "configuration refused".to_owned(), message),
        Event::ApplicationSourceRead { source, commit, changes } => {
            (Tone::Plain, format!("applications of {source} at {}: {}", commit.short(), changes.join("; ")), "")
        }
        Event::ApplicationSourceRefused { source, message } => {
            (Tone::Bad, format!("applications of {source} refused"), message)
        }
        Event::EnvironmentPruned { environment, deleted, kept, .. } => {
            let left = if kept.is_empty() { String::new() } else { format!("; {} left", kept.len()) };
            let kept: &str = kept.first().map_or("", String::as_str);
            (Tone::Plain, format!("objects of removed environment {environment}: {deleted} pruned{left}"), kept)
        }
        Event::EnvironmentNotPruned { environment, message, .. } => {
            (Tone::Bad, format!("objects of removed environment {environment} are not pruned yet"), message)
        }
        Event::SocketRemade { path, why } => (Tone::Warning, format!("listening at {path} again"), why),
        Event::HistoryRestored { from, state_of } => {
            let state = state_of.map(|time| format!(", state of {time:.0}")).unwrap_or_default();
            (Tone::Warning, format!("history restored from {from}{state}"), "")
        }
        Event::Cleaned { images, mirrors, charts, tags, bytes } => {
            let counts = [
                (*images, "image", "images"),
                (*mirrors, "mirror", "mirrors"),
                (*charts, "chart", "charts"),
                (*tags, "tag", "tags"),
            ];
            let counts = counts.into_iter().filter(|(number, ..)| *number > 0);
            let counts: Vec<_> = counts.map(|(number, one, many)| counted(number, one, many)).collect();
            let what =
                format!("deleted {} that no run or environment needs, up to {}", counts.join(" and "), size(*bytes));
            (Tone::Plain, what, "")
        }
        Event::RequestDenied { request } => (Tone::Warning, "access denied: a role is required".to_owned(), request),

        Event::TagsChanged { repository, changed, moved, deleted } => {
            let named = |tag: &String| if moved.contains(tag) { format!("{tag} (moved)") } else { tag.clone() };
            let changed: Vec<String> = changed.iter().map(named).collect();
            let changed = Some(changed.join(", ")).filter(|tags| !tags.is_empty()).map(|tags| format!("tags {tags}"));
            let deleted = Some(deleted).filter(|n| **n > 0).map(|n| format!("{n} deleted"));
            let what: Vec<_> = changed.into_iter().chain(deleted).collect();
            let tone = if moved.is_empty() { Tone::Plain } else { Tone::Warning };
            (tone, format!("{} in {repository}", what.join(", ")), "")
        }
        Event::TagsLost { repository, lost, of } => (
            Tone::Warning,
            format!("{lost} of {of} tags vanished from {repository}"),
            "those that come back unchanged are not run again",
        ),
        Event::ConnectionLost { to, message } => (Tone::Bad, format!("lost {to}"), message),
        Event::ConnectionRestored { to } => (Tone::Good, format!("{to} answers again"), ""),
        Event::ClusterReplaced { cluster, message } => (Tone::Warning, format!("cluster {cluster} {message}"), ""),

        Event::RunQueued { run } => (Tone::Plain, format!("run {} queued", run.number), ""),
        Event::RunAllowed { run } => (Tone::Plain, format!("run {} of a fork's code allowed", run.number), ""),
        Event::StageChanged { run, stage, environment, phase, message } => {
            let stage = stage_called(*stage, environment.as_ref());
            (of_phase(*phase).tone, format!("run {}: {stage} {}", run.number, lower(phase.word())), message)
        }
        Event::RunFinished { run, phase, message } => {
            (of_phase(*phase).tone, format!("run {} {}", run.number, lower(phase.word())), message)
        }
        Event::ImageBuilt { artifact } => (Tone::Good, format!("built {}", artifact.tagged()), ""),
        Event::ImagePushed { artifact } => (Tone::Good, format!("pushed {}", artifact.pinned().join(", ")), ""),
        Event::ImagePromoted { images, commit, source } => {
            let of = source.as_ref().map(|source| format!(" of source {source}")).unwrap_or_default();
            (Tone::Good, format!("promoted {} in {}{of}", images.join(", "), commit.short()), "")
        }

        Event::RevisionChanged { revision, rewritten: false } => {
            (Tone::Plain, format!("git says {}", revision.short()), "")
        }
        Event::RevisionChanged { revision, rewritten: true } => {
            (Tone::Warning, format!("git says {}; its history was rewritten (force push)", revision.short()), "")
        }
        Event::SyncStarted { sync, revision } => {
            (Tone::Plain, format!("sync {} to {} started", sync.number, revision.short()), "")
        }
        Event::SyncFinished { sync, phase, message } => {
            (of_phase(*phase).tone, format!("sync {} {}", sync.number, lower(phase.word())), message)
        }
        Event::DriftFound { resources } => (Tone::Warning, format!("drift of {}", names(resources)), ""),
        Event::SyncStatusChanged { from, to, message } => (of_sync(*to).tone, format!("{to}, was {from}"), message),
        Event::HealthChanged { from, to, message } => (of_health(*to).tone, format!("{to}, was {from}"), message),
        Event::OperatedElsewhere { host, taken_over: true, .. } => {
            (Tone::Warning, format!("taken over from the agent on host {host}"), "")
        }
        Event::OperatedElsewhere { host, .. } => {
            (Tone::Warning, format!("also operated by the agent on host {host}"), "")
        }
        Event::Suspended { reason } => (Tone::Warning, "suspended".to_owned(), reason),
        Event::Resumed => (Tone::Plain, "resumed".to_owned(), ""),
        Event::Pinned { revision, reason } => {
            (Tone::Warning, format!("pinned to {}", revision.short_content()), reason)
        }
        Event::Unpinned => (Tone::Plain, "unpinned".to_owned(), ""),
        Event::ObjectsDeleted { message, .. } => (Tone::Warning, "objects deleted".to_owned(), message),
        Event::DeletionFailed { message, .. } => (Tone::Bad, "deletion failed".to_owned(), message),
        Event::Tested { phase, message, .. } => {
            let word = if *phase == Phase::Succeeded { "passed" } else { "did not pass" };
            (of_phase(*phase).tone, format!("tests {word}"), message)
        }
        Event::Adopted { objects: 0, .. } => (Tone::Plain, "nothing to adopt".to_owned(), ""),
        Event::Adopted { objects, from } => {
            let objects = counted(u64::from(*objects), "object", "objects");
            (Tone::Good, format!("adopted {objects} from {}", from.join(", ")), "")
        }
        Event::AdoptionFailed { message, .. } => (Tone::Bad, "adoption failed".to_owned(), message),
    };
    EventText { tone, what, more }
}

fn lower(word: &str) -> String {
    word.to_ascii_lowercase()
}

fn names(resources: &[ResourceRef]) -> String {
    let names: Vec<_> = resources.iter().map(ResourceRef::short).collect();
    match &names[..] {
        [] => "objects".to_owned(),
        names if names.len() <= 3 => names.join(", "),
        names => format!("{} and {} more", names[..3].join(", "), names.len() - 3),
    }
}
