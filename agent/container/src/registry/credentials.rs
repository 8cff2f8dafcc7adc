//! Who we are to a registry: from our configuration, the environment, Docker's configuration with its helpers, or Podman's.
//!
//! The order, first found wins: `[[registry]]` of our configuration; `DOCKER_AUTH_CONFIG` (the environment variable that CI
//! systems use); `$DOCKER_CONFIG/config.json` or `~/.docker/config.json` (`credHelpers`, then `credsStore`, then `auths`);
//! `$REGISTRY_AUTH_FILE` or `$XDG_RUNTIME_DIR/containers/auth.json`. Nobody found means that we come as anybody.
//!
//! A helper that is not installed (`credsStore: desktop` in a home that was copied from a laptop) is passed over, as docker
//! does: another place may have the login, or none is needed. One that is there and fails is passed over where another
//! place has the login; else it is the reason, since nobody at all is not who was meant.
//!
//! Helpers are run as `docker-credential-NAME get`, with the registry on their input, a time limit, and no shell. Nothing is
//! cached: helpers hand out logins that live for hours, and files change under us.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef};
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_shared::error::Hint;

mod helper;

/// How we say who we are.
#[derive(Debug, Clone)]
pub enum Login {
    /// A user with a password or access token.
    Password {
        /// The user's name.
        username: String,
        /// The password or token.
        password: SecretString,
    },
    /// A token that the registry's token server changes for another; the engine knows how.
    IdentityToken(SecretString),
    /// A token that the registry takes as it is.
    RegistryToken(SecretString),
}

impl Login {
    /// What must not be shown.
    pub fn secret(&self) -> &SecretString {
        match self {
            Login::Password { password, .. } => password,
            Login::IdentityToken(token) | Login::RegistryToken(token) => token,
        }
    }
}

/// A login, and where it is from, for people.
#[derive(Debug, Clone)]
pub struct Found {
    /// The login.
    pub login: Login,
    /// `[[registry]] of the configuration`, `~/.docker/config.json`, `docker-credential-pass`.
    pub from: String,
}

/// Where logins are looked for.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// From our configuration, by host.
    pub configured: BTreeMap<String, Login>,
    /// The content of `DOCKER_AUTH_CONFIG`.
    pub inline: Option<SecretString>,
    /// Docker's configuration file.
    pub docker_config: Option<PathBuf>,
    /// Podman's file of logins.
    pub podman_auth: Option<PathBuf>,
    /// Where helper programs are, as in `PATH`.
    pub search_path: OsString,
}

/// Why a login that should be there could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file is there and cannot be read.
    #[error("reading the registry logins in {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// A file is there and is no such file.
    #[error("{origin} is not valid ({what})")]
    Malformed {
        /// The file or variable.
        origin: String,
        /// What is wrong with it, without its content.
        what: String,
    },
    /// A helper did not answer as helpers do.
    #[error("the credential helper {program} (asked for by {origin}) failed for {registry}: {why}")]
    Helper {
        /// The program.
        program: String,
        /// The file that names it.
        origin: String,
        /// The registry that it was asked about.
        registry: String,
        /// What it said, or what we saw.
        why: String,
        /// It is not installed.
        missing: bool,
    },
}

impl Hint for CredentialError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Read { .. } => "".into(),
            Self::Malformed { .. } => "`docker login` writes a valid one".into(),
            Self::Helper { program, registry, .. } => {
                format!("try it manually: `echo {registry} | {program} get`").into()
            }
        }
    }
}

impl CredentialError {
    /// A helper that is not installed: a note, and no reason to stop.
    fn is_missing_helper(&self) -> bool {
        matches!(self, Self::Helper { missing: true, .. })
    }
}

/// What was found for an image.
#[derive(Debug, Default)]
pub struct Search {
    /// The login; none means that anybody may ask.
    pub found: Option<Found>,
    /// Helpers that could not be asked, for people.
    pub notes: Vec<CredentialError>,
}

