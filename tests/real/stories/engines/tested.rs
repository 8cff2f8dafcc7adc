//! Tests on a real engine: services by their names, each limit as the kernel keeps it, and nothing left behind.

use std::time::{Duration, Instant};

use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::status::StageKind;

use super::*;

const LABEL: &str = "label=dev.quarterdeck.test-of";

/// A shop that is built and tested, and runs nowhere.
fn configured(town: &Town, builder: &str, tests: &str) -> String {
    let engine = format!("address = \"{}\"\nbuilder = \"{builder}\"", town.parts.get("DOCKER_HOST"));
    config(town, &engine, tests)
}

/// A test that runs this.
fn command(words: &str, more: &str) -> String {
    format!("[[application.test]]\nname = \"unit\"\ncommand = {words}\n{more}")
}

async fn begins(town: &mut Town, builder: &str, tests: &str) -> anyhow::Result<()> {
    town.agent.configure(&configured(town, builder, tests))?;
    town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
    town.agent.start_agent().await
}

/// Another test, and a tag that asks for it.
async fn ends(town: &mut Town, tests: &str, tag: &str) -> anyhow::Result<RunStatus> {
    town.agent.kill_agent();
    town.agent.configure(&configured(town, "auto", tests))?;
    town.agent.start_agent().await?;
    town.shop.tag(tag)?;
    town.agent.wait_run(&format!("the end of {tag}"), |run| run.reference == tag && run.phase.is_final()).await
}

/// What tests made and did not take away, of this town.
fn left(town: &Town) -> anyhow::Result<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let mine = format!("{LABEL}={}:{}/shop", host.trim(), town.agent.path("data").display());
    let list = |words: &[&str]| town.parts.docker(&[words, &["--quiet", "--filter", &mine]].concat());
    Ok(list(&["ps", "--all"])? + &list(&["network", "ls"])? + &list(&["images", "--all"])?)
}

#[tokio::test]
async fn a_test_reaches_its_services_and_what_it_counts_is_told() -> anyhow::Result<()> {
    story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        let web = format!("{}-web:1", town.image);
        town.parts.docker(&["tag", "world/busybox:1", &web])?;
        town.parts.docker(&["push", &web])?;
        town.parts.docker(&["rmi", &web])?;
        let service = format!(
            "reports = [\"/reports\"]\n[[application.test.service]]\nname = \"web\"\nimage = \"{web}\"\n\
             command = [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/etc\"]\n\
             ready = [\"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1:8080/passwd\"]\n"
        );
        let report = |case: &str| format!("<testsuite><testcase name='adds'/>{case}</testsuite>");
        let script = |case: &str| {
            let write = format!("mkdir /reports && echo \"{}\" > /reports/a.xml", report(case));
            command(
                &format!(
                    "[\"sh\", \"-c\", '''wget -q -O /tmp/a http://web:8080/passwd && grep root /tmp/a && {write}''']"
                ),
                &service,
            )
        };
        begins(town, "auto", &script("")).await?;
        town.shop.tag("push-1.4.0")?;
        let run = town.agent.wait_run("the push", |run| run.reference == "push-1.4.0" && run.phase.is_final()).await?;
        ensure!(run.phase == Phase::Succeeded, "{}\n{:#?}", run.message, town.log(run.id).await?);
        ensure!(run.tests.len() == 1 && run.tests[0].message == "1 passed", "{:#?}", run.tests);
        ensure!(town.log(run.id).await?.iter().any(|line| line.starts_with("pulling ")), "the service was pulled");
        ensure!(left(town)?.is_empty(), "left: {}", left(town)?);

        town.shop.commit(&borrowed(&code("1.5.0", 0)), "Another")?;
        let failed =
            ends(town, &script("<testcase name='pays'><failure message='3 is not 4'/></testcase>"), "push-1.5.0")
                .await?;
        ensure!(failed.message.contains("test unit failed: 1 of 2 failed"), "{}", failed.message);
        ensure!(digest(&failed).is_none(), "nothing was pushed");
        ensure!(left(town)?.is_empty(), "left: {}", left(town)?);
        town.parts.docker(&["rmi", &web]).map(drop)?;
        Place::open(town).forget(town, &run).await
    })
    .await
}

