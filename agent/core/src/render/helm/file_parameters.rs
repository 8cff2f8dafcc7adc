//! Values that are the texts of files, as `helm --set-file` has them: each file is given to helm beside those of values.

use quarterdeck_shared::application::FileParameter;

use super::HelmError;
use crate::render::chart::{Chart, ChartError};
use crate::tree::Tree;
use crate::tree::links::{Followed, resolve_noting};
use crate::tree::paths::join;

/// Where the file of a parameter is written; the configuration was checked for what leads out of the repository.
pub fn place(parameter: &FileParameter) -> String {
    join("", &parameter.path).unwrap_or_default()
}

/// Takes the files of parameters into what a chart is rendered from.
pub(super) fn add(tree: &dyn Tree, parameters: &[FileParameter], chart: &mut Chart) -> Result<(), HelmError> {
    for parameter in parameters {
        let (at, mut way) = (place(parameter), Vec::new());
        let found = resolve_noting(tree, &at, &mut way);
        let path = parameter.path.clone();
        match found.map_err(|source| ChartError::Read { path: path.clone(), source })? {
            Followed::File(entry) => {
                chart.inputs.extend(way.into_iter().chain([entry.path.clone()]));
                chart.files.insert(at, entry);
            }
            Followed::Folder(_) | Followed::Nowhere(_) => {
                return Err(HelmError::FileParameter { name: parameter.name.clone(), path });
            }
        }
    }
    Ok(())
}
