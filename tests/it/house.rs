//! The house itself: which crate may know which, what the pure ones may be made of, rooms that do not go in circles, no
//! dependency without a use and no file that nobody compiles. `DESIGN` says why; the compiler keeps the rest.

mod code;
mod files;
mod guide;
mod language;
mod paths;
mod readme;
mod rooms;

use std::collections::BTreeSet;
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
const PURE_PARTS: [&str; 19] = [
    "aes-gcm",
    "aws-lc-rs", // keys of age: computation alone, no sockets and no files
    "base64",
    "cel",      // an interpreter without files, sockets and clocks
    "gix-glob", // how git matches the names of tags; it knows nothing of repositories
    "granit-parser",
    "hmac",
    "jiff",
    "quarterdeck-shared",
    "regex",
    "roxmltree",
    "secrecy",
    "semver",
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
fn depends_on(folder: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
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
        let (knows, _) = depends_on(&house().join(folder));
        let own = knows.iter().filter(|one| one.starts_with("quarterdeck-"));
        let more: Vec<_> = own.filter(|one| !may.contains(&one.as_str())).collect();
        assert!(more.is_empty(), "{name} may not know {more:?}");
    }
}

#[test]
fn what_decides_does_nothing() {
    for (name, folder, _) in CRATES.iter().filter(|(name, ..)| PURE.contains(name)) {
        let (parts, _) = depends_on(&house().join(folder));
        let more: Vec<_> = parts.iter().filter(|part| !PURE_PARTS.contains(&part.as_str())).collect();
        assert!(more.is_empty(), "{name} is pure, and depends on {more:?}");
        for file in files::of_product(&house().join(folder)) {
            let code = code::product(&std::fs::read_to_string(&file).unwrap());
            let named = WORLD.iter().find(|one| code.contains(&format!("std::{one}")));
            assert!(named.is_none(), "{name} is pure, and {} names std::{}", file.display(), named.unwrap());
        }
    }
}

/// Where a path begins with its name, or it stands behind `use`; and where only tests name it, it is one of theirs.
#[test]
fn every_dependency_is_used() {
    let mut idle = Vec::new();
    for (name, folder, _) in CRATES {
        let folder = house().join(folder);
        let (normal, dev) = depends_on(&folder);
        let used = heads(files::sources(&folder), code::bare);
        let used_by_product = heads(files::of_product(&folder), code::product);
        for part in normal.union(&dev).filter(|part| !FOR_ANOTHER.contains(&(name, part))) {
            let word = part.replace('-', "_");
            if !used.contains(&word) {
                idle.push(format!("{name}: {part} is not used"));
            } else if normal.contains(part) && !used_by_product.contains(&word) {
                idle.push(format!("{name}: {part} is used by tests alone, and belongs in dev-dependencies"));
            }
        }
    }
    assert!(idle.is_empty(), "{idle:#?}");
}

/// The names that paths begin with in these files, as far as that code is counted.
fn heads(files: impl IntoIterator<Item = PathBuf>, counted: fn(&str) -> String) -> BTreeSet<String> {
    let read = |file| paths::heads(&counted(&std::fs::read_to_string(file).unwrap()));
    files.into_iter().flat_map(read).collect()
}

#[test]
fn every_pinned_dependency_has_a_member() {
    let text = std::fs::read_to_string(house().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let pinned = manifest["workspace"]["dependencies"].as_table().unwrap().keys().cloned();
    let declared: BTreeSet<_> = CRATES
        .iter()
        .flat_map(|(_, folder, _)| {
            let (normal, dev) = depends_on(&house().join(folder));
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
    for (name, folder, _) in CRATES {
        for root in files::roots(&house().join(folder), &files::KINDS) {
            let circles = rooms::circles(&rooms::arrows(&root));
            assert!(
                circles.is_empty(),
                "in {name}, {}, these know each other:\n{}",
                root.display(),
                circles.join("\n")
            );
        }
    }
}

/// A shell would read what a repository or a configuration says as its own language. git runs the ssh command of a push
/// through one, and for that each word is quoted (`quarterdeck_git`, `mirror::ssh`).
#[test]
fn no_program_is_run_through_a_shell() {
    let (mut found, mut commands) = (Vec::new(), 0);
    for (_, folder, _) in CRATES.iter().filter(|(_, folder, _)| *folder != "tests") {
        for file in files::of_product(&house().join(folder)) {
            let text = code::without_tests(&std::fs::read_to_string(&file).unwrap());
            commands += text.matches("Command::new(").count();
            let shells = code::literals(&text).into_iter().filter(|literal| is_of_a_shell(literal));
            found.extend(shells.map(|literal| format!("{}: {literal:?}", file.display())));
        }
    }
    assert!(found.is_empty() && commands >= 5, "{commands} programs are run, and through a shell {found:#?}");
}

fn is_of_a_shell(literal: &str) -> bool {
    ["sh", "bash", "-c", "cmd"].contains(&literal) || literal.contains("/bin/sh") || literal.contains("/bin/bash")
}
