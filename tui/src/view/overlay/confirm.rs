//! A question that needs a yes: what would be done first, then the keys. No is the default.

use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::snapshot::RunId;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::Model;
use crate::model::act::Act;
use crate::model::diff::{DiffDocument, field_short};
use crate::model::fetched::Fetched;
use crate::model::overlay::Confirm;
use crate::paint::painter::Painter;
use crate::status_style::{Tone, of_action};
use crate::text;
use crate::view::overlay::frame;

type Line = Vec<(String, Style)>;

/// Draws it.
pub(crate) fn draw(painter: &mut Painter, model: &Model, confirm: &Confirm, area: Rect) {
    let mut lines = warning(painter, confirm, area.width);
    lines.extend(match &confirm.plan {
        Some(plan) => plan_lines(painter, plan, area.width),
        None => body(painter, model, confirm, area.width),
    });
    // At most two thirds of the screen: what the question is about stays in sight.
    let room = (area.height * 2 / 3).max(4);
    let shown = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(room.saturating_sub(4));
    let inside = frame::sheet(painter, area, &title(model, confirm), shown + 2);
    for (line, nth) in lines.iter().skip(confirm.top.min(lines.len().saturating_sub(usize::from(shown)))).zip(0..shown)
    {
        let row = Rect { y: inside.y + nth, height: 1, ..inside }.intersection(inside);
        painter.texts(row, line.iter().map(|(text, style)| (text.as_str(), *style)));
    }
    keys(painter, confirm, Rect { y: inside.bottom().saturating_sub(1), height: inside.height.min(1), ..inside });
}

fn title(model: &Model, confirm: &Confirm) -> String {
    let label = |id| model.world.fleet.label(id);
    let to = |plan: &Option<Fetched<DiffDocument>>| {
        let document = plan.as_ref().and_then(|plan| plan.value.as_ref());
        document.map(|document| format!(" to {}", document.plan.revision.short())).unwrap_or_default()
    };
    match &confirm.act {
        Act::Sync(id, _) => format!("Sync {}{}?", label(id), to(&confirm.plan)),
        Act::Rollback(id, _) => {
            let aim = confirm.aim.as_ref().map_or("", |aim| &aim.words);
            format!("Roll {} back to {aim}?", label(id))
        }
        Act::Resume(id) => format!("Resume {}?", label(id)),
        Act::Unpin(id) => format!("Unpin {}?", label(id)),
        Act::Test(id) => format!("Test {}?", label(id)),
        Act::Cancel(run) => format!("Cancel run {}?", run.number),
        Act::Retry(run) => format!("Retry run {}?", run.number),
        Act::Allow(run) => format!("Let run {} run?", run.number),
        act @ (Act::Build(..) | Act::Push(..) | Act::Suspend(..) | Act::Refresh(_)) => format!("{}?", act.describe()),
    }
}

/// What to know before it is done.
fn warning(painter: &Painter, confirm: &Confirm, columns: u16) -> Vec<Line> {
    let Some(aim) = confirm.aim.as_ref().filter(|aim| !aim.warning.is_empty()) else { return Vec::new() };
    let style = painter.theme.tone(Tone::Warning);
    let broken = text::broken(&format!("! {}", aim.warning), columns.saturating_sub(4));
    broken.into_iter().map(|line| vec![(line, style)]).collect()
}

/// The counts, then a line for each object that would change, with its first field that differs.
fn plan_lines(painter: &Painter, plan: &Fetched<DiffDocument>, columns: u16) -> Vec<Line> {
    let tone = |tone| painter.theme.tone(tone);
    match (&plan.value, &plan.wait.problem) {
        (Some(document), _) => {
            let plan = &document.plan;
            let mut lines = vec![vec![(plan.summary(), Style::new())]];
            if !plan.differs() {
                lines.push(vec![("Nothing would change.".to_owned(), tone(Tone::Quiet))]);
            }
            lines.extend(plan.changes.iter().filter(|c| c.action != Action::Unchanged).map(|c| change(painter, c)));
            lines.extend(plan.step_lines().into_iter().map(|line| vec![(line, tone(Tone::Quiet))]));
            lines
        }
        (None, Some(problem)) => {
            let mut lines = Vec::new();
            let mut say = |text: &str, style: Style| {
                let broken = text::broken(text, columns.saturating_sub(4));
                lines.extend(broken.into_iter().map(|line| vec![(line, style)]));
            };
            say(&format!("✖ {}", problem.message), tone(Tone::Bad));
            problem.hints.iter().for_each(|hint| say(hint, tone(Tone::Quiet)));
            lines
        }
        (None, None) => vec![vec![("Comparing git with the cluster …".to_owned(), tone(Tone::Quiet))]],
    }
}

