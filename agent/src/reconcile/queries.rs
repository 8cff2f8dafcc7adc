//! Looking without changing: the difference to any revision, the manifests of it, and what could be rolled back to.

use std::sync::Arc;

use quarterdeck_shared::application::{EnvironmentSourceName, source_of};
use quarterdeck_shared::change::Plan;
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::protocol::{CommitAnswer, DiffAnswer, ManifestsAnswer};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::{Parts, Revision, RevisionError, SourceRevision};
use quarterdeck_shared::snapshot::{EnvironmentStatus, RenderedFrom};

use super::neighbours::Place;
use super::reuse::{self, Made};
use super::target::Origin;
use super::{ReconcileError, chart, cluster_error, make, options, render, resolve, sources, target};
use crate::context::{Context, Environment};
use quarterdeck_core::hooks::Hook;
use quarterdeck_core::render::Rendered;
use quarterdeck_core::sync::mask;
use quarterdeck_git::mirror::{Mirror, Named};
use quarterdeck_git::{CommitId, CommitInfo};

pub(super) fn status(context: &Context, environment: &Environment) -> Result<EnvironmentStatus, ReconcileError> {
    let id = &environment.id;
    let status = context.journal.snapshot().environment(id);
    status.ok_or_else(|| ReconcileError::NoSuch(format!("environment {id} left the configuration")))
}

/// The revision that a person names, or the one that is followed.
async fn revision(
    context: &Context,
    environment: &Environment,
    status: &EnvironmentStatus,
    at: Option<&str>,
) -> Result<Revision, ReconcileError> {
    let Some(text) = at else { return resolve(context, environment, status).await };
    // What follows is a version of the chart, and commits of other sources, as the revisions of syncs have them.
    let Parts { first, chart, sources } = parts(text)?;
    let in_git = revision_in_git(Origin::own(environment), first).await?;
    let chart = match chart.filter(|_| environment.chart.is_some()) {
        Some(chart) => Some(chart),
        None => chart::in_force(environment, status)?,
    };
    let pinned = status.pin.as_ref().map(|pin| &pin.revision);
    let sources = sources_named(environment, &sources, pinned, status.revision.as_ref()).await?;
    Ok(sources::joined(environment, in_git.with_chart(chart), sources).await)
}

/// What each other source is at where a person names some, in the words for a commit of it; the others are at what they are in
/// `before`, else at what they follow.
pub(super) async fn sources_named(
    environment: &Environment,
    asked: &[(EnvironmentSourceName, &str)],
    before: Option<&Revision>,
    deployed: Option<&Revision>,
) -> Result<Vec<SourceRevision>, ReconcileError> {
    let is_known = |name: &EnvironmentSourceName| environment.sources.iter().any(|source| source.spec.name == *name);
    if let Some((name, _)) = asked.iter().find(|(name, _)| !is_known(name)) {
        let known: Vec<&str> = environment.sources.iter().map(|source| source.spec.name.as_str()).collect();
        let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(ReconcileError::NoSuch(format!("{} has no source {name}; it has: {has}", environment.id)));
    }
    let is_apart = |name: &EnvironmentSourceName| sources::apart(environment).any(|source| source.spec.name == *name);
    if let Some((name, _)) = asked.iter().find(|(name, _)| !is_apart(name)) {
        let why = "name a tag or a digest of that alone";
        return Err(ReconcileError::NoSuch(format!("source {name} is in the artifact of {}: {why}", environment.id)));
    }
    let mut all = Vec::with_capacity(environment.sources.len());
    for source in sources::apart(environment) {
        let name = &source.spec.name;
        let at = match asked.iter().find(|(asked, _)| asked == name) {
            Some((_, text)) => revision_in_git(sources::of(environment, source), text).await,
            None => sources::one(environment, source, before, deployed).await,
        };
        all.push(SourceRevision { name: name.clone(), at: at.map_err(|error| error.of_source(name))? });
    }
    Ok(all)
}

/// What a person names, in the parts of a revision.
pub(super) fn parts(text: &str) -> Result<Parts<'_>, ReconcileError> {
    Parts::read(text).map_err(|error: RevisionError| ReconcileError::NoSuch(error.to_string()))
}

