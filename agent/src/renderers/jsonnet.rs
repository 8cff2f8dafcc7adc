//! `jsonnet`: each file that is to be evaluated, with nothing of the repository around it but what imports reach.

use std::ffi::OsString;

use quarterdeck_core::render::jsonnet::{Evaluated, Imports};
use quarterdeck_core::tree::Tree;
use quarterdeck_shared::application::JsonnetSpec;
use serde_json::{Map, Value};

use super::own_folder::Own;
use super::programs::Program;
use super::{BuildError, files, run};

/// Where arguments are written: in files, since everybody on the machine may read those of a process.
const ARGUMENTS: &str = ".quarterdeck-arguments";

pub(super) fn evaluate(
    own: &Own<'_>,
    program: &Program,
    tree: &dyn Tree,
    imports: &Imports,
    spec: &JsonnetSpec,
) -> Result<Vec<Evaluated>, BuildError> {
    let root = own.root();
    let mut bytes_left = files::INPUT_BYTES_MAX;
    files::write(tree, &imports.files, own, &mut bytes_left)?;
    let mut options: Vec<OsString> = Vec::new();
    // The last one is looked into first.
    options.extend(imports.libs.iter().rev().flat_map(|lib| ["-J".into(), root.join(lib).into()]));
    for (kind, values) in [("tla", &spec.tla), ("ext", &spec.ext)] {
        options.extend(given(own, kind, values)?);
    }
    let evaluate = |path: &String| {
        let mut arguments = options.clone();
        arguments.push(path.into());
        let built = run(program, root, &arguments, b"", |line| line.starts_with("TRACE:"))?;
        Ok(Evaluated { path: path.clone(), output: built.output, notes: built.notes })
    };
    imports.begins.iter().map(evaluate).collect()
}

/// Writes values, and names their files: texts are given as they are, everything else as code.
fn given(own: &Own<'_>, kind: &str, values: &Map<String, Value>) -> Result<Vec<OsString>, BuildError> {
    let mut options = Vec::new();
    for (number, (name, value)) in values.iter().enumerate() {
        let (form, content) = match value {
            Value::String(text) => ("str", text.clone()),
            code => ("code", code.to_string()),
        };
        let path = format!("{ARGUMENTS}/{kind}-{number}");
        own.place(&path, |target| std::fs::write(target, content))?;
        options.extend([format!("--{kind}-{form}-file").into(), format!("{name}={path}").into()]);
    }
    Ok(options)
}
