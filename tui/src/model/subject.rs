//! What a screen or a command is about: an application, or one of its environments.

use quarterdeck_shared::application::{Address, ApplicationName, EnvironmentId};
use serde::{Deserialize, Serialize};

/// An application with all that belongs to it, or one of its environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// An application: its runs, and all of its environments.
    Application(ApplicationName),
    /// One environment.
    Environment(EnvironmentId),
}

impl Subject {
    /// The application that it is, or belongs to.
    pub fn application(&self) -> &ApplicationName {
        match self {
            Self::Application(name) => name,
            Self::Environment(id) => &id.application,
        }
    }

    /// Whether what belongs to an environment belongs to it.
    pub fn covers(&self, id: &EnvironmentId) -> bool {
        match self {
            Self::Application(name) => *name == id.application,
            Self::Environment(of) => of == id,
        }
    }
}

impl From<&Subject> for Address {
    fn from(subject: &Subject) -> Self {
        match subject {
            Subject::Application(name) => name.clone().into(),
            Subject::Environment(id) => id.clone().into(),
        }
    }
}

impl From<EnvironmentId> for Subject {
    fn from(id: EnvironmentId) -> Self {
        Self::Environment(id)
    }
}
