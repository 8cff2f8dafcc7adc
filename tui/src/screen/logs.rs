//! What does it say? Lines as they come, a thin colour for each who writes, gaps told where they are.

use jiff::tz::TimeZone;
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::effect::{Effect, Ticket};
use crate::event_text::stage_called;
use crate::keymap::Command::{
    self, Fold, FoldAll, Next, NextError, NextStep, Previous, PreviousContainer, PreviousStep, Refresh, Times, Wrap,
};
use crate::keymap::table::*;
use crate::keymap::{Binding, Root};
use crate::model::World;
use crate::model::destination::Destination;
use crate::model::log::ring::{Line, LineKind};
use crate::model::log::scroll::{Position, Room, Shown, TIME_COLUMNS};
use crate::model::log::steps::{Step, StepState};
use crate::model::log::{LogScreen, Source, Stream};
use crate::model::subject::Subject;
use crate::model::table::contains;
use crate::paint::empty;
use crate::paint::found::highlighted;
use crate::paint::painter::Painter;
use crate::screen::moves::{Move, movement, not_here, sideways};
use crate::screen::status::{Status, grouped, search};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, Texts};
use crate::status_style::{Tone, of_phase};
use crate::text::counted;

/// Its keys.
pub const KEYS: &[Binding] = &[
    SEARCH,
    NEXT,
    PREVIOUS,
    hint("e", NextError, "next error", "next line that looks like an error"),
    WRAP,
    quiet("space", Fold, "fold", "of a build: close or open the marked step, or the first"),
    quiet("f", FoldAll, "fold all", "of a build: close all steps, or open all"),
    quiet("]", NextStep, "next step", "of a build: to the next step"),
    quiet("[", PreviousStep, "previous step", "of a build: to the step before"),
    quiet("t", Times, "times", "show when each line was written, or do not"),
    quiet("p", PreviousContainer, "previous run", "lines of the containers before their last restart"),
];

impl Screen for LogScreen {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn root(&self) -> Option<Root> {
        (self.source == Source::Agent).then_some(Root::AgentLog)
    }

    fn scope(&self) -> Option<Subject> {
        self.source.subject()
    }

    fn title(&self, _world: &World) -> String {
        self.source.title()
    }

    fn state(&self, world: &World, short: bool) -> Texts {
        match &self.source {
            Source::Run { run, .. } => world.fleet.run(*run).map(run_state).unwrap_or_default(),
            Source::Pods { of, .. } => super::state_of(Some(of.clone().into()), world, short),
            Source::Agent => Texts::new(),
        }
    }

    fn status(&self, world: &World) -> Status {
        let right = match self.unseen(self.room(world.size)) {
            0 => String::new(),
            new => format!("{} new ↓ G", grouped(new)),
        };
        Status { left: following(self), right, calls: true }
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let room = self.room(turn.world.size);
        match movement(command, room.lines) {
            Some(Move::By(by) | Move::Page(by)) => self.scroll(by, room),
            Some(Move::First) => self.to_top(),
            Some(Move::Last) => self.follow(),
            None => match command {
                Command::Left | Command::Right => self.left = sideways(command, self.left),
                Next => jump(self, true, turn),
                Previous => jump(self, false, turn),
                NextError => jump_to_error(self, turn),
                Fold | FoldAll | NextStep | PreviousStep if self.steps.is_empty() => {
                    turn.say("no steps of a build here");
                }
                Fold => fold(self, room),
                FoldAll => self.fold_all(),
                NextStep => jump_to_step(self, true, turn),
                PreviousStep => jump_to_step(self, false, turn),
                Wrap => (self.wrap, self.left) = (!self.wrap, 0),
                Times => self.times = !self.times,
                PreviousContainer => previous_container(self, turn),
                Refresh => reopen(self, turn),
                _ => return false,
            },
        }
        true
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Search(&self.search))
    }

    /// The nearest match above is shown while it is typed.
    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.search);
        self.found = None;
        if !self.search.is_empty() {
            let room = self.room(world.size);
            let from = self.shown(room).last().map_or(0, |shown| shown.line + 1);
            find_line(self, world.size, from, false);
        }
    }

    fn log(&mut self) -> Option<&mut LogScreen> {
        Some(self)
    }

    fn draw(&self, painter: &mut Painter, world: &World, area: Rect) {
        if self.ring.is_empty() {
            match &self.stream {
                Stream::Opening => empty::draw(painter, area, "Asking for lines …", &[]),
                Stream::Open => match lost_cluster(world, self) {
                    Some(cluster) => {
                        let sentence = format!("Cluster {cluster} is unreachable. Lines appear when it is back.");
                        empty::draw(painter, area, &sentence, &[]);
                    }
                    None => empty::draw(painter, area, "Nothing was written yet. Lines appear as they come.", &[]),
                },
                Stream::Ended => empty::draw(painter, area, "Nothing was written.", &[]),
                Stream::Broken(problem) => empty::problem(painter, area, problem),
            }
            return;
        }
        let room = self.room(world.size);
        for (shown, y) in self.shown(room).into_iter().zip(area.y..area.bottom()) {
            if let Some(line) = self.ring.get(shown.line) {
                draw_line(painter, self, line, shown, room, &world.zone, Rect { y, height: 1, ..area });
            }
        }
    }
}

