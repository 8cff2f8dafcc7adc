//! Containers and networks of the stand-in engine. Nothing is run: a command is played by its words.
//!
//! A container whose command is empty is a service that runs until it is removed; of another one the words of `run.rs` do what
//! they say, and beside them: `env` prints the variables that the container was given, `reach NAME` fails where no running
//! container of its network has that alias, `forever` never ends, `swell` is ended by the kernel for its memory, and
//! `missing` is in no image. A shell's `-c` is read as what it would run.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::run::{Act, acts};
use super::{State, locked};

/// What is asked for with `POST /containers/create`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Asked {
    pub(super) image: String,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Vec<String>,
    labels: BTreeMap<String, String>,
    healthcheck: Option<Healthcheck>,
    host_config: HostConfig,
    networking_config: Networking,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    test: Vec<String>,
}

/// What a container may use, and where it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    memory: i64,
    pids_limit: Option<i64>,
    network_mode: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Networking {
    endpoints_config: BTreeMap<String, Endpoint>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Endpoint {
    aliases: Option<Vec<String>>,
}

/// Where a container stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) is_running: bool,
    pub(super) has_ended: bool,
    pub(super) exit_code: i64,
    is_out_of_memory: bool,
    /// What it wrote.
    pub(super) log: Vec<Bytes>,
    /// How often it was looked at: a health check needs a moment.
    looks: usize,
}

/// A container.
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    asked: Asked,
    pub(super) progress: watch::Sender<Progress>,
    at_work: Option<tokio::task::JoinHandle<()>>,
}

/// A network.
pub(super) struct Network {
    pub(super) name: String,
    labels: BTreeMap<String, String>,
}

/// All of both, by their ids.
#[derive(Default)]
pub(super) struct Containers {
    made: u64,
    pub(super) all: BTreeMap<String, Container>,
    pub(super) networks: BTreeMap<String, Network>,
}

/// A container that was asked for, as a test looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRecord {
    /// Its name.
    pub name: String,
    /// The id of its image.
    pub image: String,
    /// Bytes of memory, and processes.
    pub limits: (i64, Option<i64>),
    /// The network that it was put on; empty for the engine's own.
    pub network: String,
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(work) = &self.at_work {
            work.abort();
        }
    }
}

impl Containers {
    pub(super) fn create(&mut self, name: &str, image: String, asked: Asked) -> Result<String, (u16, String)> {
        let network = &asked.host_config.network_mode;
        if !network.is_empty() && self.networks.values().all(|one| one.name != *network) {
            return Err((404, format!("network {network} not found")));
        }
        if self.all.values().any(|one| one.name == name) {
            return Err((409, format!("Conflict. The container name \"/{name}\" is already in use")));
        }
        self.made += 1;
        let id = format!("{:064x}", self.made);
        let container =
            Container { name: name.to_owned(), image, asked, progress: watch::Sender::default(), at_work: None };
        self.all.insert(id.clone(), container);
        Ok(id)
    }

    pub(super) fn create_network(&mut self, name: &str, labels: BTreeMap<String, String>) -> String {
        self.made += 1;
        let id = format!("{:064x}", self.made);
        self.networks.insert(id.clone(), Network { name: name.to_owned(), labels });
        id
    }

    /// By id or by name.
    pub(super) fn find(&mut self, name: &str) -> Option<(&String, &mut Container)> {
        self.all.iter_mut().find(|(id, one)| *id == name || one.name == name)
    }

    /// Whether something that runs has this alias on a network.
    fn reaches(&self, network: &str, alias: &str) -> bool {
        self.all.values().any(|one| {
            let endpoint = one.asked.networking_config.endpoints_config.get(network);
            let aliases = endpoint.and_then(|endpoint| endpoint.aliases.as_ref());
            one.progress.borrow().is_running && aliases.is_some_and(|all| all.iter().any(|one| one == alias))
        })
    }
}

impl Container {
    pub(super) fn record(&self) -> ContainerRecord {
        let host = &self.asked.host_config;
        let (name, image, network) = (self.name.clone(), self.image.clone(), host.network_mode.clone());
        ContainerRecord { name, image, limits: (host.memory, host.pids_limit), network }
    }

