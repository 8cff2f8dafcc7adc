//! git: what a poll costs that finds nothing new, and a poll that finds one new commit, by each way to a repository.
//!
//! Measured is the very call that the agent's poll makes (`Mirror::list_refs`, `Mirror::fetch`), beside the git program. The
//! first poll of a way is left out: it makes the connection that the others share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::git::Repo;
use harness::real::{Parts, Way};
use quarterdeck_git::mirror::{Mirror, hang_up};
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_git::{Remote, RepositoryConfig};

use crate::Options;
use crate::figure::{Figure, Goal, Unit};
use crate::measure::{self, since};

/// Refs of a repository that is polled: a small one, and one with years of tags.
const REFS: [usize; 2] = [2, 2_000];

/// Commits of the repository in which one more is fetched.
const COMMITS: usize = 20_000;

/// A poll is short: each run of it is this many.
const POLLS: usize = 5;

/// The family without a forge: repositories on this machine.
pub(crate) fn local(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let runs = options.runs;
        blocking(move || {
            let folder = tempfile::tempdir()?;
            let mut figures = Vec::new();
            for refs in REFS {
                let way = Place::local(repository(&folder.path().join(format!("{refs}.git")), 1, refs));
                figures.push(poll(&way, refs, runs, folder.path())?);
            }
            let way = Place::local(repository(&folder.path().join("long.git"), COMMITS, 2));
            figures.push(fetch(&way, runs, folder.path())?);
            Ok(figures)
        })
        .await
    }
    .boxed()
}

/// The same over http with a token and over ssh with a key, on the world's forge.
pub(crate) fn forge(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let parts = options.parts()?.clone();
        let name = |refs: usize| format!("bench-{}-{refs}", std::process::id());
        let sizes = [REFS[0], REFS[1], COMMITS];
        for size in sizes {
            let body = serde_json::json!({ "name": name(size), "private": true, "default_branch": "main" });
            parts.forge("POST", "/user/repos", &body.to_string()).await?;
        }
        let (runs, names, there) = (options.runs, sizes.map(name), parts.clone());
        let figures = blocking(move || {
            let folder = tempfile::tempdir()?;
            let mut figures = Vec::new();
            for (refs, name) in REFS.into_iter().zip(&names) {
                let repo = repository(&folder.path().join(format!("{refs}.git")), 1, refs);
                for way in [Way::Http, Way::Ssh] {
                    let place = Place::forge(&there, way, name, &repo, folder.path())?;
                    place.publish()?;
                    figures.push(poll(&place, refs, runs, folder.path())?);
                }
            }
            let repo = repository(&folder.path().join("long.git"), COMMITS, 2);
            for way in [Way::Http, Way::Ssh] {
                let place = Place::forge(&there, way, &names[2], &repo, folder.path())?;
                place.publish()?;
                figures.push(fetch(&place, runs, folder.path())?);
            }
            hang_up(&folder.path().join("mirrors"));
            Ok(figures)
        })
        .await;
        for size in sizes {
            parts.forge("DELETE", &format!("/repos/{}/{}", parts.get("FORGE_USER"), name(size)), "").await?;
        }
        figures
    }
    .boxed()
}

/// The mirror's calls block, and its http must not be dropped on a runtime's thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Runs the git program and gives what it printed.
type Git = Box<dyn Fn(&[&str]) -> anyhow::Result<String>>;

/// A repository and how it is reached.
struct Place {
    name: &'static str,
    /// Where commits are made.
    repo: Arc<Repo>,
    address: String,
    /// Where the forge has it.
    disk: Option<PathBuf>,
    access: RepositoryConfig,
    /// Runs the git program with what it needs to reach the address.
    git: Git,
}

impl Place {
    fn local(repo: Arc<Repo>) -> Self {
        let address = repo.path().display().to_string();
        let access = RepositoryConfig::default();
        let git: Git = {
            let repo = repo.clone();
            Box::new(move |words| Ok(repo.git(words)))
        };
        Self { name: "file", repo, address, disk: None, access, git }
    }

    fn forge(parts: &Parts, way: Way, name: &str, repo: &Arc<Repo>, folder: &Path) -> anyhow::Result<Self> {
        let at = |key: &str| Some(PathBuf::from(parts.get(key)));
        let word = if matches!(way, Way::Http) { "http" } else { "ssh" };
        let checkout = parts.checkout(way, name, folder.join(format!("{name}-{word}")))?;
        let access = match way {
            Way::Http => {
                let token = folder.join("token");
                std::fs::write(&token, parts.get("FORGE_TOKEN"))?;
                let username = Some(parts.get("FORGE_USER").to_owned());
                RepositoryConfig { username, token_file: Some(token), ..Default::default() }
            }
            Way::Ssh => RepositoryConfig {
                ssh_key: at("FORGE_SSH_KEY"),
                known_hosts: at("FORGE_KNOWN_HOSTS"),
                ..Default::default()
            },
        };
        let (repo, address) = (repo.clone(), checkout.url.clone());
        let owner =
            Path::new(parts.get("WORLD_STATE")).join("forge/data/gitea-repositories").join(parts.get("FORGE_USER"));
        let disk = Some(owner.join(format!("{name}.git")));
        Ok(Self { name: word, repo, address, disk, access, git: Box::new(move |words| checkout.git(words)) })
    }

