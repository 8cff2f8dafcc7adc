//! Packaged charts, and a stand-in chart repository: `index.yaml` and archives over loopback HTTP, with a login and with faults
//! to switch on.
//!
//! It does what `helm repo index` and a web server do together. It does NOT do: uploads (ChartMuseum's API), caching headers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Response, header};
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};

use crate::serve::{Answer, Place, Server};

/// A chart as `helm package` writes it: files by their paths below its folder, and a `Chart.yaml`.
pub fn package(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let about = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let chart = [("Chart.yaml", about.as_str())];
    let files: Vec<_> = chart.iter().chain(files).map(|(path, text)| (format!("{name}/{path}"), *text)).collect();
    archive(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>())
}

/// An archive with these paths as they are, also such as no packer writes.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        header.set_cksum();
        tar.append(&header, text.as_bytes()).expect("an archive in memory");
    }
    tar.into_inner().and_then(GzEncoder::finish).expect("an archive in memory")
}

/// A running chart repository; gone when dropped.
pub struct ChartRepository {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// A way to go wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers each request with this status.
    Status(u16),
    /// Answers each archive with other bytes than the index says.
    OtherBytes,
    /// Sends who asks for an archive to this address, with the name of its file behind it.
    Redirect(String),
}

#[derive(Default)]
struct State {
    /// By chart and version: the file, and where it is; below the repository where that is empty.
    charts: BTreeMap<String, BTreeMap<String, (String, String)>>,
    /// By their names.
    files: BTreeMap<String, Vec<u8>>,
    login: Option<String>,
    fault: Option<Fault>,
    /// What was asked, with what stood in `Authorization`.
    asked: Vec<(String, Option<String>)>,
}

impl ChartRepository {
    /// Starts one without charts.
    pub async fn start() -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let answer = move |request: Request<Incoming>| {
            let answer = lock(&shared).answer(&request);
            Box::pin(async move { answer }) as _
        };
        Ok(Self { server: Server::start(Place::loopback(0), Arc::new(answer)).await?, state })
    }

    /// Where its index is, without the name of the file.
    pub fn address(&self) -> String {
        format!("http://{}/stable", self.server.address())
    }

    /// Somebody publishes an archive as a version of a chart.
    pub fn publish(&self, name: &str, version: &str, archive: Vec<u8>) {
        self.publish_at(name, version, archive, "");
    }

    /// Somebody publishes the provenance file of a version that is published.
    pub fn prove(&self, name: &str, version: &str, provenance: &str) {
        self.state().files.insert(format!("{name}-{version}.tgz.prov"), provenance.as_bytes().to_vec());
    }

    /// The same, and the index says that it is below this address.
    pub fn publish_at(&self, name: &str, version: &str, archive: Vec<u8>, below: &str) {
        let file = format!("{name}-{version}.tgz");
        let mut state = self.state();
        state.files.insert(file.clone(), archive);
        state.charts.entry(name.to_owned()).or_default().insert(version.to_owned(), (file, below.to_owned()));
    }

    /// Somebody puts a file beside the archives, or another one in its place; its address.
    pub fn put(&self, name: &str, content: &str) -> String {
        self.state().files.insert(name.to_owned(), content.as_bytes().to_vec());
        format!("{}/{name}", self.address())
    }

    /// Lets nobody in from now on but this user.
    pub fn require(&self, user: &str, password: &str) {
        self.state().login = Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))));
    }

    /// Goes wrong so from now on, or not any more.
    pub fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// How often a path that ends so was asked for.
    pub fn asked(&self, ending: &str) -> usize {
        self.state().asked.iter().filter(|(path, _)| path.ends_with(ending)).count()
    }

    /// How often a login was shown.
    pub fn logins(&self) -> usize {
        self.state().asked.iter().filter(|(_, login)| login.is_some()).count()
    }

    /// Nothing listens any more.
    pub async fn away(&self) {
        self.server.away().await;
    }

    /// Listens again at the same address.
    pub async fn back(&self) -> std::io::Result<()> {
        self.server.back().await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, request: &Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let login = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.asked.push((path.clone(), login.map(str::to_owned)));
        let answer = |status: u16, body: Vec<u8>| {
            Ok(Response::builder().status(status).body(Body::from(body)).expect("a plain answer"))
        };
        if self.login.is_some() && self.login.as_deref() != login {
            return answer(401, b"who are you?".to_vec());
        }
        if let Some(Fault::Status(status)) = self.fault {
            return answer(status, b"on purpose".to_vec());
        }
        let Some(file) = path.strip_prefix("/stable/") else { return answer(404, Vec::new()) };
        if file == "index.yaml" {
            return answer(200, self.index().into_bytes());
        }
        match (self.files.get(file), &self.fault) {
            (Some(_), Some(Fault::OtherBytes)) => answer(200, package("other", "1.0.0", &[])),
            (Some(_), Some(Fault::Redirect(to))) => {
                let to = format!("{to}/{file}");
                Ok(Response::builder()
                    .status(302)
                    .header(header::LOCATION, to)
                    .body(Body::empty())
                    .expect("a redirect"))
            }
            (Some(bytes), _) => answer(200, bytes.clone()),
            (None, _) => answer(404, Vec::new()),
        }
    }

    fn index(&self) -> String {
        if self.charts.is_empty() {
            return "apiVersion: v1\nentries: {}\n".to_owned();
        }
        let mut index = "apiVersion: v1\nentries:\n".to_owned();
        for (name, versions) in &self.charts {
            index += &format!("  {name}:\n");
            for (version, (file, below)) in versions {
                let digest: String =
                    Sha256::digest(&self.files[file]).iter().map(|byte| format!("{byte:02x}")).collect();
                let at = if below.is_empty() { file.clone() } else { format!("{below}/{file}") };
                index += &format!("  - version: {version}\n    digest: {digest}\n    urls: [\"{at}\"]\n");
            }
        }
        index
    }
}
