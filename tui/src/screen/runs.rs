//! Pipelines: runs, newest first, each with its stages as they go.

use quarterdeck_shared::snapshot::{Object, RunStatus};
use quarterdeck_shared::status::{Health, Phase, Stage};
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind, Shown};
use crate::event_text::stage_called;
use crate::keymap::Command::{self, Allow, Cancel, Open, Packages, Retry, Scan};
use crate::keymap::table::*;
use crate::keymap::{Binding, Root};
use crate::model::World;
use crate::model::act::Act;
use crate::model::destination::Destination;
use crate::model::log::Source;
use crate::model::subject::Subject;
use crate::model::table::{self, Lists};
use crate::model::timeline::stage_seconds;
use crate::paint::list::Line;
use crate::screen::list::List;
use crate::screen::turn::Turn;
use crate::status_style::{StatusStyle, Tone, of_phase};
use crate::text;

/// Its keys.
pub const KEYS: &[Binding] = &[
    hint("enter", Open, "output", "output of the selected run"),
    DIFF,
    SYNC,
    ROLLBACK,
    BUILD,
    PUSH,
    LOGS,
    hint("x", Cancel, "cancel", "stop the selected run; asks"),
    quiet("a", Retry, "again", "queue the selected run once more; asks"),
    quiet("A", Allow, "allow", "let the selected run of a fork's code run; asks"),
    quiet("v", Scan, "scan", "vulnerabilities that the selected run found"),
    quiet("V", Packages, "packages", "what is in the images that the selected run pushed"),
    EVENTS,
    HISTORY,
    PODS,
    SUSPEND,
    UNPIN,
    FILTER,
];

/// The list of runs, of one application or of all. Those of an environment are those of its application.
#[derive(Debug, Serialize, Deserialize)]
pub struct Runs {
    /// Of what.
    pub of: Option<Subject>,
}

impl Lists for Runs {
    fn lists(&self, object: &Object) -> bool {
        matches!(object, Object::Run(run) if self.of.as_ref().is_none_or(|of| *of.application() == run.application))
    }
}

impl List for Runs {
    type Row<'a> = &'a RunStatus;

    const KEYS: &'static [Binding] = KEYS;
    const ROOT: Root = Root::Pipelines;
    const HAS_ORDERS: bool = false;

    fn columns<'a>() -> Vec<Column<&'a RunStatus>> {
        columns()
    }

    fn line<'a>(&self, _world: &'a World, object: &'a Object, _row: table::Row) -> Option<Line<&'a RunStatus>> {
        let Object::Run(run) = object else { return None };
        Some(Line {
            row: &**run,
            below: Cell::text(text::with_hint(&run.message, &run.hint)).toned(of_phase(run.phase).tone),
            is_old: false,
        })
    }

    fn scope(&self) -> Option<Subject> {
        self.of.clone()
    }

    fn title(&self) -> String {
        "pipelines".to_owned()
    }

    fn word(health: Health) -> &'static str {
        match health {
            Health::Missing => "queued",
            Health::Progressing => "running",
            Health::Healthy => "done",
            Health::Suspended => "cancelled",
            Health::Degraded => "failed",
            Health::Unknown => "unknown",
        }
    }

    fn nothing(&self, _world: &World) -> Option<(String, Vec<&'static str>)> {
        let sentence = match &self.of {
            Some(of) => format!("{} was not built yet.", of.application()),
            None => "Nothing was built yet.".to_owned(),
        };
        let tag = "A tag does it: git tag build-1.0.0 && git push --tags";
        Some((sentence, vec![tag, "b builds manually, p pushes as well."]))
    }

    fn nothing_holds(filter: &str) -> Option<String> {
        Some(format!("No run holds {filter:?}."))
    }

    fn open(&self, object: &Object, turn: &mut Turn<'_>) {
        if let Object::Run(run) = object {
            turn.open(Destination::Logs(Source::Run { of: run.application.clone(), run: run.id }));
        }
    }

    fn press(&self, command: Command, object: Option<&Object>, turn: &mut Turn<'_>) -> bool {
        match (command, object) {
            (Cancel, Some(Object::Run(run))) if !run.phase.is_final() => turn.confirm(Act::Cancel(run.id)),
            (Cancel, Some(Object::Run(run))) => turn.say(format!("run {} has ended", run.id.number)),
            (Retry, Some(Object::Run(run))) if run.phase.is_final() => turn.confirm(Act::Retry(run.id)),
            (Retry, Some(Object::Run(run))) => turn.say(format!("run {} has not ended", run.id.number)),
            (Allow, Some(Object::Run(run))) if run.awaits_permission() => turn.confirm(Act::Allow(run.id)),
            (Allow, Some(Object::Run(run))) => {
                turn.say(format!("run {} does not wait for a permission", run.id.number))
            }
            (Scan, Some(Object::Run(run))) => turn.open(Destination::Scan(run.application.clone(), run.id)),
            (Packages, Some(Object::Run(run))) => turn.open(Destination::Packages(run.application.clone(), run.id)),
            (Cancel | Retry | Allow | Scan | Packages, _) => turn.say("no run is selected"),
            _ => return false,
        }
        true
    }
}

