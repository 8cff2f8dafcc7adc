//! Facts: what the stories tell the journal. The journal alone turns them into history and snapshot.

use jiff::Timestamp;
use quarterdeck_shared::application::{ApplicationName, EnvironmentId, EnvironmentName};
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event, SyncRecord};
use quarterdeck_shared::protocol::SyncRequest;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::snapshot::{
    ChartTests, Cover, DefinedIn, Deletion, Hold, Key, LastAction, Object, Pending, Pin, Progress, RenderedFrom,
    RunStatus, SpecSummary, Unseen,
};
use quarterdeck_shared::status::{Health, Phase, SyncStatus};

use crate::history::{About, Adoption, Comment, CommitStatuses, Intent};
use quarterdeck_core::sync::plan::Remembered;
use quarterdeck_core::trigger::SeenRefs;

/// Facts that belong together: all of them are kept, or none.
pub type Batch = Vec<Fact>;

/// One thing that is so.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Something happened: kept as an event.
    Happened {
        /// Whom it concerns.
        about: About,
        /// Who or what caused it.
        cause: Cause,
        /// What.
        event: Event,
    },
    /// Something about an application is now otherwise.
    Application {
        /// Which.
        name: ApplicationName,
        /// What.
        patch: ApplicationPatch,
    },
    /// The configuration does not name it any more: it leaves the snapshot, its history stays.
    ApplicationRemoved(ApplicationName),
    /// Something about an environment is now otherwise.
    Environment {
        /// Which.
        id: EnvironmentId,
        /// What.
        patch: Patch,
    },
    /// As of an application.
    EnvironmentRemoved(EnvironmentId),
    /// A run is now so: kept.
    Run(Box<RunStatus>),
    /// A run is now so, for those who look: a percent, a line. Not kept.
    RunProgress(Box<RunStatus>),
    /// A sync is now so: kept, and the environment's newest.
    Sync(Box<SyncRecord>),
    /// Images were built or pushed: kept, and the application's newest.
    Artifact(Artifact),
    /// The refs of an application's code repository that need no thought any more, with the objects they point at.
    RefsSeen {
        /// Whose.
        application: ApplicationName,
        /// The address they were seen at: another repository is seen for the first time.
        repository: String,
        /// All of them.
        refs: SeenRefs,
    },
    /// What the forge of a run knows of it, and what it is yet to be told.
    CommitStatuses {
        /// The run's number.
        run: u64,
        /// All of it.
        statuses: CommitStatuses,
    },
    /// Our comment on a merge request.
    Comment {
        /// Of which forge, project and number.
        merge_request: String,
        /// All of it.
        comment: Comment,
    },
    /// What was applied, so that what did not change since costs no request.
    Applied {
        /// Whose.
        environment: EnvironmentId,
        /// New or changed.
        applied: Vec<(ResourceRef, Remembered)>,
        /// No longer ours.
        gone: Vec<ResourceRef>,
    },
    /// What a person asked for and is still owed.
    Intent {
        /// Whose.
        environment: EnvironmentId,
        /// What.
        intent: Intent,
    },
    /// It is not owed any more, be it done or not. What was asked for meanwhile still is.
    IntentDone {
        /// Whose.
        environment: EnvironmentId,
        /// What exactly.
        intent: Intent,
    },
    /// An object is seen to be so. Not kept.
    Seen(Object),
    /// An object is seen to be gone. Not kept.
    Gone(Key),
}

impl Intent {
    /// This, and what was asked for before and is still owed: of two requests for some objects both are done.
    #[must_use]
    pub fn with(mut self, owed: Option<&Self>) -> Self {
        let Some(owed) = owed else { return self };
        match (self.adoption, owed.adoption) {
            (Some(Adoption::Alone), Some(Adoption::Alone)) => return self,
            (Some(Adoption::Alone), _) => {
                return Self { request: owed.request.clone(), adoption: Some(Adoption::BeforeSync), ..self };
            }
            (_, Some(Adoption::Alone)) => return Self { adoption: Some(Adoption::BeforeSync), ..self },
            (own, of_owed) => self.adoption = own.or(of_owed),
        }
        let SyncRequest { prune, full, only, prune_anyway } = &owed.request;
        self.request.prune |= prune;
        self.request.full |= full;
        if self.request.only.is_empty() || only.is_empty() {
            self.request.only.clear();
        } else {
            let more: Vec<_> = only.iter().filter(|one| !self.request.only.contains(one)).cloned().collect();
            self.request.only.extend(more);
        }
        let more: Vec<_> =
            prune_anyway.iter().filter(|one| !self.request.prune_anyway.contains(one)).cloned().collect();
        self.request.prune_anyway.extend(more);
        self
    }
}

/// Something about an application that is now otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum ApplicationPatch {
    /// It is in the configuration, so.
    Configured {
        /// Its environments, in order.
        environments: Vec<EnvironmentName>,
        /// The code repository, redacted.
        code: Option<String>,
        /// What is built, without a tag.
        images: Vec<String>,
        /// Where it is defined; nothing where that is the configuration.
        defined: Option<DefinedIn>,
    },
    /// The last thing that its delivery did.
    Last(LastAction),
    /// Why it is not operated as it is configured; empty where it is.
    Refused(String),
    /// Its code repository cannot be read; nothing where it can.
    Unseen(Vec<Unseen>),
}

