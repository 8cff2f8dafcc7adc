//! One test: a network where there are services, their containers, a container of the image under test, and nothing of
//! all that afterwards.
//!
//! ```text
//! clear --> network --> services (pull, start, ready) --> the test: start --> output --> exit code, reports --> clear
//! ```
//!
//! Everything carries a label with its owner. What a killed agent left is found by it, and taken away before the owner's
//! next test. What is begun is awaited to its end, and only the long waits are cut off by a person or by the time limit,
//! so that nothing comes into being behind our back.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{
    ContainerCreateBody, ContainerState, EndpointSettings, HealthConfig, HealthStatusEnum, HostConfig,
    NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, ListContainersOptions, ListImagesOptions,
    ListNetworksOptions, LogsOptions, RemoveContainerOptions, RemoveImageOptions, StartContainerOptions,
    WaitContainerOptions,
};
use futures::StreamExt as _;
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::Connection;
use super::pull::pull;
use super::send;
use super::watch::{Limits, Watch};
use crate::engine::testing::{
    ContainerRequest, REPORT_BYTES_MAX, ReportFile, ServiceRequest, TestError, TestOutcome, TestRequest,
};
use crate::engine::{BuildError, GivenValue, Progress, Sink, masking};
use crate::registry::credentials::Login;
use quarterdeck_core::failpoint;
use quarterdeck_core::output::{Lines, Mask, one_line};

/// By whom a container, network or image of a test is found again. No image that is kept has it: containers have the labels
/// of their images as well.
pub const OWNER_LABEL: &str = "dev.quarterdeck.test-of";

/// Services are looked at this often until they are ready, and ask themselves as often: a database needs seconds.
const READY_EVERY: Duration = Duration::from_millis(500);

/// So many lines of a service are told when it or the test fails.
const SERVICE_LINES: usize = 20;

/// A test on its way.
struct Bench<'a> {
    connection: &'a Connection,
    request: &'a TestRequest,
    limits: &'a Limits,
    mask: Mask,
    sink: &'a Sink,
    cancel: &'a CancellationToken,
    deadline: Instant,
}

/// Runs a test, and leaves nothing of it on the engine.
pub(super) async fn test(
    connection: &Connection,
    limits: &Limits,
    request: &TestRequest,
    sink: &Sink,
    cancel: &CancellationToken,
) -> Result<TestOutcome, TestError> {
    let (mask, deadline) = (masking(secrets(request)), Instant::now() + request.timeout);
    clear(connection, &request.owner).await?;
    failpoint::reached("engine: before a test");
    let result = Bench { connection, request, limits, mask, sink, cancel, deadline }.run().await;
    failpoint::reached("engine: after a test");
    if let Err(error) = clear(connection, &request.owner).await {
        let left = format!("warning: what the test made stays on the engine until the next test: {error}");
        send(sink, Progress::Line(left)).await;
    }
    result
}

fn secrets(request: &TestRequest) -> Vec<&SecretString> {
    let containers = request.services.iter().map(|(_, service)| &service.container).chain([&request.container]);
    let secrets = containers.flat_map(|container| container.env.values()).filter_map(GivenValue::secret);
    secrets.chain(request.logins.values().map(Login::secret)).collect()
}

/// Takes away whatever is on the engine of this owner's tests: containers with their volumes, networks, unnamed images.
pub(super) async fn clear(connection: &Connection, owner: &str) -> Result<(), BuildError> {
    let docker = &connection.docker;
    let failed = |error| connection.failed("removing what a test left", error);
    let filters = || Some(HashMap::from([("label".to_owned(), vec![format!("{OWNER_LABEL}={owner}")])]));
    let all = ListContainersOptions { all: true, filters: filters(), ..ListContainersOptions::default() };
    for container in docker.list_containers(Some(all)).await.map_err(failed)? {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        gone(docker.remove_container(&container.id.unwrap_or_default(), Some(options)).await).map_err(failed)?;
    }
    let options = ListNetworksOptions { filters: filters() };
    for network in docker.list_networks(Some(options)).await.map_err(failed)? {
        gone(docker.remove_network(&network.id.unwrap_or_default()).await).map_err(failed)?;
    }
    let options = ListImagesOptions { filters: filters(), ..ListImagesOptions::default() };
    let images = docker.list_images(Some(options)).await.map_err(failed)?;
    for image in images.iter().filter(|image| image.repo_tags.iter().all(|tag| tag.starts_with("<none>"))) {
        gone(docker.remove_image(&image.id, None::<RemoveImageOptions>, None).await.map(drop)).map_err(failed)?;
    }
    Ok(())
}

