//! The main job: from a tag pushed with plain git to pods that answer, and what a person sees of it meanwhile.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use harness::agent::environment;
use harness::real::{Polled, Version, Way, code, manifests, poll};
use harness::world::borrowed;
use quarterdeck_shared::snapshot::Object;
use quarterdeck_shared::status::Health;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use vt100::Screen;

use super::*;

/// What the shop's Secret holds.
const KEY: &str = "till-key-20417";

#[tokio::test]
async fn a_push_becomes_pods_that_are_watched_and_read() -> anyhow::Result<()> {
    story(async |town| {
        swap_ways(town)?;
        town.shop.commit(&borrowed(&talking("1.4.0")), "A shop that talks")?;
        town.deploy.commit(&borrowed(&more_kinds(&town.image)), "More kinds")?;
        town.start().await?;
        town.shop.tag("push-1.4.0")?;
        let first = town.promoted(&town.run("push-1.4.0").await?)?;
        town.healthy("the first version", &first.commit).await?;
        town.runs_digest(&first)?;
        town.answers("1.4.0").await?;
        every_kind_is_right(town).await?;
        log_is_followed(town).await?;
        second_version_is_watched(town, &first).await
    })
    .await
}

/// Code over ssh with a key, manifests over http with a token: the other way round than a town has it.
fn swap_ways(town: &mut Town) -> anyhow::Result<()> {
    town.shop = town.parts.checkout(Way::Ssh, &town.name, town.agent.path("shop-ssh"))?;
    town.deploy = town.parts.checkout(Way::Http, &town.deploy_name(), town.agent.path("deploy-http"))?;
    town.agent.configure(&town.config())
}

/// A shop that writes a line four times a second, with a number that counts up.
fn talking(version: &str) -> Vec<(String, String)> {
    let mut files = code(version, 0);
    let talk = "i=0; while sleep 0.25; do i=$((i+1)); echo says $i; done & exec httpd";
    files[0].1 = files[0].1.replace("exec httpd", talk);
    files
}

/// The shop's manifests, and beside them a Secret that the pods need, an Ingress and a CronJob. A pod has to be ready
/// for a while before the next goes, so that a rollout can be watched.
fn more_kinds(image: &str) -> Vec<(String, String)> {
    let mut all = manifests(&format!("{image}:none"));
    all[0].1 = all[0].1.replace("  replicas: 2\n", "  replicas: 2\n  minReadySeconds: 3\n")
        + "        - { name: KEY, valueFrom: { secretKeyRef: { name: shop, key: key } } }\n";
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: shop\nstringData:\n  key: {KEY}\n");
    let ingress = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
spec:
  rules:
  - host: shop.example.test
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: { service: { name: shop, port: { number: 80 } } }
";
    let cron = format!(
        "apiVersion: batch/v1
kind: CronJob
metadata:
  name: tidy
spec:
  schedule: \"0 3 1 1 *\"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          imagePullSecrets: [{{ name: pull }}]
          containers:
          - name: tidy
            image: {image}:none
            command: [sh, -c, 'echo all is tidy']
"
    );
    let file = |name: &str, text: &str| (format!("shop/{name}.yaml"), text.to_owned());
    all.extend([file("secret", &secret), file("ingress", ingress), file("cronjob", &cron)]);
    all
}

/// All that git names is there and told Healthy, an Ingress that nobody serves with what is to be known of it, and the
/// CronJob's job runs the image that was promoted.
async fn every_kind_is_right(town: &Town) -> anyhow::Result<()> {
    let wanted = ["ConfigMap", "CronJob", "Deployment", "Ingress", "Secret", "Service"];
    let told = |state: &quarterdeck_shared::protocol::State| {
        let mut found = Vec::new();
        for object in state.objects.values() {
            if let Object::Resource(one) = object
                && wanted.contains(&one.resource.kind.as_str())
                && one.health == Health::Healthy
            {
                found.push((one.resource.kind.clone(), one.message.clone()));
            }
        }
        found.sort();
        (found.len() == wanted.len()).then_some(found)
    };
    let told = town.agent.wait("every kind to be told Healthy", told).await?;
    let ingress = told.iter().find(|(kind, _)| kind == "Ingress").context("the Ingress is told")?;
    ensure!(ingress.1 == "no controller has reported an address", "the Ingress is told as {:?}", ingress.1);

    let value = town.kubectl(&["get", "secret", "shop", "-o", "go-template={{.data.key | base64decode}}"])?;
    ensure!(value == KEY, "the Secret holds {value:?}");
    let pod = town.kubectl(&["get", "pods", "-l", "app=shop", "-o", "jsonpath={.items[0].metadata.name}"])?;
    let seen = town.kubectl(&["exec", &pod, "--", "sh", "-c", "echo $KEY"])?;
    ensure!(seen.trim() == KEY, "a pod has the key {seen:?}");
    ensure!(!town.agent.log().contains(KEY), "the agent's log holds the key:\n{}", town.agent.log());

    town.kubectl(&["create", "job", "now", "--from", "cronjob/tidy"])?;
    town.kubectl(&["wait", "job", "now", "--for", "condition=Complete", "--timeout", "60s"])?;
    ensure!(town.kubectl(&["logs", "job/now"])?.trim() == "all is tidy", "the job said something else");
    let finished = |state: &quarterdeck_shared::protocol::State| {
        let mut all = state.objects.values();
        all.any(|object| {
            matches!(object, Object::Resource(one)
                if one.resource.kind == "Job" && one.resource.name == "now" && one.health == Health::Healthy)
        })
        .then_some(())
    };
    town.agent.wait("the CronJob's job to be told", finished).await
}

