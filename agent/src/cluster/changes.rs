//! What happened in a cluster, as its watches tell it, and the queue that it waits in.
//!
//! The queue keeps the newest change of each object only: who reads slowly reads less, and misses nothing. So it is
//! bounded by the number of live objects and needs no other bound.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{PodStatus, ResourceStatus};
use tokio::sync::Notify;

/// Something that happened in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum ClusterChange {
    /// It does not answer.
    Away {
        /// In its words or those of the network.
        message: String,
    },
    /// It answers again.
    Back,
    /// An object of an application, or one that such an object owns, is now so.
    ResourceChanged(Box<ResourceStatus>),
    /// It is gone and nobody wants it.
    ResourceGone {
        /// Whose.
        application: ApplicationName,
        /// Which.
        resource: ResourceRef,
    },
    /// A pod is now so.
    PodChanged(Box<PodStatus>),
    /// It is gone.
    PodGone {
        /// Whose.
        application: ApplicationName,
        /// Its namespace.
        namespace: Box<str>,
        /// Its name.
        name: Box<str>,
    },
    /// What is ours in an object is not as the last sync left it: drift, until a plan says otherwise.
    ContentChanged {
        /// Whose.
        application: ApplicationName,
        /// Which.
        resource: ResourceRef,
        /// Who wrote to it last other than us, where the server tells; none where it is gone.
        manager: Option<String>,
    },
    /// All objects of the application have been seen once.
    Synced {
        /// Whose.
        application: ApplicationName,
    },
}

/// What a change is about; a later change about the same replaces an earlier one. In the order in which they are read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Connection,
    Resource(ApplicationName, ResourceRef),
    Pod(Box<str>, Box<str>),
    Content(ApplicationName, ResourceRef),
    Synced(ApplicationName),
}

impl ClusterChange {
    fn subject(&self) -> Subject {
        match self {
            Self::Away { .. } | Self::Back => Subject::Connection,
            Self::ResourceChanged(status) => Subject::Resource(status.application.clone(), status.resource.clone()),
            Self::ResourceGone { application, resource } => Subject::Resource(application.clone(), resource.clone()),
            Self::PodChanged(pod) => Subject::Pod(pod.namespace.clone(), pod.name.clone()),
            Self::PodGone { namespace, name, .. } => Subject::Pod(namespace.clone(), name.clone()),
            Self::ContentChanged { application, resource, .. } => {
                Subject::Content(application.clone(), resource.clone())
            }
            Self::Synced { application } => Subject::Synced(application.clone()),
        }
    }
}

/// The queue.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<BTreeMap<Subject, ClusterChange>>,
    some: Notify,
}

impl Outbox {
    pub(super) fn push(&self, changes: impl IntoIterator<Item = ClusterChange>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(changes.into_iter().map(|change| (change.subject(), change)));
        if !waiting.is_empty() {
            self.some.notify_one();
        }
    }

    /// All that waits, as soon as something does.
    pub(super) async fn take(&self) -> Vec<ClusterChange> {
        loop {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !waiting.is_empty() {
                return waiting.into_values().collect();
            }
            self.some.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_change_of_each_object_is_read_once() {
        let outbox = Outbox::default();
        let application: ApplicationName = "shop".parse().unwrap();
        let gone = |name: &str| ClusterChange::PodGone {
            application: application.clone(),
            namespace: "prod".into(),
            name: name.into(),
        };
        outbox.push([ClusterChange::Away { message: "no".to_owned() }, gone("b"), gone("a")]);
        outbox.push([gone("b"), ClusterChange::Back]);
        assert_eq!(outbox.take().await, [ClusterChange::Back, gone("a"), gone("b")]);
        outbox.push([gone("c")]);
        assert_eq!(outbox.take().await, [gone("c")]);
    }
}
