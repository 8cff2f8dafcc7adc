//! The program: how it is found, started, read and ended, and what its end means.
//!
//! Of our environment it gets what it needs to reach a daemon, which it may do through other programs (`ssh`, `kubectl`,
//! `docker`). It has a folder of its own for this user alone, gone when it ends, with the logins as docker keeps them. It is
//! ended with its whole group when a person cancels: the daemon sees the connection end, and stops the build.

use std::fs::Permissions;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::arguments::{self, CONTEXT, Call, Daemon, OUTPUT};
use super::error::BuildkitError;
use super::status::status;
use super::{BuildkitEngine, folder};
use crate::engine::docker::send;
use crate::engine::progress::BuildkitProgress;
use crate::engine::{BuildError, BuildRequest, BuiltImage, GivenValue, Progress, Sink, masking, plain};
use crate::registry::credentials::Login;
use crate::registry::docker_config::for_programs;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::output::{Lines, Mask, one_line};
use quarterdeck_system::program::{self, Bounds, Finished, Limits, ProgramError, Running};

/// The longest line: a message of BuildKit has 16 MiB at most, and logs in it are a third longer in base64.
const LINE_BYTES_MAX: u64 = 32 << 20;

/// Of the program's own words the end is kept, where it says why it failed: the lines of the Dockerfile around it fit.
const WORDS_BYTES_MAX: usize = 8 << 10;

/// Its own patience with a daemon that does not answer is five seconds, and a program between may need some more.
const WORKERS_LIMITS: Limits = Limits { time: Duration::from_secs(14), output_bytes: 4 << 20 };

/// What of our environment it gets.
const ENVIRONMENT: [&str; 22] = [
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "CONTAINER_HOST",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "https_proxy",
    "no_proxy",
];

/// The workers of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// The daemon's version: `v0.26.3`.
    pub version: String,
    /// What they build for without more emulation, as `linux/amd64`.
    pub platforms: Vec<String>,
}

/// Asks a daemon for its workers.
pub(super) async fn workers(search_path: &std::ffi::OsStr, daemon: &Daemon) -> Result<Workers, BuildkitError> {
    let doing = "asking for its workers";
    let mut command = bare(search_path, daemon)?;
    command.args(arguments::workers(daemon));
    let finished = program::run_beside(command, Vec::new(), WORKERS_LIMITS).await.and_then(Finished::successful);
    let printed = finished.map_err(|error| match error {
        ProgramError::Failed { stderr, .. } => failed(daemon, doing, last_words(&stderr)),
        ProgramError::Start(source) | ProgramError::Wait(source) => {
            BuildkitError::Program { doing: doing.to_owned(), source }
        }
        other => {
            BuildkitError::Away { address: daemon.address.clone(), doing: doing.to_owned(), message: other.to_string() }
        }
    })?;
    read_workers(&printed.stdout).ok_or_else(|| BuildkitError::Failed {
        doing: doing.to_owned(),
        message: "it does not print the workers as JSON: install buildctl 0.11 or newer".to_owned(),
    })
}

fn read_workers(json: &[u8]) -> Option<Workers> {
    #[derive(Deserialize)]
    struct Worker {
        #[serde(default)]
        platforms: Vec<Platform>,
        #[serde(rename = "buildkitVersion")]
        version: Option<Version>,
    }
    #[derive(Deserialize)]
    struct Platform {
        os: String,
        architecture: String,
        variant: Option<String>,
    }
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    let workers: Vec<Worker> = serde_json::from_slice(json).ok()?;
    let mut platforms = Vec::new();
    for Platform { os, architecture, variant } in workers.iter().flat_map(|worker| &worker.platforms) {
        let variant = variant.as_ref().filter(|variant| !variant.is_empty());
        let name = variant.map_or_else(|| format!("{os}/{architecture}"), |v| format!("{os}/{architecture}/{v}"));
        if !platforms.contains(&name) {
            platforms.push(name);
        }
    }
    let version = workers.iter().find_map(|worker| Some(worker.version.as_ref()?.version.clone()));
    Some(Workers { version: version.unwrap_or_else(|| "unknown".to_owned()), platforms })
}

