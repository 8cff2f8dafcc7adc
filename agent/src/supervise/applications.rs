//! Applications that come, change and go: their delivery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use quarterdeck_core::run;
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec, DeliverySpec, FollowSpec};
use quarterdeck_shared::error::chain;
use quarterdeck_shared::snapshot::Key;
use quarterdeck_shared::status::Phase;
use tracing::Instrument as _;

use super::{Change, work};
use crate::artifacts::ArtifactError;
use crate::config::Config;
use crate::context::{Application, Codebase, Context, Destination};
use crate::journal::NotKept;
use crate::journal::fact::{ApplicationPatch, Fact};
use crate::{deliver, readable, worker};

/// Ends the applications that are not named any more.
pub(super) async fn end(change: &Change<'_>) -> Result<Vec<String>, NotKept> {
    let (context, mut lines) = (change.context, Vec::new());
    let named = super::names(change.config);
    for (name, application) in present(context) {
        if named.contains(&name) {
            continue;
        }
        application.stop.cancel();
        application.delivering.cancel();
        remove(context, &name);
        follow_no_more(context, &application.spec, &[]).await;
        lines.push(format!("application {name} is removed"));
        context.journal.record(vec![Fact::ApplicationRemoved(name)]).await?;
    }
    Ok(lines)
}

/// The applications that are new, or another than before.
pub(super) fn beginning<'a>(change: &Change<'a>) -> Vec<&'a ApplicationSpec> {
    let present = present(change.context);
    let stays = |spec: &ApplicationSpec| present.get(&spec.name).is_some_and(|known| known.spec == *spec);
    change.config.applications.iter().filter(|spec| !stays(spec)).collect()
}

/// Those of them that stay as they are and are defined elsewhere than before.
pub(super) fn moved<'a>(change: &Change<'a>, beginning: &[&ApplicationSpec]) -> Vec<&'a ApplicationSpec> {
    let (before, now) = (&change.before.defined, &change.config.defined);
    if before == now {
        return Vec::new();
    }
    let begin: BTreeSet<&ApplicationName> = beginning.iter().map(|spec| &spec.name).collect();
    let is_moved = |spec: &&ApplicationSpec| before.get(&spec.name) != now.get(&spec.name);
    change.config.applications.iter().filter(|spec| !begin.contains(&spec.name)).filter(is_moved).collect()
}

/// What consoles see of the configuration: nothing that could be a secret.
pub(super) fn configured(spec: &ApplicationSpec, config: &Config) -> Fact {
    let delivery = spec.delivery.as_ref();
    let patch = ApplicationPatch::Configured {
        environments: spec.environments.iter().map(|environment| environment.name.clone()).collect(),
        code: delivery.map(|delivery| quarterdeck_git::url::redact(&delivery.code.repository)),
        images: delivery.into_iter().flat_map(|delivery| &delivery.images).map(|image| image.name.clone()).collect(),
        defined: config.defined.get(&spec.name).cloned(),
    };
    Fact::Application { name: spec.name.clone(), patch }
}

/// Begins them; a delivery that a change leaves as it is goes on.
pub(super) async fn begin(change: &Change<'_>, specs: Vec<&ApplicationSpec>) -> Result<Vec<String>, NotKept> {
    let (context, mut lines) = (change.context, Vec::new());
    let present = present(context);
    for spec in specs {
        let (name, known) = (&spec.name, present.get(&spec.name));
        lines.push(format!("application {name} is {}", if known.is_some() { "changed" } else { "added" }));
        if let Some(known) = known {
            known.stop.cancel();
            follow_no_more(context, &known.spec, &spec.followed).await;
        }
        match equip(change, spec) {
            Ok(mut application) => {
                let mut delivers = true;
                if let Some(known) = known {
                    application.turn = known.turn.clone();
                    if application.delivers_as(known) {
                        application.inherit_delivery(known);
                        delivers = false;
                    } else {
                        known.delivering.cancel();
                    }
                }
                operate(change, Arc::new(application), delivers);
                if spec.delivery.is_none() {
                    end_what_is_queued(context, name).await?;
                }
            }
            Err(error) => {
                if let Some(known) = known {
                    known.delivering.cancel();
                }
                remove(context, name);
                let message = chain(&error);
                tracing::error!(application = %name, error = %message, "cannot operate the application");
                let patch = ApplicationPatch::Refused(message);
                context.journal.record(vec![Fact::Application { name: name.clone(), patch }]).await?;
            }
        }
    }
    Ok(lines)
}

