//! `qd-agent bundle create`: everything a sync brought, from the mirror, the kept charts and the registries, into one file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use quarterdeck_container::bundle::archive::Writer;
use quarterdeck_container::bundle::layout::{
    Descriptor, Document, ENVIRONMENT, Index, NAME, PART, PLATFORMS, REVISION,
};
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_core::charts::address::Repository;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::render::outside;
use quarterdeck_git::Remote;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::{ArtifactSpec, EnvironmentId, EnvironmentSpec};
use quarterdeck_shared::error::Hint;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::revision::Revision;
use quarterdeck_shared::status::Phase;

use super::dependencies;
use super::manifests::{self, Artifact, Manifests};
use crate::charts::store::Store;
use crate::config::{Config, places};
use crate::configuration;
use crate::history::sqlite::Reader;
use crate::images::Images;
use crate::poll::artifact_dir;

/// What is asked for.
pub(super) struct Asked {
    pub(super) environment: EnvironmentId,
    pub(super) file: PathBuf,
    pub(super) sync: Option<TypedId>,
    pub(super) platforms: Vec<String>,
    pub(super) config: PathBuf,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// The history has no sync that brought all of it.
    #[error("{0} was never synced: there is nothing to bundle")]
    NeverSynced(EnvironmentId),
    /// The sync that is named brought nothing, or a part.
    #[error("sync {id} of {environment} {why}")]
    NotWhole {
        /// Which.
        id: String,
        /// Whose.
        environment: EnvironmentId,
        /// Why it is of no use.
        why: &'static str,
    },
    /// The registry deleted an image.
    #[error("the registry does not have {0} any more")]
    Gone(String),
    /// The registry has the image without all of its parts.
    #[error("the registry does not have {blob} of {image}")]
    Incomplete {
        /// Which.
        image: String,
        /// What it lacks.
        blob: String,
    },
    /// The image is for other platforms.
    #[error("{image} is not for {wanted}: it has {has}")]
    OtherPlatform {
        /// Which.
        image: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        has: String,
    },
    /// Something that is not an image for some platforms.
    #[error("{image} cannot be copied: {why}")]
    Odd {
        /// Which.
        image: String,
        /// What is wrong.
        why: String,
    },
    /// The sync knew nothing of a source that the environment has now.
    #[error("sync {id} of {environment} was without source {source_name}")]
    NoSource {
        /// Which.
        id: String,
        /// Whose.
        environment: EnvironmentId,
        /// The source.
        source_name: String,
    },
    /// The archive of the chart is not kept any more.
    #[error("the archive of chart {0} is not kept by the agent")]
    NoChart(String),
}

impl Hint for CreateError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NeverSynced(environment) => format!("sync it first: qd sync {environment}").into(),
            Self::NotWhole { .. } | Self::Gone(_) => "name a later sync with --sync; `qd history` lists them".into(),
            Self::Incomplete { .. } => "push the image again".into(),
            Self::OtherPlatform { .. } => "name a platform that each image has with --platform, or none for all".into(),
            Self::NoChart(_) => "sync the environment again: the agent fetches the chart then".into(),
            Self::NoSource { .. } => "sync it with this configuration first, or name a later sync with --sync".into(),
            Self::Odd { .. } => "".into(),
        }
    }
}

/// Writes the bundle beside its name, and gives it the name when it is whole.
pub(super) async fn create(asked: &Asked, out: &mut dyn Write, progress: &mut dyn Write) -> anyhow::Result<()> {
    let Asked { environment, file, config: path, .. } = asked;
    let config = configuration::in_force(path)?;
    let data_dir = places::data_dir(&config.agent)?;
    let spec = super::configured(&config, path, environment)?;
    let sync = wanted(&data_dir, asked)?;
    let base = path.parent().unwrap_or(Path::new("/"));
    let files = files(&config, base, &data_dir, (environment, &spec), &sync)?;
    let elsewhere = outside::named(&files.files, &spec);
    let manifests = files.artifact()?;
    let chart = chart(&data_dir, &spec, &sync)?;

    let file = std::path::absolute(file)?;
    let cannot = || format!("cannot write {}", file.display());
    let folder = file.parent().unwrap_or(Path::new("/"));
    // A temporary file of this kind is for its owner alone.
    let made = tempfile::Builder::new().prefix(".qd-bundle-").tempfile_in(folder).with_context(cannot)?;
    let written = BufWriter::with_capacity(1 << 20, made.as_file().try_clone().with_context(cannot)?);
    let writer = Writer::new(written).with_context(cannot)?;
    let images = Images::new(&config, &data_dir);
    let mut bundle = Bundle { writer, images: &images, asked, progress, parts: Vec::new() };

    bundle.artifact("manifests", &format!("{}-{}", environment.application, environment.environment), manifests)?;
    if let (Some(release), Some(artifact)) = (&sync.revision.chart, chart) {
        bundle.artifact("chart", &format!("{}:{}", release.name, release.version.replace('+', "_")), artifact)?;
    }
    let names: BTreeSet<&String> = sync.images.iter().collect();
    for name in names {
        bundle.image(name).await?;
    }
    let count = bundle.parts.iter().filter(|part| part.part() == "image").count();
    let mut annotations: BTreeMap<String, String> =
        [(ENVIRONMENT, environment.to_string()), (REVISION, sync.revision.to_string())]
            .map(|(name, text)| (name.to_owned(), text))
            .into();
    if !asked.platforms.is_empty() {
        annotations.insert(PLATFORMS.to_owned(), asked.platforms.join(","));
    }
    let index = Index::new(bundle.parts, annotations);
    bundle.writer.finish(&index).with_context(cannot)?;
    made.as_file().sync_all().with_context(cannot)?;
    let bytes = made.as_file().metadata().with_context(cannot)?.len();
    made.persist(&file).map_err(|error| error.error).with_context(cannot)?;
    let (mib, plural) = (bytes.div_ceil(1 << 20), if count == 1 { "" } else { "s" });
    writeln!(out, "{}: {environment} at {}, {count} image{plural}, {mib} MiB", file.display(), sync.revision.short())?;
    if !asked.platforms.is_empty() {
        let which = asked.platforms.join(", ");
        writeln!(out, "digests are those of all platforms; only the blobs of {which} are in the bundle")?;
    }
    if let Some(named) = elsewhere {
        writeln!(out, "{named}, which is not in the bundle\nhint: {}", outside::HINT)?;
    }
    Ok(())
}

