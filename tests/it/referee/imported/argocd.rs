//! Argo CD as the referee: what its repository server runs for an Application, by the type of its source. An Application that a set
//! makes is its template, with the folder that the import found.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::super::{Objects, again, documents, objects_in, output};
use super::{Case, Referee, Repository};

/// Braces are alternatives, as in the patterns of `directory.include`.
const LIST: &str = "import fnmatch, itertools, os, re, sys
at, recurse, include, exclude = sys.argv[1:5]
def patterns(text):
    parts = [part[1:-1].split(',') if part.startswith('{') else [part] for part in re.split(r'(\\{[^}]*\\})', text)]
    return [''.join(one) for one in itertools.product(*parts)]
def matches(name, text): return any(fnmatch.fnmatchcase(name, one) for one in patterns(text))
for folder, folders, files in os.walk(at):
    if recurse != 'true': folders.clear()
    for name in sorted(files):
        path = os.path.relpath(os.path.join(folder, name), at)
        if not re.search(r'\\.(yaml|yml|json|jsonnet)$', name): continue
        if exclude and matches(path, exclude): continue
        if include and not matches(path, include): continue
        print(path)
";

/// The Applications of a repository.
pub(super) struct Applications<'a> {
    pub(super) repository: &'a Repository,
}

impl Applications<'_> {
    /// The spec of the Application, or of the template of the set that makes it, with its own source alone.
    fn spec(&self, case: &Case) -> Result<Value, String> {
        let text = std::fs::read(self.repository.folder().join(&case.file)).map_err(|error| error.to_string())?;
        let all = documents(&text)?;
        let name = case.object.rsplit('/').next().unwrap_or_default();
        let of_it = all.iter().find(|one| one["kind"] == "Application" && one["metadata"]["name"] == name);
        let spec = match (of_it, all.iter().find(|one| one["kind"] == "ApplicationSet")) {
            (Some(application), _) => application["spec"].clone(),
            (None, Some(set)) => {
                let mut spec = set["spec"]["template"]["spec"].clone();
                spec["source"]["path"] = Value::from(case.spec.path.clone());
                spec["destination"]["namespace"] = Value::from(case.spec.namespace.clone());
                spec
            }
            (None, None) => return Err("it is not in its file".to_owned()),
        };
        Ok(spec)
    }

    fn helm(&self, case: &Case, source: &Value, sources: &[Value], namespace: &str) -> Result<Vec<u8>, String> {
        let helm = &source["helm"];
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let root = self.repository.folder();
        let (chart, path) = (text(source, "chart"), text(source, "path"));
        let folder = match chart.as_str() {
            "" => root.join(&path),
            chart => self.repository.chart(chart, &text(source, "targetRevision"))?,
        };
        let name = case.object.rsplit('/').next().unwrap_or_default();
        let release = helm["releaseName"].as_str().unwrap_or(name);
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = Command::new("helm");
        command.args(["template", release]).arg(&folder).args(["--namespace", namespace, "--no-hooks"]);
        command.args(["--kube-version", super::VERSION]);
        if helm["skipCrds"] != true {
            command.arg("--include-crds");
        }
        for file in list(&helm["valueFiles"]).filter_map(Value::as_str) {
            let of_ref = file.strip_prefix('$').and_then(|rest| rest.split_once('/'));
            let file = match of_ref {
                Some((of, rest)) if sources.iter().any(|source| source["ref"] == of) => root.join(rest),
                Some(_) => return Err(format!("{file}: no source has this ref")),
                None => folder.join(file),
            };
            if file.exists() || helm["ignoreMissingValueFiles"] != true {
                command.arg("--values").arg(file);
            }
        }
        let values = match &helm["valuesObject"] {
            Value::Object(values) => json!(values).to_string(),
            _ => text(helm, "values"),
        };
        let file = scratch.path().join("values.yaml");
        std::fs::write(&file, values).map_err(|error| error.to_string())?;
        command.arg("--values").arg(file);
        for one in list(&helm["parameters"]) {
            command.arg(if one["forceString"] == true { "--set-string" } else { "--set" });
            command.arg(format!("{}={}", text(one, "name"), text(one, "value")));
        }
        for one in list(&helm["fileParameters"]) {
            command.arg("--set-file").arg(format!("{}={}", text(one, "name"), root.join(text(one, "path")).display()));
        }
        output(&mut command, b"")
    }

    /// The files of a folder, one after the other.
    fn directory(&self, source: &Value, path: &str) -> Result<Vec<u8>, String> {
        let (options, at) = (&source["directory"], self.repository.folder().join(path));
        let text = |key: &str| options[key].as_str().unwrap_or_default();
        let recurse = if options["recurse"] == true { "true" } else { "false" };
        let mut command = Command::new("python3");
        let listed =
            output(command.args(["-c", LIST]).arg(&at).args([recurse, text("include"), text("exclude")]), b"")?;
        let mut printed = Vec::new();
        for name in String::from_utf8_lossy(&listed).lines() {
            printed.extend(if name.ends_with(".jsonnet") {
                self.jsonnet(options, &at.join(name))?
            } else {
                std::fs::read(at.join(name)).map_err(|error| error.to_string())?
            });
            printed.extend(b"\n---\n");
        }
        Ok(printed)
    }

    fn jsonnet(&self, options: &Value, file: &Path) -> Result<Vec<u8>, String> {
        let jsonnet = &options["jsonnet"];
        let mut command = Command::new("jsonnet");
        for (kind, key) in [("tla", "tlas"), ("ext", "extVars")] {
            for one in list(&jsonnet[key]) {
                let way = if one["code"] == true { "code" } else { "str" };
                command.arg(format!("--{kind}-{way}"));
                let text = |key: &str| one[key].as_str().unwrap_or_default();
                command.arg(format!("{}={}", text("name"), text("value")));
            }
        }
        for library in list(&jsonnet["libs"]).filter_map(Value::as_str) {
            command.arg("-J").arg(self.repository.folder().join(library));
        }
        let made = output(command.arg(file), b"")?;
        let made: Value = serde_json::from_slice(&made).map_err(|error| error.to_string())?;
        let all = made.as_array().cloned().unwrap_or_else(|| vec![made]);
        Ok(all.iter().map(|one| format!("---\n{one}\n")).collect::<String>().into_bytes())
    }
}

