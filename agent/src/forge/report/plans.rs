//! What merging each open merge request of a deploy repository would change, for its comment.
//!
//! The forge is asked which are open when the refs of a repository changed. One is planned anew where its commit or the tip of
//! the branch is another. Code of forks is not: anyone may have written it, and by naming an object of the cluster it would
//! have a part of that shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;
use quarterdeck_core::merge_comment::{MergePlan, PlannedMerge};
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_git::{GitErrorKind, RefSnapshot};
use quarterdeck_shared::application::{EnvironmentId, EnvironmentSourceName, Follow};
use quarterdeck_shared::error::chain;
use quarterdeck_shared::revision::CommitId;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::patience::Patience;
use crate::config::Config;
use crate::context::{Context, Environment};
use crate::forge::api::{MergeRequest, OpenMergeRequest};
use crate::forge::{Forge, ForgeError};
use crate::poll::Repository;
use crate::reconcile;

/// What they are called in the log.
const WHAT: &str = "plans of merge requests";

/// Merge requests of a repository that are planned, those that changed last: what people look at, and what a push to the
/// branch plans anew.
pub(super) const OPEN_MAX: usize = 20;

/// The wait before what could not be planned is tried again, as where a cluster is unreachable.
const AGAIN: Duration = Duration::from_secs(30);

/// The wait for environments that just begin, and for the first poll of their repository.
const BEGINS: Duration = Duration::from_secs(1);

/// By merge request its plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plans {
    /// Repositories that were looked at.
    pub(super) looked_at: BTreeSet<String>,
    /// Those that will be.
    pub(super) awaits: BTreeSet<String>,
    pub(super) by: BTreeMap<MergeRequest, MergePlan>,
}

/// Plans the merge requests of one forge.
pub(super) struct Planner {
    forge: Forge,
    /// By what the forge calls a repository, what is deployed from it.
    deployed: BTreeMap<String, Vec<Deployed>>,
    plans: watch::Sender<Plans>,
    /// Notified when a plan is another.
    news: Arc<Notify>,
    known: BTreeMap<(MergeRequest, Deployed), Known>,
    /// By repository the refs that all was planned at.
    seen: BTreeMap<String, Arc<RefSnapshot>>,
    patience: Patience,
}

/// An environment, and which of its sources a repository is; nothing of its own.
type Deployed = (EnvironmentId, Option<EnvironmentSourceName>);

/// What was planned of one merge request in one environment.
struct Known {
    head: CommitId,
    tip: CommitId,
    planned: PlannedMerge,
}

impl Planner {
    /// Nothing is planned yet. Nothing at all where the forge is not to, or has no manifests of ours.
    pub(super) fn new(forge: Forge, config: &Config, base: &Path, news: &Arc<Notify>) -> Option<Self> {
        let mut deployed: BTreeMap<String, Vec<Deployed>> = BTreeMap::new();
        for application in &config.applications {
            for spec in &application.environments {
                let sources = spec.sources.iter().map(|source| (&source.repository, Some(source.name.clone())));
                for (repository, source) in [(&spec.repository, None)].into_iter().chain(sources) {
                    let address = RepositoryUrl::parse(repository, base).ok();
                    if let Some(project) = address.and_then(|address| forge.project(&address)) {
                        let id = EnvironmentId::new(&application.name, &spec.name);
                        deployed.entry(project).or_default().push((id, source));
                    }
                }
            }
        }
        deployed.values_mut().for_each(|ids| ids.sort());
        let wants = forge.config.plan && !deployed.is_empty();
        let awaits = deployed.keys().cloned().collect();
        wants.then(|| Self {
            forge,
            deployed,
            plans: watch::Sender::new(Plans { awaits, ..Plans::default() }),
            news: news.clone(),
            known: BTreeMap::new(),
            seen: BTreeMap::new(),
            patience: Patience::default(),
        })
    }

    /// What is planned, as it changes.
    pub(super) fn plans(&self) -> watch::Receiver<Plans> {
        self.plans.subscribe()
    }

    /// Plans until it is dropped.
    pub(super) async fn run(mut self, context: Arc<Context>) {
        loop {
            // What changes during the round is seen after it.
            let mut refs = self.refs(&context);
            let again = self.round(&context).await;
            let changed = async {
                if refs.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = select_all(refs.iter_mut().map(|refs| Box::pin(refs.changed()))).await;
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
            }
        }
    }

    /// The refs of the repositories, as they change.
    fn refs(&self, context: &Context) -> Vec<watch::Receiver<Option<Arc<RefSnapshot>>>> {
        let refs = |(id, source): &Deployed| Some(context.environment(id)?.repository_of(source.as_ref()).refs());
        self.deployed.values().filter_map(|all| all.iter().find_map(refs)).collect()
    }

