//! fleet: 100 applications in one repository, each a Deployment of no replicas, a ServiceAccount, a Service and a ConfigMap,
//! all in one namespace. The Services have no address of their own, since the world's network has 254.
//!
//! Beside the first sync stand the 400 bare applies that nobody can do without, as many at once as the agent makes. What
//! Flux 1.9.6 took for the same objects on a 2-core machine of this kind is quoted.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::git::Repo;
use quarterdeck_core::yaml;
use quarterdeck_shared::event::Cause;

use crate::Options;
use crate::cluster::{Manifest, Namespace};
use crate::figure::{Figure, Goal, Unit};
use crate::gate::{Gate, Seen};
use crate::subject::{Subject, environment};

/// Applications.
const FLEET: usize = 100;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let space = Namespace::make(options.parts()?, "fleet").await?;
        let measured = async {
            let mut figures = lives(options, &space).await?;
            figures.extend(counted(options, &space).await?);
            Ok(figures)
        };
        let measured = measured.await;
        space.delete()?;
        measured
    }
    .boxed()
}

/// What is timed: nothing stands between agent and cluster.
async fn lives(options: &Options, space: &Namespace) -> anyhow::Result<Vec<Figure>> {
    let names = names(FLEET);
    let manifests: Vec<Manifest> =
        names.iter().flat_map(|name| objects(&space.name, name, 1)).map(|(_, manifest)| manifest).collect();
    let [mut first, mut cpu, mut bare, mut one, mut drift] = [const { Vec::new() }; 5];
    for run in 0..options.runs {
        let mut subject = Subject::start(options, Some(&space.name), None).await?;
        commit(&subject.repo, &space.name, &names);
        let process = subject.process().await?;
        let before = process.cpu()?;
        first.push(subject.operate(&names).await?);
        subject.settle().await?;
        cpu.push(process.cpu()? - before);
        let chosen = &names[run % FLEET];
        change(&subject.repo, &space.name, chosen, 2);
        one.push(subject.wake(std::slice::from_ref(chosen)).await?);
        subject.settle().await?;
        drift.push(heal(&subject, space, chosen).await?);
        drop(subject);
        space.clear().await?;
        bare.push(space.apply(&manifests, false).await?);
        space.clear().await?;
    }
    let ms = |what: &str, runs| Figure::new(what, Unit::Milliseconds, runs);
    Ok(vec![
        ms("100 applications of 4 objects from empty to recorded", first)
            .beside("400 bare applies", bare)
            .quoted("Flux 1.9.6", 44_000.0)
            .goal(Goal::Times(2.5)),
        Figure::new("processor time of it, until at rest", Unit::CpuSeconds, cpu)
            .quoted("Flux 1.9.6", 20.0)
            .goal(Goal::AtMost(1.5)),
        ms("a commit that changes one of the 100, wake to applied", one)
            .quoted("Flux 1.9.6", 2_000.0)
            .goal(Goal::AtMost(500.0)),
        ms("an object changed by hand, change to healed and recorded", drift)
            .quoted("Flux 1.9.6", 17_000.0)
            .goal(Goal::AtMost(500.0)),
    ])
}

/// The last that a start asks: whether the cluster is still the one that was listed, at most 5 s after its last list.
const START_ENDS: Duration = Duration::from_secs(6);

