//! An image that was built elsewhere, put on the engine from an archive.

use bollard::errors::Error as EngineError;
use bollard::models::{BuildInfo, ErrorDetail};
use bollard::query_parameters::ImportImageOptions;
use futures::StreamExt as _;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::connect::Connection;
use super::watch::{Limits, Watch};
use crate::engine::BuildError;

/// Whether the engine has an image of this name.
pub(super) async fn has(connection: &Connection, name: &str) -> Result<bool, BuildError> {
    match connection.docker.inspect_image(name).await {
        Ok(_) => Ok(true),
        Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(error) => Err(connection.failed(&format!("looking at image {name}"), error)),
    }
}

/// Puts the image of an archive on the engine, under the names that the archive has for it.
pub(super) async fn load(
    connection: &Connection,
    limits: &Limits,
    archive: std::fs::File,
    cancel: &CancellationToken,
) -> Result<(), BuildError> {
    let doing = "loading an image for its test";
    let archive = ReaderStream::new(tokio::fs::File::from_std(archive));
    let docker = connection.streaming();
    let mut stream = docker.import_image_stream(ImportImageOptions::default(), archive, None).boxed();
    let watch = Watch {
        host: &connection.candidate.host,
        doing,
        cancel,
        heartbeat: limits.heartbeat,
        silent: limits.push_silent,
        uploaded: Default::default(),
    };
    while let Some(item) = watch.next(&mut stream).await? {
        match item {
            Ok(BuildInfo { error_detail: Some(ErrorDetail { message: Some(message), .. }), .. })
            | Err(EngineError::DockerStreamError { error: message }) => {
                return Err(BuildError::Refused { doing: doing.to_owned(), status: 400, message });
            }
            Ok(_) => {}
            Err(error) => return Err(connection.failed(doing, error)),
        }
    }
    Ok(())
}
