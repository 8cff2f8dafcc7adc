//! Reading the state: what is in it of which kind. Pure.

use quarterdeck_shared::application::{Address, ApplicationName, EnvironmentId};
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{
    AgentStatus, ApplicationStatus, EnvironmentStatus, Object, PodStatus, ResourceStatus, RunStatus,
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

/// All environments, by address.
pub(super) fn environments(state: &State) -> impl Iterator<Item = &EnvironmentStatus> {
    state.objects.values().filter_map(|object| match object {
        Object::Environment(environment) => Some(&**environment),
        _ => None,
    })
}

/// The environments that an address means, in the order of the configuration; the error names what there is.
pub(super) fn meant<'a>(state: &'a State, of: &Address) -> Result<Vec<&'a EnvironmentStatus>, CommandError> {
    let Some(application) = applications(state).find(|one| one.name == of.application) else {
        return Err(CommandError::NotFound {
            what: format!("application {:?}", of.application.as_str()),
            hint: there_are(&applications(state).map(|one| one.name.to_string()).collect::<Vec<_>>()),
        });
    };
    let ids = application.ids().filter(|id| of.means(id));
    let found: Vec<_> = ids.filter_map(|id| environments(state).find(|one| one.environment == id)).collect();
    if found.is_empty() && of.environment.is_some() {
        return Err(CommandError::NotFound {
            what: format!("environment {of}"),
            hint: there_are(&application.ids().map(|id| id.to_string()).collect::<Vec<_>>()),
        });
    }
    Ok(found)
}

/// The one environment that an address means; the error says which of several to name.
pub(super) fn one<'a>(state: &'a State, of: &Address) -> Result<&'a EnvironmentStatus, CommandError> {
    match *meant(state, of)? {
        [one] => Ok(one),
        [] => Err(CommandError::Usage {
            message: format!("{of} has no environment: its images are only built"),
            hint: "qd runs shows what was built".to_owned(),
        }),
        ref several => Err(CommandError::Usage {
            message: format!("{of} has {} environments: {}", several.len(), addresses(several)),
            hint: "name one of them, or all with --all where the command has it".to_owned(),
        }),
    }
}

fn addresses(environments: &[&EnvironmentStatus]) -> String {
    environments.iter().map(|one| one.environment.to_string()).collect::<Vec<_>>().join(", ")
}

/// The objects that were applied for an environment, and those that they own.
pub(super) fn resources<'a>(state: &'a State, id: &EnvironmentId) -> impl Iterator<Item = &'a ResourceStatus> {
    state.objects.values().filter_map(move |object| match object {
        Object::Resource(resource) if resource.environment == *id => Some(&**resource),
        _ => None,
    })
}

/// The pods of an environment, of all of an application, or of all, by cluster, namespace and name.
pub(super) fn pods<'a>(state: &'a State, of: Option<&Address>) -> impl Iterator<Item = &'a PodStatus> {
    state.objects.values().filter_map(move |object| match object {
        Object::Pod(pod) if of.is_none_or(|of| of.means(&pod.environment)) => Some(&**pod),
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
fn there_are(names: &[String]) -> String {
    match names {
        [] => "there are none yet; the agent's configuration names them".to_owned(),
        [name] => format!("there is {name}"),
        names if names.len() <= 10 => format!("there are {}", names.join(", ")),
        names => format!("there are {} and {} more: qd status", names[..10].join(", "), names.len() - 10),
    }
}
