//! Who may do what, and what the agent keeps from other users.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use http::Method;
use quarterdeck_agent::api::ROUTES;
use quarterdeck_shared::protocol::Role;
use quarterdeck_shared::status::Phase;

use super::*;

#[test]
fn what_changes_something_is_a_post_and_asks_for_more_than_looking() {
    for route in ROUTES {
        assert_eq!(route.method == Method::POST, route.role > Role::Viewer, "{}", route.path);
    }
}

#[tokio::test]
async fn what_the_agent_writes_is_for_its_own_user() {
    let mut world = shop().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let run = world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(&world, &deploy(&world).rev("main")).await;
    let (mut count, mut open) = (0, Vec::new());
    let mut folders = vec![world.path("data"), world.path("run")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            count += 1;
            if found.mode() & 0o077 != 0 {
                open.push(format!("{:o} {}", found.mode(), entry.path().display()));
            }
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(open.is_empty() && count > 20, "{count} files, and open are {open:#?}");
}

/// A shell would read what a repository or a configuration says as its own language. git runs the ssh command of a push
/// through one, and for that each word is quoted (`source::git::ssh`).
#[test]
fn no_program_is_run_through_a_shell() {
    let mut found = Vec::new();
    let mut commands = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        commands += text.matches("Command::new(").count();
        for (number, line) in text.lines().enumerate() {
            let shell = ["\"sh\"", "\"bash\"", "/bin/sh", "/bin/bash", "\"-c\"", "\"cmd\""];
            if !line.trim_start().starts_with("//") && shell.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty() && commands >= 5, "{commands} programs are run, and through a shell {found:#?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        match (path.is_dir(), is_test) {
            (true, _) => found.extend(sources(&path)),
            (false, false) if path.extension().is_some_and(|ending| ending == "rs") => found.push(path),
            _ => {}
        }
    }
    found
}