    pub(super) fn has_label(&self, label: &str) -> bool {
        has(&self.asked.labels, label)
    }

    fn words(&self) -> Vec<String> {
        let words = self.asked.entrypoint.iter().chain(&self.asked.cmd).flatten().cloned();
        words.collect()
    }

    /// Begins it, in the daemon's words where it cannot.
    pub(super) fn start(&mut self, state: Arc<State>) -> Result<(), String> {
        let words = self.words();
        if words.first().is_some_and(|word| word == "missing") {
            return Err("failed to create task for container: failed to create shim task: OCI runtime create failed: runc \
                        create failed: unable to start container process: exec: \"missing\": executable file not found in \
                        $PATH: unknown"
                .to_owned());
        }
        let script = match &*words {
            [shell, flag, script, ..] if shell.ends_with("sh") && flag == "-c" => script.clone(),
            words => words.join(" "),
        };
        self.progress.send_modify(|progress| progress.is_running = true);
        let (progress, env, network) =
            (self.progress.clone(), self.asked.env.clone(), self.asked.host_config.network_mode.clone());
        if !script.is_empty() {
            self.at_work = Some(tokio::spawn(play(state, script, env, network, progress)));
        }
        Ok(())
    }

    pub(super) fn inspect(&self, id: &str) -> Value {
        let mut seen = Progress::default();
        self.progress.send_if_modified(|progress| {
            progress.looks += 1;
            seen = progress.clone();
            false
        });
        let test = self.asked.healthcheck.as_ref().map(|check| check.test.join(" ")).unwrap_or_default();
        let status = match (&*test, seen.looks) {
            ("", _) => Value::Null,
            (_, 1) => json!({ "Status": "starting" }),
            (test, _) if test.ends_with("false") => json!({ "Status": "unhealthy" }),
            _ => json!({ "Status": "healthy" }),
        };
        json!({
            "Id": id, "Name": format!("/{}", self.name), "Image": self.image,
            "State": {
                "Status": if seen.is_running { "running" } else { "exited" }, "Running": seen.is_running,
                "ExitCode": seen.exit_code, "OOMKilled": seen.is_out_of_memory, "Health": status,
            },
        })
    }
}

impl Network {
    pub(super) fn has_label(&self, label: &str) -> bool {
        has(&self.labels, label)
    }
}

fn has(labels: &BTreeMap<String, String>, label: &str) -> bool {
    label.split_once('=').is_some_and(|(key, value)| labels.get(key).is_some_and(|of| of == value))
}

/// Plays a command to its end.
async fn play(state: Arc<State>, script: String, env: Vec<String>, network: String, progress: watch::Sender<Progress>) {
    let print = |text: String| progress.send_modify(|progress| progress.log.push(text.into()));
    let mut code = 0;
    let mut is_out_of_memory = false;
    for act in acts(&script) {
        match act {
            Act::Exit(number) => code = number,
            Act::Sleep(time) => tokio::time::sleep(time).await,
            Act::Print(text) => print(text),
            Act::Fill(line, bytes) => {
                // The same piece again and again: what is kept of it is one.
                let piece = Bytes::from(line);
                let times = bytes.div_ceil(piece.len().max(1));
                progress.send_modify(|progress| progress.log.extend(std::iter::repeat_n(piece.clone(), times)));
            }
            Act::Other(words) => match words.split_once(' ').unwrap_or((&*words, "")) {
                ("env", _) => print(env.iter().map(|one| format!("{one}\n")).collect()),
                ("reach", alias) if locked(&state.containers).reaches(&network, alias.trim()) => {}
                ("reach", alias) => {
                    print(format!("bad address '{}'\n", alias.trim()));
                    code = 1;
                }
                ("forever", _) => std::future::pending().await,
                ("swell", _) => (code, is_out_of_memory) = (137, true),
                _ => print(format!("(the stand-in engine does not run: {words})\n")),
            },
        }
        if code != 0 {
            break;
        }
    }
    progress.send_modify(|progress| {
        (progress.is_running, progress.has_ended) = (false, true);
        (progress.exit_code, progress.is_out_of_memory) = (code, is_out_of_memory);
    });
}
