//! What is happening to it? One application: from the commit to the rollout on top, its objects as a tree, and beside
//! the tree what is known of the selected one.

mod pane;

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::{Key, Object, PodStatus, ResourceStatus};
use quarterdeck_shared::status::SyncStatus;
use ratatui::layout::Rect;
use ratatui::style::Style;
use serde::{Deserialize, Serialize};

use crate::keymap::Binding;
use crate::keymap::Command::{self, Fold, Left, Logs, Open, Right, Yaml};
use crate::keymap::table::*;
use crate::meaning::{OLD, Tone, of_health, of_sync};
use crate::model::tree::{Tree, TreeRow};
use crate::model::{World, geometry, timeline};
use crate::paint::list::{self, Rows};
use crate::paint::painter::Painter;
use crate::paint::{empty, mark, timeline as steps};
use crate::screen::moves::{Move, movement};
use crate::screen::status::{Status, filter};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, about};
use crate::text;

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
    YAML,
    MANIFESTS,
    PODS,
    RUNS,
    SUSPEND,
    UNPIN,
    FILTER,
    quiet("space", Fold, "fold", "open or close a branch of the tree"),
];

/// One application.
#[derive(Debug, Serialize, Deserialize)]
pub struct Application {
    /// Which.
    pub of: ApplicationName,
    /// Its objects.
    pub tree: Tree,
}