#[tokio::test]
async fn each_limit_of_a_test_is_kept_by_the_engine() -> anyhow::Result<()> {
    story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        begins(town, "auto", &command("[\"true\"]", "")).await?;
        let forks = "[\"sh\", \"-c\", \"i=0; while [ $i -lt 40 ]; do sleep 9 & i=$((i+1)); done\"]";
        let rows = [
            ("[\"tail\", \"/dev/zero\"]", "memory_bytes = 67108864\n", "it needed more than its 64 MiB of memory"),
            (forks, "processes = 16\n", "exit code 2"),
            ("[\"sleep\", \"600\"]", "timeout = \"2s\"\n", "took longer than 2s and was stopped"),
            ("[\"no-such-program\"]", "", "cannot be started"),
            ("[\"sh\", \"-c\", \"echo no; exit 7\"]", "", "test unit failed: exit code 7"),
        ];
        for (number, (words, more, told)) in rows.into_iter().enumerate() {
            let run = ends(town, &command(words, more), &format!("build-{number}")).await?;
            let log = town.log(run.id).await?;
            ensure!(run.phase == Phase::Failed && run.message.contains(told), "{told}: {}\n{log:#?}", run.message);
            ensure!(left(town)?.is_empty(), "{told}: left: {}", left(town)?);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cancelled_test_ends_within_two_seconds_and_a_killed_agent_leaves_nothing_for_long() -> anyhow::Result<()> {
    story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        let service = "[[application.test.service]]\nname = \"web\"\nimage = \"world/busybox:1\"\ncommand = [\"sleep\", \"600\"]\n";
        begins(town, "auto", &command("[\"sh\", \"-c\", \"echo begun; sleep 600\"]", service)).await?;
        let begun = async |town: &Town, tag: &str| {
            let at_it = |run: &RunStatus| {
                let test = run.stages.iter().find(|stage| stage.kind == StageKind::Test);
                run.reference == tag && test.is_some_and(|stage| stage.message == "begun")
            };
            town.agent.wait_run("the test to begin", at_it).await
        };
        town.shop.tag("build-1")?;
        let run = begun(town, "build-1").await?;
        let asked = Instant::now();
        let path = format!("/v1/runs/{}/cancel", run.id);
        let _: Accepted = town.agent.client().post(&path, &serde_json::json!({})).await?;
        let run = town.agent.wait_run("its end", |run| run.reference == "build-1" && run.phase.is_final()).await?;
        let took = asked.elapsed();
        ensure!(run.phase == Phase::Cancelled && took < Duration::from_secs(2), "{} after {took:?}", run.phase);
        ensure!(left(town)?.is_empty(), "left: {}", left(town)?);

        town.shop.tag("build-2")?;
        begun(town, "build-2").await?;
        town.agent.kill_agent();
        ensure!(left(town)?.lines().count() == 3, "two containers and a network: {}", left(town)?);
        town.agent.configure(&configured(town, "auto", &command("[\"true\"]", "")))?;
        town.agent.start_agent().await?;
        let resumed = |run: &RunStatus| run.resumes.is_some() && run.phase == Phase::Succeeded;
        town.agent.wait_run("the run that takes it up", resumed).await?;
        ensure!(left(town)?.is_empty(), "left: {}", left(town)?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_stage_of_the_dockerfile_is_a_test_on_each_builder() -> anyhow::Result<()> {
    story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        let target = "[[application.test]]\nname = \"lint\"\ntarget = \"check\"\n";
        for (builder, tag) in [("buildkit", "build-a"), ("classic", "build-b")] {
            let mut files = code("1.4.0", 0);
            files[0].1 =
                format!("FROM world/busybox:1 AS check\nRUN echo {} {builder} is checked\n{}", town.name, files[0].1);
            town.agent.kill_agent();
            town.agent.configure(&configured(town, builder, target))?;
            town.shop.commit(&borrowed(&files), builder)?;
            town.agent.start_agent().await?;
            town.shop.tag(tag)?;
            let run = town.agent.wait_run("its end", |run| run.reference == tag && run.phase.is_final()).await?;
            ensure!(run.phase == Phase::Succeeded, "{builder}: {}", run.message);
            ensure!(run.tests[0].message == "stage check was built", "{builder}: {:?}", run.tests);
            ensure!(town.log(run.id).await?.iter().any(|line| line.contains("is checked")), "{builder}: its output");
            ensure!(left(town)?.is_empty(), "{builder}: left: {}", left(town)?);
        }
        Ok(())
    })
    .await
}
