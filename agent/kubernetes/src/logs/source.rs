//! The log of one container, from its connection to clean lines: taken up again where it breaks, without a line twice.

use std::time::Duration;

use futures::io::AsyncBufRead;
use futures::{AsyncBufReadExt as _, AsyncReadExt as _};
use jiff::Timestamp;
use kube::Client;
use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::cache::{PodLogs, Started};
use crate::logs::merge::Lines;
use crate::logs::position::Position;
use crate::objects::{Objects, segment};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use quarterdeck_core::output;
use quarterdeck_shared::queries::LogQuery;

/// A log is answered at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A line that is longer is cut by [`output::Lines`]; this only bounds what is held of it before.
const RAW_LINE_BYTES_MAX: u64 = 64 * 1024;

/// Breaks in a row, without a line between them, after which a source is given up: some two minutes.
const BREAKS_MAX: u32 = 8;

/// The container to read.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: Id,
    namespace: Box<str>,
    pod: Box<str>,
}

/// One life of one container.
pub(super) type Id = (crate::cache::Uid, Box<str>, u32);

/// From where on it is read.
#[derive(Debug, Clone)]
pub(super) enum Begin {
    /// As was asked.
    Asked {
        /// Only the last lines.
        tail: Option<u64>,
        /// Only lines of the last so many seconds.
        since_seconds: Option<u64>,
    },
    /// From its beginning: it came after the asking.
    Whole,
}

impl Target {
    pub(super) fn new(pod: &PodLogs, container: &Started) -> Self {
        Self {
            id: (pod.uid, container.name.clone(), container.restarts),
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
        }
    }

    /// `pod/container`.
    pub(super) fn from(&self) -> Box<str> {
        format!("{}/{}", self.pod, self.id.1).into()
    }
}

/// The path of a container's log, with a query to which more can be added.
pub(crate) fn log_path(namespace: &str, pod: &str, container: &str) -> String {
    let (namespace, pod, container) = (segment(namespace), segment(pod), segment(container));
    format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}")
}

/// Reads until there is nothing more.
pub(super) async fn source(objects: Objects, target: Target, begin: Begin, query: LogQuery, lines: Lines) {
    let mut from = Position::default();
    let mut breaks = 0;
    loop {
        let path = path(&target, &begin, &query, &from);
        let before = from.read;
        let result = read(&objects, &path, &target, &mut from, &lines).await;
        if lines.is_closed() {
            return;
        }
        if from.read > before {
            breaks = 0;
        }
        let end = match result {
            Ok(()) if !query.follow => return,
            Ok(()) => still_runs(&objects, &target).await,
            Err(problem) if problem.class.is_transient() && query.follow => Ok(true),
            Err(problem) => Err(problem),
        };
        let words = match end {
            Ok(true) if breaks < BREAKS_MAX => {
                // A break costs its reader a pause that grows, a rotated file or a restarted proxy none that is felt.
                tokio::time::sleep(Duration::from_millis(100) * 2u32.pow(breaks)).await;
                breaks += 1;
                continue;
            }
            Ok(true) => format!("{}: the log cannot be followed any more", target.from()),
            Ok(false) => format!("{} ended", target.from()),
            Err(problem) if matches!(problem.class, Class::NotFound) => format!("{} is gone", target.from()),
            Err(problem) => problem.to_string(),
        };
        let _ = lines.send(LogRecord::Notice { text: words.into() }).await;
        return;
    }
}

fn path(target: &Target, begin: &Begin, query: &LogQuery, from: &Position) -> String {
    let mut path = log_path(&target.namespace, &target.pod, &target.id.1);
    path.push_str("&timestamps=true");
    if query.follow {
        path.push_str("&follow=true");
    }
    if query.previous {
        path.push_str("&previous=true");
    }
    match (from.since(), begin) {
        (Some(since), _) => path.push_str(&format!("&sinceTime={}", segment(&since.to_string()))),
        (None, Begin::Asked { tail, since_seconds }) => {
            path.push_str(&tail.map(|lines| format!("&tailLines={lines}")).unwrap_or_default());
            path.push_str(&since_seconds.map(|seconds| format!("&sinceSeconds={seconds}")).unwrap_or_default());
        }
        (None, Begin::Whole) => {}
    }
    path
}