/// The revision of a sync that a person names, and what it applied where that is kept.
async fn sync_of(
    context: &Context,
    environment: &Environment,
    at: Option<&str>,
) -> Result<Option<(Revision, Option<Rendered>)>, ReconcileError> {
    let Some(id) = at.and_then(|text| text.parse::<TypedId>().ok()) else { return Ok(None) };
    let name = environment.id.clone();
    let Some(sync) = context.journal.ask(move |history| history.sync(&name, id)).await? else { return Ok(None) };
    let before = context.wanted.last_rendered(&environment.id).0.and_then(|rendered| rendered.confidential);
    let applied = reuse::applied(context, &environment.id, &sync.revision, &sync.content, before).await;
    Ok(Some((sync.revision, applied)))
}

/// The same of one repository alone.
async fn revision_in_git(origin: Origin<'_>, text: &str) -> Result<Revision, ReconcileError> {
    if let Some(number) = text.strip_prefix("merge-request-").and_then(|number| number.parse().ok()) {
        return merge_request(origin, text, number).await;
    }
    let revision = match named(origin, text, &[]).await? {
        (commit, true) => Revision::new(text, commit),
        (commit, false) => Revision::new(Revision::PIN, commit),
    };
    Ok(target::of_artifact(origin.repository, revision))
}

/// The newest commit of a merge request of a repository. `merge-request-7` means this also where a branch has such a
/// name.
async fn merge_request(origin: Origin<'_>, text: &str, number: u64) -> Result<Revision, ReconcileError> {
    let found = origin.repository.work(move |mirror| mirror.merge_request(number)).await;
    match found.map_err(|source| ReconcileError::Resolve { what: format!("merge request {number}"), source })? {
        Some(commit) => Ok(Revision::new(text, commit)),
        None => Err(ReconcileError::NoSuch(format!("{} has no merge request {number}", origin.describe()))),
    }
}

/// The commit that a person names, in a repository or among those that are `known` without it, and whether it is by a
/// tag or branch.
///
/// # Errors
/// [`ReconcileError::NoSuch`] where nothing or several commits are named so, and [`ReconcileError::Resolve`] where the mirror
/// cannot be read and none of the known ones is meant.
pub(super) async fn named(
    origin: Origin<'_>,
    text: &str,
    known: &[CommitId],
) -> Result<(CommitId, bool), ReconcileError> {
    let repository = origin.repository;
    if let Some(commit) = repository.artifact().and_then(|artifact| artifact.named(text)) {
        return Ok((commit, true));
    }
    let (refs, asked) = (repository.refs().borrow().clone(), text.to_owned());
    let in_mirror = repository.work(move |mirror| mirror.named(refs.as_deref(), &asked)).await;
    let (in_mirror, unreadable) = match in_mirror {
        Ok(named) => (named, None),
        Err(source) => (Named::Missing, Some(source)),
    };
    match in_mirror.or_among(known, text) {
        Named::Reference(commit) => Ok((commit, true)),
        Named::Commit(commit) => Ok((commit, false)),
        Named::Missing => Err(match unreadable {
            Some(source) => ReconcileError::Resolve { what: text.to_owned(), source },
            None if repository.artifact().is_some() => {
                ReconcileError::NoSuch(format!("no artifact that is kept has the tag or digest {text}"))
            }
            None => ReconcileError::NoSuch(format!("{} has no branch, tag or commit {text}", origin.describe())),
        }),
        Named::Ambiguous => Err(ReconcileError::NoSuch(Named::ambiguous(text))),
    }
}

/// What is followed is at, whatever is pinned.
pub(super) async fn head(environment: &Environment, status: &EnvironmentStatus) -> Result<Revision, ReconcileError> {
    let asked = target::followed(environment, status).await?;
    let own = target::revision(Origin::own(environment), asked).await?;
    let others = sources::newest(environment, status).await?;
    Ok(sources::joined(environment, own, others).await)
}

/// What a sync to a revision would do, with both sides of what differs.
pub async fn diff(
    context: &Arc<Context>,
    environment: &Environment,
    at: Option<&str>,
) -> Result<DiffAnswer, ReconcileError> {
    let status = status(context, environment)?;
    let revision = revision(context, environment, &status, at).await?;
    let rendered = render(context, environment, &revision).await?;
    diff_to(context, environment, revision, &rendered).await
}

