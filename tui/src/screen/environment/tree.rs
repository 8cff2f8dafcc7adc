//! The objects of an environment as a tree, each with how it stands.

use quarterdeck_shared::snapshot::{Key, Object, PodStatus, Progress, ResourceStatus};
use quarterdeck_shared::status::SyncStatus;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::World;
use crate::model::subject::Subject;
use crate::model::tree::TreeRow;
use crate::paint::list::{self, Rows};
use crate::paint::mark;
use crate::paint::painter::Painter;
use crate::screen::environment::Environment;
use crate::status_style::{OLD, Tone, of_health, of_sync};
use crate::text;

/// Draws the rows that are seen.
pub(super) fn draw(painter: &mut Painter, world: &World, screen: &Environment, area: Rect) {
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

/// Whether what a row shows is what was so when it was last seen. The environment itself is so where its cluster is.
fn is_old(world: &World, screen: &Environment, row: &TreeRow) -> bool {
    let object = match row.slot {
        Some(slot) => world.fleet.object(slot),
        None => world.fleet.slot(&Key::environment(&screen.of)).and_then(|slot| world.fleet.object(slot)),
    };
    object.is_some_and(|object| world.fleet.is_old(object))
}

fn row(
    painter: &mut Painter,
    world: &World,
    screen: &Environment,
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
        let subject = Subject::Environment(screen.of.clone());
        let kind = if world.fleet.subject(&screen.of.application) == subject { "Application " } else { "Environment " };
        painter.texts(left, [(kind, line), (&*world.fleet.called(&subject), name)]);
        if let Some(environment) = world.fleet.environment(&screen.of) {
            let progress = environment.progress.as_ref().map(Progress::describe);
            let words = progress.as_deref().unwrap_or(environment.health.word());
            mark::draw(painter, right, of_health(environment.health), words);
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
