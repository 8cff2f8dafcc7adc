//! Rendering from a mirror: a commit shown to the renderers as a tree, off the runtime's threads. What was rendered before is used
//! again where it fits.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::reuse::{Asking, Found, Made, Told, digest_of};
use super::sources;
use crate::charts::ChartFiles;
use crate::commit_tree::{CommitTree, MANIFEST_BYTES_MAX};
use crate::context::{Context, Environment};
use crate::remotes::Allowed;
use crate::renderers::ByProgram;
use crate::renderers::programs::Program;
use crate::sops::ConfiguredKeys;
use crate::source_tree::{SourceTree, beside, located};
use crate::wanted::Inputs;
use quarterdeck_core::render::built::{BuildFailure, Built};
use quarterdeck_core::render::chart::Chart;
use quarterdeck_core::render::elsewhere::Elsewhere;
use quarterdeck_core::render::jsonnet::{Evaluated, Imports};
use quarterdeck_core::render::kept::noting::Noting;
use quarterdeck_core::render::kustomize::Needs;
use quarterdeck_core::render::programs::Programs;
use quarterdeck_core::render::release::Release;
use quarterdeck_core::render::{self, RenderError};
use quarterdeck_core::sops::decrypting::Decrypting;
use quarterdeck_core::tree::Tree;
use quarterdeck_core::variables::Variables;
use quarterdeck_git::CommitId;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_shared::application::{JsonnetSpec, RenderKind};
use quarterdeck_shared::revision::Revision;

/// Renders an environment's manifests of one commit, or takes what was rendered before; the former in any case where it is asked
/// for `anew`.
pub(super) async fn render(
    context: &Context,
    environment: &Environment,
    commit: &CommitId,
    chart: Option<ChartFiles>,
    asking: Arc<Asking>,
    variables: Option<Variables>,
    anew: bool,
) -> Result<Made, RenderError> {
    let (commit, id, spec) = (commit.clone(), environment.id.clone(), environment.spec.clone());
    let scratch = context.scratch();
    let elsewhere = context.remotes.for_spec(&spec.kustomize);
    // What was decrypted before may be live still.
    let before = context.wanted.last_rendered(&id).0.and_then(|rendered| rendered.confidential);
    let span = tracing::Span::current();
    let rendered = tokio::task::spawn_blocking(move || {
        let _span = span.enter();
        let Found { same, by_others } = asking.find(before.as_deref());
        let same = match same {
            Some(outcome) if !anew => return outcome,
            same => same.and_then(Result::ok).map(|made| made.rendered),
        };
        let (renderers, kinds) = (&asking.renderers, &asking.kinds);
        let asked = RefCell::new(BTreeSet::new());
        let scope = |group: &str, kind: &str| {
            asked.borrow_mut().insert((group.to_owned(), kind.to_owned()));
            kinds.scope(group, kind)
        };
        let has_status = |group: &str, kind: &str| Some(kinds.get(group, kind)?.status);
        let served = Mutex::new(None);
        let capabilities = || {
            let capabilities = asking.ask_capabilities().map_err(BuildFailure::new)?;
            *served.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest_of(&capabilities));
            Ok(capabilities)
        };
        let commit = CommitTree { mirror: asking.mirror.clone(), commit, bytes_max: MANIFEST_BYTES_MAX };
        let sourced = beside(&commit, &asking.sources);
        let noting = Noting::new(&sourced);
        let layered = chart.as_ref().map(|chart| chart.over(&noting));
        let (tree, path, kind): (&dyn Tree, &str, RenderKind) = match &layered {
            Some(layered) => (layered, layered.folder, RenderKind::Helm),
            None => (&noting, &spec.path, spec.render),
        };
        let keys = ConfiguredKeys::of(&spec, renderers);
        let tree = Decrypting::new(tree, &keys, before.as_deref());
        let by_program = ByProgram { renderers, scratch: &scratch, secrets: &tree };
        let programs = Noted { programs: by_program, ran: RefCell::default(), elsewhere: &elsewhere };
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
            overlay: &spec.kustomize.overlay,
            jsonnet: &spec.jsonnet,
            release: &Release::new(&id.application, &spec, &capabilities),
            programs: &programs,
        });
        let ran = programs.ran.into_inner();
        let mut confidential = tree.finish();
        variables.iter().flat_map(Variables::secrets).for_each(|secret| confidential.keep(secret));
        let rendered = rendered.map(|mut rendered| {
            if !confidential.is_empty() {
                rendered.hide(&Arc::new(confidential));
            }
            // What the chart is made of is said by its digest, and is in no commit.
            rendered.inputs.retain(|path| chart.as_ref().is_none_or(|chart| !chart.holds(path)));
            rendered
        });
        let capabilities = served.into_inner().unwrap_or_else(PoisonError::into_inner);
        let told = Told { kinds: asked.into_inner(), capabilities, programs: ran, elsewhere: elsewhere.taken() };
        match asking.keep(noting.finish(), rendered, told) {
            Err(error) if error.is_outage() => same.or(by_others).map(Made::kept).ok_or(error),
            outcome => outcome,
        }
    });
    match rendered.await {
        Ok(rendered) => rendered,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// Programs, and which of them ran.
struct Noted<'a> {
    programs: ByProgram<'a>,
    ran: RefCell<Vec<(String, String)>>,
    elsewhere: &'a Allowed,
}

