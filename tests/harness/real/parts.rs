//! The real parts as tests and playground use them: the world that `tests/real/world` sets up, the forge's API, plain git, kubectl.
//!
//! Nothing here knows the story. Secrets go to programs by environment or by file, never as arguments.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How `tests/real/world` says that this machine cannot do it.
pub const CANNOT: i32 = 3;

/// How long one small request may take before it counts as failed.
const REQUEST: Duration = Duration::from_secs(10);

/// A running world, told by `world env`.
#[derive(Clone)]
pub struct Parts {
    told: BTreeMap<String, String>,
    /// Whether it runs for us alone, and ends with us.
    ours: bool,
}

/// `tests/real/world` said that this machine cannot do it, in its own words on standard error.
#[derive(Debug, thiserror::Error)]
#[error("there is no real world on this machine")]
pub struct NoWorld;

impl Parts {
    /// The world that runs; without one, the error says how to start it. Looked at once a process: afterwards stories may
    /// have stopped a part of it.
    pub fn running() -> anyhow::Result<Self> {
        static RUNNING: Mutex<Option<Parts>> = Mutex::new(None);
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = &*running {
            return Ok(parts.clone());
        }
        let runs = world("status").output().context("cannot run tests/real/world")?.status.success();
        ensure!(runs, "no world runs: start one with `tests/real/world up` (as root)");
        Ok(running.insert(Self::told(false)?).clone())
    }

    /// The world that runs, or one that is started now and ends with [`Parts::end`].
    pub fn up() -> anyhow::Result<Self> {
        let ours = !world("status").output().context("cannot run tests/real/world")?.status.success();
        if ours {
            let status = world("up").stdout(std::process::Stdio::null()).status()?;
            if status.code() == Some(CANNOT) {
                return Err(NoWorld.into());
            }
            ensure!(status.success(), "tests/real/world up failed");
        }
        Self::told(ours)
    }

    fn told(ours: bool) -> anyhow::Result<Self> {
        let told = String::from_utf8(said(&mut world("env"))?.stdout)?;
        let told = told.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned()));
        Ok(Self { told: told.collect(), ours })
    }

    /// Ends the world if it was started for us.
    pub fn end(&self) -> anyhow::Result<()> {
        if self.ours {
            said(world("down").stdout(std::process::Stdio::null()))?;
        }
        Ok(())
    }

    /// What the world tells under a name of `world.env`.
    pub fn get(&self, name: &str) -> &str {
        self.told.get(name).map_or("", String::as_str)
    }

    /// Where programs are found, those of the world first: kubectl, helm.
    pub fn path_with_programs(&self) -> anyhow::Result<PathBuf> {
        let others = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.get("WORLD_BIN").into()).chain(std::env::split_paths(&others));
        Ok(std::env::join_paths(all)?.into())
    }

    /// Runs kubectl on the world's cluster and gives what it printed.
    pub fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        self.kubectl_with(words, &[])
    }

    /// The same, with more in its environment.
    pub fn kubectl_with(&self, words: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut command = Command::new(Path::new(self.get("WORLD_BIN")).join("kubectl"));
        command.args(words).env("KUBECONFIG", self.get("KUBECONFIG")).env("KUBECACHEDIR", self.get("KUBECACHEDIR"));
        command.envs(environment.iter().copied());
        Ok(String::from_utf8(said(&mut command)?.stdout)?)
    }

    /// Runs the docker client on the world's engine and gives what it printed.
    pub fn docker(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(Path::new(self.get("WORLD_BIN")).join("docker"));
        command.args(words).env("DOCKER_HOST", self.get("DOCKER_HOST")).env("DOCKER_CONFIG", self.get("DOCKER_CONFIG"));
        Ok(String::from_utf8(said(&mut command)?.stdout)?)
    }

    /// Asks the forge's API; a status that is no success is an error with the forge's words.
    pub async fn forge(&self, method: &str, path: &str, body: &str) -> anyhow::Result<String> {
        let host = self.get("FORGE_URL").trim_start_matches("http://");
        let head = format!(
            "Authorization: token {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.get("FORGE_TOKEN"),
            body.len()
        );
        let (status, text) = http(host, method, &format!("/api/v1{path}"), &head, body).await?;
        ensure!((200..300).contains(&status), "the forge answered {method} {path} with {status}: {text}");
        Ok(text)
    }

    /// A working clone of a repository of the forge's user, over ssh or over http with a token.
    pub fn checkout(&self, way: Way, name: &str, into: PathBuf) -> anyhow::Result<Checkout> {
        let user = self.get("FORGE_USER");
        let (base, login) = match way {
            Way::Ssh => {
                let (key, hosts) = (self.get("FORGE_SSH_KEY"), self.get("FORGE_KNOWN_HOSTS"));
                let ssh = format!("ssh -o BatchMode=yes -o IdentitiesOnly=yes -i {key} -o UserKnownHostsFile={hosts}");
                (self.get("FORGE_SSH"), format!("[core]\n\tsshCommand = {ssh}\n"))
            }
            Way::Http => {
                let login = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{}", self.get("FORGE_TOKEN")));
                (self.get("FORGE_URL"), format!("[http]\n\textraHeader = Authorization: Basic {login}\n"))
            }
        };
        let url = format!("{base}/{user}/{name}.git");
        let clone = Checkout { folder: into, url };
        std::fs::create_dir_all(&clone.folder)?;
        clone.git(&["init", "--quiet", "--initial-branch", "main"])?;
        // In its own configuration, so that it is the clone of whoever stands in it, as the playground offers it.
        let mut config = std::fs::OpenOptions::new().append(true).open(clone.folder.join(".git/config"))?;
        config.write_all(format!("{login}[user]\n\tname = Tour\n\temail = tour@example.test\n").as_bytes())?;
        clone.git(&["remote", "add", "origin", &clone.url])?;
        Ok(clone)
    }
}