/// The columns of runs.
pub fn columns<'a>() -> Vec<Column<&'a RunStatus>> {
    vec![
        Column::number("RUN", 4, |run: &&RunStatus| Cell::text(run.id.number).quiet()).naming(),
        Column::new("APPLICATION", Kind::Text, (11, 26), |run: &&RunStatus| Cell::text(&run.application))
            .naming()
            .from(20)
            .of_all(),
        Column::listed("GOAL", Kind::Text, |run: &&RunStatus| Cell::text(run.goal.word())),
        Column::text("PHASE", 13, |run: &&RunStatus| Cell::mark(of_phase(run.phase), run.phase.word())).from(48),
        Column::new("REFERENCE", Kind::Names, (12, 26), |run: &&RunStatus| Cell::text(&run.reference)).from(34),
        Column::text("COMMIT", 7, |run: &&RunStatus| Cell::text(run.commit.short()).quiet()).from(110),
        Column::listed("CAUSE", Kind::Names, |run: &&RunStatus| Cell::text(run.cause.describe())).wide(),
        Column::new("STAGES", Kind::Text, (22, 62), stages).on_screen(75),
        Column::time("AGE", 4, |run: &&RunStatus| Cell::age(Some(run.queued))).from(80),
        Column::time("TOOK", 6, |run: &&RunStatus| Cell::took(run.started, run.finished)).from(56),
        Column::listed("STAGES", Kind::Text, |run: &&RunStatus| {
            let stages = run.stages.iter().map(|stage| {
                let environment = stage.environment.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
                format!("{}{environment}:{}", stage.kind, stage.phase)
            });
            Cell::text(stages.collect::<Vec<_>>().join(","))
        })
        .wide(),
        Column::listed("IMAGES", Kind::Names, |run: &&RunStatus| {
            Cell::text(run.artifact.as_ref().map(|artifact| artifact.pinned().join(",")).unwrap_or_default())
        })
        .wide(),
        Column::new("SUBJECT", Kind::Prose, (20, 80), |run: &&RunStatus| Cell::text(&run.subject).quiet())
            .on_screen(140),
        Column::listed("MESSAGE", Kind::Prose, message),
    ]
}

/// `✔ 2s ✔ 31s ◐ push 43% ·`: a sign a stage; the one that runs, or ended it, by name. Names of all, where there is room.
/// For one that waits: behind which run, or for a person.
fn stages(run: &&RunStatus) -> Cell {
    if run.awaits_permission() {
        return Cell::text("of a fork: A allows it").toned(Tone::Warning);
    }
    if let (Phase::Queued, Some(before)) = (run.phase, run.behind) {
        return Cell::text(format!("behind run {}", before.number)).quiet();
    }
    let marks = |named| run.stages.iter().map(|stage| mark(stage, named)).collect();
    Cell { shown: Shown::Marks { short: marks(false), long: marks(true) }, ..Cell::nothing() }
}

fn called(stage: &Stage) -> String {
    stage_called(stage.kind, stage.environment.as_ref())
}

fn mark(stage: &Stage, named: bool) -> (StatusStyle, String) {
    let speaks = named || !matches!(stage.phase, Phase::Queued | Phase::Succeeded | Phase::Skipped);
    let name = if speaks { called(stage) } else { String::new() };
    let more = match (stage.phase, stage.percent) {
        (Phase::Running, Some(percent)) => format!("{percent}%"),
        (Phase::Succeeded, _) if named => stage_seconds(stage).map(|s| format!("{s}s")).unwrap_or_default(),
        _ => String::new(),
    };
    let words = [&*name, &more].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    (of_phase(stage.phase), words)
}

/// What came out; else what the running stage does; else what was delivered.
fn message(run: &&RunStatus) -> Cell {
    let running = || run.stages.iter().find(|stage| !stage.phase.is_final() && stage.started.is_some());
    let line = run.line();
    if !line.is_empty() {
        return Cell::text(line);
    }
    let stage = running().map(|stage| &*stage.message).filter(|message| !message.is_empty());
    Cell::text(stage.unwrap_or(&run.subject))
}
