//! Pod. What a person needs is which container, and what was its end: exit code, out of memory, the words of the registry
//! or of the scheduler. So containers are looked at before the pod's own conditions, which only say that something waits.
//!
//! - A pod that no node can take is Degraded: the scheduler has tried and tells why, and nothing changes by waiting.
//! - A container that runs again after a crash and is not ready yet counts as crashing, else a pod would be Degraded and
//!   Progressing by turns.
//! - A pod whose node is silent is Degraded: its containers are shown as they were when the kubelet last reported, and nobody
//!   knows how they are.
//! - A failed pod is Degraded (kstatus calls it current). One that runs to an end is Progressing until it has ended.

use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{condition, condition_that_is, count, is_true, list, text};
use crate::health::time::Patience;

pub(super) fn assess(object: &Value) -> Verdict {
    let (ready, all) = ready(object);
    phase(object).about(format!("{ready}/{all}"))
}

fn phase(object: &Value) -> Verdict {
    match text(object, "/status/phase") {
        "Succeeded" => Verdict::healthy_with("completed"),
        "Failed" => match replaced_by(object) {
            Some(controller) => {
                let reason = format!("{}; its {controller} replaces it", failure(object));
                Verdict::healthy_with(reason)
            }
            None => Verdict::degraded(failure(object)),
        },
        "Unknown" => Verdict::new(Health::Unknown, or(status_words(object), &silence(object))),
        "" => Verdict::progressing("not seen by the scheduler yet"),
        _ => alive(object),
    }
}

fn alive(object: &Value) -> Verdict {
    let restarts_for_ever = matches!(text(object, "/spec/restartPolicy"), "" | "Always");
    let containers: Vec<Container<'_>> = containers(object).collect();
    let failing = containers.iter().find_map(Container::failing);
    if let Some(why) = failing {
        return Verdict::degraded(why);
    }
    if is_node_silent(object) {
        return Verdict::degraded(silence(object));
    }
    if let Some(scheduled) = condition_that_is(object, "PodScheduled", "False") {
        return match scheduled.reason() {
            // A cluster that grows by itself adds a node.
            "Unschedulable" => {
                Verdict::degraded(format!("no node can take it: {}", scheduled.message())).for_a_while(Patience::NODE)
            }
            _ => Verdict::progressing(scheduled.summary()),
        };
    }
    if let Some(waiting) = containers.iter().find_map(Container::waiting) {
        return Verdict::progressing(waiting);
    }
    match condition(object, "Ready") {
        Some(ready) if ready.is("True") && restarts_for_ever => Verdict::healthy(),
        Some(ready) if ready.is("True") => Verdict::progressing("running to its end"),
        not_ready => {
            let probes: Vec<&str> =
                containers.iter().filter(|c| c.is_running() && !c.is_ready()).map(|c| c.name()).collect();
            let words = not_ready.map(|condition| condition.summary()).unwrap_or_default();
            Verdict::progressing(match probes.as_slice() {
                [] => or(words, "not ready yet"),
                [one] => format!("container {one} runs and is not ready: its readiness probe has not passed"),
                several => format!(
                    "containers {} run and are not ready: their readiness probes have not passed",
                    several.join(", ")
                ),
            })
        }
    }
}

/// The controller that makes another pod in place of one that failed: its successor tells how things are. Pods of these
/// controllers are restarted for ever and do not fail by themselves: they were evicted, their node shut down, or their
/// kubelet ended them as what nobody knows any more.
fn replaced_by(object: &Value) -> Option<&str> {
    let owners = list(object, "/metadata/ownerReferences").iter();
    let controller = owners.filter(|owner| is_true(owner, "/controller")).map(|owner| text(owner, "/kind")).next()?;
    matches!(controller, "ReplicaSet" | "ReplicationController" | "DaemonSet").then_some(controller)
}

