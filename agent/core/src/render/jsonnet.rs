//! Renders jsonnet as Argo CD does: each `.jsonnet` file of the folder, not of those below it, makes an object or a list of
//! objects. Which files of the repository that takes is found here (see [`imports`]), and the program that evaluates them is
//! handed in.

mod imports;

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;
use serde_json::Value;

use crate::render::built::BuildFailure;
use crate::render::{Made, RenderError, Request, object};
use crate::tree::TreeFailure;

pub use self::imports::Imports;

/// What one file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The file.
    pub path: String,
    /// JSON.
    pub output: Vec<u8>,
    /// Warnings, a line each: what `std.trace` prints.
    pub notes: Vec<String>,
}

/// Why there is no output of jsonnet.
#[derive(Debug, thiserror::Error)]
pub enum JsonnetError {
    /// The repository could not be read.
    #[error("cannot read {path} from the repository")]
    Read {
        /// What was read.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// There is nothing to begin at.
    #[error("there is no .jsonnet file in the folder itself")]
    None,
    /// There is more than is evaluated.
    #[error("the folder has {0} .jsonnet files, more than {max}", max = imports::BEGINS_MAX)]
    TooManyBegins(usize),
    /// It imports more than is written.
    #[error("it imports more than {max} files", max = imports::FILES_MAX)]
    TooManyFiles,
    /// It would read a file of this machine.
    #[error("{path}, line {line}: it imports {text:?}, which is not in the repository")]
    Outside {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// As it is written.
        text: String,
    },
    /// The name of what it imports is hidden.
    #[error("{path}, line {line}: the name of what it imports has a backslash")]
    Escaped {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
    },
    /// It gave nothing.
    #[error(transparent)]
    Build(#[from] BuildFailure),
    /// What it wrote is no JSON.
    #[error("the output of {path} is not understood")]
    Output {
        /// The file.
        path: String,
        /// Why not.
        source: serde_json::Error,
    },
}

impl Hint for JsonnetError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Read { .. } | Self::Output { .. } => "",
            Self::None => "name the folder of the .jsonnet files by `path`; libraries have the extension .libsonnet",
            Self::TooManyBegins(_) => "name libraries .libsonnet, or import the files in one of them",
            Self::TooManyFiles => "begin at a smaller folder",
            Self::Outside { .. } => "copy it into the repository, and name its folder by `jsonnet.libs`",
            Self::Escaped { .. } => "write the name without it",
            Self::Build(failure) => return failure.hint().into(),
        }
        .into()
    }
}

/// Renders the `.jsonnet` files of a folder.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Made, RenderError> {
    let wrong = |source: JsonnetError| RenderError::Jsonnet { path: folder.to_owned(), source };
    let imports = imports::imports(request.tree, folder, &request.jsonnet.libs).map_err(wrong)?;
    let evaluated = request.programs.jsonnet(request.tree, &imports, request.jsonnet);
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for Evaluated { path, output, notes: of_file } in evaluated.map_err(|error| wrong(error.into()))? {
        notes.extend(of_file);
        let value = serde_json::from_slice(&output)
            .map_err(|source| wrong(JsonnetError::Output { path: path.clone(), source }))?;
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for (number, item) in (1..).zip(items) {
                    object::find(item, &format!("{path}, item {number}"), &mut found)?;
                }
            }
            one => object::find(one, &path, &mut found)?,
        }
    }
    if found.is_empty() {
        return Err(RenderError::Empty {
            path: folder.to_owned(),
            why: "its .jsonnet files make no object".to_owned(),
        });
    }
    Ok(Made { found, hooks: Vec::new(), on_demand: Vec::new(), notes, inputs: imports.inputs.into_iter().collect() })
}

#[cfg(test)]
mod tests;
