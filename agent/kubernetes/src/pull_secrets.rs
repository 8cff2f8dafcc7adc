//! The Secrets with which a cluster pulls the images of an environment, and the ServiceAccounts that name them.
//!
//! Such a Secret is no object of the environment: it is in no manifest and no inventory, and carries no label of ours but
//! [`PULL_SECRET_LABEL`], with the environment's address. By that label it is found again when nobody wants it any more, also by an
//! agent that does not remember it; the ServiceAccounts that name it are in an annotation of it, which is written before the first
//! of them is changed and read before it is deleted. What is there under its name and was not made here is left alone.
//!
//! The Secret is written by server-side apply. The `imagePullSecrets` of a ServiceAccount is one field in the schema of Kubernetes
//! (`listType=atomic`): who applies it has all of it, and an apply of one name would take those of others away. So the name is added to the
//! list that was read, by a patch that is refused where somebody changed it meanwhile. Where another field manager applies that
//! field, as this agent does for a ServiceAccount whose manifest has it, the list is theirs: it is not changed, and that it does not
//! name the Secret is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::Method;
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::inventory::label_of;
use crate::objects::Objects;
use crate::options::{PullSecret, PullSecrets};
use crate::problem::{ApiProblem, Class};
use crate::requests::request;
use crate::survey;
use quarterdeck_core::sync::{APPLICATION_LABEL, PULL_SECRET_LABEL, mask};

/// On every pull secret: the ServiceAccounts that name it, as `default,build`.
const ACCOUNTS: &str = "quarterdeck.dev/service-accounts";

/// The field manager of pull secrets and of the names in ServiceAccounts. It is not that of objects: a manifest of the same
/// ServiceAccount has no say over what only this one wrote.
const MANAGER: &str = "quarterdeck-pull-secrets";

const TYPE: &str = "kubernetes.io/dockerconfigjson";
const KEY: &str = ".dockerconfigjson";

/// Times that a ServiceAccount is read and written, where others write it as well: token controllers do, once, when it is new.
const ATTEMPTS: usize = 3;

/// A pull secret, by its name, that is not as it is wanted, and why.
pub type PullProblem = (String, ApiProblem);

/// The pull secrets that are in a cluster, or may be.
#[derive(Default)]
pub(super) struct MadePullSecrets(Mutex<Made>);

#[derive(Default)]
struct Made {
    /// In which epoch the cluster was asked.
    epoch: Option<u64>,
    /// Whether its answer is of all namespaces.
    of_all: bool,
    /// The namespaces that were asked one by one.
    asked: BTreeSet<String>,
    /// By the value of their label and by their namespace.
    names: BTreeMap<(String, String), BTreeSet<String>>,
}

impl MadePullSecrets {
    /// Makes the pull secrets of an environment as they are wanted, and deletes those that it has and does not want any more. One
    /// request each and one for each ServiceAccount where all is so; what is not, and why, is the answer.
    ///
    /// # Errors
    /// Where the cluster could not be asked, or has no such namespace.
    pub(super) async fn keep(
        &self,
        objects: &Objects,
        epoch: u64,
        environment: &EnvironmentId,
        namespace: &str,
        wanted: &PullSecrets,
    ) -> Result<Vec<PullProblem>, ApiProblem> {
        let place = Place { objects, label: label_of(environment), namespace };
        let mut problems = Vec::new();
        let made = self.made(&place, epoch).await?;
        for name in made.into_iter().filter(|name| !wanted.names(name)) {
            match place.remove(&name).await {
                Ok(()) => self.change(&place, |names| names.remove(&name)).await,
                Err(problem) => told(&name, problem, &mut problems)?,
            }
        }
        for secret in &wanted.known {
            // Before it is: an answer that gets lost would leave it to nobody.
            self.change(&place, |names| names.insert(secret.name.clone())).await;
            for problem in place.put(secret).await {
                told(&secret.name, problem, &mut problems)?;
            }
        }
        Ok(problems)
    }

