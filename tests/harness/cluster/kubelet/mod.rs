//! One node: it takes pods in, pulls their images, runs what stands in for their containers, and tells how they are.
//!
//! ```text
//! bound to the node -> config and volumes there? -> image pulled -> running -> ready -> (ended -> again, later each time)
//! ```
//!
//! Nothing is executed and nothing listens: `behaviour.rs` says what a container would do. Probes are not asked; a
//! container is ready a moment after it started unless its behaviour says never. Not here: resources running out,
//! eviction, exec, attach, ports, pod priorities, more nodes than one.

pub mod behaviour;

pub mod container;

pub mod images;

mod needs;

pub mod status;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::behaviour::Behaviour;
use self::container::{Container, Image, State as Life, Step};
use self::images::{ImageInfo, PullRequest};
use super::clock::Clock;
use super::ids::address;
use super::store::{Key, State, items, text};
use super::write::{self, Part};
use super::{Pace, events};

/// The name of the one node.
pub const NODE: &str = "standin-node";
/// Its address, which nothing listens on.
pub const NODE_IP: &str = "10.254.0.1";

/// A pod as the node knows it.
#[derive(Debug)]
pub struct Pod {
    uid: String,
    ip: String,
    started: Timestamp,
    init: Vec<Container>,
    containers: Vec<Container>,
    stop: Option<Instant>,
}

impl Pod {
    /// A container of this name, initial ones included.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().chain(&self.init).find(|container| container.name == name)
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct Kubelet {
    pods: HashMap<Key, Pod>,
    /// When a pod that is not bound yet will be.
    binding: HashMap<Key, Instant>,
    images: HashMap<String, (u64, Image)>,
    wanted: BTreeSet<PullRequest>,
}

impl Kubelet {
    /// A pod that is on the node.
    pub fn pod(&self, key: &Key) -> Option<&Pod> {
        self.pods.get(key)
    }

    /// The images to be pulled now.
    pub fn take_wanted(&mut self) -> BTreeSet<PullRequest> {
        std::mem::take(&mut self.wanted)
    }

    /// Notes what became of a pull, and has the pods that wait for it looked at.
    pub fn pulled(&mut self, state: &mut State, image: &str, result: Result<ImageInfo, String>) {
        let name = image.split('@').next().unwrap_or_default();
        let found = match result {
            Ok(ImageInfo { digest, labels }) => Image::There(format!("{}@{digest}", untagged(name)), labels),
            Err(why) => Image::Refused(why),
        };
        let (done, last) = self.images.entry(image.to_owned()).or_insert((0, Image::Pulling));
        (*done, *last) = (*done + 1, found);
        let waits =
            |pod: &Pod| pod.containers.iter().chain(&pod.init).any(|one| one.image == image && one.asked.is_some());
        self.pods.iter().filter(|(_, pod)| waits(pod)).for_each(|(key, _)| state.touch(key.clone()));
    }

    /// Brings one pod a step on. Returns when to look at it again.
    pub fn reconcile(&mut self, state: &mut State, key: &Key, clock: &Clock, pace: &Pace) -> Option<Instant> {
        let Some(object) = state.get(key).cloned() else {
            self.pods.remove(key);
            self.binding.remove(key);
            return None;
        };
        if self.pods.get(key).is_some_and(|pod| pod.uid != text(&object, "/metadata/uid")) {
            self.pods.remove(key); // another pod of the same name
        }
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            return self.stop(state, key, &object, clock, pace);
        }
        if text(&object, "/spec/nodeName").is_empty() {
            return self.bind(state, key, &object, clock, pace);
        }
        if text(&object, "/spec/nodeName") != NODE {
            return None;
        }
        if !self.pods.contains_key(key) {
            let pod = self.take_in(state, &object, clock);
            self.pods.insert(key.clone(), pod);
        }
        self.run(state, key, &object, clock, pace)
    }