    /// Looks at the repositories whose refs are others than at the last look; tells when to look again in any case.
    async fn round(&mut self, context: &Arc<Context>) -> Option<Instant> {
        if self.patience.is_waiting() {
            return self.patience.again();
        }
        let mut again = None;
        for (project, ids) in self.deployed.clone() {
            let place =
                |(id, source): &Deployed| Some(Place { environment: context.environment(id)?, source: source.clone() });
            let environments: Vec<Place> = ids.iter().filter_map(place).collect();
            let refs = environments.first().and_then(|first| first.repository().refs().borrow().clone());
            let Some(refs) = refs.filter(|_| environments.len() == ids.len()) else {
                again = Some(Instant::now() + BEGINS);
                continue;
            };
            if self.seen.get(&project).is_some_and(|seen| Arc::ptr_eq(seen, &refs)) {
                continue;
            }
            let open = match self.forge.open_merge_requests(&project, OPEN_MAX).await {
                Ok(open) => open,
                Err(error) => {
                    self.patience.failed(&error, WHAT);
                    if matches!(error, ForgeError::Refused { .. } | ForgeError::Rejected { .. }) {
                        // What became of runs is shown all the same.
                        self.publish(&project, BTreeMap::new());
                    }
                    return self.patience.again();
                }
            };
            if self.plan_all(context, &project, &environments, &refs, open).await {
                self.seen.insert(project, refs);
            } else {
                again = Some(Instant::now() + AGAIN);
            }
        }
        self.patience.good(&self.forge.config.url, WHAT);
        again
    }

    /// Plans what is open of one repository; false where something could not be planned.
    async fn plan_all(
        &mut self,
        context: &Arc<Context>,
        project: &str,
        environments: &[Place],
        refs: &RefSnapshot,
        open: Vec<OpenMergeRequest>,
    ) -> bool {
        let (mut known, mut plans, mut is_whole) = (BTreeMap::new(), BTreeMap::new(), true);
        for merge_request in open.into_iter().filter(|one| !one.is_of_fork) {
            let Some(tip) = refs.branches.get(&merge_request.target) else { continue };
            let of = MergeRequest { project: project.to_owned(), number: merge_request.number };
            let mut planned = Vec::new();
            for place in environments.iter().filter(|one| follows(one.follow(), &merge_request.target, refs)) {
                let key = (of.clone(), (place.environment.id.clone(), place.source.clone()));
                let before = self.known.remove(&key).filter(|known| known.is_of(&merge_request.head, tip));
                let now = match before {
                    Some(before) => before,
                    None => Known::plan(context, place, &merge_request, tip).await,
                };
                is_whole &= now.planned.plan.is_ok();
                planned.push(now.planned.clone());
                known.insert(key, now);
            }
            if !planned.is_empty() {
                plans.insert(of, MergePlan { commit: merge_request.head, environments: planned });
            }
        }
        self.known.retain(|(of, _), _| of.project != project);
        self.known.extend(known);
        self.publish(project, plans);
        is_whole
    }

    fn publish(&self, project: &str, plans: BTreeMap<MergeRequest, MergePlan>) {
        let is_news = self.plans.send_if_modified(|all| {
            let before = all.clone();
            all.awaits.remove(project);
            all.looked_at.insert(project.to_owned());
            all.by.retain(|of, _| of.project != project);
            all.by.extend(plans);
            *all != before
        });
        if is_news {
            self.news.notify_one();
        }
    }
}

impl Known {
    /// Whether it is what would be planned now. What could not be planned may be by now.
    fn is_of(&self, head: &CommitId, tip: &CommitId) -> bool {
        self.planned.plan.is_ok() && self.head == *head && self.tip == *tip
    }

    async fn plan(context: &Arc<Context>, place: &Place, of: &OpenMergeRequest, tip: &CommitId) -> Self {
        let Place { environment, source } = place;
        let (head, number) = (of.head.clone(), of.number);
        let wanted = head.clone();
        let fetched = place.repository().work(move |mirror| match mirror.commit_info(&wanted) {
            Err(error) if error.kind() == GitErrorKind::NotFound => mirror.merge_request(number).map(drop),
            answer => answer.map(drop),
        });
        let plan = match fetched.await {
            Ok(()) => {
                let plan = reconcile::merge::plan(context, environment, source.as_ref(), &head, tip).await;
                plan.map_err(|error| chain(&error))
            }
            Err(error) => Err(chain(&error)),
        };
        let planned = PlannedMerge { environment: environment.id.clone(), plan };
        Self { head, tip: tip.clone(), planned }
    }
}

/// An environment in force, and which of its sources is looked at.
struct Place {
    environment: Arc<Environment>,
    source: Option<EnvironmentSourceName>,
}

impl Place {
    fn repository(&self) -> &Repository {
        self.environment.repository_of(self.source.as_ref())
    }

    fn follow(&self) -> &Follow {
        let spec = &self.environment.spec;
        let of = |name: &EnvironmentSourceName| spec.sources.iter().find(|source| source.name == *name);
        self.source.as_ref().and_then(of).map_or(&spec.follow, |source| &source.follow)
    }
}

/// Whether a branch is what is followed.
fn follows(follow: &Follow, branch: &str, refs: &RefSnapshot) -> bool {
    match follow {
        Follow::Branch(followed) => followed == branch,
        Follow::Default => refs.default_branch.as_deref() == Some(branch),
        Follow::Tag(_) | Follow::NewestTag(_) | Follow::Semver(_) | Follow::Commit(_) => false,
    }
}
