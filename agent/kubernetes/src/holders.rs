//! What holds objects, as the cluster has it: Applications of Argo CD, Kustomizations and HelmReleases of Flux, releases of Helm.
//! They are read for an adoption alone, since nothing else of ours depends on them.

use std::collections::BTreeSet;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::GzDecoder;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::objects::{Objects, collection_path, segment};
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use quarterdeck_core::adopt::{Holder, Holders, INSTANCE_LABEL, Release, Tool, manifest_of};

/// Holders that are looked at: an environment is one Application or release there, and a few where it was several.
const HOLDERS_MAX: usize = 100;

/// A release is kept in a Secret, which has 1 MiB at most; packed text of manifests becomes ten to thirty times that.
const RELEASE_BYTES_MAX: u64 = 64 << 20;

/// What was found.
pub(super) struct Looked {
    pub(super) holders: Holders,
    /// What could not be looked at, and why.
    pub(super) unseen: Vec<String>,
}

/// The label by which Argo CD tracks objects in this cluster.
///
/// # Errors
/// Where the cluster could not be asked. Who may not read its settings goes by the default.
pub(super) async fn instance_label(objects: &Objects) -> Result<String, ApiProblem> {
    if objects.kinds().await?.get("argoproj.io", "Application").is_none() {
        return Ok(INSTANCE_LABEL.to_owned());
    }
    let route = objects.resource(&ResourceRef::new("", "ConfigMap", None, ""), Some("v1")).await?;
    let path = format!("{}?limit=10&fieldSelector=metadata.name%3Dargocd-cm", collection_path(&route.resource, None));
    let found = match objects.requests.json("read the settings of Argo CD", get(&path)).await {
        Err(problem) if problem.class.is_transient() => return Err(problem),
        found => found.unwrap_or_default(),
    };
    let mut maps = found["items"].as_array().into_iter().flatten();
    let label = maps.find_map(|map| map["data"]["application.instanceLabelKey"].as_str().filter(|key| !key.is_empty()));
    Ok(label.unwrap_or(INSTANCE_LABEL).to_owned())
}

/// Reads those that may hold objects.
///
/// # Errors
/// Where the cluster could not be asked. What may not be read is in [`Looked::unseen`].
pub(super) async fn look(
    objects: &Objects,
    candidates: &BTreeSet<(Holder, Option<(String, String)>)>,
) -> Result<Looked, ApiProblem> {
    let mut looked = Looked { holders: Holders::default(), unseen: Vec::new() };
    let holders: BTreeSet<&Holder> = candidates.iter().map(|(holder, _)| holder).collect();
    let releases: BTreeSet<&(String, String)> = candidates.iter().filter_map(|(_, release)| release.as_ref()).collect();
    for holder in holders.iter().take(HOLDERS_MAX) {
        match read(objects, holder).await {
            Ok(found) => looked.holders.objects.extend(found),
            Err(problem) => looked.miss(&holder.to_string(), problem)?,
        }
    }
    for (namespace, name) in releases.iter().take(HOLDERS_MAX) {
        match release(objects, namespace, name).await {
            Ok(found) => looked.holders.releases.extend(found),
            Err(problem) => looked.miss(&format!("Helm release {namespace}/{name}"), problem)?,
        }
    }
    if holders.len().max(releases.len()) > HOLDERS_MAX {
        looked.unseen.push(format!("only the first {HOLDERS_MAX} of {} holders were looked at", holders.len()));
    }
    Ok(looked)
}

impl Looked {
    fn miss(&mut self, what: &str, problem: ApiProblem) -> Result<(), ApiProblem> {
        match problem.class {
            class if class.is_transient() => return Err(problem),
            // It is described as one that was not found.
            Class::KindMissing | Class::NotFound | Class::NamespaceMissing => {}
            _ => self.unseen.push(format!("{what}: {problem}")),
        }
        Ok(())
    }
}