/// What is being removed, or is gone, need not be removed.
fn gone(removed: Result<(), bollard::errors::Error>) -> Result<(), bollard::errors::Error> {
    match removed {
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        other => other,
    }
}

impl Bench<'_> {
    async fn run(&self) -> Result<TestOutcome, TestError> {
        let services = &self.request.services;
        if !services.is_empty() {
            self.make_network().await?;
        }
        for (name, service) in services {
            let (image, watch) = (&service.image, self.watch("pulling the image of a service"));
            let pulling = pull(self.connection, &watch, service, &self.request.logins, self.sink, &self.mask);
            self.until(&format!("{image} was being pulled"), pulling).await?;
            self.begin(Some(name), &service.container, Some(health(service))).await?;
        }
        for (name, _) in services {
            self.until(&format!("service {name} was not ready"), self.ready(name)).await?;
        }
        self.begin(None, &self.request.container, None).await?;
        self.until("its command was running", self.tell_output()).await?;
        let outcome = self.outcome().await?;
        if outcome.exit_code != 0 {
            for (name, _) in services {
                self.tell_service(name).await;
            }
        }
        Ok(outcome)
    }

    /// Waits no longer than the test may take. Whoever cancels it is minded by what is waited for.
    async fn until<T>(&self, doing: &str, work: impl Future<Output = Result<T, TestError>>) -> Result<T, TestError> {
        let late = |_| TestError::TimedOut {
            test: self.request.name.clone(),
            timeout: self.request.timeout,
            doing: doing.to_owned(),
        };
        tokio::time::timeout_at(self.deadline, work).await.map_err(late)?
    }

    fn watch<'a>(&'a self, doing: &'a str) -> Watch<'a> {
        Watch {
            host: &self.connection.candidate.host,
            doing,
            cancel: self.cancel,
            heartbeat: self.limits.heartbeat,
            // A test may be silent for as long as it may take, which has its own end.
            silent: self.request.timeout * 2,
            uploaded: Arc::default(),
        }
    }

    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([(OWNER_LABEL.to_owned(), self.request.owner.clone())])
    }

    /// What a container is called on the engine: of a service, or of the test itself.
    fn called(&self, service: Option<&str>) -> String {
        service.map_or_else(|| self.request.called.clone(), |name| format!("{}-{name}", self.request.called))
    }

    async fn make_network(&self) -> Result<(), BuildError> {
        let network = NetworkCreateRequest {
            name: self.request.called.clone(),
            labels: Some(self.labels()),
            ..NetworkCreateRequest::default()
        };
        let made = self.connection.docker.create_network(network).await;
        made.map_err(|error| self.connection.failed("making a network for a test", error))?;
        Ok(())
    }

    /// Makes and starts a container.
    async fn begin(
        &self,
        service: Option<&str>,
        container: &ContainerRequest,
        healthcheck: Option<HealthConfig>,
    ) -> Result<(), TestError> {
        if self.cancel.is_cancelled() {
            return Err(BuildError::Cancelled { doing: format!("test {}", self.request.name) }.into());
        }
        let network = (!self.request.services.is_empty()).then(|| self.request.called.clone());
        let endpoint = EndpointSettings { aliases: service.map(|name| vec![name.to_owned()]), ..Default::default() };
        let networking = network
            .clone()
            .map(|network| NetworkingConfig { endpoints_config: Some(HashMap::from([(network, endpoint)])) });
        let memory = i64::try_from(self.request.limits.memory_bytes).unwrap_or(i64::MAX);
        let host = HostConfig {
            memory: Some(memory),
            // As much with swap as without: none.
            memory_swap: Some(memory),
            pids_limit: Some(i64::from(self.request.limits.processes)),
            network_mode: network,
            ..HostConfig::default()
        };
        // The program of a test stands in for that of the image; what a service says is read by its image's own.
        let (program, arguments) = match (service, container.command.split_first()) {
            (None, Some((program, arguments))) => (Some(vec![program.clone()]), Some(arguments.to_vec())),
            (_, Some(_)) => (None, Some(container.command.clone())),
            (_, None) => (None, None),
        };
        let body = ContainerCreateBody {
            image: Some(container.image.clone()),
            entrypoint: program,
            cmd: arguments,
            env: Some(variables(container)),
            labels: Some(self.labels()),
            healthcheck,
            host_config: Some(host),
            networking_config: networking,
            ..ContainerCreateBody::default()
        };
        let called = self.called(service);
        let what = service.map_or_else(|| format!("test {}", self.request.name), |name| format!("service {name}"));
        let docker = &self.connection.docker;
        let options = CreateContainerOptions { name: Some(called.clone()), ..CreateContainerOptions::default() };
        docker.create_container(Some(options), body).await.map_err(|error| self.not_started(&what, error))?;
        let started = docker.start_container(&called, None::<StartContainerOptions>).await;
        started.map_err(|error| self.not_started(&what, error))
    }

    /// An engine that answers does not start this container, however often it is asked.
    fn not_started(&self, what: &str, error: bollard::errors::Error) -> TestError {
        match error {
            bollard::errors::Error::DockerResponseServerError { message, .. } => {
                let message = one_line(&self.mask, &message);
                TestError::Start { what: what.to_owned(), message }
            }
            error => self.connection.failed(&format!("starting {what}"), error).into(),
        }
    }

    /// Waits until a service says that it is ready, where it can say so, and else until it runs.
    async fn ready(&self, service: &str) -> Result<(), TestError> {
        loop {
            let state = self.state(Some(service)).await?;
            if state.running != Some(true) {
                self.tell_service(service).await;
                let exit_code = state.exit_code.unwrap_or_default();
                return Err(TestError::Service { service: service.to_owned(), exit_code });
            }
            let health = state.health.and_then(|health| health.status);
            if !matches!(health, Some(HealthStatusEnum::STARTING | HealthStatusEnum::UNHEALTHY)) {
                return Ok(());
            }
            tokio::select! {
                () = self.cancel.cancelled() => {
                    return Err(BuildError::Cancelled { doing: format!("waiting for service {service}") }.into());
                }
                () = tokio::time::sleep(READY_EVERY) => {}
            }
        }
    }

    async fn state(&self, service: Option<&str>) -> Result<ContainerState, BuildError> {
        let inspected = self.connection.docker.inspect_container(&self.called(service), None).await;
        let inspected = inspected.map_err(|error| self.connection.failed("looking at a container", error))?;
        Ok(inspected.state.unwrap_or_default())
    }

    /// Tells what the test writes, until it ends.
    async fn tell_output(&self) -> Result<(), TestError> {
        let options = LogsOptions { follow: true, stdout: true, stderr: true, ..LogsOptions::default() };
        let mut stream = self.connection.streaming().logs(&self.request.called, Some(options)).boxed();
        let watch = self.watch("running a test");
        let mut streams = [Lines::new(self.mask.clone()), Lines::new(self.mask.clone())];
        let mut written = 0;
        while let Some(item) = watch.next(&mut stream).await? {
            let piece = item.map_err(|error| self.connection.failed("reading the output of a test", error))?;
            let lines = &mut streams[usize::from(matches!(piece, LogOutput::StdErr { .. }))];
            written += piece.as_ref().len() as u64;
            for line in lines.push(&String::from_utf8_lossy(piece.as_ref())) {
                send(self.sink, Progress::Line(line)).await;
            }
            let limit_bytes = self.limits.test_output_bytes;
            if written > limit_bytes {
                return Err(TestError::Output { test: self.request.name.clone(), limit_bytes });
            }
        }
        for line in streams.iter_mut().filter_map(Lines::finish) {
            send(self.sink, Progress::Line(line)).await;
        }
        // The output ends a moment before the container is told to have ended.
        let mut ended =
            self.connection.streaming().wait_container(&self.request.called, None::<WaitContainerOptions>).boxed();
        match watch.next(&mut ended).await? {
            None | Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(self.connection.failed("waiting for a test", error).into()),
        }
    }

    async fn outcome(&self) -> Result<TestOutcome, TestError> {
        let state = self.state(None).await?;
        if state.running == Some(true) {
            return Err(BuildError::CutOff { doing: format!("test {}", self.request.name) }.into());
        }
        let mut reports = Vec::new();
        for path in &self.request.reports {
            reports.extend(self.until("its reports were being read", self.read_reports(path)).await?);
        }
        let exit_code = state.exit_code.unwrap_or_default();
        Ok(TestOutcome { exit_code, out_of_memory: state.oom_killed == Some(true), reports })
    }

    /// The files at or below a path of the container that ended; none, and said so, where nothing is there.
    async fn read_reports(&self, path: &str) -> Result<Vec<ReportFile>, TestError> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let mut stream =
            self.connection.streaming().download_from_container(&self.request.called, Some(options)).boxed();
        let watch = self.watch("reading the reports of a test");
        let mut packed = Vec::new();
        while let Some(item) = watch.next(&mut stream).await? {
            match item {
                Ok(piece) => packed.extend_from_slice(&piece),
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                    send(self.sink, Progress::Line(format!("warning: no report found at {path}"))).await;
                    return Ok(Vec::new());
                }
                Err(error) => return Err(self.connection.failed("reading the reports of a test", error).into()),
            }
            if packed.len() > REPORT_BYTES_MAX {
                let limit = REPORT_BYTES_MAX >> 20;
                send(self.sink, Progress::Line(format!("warning: more than {limit} MiB at {path}: not read"))).await;
                return Ok(Vec::new());
            }
        }
        unpacked(path, &packed).map_err(|_| BuildError::CutOff { doing: format!("reading {path}") }.into())
    }

    /// The last lines of a service, each with its name. They are a help, and no reason to fail.
    async fn tell_service(&self, service: &str) {
        let tail = SERVICE_LINES.to_string();
        let options = LogsOptions { stdout: true, stderr: true, tail, ..LogsOptions::default() };
        let mut stream = self.connection.docker.logs(&self.called(Some(service)), Some(options)).boxed();
        let mut lines = Lines::new(self.mask.clone());
        while let Some(Ok(piece)) = stream.next().await {
            for line in lines.push(&String::from_utf8_lossy(piece.as_ref())) {
                send(self.sink, Progress::Line(format!("{service}: {line}"))).await;
            }
        }
        if let Some(line) = lines.finish() {
            send(self.sink, Progress::Line(format!("{service}: {line}"))).await;
        }
    }
}