/// To the next match, or the one before.
fn jump(log: &mut LogScreen, forward: bool, turn: &mut Turn<'_>) {
    if log.search.is_empty() {
        return turn.say(not_here(""));
    }
    let here = log.found.or_else(|| log.shown(log.room(turn.world.size)).last().map(|shown| shown.line));
    let from = here.map_or(0, |line| if forward { line + 1 } else { line });
    if !find_line(log, turn.world.size, from, forward) {
        turn.say(not_here(&log.search));
    }
}

fn jump_to_error(log: &mut LogScreen, turn: &mut Turn<'_>) {
    let room = log.room(turn.world.size);
    let from = log.found.map_or_else(|| log.shown(room).first().map_or(0, |shown| shown.line), |line| line + 1);
    match log.ring.find(from, true, |line| line.kind == LineKind::Error) {
        Some(line) => {
            log.show_line(line, room);
            log.found = Some(line);
        }
        None => turn.say("no line here looks like an error"),
    }
}

/// Closes or opens the step of the marked line, where that is in view, else the first step that is.
fn fold(log: &mut LogScreen, room: Room) {
    let shown = log.shown(room);
    let is_of_step = |line: &u64| log.step_of(*line).is_some();
    let marked = log.found.filter(|line| shown.iter().any(|shown| shown.line == *line)).filter(is_of_step);
    let line = marked.or_else(|| shown.iter().map(|shown| shown.line).find(is_of_step));
    let Some(head) = line.and_then(|line| log.fold(line)) else { return };
    log.show_line(head, room);
    log.found = Some(head);
}

/// To the line that the next step begins with, or the one before.
fn jump_to_step(log: &mut LogScreen, forward: bool, turn: &mut Turn<'_>) {
    let room = log.room(turn.world.size);
    let shown = log.shown(room);
    let top = shown.first().map_or(0, |shown| shown.line);
    let from = log.found.map_or(top, |line| if forward { line + 1 } else { line });
    match log.next_step(from, forward) {
        Some(line) => {
            log.show_line(line, room);
            log.found = Some(line);
        }
        None => turn.say(if forward { "this is the last step" } else { "this is the first step" }),
    }
}

fn find_line(log: &mut LogScreen, size: (u16, u16), from: u64, forward: bool) -> bool {
    let word = log.search.to_lowercase();
    let Some(line) = log.ring.find(from, forward, |line| contains(&line.text, &word)) else { return false };
    log.show_line(line, log.room(size));
    log.found = Some(line);
    true
}

fn previous_container(log: &LogScreen, turn: &mut Turn<'_>) {
    match log.source.clone() {
        Source::Pods { of, pod, previous } => {
            turn.open(Destination::Logs(Source::Pods { of, pod, previous: !previous }));
        }
        Source::Run { .. } | Source::Agent => turn.say("only pods have containers that were restarted"),
    }
}

/// Follows the log again, because somebody asks for it.
fn reopen(log: &mut LogScreen, turn: &mut Turn<'_>) {
    turn.effects.push(Effect::Drop(Ticket::of(turn.screen, log.number)));
    let number = turn.number();
    let resume = log.reopen(number);
    turn.effects.push(Effect::Follow(Ticket::of(turn.screen, number), log.source.clone(), resume));
}

/// How the run stands whose output is seen: `◐ push 43%`.
fn run_state(run: &RunStatus) -> Texts {
    let stage = run.stages.iter().find(|stage| matches!(stage.phase, Phase::Running | Phase::Failed));
    let meaning = of_phase(stage.map_or(run.phase, |stage| stage.phase));
    let percent = stage.and_then(|stage| stage.percent).map(|percent| format!(" {percent}%")).unwrap_or_default();
    let word =
        stage.map_or_else(|| run.phase.word().to_owned(), |stage| stage_called(stage.kind, stage.environment.as_ref()));
    vec![(format!("{} {word}{percent}  ", meaning.sign), meaning.tone)]
}

