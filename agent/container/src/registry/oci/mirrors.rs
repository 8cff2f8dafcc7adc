//! Mirrors of registries: asked first for what is read, and never written to. A mirror that fails, or does not have it, costs no answer:
//! the registry itself is asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::registry_mirror::Mirror;
use quarterdeck_shared::error::chain;
use quarterdeck_system::secret::{self, Place};

use super::RegistryError;
use crate::registry::credentials::{Login, Sources};

/// For so long a mirror that was unreachable is not asked: each question to a host that is down waits for it.
const PAUSE: Duration = Duration::from_secs(60);

/// The mirrors of each registry, in the order in which they are asked.
#[derive(Debug, Default)]
pub struct Mirrors {
    by_registry: BTreeMap<String, Vec<Mirror>>,
    /// By host, the user and where the password is: those of the configuration.
    logins: BTreeMap<String, (String, Place)>,
    /// By mirror; each is one that is configured.
    troubles: Mutex<BTreeMap<String, Trouble>>,
}

/// What became of the last question to a mirror, where it was not answered.
#[derive(Debug)]
struct Trouble {
    message: String,
    /// Until then it is not asked; none where it answers, and refuses.
    until: Option<Instant>,
}

/// A mirror that is asked for an image now.
#[derive(Debug)]
pub(super) struct There<'m> {
    mirror: &'m Mirror,
    /// The image there.
    pub(super) image: ImageRef,
    /// Who we are there.
    pub(super) login: Option<Login>,
}

impl Mirrors {
    /// The mirrors by registry, and the logins of the configuration by host.
    pub fn new(by_registry: BTreeMap<String, Vec<Mirror>>, logins: BTreeMap<String, (String, Place)>) -> Self {
        Self { by_registry, logins, troubles: Mutex::default() }
    }

    /// Each with the registry that it mirrors.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Mirror)> {
        self.by_registry.iter().flat_map(|(registry, mirrors)| mirrors.iter().map(move |one| (&**registry, one)))
    }

    /// Why the last question to a mirror was not answered.
    pub fn trouble(&self, mirror: &Mirror) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.get(&mirror.to_string()).map(|trouble| trouble.message.clone())
    }

    /// Whether this image is not read from its registry alone.
    pub(super) fn are_of(&self, image: &ImageRef) -> bool {
        self.by_registry.contains_key(image.registry())
    }

    /// The mirrors that may answer for this image and are not paused, with the logins for them.
    pub(super) async fn of(&self, image: &ImageRef) -> Vec<There<'_>> {
        let mirrors = self.by_registry.get(image.registry()).into_iter().flatten();
        let mut found = Vec::new();
        for mirror in mirrors.filter(|mirror| mirror.may_answer(image) && !self.is_paused(mirror)) {
            let Some(there) = mirror.of(image) else { continue };
            match self.login(&there).await {
                Ok(login) => found.push(There { mirror, image: there, login }),
                Err(message) => self.note(mirror, Some(Trouble { message, until: None })),
            }
        }
        found
    }

    /// What a mirror answered; none where it did not, which is noted.
    pub(super) fn heard<T>(&self, there: &There<'_>, answer: Result<T, RegistryError>) -> Option<T> {
        let (answer, trouble) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(error) => {
                let until = error.is_transient().then(|| Instant::now() + error.retry_after().unwrap_or(PAUSE));
                (None, Some(Trouble { message: chain(&error), until }))
            }
        };
        self.note(there.mirror, trouble);
        answer
    }

    fn is_paused(&self, mirror: &Mirror) -> bool {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let until = troubles.get(&mirror.to_string()).and_then(|trouble| trouble.until);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// A line of the log where it changed.
    fn note(&self, mirror: &Mirror, trouble: Option<Trouble>) {
        let name = mirror.to_string();
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let before = troubles.remove(&name).map(|trouble| trouble.message);
        let Some(trouble) = trouble else {
            if before.is_some() {
                tracing::info!(mirror = name, "the mirror of a registry answers again");
            }
            return;
        };
        if before.as_ref() != Some(&trouble.message) {
            let why = &trouble.message;
            tracing::warn!(mirror = name, error = %why, "the mirror of a registry failed; the registry itself is asked");
        }
        troubles.insert(name, trouble);
    }

    async fn login(&self, there: &ImageRef) -> Result<Option<Login>, String> {
        let mut configured = BTreeMap::new();
        if let Some((username, place)) = self.logins.get(there.registry()) {
            let password = secret::read(place);
            let password = password.map_err(|error| format!("the mirror has no password: {}", chain(&error)))?;
            let login = Login::Password { username: username.clone(), password };
            configured.insert(there.registry().to_owned(), login);
        }
        let search = Sources::of_this_user(configured).find(there).await.map_err(|error| chain(&error))?;
        Ok(search.found.map(|found| found.login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> RegistryError {
        RegistryError::Away { registry: "m.example".to_owned(), message: "connection refused".to_owned() }
    }

    #[tokio::test]
    async fn a_mirror_that_is_unreachable_is_left_alone_and_one_that_refuses_is_asked_again() {
        let mirror = |tags| Mirror::parse("m.example/hub", tags).unwrap();
        let by_registry = BTreeMap::from([("r.example".to_owned(), vec![mirror(false)])]);
        let mirrors = Mirrors::new(by_registry, BTreeMap::new());
        let image = ImageRef::parse("r.example/a:1").unwrap();
        assert!(mirrors.of(&image).await.is_empty(), "it may not answer for tags");
        let image = image.with_digest(&format!("sha256:{}", "a".repeat(64))).unwrap();
        let there = mirrors.of(&image).await.remove(0);
        assert_eq!(there.image.name(), "m.example/hub/a");
        let refused = RegistryError::NoPermission { image: "m.example/hub/a".to_owned(), user: None };
        assert_eq!(mirrors.heard::<()>(&there, Err(refused)), None);
        assert!(mirrors.trouble(&mirror(false)).unwrap().contains("requires a login"));
        assert_eq!(mirrors.of(&image).await.len(), 1);
        assert_eq!(mirrors.heard(&there, Ok(7)), Some(7));
        assert_eq!(mirrors.trouble(&mirror(false)), None);
        assert_eq!(mirrors.heard::<()>(&there, Err(away())), None);
        assert!(mirrors.of(&image).await.is_empty(), "it is paused");
        assert!(mirrors.of(&ImageRef::parse("other.example/a").unwrap()).await.is_empty());
    }

    #[tokio::test]
    async fn a_mirror_whose_password_is_missing_is_told_and_not_asked() {
        let mirror = Mirror::parse("m.example", true).unwrap();
        let by_registry = BTreeMap::from([("r.example".to_owned(), vec![mirror.clone()])]);
        let logins = BTreeMap::from([("m.example".to_owned(), ("robot".to_owned(), Place::file("/nowhere/password")))]);
        let mirrors = Mirrors::new(by_registry, logins);
        assert!(mirrors.of(&ImageRef::parse("r.example/a:1").unwrap()).await.is_empty());
        let trouble = mirrors.trouble(&mirror).unwrap();
        assert!(trouble.starts_with("the mirror has no password: the file /nowhere/password"), "{trouble}");
    }
}
