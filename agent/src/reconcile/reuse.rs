//! Renders that were done before: the one that fits how things are now, and the one that a sync applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use quarterdeck_core::render::kept::depends::{Answer, Depends, Fit, KindSeen, Now, Seen};
use quarterdeck_core::render::kept::noting::{self, Noted};
use quarterdeck_core::render::kept::{Request, entry};
use quarterdeck_core::render::object::definitions;
use quarterdeck_core::render::release::Capabilities;
use quarterdeck_core::render::{RenderError, Rendered};
use quarterdeck_core::sync::confidential::Confidential;
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_kubernetes::{ApiProblem, Cluster, Kinds};
use quarterdeck_shared::application::{EnvironmentId, EnvironmentSpec};
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::RenderedFrom;
use tokio::runtime::Handle;

use super::execute;
use crate::config::Config;
use crate::context::{Context, Environment};
use crate::remotes::Remotes;
use crate::renderers::programs::{Renderers, identity};
use crate::renders::Renders;
use crate::source_tree::{SourceTree, located};

/// The version of this program.
const AGENT: &str = env!("CARGO_PKG_VERSION");

/// Manifests, and where they came from.
pub(super) struct Made {
    pub(super) rendered: Rendered,
    pub(super) from: RenderedFrom,
    /// What was asked, and what it depended on, where that is known: it can be kept then.
    kept_as: Option<(String, Depends)>,
}

/// What is asked, and how things are now. All but its making may block.
pub(super) struct Asking {
    id: EnvironmentId,
    spec: EnvironmentSpec,
    revision: Revision,
    chart: Option<String>,
    variables: Option<ContentDigest>,
    pub(super) mirror: Arc<Mirror>,
    pub(super) sources: Vec<SourceTree>,
    pub(super) cluster: Cluster,
    pub(super) kinds: Arc<Kinds>,
    pub(super) renderers: Arc<Renderers>,
    renders: Arc<Renders>,
    remotes: Arc<Remotes>,
    config: Arc<Config>,
    pub(super) handle: Handle,
    capabilities: OnceLock<Option<String>>,
}

/// What a render that was done now asked for beside files.
#[derive(Default)]
pub(super) struct Told {
    pub(super) kinds: BTreeSet<(String, String)>,
    pub(super) capabilities: Option<String>,
    pub(super) programs: Vec<(String, String)>,
    pub(super) elsewhere: Vec<(String, String)>,
}

/// What was found of earlier renders.
#[derive(Default)]
pub(super) struct Found {
    /// The one that fits.
    pub(super) same: Option<Result<Made, RenderError>>,
    /// One that fits but for who rendered it.
    pub(super) by_others: Option<Rendered>,
}

impl Asking {
    pub(super) fn new(
        context: &Context,
        environment: &Environment,
        (revision, sources): (&Revision, Vec<SourceTree>),
        kinds: Arc<Kinds>,
        variables: Option<ContentDigest>,
    ) -> Self {
        Self {
            id: environment.id.clone(),
            spec: environment.spec.clone(),
            revision: revision.clone(),
            chart: revision.chart.as_ref().filter(|_| environment.chart.is_some()).map(ToString::to_string),
            variables,
            mirror: environment.repository.mirror(),
            sources,
            cluster: environment.cluster.clone(),
            kinds,
            renderers: context.renderers.clone(),
            renders: context.renders.clone(),
            remotes: context.remotes.clone(),
            config: context.config(),
            handle: Handle::current(),
            capabilities: OnceLock::new(),
        }
    }

    /// What is asked, as a keyed digest; nothing where nothing is kept.
    fn request(&self) -> Option<String> {
        // A key that is gone is told from one that is there.
        let keys: Vec<String> = self
            .spec
            .age_keys
            .iter()
            .map(|file| identity(file).unwrap_or_else(|| format!("no {}", file.display())))
            .collect();
        let request = Request { environment: &self.id, spec: &self.spec, variables: self.variables, keys: &keys };
        self.renders.digest(&["request", &request.material()])
    }

    /// What was rendered before. `before` is what stays hidden.
    pub(super) fn find(&self, before: Option<&Confidential>) -> Found {
        let mut found = Found::default();
        let Some(request) = self.request() else { return found };
        for (name, bytes) in self.renders.of_request(&request) {
            let Ok(entry) = entry::read(&bytes) else { continue };
            let fit = entry.depends.fit(self);
            if fit == Fit::Other || fit == Fit::ByOthers && found.by_others.is_some() {
                continue;
            }
            let Ok(outcome) = entry.outcome(before) else { continue };
            self.renders.used(&name);
            if fit == Fit::ByOthers {
                found.by_others = outcome.ok();
                continue;
            }
            let kept_as = Some((request.clone(), entry.depends));
            found.same = Some(outcome.map(|rendered| Made { rendered, from: RenderedFrom::Cache, kept_as }));
            break;
        }
        found
    }

    /// What a sync to this very revision applied, where it was asked for in the same way and the cluster says the same.
    pub(super) fn kept(&self, before: Option<&Confidential>) -> Option<Made> {
        let request = self.request()?;
        let fitting = |(_, bytes): (String, Vec<u8>)| {
            let entry = entry::read(&bytes).ok().filter(|entry| entry.depends.fits_cluster(self))?;
            entry.outcome(before).ok()?.ok()
        };
        self.renders.of_sync(&self.id, &self.revision, &request).find_map(fitting).map(Made::kept)
    }