    /// Those of an environment that are there, or may be. The cluster is asked once, with one request for all environments, or for
    /// each namespace where it does not allow that; who may not even ask that made none.
    async fn made(&self, place: &Place<'_>, epoch: u64) -> Result<BTreeSet<String>, ApiProblem> {
        let mut made = self.0.lock().await;
        if made.epoch != Some(epoch) {
            let found = allowed(survey::pull_secrets(place.objects, None).await)?;
            *made = Made { epoch: Some(epoch), of_all: found.is_some(), ..Made::default() };
            made.found(found.unwrap_or_default());
        }
        if !made.of_all && !made.asked.contains(place.namespace) {
            let found = allowed(survey::pull_secrets(place.objects, Some(place.namespace)).await)?;
            made.asked.insert(place.namespace.to_owned());
            made.found(found.unwrap_or_default());
        }
        Ok(made.names.get(&place.key()).cloned().unwrap_or_default())
    }

    async fn change(&self, place: &Place<'_>, change: impl FnOnce(&mut BTreeSet<String>) -> bool) {
        let _was_other = change(self.0.lock().await.names.entry(place.key()).or_default());
    }
}

impl Made {
    fn found(&mut self, objects: Vec<Value>) {
        for object in objects {
            let metadata = &object["metadata"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let key = (text(&metadata["labels"][PULL_SECRET_LABEL]), text(&metadata["namespace"]));
            self.names.entry(key).or_default().insert(text(&metadata["name"]));
        }
    }
}

/// An answer, or none where it was forbidden to ask.
fn allowed<T>(answer: Result<T, ApiProblem>) -> Result<Option<T>, ApiProblem> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(problem) if problem.class == Class::Forbidden => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// A problem of one Secret is told; one of the way to the cluster, or of the whole namespace, is none of it.
fn told(name: &str, problem: ApiProblem, problems: &mut Vec<PullProblem>) -> Result<(), ApiProblem> {
    if problem.class.is_way_in() || problem.class == Class::NamespaceMissing {
        return Err(problem);
    }
    problems.push((name.to_owned(), problem));
    Ok(())
}

/// Where the pull secrets of an environment are.
struct Place<'a> {
    objects: &'a Objects,
    /// `shop.prod`
    label: String,
    namespace: &'a str,
}

