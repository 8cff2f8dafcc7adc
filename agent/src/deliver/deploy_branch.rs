//! The branch that an environment is deployed from, of its own repository or of the source that names its images: which edits would make its manifests name images, and their commit.
//!
//! One look at the branch as it is now, and a push that only counts if the branch still is there. Whether the edits are
//! wanted is decided by who looks: [`super::promotion`] for what was built, [`super::follow`] for images of others.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use quarterdeck_core::git::FileEdit;
use quarterdeck_core::tree::Tree;
use quarterdeck_shared::application::{EnvironmentId, EnvironmentSource, EnvironmentSpec, RenderKind};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::revision::Revision;
use tokio::runtime::Handle;

use super::DeliverError;
use super::stages::git;
use crate::charts::ChartFiles;
use crate::charts::source::ChartState;
use crate::commit_tree::{CommitTree, MANIFEST_BYTES_MAX};
use crate::context::{Context, Destination, Environment};
use crate::reconcile::sources;
use crate::remotes::Remotes;
use crate::renderers::in_clear::InClear;
use crate::renderers::programs::Renderers;
use crate::sops::ConfiguredKeys;
use crate::source_tree::{SourceTree, beside};
use quarterdeck_core::promote::{self, Manifests, Promoted};
use quarterdeck_core::render::release::{Capabilities, Release};
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{Author, CommitId, CommitInfo, Target};

/// Promotions that lost a race are decided anew this often: a branch that moves faster is a robot's.
pub(super) const RACES: u32 = 10;

/// Commits of the branch that are searched for earlier promotions, newest first: half a year of a branch with a
/// hundred commits a day, read in well under a second. What lies further back counts as not promoted.
const COMMITS_SEARCHED: usize = 20_000;

/// Promotions that are compared at the most: the tags that anybody still remembers.
const PROMOTIONS_SEARCHED: usize = 500;

/// An environment, and what its manifests are to name.
pub(super) struct DeployBranch {
    spec: EnvironmentSpec,
    id: EnvironmentId,
    /// Where it is operated.
    environment: Option<Arc<Environment>>,
    /// What is deployed there.
    deployed: Option<Revision>,
    renderers: Arc<Renderers>,
    remotes: Arc<Remotes>,
    /// A folder for what programs read.
    scratch: PathBuf,
    images: Vec<Promoted>,
}

/// The environment's own files, and those of its sources.
type Files<'m> = (Box<dyn Tree + 'm>, Vec<SourceTree>);

/// The branch as it is now.
pub(super) struct Tip {
    branch: String,
    base: CommitId,
    edits: Vec<FileEdit>,
    /// Images that the manifests do not name.
    absent: Vec<String>,
}

/// A commit that is made and not pushed.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) branch: String,
    pub(super) base: CommitId,
    pub(super) commit: CommitId,
    /// Images that the manifests do not name.
    pub(super) absent: Vec<String>,
}

impl DeployBranch {
    /// Of a place that an application is promoted to.
    pub(super) fn new(context: &Context, id: EnvironmentId, to: &Destination, images: Vec<Promoted>) -> Self {
        Self {
            spec: to.spec.clone(),
            environment: context.environment(&id),
            deployed: context.journal.snapshot().environment(&id).and_then(|status| status.revision),
            id,
            renderers: context.renderers.clone(),
            remotes: context.remotes.clone(),
            scratch: context.scratch(),
            images,
        }
    }

    /// The branch as it is now. Blocks.
    pub(super) fn at_tip(&self, mirror: &Mirror) -> Result<Tip, DeliverError> {
        let Self { spec, id, environment, deployed: _, renderers, remotes, scratch, images } = self;
        let into = spec.promoted_source();
        let refs = mirror.list_refs().map_err(git("ask where the deploy branch is"))?;
        mirror.fetch(&refs).map_err(git("fetch the deploy branch"))?;
        let branch = spec.promoted_follow().branch().map(str::to_owned).or_else(|| refs.default_branch.clone());
        let branch = branch.unwrap_or_else(|| "main".to_owned());
        let base = mirror.resolve(&Target::Branch(branch.clone()), None).map_err(git("find the deploy branch"))?;
        let chart = self.chart()?;
        let (own, trees) = self.files(mirror, &base)?;
        let folders: Vec<String> = trees.iter().map(|tree| tree.folder.clone()).collect();
        let into_folder = into.map(EnvironmentSource::folder);
        let sourced = beside(&*own, &trees);
        let layered = chart.as_ref().map(|chart| chart.over(&sourced));
        let (tree, path, render): (&dyn Tree, &str, RenderKind) = match &layered {
            Some(layered) => (layered, layered.folder, RenderKind::Helm),
            None => (&sourced, &spec.path, spec.render),
        };
        let capabilities = || Ok(environment.as_deref().and_then(capabilities).unwrap_or_default());
        let keys = ConfiguredKeys::of(spec, renderers);
        let manifests = Manifests {
            tree,
            path,
            sources: &folders,
            into: into_folder.as_deref(),
            render,
            files: &spec.files,
            overlay: &spec.kustomize.overlay,
            release: &Release::new(&id.application, spec, &capabilities),
            values: &spec.promote.values,
            programs: &InClear { renderers, scratch, keys: &keys, elsewhere: &remotes.for_spec(&spec.kustomize) },
        };
        let (mut edits, absent) = promote::promote_all(&manifests, images)?;
        if let Some(source) = into {
            for edit in &mut edits {
                edit.path = source.path_of(&edit.path).unwrap_or_default();
            }
        }
        Ok(Tip { branch, base, edits, absent })
    }

