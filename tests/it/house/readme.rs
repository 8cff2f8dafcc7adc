//! The page of the tests: whatever it names is there, and what is all about faults stands on it whole.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::sources;
use super::house;
use super::paths::first_word;

/// Where tests are, and how the page tells of which crate one is. Those of `it` and `life` are told by their name alone.
const PLACES: [(&str, &str); 12] = [
    ("", "tests/it"),
    ("", "tests/life"),
    ("", "tests/harness"),
    ("real", "tests/real/stories"),
    ("shared", "shared/src"),
    ("agent", "agent/src"),
    ("core", "agent/core/src"),
    ("system", "agent/system/src"),
    ("kubernetes", "agent/kubernetes/src"),
    ("git", "agent/git/src"),
    ("container", "agent/container/src"),
    ("console", "tui/src"),
];

/// Rooms of `it` that show nothing but what may go wrong and what holds: each of their tests stands on the page.
const WHOLE: &[&str] = &[
    "cluster::covered",
    "cluster::leaving",
    "cluster::replaced",
    "git::faults",
    "git::healed",
    "git::odd",
    "git::signed",
    "life::adopted",
    "life::alone",
    "life::artifacts",
    "life::asked",
    "life::bundled",
    "life::certificates",
    "life::chart_hooks",
    "life::chart_signed",
    "life::chart_tested",
    "life::charts",
    "life::cleaned",
    "life::commented",
    "life::confined",
    "life::crashed",
    "life::deleted",
    "life::departed",
    "life::depended",
    "life::edited",
    "life::elsewhere",
    "life::encrypted",
    "life::fleet",
    "life::fought",
    "life::generated",
    "life::held",
    "life::hooked",
    "life::ids",
    "life::images",
    "life::configured_in_git",
    "life::imported",
    "life::jsonnet",
    "life::selected",
    "life::sets",
    "life::several",
    "life::sources",
    "life::jobs",
    "life::kept",
    "life::keyless",
    "life::kept_running",
    "life::killed",
    "life::kinds",
    "life::labelled",
    "life::logged",
    "life::manifests",
    "life::mirrored",
    "life::moved",
    "life::order",
    "life::outages",
    "life::output",
    "life::overlaid",
    "life::own_files",
    "life::own_repository",
    "life::planned",
    "life::previews",
    "life::protected",
    "life::projects",
    "life::promoted",
    "life::pull_secrets",
    "life::queued",
    "life::quiet",
    "life::remote",
    "life::rendered",
    "life::revisions",
    "life::scanned",
    "life::secrets",
    "life::signed",
    "life::tested",
    "life::told",
    "life::unseen",
    "life::variables",
    "life::wiped",
];

/// Rooms of `it` that show other things as well: how it goes when nothing goes wrong.
const PARTLY: &[&str] = &[
    "build",
    "cluster::access",
    "cluster::logs",
    "cluster::planned",
    "cluster::refused",
    "cluster::taken_over",
    "cluster::watched",
    "corpus",
    "git::access",
    "git::mirror",
    "git::push",
    "house",
    "life::access",
    "life::checked",
    "life::configured",
    "life::environments",
    "life::followed",
    "life::pruned",
    "life::refused",
    "life::socket",
    "life::tags",
    "referee",
];

/// Files of `it` that are one room.
const FLAT: [&str; 6] = ["build", "corpus", "house", "pty", "referee", "stand_ins"];

/// A name on the page: of which crate, where the page says so, and which tests are meant.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    of: String,
    begins: String,
    ends: String,
}

impl Name {
    /// A test, a room with all that is in it, or a beginning or an end with `…` for the rest.
    fn means(&self, of: &str, test: &str) -> bool {
        let Some(rest) = test.strip_prefix(&self.begins) else { return false };
        let whole = rest.is_empty() || rest.starts_with("::");
        (self.of.is_empty() || self.of == of) && (whole || !self.ends.is_empty()) && ends(rest, &self.ends)
    }
}

/// `…` is any end.
fn ends(rest: &str, end: &str) -> bool {
    end.is_empty() || end == "…" || rest.ends_with(end)
}

/// All names in backticks that have a `::`, and of the last column all there are. `…::x` is beside the name before it.
fn names(page: &str) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    let mut room = String::new();
    for line in page.lines() {
        let pieces: Vec<&str> = line.split('`').collect();
        for pair in pieces[..pieces.len() - 1].chunks_exact(2) {
            let (before, name) = (pair[0].split_whitespace().last().unwrap_or_default(), pair[1]);
            let beside = name.strip_prefix('…');
            let in_last = line.trim_end_matches(['|', ' ']).rsplit('|').next().is_some_and(|last| last.contains(name));
            let at_root = line.starts_with('|') && in_last && name.contains('_') && name.chars().all(is_of_names);
            if !name.contains("::") && !at_root && beside.is_none_or(|rest| !rest.starts_with('_')) {
                continue;
            }
            let of = if PLACES.iter().any(|(of, _)| *of == before) { before.to_owned() } else { String::new() };
            let (begins, ends) = match beside {
                Some(end) if end.starts_with('_') => (format!("{room}::"), end.to_owned()),
                Some(end) => cut(&format!("{room}{end}")),
                None => cut(name),
            };
            if beside.is_none() {
                room = begins.rsplit_once("::").map_or("", |(room, _)| room).to_owned();
            }
            found.insert(Name { of, begins, ends });
        }
    }
    found
}