/// Whether the pod's node does not report any more. Then the node controller sets Ready to False, and leaves the reason as
/// it was, empty; the kubelet never does so without a reason (`ContainersNotReady`, `ReadinessGatesNotReady`), and would
/// not while every container is ready.
pub(super) fn is_node_silent(object: &Value) -> bool {
    let Some(ready) = condition_that_is(object, "Ready", "False") else { return false };
    let mut stay = containers(object).filter(|container| !container.init || container.sidecar).peekable();
    matches!(ready.reason(), "" | "NodeNotReady" | "NodeStatusUnknown")
        && !text(object, "/spec/nodeName").is_empty()
        && stay.peek().is_some()
        && stay.all(|container| container.is_ready() && container.is_running())
}

/// Of a pod whose node is silent.
pub(super) fn silence(object: &Value) -> String {
    match text(object, "/spec/nodeName") {
        "" => "its node is not responding".to_owned(),
        node => format!("node {node} is not responding"),
    }
}

/// Why a pod has failed: the words of who ended it, else the first container that ended badly.
fn failure(object: &Value) -> String {
    let ended = containers(object)
        .find_map(|container| container.bad_end().map(|end| format!("container {}: {end}", container.name())));
    match (status_words(object), ended) {
        (words, Some(ended)) if words.is_empty() => ended,
        (words, Some(ended)) => format!("{words}; {ended}"),
        (words, None) => or(words, "it has failed"),
    }
}

fn status_words(object: &Value) -> String {
    match (text(object, "/status/reason"), text(object, "/status/message")) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Ready containers and all, as `kubectl get pods` counts: sidecars with, init containers that end without.
fn ready(object: &Value) -> (usize, usize) {
    let stay = |container: &Container<'_>| !container.init || container.sidecar;
    let ready = containers(object).filter(|container| stay(container) && container.is_ready()).count();
    let sidecars =
        list(object, "/spec/initContainers").iter().filter(|spec| text(spec, "/restartPolicy") == "Always").count();
    (ready, list(object, "/spec/containers").len() + sidecars)
}

/// What is told of one container.
pub(super) struct Container<'a> {
    pub(super) status: &'a Value,
    /// It runs before the others do.
    pub(super) init: bool,
    /// It begins before the others and stays.
    pub(super) sidecar: bool,
}

/// The containers whose status is told, init containers first.
pub(super) fn containers(object: &Value) -> impl Iterator<Item = Container<'_>> {
    let is_sidecar = |status: &Value| {
        let specs = list(object, "/spec/initContainers");
        specs
            .iter()
            .any(|spec| text(spec, "/name") == text(status, "/name") && text(spec, "/restartPolicy") == "Always")
    };
    let init = list(object, "/status/initContainerStatuses").iter();
    let init = init.map(move |status| Container { status, init: true, sidecar: is_sidecar(status) });
    let main = list(object, "/status/containerStatuses").iter();
    init.chain(main.map(|status| Container { status, init: false, sidecar: false }))
}