    /// What the scheduler does: the pod goes to our node, if it may.
    fn bind(&mut self, state: &mut State, key: &Key, object: &Value, clock: &Clock, pace: &Pace) -> Option<Instant> {
        let at = *self.binding.entry(key.clone()).or_insert(clock.instant + pace.schedule);
        if clock.instant < at {
            return Some(at);
        }
        if let Some(why) = needs::unschedulable(state, object) {
            let condition =
                status::condition(object, "PodScheduled", Some(("Unschedulable", why.clone())), None, clock.now);
            write::edit(state, key, Part::Status, "kube-scheduler", &clock.stamp(), |pod| {
                pod["status"]["conditions"] = json!([condition]);
            });
            events::record(state, key, ("Warning", "FailedScheduling", &why), "default-scheduler", clock);
            return Some(clock.instant + pace.retry);
        }
        self.binding.remove(key);
        let condition = status::condition(object, "PodScheduled", None, None, clock.now);
        // The binding says both at once, and is not a change of what was asked for.
        let mut bound = object.clone();
        bound["spec"]["nodeName"] = json!(NODE);
        bound["status"]["conditions"] = json!([condition]);
        state.put(key, bound);
        let (namespace, name) = (&key.namespace, &key.name);
        let message = format!("Successfully assigned {namespace}/{name} to {NODE}");
        events::record(state, key, ("Normal", "Scheduled", &message), "default-scheduler", clock);
        None // the binding is a change, which brings us back
    }