impl Place<'_> {
    fn key(&self) -> (String, String) {
        (self.label.clone(), self.namespace.to_owned())
    }

    fn resource(&self, kind: &str, name: &str) -> ResourceRef {
        ResourceRef::new("", kind, Some(self.namespace), name)
    }

    /// Makes a Secret as it is wanted, and the ServiceAccounts name it; the answer is what of that could not be.
    async fn put(&self, secret: &PullSecret) -> Vec<ApiProblem> {
        if let Err(problem) = self.write(secret).await {
            return vec![problem];
        }
        let mut problems = Vec::new();
        for account in &secret.service_accounts {
            problems.extend(self.name_in(account, &secret.name).await.err());
        }
        problems
    }

    /// Writes the Secret, unless it is so. ServiceAccounts that are to name it no more do not, before it is forgotten that they did.
    async fn write(&self, secret: &PullSecret) -> Result<(), ApiProblem> {
        let resource = self.resource("Secret", &secret.name);
        let wanted = self.object(secret);
        let live = self.objects.get(&resource, Some("v1")).await?;
        if let Some(live) = &live {
            self.must_be_ours(live, &secret.name)?;
            for account in accounts(live).filter(|account| !secret.service_accounts.iter().any(|one| one == account)) {
                self.unname_in(account, &secret.name).await?;
            }
        }
        if live.is_some_and(|live| is_so(&live, &wanted)) {
            return Ok(());
        }
        let written = self.objects.apply_as(MANAGER, &resource, &wanted).await;
        written.map(drop).map_err(|problem| ApiProblem { message: mask::scrub(&problem.message, &wanted), ..problem })
    }

    /// Deletes a Secret that is still ours, when no ServiceAccount names it any more.
    async fn remove(&self, name: &str) -> Result<(), ApiProblem> {
        let resource = self.resource("Secret", name);
        let Some(live) = self.objects.get(&resource, Some("v1")).await? else { return Ok(()) };
        if self.must_be_ours(&live, name).is_err() {
            return Ok(());
        }
        for account in accounts(&live) {
            self.unname_in(account, name).await?;
        }
        let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
        self.objects.delete(&resource, "v1", uid).await.map(drop)
    }

    /// The object of a Secret.
    fn object(&self, secret: &PullSecret) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": secret.name,
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": "quarterdeck", PULL_SECRET_LABEL: self.label},
                "annotations": {
                    "quarterdeck.dev/description": "Made and renewed by Quarterdeck: the logins to pull images with. Do not edit.",
                    ACCOUNTS: secret.service_accounts.join(","),
                },
            },
            "type": TYPE,
            "data": {KEY: BASE64.encode(secret.docker_config.expose_secret())},
        })
    }

    /// What is there under the name has to be of this environment, and in no manifest.
    fn must_be_ours(&self, live: &Value, name: &str) -> Result<(), ApiProblem> {
        let labels = &live["metadata"]["labels"];
        let whose = match (labels[PULL_SECRET_LABEL].as_str(), labels[APPLICATION_LABEL].as_str()) {
            (Some(label), None) if label == self.label => return Ok(()),
            (_, Some(application)) => format!("it is in the manifests of {application}"),
            (Some(other), None) => format!("it is the pull secret of {}", other.replacen('.', "/", 1)),
            (None, None) => "it was not made by Quarterdeck".to_owned(),
        };
        let doing = format!("write {}", self.resource("Secret", name).with_namespace());
        Err(ApiProblem::new(Class::Other, doing, format!("{whose}; choose another name, or delete it")))
    }

    /// Has a ServiceAccount name a Secret.
    async fn name_in(&self, account: &str, secret: &str) -> Result<(), ApiProblem> {
        let resource = self.resource("ServiceAccount", account);
        let doing = format!("name Secret/{secret} in {}", resource.with_namespace());
        for _ in 0..ATTEMPTS {
            let Some(live) = self.objects.get(&resource, Some("v1")).await? else {
                return self.missing(&resource, secret, doing).await;
            };
            let mut names = names_in(&live);
            if names.iter().any(|name| name == secret) {
                return Ok(());
            }
            if let Some(manager) = applied_by(&live) {
                let why = format!("its imagePullSecrets is applied by {manager}; name the Secret there");
                return Err(ApiProblem::new(Class::Other, doing, why));
            }
            names.push(secret.to_owned());
            if self.set(&resource, &live, &names, &doing).await? {
                return Ok(());
            }
        }
        Err(ApiProblem::new(Class::Conflict, doing, "others change it at the same moment"))
    }

    /// Each namespace has the ServiceAccount `default` a moment after it was made: the pods of a sync that made the namespace may be
    /// sooner. No other is made here, as its name may be a mistake.
    async fn missing(&self, resource: &ResourceRef, secret: &str, doing: String) -> Result<(), ApiProblem> {
        if resource.name != "default" {
            return Err(ApiProblem::new(Class::Other, doing, "it does not exist"));
        }
        let object = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": resource.name, "namespace": self.namespace},
            "imagePullSecrets": [{"name": secret}],
        });
        self.objects.apply_as(MANAGER, resource, &object).await.map(drop)
    }

    /// Has a ServiceAccount name a Secret no more. A list that others apply is theirs.
    async fn unname_in(&self, account: &str, secret: &str) -> Result<(), ApiProblem> {
        let resource = self.resource("ServiceAccount", account);
        let doing = format!("take Secret/{secret} out of {}", resource.with_namespace());
        for _ in 0..ATTEMPTS {
            let Some(live) = self.objects.get(&resource, Some("v1")).await? else { return Ok(()) };
            let mut names = names_in(&live);
            let before = names.len();
            names.retain(|name| name != secret);
            if names.len() == before || applied_by(&live).is_some() {
                return Ok(());
            }
            if self.set(&resource, &live, &names, &doing).await? {
                return Ok(());
            }
        }
        Err(ApiProblem::new(Class::Conflict, doing, "others change it at the same moment"))
    }

    /// Writes the list of a ServiceAccount over what was read; false where somebody wrote it meanwhile.
    async fn set(
        &self,
        resource: &ResourceRef,
        live: &Value,
        names: &[String],
        doing: &str,
    ) -> Result<bool, ApiProblem> {
        let list: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        let list = if list.is_empty() { Value::Null } else { list.into() };
        let version = &live["metadata"]["resourceVersion"];
        let patch = json!({"metadata": {"resourceVersion": version}, "imagePullSecrets": list});
        let route = self.objects.resource(resource, Some("v1")).await?;
        let path = format!("{}?fieldManager={MANAGER}&fieldValidation=Strict", route.path(resource)?);
        let body = Bytes::from(patch.to_string());
        let kind = Some("application/merge-patch+json");
        match self.objects.requests.json(doing, request(Method::PATCH, &path, kind, body)).await {
            Ok(_) => Ok(true),
            Err(problem) if problem.class == Class::Conflict => Ok(false),
            Err(problem) => Err(problem),
        }
    }
}

