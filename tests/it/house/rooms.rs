//! Which rooms of a crate know which. A room is a module with all that is below it, and it is held against those beside it,
//! at the top of the crate and in every folder; what its tests know does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::files::{code, first_word, is_test, sources};

/// From which room to which, and a file that shows it.
pub(super) type Arrows = BTreeMap<(String, String), String>;

/// The names from the crate's root down to a module.
type Way = Vec<String>;

pub(super) fn arrows(src: &Path) -> Arrows {
    let files: Vec<_> = sources(src).into_iter().filter(|file| !is_test(file)).collect();
    let ways: Vec<Way> = files.iter().map(|file| way(file.strip_prefix(src).unwrap())).collect();
    let rooms: BTreeSet<&[String]> = ways.iter().flat_map(|way| (1..=way.len()).map(|depth| &way[..depth])).collect();
    let mut arrows = Arrows::new();
    for (file, own) in files.iter().zip(&ways) {
        let text = std::fs::read_to_string(file).unwrap();
        let text = code(text.split("#[cfg(test)]\nmod tests").next().unwrap());
        for named in named(&text, own) {
            let common = own.iter().zip(&named).take_while(|(one, other)| one == other).count();
            if common == own.len() || common == named.len() || !rooms.contains(&named[..=common]) {
                continue;
            }
            let shown = file.strip_prefix(src).unwrap().display().to_string();
            arrows.entry((own[..=common].join("::"), named[..=common].join("::"))).or_insert(shown);
        }
    }
    arrows
}

/// The module that a file is: `watch/stream.rs` is `watch::stream`.
fn way(file: &Path) -> Way {
    let names = file.iter().map(|name| name.to_str().unwrap().trim_end_matches(".rs").to_owned());
    names.filter(|name| !["lib", "main", "mod"].contains(&name.as_str())).collect()
}

/// What code of a module names by `crate::` and `super::`, each from the root down: also each of `super::{room, other::{…}}`.
pub(super) fn named(code: &str, own: &[String]) -> Vec<Way> {
    let mut found = Vec::new();
    let starts = |front| code.match_indices(front).filter(|(at, _)| !is_further(&code[..*at]));
    for (at, front) in starts("crate::") {
        expand(&code[at + front.len()..], &[], &mut found);
    }
    for (at, _) in starts("super::") {
        let (mut rest, mut base) = (&code[at..], own);
        while let Some(above) = rest.strip_prefix("super::") {
            (rest, base) = (above, base.split_last().map_or(base, |(_, above)| above));
        }
        expand(rest, base, &mut found);
    }
    found
}

/// Whether a path is under way at the end of this, or a longer word.
fn is_further(code: &str) -> bool {
    code.ends_with(|char: char| char.is_alphanumeric() || char == '_' || char == ':')
}

/// Each path that code begins with, behind those names.
fn expand(code: &str, base: &[String], found: &mut Vec<Way>) {
    let code = code.trim_start();
    if let Some(list) = code.strip_prefix('{') {
        return items(list).iter().for_each(|item| expand(item, base, found));
    }
    let word = first_word(code);
    let way = [base, std::slice::from_ref(&word)].concat();
    match code[word.len()..].strip_prefix("::") {
        Some(rest) if !word.is_empty() => expand(rest, &way, found),
        _ => found.push(way),
    }
}

/// The items of a list in braces, up to its end.
fn items(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for char in list.chars() {
        match char {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {
                depth += i32::from(char == '{') - i32::from(char == '}');
                item.push(char);
            }
        }
    }
    items.push(item);
    items
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
