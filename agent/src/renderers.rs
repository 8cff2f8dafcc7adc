//! Runs the programs that make manifests: `kustomize build`, else `kubectl kustomize`, `helm template` and `jsonnet`.
//!
//! The files that one needs are written to a folder of their own in memory that only we can read, and gone afterwards. A program
//! gets no shell, proxies that lead nowhere, git without protocols, none of our environment but `PATH`, and what else
//! [`confinement`] keeps it from.

mod files;
mod helm;
mod jsonnet;
mod kustomize;

pub mod own_folder;

pub mod confinement;
pub mod in_clear;
pub(crate) mod launcher;
pub mod programs;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quarterdeck_core::render::built::{BuildFailure, Built};
use quarterdeck_core::render::chart::Chart;
use quarterdeck_core::render::jsonnet::{Evaluated, Imports};
use quarterdeck_core::render::kustomize::Needs;
use quarterdeck_core::render::programs::Programs;
use quarterdeck_core::render::release::Release;
use quarterdeck_core::sops::decrypting::Decrypting;
use quarterdeck_core::tree::{Tree, TreeFailure};
use quarterdeck_core::yaml;
use quarterdeck_shared::application::JsonnetSpec;
use quarterdeck_shared::error::Hint;

use self::files::{INPUT_BYTES_MAX, shorten};
use self::own_folder::Own;
use self::programs::{Program, Renderers};
use quarterdeck_system::program::{self, Finished, Limits, ProgramError};

/// A render takes under a second; a large repository on a slow machine some.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), output_bytes: yaml::TEXT_BYTES_MAX as u64 };

/// How Go's collector works in a renderer, which lives for a moment: as it comes, a fifth of what `helm template` of a small chart
/// takes of the processor is collecting. It may have five times what is live, within what the confinement allows it.
const GOGC: &str = "400";
const GOMEMLIMIT: &str = "1GiB";

/// Warnings of the program that are passed on, and their length in characters.
const WARNINGS_MAX: usize = 10;
const WARNING_CHARS_MAX: usize = 300;

/// Renders with what was found on this machine.
pub struct ByProgram<'a> {
    /// The programs to render with.
    pub renderers: &'a Renderers,
    /// A folder of ours on the disk, for files in clear that a program needs where memory has no room. What a build leaves there when
    /// the agent is killed in the middle of it is the caller's to clear.
    pub scratch: &'a Path,
    /// What was decrypted for a program.
    pub secrets: &'a dyn Secrets,
}

/// What a render reads that nobody else is to see.
pub trait Secrets: Sync {
    /// Takes it out of what a program prints.
    fn scrub(&self, text: &str) -> String;

    /// Whether something was decrypted so far: it is written to no disk.
    fn is_any(&self) -> bool;
}

impl Secrets for Decrypting<'_> {
    fn scrub(&self, text: &str) -> String {
        Decrypting::scrub(self, text)
    }

    fn is_any(&self) -> bool {
        self.has_decrypted()
    }
}

/// Of files that are all in clear.
#[derive(Debug, Clone, Copy)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn scrub(&self, text: &str) -> String {
        text.to_owned()
    }

    fn is_any(&self) -> bool {
        false
    }
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nobody is there to ask.
    #[error("neither kustomize nor kubectl is on the PATH")]
    NoKustomize,
    /// The same for charts.
    #[error("helm is not on the PATH")]
    NoHelm,
    /// The same for jsonnet.
    #[error("jsonnet is not on the PATH")]
    NoJsonnet,
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
    /// Its files are decrypted, and nothing in memory is there to put them.
    #[error("its files were decrypted, and the agent has no folder in memory to give them to a program")]
    NoMemory,
    /// The same, where the folder is too small.
    #[error("its files were decrypted, and {} has no room for them", folder.display())]
    MemoryFull {
        /// The folder in memory.
        folder: PathBuf,
    },
    /// It failed. The words of the program are the source.
    #[error("{program} failed")]
    Program {
        /// `kustomize build`, `kubectl kustomize`, `helm template`, `jsonnet`.
        program: &'static str,
        /// How.
        source: ProgramError,
    },
}

