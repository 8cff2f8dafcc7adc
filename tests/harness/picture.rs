//! A screen as a picture for documents: SVG, with text that can be selected. Pure.
//!
//! Each run of cells with one style is stretched to its place, so that the columns stand whatever font is there.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

/// Pixels of a cell, and around the screen.
const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 16.0;

const BEHIND: &str = "#14161b";
const TEXT: &str = "#d5d9e0";
/// The sixteen colours of a terminal.
const COLOURS: [&str; 16] = [
    "#2a2e37", "#f2777a", "#8fc98a", "#e6c07b", "#6ea8fe", "#c792ea", "#5fc9c0", "#d5d9e0", "#6b7280", "#ff8f92",
    "#a8e0a3", "#f5d899", "#8fbcff", "#dcb0f5", "#84e3da", "#ffffff",
];

/// The picture of a screen.
pub fn svg(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = (place(columns.get(), CELL.0) + MARGIN, place(rows.get(), CELL.1) + MARGIN);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BEHIND}\"/>\n"
    );
    for row in 0..rows.get() {
        let mut column = 0;
        while let Some(cell) = screen.cell(row, column) {
            let style = Style::of(cell);
            let (first, mut text) = (column, String::new());
            while let Some(cell) = screen.cell(row, column).filter(|cell| Style::of(cell) == style) {
                if !cell.is_wide_continuation() {
                    text.push_str(if cell.has_contents() { cell.contents() } else { " " });
                }
                column += 1;
            }
            run(&mut picture, &style, (row, first), column - first, &text);
        }
    }
    picture.push_str("</svg>\n");
    picture
}

/// How a cell looks.
#[derive(PartialEq)]
struct Style {
    text: String,
    behind: Option<String>,
    bold: bool,
    dim: bool,
    underline: bool,
}

impl Style {
    fn of(cell: &Cell) -> Self {
        let (mut text, mut behind) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
        if cell.inverse() {
            (text, behind) = (Some(behind.unwrap_or(BEHIND.to_owned())), Some(text.unwrap_or(TEXT.to_owned())));
        }
        let (bold, dim, underline) = (cell.bold(), cell.dim(), cell.underline());
        Self { text: text.unwrap_or(TEXT.to_owned()), behind, bold, dim, underline }
    }
}

/// A run of cells of one style.
fn run(picture: &mut String, style: &Style, (row, column): (u16, u16), cells: u16, text: &str) {
    let (x, y, width) = (place(column, CELL.0), place(row, CELL.1), f32::from(cells) * CELL.0);
    if let Some(behind) = &style.behind {
        let height = CELL.1;
        writeln!(
            picture,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{behind}\"/>"
        )
        .expect("a String can always be written to");
    }
    let lead = text.len() - text.trim_start_matches(' ').len();
    let bare = text.trim_matches(' ');
    if bare.is_empty() {
        return;
    }
    // Blanks at the ends are left out: they are the place, not the text.
    let x = x + f32::from(u16::try_from(lead).unwrap_or(0)) * CELL.0;
    let blanks = u16::try_from(text.len() - bare.len()).unwrap_or(0);
    let (width, base) = (f32::from(cells - blanks) * CELL.0, y + CELL.1 * 0.75);
    let more = [
        (style.bold, " font-weight=\"bold\""),
        (style.dim, " opacity=\"0.6\""),
        (style.underline, " text-decoration=\"underline\""),
    ];
    let more: String = more.iter().filter_map(|(is, words)| is.then_some(*words)).collect();
    let text = bare.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let colour = &style.text;
    writeln!(
        picture,
        "<text x=\"{x:.1}\" y=\"{base:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{colour}\"{more} xml:space=\"preserve\">{text}</text>"
    )
    .expect("a String can always be written to");
}

fn place(cells: u16, size: f32) -> f32 {
    MARGIN + f32::from(cells) * size
}

/// A colour; none where it is the terminal's own. Of the 256 only the sixteen have names here: the console uses no more.
fn colour(colour: Color) -> Option<String> {
    match colour {
        Color::Default => None,
        Color::Idx(index) => COLOURS.get(usize::from(index)).map(|&colour| colour.to_owned()),
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
    }
}
