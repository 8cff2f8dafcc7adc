//! The variables of an environment: what its configuration says, and what ConfigMaps and Secrets of its namespace hold. They are read
//! at each pass, since no watch tells of them.

use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::variables::{Variables, data_of};
use quarterdeck_shared::application::{VariableKind, VariableSource};
use quarterdeck_shared::resource::ResourceRef;

use super::{ReconcileError, cluster_error};
use crate::context::Environment;

/// The variables as they are now; none where none are configured.
pub(super) async fn read(environment: &Environment) -> Result<Option<Variables>, ReconcileError> {
    let Some(spec) = &environment.spec.variables else { return Ok(None) };
    let mut variables = Variables::new(spec.strict);
    for VariableSource { kind, name, optional } in &spec.from {
        let resource = ResourceRef::new("", kind.name(), Some(&environment.spec.namespace), name);
        let object = environment.cluster.object(&resource).await;
        match object.map_err(|problem| cluster_error(environment, problem.into()))? {
            Some(object) => {
                let is_secret = *kind == VariableKind::Secret;
                data_of(&object).iter().for_each(|(name, value)| variables.set(name, value, is_secret));
            }
            None if *optional => {}
            None => return Err(ReconcileError::NoVariables { object: resource.with_namespace() }),
        }
    }
    spec.values.iter().for_each(|(name, value)| variables.set(name, value, false));
    Ok(Some(variables))
}

/// Whether some of them are in the cluster, and may change without news of it.
pub(super) fn may_change(environment: &Environment) -> bool {
    environment.spec.variables.as_ref().is_some_and(|spec| !spec.from.is_empty())
}

/// What they are now, where they may change.
pub(super) async fn digest(environment: &Environment) -> Result<Option<ContentDigest>, ReconcileError> {
    if !may_change(environment) {
        return Ok(None);
    }
    Ok(read(environment).await?.map(|variables| variables.digest()))
}

/// Whether they are what they were. While the cluster is unreachable nothing says otherwise.
pub(super) async fn are_same(environment: &Environment, before: Option<ContentDigest>) -> bool {
    match digest(environment).await {
        Ok(now) => now == before,
        Err(error) => error.is_outage(),
    }
}