/// Builds an image, and keeps it where it has a name.
pub(super) async fn build(
    engine: &BuildkitEngine,
    request: BuildRequest,
    sink: &Sink,
    cancel: &CancellationToken,
) -> Result<BuiltImage, BuildError> {
    let image = request.tags.first().map_or_else(|| "an image without a name".to_owned(), ImageRef::to_string);
    let doing = format!("building {image}");
    let secrets = request.args.values().filter_map(GivenValue::secret).chain(request.secrets.values());
    let mask = masking(secrets.chain(request.logins.values().map(Login::secret)).collect());
    let Call { arguments, secrets } = arguments::build(&engine.daemon, &request)?;
    let mut command = bare(&engine.search_path, &engine.daemon)?;

    let place = Place::make(&engine.scratch, &doing)?;
    place.write_logins(&request).map_err(|source| place.cannot(&doing, source))?;
    let context = place.folder.path().join(CONTEXT);
    let (tags, labels) = (request.tags.clone(), request.labels.clone());
    // Until the program has ended.
    let _keys = request.ssh.clone();
    write_context(request, context, sink).await?;
    command.args(arguments).envs(secrets.iter().map(|(name, secret)| (name, secret.expose_secret())));
    command.current_dir(place.folder.path()).env("DOCKER_CONFIG", place.folder.path());

    let told = Telling { mask: mask.clone(), sink: sink.clone() };
    let ended = follow(command, told, &doing, engine.limits.build_silent, cancel).await?;
    if !ended.status.success() {
        let said = ended.said.trim();
        return Err(failure(&engine.daemon, &image, &doing, ended.vertex.as_deref(), &one_line(&mask, said)));
    }
    if tags.is_empty() {
        return Ok(BuiltImage { id: String::new(), size_bytes: 0, names: Vec::new() });
    }
    let built = engine.store().keep(place.folder.path().join(OUTPUT), labels, &tags).await?;
    send(sink, Progress::Percent(100)).await;
    Ok(built)
}

/// Where one build works.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn make(scratch: &Path, doing: &str) -> Result<Self, BuildkitError> {
        let cannot = |source| BuildkitError::Write { doing: doing.to_owned(), path: scratch.to_owned(), source };
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("quarterdeck-build-").permissions(private).tempdir_in(scratch);
        let folder = folder.map_err(cannot)?;
        let place = Self { folder };
        std::fs::create_dir(place.folder.path().join(CONTEXT)).map_err(cannot)?;
        Ok(place)
    }

    fn write_logins(&self, request: &BuildRequest) -> io::Result<()> {
        std::fs::write(self.folder.path().join("config.json"), for_programs(&request.logins).expose_secret())
    }

    fn cannot(&self, doing: &str, source: io::Error) -> BuildkitError {
        BuildkitError::Write { doing: doing.to_owned(), path: self.folder.path().to_owned(), source }
    }
}

