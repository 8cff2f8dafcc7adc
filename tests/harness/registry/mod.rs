//! A stand-in container registry: OCI distribution 1.1 over loopback HTTP, with logins and with faults to switch on.
//!
//! ```text
//! client --HTTP--> answer.rs --(who may?)--> auth.rs
//!                      |--(a fault here?)--> fault.rs
//!                      |--> store.rs (memory, and a folder where told to)
//!                      '--> harbor.rs (where it is to be a Harbor: its API beside)
//! ```
//!
//! It does what `docker push`, `docker pull` and `oci-client` ask of a registry: version check, blob upload in one or many
//! pieces, mount, manifests by tag and digest with their checks, tag lists in pages, referrers, deletion, and login as Basic
//! or by token. It does NOT do: garbage collection, blob deletion, range requests, sha512, `_catalog`, the OAuth form of
//! the token endpoint (identity tokens), signed tokens (its own are opaque), quotas, or any UI.

mod answer;
mod auth;
mod fault;
mod harbor;
mod reply;
mod route;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use auth::{Auth, User};
pub use fault::{Fault, Step};
pub use harbor::Found;

use crate::serve::{Place, Server};
use crate::signing::Layer;
use crate::tls::Certificate;
use auth::Gate;
use fault::Faults;
use harbor::Harbor;
use store::Store;

/// How a registry is to be; the default is open, in memory, on a port of the system's choice.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Who may do what, and how they say so.
    pub auth: Auth,
    /// Keep everything in this folder and read it at start. Without it all is gone when the registry is dropped.
    pub folder: Option<PathBuf>,
    /// The port on loopback; 0 lets the system pick.
    pub port: u16,
}

/// Where something stands that belongs to an image.
pub enum Beside<'a> {
    /// Under this tag.
    Tag(&'a str),
    /// Under its own digest, with this as its subject.
    Referring {
        /// Of the image.
        digest: &'a str,
        /// What it is.
        artifact_type: &'a str,
    },
}

/// A running registry; gone when dropped.
pub struct Registry {
    server: Server,
    state: Arc<State>,
}

/// What all requests share. The locks are held for map look-ups only, never across an await.
struct State {
    /// Known once the port is bound, which is before anybody else knows where to ask.
    address: OnceLock<String>,
    gate: Mutex<Gate>,
    faults: Mutex<Faults>,
    store: Mutex<Store>,
    harbor: Mutex<Harbor>,
}

impl Registry {
    /// Starts a registry and waits until it listens.
    pub async fn start(options: RegistryOptions) -> anyhow::Result<Self> {
        let RegistryOptions { auth, folder, port } = options;
        let store = Store::open(folder)?;
        let state = Arc::new(State {
            address: OnceLock::new(),
            gate: Mutex::new(Gate::new(auth)),
            faults: Mutex::new(Faults::default()),
            store: Mutex::new(store),
            harbor: Mutex::default(),
        });
        let shared = state.clone();
        let handler: crate::serve::Handler =
            Arc::new(move |request| Box::pin(answer::answer(shared.clone(), request)) as _);
        let server = Server::start(Place::loopback(port), handler).await?;
        state.address.get_or_init(|| server.address());
        Ok(Self { server, state })
    }

    /// `127.0.0.1:PORT`, as it stands before the first slash of an image reference.
    pub fn address(&self) -> &str {
        self.state.address()
    }

