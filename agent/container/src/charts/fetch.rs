//! Asks a registry or a chart repository for a chart: which version is wanted, and its archive.

use quarterdeck_core::charts::address::Repository;
use quarterdeck_core::charts::index::{self, Entry, Index};
use quarterdeck_core::charts::provenance;
use quarterdeck_core::charts::versions::{self, Wanted};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::signature;
use quarterdeck_shared::revision::ChartRelease;
use reqwest::{Client, Url};
use sha2::{Digest as _, Sha256};

use super::archive::{self, ARCHIVE_BYTES_MAX};
use super::error::FetchError;
use super::http::{self, Password};
use crate::registry::credentials::Login;
use crate::registry::oci::{Artifact, Registries, RegistryError};
use crate::registry::signature::{PublicKey, verify};

/// How charts are kept in registries: HIP 6 of Helm.
const CHART: Artifact = Artifact {
    what: "a chart",
    config: "application/vnd.cncf.helm.config.v1+json",
    layer: "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    bytes_max: ARCHIVE_BYTES_MAX,
};

/// The provenance file of a chart in a registry, beside its archive.
const PROVENANCE: Artifact = Artifact {
    what: "a chart",
    config: "application/vnd.cncf.helm.config.v1+json",
    layer: "application/vnd.cncf.helm.chart.provenance.v1.prov",
    bytes_max: provenance::BYTES_MAX,
};

/// Tags that are read of one chart. The busiest public ones have some thousand.
const TAGS_MAX: usize = 20_000;

/// Who we are.
#[derive(Debug, Clone)]
pub enum Identity {
    /// To a registry.
    Registry(Option<Login>),
    /// To a chart repository.
    Http(Option<Password>),
}

/// Where a chart is, and how it is asked for.
pub struct Source<'a> {
    /// Where.
    pub repository: &'a Repository,
    /// What it is called.
    pub name: &'a str,
    /// Speaks to registries.
    pub registries: &'a Registries,
    /// Who we are.
    pub identity: &'a Identity,
}

/// A version, and the way to its archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As the repository writes it.
    pub version: String,
    /// The digest of its manifest in a registry, where that has to be this one.
    manifest: Option<String>,
    /// Where an HTTP repository has its archive.
    entry: Option<Entry>,
}

/// An archive, checked and read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Which.
    pub release: ChartRelease,
    /// The archive.
    pub bytes: Vec<u8>,
}

impl Fetched {
    /// That it is what was fetched before.
    ///
    /// # Errors
    /// [`FetchError::Digest`] where it is not.
    pub fn must_be(&self, before: &ChartRelease) -> Result<(), FetchError> {
        let ChartRelease { name, version, digest } = &self.release;
        if *digest == before.digest {
            return Ok(());
        }
        let (expected, found) = (before.digest.clone(), digest.clone());
        Err(FetchError::Digest { name: name.clone(), version: version.clone(), expected, found })
    }
}

/// Asks chart repositories; registries have clients of their own.
pub struct Fetcher(Result<Client, String>);

impl Default for Fetcher {
    fn default() -> Self {
        Self(http::client())
    }
}

impl Fetcher {
    /// Which version is wanted now. A version of a registry that is written as it is costs no question.
    ///
    /// # Errors
    /// Where there is none, or the repository cannot be asked.
    pub async fn find(&self, source: &Source<'_>, wanted: &Wanted, written: &str) -> Result<Version, FetchError> {
        match (source.repository, wanted) {
            (Repository::Oci(_), Wanted::Exact(version)) => {
                Ok(Version { version: version.clone(), manifest: None, entry: None })
            }
            (Repository::Oci(_), Wanted::Range(_)) => {
                let all = self.tags(source).await?;
                let version = wanted.choose(all.iter().map(String::as_str));
                let version = version.ok_or_else(|| source.no_version(written, all.iter().map(String::as_str)))?;
                Ok(Version { version: version.to_owned(), manifest: None, entry: None })
            }
            (Repository::Http(address), _) => {
                let all = self.index(source, address).await?.versions.unwrap_or_default();
                let versions = || all.iter().map(|entry| entry.version.as_str());
                let version = wanted.choose(versions()).ok_or_else(|| source.no_version(written, versions()))?;
                let entry = all.iter().find(|entry| entry.version == version).cloned();
                Ok(Version { version: version.to_owned(), manifest: None, entry })
            }
        }
    }