/// How a repository of the forge is reached.
#[derive(Clone, Copy)]
pub enum Way {
    /// With the forge user's key.
    Ssh,
    /// With a token.
    Http,
}

/// A person's working clone.
pub struct Checkout {
    folder: PathBuf,
    /// The address of the repository, without secrets.
    pub url: String,
}

impl Checkout {
    /// Runs git in it and gives what it printed.
    pub fn git(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("git");
        command.args(words).current_dir(&self.folder);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
        Ok(String::from_utf8(said(&mut command)?.stdout)?.trim().to_owned())
    }

    /// Writes files, commits them on top of what the forge has, and pushes. The commit's id.
    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> anyhow::Result<String> {
        if self.git(&["ls-remote", "--heads", "origin", "main"])?.contains("refs/heads/main") {
            self.pull()?;
        }
        self.write_and_push(files, message)
    }

    /// As [`Checkout::commit`], and the folder holds these files and no others then.
    pub fn replace(&self, folder: &str, files: &[(&str, &str)], message: &str) -> anyhow::Result<String> {
        self.pull()?;
        std::fs::remove_dir_all(self.folder.join(folder))?;
        self.write_and_push(files, message)
    }

    fn write_and_push(&self, files: &[(&str, &str)], message: &str) -> anyhow::Result<String> {
        for (path, text) in files {
            let path = self.folder.join(path);
            std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            std::fs::write(path, text)?;
        }
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        self.git(&["push", "--quiet", "origin", "HEAD:main"])?;
        self.git(&["rev-parse", "HEAD"])
    }

    /// Takes what the forge has on main.
    pub fn pull(&self) -> anyhow::Result<()> {
        self.git(&["fetch", "--quiet", "origin", "main"])?;
        self.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]).map(drop)
    }

    /// Pushes a tag of the newest commit.
    pub fn tag(&self, name: &str) -> anyhow::Result<()> {
        self.git(&["tag", name])?;
        self.git(&["push", "--quiet", "origin", name]).map(drop)
    }
}

/// One HTTP request on a connection of its own: its status and body. `head` is whole header lines.
pub async fn http(host: &str, method: &str, path: &str, head: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let talk = async {
        let mut connection = tokio::net::TcpStream::connect(host).await?;
        // HTTP/1.0, so that the answer comes whole and ends with the connection.
        let request = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{head}\r\n{body}");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("the answer has no status")?;
        Ok((status, body.to_owned()))
    };
    tokio::time::timeout(REQUEST, talk).await.with_context(|| format!("{host} does not answer"))?
}

/// `tests/real/world` with a command: `up`, `down`, `status`, `env`, and `stop` or `start` with a part.
pub fn world(command: &str) -> Command {
    let mut world = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/real/world"));
    world.arg(command);
    world
}

/// Runs a program; if it fails, the error has its words.
pub fn said(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_string_lossy).collect();
        let program = command.get_program().display();
        bail!("{program} {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}
