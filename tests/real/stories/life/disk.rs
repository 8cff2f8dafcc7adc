//! A disk without room: the agent's data directory on a file system of a few MB that somebody fills. What is real here is the
//! disk; all that the agent talks to stands in.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::agent::is_at;
use harness::cluster::Pace;
use harness::world::{self, World, borrowed};
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{LogRecord, State};
use quarterdeck_shared::snapshot::{Object, RunStatus};
use quarterdeck_shared::status::{Phase, SyncStatus};

use super::*;

/// Room for history, mirrors and logs of a small shop.
const BYTES: u64 = 12 << 20;

/// A file system in memory; it goes with the story.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&at)?;
        let size = format!("size={BYTES},mode=700");
        said(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "quarterdeck-test"]).arg(&at))?;
        Ok(Self(at))
    }

    fn fill(&self) -> PathBuf {
        self.0.join("somebody-elses")
    }

    /// To the last byte.
    fn filled(&self) -> anyhow::Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.fill())?;
        for piece in [1 << 20, 4096, 1] {
            while file.write_all(&vec![b'x'; piece]).is_ok() {}
        }
        Ok(())
    }

    fn freed(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.fill())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the agent ends after us.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn at(world: &World, name: &str) -> PathBuf {
    world.path(name)
}

async fn synced_to(world: &World, commit: &str) -> anyhow::Result<()> {
    let what = format!("the shop to be synced to {commit}");
    world.wait_for(&what, "shop", |app| app.sync == SyncStatus::Synced && is_at(app, commit)).await.map(drop)
}

fn log(world: &World) -> String {
    std::fs::read_to_string(at(world, "agent.log")).unwrap_or_default()
}

/// Waits until the agent's log says all of this.
async fn logged(world: &World, words: &[&str]) -> anyhow::Result<()> {
    let says = |_: &State| words.iter().all(|word| log(world).contains(word)).then_some(());
    world.wait(&format!("the log to say {words:?}"), says).await
}

/// What bytes a program cannot make smaller.
fn noise(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut noise = vec![0; bytes];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut noise)?;
    Ok(noise)
}

async fn shop() -> anyhow::Result<(World, Disk)> {
    let mut world = World::start(Pace::default(), program()).await?;
    let disk = Disk::mount(at(&world, "data"))?;
    world.forge.repo("ops/shop").commit("main", &borrowed(&world::code("shop", "1.4.0")), "A shop");
    let image = format!("{}:none", world.image("ops/shop"));
    let deploy = world.forge.repo("ops/deploy");
    deploy.commit("main", &borrowed(&world::manifests("shop", &image)), "Manifests of the shop");
    world.configure(&(world.config_head("a full disk") + &world.application("shop", "")))?;
    world.forge.repo("ops/shop").tag("push-1.4.0", "main");
    world.start_agent().await?;
    world.wait_run("the first push", |run| run.phase == Phase::Succeeded).await?;
    synced_to(&world, &deploy.rev("main")).await?;
    Ok((world, disk))
}

/// Tells a story of a shop that runs, with its agent's data on a small disk.
async fn story_of_a_disk<S: AsyncFnOnce(&mut World, &Disk) -> anyhow::Result<()>>(story: S) -> anyhow::Result<()> {
    let telling = Telling::of::<S>();
    let told = async {
        let (mut world, disk) = shop().await?;
        story(&mut world, &disk).await
    };
    telling.ends(told.await)
}

/// Filled while it works, and killed in that: the work stops, what runs goes on running, and with room all of it is done, once.
#[tokio::test]
async fn a_full_disk_stops_the_work_until_there_is_room_again() -> anyhow::Result<()> {
    story_of_a_disk(async |world, disk| {
        let (code, deploy) = (world.forge.repo("ops/shop"), world.forge.repo("ops/deploy"));
        let good = deploy.rev("main");
        disk.filled()?;
        let first = code.commit("main", &borrowed(&world::code("shop", "1.5.0")), "Another");
        code.tag("push-1.5.0", &first);
        // Whatever it comes to first: its mirror, or its history.
        let stopped = |_: &State| {
            let log = log(world);
            (log.contains("the disk has no room") || log.contains("cannot write the history")).then_some(())
        };
        world.wait("the full disk to be told", stopped).await?;
        ensure!(deploy.rev("main") == good && world.engine.builds().len() == 1, "nothing is done that cannot be kept");
        let applied = world.cluster.get("deployments.apps", "shop", "shop").is_some();
        ensure!(applied, "what runs goes on running");

        // A life that ends meanwhile, and one that begins.
        disk.freed()?;
        world.kill_agent();
        world.start_agent().await?;
        let done = |run: &RunStatus| run.reference == "push-1.5.0" && run.phase == Phase::Succeeded;
        world.wait_run("the second push", done).await?;
        synced_to(world, &deploy.rev("main")).await?;
        ensure!(deploy.subjects("main") == ["shop: 1.5.0", "shop: 1.4.0", "Manifests of the shop"], "each once");
        ensure!(world.engine.builds().len() == 2, "built once each");
        Ok(())
    })
    .await
}

