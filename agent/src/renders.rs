//! Renders that are kept on the disk, all of them sealed.
//!
//! ```text
//! renders/key                     made once; what is sealed with another one is cleared
//! renders/cache/REQUEST-…         what was rendered last, by all that had a say: no program is started for it again
//! renders/kept/ENV-REVISION-…     what each sync applied: a rollback needs neither the repository nor the program
//! ```
//! Names are keyed digests: neither they nor the files say anything without the key. What goes first, and whether one fits, is
//! decided by [`quarterdeck_core::render::kept`].
//!
//! Invariant: no error here fails a render. What cannot be kept is rendered again, and the log says once why.

mod folder;
mod seal;

use std::path::Path;
use std::time::{Duration, SystemTime};

use quarterdeck_core::render::kept::surplus::Bounds;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::revision::Revision;

use self::folder::Folder;
use self::seal::Seal;
use crate::config::Config;

/// Where they are in the data directory.
const FOLDER: &str = "renders";

/// A render that nobody asked for in this time is of a branch, a merge request or options that are gone. A person who comes
/// back to one after a month waits for it once.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Renders of one request: the branch, what ran before it, and some merge requests. Each is opened until one fits, so that
/// a render that is not among them costs so many looks at the disk.
const OF_A_REQUEST: usize = 8;

/// The renders that are kept.
pub struct Renders {
    /// None where there is no key: then nothing is kept.
    seal: Option<Seal>,
    cache: Folder,
    kept: Folder,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Files.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Renders {
    /// Those of a data directory. Blocks.
    pub fn open(data_dir: &Path, config: &Config) -> Self {
        let root = data_dir.join(FOLDER);
        let (cache, kept) = (Folder::open(root.join("cache")), Folder::open(root.join("kept")));
        let seal = match Seal::load(&root) {
            Ok((seal, is_new)) => {
                if is_new && cache.amount().count + kept.amount().count > 0 {
                    tracing::warn!(
                        folder = %root.display(),
                        "the key of the renders that are kept is gone; they are cleared, and made again when they are needed"
                    );
                    cache.clear();
                    kept.clear();
                }
                Some(seal)
            }
            Err(error) => {
                let error = quarterdeck_shared::error::chain(&error);
                tracing::warn!(%error, "renders are not kept in this run of the agent");
                None
            }
        };
        let renders = Self { seal, cache, kept };
        renders.cache.tidy(cached(config), now());
        renders.kept.tidy(kept_bounds(config), now());
        renders
    }

    /// The keyed digest of some texts: what they say cannot be told from it.
    pub fn digest(&self, texts: &[&str]) -> Option<String> {
        self.seal.as_ref().map(|seal| seal.digest(texts))
    }

    /// The renders of a request, opened one after the other, the newest first. Blocks.
    pub fn of_request<'a>(&'a self, request: &'a str) -> impl Iterator<Item = (String, Vec<u8>)> + 'a {
        self.opened(&self.cache, format!("{request}-"))
    }

    /// One of them was used.
    pub fn used(&self, name: &str) {
        self.cache.used(name, now());
    }

    /// Keeps a render of a request, told from others of it by what it depended on. Blocks.
    pub fn cache(&self, request: &str, depends: &str, content: &[u8], config: &Config) {
        let Some(seal) = &self.seal else { return };
        let name = format!("{request}-{}", seal.digest(&["depends", depends]));
        self.cache.write(seal, &name, content, cached(config), now());
    }

    /// What was kept of the syncs of an environment to a revision, the newest first; of one request where it is named. Blocks.
    pub fn of_sync(
        &self,
        environment: &EnvironmentId,
        revision: &Revision,
        request: &str,
    ) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
        let prefix = self.sync_prefix(environment, revision).map(|prefix| prefix + request);
        self.opened(&self.kept, prefix.unwrap_or_default())
    }

    /// Whether something was.
    pub fn has_sync(&self, environment: &EnvironmentId, revision: &Revision) -> bool {
        self.sync_prefix(environment, revision).is_some_and(|prefix| !self.kept.names(&prefix).is_empty())
    }

    /// Keeps what a sync applied, told from others of this revision by what was asked for and what came of it. Blocks.
    pub fn keep(
        &self,
        (environment, revision): (&EnvironmentId, &Revision),
        (request, digest): (&str, &str),
        content: impl FnOnce() -> Option<Vec<u8>>,
        config: &Config,
    ) {
        let (Some(seal), Some(prefix)) = (&self.seal, self.sync_prefix(environment, revision)) else { return };
        let name = format!("{prefix}{request}-{}", seal.digest(&["content", digest]));
        if self.kept.used(&name, now()) {
            return;
        }
        if let Some(content) = content() {
            self.kept.write(seal, &name, &content, kept_bounds(config), now());
        }
    }

    /// How much is cached, and how much is kept of syncs.
    pub fn amounts(&self) -> (Amount, Amount) {
        (self.cache.amount(), self.kept.amount())
    }

    /// Whether anything is kept at all.
    pub fn is_open(&self) -> bool {
        self.seal.is_some()
    }

    fn sync_prefix(&self, environment: &EnvironmentId, revision: &Revision) -> Option<String> {
        let seal = self.seal.as_ref()?;
        let chart = revision.chart.as_ref().map(ToString::to_string).unwrap_or_default();
        let environment = environment.to_string();
        let of = seal.digest(&["environment", &environment]);
        let sources = revision.sources.iter().map(|source| format!("{}:{}", source.name, source.at.commit));
        let sources = sources.collect::<Vec<_>>().join(" ");
        let mut material = vec!["revision", revision.commit.as_str(), &chart];
        // Of one repository alone it is as it was before there could be others.
        material.extend(Some(sources.as_str()).filter(|sources| !sources.is_empty()));
        Some(format!("{of}-{}-", seal.digest(&material)))
    }

    fn opened<'a>(&'a self, folder: &'a Folder, prefix: String) -> impl Iterator<Item = (String, Vec<u8>)> + 'a {
        let names = if prefix.is_empty() { Vec::new() } else { folder.names(&prefix) };
        let opened = move |name: String| {
            let content = folder.read(self.seal.as_ref()?, &name)?;
            Some((name, content))
        };
        names.into_iter().filter_map(opened)
    }
}

/// What the cache may take.
fn cached(config: &Config) -> Bounds {
    Bounds { bytes: config.render.cache_bytes, age: UNUSED.as_secs(), of_a_group: OF_A_REQUEST, newest_stays: false }
}

/// What the renders of syncs may take: as long as history keeps their syncs, and as many of an environment.
fn kept_bounds(config: &Config) -> Bounds {
    Bounds {
        bytes: config.render.kept_bytes,
        age: u64::from(config.history.days) * 24 * 3600,
        of_a_group: config.history.syncs as usize,
        newest_stays: true,
    }
}

/// Seconds since 1970. A clock that is set back makes everything young, and nothing goes for it.
fn now() -> u64 {
    seconds(SystemTime::now())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
