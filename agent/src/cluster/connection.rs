//! The connection to one cluster: kubeconfig, context, credentials and the client made from them.
//!
//! The client is made when it is first needed and made anew when a file that it came from changes, when the server does
//! not take its credentials any more, and when it cannot connect (a certificate may have been renewed). It is made on a
//! blocking thread, since a credential program (EKS, GKE, AKS) may take seconds, and by one caller at a time. Dead
//! credentials are not hammered: between two attempts at least [`REBUILD_PAUSE`] passes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cluster::config::{ClusterConfig, IN_CLUSTER};
use crate::cluster::problem::{ApiProblem, Class};

/// Files are looked at this often: a person who renews a login expects it to count at once.
const FILES_PAUSE: Duration = Duration::from_secs(2);

/// Between two clients that are made because the last one failed.
const REBUILD_PAUSE: Duration = Duration::from_secs(10);

/// A TCP and TLS handshake; what takes longer is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A credential program that takes longer hangs.
const BUILD_TIMEOUT: Duration = Duration::from_secs(60);

/// The connection.
pub(super) struct Connection {
    config: ClusterConfig,
    /// Copied in and out, never held over an await.
    built: Mutex<Option<Built>>,
    /// One builder at a time.
    building: tokio::sync::Mutex<Option<(Instant, ApiProblem)>>,
}

#[derive(Clone)]
struct Built {
    client: Client,
    made: Instant,
    looked: Instant,
    files: Arc<[(PathBuf, Stamp)]>,
    failed: bool,
}

type Stamp = Option<(SystemTime, u64)>;

impl Connection {
    pub(super) fn new(config: ClusterConfig) -> Self {
        Self { config, built: Mutex::new(None), building: tokio::sync::Mutex::new(None) }
    }

    /// A client that is as new as the files it came from.
    ///
    /// # Errors
    /// Where the kubeconfig, the context or the credential program do not do; told again to everyone until it is tried
    /// again after a pause or a change.
    pub(super) async fn client(&self) -> Result<Client, ApiProblem> {
        if let Some(client) = self.fresh() {
            return Ok(client);
        }
        let mut last = self.building.lock().await;
        if let Some(client) = self.fresh() {
            return Ok(client);
        }
        if let Some((at, problem)) = &*last
            && at.elapsed() < FILES_PAUSE
        {
            return Err(problem.clone());
        }
        match build(self.config.clone()).await {
            Ok((client, files)) => {
                let now = Instant::now();
                let built =
                    Built { client: client.clone(), made: now, looked: now, files: files.into(), failed: false };
                *self.built.lock().unwrap_or_else(PoisonError::into_inner) = Some(built);
                *last = None;
                Ok(client)
            }
            Err(problem) => {
                *last = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }

    /// Tells that the present client got this; where another one could do better, the next call makes one.
    /// True where it is worth trying at once.
    pub(super) fn failed(&self, class: Class) -> bool {
        if !matches!(class, Class::Unauthorized | Class::Away) {
            return false;
        }
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(built) = built.as_mut().filter(|built| built.made.elapsed() >= REBUILD_PAUSE) else { return false };
        built.failed = true;
        class == Class::Unauthorized
    }

    /// The present client, unless it failed or one of its files changed.
    fn fresh(&self) -> Option<Client> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let now = built.as_mut().filter(|built| !built.failed)?;
        if now.looked.elapsed() >= FILES_PAUSE {
            now.looked = Instant::now();
            if now.files.iter().any(|(path, stamp)| stamp_of(path) != *stamp) {
                tracing::info!(cluster = %self.config.name, "the kubeconfig changed: connecting anew");
                *built = None;
                return None;
            }
        }
        Some(now.client.clone())
    }
}

async fn build(config: ClusterConfig) -> Result<(Client, Vec<(PathBuf, Stamp)>), ApiProblem> {
    let doing = format!("connect to cluster {}", config.name);
    let runtime = tokio::runtime::Handle::current();
    let name = doing.clone();
    let task = tokio::task::spawn_blocking(move || runtime.block_on(build_blocking(&config, &name)));
    match tokio::time::timeout(BUILD_TIMEOUT, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(join)) => Err(ApiProblem::new(Class::Configuration, doing, join.to_string())),
        Err(_) => {
            let message = format!("the credential program did not end within {} s", BUILD_TIMEOUT.as_secs());
            Err(ApiProblem::new(Class::Configuration, doing, message))
        }
    }
}