async fn write_context(request: BuildRequest, folder: PathBuf, sink: &Sink) -> Result<(), BuildError> {
    let (sink, span) = (sink.clone(), tracing::Span::current());
    let write = move || {
        let tell = |warning| drop(sink.blocking_send(Progress::Line(format!("warning: {warning}"))));
        span.in_scope(|| folder::write(&request, &folder, tell))
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// The program with the part of our environment that it gets.
fn bare(search_path: &std::ffi::OsStr, daemon: &Daemon) -> Result<Command, BuildkitError> {
    let path = program::find("buildctl", search_path).ok_or(BuildkitError::Missing)?;
    for (option, file) in daemon.files() {
        std::fs::File::open(file).map_err(|source| BuildkitError::File { option, path: file.clone(), source })?;
    }
    let mut command = Command::new(path);
    command.env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    Ok(command)
}

/// How it ended.
struct Ended {
    status: ExitStatus,
    /// The end of its own words.
    said: String,
    /// What the step that failed says.
    vertex: Option<String>,
}

/// Where its output goes.
struct Telling {
    mask: Mask,
    sink: Sink,
}

/// Silence that is too long, and a person who waits no longer.
struct Patience {
    silent: Duration,
    cancel: CancellationToken,
    is_silent: AtomicBool,
}

impl Bounds for Patience {
    fn patience(&self) -> io::Result<Duration> {
        // Of another kind than an interrupted read, which readers take up again.
        if self.cancel.is_cancelled() { Err(io::Error::other("it was cancelled")) } else { Ok(self.silent) }
    }

    /// What is kept of it is bounded by the log of the run.
    fn count(&self, _: usize) -> io::Result<()> {
        self.patience().map(drop)
    }

    fn timed_out(&self) -> io::Error {
        self.is_silent.store(true, Ordering::Relaxed);
        io::ErrorKind::TimedOut.into()
    }
}

/// Runs it to its end. It ends early when `cancel` says so, or when nobody waits for this any more.
async fn follow(
    command: Command,
    told: Telling,
    doing: &str,
    silent: Duration,
    cancel: &CancellationToken,
) -> Result<Ended, BuildError> {
    let own = cancel.child_token();
    let _ends_with_this = own.clone().drop_guard();
    let bounds = Arc::new(Patience { silent, cancel: own.clone(), is_silent: AtomicBool::new(false) });
    let (span, patience) = (tracing::Span::current(), bounds.clone());
    let read = tokio::task::spawn_blocking(move || span.in_scope(|| read(command, told, patience))).await;
    let doing = doing.to_owned();
    match read.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic())) {
        _ if own.is_cancelled() => Err(BuildError::Cancelled { doing }),
        Err(_) if bounds.is_silent.load(Ordering::Relaxed) => {
            Err(BuildError::Silent { doing, seconds: silent.as_secs() })
        }
        Err(source) => Err(BuildkitError::Program { doing, source }.into()),
        Ok(ended) => Ok(ended),
    }
}

/// Blocks.
fn read(command: Command, Telling { mask, sink }: Telling, bounds: Arc<Patience>) -> io::Result<Ended> {
    let running = Running::start_telling(command, bounds)?;
    let (output, _) = running.ends();
    let mut output = BufReader::with_capacity(64 << 10, output);
    let (mut progress, mut lines, mut said) = (BuildkitProgress::default(), Lines::new(mask), String::new());
    loop {
        let mut line = Vec::new();
        output.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(&line);
        let (pieces, percent) = match status(&line) {
            Some(status) => progress.status(&status),
            None => {
                keep_end(&mut said, &line);
                (vec![line.into_owned()], None)
            }
        };
        for line in pieces.iter().flat_map(|piece| lines.push(piece)) {
            let _ = sink.blocking_send(Progress::Line(line));
        }
        if let Some(percent) = percent {
            let _ = sink.blocking_send(Progress::Percent(percent));
        }
    }
    if let Some(line) = lines.finish() {
        let _ = sink.blocking_send(Progress::Line(line));
    }
    let status = running.wait()?;
    Ok(Ended { status, said: last_words(&said).to_owned(), vertex: progress.error })
}