/// What is counted: one life behind the gate, and its time of rest.
async fn counted(options: &Options, space: &Namespace) -> anyhow::Result<Vec<Figure>> {
    let names = names(FLEET);
    let gate = Gate::start(options.parts()?).await?;
    let count = || gate.take().iter().filter(|seen| !seen.is_watch()).count() as f64;
    let mut subject = Subject::start(options, Some(&space.name), Some(&gate)).await?;
    commit(&subject.repo, &space.name, &names);
    subject.operate(&names).await?;
    subject.settle().await?;
    tokio::time::sleep(START_ENDS).await;
    let first = count();
    let (cpu, began) = (subject.process().await?.cpu()?, Instant::now());
    tokio::time::sleep(options.quiet).await;
    let cpu = (subject.process().await?.cpu()? - cpu) / began.elapsed().as_secs_f64();
    let (watches, others): (Vec<Seen>, Vec<Seen>) = gate.take().into_iter().partition(Seen::is_watch);
    change(&subject.repo, &space.name, &names[7], 2);
    subject.wake(&names).await?;
    subject.settle().await?;
    let one = count();
    drop(subject);
    space.clear().await?;
    let minutes = options.quiet.as_secs_f64() / 60.0;
    let rest = format!("100 applications at rest, {minutes:.1} min");
    Ok(vec![
        Figure::new("requests an application, first sync", Unit::Count, vec![first / FLEET as f64])
            .quoted("Flux 1.9.6", 23.0)
            .goal(Goal::AtMost(10.0)),
        Figure::new("requests for a commit that changes one of the 100", Unit::Count, vec![one])
            .quoted("Flux 1.9.6", 1_711.0)
            .goal(Goal::AtMost(10.0)),
        Figure::new(format!("{rest}: requests beside watches"), Unit::Count, vec![others.len() as f64])
            .quoted("Flux 1.9.6", 1_618.0 * minutes)
            .goal(Goal::AtMost(0.0)),
        Figure::new(format!("{rest}: watches begun anew"), Unit::Count, vec![watches.len() as f64]),
        Figure::new(format!("{rest}: of a core"), Unit::Percent, vec![cpu * 100.0]).goal(Goal::AtMost(0.2)),
    ])
}

/// Somebody changes a value by hand; milliseconds until the agent has recorded that it is as git says again.
pub(crate) async fn heal(subject: &Subject, space: &Namespace, name: &str) -> anyhow::Result<f64> {
    let mut follow = subject.follow().await?;
    let path = format!("/api/v1/namespaces/{}/configmaps/{name}", space.name);
    let began = Instant::now();
    space.merge(&path, &serde_json::json!({"data": {"key": "by hand"}})).await?;
    let healed = follow
        .until("the drift to be healed", |object| {
            let status = environment(object).filter(|status| status.environment.application.as_str() == name);
            let sync = status.and_then(|status| status.last_sync.as_ref());
            sync.is_some_and(|sync| matches!(sync.cause, Cause::Drift { .. }) && sync.finished.is_some())
        })
        .await?;
    let now = space.get(&path).await?;
    anyhow::ensure!(now["data"]["key"] == value(name, 2), "the object is not as git says: {}", now["data"]);
    Ok(healed.duration_since(began).as_secs_f64() * 1000.0)
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("app-{number:04}")).collect()
}

fn value(name: &str, version: u32) -> String {
    format!("{name} {version}")
}

/// Commits the manifests of all of them.
pub(crate) fn commit(repo: &Repo, namespace: &str, names: &[String]) {
    let all = names.iter().flat_map(|name| objects(namespace, name, 1).map(|(file, manifest)| (name, file, manifest)));
    all.fold(repo.change("main"), |change, (name, file, manifest)| {
        change.write(format!("apps/{name}/{file}.yaml"), yaml::write(&manifest.object))
    })
    .commit("All of them");
}

/// Commits another value in the ConfigMap of one.
pub(crate) fn change(repo: &Repo, namespace: &str, name: &str, version: u32) {
    let [.., (file, manifest)] = objects(namespace, name, version);
    repo.commit("main", &[(&format!("apps/{name}/{file}.yaml"), &yaml::write(&manifest.object))], "Another value");
}

/// The four objects of an application, the ConfigMap last, with the name of the file of each.
fn objects(namespace: &str, name: &str, version: u32) -> [(&'static str, Manifest); 4] {
    let core = format!("/api/v1/namespaces/{namespace}");
    let labels = serde_json::json!({"bench": "yes", "app": name});
    let metadata = serde_json::json!({"name": name, "namespace": namespace, "labels": labels});
    let template = serde_json::json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"serviceAccountName": name, "containers": [{
            "name": "main", "image": "world/busybox:1", "args": ["httpd", "-f"],
            "ports": [{"containerPort": 8080}],
            "env": [{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": name, "key": "key"}}}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        }]},
    });
    let selector = serde_json::json!({"matchLabels": {"app": name}});
    let deployment = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    let account = serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    let service = serde_json::json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value(name, version)},
    });
    let of = |collection: String, object| Manifest { collection, object };
    [
        ("deployment", of(format!("/apis/apps/v1/namespaces/{namespace}/deployments"), deployment)),
        ("account", of(format!("{core}/serviceaccounts"), account)),
        ("service", of(format!("{core}/services"), service)),
        ("config", of(format!("{core}/configmaps"), config)),
    ]
}
