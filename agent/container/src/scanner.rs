//! Scanners that are programs on this machine: `trivy` and `grype`.
//!
//! They fetch what the registry has, by its digest, and look up what they find in databases of their own, which they keep in a
//! folder of ours. The login is in their environment and never in their arguments, which every user of the machine can read. Of
//! our environment they get what they need to reach the network and their databases; they run in that folder, so that no
//! `.trivyignore` or `.grype.yaml` of another place decides what counts. What they report is read by `quarterdeck_core::scan`.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::registry::authorities::Way;
use crate::registry::credentials::Login;
use crate::registry::messages::{self, fit};
use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef};
use quarterdeck_core::output::Mask;
use quarterdeck_shared::application::Scanner;
use quarterdeck_shared::error::Hint;
use quarterdeck_system::program::{self, Finished, Limits, ProgramError};

/// Bytes of a report that are read: an image with ten thousand vulnerabilities and their descriptions has some 60 MiB.
const REPORT_BYTES_MAX: u64 = 128 << 20;

/// Asking for a version takes a moment; a program on a network drive some.
const VERSION_LIMITS: Limits = Limits { time: Duration::from_secs(10), output_bytes: 64 << 10 };

/// How much later than ours the clock of a scanner ends: a slow start of a program fits.
const OWN_CLOCK_SECONDS: u64 = 30;

/// What of our environment a scanner gets: where it is at home, how the network is reached and whom it trusts, and where its
/// databases come from.
const ENVIRONMENT: [&str; 25] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "XDG_RUNTIME_DIR",
    "DOCKER_CONFIG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "TRIVY_DB_REPOSITORY",
    "TRIVY_JAVA_DB_REPOSITORY",
    "TRIVY_SKIP_DB_UPDATE",
    "TRIVY_SKIP_JAVA_DB_UPDATE",
    "TRIVY_OFFLINE_SCAN",
    "GRYPE_DB_UPDATE_URL",
    "GRYPE_DB_AUTO_UPDATE",
    "GRYPE_DB_VALIDATE_AGE",
];

/// Runs scanners.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Where they are, as in `PATH`.
    pub search_path: OsString,
    /// Where they work and keep their databases; a folder of each is made below it.
    pub folder: PathBuf,
}

/// The image to scan, and how its registry is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// With its digest.
    pub image: &'a ImageRef,
    /// Who we are to its registry.
    pub login: Option<&'a Login>,
    /// How its registry is reached.
    pub way: &'a Way,
    /// From start to end, its databases included.
    pub timeout: Duration,
}

/// What a scanner wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its report, as JSON.
    pub report: Vec<u8>,
    /// `0.58.1`
    pub version: String,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ScannerError {
    /// The program is not installed.
    #[error("{program} is not on the PATH")]
    Missing {
        /// Which.
        program: Scanner,
    },
    /// It failed, or met its limits.
    #[error("{program} cannot scan {image}")]
    Program {
        /// Which.
        program: Scanner,
        /// What it was to scan.
        image: String,
        /// Why not.
        source: ProgramError,
    },
    /// It did not say which version it is.
    #[error("{program} does not report its version")]
    Version {
        /// Which.
        program: Scanner,
        /// Why not.
        source: ProgramError,
    },
    /// The folder that it works in cannot be made or written.
    #[error("cannot write into the folder {} for {program}", folder.display())]
    Folder {
        /// Which.
        program: Scanner,
        /// Where.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ScannerError {
    /// Whether it may go well later: a registry or the place of a database is away.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Program { source: ProgramError::Failed { stderr, .. }, .. } => messages::is_transient(stderr),
            _ => false,
        }
    }
}

impl Hint for ScannerError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Missing { program } => {
                format!("install {program} where the agent runs, on the PATH of the agent, or name another scanner in [application.scan]").into()
            }
            Self::Program { source: ProgramError::TooLong(_), .. } => {
                "raise `timeout` in [application.scan]; the first scan fetches a database".into()
            }
            Self::Program { source: ProgramError::Failed { stderr, .. }, .. } => {
                messages::hint(stderr, true).unwrap_or_default().into()
            }
            Self::Program { .. } | Self::Version { .. } | Self::Folder { .. } => "".into(),
        }
    }
}

impl Programs {
    /// Scans an image with a program.
    ///
    /// # Errors
    /// Where the program is missing, fails, takes too long or writes too much.
    pub async fn scan(&self, program: Scanner, request: Request<'_>) -> Result<Output, ScannerError> {
        let path = self.find(program)?;
        let folder = self.folder(program)?;
        let version = self.version_of(program, &path).await?;
        let mut command = command(program, &path, &folder, request);
        // Goes with this scan: the file may be another one at the next.
        let trusted = match &request.way.authorities {
            None => None,
            Some(authorities) => {
                let given = tempfile::tempdir_in(&folder).and_then(|trusted| {
                    authorities.give(trusted.path(), &mut command)?;
                    Ok(trusted)
                });
                Some(given.map_err(|source| ScannerError::Folder { program, folder: folder.clone(), source })?)
            }
        };
        let limits = Limits { time: request.timeout, output_bytes: REPORT_BYTES_MAX };
        let finished = program::run_beside(command, Vec::new(), limits).await.and_then(Finished::successful);
        drop(trusted);
        let mask = Mask::new(request.login.map(Login::secret));
        let failed = |source| {
            let source = match source {
                ProgramError::Failed { status, stderr } => {
                    ProgramError::Failed { status, stderr: fit(&mask, &reason(&stderr)) }
                }
                other => other,
            };
            ScannerError::Program { program, image: request.image.to_string(), source }
        };
        Ok(Output { report: finished.map_err(failed)?.stdout, version })
    }