impl Application {
    /// The screen of an application.
    pub fn new(of: ApplicationName) -> Self {
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
                    tree.select(&world.fleet, owner, geometry::application(world.size).tree.height);
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

impl Screen for Application {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn of(&self) -> Option<&ApplicationName> {
        Some(&self.of)
    }

    /// Where it runs: its name is on screen already.
    fn title(&self, world: &World) -> String {
        let spec = world.fleet.application(&self.of).map(|application| &application.spec);
        let place = spec.and_then(|spec| Some(format!("{}/{}", spec.cluster.as_deref()?, spec.namespace.as_deref()?)));
        place.unwrap_or_default()
    }

    fn status(&self, _world: &World) -> Status {
        Status { left: filter(&self.tree.filter), ..Status::default() }
    }

    fn selected<'w>(&self, world: &'w World) -> Option<&'w Object> {
        world.fleet.object(self.tree.slot()?)
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let (fleet, lines) = (&turn.world.fleet, geometry::application(turn.world.size).tree.height);
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
        self.tree.rebuild(&world.fleet, &self.of, geometry::application(world.size).tree.height);
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

    fn assert_sound(&self, world: &World) {
        assert!(self.tree.cursor < self.tree.rows().len().max(1) && self.tree.top <= self.tree.cursor);
        let under = self.tree.slot().and_then(|slot| world.fleet.key(slot));
        assert_eq!(self.tree.selected.as_ref(), under);
    }
}

/// Draws the screen.
fn draw(painter: &mut Painter, world: &World, screen: &Application) {
    let regions = geometry::application(world.size);
    let Some(application) = world.fleet.application(&screen.of) else {
        let sentence = format!("{} is no longer configured.", screen.of);
        return empty::draw(painter, geometry::regions(world.size).body, &sentence, &["esc goes back."]);
    };
    if regions.timeline.height > 0 {
        let all = timeline::steps(&world.fleet, application);
        steps::draw(painter, &all, &timeline::caption(&world.fleet, application), regions.timeline);
        painter.rule(regions.rule);
    }
    tree(painter, world, screen, regions.tree);
    if regions.pane.width > 0 {
        let line = painter.theme.line();
        for y in regions.pane.y..regions.pane.bottom() {
            painter.text(Rect { y, width: 1, height: 1, ..regions.pane }, "│", line);
        }
        let inside = Rect { x: regions.pane.x + 2, width: regions.pane.width.saturating_sub(3), ..regions.pane };
        pane::draw(painter, world, application, screen.tree.slot(), inside);
    }
}

fn tree(painter: &mut Painter, world: &World, screen: &Application, area: Rect) {
    let rows = screen.tree.rows();
    list::rows(
        painter,
        area,
        Rows { top: screen.tree.top, cursor: screen.tree.cursor, count: rows.len() },
        |_| 1,
        |painter, place, row_area, selected| {
            let is_old = is_old(world, screen, &rows[place]);
            row(painter, world, screen, (&rows[place], is_old), row_area, selected);
            if is_old {
                painter.restyle(row_area, painter.theme.stale());
            }
        },
    );
    if rows.len() < 2 && area.height > 2 {
        let below = Rect { x: area.x + 2, y: area.y + 2, width: area.width.saturating_sub(2), height: 1 };
        let none =
            if screen.tree.filter.is_empty() { "nothing in the cluster yet" } else { "no object holds these words" };
        painter.text(below, none, painter.theme.tone(Tone::Quiet));
    }
}

/// Whether what a row shows is what was so when it was last seen. The application itself is so where its cluster is.
fn is_old(world: &World, screen: &Application, row: &TreeRow) -> bool {
    let object = match row.slot {
        Some(slot) => world.fleet.object(slot),
        None => world.fleet.slot(&Key::application(&screen.of)).and_then(|slot| world.fleet.object(slot)),
    };
    object.is_some_and(|object| world.fleet.is_old(object))
}

fn row(
    painter: &mut Painter,
    world: &World,
    screen: &Application,
    (row, is_old): (&TreeRow, bool),
    area: Rect,
    selected: bool,
) {
    let name = if selected { painter.theme.selected() } else { Style::new() };
    let line = painter.theme.line();
    let inside = Rect { x: area.x + 2, width: area.width.saturating_sub(3), ..area };
    // The state stands in a column of its own, so that the eye can run down it.
    let half = (inside.width * 7 / 12).max(inside.width.saturating_sub(34)).min(64);
    let left = Rect { width: half.saturating_sub(1), ..inside };
    let right = Rect { x: inside.x + half, width: inside.width - half, ..inside };
    let Some(object) = row.slot.and_then(|slot| world.fleet.object(slot)) else {
        painter.texts(left, [("Application ", line), (screen.of.as_str(), name)]);
        if let Some(application) = world.fleet.application(&screen.of) {
            let words = if application.activity.is_some() { application.activity.as_deref() } else { None };
            mark::draw(painter, right, of_health(application.health), words.unwrap_or(application.health.word()));
        }
        return;
    };
    let branch = branch(row);
    let folded = if row.open == Some(false) { "▸ " } else { "" };
    match object {
        Object::Resource(resource) => {
            called(
                painter,
                &format!("{branch}{folded}"),
                &resource.resource.kind,
                (&resource.resource.name, name),
                left,
            );
            resource_state(painter, resource, is_old, right);
        }
        Object::Pod(pod) => {
            called(painter, &format!("{branch}{folded}"), "Pod", (&pod.name, name), left);
            pod_state(painter, pod, is_old, right);
        }
        _ => {}
    }
}

/// `├ ReplicaSet shop-7b46`. Where there is no room for both, the kind gives first: two thirds are the name's.
fn called(painter: &mut Painter, branch: &str, kind: &str, (name, style): (&str, Style), area: Rect) {
    let line = painter.theme.line();
    let taken = painter.text(area, branch, line);
    let rest = Rect { x: area.x + taken, width: area.width - taken, ..area };
    let name_columns = u16::try_from(text::columns(name)).unwrap_or(u16::MAX).min(rest.width * 2 / 3);
    let taken = painter.name(Rect { width: rest.width.saturating_sub(name_columns + 1), ..rest }, kind, line) + 1;
    painter.name(Rect { x: rest.x + taken, width: rest.width.saturating_sub(taken), ..rest }, name, style);
}

/// The lines that lead to a row from its owners.
fn branch(row: &TreeRow) -> String {
    let mut branch = String::new();
    for depth in 1..row.depth {
        branch.push_str(if row.guides & (1 << depth) == 0 { "  " } else { "│ " });
    }
    if row.depth > 0 {
        branch.push_str(if row.last { "└ " } else { "├ " });
    }
    branch
}

fn resource_state(painter: &mut Painter, resource: &ResourceStatus, is_old: bool, area: Rect) {
    let differs = resource.sync == SyncStatus::OutOfSync;
    let meaning = if differs && of_health(resource.health).tone == Tone::Good {
        of_sync(resource.sync)
    } else {
        of_health(resource.health)
    };
    let well = of_health(resource.health).tone == Tone::Good;
    let words = match (&*resource.summary, differs) {
        // "2/2" alone does not tell how far a rollout is, nor what stops it.
        _ if !well && !resource.message.is_empty() => resource.message.clone(),
        ("", true) => resource.sync.word().to_owned(),
        ("", false) if well => String::new(),
        ("", false) => resource.health.word().to_owned(),
        (summary, _) => summary.to_owned(),
    };
    mark::draw(painter, area, if is_old { OLD } else { meaning }, &words);
}

fn pod_state(painter: &mut Painter, pod: &PodStatus, is_old: bool, area: Rect) {
    let meaning = of_health(pod.health);
    if is_old {
        mark::draw(painter, area, OLD, &pod.status);
    } else if meaning.tone == Tone::Good {
        let age = pod.created.map(|created| painter.age(created)).unwrap_or_default();
        mark::draw(painter, area, meaning, &age);
    } else {
        mark::draw(painter, area, meaning, &pod.status);
    }
}
