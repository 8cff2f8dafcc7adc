//! Rendering from a mirror: a commit shown to the renderers as a tree, off the runtime's threads.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::charts::ChartFiles;
use crate::commit_tree::{CommitTree, MANIFEST_BYTES_MAX};
use crate::context::{Context, Environment};
use crate::poll::Repository;
use crate::renderers::ByProgram;
use crate::sops::ConfiguredKeys;
use crate::wanted::Inputs;
use quarterdeck_core::render::built::BuildFailure;
use quarterdeck_core::render::release::Release;
use quarterdeck_core::render::{self, RenderError, Rendered};
use quarterdeck_core::sops::decrypting::Decrypting;
use quarterdeck_core::tree::Tree;
use quarterdeck_core::variables::Variables;
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_kubernetes::Kinds;
use quarterdeck_shared::application::RenderKind;
use quarterdeck_shared::revision::Revision;

/// Renders an environment's manifests of one commit.
pub(super) async fn render(
    context: &Context,
    environment: &Environment,
    commit: &CommitId,
    chart: Option<ChartFiles>,
    kinds: Arc<Kinds>,
    variables: Option<Variables>,
) -> Result<Rendered, RenderError> {
    let (mirror, commit, id, spec) =
        (environment.repository.mirror(), commit.clone(), environment.id.clone(), environment.spec.clone());
    let (renderers, scratch) = (context.renderers.clone(), context.scratch());
    let (cluster, handle) = (environment.cluster.clone(), Handle::current());
    // What was decrypted before may be live still.
    let before = context.wanted.last_rendered(&id).0.and_then(|rendered| rendered.confidential);
    let span = tracing::Span::current();
    let rendered = tokio::task::spawn_blocking(move || {
        let _span = span.enter();
        let scope = |group: &str, kind: &str| kinds.scope(group, kind);
        let has_status = |group: &str, kind: &str| Some(kinds.get(group, kind)?.status);
        let capabilities = || handle.block_on(cluster.capabilities(&kinds)).map_err(BuildFailure::new);
        let commit = CommitTree { mirror, commit, bytes_max: MANIFEST_BYTES_MAX };
        let layered = chart.as_ref().map(|chart| chart.over(&commit));
        let (tree, path, kind): (&dyn Tree, &str, RenderKind) = match &layered {
            Some(layered) => (layered, layered.folder, RenderKind::Helm),
            None => (&commit, &spec.path, spec.render),
        };
        let keys = ConfiguredKeys::of(&spec, &renderers);
        let tree = Decrypting::new(tree, &keys, before.as_deref());
        let rendered = render::render(&render::Request {
            tree: &tree,
            path,
            kind,
            environment: &id,
            namespace: &spec.namespace,
            scope: &scope,
            has_status: &has_status,
            variables: variables.as_ref(),
            files: &spec.files,
            jsonnet: &spec.jsonnet,
            release: &Release::new(&id.application, &spec, &capabilities),
            programs: &ByProgram { renderers: &renderers, scratch: &scratch, scrub: &|text| tree.scrub(text) },
        });
        let (mut confidential, mut rendered) = (tree.finish(), rendered?);
        variables.iter().flat_map(Variables::secrets).for_each(|secret| confidential.keep(secret));
        if !confidential.is_empty() {
            rendered.hide(&Arc::new(confidential));
        }
        // What the chart is made of is said by its digest, and is in no commit.
        rendered.inputs.retain(|path| chart.as_ref().is_none_or(|chart| !chart.holds(path)));
        Ok(rendered)
    });
    match rendered.await {
        Ok(rendered) => rendered,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// Looks up the ids of what a render depended on.
pub(super) async fn inputs(repository: &Repository, revision: &Revision, paths: &[String]) -> Inputs {
    let (asked, commit) = (paths.to_vec(), revision.commit.clone());
    let ids = repository
        .work(move |mirror| Ok(asked.into_iter().map(|path| (path.clone(), id_of(mirror, &commit, &path))).collect()))
        .await;
    let unknown = |_| paths.iter().map(|path| (path.clone(), None)).collect();
    Inputs { files: ids.unwrap_or_else(unknown), chart: revision.chart.clone(), variables: None }
}

/// Whether another revision has all of them with the same ids, and the same chart. Nothing known is never the same, but of a
/// chart from elsewhere without values of the repository.
pub(super) async fn are_same_in(inputs: &Inputs, repository: &Repository, revision: &Revision) -> bool {
    let (known, commit) = (inputs.files.clone(), revision.commit.clone());
    if inputs.chart != revision.chart || known.is_empty() && inputs.chart.is_none() {
        return false;
    }
    let same =
        move |mirror: &Mirror| Ok(known.iter().all(|(path, id)| id.is_some() && id_of(mirror, &commit, path) == *id));
    repository.work(same).await.unwrap_or(false)
}

/// Nothing where it could not be read. What does not exist has an id as well: a render depends on an ignore file that is added.
fn id_of(mirror: &Mirror, commit: &CommitId, path: &str) -> Option<String> {
    if let Some(tree) = mirror.tree_of(commit, path).ok()? {
        return Some(tree.to_string());
    }
    let entry = mirror.entry(commit, path).ok()?;
    Some(entry.map_or_else(|| "none".to_owned(), |entry| entry.id.to_string()))
}
