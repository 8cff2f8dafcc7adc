//! Artifacts of registries as repositories of manifests: the files of one become a commit in a bare repository of the agent's own, so
//! that what reads commits reads them too, and works while the registry is unreachable.
//!
//! ```text
//! registry ─ tag, range or digest ─► digest ─ known? ─► its commit ────────────────────────────┐
//!                                      └─ signed? ─► layer ─► files (bounded) ─► a commit ─► kept ┴─► refs, as of a poll
//! ```
//! The loop of [`crate::poll`] asks; the same artifact is the same commit everywhere. What was kept once is not fetched again.
//!
//! Invariant: what is refused (unsigned, too large, damaged, something else) changes nothing: what was wanted before stays so.

mod error;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quarterdeck_container::manifests::{self, LAYER_BYTES_MAX};
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::oci::{Listing, Validator};
use quarterdeck_container::registry::signature::{PublicKey, is_signed, verify};
use quarterdeck_core::follow::revision::{Choice, WantedTag};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::oci_artifact::{Description, Index, Kept};
use quarterdeck_core::signature::{Claim, Unfit, Wanted, judge};
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{CommitId, GitError, RefSnapshot, Target};
use quarterdeck_shared::application::{ArtifactFollow, ArtifactSpec};
use quarterdeck_shared::error::chain;
use tokio::sync::{Semaphore, watch};

pub use self::error::ArtifactError;
use crate::images::Images;

/// The branch of the repository that leads to the artifact that is wanted.
const BRANCH: &str = "artifact";

/// Tags that are read of one repository; those of manifests have some hundred.
const TAGS_MAX: usize = 20_000;

/// Artifacts that are asked for at a time: registries count what comes from one address.
static ASKING: Semaphore = Semaphore::const_new(8);

/// An artifact of a registry that environments are deployed from.
pub struct ArtifactSource {
    spec: ArtifactSpec,
    image: ImageRef,
    images: watch::Receiver<Arc<Images>>,
    index: Mutex<Index>,
    /// What the registry knows its list of tags again by, and which of it is wanted.
    listed: Mutex<Option<(Validator, String)>>,
    /// One is fetched at a time, so that none is fetched twice.
    fetching: tokio::sync::Mutex<()>,
}

/// What a look came to.
pub struct Looked {
    /// The artifact that is wanted, as refs.
    pub refs: RefSnapshot,
    /// Whether its repository had to be made anew.
    pub renewed: bool,
}