impl<'a> Container<'a> {
    pub(super) fn name(&self) -> &'a str {
        text(self.status, "/name")
    }

    pub(super) fn is_ready(&self) -> bool {
        is_true(self.status, "/ready")
    }

    fn is_running(&self) -> bool {
        self.status.pointer("/state/running").is_some()
    }

    fn restarts(&self) -> i64 {
        count(self.status, "/restartCount")
    }

    /// Why it keeps its pod from working, where nothing but a change will help.
    fn failing(&self) -> Option<String> {
        let name = self.called();
        let waiting = text(self.status, "/state/waiting/reason");
        if waiting == "CrashLoopBackOff" {
            let end = self
                .last_end()
                .unwrap_or_else(|| or(text(self.status, "/state/waiting/message").to_owned(), "it keeps ending"));
            return Some(format!("{waiting} in {name}: {end}, restarted {}", times(self.restarts())));
        }
        if is_error(waiting) {
            let message = cause(text(self.status, "/state/waiting/message"));
            let message = or(message, "no reason reported");
            return Some(format!("{waiting} in {name}: {message}"));
        }
        if let Some(end) = self.bad_end() {
            // A container that may start again is between two tries.
            let again =
                if self.restarts() > 0 { format!(", restarted {}", times(self.restarts())) } else { String::new() };
            return Some(format!("{name}: {end}{again}"));
        }
        let crashed = count(self.status, "/lastState/terminated/exitCode") != 0;
        match self.last_end() {
            Some(end) if crashed && self.is_running() && !self.is_ready() => {
                Some(format!("{name} is not ready after {end}, restarted {}", times(self.restarts())))
            }
            _ => None,
        }
    }

    /// What it waits for, where that is the way of things.
    fn waiting(&self) -> Option<String> {
        let name = self.called();
        if self.init && !self.sidecar && self.is_running() {
            return Some(format!("{name} is running"));
        }
        let reason = text(self.status, "/state/waiting/reason");
        match (self.status.pointer("/state/waiting"), text(self.status, "/state/waiting/message")) {
            // The init container that it waits for tells more.
            (None, _) => None,
            (Some(_), _) if reason == "PodInitializing" && !self.init => {
                Some("waits for its init containers".to_owned())
            }
            (Some(_), "") => Some(format!("{} in {name}", or(reason.to_owned(), "waiting"))),
            (Some(_), message) => Some(format!("{} in {name}: {message}", or(reason.to_owned(), "waiting"))),
        }
    }

    /// How it ended, where it ended badly and has not begun again.
    fn bad_end(&self) -> Option<String> {
        let terminated = self.status.pointer("/state/terminated")?;
        (count(terminated, "/exitCode") != 0 || is_error(text(terminated, "/reason"))).then(|| end(terminated))
    }

    /// How it ended last time.
    fn last_end(&self) -> Option<String> {
        self.status.pointer("/lastState/terminated").or(self.status.pointer("/state/terminated")).map(end)
    }

    fn called(&self) -> String {
        let kind = if self.init && !self.sidecar { "init container" } else { "container" };
        format!("{kind} {}", self.name())
    }
}

/// `exit 1`, `OOMKilled (exit 137)`, `exit 1, "the last words"`.
pub(super) fn end(terminated: &Value) -> String {
    let code = count(terminated, "/exitCode");
    let signal = count(terminated, "/signal");
    let number = if signal == 0 { format!("exit {code}") } else { format!("signal {signal}") };
    let how = match text(terminated, "/reason") {
        "" | "Error" | "Completed" => number,
        reason => format!("{reason} ({number})"),
    };
    // The container's own last words, or its last log lines where its spec asks for these.
    match text(terminated, "/message").trim().lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!("{how}, {:?}", line.trim()),
        None => how,
    }
}

/// Whether a reason for waiting is one that waiting will not end: `ErrImagePull`, `CreateContainerConfigError`,
/// `ImagePullBackOff`, `InvalidImageName`.
fn is_error(reason: &str) -> bool {
    let others = [
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        "ContainerCannotRun",
        "DeadlineExceeded",
    ];
    let is_kind_of_error = reason.ends_with("Error") && reason != "Error";
    reason.starts_with("Err") || is_kind_of_error || reason.ends_with("BackOff") || others.contains(&reason)
}

/// The words of who could not do it, without those who passed them on: kubelet and runtime name the image in front, each
/// once more, so that what a person looks for is beyond the end of the line.
fn cause(message: &str) -> String {
    const LAYERS: [&str; 3] =
        ["Back-off pulling image ", "failed to pull and unpack image ", "failed to resolve reference "];
    let (mut image, mut rest) = ("", message);
    loop {
        let told = rest.strip_prefix("rpc error: code = ").and_then(|rest| Some(rest.split_once(" desc = ")?.1));
        if let Some(inner) = told.or_else(|| rest.strip_prefix("ErrImagePull: ")) {
            rest = inner;
            continue;
        }
        let layer = LAYERS.iter().find_map(|layer| rest.strip_prefix(layer)?.strip_prefix('"')?.split_once("\": "));
        let Some((name, inner)) = layer else { break };
        (image, rest) = (name, inner);
    }
    if rest.contains(image) { rest.to_owned() } else { format!("{image}: {rest}") }
}

fn times(count: i64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

#[cfg(test)]
mod tests;
