//! Screens about one environment, or one application: what opens them means the same wherever it is selected.

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::Object;

use crate::keymap::Command;
use crate::model::World;
use crate::model::diff::DiffScreen;
use crate::model::log::{LogScreen, Source};
use crate::model::subject::Subject;
use crate::model::table::Table;
use crate::model::text;
use crate::screen::Place;
use crate::screen::events::Events;
use crate::screen::history::History;
use crate::screen::pods::Pods;
use crate::screen::runs::Runs;
use crate::screen::text::Text;

/// The screen that a command opens about an environment, or about what is selected of it.
pub fn place(command: Command, of: EnvironmentId, selected: Option<&Object>) -> Option<Place> {
    Some(match command {
        Command::Diff => DiffScreen::new(of, None).into(),
        Command::Logs => logs(of, selected).into(),
        Command::History => History::new(of).into(),
        Command::Yaml => {
            Text::new(of, resource(selected).map_or(text::Subject::Manifests(None), text::Subject::Live)).into()
        }
        Command::Manifests => Text::new(of, text::Subject::Manifests(None)).into(),
        _ => return None,
    })
}

/// The list that a command opens about an application or an environment. Runs are of the application; what happened to the
/// only environment of one is told with what happened to its delivery.
pub fn list(command: Command, of: Subject, world: &World) -> Option<Place> {
    Some(match command {
        Command::Events => {
            let is_only = world.fleet.subject(of.application()) == of;
            let of = if is_only { Subject::Application(of.application().clone()) } else { of };
            Events::new(Some(of)).into()
        }
        Command::Pods => Table::new(Pods { of: Some(of) }).into(),
        Command::Runs => Table::new(Runs { of: Some(of) }).into(),
        _ => return None,
    })
}

/// The log of the selected pod, or of all.
fn logs(of: EnvironmentId, selected: Option<&Object>) -> LogScreen {
    let pod = match selected {
        Some(Object::Pod(pod)) => Some(pod.name.clone()),
        _ => None,
    };
    LogScreen::new(Source::Pods { of, pod, previous: false })
}

/// What is selected, as an object of Kubernetes.
fn resource(selected: Option<&Object>) -> Option<ResourceRef> {
    match selected? {
        Object::Pod(pod) => Some(pod_ref(&pod.namespace, &pod.name)),
        Object::Resource(resource) => Some(resource.resource.clone()),
        _ => None,
    }
}

/// A pod as an object of Kubernetes.
pub(super) fn pod_ref(namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::new("", "Pod", Some(namespace), name)
}
