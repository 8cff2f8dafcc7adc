//! What is known to be vulnerable: the scans of a run, image by image, the worst first.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::snapshot::{Object, RunId, ScanResult, Vulnerability};
use ratatui::layout::Rect;
use ratatui::style::Style;
use serde::{Deserialize, Serialize};

use crate::keymap::{Binding, Command};
use crate::model::subject::Subject;
use crate::model::{World, geometry};
use crate::paint::empty;
use crate::paint::painter::Painter;
use crate::screen::moves::{movement, sideways, text_top};
use crate::screen::status::{Status, place};
use crate::screen::turn::Turn;
use crate::screen::{Screen, Texts};
use crate::status_style::{Tone, of_severity};

/// It has only the keys that mean the same everywhere.
pub const KEYS: &[Binding] = &[];

/// What the scans of a run found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scan {
    /// Whose run.
    pub of: ApplicationName,
    /// Which.
    pub run: RunId,
    /// The first line that is seen.
    pub top: usize,
    /// Columns that are scrolled out to the left.
    pub left: u16,
}

impl Scan {
    /// From its beginning.
    pub fn new(of: ApplicationName, run: RunId) -> Self {
        Self { of, run, top: 0, left: 0 }
    }

    fn lines(&self, world: &World) -> Vec<Texts> {
        world.fleet.run(self.run).map(|run| lines(&run.scans)).unwrap_or_default()
    }
}

impl Screen for Scan {
    fn keys(&self) -> &'static [Binding] {
        KEYS
    }

    fn scope(&self) -> Option<Subject> {
        Some(Subject::Application(self.of.clone()))
    }

    fn title(&self, _world: &World) -> String {
        format!("scan of run {}", self.run.number)
    }

    fn status(&self, world: &World) -> Status {
        Status { left: String::new(), right: place(self.top, self.lines(world).len()), calls: false }
    }

    fn press(&mut self, command: Command, turn: &mut Turn<'_>) -> bool {
        let seen = geometry::regions(turn.world.size).body.height;
        if let Some(to) = movement(command, seen) {
            self.top = text_top(self.top, self.lines(turn.world).len(), seen, to);
            return true;
        }
        self.left = match command {
            Command::Left | Command::Right => sideways(command, self.left),
            _ => return false,
        };
        true
    }

    fn draws(&self, object: &Object) -> bool {
        matches!(object, Object::Run(run) if run.id == self.run)
    }

    fn rebuild(&mut self, world: &World) {
        self.top = self.top.min(self.lines(world).len().saturating_sub(1));
    }

    fn draw(&self, painter: &mut Painter, world: &World, area: Rect) {
        let lines = self.lines(world);
        if lines.is_empty() {
            return empty::draw(painter, area, "No image of this run was scanned.", &[]);
        }
        for (line, y) in lines.iter().skip(self.top).zip(area.y..area.bottom()) {
            let row = Rect { x: area.x + 2, width: area.width.saturating_sub(2), y, height: 1 };
            let mut hidden = usize::from(self.left);
            let seen: Vec<(&str, Style)> = line
                .iter()
                .map(|(text, tone)| {
                    let from = text.char_indices().nth(hidden).map_or(text.len(), |(at, _)| at);
                    hidden -= hidden.min(text.chars().count());
                    (&text[from..], painter.theme.tone(*tone))
                })
                .collect();
            painter.texts(row, seen);
        }
    }
}

/// All that is known, as lines.
fn lines(scans: &[ScanResult]) -> Vec<Texts> {
    let mut lines = Vec::new();
    for scan in scans {
        if !lines.is_empty() {
            lines.push(Texts::new());
        }
        let tone = if scan.refused > 0 { Tone::Bad } else { Tone::Plain };
        lines.push(vec![(scan.name.clone(), Tone::Strong), (format!("  {}", scan.scanner), Tone::Quiet)]);
        lines.push(vec![(scan.describe(), tone)]);
        let wide = |of: fn(&Vulnerability) -> usize| scan.vulnerabilities.iter().map(of).max().unwrap_or(0);
        let widths = [wide(|one| one.id.chars().count()), wide(|one| one.severity_text().chars().count())];
        lines.extend(scan.vulnerabilities.iter().map(|one| line(one, widths)));
        let more = scan.total() as usize - scan.vulnerabilities.len().min(scan.total() as usize);
        if more > 0 {
            lines.push(vec![(format!("  and {more} more, in the output of the run"), Tone::Quiet)]);
        }
    }
    lines
}

fn line(one: &Vulnerability, [id, severity]: [usize; 2]) -> Texts {
    // What a person accepted asks for no look.
    let tone = if one.accepted.is_some() { Tone::Quiet } else { of_severity(one.severity) };
    let fix = one.fixed_in.as_ref().map_or("no fix yet".to_owned(), |fix| format!("fixed in {fix}"));
    let mut texts = vec![
        (format!("  {:<severity$}  ", one.severity_text()), tone),
        (format!("{:<id$}  ", one.id), Tone::Plain),
        (format!("{} {}  ", one.package, one.version), Tone::Plain),
        (fix, Tone::Quiet),
    ];
    if let Some(reason) = &one.accepted {
        texts.push((format!("  accepted: {reason}"), Tone::Quiet));
    }
    texts
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use quarterdeck_shared::application::{Scanner, Severity};
    use quarterdeck_shared::snapshot::SeverityCount;

    use super::*;

    #[test]
    fn each_image_has_its_counts_and_below_them_the_worst() {
        let one = |id: &str, severity, fix: Option<&str>, accepted: Option<&str>| Vulnerability {
            id: id.to_owned(),
            severity,
            severity_word: None,
            package: "openssl".to_owned(),
            version: "3.0.1".to_owned(),
            fixed_in: fix.map(str::to_owned),
            accepted: accepted.map(str::to_owned),
        };
        let scan = ScanResult {
            name: "registry.example/ops/shop".to_owned(),
            digest: "sha256:00".to_owned(),
            by: Scanner::Harbor,
            scanner: "Trivy v0.58.1".to_owned(),
            scanned: Timestamp::UNIX_EPOCH,
            counts: vec![
                SeverityCount { severity: Severity::Critical, total: 2, fixable: 1 },
                SeverityCount { severity: Severity::Low, total: 7, fixable: 0 },
            ],
            accepted: 1,
            refused: 1,
            vulnerabilities: vec![
                one("CVE-2026-1", Severity::Critical, Some("3.0.2"), None),
                one("CVE-2026-12", Severity::Critical, None, Some("not reachable")),
                one("CVE-2026-3", Severity::Low, None, None),
            ],
        };
        let clean =
            ScanResult { counts: Vec::new(), accepted: 0, refused: 0, vulnerabilities: Vec::new(), ..scan.clone() };
        let text = |line: &Texts| line.iter().map(|(text, _)| text.as_str()).collect::<String>().trim_end().to_owned();
        let drawn: Vec<String> = lines(&[scan, clean]).iter().map(text).collect();
        assert_eq!(
            drawn,
            [
                "registry.example/ops/shop  Trivy v0.58.1",
                "2 critical, 7 low; 1 with a fix, 1 accepted",
                "  critical  CVE-2026-1   openssl 3.0.1  fixed in 3.0.2",
                "  critical  CVE-2026-12  openssl 3.0.1  no fix yet  accepted: not reachable",
                "  low       CVE-2026-3   openssl 3.0.1  no fix yet",
                "  and 6 more, in the output of the run",
                "",
                "registry.example/ops/shop  Trivy v0.58.1",
                "no known vulnerabilities",
            ]
        );
        assert_eq!(lines(&[]), Vec::<Texts>::new());
    }
}
