//! Applications that are defined in git: what the sources of the configuration say at the newest commit that is right.
//!
//! ```text
//! news of a repository, a reload ─► newest commit ─ reading ─► right? ─► the set of the source ─┐
//!                                                    └─ wrong: the set of before stays          ├─► configuration in force
//!                                                       configuration file ────────────────────┘    (see `supervise`)
//! ```
//! One owner: the loop of the agent that also reloads. The commit whose set is in force is [`kept`], and read again from the mirror
//! at the next start before anything else is done, so that a forge that is unreachable takes no application away.
//!
//! Invariant: what cannot be read, and what is wrong, changes nothing of what runs. Limits that the configuration sets are held
//! at each reload, for the set that is in force too.

pub mod aside;
pub mod folder;
mod kept;
mod listing;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use quarterdeck_core::departure::{self, Departure};
use quarterdeck_git::{CommitId, GitError};
use quarterdeck_shared::application::{ApplicationName, EnvironmentId, SourceName};
use quarterdeck_shared::error::chain;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::snapshot::{ApplicationSourceStatus, DefinedIn, Key, Object};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::kept::{InForce, Kept};
use self::listing::Listing;
use self::reading::{Cache, Listed, Placed, Reading, Rules};
use crate::commit_tree::CommitTree;
use crate::config::Config;
use crate::config::source::ApplicationSource;
use crate::configuration;
use crate::context::Context;
use crate::journal::fact::Fact;
use crate::poll::Repository;
use crate::removals::Removal;
use crate::supervise;

/// Lines of an event: a person reads some; the log of the agent has all.
const CHANGES_SHOWN: usize = 20;

/// All sources of the configuration.
pub struct Sources {
    kept: Kept,
    /// What the file says, without what is of sources.
    file: Arc<Config>,
    /// In the order of the configuration.
    known: Vec<Known>,
    /// Sources that the configuration does not have any more, and that consoles still see.
    gone: Vec<SourceName>,
    news: Arc<Notify>,
}

/// A source, and what of it is in force.
struct Known {
    rules: Arc<Rules>,
    repository: Result<Followed, String>,
    /// What its template is made for that only a remote lists.
    listing: Listing,
    cache: Cache,
    /// What that was for the set in force.
    listed: Listed,
    /// The commit of the set in force.
    commit: Option<CommitId>,
    applications: Vec<Placed>,
    since: Option<Timestamp>,
    /// The newest commit that was read and is right, and what its template was made for.
    looked: Option<(CommitId, Listed)>,
    error: Option<String>,
    /// The names that a set had which is not in force any more, and those of the one that is; nothing where that is told.
    changed: Option<BTreeSet<ApplicationName>>,
    /// What consoles see.
    shown: Option<ApplicationSourceStatus>,
}

/// A repository whose news are waited for as long as this lives.
struct Followed {
    repository: Arc<Repository>,
    _watch: DropGuard,
}

impl Sources {
    /// Nothing is read yet.
    pub fn new(data_dir: &Path) -> Self {
        let (file, news) = (Arc::new(Config::default()), Arc::default());
        Self { kept: Kept::open(data_dir), file, known: Vec::new(), gone: Vec::new(), news }
    }

    /// The applications of these sources that were in force when the agent last ran.
    pub fn names(&self, config: &Config) -> BTreeSet<ApplicationName> {
        config.application_source.iter().flat_map(|source| self.kept.names(&source.name)).collect()
    }

    /// Pokes whoever waits when a source may have changed.
    pub fn news(&self) -> Arc<Notify> {
        self.news.clone()
    }

