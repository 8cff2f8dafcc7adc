//! The syncs of an environment, newest first: what to go back to. Once they are shown, registries are asked for their images: what
//! they do not have is marked.

use std::collections::BTreeMap;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::protocol::{ImageState, RollbackRequest};
use quarterdeck_shared::snapshot::Object;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::column::{Cell, Column, Kind};
use crate::effect::{Answer, Ask};
use crate::keymap::Binding;
use crate::keymap::Command::{self, Manifests, Open, Rollback};
use crate::keymap::table::*;
use crate::model::World;
use crate::model::act::Act;
use crate::model::destination::Destination;
use crate::model::fetched::Wait;
use crate::model::geometry;
use crate::model::link::Problem;
use crate::model::overlay::Aim;
use crate::model::records::{Record as _, Records};
use crate::model::subject;
use crate::model::text::Subject;
use crate::paint::empty;
use crate::paint::list::{self, Line, Rows};
use crate::paint::painter::Painter;
use crate::screen::moves::{along, movement};
use crate::screen::status::{Status, of_records};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, expected};
use crate::status_style::{Tone, of_phase};
use crate::text;

/// Its keys.
pub const KEYS: &[Binding] = &[
    hint("enter", Open, "diff", "what differs from the selected sync's revision"),
    DIFF,
    SYNC,
    hint("R", Rollback, "rollback", "hold at the selected revision; shows the plan and asks"),
    EVENTS,
    MANIFESTS,
    PODS,
    RUNS,
    SUSPEND,
    UNPIN,
    FILTER,
];

/// The syncs of an environment.
#[derive(Debug, Serialize, Deserialize)]
pub struct History {
    /// Whose.
    pub of: EnvironmentId,
    /// The syncs, newest first.
    pub records: Records<SyncRecord>,
    /// Whether registries have their images, as far as they were asked.
    pub images: BTreeMap<String, ImageState>,
    /// Whether what is asked for next are the images.
    wants_images: bool,
}

impl History {
    /// Syncs that nobody asked for yet.
    pub fn new(of: EnvironmentId) -> Self {
        Self { of, records: Records::new(), images: BTreeMap::new(), wants_images: false }
    }

    /// Whether an image of the syncs was not asked for yet, or its registry did not say.
    fn has_unknown_images(&self) -> bool {
        let mut images = self.records.all.value.iter().flatten().flat_map(|sync| &sync.images);
        images.any(|image| self.images.get(image).is_none_or(|state| *state == ImageState::Unknown))
    }

    /// Takes what registries said. Where the question failed nothing is known, and the syncs are shown as before.
    fn take_images(&mut self, answer: Result<Answer, Problem>) {
        self.wants_images = false;
        self.records.all.wait.pending = None;
        if let Ok(Answer::Images(answers)) = answer {
            self.images.extend(answers.into_iter().map(|answer| (answer.image, answer.state)));
        }
    }

    /// Holds at the revision of the selected sync, after a yes.
    fn rollback(&self, turn: &mut Turn<'_>) {
        let Some(sync) = self.records.current() else { return turn.say("no sync is selected") };
        let words = format!("{} of sync {}", sync.revision.short(), sync.id.number);
        let missing = sync.images.iter().filter(|image| self.images.get(*image) == Some(&ImageState::Missing));
        let warning = missing.map(|image| format!("the registry does not have {}", text::image_short(image)));
        let aim = Aim { commit: sync.revision.content(), words, warning: warning.collect::<Vec<_>>().join("; ") };
        let request = RollbackRequest { to: Some(sync.id.to_string()), reason: String::new() };
        turn.confirm_plan(Act::Rollback(self.of.clone(), request), self.of.clone(), Some(aim));
    }
}

impl Screen for History {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn scope(&self) -> Option<subject::Subject> {
        Some(self.of.clone().into())
    }

    fn title(&self, _world: &World) -> String {
        "history".to_owned()
    }

    fn status(&self, _world: &World) -> Status {
        of_records(&self.records)
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        if let Some(to) = movement(command, geometry::table_lines(turn.world.size)) {
            along(&mut self.records, to, turn.world.size);
            return true;
        }
        let commit = self.records.current().map(|sync| sync.revision.content());
        match (command, commit) {
            (Open, Some(commit)) => turn.open(Destination::Diff(self.of.clone(), Some(commit))),
            (Open, None) => {}
            (Manifests, commit) => turn.open(Destination::Text(self.of.clone(), Subject::Manifests(commit))),
            (Rollback, _) => self.rollback(turn),
            _ => return false,
        }
        true
    }

