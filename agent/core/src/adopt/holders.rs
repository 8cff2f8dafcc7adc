//! What holds objects: which more it has, what it does to them until it is turned off, and how that is done.

use std::collections::BTreeSet;

use quarterdeck_shared::protocol::HolderAnswer;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use super::signs::{Holder, Tool};
use crate::render::scope::Scope;
use crate::yaml::{self, YamlError};

/// With it Argo CD deletes the objects of an Application that is deleted; `…/foreground` and `…/background` as well.
const CASCADES: &str = "resources-finalizer.argocd.argoproj.io";

/// What is known of those that hold objects.
#[derive(Debug, Clone, Default)]
pub struct Holders {
    /// Applications, Kustomizations and HelmReleases, as the cluster has them.
    pub objects: Vec<Value>,
    /// Releases of Helm.
    pub releases: Vec<Release>,
}

/// A release of Helm, as its newest Secret has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Where it is kept.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The objects of its manifest.
    pub objects: Vec<ResourceRef>,
}

impl Holders {
    /// Whether an Application of this name lists the object among its own.
    pub(super) fn application_lists(&self, name: &str, resource: &ResourceRef) -> bool {
        self.applications(name).any(|application| of_application(application).any(|one| one == *resource))
    }

    /// The holder with its namespace, where only one can be meant.
    pub(super) fn resolved(&self, holder: &Holder, resource: &ResourceRef) -> Holder {
        let (Tool::ArgoCd, None, Some(name)) = (holder.tool, &holder.namespace, &holder.name) else {
            return holder.clone();
        };
        let lists = |one: &&Value| of_application(one).any(|one| one == *resource);
        let found = self.applications(name).find(lists).or_else(|| self.applications(name).next());
        let namespace = found.and_then(|found| found["metadata"]["namespace"].as_str()).map(str::to_owned);
        Holder { namespace, ..holder.clone() }
    }

    fn applications(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |one| one["kind"] == "Application" && one["metadata"]["name"] == name)
    }

    fn object(&self, holder: &Holder) -> Option<&Value> {
        let kind = match holder.tool {
            Tool::ArgoCd => "Application",
            Tool::Kustomization => "Kustomization",
            Tool::HelmRelease => "HelmRelease",
            Tool::Helm => return None,
        };
        let (name, namespace) = (holder.name.as_deref()?, holder.namespace.as_deref()?);
        let is_it = |one: &&Value| {
            one["kind"] == kind && one["metadata"]["name"] == name && one["metadata"]["namespace"] == namespace
        };
        self.objects.iter().find(is_it)
    }

    /// What it does, how it is turned off, and what of it is not among the `named`.
    pub(super) fn describe(
        &self,
        holder: &Holder,
        release: Option<&(String, String)>,
        named: &BTreeSet<&ResourceRef>,
    ) -> HolderAnswer {
        let object = self.object(holder);
        let of_release = || {
            let is_it = |one: &&Release| {
                release.is_some_and(|(namespace, name)| one.namespace == *namespace && one.name == *name)
            };
            self.releases.iter().find(is_it).map(|release| release.objects.clone()).unwrap_or_default()
        };
        let all: Vec<ResourceRef> = match (holder.tool, object) {
            (Tool::ArgoCd, Some(application)) => of_application(application).collect(),
            (Tool::Kustomization, Some(kustomization)) => of_kustomization(kustomization).collect(),
            (Tool::HelmRelease | Tool::Helm, _) => of_release(),
            (_, None) => Vec::new(),
        };
        let all: BTreeSet<ResourceRef> = all.into_iter().filter(|one| !named.contains(one)).collect();
        let (does, turn_off) = match (holder.tool, object, &holder.namespace, &holder.name) {
            (Tool::Helm, _, Some(namespace), Some(name)) => helm(namespace, name),
            (Tool::ArgoCd, Some(object), Some(namespace), Some(name)) => argo_cd(object, namespace, name),
            (Tool::Kustomization, Some(object), Some(namespace), Some(name)) => kustomization(object, namespace, name),
            (Tool::HelmRelease, Some(object), Some(namespace), Some(name)) => helm_release(object, namespace, name),
            (_, None, _, Some(_)) => (vec!["was not found: nothing is known of what it does".to_owned()], Vec::new()),
            _ => (vec!["the objects do not say which one: nothing is known of what it does".to_owned()], Vec::new()),
        };
        HolderAnswer {
            holder: holder.to_string(),
            does,
            turn_off,
            more_not_in_git: all.len().saturating_sub(HolderAnswer::NOT_IN_GIT_MAX) as u32,
            not_in_git: all.into_iter().take(HolderAnswer::NOT_IN_GIT_MAX).collect(),
        }
    }
}

/// What it does, and the commands that turn it off.
type Described = (Vec<String>, Vec<String>);

