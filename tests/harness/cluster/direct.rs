//! What a test does to the cluster by hand, past every fault and count: look, put, edit, delete, wait; break and mend.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::clock::Clock;
use super::controllers::Manager;
use super::delete::{self, Terms};
use super::failure::Failure;
use super::faults::{Counts, Fault};
use super::kubelet::{NODE, NODE_IP};
use super::store::{Key, Snapshot, State, text};
use super::write::{self, Part, Patch, Strictness, Write};
use super::{Cluster, World, kinds};
use crate::tls::Certificate;

/// How long `wait_for` waits.
const PATIENCE: Duration = Duration::from_secs(20);

impl Cluster {
    /// Writes a kubeconfig with one context, `standin`, that leads here.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kubeconfig(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.kubeconfig_text())
    }

    /// The same as text.
    pub fn kubeconfig_text(&self) -> String {
        self.kubeconfig_of(&format!("http://{}", self.address()), "")
    }

    /// The same for a cluster that speaks TLS with a certificate of this authority. kubectl sends no token without.
    pub fn kubeconfig_by_tls(&self, authority: &str) -> String {
        let authority = BASE64_STANDARD.encode(authority);
        let more = format!("    certificate-authority-data: {authority}\n");
        self.kubeconfig_of(&format!("https://{}", self.address()), &more)
    }

    fn kubeconfig_of(&self, server: &str, more: &str) -> String {
        let token = self.shared.tokens().first().cloned().unwrap_or_default();
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: standin\n\
             clusters:\n- name: standin\n  cluster:\n    server: {server}\n{more}\
             users:\n- name: standin\n  user:\n    token: {token}\n\
             contexts:\n- name: standin\n  context:\n    cluster: standin\n    user: standin\n"
        )
    }

    /// One object of a resource (`deployments.apps`); the namespace is empty for the cluster's own.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.shared.world().state.get(&Key::new(resource, namespace, name)).cloned()
    }

    /// Whether a resource (`boats.sea.example`) is served, in any version.
    pub fn serves(&self, resource: &str) -> bool {
        self.shared.world().state.kind_of(resource).is_some()
    }

    /// All objects of a resource in a namespace, or in all when that is empty.
    pub fn list(&self, resource: &str, namespace: &str) -> Vec<Arc<Value>> {
        let world = self.shared.world();
        world.state.table(resource).into_iter().flat_map(|table| table.within(namespace)).cloned().collect()
    }

    /// The pods of a namespace.
    pub fn pods(&self, namespace: &str) -> Vec<Arc<Value>> {
        self.list("pods", namespace)
    }

    /// Applies an object by force as the manager `kubectl`, as a person would.
    ///
    /// # Errors
    /// What the API would refuse.
    pub fn put(&self, object: Value) -> Result<Arc<Value>, Failure> {
        self.put_as("kubectl", object)
    }

    /// The same as another manager.
    ///
    /// # Errors
    /// What the API would refuse.
    pub fn put_as(&self, manager: &str, object: Value) -> Result<Arc<Value>, Failure> {
        self.shared.with(|world| {
            let (api_version, kind) = (text(&object, "/apiVersion"), text(&object, "/kind"));
            let kind = world.state.kind_named(api_version, kind).ok_or_else(Failure::no_such_path)?;
            let key = Key::of(&kind.qualified(), &object);
            let write = Write { strictness: Strictness::Strict, ..internal(kind, key, manager) };
            write::patch(&mut world.state, &write, Patch::Apply(object)).map(|written| written.object)
        })
    }

    /// Creates an object as `manager`, by POST as `kubectl create` and the first `kubectl apply` do.
    ///
    /// # Errors
    /// What the API would refuse.
    pub fn create(&self, manager: &str, object: Value) -> Result<Arc<Value>, Failure> {
        self.shared.with(|world| {
            let (api_version, kind) = (text(&object, "/apiVersion"), text(&object, "/kind"));
            let kind = world.state.kind_named(api_version, kind).ok_or_else(Failure::no_such_path)?;
            let key = Key::of(&kind.qualified(), &object);
            write::create(&mut world.state, &mut internal(kind, key, manager), object).map(|written| written.object)
        })
    }

    /// Changes an object as `manager`, past its owner: how drift is made.
    ///
    /// # Errors
    /// What the API would refuse.
    pub fn edit(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        manager: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Failure> {
        let key = Key::new(resource, namespace, name);
        self.shared.with(|world| {
            let kind = world.state.kind_of(resource).ok_or_else(Failure::no_such_path)?;
            let live = world.state.get(&key).cloned().ok_or_else(|| Failure::not_found(&kind, name))?;
            let mut object = (*live).clone();
            change(&mut object);
            let write = internal(kind, key, manager);
            write::replace(&mut world.state, &write, object).map(|written| written.object)
        })
    }

    /// Deletes an object in the background.
    ///
    /// # Errors
    /// What the API would refuse.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<(), Failure> {
        let now = Clock::read().stamp();
        self.shared.with(|world| {
            let kind = world.state.kind_of(resource).ok_or_else(Failure::no_such_path)?;
            let key = Key::new(resource, namespace, name);
            delete::delete(&mut world.state, &kind, &key, &Terms::default(), &now).map(|_| ())
        })
    }

    /// A namespace, made unless it is there.
    ///
    /// # Errors
    /// What the API would refuse.
    pub fn namespace(&self, name: &str) -> Result<(), Failure> {
        self.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).map(|_| ())
    }

    /// Waits until `wanted` finds what it looks for. It is asked whenever something changed.
    ///
    /// # Panics
    /// When it found nothing in 20 s: with `what`, and the state of the pods and workloads then.
    pub async fn wait_for<T>(&self, what: &str, mut wanted: impl FnMut(&Cluster) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut changed = self.shared.world().state.changed();
            if let Some(found) = wanted(self) {
                return found;
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(deadline) => panic!("{what}: not so after 20 s\n{}", self.describe()),
            }
        }
    }

    /// What is there, a line an object, for the message of a test that fails.
    pub fn describe(&self) -> String {
        let world = self.shared.world();
        let mut lines = Vec::new();
        for kind in world.state.kinds().iter().filter(|kind| kind.status || kind.custom) {
            for object in world.state.table(&kind.qualified()).into_iter().flat_map(|table| table.within("")) {
                let key = Key::of(&kind.kind, object);
                lines.push(format!("{} {}/{} status {}", kind.kind, key.namespace, key.name, object["status"]));
            }
        }
        lines.join("\n")
    }

    /// Lets in who brings one of these tokens, and nobody else from now on.
    pub fn let_in(&self, tokens: &[&str]) {
        *self.shared.tokens() = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    /// Switches a fault on.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults().add(fault);
    }

    /// Switches a fault off that was switched on.
    pub fn lift(&self, fault: &Fault) {
        self.shared.faults().lift(fault);
    }

    /// Has a group and version registered whose own server does not answer, as an aggregated API whose pod is down.
    pub fn register_stale(&self, group: &str, version: &str) {
        self.shared.stale().insert((group.to_owned(), version.to_owned()));
    }

    /// Switches all faults off.
    pub fn mend(&self) {
        self.shared.faults().clear();
    }

    /// Shows this certificate from now on to who speaks TLS, to connections that begin anew.
    ///
    /// # Panics
    /// When somebody else took the port meanwhile.
    pub async fn secure(&self, certificate: &Certificate) {
        self.server.secure(certificate).await.expect("the port of the stand-in cluster is still free");
    }

    /// Goes away: connections break and new ones are refused, until `back`.
    pub async fn away(&self) {
        self.server.away().await;
    }

    /// Comes back on the same port.
    ///
    /// # Panics
    /// When somebody else took the port meanwhile.
    pub async fn back(&self) {
        self.server.back().await.expect("the port of the stand-in cluster is still free");
    }

    /// Ends every running watch and followed log.
    pub fn cut_watches(&self) {
        self.shared.cut.send_modify(|cut| *cut += 1);
    }

    /// What is so now, as a backup of etcd keeps it.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.world().state.snapshot()
    }

    /// Sets the cluster back to what was so then: objects and versions are those of that time, and versions count on from there.
    /// The API server starts anew with it: its watches end, and it remembers no past.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.shared.with(|world| {
            world.state.restore(snapshot);
            world.manager = Manager::default();
        });
        self.cut_watches();
    }

    /// Another cluster behind the same address, of which nobody knows yet: as on its first day, with low versions, and with
    /// uids of its own, that of the namespace `kube-system` among them.
    pub fn recreate(&self) {
        self.shared.with(|world| *world = World::new());
        self.cut_watches();
    }

    /// Forgets the past: whoever watches from before gets 410.
    pub fn compact(&self) {
        self.shared.world().state.compact();
    }

    /// What was asked since the last reset.
    pub fn counts(&self) -> Counts {
        self.shared.counts().clone()
    }

    /// Starts counting anew.
    pub fn reset_counts(&self) {
        *self.shared.counts() = Counts::default();
    }
}

