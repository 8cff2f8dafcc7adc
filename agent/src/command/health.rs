//! `qd-agent health -f FILE…`: judges objects offline by the rules of [`quarterdeck_core::health`], so that these can be tried on
//! what `kubectl get -o yaml` shows. Manifests, lists of them, several documents, YAML or JSON; `-` is standard input.
//!
//! Whether a kind tells a status is read from its definition, where that is among the files; else it is taken to, so that an
//! object without one is Progressing. Rules of a configuration can be tried as well ([`crate::config::health`]).
//!
//! The exit code says whether everything could be judged, not how well it is: that is in the output.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use quarterdeck_shared::protocol::HealthLine;
use serde_json::Value;

use quarterdeck_core::health::rules::Rules;
use quarterdeck_core::health::{Surroundings, assess_in};
use quarterdeck_core::render::object::{inherit, list_items};
use quarterdeck_core::yaml::{self, YamlError};

/// How the verdicts are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns
    Table,
    /// Aligned columns, with the rule that spoke
    Wide,
    /// An array of kind, name, health, reason, rule
    Json,
}

/// What objects are judged by, and how the verdicts are printed.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    /// Ours, and those of a configuration.
    pub(crate) rules: &'a Rules,
    /// The time, where it counts.
    pub(crate) now: Option<jiff::Timestamp>,
    /// How the verdicts are printed.
    pub(crate) output: Output,
}

/// Why not everything was judged. What could be was written.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Some files gave nothing.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Files(Vec<FileError>),
    /// The verdicts could not be written.
    #[error("cannot write the verdicts")]
    Write(#[source] io::Error),
}

/// Why a file gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no YAML or JSON.
    #[error("{}: {source}", .path.display())]
    Yaml {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        source: YamlError,
    },
}

