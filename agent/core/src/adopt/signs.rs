//! By what signs an object shows which controller holds it.

use std::collections::BTreeSet;
use std::fmt;

use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

/// The label by which Argo CD tracks objects where it is not configured otherwise (`application.instanceLabelKey`).
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// Argo CD's annotation: `APPLICATION:GROUP/KIND:NAMESPACE/NAME`.
const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// Flux' labels, by the controller that sets them.
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const HELM: &str = "helm.toolkit.fluxcd.io";

/// Helm's annotations. Its label alone is no sign: every chart has it in its templates, whoever renders them.
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// What a controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Argo CD, by an Application.
    ArgoCd,
    /// Flux, by a Kustomization.
    Kustomization,
    /// Flux, by a HelmRelease.
    HelmRelease,
    /// Helm, by a person or a program that runs it.
    Helm,
}

impl Tool {
    const ALL: [Self; 4] = [Self::ArgoCd, Self::Kustomization, Self::HelmRelease, Self::Helm];

    /// The field managers that it writes content as.
    fn managers(self) -> &'static [&'static str] {
        match self {
            Self::ArgoCd => &["argocd-controller", "argocd-application-controller", "argocd-server"],
            Self::Kustomization => &["kustomize-controller"],
            Self::HelmRelease => &["helm-controller"],
            Self::Helm => &["helm"],
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::ArgoCd => "Argo CD Application",
            Self::Kustomization => "Flux Kustomization",
            Self::HelmRelease => "Flux HelmRelease",
            Self::Helm => "Helm release",
        }
    }
}

/// A controller's object, or a release, that holds objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Of what.
    pub tool: Tool,
    /// In which namespace; none where the sign does not say.
    pub namespace: Option<String>,
    /// Which; none where the sign does not say.
    pub name: Option<String>,
}

/// `Argo CD Application argocd/shop`.
impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.tool.kind();
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => write!(out, "{kind} {namespace}/{name}"),
            (None, Some(name)) => write!(out, "{kind} {name}"),
            (_, None) => write!(out, "{kind} of unknown name"),
        }
    }
}

/// A label or an annotation by which a controller knows its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// `labels` or `annotations`.
    pub(super) field: &'static str,
    /// Its name.
    pub(super) key: String,
}

/// `annotation argocd.argoproj.io/tracking-id`.
impl fmt::Display for Tracking {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.field.trim_end_matches('s'), self.key)
    }
}

/// That somebody holds an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub holder: Holder,
    /// By what that shows: `label app.kubernetes.io/instance`.
    pub sign: String,
    /// By what the holder would delete the object or fight for it.
    pub(super) tracking: Vec<Tracking>,
    /// The release of Helm that it is of: namespace and name.
    pub release: Option<(String, String)>,
}

impl Held {
    fn by(holder: Holder, tracking: Vec<Tracking>) -> Self {
        let sign = tracking.first().map(ToString::to_string).unwrap_or_default();
        Self { holder, sign, tracking, release: None }
    }
}

/// Those that may hold the object: to be looked at before it is decided who does.
pub fn candidates(
    live: &Value,
    resource: &ResourceRef,
    instance_label: &str,
) -> BTreeSet<(Holder, Option<(String, String)>)> {
    held(live, resource, instance_label, &|_| true).into_iter().map(|held| (held.holder, held.release)).collect()
}

/// Who holds the object. `lists` is whether an Application of that name lists it: the label alone is on objects of many charts.
pub(super) fn held(
    live: &Value,
    resource: &ResourceRef,
    instance_label: &str,
    lists: &dyn Fn(&str) -> bool,
) -> Vec<Held> {
    let mut all: Vec<Held> = [
        argo_cd(live, resource, instance_label, lists),
        flux(live, Tool::Kustomization, KUSTOMIZE),
        flux(live, Tool::HelmRelease, HELM),
    ]
    .into_iter()
    .flatten()
    .collect();
    let is_of_flux = all.iter().any(|held| held.holder.tool == Tool::HelmRelease);
    all.extend(release(live).filter(|_| !is_of_flux).map(|(namespace, name)| Held {
        sign: format!("annotation {RELEASE_NAME}"),
        release: Some((namespace.clone(), name.clone())),
        ..Held::by(Holder { tool: Tool::Helm, namespace: Some(namespace), name: Some(name) }, Vec::new())
    }));
    for tool in Tool::ALL {
        let manager = tool.managers().iter().find(|manager| writes(live, manager));
        if let Some(manager) = manager.filter(|_| !all.iter().any(|held| held.holder.tool == tool)) {
            let holder = Holder { tool, namespace: None, name: None };
            all.push(Held { sign: format!("field manager {manager}"), ..Held::by(holder, Vec::new()) });
        }
    }
    all
}

