//! Builds kustomizations by the program made for it: `kustomize build`, else `kubectl kustomize`.
//!
//! The files that it needs are written to a folder of their own that only we can read, and gone afterwards. The program
//! gets no shell, no network (proxies that lead nowhere, git without protocols) and none of our environment but `PATH`.

pub mod renderers;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quarterdeck_core::render::kustomize::{BuildFailure, Built, Kustomize, Needs};
use quarterdeck_core::tree::{Tree, TreeFailure, is_lfs_pointer};
use quarterdeck_core::yaml;
use quarterdeck_shared::error::Hint;

use self::renderers::{Program, Renderers};
use quarterdeck_system::program::{self, Finished, Limits, ProgramError};

/// A render takes under a second; a large repository on a slow machine some.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), output_bytes: yaml::TEXT_BYTES_MAX as u64 };

/// Bytes that are written for one render: manifests, not data.
const INPUT_BYTES_MAX: u64 = 128 << 20;

/// The largest file that is written though nothing names it: no manifest that kustomize might look for has more.
const BESIDE_BYTES_MAX: u64 = 1 << 20;

/// Warnings of the program that are passed on, and their length in characters.
const WARNINGS_MAX: usize = 10;
const WARNING_CHARS_MAX: usize = 300;

/// Builds with what was found on this machine.
pub struct ByProgram<'a> {
    /// The programs to build with.
    pub renderers: &'a Renderers,
    /// A folder of ours for files that a program needs. What a build leaves there when the agent is killed in the
    /// middle of it is the caller's to clear.
    pub scratch: &'a Path,
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nobody is there to ask.
    #[error("neither kustomize nor kubectl is on the PATH")]
    NoProgram,
    /// Its files could not be written.
    #[error("cannot write {path} for it")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be read from the repository.
    #[error("cannot read {path} from the repository")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// Its files are too much.
    #[error("the files that it names have more than {INPUT_BYTES_MAX} bytes")]
    TooLarge,
    /// A file that it names is kept in Git LFS.
    #[error("{path} is a Git LFS pointer, and its content is not fetched")]
    LargeFileStorage {
        /// The file.
        path: String,
    },
    /// It failed. The words of the program are the source.
    #[error("{program} failed")]
    Program {
        /// `kustomize build`, `kubectl kustomize`.
        program: &'static str,
        /// How.
        source: ProgramError,
    },
}

impl Hint for BuildError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NoProgram => "install one of them",
            Self::TooLarge => "begin at a smaller folder",
            Self::LargeFileStorage { .. } => "keep it in git itself",
            Self::Write { .. } | Self::Read { .. } | Self::Program { .. } => "",
        }
        .into()
    }
}

impl Kustomize for ByProgram<'_> {
    fn build(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure> {
        let program = self.renderers.kustomize().ok_or_else(|| BuildFailure::new(BuildError::NoProgram))?;
        build(self.scratch, program, tree, folder, needs).map_err(BuildFailure::new)
    }
}

fn build(scratch: &Path, program: &Program, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildError> {
    let own = tempfile::Builder::new().prefix("quarterdeck-render-").tempdir_in(scratch);
    let scratch = own.map_err(|source| BuildError::Write { path: scratch.to_owned(), source })?;
    // The program names its files by their real path; it is taken out of its messages again.
    let root = scratch.path().canonicalize().unwrap_or_else(|_| scratch.path().to_owned());
    write(tree, needs, &root)?;
    let mut command = Command::new(&program.path);
    command.args(program.kustomize_arguments()).arg(root.join(folder)).current_dir(&root).env_clear();
    command
        .env("HOME", &root)
        .env("TMPDIR", &root)
        .env("LC_ALL", "C")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("GIT_TERMINAL_PROMPT", "0");
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env(proxy, "http://127.0.0.1:9"); // the discard port: nobody answers
    }
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let output =
        program::run(command, b"", LIMITS).and_then(Finished::successful).map_err(|source| BuildError::Program {
            program: program.command(),
            source: match source {
                ProgramError::Failed { status, stderr } => {
                    let is_warning = |line: &&str| line.starts_with("# Warning");
                    let (warnings, words): (Vec<&str>, Vec<&str>) = stderr.lines().partition(is_warning);
                    let stderr = shorten(&if words.is_empty() { warnings } else { words }.join("\n"), &root);
                    ProgramError::Failed { status, stderr }
                }
                other => other,
            },
        })?;
    let warnings = shorten(&output.stderr, &root);
    let warnings = warnings.lines().map(|line| line.trim_start_matches(['#', ' '])).filter(|line| !line.is_empty());
    let notes = warnings.take(WARNINGS_MAX).map(|line| line.chars().take(WARNING_CHARS_MAX).collect()).collect();
    Ok(Built { output: output.stdout, notes })
}

fn write(tree: &dyn Tree, needs: &Needs, root: &Path) -> Result<(), BuildError> {
    let mut bytes_left = INPUT_BYTES_MAX;
    let read = |path: &str, source| BuildError::Read { path: path.to_owned(), source };
    for (path, entry) in &needs.files {
        let content = tree.blob(entry).map_err(|source| read(path, source))?;
        if is_lfs_pointer(&content) {
            return Err(BuildError::LargeFileStorage { path: path.clone() });
        }
        bytes_left = bytes_left.checked_sub(content.len() as u64).ok_or(BuildError::TooLarge)?;
        place(root, path, |target| std::fs::write(target, &content))?;
    }
    for (path, to) in &needs.links {
        let up = "../".repeat(path.matches('/').count());
        place(root, path, |link| std::os::unix::fs::symlink(format!("{up}{to}"), link))?;
        std::fs::create_dir_all(root.join(to)).map_err(|source| BuildError::Write { path: to.into(), source })?;
    }
    // What nothing names is not missed: it is written as far as it fits, and where no link is in the way.
    for (path, entry) in &needs.beside {
        let size = tree.size(entry).map_err(|source| read(path, source))?;
        let is_behind_a_link = || path.match_indices('/').any(|(end, _)| needs.links.contains_key(&path[..end]));
        if size > BESIDE_BYTES_MAX.min(bytes_left) || is_behind_a_link() {
            continue;
        }
        bytes_left -= size;
        let content = tree.blob(entry).map_err(|source| read(path, source))?;
        place(root, path, |target| std::fs::write(target, &content))?;
    }
    Ok(())
}

/// Makes something at a path below the root, and the folders above it.
fn place(root: &Path, path: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), BuildError> {
    let target = root.join(path);
    let made = target.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| make(&target));
    made.map_err(|source| BuildError::Write { path: path.into(), source })
}

/// The words of the program with paths of the repository instead of ours.
fn shorten(text: &str, root: &Path) -> String {
    let root = root.to_string_lossy();
    text.replace(&format!("{root}/"), "").replace(&*root, ".").trim().to_owned()
}

#[cfg(test)]
mod tests;
