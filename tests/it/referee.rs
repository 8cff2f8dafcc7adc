//! What public charts and kustomizations come to, with the programs themselves as the referees: by hand, on a folder of them.
//!
//! Each folder in `$QD_REFEREE` is one: a chart, or a kustomization or jsonnet in the folder that a file `path` names. A chart with a
//! `referee.yaml` is given these values, jsonnet has its libraries in `vendor`. The program renders it in place, and `kubectl kustomize` reads what it prints; that, and what
//! the agent makes of it, have to be the same objects. Python's YAML reads both for us.

mod imported;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quarterdeck_agent::renderers::programs::Renderers;
use quarterdeck_agent::renderers::{ByProgram, NoSecrets};
use quarterdeck_core::render::release::{Capabilities, Release};
use quarterdeck_core::render::{Request, render, scope};
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_shared::application::{FilesSpec, HelmSpec, JsonnetSpec, Overlay, RenderKind};
use quarterdeck_shared::error::Failure;
use serde_json::Value;

/// Both are asked as this release in this namespace, for this version of Kubernetes.
const NAME: &str = "shop";
const NAMESPACE: &str = "prod";
const VERSION: &str = "v1.33.0";

/// The labels and annotations that the agent, and Flux, put on what they deploy begin with one of these.
const TOOLS: [&str; 3] = ["quarterdeck.dev/", "kustomize.toolkit.fluxcd.io/n", "helm.toolkit.fluxcd.io/n"];

/// Reads YAML as JSON: a line each document.
const READ: &str = "import json, sys, yaml\nyaml.CSafeLoader.add_constructor('tag:yaml.org,2002:value', lambda loader, node: node.value)\nfor one in yaml.load_all(sys.stdin, Loader=yaml.CSafeLoader):\n    one and print(json.dumps(one, default=str))";

#[test]
#[ignore = "by hand: wants helm, kubectl, jsonnet, python3-yaml and a folder of charts and kustomizations in QD_REFEREE"]
fn what_the_programs_print_is_what_is_rendered() {
    let root = PathBuf::from(std::env::var_os("QD_REFEREE").expect("QD_REFEREE names a folder"));
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut table = String::from("| what | objects | equal | differing | why |\n| --- | --- | --- | --- | --- |\n");
    let mut is_same = true;
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let row = match (theirs(folder), ours(folder)) {
            (Ok(theirs), Ok(ours)) => {
                let why: Vec<String> = differing(&theirs, &ours);
                let equal = theirs.len().saturating_sub(why.len());
                is_same &= why.is_empty();
                format!("{} | {equal} | {} | {}", theirs.len(), why.len(), why.join("; "))
            }
            (theirs, ours) => {
                let told =
                    |side: &Result<_, String>| side.as_ref().err().cloned().unwrap_or_else(|| "renders".to_owned());
                is_same &= theirs.is_err() && ours.is_err();
                format!("- | - | - | theirs: {}; ours: {}", told(&theirs), told(&ours)).replace('\n', " ")
            }
        };
        writeln!(table, "| {name} | {row} |").unwrap();
    }
    // For who runs it by hand: no table is nothing that was seen.
    writeln!(std::io::stderr(), "{table}").unwrap();
    assert!(is_same, "see the table");
}

/// The objects of a folder, by kind and name.
type Objects = BTreeMap<String, Value>;

fn path_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("path")).map(|path| path.trim().to_owned()).unwrap_or_default()
}

/// The one file of jsonnet of a folder, where it is that.
fn jsonnet_of(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder.join(path_of(folder))).ok()?;
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let name = names.find(|name| name.ends_with(".jsonnet"))?;
    Some(Path::new(&path_of(folder)).join(name).display().to_string())
}

fn theirs(folder: &Path) -> Result<Objects, String> {
    let at = folder.join(path_of(folder));
    let mut command;
    if at.join("Chart.yaml").exists() {
        command = Command::new("helm");
        command.arg("template").arg(NAME).arg(&at).args([
            "--namespace",
            NAMESPACE,
            "--include-crds",
            "--no-hooks",
            "--kube-version",
            VERSION,
        ]);
        let values = folder.join("referee.yaml");
        if values.exists() {
            command.arg("--values").arg(values);
        }
    } else if let Some(main) = jsonnet_of(folder) {
        command = Command::new("jsonnet");
        // A stream of documents, as kubectl reads it.
        let text = format!("local made = import '{main}'; if std.isArray(made) then made else [made]");
        command.args(["-y", "-J", "vendor", "-e", &text]).current_dir(folder);
    } else {
        command = Command::new("kubectl");
        command.arg("kustomize").arg(&at);
    }
    objects_in(&again(&output(&mut command, b"")?)?, NAMESPACE)
}

/// What was printed, written once more by the parser that Kubernetes has, so that a text which looks like something else is in quotes.
fn again(printed: &[u8]) -> Result<Vec<u8>, String> {
    let again = tempfile::tempdir().map_err(|error| error.to_string())?;
    std::fs::write(again.path().join("all.yaml"), printed).map_err(|error| error.to_string())?;
    std::fs::write(again.path().join("kustomization.yaml"), "resources: [all.yaml]\n")
        .map_err(|error| error.to_string())?;
    output(Command::new("kubectl").arg("kustomize").arg(again.path()), b"")
}

