//! YAML on screen: keys stand out a little, what is searched stands out fully.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::snapshot::Object;
use ratatui::layout::Rect;
use ratatui::style::Style;
use serde::{Deserialize, Serialize};

use crate::effect::{Answer, Ask};
use crate::keymap::Binding;
use crate::keymap::Command::{self, Next, Previous, Wrap};
use crate::keymap::table::{MANIFESTS, NEXT, PREVIOUS, SEARCH, WRAP};
use crate::model::fetched::{Fetched, Wait};
use crate::model::link::Problem;
use crate::model::subject;
use crate::model::table::contains;
use crate::model::text::{Subject, TextDocument};
use crate::model::{World, geometry};
use crate::paint::empty;
use crate::paint::found::highlighted;
use crate::paint::painter::Painter;
use crate::screen::moves::{around, movement, not_here, seen, sideways, text_top};
use crate::screen::status::{Status, place, search};
use crate::screen::turn::Turn;
use crate::screen::{Find, Screen, expected};
use crate::status_style::Tone;
use crate::text;

/// Its keys.
pub const KEYS: &[Binding] = &[MANIFESTS, SEARCH, NEXT, PREVIOUS, WRAP];

/// A text: an object as it is in the cluster, or what git says, rendered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Text {
    /// Of which environment.
    pub of: EnvironmentId,
    /// What.
    pub subject: Subject,
    /// The text.
    pub document: Fetched<TextDocument>,
    /// Whether long lines are broken.
    pub wrap: bool,
    /// The first line that is seen.
    pub top: usize,
    /// Columns that are scrolled out to the left.
    pub left: u16,
    /// What is searched.
    pub search: String,
    /// The line of the match where the reader is.
    pub found: Option<usize>,
}

impl Text {
    /// A text that nobody asked for yet.
    pub fn new(of: EnvironmentId, subject: Subject) -> Self {
        let (wrap, top, left, search, found) = (false, 0, 0, String::new(), None);
        Self { of, subject, document: Fetched::default(), wrap, top, left, search, found }
    }

    /// Its lines.
    pub fn lines(&self) -> &[Box<str>] {
        self.document.value.as_ref().map(|document| &*document.lines).unwrap_or_default()
    }

    /// To the next match, around the end; from the top of what is seen where there is none yet. Whether there is one.
    fn jump(&mut self, forward: bool, world: &World) -> bool {
        let word = self.search.to_lowercase();
        let from = self.found.map_or(self.top, |row| if forward { row + 1 } else { row });
        let hit = around(self.lines().len(), from, forward, |row| contains(&self.lines()[row], &word));
        if let Some(row) = hit {
            self.found = Some(row);
            self.top = seen(self.top, row, geometry::regions(world.size).body.height);
        }
        hit.is_some()
    }
}

impl Screen for Text {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn scope(&self) -> Option<subject::Subject> {
        Some(self.of.clone().into())
    }

    fn title(&self, _world: &World) -> String {
        match &self.subject {
            Subject::Live(resource) => resource.short(),
            Subject::Manifests(_) => "manifests".to_owned(),
        }
    }

    fn status(&self, _world: &World) -> Status {
        Status { left: search(&self.search), right: place(self.top, self.lines().len()), calls: false }
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let lines = geometry::regions(turn.world.size).body.height;
        if let Some(to) = movement(command, lines) {
            self.top = text_top(self.top, self.lines().len(), lines, to);
            return true;
        }
        match command {
            Command::Left | Command::Right => self.left = sideways(command, self.left),
            Wrap => (self.wrap, self.left) = (!self.wrap, 0),
            Next | Previous => {
                if !self.jump(command == Next, turn.world) {
                    turn.say(not_here(&self.search));
                }
            }
            _ => return false,
        }
        true
    }

