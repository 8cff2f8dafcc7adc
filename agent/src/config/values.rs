//! Values that are not written in the configuration: where they are found.

use std::collections::BTreeMap;
use std::path::Path;

use quarterdeck_shared::application::ValueFrom;

/// Relative paths of files that hold values begin at `base`.
pub(super) fn anchor(values: &mut BTreeMap<String, ValueFrom>, base: &Path) {
    for value in values.values_mut() {
        if let ValueFrom::File { file } = value {
            *file = base.join(&*file).display().to_string();
        }
    }
}