/// The part of Docker's and Podman's files that matters here.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AuthFile {
    auths: BTreeMap<String, AuthEntry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
    registrytoken: Option<SecretString>,
}

impl Sources {
    /// The usual places of this user and environment, with the logins of our own configuration.
    pub fn of_this_user(configured: BTreeMap<String, Login>) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = variable("HOME").map(PathBuf::from);
        let docker = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home?.join(".docker")));
        let podman = variable("REGISTRY_AUTH_FILE").map(PathBuf::from);
        let podman =
            podman.or_else(|| variable("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("containers/auth.json")));
        Self {
            configured,
            inline: std::env::var("DOCKER_AUTH_CONFIG").ok().filter(|text| !text.is_empty()).map(SecretString::from),
            docker_config: docker.map(|folder| folder.join("config.json")),
            podman_auth: podman,
            search_path: variable("PATH").unwrap_or_default(),
        }
    }

    /// The login for the registry of this image; none means that anybody may ask. Its secret is masked in the log from now on.
    pub async fn find(&self, image: &ImageRef) -> Result<Search, CredentialError> {
        let mut notes = Vec::new();
        let found = self.search(image, &mut notes).await?;
        match &found {
            Some(found) => SecretScrubber::global().keep(found.login.secret().expose_secret()),
            None => {
                if let Some(place) = notes.iter().position(|note| !note.is_missing_helper()) {
                    return Err(notes.swap_remove(place));
                }
            }
        }
        Ok(Search { found, notes })
    }

    /// The logins for the registries of these images, by host: what an engine needs to pull them. One that cannot be had is
    /// left out, with the reason; the image may be open to everybody.
    pub async fn find_all(&self, images: &[ImageRef]) -> (BTreeMap<String, Login>, Vec<CredentialError>) {
        let (mut logins, mut problems) = (BTreeMap::new(), Vec::new());
        for image in images {
            if logins.contains_key(image.registry()) {
                continue;
            }
            match self.find(image).await {
                Ok(Search { found, notes }) => {
                    logins.extend(found.map(|found| (image.registry().to_owned(), found.login)));
                    problems.extend(notes);
                }
                Err(error) => problems.push(error),
            }
        }
        // A store is asked for each registry, and missing for each.
        let program = |error: &CredentialError| match error {
            CredentialError::Helper { program, missing: true, .. } => Some(program.clone()),
            _ => None,
        };
        let mut told = std::collections::BTreeSet::new();
        problems.retain(|problem| program(problem).is_none_or(|program| told.insert(program)));
        (logins, problems)
    }

    async fn search(
        &self,
        image: &ImageRef,
        notes: &mut Vec<CredentialError>,
    ) -> Result<Option<Found>, CredentialError> {
        if let Some(login) = self.configured.get(image.registry()) {
            return Ok(Some(Found { login: login.clone(), from: "[[registry]] of the configuration".to_owned() }));
        }
        if let Some(inline) = &self.inline {
            let file = AuthFile::parse(inline.expose_secret().as_bytes(), "DOCKER_AUTH_CONFIG")?;
            if let Some(found) = self.in_file(&file, "DOCKER_AUTH_CONFIG", image, notes).await? {
                return Ok(Some(found));
            }
        }
        for path in [&self.docker_config, &self.podman_auth].into_iter().flatten() {
            let Some(file) = AuthFile::read(path)? else { continue };
            if let Some(found) = self.in_file(&file, &path.display().to_string(), image, notes).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn in_file(
        &self,
        file: &AuthFile,
        origin: &str,
        image: &ImageRef,
        notes: &mut Vec<CredentialError>,
    ) -> Result<Option<Found>, CredentialError> {
        let host = image.registry();
        let own = file.cred_helpers.iter().find(|(key, _)| host_of(key) == host).map(|(_, helper)| helper);
        for helper in own.into_iter().chain(&file.creds_store) {
            match helper::ask(helper, server_name(host), origin, &self.search_path).await {
                Ok(Some(login)) => return Ok(Some(Found { login, from: format!("docker-credential-{helper}") })),
                Ok(None) => {}
                Err(problem) => notes.push(problem),
            }
        }
        let Some((key, entry)) = file.entry(image) else { return Ok(None) };
        let login = entry.login().map_err(|what| CredentialError::Malformed {
            origin: origin.to_owned(),
            what: format!("the entry of {key}: {what}"),
        })?;
        Ok(login.map(|login| Found { login, from: origin.to_owned() }))
    }
}

impl AuthFile {
    fn read(path: &Path) -> Result<Option<Self>, CredentialError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes, &path.display().to_string()).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CredentialError::Read { path: path.to_owned(), source }),
        }
    }

    /// The error names a place and not a content: serde's own words may hold what it stumbled over.
    fn parse(bytes: &[u8], origin: &str) -> Result<Self, CredentialError> {
        serde_json::from_slice(bytes).map_err(|error| CredentialError::Malformed {
            origin: origin.to_owned(),
            what: format!("line {}, column {}", error.line(), error.column()),
        })
    }

    /// The entry of the image: of its repository, of a path above it (Podman), or of its host.
    fn entry(&self, image: &ImageRef) -> Option<(&String, &AuthEntry)> {
        let full = image.name();
        let matches = |key: &str| {
            let key = key.trim_start_matches("https://").trim_start_matches("http://");
            let is_above = full.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            is_above || (!is_path(key) && host_of(key) == image.registry())
        };
        let found = self.auths.iter().filter(|(key, entry)| matches(key) && !entry.is_empty());
        found.max_by_key(|(key, _)| key.len())
    }
}

