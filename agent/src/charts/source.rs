//! A chart of a registry or chart repository: which version of it is wanted now, and its files.
//!
//! A version that is written as it is is fetched once. A range is looked up at an interval, and immediately by `qd refresh`;
//! while its repository is unreachable the version that was chosen last stays, also over a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_container::charts::archive;
use quarterdeck_container::charts::fetch::{Fetched, Fetcher, Identity, Source};
use quarterdeck_container::charts::http::Password;
use quarterdeck_core::backoff::doubled;
use quarterdeck_core::charts;
use quarterdeck_core::charts::address::Repository;
use quarterdeck_core::charts::versions::Wanted;
use quarterdeck_shared::application::ChartSpec;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::revision::ChartRelease;
use quarterdeck_system::secret::{self, Place};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::store::Store;
use super::{ChartFiles, ChartProblem};
use crate::config::Config;
use crate::images::Images;
use crate::worker::{Wake, jitter};

/// Charts that are asked for at a time: registries count what comes from one address.
static ASKING: Semaphore = Semaphore::const_new(8);

/// A repository that is away is asked at least this often: what was broken overnight is back within minutes.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The first wait after a failure; an interval that is shorter counts instead.
const BACKOFF_FIRST: Duration = Duration::from_secs(10);

/// A repository that refused us is asked this seldom: some ban an address for that.
const REFUSED: Duration = Duration::from_secs(600);

/// A chart of a registry or chart repository.
pub struct ChartSource {
    /// How it is configured.
    pub spec: ChartSpec,
    repository: Repository,
    wanted: Wanted,
    store: Store,
    asking: Asking,
    state: watch::Sender<ChartState>,
    /// One archive is fetched once, however many environments want it.
    fetching: Mutex<()>,
    wake: Wake,
    stop: CancellationToken,
}

/// What is asked with.
pub(super) struct Asking {
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) images: watch::Receiver<Arc<Images>>,
    pub(super) config: watch::Receiver<Arc<Config>>,
}

/// What is known of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartState {
    /// The version that is deployed: the newest that is wanted, as far as is known.
    pub release: Option<ChartRelease>,
    /// Why its repository could not be asked last, or has nothing that is wanted.
    pub failure: Option<Failure>,
    /// When its repository last answered.
    pub last_seen: Option<Timestamp>,
}

impl ChartSource {
    pub(super) fn new(spec: &ChartSpec, data_dir: &Path, asking: Asking) -> Result<Self, ChartProblem> {
        let repository = Repository::read(&spec.repository)?;
        charts::address::check_name(&spec.name)?;
        Ok(Self {
            wanted: Wanted::read(&spec.version)?,
            store: Store::of(data_dir, &repository, &spec.name),
            spec: spec.clone(),
            repository,
            asking,
            state: watch::Sender::default(),
            fetching: Mutex::default(),
            wake: Wake::default(),
            stop: CancellationToken::new(),
        })
    }

    /// What is known, and each change of it.
    pub fn state(&self) -> watch::Receiver<ChartState> {
        self.state.subscribe()
    }

