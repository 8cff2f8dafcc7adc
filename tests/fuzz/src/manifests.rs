//! Manifests: what is read as YAML is written and read back the same; what renders does so again, by itself and from
//! its own output, keeps to what every manifest has, differs from itself in nothing, and shows no secret.
//!
//! The first byte says how: `k` with kustomize, `h` with Helm, `j` with jsonnet, anything else plainly. The rest is `apps/shop/a.yaml`, up to a line
//! `=== path` that begins another file; a path that ends in `@` is a link.

use std::collections::BTreeMap;
use std::path::Path;

use quarterdeck_agent::renderers::programs::Renderers;
use quarterdeck_agent::renderers::{ByProgram, NoSecrets};
use quarterdeck_core::render::images::images;
use quarterdeck_core::render::release::{Capabilities, Release};
use quarterdeck_core::render::{RenderError, Rendered, Request, render, scope};
use quarterdeck_core::sync::digest::ContentDigest;
use quarterdeck_core::sync::path::{parse, readable};
use quarterdeck_core::sync::{APPLICATION_LABEL, concede, drift, ignore, managed_fields, mask, normalize, order};
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_core::yaml::{self, Document, YamlError};
use quarterdeck_shared::application::{FilesSpec, HelmSpec, JsonnetSpec, Overlay, RenderKind};
use serde_json::Value;

const FIRST: &str = "apps/shop/a.yaml";

/// `data` is how, and the files.
pub fn check(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let files = files(rest);
    for (_, content) in files.files.values() {
        round_trip(content);
    }
    let kind = match how {
        b'k' => RenderKind::Kustomize,
        b'h' => RenderKind::Helm,
        b'j' => RenderKind::Jsonnet,
        _ => RenderKind::Plain,
    };
    if let Ok(rendered) = render_all(&files, kind) {
        is_valid(&rendered);
        assert_eq!(render_all(&files, kind).ok().as_ref(), Some(&rendered), "the same files are the same manifests");
        renders_from_its_output(&rendered);
    }
}

fn round_trip(content: &[u8]) {
    let documents = match yaml::parse(content) {
        Ok(documents) => documents,
        Err(YamlError::Syntax { line, .. }) => {
            assert!(line <= 1 + content.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u64, "line {line}");
            return;
        }
        Err(_) => return,
    };
    assert!(documents.iter().enumerate().all(|(i, document)| document.number == i + 1));
    let values: Vec<Value> = documents.into_iter().map(|document: Document| document.value).collect();
    let written = yaml::write_all(&values);
    let read =
        yaml::parse(written.as_bytes()).unwrap_or_else(|error| panic!("{error} in what was written: {written:?}"));
    let read: Vec<Value> = read.into_iter().map(|document| document.value).collect();
    // A document that says nothing is none.
    let values: Vec<Value> = values.into_iter().filter(|value| !value.is_null()).collect();
    assert_eq!(read, values, "{written}");
}

fn render_all(files: &Files, kind: RenderKind) -> Result<Rendered, RenderError> {
    render(&Request {
        tree: files,
        path: "apps/shop",
        kind,
        environment: &"shop/prod".parse().expect("an address"),
        namespace: "prod",
        scope: &scope::builtin,
        has_status: &|_, _| None,
        variables: None,
        files: &FilesSpec::default(),
        overlay: &Overlay::default(),
        jsonnet: &JsonnetSpec::default(),
        release: &Release {
            name: "shop",
            namespace: "prod",
            spec: &HelmSpec::default(),
            capabilities: &|| Ok(Capabilities::default()),
        },
        // Without a program nothing is built: what it would need is found, and that is all.
        programs: &ByProgram {
            renderers: &Renderers::default(),
            scratch: Path::new("/nonexistent"),
            secrets: &NoSecrets,
        },
    })
}

