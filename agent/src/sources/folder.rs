//! What a folder on this machine would say as a commit of a source: for who checks files before they are pushed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quarterdeck_core::generate::{Element, Preview};
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_git::CommitId;
use quarterdeck_shared::application::SourceName;

use super::reading::{self, Cache, Listed, Rules};
use crate::config::Config;
use crate::config::source::ApplicationSource;
use crate::config::source::generate::Generator;
use crate::config::source::spelled::Syntax;

/// Files of a folder: as many as a listing of a commit has.
const FILES_MAX: usize = 200_000;

/// Why a folder is not right.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The configuration has no such source.
    #[error("the configuration has no [[application_source]] {0}")]
    Unknown(SourceName),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has too many files.
    #[error("{} has more than {FILES_MAX} files", .0.display())]
    TooMany(PathBuf),
    /// What is in it is wrong.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// The number of applications that the files of a folder define.
///
/// # Errors
/// Where something is wrong with them: each problem with its file and line.
pub fn check(config: Config, base: &Path, name: &SourceName, folder: &Path) -> Result<usize, FolderError> {
    let source = config.application_source.iter().find(|source| source.name == *name).cloned();
    let source = source.ok_or_else(|| FolderError::Unknown(name.clone()))?;
    let template = source.template.clone();
    let listed = samples(&source);
    let mut files = Files::default();
    let generators = source.generators();
    let gives = |path: &str| generators.iter().any(|one| matches!(one, Generator::Files(globs) if globs.matches(path)));
    let is_read = |path: &str| Syntax::of(path).is_some() || template.as_deref() == Some(path) || gives(path);
    gather(folder, "", &mut files, &is_read)?;
    let rules = Rules { source, config: Arc::new(config), base: base.to_owned() };
    let failed = |error: quarterdeck_core::tree::TreeFailure| FolderError::Wrong(vec![error.to_string()]);
    let reading = reading::read(&files, &rules, &listed, &mut Cache::default()).map_err(failed)?;
    let place = |problem: String| match problem.strip_prefix(' ') {
        Some(of_all) => format!("{}: {of_all}", folder.display()),
        None => folder.join(problem).display().to_string(),
    };
    let mut problems: Vec<String> = reading.problems.into_iter().map(place).collect();
    let doubles = reading
        .applications
        .iter()
        .filter(|one| rules.config.applications.iter().any(|spec| spec.name == one.spec.name));
    problems.extend(doubles.map(|one| {
        let file = folder.join(&*one.file);
        format!(
            "{}: application {} is defined by the configuration too: choose another name",
            file.display(),
            one.spec.name
        )
    }));
    if problems.is_empty() { Ok(reading.applications.len()) } else { Err(FolderError::Wrong(problems)) }
}

/// One of each for what only a remote lists: what a template says of it can be checked.
fn samples(source: &ApplicationSource) -> Listed {
    let commit: CommitId = SAMPLE.parse().unwrap_or_else(|_| unreachable!("it is a commit"));
    let sample = |generator: &Generator| match generator {
        Generator::Branches { .. } => Some(Element::of_branch("example", &commit)),
        Generator::MergeRequests { .. } => Some(Element::of_merge_request(&Preview {
            number: 1,
            branch: "example".to_owned(),
            commit: commit.clone(),
            target: "main".to_owned(),
        })),
        Generator::List(_)
        | Generator::Directories(_)
        | Generator::Folders(_)
        | Generator::Files(_)
        | Generator::Clusters(_) => None,
    };
    let all = source.generators();
    all.iter().enumerate().filter_map(|(index, generator)| Some((index, vec![sample(generator)?]))).collect()
}

/// The commit of a branch that is only an example.
const SAMPLE: &str = "0123456789abcdef0123456789abcdef01234567";

/// The files below a folder; the content only of those that are looked into.
fn gather(root: &Path, below: &str, files: &mut Files, is_read: &dyn Fn(&str) -> bool) -> Result<(), FolderError> {
    let folder = root.join(below);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Read { path, source }
    };
    for entry in std::fs::read_dir(&folder).map_err(failed(&folder))? {
        let entry = entry.map_err(failed(&folder))?;
        let kind = entry.file_type().map_err(failed(&entry.path()))?;
        // A commit has no such name either; what git itself keeps is no part of one.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if kind.is_dir() {
            if name != ".git" {
                gather(root, &path, files, is_read)?;
            }
            continue;
        }
        if files.files.len() >= FILES_MAX {
            return Err(FolderError::TooMany(root.to_owned()));
        }
        let mode = if kind.is_symlink() { EntryMode::Symlink } else { EntryMode::File };
        let is_read = kind.is_file() && is_read(&path);
        let content = if is_read { std::fs::read(entry.path()).map_err(failed(&entry.path()))? } else { Vec::new() };
        files.files.insert(path, (mode, content));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_checked_as_a_commit_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let config = "[[application_source]]\nname = 'teams'\nrepository = '/srv/fleet'\npath = 'apps'\n\
                      clusters = ['c']\nnamespaces = ['*']\n[[application]]\nname = 'mine'\n\
                      [[application.environment]]\nname = 'qa'\nrepository = '/srv/d'\nnamespace = 'n'\n";
        let config = Config::parse(Path::new("/etc/qd/config.toml"), config).unwrap();
        let told = |name: &str| {
            check(config.clone(), Path::new("/etc/qd"), &name.parse().unwrap(), folder.path())
                .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "FOLDER"))
        };
        assert_eq!(told("web"), Err("the configuration has no [[application_source]] web".to_owned()));
        assert_eq!(told("teams"), Err("FOLDER: there is no folder apps".to_owned()));
        std::fs::create_dir_all(folder.path().join("apps/.git")).unwrap();
        std::fs::write(folder.path().join("apps/.git/a.toml"), "no TOML").unwrap();
        let application = |name: &str| {
            format!(
                "[[application]]\nname = '{name}'\n[[application.environment]]\nname = 'qa'\nrepository = '/srv/fleet'\ncluster = 'c'\nnamespace = 'n'\n"
            )
        };
        std::fs::write(folder.path().join("apps/shop.toml"), application("shop")).unwrap();
        assert_eq!(told("teams"), Ok(1));
        std::fs::write(folder.path().join("apps/mine.toml"), application("mine")).unwrap();
        let double = "FOLDER/apps/mine.toml: application mine is defined by the configuration too: choose another name";
        assert_eq!(told("teams"), Err(double.to_owned()));
        std::fs::write(folder.path().join("apps/mine.toml"), "a = 1\n").unwrap();
        let wrong = told("teams").unwrap_err();
        assert!(wrong.starts_with("FOLDER/apps/mine.toml:1:1: unknown field `a`"), "{wrong}");
    }
}