fn change(painter: &Painter, change: &Change) -> Line {
    let meaning = of_action(change.action);
    let style = painter.theme.tone(meaning.tone);
    let quiet = painter.theme.tone(Tone::Quiet);
    let why = match (&change.reason, change.fields.as_slice()) {
        (Some(reason), _) => reason.clone(),
        (None, []) => String::new(),
        (None, [one]) => field_short(one),
        (None, [first, rest @ ..]) => format!("{} and {} more", field_short(first), rest.len()),
    };
    vec![
        (format!("{} ", meaning.sign), style),
        (format!("{:<28} ", change.resource.short()), Style::new()),
        (why, quiet),
    ]
}

/// What a question without a plan is about.
fn body(painter: &Painter, model: &Model, confirm: &Confirm, columns: u16) -> Vec<Line> {
    let sentence = match &confirm.act {
        Act::Resume(id) => {
            let environment = model.world.fleet.environment(id);
            let hold = environment.and_then(|environment| environment.suspension.as_ref());
            let by = hold
                .map(|hold| format!("Suspended by {}: {}. ", hold.cause.describe(), hold.reason))
                .unwrap_or_default();
            let state = environment.map_or("unknown", |environment| environment.sync.word());
            format!("{by}It is {state}; what differs from git may be synced immediately.")
        }
        Act::Unpin(id) => {
            let pin = model.world.fleet.environment(id).and_then(|environment| environment.pin.as_ref());
            let at = pin.map(|pin| format!("Held at {}: {}. ", pin.revision.short_content(), pin.hold.reason));
            format!("{}It follows git again.", at.unwrap_or_default())
        }
        Act::Test(id) => {
            let revision = model.world.fleet.environment(id).and_then(|environment| environment.revision.as_ref());
            let at = revision.map(|revision| format!(" at {}", revision.short())).unwrap_or_default();
            format!("The tests of its chart run in its namespace{at}. It is not synced meanwhile.")
        }
        Act::Cancel(run) => format!("{}What it built so far is kept; a starts it again.", of_run(model, *run)),
        Act::Retry(run) => format!("{}What it did is not done again.", of_run(model, *run)),
        Act::Allow(run) => format!(
            "{}Anyone may have written its code: read the commit first. It gets no secrets, and nothing of it is pushed.",
            of_run(model, *run)
        ),
        _ => String::new(),
    };
    let style = painter.theme.tone(Tone::Plain);
    text::broken(&sentence, columns.saturating_sub(4)).into_iter().map(|line| vec![(line, style)]).collect()
}

/// `push of shop for push-1.4.0. `
fn of_run(model: &Model, run: RunId) -> String {
    let run = model.world.fleet.run(run);
    run.map(|run| format!("{} of {} for {}. ", run.goal.word(), run.application, run.reference)).unwrap_or_default()
}

fn keys(painter: &mut Painter, confirm: &Confirm, area: Rect) {
    let (accent, quiet) = (painter.theme.accent(), painter.theme.tone(Tone::Quiet));
    let word = match &confirm.act {
        Act::Sync(..) => " sync   ",
        Act::Rollback(..) => " roll back   ",
        Act::Resume(_) => " resume   ",
        Act::Unpin(_) => " unpin   ",
        Act::Test(_) => " test   ",
        Act::Cancel(_) => " cancel it   ",
        Act::Retry(_) => " retry   ",
        Act::Allow(_) => " allow   ",
        Act::Build(..) | Act::Push(..) | Act::Suspend(..) | Act::Refresh(_) => " yes   ",
    };
    let mut texts = vec![("y", accent), (word, quiet)];
    if confirm.plan.is_some() {
        texts.extend([("d", accent), (" full diff   ", quiet)]);
    }
    let strong = painter.theme.tone(Tone::Strong);
    texts.extend([("N", accent), (" no", strong)]);
    let width = texts.iter().map(|(text, _)| text.len()).sum::<usize>();
    let width = u16::try_from(width).unwrap_or(u16::MAX).min(area.width);
    painter.texts(Rect { x: area.right() - width, width, ..area }, texts);
}
