//! Flux as the referee: `flux build kustomization` makes what a Kustomization is in the cluster, with the Kustomizations and
//! HelmReleases in it as that leaves them, and `helm template` what a release is with its values put together as Flux does it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::super::{Objects, documents, objects_in, output};
use super::{Case, Referee, Repository};

/// What is in the cluster once everything was built.
pub(super) struct Cluster<'a> {
    repository: &'a Repository,
    /// By kind, namespace and name.
    objects: BTreeMap<String, Value>,
    /// What each Kustomization makes, as text.
    built: BTreeMap<String, Result<Vec<u8>, String>>,
}

impl<'a> Cluster<'a> {
    pub(super) fn read(repository: &'a Repository, cases: &[Case]) -> Result<Self, String> {
        let mut cluster = Self { repository, objects: BTreeMap::new(), built: BTreeMap::new() };
        let first = repository.folder().join(repository.first.as_deref().unwrap_or("."));
        let mut next = VecDeque::from(of_folder(&first)?);
        while let Some(object) = next.pop_front() {
            let name = named(&object);
            if is_kustomization(&object) && !cluster.built.contains_key(&name) {
                let made = cluster.build(&object, cases);
                next.extend(made.as_ref().map_or(Ok(Vec::new()), |made| documents(made))?);
                cluster.built.insert(name.clone(), made);
            }
            cluster.objects.insert(name, object);
        }
        Ok(cluster)
    }

    /// `flux build kustomization`.
    fn build(&self, object: &Value, cases: &[Case]) -> Result<Vec<u8>, String> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let mut path = text("/spec/path").trim_start_matches("./").to_owned();
        if text("/spec/sourceRef/kind") == "ExternalArtifact" {
            // What it is put together of is no file.
            let found = cases.iter().find(|case| case.object == named(object)).ok_or("an artifact of elsewhere")?;
            path.clone_from(&found.spec.path);
        }
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = scratch.path().join("kustomization.yaml");
        std::fs::write(&file, self.with_variables(object).to_string()).map_err(|error| error.to_string())?;
        let mut command = Command::new("flux");
        command.args(["build", "kustomization", text("/metadata/name"), "--namespace", text("/metadata/namespace")]);
        command
            .args(["--dry-run", "--path"])
            .arg(self.repository.folder().join(path))
            .arg("--kustomization-file")
            .arg(&file);
        output(command.current_dir(self.repository.folder()), b"")
    }

    /// With the variables of ConfigMaps as its own: a build without a cluster reads none.
    fn with_variables(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let own = object.pointer("/spec/postBuild/substitute").and_then(Value::as_object).cloned().unwrap_or_default();
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
        let mut all = serde_json::Map::new();
        for source in object.pointer("/spec/postBuild/substituteFrom").and_then(Value::as_array).into_iter().flatten() {
            let found = self.config_map(namespace, source["name"].as_str().unwrap_or_default());
            all.extend(found.and_then(|found| found["data"].as_object()).cloned().unwrap_or_default());
        }
        all.extend(own);
        if let Some(build) = object.pointer_mut("/spec/postBuild").and_then(Value::as_object_mut) {
            build.insert("substitute".to_owned(), Value::Object(all));
        }
        object
    }

    fn release(&self, case: &Case) -> Result<Objects, String> {
        let object = self.objects.get(&case.object).ok_or("no Kustomization makes it")?;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (name, own) =
            (text("/metadata/name").unwrap_or_default(), text("/metadata/namespace").unwrap_or("default"));
        let target = text("/spec/targetNamespace");
        let release = match (text("/spec/releaseName"), target) {
            (Some(release), _) => release.to_owned(),
            (None, Some(target)) => format!("{target}-{name}"),
            (None, None) => name.to_owned(),
        };
        let namespace = target.unwrap_or(own);
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = Command::new("helm");
        command.args(["template", &release]).arg(self.chart(object, own)?).args(["--namespace", namespace]);
        command.args(["--no-hooks", "--kube-version", super::VERSION]);
        if text("/spec/install/crds") != Some("Skip") {
            command.arg("--include-crds");
        }
        for (number, values) in self.values(object, own)?.iter().enumerate() {
            let file = scratch.path().join(format!("{number}.yaml"));
            std::fs::write(&file, values).map_err(|error| error.to_string())?;
            command.arg("--values").arg(file);
        }
        let printed = output(&mut command, b"")?;
        objects_in(&self.post_rendered(object, &printed, scratch.path())?, namespace)
    }

    fn chart(&self, object: &Value, own: &str) -> Result<std::path::PathBuf, String> {
        let source = |reference: &Value| {
            let text = |key: &str| reference[key].as_str();
            let name = format!(
                "{} {}/{}",
                text("kind").unwrap_or_default(),
                text("namespace").unwrap_or(own),
                text("name").unwrap_or_default()
            );
            self.objects.get(&name).ok_or(format!("no {name}"))
        };
        let reference = &object["spec"]["chartRef"];
        if reference.is_object() {
            let found = source(reference)?;
            let name = found["spec"]["url"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
            return self.repository.chart(name, found["spec"]["ref"]["tag"].as_str().unwrap_or("*"));
        }
        let chart = &object["spec"]["chart"]["spec"];
        let name = chart["chart"].as_str().unwrap_or_default();
        if chart["sourceRef"]["kind"] == "GitRepository" {
            return Ok(self.repository.folder().join(name));
        }
        source(&chart["sourceRef"])?;
        self.repository.chart(name, chart["version"].as_str().unwrap_or("*"))
    }

    /// The files of values, in the order in which Flux merges them.
    fn values(&self, object: &Value, own: &str) -> Result<Vec<String>, String> {
        let mut files = Vec::new();
        for source in object["spec"]["valuesFrom"].as_array().into_iter().flatten() {
            let text = |key: &str| source[key].as_str();
            let (kind, name) = (text("kind").unwrap_or_default(), text("name").unwrap_or_default());
            let found = self.objects.get(&format!("{kind} {own}/{name}"));
            let value = found.and_then(|found| found["data"][text("valuesKey").unwrap_or("values.yaml")].as_str());
            match (value, text("targetPath"), source["optional"] == true) {
                (Some(_), Some(path), _) => return Err(format!("values at {path}, which helm reads of no file")),
                (Some(value), None, _) => files.push(value.to_owned()),
                (None, _, true) => {}
                (None, _, false) => return Err(format!("the values in {kind} {name} are not in the repository")),
            }
        }
        files.push(object["spec"]["values"].as_object().map_or("{}".to_owned(), |values| json!(values).to_string()));
        Ok(files)
    }

    /// What its post-renderers make of it: kustomize, one after the other.
    fn post_rendered(&self, object: &Value, printed: &[u8], scratch: &Path) -> Result<Vec<u8>, String> {
        let mut printed = printed.to_vec();
        for one in object["spec"]["postRenderers"].as_array().into_iter().flatten() {
            let mut kustomization = one["kustomize"].clone();
            kustomization["resources"] = json!(["all.yaml"]);
            std::fs::write(scratch.join("all.yaml"), &printed).map_err(|error| error.to_string())?;
            std::fs::write(scratch.join("kustomization.yaml"), kustomization.to_string())
                .map_err(|error| error.to_string())?;
            printed = output(Command::new("kubectl").arg("kustomize").arg(scratch), b"")?;
        }
        Ok(printed)
    }
}

