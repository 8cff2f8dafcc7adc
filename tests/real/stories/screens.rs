//! Each main screen on a real cluster: what a person has to see there, at the usual size of a terminal and a larger one.

use anyhow::ensure;
use harness::real::{code, manifests};
use harness::world::borrowed;
use quarterdeck_shared::protocol::Accepted;
use quarterdeck_shared::status::{Health, SyncStatus};

use super::*;

#[tokio::test]
async fn each_screen_tells_what_is_so() -> anyhow::Result<()> {
    story(async |town| {
        let seen = make_something_to_see(town).await?;
        for size in [(80, 24), (120, 40)] {
            look(town, &seen, size).await?;
        }
        act(town, &seen).await
    })
    .await
}

/// What there is to see.
struct Seen {
    /// `sha256:…`, the image that runs.
    digest: String,
    /// The promotion, what runs, and what git says: short.
    promoted: String,
    runs: String,
    wants: String,
    wants_whole: String,
    /// A pod that is well, and one that crashes.
    pods: [String; 2],
}

/// A shop that runs, a till that crashes, a sync that was refused, and a commit that waits since syncing is suspended.
async fn make_something_to_see(town: &mut Town) -> anyhow::Result<Seen> {
    town.shop.commit(&borrowed(&code("1.4.0", 0)), "A shop")?;
    let till = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: till
spec:
  selector:
    matchLabels: { app: till }
  template:
    metadata:
      labels: { app: till }
    spec:
      containers:
      - name: till
        image: REGISTRY/busybox:1
        command: [sh, -c, 'echo the drawer is stuck; exit 3']
";
    let till = till.replace("REGISTRY", town.parts.get("REGISTRY"));
    town.deploy.commit(&[("shop/till.yaml", &till)], "A till")?;
    town.start().await?;
    town.shop.tag("push-1.4.0")?;
    let version = town.promoted(&town.run("push-1.4.0").await?)?;
    town.synced("the first version", &version.commit).await?;
    town.answers("1.4.0").await?;
    let service = manifests("")[1].1.clone();
    let bad = service.replace("targetPort: 8080", "targetPort: 88080");
    town.deploy.commit(&[("shop/service.yaml", &bad)], "A port that is none")?;
    town.agent.wait_for("the refusal", "shop", |app| app.message.contains("88080")).await?;
    let runs = town.deploy.commit(&[("shop/service.yaml", &service)], "The port again")?;
    town.synced("the port again", &runs).await?;
    let reason = serde_json::json!({ "reason": "the till is looked at" });
    let _: Accepted = town.agent.client().post("/v1/environments/shop/suspend", &reason).await?;
    let config = manifests("")[2].1.replace("hello", "welcome");
    let wants = town.deploy.commit(&[("shop/config.yaml", &config)], "Another greeting")?;
    let crashes = |app: &quarterdeck_shared::snapshot::EnvironmentStatus| {
        app.health == Health::Degraded && app.sync == SyncStatus::OutOfSync && app.suspended && app.drifted == 1
    };
    town.agent.wait_for("a crash and a commit that waits", "shop", crashes).await?;
    let crashes_often = [
        "get",
        "pods",
        "-l",
        "app=till",
        "-o",
        "jsonpath={.items[0].status.containerStatuses[0].state.waiting.reason}",
    ];
    town.until("the crash to be told", &crashes_often, "CrashLoopBackOff").await?;
    let pod = |app: &str| town.kubectl(&["get", "pods", "-l", app, "-o", "jsonpath={.items[0].metadata.name}"]);
    let pods = [pod("app=shop")?, pod("app=till")?];
    let promoted = version.commit[..7].to_owned();
    let short = |commit: &str| commit[..7].to_owned();
    Ok(Seen { digest: version.digest, promoted, runs: short(&runs), wants: short(&wants), wants_whole: wants, pods })
}

/// Goes from screen to screen by keys.
async fn look(town: &Town, seen: &Seen, size: (u16, u16)) -> anyhow::Result<()> {
    let console = console(town, size)?;
    let [well, crashing] = [&*seen.pods[0], &*seen.pods[1]];
    let digest = &seen.digest[..15];
    let wide = size.0 > 80;

    see(&console, "", "applications", &["shop", "Suspended", "Degraded", &seen.runs, "1.4.0", "live"]).await?;
    // Names are cut where there is no room; what differs between two pods comes last, and is whole in their own list.
    let (tree_well, tree_crashing) = if wide { (well, crashing) } else { (&well[..12], &crashing[..12]) };
    let tree = ["Deployment shop", "Deployment till", "Service shop", "ConfigMap shop", tree_well, tree_crashing];
    see(&console, "\r", "the tree", &tree).await?;
    see(&console, "", "what differs", &["≠ OutOfSync", "git says", &seen.wants, "till is looked"]).await?;
    let timeline = ["commit", "build", "push", "promote", "sync", "rollout", "suspended", "degraded", digest];
    see(&console, "", "the timeline", &timeline).await?;
    see(&console, "Gkk", "the pod that crashes", &[crashing, "CrashLoopBackOff", "exit 3", "drawer"]).await?;
    see(
        &console,
        "d",
        "the diff",
        &["ConfigMap/shop", "-   greeting: hello", "+   greeting: welcome", "1 to configure"],
    )
    .await?;
    let history = ["✖ Failed", "Service/shop (shop/service.yaml", "✔ Succeeded", &seen.promoted, "1.4.0"];
    see(&console, "\x1bh", "the history", &history).await?;
    see(&console, "\x1bm", "the manifests", &["apiVersion", "kind"]).await?;
    see(&console, "/welcome\r", "the manifest that waits", &["greeting: welcome"]).await?;
    see(&console, "\x1b\x1b", "the application again", &["Deployment till"]).await?;
    see(&console, "/service\rGy", "the Service as it is", &["clusterIP: \"10."]).await?;
    quit(console).await?;

    let console = self::console(town, size)?;
    see(
        &console,
        "3",
        "the pods",
        &[well, "1/1", "Running", crashing, "0/1", "CrashLoopBackOff", "the drawer is stuck"],
    )
    .await?;
    see(&console, "2", "the runs", &["push-1.4.0", "Succeeded"]).await?;
    see(&console, "\r", "a run's output", &["exporting to image", "1.4.0: digest: sha256:", "┄ end of the log"])
        .await?;
    see(&console, "4", "the events", &["! suspended", "the till is looked at", "✖ sync", "failed", "git says"]).await?;
    // A narrow table shows both ends of an address.
    let head = if wide { 21 } else { 12 };
    let (code, deploy) = (&town.shop.url[..head], &town.deploy.url[..head]);
    see(&console, "5", "the system", &["cluster", "world", "reachable", "repository", code, deploy, "polled"]).await?;
    if wide {
        see(&console, "", "the version", &["Kubernetes v1.35"]).await?;
    }
    see(&console, "6", "the agent's log", &["ready socket=", "not synced application=shop"]).await?;
    see(&console, "1l", "the shop's log", &["shop 1.4.0 listens on :8080", "the drawer is stuck"]).await?;
    quit(console).await
}

