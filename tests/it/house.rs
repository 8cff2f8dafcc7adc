//! The house itself: which crate may know which, what the pure ones may be made of, rooms that do not go in circles, no
//! dependency without a use and no file that nobody compiles. `DESIGN` says why; the compiler keeps the rest.

mod files;
mod guide;
mod language;
mod readme;
mod rooms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each crate: where it is, and which crates of the house it may know.
const CRATES: [(&str, &str, &[&str]); 9] = [
    ("quarterdeck-shared", "shared", &[]),
    ("quarterdeck-core", "agent/core", &["quarterdeck-shared"]),
    ("quarterdeck-system", "agent/system", &["quarterdeck-core"]),
    ("quarterdeck-kubernetes", "agent/kubernetes", DOOR),
    ("quarterdeck-git", "agent/git", DOOR),
    ("quarterdeck-container", "agent/container", DOOR),
    ("quarterdeck-agent", "agent", BELOW_THE_AGENT),
    ("quarterdeck-tui", "tui", &["quarterdeck-shared"]),
    ("quarterdeck-tests", "tests", EVERYTHING),
];

/// What a crate may know that speaks with one kind of other program. The three do not know each other.
const DOOR: &[&str] = &["quarterdeck-shared", "quarterdeck-core", "quarterdeck-system"];

const BELOW_THE_AGENT: &[&str] = &[
    "quarterdeck-shared",
    "quarterdeck-core",
    "quarterdeck-system",
    "quarterdeck-kubernetes",
    "quarterdeck-git",
    "quarterdeck-container",
];

const EVERYTHING: &[&str] = &[
    "quarterdeck-shared",
    "quarterdeck-core",
    "quarterdeck-system",
    "quarterdeck-kubernetes",
    "quarterdeck-git",
    "quarterdeck-container",
    "quarterdeck-agent",
    "quarterdeck-tui",
];

/// Crates that only decide: no runtime, no socket, no disk, no process.
const PURE: [&str; 2] = ["quarterdeck-shared", "quarterdeck-core"];

/// What the pure ones may be made of.
const PURE_PARTS: [&str; 13] = [
    "base64",
    "cel",      // an interpreter without files, sockets and clocks
    "gix-glob", // how git matches the names of tags; it knows nothing of repositories
    "granit-parser",
    "jiff",
    "quarterdeck-shared",
    "secrecy",
    "serde",
    "serde-saphyr",
    "serde_json",
    "serde_urlencoded", // text alone: what a query looks like
    "sha2",
    "thiserror",
];

/// What a pure crate does not name, whatever its dependencies are: the standard library has a world of its own.
const WORLD: [&str; 7] = ["fs", "net::Tcp", "net::Udp", "process", "env", "thread", "time::SystemTime"];