    /// The archive of a version that was found.
    ///
    /// # Errors
    /// Where it is not there, cannot be had, or is not that chart.
    pub async fn fetch(&self, source: &Source<'_>, of: &Version) -> Result<Fetched, FetchError> {
        let (name, version) = (|| source.name.to_owned(), || of.version.clone());
        let (bytes, expected) = match source.repository {
            Repository::Oci(_) => (self.layer(source, of).await?, None),
            Repository::Http(address) => self.download(source, address, of).await?,
        };
        let hex = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if let Some(expected) = expected.filter(|expected| *expected != hex) {
            return Err(FetchError::Digest { name: name(), version: version(), expected, found: hex });
        }
        let read = tokio::task::spawn_blocking(move || (archive::read(&bytes), bytes)).await;
        let (packaged, bytes) = read.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
        let packaged = packaged.map_err(|source| FetchError::Archive { name: name(), version: version(), source })?;
        if packaged.name != source.name || !versions::is_same(&packaged.version, &of.version) {
            let found = format!("{} {}", packaged.name, packaged.version);
            return Err(FetchError::Other { name: name(), version: version(), found });
        }
        let release = ChartRelease { name: name(), version: version(), digest: format!("sha256:{hex}") };
        Ok(Fetched { release, bytes })
    }

    /// The same version, bound to the manifest that one of these keys signed.
    ///
    /// # Errors
    /// Where none of them did, or the registry cannot be asked.
    pub async fn signed(&self, source: &Source<'_>, of: Version, keys: &[PublicKey]) -> Result<Version, FetchError> {
        let Identity::Registry(login) = source.identity else { return Err(source.no_chart(Vec::new())) };
        let tagged = source.repository.tagged(source.name, &of.version).ok_or_else(|| source.no_chart(Vec::new()))?;
        let Some(digest) = source.registries.digest(&tagged, login.as_ref()).await? else {
            let all = self.tags(source).await?;
            return Err(source.no_version(&of.version, all.iter().map(String::as_str)));
        };
        let image = tagged.with_digest(&digest).map_err(|_| source.no_chart(Vec::new()))?;
        let claims = source.registries.claims(&image, signature::Wanted::Signature, login.as_ref()).await?;
        match signature::judge(&verify(claims, keys)) {
            Ok(_) => Ok(Version { manifest: Some(digest), ..of }),
            Err(found) => {
                let keys = keys.iter().map(PublicKey::name).collect::<Vec<_>>().join(" or ");
                Err(FetchError::Unsigned { name: source.name.to_owned(), version: of.version, keys, found })
            }
        }
    }