impl Noted<'_> {
    /// Before it runs: one that is exchanged meanwhile is another one from then on.
    fn runs(&self, name: &str, program: Option<&Program>) {
        let mut ran = self.ran.borrow_mut();
        if let Some(identity) = program.and_then(Program::identity)
            && !ran.iter().any(|(known, _)| known == name)
        {
            ran.push((name.to_owned(), identity));
        }
    }
}

impl Programs for Noted<'_> {
    fn kustomize(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure> {
        self.runs("kustomize", self.programs.renderers.kustomize());
        if needs.has_charts {
            self.runs("helm", self.programs.renderers.helm());
        }
        self.programs.kustomize(tree, folder, needs)
    }

    fn helm(&self, tree: &dyn Tree, chart: &Chart, release: &Release<'_>) -> Result<Built, BuildFailure> {
        self.runs("helm", self.programs.renderers.helm());
        self.programs.helm(tree, chart, release)
    }

    fn jsonnet(&self, tree: &dyn Tree, imports: &Imports, spec: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        self.runs("jsonnet", self.programs.renderers.jsonnet());
        self.programs.jsonnet(tree, imports, spec)
    }

    fn elsewhere(&self) -> &dyn Elsewhere {
        self.elsewhere
    }
}

/// Looks up the ids of what a render depended on.
pub(super) async fn inputs(environment: &Environment, revision: &Revision, paths: &[String]) -> Inputs {
    let (asked, commit) = (paths.to_vec(), revision.commit.clone());
    let trees = sources::known_trees(environment, revision);
    let ids = environment.repository.work(move |mirror| {
        Ok(asked.into_iter().map(|path| (path.clone(), id_of((mirror, &commit), &trees, &path))).collect())
    });
    let ids = ids.await;
    let unknown = |_| paths.iter().map(|path| (path.clone(), None)).collect();
    Inputs { files: ids.unwrap_or_else(unknown), chart: revision.chart.clone(), variables: None }
}

/// Whether another revision has all of them with the same ids, and the same chart. Nothing known is never the same, but of a
/// chart from elsewhere without values of the repository.
pub(super) async fn are_same_in(inputs: &Inputs, environment: &Environment, revision: &Revision) -> bool {
    let (known, commit) = (inputs.files.clone(), revision.commit.clone());
    if inputs.chart != revision.chart || known.is_empty() && inputs.chart.is_none() {
        return false;
    }
    let trees = sources::known_trees(environment, revision);
    let same = move |mirror: &Mirror| {
        Ok(known.iter().all(|(path, id)| id.is_some() && id_of((mirror, &commit), &trees, path) == *id))
    };
    environment.repository.work(same).await.unwrap_or(false)
}

/// Nothing where it could not be read. What does not exist has an id as well: a render depends on an ignore file that is added.
fn id_of(own: (&Mirror, &CommitId), sources: &[SourceTree], path: &str) -> Option<String> {
    let (mirror, commit, path) = located(own, sources, path);
    if let Some(tree) = mirror.tree_of(commit, &path).ok()? {
        return Some(tree.to_string());
    }
    let entry = mirror.entry(commit, &path).ok()?;
    Some(entry.map_or_else(|| "none".to_owned(), |entry| entry.id.to_string()))
}