/// What a person does by keys: each shows its plan first, and is done when it is agreed to.
async fn act(town: &Town, seen: &Seen) -> anyhow::Result<()> {
    let console = console(town, (100, 34))?;
    let greeting = || town.kubectl(&["get", "configmap", "shop", "-o", "jsonpath={.data.greeting}"]);
    see(&console, "", "the shop", &["shop", "Suspended", "Degraded"]).await?;
    see(&console, "?", "all keys", &["On this screen", "make the cluster equal to git", "choose an earlier revision"])
        .await?;
    see(&console, "\x1b:refr", "the palette", &[": refr", "refresh", "poll its repositories now"]).await?;
    console.type_keys("\x1b")?;
    console.wait("the end of the palette", |screen| !screen.contents().contains(": refr")).await?;

    let plan = ["Sync shop to main@", &seen.wants, "1 to configure", "~ ConfigMap/shop", "hello → welcome", "y sync"];
    see(&console, "S", "the plan of a sync", &plan).await?;
    see(&console, "y", "why nothing is done", &["environment shop/prod is suspended"]).await?;
    // So that a commit waits for a person and for nobody else.
    town.agent.configure(&(town.config() + "[application.environment.sync]\nautomatic = false\n"))?;
    town.agent.reload_agent();
    town.agent.wait_for("the new configuration", "shop", |app| !app.spec.automatic).await?;
    see(&console, "z", "what is resumed", &["Resume shop?", "the till is looked at", "y resume"]).await?;
    see(&console, "y", "the commit that waits", &["≠ OutOfSync"]).await?;

    see(&console, "S", "the plan again", &plan).await?;
    console.type_keys("n")?;
    console.wait("the end of the question", |screen| !screen.contents().contains("Sync shop to")).await?;
    ensure!(greeting()? == "hello", "it was done without an answer");
    see(&console, "S", "the plan once more", &plan).await?;
    console.type_keys("y")?;
    town.synced("what was agreed to", &seen.wants_whole).await?;
    ensure!(greeting()? == "welcome", "the plan was not carried out");

    // Above the first version are what was just synced, and what was refused.
    see(&console, "h", "the history", &["✔ Succeeded", &seen.wants, "✖ Failed", &seen.promoted]).await?;
    let of_sync = format!("Roll shop back to main@{}", seen.promoted);
    let plan = [&*of_sync, "1 to configure", "~ ConfigMap/shop", "welcome → hello", "y roll back"];
    see(&console, "jjR", "the plan of a rollback", &plan).await?;
    see(&console, "y", "the question for a reason", &["Hold shop at main@", &seen.promoted, "why?"]).await?;
    console.type_keys("the greeting was wrong\r")?;
    let back = |app: &quarterdeck_shared::snapshot::EnvironmentStatus| {
        let why = app.pin.as_ref().map(|pin| &*pin.hold.reason);
        why == Some("the greeting was wrong")
            && app.revision.as_ref().is_some_and(|at| at.commit.as_str().starts_with(&seen.promoted))
    };
    town.agent.wait_for("the rollback", "shop", back).await?;
    ensure!(greeting()? == "hello", "the plan was not carried out");
    see(&console, "1", "the shop, rolled back", &["pin@", &seen.promoted, "rollback"]).await?;
    quit(console).await
}

/// Types keys, and waits until all of these texts are on the screen.
async fn see(console: &Terminal, keys: &str, what: &str, texts: &[&str]) -> anyhow::Result<()> {
    // Escape and a key in one breath are another key to a terminal.
    for key in keys.split_inclusive('\x1b') {
        console.type_keys(key)?;
        if key.ends_with('\x1b') {
            console.wait_quiet(std::time::Duration::from_millis(100)).await?;
        }
    }
    let shows = |screen: &vt100::Screen| {
        let text = screen.contents();
        texts.iter().all(|wanted| text.contains(wanted))
    };
    let screen = console.wait(&format!("{what} with {texts:?}"), shows).await?;
    if let Ok(to) = std::env::var("QD_SHOW") {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(to)?;
        writeln!(file, "=== {what}\n{}", screen.contents())?;
    }
    Ok(())
}

async fn quit(console: Terminal) -> anyhow::Result<()> {
    console.type_keys("q")?;
    let ended = console.ended().await?;
    ensure!(ended.code == 0 && ended.discipline_restored, "the console ended with {}", ended.code);
    Ok(())
}
