//! One build on a Docker or Podman engine: the context goes up, lines come down, an image id at the end.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::auth::DockerCredentials;
use bollard::errors::Error as EngineError;
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::connect::Connection;
use super::watch::{Limits, Watch};
use super::{docker_login, inspect, name_image, send, server_address};
use crate::engine::context::{Context, ContextError};
use crate::engine::progress::{BuildkitProgress, ClassicProgress};
use crate::engine::{BuildError, BuildRequest, BuiltImage, GivenValue, Progress, Sink, masking};
use crate::registry::credentials::Login;
use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef};
use quarterdeck_core::output::{Lines, Mask, one_line};

/// The context goes out in pieces of this size, and so many wait for the engine: 2 MiB beside the one file that is read.
const PIECE_BYTES: usize = 128 * 1024;
const PIECES_WAITING_MAX: usize = 16;

pub(super) async fn build(
    connection: &Connection,
    buildkit: bool,
    limits: &Limits,
    request: BuildRequest,
    sink: &Sink,
    cancel: &CancellationToken,
) -> Result<BuiltImage, BuildError> {
    let image = request.tags.first().map_or_else(|| "an image without a name".to_owned(), ImageRef::to_string);
    let doing = format!("building {image}");
    let options = options(&request, buildkit);
    let logins = logins(&request, buildkit);
    let secrets = request.args.values().filter_map(GivenValue::secret);
    let mask = masking(secrets.chain(request.logins.values().map(Login::secret)).collect());
    let first = request.tags.first().cloned();
    let other_names: Vec<ImageRef> = request.tags.iter().skip(1).cloned().collect();

    let upload = Upload::start(request, sink.clone()).await?;
    let docker = connection.streaming();
    let body = bollard::body_try_stream(upload.body);
    let mut stream = docker.build_image(options, Some(logins).filter(|logins| !logins.is_empty()), Some(body));

    let watch = Watch {
        host: &connection.candidate.host,
        doing: &doing,
        cancel,
        heartbeat: limits.heartbeat,
        silent: limits.build_silent,
        uploaded: upload.sent.clone(),
    };
    let mut output = Output::new(&mask, sink);
    let mut begun = false;
    while let Some(item) = watch.next(&mut stream).await? {
        match item {
            Ok(info) => output.take(info).await,
            Err(error) => {
                output.finish().await;
                // The reason of a broken upload is here and not in what the connection says about it.
                if let Some(error) = upload.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    return Err(error.into());
                }
                return Err(failure(connection, error, begun, &image, &doing, &mask, output.buildkit.error.take()));
            }
        }
        begun = true;
    }
    drop(stream);
    output.finish().await;
    let Some(id) = output.id.or(if output.succeeded { first.map(|name| name.to_string()) } else { None }) else {
        return Err(BuildError::CutOff { doing });
    };
    for name in &other_names {
        name_image(connection, &id, name).await?;
    }
    let built = inspect(connection, &id).await?;
    send(sink, Progress::Percent(100)).await;
    Ok(built)
}

fn options(request: &BuildRequest, buildkit: bool) -> BuildImageOptions {
    let args = request.args.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    let args: HashMap<String, String> = args.collect();
    let labels: HashMap<String, String> = request.labels.clone().into_iter().collect();
    BuildImageOptions {
        dockerfile: request.dockerfile.clone(),
        t: request.tags.first().map(ImageRef::to_string),
        nocache: request.no_cache,
        rm: true,
        forcerm: true,
        buildargs: Some(args).filter(|args| !args.is_empty()),
        labels: Some(labels).filter(|labels| !labels.is_empty()),
        target: request.target.clone().unwrap_or_default(),
        version: if buildkit { BuilderVersion::BuilderBuildKit } else { BuilderVersion::BuilderV1 },
        session: buildkit.then(session_id),
        ..BuildImageOptions::default()
    }
}

/// Logins for base images, under the names by which the engine looks for them.
fn logins(request: &BuildRequest, buildkit: bool) -> HashMap<String, DockerCredentials> {
    let mut logins = HashMap::new();
    for (registry, login) in &request.logins {
        logins.insert(server_address(registry).to_owned(), docker_login(registry, login));
        if buildkit && registry == DOCKER_HUB {
            logins.insert("registry-1.docker.io".to_owned(), docker_login(registry, login));
        }
    }
    logins
}

