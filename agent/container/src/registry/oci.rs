//! What a registry says it has, through its distribution API.
//!
//! Digests, tags, what may be a signature, and whether a login is good. An engine pushes what it built; what was built
//! elsewhere and is kept here is uploaded.

mod artifact;
mod call;
mod challenge;
mod created;
mod delete;
mod download;
mod error;
mod listing;
mod mirrors;
mod packaged;
mod referrers;
mod signatures;
mod upload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};

use super::authorities::{Authorities, Way};
use super::credentials::Login;
use super::harbor::{Harbor, HarborError};
pub use artifact::{Artifact, Layer};
use call::{Call, TIME_LIMIT, is_missing, is_refused};
pub use created::Creations;
pub use delete::TagRemoval;
pub use download::{DownloadError, MANIFEST_BYTES_MAX};
pub use error::RegistryError;
pub use listing::{Listing, Validator};
pub use mirrors::Mirrors;
pub use packaged::Packaged;
use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef, check_digest};
use quarterdeck_core::output::Mask;
use quarterdeck_shared::error::chain;
use quarterdeck_system::certificate::distrust;
pub use upload::{Upload, UploadError, UploadedBlob, UploadedManifest};

/// Connecting is the part that hangs when a host is down.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("quarterdeck/", env!("CARGO_PKG_VERSION"));

/// Where Docker Hub, known as `docker.io`, has its API.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// A question for the tags of a repository that costs a registry little.
const TAGS: &str = "tags/list?n=1";

/// Clients are kept for their tokens and connections; more registries and logins than these have to connect anew.
const CLIENTS_MAX: usize = 32;

/// Speaks to registries.
pub struct Registries {
    /// Hosts that speak plain http and are not on loopback.
    insecure: Vec<String>,
    /// By host, the file of the authorities that are trusted beside those of the machine.
    authorities: BTreeMap<String, PathBuf>,
    /// By registry and login, so that a changed password is a new client.
    clients: Mutex<BTreeMap<ClientKey, Kept<Client>>>,
    /// For what needs no login; or why no client can be made, as where the system knows no authorities.
    bare: Result<reqwest::Client, String>,
    /// The same for registries with authorities of their own.
    trusting: Mutex<BTreeMap<String, Kept<reqwest::Client>>>,
    mirrors: Mirrors,
}

/// A registry, and the fingerprint of a login.
type ClientKey = (String, [u8; 32]);

/// A client, and the authorities of the file with which it was made.
type Kept<T> = (Option<[u8; 32]>, T);

/// Tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// As the registry sorts them.
    pub tags: Vec<String>,
    /// The registry has more than were asked for.
    pub more: bool,
}

impl Registries {
    /// Registries on loopback are spoken to in plain http, as the engines do; so are these hosts. All others get TLS.
    pub fn new(insecure: impl IntoIterator<Item = String>) -> Self {
        Self {
            insecure: insecure.into_iter().collect(),
            authorities: BTreeMap::new(),
            clients: Mutex::default(),
            bare: bare(None),
            trusting: Mutex::default(),
            mirrors: Mirrors::default(),
        }
    }

    /// The same, which trusts for these hosts the authorities in these files beside those of the machine.
    #[must_use]
    pub fn trusting(self, authorities: BTreeMap<String, PathBuf>) -> Self {
        Self { authorities, ..self }
    }

    /// The same, which reads from these mirrors first.
    #[must_use]
    pub fn with_mirrors(self, mirrors: Mirrors) -> Self {
        Self { mirrors, ..self }
    }

    /// Where registries are mirrored, and how the mirrors answered.
    pub fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    /// The digest of an image by its tag (or digest), of a mirror or the registry; none if neither has such an image.
    pub async fn find_digest(&self, image: &ImageRef, login: Option<&Login>) -> Result<Option<String>, RegistryError> {
        for there in self.mirrors.of(image).await {
            let answer = self.digest(&there.image, there.login.as_ref()).await;
            if let Some(Some(digest)) = self.mirrors.heard(&there, answer) {
                return Ok(Some(digest));
            }
        }
        self.digest(image, login).await
    }