fn argo_cd(object: &Value, namespace: &str, name: &str) -> Described {
    let (mut does, mut turn_off) = (Vec::new(), Vec::new());
    let patch =
        |patch: &str| format!("kubectl -n {namespace} patch applications.argoproj.io {name} --type merge -p '{patch}'");
    let mut owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    if let Some(set) = owners.find(|owner| owner["kind"] == "ApplicationSet").and_then(|owner| owner["name"].as_str()) {
        does.push(format!("is written by ApplicationSet {set}, which undoes what is changed of it"));
        turn_off.push(format!("kubectl -n {namespace} delete applicationsets.argoproj.io {set} --cascade=orphan"));
    }
    let parent = object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str();
    if let Some((parent, _)) = parent.and_then(|id| id.split_once(':')) {
        does.push(format!(
            "is an object of Application {parent}, which undoes what is changed of it: remove it there first"
        ));
    }
    let automated = &object["spec"]["syncPolicy"]["automated"];
    if automated.is_object() && automated["enabled"] != false {
        let mut acts = vec!["syncs automatically"];
        acts.extend((automated["selfHeal"] == true).then_some("reverts what differs from its source"));
        acts.extend((automated["prune"] == true).then_some("deletes what leaves its source"));
        does.push(acts.join(", "));
        turn_off.push(patch(r#"{"spec":{"syncPolicy":{"automated":null}}}"#));
    } else {
        does.push("syncs when a person asks for it".to_owned());
    }
    let mut finalizers = object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(finalizer) = finalizers.find(|one| one.starts_with(CASCADES)) {
        does.push(format!("when it is deleted, deletes the objects that carry its tracking (finalizer {finalizer})"));
        turn_off.push(patch(r#"{"metadata":{"finalizers":null}}"#));
    }
    turn_off.push(format!("kubectl -n {namespace} delete applications.argoproj.io {name}"));
    (does, turn_off)
}

fn kustomization(object: &Value, namespace: &str, name: &str) -> Described {
    let (mut does, mut turn_off) = (vec![applies(object)], Vec::new());
    does.extend(parent(object));
    let kind = "kustomizations.kustomize.toolkit.fluxcd.io";
    if object["spec"]["suspend"] != true {
        turn_off.push(format!("flux suspend kustomization {name} -n {namespace}"));
    }
    if object["spec"]["prune"] == true {
        does.push("deletes what leaves its source, and all of its inventory when it is deleted unsuspended".to_owned());
        turn_off.push(format!(
            "kubectl -n {namespace} patch {kind} {name} --type merge -p '{{\"spec\":{{\"prune\":false}}}}'"
        ));
    }
    turn_off.push(format!("kubectl -n {namespace} delete {kind} {name}"));
    (does, turn_off)
}

fn helm_release(object: &Value, namespace: &str, name: &str) -> Described {
    let mut does = vec![applies(object)];
    does.extend(parent(object));
    does.push("uninstalls its release, with all objects of it, when it is deleted unsuspended".to_owned());
    let mut turn_off = Vec::new();
    if object["spec"]["suspend"] != true {
        turn_off.push(format!("flux suspend helmrelease {name} -n {namespace}"));
    }
    turn_off.push(format!("kubectl -n {namespace} delete helmreleases.helm.toolkit.fluxcd.io {name}"));
    (does, turn_off)
}

fn helm(namespace: &str, name: &str) -> Described {
    let does = vec![
        "does nothing by itself".to_owned(),
        format!("`helm upgrade {name}` would write the objects again, and `helm uninstall {name}` would delete them"),
    ];
    (does, vec![format!("kubectl -n {namespace} delete secret -l owner=helm,name={name}")])
}

fn applies(object: &Value) -> String {
    match (object["spec"]["suspend"] == true, object["spec"]["interval"].as_str()) {
        (true, _) => "is suspended".to_owned(),
        (false, Some(interval)) => format!("applies its source again every {interval}"),
        (false, None) => "applies its source again and again".to_owned(),
    }
}

fn parent(object: &Value) -> Option<String> {
    let label = |part: &str| object["metadata"]["labels"][format!("kustomize.toolkit.fluxcd.io/{part}")].as_str();
    let (name, namespace) = (label("name")?, label("namespace")?);
    Some(format!(
        "is an object of Kustomization {namespace}/{name}, which undoes what is changed of it: remove it there first"
    ))
}

/// What an Application lists as its own.
fn of_application(application: &Value) -> impl Iterator<Item = ResourceRef> {
    let resources = application["status"]["resources"].as_array().into_iter().flatten();
    resources.filter_map(|one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        let resource = ResourceRef::new(text("group"), text("kind"), Some(text("namespace")), text("name"));
        (!resource.kind.is_empty() && !resource.name.is_empty()).then_some(resource)
    })
}

/// The inventory of a Kustomization: `NAMESPACE_NAME_GROUP_KIND`, where a colon of a name is two underlines.
fn of_kustomization(kustomization: &Value) -> impl Iterator<Item = ResourceRef> {
    let entries = kustomization["status"]["inventory"]["entries"].as_array().into_iter().flatten();
    entries.filter_map(|entry| {
        let (namespace, rest) = entry["id"].as_str()?.split_once('_')?;
        let (rest, kind) = rest.rsplit_once('_')?;
        let (name, group) = rest.rsplit_once('_')?;
        Some(ResourceRef::new(group, kind, Some(namespace), &name.replace("__", ":")))
    })
}

/// The objects of a release's manifest. One that names no namespace is in the release's, where its kind is in one.
///
/// # Errors
/// Where the manifest is not YAML.
pub fn manifest_of(
    manifest: &str,
    namespace: &str,
    scope: &dyn Fn(&str, &str) -> Option<Scope>,
) -> Result<Vec<ResourceRef>, YamlError> {
    let object = |document: yaml::Document| {
        let text = |path: &str| document.value.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let group = text("/apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
        let own = Some(text("/metadata/namespace")).filter(|own| !own.is_empty()).unwrap_or(namespace);
        let own = Some(own).filter(|_| scope(group, text("/kind")) != Some(Scope::Cluster));
        let resource = ResourceRef::new(group, text("/kind"), own, text("/metadata/name"));
        (!resource.kind.is_empty() && !resource.name.is_empty()).then_some(resource)
    };
    Ok(yaml::parse(manifest.as_bytes())?.into_iter().filter_map(object).collect())
}