/// The objects that may be this holder; of an Application whose namespace is not known all of its name.
async fn read(objects: &Objects, holder: &Holder) -> Result<Vec<Value>, ApiProblem> {
    let (group, kind) = match holder.tool {
        Tool::ArgoCd => ("argoproj.io", "Application"),
        Tool::Kustomization => ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        Tool::HelmRelease => ("helm.toolkit.fluxcd.io", "HelmRelease"),
        Tool::Helm => return Ok(Vec::new()),
    };
    let Some(name) = &holder.name else { return Ok(Vec::new()) };
    if holder.namespace.is_some() {
        let resource = ResourceRef::new(group, kind, holder.namespace.as_deref(), name);
        return Ok(objects.get(&resource, None).await?.into_iter().collect());
    }
    let route = objects.resource(&ResourceRef::new(group, kind, None, ""), None).await?;
    let path = collection_path(&route.resource, None);
    let path = format!("{path}?limit=250&fieldSelector=metadata.name%3D{}", segment(name));
    let mut list = objects.requests.json(&format!("list the {kind}s of name {name}"), get(&path)).await?;
    let mut found = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    // Items of a list do not say what they are.
    found.iter_mut().for_each(|object| object["kind"] = kind.into());
    Ok(found)
}

/// A release of Helm, by the newest of its Secrets that is deployed; none where there is none.
async fn release(objects: &Objects, namespace: &str, name: &str) -> Result<Option<Release>, ApiProblem> {
    let doing = format!("read the Helm release {namespace}/{name}");
    let route = objects.resource(&ResourceRef::new("", "Secret", None, ""), Some("v1")).await?;
    let path = collection_path(&route.resource, Some(namespace));
    let selector = format!("owner%3Dhelm,status%3Ddeployed,name%3D{}", segment(name));
    let list = objects.requests.json(&doing, get(&format!("{path}?limit=250&labelSelector={selector}"))).await?;
    let version = |secret: &&Value| {
        secret["metadata"]["labels"]["version"].as_str().and_then(|version| version.parse::<u64>().ok())
    };
    let Some(newest) = list["items"].as_array().into_iter().flatten().max_by_key(version) else { return Ok(None) };
    let manifest = unpacked(newest)
        .ok_or_else(|| ApiProblem::new(Class::Invalid, doing.clone(), "its Secret does not hold a release"))?;
    let kinds = objects.kinds().await?;
    let scope = |group: &str, kind: &str| kinds.get(group, kind).map(|kind| kind.scope);
    // The text of the manifest may be secret: nothing of it is in the message.
    let found = manifest_of(&manifest, namespace, &scope)
        .map_err(|_| ApiProblem::new(Class::Invalid, doing, "its manifest is not valid YAML"))?;
    Ok(Some(Release { namespace: namespace.to_owned(), name: name.to_owned(), objects: found }))
}

/// The manifest in a Secret of type `helm.sh/release.v1`: base64 of the API, base64 of Helm, gzip, JSON.
fn unpacked(secret: &Value) -> Option<String> {
    let packed = BASE64.decode(BASE64.decode(secret["data"]["release"].as_str()?).ok()?).ok()?;
    let mut bytes = Vec::new();
    match packed.starts_with(&[0x1f, 0x8b, 0x08]) {
        true => GzDecoder::new(&*packed).take(RELEASE_BYTES_MAX).read_to_end(&mut bytes).ok()?,
        // As Helm 2 and its first conversions kept it.
        false => packed.as_slice().read_to_end(&mut bytes).ok()?,
    };
    let release: Value = serde_json::from_slice(&bytes).ok()?;
    Some(release["manifest"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_release_is_unpacked_and_what_is_none_is_not() {
        let release = json!({ "name": "shop", "manifest": "kind: ConfigMap\n" }).to_string();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(release.as_bytes()).unwrap();
        let twice = |bytes: &[u8]| json!({ "data": { "release": BASE64.encode(BASE64.encode(bytes)) } });
        let packed = twice(&gzip.finish().unwrap());
        for (secret, manifest) in [
            (&packed, Some("kind: ConfigMap\n")),
            (&twice(release.as_bytes()), Some("kind: ConfigMap\n")),
            (&twice(b"{}"), None),
            (&json!({ "data": { "release": "%" } }), None),
            (&json!({ "data": {} }), None),
        ] {
            assert_eq!(unpacked(secret).as_deref(), manifest);
        }
    }
}
