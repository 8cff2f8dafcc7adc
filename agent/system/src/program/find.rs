//! Where a program is.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The first file of this name on a `PATH` that may be executed. Folders that are not absolute are passed over: what is found
/// must not depend on where the agent was started.
pub fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_may_be_executed_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["a", "b", "c"].map(|name| root.path().join(name));
        let path = std::env::join_paths(&folders).unwrap();
        for (folder, mode) in folders.iter().zip([0o644, 0o755, 0o755]) {
            std::fs::create_dir(folder).unwrap();
            let file = folder.join("tool");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(find("tool", &path), Some(folders[1].join("tool")));
        assert_eq!(find("a", root.path().as_os_str()), None, "a folder is no program");
        assert_eq!(find("tool", OsStr::new("b:")), None, "relative folders are passed over");
        assert_eq!(find("tool", OsStr::new("")), None);
    }
}
