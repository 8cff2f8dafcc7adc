//! Screens about one application or environment: what opens them means the same wherever it is selected.

use quarterdeck_shared::application::{Address, EnvironmentId};
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::Object;

use crate::keymap::Command;
use crate::model::diff::DiffScreen;
use crate::model::fleet::Fleet;
use crate::model::log::{LogScreen, Source};
use crate::model::table::Table;
use crate::model::text::Subject;
use crate::screen::Place;
use crate::screen::events::Events;
use crate::screen::history::History;
use crate::screen::pods::Pods;
use crate::screen::runs::Runs;
use crate::screen::text::Text;
use crate::screen::turn::Turn;

/// The screen that a command opens about an application or environment, or about what is selected of it; else why it
/// opens none. Nothing where the command opens no screen.
pub fn place(
    command: Command,
    of: &Address,
    selected: Option<&Object>,
    fleet: &Fleet,
) -> Option<Result<Place, String>> {
    match command {
        Command::Events => return Some(Ok(Events::new(Some(of.clone())).into())),
        Command::Runs => return Some(Ok(Table::new(Runs { of: Some(of.application.clone()) }).into())),
        _ => {}
    }
    let screen: fn(EnvironmentId, Option<&Object>) -> Place = match command {
        Command::Diff => |of, _| DiffScreen::new(of, None).into(),
        Command::Logs => |of, selected| logs(of, selected).into(),
        Command::History => |of, _| History::new(of).into(),
        Command::Yaml => {
            |of, selected| Text::new(of, resource(selected).map_or(Subject::Manifests(None), Subject::Live)).into()
        }
        Command::Manifests => |of, _| Text::new(of, Subject::Manifests(None)).into(),
        Command::Pods => |of, _| Table::new(Pods { of: Some(of) }).into(),
        _ => return None,
    };
    Some(fleet.meant(of).map(|id| screen(id, selected)))
}

/// Opens it, or tells why not.
pub fn open(command: Command, of: &Address, selected: Option<&Object>, turn: &mut Turn<'_>) {
    match place(command, of, selected, &turn.world.fleet) {
        Some(Ok(place)) => turn.open(place),
        Some(Err(why)) => turn.say(why),
        None => {}
    }
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
