//! What a file or folder on this machine would say as the configuration in git: for who checks it before it is pushed.

use std::path::{Path, PathBuf};

use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;

use super::{compose, reading};
use crate::config::in_git::GitFile;
use crate::config::{Config, ConfigError};

/// Why a working copy is not right.
#[derive(Debug, thiserror::Error)]
pub enum WorkingCopyError {
    /// The local file says nothing of git.
    #[error("{} has no [configuration], which says what git may name", .0.display())]
    NoTable(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what a commit may have.
    #[error("{}: {why}", path.display())]
    Wrong {
        /// The working copy.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What it says is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The configuration of a local file and a working copy of its repository, or of one file of that.
///
/// # Errors
/// Where something is wrong with it: each problem with its file and line.
pub fn check(path: &Path, copy: &Path) -> Result<Config, WorkingCopyError> {
    let local = super::read(path)?;
    let source = Config::parse(path, &local)?.configuration;
    let source = source.ok_or_else(|| WorkingCopyError::NoTable(path.to_owned()))?;
    let is_folder = copy.is_dir();
    let (files, wanted) =
        if is_folder { (gathered(copy, &source.path)?, source.path.as_str()) } else { (one(copy)?, "the file") };
    let failed = |why: String| WorkingCopyError::Wrong { path: copy.to_owned(), why: why.trim().to_owned() };
    let read = reading::read(&files, wanted).map_err(|error| failed(error.to_string()))?;
    let file = |(path, text): (String, String)| {
        let shown = if is_folder { copy.join(&path) } else { copy.to_owned() };
        GitFile { path, shown: shown.display().to_string(), text }
    };
    let files: Vec<GitFile> = read.map_err(failed)?.into_iter().map(file).collect();
    Ok(compose(path, &local, &files)?)
}

fn one(file: &Path) -> Result<Files, WorkingCopyError> {
    let content = std::fs::read(file).map_err(|source| WorkingCopyError::Read { path: file.to_owned(), source })?;
    let mut files = Files::default();
    files.files.insert("the file".to_owned(), (EntryMode::File, content));
    Ok(files)
}

/// What is at a path of a working copy: a file, or the files of a folder.
fn gathered(copy: &Path, path: &str) -> Result<Files, WorkingCopyError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WorkingCopyError::Read { path, source }
    };
    let (mut files, root) = (Files::default(), copy.join(path));
    let mut add = |path: String, place: &Path| -> Result<(), WorkingCopyError> {
        let is_link = place.is_symlink();
        let content = if is_link { Vec::new() } else { std::fs::read(place).map_err(failed(place))? };
        files.files.insert(path, (if is_link { EntryMode::Symlink } else { EntryMode::File }, content));
        Ok(())
    };
    if !root.is_dir() {
        if root.exists() {
            add(path.to_owned(), &root)?;
        }
        return Ok(files);
    }
    for entry in std::fs::read_dir(&root).map_err(failed(&root))? {
        let place = entry.map_err(failed(&root))?.path();
        // A commit has no such name either.
        let Some(name) = place.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(".toml") && !place.is_dir() {
            let below = path.trim_end_matches('/');
            add(if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") }, &place)?;
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_copy_is_checked_as_a_commit_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        let told = |local: &str, copy: &str| {
            let told = check(&at(local), &at(copy)).map(|config| config.applications.len());
            told.map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "FOLDER"))
        };
        let application = "[[application]]\nname = 'shop'\n[[application.environment]]\nname = 'qa'\n\
                           repository = '/srv/d'\nnamespace = 'n'\n";
        std::fs::create_dir_all(at("copy/fleet")).unwrap();
        write("local.toml", "[configuration]\nrepository = '/srv/fleet'\npath = 'fleet'\nsecrets = ['secrets']\n");
        write("bare.toml", "");
        assert_eq!(
            told("bare.toml", "copy"),
            Err("FOLDER/bare.toml has no [configuration], which says what git may name".to_owned())
        );
        assert_eq!(told("local.toml", "copy"), Err("FOLDER/copy: there is no file or folder fleet".to_owned()));
        write("copy/fleet/a.md", "no TOML");
        write("copy/fleet/a.toml", application);
        assert_eq!(told("local.toml", "copy"), Ok(1));
        assert_eq!(told("local.toml", "copy/fleet/a.toml"), Ok(1));
        let secret = "[[registry]]\nhost = 'r'\nusername = 'u'\npassword_file = 'secrets/r'\n";
        write("copy/fleet/b.toml", secret);
        assert_eq!(told("local.toml", "copy"), Ok(1), "the machine that has the file is another one");
        write("copy/fleet/b.toml", &secret.replace("secrets/r", "other/r"));
        let wrong = told("local.toml", "copy").unwrap_err();
        assert!(wrong.starts_with("FOLDER/copy/fleet/b.toml:4:17: FOLDER/other/r is in no folder that git"), "{wrong}");
        write("copy/fleet/b.toml", "[access]\n");
        let wrong = told("local.toml", "copy/fleet/b.toml").unwrap_err();
        assert!(wrong.starts_with("FOLDER/copy/fleet/b.toml:1:1: invalid type: map"), "{wrong}");
        std::fs::remove_file(at("copy/fleet/b.toml")).unwrap();
        std::os::unix::fs::symlink("a.toml", at("copy/fleet/b.toml")).unwrap();
        let wrong = told("local.toml", "copy").unwrap_err();
        assert_eq!(wrong, "FOLDER/copy: fleet/b.toml: a link or a submodule: write the file itself");
    }
}
