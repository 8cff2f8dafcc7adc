//! Commits of repositories, each fetched once into a mirror of its own: what an environment polls is in another one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quarterdeck_core::tree::Tree;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_git::{CommitId, RefSnapshot, Remote, Target};

use super::{KeptTag, RemoteProblem, Remotes, tags};
use crate::commit_tree::{CommitTree, MANIFEST_BYTES_MAX};

/// A tag may be written with all of its name.
const TAGS: &str = "refs/tags/";

/// The mirrors that are open, by the keys of their repositories.
#[derive(Default)]
pub(super) struct Mirrors(Mutex<BTreeMap<String, Arc<Open>>>);

/// A mirror; one commit is fetched once, however many environments want it.
#[derive(Default)]
struct Open {
    mirror: Mutex<Option<Arc<Mirror>>>,
    fetching: Mutex<()>,
}

impl Mirrors {
    fn of(&self, key: &str) -> Arc<Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.to_owned()).or_default().clone()
    }

    pub(super) fn interrupt(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for open in all.values() {
            if let Some(mirror) = &*open.mirror.lock().unwrap_or_else(PoisonError::into_inner) {
                mirror.interrupt();
            }
        }
    }
}

/// The commit that a reference names by itself.
pub(super) fn fixed(reference: &str) -> Option<String> {
    reference.parse::<CommitId>().ok().map(|commit| commit.to_string())
}

impl Remotes {
    /// The files of a repository at a reference, and the commit that it means.
    pub(super) fn commit(&self, url: RepositoryUrl, reference: &str) -> Result<(Arc<dyn Tree>, String), RemoteProblem> {
        let key = url.key().to_owned();
        let open = self.mirrors.of(&key);
        let mirror = self.mirror(&open, url)?;
        let _alone = open.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let known = fixed(reference).or_else(|| tags::read(&self.folder, &key, reference));
        let (commit, is_new) = match known {
            Some(commit) => (commit, false),
            None => (tag_now(&mirror.list_refs()?, reference, &mirror.remote().url.to_string())?, true),
        };
        let commit = id(&commit, &mirror, reference)?;
        let target = Target::Commit(commit.clone());
        if mirror.resolve(&target, None).is_err() {
            mirror.heal()?;
            mirror.fetch_commit(&commit)?;
        }
        let commit = mirror.resolve(&target, None)?;
        if is_new {
            let tag = KeptTag { key, reference: reference.to_owned(), commit: commit.to_string() };
            let failed = |source| RemoteProblem::Keep { path: self.folder.clone(), source };
            tags::write(&self.folder, &tag).map_err(failed)?;
        }
        let text = commit.to_string();
        Ok((Arc::new(CommitTree { mirror, commit, bytes_max: MANIFEST_BYTES_MAX }), text))
    }

    /// The address for people, where a tag of the repository was used. Blocks for moments.
    pub fn used_by_tag(&self, address: &str) -> Option<String> {
        let url = RepositoryUrl::parse(address, &self.base).ok()?;
        (!tags::of(&self.folder, url.key()).is_empty()).then(|| url.to_string())
    }

    /// The tags of a repository that were used, each with where it is now; nothing where none was. Blocks.
    ///
    /// # Errors
    /// Where the repository cannot be asked.
    pub fn tags(&self, address: &str) -> Result<Vec<(KeptTag, Option<String>)>, RemoteProblem> {
        let url = RepositoryUrl::parse(address, &self.base)?;
        let kept = tags::of(&self.folder, url.key());
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        let mirror = self.mirror(&self.mirrors.of(url.key()), url)?;
        let refs = mirror.list_refs()?;
        let now = |tag: &KeptTag| tag_now(&refs, &tag.reference, address).ok();
        Ok(kept.into_iter().map(|tag| (tag.clone(), now(&tag))).collect())
    }

    /// The mirror, reached as the configuration says now.
    fn mirror(&self, open: &Open, url: RepositoryUrl) -> Result<Arc<Mirror>, RemoteProblem> {
        let folder = self.mirrors().join(url.mirror_name());
        let remote = Remote::new(url, &self.config.borrow().repository, &self.base)?;
        let mut mirror = open.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match &*mirror {
            // One that nobody needed for a while was deleted.
            Some(mirror) if !mirror.dir().is_dir() => Mirror::open_or_init(folder, remote)?,
            Some(mirror) if *mirror.remote() == remote => return Ok(mirror.clone()),
            Some(mirror) => mirror.reached_by(remote)?,
            None => Mirror::open_or_init(folder, remote)?,
        };
        Ok(mirror.insert(Arc::new(now)).clone())
    }
}

/// The commit of a tag, as it was listed now.
fn tag_now(refs: &RefSnapshot, reference: &str, repository: &str) -> Result<String, RemoteProblem> {
    let name = reference.strip_prefix(TAGS).unwrap_or(reference);
    if let Some(commit) = refs.tags.get(name).and_then(|tag| tag.commit.as_ref()) {
        return Ok(commit.to_string());
    }
    let (reference, repository) = (reference.to_owned(), repository.to_owned());
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(&reference);
    match refs.branches.get(branch) {
        Some(commit) => {
            Err(RemoteProblem::Branch { branch: branch.to_owned(), repository, commit: commit.to_string() })
        }
        None => Err(RemoteProblem::NoTag { reference, repository }),
    }
}

fn id(commit: &str, mirror: &Mirror, reference: &str) -> Result<CommitId, RemoteProblem> {
    let repository = || mirror.remote().url.to_string();
    commit.parse().map_err(|_| RemoteProblem::NoTag { reference: reference.to_owned(), repository: repository() })
}
