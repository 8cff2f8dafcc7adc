//! A `RUN` that prints more than anybody reads, on each builder.

use super::*;

/// What a log may hold; the agent's default is more.
const LOG_BYTES: u64 = 1 << 20;

/// What is on its way between engine, log and consoles is some MB; the whole would be hundreds.
const GROWTH_KIB: u64 = 32 << 10;

/// How much each builder is made to print. BuildKit hands some MB on and counts the rest as clipped; the classic one hands
/// all of it on, which a debug build of the agent takes at 10 MB/s, and at a tenth of that beside other stories on a slow day.
const PRINTS: [(&str, u64); 2] = [("buildkit", 1 << 30), ("classic", 128 << 20)];

/// The build goes on to its end, the log keeps its beginning and its end, and the agent holds little of it at any time.
#[tokio::test]
async fn a_run_that_prints_up_to_1_gb_costs_a_bounded_log_and_little_memory() -> anyhow::Result<()> {
    story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        for (builder, bytes) in PRINTS {
            let mut files = code("1.4.0", 0);
            // With our name in it, so that no engine has it from a story that was told before.
            files[0].1 += &format!("RUN : {}; yes {} | head -c {bytes}\n", town.name, "x".repeat(255));
            town.shop.commit(&borrowed(&files), builder)?;
            let engine = format!("address = \"{}\"\nbuilder = \"{builder}\"", town.parts.get("DOCKER_HOST"));
            town.agent.kill_agent();
            town.agent.configure(&config(town, &engine, &format!("[history]\nlog_bytes = {LOG_BYTES}\n")))?;
            town.agent.start_agent().await?;
            let before = town.agent.memory_kib("VmRSS")?;
            let tag = format!("build-1.4.0-{builder}");
            town.shop.tag(&tag)?;
            let ended = |run: &RunStatus| run.reference == tag && run.phase.is_final();
            let run = town.agent.wait_run(&format!("the end of {tag}"), ended).await?;
            ensure!(run.phase == Phase::Succeeded, "{builder} {}: {}", run.phase, run.message);
            let growth = town.agent.memory_kib("VmHWM")?.saturating_sub(before);
            ensure!(growth < GROWTH_KIB, "{builder}: the agent grew by {growth} KiB");
            let written = std::fs::metadata(town.agent.path(&format!("data/runs/run-{}.ndjson", run.id)))?.len();
            ensure!(written <= LOG_BYTES + 4096, "{builder}: the log has {written} bytes");
            let log = town.log(run.id).await?;
            let printed = log.iter().filter(|line| line.contains("xxxxxxxx")).count();
            ensure!(printed > 500, "{builder}: {printed} lines were kept");
        }
        Ok(())
    })
    .await
}