    /// Keeps what was rendered now, be it a failure, with what it depended on.
    pub(super) fn keep(
        &self,
        noted: Option<BTreeMap<String, Noted>>,
        outcome: Result<Rendered, RenderError>,
        told: Told,
    ) -> Result<Made, RenderError> {
        let depends = noted.and_then(|noted| self.depends(&noted, outcome.as_ref(), told));
        let kept_as = self.request().zip(depends);
        if let Some((request, depends)) = &kept_as
            && outcome.as_ref().err().is_none_or(RenderError::is_lasting)
            && let Some(content) = entry::write(depends, outcome.as_ref())
        {
            let depends = serde_json::to_string(depends).unwrap_or_default();
            self.renders.cache(request, &depends, &content, &self.config);
        }
        outcome.map(|rendered| Made { rendered, from: RenderedFrom::Now, kept_as })
    }

    fn depends(
        &self,
        noted: &BTreeMap<String, Noted>,
        outcome: Result<&Rendered, &RenderError>,
        told: Told,
    ) -> Option<Depends> {
        let rendered = outcome.ok();
        let seen = |path: &str| self.seen(path, &Seen::Absent);
        let files = noting::files(noted, rendered.map(|rendered| rendered.inputs.as_slice()), seen)?;
        let own: BTreeMap<(String, String), Answer> = definitions(rendered.map_or(&[], |rendered| &rendered.manifests))
            .map(|(group, kind, scope, status)| ((group, kind), Answer::new(Some(scope), Some(status))))
            .collect();
        let kind = |key: (String, String)| {
            let answer = self.kind(&key.0, &key.1);
            let own = own.get(&key).filter(|_| answer == Answer::default());
            KindSeen { answer: own.copied().unwrap_or(answer), own: own.is_some(), group: key.0, kind: key.1 }
        };
        Some(Depends {
            agent: AGENT.to_owned(),
            chart: self.chart.clone(),
            elsewhere: told.elsewhere,
            files,
            kinds: told.kinds.into_iter().map(kind).collect(),
            capabilities: told.capabilities,
            programs: told.programs,
        })
    }

    /// The cluster as charts see it.
    pub(super) fn ask_capabilities(&self) -> Result<Capabilities, ApiProblem> {
        self.handle.block_on(self.cluster.capabilities(&self.kinds))
    }
}

/// A digest of what a chart may ask of its cluster.
pub(super) fn digest_of(capabilities: &Capabilities) -> String {
    let digest = ContentDigest::of_json(format!("{capabilities:?}").as_bytes());
    digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Now for Asking {
    fn agent(&self) -> &str {
        AGENT
    }

    fn chart(&self) -> Option<&str> {
        self.chart.as_deref()
    }

    fn elsewhere(&self, asked: &str) -> Option<String> {
        self.remotes.known(asked, &self.spec.kustomize)
    }

    fn seen(&self, path: &str, before: &Seen) -> Option<Seen> {
        let (mirror, commit, path) = located((&self.mirror, &self.revision.commit), &self.sources, path);
        Some(match mirror.tree_of(commit, &path).ok()? {
            Some(_) if *before == Seen::Folder => Seen::Folder,
            Some(tree) => Seen::Content(format!("Folder {tree}")),
            None => mirror.entry(commit, &path).ok()?.map_or(Seen::Absent, |entry| noting::content(&entry)),
        })
    }

    fn kind(&self, group: &str, kind: &str) -> Answer {
        Answer::new(self.kinds.scope(group, kind), self.kinds.get(group, kind).map(|kind| kind.status))
    }

    fn capabilities(&self) -> Option<String> {
        let ask = || self.ask_capabilities().ok().as_ref().map(digest_of);
        self.capabilities.get_or_init(ask).clone()
    }

    fn program(&self, name: &str) -> Option<String> {
        let program = match name {
            "kustomize" => self.renderers.kustomize(),
            "helm" => self.renderers.helm(),
            "jsonnet" => self.renderers.jsonnet(),
            _ => None,
        };
        program?.identity()
    }
}

impl Made {
    /// What was kept of an earlier render.
    pub(super) fn kept(rendered: Rendered) -> Self {
        Self { rendered, from: RenderedFrom::Kept, kept_as: None }
    }
}

/// Keeps what a sync is about to apply, so that a rollback to it needs nothing else.
pub(super) async fn keep_applied(context: &Context, id: &EnvironmentId, revision: &Revision, made: Arc<Made>) {
    let (renders, config) = (context.renders.clone(), context.config());
    let (id, revision, span) = (id.clone(), revision.clone(), tracing::Span::current());
    let keeping = tokio::task::spawn_blocking(move || {
        let _span = span.enter();
        let Made { rendered, kept_as: Some((request, depends)), .. } = &*made else { return };
        let digest = execute::content(rendered);
        renders.keep((&id, &revision), (request, &digest), || entry::write(depends, Ok(rendered)), &config);
    });
    if let Err(failure) = keeping.await {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// What a sync applied, by the digest that history has of it.
pub(super) async fn applied(
    context: &Context,
    id: &EnvironmentId,
    revision: &Revision,
    content: &str,
    before: Option<Arc<Confidential>>,
) -> Option<Rendered> {
    let (renders, id, revision, content) = (context.renders.clone(), id.clone(), revision.clone(), content.to_owned());
    let reading = tokio::task::spawn_blocking(move || {
        let read = |(_, bytes): (String, Vec<u8>)| entry::read(&bytes).ok()?.outcome(before.as_deref()).ok()?.ok();
        renders.of_sync(&id, &revision, "").filter_map(read).find(|rendered| execute::content(rendered) == content)
    });
    reading.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
}