impl Referee for Cluster<'_> {
    fn objects(&self, case: &Case) -> Result<Objects, String> {
        if case.object.starts_with("HelmRelease ") {
            return self.release(case);
        }
        let made = self.built.get(&case.object).ok_or("no Kustomization makes it")?.clone()?;
        let has_unknown = case.spec.variables.as_ref().is_some_and(|asked| {
            asked.from.iter().any(|source| self.config_map(&case.spec.namespace, &source.name).is_none())
        });
        let made = if has_unknown { without_variables(&made) } else { made };
        let mut objects = objects_in(&made, &case.spec.namespace)?;
        objects.retain(|key, _| !is_imported_by_itself(key));
        Ok(objects)
    }

    fn config_map(&self, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&format!("ConfigMap {namespace}/{name}"))
    }
}

/// Objects of Flux in a folder are environments of their own, and the import says to take them out of it.
pub(super) fn is_imported_by_itself(key: &str) -> bool {
    key.split('/').next().is_some_and(|group| group.ends_with(".fluxcd.io"))
}

/// Without the variables that a build without a cluster leaves where it knows no value; in the cluster they are empty.
fn without_variables(made: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(made);
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, rest)) if quarterdeck_core::variables::is_name(name) => out += rest,
            _ => out += &format!("${{{part}"),
        }
    }
    out.into_bytes()
}

/// The objects of a folder: of its kustomization, else of all of its files.
fn of_folder(folder: &Path) -> Result<Vec<Value>, String> {
    if folder.join("kustomization.yaml").is_file() {
        return documents(&output(Command::new("kubectl").arg("kustomize").arg(folder), b"")?);
    }
    let mut all = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder).map_err(|error| error.to_string())?.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for path in entries.iter().map(std::fs::DirEntry::path) {
        if path.is_dir() && !path.ends_with(".git") {
            all.extend(of_folder(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            let text = std::fs::read(&path).map_err(|error| error.to_string())?;
            all.extend(documents(&text).unwrap_or_default());
        }
    }
    all.retain(|object| object["kind"].is_string());
    Ok(all)
}

fn is_kustomization(object: &Value) -> bool {
    object["kind"] == "Kustomization"
        && object["apiVersion"].as_str().is_some_and(|version| version.starts_with("kustomize.toolkit.fluxcd.io/"))
}

/// `HelmRelease apps/web`
fn named(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match text("/metadata/namespace") {
        "" => format!("{} {}", text("/kind"), text("/metadata/name")),
        namespace => format!("{} {namespace}/{}", text("/kind"), text("/metadata/name")),
    }
}