/// The files of a folder, without what git keeps of them.
fn files_of(folder: &Path) -> Result<Files, String> {
    let (mut tree, mut waiting) = (Files::default(), vec![folder.to_owned()]);
    while let Some(place) = waiting.pop() {
        for entry in std::fs::read_dir(&place).map_err(|error| error.to_string())?.flatten() {
            let path = entry.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            if path.is_symlink() {
                let target = std::fs::read_link(&path).map_err(|error| error.to_string())?;
                let target = target.to_string_lossy().into_owned().into_bytes();
                tree.files.insert(name, (EntryMode::Symlink, target));
            } else if path.is_dir() {
                waiting.extend((name != ".git").then_some(path));
            } else {
                let content = std::fs::read(&path).map_err(|error| error.to_string())?;
                tree.files.insert(name, (EntryMode::File, content));
            }
        }
    }
    Ok(tree)
}

fn ours(folder: &Path) -> Result<Objects, String> {
    let tree = files_of(folder)?;
    let has_values = tree.files.contains_key("referee.yaml");
    let spec = HelmSpec {
        values_files: has_values.then(|| "referee.yaml".to_owned()).into_iter().collect(),
        ..HelmSpec::default()
    };
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let renderers = Renderers::find(std::env::var_os("PATH").as_deref());
    let capabilities = || Ok(Capabilities { kube_version: Some(VERSION.to_owned()), api_versions: Vec::new() });
    let any = |group: &str, kind: &str| scope::builtin(group, kind).or(Some(scope::Scope::Namespaced));
    let rendered = render(&Request {
        tree: &tree,
        path: &path_of(folder),
        kind: if jsonnet_of(folder).is_some() { RenderKind::Jsonnet } else { RenderKind::Auto },
        environment: &"shop/prod".parse().expect("an address"),
        namespace: NAMESPACE,
        scope: &any,
        has_status: &|_, _| None,
        variables: None,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        release: &Release { name: NAME, namespace: NAMESPACE, spec: &spec, capabilities: &capabilities },
        jsonnet: &JsonnetSpec { libs: vec!["vendor".to_owned()], ..JsonnetSpec::default() },
        programs: &ByProgram { renderers: &renderers, scratch: scratch.path(), secrets: &NoSecrets },
    });
    let rendered = rendered.map_err(|error| Failure::of(&error).to_string())?;
    let yaml = |object: Value| (key_in(&object, NAMESPACE), simple(object));
    Ok(rendered.manifests.into_iter().map(|one| yaml(one.object.into_value())).collect())
}

/// What a program prints.
fn output(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let (stdin, path) = (tempfile::NamedTempFile::new().map_err(|error| error.to_string())?, "its input");
    std::fs::write(stdin.path(), input).map_err(|error| format!("{path}: {error}"))?;
    let input = std::fs::File::open(stdin.path()).map_err(|error| format!("{path}: {error}"))?;
    let done = command.stdin(input).stderr(Stdio::piped()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if done.status.success() { Ok(done.stdout) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
}

/// The objects that a text has, by kind and name.
fn objects_in(yaml: &[u8], namespace: &str) -> Result<Objects, String> {
    Ok(documents(yaml)?.into_iter().map(|object| (key_in(&object, namespace), simple(object))).collect())
}

/// The documents of a text, those of lists one by one.
fn documents(yaml: &[u8]) -> Result<Vec<Value>, String> {
    let printed = output(Command::new("python3").args(["-c", READ]), yaml)?;
    let text = String::from_utf8_lossy(&printed);
    let mut documents = Vec::new();
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match object["items"].as_array() {
            Some(items) if object["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {
                documents.extend(items.iter().cloned());
            }
            _ => documents.push(object),
        }
    }
    Ok(documents)
}

/// Kind, namespace and name; of what names no namespace, the given one where it has any.
fn key_in(object: &Value, namespace: &str) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
    let group = text("/apiVersion");
    let group = group.split_once('/').map_or("", |(group, _)| group);
    let is_of_cluster = scope::builtin(group, &text("/kind")) == Some(scope::Scope::Cluster);
    let own = object.pointer("/metadata/namespace").and_then(Value::as_str);
    let namespace = if is_of_cluster { "" } else { own.unwrap_or(namespace) };
    format!("{group}/{} {namespace}/{}", text("/kind"), text("/metadata/name"))
}

/// Without what the agent means to change: its labels, a namespace that is not named, the status, texts of a Secret in base64, and what a
/// cluster writes.
fn simple(mut object: Value) -> Value {
    let Some(fields) = object.as_object_mut() else { return object };
    fields.remove("status");
    if fields.get("kind").and_then(Value::as_str) == Some("Secret") {
        fields.remove("stringData");
        fields.remove("data");
    }
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        metadata.remove("namespace");
        for map in ["labels", "annotations"] {
            if let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) {
                entries.retain(|name, _| !TOOLS.iter().any(|tool| name.starts_with(tool)));
                if entries.is_empty() {
                    metadata.remove(map);
                }
            }
        }
    }
    without_nulls(&mut object);
    object
}

/// A null says that a field is not there.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Which objects differ, and in what first.
fn differing(theirs: &Objects, ours: &Objects) -> Vec<String> {
    let mut why: Vec<String> = Vec::new();
    for (key, object) in theirs {
        match ours.get(key) {
            None => why.push(format!("{key} is missing")),
            Some(other) if other != object => why.push(format!("{key}: {}", first(object, other, String::new()))),
            Some(_) => {}
        }
    }
    why.extend(ours.keys().filter(|key| !theirs.contains_key(*key)).map(|key| format!("{key} is more")));
    why
}

/// Where two values differ first.
fn first(theirs: &Value, ours: &Value, at: String) -> String {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key));
            let none = &Value::Null;
            keys.map_or(at.clone(), |key| {
                first(a.get(key).unwrap_or(none), b.get(key).unwrap_or(none), format!("{at}/{key}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let place = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or_default();
            first(&a[place], &b[place], format!("{at}/{place}"))
        }
        _ => format!("{at} is {} and not {}", short(ours), short(theirs)),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
