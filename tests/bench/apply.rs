//! apply: one application of 1,000 ConfigMaps, a file each.
//!
//! Beside it `kubectl apply --server-side` of the same folder, and the bare requests that nobody can do without: 1,000
//! applies, as many at once as the agent makes. The agent makes each of them twice, since all is dry-run before the first
//! write. Requests are counted in a run of its own, through the gate.

use std::process::Command;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::git::Repo;
use harness::real::Parts;
use quarterdeck_core::yaml;

use crate::Options;
use crate::cluster::{Manifest, Namespace};
use crate::figure::{Figure, Goal, Unit};
use crate::gate::Gate;
use crate::measure;
use crate::subject::Subject;

/// Objects of the application.
const OBJECTS: usize = 1_000;

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let parts = options.parts()?;
        let space = Namespace::make(parts, "apply").await?;
        let measured = measure(options, parts, &space).await;
        space.delete()?;
        measured
    }
    .boxed()
}

/// What one life of the agent showed.
struct Life {
    first: f64,
    again: f64,
    forced: f64,
    changed: f64,
}

async fn measure(options: &Options, parts: &Parts, space: &Namespace) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let manifests: Vec<Manifest> = (0..OBJECTS).map(|number| config_map(&space.name, number)).collect();
    for (number, manifest) in manifests.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}.yaml")), yaml::write(&manifest.object))?;
    }
    let [mut kubectl, mut again, mut bare, mut dry] = [const { Vec::new() }; 4];
    let mut lives = Vec::new();
    for _ in 0..options.runs {
        let mut subject = Subject::start(options, Some(&space.name), None).await?;
        lives.push(live(&mut subject, &space.name, None).await?);
        drop(subject);
        space.clear().await?;
        let mut command = Command::new(std::path::Path::new(parts.get("WORLD_BIN")).join("kubectl"));
        command.env("KUBECONFIG", parts.get("KUBECONFIG")).env("KUBECACHEDIR", parts.get("KUBECACHEDIR"));
        command.args(["apply", "--server-side", "--validate=false", "--filename"]).arg(folder.path());
        kubectl.push(measure::run(&mut command)?);
        again.push(measure::run(&mut command)?);
        space.clear().await?;
        bare.push(space.apply(&manifests, false).await?);
        dry.push(space.apply(&manifests, true).await?);
        space.clear().await?;
    }
    let gate = Gate::start(parts).await?;
    let mut subject = Subject::start(options, Some(&space.name), Some(&gate)).await?;
    let mut counts = Vec::new();
    live(&mut subject, &space.name, Some((&gate, &mut counts))).await?;
    drop(subject);
    space.clear().await?;

    let times = |of: fn(&Life) -> f64| lives.iter().map(of).collect::<Vec<_>>();
    let ms = |what: &str, runs| Figure::new(what, Unit::Milliseconds, runs);
    let count =
        |what: &str, place: usize| Figure::new(what, Unit::Count, counts.get(place).copied().into_iter().collect());
    Ok(vec![
        ms("1,000 ConfigMaps from empty, as kubectl does", times(|life| life.first))
            .beside("kubectl apply --server-side", kubectl)
            .goal(Goal::Times(0.4)),
        ms("1,000 ConfigMaps from empty, as bare requests", times(|life| life.first))
            .beside("1,000 bare applies", bare)
            .goal(Goal::Times(2.5)),
        count("requests of it", 0),
        ms("a commit that changes none of them, wake to recorded", times(|life| life.again))
            .beside("kubectl apply --server-side again", again)
            .quoted("Flux 1.9.6", 7_000.0)
            .goal(Goal::AtMost(20.0)),
        count("requests of it", 1).quoted("Flux 1.9.6", 2_009.0).goal(Goal::AtMost(0.0)),
        ms("all compared by qd sync --full", times(|life| life.forced))
            .beside("1,000 bare dry runs", dry)
            .goal(Goal::Times(1.5)),
        count("requests of it", 2),
        ms("a commit that changes one of them, wake to applied", times(|life| life.changed)).goal(Goal::AtMost(300.0)),
        // One write, and five beside it.
        count("requests of it", 3).goal(Goal::AtMost(6.0)),
    ])
}

/// From empty through all that is measured; counts the requests of each step where there is a gate.
async fn live(
    subject: &mut Subject,
    namespace: &str,
    mut counted: Option<(&Gate, &mut Vec<f64>)>,
) -> anyhow::Result<Life> {
    let names = ["big".to_owned()];
    let mut count = || {
        if let Some((gate, counts)) = &mut counted {
            counts.push(gate.take().iter().filter(|seen| !seen.is_watch()).count() as f64);
        }
    };
    commit_all(&subject.repo, namespace);
    let first = subject.operate(&names).await?;
    // The watches that the first sync began are there when nothing moves any more.
    subject.settle().await?;
    count();
    subject.repo.commit("main", &[("README.md", "Nothing that is deployed\n")], "Words");
    let again = subject.wake(&names).await?;
    subject.settle().await?;
    count();
    let forced = subject.force("big").await?;
    subject.settle().await?;
    count();
    let changed = yaml::write(&config_map(namespace, 7).object).replace("value 7", "value 7 now");
    subject.repo.commit("main", &[("apps/big/7.yaml", &changed)], "Another value");
    let changed = subject.wake(&names).await?;
    subject.settle().await?;
    count();
    Ok(Life { first, again, forced, changed })
}

fn config_map(namespace: &str, number: usize) -> Manifest {
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("big-{number}"), "namespace": namespace, "labels": {"bench": "yes"}},
        "data": {"key": format!("value {number}"), "more": "a line of text that is long enough to be a value\n".repeat(4)},
    });
    Manifest { collection: format!("/api/v1/namespaces/{namespace}/configmaps"), object }
}

fn commit_all(repo: &Repo, namespace: &str) {
    let change = (0..OBJECTS).fold(repo.change("main"), |change, number| {
        change.write(format!("apps/big/{number}.yaml"), yaml::write(&config_map(namespace, number).object))
    });
    change.commit("A thousand");
}
