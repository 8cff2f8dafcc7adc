//! Which rooms of a crate know which. A room is a module with all that is below it, and it is held against those beside it,
//! at the top of the crate and in every folder; what its tests know does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::code::product;
use super::files::below;
use super::paths::{Way, named, passed_on};

/// From which room to which, and a file that shows it.
pub(super) type Arrows = BTreeMap<(String, String), String>;

/// The arrows of what is built from this root.
pub(super) fn arrows(root: &Path) -> Arrows {
    let src = root.parent().unwrap();
    let files = below(root, product);
    let ways: Vec<Way> = files.iter().map(|file| way(file.strip_prefix(src).unwrap())).collect();
    let rooms: BTreeSet<&[String]> = ways.iter().flat_map(|way| (1..=way.len()).map(|depth| &way[..depth])).collect();
    let codes: Vec<String> = files.iter().map(|file| product(&std::fs::read_to_string(file).unwrap())).collect();
    let passed_on: BTreeMap<Way, Way> = codes.iter().zip(&ways).flat_map(|(code, own)| passed_on(code, own)).collect();
    let mut arrows = Arrows::new();
    for ((file, own), code) in files.iter().zip(&ways).zip(&codes) {
        for named in named(code, own) {
            let from = (1..=named.len()).find_map(|depth| passed_on.get(&named[..depth]));
            let named = from.cloned().unwrap_or(named);
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

/// The test of the test: a circle that is there is found, with the files that make it.
#[test]
fn a_circle_is_found() {
    let arrows = [(("a", "b"), "a/x.rs"), (("b", "c"), "b.rs"), (("c", "a"), "c.rs"), (("d", "a"), "d.rs")];
    let owned = |((from, to), file): ((&str, &str), &str)| ((from.to_owned(), to.to_owned()), file.to_owned());
    assert_eq!(circles(&arrows.map(owned).into()), ["a -> b (a/x.rs), b -> c (b.rs), c -> a (c.rs)"]);
}