    fn rebuild(&mut self, world: &World) {
        self.records.rebuild(world.size);
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Filter(&self.records.filter))
    }

    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.records.filter);
        self.rebuild(world);
    }

    fn ask(&self) -> Option<Ask> {
        let of = self.of.clone();
        Some(if self.wants_images { Ask::Images(of) } else { Ask::History(of) })
    }

    fn wait(&mut self) -> Option<&mut Wait> {
        Some(&mut self.records.all.wait)
    }

    /// The newest sync that was fetched is another one than the environment tells of, or has moved on since.
    fn is_old_by(&self, object: &Object) -> bool {
        let Object::Environment(environment) = object else { return false };
        let newest = self.records.all.value.as_ref().and_then(|all| all.first());
        // As the snapshot has it: its changes are fetched on demand.
        let newest = newest.map(|sync| SyncRecord { changes: Vec::new(), ..sync.clone() });
        environment.environment == self.of && environment.last_sync != newest
    }

    fn answer(&mut self, number: u64, answer: Result<Answer, Problem>, world: &World) -> bool {
        if self.wants_images && self.records.all.wait.pending == Some(number) {
            self.take_images(answer);
            self.records.rebuild(world.size);
            return true;
        }
        let history = |answer| if let Answer::History(records) = answer { Some(records) } else { None };
        let taken = self.records.all.take(number, answer.map(history).and_then(expected), world.now);
        self.records.rebuild(world.size);
        // Syncs that changed meanwhile come first.
        let wait = &self.records.all.wait;
        if taken && !wait.wanted && wait.problem.is_none() && self.has_unknown_images() {
            self.wants_images = true;
            self.records.all.wait.wanted = true;
        }
        taken
    }

    fn draw(&self, painter: &mut Painter, world: &World, area: Rect) {
        let records = &self.records;
        if empty::waiting(painter, area, &records.all, "Asking for the syncs …") {
            return;
        }
        if records.is_empty() {
            let sentence = match records.filter.as_str() {
                "" => format!("{} was not synced yet. S does it.", world.fleet.label(&self.of)),
                filter => format!("No sync holds {filter:?}."),
            };
            return empty::draw(painter, area, &sentence, &[]);
        }
        let application = world.fleet.application(&self.of.application);
        let built = application.map_or(&[][..], |application| &application.images);
        let seen = Rows { top: records.top, cursor: records.cursor, count: records.len() };
        let lines = |place| records.lines(place, area.width);
        list::draw(painter, (&columns(), false), area, seen, lines, |place| {
            let sync = records.row(place)?;
            let below = Cell::text(sync.below()).toned(of_phase(sync.phase).tone);
            Some(Line { row: Row { sync, built, images: &self.images }, below, is_old: false })
        });
    }

    fn assert_invariants(&self, _world: &World) {
        self.records.assert_invariants();
    }
}

/// A sync in a list.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The sync.
    pub sync: &'a SyncRecord,
    /// The names of the images that are built for its application.
    pub built: &'a [String],
    /// Whether registries have images of syncs, as far as they were asked.
    pub images: &'a BTreeMap<String, ImageState>,
}

impl Row<'_> {
    /// How the images of the sync are, as the worst of them; nothing where nobody asked.
    pub fn state(&self) -> Option<ImageState> {
        let states = self.sync.images.iter().filter_map(|image| self.images.get(image));
        states.copied().max_by_key(|state| match state {
            ImageState::Present => 0,
            ImageState::Unknown => 1,
            ImageState::Missing => 2,
        })
    }
}

/// The columns of syncs.
pub fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::number("SYNC", 4, |row: &Row| Cell::text(row.sync.id.number).quiet()).naming(),
        Column::new("REVISION", Kind::Names, (13, 26), |row: &Row| Cell::text(row.sync.revision.short()))
            .naming()
            .from(34),
        Column::text("PHASE", 13, |row: &Row| Cell::mark(of_phase(row.sync.phase), row.sync.phase.word())).from(20),
        Column::new("IMAGE", Kind::Names, (7, 16), |row: &Row| {
            let own = text::own_image(&row.sync.images, row.built).map(text::image_version).unwrap_or_default();
            match row.state() {
                // In place of the version, which the revision stands for: both have no room on most terminals.
                Some(ImageState::Missing) => Cell::text("missing").toned(Tone::Bad),
                _ => Cell::text(own),
            }
        })
        .on_screen(60),
        Column::new("CAUSE", Kind::Names, (18, 30), |row: &Row| Cell::text(row.sync.cause.describe())).from(80),
        Column::time("AGE", 4, |row: &Row| Cell::age(Some(row.sync.started))).from(40),
        Column::time("TOOK", 6, |row: &Row| Cell::took(Some(row.sync.started), row.sync.finished).quiet()).from(70),
        Column::listed("IMAGES", Kind::Names, |row: &Row| Cell::text(row.sync.images.join(","))).wide(),
        Column::new("MESSAGE", Kind::Prose, (20, 90), |row: &Row| {
            let is_below = !row.sync.below().is_empty();
            if is_below { Cell::nothing() } else { Cell::text(&row.sync.message).quiet() }
        })
        .on_screen(110),
        Column::listed("MESSAGE", Kind::Prose, |row: &Row| Cell::text(&row.sync.message)),
    ]
}