fn internal(kind: Arc<kinds::Kind>, key: Key, manager: &str) -> Write {
    Write::internal(kind, key, Part::Main, manager, &Clock::read().stamp())
}

/// The namespaces and the node that every cluster has.
pub(super) fn furnish(state: &mut State, clock: &Clock) {
    let now = clock.stamp();
    for name in ["default", "kube-public", "kube-system"] {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        write::make(state, "namespaces", "", "kube-apiserver", &now, body);
    }
    let labels = json!({"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}});
    let Some(key) = write::make(state, "nodes", "", "kubelet", &now, node) else { return };
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now});
    let capacity = json!({"cpu": "8", "memory": "16Gi", "pods": "20000"});
    let status = json!({
        "capacity": capacity, "allocatable": capacity,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("Ready", "True", "KubeletReady"),
        ],
        "addresses": [{"type": "InternalIP", "address": NODE_IP}, {"type": "Hostname", "address": NODE}],
        "nodeInfo": {"kubeletVersion": "v1.35.4", "osImage": "stand-in", "operatingSystem": "linux", "architecture": "amd64",
                     "containerRuntimeVersion": "standin://1", "kernelVersion": "", "machineID": "", "systemUUID": "",
                     "bootID": "", "kubeProxyVersion": ""},
    });
    write::edit(state, &key, Part::Status, "kubelet", &now, |node| node["status"] = status);
}
