//! Reading the state: what is in it of which kind. Pure.

use quarterdeck_shared::application::{Address, ApplicationName, EnvironmentId};
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{
    AgentStatus, ApplicationStatus, EnvironmentStatus, Key, Object, PodStatus, ResourceStatus, RunStatus,
};

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
        hint: one_of(&applications(state).map(|a| a.name.as_str()).collect::<Vec<_>>()),
    })
}

/// An environment.
pub(super) fn environment<'a>(state: &'a State, id: &EnvironmentId) -> Option<&'a EnvironmentStatus> {
    match state.objects.get(&Key::environment(id))? {
        Object::Environment(environment) => Some(environment),
        _ => None,
    }
}

/// The environments of an application, in the order of the configuration.
pub(super) fn environments<'a>(
    state: &'a State,
    application: &'a ApplicationStatus,
) -> impl Iterator<Item = &'a EnvironmentStatus> {
    application.ids().filter_map(|id| environment(state, &id))
}

/// An application and those of its environments that an address means; the error names those that there are.
pub(super) fn addressed<'a>(
    state: &'a State,
    of: &Address,
) -> Result<(&'a ApplicationStatus, Vec<&'a EnvironmentStatus>), CommandError> {
    let application = application(state, &of.application)?;
    let Some(name) = &of.environment else { return Ok((application, environments(state, application).collect())) };
    match environment(state, &EnvironmentId::new(&application.name, name)) {
        Some(environment) => Ok((application, vec![environment])),
        None => Err(CommandError::NotFound {
            what: format!("environment {:?} of {}", name.as_str(), application.name),
            hint: one_of(&application.environments.iter().map(|name| name.as_str()).collect::<Vec<_>>()),
        }),
    }
}

/// What an environment is called: by its application alone, where that has but one.
pub(super) fn label(state: &State, id: &EnvironmentId) -> String {
    match state.objects.get(&Key::application(&id.application)) {
        Some(Object::Application(application)) if application.environments.len() == 1 => id.application.to_string(),
        _ => id.to_string(),
    }
}

/// The objects that were applied for an environment, and those that they own.
pub(super) fn resources<'a>(state: &'a State, id: &EnvironmentId) -> impl Iterator<Item = &'a ResourceStatus> {
    state.objects.values().filter_map(move |object| match object {
        Object::Resource(resource) if resource.environment == *id => Some(&**resource),
        _ => None,
    })
}

/// The pods of what an address means, or of all, by cluster, namespace and name.
pub(super) fn pods<'a>(state: &'a State, of: Option<&Address>) -> impl Iterator<Item = &'a PodStatus> {
    let is_of = move |id: &EnvironmentId| {
        of.is_none_or(|of| {
            of.application == id.application && of.environment.as_ref().is_none_or(|name| *name == id.environment)
        })
    };
    state.objects.values().filter_map(move |object| match object {
        Object::Pod(pod) if is_of(&pod.environment) => Some(&**pod),
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

/// `name one of: cart, shop`, cut after ten.
fn one_of(names: &[&str]) -> String {
    match names {
        [] => "add one to the agent's configuration".to_owned(),
        [name] => format!("use {name}, the only one"),
        names if names.len() <= 10 => format!("name one of: {}", names.join(", ")),
        names => format!("name one of: {} and {} more (qd status)", names[..10].join(", "), names.len() - 10),
    }
}