/// Judges every object in the files and writes a line for each: an array of kind, name, health and reason as JSON, or
/// aligned columns.
///
/// # Errors
/// Where a file could not be read or parsed; the objects of the others are judged and written before.
pub(crate) fn run(files: &[PathBuf], by: Judge<'_>, out: &mut dyn Write) -> Result<(), HealthError> {
    let mut problems = Vec::new();
    let mut objects = Vec::new();
    for path in files {
        match read(path) {
            Ok(found) => objects.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    let lines = judge(&objects, by.rules, by.now);
    let written = match by.output {
        Output::Json => write_json(&lines, out),
        Output::Table => write_table(&lines, false, out),
        Output::Wide => write_table(&lines, true, out),
    };
    match written {
        // Who reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.map_err(HealthError::Write)?,
    }
    if problems.is_empty() { Ok(()) } else { Err(HealthError::Files(problems)) }
}

fn read(path: &Path) -> Result<Vec<Value>, FileError> {
    let mut bytes = Vec::new();
    // One byte more than the parser takes, so that it tells what is too long.
    let limit = yaml::TEXT_BYTES_MAX as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let documents = yaml::parse(&bytes).map_err(|source| FileError::Yaml { path: path.to_owned(), source })?;
    let mut objects = Vec::new();
    documents.into_iter().for_each(|document| flatten(document.value, &mut objects));
    Ok(objects)
}

/// Takes lists apart, also those in lists.
pub(crate) fn flatten(mut value: Value, objects: &mut Vec<Value>) {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    match value.as_object_mut().and_then(|object| list_items(object, &kind)) {
        Some(items) => items.into_iter().for_each(|item| flatten(inherit(item, &api_version, &kind), objects)),
        None => objects.push(value),
    }
}

pub(super) fn judge(objects: &[Value], rules: &Rules, now: Option<jiff::Timestamp>) -> Vec<HealthLine> {
    // Storage classes among the objects tell about the claims beside them.
    let waits_for_first_consumer = |class: &str| {
        let classes =
            objects.iter().filter(|object| object.get("kind").and_then(Value::as_str) == Some("StorageClass"));
        let class = classes.into_iter().find(|object| name(object) == class)?;
        Some(class.get("volumeBindingMode").and_then(Value::as_str) == Some("WaitForFirstConsumer"))
    };
    let has_status = |group: &str, kind: &str| Some(has_status(objects, group, kind));
    let surroundings =
        Surroundings { waits_for_first_consumer: &waits_for_first_consumer, has_status: &has_status, rules, now };
    let line = |object: &Value| {
        let verdict = assess_in(object, surroundings);
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
        HealthLine {
            kind: kind.to_owned(),
            name: name(object).to_owned(),
            health: verdict.health,
            reason: verdict.reason,
            rule: verdict.rule,
        }
    };
    objects.iter().map(line).collect()
}

/// What the definition of a kind says, where it is among the objects; else that it has one.
fn has_status(objects: &[Value], group: &str, kind: &str) -> bool {
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_it = |object: &&Value| {
        text(object, "/kind") == "CustomResourceDefinition"
            && text(object, "/spec/group") == group
            && text(object, "/spec/names/kind") == kind
    };
    let Some(definition) = objects.iter().find(is_it) else { return true };
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    versions.into_iter().any(|version| version.pointer("/subresources/status").is_some())
}

fn name(object: &Value) -> &str {
    let metadata = object.get("metadata");
    let field = |field: &str| metadata.and_then(|metadata| metadata.get(field)).and_then(Value::as_str);
    field("name").or(field("generateName")).unwrap_or_default()
}

fn write_json(lines: &[HealthLine], out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, lines)?;
    writeln!(out)
}

fn write_table(lines: &[HealthLine], wide: bool, out: &mut dyn Write) -> io::Result<()> {
    let width = |heading: &str, field: fn(&HealthLine) -> &str| {
        let longest = lines.iter().map(|line| field(line).chars().count()).max().unwrap_or(0);
        longest.max(heading.len())
    };
    let (kind, name) = (width("KIND", |line| &line.kind), width("NAME", |line| &line.name));
    let rule = if wide { width("RULE", |line| &line.rule) } else { 0 };
    let row = |cells: [&str; 5]| {
        let [one, two, health, by, reason] = cells;
        let by = if wide { format!("{by:rule$}  ") } else { String::new() };
        let text = format!("{one:kind$}  {two:name$}  {health:11}  {by}{reason}");
        format!("{}\n", text.trim_end())
    };
    out.write_all(row(["KIND", "NAME", "HEALTH", "RULE", "REASON"]).as_bytes())?;
    for line in lines {
        let health = line.health.to_string();
        out.write_all(row([&line.kind, &line.name, &health, &line.rule, &line.reason]).as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_on(files: &[(&str, &str)], output: Output) -> (String, Result<(), HealthError>) {
        let folder = tempfile::tempdir().unwrap();
        let write = |(name, content): &(&str, &str)| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let mut paths: Vec<PathBuf> = files.iter().map(write).collect();
        if files.is_empty() {
            paths.push(folder.path().join("nothing.yaml"));
        }
        let mut out = Vec::new();
        let result = run(&paths, Judge { rules: Rules::built_in(), now: None, output }, &mut out);
        let result = result.map_err(|error| match error {
            HealthError::Files(problems) => HealthError::Files(problems),
            other => panic!("{other}"),
        });
        (String::from_utf8(out).unwrap(), result)
    }

    const PODS: &str = r#"{"apiVersion": "v1", "kind": "PodList", "items": [
        {"metadata": {"name": "a"}, "status": {"phase": "Succeeded"}}, {"metadata": {"name": "b"}, "status": {"phase": "Failed"}}]}"#;

    #[test]
    fn lists_documents_and_json_are_judged() {
        let yaml = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n---\nkind: Odd\n---\n# nothing\n";
        let (out, result) = run_on(&[("a.yaml", yaml), ("b.json", PODS)], Output::Json);
        assert!(result.is_ok());
        let lines: Vec<HealthLine> = serde_json::from_str(&out).unwrap();
        let lines: Vec<String> =
            lines.into_iter().map(|l| format!("{} {} {}: {}", l.kind, l.name, l.health, l.reason)).collect();
        assert_eq!(
            lines,
            [
                "ConfigMap c Healthy: ",
                "Odd  Unknown: it has no apiVersion or no kind, so it is not a Kubernetes object",
                "Pod a Healthy: completed",
                "Pod b Degraded: it has failed",
            ]
        );
    }

    #[test]
    fn people_read_columns() {
        let (out, _) = run_on(&[("b.json", PODS)], Output::Table);
        assert_eq!(
            out,
            "KIND  NAME  HEALTH       REASON\nPod   a     Healthy      completed\nPod   b     Degraded     it has failed\n"
        );
    }

    #[test]
    fn a_storage_class_tells_about_the_claims_beside_it() {
        let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {storageClassName: fast}\nstatus: {phase: Pending}\n";
        let class = "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}\nvolumeBindingMode: WaitForFirstConsumer\n";
        let (alone, _) = run_on(&[("a.yaml", claim)], Output::Table);
        assert!(alone.contains("Progressing"), "{alone}");
        let (together, _) = run_on(&[("a.yaml", &format!("{claim}{class}"))], Output::Table);
        assert!(together.contains("data  Healthy      its volume is made for the first pod"), "{together}");
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_judged() {
        let (out, result) = run_on(&[("bad.yaml", "a: 1\na: 2"), ("b.json", PODS)], Output::Table);
        assert!(out.contains("Pod   b"), "{out}");
        let message = result.unwrap_err().to_string();
        assert!(
            message.ends_with("bad.yaml: document 1, line 2, column 1: the key \"a\" is defined twice"),
            "{message}"
        );
        let (out, result) = run_on(&[], Output::Json);
        assert_eq!(out, "[]\n");
        assert!(result.unwrap_err().to_string().contains("nothing.yaml: No such file"));
    }

    #[test]
    fn the_rule_that_spoke_is_shown_and_a_definition_says_whether_there_is_a_status() {
        let shop = "apiVersion: example.com/v1\nkind: Shop\nmetadata: {name: a}\n";
        let definition = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: shops.example.com}\nspec: {group: example.com, names: {kind: Shop}, versions: [{name: v1}]}\n";
        let (alone, _) = run_on(&[("a.yaml", shop)], Output::Wide);
        assert!(
            alone.contains("Shop  a     Progressing  generic  its controller has reported no status yet"),
            "{alone}"
        );
        let (together, _) = run_on(&[("a.yaml", &format!("{shop}{definition}"))], Output::Table);
        assert!(together.contains("Healthy      it has no status"), "{together}");
    }
}
