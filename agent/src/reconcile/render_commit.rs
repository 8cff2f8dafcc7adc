//! Rendering from a mirror: a commit shown to the renderers as a tree, off the runtime's threads.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::commit_tree::{CommitTree, MANIFEST_BYTES_MAX};
use crate::context::{Context, Environment};
use crate::poll::Repository;
use crate::renderers::ByProgram;
use crate::wanted::Inputs;
use quarterdeck_core::render::built::BuildFailure;
use quarterdeck_core::render::release::Release;
use quarterdeck_core::render::{self, RenderError, Rendered};
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_kubernetes::Kinds;

/// Renders an environment's manifests of one commit.
pub(super) async fn render(
    context: &Context,
    environment: &Environment,
    commit: &CommitId,
    kinds: Arc<Kinds>,
) -> Result<Rendered, RenderError> {
    let (mirror, commit, id, spec) =
        (environment.repository.mirror(), commit.clone(), environment.id.clone(), environment.spec.clone());
    let (renderers, scratch) = (context.renderers.clone(), context.scratch());
    let (cluster, handle) = (environment.cluster.clone(), Handle::current());
    let span = tracing::Span::current();
    let rendered = tokio::task::spawn_blocking(move || {
        let _span = span.enter();
        let scope = |group: &str, kind: &str| kinds.scope(group, kind);
        let has_status = |group: &str, kind: &str| Some(kinds.get(group, kind)?.status);
        let capabilities = || handle.block_on(cluster.capabilities(&kinds)).map_err(BuildFailure::new);
        render::render(&render::Request {
            tree: &CommitTree { mirror, commit, bytes_max: MANIFEST_BYTES_MAX },
            path: &spec.path,
            kind: spec.render,
            environment: &id,
            namespace: &spec.namespace,
            scope: &scope,
            has_status: &has_status,
            release: &Release::new(&id.application, &spec, &capabilities),
            programs: &ByProgram { renderers: &renderers, scratch: &scratch },
        })
    });
    match rendered.await {
        Ok(rendered) => rendered,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// Looks up the ids of what a render depended on.
pub(super) async fn inputs(repository: &Repository, commit: &CommitId, paths: &[String]) -> Inputs {
    let (paths, commit) = (paths.to_vec(), commit.clone());
    let ids = repository
        .work(move |mirror| Ok(paths.into_iter().map(|path| (path.clone(), id_of(mirror, &commit, &path))).collect()))
        .await;
    Inputs(ids.unwrap_or_default())
}

/// Whether another commit has all of them with the same ids. Nothing known is never the same.
pub(super) async fn are_same_in(inputs: &Inputs, repository: &Repository, commit: &CommitId) -> bool {
    let (known, commit) = (inputs.0.clone(), commit.clone());
    let same = move |mirror: &Mirror| {
        Ok(!known.is_empty() && known.iter().all(|(path, id)| id.is_some() && id_of(mirror, &commit, path) == *id))
    };
    repository.work(same).await.unwrap_or(false)
}

fn id_of(mirror: &Mirror, commit: &CommitId, path: &str) -> Option<String> {
    if let Ok(Some(tree)) = mirror.tree_of(commit, path) {
        return Some(tree.to_string());
    }
    mirror.entry(commit, path).ok().flatten().map(|entry| entry.id.to_string())
}
