//! Applications: the unit that a person operates. What is written here is what a person writes in the configuration.

mod artifact;
mod delivery;
mod environment;
mod follow;
mod kustomize;
mod scan;
mod sign;
mod source;
mod test;
mod value;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::artifact::{ArtifactFollow, ArtifactSpec};
pub use self::delivery::{CacheTo, Code, DeliverySpec, ExistingTags, Forks, ImageSpec, Signers, Ssh, SshKey};
pub use self::environment::{
    ChartSpec, DependencyRepository, EnvironmentSpec, FileParameter, FilesSpec, HelmSpec, ImageValues, JsonnetSpec,
    PromoteBy, PromotePolicy, PullLogin, PullSecretSpec, RenderKind, SyncPolicy, VariableKind, VariableSource,
    VariablesSpec,
};
pub use self::follow::{FollowSpec, TagPolicy};
pub use self::kustomize::{KustomizeSpec, MetadataIn, Overlay, PostRender, RemoteFile, Replicas};
pub use self::scan::{ScanException, ScanSpec, Scanner, Severity};
pub use self::sign::{KeylessSpec, RequiredSigner, SbomFormat, SignBy, SignSpec, SignerIdentity};
pub use self::source::{EnvironmentSource, Follow, folder_of, source_of};
pub use self::test::{ContainerLimits, ServiceSpec, TestCommand, TestRun, TestSpec};
pub use self::value::ValueFrom;
pub use crate::revision::{EnvironmentSourceName, EnvironmentSourceNameError};

name!(
    /// The name of an application.
    ApplicationName,
    ApplicationNameError,
    "an application"
);

name!(
    /// The name of an environment among those of its application.
    EnvironmentName,
    EnvironmentNameError,
    "an environment"
);

name!(
    /// The name of a source of applications, by which screens and events call it.
    SourceName,
    SourceNameError,
    "a source of applications"
);

name!(
    /// The name of a test among those of its application.
    TestName,
    TestNameError,
    "a test"
);

name!(
    /// The name of a service among those of its test, by which the test reaches it.
    ServiceName,
    ServiceNameError,
    "a service"
);

/// An environment of an application, as people address it: `shop/prod`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvironmentId {
    /// Whose.
    pub application: ApplicationName,
    /// Which of it.
    pub environment: EnvironmentName,
}

impl EnvironmentId {
    /// An environment of an application.
    pub fn new(application: &ApplicationName, environment: &EnvironmentName) -> Self {
        Self { application: application.clone(), environment: environment.clone() }
    }
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.application, self.environment))
    }
}

/// A text that addresses no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentIdError {
    /// There is no environment in it.
    #[error("{0:?} names no environment: write APPLICATION/ENVIRONMENT")]
    NoEnvironment(String),
    /// What is before the slash.
    #[error(transparent)]
    Application(#[from] ApplicationNameError),
    /// What is behind it.
    #[error(transparent)]
    Environment(#[from] EnvironmentNameError),
}

impl FromStr for EnvironmentId {
    type Err = EnvironmentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (application, environment) =
            text.split_once('/').ok_or_else(|| EnvironmentIdError::NoEnvironment(text.to_owned()))?;
        Ok(Self { application: application.parse()?, environment: environment.parse()? })
    }
}

impl TryFrom<String> for EnvironmentId {
    type Error = EnvironmentIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EnvironmentId> for String {
    fn from(id: EnvironmentId) -> Self {
        id.to_string()
    }
}

/// What a person types to mean an environment: `shop/prod`, or `shop` where the application has but one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The application.
    pub application: ApplicationName,
    /// The environment; the only one where absent.
    pub environment: Option<EnvironmentName>,
}

impl FromStr for Address {
    type Err = EnvironmentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('/') {
            None => Self { application: text.parse()?, environment: None },
            Some((application, environment)) => {
                Self { application: application.parse()?, environment: Some(environment.parse()?) }
            }
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.environment {
            None => self.application.fmt(f),
            Some(environment) => f.pad(&format!("{}/{environment}", self.application)),
        }
    }
}

impl Address {
    /// The environment, where one is named.
    pub fn id(&self) -> Option<EnvironmentId> {
        Some(EnvironmentId::new(&self.application, self.environment.as_ref()?))
    }

    /// Whether it means this environment: by its name, or as one of its application.
    pub fn means(&self, id: &EnvironmentId) -> bool {
        self.application == id.application && self.environment.as_ref().is_none_or(|one| *one == id.environment)
    }
}

impl TryFrom<String> for Address {
    type Error = EnvironmentIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<EnvironmentId> for Address {
    fn from(EnvironmentId { application, environment }: EnvironmentId) -> Self {
        Self { application, environment: Some(environment) }
    }
}

impl From<ApplicationName> for Address {
    fn from(application: ApplicationName) -> Self {
        Self { application, environment: None }
    }
}

/// All that a person says about one application. It has code and images, or environments, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationSpec {
    /// What people and events call it.
    pub name: ApplicationName,
    /// What is built; absent for an application that is only deployed.
    pub delivery: Option<DeliverySpec>,
    /// Where it runs, in the order in which they were written; none for images that are only built.
    pub environments: Vec<EnvironmentSpec>,
    /// Images of others whose newest tags are written into the manifests of its environments.
    pub followed: Vec<FollowSpec>,
}

impl ApplicationSpec {
    /// One of its environments.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&EnvironmentSpec> {
        self.environments.iter().find(|environment| environment.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_addressed_with_its_application() {
        for (text, good) in [("shop/prod", true), ("shop", false), ("shop/", false), ("/prod", false), ("a/b/c", false)]
        {
            let id = text.parse::<EnvironmentId>();
            assert_eq!(id.is_ok(), good, "{text:?}");
            assert!(id.is_err() || id.unwrap().to_string() == text);
        }
        for text in ["shop", "shop/prod"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert!("shop/".parse::<Address>().is_err());
    }

    #[test]
    fn names_are_dns_labels() {
        let long = "a".repeat(53);
        let too_long = "a".repeat(54);
        for (text, good) in [
            ("shop", true),
            ("shop-2", true),
            (&*long, true),
            ("", false),
            ("Shop", false),
            ("-shop", false),
            ("shop-", false),
            ("shop_1", false),
            ("shop.prod", false),
            (&*too_long, false),
        ] {
            assert_eq!(text.parse::<ApplicationName>().is_ok(), good, "{text:?}");
        }
    }
}
