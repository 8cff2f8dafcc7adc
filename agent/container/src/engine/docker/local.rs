//! The images on the engine's disk: which are ours, and taking one away.

use std::collections::HashMap;

use bollard::errors::Error;
use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

use super::connect::Connection;
use crate::engine::{BuildError, LabelledImage, Removal};

/// All images that have these labels, each a name or `NAME=VALUE`, with a name of their own or without one. Engines differ in how they
/// read a value with commas or equals signs: what counts is looked at once more by who asks.
pub(super) async fn labelled(
    connection: &Connection,
    labels: Vec<String>,
    doing: &str,
) -> Result<Vec<LabelledImage>, BuildError> {
    let filters = HashMap::from([("label".to_owned(), labels)]);
    let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
    let listed = connection.docker.list_images(Some(options)).await;
    let listed = listed.map_err(|error| connection.failed(doing, error))?;
    let image = |image: bollard::models::ImageSummary| LabelledImage {
        names: image.repo_tags.into_iter().filter(|name| !name.starts_with("<none>")).collect(),
        labels: image.labels.into_iter().collect(),
        created: image.created,
        size_bytes: u64::try_from(image.size).unwrap_or(0),
        id: image.id,
    };
    Ok(listed.into_iter().map(image).collect())
}

/// Takes the names of an image away, and with the last of them the image. Never by force: the engine refuses while a container or
/// another image needs it.
pub(super) async fn remove(connection: &Connection, id: &str, names: &[String]) -> Result<Removal, BuildError> {
    let id = [id.to_owned()];
    for name in if names.is_empty() { &id } else { names } {
        let options = RemoveImageOptions { force: false, noprune: false, ..RemoveImageOptions::default() };
        match connection.docker.remove_image(name, Some(options), None).await {
            // Somebody was faster.
            Ok(_) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(Error::DockerResponseServerError { status_code: 409, message }) => {
                return Ok(Removal::Refused(message));
            }
            Err(error) => return Err(connection.failed(&format!("deleting image {name}"), error)),
        }
    }
    Ok(Removal::Done)
}