    /// Takes up what the file says, and answers the configuration with all applications in it.
    pub async fn configure(&mut self, context: &Arc<Context>, file: Config) -> Arc<Config> {
        self.file = Arc::new(file);
        let mut before: Vec<Known> = std::mem::take(&mut self.known);
        let base = context.config_path.parent().unwrap_or(&context.config_path).to_owned();
        for source in self.file.application_source.clone() {
            let old = before.iter().position(|known| known.rules.source.name == source.name);
            let old = old.map(|at| before.swap_remove(at));
            let known = self.take_up(context, source, old, &base).await;
            self.known.push(known);
        }
        self.gone.extend(before.into_iter().map(|known| known.rules.source.name.clone()));
        self.kept.keep_only(self.known.iter().map(|known| &known.rules.source.name).collect());
        self.look_at_all(context).await;
        Arc::new(self.composed())
    }

    /// Brings into force what is new in the sources.
    pub async fn follow(&mut self, context: &Arc<Context>, tasks: &tokio_util::task::TaskTracker) {
        let mut lines = Vec::new();
        let began = Instant::now();
        if self.look_at_all(context).await {
            match supervise::apply(context, Arc::new(self.composed()), tasks).await {
                Ok(more) => lines = more,
                Err(error) => tracing::error!(error = %chain(&error), "the sources were applied only in part"),
            }
            lines.iter().for_each(|line| tracing::info!("sources: {line}"));
            tracing::debug!(elapsed = ?began.elapsed(), "sources are applied");
        }
        self.tell(context, &lines).await;
    }

    /// Shows how each source is, and which of these changes came by it.
    pub async fn tell(&mut self, context: &Context, lines: &[String]) {
        let mut seen: Vec<Fact> = Vec::new();
        seen.extend(self.gone.drain(..).map(|name| Fact::Gone(Key::application_source(&name))));
        let mut events = Vec::new();
        for known in &mut self.known {
            let status = known.status(context);
            let name = &status.name;
            if let (Some(names), Some(commit)) = (known.changed.take(), &known.commit) {
                let changes = own_lines(lines, &names);
                events.push(Event::ApplicationSourceRead { source: name.clone(), commit: commit.clone(), changes });
            }
            let told = known.shown.as_ref().and_then(|shown| shown.error.as_ref());
            if let Some(message) = status.error.as_ref().filter(|error| told != Some(error)) {
                tracing::error!(source = %name, "applications are unchanged: {message}");
                events.push(Event::ApplicationSourceRefused { source: name.clone(), message: message.clone() });
            }
            if known.shown.as_ref() != Some(&status) {
                seen.push(Fact::Seen(Object::ApplicationSource(status.clone())));
                known.shown = Some(status);
            }
        }
        if !seen.is_empty() {
            context.journal.publish(seen).await;
        }
        for event in events {
            supervise::record_event(context, event).await;
        }
    }

    /// A source as the configuration has it now, with the set of before as far as the configuration allows it.
    async fn take_up(
        &mut self,
        context: &Arc<Context>,
        source: ApplicationSource,
        old: Option<Known>,
        base: &Path,
    ) -> Known {
        let repository = self.repository(context, &source, base);
        let address = repository.as_ref().map(|followed| followed.repository.address().to_owned()).unwrap_or_default();
        let rules = Arc::new(Rules { source, config: self.file.clone(), base: base.to_owned() });
        let listing = Listing::begin(context, &rules, &self.news);
        // Another repository under this name is another source.
        let old = old.filter(|old| old.address() == address);
        let (commit, listed) = match &old {
            Some(old) => (old.commit.clone(), Some(old.listed.clone())),
            None => self.kept.in_force(&rules.source.name, &address).unzip(),
        };
        let is_same = |old: &Known| {
            let Rules { source, config, base } = &*old.rules;
            (source, &**config, base) == (&rules.source, &*rules.config, &rules.base)
        };
        let is_known = old.as_ref().is_some_and(is_same);
        let (before, since, changed, shown, cache) = match old {
            Some(old) => (old.applications, old.since, old.changed, old.shown, old.cache),
            None => (Vec::new(), None, None, None, Cache::default()),
        };
        let mut known = Known {
            rules,
            repository,
            listing,
            // What files say depends on what they are held against.
            cache: if is_known { cache } else { Cache::default() },
            listed: listed.unwrap_or_default(),
            commit,
            applications: before,
            since,
            looked: None,
            error: None,
            changed,
            shown,
        };
        if let Err(error) = &known.repository {
            known.error = Some(error.clone());
        }
        if let Some(commit) = known.commit.clone() {
            match known.read(&commit, known.listed.clone()).await {
                Ok(reading) if reading.is_missing => known.error = Some(known.problems(&commit, &reading.problems)),
                Ok(reading) => {
                    known.error = (!reading.problems.is_empty()).then(|| known.problems(&commit, &reading.problems));
                    known.since = known.since.or(Some(Timestamp::now()));
                    known.applications = reading.applications;
                }
                Err(error) => {
                    // A mirror that is lost has it no more.
                    known.commit = known.commit.filter(|_| !known.applications.is_empty());
                    known.error = Some(error);
                }
            }
        }
        known
    }

