//! A build that prints more than anybody reads.

use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::status::Phase;

use super::*;

/// 32 MB in lines of 256 bytes: the log keeps its beginning and its end and counts what is between, and the agent holds
/// little of it at any time.
#[tokio::test]
async fn a_build_that_prints_32_mb_costs_a_bounded_log_and_little_memory() {
    const LOG_BYTES: u64 = 1 << 20;
    const PRINTED: u64 = (32 << 20) / 256;
    /// What is on its way between engine, log and consoles is some MB; the whole would be 32 and more.
    const GROWTH_KIB: u64 = 24 << 10;
    let mut world = shop().await;
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&format!("[history]\nlog_bytes = {LOG_BYTES}\n\n{text}")).unwrap();
    // The first build warms up what every build needs.
    code(&world).tag("build-1.0.0", "main");
    world.start_agent().await.unwrap();
    world.wait_run("the first build", |run| run.phase.is_final()).await.unwrap();
    let before = world.memory_kib("VmRSS").unwrap();

    let dockerfile = format!("FROM busybox:1\nRUN yes {} | head -c 32M\n", "x".repeat(255));
    let big = code(&world).change("main").write("Dockerfile", dockerfile.as_bytes()).commit("Prints much");
    code(&world).tag("build-1.1.0", &big);
    // Twice the patience: of the beginning, and of the end.
    let begun = |state: &State| {
        let run = harness::world::runs(state).find(|run| run.reference == "build-1.1.0")?;
        let written = std::fs::metadata(world.path(&format!("data/runs/run-{}.ndjson", run.id))).ok()?.len();
        (written > LOG_BYTES / 2).then_some(())
    };
    world.wait("its first lines", begun).await.unwrap();
    let ended = |run: &quarterdeck_shared::snapshot::RunStatus| run.reference == "build-1.1.0" && run.phase.is_final();
    let run = world.wait_run("the build that prints", ended).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    let growth = world.memory_kib("VmHWM").unwrap() - before;
    assert!(growth < GROWTH_KIB, "the agent grew by {growth} KiB");

    let path = world.path(&format!("data/runs/run-{}.ndjson", run.id));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.len() as u64 <= LOG_BYTES + 4096, "the log has {} bytes", text.len());
    let records: Vec<LogRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let printed = |record: &&LogRecord| matches!(record, LogRecord::Line { text, .. } if text.starts_with("xxx"));
    let kept = records.iter().filter(printed).count() as u64;
    let gaps: Vec<u64> =
        records.iter().filter_map(|r| if let LogRecord::Gap { lines, .. } = r { *lines } else { None }).collect();
    let [gap] = gaps[..] else { panic!("{gaps:?}") };
    assert!(kept > 1000, "{kept}");
    assert_eq!(kept + gap, PRINTED, "every line is kept or counted");
    let said = |part: &str| records.iter().any(|r| matches!(r, LogRecord::Line { text, .. } if text.contains(part)));
    assert!(said("FROM busybox:1") && said("Successfully built"), "the beginning and the end are there");
    // Who looks is told the same.
    let mut told = world.client().stream::<LogRecord>(&format!("/v1/runs/{}/log", run.id), None).await.unwrap();
    let mut count = 0;
    while told.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, records.len());
}