fn is_of_names(char: char) -> bool {
    char.is_ascii_lowercase() || char == '_'
}

fn cut(name: &str) -> (String, String) {
    match name.strip_suffix('…') {
        Some(begins) => (begins.to_owned(), "…".to_owned()),
        None => (name.to_owned(), String::new()),
    }
}

/// Every test below a folder, by its path: `life::kept::a_lost_history_costs_the_past_alone`.
fn tests(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in sources(folder) {
        let path = file.strip_prefix(folder).unwrap().with_extension("");
        let mut rooms: Vec<String> = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        rooms.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
        let (mut inner, mut is_test) = (Vec::<(String, String)>::new(), false);
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let code = line.trim_start();
            let margin = &line[..line.len() - code.len()];
            let begun = code.split_once("mod ").and_then(|(_, rest)| rest.strip_suffix(" {"));
            if let Some(name) = begun.filter(|name| name.chars().all(|char| char.is_alphanumeric() || char == '_')) {
                inner.push((format!("{margin}}}"), name.to_owned()));
            }
            inner.pop_if(|(end, _)| *end == line);
            is_test |= code.starts_with("#[test]") || code.starts_with("#[tokio::test");
            let function = code.split_once("fn ").filter(|(front, _)| ["", "async ", "pub "].contains(front));
            if let (Some((_, rest)), true) = (function, is_test) {
                let name = first_word(rest).to_owned();
                let path = rooms.iter().chain(inner.iter().map(|(_, name)| name)).chain([&name]);
                found.insert(path.cloned().collect::<Vec<_>>().join("::"));
                is_test = false;
            }
        }
    }
    found
}

fn page() -> String {
    std::fs::read_to_string(house().join("tests/README.md")).unwrap()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let all = PLACES.map(|(of, folder)| (of, tests(&house().join(folder))));
    let known = |name: &Name| all.iter().any(|(of, tests)| tests.iter().any(|test| name.means(of, test)));
    let gone: Vec<_> = names(&page()).into_iter().filter(|name| !known(name)).collect();
    assert!(gone.is_empty(), "tests/README.md names tests that are not there: {gone:#?}");
}

#[test]
fn every_test_of_a_fault_is_on_the_page() {
    let names = names(&page());
    let told = |test: &String| names.iter().any(|name| name.means("", test));
    let of_whole = |test: &String| WHOLE.iter().any(|room| test.starts_with(&format!("{room}::")));
    let all = tests(&house().join("tests/it"));
    let missing: Vec<_> = all.into_iter().filter(|test| of_whole(test) && !told(test)).collect();
    assert!(missing.is_empty(), "not in the matrix of tests/README.md: {missing:#?}");
}

/// A test that only root can run is ignored for all others, and run by its name where root is.
#[test]
fn every_test_that_wants_root_is_run_by_name() {
    let run = std::fs::read_to_string(house().join("tests/real/run")).unwrap();
    let by_name = run.lines().filter_map(|line| line.trim().split(' ').next()).filter(|word| word.contains("::"));
    let by_name: BTreeSet<String> = by_name.map(str::to_owned).collect();
    let folder = house().join("tests/it");
    let gone: Vec<_> = by_name.difference(&tests(&folder)).cloned().collect();
    assert!(gone.is_empty(), "tests/real/run names tests that are not there: {gone:#?}");
    let marks = |file| std::fs::read_to_string(file).unwrap().matches("; told by tests/real/run\"]").count();
    assert_eq!(sources(&folder).into_iter().map(marks).sum::<usize>(), by_name.len(), "{by_name:#?}");
}

/// A room that is new is put where it belongs.
#[test]
fn every_room_is_on_the_page_whole_or_partly() {
    let room = |test: &String| {
        let parts: Vec<&str> = test.split("::").collect();
        parts[..if FLAT.contains(&parts[0]) { 1 } else { 2 }].join("::")
    };
    let all: BTreeSet<_> = tests(&house().join("tests/it")).iter().map(room).collect();
    let placed = WHOLE.iter().chain(PARTLY).chain(&["pty", "stand_ins"]);
    assert_eq!(all, placed.map(|room| (*room).to_owned()).collect());
}

#[test]
fn names_are_read_as_people_write_them() {
    let page = "| a | b | agent `x::tests::one_…`, `…::two`; `life::y::three_ends`, `…_four` |";
    let names = names(page);
    let means = |of: &str, test: &str| names.iter().any(|name| name.means(of, test));
    for (of, test) in [("agent", "x::tests::one_way"), ("agent", "x::tests::two"), ("", "life::y::that_four")] {
        assert!(means(of, test), "{test}: {names:#?}");
    }
    for (of, test) in [("console", "x::tests::one_way"), ("agent", "x::tests::two_more"), ("", "life::y::three")] {
        assert!(!means(of, test), "{test}: {names:#?}");
    }
}