    fn repository(&self, context: &Context, source: &ApplicationSource, base: &Path) -> Result<Followed, String> {
        let Context { repositories, data_dir, journal, .. } = context;
        let got = repositories.get(&source.repository, &self.file, base, data_dir, journal);
        let repository = got.map_err(|error: GitError| chain(&error))?;
        let stop = CancellationToken::new();
        tokio::spawn(poke(repository.clone(), self.news.clone(), stop.clone()));
        Ok(Followed { repository, _watch: stop.drop_guard() })
    }

    /// Looks at the newest commit of each source; whether a set is another one now. A name that one source gives up is free
    /// for another one: so it is looked again, once for each at the most.
    async fn look_at_all(&mut self, context: &Context) -> bool {
        let mut is_news = false;
        for _ in 0..=self.known.len() {
            let mut changed = false;
            for at in 0..self.known.len() {
                changed |= self.look(at, context).await;
            }
            is_news |= changed;
            if !changed {
                break;
            }
        }
        is_news
    }

    /// Looks at the newest commit of a source; whether its set is another one now.
    async fn look(&mut self, at: usize, context: &Context) -> bool {
        let others = self.known.iter().enumerate().filter(|(other, _)| *other != at);
        let of_others = others.flat_map(|(_, known)| {
            let of = format!("source {}", known.rules.source.name);
            known.applications.iter().map(move |placed| (placed.spec.name.clone(), of.clone()))
        });
        let in_file = self.file.applications.iter().map(|spec| (spec.name.clone(), "the configuration".to_owned()));
        let taken: BTreeMap<ApplicationName, String> = of_others.chain(in_file).collect();
        let known = &mut self.known[at];
        let commit = match known.newest() {
            Ok(Some(commit)) => commit,
            Ok(None) => return false,
            Err(why) => {
                known.error = Some(why);
                return false;
            }
        };
        let listed = match known.listing.now() {
            Ok(Some(listed)) => listed,
            Ok(None) => return false,
            Err(why) => {
                known.error = Some(why);
                return false;
            }
        };
        let looked = Some((commit.clone(), listed.clone()));
        if known.looked == looked && known.error.is_none() {
            return false;
        }
        let reading = match known.read(&commit, listed.clone()).await {
            Ok(reading) => reading,
            Err(why) => {
                known.error = Some(why);
                return false;
            }
        };
        let mut problems = reading.problems;
        let doubles = reading.applications.iter().filter_map(|placed| Some((placed, taken.get(&placed.spec.name)?)));
        problems.extend(doubles.map(|(Placed { spec, file, .. }, by)| {
            format!("{file}: application {} is defined by {by} too: choose another name", spec.name)
        }));
        if !problems.is_empty() {
            known.error = Some(known.problems(&commit, &problems));
            return false;
        }
        known.error = None;
        known.looked = looked;
        let is_other = known.applications != reading.applications;
        let (name, place) = (known.rules.source.name.clone(), known.rules.source.place());
        if is_other {
            let before = std::mem::replace(&mut known.applications, reading.applications);
            let is_same_place = self.kept.place(&name) == Some(&place);
            known.leave(context, &before, is_same_place);
            let names = before.iter().chain(&known.applications).map(|placed| placed.spec.name.clone());
            known.changed.get_or_insert_default().extend(names);
        }
        if is_other || known.since.is_none() {
            known.since = Some(Timestamp::now());
        }
        known.commit = Some(commit.clone());
        known.listed = listed.clone();
        let applications = known.applications.iter().map(|placed| placed.spec.name.clone()).collect();
        let repository = known.address().to_owned();
        self.kept.keep(&name, InForce { repository, commit, applications, place, listed });
        is_other
    }

