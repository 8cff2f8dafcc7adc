//! The one place that writes cells. It makes every text harmless, fits it into its place, and notes until when what it
//! drew stays true.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::capabilities::Capabilities;
use crate::paint::ascii;
use crate::paint::theme::Theme;
use crate::text;

/// Draws into a buffer.
#[derive(Debug)]
pub struct Painter<'a> {
    buffer: &'a mut Buffer,
    capabilities: Capabilities,
    now: Timestamp,
    until: Option<Timestamp>,
    /// The styles of this terminal.
    pub theme: Theme,
}

impl<'a> Painter<'a> {
    /// A painter for a terminal, at a time.
    pub fn new(buffer: &'a mut Buffer, capabilities: Capabilities, now: Timestamp) -> Self {
        Self { buffer, capabilities, now, until: None, theme: Theme::new(capabilities) }
    }

    /// When the picture would be another by time alone.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// The time of the picture.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Writes a text on the first line of an area; what does not fit ends in `…`. The columns it took come back.
    pub fn text(&mut self, area: Rect, text: &str, style: Style) -> u16 {
        self.fitted(area, text, text::cut, style)
    }

    /// Writes a name on the first line of an area; what does not fit loses its middle, for the end tells one name from
    /// the next.
    pub fn name(&mut self, area: Rect, name: &str, style: Style) -> u16 {
        self.fitted(area, name, text::shorten, style)
    }

    /// Writes a text into all lines of an area; what has no room ends in `…`.
    pub fn paragraph(&mut self, area: Rect, text: &str, style: Style) {
        let lines: Vec<String> = text.split('\n').flat_map(|line| text::broken(&harmless(line), area.width)).collect();
        for (nth, y) in (0..lines.len()).zip(area.y..area.bottom()) {
            let is_last = y + 1 == area.bottom();
            let line = if is_last { Cow::Owned(lines[nth..].join(" ")) } else { Cow::Borrowed(lines[nth].as_str()) };
            self.text(Rect { y, height: 1, ..area }, &line, style);
        }
    }

    fn fitted(&mut self, area: Rect, text: &str, fit: fn(&str, usize) -> Cow<'_, str>, style: Style) -> u16 {
        let area = area.intersection(self.buffer.area);
        if area.is_empty() || text.is_empty() {
            return 0;
        }
        let text = harmless(text);
        let text = fit(&text, usize::from(area.width));
        let text = if self.capabilities.unicode { text } else { Cow::Owned(ascii::ascii(&text)) };
        // What was there before must not shine through: a rule is dim, a text on it is not.
        let style = Style::reset().patch(style);
        let (end, _) = self.buffer.set_stringn(area.x, area.y, text, usize::from(area.width), style);
        end - area.x
    }