impl Hint for BuildError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NoKustomize => "install one of them",
            Self::NoHelm => "install helm 3 or 4 where the agent runs, and start the agent again",
            Self::NoJsonnet => "install go-jsonnet or jsonnet where the agent runs, and start the agent again",
            Self::TooLarge => "begin at a smaller folder",
            Self::LargeFileStorage { .. } => "keep it in git itself",
            Self::NoMemory => "mount a tmpfs at /dev/shm, and start the agent again",
            Self::MemoryFull { .. } => {
                "make it larger: `mount -o remount,size=256m /dev/shm`, or in a pod an emptyDir there with medium: Memory"
            }
            Self::Program { source: ProgramError::Failed { stderr, .. }, .. } => confinement::hint(stderr),
            Self::Write { .. } | Self::Read { .. } | Self::Program { .. } => "",
        }
        .into()
    }
}

impl BuildError {
    /// Whether the files are why: the program read them and said no. One that a signal ended, that met a limit of this machine or
    /// took too long, may do better at the next try.
    fn is_of_the_files(&self) -> bool {
        match self {
            Self::TooLarge | Self::LargeFileStorage { .. } => true,
            Self::Program { source: ProgramError::Failed { status, stderr }, .. } => {
                status.code().is_some() && confinement::hint(stderr).is_empty()
            }
            Self::NoKustomize | Self::NoHelm | Self::NoJsonnet | Self::NoMemory | Self::MemoryFull { .. } => false,
            Self::Write { .. } | Self::Read { .. } | Self::Program { .. } => false,
        }
    }
}

impl Programs for ByProgram<'_> {
    fn kustomize(&self, tree: &dyn Tree, folder: &str, needs: &Needs) -> Result<Built, BuildFailure> {
        let program = self.renderers.kustomize().ok_or_else(|| BuildFailure::new(BuildError::NoKustomize))?;
        let helm = match needs.has_charts {
            true => Some(self.renderers.helm().ok_or_else(|| BuildFailure::new(BuildError::NoHelm))?),
            false => None,
        };
        self.scrubbed(self.in_own_folder(|own| kustomize::build(own, program, helm, tree, folder, needs)))
    }

    fn helm(&self, tree: &dyn Tree, chart: &Chart, release: &Release<'_>) -> Result<Built, BuildFailure> {
        let program = self.renderers.helm().ok_or_else(|| BuildFailure::new(BuildError::NoHelm))?;
        let capabilities = (release.capabilities)()?;
        self.scrubbed(self.in_own_folder(|own| helm::template(own, program, tree, chart, release, &capabilities)))
    }

    fn jsonnet(&self, tree: &dyn Tree, imports: &Imports, spec: &JsonnetSpec) -> Result<Vec<Evaluated>, BuildFailure> {
        let program = self.renderers.jsonnet().ok_or_else(|| BuildFailure::new(BuildError::NoJsonnet))?;
        let evaluated = self.in_own_folder(|own| jsonnet::evaluate(own, program, tree, imports, spec));
        let mut evaluated = evaluated.map_err(|error| self.failed(error))?;
        let notes = evaluated.iter_mut().flat_map(|one| &mut one.notes);
        notes.for_each(|note| *note = self.secrets.scrub(note));
        Ok(evaluated)
    }
}

