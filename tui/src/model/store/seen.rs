//! What of the fleet can be seen at the moment, and what is shown as it was when it was last seen.

use quarterdeck_shared::snapshot::{ConnectionKind, Cover, EnvironmentStatus, Object, Unseen};

use super::Store;
use crate::unseen;

impl Store {
    /// Whether what is told of this cluster is what was so before it went away.
    pub fn is_away(&self, cluster: &str) -> bool {
        self.connections().any(|one| !one.reachable && one.to == ConnectionKind::Cluster && one.name == cluster)
    }

    /// The cluster of an environment, where it is away.
    pub fn lost_cluster<'a>(&self, environment: &'a EnvironmentStatus) -> Option<&'a str> {
        Some(&*environment.spec.cluster).filter(|cluster| self.is_away(cluster))
    }

    /// The watches that are missing to any environment.
    pub fn unwatched(&self) -> impl Iterator<Item = &Unseen> {
        let environments = self.applications().flat_map(|(_, application)| self.environments(application));
        let unseen = environments.flat_map(|(_, environment)| &environment.unseen);
        unseen.filter(|unseen| unseen.of == Cover::Watch)
    }

    /// Whether what is told of an object is what was so when it was last seen: its cluster is away, or nothing watches its
    /// kind; of an application, that this holds for each of its environments. One rule for all that is dimmed.
    pub fn is_old(&self, object: &Object) -> bool {
        match object {
            Object::Application(a) => {
                let mut environments = self.environments(a).peekable();
                environments.peek().is_some() && environments.all(|(_, environment)| self.is_unseen(environment))
            }
            Object::Environment(e) => self.is_unseen(e),
            Object::Pod(p) => {
                let environment = self.environment(&p.environment);
                self.is_away(&p.cluster) || environment.is_some_and(|e| unseen::over_pod(e, p).is_some())
            }
            Object::Resource(r) => self
                .environment(&r.environment)
                .is_some_and(|e| self.lost_cluster(e).is_some() || unseen::over_resource(e, &r.resource).is_some()),
            Object::Agent(_)
            | Object::Repository(_)
            | Object::Connection(_)
            | Object::ApplicationSource(_)
            | Object::FollowedImage(_)
            | Object::Run(_) => false,
        }
    }

    fn is_unseen(&self, environment: &EnvironmentStatus) -> bool {
        let lacks_cluster = environment.unseen.iter().any(|unseen| unseen.of == Cover::Cluster);
        lacks_cluster || self.lost_cluster(environment).is_some()
    }
}
