//! Pulls the image of a service, where the engine does not have it.

use std::collections::BTreeMap;

use bollard::errors::Error as EngineError;
use bollard::query_parameters::CreateImageOptions;
use futures::StreamExt as _;

use super::connect::Connection;
use super::watch::Watch;
use super::{docker_login, send};
use crate::engine::testing::{ServiceRequest, TestError};
use crate::engine::{Progress, Sink};
use crate::registry::credentials::Login;
use quarterdeck_core::output::{Mask, one_line};

/// The image is on the engine. One that is there is taken as it is, as `docker run` does.
pub(super) async fn pull(
    connection: &Connection,
    watch: &Watch<'_>,
    service: &ServiceRequest,
    logins: &BTreeMap<String, Login>,
    sink: &Sink,
    mask: &Mask,
) -> Result<(), TestError> {
    let image = &service.image;
    match connection.docker.inspect_image(&service.container.image).await {
        Ok(_) => return Ok(()),
        Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => {}
        Err(error) => return Err(connection.failed(&format!("looking at image {image}"), error).into()),
    }
    send(sink, Progress::Line(format!("pulling {image}"))).await;
    let tag = image.digest().or(image.tag()).unwrap_or("latest").to_owned();
    let options =
        CreateImageOptions { from_image: Some(image.name()), tag: Some(tag), ..CreateImageOptions::default() };
    let login = logins.get(image.registry()).map(|login| docker_login(image.registry(), login));
    let mut stream = connection.streaming().create_image(Some(options), None, login).boxed();
    let failed = |message: &str| TestError::Pull { image: image.to_string(), message: one_line(mask, message) };
    while let Some(item) = watch.next(&mut stream).await? {
        match item {
            Ok(_) => {}
            Err(EngineError::DockerStreamError { error }) => return Err(failed(&error)),
            Err(EngineError::DockerResponseServerError { message, .. }) => return Err(failed(&message)),
            Err(error) => return Err(connection.away(&format!("pulling {image}"), error).into()),
        }
    }
    Ok(())
}
