//! What is happening to it? One environment: from the commit to the rollout on top, its objects as a tree, and beside
//! the tree what is known of the selected one.

mod pane;
mod tree;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::snapshot::Object;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::keymap::Binding;
use crate::keymap::Command::{self, Fold, Left, Logs, Open, Right, Yaml};
use crate::keymap::table::*;
use crate::model::subject::Subject;
use crate::model::tree::Tree;
use crate::model::{World, geometry, timeline};
use crate::paint::painter::Painter;
use crate::paint::{empty, timeline as steps};
use crate::screen::moves::{Move, movement};
use crate::screen::status::{Status, filter};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, about};

/// Its keys.
pub const KEYS: &[Binding] = &[
    hint("enter", Open, "log", "log of the selected pod, or of all; else the live object"),
    DIFF,
    SYNC,
    ROLLBACK,
    BUILD,
    PUSH,
    LOGS,
    EVENTS,
    HISTORY,
    TEST,
    YAML,
    MANIFESTS,
    PODS,
    RUNS,
    SUSPEND,
    UNPIN,
    FILTER,
    quiet("space", Fold, "fold", "open or close a branch of the tree"),
];

/// One environment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Environment {
    /// Which.
    pub of: EnvironmentId,
    /// Its objects.
    pub tree: Tree,
}

impl Environment {
    /// The screen of an environment.
    pub fn new(of: EnvironmentId) -> Self {
        Self { of, tree: Tree::default() }
    }

    /// Opens and closes branches; on what has none, left goes to its owner.
    fn fold(&mut self, command: Command, world: &World) {
        let tree = &mut self.tree;
        let Some(row) = tree.rows().get(tree.cursor).copied() else { return };
        let key = row.slot.and_then(|slot| world.fleet.key(slot)).cloned();
        match (command, row.open, key) {
            (Left | Fold, Some(true), Some(key)) => drop(tree.closed.insert(key)),
            (Right | Fold, Some(false), Some(key)) => drop(tree.closed.remove(&key)),
            (Left, ..) => {
                if let Some(owner) = tree.owner() {
                    tree.select(&world.fleet, owner, geometry::environment(world.size).tree.height);
                }
            }
            _ => {}
        }
        self.rebuild(world);
    }

    /// The log of a pod, or of all; of anything else the live object.
    fn open(&self, turn: &mut Turn<'_>) {
        let selected = self.selected(turn.world);
        let command = if matches!(selected, Some(Object::Pod(_)) | None) { Logs } else { Yaml };
        turn.opened.extend(about::place(command, self.of.clone(), selected));
    }
}

impl Screen for Environment {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn scope(&self) -> Option<Subject> {
        Some(self.of.clone().into())
    }

    /// Where it runs: its name is on screen already.
    fn title(&self, world: &World) -> String {
        let spec = world.fleet.environment(&self.of).map(|environment| &environment.spec);
        spec.map(|spec| format!("{}/{}", spec.cluster, spec.namespace)).unwrap_or_default()
    }

    fn status(&self, _world: &World) -> Status {
        Status { left: filter(&self.tree.filter), ..Status::default() }
    }

    fn selected<'w>(&self, world: &'w World) -> Option<&'w Object> {
        world.fleet.object(self.tree.slot()?)
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let (fleet, lines) = (&turn.world.fleet, geometry::environment(turn.world.size).tree.height);
        let tree = &mut self.tree;
        match movement(command, lines) {
            Some(Move::By(by) | Move::Page(by)) => tree.select(fleet, tree.cursor.saturating_add_signed(by), lines),
            Some(Move::First) => tree.select(fleet, 0, lines),
            Some(Move::Last) => tree.select(fleet, usize::MAX, lines),
            None if matches!(command, Left | Right | Fold) => self.fold(command, turn.world),
            None if command == Open => self.open(turn),
            None => return false,
        }
        true
    }

    fn rebuild(&mut self, world: &World) {
        self.tree.rebuild(&world.fleet, &self.of, geometry::environment(world.size).tree.height);
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Filter(&self.tree.filter))
    }

    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.tree.filter);
        self.rebuild(world);
    }

    fn draws(&self, object: &Object) -> bool {
        timeline::concerns(object, &self.of)
    }

    fn draw(&self, painter: &mut Painter, world: &World, _area: Rect) {
        draw(painter, world, self);
    }

    fn assert_invariants(&self, world: &World) {
        assert!(self.tree.cursor < self.tree.rows().len().max(1) && self.tree.top <= self.tree.cursor);
        let under = self.tree.slot().and_then(|slot| world.fleet.key(slot));
        assert_eq!(self.tree.selected.as_ref(), under);
    }
}

/// Draws the screen.
fn draw(painter: &mut Painter, world: &World, screen: &Environment) {
    let regions = geometry::environment(world.size);
    let Some(environment) = world.fleet.environment(&screen.of) else {
        let sentence = format!("{} was removed from the configuration.", screen.of);
        return empty::draw(painter, geometry::regions(world.size).body, &sentence, &["esc goes back."]);
    };
    if regions.timeline.height > 0 {
        let all = timeline::steps(&world.fleet, environment);
        steps::draw(painter, &all, &timeline::caption(&world.fleet, environment), regions.timeline);
        painter.rule(regions.rule);
    }
    tree::draw(painter, world, screen, regions.tree);
    if regions.pane.width > 0 {
        let line = painter.theme.line();
        for y in regions.pane.y..regions.pane.bottom() {
            painter.text(Rect { y, width: 1, height: 1, ..regions.pane }, "│", line);
        }
        let inside = Rect { x: regions.pane.x + 2, width: regions.pane.width.saturating_sub(3), ..regions.pane };
        pane::draw(painter, world, environment, screen.tree.slot(), inside);
    }
}
