//! A chart of a registry or chart repository: which version of it is wanted now, and its files.
//!
//! A version that is written as it is is fetched once. A range is looked up at an interval, and immediately by `qd refresh`;
//! while its repository is unreachable the version that was chosen last stays, also over a restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_container::charts::archive;
use quarterdeck_container::charts::fetch::{Fetched, Fetcher, Identity, Source, Version};
use quarterdeck_container::charts::http::Password;
use quarterdeck_container::charts::keyring;
use quarterdeck_container::registry::signature::{KeyError, PublicKey};
use quarterdeck_core::backoff::doubled;
use quarterdeck_core::charts;
use quarterdeck_core::charts::address::Repository;
use quarterdeck_core::charts::versions::Wanted;
use quarterdeck_shared::application::ChartSpec;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::revision::ChartRelease;
use quarterdeck_system::secret::{self, Place};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::signers::{self, SignerError};
use super::store::{self, Store, hex};
use super::{ChartFiles, ChartProblem};
use crate::config::Config;
use crate::images::Images;
use crate::renderers::programs::identity;
use crate::worker::{Wake, jitter};

/// Charts that are asked for at a time: registries count what comes from one address.
static ASKING: Semaphore = Semaphore::const_new(8);

/// A repository that is away is asked at least this often: what was broken overnight is back within minutes.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The first wait after a failure; an interval that is shorter counts instead.
const BACKOFF_FIRST: Duration = Duration::from_secs(10);

/// A repository that refused us is asked this seldom: some ban an address for that.
const REFUSED: Duration = Duration::from_secs(600);

