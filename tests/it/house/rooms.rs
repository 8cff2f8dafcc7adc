//! Which rooms of a crate know which. A room is a module at the top of its crate, with all that is below it; what its tests
//! know does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::files::{code, first_word, is_test, sources};

/// From which room to which, and a file that shows it.
pub(super) type Arrows = BTreeMap<(String, String), String>;

pub(super) fn arrows(src: &Path) -> Arrows {
    let files: Vec<_> = sources(src).into_iter().filter(|file| !is_test(file)).collect();
    let room = |file: &Path| {
        let first = file.strip_prefix(src).unwrap().iter().next().unwrap().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    };
    let rooms: BTreeSet<_> = files.iter().map(|file| room(file)).collect();
    let mut arrows = Arrows::new();
    for file in files {
        let from = room(&file);
        let text = std::fs::read_to_string(&file).unwrap();
        let text = code(text.split("#[cfg(test)]\nmod tests").next().unwrap());
        for to in named(&text).into_iter().filter(|to| *to != from && rooms.contains(to)) {
            let shown = file.strip_prefix(src).unwrap().display().to_string();
            arrows.entry((from.clone(), to)).or_insert(shown);
        }
    }
    arrows
}

/// The rooms that code names: `crate::room`, and each in `crate::{room, other::{…}}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, front) in code.match_indices("crate::") {
        let rest = &code[at + front.len()..];
        match rest.strip_prefix('{') {
            None => _ = found.insert(first_word(rest)),
            Some(list) => found.extend(heads(list)),
        }
    }
    found
}

/// The first words of a list in braces, up to its end.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut heads) = (0, String::new(), Vec::new());
    for char in list.chars() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(first_word(std::mem::take(&mut item).trim())),
            _ if depth == 0 => item.push(char),
            _ => {}
        }
    }
    heads.push(first_word(item.trim()));
    heads
}

/// A line for each circle: the shortest way back to where it begins, with a file for each arrow. A room is in one line only.
pub(super) fn circles(arrows: &Arrows) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut lines = Vec::new();
    for (from, _) in arrows.keys() {
        if told.contains(from) {
            continue;
        }
        if let Some(way) = way_back(arrows, from) {
            let steps = way.windows(2).map(|step| {
                let file = &arrows[&(step[0].clone(), step[1].clone())];
                format!("{} -> {} ({file})", step[0], step[1])
            });
            lines.push(steps.collect::<Vec<_>>().join(", "));
            told.extend(way);
        }
    }
    lines
}

fn way_back(arrows: &Arrows, start: &str) -> Option<Vec<String>> {
    let mut open = std::collections::VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = open.pop_front() {
        let here = way.last().expect("a way has a beginning");
        for (_, to) in arrows.keys().filter(|(from, _)| from == here) {
            let longer = [&way[..], std::slice::from_ref(to)].concat();
            if to == start {
                return Some(longer);
            }
            if seen.insert(to.clone()) {
                open.push_back(longer);
            }
        }
    }
    None
}