    /// Makes the forge have what the repository has, on the forge's disk: pushed to it, a tag takes it a quarter of a second.
    fn publish(&self) -> anyhow::Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut push = Command::new("git");
        push.arg("--git-dir").arg(self.repo.path()).args(["push", "--quiet", "--receive-pack"]);
        push.arg("git -c safe.directory='*' -c core.hooksPath=/dev/null receive-pack").arg(disk);
        push.args(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
        measure::run(&mut push)?;
        // What is there belongs to the forge's user, who deletes it in the end.
        let mut own = Command::new("chown");
        own.arg("--recursive").arg("--reference").arg(disk).arg(disk);
        measure::run(&mut own).map(drop)
    }

    fn mirror(&self, folder: &Path) -> anyhow::Result<Mirror> {
        let url = RepositoryUrl::parse(&self.address, Path::new("/"))?;
        let dir = folder.join("mirrors").join(url.mirror_name());
        let mirror = Mirror::open_or_init(dir, Remote { merge_requests: false, url, access: self.access.clone() })?;
        mirror.fetch(&mirror.list_refs()?)?;
        Ok(mirror)
    }
}

/// A repository on this machine: so many commits of small files, so many refs, the objects in one pack.
fn repository(path: &Path, commits: usize, refs: usize) -> Arc<Repo> {
    use std::fmt::Write as _;
    let repo = Repo::open_or_init(path);
    let mut script = String::new();
    for commit in 0..commits {
        let text = format!("value: {commit}\n");
        let (folder, file) = (commit % 100, commit / 100 % 20);
        // Writing into a string cannot fail.
        let _ = write!(
            script,
            "commit refs/heads/main\ncommitter Ann <ann@example.org> {} +0000\ndata 5\nAgain\nM 100644 inline apps/app-{folder}/{file}.yaml\ndata {}\n{text}\n",
            1_700_000_000 + commit,
            text.len(),
        );
    }
    for tag in 1..refs {
        let _ = write!(script, "reset refs/tags/push-1.{tag}.0\nfrom refs/heads/main\n\n");
    }
    repo.git_raw(&["fast-import", "--quiet"], script.as_bytes());
    repo.git(&["pack-refs", "--all"]);
    Arc::new(repo)
}

/// Polls that find nothing new.
fn poll(place: &Place, refs: usize, runs: usize, folder: &Path) -> anyhow::Result<Figure> {
    let mirror = place.mirror(folder)?;
    let known = mirror.list_refs()?;
    anyhow::ensure!(known.branches.len() + known.tags.len() == refs, "{refs} refs were to be there");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs * POLLS {
        let began = Instant::now();
        anyhow::ensure!(mirror.list_refs()? == known, "the refs were to stay as they are");
        ours.push(since(began));
        let began = Instant::now();
        (place.git)(&["ls-remote", &place.address])?;
        theirs.push(since(began));
    }
    let what = format!("poll of {refs} unchanged refs, {}", place.name);
    Ok(Figure::new(what, Unit::Milliseconds, ours).beside("git ls-remote", theirs).goal(Goal::Times(0.5)))
}

/// A poll that finds one new commit, until that is in the mirror.
fn fetch(place: &Place, runs: usize, folder: &Path) -> anyhow::Result<Figure> {
    let mirror = place.mirror(folder)?;
    let clone = folder.join(format!("clone-{}", place.name)).display().to_string();
    // Of a forge there is a checkout already, which knows its login.
    let (clone, main): (&[&str], _) = match place.disk {
        Some(_) => (&[], "origin/main"),
        None => (&["--git-dir", &clone], "main"),
    };
    match clone {
        [_, clone] => (place.git)(&["clone", "--quiet", "--mirror", &place.address, clone])?,
        _ => (place.git)(&["fetch", "--quiet"])?,
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let text = format!("value: once more {run}\n");
        let commit = place.repo.commit("main", &[("apps/app-7/0.yaml", &text)], "One more");
        place.publish()?;
        let began = Instant::now();
        let outcome = mirror.fetch(&mirror.list_refs()?)?;
        mirror.maintain()?;
        ours.push(since(began));
        anyhow::ensure!(outcome.updated == ["refs/heads/main"], "one branch was to move");
        let began = Instant::now();
        (place.git)(&[clone, &["fetch", "--quiet"]].concat())?;
        theirs.push(since(began));
        anyhow::ensure!((place.git)(&[clone, &["rev-parse", main]].concat())? == commit, "the clone is behind");
    }
    let what = format!("poll and fetch of one new commit among {COMMITS}, {}", place.name);
    Ok(Figure::new(what, Unit::Milliseconds, ours).beside("git fetch", theirs).goal(Goal::Times(1.0)))
}
