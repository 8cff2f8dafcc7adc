//! bundles: what public projects ship to be applied as it is, each bundle an application, all of them from empty.
//!
//! The bundles are fetched by hand into a folder (`--bundles DIR`), a folder each, and are not ours to publish. Beside the
//! agent, `kubectl apply --server-side` applies one after the other, as their instructions say. A folder `setup` in a
//! bundle has what the rest of it needs (kube-prometheus' definitions): `kubectl` applies it first and waits for it, the
//! agent finds that out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::git::Repo;
use harness::real::Parts;

use crate::Options;
use crate::figure::{Figure, Goal, Unit};
use crate::measure::{self, since};
use crate::subject::Subject;

/// Each run clears a cluster of some hundred definitions twice, which takes minutes.
const RUNS: usize = 3;

/// After this long with nothing to do memory is at rest: what was freed is given back within ten seconds.
const REST: Duration = Duration::from_secs(20);

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    measure(options).boxed()
}

/// A bundle: its name, which is its namespace too, and its folder.
struct Bundle {
    name: String,
    folder: PathBuf,
}

/// What one run showed.
struct Run {
    first: f64,
    kubectl: f64,
    peak: f64,
    rest: f64,
    restarted: f64,
}

async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let root = options.bundles.as_deref().context("name a folder of bundles: --bundles DIR")?;
    let parts = options.parts()?;
    let bundles = bundles(root)?;
    let place = Place { parts, root, bundles: &bundles, definitions: definitions(parts)? };
    let mut runs = Vec::new();
    for _ in 0..options.runs.min(RUNS) {
        let run = place.run(options).await;
        place.clear()?;
        runs.push(run?);
    }
    let all = |of: fn(&Run) -> f64| runs.iter().map(of).collect::<Vec<_>>();
    let memory = |what: &str, of| Figure::new(what, Unit::Mebibytes, all(of));
    Ok(vec![
        Figure::new(format!("{} bundles from empty", bundles.len()), Unit::Milliseconds, all(|run| run.first))
            .beside("kubectl apply --server-side, one after the other", all(|run| run.kubectl))
            .goal(Goal::Times(0.6)),
        memory("memory of it at its highest", |run| run.peak).goal(Goal::AtMost(90.0)),
        memory("memory at rest after it", |run| run.rest).goal(Goal::AtMost(60.0)),
        memory("memory at rest after another start", |run| run.restarted).goal(Goal::AtMost(60.0)),
    ])
}

/// Where the bundles go.
struct Place<'a> {
    parts: &'a Parts,
    root: &'a Path,
    bundles: &'a [Bundle],
    /// The definitions that the cluster had before.
    definitions: String,
}

impl Place<'_> {
    async fn run(&self, options: &Options) -> anyhow::Result<Run> {
        self.namespaces()?;
        let mut subject = Subject::start(options, None, None).await?;
        commit(&subject.repo, self.bundles)?;
        let names: Vec<String> = self.bundles.iter().map(|bundle| bundle.name.clone()).collect();
        let first = subject.operate(&names).await?;
        subject.settle().await?;
        let process = subject.process().await?;
        tokio::time::sleep(REST).await;
        let (peak, rest) = (process.peak()?, process.resident()?);
        subject.agent.stop_agent()?;
        subject.agent.start_agent().await?;
        // All that is compared after a start is compared by then.
        subject.poll().await?;
        subject.settle().await?;
        tokio::time::sleep(REST).await;
        let restarted = subject.process().await?.resident()?;
        drop(subject);
        self.clear()?;
        self.namespaces()?;
        Ok(Run { first, kubectl: self.kubectl()?, peak, rest, restarted })
    }

    /// The namespaces that the bundles expect to be there.
    fn namespaces(&self) -> anyhow::Result<()> {
        self.bundles
            .iter()
            .try_for_each(|Bundle { name, .. }| self.parts.kubectl(&["create", "namespace", name]).map(drop))
    }

    /// Applies one bundle after the other; milliseconds.
    fn kubectl(&self) -> anyhow::Result<f64> {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::copy(self.parts.get("KUBECONFIG"), &kubeconfig)?;
        let program = Path::new(self.parts.get("WORLD_BIN")).join("kubectl");
        let kubectl = |words: &[&str]| {
            let mut command = Command::new(&program);
            command.args(words).env("KUBECONFIG", &kubeconfig).env("KUBECACHEDIR", folder.path().join("cache"));
            measure::run(&mut command)
        };
        let apply = |folder: &Path| {
            let folder = folder.to_string_lossy();
            kubectl(&["apply", "--server-side", "--recursive", "--filename", &folder])
        };
        let began = Instant::now();
        for Bundle { name, folder } in self.bundles {
            kubectl(&["config", "set-context", "--current", "--namespace", name])?;
            let setup = folder.join("setup");
            if setup.exists() {
                apply(&setup)?;
                kubectl(&["wait", "--for", "condition=Established", "--all", "CustomResourceDefinition"])?;
            }
            apply(folder)?;
        }
        Ok(since(began))
    }

    /// Deletes all that the bundles brought.
    fn clear(&self) -> anyhow::Result<()> {
        let root = self.root.to_string_lossy();
        let wait = ["--ignore-not-found", "--timeout=240s"];
        // An object whose definition is gone already is an error to kubectl; what is left is looked at below.
        let _ = self.parts.kubectl(&[&["delete", "--recursive", "--filename", &root][..], &wait].concat());
        let names: Vec<&str> = self.bundles.iter().map(|bundle| bundle.name.as_str()).collect();
        self.parts.kubectl(&[&["delete", "namespace"][..], &names, &wait].concat())?;
        let left = definitions(self.parts)?;
        ensure!(left == self.definitions, "definitions of the bundles are left in the cluster:\n{left}");
        Ok(())
    }
}

fn definitions(parts: &Parts) -> anyhow::Result<String> {
    parts.kubectl(&["get", "CustomResourceDefinition", "--output", "name"])
}

fn bundles(root: &Path) -> anyhow::Result<Vec<Bundle>> {
    let cannot = || format!("cannot read the bundles in {}", root.display());
    let entries: Vec<_> = std::fs::read_dir(root).and_then(Iterator::collect).with_context(cannot)?;
    let bundle =
        |entry: &std::fs::DirEntry| Some(Bundle { name: entry.file_name().into_string().ok()?, folder: entry.path() });
    let mut bundles: Vec<Bundle> = entries.iter().filter(|entry| entry.path().is_dir()).filter_map(bundle).collect();
    bundles.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!bundles.is_empty(), "there is no bundle in {}: a folder each is wanted", root.display());
    Ok(bundles)
}

/// All bundles in one commit, each in `apps/NAME`.
fn commit(repo: &Repo, bundles: &[Bundle]) -> anyhow::Result<()> {
    let mut change = repo.change("main");
    for Bundle { name, folder } in bundles {
        for path in files(folder)? {
            let within = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            change = change.write(format!("apps/{name}/{within}"), std::fs::read(&path)?);
        }
    }
    change.commit("The bundles");
    Ok(())
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