/// What the log is doing: `following 3 pods  4,812 lines`.
fn following(log: &LogScreen) -> String {
    let who = match (&log.source, log.pods()) {
        (Source::Pods { .. }, 2..) => format!(" {} pods", log.pods()),
        _ => String::new(),
    };
    let how = match &log.stream {
        Stream::Opening => "asking for lines",
        Stream::Open if log.position == Position::Follow => "following",
        Stream::Open => "paused, G to follow:",
        Stream::Ended => "ended",
        Stream::Broken(_) => "interrupted; resumes when the agent is back",
    };
    let found = if log.search.is_empty() { String::new() } else { format!("   {}", search(&log.search)) };
    let lines = log.ring.end();
    format!("{how}{who}   {} {}{found}", grouped(lines), if lines == 1 { "line" } else { "lines" })
}

/// The cluster of the pods, where it is away.
fn lost_cluster<'a>(world: &'a World, log: &LogScreen) -> Option<&'a str> {
    let Source::Pods { of, .. } = &log.source else { return None };
    world.fleet.lost_cluster(world.fleet.environment(of)?)
}

fn draw_line(
    painter: &mut Painter,
    log: &LogScreen,
    line: &Line,
    shown: Shown,
    room: Room,
    zone: &TimeZone,
    area: Rect,
) {
    if log.found == Some(shown.line) {
        painter.text(Rect { width: 1, ..area }, "▌", painter.theme.accent());
    }
    if let LineKind::Gap | LineKind::Notice = line.kind {
        return say(painter, line, Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area });
    }
    let mut x = area.x + 1;
    let label = log.label_columns();
    if label > 0 {
        if shown.part == 0
            && let Some(lane) = log.lanes.get(usize::from(line.lane))
        {
            let style = painter.theme.lane(line.lane);
            painter.text(Rect { x, width: label, ..area }.intersection(area), &lane.label, style);
        }
        x += label + 1;
    }
    if log.times {
        if let (0, Some(at)) = (shown.part, line.at) {
            let time = at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
            let style = painter.theme.tone(Tone::Quiet);
            painter.text(Rect { x, width: TIME_COLUMNS - 1, ..area }.intersection(area), &time, style);
        }
        x += TIME_COLUMNS;
    }
    let mut rest = Rect { x, width: area.right().saturating_sub(x), ..area };
    let step = log.heads(shown.line);
    if let Some(step) = step {
        let told = head(painter, step, log.found == Some(shown.line), area);
        rest.width = rest.width.saturating_sub(told);
    }
    let first = if log.wrap { u32::from(shown.part) * u32::from(room.columns) } else { u32::from(log.left) };
    let style = if line.kind == LineKind::Error { painter.theme.tone(Tone::Bad) } else { Style::new() };
    highlighted(painter, rest, &line.text, first, style, &log.search, log.wrap && step.is_none());
}

/// The sign of a step before its first line, and at the end of that what it came to: `12s · 214 lines`. The columns that this
/// takes come back.
fn head(painter: &mut Painter, step: &Step, is_marked: bool, area: Rect) -> u16 {
    let sign = if step.is_closed { "▸" } else { "▾" };
    let style = if is_marked { painter.theme.accent() } else { painter.theme.tone(Tone::Quiet) };
    painter.text(Rect { width: 1, ..area }, sign, style);
    let hidden = match step.lines {
        lines if step.is_closed && lines > 0 => counted(lines, "line", "lines"),
        _ => String::new(),
    };
    let told = [step.told(), hidden].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    let tone = if step.state == StepState::Failed { Tone::Bad } else { Tone::Quiet };
    let style = painter.theme.tone(tone);
    painter.right(area, &told, style) + 1
}

/// `┄┄┄┄ 214 lines missing here: … ┄┄┄┄`.
fn say(painter: &mut Painter, line: &Line, area: Rect) {
    let (tone, text) = match line.kind {
        LineKind::Gap => (Tone::Warning, format!("┄┄┄┄ {} ┄┄┄┄", line.text)),
        _ => (Tone::Quiet, format!("┄┄┄┄ {}", line.text)),
    };
    let style = painter.theme.tone(tone);
    painter.text(area, &text, style);
}
