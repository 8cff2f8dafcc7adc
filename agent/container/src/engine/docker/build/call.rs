//! The request for a build, and its answer read line by line.
//!
//! The client library would open the session of a build with BuildKit by itself, with services of its own and no others, so
//! that the request is made here.

use std::collections::HashMap;
use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use bollard::auth::DockerCredentials;
use bollard::errors::Error as EngineError;
use bollard::models::{BuildInfo, ErrorDetail};
use bollard::query_parameters::BuildImageOptions;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use crate::engine::docker::dial::{Line, dial, refusal};
use crate::engine::docker::discover::Host;

/// The longest line of an answer: BuildKit sends messages of 16 MiB at most, a third longer here in base64.
const LINE_BYTES_MAX: usize = 32 << 20;

/// Asks for a build; what comes down is read as the stream is, and the request ends where it is dropped. Logins go along for
/// the classic builder; BuildKit asks for them in its session.
pub(super) fn build<'a>(
    host: &'a Host,
    options: &BuildImageOptions,
    logins: &HashMap<String, DockerCredentials>,
    context: impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> BoxStream<'a, Result<BuildInfo, EngineError>> {
    let request = request(options, logins, context);
    let answered = async move {
        let request = request?;
        let mut line = dial(host).await?;
        let answer = line.sender.send_request(request).await?;
        if answer.status().is_success() { Ok(infos(line, answer)) } else { Err(refusal(answer).await) }
    };
    stream::once(answered).try_flatten().boxed()
}

fn request<S: futures::Stream<Item = io::Result<Bytes>>>(
    options: &BuildImageOptions,
    logins: &HashMap<String, DockerCredentials>,
    context: S,
) -> Result<Request<StreamBody<impl futures::Stream<Item = io::Result<Frame<Bytes>>> + use<S>>>, EngineError> {
    let query = serde_urlencoded::to_string(options)?;
    let mut request = Request::post(format!("/build?{query}")).header("host", "engine");
    if !logins.is_empty() {
        request = request.header("x-registry-config", BASE64_URL_SAFE.encode(serde_json::to_string(logins)?));
    }
    Ok(request.header(CONTENT_TYPE, "application/x-tar").body(StreamBody::new(context.map_ok(Frame::data)))?)
}

/// Each line of an answer; the connection is held until the last.
fn infos<B: Send + 'static>(
    line: Line<B>,
    answer: Response<Incoming>,
) -> impl futures::Stream<Item = Result<BuildInfo, EngineError>> {
    let body = answer.into_body().into_data_stream().map_err(io::Error::other);
    let lines = FramedRead::new(StreamReader::new(body), LinesCodec::new_with_max_length(LINE_BYTES_MAX));
    lines.map(move |text| {
        let _held = &line;
        let text = text.map_err(|error| match error {
            LinesCodecError::Io(error) => error,
            LinesCodecError::MaxLineLengthExceeded => {
                io::Error::other(format!("a line of more than {LINE_BYTES_MAX} bytes"))
            }
        })?;
        match serde_json::from_str(&text)? {
            BuildInfo { error_detail: Some(ErrorDetail { message: Some(error), .. }), .. } => {
                Err(EngineError::DockerStreamError { error })
            }
            info => Ok(info),
        }
    })
}