    fn take_in(&mut self, state: &mut State, object: &Value, clock: &Clock) -> Pod {
        let initial = items(object, "/spec/initContainers").next().is_some();
        let waiting = if initial { "PodInitializing" } else { "ContainerCreating" };
        let of = |list: &str, reason: &'static str| {
            let all = items(object, list);
            all.map(|one| Container::new(text(one, "/name"), text(one, "/image"), reason)).collect()
        };
        Pod {
            uid: text(object, "/metadata/uid").to_owned(),
            ip: address("10.244", state.serial()),
            started: clock.now,
            init: of("/spec/initContainers", "PodInitializing"),
            containers: of("/spec/containers", waiting),
            stop: None,
        }
    }

    fn run(&mut self, state: &mut State, key: &Key, object: &Value, clock: &Clock, pace: &Pace) -> Option<Instant> {
        let mut pod = self.pods.remove(key)?;
        let mut told = Vec::new();
        let blocked = needs::unmounted(state, object);
        if let Some((volume, what)) = &blocked {
            let message = format!("MountVolume.SetUp failed for volume {volume:?} : {what}");
            told.push(container::Note("Warning", "FailedMount", message));
        } else {
            self.advance(state, &mut pod, object, clock, pace, &mut told);
        }
        let status = status::of(object, &pod, clock.instant, clock.now, pace);
        if status != object["status"] {
            write::edit(state, key, Part::Status, "kubelet", &clock.stamp(), |pod| pod["status"] = status);
        }
        for container::Note(kind, reason, message) in &told {
            events::record(state, key, (kind, reason, message), "kubelet", clock);
        }
        let all = pod.init.iter().chain(&pod.containers);
        let next = all.filter_map(|one| one.next(clock.instant, pace)).filter(|at| *at > clock.instant).min();
        self.pods.insert(key.clone(), pod);
        if blocked.is_some() { Some(clock.instant + pace.retry) } else { next }
    }

    /// Initial containers one after another, then the others all at once.
    fn advance(
        &mut self,
        state: &State,
        pod: &mut Pod,
        object: &Value,
        clock: &Clock,
        pace: &Pace,
        told: &mut Vec<container::Note>,
    ) {
        let policy = text(object, "/spec/restartPolicy");
        let main: fn(i32) -> bool = match policy {
            "Always" => |_| true,
            "OnFailure" => |code| code != 0,
            _ => |_| false,
        };
        let initial: fn(i32) -> bool = if policy == "Never" { |_| false } else { |code| code != 0 };
        let place = format!("{}_{}({})", text(object, "/metadata/name"), text(object, "/metadata/namespace"), pod.uid);
        let step = |restart| Step { now: clock.instant, clock: clock.now, pace, restart, pod: &place };
        for (container, spec) in pod.init.iter_mut().zip(items(object, "/spec/initContainers")) {
            self.one(state, container, (object, spec), true, &step(initial), told);
            if !matches!(&container.state, Life::Ended(ended, None) if ended.code == 0) {
                return;
            }
        }
        for (container, spec) in pod.containers.iter_mut().zip(items(object, "/spec/containers")) {
            self.one(state, container, (object, spec), policy != "Always", &step(main), told);
        }
    }

    fn one(
        &mut self,
        state: &State,
        container: &mut Container,
        (pod, spec): (&Value, &Value),
        finite: bool,
        step: &Step,
        told: &mut Vec<container::Note>,
    ) {
        let Life::Waiting { reason, until, .. } = &container.state else {
            return told.extend(container.advance(&Image::Pulling, step));
        };
        let fresh = ["ContainerCreating", "PodInitializing", "ImagePullBackOff", "CreateContainerConfigError"];
        if until.is_some_and(|until| step.now < until) || *reason == "ErrImagePull" {
            return told.extend(container.advance(&Image::Pulling, step));
        }
        if !fresh.contains(reason) {
            let image = Image::There(container.image_id.clone(), BTreeMap::new());
            return told.extend(container.advance(&image, step));
        }
        if let Some(why) = needs::unconfigured(state, pod, spec) {
            let news = *reason != "CreateContainerConfigError";
            let until = Some(step.now + step.pace.retry);
            told.extend(news.then(|| container::Note("Warning", "Failed", format!("Error: {why}"))));
            container.state = Life::Waiting { reason: "CreateContainerConfigError", message: why, until };
            return;
        }
        let image = self.image(state, container, pod, spec);
        if let Image::There(_, labels) = &image {
            container.behaviour = Behaviour::of(pod, spec, labels, finite);
        }
        told.extend(container.advance(&image, step));
    }

    /// What is known of the image, asking for it where the pull policy wants that.
    fn image(&mut self, state: &State, container: &mut Container, pod: &Value, spec: &Value) -> Image {
        let known = self.images.get(&container.image);
        let done = known.map_or(0, |(done, _)| *done);
        let local = known.map(|(_, image)| image).filter(|image| matches!(image, Image::There(..)));
        match (container.asked, local, text(spec, "/imagePullPolicy")) {
            (None, Some(image), "IfNotPresent" | "Never") => image.clone(),
            (None, None, "Never") => Image::Refused(format!(
                "Container image {:?} is not present with pull policy of Never",
                container.image
            )),
            (None, ..) => {
                container.asked = Some(done);
                let login = needs::login(state, pod, &container.image);
                self.wanted.insert(PullRequest { image: container.image.clone(), login });
                Image::Pulling
            }
            (Some(at), ..) if done > at => {
                container.asked = None;
                known.map_or(Image::Pulling, |(_, image)| image.clone())
            }
            (Some(_), ..) => Image::Pulling,
        }
    }

    /// Ends a pod that is being deleted.
    fn stop(&mut self, state: &mut State, key: &Key, object: &Value, clock: &Clock, pace: &Pace) -> Option<Instant> {
        let Some(pod) = self.pods.get_mut(key) else {
            finish(state, key, object, clock);
            return None;
        };
        let first = pod.stop.is_none();
        let at = *pod.stop.get_or_insert(clock.instant + pace.stop);
        if first {
            let names: Vec<String> = pod.containers.iter().map(|one| one.name.clone()).collect();
            for name in names {
                let message = format!("Stopping container {name}");
                events::record(state, key, ("Normal", "Killing", &message), "kubelet", clock);
            }
        }
        if clock.instant < at {
            return Some(at);
        }
        self.pods.remove(key);
        finish(state, key, object, clock);
        None
    }
}

/// The pod is no more, unless a finalizer holds it.
fn finish(state: &mut State, key: &Key, object: &Value, clock: &Clock) {
    let held = items(object, "/metadata/finalizers").next().is_some();
    if !held {
        state.remove(key);
    } else if object["metadata"]["deletionGracePeriodSeconds"] != 0 {
        let mut ended = object.clone();
        ended["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        ended["status"]["phase"] = json!("Succeeded");
        for status in ended["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
            let now = clock.stamp();
            status["state"] = json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now}});
            status["ready"] = json!(false);
        }
        state.put(key, ended);
    }
}

/// The name of an image without its tag.
fn untagged(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((before, after)) if !after.contains('/') => before,
        _ => name,
    }
}
