//! What templates are made for that only a remote lists: branches, as of the last poll, and open merge requests, which are asked of
//! their forge.
//!
//! Invariant: what is not known, or known only in part, changes nothing. A merge request is gone only where two lists in a row do
//! not have it: one that is closed while pages are read moves others from one page to another.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck_core::generate::{Element, Preview};
use quarterdeck_core::trigger::TagGlob;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::error::{Hint as _, chain};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::reading::{COUNT_MAX, Listed, Rules};
use super::{Followed, poke};
use crate::config::source::generate::Generator;
use crate::context::Context;
use crate::forge::Forge;
use crate::poll::Repository;
use crate::worker::jitter;

/// All that is listed for one source.
pub(super) struct Listing(Result<Vec<Lister>, String>);

/// What is listed for one generator.
struct Lister {
    /// The place of the generator.
    index: usize,
    lists: Lists,
}

enum Lists {
    Branches(TagGlob, Followed),
    MergeRequests { into: TagGlob, found: watch::Receiver<Found>, _watch: DropGuard },
}

/// The merge requests that were found; nothing before the first answer, or why there is none.
type Found = Option<Result<Vec<Preview>, String>>;

impl Listing {
    /// Begins to list what the generators of a source are about.
    pub(super) fn begin(context: &Arc<Context>, rules: &Rules, news: &Arc<Notify>) -> Self {
        let generators = rules.source.generators();
        let begun = generators.into_iter().enumerate().filter_map(|(index, generator)| {
            let lists = Lists::begin(context, rules, generator, news)?;
            Some(lists.map(|lists| Lister { index, lists }))
        });
        Self(begun.collect())
    }

    /// Whether what it lists may come and go without a commit of the source.
    pub(super) fn comes_and_goes(&self) -> bool {
        self.0.as_ref().is_ok_and(|all| !all.is_empty())
    }

    /// What there is now; nothing where that is not known yet.
    pub(super) fn now(&self) -> Result<Option<Listed>, String> {
        let mut listed = Listed::new();
        for Lister { index, lists } in self.0.as_ref().map_err(Clone::clone)? {
            let Some(elements) = lists.now()? else { return Ok(None) };
            if elements.len() > COUNT_MAX {
                return Err(format!("the template is made for {}; the limit is {COUNT_MAX}", elements.len()));
            }
            listed.insert(*index, elements);
        }
        Ok(Some(listed))
    }
}

impl Lists {
    /// Nothing for what no remote lists.
    fn begin(
        context: &Arc<Context>,
        rules: &Rules,
        generator: Generator,
        news: &Arc<Notify>,
    ) -> Option<Result<Self, String>> {
        let address = generator.repository(&rules.source.repository)?.to_owned();
        let Context { repositories, data_dir, journal, .. } = &**context;
        let repository = match repositories.get(&address, &rules.config, &rules.base, data_dir, journal) {
            Ok(repository) => repository,
            Err(error) => return Some(Err(chain(&error))),
        };
        let stop = CancellationToken::new();
        match generator {
            Generator::Branches { named, .. } => {
                tokio::spawn(poke(repository.clone(), news.clone(), stop.clone()));
                Some(Ok(Self::Branches(named, Followed { repository, _watch: stop.drop_guard() })))
            }
            Generator::MergeRequests { into, forks, .. } => {
                let url = RepositoryUrl::parse(&address, &rules.base).ok();
                let forge = url.and_then(|url| Forge::that_has(&rules.config, &url));
                let Some((forge, project)) = forge else {
                    return Some(Err(format!("no [[forge]] has the repository {}", repository.address())));
                };
                let (sender, found) = watch::channel(None);
                let every = rules.config.agent.poll_interval.0;
                let asking = Asking { forge, project, repository, forks, every, news: news.clone() };
                tokio::spawn(asking.run(sender, stop.clone()));
                Some(Ok(Self::MergeRequests { into, found, _watch: stop.drop_guard() }))
            }
            Generator::List(_)
            | Generator::Directories(_)
            | Generator::Folders(_)
            | Generator::Files(_)
            | Generator::Clusters(_) => None,
        }
    }

    fn now(&self) -> Result<Option<Vec<Element>>, String> {
        match self {
            Self::Branches(named, Followed { repository, .. }) => {
                let Some(refs) = repository.refs().borrow().clone() else { return Ok(None) };
                if refs.branches.is_empty() {
                    return Err(format!("{} has no branches", repository.address()));
                }
                let matching = refs.branches.iter().filter(|(name, _)| named.matches(name));
                Ok(Some(matching.map(|(name, commit)| Element::of_branch(name, commit)).collect()))
            }
            Self::MergeRequests { into, found, .. } => {
                let Some(found) = found.borrow().clone() else { return Ok(None) };
                let matching = found?.into_iter().filter(|preview| into.matches(&preview.target));
                Ok(Some(matching.map(|preview| Element::of_merge_request(&preview)).collect()))
            }
        }
    }
}

/// A forge that is asked again and again which merge requests are open.
struct Asking {
    forge: Forge,
    project: String,
    repository: Arc<Repository>,
    forks: bool,
    every: Duration,
    news: Arc<Notify>,
}

impl Asking {
    async fn run(self, found: watch::Sender<Found>, stop: CancellationToken) {
        let mut refs = self.repository.refs();
        loop {
            let before = found.borrow().clone();
            let now = self.ask(before.and_then(Result::ok).unwrap_or_default()).await;
            if found.send_if_modified(|known| {
                let is_news = known.as_ref() != Some(&now);
                *known = Some(now);
                is_news
            }) {
                self.news.notify_one();
            }
            // A push to a branch is seen by its refs, before it is time to ask again.
            tokio::select! {
                () = tokio::time::sleep(jitter(self.every)) => {}
                changed = refs.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    /// Those that are open; what was open `before` stays where a second list has it.
    async fn ask(&self, before: Vec<Preview>) -> Result<Vec<Preview>, String> {
        let mut listed = self.list().await?;
        let is_gone = |one: &Preview| !listed.iter().any(|other| other.number == one.number);
        if before.iter().any(is_gone) {
            let again = self.list().await?;
            let missed = again.into_iter().filter(is_gone).collect::<Vec<_>>();
            listed.extend(missed);
            listed.sort_by_key(|one| one.number);
        }
        Ok(listed)
    }

    async fn list(&self) -> Result<Vec<Preview>, String> {
        let listed = self.forge.previews(&self.project, self.forks).await;
        listed.map_err(|error| {
            let (why, hint) = (chain(&error), error.hint());
            let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
            format!("open merge requests of {} are unknown: {why}{hint}", self.repository.address())
        })
    }
}