fn is_valid(rendered: &Rendered) {
    assert!(!rendered.manifests.is_empty(), "nothing is an error, never a plan that prunes all");
    let mut seen = std::collections::BTreeSet::new();
    for manifest in &rendered.manifests {
        let value = manifest.object.value();
        let (object, resource) = (&*value, &manifest.resource);
        assert!(seen.insert(resource), "{resource} is defined twice");
        assert_eq!(object["metadata"]["labels"][APPLICATION_LABEL], "shop", "{object}");
        assert_eq!(object["metadata"]["name"].as_str(), Some(resource.name.as_str()), "{object}");
        assert_eq!(object["metadata"]["namespace"].as_str(), resource.namespace.as_deref(), "{object}");
        assert_eq!(object["apiVersion"].as_str(), Some(manifest.api_version().as_str()), "{object}");
        assert!(object.get("status").is_none() && object.get("stringData").is_none() || resource.kind != "Secret");
        assert_eq!(manifest.digest, ContentDigest::of(object));
        let differs = drift::differences(object, object, object, None);
        assert!(differs.fields.is_empty() && differs.more == 0, "{object} differs from itself: {differs:?}");
        shows_no_secret(object);
        leaves_to_others(object);
    }
    let sorted = rendered.manifests.windows(2).all(|pair| order::compare(&pair[0].resource, &pair[1].resource).is_le());
    assert!(sorted, "in the order of their apply");
    assert!(images(&rendered.manifests).is_sorted());
}

fn shows_no_secret(object: &Value) {
    if !normalize::is_secret(object) {
        return;
    }
    let mut masked = object.clone();
    mask::mask(&mut masked, None);
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        assert_ne!(masked["data"][key], *value, "{key} of {masked}");
    }
}

/// What an object leaves to others is never what it is, whoever owns that.
fn leaves_to_others(object: &Value) {
    let Ok(ignored) = ignore::fields(object) else { return };
    for path in &ignored {
        assert_eq!(parse(&readable(path)).as_ref(), Ok(path), "{}", readable(path));
    }
    let less = managed_fields::without(object, &ignored);
    for sent in [&less, &concede::yielding(object, object, &ignored), &concede::yielding(object, &less, &ignored)] {
        for name in [
            "/apiVersion",
            "/kind",
            "/metadata/name",
            "/metadata/namespace",
            "/metadata/labels/quarterdeck.dev~1application",
        ] {
            assert_eq!(sent.pointer(name), object.pointer(name), "{name} of {object}");
        }
    }
}

/// What was rendered is itself a folder of manifests, of the same objects.
fn renders_from_its_output(rendered: &Rendered) {
    let text = rendered
        .manifests
        .iter()
        .map(|manifest| yaml::write(&manifest.object.value()))
        .collect::<Vec<_>>()
        .join("---\n");
    let again = Files::new(&[(FIRST, &text)]);
    let again = render_all(&again, RenderKind::Plain).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    assert_eq!(again.digest(), rendered.digest(), "{text}");
}

/// The files that the data describes.
fn files(data: &[u8]) -> Files {
    let mut files = BTreeMap::new();
    let (mut path, mut mode, mut content) = (FIRST.to_owned(), EntryMode::File, Vec::new());
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let header = line.strip_prefix(b"=== ").and_then(|path| std::str::from_utf8(path.trim_ascii()).ok());
        match header.filter(|header| is_path(header.trim_end_matches('@'))) {
            Some(header) => {
                files.insert(path, (mode, std::mem::take(&mut content)));
                path = header.trim_end_matches('@').to_owned();
                mode = if header.ends_with('@') { EntryMode::Symlink } else { EntryMode::File };
            }
            None => content.extend_from_slice(line),
        }
    }
    files.insert(path, (mode, content));
    // In a commit no file lies below a file.
    let paths: Vec<String> = files.keys().cloned().collect();
    let below =
        |path: &str| paths.iter().any(|file| path.strip_prefix(file.as_str()).is_some_and(|p| p.starts_with('/')));
    files.retain(|path, _| !below(path));
    Files { files, ..Files::default() }
}

fn is_path(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
