//! One build on a Docker or Podman engine: the context goes up, lines come down, an image id at the end.

mod call;
mod upload;

use std::collections::{BTreeMap, HashMap};

use bollard::auth::DockerCredentials;
use bollard::errors::Error as EngineError;
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use tokio_util::sync::CancellationToken;

use self::upload::Upload;
use super::connect::Connection;
use super::session::{Given, Session};
use super::watch::{Limits, Watch};
use super::{docker_login, inspect, name_image, send, server_address};
use crate::engine::progress::{BuildkitProgress, ClassicProgress};
use crate::engine::{BuildError, BuildRequest, BuiltImage, GivenValue, Progress, Sink, masking, plain};
use crate::registry::credentials::Login;
use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef};
use quarterdeck_core::output::{Lines, Mask, one_line};

/// The build argument by which the engine's interface has BuildKit write its cache into the image. It knows no other place.
const INLINE_CACHE: &str = "BUILDKIT_INLINE_CACHE";

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
    let secrets = request.args.values().filter_map(GivenValue::secret).chain(request.secrets.values());
    let mask = masking(secrets.chain(request.logins.values().map(Login::secret)).collect());
    let first = request.tags.first().cloned();
    let other_names: Vec<ImageRef> = request.tags.iter().skip(1).cloned().collect();

    let session = if buildkit { Some(open(connection, &request, &doing, cancel).await?) } else { None };
    let options = options(&request, session.as_ref());
    let logins = if buildkit { HashMap::new() } else { logins(&request) };
    let mut upload = Upload::start(request, sink.clone()).await?;
    let mut stream = call::build(&connection.candidate.host, &options, &logins, upload.body());

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
                if let Some(error) = upload.error() {
                    return Err(error.into());
                }
                let told = Told { begun, vertex: output.buildkit.error.take(), is_foreign: output.is_foreign };
                return Err(failure(connection, error, told, &image, &doing, &mask));
            }
        }
        begun = true;
    }
    drop((stream, session));
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

/// Opens the session in which BuildKit asks for logins and secrets.
async fn open(
    connection: &Connection,
    request: &BuildRequest,
    doing: &str,
    cancel: &CancellationToken,
) -> Result<Session, BuildError> {
    let given = Given { logins: hosts(request), secrets: request.secrets.clone(), ssh: request.ssh.clone() };
    tokio::select! {
        () = cancel.cancelled() => Err(BuildError::Cancelled { doing: doing.to_owned() }),
        opened = Session::open(&connection.candidate.host, given) => {
            opened.map_err(|error| connection.failed(&format!("opening a session for {doing}"), error))
        }
    }
}

fn options(request: &BuildRequest, session: Option<&Session>) -> BuildImageOptions {
    let args = request.args.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    let mut args: HashMap<String, String> = args.collect();
    if request.inline_cache {
        args.insert(INLINE_CACHE.to_owned(), "1".to_owned());
    }
    let cache_from = request.cache_from.iter().map(ImageRef::to_string).collect::<Vec<_>>();
    let labels: HashMap<String, String> = request.labels.clone().into_iter().collect();
    BuildImageOptions {
        dockerfile: request.dockerfile.clone(),
        t: request.tags.first().map(ImageRef::to_string),
        nocache: request.no_cache,
        cachefrom: Some(cache_from).filter(|images| !images.is_empty()),
        rm: true,
        forcerm: true,
        buildargs: Some(args).filter(|args| !args.is_empty()),
        labels: Some(labels).filter(|labels| !labels.is_empty()),
        // Several are refused by the configuration: the interface has one.
        platform: request.platforms.join(","),
        target: request.target.clone().unwrap_or_default(),
        version: if session.is_some() { BuilderVersion::BuilderBuildKit } else { BuilderVersion::BuilderV1 },
        session: session.map(|session| session.id.clone()),
        ..BuildImageOptions::default()
    }
}

/// Logins for base images, under the names by which the classic builder looks for them.
fn logins(request: &BuildRequest) -> HashMap<String, DockerCredentials> {
    let logins = request.logins.iter();
    logins.map(|(registry, login)| (server_address(registry).to_owned(), docker_login(registry, login))).collect()
}

/// The same, under the names of hosts by which BuildKit asks for them.
fn hosts(request: &BuildRequest) -> BTreeMap<String, Login> {
    let host = |registry: &str| if registry == DOCKER_HUB { "registry-1.docker.io" } else { registry }.to_owned();
    request.logins.iter().map(|(registry, login)| (host(registry), login.clone())).collect()
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
    /// A program was of another platform than the engine's.
    is_foreign: bool,
}

impl<'a> Output<'a> {
    fn new(mask: &Mask, sink: &'a Sink) -> Self {
        let (lines, classic, buildkit) =
            (Lines::new(mask.clone()), ClassicProgress::default(), BuildkitProgress::default());
        Self { sink, lines, classic, buildkit, id: None, succeeded: false, is_foreign: false }
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
        self.is_foreign |= line.contains(FOREIGN);
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

/// What came before an error.
struct Told {
    begun: bool,
    /// What the step that failed says.
    vertex: Option<String>,
    is_foreign: bool,
}

/// The kernel's words where a program is of another architecture and nothing emulates it.
const FOREIGN: &str = "exec format error";

/// What to do then.
const EMULATE: &str = "build on an engine of that platform, or install emulation there: docker run --privileged --rm \
                       tonistiigi/binfmt --install all";

/// What an error of the stream means.
fn failure(
    connection: &Connection,
    error: EngineError,
    told: Told,
    image: &str,
    doing: &str,
    mask: &Mask,
) -> BuildError {
    let Told { begun, vertex, is_foreign } = told;
    let failed = |message: &str| BuildError::Build {
        image: image.to_owned(),
        message: one_line(mask, plain(message)),
        hint: (is_foreign || message.contains(FOREIGN)).then_some(EMULATE),
    };
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