/// The sync whose revision and images are wanted.
fn wanted(data_dir: &Path, asked: &Asked) -> anyhow::Result<SyncRecord> {
    let environment = &asked.environment;
    let history = data_dir.join("history.db");
    let never = || CreateError::NeverSynced(environment.clone());
    if !history.exists() {
        return Err(never().into());
    }
    let reader = Reader::open(&history)?;
    let Some(id) = asked.sync else {
        return Ok(reader.releases(environment, 1)?.pop().ok_or_else(never)?);
    };
    let not = |why| CreateError::NotWhole { id: id.to_string(), environment: environment.clone(), why };
    let sync = reader.sync(environment, id)?.ok_or_else(|| not("does not exist"))?;
    match (sync.phase, &sync.part) {
        (Phase::Succeeded, None) => Ok(sync),
        (Phase::Succeeded, Some(_)) => Err(not("was of a part of its objects").into()),
        _ => Err(not("did not succeed").into()),
    }
}

/// The files of the revision, as the mirrors have them: those of each source in the folder that paths call it by, and what a chart among
/// them depends on.
fn files(
    config: &Config,
    base: &Path,
    data_dir: &Path,
    (environment, spec): (&EnvironmentId, &EnvironmentSpec),
    sync: &SyncRecord,
) -> anyhow::Result<Manifests> {
    let open = |repository: &str, artifact: Option<&ArtifactSpec>| {
        let (dir, remote) = match artifact {
            Some(artifact) => {
                let dir = artifact_dir(artifact, data_dir);
                let remote = Remote::new(RepositoryUrl::parse(&dir.display().to_string(), data_dir)?, &[], data_dir)?;
                (dir, remote)
            }
            None => {
                let remote = Remote::new(RepositoryUrl::parse(repository, base)?, &config.repository, base)?;
                (data_dir.join("mirrors").join(remote.url.mirror_name()), remote)
            }
        };
        let source = if artifact.is_some() { repository.to_owned() } else { remote.url.to_string() };
        anyhow::Ok((Mirror::open_to_read(&dir, remote)?, source))
    };
    let (mirror, address) = open(&spec.repository, spec.artifact.as_ref())?;
    // A chart is a part of its own.
    let revision = Revision { chart: None, ..sync.revision.clone() };
    let mut manifests = Manifests::new(&mirror, revision.clone(), address)?;
    // What was bundled before is in the artifact already.
    for source in spec.sources.iter().filter(|source| !source.bundled) {
        let missing = || CreateError::NoSource {
            id: sync.id.to_string(),
            environment: environment.clone(),
            source_name: source.name.to_string(),
        };
        let at = revision.source(&source.name).ok_or_else(missing)?;
        let (mirror, _) = open(&source.repository, source.artifact.as_ref())?;
        manifests.add(&mirror, &at.commit, (&source.path, &source.folder()))?;
    }
    let archives = dependencies::kept(&manifests.files, spec, data_dir)?;
    manifests.put(archives)?;
    Ok(manifests)
}

/// The chart, as it is kept.
fn chart(data_dir: &Path, spec: &EnvironmentSpec, sync: &SyncRecord) -> anyhow::Result<Option<Artifact>> {
    let Some(release) = &sync.revision.chart else { return Ok(None) };
    let not_kept = || CreateError::NoChart(format!("{} {}", release.name, release.version));
    let chart = spec.helm.chart.as_ref().ok_or_else(not_kept)?;
    let store = Store::of(data_dir, &Repository::read(&chart.repository)?, &chart.name);
    let archive = store.read(release)?.ok_or_else(not_kept)?;
    manifests::of_chart(release, archive).map(Some)
}