    /// The digest of an image by its tag (or digest), as the registry itself says; none if it has no such image.
    pub async fn digest(&self, image: &ImageRef, login: Option<&Login>) -> Result<Option<String>, RegistryError> {
        let mut tokens = self.tokens(image.registry(), login);
        loop {
            match self.ask_digest(image, login).await {
                Err(error) if tokens.were_old(&error) => {}
                answer => return answer,
            }
        }
    }

    async fn ask_digest(&self, image: &ImageRef, login: Option<&Login>) -> Result<Option<String>, RegistryError> {
        let mut call = self.call(image, login)?.log_in().await?;
        let mut digest = call.within(call.client.fetch_manifest_digest(&call.reference, &call.auth)).await;
        let path = format!("manifests/{}", call.reference.digest().or(call.reference.tag()).unwrap_or("latest"));
        if digest.as_ref().is_err_and(is_refused) && self.is_answered(&mut call, &path).await? {
            digest = call.within(call.client.fetch_manifest_digest(&call.reference, &call.auth)).await;
        }
        match digest {
            Ok(digest) if check_digest(&digest).is_ok() => Ok(Some(digest)),
            Ok(digest) => Err(call.answer(&format!("it answered with {digest:?}, which is not a digest"))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(call.refused(error, Method::HEAD, &path).await),
        }
    }

    /// The image by its digest, where mirrors of its registry may answer for no tag; none if there is no such image.
    async fn pinned(&self, image: &ImageRef, login: Option<&Login>) -> Result<Option<ImageRef>, RegistryError> {
        if image.digest().is_some() || !self.mirrors.are_of(image) {
            return Ok(Some(image.clone()));
        }
        // An answer that is no digest is none.
        Ok(self.find_digest(image, login).await?.and_then(|digest| image.with_digest(&digest).ok()))
    }

    /// Up to `limit` tags of a repository; none if there is no such repository.
    pub async fn tags(&self, image: &ImageRef, login: Option<&Login>, limit: usize) -> Result<Tags, RegistryError> {
        match self.tags_since(image, login, limit, None).await? {
            Listing::Tags { tags, .. } => Ok(tags),
            // Never without a validator.
            Listing::Unchanged => Ok(Tags { tags: Vec::new(), more: false }),
        }
    }

    /// Whether a refusal at this path was a challenge, and has an answer now.
    async fn is_answered(&self, call: &mut Call, path: &str) -> Result<bool, RegistryError> {
        let bare = call.bare.clone();
        call.answer_challenge(&bare, path).await
    }

    /// Asks for a manifest in one of these forms, and once more where a refusal was a challenge that can be answered.
    async fn ask_manifest(
        &self,
        call: &mut Call,
        reference: &Reference,
        accepted: &[&str],
    ) -> Result<Result<(bytes::Bytes, String), OciDistributionError>, RegistryError> {
        let answer = call.within(call.client.pull_manifest_raw(reference, &call.auth, accepted)).await;
        let path = format!("manifests/{}", reference.digest().or(reference.tag()).unwrap_or("latest"));
        if answer.as_ref().is_err_and(is_refused) && self.is_answered(call, &path).await? {
            return Ok(call.within(call.client.pull_manifest_raw(reference, &call.auth, accepted)).await);
        }
        Ok(answer)
    }

    /// Makes sure of a push: the digest that the registry answers for the tag, which has to be the one that the engine pushed.
    /// It is this one that is recorded. With an identity token only the engine can ask, and its word is taken.
    pub async fn confirm(
        &self,
        image: &ImageRef,
        pushed: &str,
        login: Option<&Login>,
    ) -> Result<String, RegistryError> {
        if matches!(login, Some(Login::IdentityToken(_))) {
            return Ok(pushed.to_owned());
        }
        match self.digest(image, login).await? {
            Some(digest) if digest == pushed => Ok(digest),
            found => Err(RegistryError::OtherDigest {
                image: image.to_string(),
                pushed: pushed.to_owned(),
                found: found.unwrap_or_else(|| "no such image".to_owned()),
            }),
        }
    }

    /// Whether this login may pull from the image's repository: what `doctor` asks. Whether it may push is only known by pushing.
    pub async fn check_login(&self, image: &ImageRef, login: Option<&Login>) -> Result<(), RegistryError> {
        self.listing(image, login, 1, None).await.map(|_| ())
    }

    /// Whether there is a registry at all, whoever asks: any answer to `/v2/` will do, a refusal too. A server that stands
    /// before it and says 5xx speaks of its absence.
    pub async fn answers(&self, registry: &str) -> Result<(), RegistryError> {
        self.version(registry).await.map(drop)
    }

    /// What is answered to `/v2/`.
    async fn version(&self, registry: &str) -> Result<reqwest::StatusCode, RegistryError> {
        let away = |message: String| RegistryError::Away { registry: registry.to_owned(), message };
        let scheme = if self.is_plain(registry) { "http" } else { "https" };
        let host = if registry == DOCKER_HUB { DOCKER_HUB_API } else { registry };
        let bare = self.bare(registry, self.trust(registry)?.as_ref())?;
        let asked = bare.get(format!("{scheme}://{host}/v2/")).send().await;
        match asked {
            Ok(answer) if answer.status().is_server_error() => Err(away(answer.status().to_string())),
            Ok(answer) => Ok(answer.status()),
            Err(error) => Err(match distrust(&error) {
                Some(why) => RegistryError::Certificate { registry: registry.to_owned(), why },
                None => away(chain(&error.without_url())),
            }),
        }
    }

    /// Whether what answers at `/v2/` is a registry: one says 200, or 401 to who has no login.
    ///
    /// # Errors
    /// Where nothing answers.
    pub async fn speaks(&self, registry: &str) -> Result<bool, RegistryError> {
        let status = self.version(registry).await?;
        Ok(status.is_success() || status == reqwest::StatusCode::UNAUTHORIZED)
    }

    /// The authorities that are trusted for a registry beside those of the machine, as its file has them now.
    fn trust(&self, registry: &str) -> Result<Option<Authorities>, RegistryError> {
        let Some(path) = self.authorities.get(registry) else { return Ok(None) };
        let told = |source| RegistryError::Authorities { registry: registry.to_owned(), source };
        Authorities::read(path).map(Some).map_err(told)
    }

    fn bare(&self, registry: &str, trust: Option<&Authorities>) -> Result<reqwest::Client, RegistryError> {
        let told = |message: String| RegistryError::NoClient { registry: registry.to_owned(), message };
        let Some(authorities) = trust else { return self.bare.clone().map_err(told) };
        let mut clients = self.trusting.lock().unwrap_or_else(PoisonError::into_inner);
        let of = Some(authorities.fingerprint());
        if let Some((_, client)) = clients.get(registry).filter(|(known, _)| *known == of) {
            return Ok(client.clone());
        }
        let client = bare(trust).map_err(told)?;
        clients.insert(registry.to_owned(), (of, client.clone()));
        Ok(client)
    }

    /// The Harbor that is this registry, asked with its login.
    ///
    /// # Errors
    /// Where no client can be made, or the name makes no address.
    pub fn harbor<'r>(&'r self, registry: &str, login: Option<&'r Login>) -> Result<Harbor<'r>, HarborError> {
        let away = |error: RegistryError| HarborError::Away { registry: registry.to_owned(), message: chain(&error) };
        let client = self.trust(registry).and_then(|trust| self.bare(registry, trust.as_ref())).map_err(away)?;
        Harbor::new(client, if self.is_plain(registry) { "http" } else { "https" }, registry, login)
    }

    /// How a program on this machine reaches a registry.
    ///
    /// # Errors
    /// Where the file of its authorities cannot be used.
    pub fn way(&self, registry: &str) -> Result<Way, RegistryError> {
        Ok(Way { is_plain: self.is_plain(registry), authorities: self.trust(registry)? })
    }

    /// Whether plain http is spoken to a registry.
    pub fn is_plain(&self, registry: &str) -> bool {
        is_loopback(registry) || self.insecure.iter().any(|host| host == registry)
    }

    fn call(&self, image: &ImageRef, login: Option<&Login>) -> Result<Call, RegistryError> {
        let registry = image.registry().to_owned();
        // Where this one cannot be made the library's cannot either, and it panics.
        let trust = self.trust(&registry)?;
        let bare = self.bare(&registry, trust.as_ref())?;
        let auth = match login {
            None => RegistryAuth::Anonymous,
            Some(Login::Password { username, password }) => {
                RegistryAuth::Basic(username.clone(), password.expose_secret().to_owned())
            }
            Some(Login::RegistryToken(token)) => RegistryAuth::Bearer(token.expose_secret().to_owned()),
            Some(Login::IdentityToken(_)) => return Err(RegistryError::IdentityToken { registry }),
        };
        let reference = match (image.tag(), image.digest()) {
            (_, Some(digest)) => {
                Reference::with_digest(registry.clone(), image.repository().to_owned(), digest.to_owned())
            }
            (tag, None) => {
                let tag = tag.unwrap_or("latest").to_owned();
                Reference::with_tag(registry.clone(), image.repository().to_owned(), tag)
            }
        };
        let user = login.map(|login| match login {
            Login::Password { username, .. } => username.clone(),
            _ => "a token".to_owned(),
        });
        let mask = Mask::new(login.map(Login::secret));
        Ok(Call {
            client: self.client(&registry, login, trust.as_ref()),
            bare,
            scheme: if self.is_plain(&registry) { "http" } else { "https" },
            reference,
            auth,
            token: None,
            registry,
            image: image.name(),
            user,
            mask,
            has_token: false,
        })
    }

    /// The tokens by which a question is asked.
    fn tokens(&self, registry: &str, login: Option<&Login>) -> Tokens<'_> {
        let key = client_key(registry, login);
        let are_kept = self.clients.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key);
        Tokens { clients: &self.clients, key, are_kept }
    }

    fn client(&self, registry: &str, login: Option<&Login>, trust: Option<&Authorities>) -> Client {
        let of = trust.map(Authorities::fingerprint);
        let key = client_key(registry, login);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.get(&key).filter(|(known, _)| *known == of) {
            return client.clone();
        }
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        let protocol = if self.is_plain(registry) { ClientProtocol::Http } else { ClientProtocol::Https };
        let client = Client::new(ClientConfig {
            protocol,
            connect_timeout: Some(CONNECT_LIMIT),
            read_timeout: Some(TIME_LIMIT),
            user_agent: USER_AGENT,
            extra_root_certificates: trust.map(Authorities::pem).into_iter().collect(),
            ..ClientConfig::default()
        });
        clients.insert(key, (of, client.clone()));
        client
    }
}