async fn build_blocking(config: &ClusterConfig, doing: &str) -> Result<(Client, Vec<(PathBuf, Stamp)>), ApiProblem> {
    let bad = |error: &dyn std::error::Error| ApiProblem::new(Class::Configuration, doing, error.to_string());
    let (mut made, files) = if config.name == IN_CLUSTER {
        // Its token and its CA are files that the client itself reads again every minute.
        (Config::incluster().map_err(|error| bad(&error))?, Vec::new())
    } else {
        let paths = kubeconfig_paths(config);
        let mut kubeconfig = read(&paths, doing)?;
        let context = config.context().map(str::to_owned).or_else(|| kubeconfig.current_context.clone());
        prepare(&mut kubeconfig);
        let files = paths.into_iter().chain(files_of(&kubeconfig, context.as_deref()));
        let files = files.map(|path| (path.clone(), stamp_of(&path))).collect();
        let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        (Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| bad(&error))?, files)
    };
    made.connect_timeout = Some(CONNECT_TIMEOUT);
    // Retries are ours: they end with the deadline of the call, and tell the last answer of the server.
    made.default_retry = false;
    let client = Client::try_from(made).map_err(|error| ApiProblem::unanswered(doing, &error))?;
    Ok((client, files))
}

fn kubeconfig_paths(config: &ClusterConfig) -> Vec<PathBuf> {
    if let Some(path) = &config.kubeconfig {
        return vec![path.clone()];
    }
    if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        return std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect();
    }
    std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect()
}

/// As kubectl reads a list: files that are not there are passed over, unless none is.
fn read(paths: &[PathBuf], doing: &str) -> Result<Kubeconfig, ApiProblem> {
    let mut merged: Option<Kubeconfig> = None;
    for path in paths.iter().filter(|path| path.exists()) {
        let bad = |words: String| {
            ApiProblem::new(Class::Configuration, doing, format!("kubeconfig {}: {words}", path.display()))
        };
        let one = Kubeconfig::read_from(path).map_err(|error| bad(error.to_string()))?;
        merged = Some(match merged {
            Some(before) => before.merge(one).map_err(|error| bad(error.to_string()))?,
            None => one,
        });
    }
    merged.ok_or_else(|| {
        let named: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let message =
            format!("no kubeconfig at {}", if named.is_empty() { "~/.kube/config".into() } else { named.join(", ") });
        ApiProblem::new(Class::Configuration, doing, message)
    })
}

/// A daemon has nobody to ask: a credential program never gets the agent's terminal.
fn prepare(kubeconfig: &mut Kubeconfig) {
    let users = kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut());
    for exec in users.filter_map(|user| user.exec.as_mut()) {
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
}

/// The certificate and key files that the context names. Token files are read again by the client itself.
fn files_of(kubeconfig: &Kubeconfig, context: Option<&str>) -> Vec<PathBuf> {
    let contexts = || kubeconfig.contexts.iter();
    let Some(context) = contexts().find(|c| Some(&*c.name) == context).and_then(|c| c.context.as_ref()) else {
        return Vec::new();
    };
    let cluster = kubeconfig.clusters.iter().find(|c| c.name == context.cluster).and_then(|c| c.cluster.as_ref());
    let user = kubeconfig.auth_infos.iter().find(|u| Some(&u.name) == context.user.as_ref());
    let user = user.and_then(|u| u.auth_info.as_ref());
    [
        cluster.and_then(|c| c.certificate_authority.as_ref()),
        user.and_then(|u| u.client_certificate.as_ref()),
        user.and_then(|u| u.client_key.as_ref()),
    ]
    .into_iter()
    .flatten()
    .map(PathBuf::from)
    .collect()
}

fn stamp_of(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}