    /// The environment's own files, and those of its sources: of the repository that is written into at `base`, of others at what they
    /// follow. Blocks.
    fn files<'m>(&self, mirror: &'m Mirror, base: &CommitId) -> Result<Files<'m>, DeliverError> {
        let bytes_max = MANIFEST_BYTES_MAX;
        if self.spec.sources.is_empty() {
            return Ok((Box::new(CommitTree { mirror, commit: base.clone(), bytes_max }), Vec::new()));
        }
        let failed = |why: Failure| DeliverError::Sources { environment: self.id.to_string(), why };
        let not_operated = || failed(Failure::text("the environment is not operated"));
        let environment = self.environment.as_ref().ok_or_else(not_operated)?;
        let into = self.spec.promote.source.as_ref();
        let at = sources::with_tip(environment, self.deployed.as_ref(), into, base.clone());
        let at = Handle::current().block_on(at).map_err(|error| failed(Failure::of(&error)))?;
        let own = CommitTree { mirror: environment.repository.mirror(), commit: at.commit.clone(), bytes_max };
        Ok((Box::new(own), sources::known_trees(environment, &at)))
    }

    /// The files of the chart, where it comes from elsewhere: of the newest version that is wanted. Blocks.
    fn chart(&self) -> Result<Option<ChartFiles>, DeliverError> {
        let Some(spec) = &self.spec.helm.chart else { return Ok(None) };
        let failed = |why: Failure| DeliverError::Chart { chart: spec.describe(), why };
        let source = self.environment.as_ref().and_then(|environment| environment.chart.clone());
        let source = source.ok_or_else(|| failed(Failure::text("the environment is not operated")))?;
        let ChartState { release, failure, .. } = source.state().borrow().clone();
        let awaited = || failure.unwrap_or_else(|| Failure::text("it was not asked for yet"));
        let release = release.ok_or_else(|| failed(awaited()))?;
        let files = Handle::current().block_on(source.files(&release));
        files.map(Some).map_err(|problem| failed(Failure::of(&problem)))
    }
}

impl Tip {
    /// Whether the manifests name the images already.
    pub(super) fn is_so_already(&self) -> bool {
        self.edits.is_empty()
    }

    /// What earlier commits of the branch say, newest first. Blocks.
    pub(super) fn log<T>(
        &self,
        mirror: &Mirror,
        read: impl Fn(&CommitInfo) -> Option<T>,
    ) -> Result<Vec<T>, DeliverError> {
        mirror
            .search(&self.base, COMMITS_SEARCHED, PROMOTIONS_SEARCHED, read)
            .map_err(git("read the log of the deploy branch"))
    }

    /// The commit that makes it so. Blocks.
    pub(super) fn commit(self, mirror: &Mirror, author: &Author, message: &str) -> Result<Ready, DeliverError> {
        let Self { branch, base, edits, absent } = self;
        let commit =
            mirror.commit_edits(&base, &edits, author, message, Timestamp::now()).map_err(git("write the commit"))?;
        Ok(Ready { branch, base, commit, absent })
    }
}

/// What a chart may ask of the cluster; none where that does not answer, for the manifests are changed in git alone. Blocks.
fn capabilities(environment: &Environment) -> Option<Capabilities> {
    let cluster = environment.cluster.clone();
    Handle::current().block_on(async move { cluster.capabilities(&*cluster.kinds().await.ok()?).await.ok() })
}

/// What earlier versions of the agent called the place that names the images: the folder, also where values files do; nothing where
/// that is its name now, or promotions are written into a source, which they never were.
pub(super) fn formerly(spec: &EnvironmentSpec) -> Option<String> {
    let path = spec.path.trim_matches('/');
    let path = if path.is_empty() { "." } else { path };
    (spec.promoted_source().is_none() && path != spec.promoted_place()).then(|| path.to_owned())
}

/// `Name <mail>`; the configuration was checked for it.
pub(super) fn author(text: &str) -> Author {
    let (name, email) = text.split_once('<').unwrap_or((text, ""));
    Author { name: name.trim().to_owned(), email: email.trim_end_matches('>').trim().to_owned() }
}

/// The message of a commit from the user's template.
pub(super) fn message(template: &str, fill: &[(&str, &str)]) -> String {
    fill.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}