/// A name for BuildKit's session that no other session of the engine has.
fn session_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("quarterdeck-{}-{nanos}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The context on its way: a thread reads the commit and packs it, as fast as the engine takes it.
struct Upload {
    body: ReceiverStream<io::Result<Bytes>>,
    sent: Arc<AtomicU64>,
    error: Arc<Mutex<Option<ContextError>>>,
}

impl Upload {
    /// Decides what is sent, then begins. What a person should know of the context is told first.
    async fn start(request: BuildRequest, sink: Sink) -> Result<Self, BuildError> {
        let (pieces, body) = mpsc::channel(PIECES_WAITING_MAX);
        let (sent, error) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
        let tree = request.tree.clone();
        let span = tracing::Span::current();
        let plan = move || span.in_scope(|| Context::plan(&*tree, &request.context, &request.dockerfile));
        let planned = tokio::task::spawn_blocking(plan).await;
        let context = planned.expect("planning a context does not panic")?;
        for warning in &context.warnings {
            send(&sink, Progress::Line(format!("warning: {warning}"))).await;
        }
        let tree = request.tree;
        let (counter, slot) = (sent.clone(), error.clone());
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            let _span = span.enter();
            let out = Pieces { pieces: pieces.clone(), buffer: BytesMut::new(), sent: counter };
            let warn = |warning| drop(sink.blocking_send(Progress::Line(format!("warning: {warning}"))));
            if let Err(error) = context.write(&*tree, request.modified, out, warn) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                // Ends the request; the engine throws away what it has.
                let _ = pieces.blocking_send(Err(io::Error::other("the build context could not be read")));
            }
        });
        Ok(Self { body: ReceiverStream::new(body), sent, error })
    }
}

/// Gathers small writes into pieces, and waits while the engine is slow.
struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
    sent: Arc<AtomicU64>,
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = self.buffer.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        self.pieces
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the engine stopped listening"))
    }
}

/// What comes down, made into progress.
struct Output<'a> {
    sink: &'a Sink,
    lines: Lines,
    classic: ClassicProgress,
    buildkit: BuildkitProgress,
    /// The last image id that was told.
    id: Option<String>,
    /// The engine said that it is done, without saying the id (old Podman).
    succeeded: bool,
}

impl<'a> Output<'a> {
    fn new(mask: &Mask, sink: &'a Sink) -> Self {
        let (lines, classic, buildkit) =
            (Lines::new(mask.clone()), ClassicProgress::default(), BuildkitProgress::default());
        Self { sink, lines, classic, buildkit, id: None, succeeded: false }
    }

    async fn take(&mut self, info: BuildInfo) {
        match info.aux {
            Some(BuildInfoAux::BuildKit(status)) => {
                let (pieces, percent) = self.buildkit.status(&status);
                for piece in pieces {
                    self.piece(&piece).await;
                }
                if let Some(percent) = percent {
                    send(self.sink, Progress::Percent(percent)).await;
                }
            }
            Some(BuildInfoAux::Default(image)) => self.id = image.id.or(self.id.take()),
            None => {}
        }
        if let Some(text) = info.stream {
            self.piece(&text).await;
        }
        // Pulling a base image tells its layers by the hundred; those with an id are progress and no line.
        if let (Some(status), None) = (info.status, info.id) {
            self.piece(&format!("{status}\n")).await;
        }
    }

    async fn piece(&mut self, piece: &str) {
        for line in self.lines.push(piece) {
            self.line(line).await;
        }
    }

    async fn line(&mut self, line: String) {
        self.succeeded |= line.starts_with("Successfully built") || line.starts_with("Successfully tagged");
        if let Some(percent) = self.classic.line(&line) {
            send(self.sink, Progress::Percent(percent)).await;
        }
        send(self.sink, Progress::Line(line)).await;
    }

    async fn finish(&mut self) {
        if let Some(line) = self.lines.finish() {
            self.line(line).await;
        }
    }
}

/// What an error of the stream means.
fn failure(
    connection: &Connection,
    error: EngineError,
    begun: bool,
    image: &str,
    doing: &str,
    mask: &Mask,
    vertex: Option<String>,
) -> BuildError {
    let failed = |message: &str| BuildError::Build { image: image.to_owned(), message: one_line(mask, plain(message)) };
    match error {
        EngineError::DockerStreamError { error } => {
            failed(vertex.as_deref().filter(|_| error.is_empty()).unwrap_or(&error))
        }
        // Before the first step a mistake in the request or the Dockerfile is a status, 500 included.
        EngineError::DockerResponseServerError { status_code: 400 | 404 | 500, message } => failed(&message),
        EngineError::DockerResponseServerError { status_code, message } => {
            BuildError::Refused { doing: doing.to_owned(), status: status_code, message: one_line(mask, &message) }
        }
        _ if begun => BuildError::CutOff { doing: doing.to_owned() },
        error => connection.away(doing, error),
    }
}

/// BuildKit's words without the names of its own parts in front.
fn plain(message: &str) -> &str {
    let own =
        ["failed to solve with frontend dockerfile.v0: ", "failed to solve: ", "failed to create LLB definition: "];
    own.iter().fold(message, |message, part| message.strip_prefix(part).unwrap_or(message))
}
