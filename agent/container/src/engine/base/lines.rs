//! A Dockerfile as lines: directives at its head, continuations joined, comments and the bodies of heredocs left out (pure).
//!
//! As BuildKit's parser reads it (<https://github.com/moby/buildkit/tree/master/frontend/dockerfile/parser>).

/// The instructions that may hold heredocs.
const WITH_HEREDOCS: [&str; 3] = ["RUN", "COPY", "ADD"];

/// A file as its instructions.
#[derive(Debug, PartialEq)]
pub(super) struct Lines {
    /// The image of the frontend.
    pub(super) syntax: Option<String>,
    /// What continues a line and takes the meaning from a character.
    pub(super) escape: char,
    /// One an instruction.
    pub(super) lines: Vec<String>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let escape = match directive(text, "#", "escape").as_deref() {
            Some("`") => '`',
            _ => '\\',
        };
        Self { syntax: syntax(text), escape, lines: instructions(text, escape) }
    }
}

/// `# syntax=IMAGE`, `// syntax=IMAGE` or `{"syntax": "IMAGE"}`: frontends read files of other languages too.
fn syntax(text: &str) -> Option<String> {
    let text = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => rest,
        _ => text,
    };
    let json = || {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
        values.next()?.ok()?.get("syntax")?.as_str().map(str::to_owned)
    };
    let line = directive(text, "#", "syntax").or_else(|| directive(text, "//", "syntax")).or_else(json)?;
    line.split_whitespace().next().map(str::to_owned)
}

/// The value of a directive. They stand before all else, an empty line or another comment too.
fn directive(text: &str, comment: &str, wanted: &str) -> Option<String> {
    for line in text.lines() {
        let (name, value) = line.trim().strip_prefix(comment)?.trim_start().split_once('=')?;
        let (name, value) = (name.trim_end(), value.trim());
        let is_name =
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_name || value.is_empty() {
            return None;
        }
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.to_owned());
        }
    }
    None
}

fn instructions(text: &str, escape: char) -> Vec<String> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    let mut open: Option<String> = None;
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (part, goes_on) = continued(line, escape);
        let whole = match open.take() {
            Some(before) => before + part,
            None => part.trim_start().to_owned(),
        };
        if goes_on {
            open = Some(whole);
            continue;
        }
        for Heredoc { end, tabs } in heredocs(&whole) {
            let is_end = |line: &str| if tabs { line.trim_start_matches('\t') == end } else { line == end };
            lines.by_ref().find(|line| is_end(line));
        }
        all.push(whole.trim().to_owned());
    }
    all.extend(open.map(|left| left.trim().to_owned()));
    all
}

/// The line without the mark that the next one continues it; two of them are one that was meant.
fn continued(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(part) if !part.ends_with(escape) => (part, true),
        _ => (line, false),
    }
}

struct Heredoc {
    end: String,
    /// `<<-`: the line that ends it may begin with tabs.
    tabs: bool,
}

/// The heredocs that an instruction opens: words like `<<EOF`, `<<-"EOF"`, `3<<EOF`.
fn heredocs(line: &str) -> Vec<Heredoc> {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    if !WITH_HEREDOCS.contains(&&*first) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for word in words {
        let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let Some(name) = word.strip_prefix("<<") else { continue };
        let (name, tabs) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
        let end = name.trim_matches(['"', '\'']);
        if !end.is_empty() && !name.contains('<') {
            found.push(Heredoc { end: end.to_owned(), tabs });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_lines_that_were_joined_and_heredocs_are_none() {
        for (text, escape, expected) in [
            ("FROM a\n\nRUN x \\\n # why\n\n y\nUSER 1", '\\', vec!["FROM a", "RUN x  y", "USER 1"]),
            ("FROM a `\n  AS b\nRUN c\\\nFROM b", '`', vec!["FROM a   AS b", "RUN c\\", "FROM b"]),
            ("RUN a\\\\\nUSER 1", '\\', vec!["RUN a\\\\", "USER 1"]),
            ("RUN a \\  \n b", '\\', vec!["RUN a  b"]),
            ("RUN <<EOF\nFROM x\nEOF\nUSER 1", '\\', vec!["RUN <<EOF", "USER 1"]),
            ("COPY <<A <<-'B' /x/\nFROM 1\nA\nFROM 2\n\tB\nUSER 1", '\\', vec!["COPY <<A <<-'B' /x/", "USER 1"]),
            (
                "RUN --mount=type=cache,target=/x \\\n cat <<E >/f\nE \nFROM 1\nE\nUSER 1",
                '\\',
                vec!["RUN --mount=type=cache,target=/x  cat <<E >/f", "USER 1"],
            ),
            ("RUN cat <<<x\nLABEL a=<<EOF\nUSER 1", '\\', vec!["RUN cat <<<x", "LABEL a=<<EOF", "USER 1"]),
            ("RUN <<EOF\nFROM x", '\\', vec!["RUN <<EOF"]),
            ("RUN a \\", '\\', vec!["RUN a"]),
        ] {
            assert_eq!(instructions(text, escape), expected, "{text}");
        }
    }

    #[test]
    fn directives_stand_before_all_else() {
        let read = |text: &str| {
            let Lines { syntax, escape, .. } = Lines::of(text);
            format!("{} {escape}", syntax.unwrap_or_default())
        };
        for (text, expected) in [
            ("# syntax=a/b:1\n# escape=`\nFROM x", "a/b:1 `"),
            ("#Syntax = a/b:1 more\nFROM x", "a/b:1 \\"),
            ("\u{feff}#syntax=a\r\nFROM x", "a \\"),
            ("#!/usr/bin/env x\n# syntax=a", "a \\"),
            ("// syntax=a\npackage main", "a \\"),
            ("{\"syntax\": \"a\", \"x\": 1}", "a \\"),
            ("# a comment\n# syntax=a", " \\"),
            ("\n# syntax=a", " \\"),
            ("FROM x\n# syntax=a", " \\"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
