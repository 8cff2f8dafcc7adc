//! Finds the container engine as the `docker` program would, and Podman's sockets after that.
//!
//! The order: `address` in our configuration, `DOCKER_HOST`, the current Docker context, `/var/run/docker.sock`, Podman's socket of
//! this user, Podman's socket of the system. What a person named is used or is an error; only the usual places are tried in turn.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::engine::BuildError;

/// Where an engine may be, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) host: Host,
    pub(super) from: String,
}

/// How an engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Unix(PathBuf),
    /// `host:port`, in the clear.
    Tcp(String),
    /// `host:port`, with `ca.pem`, `cert.pem` and `key.pem` in a folder.
    Tls {
        address: String,
        certificates: PathBuf,
    },
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Unix(path) => write!(f, "unix://{}", path.display()),
            Host::Tcp(address) | Host::Tls { address, .. } => write!(f, "tcp://{address}"),
        }
    }
}

/// The part of the surroundings that says where an engine is.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `DOCKER_HOST`
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`
    pub docker_context: Option<String>,
    /// `DOCKER_TLS_VERIFY`
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_CONFIG`, or `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// Sockets to try where nobody named an engine, in this order.
    pub usual_sockets: Vec<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub fn of_this_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let docker_config = variable("DOCKER_CONFIG").map(PathBuf::from);
        let home = || variable("HOME").map(|home| Path::new(&home).join(".docker"));
        let uid = rustix::process::getuid().as_raw();
        let runtime =
            variable("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from(format!("/run/user/{uid}")), PathBuf::from);
        Self {
            docker_host: variable("DOCKER_HOST"),
            docker_context: variable("DOCKER_CONTEXT"),
            tls_verify: variable("DOCKER_TLS_VERIFY").is_some(),
            cert_path: variable("DOCKER_CERT_PATH").map(PathBuf::from),
            docker_config: docker_config.or_else(home),
            usual_sockets: vec![
                PathBuf::from("/var/run/docker.sock"),
                runtime.join("docker.sock"), // rootless Docker
                runtime.join("podman/podman.sock"),
                PathBuf::from("/run/podman/podman.sock"),
            ],
        }
    }
}

/// The places to try, best first: one if somebody named it, else the usual ones that are there.
pub(super) fn candidates(address: Option<&str>, environment: &Environment) -> Result<Vec<Candidate>, BuildError> {
    let certificates = environment
        .tls_verify
        .then(|| environment.cert_path.clone().or_else(|| environment.docker_config.clone()).unwrap_or_default());
    if let Some(address) = address {
        return Ok(vec![parse(address, "[engine] address", certificates)?]);
    }
    if let Some(address) = &environment.docker_host {
        return Ok(vec![parse(address, "DOCKER_HOST", certificates)?]);
    }
    if let Some(candidate) = docker_context(environment)? {
        return Ok(vec![candidate]);
    }
    let there = environment.usual_sockets.iter().filter(|path| path.exists());
    let found: Vec<Candidate> =
        there.map(|path| Candidate { host: Host::Unix(path.clone()), from: "the usual places".to_owned() }).collect();
    if found.is_empty() {
        let tried = environment.usual_sockets.iter().map(|path| path.display().to_string()).collect();
        return Err(BuildError::NoEngine { tried });
    }
    Ok(found)
}

fn parse(address: &str, from: &str, certificates: Option<PathBuf>) -> Result<Candidate, BuildError> {
    let refuse =
        |why: &str| BuildError::Address { address: address.to_owned(), from: from.to_owned(), why: why.to_owned() };
    let from = from.to_owned();
    if let Some(path) = address.strip_prefix("unix://").or_else(|| address.starts_with('/').then_some(address)) {
        let absolute = path.starts_with('/');
        return if absolute {
            Ok(Candidate { host: Host::Unix(path.into()), from })
        } else {
            Err(refuse("a socket needs its whole path, as unix:///var/run/docker.sock"))
        };
    }
    let rest = ["tcp://", "http://", "https://"].iter().find_map(|scheme| address.strip_prefix(scheme));
    let Some(rest) = rest else {
        let why = if address.starts_with("ssh://") {
            "ssh is not spoken here; forward the socket: ssh -L /run/user/1000/docker.sock:/var/run/docker.sock HOST"
        } else {
            "write unix:///path/to.sock or tcp://host:port"
        };
        return Err(refuse(why));
    };
    let rest = rest.trim_end_matches('/').to_owned();
    if rest.is_empty() || rest.contains('/') {
        return Err(refuse("write tcp://host:port, with nothing behind the port"));
    }
    let host = match certificates {
        Some(certificates) => Host::Tls { address: rest, certificates },
        None if address.starts_with("https://") => {
            return Err(refuse("https needs DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"));
        }
        None => Host::Tcp(rest),
    };
    Ok(Candidate { host, from })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextMeta {
    endpoints: std::collections::BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(default)]
    host: String,
}

/// The engine of the current context: `contexts/meta/<sha256 of its name>/meta.json` below Docker's configuration.
fn docker_context(environment: &Environment) -> Result<Option<Candidate>, BuildError> {
    let Some(folder) = &environment.docker_config else { return Ok(None) };
    let config =
        || -> Option<DockerConfig> { serde_json::from_slice(&std::fs::read(folder.join("config.json")).ok()?).ok() };
    let name = environment.docker_context.clone().or_else(|| config().map(|config| config.current_context));
    let Some(name) = name.filter(|name| !name.is_empty() && name != "default") else { return Ok(None) };

    let from = format!("the Docker context {name}");
    let hash: String = Sha256::digest(&name).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = folder.join("contexts/meta").join(&hash).join("meta.json");
    let broken = |why: String| BuildError::Address { address: name.clone(), from: from.clone(), why };
    let bytes = std::fs::read(&meta).map_err(|error| broken(format!("reading {}: {error}", meta.display())))?;
    let parsed: ContextMeta =
        serde_json::from_slice(&bytes).map_err(|error| broken(format!("reading {}: {error}", meta.display())))?;
    let endpoint = parsed.endpoints.get("docker").ok_or_else(|| broken("it names no docker endpoint".to_owned()))?;
    let certificates = folder.join("contexts/tls").join(&hash).join("docker");
    parse(&endpoint.host, &from, certificates.is_dir().then_some(certificates)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: Option<&str>, environment: &Environment) -> String {
        match candidates(address, environment) {
            Ok(all) => all.iter().map(|c| format!("{} ({})", c.host, c.from)).collect::<Vec<_>>().join(", "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_a_person_named_is_used_or_refused() {
        let environment = Environment { docker_host: Some("tcp://build:2375".to_owned()), ..Environment::default() };
        assert_eq!(found(None, &environment), "tcp://build:2375 (DOCKER_HOST)");
        assert_eq!(found(Some("unix:///run/x.sock"), &environment), "unix:///run/x.sock ([engine] address)");
        assert_eq!(found(Some("/run/x.sock"), &environment), "unix:///run/x.sock ([engine] address)");
        for (address, why) in [
            ("ssh://me@host", "ssh is not spoken here"),
            ("docker.sock", "write unix:///path/to.sock"),
            ("unix://docker.sock", "needs its whole path"),
            ("tcp://host:1/path", "nothing behind the port"),
            ("https://host:2376", "DOCKER_TLS_VERIFY=1"),
        ] {
            assert!(found(Some(address), &environment).contains(why), "{address}");
        }
        let secure = Environment { tls_verify: true, cert_path: Some("/certs".into()), ..environment };
        let host = candidates(None, &secure).unwrap().remove(0).host;
        assert_eq!(host, Host::Tls { address: "build:2375".to_owned(), certificates: "/certs".into() });
    }

    #[test]
    fn the_current_context_is_read_from_dockers_files() {
        let folder = tempfile::tempdir().unwrap();
        let hash: String = Sha256::digest("far").iter().map(|byte| format!("{byte:02x}")).collect();
        let meta = folder.path().join("contexts/meta").join(&hash);
        std::fs::create_dir_all(&meta).unwrap();
        let json =
            r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far:2376","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), json).unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"auths":{},"currentContext":"far"}"#).unwrap();
        let mut environment = Environment { docker_config: Some(folder.path().into()), ..Environment::default() };
        assert_eq!(found(None, &environment), "tcp://far:2376 (the Docker context far)");
        environment.docker_context = Some("gone".to_owned());
        assert!(found(None, &environment).contains("the Docker context gone"), "{}", found(None, &environment));
        environment.docker_context = Some("default".to_owned());
        assert!(found(None, &environment).contains("no container engine was found"));
    }

    #[test]
    fn the_usual_sockets_are_tried_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let sockets: Vec<PathBuf> =
            ["a.sock", "b.sock", "c.sock"].iter().map(|name| folder.path().join(name)).collect();
        std::fs::write(&sockets[1], "").unwrap();
        std::fs::write(&sockets[2], "").unwrap();
        let environment = Environment { usual_sockets: sockets.clone(), ..Environment::default() };
        let hosts: Vec<Host> = candidates(None, &environment).unwrap().into_iter().map(|c| c.host).collect();
        assert_eq!(hosts, [Host::Unix(sockets[1].clone()), Host::Unix(sockets[2].clone())]);
    }
}
