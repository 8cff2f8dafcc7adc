//! `kustomize build`, else `kubectl kustomize`.

use std::ffi::OsStr;
use std::path::Path;

use quarterdeck_core::render::built::Built;
use quarterdeck_core::render::kustomize::Needs;
use quarterdeck_core::tree::Tree;

use super::programs::Program;
use super::{BuildError, files, own_folder, run};

pub(super) fn build(
    scratch: &Path,
    program: &Program,
    tree: &dyn Tree,
    folder: &str,
    needs: &Needs,
) -> Result<Built, BuildError> {
    let own = own_folder(scratch)?;
    let root = files::real(own.path());
    let mut bytes_left = files::INPUT_BYTES_MAX;
    files::write(tree, &needs.files, &root, &mut bytes_left)?;
    files::link(&needs.links, &root)?;
    files::write_beside(tree, needs, &root, bytes_left)?;
    let folder = root.join(folder);
    let arguments = [OsStr::new(program.subcommand()), folder.as_os_str()];
    run(program, &root, &arguments, b"", |line| line.starts_with("# Warning"))
}