    /// The provenance file of a version that was found; nothing where it has none.
    ///
    /// # Errors
    /// Where the repository cannot be asked.
    pub async fn provenance(&self, source: &Source<'_>, of: &Version) -> Result<Option<Vec<u8>>, FetchError> {
        match (source.repository, source.identity) {
            (Repository::Oci(_), Identity::Registry(login)) => {
                let Some(image) = of.image(source) else { return Ok(None) };
                match source.registries.artifact(&image, &PROVENANCE, login.as_ref()).await {
                    Ok(layer) => Ok(layer.map(|layer| layer.bytes)),
                    // The chart was read already: what is missing is this layer.
                    Err(RegistryError::OtherKind { .. }) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
            (Repository::Http(address), _) => {
                let Some(mut at) = of.place(address) else { return Ok(None) };
                at.set_path(&format!("{}.prov", at.path()));
                self.get(source, at, provenance::BYTES_MAX).await
            }
            (Repository::Oci(_), Identity::Http(_)) => Ok(None),
        }
    }

    /// Whether the repository answers, and knows the chart: what `doctor` asks. How many versions there are.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn check(&self, source: &Source<'_>) -> Result<usize, FetchError> {
        match source.repository {
            Repository::Oci(_) => Ok(self.tags(source).await?.len()),
            Repository::Http(address) => {
                Ok(self.index(source, address).await?.versions.map_or(0, |versions| versions.len()))
            }
        }
    }

    /// A file of any web server, without a login; nothing where nothing is.
    ///
    /// # Errors
    /// Where the server cannot be asked, or has more than this many bytes.
    pub async fn file(&self, url: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchError> {
        let client = self.0.as_ref().map_err(|why| FetchError::NoClient(why.clone()))?;
        let at = Url::parse(url);
        let at = at.map_err(|error| FetchError::Answer { repository: url.to_owned(), why: error.to_string() })?;
        http::get(client, url, at, None, bytes_max).await
    }

    async fn layer(&self, source: &Source<'_>, of: &Version) -> Result<Vec<u8>, FetchError> {
        let Identity::Registry(login) = source.identity else { return Err(source.no_chart(Vec::new())) };
        let image = of.image(source).ok_or_else(|| source.no_chart(Vec::new()))?;
        match source.registries.artifact(&image, &CHART, login.as_ref()).await? {
            Some(layer) => Ok(layer.bytes),
            None => {
                let all = self.tags(source).await?;
                Err(source.no_version(&of.version, all.iter().map(String::as_str)))
            }
        }
    }

    /// The versions of a chart of a registry.
    async fn tags(&self, source: &Source<'_>) -> Result<Vec<String>, FetchError> {
        let Identity::Registry(login) = source.identity else { return Err(source.no_chart(Vec::new())) };
        let image: ImageRef = source.repository.image(source.name).ok_or_else(|| source.no_chart(Vec::new()))?;
        let all = source.registries.tags(&image, login.as_ref(), TAGS_MAX).await?.tags;
        match all.is_empty() {
            true => Err(source.no_chart(Vec::new())),
            false => Ok(all.iter().map(|tag| versions::of_tag(tag)).collect()),
        }
    }

    /// The index of a repository, which lists the chart.
    async fn index(&self, source: &Source<'_>, address: &str) -> Result<Index, FetchError> {
        let (repository, name) = (|| source.repository.to_string(), source.name.to_owned());
        let at = format!("{address}/index.yaml");
        let at =
            Url::parse(&at).map_err(|error| FetchError::Answer { repository: repository(), why: error.to_string() })?;
        let bytes = self.get(source, at, index::BYTES_MAX as u64).await?;
        let bytes = bytes.ok_or_else(|| FetchError::NoIndex { repository: repository() })?;
        let read = tokio::task::spawn_blocking(move || index::read(&bytes, &name)).await;
        let read = read.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
        let read = read.map_err(|source| FetchError::Index { repository: repository(), source })?;
        if read.versions.is_some() { Ok(read) } else { Err(source.no_chart(read.names)) }
    }

    /// The archive that an index names, and the digest that it says.
    async fn download(
        &self,
        source: &Source<'_>,
        address: &str,
        of: &Version,
    ) -> Result<(Vec<u8>, Option<String>), FetchError> {
        let Some(Entry { url, digest, .. }) = &of.entry else { return Err(source.no_version(&of.version, [])) };
        let place = |why| FetchError::Place {
            repository: source.repository.to_string(),
            name: source.name.to_owned(),
            version: of.version.clone(),
            url: url.chars().take(300).collect(),
            why,
        };
        let at = of.place(address).ok_or_else(|| place("which is not an address"))?;
        if !matches!(at.scheme(), "http" | "https") {
            return Err(place("which is not fetched by HTTP: name that registry as `repository`"));
        }
        let bytes = self.get(source, at, ARCHIVE_BYTES_MAX).await?;
        Ok((bytes.ok_or_else(|| place("where nothing is"))?, digest.clone()))
    }

    async fn get(&self, source: &Source<'_>, at: Url, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchError> {
        let client = self.0.as_ref().map_err(|why| FetchError::NoClient(why.clone()))?;
        let login = match source.identity {
            Identity::Http(login) => login.as_ref(),
            Identity::Registry(_) => None,
        };
        http::get(client, &source.repository.to_string(), at, login, bytes_max).await
    }
}

impl Version {
    /// Where a registry has it: by its tag, or as the manifest that it has to be.
    fn image(&self, source: &Source<'_>) -> Option<ImageRef> {
        let tagged = source.repository.tagged(source.name, &self.version)?;
        match &self.manifest {
            Some(digest) => tagged.with_digest(digest).ok(),
            None => Some(tagged),
        }
    }

    /// Where an HTTP repository has its archive: below the repository where the index says a relative address.
    fn place(&self, address: &str) -> Option<Url> {
        let base = Url::parse(&format!("{address}/")).ok()?;
        base.join(&self.entry.as_ref()?.url).ok()
    }
}

impl Source<'_> {
    fn no_chart(&self, others: Vec<String>) -> FetchError {
        FetchError::NoChart { repository: self.repository.to_string(), name: self.name.to_owned(), others }
    }

    fn no_version<'t>(&self, wanted: &str, versions: impl IntoIterator<Item = &'t str>) -> FetchError {
        FetchError::NoVersion {
            repository: self.repository.to_string(),
            name: self.name.to_owned(),
            wanted: wanted.to_owned(),
            newest: versions::newest(versions).map(str::to_owned),
        }
    }
}