/// As [`diff`], to what was rendered of a revision.
pub(super) async fn diff_to(
    context: &Arc<Context>,
    environment: &Environment,
    revision: Revision,
    rendered: &Rendered,
) -> Result<DiffAnswer, ReconcileError> {
    let name = &environment.id;
    let asked = name.clone();
    let memory = context.journal.ask(move |history| history.memory(&asked)).await?;
    let mut options = options(environment, None);
    options.hooks = super::hooks(rendered, &revision, None);
    options.neighbours = Some(Arc::new(super::neighbours::all(context, &Place::of(environment)).await));
    let (planned, objects) = environment
        .cluster
        .diff(name, &rendered.manifests, &memory, &options)
        .await
        .map_err(|source| cluster_error(environment, source))?;
    if let Some(refusal) = planned.refusals.first() {
        let refusals = planned.refusals.clone();
        tracing::debug!(environment = %name, %refusal, "the diff was refused");
        return Err(cluster_error(
            environment,
            quarterdeck_kubernetes::ClusterError::Refused { environment: name.clone(), refusals },
        ));
    }
    Ok(DiffAnswer {
        environment: name.clone(),
        plan: Plan { revision, steps: planned.shown_steps(), changes: planned.changes },
        objects,
    })
}

/// The manifests of a revision as YAML, secrets masked; those of hooks follow, as in `helm template`.
pub async fn manifests(
    context: &Context,
    environment: &Environment,
    at: Option<&str>,
) -> Result<ManifestsAnswer, ReconcileError> {
    let status = status(context, environment)?;
    let (revision, rendered, from) = match sync_of(context, environment, at).await? {
        Some((revision, Some(rendered))) => (revision, rendered, RenderedFrom::Kept),
        named => {
            let revision = match named {
                Some((revision, _)) => revision,
                None => revision(context, environment, &status, at).await?,
            };
            let Made { rendered, from, .. } = make(context, environment, &revision).await?;
            (revision, rendered, from)
        }
    };
    let is_hook = |one: &Hook| rendered.hooks.iter().any(|hook| hook.manifest.resource == one.manifest.resource);
    let on_demand = rendered.on_demand.iter().filter(|one| !is_hook(one)).map(|one| &one.manifest);
    let documents: Vec<String> = rendered
        .all()
        .chain(on_demand)
        .map(|manifest| {
            let mut object = manifest.object.clone().into_value();
            mask::mask(&mut object, manifest.confidential.as_deref());
            quarterdeck_core::yaml::write(&object)
        })
        .collect();
    Ok(ManifestsAnswer {
        revision: Some(revision),
        rendered: Some(from),
        yaml: documents.join("---\n"),
        notes: rendered.notes.clone(),
    })
}

/// A live object as YAML, secrets masked.
pub async fn object(
    context: &Context,
    environment: &Environment,
    resource: &ResourceRef,
) -> Result<String, ReconcileError> {
    let confidential = context.wanted.last_rendered(&environment.id).0.and_then(|rendered| rendered.confidential);
    let yaml = environment.cluster.live_yaml(resource, confidential.as_deref()).await;
    let yaml = yaml.map_err(|problem| cluster_error(environment, problem.into()))?;
    yaml.ok_or_else(|| ReconcileError::NoSuch(format!("{} is not in the cluster", resource.short())))
}

/// Commits of the deploy branch that touched the environment's folder, newest first.
pub async fn commits(
    context: &Context,
    environment: &Environment,
    limit: usize,
) -> Result<Vec<CommitAnswer>, ReconcileError> {
    if let Some(artifact) = environment.repository.artifact() {
        let commits = artifact.commits();
        let read = move |mirror: &Mirror| commits.iter().take(limit).map(|commit| mirror.commit_info(commit)).collect();
        let read = environment.repository.work(read).await;
        let what = "the artifacts that are kept".to_owned();
        return Ok(answers(read.map_err(|source| ReconcileError::Resolve { what, source })?));
    }
    let head = head(environment, &status(context, environment)?).await?.commit;
    // What is of another source was not changed by a commit here.
    let path = Some(environment.spec.path.clone()).filter(|path| !path.is_empty() && source_of(path).is_none());
    let log = environment.repository.work(move |mirror| mirror.log(&head, limit, path.as_deref())).await;
    let log =
        log.map_err(|source| ReconcileError::Resolve { what: "the log of the deploy branch".to_owned(), source })?;
    Ok(answers(log))
}

fn answers(commits: Vec<CommitInfo>) -> Vec<CommitAnswer> {
    let answer =
        |info: CommitInfo| CommitAnswer { commit: info.id, subject: info.subject, author: info.author, at: info.time };
    commits.into_iter().map(answer).collect()
}
