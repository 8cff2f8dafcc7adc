//! The mirror of a repository against real git, by each way in: what it sees, what it costs, and what it refuses.

mod access;
mod faults;
pub(crate) mod healed;
mod mirror;
mod odd;
mod push;
mod signed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use harness::git::Forge;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_git::{Author, CommitId, FileEdit, GitError, Remote, RepositoryConfig};

/// A way into a forge.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Path,
    Http,
    Ssh,
}

/// A forge with `ops/shop` and a place for mirrors.
struct World {
    forge: Forge,
    data: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self { forge: Forge::start().await.unwrap(), data: tempfile::tempdir().unwrap() }
    }

    fn address(&self, way: Way) -> String {
        match way {
            Way::Path => self.forge.path("ops/shop").display().to_string(),
            Way::Http => self.forge.http("ops/shop"),
            Way::Ssh => self.forge.ssh("ops/shop"),
        }
    }

    fn access(&self) -> RepositoryConfig {
        RepositoryConfig { ssh_program: Some(self.forge.ssh_program().into()), ..Default::default() }
    }

    fn remote(&self, way: Way, access: RepositoryConfig) -> Remote {
        let url = RepositoryUrl::parse(&self.address(way), Path::new("/")).unwrap();
        Remote { url, access, merge_requests: false }
    }

    fn dir(&self, remote: &Remote) -> PathBuf {
        self.data.path().join("mirrors").join(remote.url.mirror_name())
    }

    fn open(&self, remote: Remote) -> Arc<Mirror> {
        Arc::new(Mirror::open_or_init(self.dir(&remote), remote).unwrap())
    }

    fn mirror(&self, way: Way) -> Arc<Mirror> {
        self.open(self.remote(way, self.access()))
    }
}

/// Runs a blocking call of a mirror as the agent does.
async fn on<T: Send + 'static>(mirror: &Arc<Mirror>, call: impl FnOnce(&Mirror) -> T + Send + 'static) -> T {
    let mirror = mirror.clone();
    tokio::task::spawn_blocking(move || call(&mirror)).await.unwrap()
}

async fn list_error(mirror: &Arc<Mirror>) -> GitError {
    on(mirror, Mirror::list_refs).await.expect_err("the listing fails")
}

fn id(text: &str) -> CommitId {
    text.parse().unwrap()
}

fn ann() -> Author {
    Author { name: "Ann".into(), email: "ann@example.org".into() }
}

fn edit(path: &str, content: &str) -> FileEdit {
    FileEdit { path: path.into(), content: content.into() }
}