/// `qd logs -f` gives each line while the pods write, none twice and none missing.
async fn log_is_followed(town: &Town) -> anyhow::Result<()> {
    let mut command = Command::new(program().0);
    command.args(["console", "--socket"]).arg(town.agent.socket()).args(["logs", "--follow", "--tail", "1", "shop"]);
    let mut follower = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().context("cannot start qd logs")?;
    let mut lines = BufReader::new(follower.stdout.take().context("its output is ours")?).lines();
    let mut heard: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let hear = async {
        while heard.values().filter(|numbers| numbers.len() >= 8).count() < 2 {
            let line = lines.next_line().await?.context("qd logs ended")?;
            if let Some((from, number)) = line.split_once(" says ") {
                heard.entry(from.to_owned()).or_default().push(number.parse()?);
            }
        }
        anyhow::Ok(())
    };
    let result = tokio::time::timeout(Duration::from_secs(60), hear).await;
    result.with_context(|| format!("the log of both pods stands still at {heard:?}"))??;
    let pid = follower.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("it runs")?;
    rustix::process::kill_process(pid, Signal::INT)?;
    let code = follower.wait().await?.code();
    ensure!(code == Some(130), "qd logs ended with {code:?}");
    for (from, numbers) in &heard {
        ensure!(from.starts_with("shop-") && from.ends_with("/shop"), "a line is from {from:?}");
        let counts_up = numbers.windows(2).all(|two| two[1] == two[0] + 1);
        ensure!(counts_up, "{from} wrote {numbers:?}");
    }
    Ok(())
}

/// The console shows the second version come: pods of both beside each other, then only the new ones, and their lines.
/// Who asks the Service meanwhile is answered each time, by the one and then by the other.
async fn second_version_is_watched(town: &Town, first: &Version) -> anyhow::Result<()> {
    let old = pods(town)?;
    let console = console(town, (100, 30))?;
    let healthy = |screen: &Screen| screen.contents().contains("Healthy");
    console.wait("the list", healthy).await?;
    console.type_keys("\r").and_then(|()| console.type_keys("g"))?;
    console.wait("the old pods", |screen| old.iter().all(|pod| screen.contents().contains(pod))).await?;

    let over = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(poll(town.address()?, Arc::clone(&over)));
    town.shop.commit(&borrowed(&talking("1.5.0")), "Faster")?;
    town.shop.tag("push-1.5.0")?;
    let rolling = |screen: &Screen| {
        let text = screen.contents();
        let new = text.lines().any(|line| line.contains("Pod shop-") && !old.iter().any(|pod| line.contains(pod)));
        new && old.iter().any(|pod| text.contains(pod))
            && (text.contains("of 2 updated") || text.contains("of the old version"))
            && text.contains("Progressing")
    };
    // It waits as long as a build takes on a busy machine.
    let run = town.run("push-1.5.0");
    let (run, rolling) = tokio::join!(run, console.wait("old and new pods", rolling));
    rolling?;
    let second = town.promoted(&run?)?;
    ensure!(second.digest != first.digest, "the second version is the first");
    town.healthy("the second version", &second.commit).await?;
    town.runs_digest(&second)?;
    town.answers("1.5.0").await?;
    over.store(true, Ordering::Relaxed);
    let Polled { asked, failed, answers } = client.await?;
    ensure!(failed.is_empty(), "{} of {asked} requests failed during the rollout: {}", failed.len(), failed[0]);
    ensure!(answers.iter().eq(["shop 1.4.0", "shop 1.5.0"]), "{asked} requests were answered by {answers:?}");
    let new = pods(town)?;
    let done = |screen: &Screen| {
        let text = screen.contents();
        new.iter().all(|pod| text.contains(pod)) && !old.iter().any(|pod| text.contains(pod))
    };
    let screen = console.wait("the new pods alone", done).await?.contents();
    ensure!(screen.contains("1.5.0") && screen.contains("Healthy"), "the version is not told:\n{screen}");

    console.type_keys("l")?;
    console.wait_text("following").await?;
    let newest = |screen: &Screen| {
        let text = screen.contents();
        text.split("says ").skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).max()
    };
    let before = newest(&console.wait_text("says ").await?);
    console.wait("lines that come", |screen| newest(screen) > before.map(|number| number + 4)).await?;
    console.type_keys("q")?;
    let ended = console.ended().await?;
    ensure!(ended.code == 0, "the console ended with {}", ended.code);
    let status = town.agent.state().await?;
    ensure!(environment(&status, "shop").is_some_and(|app| app.health == Health::Healthy), "the shop is not well");
    Ok(())
}

/// The shop's pods that are not on their way out.
fn pods(town: &Town) -> anyhow::Result<Vec<String>> {
    let words = ["get", "pods", "-l", "app=shop", "--field-selector", "status.phase=Running"];
    let template =
        "go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}";
    let names = town.kubectl(&[&words[..], &["-o", template]].concat())?;
    Ok(names.split_whitespace().map(str::to_owned).collect())
}