/// The ServiceAccounts that name a Secret, as it says.
fn accounts(secret: &Value) -> impl Iterator<Item = &str> {
    let all = secret["metadata"]["annotations"][ACCOUNTS].as_str().unwrap_or_default();
    all.split(',').filter(|account| !account.is_empty())
}

/// The Secrets that a ServiceAccount names.
fn names_in(account: &Value) -> Vec<String> {
    let list = account["imagePullSecrets"].as_array().into_iter().flatten();
    list.filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect()
}

/// Who applies the list of a ServiceAccount, and so has all of it.
fn applied_by(account: &Value) -> Option<&str> {
    let entries = account["metadata"]["managedFields"].as_array().into_iter().flatten();
    let applies = |entry: &&Value| {
        entry["operation"] == "Apply"
            && entry["manager"] != MANAGER
            && !entry["fieldsV1"]["f:imagePullSecrets"].is_null()
    };
    entries.filter(applies).find_map(|entry| entry["manager"].as_str())
}

/// Whether a live Secret is as it is wanted; what else it has is somebody else's.
fn is_so(live: &Value, wanted: &Value) -> bool {
    let within = |part: &str| {
        let wanted = wanted["metadata"][part].as_object().into_iter().flatten();
        wanted.into_iter().all(|(key, value)| live["metadata"][part][key] == *value)
    };
    live["type"] == TYPE && live["data"][KEY] == wanted["data"][KEY] && within("labels") && within("annotations")
}

/// What a sync does of it on its way.
#[derive(Clone)]
pub(super) struct PullSecretStep {
    pub(super) made: Arc<MadePullSecrets>,
    pub(super) epoch: u64,
}

impl PullSecretStep {
    /// What cannot be done ends no sync: who keeps the pull secrets tells it.
    pub(super) async fn run(
        &self,
        objects: &Objects,
        environment: &EnvironmentId,
        namespace: &str,
        wanted: &PullSecrets,
    ) {
        match self.made.keep(objects, self.epoch, environment, namespace, wanted).await {
            Ok(problems) => {
                for (name, problem) in problems {
                    tracing::debug!(secret = name, error = %problem, "a pull secret is not up to date in a sync");
                }
            }
            Err(problem) => tracing::debug!(error = %problem, "pull secrets are not looked at in a sync"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_so_where_all_of_ours_is() {
        let wanted = json!({
            "metadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}}, "type": TYPE, "data": {KEY: "x"},
        });
        let with = |path: &str, value: Value| {
            let mut live = wanted.clone();
            live["metadata"]["labels"]["more"] = json!("theirs");
            if let Some(place) = live.pointer_mut(path) {
                *place = value;
            }
            live
        };
        for (path, value, so) in [
            ("/none", Value::Null, true),
            ("/metadata/labels/a", json!("2"), false),
            ("/metadata/annotations", json!({}), false),
            ("/type", json!("Opaque"), false),
            ("/data", json!({KEY: "y"}), false),
            ("/data", json!({KEY: "x", "more": "z"}), true),
        ] {
            assert_eq!(is_so(&with(path, value), &wanted), so, "{path}");
        }
    }

    #[test]
    fn a_list_is_of_who_applies_it() {
        let account = |manager: &str, operation: &str, fields: Value| json!({"metadata": {"managedFields": [{"manager": manager, "operation": operation, "fieldsV1": fields}]}});
        let list = || json!({"f:imagePullSecrets": {}});
        for (account, whose) in [
            (account("flux", "Apply", list()), Some("flux")),
            (account("quarterdeck", "Apply", list()), Some("quarterdeck")),
            (account("quarterdeck", "Apply", json!({"f:metadata": {}})), None),
            (account("kubectl-patch", "Update", list()), None),
            (account(MANAGER, "Apply", list()), None),
            (json!({}), None),
        ] {
            assert_eq!(applied_by(&account), whose, "{account}");
        }
    }
}