/// Something about an environment that is now otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// It is in the configuration, so.
    Configured(SpecSummary),
    /// What git says now.
    Target {
        /// Where the branch, tag or pin is.
        revision: Revision,
        /// Whether what it said before is no ancestor of that.
        rewritten: bool,
    },
    /// What the cluster runs.
    Deployed {
        /// The revision whose sync was applied.
        revision: Revision,
        /// The images that its manifests name.
        images: Vec<String>,
    },
    /// How the cluster compares with git.
    Compared {
        /// The answer.
        sync: SyncStatus,
        /// Why, where it is not Synced, and what to do.
        why: Failure,
        /// Objects that differ.
        drifted: u32,
        /// Objects that the manifests name; unchanged where the comparison failed.
        resources: Option<u32>,
    },
    /// How its objects are.
    Assessed {
        /// As its worst.
        health: Health,
        /// Why, where it is not Healthy.
        message: String,
    },
    /// Where its manifests came from.
    Rendered(RenderedFrom),
    /// What is being done to its cluster; nothing where nothing is.
    Progress(Option<Progress>),
    /// Which commits wait in git; nothing where none do.
    Pending(Option<Pending>),
    /// It is suspended, or not any more.
    Suspension(Option<Hold>),
    /// It is pinned, or not any more.
    Pin(Option<Pin>),
    /// The newest run of the tests of its chart.
    Tests(Box<ChartTests>),
    /// The newest deletion of its objects.
    Deletion(Box<Deletion>),
    /// The cluster runs nothing of it any more.
    Undeployed,
    /// The last thing that happened to it.
    Last(LastAction),
    /// What cannot be seen of it, of one kind of cover; empty where all of that kind is seen again.
    Unseen {
        /// Which kind.
        of: Cover,
        /// All of this kind that cannot be seen.
        unseen: Vec<Unseen>,
    },
}

impl Fact {
    /// An event of an application or an environment.
    pub fn happened(about: impl Into<About>, cause: &Cause, event: Event) -> Self {
        Self::Happened { about: about.into(), cause: cause.clone(), event }
    }

    /// An event of the agent, a repository, a cluster.
    pub fn at_large(cause: Cause, event: Event) -> Self {
        Self::Happened { about: About::Agent, cause, event }
    }

    /// A patch of an environment.
    pub fn patch(id: &EnvironmentId, patch: Patch) -> Self {
        Self::Environment { id: id.clone(), patch }
    }

    /// The last thing that happened to an environment.
    pub fn last(id: &EnvironmentId, what: &str, phase: Phase, at: Timestamp) -> Self {
        Self::patch(id, Patch::Last(LastAction { what: what.to_owned(), phase, at }))
    }

    /// The last thing that the delivery of an application did.
    pub fn delivered(name: &ApplicationName, what: &str, phase: Phase, at: Timestamp) -> Self {
        let patch = ApplicationPatch::Last(LastAction { what: what.to_owned(), phase, at });
        Self::Application { name: name.clone(), patch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_before_is_not_lost() {
        let resource = |name: &str| ResourceRef::new("", "ConfigMap", Some("prod"), name);
        let intent = |prune: bool, full: bool, only: &[&str]| Intent {
            request: SyncRequest {
                prune,
                full,
                only: only.iter().map(|name| resource(name)).collect(),
                ..Default::default()
            },
            cause: Cause::Agent,
            at: Timestamp::UNIX_EPOCH,
            adoption: None,
        };
        for (before, now, both) in [
            (intent(false, false, &["a"]), intent(false, false, &["b", "a"]), intent(false, false, &["b", "a"])),
            (intent(false, false, &["a"]), intent(false, true, &["b"]), intent(false, true, &["b", "a"])),
            (intent(true, false, &[]), intent(false, false, &["a"]), intent(true, false, &[])),
            (intent(false, false, &["a"]), intent(false, false, &[]), intent(false, false, &[])),
        ] {
            assert_eq!(now.clone().with(Some(&before)), both);
        }
        let alone = intent(true, false, &["a"]);
        assert_eq!(alone.clone().with(None), alone);

        let sync = intent(true, false, &["a"]);
        let with = |adoption, intent: &Intent| Intent { adoption: Some(adoption), ..intent.clone() };
        let adopt = with(Adoption::Alone, &intent(false, false, &[]));
        let both = with(Adoption::BeforeSync, &sync);
        for (before, now, wanted) in [
            (&adopt, &adopt, &adopt),
            (&adopt, &sync, &both),
            (&sync, &adopt, &both),
            (&both, &adopt, &both),
            (&both, &sync, &both),
        ] {
            assert_eq!(now.clone().with(Some(before)), *wanted, "{before:?} and then {now:?}");
        }
    }
}
