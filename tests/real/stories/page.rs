//! The page *From nothing on one machine*, word for word: its commands are run one after another, as somebody types them, with the
//! world's registry and base image in place of those that the page names.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::agent::digest;
use harness::git::write_program;
use quarterdeck_shared::status::Phase;
use rustix::process::{Pid, Signal, kill_process_group};

use super::*;

const PAGE: &str = include_str!("../../../shared/guide/from-nothing.md");

#[tokio::test]
async fn from_nothing_goes_as_its_page_says() -> anyhow::Result<()> {
    story(async |town| {
        let blocks = blocks(PAGE);
        let [registry, repositories, code, manifests, application, release, next] = &blocks[..] else {
            anyhow::bail!("the page has {} blocks of commands", blocks.len());
        };
        // The world has a registry, and a console is looked at elsewhere.
        ensure!(registry.starts_with("apt install docker-registry"), "{registry}");
        let next: String =
            next.lines().filter(|line| !line.starts_with("qd  ")).map(|line| format!("{line}\n")).collect();
        let shell = Shell::of(town)?;
        for block in [repositories, code, manifests, application] {
            shell.types(town, "", block)?;
        }
        shell.types(town, "", release)?;
        is_running(town, "1.0.0").await?;
        shell.types(town, "shop", &next)?;
        is_running(town, "1.1.0").await
    })
    .await
}

/// What a tag pushed is what runs.
async fn is_running(town: &Town, version: &str) -> anyhow::Result<()> {
    let tag = format!("push-{version}");
    let run = town.agent.wait_run(&tag, |run| run.reference == tag && run.phase.is_final()).await?;
    ensure!(run.phase == Phase::Succeeded, "{run:#?}");
    let image = format!("{}:{version}@{}", image(town), digest(&run).context("it was pushed")?);
    let condition = format!("--for=jsonpath={{.spec.template.spec.containers[0].image}}={image}");
    town.kubectl(&["wait", "deployment/shop", &condition, "--timeout=60s"])?;
    town.kubectl(&["rollout", "status", "deployment/shop", "--timeout=120s"]).map(drop)
}

/// A repository of the world's registry for this town alone, since stories share the registry.
fn image(town: &Town) -> String {
    format!("{}/{}", town.parts.get("REGISTRY"), town.name)
}

/// The commands of a page, by block.
fn blocks(page: &str) -> Vec<String> {
    let fenced = page.split("\n```sh\n").skip(1);
    fenced.filter_map(|rest| Some(format!("{}\n", rest.split_once("\n```")?.0))).collect()
}

/// A person's shell; what it left running ends with it.
struct Shell {
    group: std::cell::Cell<Option<Pid>>,
}

impl Shell {
    fn of(town: &Town) -> anyhow::Result<Self> {
        let home = town.agent.path("home");
        std::fs::create_dir_all(home.join("bin"))?;
        std::fs::create_dir_all(town.agent.path("xdg/quarterdeck"))?;
        // Where the harness looks for the agent's socket.
        std::os::unix::fs::symlink(town.agent.path("xdg/quarterdeck"), town.agent.path("run"))?;
        let program = program().0;
        for (name, word) in [("qd-agent", "agent"), ("qd", "console")] {
            let text = format!("#!/bin/sh\nexec '{}' {word} \"$@\"\n", program.display());
            write_program(&home.join("bin").join(name), &text)?;
        }
        Ok(Self { group: std::cell::Cell::new(None) })
    }

    /// Types commands in a folder of its home; the first that fails is the error, with all that was said.
    fn types(&self, town: &Town, folder: &str, block: &str) -> anyhow::Result<()> {
        let home = town.agent.path("home");
        let text = block
            .replace("127.0.0.1:5000/shop", &image(town))
            .replace("FROM busybox:1", &format!("FROM {}", town.parts.get("BASE_IMAGE")))
            .replace("namespace = \"shop\"", &format!("namespace = \"{}\"", town.namespace))
            .replace("-n shop", &format!("-n {}", town.namespace))
            // Somebody who types sees that it runs before the next line.
            .replace(
                "qd-agent run &",
                "qd-agent run > ~/agent.log 2>&1 &\nuntil qd status > ~/status 2>&1; do kill -0 $!; done",
            );
        let mut shell = Command::new("bash");
        shell.args(["-e", "-u", "-x", "-o", "pipefail", "-s"]).current_dir(home.join(folder)).env_clear();
        let path = std::env::join_paths(
            std::iter::once(home.join("bin")).chain(std::env::split_paths(&town.parts.path_with_programs()?)),
        )?;
        shell.env("PATH", path).env("HOME", &home).env("XDG_RUNTIME_DIR", town.agent.path("xdg"));
        for name in ["DOCKER_HOST", "KUBECONFIG", "KUBECACHEDIR"] {
            shell.env(name, town.parts.get(name));
        }
        for who in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.test");
        }
        let said = town.agent.path("said");
        let file = std::fs::File::create(&said)?;
        shell.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        shell.process_group(0);
        let mut shell = shell.spawn()?;
        if block.contains("qd-agent run &") {
            self.group.set(Pid::from_raw(i32::try_from(shell.id())?));
        }
        shell.stdin.take().context("it reads")?.write_all(text.as_bytes())?;
        let status = shell.wait()?;
        ensure!(status.success(), "{status}:\n{}", read(&said));
        Ok(())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(group) = self.group.get() {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
