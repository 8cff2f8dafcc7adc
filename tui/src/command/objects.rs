//! Reading the state: what is in it of which kind. Pure.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{AgentStatus, ApplicationStatus, Object, PodStatus, ResourceStatus, RunStatus};

use crate::command::CommandError;

/// The agent itself, which every state holds.
pub(super) fn agent(state: &State) -> Option<&AgentStatus> {
    state.objects.values().find_map(|object| match object {
        Object::Agent(agent) => Some(agent),
        _ => None,
    })
}

/// All applications, by name.
pub(super) fn applications(state: &State) -> impl Iterator<Item = &ApplicationStatus> {
    state.objects.values().filter_map(|object| match object {
        Object::Application(application) => Some(&**application),
        _ => None,
    })
}

/// The application of that name; the error names those that there are.
pub(super) fn application<'a>(state: &'a State, name: &ApplicationName) -> Result<&'a ApplicationStatus, CommandError> {
    applications(state).find(|application| application.name == *name).ok_or_else(|| CommandError::NotFound {
        what: format!("application {:?}", name.as_str()),
        hint: there_are(&applications(state).map(|a| a.name.as_str()).collect::<Vec<_>>()),
    })
}

/// The objects that were applied for an application, and those that they own.
pub(super) fn resources<'a>(state: &'a State, name: &ApplicationName) -> impl Iterator<Item = &'a ResourceStatus> {
    state.objects.values().filter_map(move |object| match object {
        Object::Resource(resource) if resource.application == *name => Some(&**resource),
        _ => None,
    })
}

/// The pods of an application, or of all, by cluster, namespace and name.
pub(super) fn pods<'a>(state: &'a State, of: Option<&ApplicationName>) -> impl Iterator<Item = &'a PodStatus> {
    state.objects.values().filter_map(move |object| match object {
        Object::Pod(pod) if of.is_none_or(|name| pod.application == *name) => Some(&**pod),
        _ => None,
    })
}

/// The runs of an application that the state holds, newest first.
pub(super) fn runs<'a>(state: &'a State, name: &ApplicationName) -> Vec<&'a RunStatus> {
    let of = |object: &'a Object| match object {
        Object::Run(run) if run.application == *name => Some(&**run),
        _ => None,
    };
    let mut runs: Vec<_> = state.objects.values().filter_map(of).collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    runs
}

/// `there are cart, shop`, cut after ten.
fn there_are(names: &[&str]) -> String {
    match names {
        [] => "there are none yet; the agent's configuration names them".to_owned(),
        [name] => format!("there is {name}"),
        names if names.len() <= 10 => format!("there are {}", names.join(", ")),
        names => format!("there are {} and {} more: qd status", names[..10].join(", "), names.len() - 10),
    }
}