fn keep_end(said: &mut String, line: &str) {
    said.push_str(line);
    if said.len() > WORDS_BYTES_MAX {
        let from = said.len() - WORDS_BYTES_MAX;
        let cut = (from..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(from);
        said.drain(..cut);
    }
}

/// Why it failed: what it says last, and the lines of the Dockerfile before it are for the log.
fn last_words(said: &str) -> &str {
    let at = said.rfind("\nerror: ").map(|at| at + 1).or(said.starts_with("error: ").then_some(0));
    at.map_or(said, |at| &said[at + "error: ".len()..]).trim()
}

fn failed(daemon: &Daemon, doing: &str, said: &str) -> BuildkitError {
    let said = one_line(&Mask::default(), said);
    BuildkitError::of_connection(&daemon.address, doing, &said)
        .unwrap_or_else(|| BuildkitError::Failed { doing: doing.to_owned(), message: said })
}

/// The kernel's words where a program is of another architecture and nothing emulates it.
const FOREIGN: &str = "exec format error";

/// What to do then.
const EMULATE: &str = "give the daemon a worker of that platform, or install emulation on its machine: docker run --privileged \
                       --rm tonistiigi/binfmt --install all";

/// What a build that failed means.
fn failure(daemon: &Daemon, image: &str, doing: &str, vertex: Option<&str>, said: &str) -> BuildError {
    if let Some(error) = BuildkitError::of_connection(&daemon.address, doing, said) {
        return error.into();
    }
    let message = match (plain(said), vertex) {
        ("", Some(vertex)) => vertex.to_owned(),
        ("", None) => "buildctl failed without a message".to_owned(),
        (said, _) => said.to_owned(),
    };
    let is_foreign = message.contains(FOREIGN) || vertex.is_some_and(|vertex| vertex.contains(FOREIGN));
    BuildError::Build { image: image.to_owned(), message, hint: is_foreign.then_some(EMULATE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_read_as_they_are_printed() {
        let printed = r#"[{"id":"m","labels":{},"platforms":[{"architecture":"amd64","os":"linux"},{"architecture":"arm","os":"linux","variant":"v7"}],
            "gcPolicy":[],"buildkitVersion":{"package":"github.com/moby/buildkit","version":"v0.26.3","revision":""}},
            {"id":"n","platforms":[{"architecture":"amd64","os":"linux"}]}]"#;
        let workers = read_workers(printed.as_bytes()).unwrap();
        assert_eq!(workers.platforms, ["linux/amd64", "linux/arm/v7"]);
        assert_eq!(workers.version, "v0.26.3");
        assert_eq!(read_workers(b"[]").unwrap().version, "unknown");
        assert!(read_workers(b"ID PLATFORMS").is_none());
    }

    #[test]
    fn a_failed_build_is_told_in_the_words_of_its_end() {
        let daemon = Daemon { address: "tcp://b:1".to_owned(), ..Daemon::default() };
        let of = |said: &str, vertex: Option<&str>| {
            let error = failure(&daemon, "shop:1", "building shop:1", vertex, last_words(said));
            (error.to_string(), error.is_transient())
        };
        let parse = "Dockerfile:1\n--------\n   1 | >>> FRO a\n--------\nerror: failed to solve: dockerfile parse error on line 1: unknown instruction: FRO\n";
        for (said, vertex, told) in [
            (
                parse,
                None,
                ("building shop:1 failed: dockerfile parse error on line 1: unknown instruction: FRO", false),
            ),
            ("", Some("exit code: 1"), ("building shop:1 failed: exit code: 1", false)),
            ("", None, ("building shop:1 failed: buildctl failed without a message", false)),
            (
                "error: failed to list workers: Unavailable: connection error: desc = \"refused\"",
                None,
                (
                    "the BuildKit daemon at tcp://b:1 is unreachable while building shop:1: failed to list workers: \
                     Unavailable: connection error: desc = \"refused\"",
                    true,
                ),
            ),
            (
                "error: failed to solve: base:1: failed to do request: dial tcp 10.0.0.1:443: connect: connection refused",
                None,
                (
                    "building shop:1 failed: base:1: failed to do request: dial tcp 10.0.0.1:443: connect: connection refused",
                    true,
                ),
            ),
        ] {
            let (message, is_transient) = of(said, vertex);
            assert_eq!((message.as_str(), is_transient), told);
        }
        let mut said = String::new();
        (0..2_000).for_each(|n| keep_end(&mut said, &format!("line ü {n}\n")));
        assert!(said.len() <= WORDS_BYTES_MAX && said.ends_with("line ü 1999\n"), "{}", said.len());
    }
}
