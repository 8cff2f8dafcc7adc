//! Renders a kustomization by the program made for it: `kustomize build`, else `kubectl kustomize`.
//!
//! The files that it needs (see [`super::kustomization`]) are written to a folder of their own that only we can read,
//! and gone afterwards. The program gets no shell, no network (proxies that lead nowhere, git without protocols) and
//! none of our environment but `PATH`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::render::kustomization::{Needs, needs};
use crate::render::object::{self, Found};
use crate::render::program::{self, Limits};
use crate::render::renderers::Program;
use crate::render::{RenderError, Request};
use crate::yaml;

pub use crate::render::kustomization::KustomizationError;
pub use crate::render::program::ProgramError;

/// A render takes under a second; a large repository on a slow machine some.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), output_bytes: yaml::TEXT_BYTES_MAX };

/// Bytes that are written for one render: manifests, not data.
const INPUT_BYTES_MAX: usize = 128 << 20;

/// Warnings of the program that are passed on, and their length in characters.
const WARNINGS_MAX: usize = 10;
const WARNING_CHARS_MAX: usize = 300;

/// Why there is no output of kustomize.
#[derive(Debug, thiserror::Error)]
pub enum KustomizeError {
    /// It was not asked.
    #[error(transparent)]
    Kustomization(#[from] KustomizationError),
    /// Nobody is there to ask.
    #[error("neither kustomize nor kubectl is on the PATH; install one of them")]
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
        source: super::tree::TreeFailure,
    },
    /// Its files are too much.
    #[error("its files have more than {INPUT_BYTES_MAX} bytes; begin at a smaller folder")]
    TooLarge,
    /// It failed. The words of the program are the source.
    #[error("{program} failed")]
    Program {
        /// `kustomize build`, `kubectl kustomize`.
        program: &'static str,
        /// How.
        source: ProgramError,
    },
    /// What it wrote is no YAML.
    #[error("its output is not understood")]
    Output(#[source] yaml::YamlError),
}

/// What came of a kustomization.
pub(super) struct Kustomized {
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<String>,
    pub(super) inputs: Vec<String>,
}

/// Renders the kustomization of a folder.
pub(super) fn render(request: &Request<'_>, folder: &str) -> Result<Kustomized, RenderError> {
    let wrong = |source| RenderError::Kustomize { path: folder.to_owned(), source };
    let needs = needs(request.tree, folder).map_err(|error| wrong(error.into()))?;
    let program = request.renderers.kustomize().ok_or_else(|| wrong(KustomizeError::NoProgram))?;
    let (output, mut notes) = build(request, folder, program, &needs).map_err(wrong)?;
    notes.extend(needs.notes);
    let mut found = Vec::new();
    for document in yaml::parse(&output).map_err(|error| wrong(KustomizeError::Output(error)))? {
        object::find(document.value, &format!("kustomization of {folder}, document {}", document.number), &mut found)?;
    }
    if found.is_empty() {
        return Err(RenderError::Empty {
            path: folder.to_owned(),
            why: "its kustomization makes no object".to_owned(),
        });
    }
    Ok(Kustomized { found, notes, inputs: needs.inputs.into_iter().collect() })
}

fn build(
    request: &Request<'_>,
    folder: &str,
    program: &Program,
    needs: &Needs,
) -> Result<(Vec<u8>, Vec<String>), KustomizeError> {
    let scratch = tempfile::Builder::new().prefix("quarterdeck-render-").tempdir_in(request.scratch);
    let scratch = scratch.map_err(|source| KustomizeError::Write { path: request.scratch.to_owned(), source })?;
    // The program names its files by their real path; it is taken out of its messages again.
    let root = scratch.path().canonicalize().unwrap_or_else(|_| scratch.path().to_owned());
    write(request, needs, &root)?;
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
    let output = program::run(&mut command, LIMITS).map_err(|source| KustomizeError::Program {
        program: program.words(),
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
    Ok((output.stdout, notes))
}

fn write(request: &Request<'_>, needs: &Needs, root: &Path) -> Result<(), KustomizeError> {
    let mut bytes_left = INPUT_BYTES_MAX;
    for (path, entry) in &needs.files {
        let content =
            request.tree.blob(&entry.id).map_err(|source| KustomizeError::Read { path: path.clone(), source })?;
        bytes_left = bytes_left.checked_sub(content.len()).ok_or(KustomizeError::TooLarge)?;
        let target = root.join(path);
        let made = target.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&target, content))
            .map_err(|source| KustomizeError::Write { path: path.into(), source })?;
    }
    Ok(())
}

/// The words of the program with paths of the repository instead of ours.
fn shorten(text: &str, root: &Path) -> String {
    let root = root.to_string_lossy();
    text.replace(&format!("{root}/"), "").replace(&*root, ".").trim().to_owned()
}