    /// What the file says with the sets of all sources. Of a name that is there twice the file's counts, then that of the first
    /// source.
    fn composed(&self) -> Config {
        let mut config = Config::clone(&self.file);
        let mut names: BTreeSet<ApplicationName> = supervise::names(&self.file);
        for known in &self.known {
            for Placed { spec, file } in &known.applications {
                if names.insert(spec.name.clone()) {
                    let source = known.rules.source.name.clone();
                    let defined = DefinedIn { source: Some(source), file: file.to_string() };
                    config.defined.insert(spec.name.clone(), defined);
                    config.applications.push(spec.clone());
                }
            }
        }
        config
    }
}

impl Known {
    fn address(&self) -> &str {
        self.repository.as_ref().map(|followed| followed.repository.address()).unwrap_or_default()
    }

    /// The newest commit of the branch, as of the last poll that was answered; nothing before the first.
    fn newest(&self) -> Result<Option<CommitId>, String> {
        let Ok(Followed { repository, .. }) = &self.repository else { return Ok(None) };
        let Some(refs) = repository.refs().borrow().clone() else { return Ok(None) };
        let branch = self.rules.source.branch.as_ref().or(refs.default_branch.as_ref());
        let Some(branch) = branch else {
            return Err(format!("{} names no default branch: set branch", self.address()));
        };
        let commit = refs.branches.get(branch).cloned();
        commit.map(Some).ok_or_else(|| format!("{} has no branch {branch}", self.address()))
    }

    /// Decides what becomes of the objects of the environments that left.
    fn leave(&self, context: &Context, before: &[Placed], is_same_place: bool) {
        let Rules { source, .. } = &*self.rules;
        let snapshot = context.journal.snapshot();
        let is_suspended = |id: &EnvironmentId| snapshot.environment(id).is_some_and(|status| status.suspended);
        let departures = departure::departures(&departure::Change {
            prune: source.prune,
            prune_max: source.prune_max,
            may_be_empty: self.listing.comes_and_goes(),
            is_same_place,
            before: before.iter().map(|placed| &placed.spec).collect(),
            after: self.applications.iter().map(|placed| &placed.spec).collect(),
            is_suspended: &is_suspended,
        });
        let deleted = departures.iter().filter(|(_, departure)| *departure == Departure::Deleted);
        let removal = |(id, _): &(EnvironmentId, Departure)| {
            let application = before.iter().find(|placed| placed.spec.name == id.application)?;
            let spec = application.spec.environment(&id.environment)?;
            Some(Removal {
                environment: id.clone(),
                source: source.name.clone(),
                cluster: spec.cluster.clone(),
                namespace: spec.namespace.clone(),
                repository: spec.repository.clone(),
            })
        };
        let deleted = deleted.filter_map(removal).collect();
        context.removals.decided(departures, deleted);
    }