/// The tokens of a login at a registry: those of earlier questions, which are kept with its client.
struct Tokens<'r> {
    clients: &'r Mutex<BTreeMap<ClientKey, Kept<Client>>>,
    key: ClientKey,
    are_kept: bool,
}

impl Tokens<'_> {
    /// Whether it may be for an old token that the question was refused, and is worth asking once more with a new one: a token
    /// server that was started with another key, or whose clock was set, refuses what it gave before. The old ones are let go.
    fn were_old(&mut self, error: &RegistryError) -> bool {
        let is_refusal = matches!(error, RegistryError::NoPermission { .. } | RegistryError::WrongLogin { .. });
        let may_be = is_refusal && std::mem::take(&mut self.are_kept);
        may_be && self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key).is_some()
    }
}

/// A client for what needs no login.
fn bare(trust: Option<&Authorities>) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(TIME_LIMIT).user_agent(USER_AGENT);
    let own = trust.into_iter().flat_map(Authorities::certificates);
    own.fold(builder, reqwest::ClientBuilder::add_root_certificate).build().map_err(|error| chain(&error))
}

/// `localhost`, `127.0.0.1:5000`, `[::1]:5000`: engines speak plain http to these without being told.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => registry.split(':').next().unwrap_or(registry),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Of which registry and login the tokens are.
fn client_key(registry: &str, login: Option<&Login>) -> ClientKey {
    (registry.to_owned(), login.map(fingerprint).unwrap_or_default())
}

/// Tells logins apart without keeping them.
fn fingerprint(login: &Login) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    let (kind, name): (&str, &str) = match login {
        Login::Password { username, .. } => ("password", username),
        Login::IdentityToken(_) => ("identity", ""),
        Login::RegistryToken(_) => ("registry", ""),
    };
    let secret: &SecretString = login.secret();
    Sha256::new().chain_update(format!("{kind}\0{name}\0{}", secret.expose_secret())).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_its_address() {
        for (registry, want) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.8.8", true),
            ("[::1]:5000", true),
            ("registry.example", false),
            ("localhost.example:5000", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(is_loopback(registry), want, "{registry}");
        }
    }
}
