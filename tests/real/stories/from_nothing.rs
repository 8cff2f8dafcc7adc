//! The guide's page *From nothing on one machine*: its commands are run as they stand, by a user who has nothing yet.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::real::Parts;

use super::*;

/// The page.
const PAGE: &str = include_str!("../../../shared/guide/from-nothing.md");

/// The registry and the base image of the page, and where the world has them.
const REGISTRY: &str = "127.0.0.1:5000";
const BASE: &str = "FROM busybox:1";

/// The namespace of the page's application.
const NAMESPACE: &str = "shop";

/// How long the pods of a release may take, their image included.
const PATIENCE: &str = "180s";

#[tokio::test]
async fn the_commands_of_from_nothing_release_a_shop_twice() -> anyhow::Result<()> {
    story_of_parts(async |parts| {
        let home = tempfile::tempdir()?;
        let agent = home.path().join("agent.pid");
        let told = run(parts, home.path(), &agent);
        // Whatever became of it, nothing of it stays.
        if let Ok(pid) = std::fs::read_to_string(&agent) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
        parts.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"])?;
        told
    })
    .await
}

/// Runs the page with the world's parts, and looks at what is released after each tag.
fn run(parts: &Parts, home: &Path, agent: &Path) -> anyhow::Result<()> {
    let script = home.join("page.sh");
    std::fs::write(&script, script_of(parts.get("REGISTRY"), agent)?)?;
    let programs = programs(home)?;
    let path = format!("{}:{}", programs.display(), parts.path_with_programs()?.display());
    let mut command = Command::new("bash");
    command.arg(&script).current_dir(home).env_clear();
    command.env("PATH", path).env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
    for name in ["KUBECONFIG", "KUBECACHEDIR", "DOCKER_HOST"] {
        command.env(name, parts.get(name));
    }
    for (name, value) in [("NAME", "Tour"), ("EMAIL", "tour@example.test")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    std::fs::create_dir(home.join("run"))?;
    std::fs::set_permissions(home.join("run"), std::fs::Permissions::from_mode(0o700))?;
    let output = home.join("output");
    let printed = std::fs::File::create(&output)?;
    let status = command.stdin(Stdio::null()).stderr(printed.try_clone()?).stdout(printed).status()?;
    let printed = std::fs::read_to_string(&output)?;
    ensure!(status.success(), "the page ended with {status}:\n{printed}");
    for words in ["remote: quarterdeck: polled now", "pushed the first", "pushed the second"] {
        ensure!(printed.contains(words), "not printed: {words}\n{printed}");
    }
    Ok(())
}

/// The page's blocks in the order in which they stand, and what a person waits for between them.
fn script_of(registry: &str, agent: &Path) -> anyhow::Result<String> {
    let (_, page) = PAGE.split_once("## Two repositories").context("the page begins with its repositories")?;
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    // Each is asked until it says so: the cluster that it has the release, the agent that its run has ended.
    let until = |what: String| format!("for try in $(seq 180); do {what} > found && break; sleep 1; done\ncat found\n");
    let released = |version: &str, which: &str| {
        let image = "jsonpath='{.spec.template.spec.containers[0].image}'";
        let deployed =
            format!("kubectl -n {NAMESPACE} get deployment shop -o {image} | grep -F '{registry}/shop:{version}'");
        let delivered = format!("qd runs shop -o json | grep '\"pushed [^\"]*:{version}, promoted'");
        let ready = format!("kubectl -n {NAMESPACE} rollout status deployment shop --timeout {PATIENCE}\n");
        until(deployed)
            + &ready
            + &until(delivered)
            + &format!("grep -F '{version}, promoted' found && echo 'pushed {which}'\n")
    };
    let mut script = "set -euo pipefail\n".to_owned();
    for block in blocks {
        for line in block.lines() {
            let line = line.replace(REGISTRY, registry).replace(BASE, "FROM world/busybox:1");
            match &*line {
                // The console, which has a terminal of its own.
                line if line.starts_with("qd ") && line.contains("# in another terminal") => continue,
                // Nobody is as fast as a script.
                "qd-agent run &" => script.push_str(&format!(
                    "{line}\necho $! > {}\nfor try in $(seq 60); do qd version > version 2>&1 && break; sleep 0.5; done\n",
                    agent.display()
                )),
                line => script.push_str(&format!("{line}\n")),
            }
        }
        for (version, which) in [("1.0.0", "the first"), ("1.1.0", "the second")] {
            if block.contains(&format!("push-{version}")) {
                script.push_str(&released(version, which));
            }
        }
    }
    Ok(script)
}

/// A folder with the agent and the console under their own names.
fn programs(home: &Path) -> anyhow::Result<std::path::PathBuf> {
    let folder = home.join("bin");
    std::fs::create_dir(&folder)?;
    for (name, part) in [("qd-agent", "agent"), ("qd", "console")] {
        let program = folder.join(name);
        std::fs::write(&program, format!("#!/bin/sh\nexec {} {part} \"$@\"\n", env!("CARGO_BIN_EXE_playground")))?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(folder)
}
