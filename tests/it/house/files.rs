//! The files of a crate: the words in them, and those that no `mod` leads to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every Rust file below a folder that belongs to its crate: not those of a crate inside it.
pub(super) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_crate = entry.join("Cargo.toml").exists();
            if entry.is_dir() && !is_crate && !entry.ends_with("target") {
                open.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }
    found
}

/// Every name that stands in front of `::` or behind `use` in a crate's code.
pub(super) fn words_of(folder: &Path) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for file in sources(folder) {
        let text = code(&std::fs::read_to_string(file).unwrap());
        for (at, _) in text.match_indices("::") {
            words.insert(last_word(&text[..at]));
        }
        for (at, _) in text.match_indices("use ") {
            words.insert(first_word(&text[at + 4..]));
        }
    }
    words
}

/// The files of a folder that name one of these in code that is no test.
pub(super) fn named_by(folder: &Path, names: &[&str]) -> Vec<String> {
    let named = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let text = code(text.split("#[cfg(test)]\nmod tests").next().unwrap());
        let one = names.iter().find(|name| text.contains(&format!("std::{name}")))?;
        Some(format!("{}: std::{one}", file.display()))
    };
    sources(folder).into_iter().filter(|file| !is_test(file)).filter_map(named).collect()
}

/// Whether a file is there for tests alone.
pub(super) fn is_test(file: &Path) -> bool {
    file.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Code without its comments.
pub(super) fn code(text: &str) -> String {
    text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

pub(super) fn first_word(text: &str) -> String {
    text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

fn last_word(text: &str) -> String {
    let backwards = text.chars().rev().take_while(|char| char.is_alphanumeric() || *char == '_');
    backwards.collect::<Vec<_>>().into_iter().rev().collect()
}

/// Files of a crate that the compiler never sees.
pub(super) fn forgotten(folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let mut roots: Vec<PathBuf> = ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root)).into();
    let tables = ["lib", "bin", "test", "bench", "example"].into_iter().filter_map(|kind| manifest.get(kind));
    for table in tables.flat_map(|table| table.as_array().cloned().unwrap_or_else(|| vec![table.clone()])) {
        roots.extend(table.get("path").and_then(|path| path.as_str()).map(|path| folder.join(path)));
    }
    // What stands in `tests/` of a crate is a program of its own each, as cargo has it.
    let programs = folder.join("tests").read_dir().into_iter().flatten().map(|entry| entry.unwrap().path());
    roots.extend(programs.filter(|path| path.is_file()));
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = roots.into_iter().filter(|root| root.exists()).map(|root| (root, true)).collect();
    while let Some((file, is_root)) = open.pop() {
        let text = code(&std::fs::read_to_string(&file).unwrap());
        let own = file.file_stem().unwrap().to_str().unwrap();
        let parent = file.parent().unwrap();
        let below = if is_root || own == "mod" { parent.to_owned() } else { parent.join(own) };
        for name in modules(&text) {
            let places = [below.join(format!("{name}.rs")), below.join(&name).join("mod.rs")];
            open.extend(places.into_iter().filter(|place| place.exists()).map(|place| (place, false)));
        }
        seen.insert(file);
    }
    sources(folder).into_iter().filter(|file| !seen.contains(file)).collect()
}

/// The modules that a file says are files of their own.
fn modules(text: &str) -> Vec<String> {
    let declared = |line: &str| {
        let line = line.trim();
        let line =
            ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|front| line.strip_prefix(front)).unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    text.lines().filter_map(declared).collect()
}
