//! Screens about one environment, or one application: what opens them means the same wherever it is selected.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::Object;

use crate::keymap::Command;
use crate::model::World;
use crate::model::destination::Destination;
use crate::model::log::Source;
use crate::model::subject::Subject;
use crate::model::text;

/// The screen that a command opens about an environment, or about what is selected of it.
pub fn place(command: Command, of: EnvironmentId, selected: Option<&Object>) -> Option<Destination> {
    Some(match command {
        Command::Diff => Destination::Diff(of, None),
        Command::Logs => Destination::Logs(logs(of, selected)),
        Command::History => Destination::History(of),
        Command::Yaml => {
            Destination::Text(of, resource(selected).map_or(text::Subject::Manifests(None), text::Subject::Live))
        }
        Command::Manifests => Destination::Text(of, text::Subject::Manifests(None)),
        _ => return None,
    })
}

/// The list that a command opens about an application or an environment. Runs are of the application; what happened to the
/// only environment of one is told with what happened to its delivery.
pub fn list(command: Command, of: Subject, world: &World) -> Option<Destination> {
    Some(match command {
        Command::Events => {
            let is_only = world.fleet.subject(of.application()) == of;
            let of = if is_only { Subject::Application(of.application().clone()) } else { of };
            Destination::Events(of)
        }
        Command::Pods => Destination::Pods(of),
        Command::Runs => Destination::Runs(of),
        _ => return None,
    })
}

/// The log of the selected pod, or of all.
fn logs(of: EnvironmentId, selected: Option<&Object>) -> Source {
    let pod = match selected {
        Some(Object::Pod(pod)) => Some(pod.name.clone()),
        _ => None,
    };
    Source::Pods { of, pod, previous: false }
}

/// What is selected, as an object of Kubernetes.
fn resource(selected: Option<&Object>) -> Option<ResourceRef> {
    match selected? {
        Object::Pod(pod) => Some(pod.resource()),
        Object::Resource(resource) => Some(resource.resource.clone()),
        _ => None,
    }
}