fn variables(container: &ContainerRequest) -> Vec<String> {
    container.env.iter().map(|(name, value)| format!("{name}={}", value.reveal())).collect()
}

/// How a service says that it is ready: by this command, else by its image's own check, asked more often than in production.
/// It is given all the time that the test has: what is not ready yet may be so later.
fn health(service: &ServiceRequest) -> HealthConfig {
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).ok();
    let command = service.ready.iter().cloned();
    let test =
        if service.ready.is_empty() { Vec::new() } else { std::iter::once("CMD".to_owned()).chain(command).collect() };
    HealthConfig { test: Some(test), interval: nanoseconds(READY_EVERY), ..HealthConfig::default() }
}

/// The regular files of an archive: a file as it is, of a folder what ends in `.xml`.
fn unpacked(path: &str, packed: &[u8]) -> std::io::Result<Vec<ReportFile>> {
    let (parent, _) = path.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
    let mut files = Vec::new();
    for entry in tar::Archive::new(packed).entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_named = !name.contains('/');
        if entry.header().entry_type().is_file() && (is_named || name.ends_with(".xml")) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.push(ReportFile { path: format!("{parent}/{name}"), bytes });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use quarterdeck_core::image_ref::ImageRef;

    use super::*;

    #[test]
    fn a_named_file_is_a_report_and_in_a_folder_what_ends_in_xml() {
        let pack = |files: &[&str]| {
            let mut archive = tar::Builder::new(Vec::new());
            for name in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(2);
                archive.append_data(&mut header, name, &b"ab"[..]).unwrap();
            }
            archive.into_inner().unwrap()
        };
        let found = |path: &str, files: &[&str]| {
            let files = unpacked(path, &pack(files)).unwrap();
            files.into_iter().map(|file| file.path).collect::<Vec<_>>()
        };
        assert_eq!(found("/app/junit.out", &["junit.out"]), ["/app/junit.out"]);
        assert_eq!(
            found("/app/reports/", &["reports/b.xml", "reports/notes.txt", "reports/a/c.xml"]),
            ["/app/reports/a/c.xml", "/app/reports/b.xml"]
        );
        assert!(unpacked("/a", &[7; 600]).is_err());
    }

    #[test]
    fn a_service_is_asked_by_its_command_or_by_its_images_own_check() {
        let image = ImageRef::parse("postgres:17").unwrap();
        let container = ContainerRequest { image: "postgres:17".into(), command: Vec::new(), env: Default::default() };
        let of = |ready: &[&str]| {
            let ready = ready.iter().map(|word| (*word).to_owned()).collect();
            health(&ServiceRequest { container: container.clone(), image: image.clone(), ready }).test.unwrap()
        };
        assert_eq!(of(&["pg_isready", "-q"]), ["CMD", "pg_isready", "-q"]);
        assert_eq!(of(&[]), Vec::<String>::new());
    }
}