/// The same by what a person sees: the repository's error, the log of the agent; and that it goes on without anybody's help.
#[tokio::test]
async fn a_mirror_without_room_says_so_and_goes_on_by_itself() -> anyhow::Result<()> {
    story_of_a_disk(async |world, disk| {
        let deploy = world.forge.repo("ops/deploy");
        let good = deploy.rev("main");
        // More than there is room for, and the rest of the disk is free: the history can still be written.
        let big = noise(BYTES as usize)?;
        let address = world.forge.path("ops/deploy").display().to_string();
        let commit = deploy.change("main").write("noise", &big).write("apps/shop/extra.yaml", EXTRA).commit("Big");
        let told = |state: &State| {
            state.objects.values().find_map(|object| match object {
                Object::Repository(repository) if repository.address == address && repository.failures > 0 => {
                    repository.error.clone()
                }
                _ => None,
            })
        };
        let error = world.wait("the mirror's error", told).await?;
        ensure!(error.starts_with(&format!("the disk has no room for what {address} sent: ")), "{error}");
        ensure!(error.contains("No space left on device"), "{error}");
        logged(world, &["the disk has no room"]).await?;
        let status = world.wait_for("the shop as it was", "shop", |app| is_at(app, &good)).await?;
        ensure!(status.sync == SyncStatus::Synced, "{}", status.message);
        ensure!(deploy.rev("main") == commit, "the commit is there and was not taken");

        // There is room again.
        said(Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk.0))?;
        synced_to(world, &commit).await?;
        ensure!(world.cluster.get("configmaps", "shop", "extra").is_some(), "the new object is there");
        Ok(())
    })
    .await
}

/// The disk fills while a build prints: the build goes on, its log says where lines are missing, and the run ends once its end
/// can be kept.
#[tokio::test]
async fn a_disk_that_fills_while_a_build_runs_loses_neither_the_run_nor_its_end() -> anyhow::Result<()> {
    story_of_a_disk(async |world, disk| {
        let (code, deploy) = (world.forge.repo("ops/shop"), world.forge.repo("ops/deploy"));
        let slow = "FROM busybox:1\nRUN echo begun && sleep 2 && yes between | head -c 1M && sleep 2 && echo ended\n";
        let commit = code.change("main").write("Dockerfile", slow).commit("Slow");
        code.tag("push-1.5.0", &commit);
        let running = |run: &RunStatus| run.reference == "push-1.5.0" && run.phase == Phase::Running;
        let run = world.wait_run("the slow build", running).await?;
        let path = at(world, &format!("data/runs/run-{}.ndjson", run.id));
        let begun = |_: &State| text(&path).contains("begun").then_some(());
        world.wait("its first words", begun).await?;
        disk.filled()?;
        logged(world, &["cannot write the history", "full"]).await?;
        let lines = |path: &Path| text(path).lines().map(serde_json::from_str).collect::<Result<Vec<LogRecord>, _>>();
        lines(&path)?;
        disk.freed()?;

        let run = world.wait_run("its end", |run| run.reference == "push-1.5.0" && run.phase.is_final()).await?;
        ensure!(run.phase == Phase::Succeeded, "{}", run.message);
        synced_to(world, &deploy.rev("main")).await?;
        ensure!(deploy.subjects("main")[..2] == ["shop: 1.5.0", "shop: 1.4.0"], "one commit");
        let records = lines(&path)?;
        let missing = records.iter().any(|r| matches!(r, LogRecord::Gap { reason, .. } if reason.contains("no room")));
        ensure!(missing, "what is missing is told: {records:?}");
        let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await?;
        let ends = events.iter().filter(|e| matches!(&e.event, Event::RunFinished { run: of, .. } if *of == run.id));
        ensure!(ends.count() == 1, "its end is told once");
        Ok(())
    })
    .await
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

const EXTRA: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra }\n";