fn present(context: &Context) -> BTreeMap<ApplicationName, Arc<Application>> {
    context.applications.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn remove(context: &Context, name: &ApplicationName) {
    context.applications.write().unwrap_or_else(PoisonError::into_inner).remove(name);
}

fn equip(change: &Change<'_>, spec: &ApplicationSpec) -> Result<Application, ArtifactError> {
    let code = |spec: &DeliverySpec| {
        Ok::<_, ArtifactError>(Arc::new(Codebase {
            spec: spec.clone(),
            repository: change.repository(&spec.code.repository)?,
        }))
    };
    let code = spec.delivery.as_ref().map(code).transpose()?;
    let destination = |spec: &quarterdeck_shared::application::EnvironmentSpec| {
        Ok::<_, ArtifactError>(Destination { spec: spec.clone(), repository: change.promoted(spec)? })
    };
    let destinations = spec
        .environments
        .iter()
        .filter(|_| code.is_some() || !spec.followed.is_empty())
        .map(destination)
        .collect::<Result<_, _>>()?;
    Ok(Application::new(spec.clone(), code, destinations, &change.context.stop))
}

/// Begins the worker that delivers, where the one from before does not go on.
fn operate(change: &Change<'_>, application: Arc<Application>, delivers: bool) {
    let context = change.context;
    let name = application.spec.name.clone();
    context.applications.write().unwrap_or_else(PoisonError::into_inner).insert(name, application.clone());
    let span = || tracing::error_span!("application", application = %application.spec.name);
    change.tasks.spawn(readable::of_code(context.clone(), application.clone()).instrument(span()));
    if !application.spec.followed.is_empty() {
        let follower = deliver::Follower::new(context, &application);
        let (wake, stop) = (application.following.clone(), application.stop.clone());
        change.tasks.spawn(async move { worker::run(&wake, &stop, follower).await }.instrument(span()));
    }
    if let Some(code) = application.code.as_ref().filter(|_| delivers) {
        let delivery = work(
            application.delivery.clone(),
            application.delivering.clone(),
            application.turn.clone(),
            code.repository.refs(),
            deliver::Delivery::new(context, &application, code),
        );
        change.tasks.spawn(delivery.instrument(span()));
    }
}

/// What is followed no more is not shown any more.
async fn follow_no_more(context: &Context, before: &ApplicationSpec, now: &[FollowSpec]) {
    let gone = before.followed.iter().filter(|one| !now.iter().any(|other| other.image == one.image));
    let facts: Vec<_> = gone.map(|one| Fact::Gone(Key::followed(&before.name, &one.image))).collect();
    if !facts.is_empty() {
        context.journal.publish(facts).await;
    }
}

/// An application without code builds nothing: what was queued for it while it had some would wait for ever.
async fn end_what_is_queued(context: &Context, name: &ApplicationName) -> Result<(), NotKept> {
    let now = Timestamp::now();
    let queued = context.journal.snapshot().runs(name).into_iter().filter(|run| run.phase == Phase::Queued);
    let over = queued.map(|run| {
        let why = deliver::NO_CODE.to_owned();
        Fact::Run(Box::new(run::ended(run.clone(), Phase::Interrupted, why, now)))
    });
    let facts: Vec<Fact> = over.collect();
    if facts.is_empty() { Ok(()) } else { context.journal.record(facts).await }
}