async fn read(
    objects: &Objects,
    path: &str,
    target: &Target,
    from: &mut Position,
    lines: &Lines,
) -> Result<(), ApiProblem> {
    let doing = format!("read the log of {}", target.from());
    let failed = |error: kube::Error| ApiProblem::unanswered(&*doing, &error);
    let silent = |_| ApiProblem::new(Class::Timeout, &*doing, "no answer");
    let request = get(path).map(|body| body.to_vec());
    let begin = |client: Client| {
        let request = request.clone();
        async move {
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request_stream(request)).await;
            answer.map_err(silent)?.map_err(failed)
        }
    };
    let answer = objects.requests.with(begin).await?;
    let mut bytes = std::pin::pin!(answer);
    from.resumes();
    let mut raw = Vec::new();
    while next_line(&mut bytes, &mut raw)
        .await
        .map_err(|error| ApiProblem::new(Class::Away, &*doing, error.to_string()))?
    {
        let (at, text) = split(&String::from_utf8_lossy(&raw));
        if from.pass(at, &text) && lines.send(LogRecord::Line { at, from: target.from(), text }).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// One line without its line feed; of one that is too long the beginning. False at the end.
async fn next_line(bytes: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let mut bounded = bytes.take(RAW_LINE_BYTES_MAX);
    if bounded.read_until(b'\n', line).await? == 0 {
        return Ok(false);
    }
    while line.last() != Some(&b'\n') {
        let rest = bytes.fill_buf().await?;
        let end = rest.iter().position(|byte| *byte == b'\n').map(|place| place + 1);
        let (skip, is_end) = (end.unwrap_or(rest.len()), end.is_some() || rest.is_empty());
        bytes.consume_unpin(skip);
        if is_end {
            return Ok(true);
        }
    }
    line.pop();
    Ok(true)
}

/// Parts the time from the text, and cleans that.
fn split(line: &str) -> (Option<Timestamp>, Box<str>) {
    let (at, text) = match line.split_once(' ') {
        Some((time, text)) => match time.parse::<Timestamp>() {
            Ok(at) => (Some(at), text),
            Err(_) => (None, line),
        },
        // An empty line is its time alone.
        None => (line.parse().ok(), if line.parse::<Timestamp>().is_ok() { "" } else { line }),
    };
    let mut clean = output::Lines::default();
    let whole = clean.push(text);
    (at, whole.into_iter().chain(clean.finish()).collect::<Vec<_>>().join(" ").into())
}

/// Whether this very life of the container goes on.
async fn still_runs(objects: &Objects, target: &Target) -> Result<bool, ApiProblem> {
    let resource = ResourceRef::new("", "Pod", Some(&target.namespace), &target.pod);
    let pod = match objects.get(&resource, Some("v1")).await {
        Ok(pod) => pod.ok_or_else(|| ApiProblem::new(Class::NotFound, "read a log", "the pod is gone"))?,
        Err(problem) if problem.class.is_transient() => return Ok(true),
        Err(problem) => return Err(problem),
    };
    let lists = ["initContainerStatuses", "containerStatuses"].map(|list| pod["status"][list].as_array());
    let mut statuses = lists.into_iter().flatten().flatten();
    let status = statuses.find(|status| status["name"] == *target.id.1).unwrap_or(&Value::Null);
    Ok(status["state"]["running"].is_object() && status["restartCount"] == target.id.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parted_from_its_time_and_cleaned() {
        let at = "2026-01-02T03:04:05.123456789Z".parse::<Timestamp>().ok();
        for (line, expected) in [
            ("2026-01-02T03:04:05.123456789Z hello world", (at, "hello world")),
            ("2026-01-02T03:04:05.123456789Z \u{1b}[31mred\u{1b}[0m\u{7}", (at, "red")),
            ("2026-01-02T03:04:05.123456789Z ", (at, "")),
            ("2026-01-02T03:04:05.123456789Z", (at, "")),
            ("no time here", (None, "no time here")),
        ] {
            let (at, text) = split(line);
            assert_eq!((at, &*text), expected);
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut() {
        let text = format!("short\n{}\nlast", "x".repeat(200_000));
        let mut bytes = futures::io::Cursor::new(text.into_bytes());
        let mut line = Vec::new();
        let mut lengths = Vec::new();
        while next_line(&mut bytes, &mut line).await.unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [5, 64 * 1024, 4]);
    }
}
