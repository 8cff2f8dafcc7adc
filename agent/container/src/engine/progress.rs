//! How far a build or a push is, from what the engine says (pure).
//!
//! The classic builder counts its steps; BuildKit names its vertexes; a push tells bytes a layer. A percentage never falls,
//! and 100 is only said by whoever knows that the work is done.

use std::collections::BTreeMap;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

/// A percentage that only rises, and stays below 100 until the end.
#[derive(Debug, Default)]
struct Rising(Option<u8>);

impl Rising {
    /// The new percentage, if it is one.
    fn to(&mut self, done: f64, all: f64) -> Option<u8> {
        if all <= 0.0 {
            return None;
        }
        // The cast cannot cut: the value is between 0 and 99.
        let percent = (done / all * 100.0).clamp(0.0, 99.0) as u8;
        let news = self.0.is_none_or(|last| percent > last);
        if news {
            self.0 = Some(percent);
        }
        news.then_some(percent)
    }
}

/// Reads the lines of the classic builder: `Step 2/5 : COPY . .` begins step 2.
#[derive(Debug, Default)]
pub(super) struct ClassicProgress(Rising);

impl ClassicProgress {
    pub(super) fn line(&mut self, line: &str) -> Option<u8> {
        // Podman writes STEP in capitals.
        let rest = line.strip_prefix("Step ").or_else(|| line.strip_prefix("STEP "))?;
        let (step, rest) = rest.split_once('/')?;
        let steps = rest.split([' ', ':']).next()?;
        let (step, steps): (u32, u32) = (step.parse().ok()?, steps.parse().ok()?);
        self.0.to(f64::from(step.saturating_sub(1)), f64::from(steps))
    }
}

/// Follows the vertexes of a BuildKit build, and tells them as `docker build --progress=plain` does.
#[derive(Debug, Default)]
pub(super) struct BuildkitProgress {
    rising: Rising,
    /// Digest to number and state, in the order in which they were first seen.
    vertexes: BTreeMap<String, Known>,
    /// What a vertex that failed said.
    pub(super) error: Option<String>,
}

#[derive(Debug)]
struct Known {
    number: usize,
    begun: bool,
    done: bool,
    /// The stage that this is a step of, and how many steps that stage has.
    step: Option<(String, u32)>,
}

impl BuildkitProgress {
    /// The lines (each a piece of the output, with its line feed) of one status, and the percentage if it rose.
    pub(super) fn status(&mut self, status: &StatusResponse) -> (Vec<String>, Option<u8>) {
        let mut lines = Vec::new();
        for vertex in &status.vertexes {
            self.vertex(vertex, &mut lines);
        }
        for log in &status.logs {
            let number = self.number(&log.vertex);
            let text = String::from_utf8_lossy(&log.msg);
            lines.extend(text.lines().map(|line| format!("#{number} {line}\n")));
        }
        for warning in &status.warnings {
            lines.push(format!("warning: {}\n", String::from_utf8_lossy(&warning.short)));
        }
        let percent = self.percent();
        (lines, percent)
    }

    /// Only the steps of the Dockerfile are counted. They say themselves how many they are, and so early on; the vertexes
    /// around them (loading the context, metadata of images) come one by one, and each looks like the last.
    fn percent(&mut self) -> Option<u8> {
        let stages: BTreeMap<&str, u32> =
            self.vertexes.values().flat_map(|known| &known.step).map(|s| (s.0.as_str(), s.1)).collect();
        let done = self.vertexes.values().filter(|known| known.done && known.step.is_some()).count();
        let all: u32 = stages.values().sum();
        // A build has hundreds of vertexes, never so many that a float would not count them.
        self.rising.to(done as f64, f64::from(all))
    }

    fn vertex(&mut self, vertex: &Vertex, lines: &mut Vec<String>) {
        let number = self.number(&vertex.digest);
        let Some(known) = self.vertexes.get_mut(&vertex.digest) else { return };
        if known.step.is_none() {
            known.step = step_of(&vertex.name);
        }
        if vertex.started.is_some() && !std::mem::replace(&mut known.begun, true) {
            lines.push(format!("#{number} {}\n", vertex.name));
        }
        if vertex.completed.is_none() || std::mem::replace(&mut known.done, true) {
            return;
        }
        if !vertex.error.is_empty() {
            self.error = Some(vertex.error.clone());
            lines.push(format!("#{number} ERROR: {}\n", vertex.error));
        } else if vertex.cached {
            lines.push(format!("#{number} CACHED\n"));
        } else {
            lines.push(format!("#{number} DONE{}\n", took(vertex)));
        }
    }

    fn number(&mut self, digest: &str) -> usize {
        let next = self.vertexes.len() + 1;
        let known = || Known { number: next, begun: false, done: false, step: None };
        self.vertexes.entry(digest.to_owned()).or_insert_with(known).number
    }
}