    /// What a commit says.
    async fn read(&mut self, commit: &CommitId, listed: Listed) -> Result<Reading, String> {
        let Ok(Followed { repository, .. }) = &self.repository else { return Err(String::new()) };
        let began = Instant::now();
        let (rules, commit, mut cache) = (self.rules.clone(), commit.clone(), std::mem::take(&mut self.cache));
        let read = repository.work(move |mirror| {
            let tree = CommitTree { mirror, commit, bytes_max: reading::FILE_BYTES_MAX };
            let reading = reading::read(&tree, &rules, &listed, &mut cache);
            Ok((reading, cache))
        });
        let (reading, cache) = read.await.map_err(|error| chain(&error))?;
        self.cache = cache;
        let fresh = reading.as_ref().map_or(0, |reading| reading.fresh);
        tracing::debug!(source = %self.rules.source.name, fresh, elapsed = ?began.elapsed(), "read");
        reading.map_err(|error| chain(&*error))
    }

    /// What is wrong with a commit, in lines that begin with where it is.
    fn problems(&self, commit: &CommitId, problems: &[String]) -> String {
        let place = format!("{}@{}", self.address(), commit.short());
        let shown = problems.iter().take(reading::PROBLEMS_SHOWN).map(|problem| format!("{place}:{problem}"));
        let more = problems.len().saturating_sub(reading::PROBLEMS_SHOWN);
        let more = (more > 0).then(|| format!("and {more} more"));
        shown.chain(more).collect::<Vec<_>>().join("\n")
    }

    fn status(&self, context: &Context) -> ApplicationSourceStatus {
        ApplicationSourceStatus {
            name: self.rules.source.name.clone(),
            repository: quarterdeck_git::url::redact(&self.rules.source.repository),
            branch: self.rules.source.branch.clone().unwrap_or_default(),
            commit: self.commit.clone(),
            applications: self.applications.len() as u32,
            since: self.since,
            error: self.error.clone(),
            pruning: context.removals.lines(&self.rules.source.name),
        }
    }
}

/// Polls the repository that defines an application, where that is not the configuration.
pub fn wake(context: &Context, name: &ApplicationName) {
    let config = context.config();
    let Some(DefinedIn { source, .. }) = config.defined.get(name) else { return };
    let Some(source) = source else { return configuration::wake(context) };
    let base = context.config_path.parent().unwrap_or(&context.config_path);
    let Context { repositories, data_dir, journal, .. } = context;
    let address = config.application_source.iter().find(|one| one.name == *source).map(|one| &one.repository);
    // What cannot be opened is told by its source.
    let repository = address.and_then(|address| repositories.get(address, &config, base, data_dir, journal).ok());
    repository.into_iter().for_each(|repository| repository.wake());
}

/// Of lines such as `application shop is added` and `environment shop/qa is changed`, those of these applications.
fn own_lines(lines: &[String], names: &BTreeSet<ApplicationName>) -> Vec<String> {
    let is_own = |line: &&String| {
        let subject = line.split(' ').nth(1).and_then(|word| word.split('/').next());
        subject.and_then(|name| name.parse().ok()).is_some_and(|name: ApplicationName| names.contains(&name))
    };
    let own: Vec<&String> = lines.iter().filter(is_own).collect();
    let more = own.len().saturating_sub(CHANGES_SHOWN);
    let shown = own.into_iter().take(CHANGES_SHOWN).cloned();
    shown.chain((more > 0).then(|| format!("and {more} more"))).collect()
}

/// Pokes whenever the refs of a repository are others.
async fn poke(repository: Arc<Repository>, news: Arc<Notify>, stop: CancellationToken) {
    let mut refs = repository.refs();
    news.notify_one();
    loop {
        tokio::select! {
            changed = refs.changed() => match changed {
                Ok(()) => news.notify_one(),
                Err(_) => return,
            },
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_its_own_changes() {
        let names = ["shop".parse().unwrap(), "cart".parse().unwrap()].into();
        let lines = ["application shop is added", "application web is removed", "environment cart/qa is changed"];
        let lines: Vec<String> = lines.map(str::to_owned).into();
        assert_eq!(own_lines(&lines, &names), ["application shop is added", "environment cart/qa is changed"]);
        let many = vec!["application shop is added".to_owned(); CHANGES_SHOWN + 2];
        assert_eq!(own_lines(&many, &names).last().unwrap(), "and 2 more");
    }
}
