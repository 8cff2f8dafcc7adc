//! What `buildctl --progress=rawjson` prints, a JSON object a line, as the status that an engine's BuildKit tells (pure).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexWarning};
use serde::Deserialize;

/// A line.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Line {
    vertexes: Vec<Step>,
    logs: Vec<Log>,
    warnings: Vec<Warning>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    digest: String,
    name: String,
    started: Option<String>,
    completed: Option<String>,
    cached: bool,
    error: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Log {
    vertex: String,
    data: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Warning {
    short: String,
}

/// The status in a line; none where it is another text, as the program's own words.
pub(super) fn status(line: &str) -> Option<StatusResponse> {
    let line: Line = serde_json::from_str(line.trim_end()).ok()?;
    let log = |log: Log| VertexLog { vertex: log.vertex, msg: bytes(&log.data), ..VertexLog::default() };
    let warning = |warning: Warning| VertexWarning { short: bytes(&warning.short), ..VertexWarning::default() };
    Some(StatusResponse {
        vertexes: line.vertexes.into_iter().map(vertex).collect(),
        logs: line.logs.into_iter().map(log).collect(),
        warnings: line.warnings.into_iter().map(warning).collect(),
        ..StatusResponse::default()
    })
}

fn vertex(step: Step) -> Vertex {
    let Step { digest, name, started, completed, cached, error } = step;
    let mut vertex = Vertex { digest, name, cached, error, ..Vertex::default() };
    if let Some(started) = started {
        let time = vertex.started.get_or_insert_default();
        (time.seconds, time.nanos) = moment(&started);
    }
    if let Some(completed) = completed {
        let time = vertex.completed.get_or_insert_default();
        (time.seconds, time.nanos) = moment(&completed);
    }
    vertex
}

/// Seconds and nanoseconds since the epoch; that a step took none where the time cannot be read.
fn moment(text: &str) -> (i64, i32) {
    let since = humantime::parse_rfc3339(text).ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let since = since.unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or_default(), i32::try_from(since.subsec_nanos()).unwrap_or_default())
}

/// Bytes, as Go writes them into JSON.
fn bytes(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::progress::BuildkitProgress;

    #[test]
    fn what_buildctl_prints_becomes_the_lines_of_a_build() {
        // As buildctl 0.26 prints them, made shorter.
        let printed = [
            r#"{"vertexes":[{"digest":"sha256:a","name":"[1/2] FROM x"}]}"#,
            r#"{"vertexes":[{"digest":"sha256:a","name":"[1/2] FROM x","started":"2026-11-30T17:18:36.5Z"}]}"#,
            r#"{"statuses":[{"id":"transferring","vertex":"sha256:a","current":29,"timestamp":"2026-11-30T17:18:36Z"}]}"#,
            r#"{"vertexes":[{"digest":"sha256:a","name":"[1/2] FROM x","started":"2026-11-30T17:18:36.5Z","completed":"2026-11-30T17:18:38Z"}]}"#,
            r#"{"vertexes":[{"digest":"sha256:b","name":"[2/2] RUN foo","started":"2026-11-30T17:18:38Z"}]}"#,
            r#"{"logs":[{"vertex":"sha256:b","stream":2,"data":"bm8gZm9vCg==","timestamp":"2026-11-30T17:18:38Z"}]}"#,
            r#"{"vertexes":[{"digest":"sha256:b","name":"[2/2] RUN foo","completed":"2026-11-30T17:18:39Z","error":"exit code: 1"}]}"#,
            r#"{"warnings":[{"vertex":"sha256:b","short":"b2xkIHN0eWxl"}]}"#,
        ];
        let mut progress = BuildkitProgress::default();
        let lines = printed.iter().flat_map(|line| progress.status(&status(line).expect("a status")).0);
        let lines = lines.collect::<String>();
        assert_eq!(
            lines,
            "#1 [1/2] FROM x\n#1 DONE 1.5s\n#2 [2/2] RUN foo\n#2 no foo\n#2 ERROR: exit code: 1\nwarning: old style\n"
        );
        assert_eq!(progress.error.as_deref(), Some("exit code: 1"));
        for other in ["error: failed to solve: no", "--------------------", "", "   2 | >>> RUN foo"] {
            assert!(status(other).is_none(), "{other}");
        }
    }
}