impl ByProgram<'_> {
    /// Builds in a folder in memory; on the disk where memory has no room and nothing is decrypted.
    fn in_own_folder<T>(&self, build: impl Fn(&Own<'_>) -> Result<T, BuildError>) -> Result<T, BuildError> {
        let on_disk = |full: Option<PathBuf>| build(&Own::on_disk(self.scratch, self.secrets, full)?);
        let Some(memory) = &self.renderers.memory else { return on_disk(None) };
        match Own::in_memory(memory).and_then(|own| build(&own)) {
            Err(error) if own_folder::is_full(&error) => on_disk(Some(memory.clone())),
            outcome => outcome,
        }
    }

    fn scrubbed(&self, built: Result<Built, BuildError>) -> Result<Built, BuildFailure> {
        let Built { output, notes } = built.map_err(|error| self.failed(error))?;
        Ok(Built { output, notes: notes.iter().map(|note| self.secrets.scrub(note)).collect() })
    }

    /// The error without what nobody is to see.
    fn told(&self, error: BuildError) -> BuildError {
        match error {
            BuildError::Program { program, source: ProgramError::Failed { status, stderr } } => BuildError::Program {
                program,
                source: ProgramError::Failed { status, stderr: self.secrets.scrub(&stderr) },
            },
            other => other,
        }
    }

    /// A failure as the render takes it: one that the files cause is the same the next time.
    fn failed(&self, error: BuildError) -> BuildFailure {
        let error = self.told(error);
        if error.is_of_the_files() { BuildFailure::of_the_files(error) } else { BuildFailure::new(error) }
    }
}

/// Builds a kustomization where it is, which nothing of ours was written to.
///
/// # Errors
/// Where the program fails, in its own words.
pub fn in_place(program: &Program, folder: &Path, limits: Limits) -> Result<Vec<u8>, BuildError> {
    let root = own_folder::real(folder);
    let mut command = match program.is_confined() {
        true => kept_to_itself(program, &root),
        false => Command::new(&program.path),
    };
    command.arg(program.subcommand()).arg(&root).current_dir(&root);
    let built = program::run(command, b"", limits).and_then(Finished::successful);
    let built = built.map_err(|source| BuildError::Program {
        program: program.command(),
        source: match confinement::told(source) {
            ProgramError::Failed { status, stderr } => ProgramError::Failed { status, stderr: shorten(&stderr, &root) },
            other => other,
        },
    })?;
    Ok(built.stdout)
}

/// Runs a program on files below `root`. `is_warning` tells which of its lines on the standard error are warnings.
fn run(
    program: &Program,
    root: &Path,
    arguments: &[impl AsRef<OsStr>],
    input: &[u8],
    is_warning: impl Fn(&str) -> bool,
) -> Result<Built, BuildError> {
    let mut command = kept_to_itself(program, root);
    command.args(arguments).current_dir(root);
    let output =
        program::run(command, input, LIMITS).and_then(Finished::successful).map_err(|source| BuildError::Program {
            program: program.command(),
            source: match confinement::told(source) {
                ProgramError::Failed { status, stderr } => {
                    let (warnings, words): (Vec<&str>, Vec<&str>) = stderr.lines().partition(|line| is_warning(line));
                    let stderr = shorten(&if words.is_empty() { warnings } else { words }.join("\n"), root);
                    ProgramError::Failed { status, stderr }
                }
                other => other,
            },
        })?;
    let warnings = shorten(&output.stderr, root);
    let warnings = warnings.lines().map(|line| line.trim_start_matches(['#', ' '])).filter(|line| !line.is_empty());
    let notes = warnings.take(WARNINGS_MAX).map(|line| line.chars().take(WARNING_CHARS_MAX).collect()).collect();
    Ok(Built { output: output.stdout, notes })
}

/// A program that is kept from all but its folder.
fn kept_to_itself(program: &Program, root: &Path) -> Command {
    let mut command = program.confined(root);
    command
        .env("HOME", root)
        .env("TMPDIR", root)
        .env("LC_ALL", "C")
        .env("HELM_PLUGINS", "/dev/null") // what the repository has at this place below HOME is no plugin
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GOGC", GOGC)
        .env("GOMEMLIMIT", GOMEMLIMIT);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env(proxy, "http://127.0.0.1:9"); // the discard port: nobody answers
    }
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

#[cfg(test)]
mod tests;