    fn find(&self) -> Option<Find<'_>> {
        Some(Find::Search(&self.search))
    }

    fn set_find(&mut self, words: &str, world: &World) {
        words.clone_into(&mut self.search);
        self.found = None;
        if !self.search.is_empty() {
            self.jump(true, world);
        }
    }

    fn ask(&self) -> Option<Ask> {
        Some(match &self.subject {
            Subject::Live(resource) => Ask::Object(self.of.clone(), resource.clone()),
            Subject::Manifests(revision) => Ask::Manifests(self.of.clone(), revision.clone()),
        })
    }

    fn wait(&mut self) -> Option<&mut Wait> {
        Some(&mut self.document.wait)
    }

    fn is_old_by(&self, object: &Object) -> bool {
        let is_it = |of: &EnvironmentId, resource| *of == self.of && self.subject == Subject::Live(resource);
        match object {
            Object::Resource(resource) => is_it(&resource.environment, resource.resource.clone()),
            Object::Pod(pod) => is_it(&pod.environment, pod.resource()),
            _ => false,
        }
    }

    fn answer(&mut self, number: u64, answer: Result<Answer, Problem>, world: &World) -> bool {
        let text = |answer| if let Answer::Text(document) = answer { Some(*document) } else { None };
        let taken = self.document.take(number, answer.map(text).and_then(expected), world.now);
        self.top = self.top.min(self.lines().len().saturating_sub(1));
        taken
    }

    fn draw(&self, painter: &mut Painter, _world: &World, area: Rect) {
        let asking = match &self.subject {
            Subject::Live(resource) => format!("Asking for {} …", resource.short()),
            Subject::Manifests(_) => "Asking for the manifests …".to_owned(),
        };
        if empty::waiting(painter, area, &self.document, &asking) {
            return;
        }
        let mut y = area.y;
        for (number, line) in self.lines().iter().enumerate().skip(self.top) {
            if y >= area.bottom() {
                break;
            }
            let row = Rect { y, height: 1, ..area };
            if self.found == Some(number) {
                painter.text(Rect { width: 1, ..row }, "▌", painter.theme.accent());
            }
            let inside = Rect { x: row.x + 2, width: row.width.saturating_sub(2), ..row };
            let parts =
                if self.wrap { text::columns(line).div_ceil(usize::from(inside.width.max(1))).max(1) } else { 1 };
            for part in (0..u32::try_from(parts).unwrap_or(1)).take(usize::from(area.bottom() - y)) {
                let first = if self.wrap { part * u32::from(inside.width) } else { u32::from(self.left) };
                yaml(painter, Rect { y, ..inside }, line, first, &self.search, self.wrap);
                y += 1;
            }
        }
    }

    fn assert_invariants(&self, _world: &World) {
        assert!(self.top < self.lines().len().max(1));
    }
}

/// A line of YAML: comments and the marks between documents are quiet, keys have the accent's colour.
fn yaml(painter: &mut Painter, area: Rect, line: &str, first: u32, search: &str, wrap: bool) {
    let trimmed = line.trim_start();
    let is_quiet = trimmed.starts_with('#') || trimmed == "---";
    let style = if is_quiet { painter.theme.tone(Tone::Quiet) } else { Style::new() };
    highlighted(painter, area, line, first, style, search, wrap);
    if is_quiet || first > 0 {
        return;
    }
    let indent = line.len() - trimmed.len();
    let (dashes, key) = trimmed.strip_prefix("- ").map_or((0, trimmed), |rest| (2, rest));
    if let Some(end) = key.find(": ").or_else(|| key.strip_suffix(':').map(str::len))
        && !key[..end].contains(['"', '\'', ' '])
    {
        let x = u16::try_from(indent + dashes).unwrap_or(u16::MAX);
        let width = u16::try_from(end).unwrap_or(u16::MAX);
        if x < area.width {
            let key = Rect { x: area.x + x, width: width.min(area.width - x), ..area };
            let style = painter.theme.key();
            painter.restyle(key, style);
        }
    }
}