/// A bundle that is being written.
struct Bundle<'a> {
    writer: Writer<BufWriter<File>>,
    images: &'a Images,
    asked: &'a Asked,
    progress: &'a mut dyn Write,
    parts: Vec<Descriptor>,
}

impl Bundle<'_> {
    fn cannot(&self) -> String {
        format!("cannot write {}", self.asked.file.display())
    }

    fn artifact(&mut self, part: &str, name: &str, artifact: Artifact) -> anyhow::Result<()> {
        let (manifest, bytes) = artifact.manifest;
        for (blob, bytes) in artifact.blobs.iter().chain([&(manifest.clone(), bytes)]) {
            self.writer.blob(blob, bytes).with_context(|| format!("cannot write {}", self.asked.file.display()))?;
        }
        self.entry(part, name, manifest, false)
    }

    fn entry(&mut self, part: &str, name: &str, mut manifest: Descriptor, is_partial: bool) -> anyhow::Result<()> {
        let _ = writeln!(self.progress, "{part} {name}: {}", manifest.digest);
        manifest.annotations =
            [(NAME, name), (PART, part)].map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        if is_partial {
            manifest.annotations.insert(PLATFORMS.to_owned(), self.asked.platforms.join(","));
        }
        self.parts.push(manifest);
        Ok(())
    }

    /// An image, by the digest that its name has now.
    async fn image(&mut self, name: &str) -> anyhow::Result<()> {
        let image = ImageRef::parse(name)?;
        let login = self.images.login(&image).await?;
        let login = login.as_ref();
        let gone = || CreateError::Gone(name.to_owned());
        let digest = match image.digest() {
            Some(digest) => digest.to_owned(),
            None => self.images.registries.find_digest(&image, login).await?.ok_or_else(gone)?,
        };
        let pinned = image.with_digest(&digest)?;
        let bytes = self.images.registries.copy_manifest(&pinned, login).await?.ok_or_else(gone)?;
        let root = self.document(name, &bytes, &digest)?;
        let is_partial = root.is_index() && !self.asked.platforms.is_empty();
        let chosen = root.chosen(&self.asked.platforms);
        if is_partial && chosen.is_empty() {
            let has = root.manifests.iter().filter_map(|one| Some(one.platform.as_ref()?.name()));
            let (wanted, has) = (self.asked.platforms.join(", "), has.collect::<Vec<_>>().join(", "));
            return Err(CreateError::OtherPlatform { image: name.to_owned(), wanted, has }.into());
        }
        for one in chosen {
            let lacks = || CreateError::Incomplete { image: name.to_owned(), blob: one.digest.clone() };
            let manifest = self.images.registries.copy_manifest(&image.with_digest(&one.digest)?, login).await?;
            let manifest = manifest.ok_or_else(lacks)?;
            let document = self.document(name, &manifest, &one.digest)?;
            if document.is_index() {
                let (image, why) = (name.to_owned(), "its index holds another index".to_owned());
                return Err(CreateError::Odd { image, why }.into());
            }
            self.blobs(&image, &document, login).await?;
            let named = Descriptor { size: manifest.len() as u64, ..one.clone() };
            self.writer.blob(&named, &manifest).with_context(|| self.cannot())?;
        }
        self.blobs(&image, &root, login).await?;
        let named = Descriptor::of(root.media_type(), &bytes);
        self.writer.blob(&named, &bytes).with_context(|| format!("cannot write {}", self.asked.file.display()))?;
        self.entry("image", name, named, is_partial)
    }

    fn document(&self, image: &str, bytes: &[u8], digest: &str) -> Result<Document, CreateError> {
        Document::read(bytes, digest).map_err(|why| CreateError::Odd { image: image.to_owned(), why })
    }

    /// The blobs of a manifest that are not in the bundle yet.
    async fn blobs(&mut self, image: &ImageRef, document: &Document, login: Option<&Login>) -> anyhow::Result<()> {
        for blob in document.blobs() {
            if self.writer.has(&blob.digest) {
                continue;
            }
            let cannot = || format!("cannot write {}", self.asked.file.display());
            let into = self.writer.begin(&blob.digest, blob.size).with_context(cannot)?;
            let named = (&*blob.digest, blob.size);
            if !self.images.registries.copy_blob(image, named, login, into).await.with_context(cannot)? {
                let (image, blob) = (image.to_string(), blob.digest.clone());
                return Err(CreateError::Incomplete { image, blob }.into());
            }
            self.writer.end(blob.size).with_context(cannot)?;
            let _ = writeln!(self.progress, "  {} {} KiB", blob.digest, blob.size.div_ceil(1024));
        }
        Ok(())
    }
}
