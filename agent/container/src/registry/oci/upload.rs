//! An image from this machine into a registry: the blobs that it does not have, then the manifests.
//!
//! A blob goes in one `PUT` with its length, as the distribution specification has it for uploads in one piece: nothing of it
//! is in memory but what is on its way. What is there already is asked for first, so that a push that broke off goes on where
//! it was.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use oci_client::RegistryOperation;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::call::Call;
use super::{Registries, RegistryError};
use crate::registry::credentials::Login;
use crate::registry::messages::fit;
use quarterdeck_core::image_ref::ImageRef;

/// A blob takes as long as it takes: who pushes looks whether bytes go out. No sound upload takes longer than this.
const BLOB_LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

/// Of a refusal, which some servers write as a whole page.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// An image to be pushed.
pub struct Upload<'a> {
    /// Its name, with its tag.
    pub image: &'a ImageRef,
    /// Who we are.
    pub login: Option<&'a Login>,
    /// Its layers and configurations.
    pub blobs: &'a [UploadedBlob],
    /// Its manifests, in the order in which they go.
    pub manifests: &'a [UploadedManifest],
    /// Bytes of blobs that are there, or went out.
    pub done: Arc<AtomicU64>,
}

/// A blob.
#[derive(Debug, Clone)]
pub struct UploadedBlob {
    /// `sha256:…`
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// The file that it is in.
    pub path: PathBuf,
    /// Where in the file it begins.
    pub offset: u64,
}

/// A manifest.
#[derive(Debug, Clone)]
pub struct UploadedManifest {
    /// A tag, or its digest.
    pub reference: String,
    /// Of which kind it is.
    pub media_type: String,
    /// Byte for byte.
    pub bytes: Vec<u8>,
}

/// Why an image is not in the registry.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It took no part of it.
    #[error("{message}")]
    Refused {
        /// In the words of engines.
        message: String,
    },
    /// A file of this machine.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Registries {
    /// Pushes an image. The answer is how many blobs the registry did not have.
    ///
    /// # Errors
    /// Where the registry is away, or refuses.
    pub async fn upload(&self, upload: Upload<'_>) -> Result<usize, UploadError> {
        let call = self.call(upload.image, upload.login)?.log_in_to(RegistryOperation::Push).await?;
        let mut sent = 0;
        for blob in upload.blobs {
            if call.has(blob).await? {
                upload.done.fetch_add(blob.size, Ordering::Relaxed);
            } else {
                call.send(blob, &upload.done).await?;
                sent += 1;
            }
        }
        for manifest in upload.manifests {
            let request = call.bare.put(call.url(&format!("manifests/{}", manifest.reference)));
            let request = request.header(CONTENT_TYPE, &manifest.media_type).body(manifest.bytes.clone());
            call.accepted(call.authorized(request).send().await).await?;
        }
        Ok(sent)
    }
}

impl Call {
    async fn has(&self, blob: &UploadedBlob) -> Result<bool, UploadError> {
        let request = self.bare.request(Method::HEAD, self.url(&format!("blobs/{}", blob.digest)));
        let answer = self.authorized(request).send().await.map_err(|error| self.error(error.into()))?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.accepted(Ok(answer)).await.map(|_| true),
        }
    }

    async fn send(&self, blob: &UploadedBlob, done: &Arc<AtomicU64>) -> Result<(), UploadError> {
        let opened = async {
            let mut file = tokio::fs::File::open(&blob.path).await?;
            file.seek(io::SeekFrom::Start(blob.offset)).await?;
            Ok(file.take(blob.size))
        };
        let file = opened.await.map_err(|source| UploadError::Read { path: blob.path.clone(), source })?;
        let begin = self.bare.post(self.url("blobs/uploads/")).header(CONTENT_LENGTH, 0);
        let begun = self.accepted(self.authorized(begin).send().await).await?;
        let place = place(&begun, &blob.digest)
            .ok_or_else(|| self.answer("it began an upload without saying where it is to go"))?;
        let counter = done.clone();
        let pieces = ReaderStream::with_capacity(file, 128 << 10).inspect(move |piece| {
            if let Ok(piece) = piece {
                counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        });
        let is_here = begun.url().origin() == place.origin();
        let put = self.bare.put(place).timeout(BLOB_LIMIT).body(Body::wrap_stream(pieces));
        let put = put.header(CONTENT_LENGTH, blob.size).header(CONTENT_TYPE, "application/octet-stream");
        // A registry that keeps its blobs elsewhere has made the place open to who knows it: the login is not for there.
        let put = if is_here { self.authorized(put) } else { put };
        self.accepted(put.send().await).await.map(drop)
    }

    /// An answer that is none of success, in the words in which engines tell it, since these are known to who reads them.
    async fn accepted(&self, answer: reqwest::Result<Response>) -> Result<Response, UploadError> {
        let mut answer = answer.map_err(|error| self.error(error.into()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let mut body = Vec::new();
        while let Ok(Some(piece)) = answer.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > REFUSAL_BYTES_MAX {
                break;
            }
        }
        let message = fit(&self.mask, &refusal(status, &body));
        Err(UploadError::Refused { message })
    }
}

/// Where the bytes of a blob go. A place may be named from the root of the registry, and has a query of its own.
fn place(begun: &Response, digest: &str) -> Option<Url> {
    let location = begun.headers().get(LOCATION)?.to_str().ok()?;
    let mut place = begun.url().join(location).ok()?;
    place.query_pairs_mut().append_pair("digest", digest);
    Some(place)
}

/// As docker says it: the registry's codes and words where it has some, else the status.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        code: String,
        #[serde(default)]
        message: String,
    }
    let bare = || format!("received unexpected HTTP status: {status}");
    if status.is_server_error() {
        return bare();
    }
    let Ok(Refusal { errors }) = serde_json::from_slice(body) else {
        return if status == StatusCode::TOO_MANY_REQUESTS { format!("toomanyrequests: {status}") } else { bare() };
    };
    let reason = |Reason { code, message }: &Reason| {
        let code = code.to_ascii_lowercase().replace('_', " ");
        if message.is_empty() { code } else { format!("{code}: {message}") }
    };
    let reasons = errors.iter().map(reason).collect::<Vec<_>>().join("; ");
    if reasons.is_empty() { bare() } else { reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_as_engines_tell_them() {
        let told = |status: u16, body: &str| refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        for (status, body, words) in [
            (
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
                "unauthorized: authentication required",
            ),
            (
                403,
                r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"NAME_UNKNOWN"}]}"#,
                "denied: no; name unknown",
            ),
            (412, "", "received unexpected HTTP status: 412 Precondition Failed"),
            (429, "<html>", "toomanyrequests: 429 Too Many Requests"),
            (503, r#"{"errors":[{"code":"DENIED"}]}"#, "received unexpected HTTP status: 503 Service Unavailable"),
            (400, r#"{"errors":[]}"#, "received unexpected HTTP status: 400 Bad Request"),
        ] {
            assert_eq!(told(status, body), words);
        }
    }
}