/// Answers of gpg that are remembered of one chart: the versions that its environments are at.
const SIGNED_MAX: usize = 16;

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
    /// What was asked of gpg, and who signed.
    signed: std::sync::Mutex<Vec<(String, String)>>,
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
            signed: std::sync::Mutex::default(),
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
        unpacked(release, self.archive(release).await?).await
    }

    /// The archive of a version: as it is kept, else fetched again.
    ///
    /// # Errors
    /// As [`ChartSource::files`].
    pub async fn archive(&self, release: &ChartRelease) -> Result<Vec<u8>, ChartProblem> {
        match self.kept(release).await? {
            Some(bytes) if self.is_approved(release).await? => Ok(bytes),
            _ => self.fetch_again(release).await,
        }
    }

    /// Whether the repository answers and knows the chart; how many versions of it there are.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn check(&self) -> Result<usize, ChartProblem> {
        self.keys()?;
        if let Some(keyring) = &self.spec.verify_keyring {
            keyring::read(keyring).map_err(SignerError::from)?;
            signers::gpg()?;
        }
        let (images, identity) = self.who().await?;
        Ok(self.asking.fetcher.check(&self.source(&images, &identity)).await?)
    }

    /// The version that was chosen before, also where its archive is not kept any more: then it has to be the same when it is fetched
    /// again. Else the one that is wanted now.
    pub(super) async fn at_hand(&self) -> Result<ChartRelease, ChartProblem> {
        let written = self.spec.version.clone();
        let chosen = self.work(move |store| Ok(store.chosen(&written))).await?;
        match chosen {
            Some(chosen) => Ok(chosen),
            None => self.look().await,
        }
    }

    /// Which version is wanted now; it is kept when this returns.
    async fn look(&self) -> Result<ChartRelease, ChartProblem> {
        let (images, identity) = self.who().await?;
        let source = self.source(&images, &identity);
        let found = self.asking.fetcher.find(&source, &self.wanted, &self.spec.version).await?;
        let known = self.state.borrow().release.clone().filter(|known| known.version == found.version);
        if let Some(known) = known
            && self.kept(&known).await?.is_some()
            && self.is_approved(&known).await?
        {
            return Ok(known);
        }
        let _alone = self.fetching.lock().await;
        let fetched = self.fetch(&source, found).await?;
        let release = fetched.release.clone();
        self.keep(fetched).await?;
        Ok(release)
    }

    /// A version that was kept once, and must be the same now.
    async fn fetch_again(&self, release: &ChartRelease) -> Result<Vec<u8>, ChartProblem> {
        let _alone = self.fetching.lock().await;
        if let Some(bytes) = self.kept(release).await?
            && self.is_approved(release).await?
        {
            return Ok(bytes);
        }
        let (images, identity) = self.who().await?;
        let source = self.source(&images, &identity);
        let wanted = Wanted::Exact(release.version.clone());
        let found = self.asking.fetcher.find(&source, &wanted, &release.version).await?;
        let fetched = self.fetch(&source, found).await?;
        fetched.must_be(release)?;
        let bytes = fetched.bytes.clone();
        self.work(move |store| store.keep(&fetched)).await?;
        Ok(bytes)
    }

    /// Fetches an archive, which is signed as the configuration asks for; what says so is kept.
    async fn fetch(&self, source: &Source<'_>, found: Version) -> Result<Fetched, ChartProblem> {
        let (fetcher, keys) = (&self.asking.fetcher, self.keys()?);
        let found = match keys.is_empty() {
            true => found,
            false => {
                let names: Vec<PublicKey> = keys.iter().map(|(key, _)| key.clone()).collect();
                fetcher.signed(source, found, &names).await?
            }
        };
        let fetched = fetcher.fetch(source, &found).await?;
        let release = &fetched.release;
        if let Some(keyring) = &self.spec.verify_keyring {
            keyring::read(keyring).map_err(SignerError::from)?;
            let provenance = fetcher.provenance(source, &found).await?;
            let provenance = provenance.ok_or_else(|| SignerError::Unsigned { chart: release.short() })?;
            self.signer(release, provenance.clone(), keyring).await?;
            let of = release.clone();
            self.work(move |store| store.keep_beside(&of, store::PROVENANCE, &provenance)).await?;
        }
        if !keys.is_empty() {
            let (of, signers) = (release.clone(), keys.into_iter().map(|(_, id)| id).collect::<Vec<_>>().join("\n"));
            self.work(move |store| store.keep_beside(&of, store::SIGNERS, signers.as_bytes())).await?;
        }
        Ok(fetched)
    }

    /// Whether what is kept of a release says that it is signed as the configuration asks for. That needs no source.
    async fn is_approved(&self, release: &ChartRelease) -> Result<bool, ChartProblem> {
        let keys = self.keys()?;
        let read = |ending: &'static str| {
            let of = release.clone();
            self.work(move |store| Ok(store.beside(&of, ending)))
        };
        if !keys.is_empty() {
            // It was signed by one of those that were asked about then. While these are the same no other one needs to be asked.
            let Some(signers) = read(store::SIGNERS).await? else { return Ok(false) };
            let signers = String::from_utf8_lossy(&signers).into_owned();
            if !signers.lines().all(|id| keys.iter().any(|(_, key)| key == id)) {
                return Ok(false);
            }
        }
        let Some(keyring) = &self.spec.verify_keyring else { return Ok(true) };
        let Some(provenance) = read(store::PROVENANCE).await? else { return Ok(false) };
        match self.signer(release, provenance, keyring).await {
            Ok(_) => Ok(true),
            // What was signed since may be signed by another.
            Err(ChartProblem::Signer(SignerError::Stranger { .. } | SignerError::Invalid { .. })) => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// Who signed a release. The answer is remembered: each render asks.
    async fn signer(
        &self,
        release: &ChartRelease,
        provenance: Vec<u8>,
        keyring: &Path,
    ) -> Result<String, ChartProblem> {
        let asked = format!("{} {:?} {}", release.digest, identity(keyring), hex(&Sha256::digest(&provenance)));
        let known = |asked: &str| {
            let signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
            signed.iter().find(|(known, _)| known == asked).map(|(_, signer)| signer.clone())
        };
        if let Some(signer) = known(&asked) {
            return Ok(signer);
        }
        let (release, keyring, folder) = (release.clone(), keyring.to_owned(), self.store.folder().to_owned());
        let asking = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder).map_err(SignerError::Home)?;
            signers::signer(&provenance, &release, &keyring, &folder)
        });
        let signer = asking.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))?;
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        signed.truncate(SIGNED_MAX - 1);
        signed.insert(0, (asked, signer.clone()));
        Ok(signer)
    }

    /// The keys that may sign in a registry, each with what tells its file from others. Read each time, so that a new one is taken up.
    fn keys(&self) -> Result<Vec<(PublicKey, String)>, ChartProblem> {
        let key = |file: &PathBuf| {
            let key = PublicKey::read(file)?;
            Ok((key, identity(file).unwrap_or_default()))
        };
        self.spec.verify.iter().map(key).collect::<Result<_, KeyError>>().map_err(ChartProblem::Key)
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

/// The files in an archive.
pub(super) async fn unpacked(release: &ChartRelease, archive: Vec<u8>) -> Result<ChartFiles, ChartProblem> {
    let read = tokio::task::spawn_blocking(move || archive::read(&archive)).await;
    let packaged = read.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))?;
    Ok(ChartFiles { folder: charts::folder(&release.name, &release.version), files: packaged.files })
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