impl ArtifactSource {
    /// Nothing is asked yet; what was kept in an earlier life is known.
    ///
    /// # Errors
    /// Where it is configured otherwise than the configuration is checked for.
    pub fn new(
        spec: &ArtifactSpec,
        mirror: &Mirror,
        images: watch::Receiver<Arc<Images>>,
    ) -> Result<Self, ArtifactError> {
        let index = store::read(mirror.dir()).filter(|index| {
            let is_there = |kept: &Kept| mirror.resolve(&Target::Commit(kept.commit.clone()), None).is_ok();
            !mirror.is_anew() && index.all().all(is_there)
        });
        Ok(Self {
            image: ImageRef::parse(&spec.image)?,
            spec: spec.clone(),
            images,
            index: Mutex::new(index.unwrap_or_default()),
            listed: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// The repository in its registry.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// Changes where a login, an authority or another way to a registry has changed.
    pub fn images(&self) -> watch::Receiver<Arc<Images>> {
        self.images.clone()
    }

    /// What was wanted when the registry last answered, also in an earlier life; nothing before the first time.
    pub fn known(&self) -> Option<RefSnapshot> {
        self.index().current.as_ref().map(|kept| refs(&kept.commit))
    }

    /// What people call the artifact that a commit was made of, and its digest.
    pub fn release(&self, commit: &CommitId) -> Option<(String, String)> {
        let index = self.index();
        let kept = index.of_commit(commit.as_str())?;
        let name = self.image.repository().rsplit('/').next().unwrap_or_default();
        Some((kept.tag.clone().unwrap_or_else(|| name.to_owned()), kept.digest.clone()))
    }

    /// The commit of an artifact that a person names by a tag or the first digits of a digest.
    pub fn named(&self, text: &str) -> Option<CommitId> {
        self.index().named(text).map(|kept| kept.commit.clone())
    }

    /// The artifacts that are kept, as commits, the newest first.
    pub fn commits(&self) -> Vec<CommitId> {
        self.index().all().map(|kept| kept.commit.clone()).collect()
    }

    /// Asks the registry what is wanted now; it is kept when this returns.
    ///
    /// # Errors
    /// Where the registry does not answer, or what it has may not be deployed.
    pub async fn look(&self, mirror: &Arc<Mirror>) -> Result<Looked, ArtifactError> {
        let _place = ASKING.acquire().await;
        let _alone = self.fetching.lock().await;
        let renewed = work(mirror, |mirror| {
            mirror.heal()?;
            Ok(mirror.is_anew())
        })
        .await?;
        if renewed {
            *self.index() = Index::default();
        }
        let (images, login) = self.who().await?;
        let (tag, digest) = self.wanted(&images, login.as_ref()).await?;
        let index = self.index().clone();
        let kept = match index.of_digest(&digest).cloned() {
            Some(known) => Kept { tag, ..known },
            None => {
                let commit = self.bring(mirror, &images, login.as_ref(), &digest).await?;
                Kept { tag, digest, commit }
            }
        };
        let refs = refs(&kept.commit);
        if index.current.as_ref() != Some(&kept) {
            self.keep(mirror, index.wants(kept)).await?;
        }
        Ok(Looked { refs, renewed })
    }

    /// The commit of an artifact that was deployed once and is not kept any more.
    ///
    /// # Errors
    /// Where the registry does not give it, or it may not be deployed.
    pub async fn fetch_again(&self, mirror: &Arc<Mirror>, digest: &str) -> Result<CommitId, ArtifactError> {
        let _place = ASKING.acquire().await;
        let _alone = self.fetching.lock().await;
        if let Some(kept) = self.index().of_digest(digest) {
            return Ok(kept.commit.clone());
        }
        let (images, login) = self.who().await?;
        let commit = self.bring(mirror, &images, login.as_ref(), digest).await?;
        let index = self.index().clone().keeps(Kept { tag: None, digest: digest.to_owned(), commit: commit.clone() });
        self.keep(mirror, index).await?;
        Ok(commit)
    }

    /// Whether the registry answers and has what is wanted: what it is, for people. Keys are read as well.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn check(&self) -> Result<String, ArtifactError> {
        self.keys()?;
        let (images, login) = self.who().await?;
        let (tag, digest) = self.wanted(&images, login.as_ref()).await?;
        let image = self.image.with_digest(&digest)?;
        if images.registries.find_digest(&image, login.as_ref()).await?.is_none() {
            return Err(ArtifactError::Missing { artifact: image.to_string() });
        }
        let tag = tag.map(|tag| format!("{tag} is ")).unwrap_or_default();
        Ok(format!("{tag}{}", digest.get(..14).unwrap_or(&digest)))
    }

    /// The tag and the digest that are wanted now.
    async fn wanted(&self, images: &Images, login: Option<&Login>) -> Result<(Option<String>, String), ArtifactError> {
        let tag = match &self.spec.follow {
            ArtifactFollow::Digest(digest) => return Ok((None, digest.clone())),
            ArtifactFollow::Tag(tag) => tag.clone(),
            ArtifactFollow::Semver(range) => self.newest(images, login, range).await?,
        };
        let tagged = self.image.with_tag(&tag)?;
        match images.registries.find_digest(&tagged, login).await? {
            Some(digest) => Ok((Some(tag), digest)),
            None => Err(ArtifactError::Missing { artifact: tagged.to_string() }),
        }
    }

    /// The newest version in a range; the same as before where the registry says that its tags are.
    async fn newest(&self, images: &Images, login: Option<&Login>, range: &str) -> Result<String, ArtifactError> {
        let before = self.listed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let listing =
            images.registries.tags_since(&self.image, login, TAGS_MAX, before.as_ref().map(|(known, _)| known));
        let (tags, validator) = match (listing.await?, before) {
            (Listing::Unchanged, Some((validator, tag))) => {
                *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some((validator, tag.clone()));
                return Ok(tag);
            }
            // Never without a validator.
            (Listing::Unchanged, None) => (Vec::new(), None),
            (Listing::Tags { tags, validator }, _) => (tags.tags, validator),
        };
        let deployed = self.index().current.as_ref().and_then(|kept| kept.tag.clone());
        let tags = tags.iter().map(String::as_str);
        let tag = match WantedTag::in_range(range)?.choose(tags, deployed.as_deref()) {
            Choice::Tag(tag) => tag.to_owned(),
            Choice::Gone { left } => {
                return Err(ArtifactError::Gone {
                    tag: deployed.clone().unwrap_or_default(),
                    repository: self.image.name(),
                    left: left.map(str::to_owned),
                });
            }
            Choice::None => {
                return Err(ArtifactError::NoVersion { repository: self.image.name(), range: range.to_owned() });
            }
        };
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = validator.map(|known| (known, tag.clone()));
        Ok(tag)
    }

    /// Makes an artifact a commit; nothing leads to it yet.
    async fn bring(
        &self,
        mirror: &Arc<Mirror>,
        images: &Images,
        login: Option<&Login>,
        digest: &str,
    ) -> Result<CommitId, ArtifactError> {
        let image = self.image.with_digest(digest)?;
        let artifact = || format!("{}@{digest}", self.image.name());
        let keys = self.keys()?;
        if !keys.is_empty() {
            let are_enough = |claims: &[Result<Claim, Unfit>]| is_signed(claims, &keys);
            let claims = images.registries.find_claims(&image, Wanted::Signature, login, are_enough).await?;
            if let Err(found) = judge(&verify(claims, &keys)) {
                let keys = keys.iter().map(PublicKey::name).collect::<Vec<_>>().join(" or ");
                return Err(ArtifactError::Unsigned { artifact: artifact(), keys, found });
            }
        }
        let media_type = self.spec.media_type.as_deref();
        let packaged = images.registries.packaged(&image, media_type, LAYER_BYTES_MAX, login).await?;
        let packaged = packaged.ok_or_else(|| ArtifactError::Missing { artifact: artifact() })?;
        let Description { author, message, time } = Description::new(digest, &packaged.annotations);
        let read = tokio::task::spawn_blocking(move || manifests::read(&packaged.layer.bytes)).await;
        let files = read.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
        let files = files.map_err(|source| ArtifactError::Layer { artifact: artifact(), source })?;
        work(mirror, move |mirror| mirror.commit_files(&files, &author, &message, time)).await
    }

    /// Holds the commits of an index, and then remembers it: one that names what is not held would be of no use.
    async fn keep(&self, mirror: &Arc<Mirror>, index: Index) -> Result<(), ArtifactError> {
        let held = index.clone();
        let written = work(mirror, move |mirror| {
            mirror.hold(held.current.as_ref().map(|kept| (BRANCH, &kept.commit)), &held.commits())?;
            // What was made counts, also where there is no git program to pack it up with.
            if let Err(error) = mirror.maintain() {
                tracing::warn!(error = %chain(&error), "the repository of an artifact is not packed up");
            }
            Ok(store::write(mirror.dir(), &held))
        });
        written.await?.map_err(|source| ArtifactError::Keep { path: store::path(mirror.dir()), source })?;
        *self.index() = index;
        Ok(())
    }

    /// The files are read each time, so that a new key is taken up.
    fn keys(&self) -> Result<Vec<PublicKey>, ArtifactError> {
        self.spec.verify.iter().map(|file| PublicKey::read(file).map_err(ArtifactError::Key)).collect()
    }

    async fn who(&self) -> Result<(Arc<Images>, Option<Login>), ArtifactError> {
        let images = self.images.borrow().clone();
        let login = images.login(&self.image).await?;
        Ok((images, login))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refs(commit: &CommitId) -> RefSnapshot {
    RefSnapshot {
        branches: [(BRANCH.to_owned(), commit.clone())].into(),
        default_branch: Some(BRANCH.to_owned()),
        ..RefSnapshot::default()
    }
}

/// Works with the repository where it may block.
async fn work<T: Send + 'static>(
    mirror: &Arc<Mirror>,
    work: impl FnOnce(&Mirror) -> Result<T, GitError> + Send + 'static,
) -> Result<T, ArtifactError> {
    let mirror = mirror.clone();
    let worked = tokio::task::spawn_blocking(move || work(&mirror)).await;
    Ok(worked.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))?)
}
