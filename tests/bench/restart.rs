//! restart: 1,000 kustomizations of one repository, from the start of the agent until each is compared with its cluster, where all
//! of them were rendered before. `--applications` says how many.
//!
//! Programs stand behind wrappers that count: what an unchanged fleet starts is what is counted. Beside it stands the first sync
//! of the same fleet, which renders all of them.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use quarterdeck_shared::snapshot::RenderedFrom;
use quarterdeck_shared::status::SyncStatus;

use crate::Options;
use crate::cluster::Namespace;
use crate::figure::{Figure, Goal, Unit};
use crate::fleet;
use crate::measure::since;
use crate::subject::{Subject, environment};

/// Whatever an agent may start for a deployment.
const PROGRAMS: [&str; 6] = ["kustomize", "kubectl", "helm", "sops", "git", "ssh"];

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let space = Namespace::make(options.parts()?, "restart").await?;
        let measured = measure(options, &space).await;
        space.clear().await?;
        space.delete()?;
        measured
    }
    .boxed()
}

async fn measure(options: &Options, space: &Namespace) -> anyhow::Result<Vec<Figure>> {
    let names = fleet::names(options.applications);
    let mut subject = Subject::start(options, Some(&space.name), None).await?;
    subject.agent.stop_agent()?;
    let programs = options.parts()?.path_with_programs()?.into_os_string();
    let counted = Counted::install(&subject.agent.path("counted"), &programs)?;
    subject.agent.set("PATH", counted.path(&programs)?);
    subject.agent.start_agent().await?;
    let change = names.iter().fold(subject.repo.change("main"), |change, name| {
        change
            .write(
                format!("apps/{name}/kustomization.yaml"),
                "resources: [config.yaml]\nlabels: [{pairs: {bench: \"yes\"}}]\n",
            )
            .write(format!("apps/{name}/config.yaml"), config_map(name, 1))
    });
    change.commit("All of them");
    let first = subject.operate(&names).await?;
    subject.settle().await?;
    let renders = counted.take()?;
    let [mut seconds, mut starts, mut cpu] = [const { Vec::new() }; 3];
    for _ in 0..options.runs {
        subject.agent.stop_agent()?;
        counted.take()?;
        let began = Instant::now();
        subject.agent.start_agent().await?;
        compared(&subject, names.len()).await?;
        seconds.push(since(began));
        subject.settle().await?;
        cpu.push(subject.process().await?.cpu()?);
        starts.push(counted.take()?);
    }
    subject.repo.commit("main", &[("README.md", "Nothing that is deployed\n")], "Words");
    let elsewhere = subject.wake(&names).await?;
    subject.settle().await?;
    let for_elsewhere = counted.take_renderers()?;
    let one = &names[names.len() / 2];
    subject.repo.commit("main", &[(&format!("apps/{one}/config.yaml"), &config_map(one, 2))], "Another value");
    subject.wake(std::slice::from_ref(one)).await?;
    subject.settle().await?;
    let for_one = counted.take_renderers()?;
    let fleet = format!("{} kustomizations", names.len());
    let count = |what: String, runs| Figure::new(what, Unit::Count, runs);
    Ok(vec![
        Figure::new(format!("{fleet} at start, rendered before: until all are compared"), Unit::Milliseconds, seconds)
            .beside("their first sync", vec![first])
            .goal(Goal::AtMost(3_000.0)),
        count(format!("{fleet} at start, rendered before: programs started"), starts)
            .beside("their first sync", vec![renders])
            .goal(Goal::AtMost(0.0)),
        Figure::new("processor time of that start", Unit::CpuSeconds, cpu),
        Figure::new("a commit that changes none of them, wake to recorded", Unit::Milliseconds, vec![elsewhere]),
        count("programs that render started for it".to_owned(), vec![for_elsewhere]).goal(Goal::AtMost(0.0)),
        count("programs that render started for a commit that changes one of them".to_owned(), vec![for_one])
            .goal(Goal::AtMost(1.0)),
    ])
}

fn config_map(name: &str, version: u32) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {name} {version}\n")
}

/// Waits until each was compared, with what was rendered before.
async fn compared(subject: &Subject, count: usize) -> anyhow::Result<()> {
    let mut follow = subject.follow().await?;
    let mut seen = std::collections::BTreeSet::new();
    let is_it = |object: &_| {
        if let Some(status) = environment(object)
            && status.sync == SyncStatus::Synced
            && status.rendered == Some(RenderedFrom::Cache)
        {
            seen.insert(status.environment.clone());
        }
        seen.len() == count
    };
    follow.until("the fleet after a restart", is_it).await.with_context(|| subject.agent.log()).map(drop)
}

/// Wrappers of programs, each of which notes that it was started and becomes the program.
struct Counted {
    folder: PathBuf,
}

impl Counted {
    fn install(folder: &Path, search: &OsString) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let find = |name: &str| std::env::split_paths(search).map(|path| path.join(name)).find(|path| path.is_file());
        for name in PROGRAMS {
            let mut script = format!("#!/bin/sh\necho {name} >>{}\n", folder.join("starts").display());
            match (find(name), find("kubectl")) {
                (Some(program), _) => writeln!(script, "exec {} \"$@\"", program.display())?,
                // The same program, by the name under which the agent looks for it first.
                (None, Some(kubectl)) if name == "kustomize" => {
                    writeln!(script, "shift\nexec {} kustomize \"$@\"", kubectl.display())?;
                }
                (None, _) => continue,
            }
            let path = folder.join(name);
            std::fs::write(&path, script)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The `PATH` on which they are found first.
    fn path(&self, search: &OsString) -> anyhow::Result<PathBuf> {
        let all = std::iter::once(self.folder.clone()).chain(std::env::split_paths(search));
        Ok(std::env::join_paths(all)?.into())
    }

    /// How many were started since this was last asked.
    fn take(&self) -> anyhow::Result<f64> {
        Ok(self.started()?.len() as f64)
    }

    /// The same without those that fetch a commit.
    fn take_renderers(&self) -> anyhow::Result<f64> {
        Ok(self.started()?.iter().filter(|name| !matches!(name.as_str(), "git" | "ssh")).count() as f64)
    }

    fn started(&self) -> anyhow::Result<Vec<String>> {
        let file = self.folder.join("starts");
        let starts = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, "")?;
        Ok(starts.lines().map(str::to_owned).collect())
    }
}