    /// Writes texts one after the other on the first line of an area.
    pub fn texts<'t>(&mut self, area: Rect, texts: impl IntoIterator<Item = (&'t str, Style)>) -> u16 {
        let mut taken = 0;
        for (text, style) in texts {
            if taken >= area.width {
                break;
            }
            taken += self.text(Rect { x: area.x + taken, width: area.width - taken, ..area }, text, style);
        }
        taken
    }

    /// Writes a text that ends where the area ends.
    pub fn right(&mut self, area: Rect, text: &str, style: Style) -> u16 {
        let columns = u16::try_from(text::columns(&harmless(text))).unwrap_or(u16::MAX).min(area.width);
        self.text(Rect { x: area.x + area.width - columns, width: columns, ..area }, text, style)
    }

    /// Draws a line across.
    pub fn rule(&mut self, area: Rect) {
        let style = self.theme.line();
        let sign = if self.capabilities.unicode { "─" } else { "-" };
        let line = Rect { height: area.height.min(1), ..area };
        for position in line.intersection(self.buffer.area).positions() {
            self.buffer[position].reset();
            self.buffer[position].set_symbol(sign).set_style(style);
        }
    }

    /// Empties an area, for what lies over others.
    pub fn clear(&mut self, area: Rect) {
        for position in area.intersection(self.buffer.area).positions() {
            self.buffer[position].reset();
        }
    }

    /// Lays a style over what is drawn.
    pub fn restyle(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// The buffer itself, for the widgets of a library. What they draw they make harmless themselves.
    pub fn buffer(&mut self) -> &mut Buffer {
        self.buffer
    }

    /// How long ago, and the picture is true until that changes.
    pub fn age(&mut self, then: Timestamp) -> String {
        let seconds = self.now.duration_since(then).as_secs();
        // The units in which `text::age` tells.
        let unit = match seconds.abs() {
            ..180 if seconds < 0 => 1,
            ..120 => 1,
            120..7_200 => 60,
            7_200..172_800 => 3_600,
            _ => 86_400,
        };
        self.true_for(then, unit);
        text::age(then, self.now)
    }

    /// The same in a sentence: `3h ago`, `in 3h`.
    pub fn ago(&mut self, then: Timestamp) -> String {
        self.age(then);
        text::ago(then, self.now)
    }

    /// Writes how long ago at the end of an area; what lies ahead is `in 3h`, or `+24h` where that has no room.
    pub fn aged(&mut self, area: Rect, then: Timestamp, style: Style) {
        let age = self.age(then);
        let has_room = text::columns(&age) <= usize::from(area.width);
        let age = if has_room { age } else { age.replace("in ", "+") };
        self.right(area, &age, style);
    }

    /// How long something takes or took; while it goes on, the picture is true for a second.
    pub fn span(&mut self, started: Option<Timestamp>, finished: Option<Timestamp>) -> String {
        if let (Some(started), None) = (started, finished) {
            self.true_for(started, 1);
        }
        match finished {
            Some(_) => text::span(started, finished, self.now),
            // Tenths of a second would flicker.
            None => started.map(|started| running(self.now.duration_since(started).as_secs())).unwrap_or_default(),
        }
    }

    /// The picture changes at a time.
    pub fn changes_at(&mut self, at: Timestamp) {
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }

    /// The picture changes when the time since `then` is next a whole multiple of `unit` seconds.
    fn true_for(&mut self, then: Timestamp, unit: i64) {
        let since = self.now.duration_since(then).as_millis();
        let unit = i128::from(unit) * 1_000;
        let left = unit - since.rem_euclid(unit);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(1_000));
        self.changes_at(self.now.saturating_add(left).unwrap_or(Timestamp::MAX));
    }
}

/// `8s`, `1m02s`, `2h05m`.
fn running(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// The text for one line of the screen.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    if text.contains(['\n', '\r', '\t']) {
        let line = text.trim_end().replace("\r\n", " ").replace(['\n', '\r', '\t'], " ");
        return Cow::Owned(text::clean(&line).into_owned());
    }
    text::clean(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paint(width: u16, capabilities: Capabilities, paint: impl FnOnce(&mut Painter, Rect)) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buffer = Buffer::empty(area);
        paint(&mut Painter::new(&mut buffer, capabilities, Timestamp::UNIX_EPOCH), area);
        (0..width).map(|x| buffer[(x, 0)].symbol().to_owned()).collect()
    }

    #[test]
    fn text_is_fitted_and_harmless() {
        let plain = Style::new();
        let capabilities = Capabilities::default();
        assert_eq!(paint(6, capabilities, |p, area| _ = p.text(area, "deployment", plain)), "deplo…");
        assert_eq!(paint(6, capabilities, |p, area| _ = p.name(area, "shop-7b46-x9k", plain)), "sh…x9k");
        assert_eq!(paint(8, capabilities, |p, area| _ = p.right(area, "42", plain)), "      42");
        assert_eq!(paint(9, capabilities, |p, area| _ = p.text(area, "\x1b[31m!", plain)), "^[[31m!  ");
        assert_eq!(paint(9, capabilities, |p, area| _ = p.text(area, "two\nlines", plain)), "two lines");
        let ascii = Capabilities { unicode: false, ..capabilities };
        assert_eq!(paint(9, ascii, |p, area| _ = p.text(area, "✔ grün …", plain)), "+ gr?n ~ ");
        assert_eq!(paint(4, ascii, |p, area| p.rule(area)), "----");
    }

    #[test]
    fn an_age_says_until_when_it_is_true() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let mut buffer = Buffer::empty(Rect::new(0, 0, 1, 1));
        for (age, text, left) in [
            (0, "0s", 1),
            (119, "119s", 1),
            (150, "2m", 30),
            (7_300, "2h", 3_500),
            (-5, "0s", 1),
            (-86_400, "in 24h", 3_600),
        ] {
            let mut painter = Painter::new(&mut buffer, Capabilities::default(), at(1_000_000 + age));
            assert_eq!(painter.age(at(1_000_000)), text);
            assert_eq!(painter.until(), Some(at(1_000_000 + age + left)));
        }
    }
}
