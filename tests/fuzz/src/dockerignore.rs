//! `.dockerignore`: the verdict on a path is that of its patterns one by one, what is below an excluded folder is
//! excluded, and a pattern matches as moby's own does.
//!
//! The first line is a path of the context, the others are the file.

use std::collections::HashMap;

use quarterdeck_core::dockerignore::Dockerignore;

/// Moby's way is tried by backtracking; longer texts show nothing new.
const LINE_MAX: usize = 60;

/// `data` is the path and the file.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, file) = text.split_once('\n').unwrap_or((text, ""));
    let ignore = match Dockerignore::parse(file) {
        Ok(ignore) => ignore,
        Err(error) => {
            let line = file.lines().nth(error.line - 1).expect("the line that is told is there");
            assert!(line.contains(&error.pattern), "{error}");
            return;
        }
    };
    if !is_path(path) {
        return;
    }
    let mut excluded = false;
    for line in file.strip_prefix('\u{feff}').unwrap_or(file).lines() {
        let pattern = line.trim();
        if line.starts_with('#') || pattern.is_empty() {
            continue;
        }
        let (sends, pattern) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest.trim()));
        // As a file of its own that would be an exception.
        if pattern.starts_with('!') {
            return;
        }
        // The blank keeps a pattern that begins with # from being a comment.
        let one = Dockerignore::parse(&format!(" {pattern}")).expect("the whole file was read");
        let matches = one.excludes(path);
        if matches {
            excluded = !sends;
        }
        assert!(!matches || one.excludes(&format!("{path}/below")), "{pattern:?} excludes {path:?}, not what is below");
        if is_for_moby(pattern) && path.len() <= LINE_MAX {
            let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            let moby = parents.chain([path]).any(|path| Moby::of(pattern).matches(path));
            assert_eq!(matches, moby, "moby and we differ on {pattern:?} against {path:?}");
        }
    }
    assert_eq!(ignore.excludes(path), excluded, "the last that matches decides");
}

fn is_path(path: &str) -> bool {
    path.len() < 500 && path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains('\r')
}

/// Whether the pattern is clean already, and without classes: of those Go's two engines make two things.
fn is_for_moby(pattern: &str) -> bool {
    pattern.len() <= LINE_MAX && is_path(pattern) && !pattern.contains(['[', ']']) && !pattern.ends_with('\\')
}

/// How moby's `patternmatcher` holds a pattern against a path (`Pattern.compile`, `Pattern.match`), line by line.
enum Moby<'p> {
    Exact(&'p str),
    Prefix(&'p str),
    Suffix(&'p str),
    Expression(Vec<Step>),
}

/// A step of the regular expression that moby writes.
#[derive(Clone, Copy)]
enum Step {
    /// The character.
    Is(char),
    /// `[^/]`
    One,
    /// `[^/]*`
    Name,
    /// `(.*/)?`
    Folders,
    /// `.*`
    Rest,
}

impl<'p> Moby<'p> {
    fn of(pattern: &'p str) -> Self {
        let (mut kind, mut steps) = (Self::Exact(pattern), Vec::new());
        let mut rest = pattern.chars().peekable();
        let mut first = true;
        let is_expression = |kind: &mut Self| *kind = Self::Expression(Vec::new());
        while let Some(c) = rest.next() {
            match c {
                '*' if rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    if rest.peek().is_some() {
                        steps.push(Step::Folders);
                        is_expression(&mut kind);
                    } else if matches!(kind, Self::Exact(_)) {
                        kind = Self::Prefix(&pattern[..pattern.len() - 2]);
                    } else {
                        steps.push(Step::Rest);
                        is_expression(&mut kind);
                    }
                    if first {
                        kind = Self::Suffix(&pattern[2..]);
                    }
                }
                '*' | '?' => {
                    steps.push(if c == '*' { Step::Name } else { Step::One });
                    is_expression(&mut kind);
                }
                '\\' => {
                    steps.extend(rest.next().map(Step::Is));
                    is_expression(&mut kind);
                }
                c => steps.push(Step::Is(c)),
            }
            first = false;
        }
        if let Self::Expression(all) = &mut kind {
            *all = steps;
        }
        kind
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(pattern) => path == *pattern,
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Suffix(suffix) => path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path),
            Self::Expression(steps) => {
                let path: Vec<char> = path.chars().collect();
                follows(steps, &path, &mut HashMap::new())
            }
        }
    }
}

/// Whether the expression takes the whole path; what was tried before is known.
fn follows(steps: &[Step], path: &[char], known: &mut HashMap<(usize, usize), bool>) -> bool {
    let Some((step, after)) = steps.split_first() else { return path.is_empty() };
    let place = (steps.len(), path.len());
    if let Some(known) = known.get(&place) {
        return *known;
    }
    let found = match step {
        Step::Is(c) => path.first() == Some(c) && follows(after, &path[1..], known),
        Step::One => path.first().is_some_and(|c| *c != '/') && follows(after, &path[1..], known),
        Step::Name => {
            let name = path.iter().take_while(|c| **c != '/').count();
            (0..=name).any(|taken| follows(after, &path[taken..], known))
        }
        Step::Folders => (0..=path.len())
            .filter(|taken| *taken == 0 || path[taken - 1] == '/')
            .any(|taken| follows(after, &path[taken..], known)),
        Step::Rest => (0..=path.len()).any(|taken| follows(after, &path[taken..], known)),
    };
    known.insert(place, found);
    found
}