impl AuthEntry {
    /// Docker leaves an empty entry for hosts whose login is in a helper.
    fn is_empty(&self) -> bool {
        let Self { auth, username, password, identitytoken, registrytoken } = self;
        let none = |secret: &Option<SecretString>| secret.as_ref().is_none_or(|s| s.expose_secret().is_empty());
        none(auth) && username.is_none() && none(password) && none(identitytoken) && none(registrytoken)
    }

    fn login(&self) -> Result<Option<Login>, &'static str> {
        if let Some(token) = &self.identitytoken {
            return Ok(Some(Login::IdentityToken(token.clone())));
        }
        if let Some(token) = &self.registrytoken {
            return Ok(Some(Login::RegistryToken(token.clone())));
        }
        if let Some(auth) = &self.auth {
            let bytes = BASE64_STANDARD.decode(auth.expose_secret().trim()).map_err(|_| "`auth` is not base64")?;
            let text = String::from_utf8(bytes).map_err(|_| "`auth` is not text")?;
            let (username, password) = text.split_once(':').ok_or("`auth` has no colon")?;
            // Some programs pad the text with zero bytes.
            let password = SecretString::from(password.trim_end_matches('\0'));
            return Ok(Some(Login::Password { username: username.to_owned(), password }));
        }
        match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                Ok(Some(Login::Password { username: username.clone(), password: password.clone() }))
            }
            _ => Ok(None),
        }
    }
}

/// The host of a key: keys are hosts, and in old files addresses as `https://index.docker.io/v1/`.
fn host_of(key: &str) -> &str {
    let key = key.trim_start_matches("https://").trim_start_matches("http://");
    match key.split('/').next().unwrap_or(key) {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}

/// Does a key name a repository and not only a host? `/v1/` and `/v2/` are what old files put behind a host.
fn is_path(key: &str) -> bool {
    key.split_once('/').is_some_and(|(_, path)| !matches!(path.trim_end_matches('/'), "" | "v1" | "v2"))
}

/// What helpers and old files call a registry.
pub(super) fn server_name(host: &str) -> &str {
    if host == DOCKER_HUB { "https://index.docker.io/v1/" } else { host }
}

#[cfg(test)]
mod tests;
