//! Plans with an eye on the other environments of the cluster: what left this one may have come to another.
//!
//! Before anything is pruned or taken over, each of them is known as git has it now: those that have not been rendered at
//! the refs in force are rendered here, for the answer alone. So nobody waits for anybody's pass, and no order of passes
//! matters. A commit that changed nothing of an environment costs a look at the ids of its files.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::revision::Revision;

use super::{chart, render, render_commit, resolve_in_git, sources, target};
use crate::context::{Context, Environment};
use crate::wanted::{Inputs, Rendered};
use quarterdeck_core::render::Rendered as Manifests;
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::neighbours::{Neighbours, Wants};
use quarterdeck_core::sync::plan::Memory;
use quarterdeck_git::CommitId;
use quarterdeck_kubernetes::{ClusterError, Options, PlannedSync};
use quarterdeck_shared::error::chain;

/// Plans a sync of one environment among the others. They are looked at where something left it, or where it wants what
/// carries another's label; the pass of a fleet in which nothing moved asks for none of this.
pub(super) async fn plan(
    context: &Arc<Context>,
    environment: &Environment,
    desired: &[Manifest],
    memory: &Memory,
    mut options: Options,
) -> Result<PlannedSync, ClusterError> {
    let name = &environment.id;
    if !options.partial && environment.cluster.is_left_behind(name, &options.namespace, desired).await? {
        options.neighbours = Some(Arc::new(all(context, &Place::of(environment)).await));
    }
    let planned = environment.cluster.plan(name, desired, memory, &options).await?;
    if options.neighbours.is_some() || !planned.needs_neighbours() {
        return Ok(planned);
    }
    options.neighbours = Some(Arc::new(all(context, &Place::of(environment)).await));
    environment.cluster.plan(name, desired, memory, &options).await
}

/// An environment was rendered by its own pass; who held something for it looks again.
pub(super) fn publish(
    context: &Context,
    environment: &Environment,
    revision: &Revision,
    inputs: Inputs,
    manifests: &[Manifest],
) -> Arc<Inputs> {
    let inputs = Arc::new(inputs);
    let rendered = Rendered {
        spec: environment.spec.clone(),
        at: revision.clone(),
        inputs: inputs.clone(),
        objects: Arc::new(manifests.iter().map(|manifest| manifest.resource.clone()).collect()),
        confidential: manifests.first().and_then(|manifest| manifest.confidential.clone()),
    };
    wake(context, context.wanted.rendered(&environment.id, rendered));
    inputs
}

/// An environment brought its objects into the cluster; who waited to hand one of them over looks again.
pub(super) fn brought(context: &Context, name: &EnvironmentId) {
    wake(context, context.wanted.brought(name));
}

/// Another pass for each of these.
pub fn wake(context: &Context, names: Vec<EnvironmentId>) {
    names.iter().filter_map(|name| context.environment(name)).for_each(|environment| environment.wake());
}

/// Whose neighbours are looked at.
pub(super) struct Place<'a> {
    /// Which environment; it need not be operated any more.
    pub(super) id: &'a EnvironmentId,
    /// The cluster that it names.
    pub(super) cluster: Option<&'a str>,
    /// Where its manifests are, or were.
    pub(super) repository: &'a str,
}

impl<'a> Place<'a> {
    /// Of one that is operated.
    pub(super) fn of(environment: &'a Environment) -> Self {
        let Environment { id, spec, .. } = environment;
        Self { id, cluster: spec.cluster.as_deref(), repository: &spec.repository }
    }
}

/// What the others want, as git has it now.
pub(super) async fn all(context: &Arc<Context>, here: &Place<'_>) -> Neighbours {
    let config = context.config();
    let is_same = crate::clusters::same_as(here.cluster, &config);
    let mut resolved = HashMap::new();
    let mut all = BTreeMap::new();
    for application in &config.applications {
        for there in application.environments.iter().filter(|there| is_same(there.cluster.as_deref())) {
            let id = EnvironmentId::new(&application.name, &there.name);
            if id == *here.id {
                continue;
            }
            if let Some(other) = context.environment(&id) {
                refresh(context, &other, &mut resolved).await;
            }
            let (rendered, unrendered) = context.wanted.last_rendered(&id);
            // One that cannot be operated at all may want anything.
            let is_known = rendered.is_some() || unrendered.is_some();
            let unrendered = if is_known { unrendered } else { Some("it was not rendered yet".to_owned()) };
            let objects = rendered.map(|rendered| rendered.objects).unwrap_or_default();
            all.insert(id, Wants { objects, unrendered, beside: there.repository == here.repository });
        }
    }
    Neighbours(all)
}

/// What targets resolve to, by repository: most environments of a fleet follow one branch of one repository.
type Resolved = HashMap<(String, String), Result<CommitId, String>>;

/// Renders an environment at what git says now, unless that was done or changed nothing of it.
async fn refresh(context: &Arc<Context>, other: &Environment, resolved: &mut Resolved) {
    let name = &other.id;
    let Some(status) = context.journal.snapshot().environment(name) else { return };
    let followed = match target::in_force(other, &status).await {
        Ok(followed) => followed,
        Err(why) => return context.wanted.failed(name, &other.spec, chain(&why)),
    };
    let target = (other.spec.repository.clone(), followed.target.to_string());
    let commit = match resolved.get(&target) {
        Some(known) => known.clone(),
        None => {
            let now = resolve_in_git(other, &status).await;
            let now = now.map(|revision| revision.commit).map_err(|error| chain(&error));
            resolved.insert(target, now.clone());
            now
        }
    };
    let chart = chart::in_force(other, &status).map_err(|error| chain(&error));
    let sources = sources::in_force(other, &status).await.map_err(|error| chain(&error));
    let (commit, chart, sources) = match commit.and_then(|commit| Ok((commit, chart?, sources?))) {
        Ok(found) => found,
        Err(why) => return context.wanted.failed(name, &other.spec, why),
    };
    let own = Revision::new(followed.name, commit).with_chart(chart);
    let revision = sources::joined(other, own, sources).await;
    if let (Some(before), None) = context.wanted.last_rendered(name)
        && before.spec == other.spec
    {
        if before.at.is_same_content(&revision) {
            return;
        }
        if render_commit::are_same_in(&before.inputs, other, &revision).await {
            return context.wanted.unchanged(name, revision);
        }
    }
    match render(context, other, &revision).await {
        Ok(rendered) => {
            let Manifests { manifests, inputs, .. } = rendered;
            let inputs = render_commit::inputs(other, &revision, &inputs).await;
            publish(context, other, &revision, inputs, &manifests);
        }
        Err(error) => context.wanted.failed(name, &other.spec, chain(&error)),
    }
}
