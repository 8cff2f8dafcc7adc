//! The files of a crate: all that lie there, those that `mod` leads to, and those of them that are built for more than tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::code::{bare, product};

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

/// The files of a crate that its library and its programs are built from.
pub(super) fn of_product(folder: &Path) -> BTreeSet<PathBuf> {
    roots(folder, &["lib", "bin"]).iter().flat_map(|root| below(root, product)).collect()
}

/// Files of a crate that the compiler never sees.
pub(super) fn forgotten(folder: &Path) -> Vec<PathBuf> {
    let seen: BTreeSet<_> = roots(folder, &KINDS).iter().flat_map(|root| below(root, bare)).collect();
    sources(folder).into_iter().filter(|file| !seen.contains(file)).collect()
}

/// What cargo builds from a crate.
pub(super) const KINDS: [&str; 5] = ["lib", "bin", "test", "bench", "example"];

/// The files with which what cargo builds begins, of these kinds.
pub(super) fn roots(folder: &Path, kinds: &[&str]) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let mut roots: Vec<PathBuf> = ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root)).into();
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind));
    for table in tables.flat_map(|table| table.as_array().cloned().unwrap_or_else(|| vec![table.clone()])) {
        roots.extend(table.get("path").and_then(|path| path.as_str()).map(|path| folder.join(path)));
    }
    if kinds.contains(&"test") {
        // What stands in `tests/` of a crate is a program of its own each, as cargo has it.
        let programs = folder.join("tests").read_dir().into_iter().flatten().map(|entry| entry.unwrap().path());
        roots.extend(programs.filter(|path| path.is_file()));
    }
    roots.retain(|root| root.exists());
    roots.sort();
    roots.dedup();
    roots
}

/// The file of a root and those that `mod` leads to from there, as far as that code is counted.
pub(super) fn below(root: &Path, counted: fn(&str) -> String) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(file) = open.pop() {
        let own = file.file_stem().unwrap().to_str().unwrap();
        let parent = file.parent().unwrap();
        let below = if file == root || own == "mod" { parent.to_owned() } else { parent.join(own) };
        for name in modules(&counted(&std::fs::read_to_string(&file).unwrap())) {
            let places = [below.join(format!("{name}.rs")), below.join(&name).join("mod.rs")];
            open.extend(places.into_iter().filter(|place| place.exists()));
        }
        seen.insert(file);
    }
    seen
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
