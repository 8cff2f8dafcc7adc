//! Environments that go: what is said of the objects that they leave, and the end of those that are to be deleted.

use std::collections::BTreeSet;
use std::sync::Arc;

use quarterdeck_core::departure::Departure;
use quarterdeck_core::sync::neighbours::holds_data;
use quarterdeck_core::sync::{APPLICATION_LABEL, ENVIRONMENT_LABEL};
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use tracing::Instrument as _;

use super::Change;
use crate::context::{Context, Environment};
use crate::removals::Removal;
use crate::{monitor, reconcile};

/// What is said of an environment that is removed. Asked for before its history is forgotten.
pub(super) async fn removed(context: &Arc<Context>, environment: &Environment) -> String {
    let id = &environment.id;
    let why = match context.removals.departure(id) {
        Some(Departure::Deleted) => return format!("environment {id} is removed; its objects are deleted"),
        Some(Departure::Renamed(to)) => {
            return format!("environment {id} is renamed to {to}, which takes over its objects");
        }
        Some(Departure::Left(why)) => format!(", since {why}"),
        None => String::new(),
    };
    let asked = id.clone();
    // A history that does not answer leaves the command unsaid; the guide has it.
    let memory = context.journal.ask(move |history| history.memory(&asked)).await.unwrap_or_default();
    let command = delete_command(id, memory.keys()).map(|command| format!(": {command}")).unwrap_or_default();
    format!("environment {id} is removed; its objects are left in the cluster{why}{command}")
}

/// The command that deletes what an environment applied; nothing where nothing is known of that. What can take data with it is left
/// out: a person names it.
fn delete_command<'a>(id: &EnvironmentId, objects: impl Iterator<Item = &'a ResourceRef>) -> Option<String> {
    let (mut kinds, mut namespaces) = (BTreeSet::new(), BTreeSet::new());
    for resource in objects.filter(|resource| !holds_data(resource)) {
        let kind = resource.kind.to_lowercase();
        kinds.insert(if resource.group.is_empty() { kind } else { format!("{kind}.{}", resource.group) });
        namespaces.extend(&resource.namespace);
    }
    if kinds.is_empty() {
        return None;
    }
    let within = match namespaces.iter().collect::<Vec<_>>()[..] {
        [] => String::new(),
        [one] => format!(" --namespace {one}"),
        _ => " --all-namespaces".to_owned(),
    };
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(",");
    let EnvironmentId { application, environment } = id;
    Some(format!(
        "kubectl{within} delete {kinds} --selector {APPLICATION_LABEL}={application},{ENVIRONMENT_LABEL}={environment}"
    ))
}

/// Begins what is owed, and takes back what is operated again or not wanted any more. What is said of that.
pub(super) fn settle(change: &Change<'_>, operated: &BTreeSet<EnvironmentId>) -> Vec<String> {
    let Change { context, config, tasks, .. } = change;
    context.removals.forget_departures();
    let prunes = |removal: &Removal| {
        config.application_source.iter().any(|source| source.name == removal.source && source.prune)
    };
    let mut lines = Vec::new();
    for removal in context.removals.owed() {
        let id = &removal.environment;
        if operated.contains(id) {
            context.removals.take_back(id);
            continue;
        }
        if !prunes(&removal) {
            context.removals.take_back(id);
            let source = &removal.source;
            lines.push(format!("environment {id} is no longer pruned, since source {source} does not set prune"));
            continue;
        }
        let Some((turn, stop)) = context.removals.begin(id, &context.stop) else { continue };
        let assess = |cluster, stop| monitor::assess((*context).clone(), cluster, stop);
        let named = removal.cluster.as_deref();
        let cluster = context.clusters.get(named, config, &context.identity, &context.stop, assess);
        let span = tracing::error_span!("removal", environment = %id);
        let removing = reconcile::remove::run((*context).clone(), cluster, removal.clone(), turn, stop);
        tasks.spawn(removing.instrument(span));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_deletes_what_was_applied_and_no_data() {
        let id = "shop/prod".parse().unwrap();
        let web = ResourceRef::new("apps", "Deployment", Some("shop"), "web");
        let settings = ResourceRef::new("", "ConfigMap", Some("shop"), "settings");
        let volume = ResourceRef::new("", "PersistentVolumeClaim", Some("shop"), "data");
        let role = ResourceRef::new("rbac.authorization.k8s.io", "ClusterRole", None, "shop");
        let other = ResourceRef::new("", "ConfigMap", Some("other"), "settings");
        let told = |objects: &[&ResourceRef]| delete_command(&id, objects.iter().copied());
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[&volume]), None);
        let selector = "--selector quarterdeck.dev/application=shop,quarterdeck.dev/environment=prod";
        let both = format!("kubectl --namespace shop delete configmap,deployment.apps {selector}");
        assert_eq!(told(&[&web, &settings, &volume]), Some(both));
        let all = format!("kubectl --all-namespaces delete configmap {selector}");
        assert_eq!(told(&[&settings, &other]), Some(all));
        let alone = format!("kubectl delete clusterrole.rbac.authorization.k8s.io {selector}");
        assert_eq!(told(&[&role]), Some(alone));
    }
}