    /// The full image name of a repository here: `127.0.0.1:PORT/ops/shop`.
    pub fn image(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address())
    }

    /// Digests of all manifests of a repository, sorted.
    pub fn manifests(&self, repository: &str) -> Vec<String> {
        self.state.store().manifests(repository)
    }

    /// Tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.state.store().tags(repository)
    }

    /// The digest that a tag points at.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        self.state.store().digest(repository, tag)
    }

    /// The bytes of a manifest, by tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        self.state.store().manifest(repository, reference).map(|(_, manifest)| manifest.bytes.to_vec())
    }

    /// The bytes of a blob: a layer or an image's configuration.
    pub fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        self.state.store().blob_anywhere(digest).map(|bytes| bytes.to_vec())
    }

    /// Somebody pushes an image under a tag: one without layers, made of this text. Tells its digest.
    pub fn publish(&self, repository: &str, tag: &str, text: &str) -> String {
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let json = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type, "annotations": { "text": text } });
        let manifest = store::Manifest { media_type, bytes: json.to_string().into() };
        self.state.store().put_manifest(repository, tag, manifest).expect("a manifest that names no blob")
    }

    /// Somebody pushes an image that was created at this time: an index of one platform with what is attested beside it, as BuildKit
    /// pushes it. Tells its digest.
    pub fn publish_created(&self, repository: &str, tag: &str, created: &str) -> String {
        let oci = |what: &str| format!("application/vnd.oci.image.{what}.v1+json");
        let mut store = self.state.store();
        let config = serde_json::json!({ "created": created, "os": "linux", "architecture": "amd64", "tag": tag });
        let config = config.to_string();
        let digest = store.put_blob(repository, config.as_bytes());
        let image = serde_json::json!({
            "schemaVersion": 2, "mediaType": oci("manifest"), "layers": [],
            "config": { "mediaType": oci("config"), "digest": digest, "size": config.len() },
        });
        let mut put = |reference: Option<&str>, kind: &str, json: &serde_json::Value| {
            let bytes = json.to_string();
            let reference = reference.map_or_else(|| store::digest_of(bytes.as_bytes()), str::to_owned);
            let manifest = store::Manifest { media_type: oci(kind), bytes: bytes.into() };
            store.put_manifest(repository, &reference, manifest).expect("its blobs are there")
        };
        let image = put(None, "manifest", &image);
        let attested = store::digest_of(b"what is attested");
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": oci("index"),
            "manifests": [
                { "digest": attested, "size": 1, "platform": { "os": "unknown", "architecture": "unknown" } },
                { "digest": image, "size": 1, "platform": { "os": "linux", "architecture": "amd64" } },
            ],
        });
        put(Some(tag), "index", &index)
    }

    /// Lists of tags have an `ETag` from now on, and who shows it again is told that nothing changed.
    pub fn know_lists_again(&self) {
        self.state.store().knows_lists_again = true;
    }

    /// How many lists of tags were not sent, since the client had them.
    pub fn unchanged(&self) -> u64 {
        self.state.store().unchanged
    }

    /// A page of tags has no more than so many from now on, whatever is asked for.
    pub fn page_tags_by(&self, most: usize) {
        self.state.store().page_max = Some(most);
    }

    /// A page of referrers has no more than so many from now on.
    pub fn page_referrers_by(&self, most: usize) {
        self.state.store().referrers_page_max = Some(most);
    }

    /// Somebody pushes a chart as `helm push` does: its archive as the layer of an artifact. Tells the digest of the archive.
    pub fn publish_chart(&self, repository: &str, version: &str, archive: &[u8]) -> String {
        self.publish_chart_with(repository, version, archive, None)
    }

    /// The same with its provenance file, as helm pushes it where one is beside the archive.
    pub fn publish_proven_chart(&self, repository: &str, version: &str, archive: &[u8], provenance: &[u8]) -> String {
        self.publish_chart_with(repository, version, archive, Some(provenance))
    }

    fn publish_chart_with(&self, repository: &str, version: &str, archive: &[u8], provenance: Option<&[u8]>) -> String {
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let mut store = self.state.store();
        let (config, layer) = (store.put_blob(repository, b"{}"), store.put_blob(repository, archive));
        let mut layers = vec![serde_json::json!({
            "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": layer, "size": archive.len()
        })];
        layers.extend(provenance.map(|provenance| {
            let digest = store.put_blob(repository, provenance);
            let kind = "application/vnd.cncf.helm.chart.provenance.v1.prov";
            serde_json::json!({ "mediaType": kind, "digest": digest, "size": provenance.len() })
        }));
        let json = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": config, "size": 2 },
            "layers": layers,
        });
        let manifest = store::Manifest { media_type, bytes: json.to_string().into() };
        store.put_manifest(repository, &version.replace('+', "_"), manifest).expect("its blobs are there");
        layer
    }

    /// Somebody pushes a folder as `flux push artifact` does: packed as the layer of an artifact, which says where it is from. Tells
    /// the digest of its manifest.
    pub fn publish_folder(&self, repository: &str, tag: &str, layer: &[u8]) -> String {
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let mut store = self.state.store();
        let (config, blob) = (store.put_blob(repository, b"{}"), store.put_blob(repository, layer));
        let json = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": { "mediaType": "application/vnd.cncf.flux.config.v1+json", "digest": config, "size": 2 },
            "layers": [{
                "mediaType": "application/vnd.cncf.flux.content.v1.tar+gzip", "digest": blob, "size": layer.len()
            }],
            "annotations": {
                "org.opencontainers.image.created": "2026-11-30T10:00:00Z",
                "org.opencontainers.image.revision": format!("{tag}@sha1:1f3c2a9d"),
                "org.opencontainers.image.source": "https://git.example/ops/shop.git",
            },
        });
        let manifest = store::Manifest { media_type, bytes: json.to_string().into() };
        store.put_manifest(repository, tag, manifest).expect("its blobs are there")
    }

    /// Somebody puts what is no image beside an image, as programs that sign do: under a tag, or referring to this digest.
    /// Tells the digest of its manifest.
    pub fn attach(&self, repository: &str, to: &Beside<'_>, layers: &[Layer]) -> String {
        let mut store = self.state.store();
        let mut put = |bytes: &[u8]| store.put_blob(repository, bytes);
        let config = put(b"{}");
        let layer = |layer: &Layer| {
            let Layer { media_type, bytes, annotations } = layer;
            serde_json::json!({
                "mediaType": media_type, "digest": put(bytes), "size": bytes.len(), "annotations": annotations,
            })
        };
        let layers: Vec<_> = layers.iter().map(layer).collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let empty = serde_json::json!({
            "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2,
        });
        let mut json = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type, "config": empty, "layers": layers,
        });
        if let Beside::Referring { digest, artifact_type } = to {
            json["artifactType"] = (*artifact_type).into();
            json["subject"] = serde_json::json!({ "mediaType": media_type, "digest": digest, "size": 1 });
        }
        let bytes = json.to_string();
        let reference = match to {
            Beside::Tag(tag) => (*tag).to_owned(),
            Beside::Referring { .. } => store::digest_of(bytes.as_bytes()),
        };
        let manifest = store::Manifest { media_type, bytes: bytes.into() };
        store.put_manifest(repository, &reference, manifest).expect("a manifest whose blobs are there")
    }

    /// Digests of what refers to this digest.
    pub fn referrers(&self, repository: &str, digest: &str) -> Vec<String> {
        self.state.store().referrers(repository, digest).into_iter().map(|(digest, ..)| digest).collect()
    }

    /// Somebody deletes a tag.
    pub fn withdraw(&self, repository: &str, tag: &str) {
        self.state.store().delete_manifest(repository, tag);
    }

    /// How many requests were answered, by step. Requests that a fault met count as well.
    pub fn counts(&self) -> BTreeMap<Step, u64> {
        self.state.faults().counts.clone()
    }

    /// How many requests of one step were answered.
    pub fn count(&self, step: Step) -> u64 {
        self.counts().get(&step).copied().unwrap_or(0)
    }

    /// Switches a fault on for the next `times` requests of `step`; faults of one step are met in the order given.
    pub fn fail(&self, step: Step, fault: Fault, times: u32) {
        self.state.faults().add(step, fault, times);
    }

    /// It is a Harbor from now on, whose scanner finds this in every image.
    pub fn be_harbor(&self, found: &[Found]) {
        let mut harbor = self.state.harbor();
        (harbor.is_there, harbor.found) = (true, found.to_vec());
    }

    /// It is a plain registry again from now on.
    pub fn be_no_harbor(&self) {
        self.state.harbor().is_there = false;
    }

    /// Of this Harbor no login has this permission from now on: `scan:create`; all of them where none is named.
    pub fn deny(&self, permission: Option<&'static str>) {
        self.state.harbor().denied = permission;
    }

    /// This Harbor is without this project from now on; with all of them where none is named.
    pub fn lack_project(&self, project: Option<&'static str>) {
        self.state.harbor().lacks = project;
    }

    /// Each project needs so many bytes from now on, of so many that it may need; -1 is no limit.
    pub fn set_quota(&self, used: i64, hard: i64) {
        self.state.harbor().quota = (used, hard);
    }

    /// Tags of this project cannot be overwritten from now on: all where the pattern is `**`, those that begin so where it is `1.*`.
    pub fn make_immutable(&self, project: &str, repositories: &str, tags: &str) {
        self.state.harbor().rules.add(project, repositories, tags);
    }

    /// Every tag can be overwritten again.
    pub fn make_mutable(&self) {
        self.state.harbor().rules.clear();
    }

    /// Names of the labels that this Harbor has on an artifact, in order.
    pub fn labels(&self, repository: &str, digest: &str) -> Vec<String> {
        self.state.harbor().labels.names(repository, digest)
    }

    /// A scan that begins stays `Running` for as long as this is so.
    pub fn hold_scans(&self, are_held: bool) {
        self.state.harbor().are_held = are_held;
    }

    /// Scans end so from now on: `Success`, `Error`.
    pub fn end_scans(&self, with: &'static str) {
        self.state.harbor().ends_with = with;
    }

    /// Switches every fault off.
    pub fn heal(&self) {
        self.state.faults().clear();
    }

    /// From now on a manifest goes with its last tag, also where that moves to another, as in Gitea.
    pub fn let_go_untagged(&self) {
        self.state.store().lets_go_untagged = true;
    }

    /// Makes every token given so far worthless, as time does.
    pub fn expire_tokens(&self) {
        self.state.gate().expire_tokens();
    }

    /// Lets other people in from now on, as a changed password does.
    pub fn set_auth(&self, auth: Auth) {
        *self.state.gate() = Gate::new(auth);
    }

    /// Asks nobody at `/v2/` from now on, and at repositories as before: some of them may be open to everybody.
    pub fn open_version_check(&self) {
        self.state.gate().open_version = true;
    }

    /// Shows this certificate from now on to who speaks TLS, to connections that begin anew.
    pub async fn secure(&self, certificate: &Certificate) -> anyhow::Result<()> {
        Ok(self.server.secure(certificate).await?)
    }

    /// Nothing listens any more, and every connection is cut. What is stored stays.
    pub async fn away(&self) {
        self.server.away().await;
    }

    /// Listens again at the same address.
    pub async fn back(&self) -> anyhow::Result<()> {
        Ok(self.server.back().await?)
    }
}

impl State {
    /// What challenges name as the token realm's host.
    fn address(&self) -> &str {
        self.address.get().map_or("", String::as_str)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn harbor(&self) -> MutexGuard<'_, Harbor> {
        self.harbor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