impl Referee for Applications<'_> {
    fn objects(&self, case: &Case) -> Result<Objects, String> {
        let spec = self.spec(case)?;
        let sources: Vec<Value> = list(&spec["sources"]).cloned().collect();
        let has_manifests = |source: &&Value| source["chart"].is_string() || source["path"].is_string();
        let source = sources.iter().find(has_manifests).unwrap_or(&spec["source"]);
        let namespace = spec["destination"]["namespace"].as_str().unwrap_or("default");
        let path = source["path"].as_str().unwrap_or_default().trim_matches('/');
        let at = self.repository.folder().join(path);
        let is_directory = source["directory"].is_object();
        let printed = if source["chart"].is_string() || !is_directory && at.join("Chart.yaml").exists() {
            self.helm(case, source, &sources, namespace)?
        } else if !is_directory && at.join("kustomization.yaml").exists() {
            kustomize(source, &at)?
        } else {
            self.directory(source, path)?
        };
        // An object without a name of its own, as a hook may be, is nothing that kustomize reads.
        objects_in(&again(&printed).unwrap_or(printed), namespace)
    }

    fn config_map(&self, _: &str, _: &str) -> Option<&Value> {
        None
    }
}

/// `kustomize build`, with the options of the Application in a kustomization of their own.
fn kustomize(source: &Value, at: &Path) -> Result<Vec<u8>, String> {
    let options = &source["kustomize"];
    let mut command = Command::new("kustomize");
    command.args(["build", "--enable-helm", "--helm-command", "helm"]);
    let printed = output(command.arg(at), b"")?;
    if !options.is_object() {
        return Ok(printed);
    }
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut kustomization = json!({ "resources": ["all.yaml"] });
    for key in ["namePrefix", "nameSuffix", "namespace", "commonLabels", "commonAnnotations", "patches", "replicas"] {
        if !options[key].is_null() {
            kustomization[key] = options[key].clone();
        }
    }
    let images = list(&options["images"]).filter_map(Value::as_str).map(|image| {
        let (name, new) =
            image.split_once('=').unwrap_or((image.rsplit_once(':').map_or(image, |(name, _)| name), image));
        let (new, tag) = new.rsplit_once(':').unwrap_or((new, "latest"));
        json!({ "name": name, "newName": new, "newTag": tag })
    });
    kustomization["images"] = images.collect();
    std::fs::write(scratch.path().join("all.yaml"), &printed).map_err(|error| error.to_string())?;
    std::fs::write(scratch.path().join("kustomization.yaml"), kustomization.to_string())
        .map_err(|error| error.to_string())?;
    output(Command::new("kubectl").arg("kustomize").arg(scratch.path()), b"")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
