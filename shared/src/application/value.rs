//! Values that are written in the configuration, or kept elsewhere.

use serde::{Deserialize, Serialize};

/// Where the value of a build argument or of a variable comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all = "snake_case")]
pub enum ValueFrom {
    /// Written in the configuration: not a secret.
    Plain(String),
    /// In this environment variable of the agent: masked in every output.
    Environment {
        /// Its name.
        env: String,
    },
    /// In this file: masked in every output.
    File {
        /// Its path.
        file: String,
    },
}