/// Adds up the layers of a push. The typed stream of the client library does not say which layer a line is about, so layers on
/// their way are told apart by their total: two of the very same size count as one until they are there.
#[derive(Debug, Default)]
pub(super) struct PushProgress {
    rising: Rising,
    layers: usize,
    there: usize,
    /// Total to current bytes.
    moving: BTreeMap<i64, i64>,
}

impl PushProgress {
    pub(super) fn line(&mut self, status: &str, current: Option<i64>, total: Option<i64>) -> Option<u8> {
        match (status, current, total) {
            ("Preparing", ..) => self.layers += 1,
            ("Pushing", Some(current), Some(total)) if total > 0 => drop(self.moving.insert(total, current.min(total))),
            ("Pushed" | "Layer already exists", ..) => {
                self.there += 1;
                if let Some(arrived) = self.moving.iter().find(|(total, now)| now >= total).map(|(total, _)| *total) {
                    self.moving.remove(&arrived);
                }
            }
            _ => return None,
        }
        let parts: f64 = self.moving.iter().map(|(total, current)| *current as f64 / *total as f64).sum();
        self.rising.to(self.there as f64 + parts, self.layers as f64)
    }
}

/// Stage and number of steps of `[2/5] COPY . .`, `[build 2/5] RUN make` and `[stage-1 1/3] FROM x`.
fn step_of(name: &str) -> Option<(String, u32)> {
    let (inside, _) = name.strip_prefix('[')?.split_once(']')?;
    let (stage, count) = inside.trim().rsplit_once(' ').unwrap_or(("", inside));
    let (step, steps) = count.split_once('/')?;
    step.parse::<u32>().ok()?;
    Some((stage.trim().to_owned(), steps.parse().ok()?))
}

fn took(vertex: &Vertex) -> String {
    match (&vertex.started, &vertex.completed) {
        (Some(from), Some(to)) => {
            let seconds = (to.seconds - from.seconds) as f64 + f64::from(to.nanos - from.nanos) / 1e9;
            format!(" {:.1}s", seconds.max(0.0))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_classic_builder() {
        let mut progress = ClassicProgress::default();
        let told: Vec<Option<u8>> =
            ["Step 1/4 : FROM a", " ---> x", "STEP 3/4: RUN y", "Step 2/4 : COPY", "Step x/4", "Step 4/0 :"]
                .iter()
                .map(|line| progress.line(line))
                .collect();
        assert_eq!(told, [Some(0), None, Some(50), None, None, None]);
    }

    #[test]
    fn layers_of_a_push_add_up_and_never_reach_the_end() {
        let mut progress = PushProgress::default();
        let mut last = None;
        let lines = [
            ("Preparing", None, None),
            ("Preparing", None, None),
            ("Waiting", None, None),
            ("Layer already exists", None, None),
            ("Pushing", Some(50), Some(100)),
            ("Pushing", Some(120), Some(100)),
            ("Pushed", None, None),
        ];
        let told: Vec<u8> =
            lines.iter().filter_map(|(s, c, t)| progress.line(s, *c, *t)).inspect(|p| last = Some(*p)).collect();
        assert_eq!((told.as_slice(), last), (&[0, 50, 75, 99][..], Some(99)));
    }

    #[test]
    fn vertexes_of_buildkit_are_told_once() {
        let begun = Vertex {
            digest: "a".into(),
            name: "[1/2] FROM x".into(),
            started: Some(Default::default()),
            ..Vertex::default()
        };
        let mut done = Vertex { completed: Some(Default::default()), ..begun.clone() };
        done.completed.iter_mut().for_each(|at| at.seconds = 2);
        let failed = Vertex { digest: "b".into(), error: "exit 1".into(), ..done.clone() };
        let mut progress = BuildkitProgress::default();
        let mut tell =
            |vertexes: Vec<Vertex>| progress.status(&StatusResponse { vertexes, ..StatusResponse::default() });
        let context =
            Vertex { digest: "c".into(), name: "[internal] load remote build context".into(), ..done.clone() };
        assert_eq!(tell(vec![context]).1, None);
        assert_eq!(tell(vec![begun]), (vec!["#2 [1/2] FROM x\n".to_owned()], Some(0)));
        assert_eq!(tell(vec![done.clone(), done]), (vec!["#2 DONE 2.0s\n".to_owned()], Some(50)));
        assert_eq!(tell(vec![failed]).0, ["#3 [1/2] FROM x\n", "#3 ERROR: exit 1\n"]);
        let steps =
            ["[build 2/5] RUN make", "[stage-1 1/3] FROM x", "[internal] load", "[auth] a/b:pull token", "[2/x] y"]
                .map(step_of);
        let step = |stage: &str, steps| Some((stage.to_owned(), steps));
        assert_eq!(steps, [step("build", 5), step("stage-1", 3), None, None, None]);
        assert_eq!(progress.error.as_deref(), Some("exit 1"));
    }
}