    /// Asks a program for its version: `0.58.1`.
    ///
    /// # Errors
    /// Where it is missing, or does not say.
    pub async fn version(&self, program: Scanner) -> Result<String, ScannerError> {
        self.version_of(program, &self.find(program)?).await
    }

    async fn version_of(&self, program: Scanner, path: &Path) -> Result<String, ScannerError> {
        let mut command = bare(path);
        command.arg("--version");
        let said = program::run_beside(command, Vec::new(), VERSION_LIMITS).await.and_then(Finished::successful);
        let said = said.map_err(|source| ScannerError::Version { program, source })?;
        Ok(version_in(&String::from_utf8_lossy(&said.stdout)))
    }

    fn find(&self, program: Scanner) -> Result<PathBuf, ScannerError> {
        program::find(program.word(), &self.search_path).ok_or(ScannerError::Missing { program })
    }

    fn folder(&self, program: Scanner) -> Result<PathBuf, ScannerError> {
        let folder = self.folder.join(program.word());
        match std::fs::create_dir_all(&folder) {
            Ok(()) => Ok(folder),
            Err(source) => Err(ScannerError::Folder { program, folder, source }),
        }
    }
}

/// A program with the part of our environment that it gets.
fn bare(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// At home in its own folder, where no configuration of the user lies: a `~/.grype.yaml` would leave vulnerabilities out. Where
/// docker keeps the user's logins it still learns.
fn at_home(command: &mut Command, folder: &Path) {
    command.current_dir(folder).env("HOME", folder);
    if let (None, Some(home)) = (std::env::var_os("DOCKER_CONFIG"), std::env::var_os("HOME")) {
        command.env("DOCKER_CONFIG", Path::new(&home).join(".docker"));
    }
}

/// How an image is scanned.
fn command(program: Scanner, path: &Path, folder: &Path, request: Request<'_>) -> Command {
    let mut command = bare(path);
    // Without a tag: what is scanned is what its digest names.
    let image = request.image;
    let reference = format!("{}@{}", image.name(), image.digest().unwrap_or_default());
    at_home(&mut command, folder);
    match program {
        Scanner::Grype => {
            // Not quiet: then it keeps to itself why it failed.
            command.arg(format!("registry:{reference}")).args(["--output", "json"]);
            command.env("GRYPE_DB_CACHE_DIR", folder).env("GRYPE_CHECK_FOR_APP_UPDATE", "false");
        }
        Scanner::Trivy | Scanner::Harbor => {
            command.args(["image", "--format", "json", "--quiet", "--scanners", "vuln", "--image-src", "remote"]);
            // It has a clock of its own; ours ends first, and says so.
            let timeout = request.timeout.as_secs() + OWN_CLOCK_SECONDS;
            command.args(["--timeout".to_owned(), format!("{timeout}s"), reference]);
            command.env("TRIVY_CACHE_DIR", folder);
        }
    }
    command.envs(logged_in(program, request));
    command
}

/// Who we are to the registry, as a program reads it from its environment. An identity token is in docker's own files alone,
/// which it reads as well.
fn logged_in(program: Scanner, request: Request<'_>) -> Vec<(&'static str, OsString)> {
    let mut set: Vec<(&'static str, &OsStr)> = Vec::new();
    let host = request.image.registry();
    // As the library that grype asks registries with calls it.
    let authority = if host == DOCKER_HUB { "index.docker.io" } else { host };
    let is_grype = program == Scanner::Grype;
    let named = |trivy, grype| if is_grype { grype } else { trivy };
    match request.login {
        Some(Login::Password { username, password }) => {
            set.push((named("TRIVY_USERNAME", "GRYPE_REGISTRY_AUTH_USERNAME"), username.as_ref()));
            set.push((named("TRIVY_PASSWORD", "GRYPE_REGISTRY_AUTH_PASSWORD"), password.expose_secret().as_ref()));
        }
        Some(Login::RegistryToken(token)) => {
            set.push((named("TRIVY_REGISTRY_TOKEN", "GRYPE_REGISTRY_AUTH_TOKEN"), token.expose_secret().as_ref()));
        }
        Some(Login::IdentityToken(_)) | None => {}
    }
    if is_grype && !set.is_empty() {
        set.push(("GRYPE_REGISTRY_AUTH_AUTHORITY", authority.as_ref()));
    }
    if request.way.is_plain {
        let plain: &[&str] =
            if is_grype { &["GRYPE_REGISTRY_INSECURE_USE_HTTP"] } else { &["TRIVY_NON_SSL", "TRIVY_INSECURE"] };
        set.extend(plain.iter().map(|name| (*name, OsStr::new("true"))));
    }
    set.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// The version in what a program prints: `Version: 0.58.1`, `grype 0.87.0`.
fn version_in(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let number = |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let word = line.split_whitespace().find(number).unwrap_or_default();
    word.trim_start_matches('v').chars().take(40).collect()
}

/// Of what a program writes when it fails the line that says why: both write their progress before it. Below its line grype lists
/// what it met on each way to the image, of which that to the registry is ours; why it has no database it says before.
fn reason(stderr: &str) -> String {
    let is_reason = |line: &&str| line.contains("FATAL") || line.contains("ERROR") || line.contains("[0000]");
    let Some(line) = stderr.lines().rfind(is_reason) else { return stderr.to_owned() };
    let behind = |mark: &str| stderr.lines().filter_map(|line| Some(line.split_once(mark)?.1)).next_back();
    let more = match line {
        _ if line.contains("failed to load vulnerability db") => behind("error updating db error="),
        _ if line.ends_with(':') => behind("- oci-registry: "),
        _ => None,
    };
    more.map_or_else(|| line.to_owned(), |more| format!("{} {more}", line.trim_end_matches(':').to_owned() + ":"))
}

#[cfg(test)]
mod tests;
