//! An application: what it builds, and which environments it runs in. How these are is theirs, see
//! [`EnvironmentStatus`](super::EnvironmentStatus).

use serde::{Deserialize, Serialize};

use super::{DefinedIn, LastAction};
use crate::application::{ApplicationName, EnvironmentId, EnvironmentName};
use crate::artifact::Artifact;

/// An application as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationStatus {
    /// Its name.
    pub name: ApplicationName,
    /// Its environments, in the order of the configuration; none where its images are only built.
    #[serde(default)]
    pub environments: Vec<EnvironmentName>,
    /// The code repository, redacted; absent where it is only deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The images that are built of its code, without a tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Where it is defined; absent where that is the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defined: Option<DefinedIn>,
    /// The last thing that its delivery did: `build`, `push`, `promote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastAction>,
    /// What was built last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Why it is not operated as it is configured; empty where it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What of its code repository cannot be seen at the moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<super::Unseen>,
}

impl ApplicationStatus {
    /// Its environments, as they are addressed.
    pub fn ids(&self) -> impl Iterator<Item = EnvironmentId> + '_ {
        self.environments.iter().map(|environment| EnvironmentId::new(&self.name, environment))
    }
}
