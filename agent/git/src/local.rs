//! Repositories of this machine, by their directories.

use std::path::{Path, PathBuf};

use crate::url::{Location, RepositoryUrl};

/// The git directory of a local repository, bare or not.
pub(crate) fn served(path: &Path) -> PathBuf {
    let inner = path.join(".git");
    if inner.exists() { inner } else { path.to_owned() }
}

/// Whether an address leads to this git directory, which is written absolute and without links: by whatever path, links
/// included. Blocks.
pub fn leads_to(url: &RepositoryUrl, directory: &Path) -> bool {
    match url.location() {
        Location::File(path) => std::fs::canonicalize(served(path)).is_ok_and(|found| found == directory),
        Location::Ssh { .. } | Location::Http { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_by_whatever_path_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(folder.path()).unwrap();
        for made in ["own/shop.git", "own/shop.gitx", "work/.git"] {
            std::fs::create_dir_all(base.join(made)).unwrap();
        }
        std::os::unix::fs::symlink(base.join("own"), base.join("link")).unwrap();
        let shop = base.join("own/shop.git");
        let spelled = |text: &str| text.replace("BASE", base.to_str().unwrap());
        for (text, directory, leads) in [
            ("BASE/own/shop.git", "own/shop.git", true),
            ("file://BASE/own/shop.git", "own/shop.git", true),
            ("own/shop.git", "own/shop.git", true),
            ("./work/../own//shop.git/", "own/shop.git", true),
            ("link/shop.git", "own/shop.git", true),
            ("work", "work/.git", true),
            ("own/shop.gitx", "own/shop.git", false),
            ("own", "own/shop.git", false),
            ("own/gone.git", "own/shop.git", false),
            ("ssh://hostBASE/own/shop.git", "own/shop.git", false),
        ] {
            let url = RepositoryUrl::parse(&spelled(text), &base).unwrap();
            assert_eq!(leads_to(&url, &base.join(directory)), leads, "{text}");
        }
        assert!(shop.is_dir());
    }
}