/// The field managers of those that hold the object.
pub(super) fn managers(held: &[Held]) -> Vec<&'static str> {
    held.iter().flat_map(|held| held.holder.tool.managers()).copied().collect()
}

/// Whether an entry of `managedFields` is of what a manager wrote, and not of a status or of a scale.
pub(super) fn is_by(entry: &Value, manager: &str) -> bool {
    entry["manager"] == manager && entry["subresource"].is_null()
}

fn writes(live: &Value, manager: &str) -> bool {
    live["metadata"]["managedFields"].as_array().into_iter().flatten().any(|entry| is_by(entry, manager))
}

fn argo_cd(live: &Value, resource: &ResourceRef, instance_label: &str, lists: &dyn Fn(&str) -> bool) -> Option<Held> {
    let tracking = |field, key: &str| vec![Tracking { field, key: key.to_owned() }];
    let holder = |namespace, name: &str| Holder { tool: Tool::ArgoCd, namespace, name: Some(name.to_owned()) };
    if let Some((namespace, name)) = text(live, "annotations", TRACKING_ID).and_then(|id| tracked(id, resource)) {
        return Some(Held::by(holder(namespace.map(str::to_owned), name), tracking("annotations", TRACKING_ID)));
    }
    let name = text(live, "labels", instance_label).filter(|name| is_name(name))?;
    let is_written = Tool::ArgoCd.managers().iter().any(|manager| writes(live, manager));
    (is_written || lists(name)).then(|| Held::by(holder(None, name), tracking("labels", instance_label)))
}

/// The Application of a tracking id, with its namespace where that is not Argo CD's own; none where the id describes another
/// object: it was copied with the annotations of that one. Objects of the whole cluster carry the namespace of their
/// Application's destination, as Argo CD's `isSelfReferencedObj` has it.
fn tracked<'a>(id: &'a str, resource: &ResourceRef) -> Option<(Option<&'a str>, &'a str)> {
    let (application, object) = id.split_once(':')?;
    // A name of RBAC objects may have colons.
    let (kind, object) = object.split_once(':')?;
    let ((group, kind), (namespace, name)) = (kind.split_once('/')?, object.split_once('/')?);
    let is_there = resource.namespace.as_deref().is_none_or(|there| there == namespace);
    let is_this = group == resource.group && kind == resource.kind && name == resource.name && is_there;
    let (namespace, name) = application.split_once('_').map_or((None, application), |(of, name)| (Some(of), name));
    (is_this && is_name(name) && namespace.is_none_or(is_name)).then_some((namespace, name))
}

fn flux(live: &Value, tool: Tool, domain: &str) -> Option<Held> {
    let key = |part: &str| format!("{domain}/{part}");
    let value = |part: &str| text(live, "labels", &key(part)).filter(|value| is_name(value)).map(str::to_owned);
    let holder = Holder { tool, namespace: Some(value("namespace")?), name: Some(value("name")?) };
    let labels = ["name", "namespace"].map(|part| Tracking { field: "labels", key: key(part) });
    // What a HelmRelease deletes is in the release, whatever the labels of the objects say: these go with the next sync.
    let tracking = if tool == Tool::Kustomization { labels.to_vec() } else { Vec::new() };
    Some(Held { sign: labels[0].to_string(), release: release(live), ..Held::by(holder, tracking) })
}

/// The release that Helm says it is of: namespace and name.
fn release(live: &Value) -> Option<(String, String)> {
    let is_managed = text(live, "labels", "app.kubernetes.io/managed-by") == Some("Helm");
    let value = |key: &str| text(live, "annotations", key).filter(|value| is_name(value)).map(str::to_owned);
    Some((value(RELEASE_NAMESPACE)?, value(RELEASE_NAME)?)).filter(|_| is_managed)
}

fn text<'a>(live: &'a Value, field: &str, key: &str) -> Option<&'a str> {
    live["metadata"][field][key].as_str()
}

/// Whether it can be the name of an object. It is shown, and goes into paths and commands.
fn is_name(name: &str) -> bool {
    const LONGEST: usize = 253;
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= LONGEST && bytes.iter().copied().all(is_part) && is_end(bytes.first()) && is_end(bytes.last())
}
