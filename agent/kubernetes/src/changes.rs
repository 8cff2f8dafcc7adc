//! What happened in a cluster, as its watches tell it, and the queue that it waits in.
//!
//! The queue keeps the newest change of each object only: who reads slowly reads less, and misses nothing. So it is
//! bounded by the number of live objects and needs no other bound.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::{PodStatus, ResourceStatus};
use tokio::sync::{Notify, watch};

/// Something that happened in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum ClusterChange {
    /// It does not answer.
    Away {
        /// In its words or those of the network, and what to do.
        why: Failure,
    },
    /// It answers again.
    Back,
    /// It is another cluster, or one that was set back: what was known of it is dropped, and all is looked at anew.
    Replaced {
        /// `is another cluster now`.
        how: String,
    },
    /// What can be seen of it, or by which watches, is another: see [`unseen`](super::Cluster::unseen).
    Cover,
    /// An object of an environment, or one that such an object owns, is now so.
    ResourceChanged(Box<ResourceStatus>),
    /// It is gone and nobody wants it.
    ResourceGone {
        /// Whose.
        environment: EnvironmentId,
        /// Which.
        resource: ResourceRef,
    },
    /// A pod is now so.
    PodChanged(Box<PodStatus>),
    /// It is gone.
    PodGone {
        /// Whose.
        environment: EnvironmentId,
        /// Its namespace.
        namespace: Box<str>,
        /// Its name.
        name: Box<str>,
    },
    /// What is ours in an object is not as the last sync left it: drift, until a plan says otherwise.
    ContentChanged {
        /// Whose.
        environment: EnvironmentId,
        /// Which.
        resource: ResourceRef,
        /// Who wrote to it last other than us, where the server tells; none where it is gone.
        manager: Option<String>,
    },
    /// What differed in an environment is otherwise now: it may be as git says, by whoever's hand.
    Otherwise {
        /// Which.
        environment: EnvironmentId,
    },
    /// Kinds that the environment uses came, went, or are served in other versions or another scope than when it was rendered.
    Kinds {
        /// Whose.
        environment: EnvironmentId,
    },
    /// All objects of the environment have been seen once.
    Synced {
        /// Whose.
        environment: EnvironmentId,
    },
}

/// What a change is about; a later change about the same replaces an earlier one. In the order in which they are read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Connection,
    Identity,
    Cover,
    Resource(EnvironmentId, ResourceRef),
    Pod(Box<str>, Box<str>),
    Content(EnvironmentId, ResourceRef),
    Otherwise(EnvironmentId),
    Kinds(EnvironmentId),
    Synced(EnvironmentId),
}

impl ClusterChange {
    fn subject(&self) -> Subject {
        match self {
            Self::Away { .. } | Self::Back => Subject::Connection,
            Self::Replaced { .. } => Subject::Identity,
            Self::Cover => Subject::Cover,
            Self::ResourceChanged(status) => Subject::Resource(status.environment.clone(), status.resource.clone()),
            Self::ResourceGone { environment, resource } => Subject::Resource(environment.clone(), resource.clone()),
            Self::PodChanged(pod) => Subject::Pod(pod.namespace.clone(), pod.name.clone()),
            Self::PodGone { namespace, name, .. } => Subject::Pod(namespace.clone(), name.clone()),
            Self::ContentChanged { environment, resource, .. } => {
                Subject::Content(environment.clone(), resource.clone())
            }
            Self::Otherwise { environment } => Subject::Otherwise(environment.clone()),
            Self::Kinds { environment } => Subject::Kinds(environment.clone()),
            Self::Synced { environment } => Subject::Synced(environment.clone()),
        }
    }
}

/// The queue. It has one reader, which comes for more when it is done with what it took.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    some: Notify,
    /// How many times was pushed what the reader is done with.
    done: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    changes: BTreeMap<Subject, ClusterChange>,
    /// How many times something was pushed.
    pushed: u64,
    /// How many of those the reader took.
    taken: u64,
}

impl Outbox {
    pub(super) fn push(&self, changes: impl IntoIterator<Item = ClusterChange>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.changes.extend(changes.into_iter().map(|change| (change.subject(), change)));
        if !waiting.changes.is_empty() {
            waiting.pushed += 1;
            self.some.notify_one();
        }
    }

    /// Nobody pushes before this is dropped.
    #[cfg(test)]
    pub(super) fn hold(&self) -> impl Sized + '_ {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the reader is done with all that was pushed before.
    pub(super) async fn read(&self) {
        let pushed = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pushed;
        // The sender is ours: it does not go while we wait.
        let _ = self.done.subscribe().wait_for(|done| *done >= pushed).await;
    }

    /// All that waits, as soon as something does.
    pub(super) async fn take(&self) -> Vec<ClusterChange> {
        let taken = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).taken;
        self.done.send_replace(taken);
        loop {
            let taken = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            if !taken.is_empty() {
                return taken;
            }
            self.some.notified().await;
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Vec<ClusterChange> {
        self.taken = self.pushed;
        std::mem::take(&mut self.changes).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_change_of_each_object_is_read_once() {
        let outbox = Outbox::default();
        let environment: EnvironmentId = "shop/prod".parse().unwrap();
        let gone = |name: &str| ClusterChange::PodGone {
            environment: environment.clone(),
            namespace: "prod".into(),
            name: name.into(),
        };
        outbox.push([ClusterChange::Away { why: "no".into() }, gone("b"), gone("a")]);
        outbox.push([gone("b"), ClusterChange::Back]);
        assert_eq!(outbox.take().await, [ClusterChange::Back, gone("a"), gone("b")]);
        outbox.push([gone("c")]);
        assert_eq!(outbox.take().await, [gone("c")]);
    }

    #[tokio::test]
    async fn what_was_pushed_is_read_when_the_reader_comes_for_more() {
        let outbox = Outbox::default();
        outbox.read().await;
        outbox.push([ClusterChange::Back]);
        let mut read = std::pin::pin!(outbox.read());
        assert!(futures::poll!(&mut read).is_pending(), "it waits in the queue");
        outbox.take().await;
        assert!(futures::poll!(&mut read).is_pending(), "the reader is at it");
        outbox.push([ClusterChange::Back]);
        outbox.take().await;
        assert!(futures::poll!(&mut read).is_ready());
    }
}
