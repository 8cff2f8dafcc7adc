//! One push: the engine sends layers and manifest to the registry, and tells how far it is and which digest it put there.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bollard::errors::Error as EngineError;
use bollard::models::PushImageInfo;
use bollard::query_parameters::PushImageOptions;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::connect::Connection;
use super::watch::{Limits, Watch};
use super::{docker_login, send};
use crate::engine::progress::PushProgress;
use crate::engine::{BuildError, Progress, PushedDigest, Sink};
use crate::registry::credentials::Login;
use crate::registry::messages::{fit, hint};
use quarterdeck_core::image_ref::{ImageRef, check_digest};
use quarterdeck_core::output::{Lines, Mask};

pub(super) async fn push(
    connection: &Connection,
    limits: &Limits,
    name: &ImageRef,
    login: Option<&Login>,
    sink: &Sink,
    cancel: &CancellationToken,
) -> Result<PushedDigest, BuildError> {
    let doing = format!("pushing {name}");
    let mask = Mask::new(login.map(Login::secret));
    let tag = name.tag().unwrap_or("latest").to_owned();
    let options = PushImageOptions { tag: Some(tag.clone()), ..PushImageOptions::default() };
    let credentials = login.map(|login| docker_login(name.registry(), login));
    let docker = connection.streaming();
    let mut stream = docker.push_image(&name.name(), Some(options), credentials).boxed();

    let watch = Watch {
        host: &connection.candidate.host,
        doing: &doing,
        cancel,
        heartbeat: limits.heartbeat,
        silent: limits.push_silent,
        uploaded: Arc::new(AtomicU64::new(0)),
    };
    let mut state = Pushing {
        sink,
        lines: Lines::new(mask.clone()),
        progress: PushProgress::default(),
        digest: None,
        sent: 0,
        kept: 0,
    };
    let mut begun = false;
    while let Some(item) = watch.next(&mut stream).await? {
        match item {
            Ok(info) => state.take(info, &tag).await,
            Err(error) => return Err(failure(connection, error, begun, name, login.is_some(), &mask)),
        }
        begun = true;
    }
    let digest = match state.digest.take() {
        Some(digest) => digest,
        None => known_digest(connection, name).await.ok_or(BuildError::CutOff { doing })?,
    };
    let (sent, kept) = (state.sent, state.kept);
    if sent + kept > 0 {
        // Podman says nothing of its layers.
        send(sink, Progress::Line(format!("{} layers: {sent} sent, {kept} already there", sent + kept))).await;
    }
    send(sink, Progress::Line(format!("{tag}: digest: {digest}"))).await;
    send(sink, Progress::Percent(100)).await;
    Ok(PushedDigest(digest))
}

/// A push on its way.
struct Pushing<'a> {
    sink: &'a Sink,
    lines: Lines,
    progress: PushProgress,
    digest: Option<String>,
    sent: usize,
    kept: usize,
}

impl Pushing<'_> {
    async fn take(&mut self, info: PushImageInfo, tag: &str) {
        let Some(status) = info.status else { return };
        if let Some(digest) = digest_in(&status, tag) {
            self.digest = Some(digest);
            return;
        }
        let detail = info.progress_detail.unwrap_or_default();
        if let Some(percent) = self.progress.line(&status, detail.current, detail.total) {
            send(self.sink, Progress::Percent(percent)).await;
        }
        match status.as_str() {
            "Pushed" => self.sent += 1,
            "Layer already exists" => self.kept += 1,
            mounted if mounted.starts_with("Mounted from") => self.kept += 1,
            // Of each layer, many times: the percentage tells it.
            "Preparing" | "Waiting" | "Pushing" => {}
            // The engine counts down by seconds, from a multiple of five.
            count if count.starts_with("Retrying in ") && !count.contains("5 sec") && !count.contains("0 sec") => {}
            other => {
                for line in self.lines.push(&format!("{other}\n")) {
                    send(self.sink, Progress::Line(line)).await;
                }
            }
        }
    }
}

/// `1.4.0: digest: sha256:… size: 528`
fn digest_in(status: &str, tag: &str) -> Option<String> {
    let rest = status.strip_prefix(tag)?.strip_prefix(": digest: ")?;
    let digest = rest.split(' ').next()?;
    check_digest(digest).is_ok().then(|| digest.to_owned())
}

/// What the engine noted about a push whose last line did not come: the digest under this name.
async fn known_digest(connection: &Connection, name: &ImageRef) -> Option<String> {
    let inspected = connection.docker.inspect_image(&name.to_string()).await.ok()?;
    let prefix = format!("{}@", name.name());
    let found: Vec<String> =
        inspected.repo_digests?.iter().filter_map(|d| d.strip_prefix(&prefix).map(str::to_owned)).collect();
    // More than one is no answer: an image may have been pushed there in another form before.
    match <[String; 1]>::try_from(found) {
        Ok([digest]) => Some(digest),
        Err(_) => None,
    }
}

fn failure(
    connection: &Connection,
    error: EngineError,
    begun: bool,
    name: &ImageRef,
    with_login: bool,
    mask: &Mask,
) -> BuildError {
    let doing = format!("pushing {name}");
    let failed = |message: &str| {
        let message = fit(mask, message);
        BuildError::Push { image: name.to_string(), hint: hint(&message, with_login), message }
    };
    match error {
        EngineError::DockerStreamError { error } => failed(&error),
        EngineError::DockerResponseServerError { message, .. } => failed(&message),
        _ if begun => BuildError::CutOff { doing },
        error => connection.away(&doing, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_read_from_the_line_of_its_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(digest_in(&format!("1.4: digest: {digest} size: 528"), "1.4"), Some(digest.clone()));
        assert_eq!(digest_in(&format!("1.5: digest: {digest} size: 528"), "1.4"), None);
        assert_eq!(digest_in("1.4: digest: sha256:short size: 1", "1.4"), None);
        assert_eq!(digest_in("Pushed", "1.4"), None);
    }
}
