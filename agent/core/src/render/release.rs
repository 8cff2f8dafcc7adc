//! What a chart is told beside its values: whose release it is, and of which cluster.

use quarterdeck_shared::application::{ApplicationName, EnvironmentSpec, HelmSpec};

use crate::render::built::BuildFailure;

/// How a chart is released.
pub struct Release<'a> {
    /// `.Release.Name`.
    pub name: &'a str,
    /// `.Release.Namespace`.
    pub namespace: &'a str,
    /// What the configuration says of it.
    pub spec: &'a HelmSpec,
    /// The cluster as charts see it. Blocks where it has to be asked, and is called for charts alone.
    pub capabilities: &'a (dyn Fn() -> Result<Capabilities, BuildFailure> + Sync),
}

impl<'a> Release<'a> {
    /// Of an environment of this application.
    pub fn new(
        application: &'a ApplicationName,
        spec: &'a EnvironmentSpec,
        capabilities: &'a (dyn Fn() -> Result<Capabilities, BuildFailure> + Sync),
    ) -> Self {
        let name = spec.helm.release_name.as_deref().unwrap_or(application.as_str());
        Self { name, namespace: &spec.namespace, spec: &spec.helm, capabilities }
    }
}

/// What a chart may ask of its cluster, `.Capabilities` in templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `v1.35.4`; what helm takes for the newest where absent.
    pub kube_version: Option<String>,
    /// `apps/v1` and `apps/v1/Deployment`, sorted.
    pub api_versions: Vec<String>,
}