    /// Where its archives are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Looks for a newer version now.
    pub fn wake(&self) {
        self.wake.wake();
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// The files of a version: as they are kept, else fetched again.
    ///
    /// # Errors
    /// Where they are not kept and cannot be fetched, or the repository has others under that version by now.
    pub async fn files(&self, release: &ChartRelease) -> Result<ChartFiles, ChartProblem> {
        let bytes = match self.kept(release).await? {
            Some(bytes) => bytes,
            None => self.fetch_again(release).await?,
        };
        let read = tokio::task::spawn_blocking(move || archive::read(&bytes)).await;
        let packaged = read.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))?;
        Ok(ChartFiles { folder: charts::folder(&release.name, &release.version), files: packaged.files })
    }

    /// Whether the repository answers and knows the chart; how many versions of it there are.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn check(&self) -> Result<usize, ChartProblem> {
        let (images, identity) = self.who().await?;
        Ok(self.asking.fetcher.check(&self.source(&images, &identity)).await?)
    }

    /// The version that was chosen before and is kept, else the one that is wanted now.
    pub(super) async fn at_hand(&self) -> Result<ChartRelease, ChartProblem> {
        let written = self.spec.version.clone();
        let chosen = self.work(move |store| Ok(store.chosen(&written))).await?;
        if let Some(chosen) = chosen
            && self.kept(&chosen).await?.is_some()
        {
            return Ok(chosen);
        }
        self.look().await
    }

    /// Which version is wanted now; it is kept when this returns.
    async fn look(&self) -> Result<ChartRelease, ChartProblem> {
        let (images, identity) = self.who().await?;
        let source = self.source(&images, &identity);
        let found = self.asking.fetcher.find(&source, &self.wanted, &self.spec.version).await?;
        let known = self.state.borrow().release.clone().filter(|known| known.version == found.version);
        if let Some(known) = known
            && self.kept(&known).await?.is_some()
        {
            return Ok(known);
        }
        let _alone = self.fetching.lock().await;
        let fetched = self.asking.fetcher.fetch(&source, &found).await?;
        let release = fetched.release.clone();
        self.keep(fetched).await?;
        Ok(release)
    }

    /// A version that was kept once, and must be the same now.
    async fn fetch_again(&self, release: &ChartRelease) -> Result<Vec<u8>, ChartProblem> {
        let _alone = self.fetching.lock().await;
        if let Some(bytes) = self.kept(release).await? {
            return Ok(bytes);
        }
        let (images, identity) = self.who().await?;
        let source = self.source(&images, &identity);
        let wanted = Wanted::Exact(release.version.clone());
        let found = self.asking.fetcher.find(&source, &wanted, &release.version).await?;
        let fetched = self.asking.fetcher.fetch(&source, &found).await?;
        fetched.must_be(release)?;
        let bytes = fetched.bytes.clone();
        self.work(move |store| store.keep(&fetched)).await?;
        Ok(bytes)
    }

    async fn kept(&self, release: &ChartRelease) -> Result<Option<Vec<u8>>, ChartProblem> {
        let release = release.clone();
        self.work(move |store| store.read(&release)).await
    }

    async fn keep(&self, fetched: Fetched) -> Result<(), ChartProblem> {
        let written = self.spec.version.clone();
        self.work(move |store| store.keep(&fetched).and_then(|()| store.choose(&written, &fetched.release))).await
    }

    /// Works with the disk where it may block.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, ChartProblem> {
        let store = self.store.clone();
        let worked = tokio::task::spawn_blocking(move || {
            work(&store).map_err(|source| ChartProblem::Keep { path: store.folder().to_owned(), source })
        });
        worked.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
    }

    fn source<'a>(&'a self, images: &'a Images, identity: &'a Identity) -> Source<'a> {
        Source { repository: &self.repository, name: &self.spec.name, registries: &images.registries, identity }
    }

    /// Who we are to the repository. Passwords are read each time, so that a rotated one is taken up.
    async fn who(&self) -> Result<(Arc<Images>, Identity), ChartProblem> {
        let images = self.asking.images.borrow().clone();
        let identity = match self.repository.image(&self.spec.name) {
            Some(image) => Identity::Registry(images.login(&image).await?),
            None => Identity::Http(self.password()?),
        };
        Ok((images, identity))
    }

    fn password(&self) -> Result<Option<Password>, ChartProblem> {
        let ChartSpec { username, password_env, password_file, .. } = &self.spec;
        let place = Place::named(password_env.as_deref(), password_file.as_deref());
        let (Some(username), Some(place)) = (username, place) else { return Ok(None) };
        let failed = |source| ChartProblem::Password { repository: self.repository.to_string(), source };
        let password = secret::read(&place).map_err(failed)?;
        Ok(Some(Password { username: username.clone(), password }))
    }

    /// This version is wanted now. When the repository was last asked is no news by itself.
    fn found(&self, release: ChartRelease) {
        let now = ChartState { release: Some(release), failure: None, last_seen: Some(Timestamp::now()) };
        self.state.send_if_modified(|state| {
            let before = std::mem::replace(state, now);
            (before.release, before.failure) != (state.release.clone(), state.failure.clone())
        });
    }

    /// The words of one failure are told once, however often it is met.
    fn failed(&self, why: Failure) {
        if self.state.borrow().failure.as_ref() != Some(&why) {
            tracing::warn!(error = %why.message, hint = %why.hint, "cannot look for versions of the chart");
            self.state.send_modify(|state| state.failure = Some(why));
        }
    }

    fn is_exact(&self) -> bool {
        matches!(self.wanted, Wanted::Exact(_))
    }
}

/// The loop of one chart.
pub(super) async fn follow(source: Arc<ChartSource>) {
    let (mut images, mut failures) = (source.asking.images.clone(), 0);
    let written = source.spec.version.clone();
    let chosen = source.work(move |store| Ok(store.chosen(&written))).await.ok().flatten();
    if let Some(chosen) = chosen
        && matches!(source.kept(&chosen).await, Ok(Some(_)))
    {
        source.state.send_modify(|state| state.release = Some(chosen));
    }
    while !(source.is_exact() && source.state.borrow().release.is_some()) {
        let looked = {
            let _place = ASKING.acquire().await;
            tokio::select! {
                looked = source.look() => looked,
                () = source.stop.cancelled() => return,
            }
        };
        let interval = source.asking.config.borrow().agent.image_interval.0;
        let wait = match looked {
            Ok(release) => {
                failures = 0;
                source.found(release);
                interval
            }
            Err(problem) => {
                failures += 1;
                source.failed(Failure::of(&problem));
                match problem.is_refusal() {
                    true => REFUSED,
                    false => doubled(interval.min(BACKOFF_FIRST), failures - 1, BACKOFF_MAX.max(interval)),
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(jitter(wait)) => {}
            () = source.wake.woken() => {}
            // Another login may be accepted.
            Ok(()) = images.changed() => {}
            () = source.stop.cancelled() => return,
        }
    }
}