/// Dependencies that are declared for what is not below the crate's folder.
const FOR_ANOTHER: [(&str, &str); 2] = [
    ("quarterdeck-tests", "ratatui"), // what `tests/fuzz` draws on, whose corpus runs here as well
    ("quarterdeck-kubernetes", "k8s-openapi"), // its feature says which Kubernetes `kube` is built for
];

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What the manifest of a crate names: dependencies, and those of its tests.
fn depends_on(folder: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(house().join(folder).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let names = |table: &str| match manifest.get(table).and_then(|names| names.as_table()) {
        Some(names) => names.keys().cloned().collect(),
        None => BTreeSet::new(),
    };
    (names("dependencies"), names("dev-dependencies"))
}

#[test]
fn every_crate_of_the_house_is_known_here() {
    let text = std::fs::read_to_string(house().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let members: BTreeSet<_> =
        manifest["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, CRATES.map(|(_, folder, _)| folder).into());
}

#[test]
fn no_crate_knows_one_above_it_or_beside_it() {
    for (name, folder, may) in CRATES {
        let knows: BTreeSet<_> =
            depends_on(folder).0.into_iter().filter(|one| one.starts_with("quarterdeck-")).collect();
        let more: Vec<_> = knows.iter().filter(|one| !may.contains(&one.as_str())).collect();
        assert!(more.is_empty(), "{name} may not know {more:?}");
    }
}

#[test]
fn what_decides_does_nothing() {
    for (name, folder, _) in CRATES.iter().filter(|(name, ..)| PURE.contains(name)) {
        let more: Vec<_> =
            depends_on(folder).0.into_iter().filter(|part| !PURE_PARTS.contains(&part.as_str())).collect();
        assert!(more.is_empty(), "{name} is pure, and depends on {more:?}");
        let named = files::named_by(&house().join(folder).join("src"), &WORLD);
        assert!(named.is_empty(), "{name} is pure, and names the world outside in {named:#?}");
    }
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for (name, folder, _) in CRATES {
        let (normal, dev) = depends_on(folder);
        let used = files::words_of(&house().join(folder));
        let missing = normal.union(&dev).filter(|part| !used.contains(&part.replace('-', "_")));
        let missing = missing.filter(|part| !FOR_ANOTHER.contains(&(name, part)));
        unused.extend(missing.map(|part| format!("{name}: {part}")));
    }
    assert!(unused.is_empty(), "declared and not used: {unused:#?}");
}

#[test]
fn every_pinned_dependency_has_a_member() {
    let text = std::fs::read_to_string(house().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let pinned = manifest["workspace"]["dependencies"].as_table().unwrap().keys().cloned();
    let declared: BTreeSet<_> = CRATES
        .iter()
        .flat_map(|(_, folder, _)| {
            let (normal, dev) = depends_on(folder);
            normal.into_iter().chain(dev)
        })
        .collect();
    let idle: Vec<_> = pinned.filter(|part| !declared.contains(part)).collect();
    assert!(idle.is_empty(), "pinned, and nobody's: {idle:?}");
}

#[test]
fn every_file_is_compiled() {
    let forgotten: Vec<_> = CRATES.iter().flat_map(|(_, folder, _)| files::forgotten(&house().join(folder))).collect();
    assert!(forgotten.is_empty(), "no `mod` leads to {forgotten:#?}");
}

#[test]
fn no_rooms_go_in_a_circle() {
    for (name, folder, _) in CRATES.iter().filter(|(_, folder, _)| *folder != "tests") {
        let circles = rooms::circles(&rooms::arrows(&house().join(folder).join("src")));
        assert!(circles.is_empty(), "in {name} these know each other:\n{}", circles.join("\n"));
    }
}

/// The test of the test: a circle that is there is found, with the files that make it.
#[test]
fn a_circle_is_found() {
    let arrows =
        BTreeMap::from([(("a", "b"), "a/x.rs"), (("b", "c"), "b.rs"), (("c", "a"), "c.rs"), (("d", "a"), "d.rs")]);
    let arrows =
        arrows.into_iter().map(|((from, to), file)| ((from.to_owned(), to.to_owned()), file.to_owned())).collect();
    assert_eq!(rooms::circles(&arrows), ["a -> b (a/x.rs), b -> c (b.rs), c -> a (c.rs)"]);
}

/// And what code names is read as the compiler reads it, whatever the depth.
#[test]
fn what_a_module_names_is_read() {
    let own = ["watch", "stream"].map(str::to_owned);
    let named = |code: &str| -> Vec<String> { rooms::named(code, &own).iter().map(|way| way.join("::")).collect() };
    assert_eq!(named("use crate::{pace, cache::{self, seen::Seen}};"), ["pace", "cache::self", "cache::seen::Seen"]);
    assert_eq!(named("use super::pages; super::super::pace::next()"), ["watch::pages", "pace::next"]);
    assert_eq!(named("pub(super) fn other_crate::x() { mycrate::y(); tokio::super_::z() }"), Vec::<String>::new());
}
