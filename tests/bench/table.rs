//! The figures as a table for people (Markdown, as it stands in the README) and as JSON for programs.

use std::fmt::Write as _;

use crate::figure::{Figure, Goal, Runs, Unit};

/// The table: one row a figure, minimum, median and maximum.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from("| what | ours | beside | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |\n");
    for figure in figures {
        let beside: Vec<String> = figure
            .beside
            .iter()
            .map(|beside| {
                let quoted = if beside.quoted { " (quoted)" } else { "" };
                format!("{} {}{quoted}", beside.name, runs(&beside.runs, figure.unit))
            })
            .collect();
        let ratio = figure.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let met = figure.met().map_or("", |met| if met { "met" } else { "**missed**" });
        let ours = runs(&figure.ours, figure.unit);
        // Writing into a string cannot fail.
        let _ =
            writeln!(text, "| {} | {ours} | {} | {ratio} | {} | {met} |", figure.what, beside.join("; "), goal(figure));
    }
    text
}

/// The figures `what, at SIZE` as one table: a row for each thing, a column for each size, and whether all goals of the row are met.
pub(crate) fn grid(figures: &[Figure]) -> String {
    let parts = |figure: &Figure| {
        let (what, size) = figure.what.rsplit_once(AT).unwrap_or((&figure.what, ""));
        (what.to_owned(), size.to_owned())
    };
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    for (what, size) in figures.iter().map(parts) {
        if !rows.contains(&what) {
            rows.push(what);
        }
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    let mut text = format!("| what | {} | goals | |\n| --- |{}\n", sizes.join(" | "), " --- |".repeat(sizes.len() + 2));
    for what in rows {
        let of_size = |size: &String| figures.iter().find(|figure| parts(figure) == (what.clone(), size.clone()));
        let row: Vec<Option<&Figure>> = sizes.iter().map(of_size).collect();
        let cells: Vec<String> = row
            .iter()
            .map(|figure| figure.map_or_else(String::new, |figure| runs(&figure.ours, figure.unit)))
            .collect();
        let goals =
            |figure: &Figure| (figure.met().is_some()).then(|| format!("{}: {}", parts(figure).1, goal(figure)));
        let goals: Vec<String> = row.iter().flatten().filter_map(|figure| goals(figure)).collect();
        let met: Vec<bool> = row.iter().flatten().filter_map(|figure| figure.met()).collect();
        let verdict = if met.is_empty() {
            ""
        } else if met.iter().all(|met| *met) {
            "met"
        } else {
            "**missed**"
        };
        let _ = writeln!(text, "| {what} | {} | {} | {verdict} |", cells.join(" | "), goals.join("; "));
    }
    text
}

/// Between what a figure of a growing thing tells and the size that it tells it of.
pub(crate) const AT: &str = ", at ";

fn goal(figure: &Figure) -> String {
    match figure.goal {
        Goal::AtMost(most) => format!("≤ {}", number(most, figure.unit)),
        Goal::Times(most) => format!("≤ {most} times"),
        Goal::None => String::new(),
    }
}

fn runs(runs: &Runs, unit: Unit) -> String {
    match runs.spread() {
        None => "-".to_owned(),
        Some((_, only, _)) if runs.0.len() == 1 => number(only, unit),
        Some((least, median, most)) => {
            format!("{} ({} to {})", number(median, unit), number(least, unit), number(most, unit))
        }
    }
}

fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Milliseconds if value >= 10_000.0 => format!("{:.1} s", value / 1000.0),
        Unit::Milliseconds if value >= 100.0 => format!("{value:.0} ms"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Mebibytes => format!("{value:.1} MiB"),
        Unit::CpuPerMinute => format!("{value:.2} CPU s/min"),
        Unit::CpuMilliseconds => format!("{value:.1} CPU ms"),
        Unit::CpuSeconds => format!("{value:.2} CPU s"),
        Unit::Count => format!("{value:.0}"),
        Unit::Percent => format!("{value:.2} %"),
    }
}
