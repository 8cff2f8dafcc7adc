//! Who signed a packaged chart: its provenance file, asked of `gpg` with the public keys that the configuration names and none other.
//!
//! gpg has a home of its own, made for this one check and removed after it, with the keys of the file alone. What it says was signed
//! is what counts, and not what stands around it in the file.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quarterdeck_container::charts::keyring::{self, KeyringError};
use quarterdeck_core::admission::signature::{self, Kind, Verdict};
use quarterdeck_core::charts::provenance::{self, ProvenanceError};
use quarterdeck_shared::error::Hint;
use quarterdeck_shared::revision::ChartRelease;
use quarterdeck_system::program::{self, Finished, Limits, ProgramError};

/// A check takes some milliseconds; a machine that is busy some seconds.
const LIMITS: Limits = Limits { time: Duration::from_secs(30), output_bytes: provenance::BYTES_MAX };

/// What gpg does in the home that is made for it. Whose keys are in the file is trusted: that is what the file says.
const OPTIONS: &str = "batch\nno-autostart\nno-auto-key-retrieve\ntrust-model always\n";

/// Why a chart is not known to be signed by one of the keys.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The keys cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// There is no program to ask.
    #[error("gpg is not installed, and verify_keyring asks it who signed a chart")]
    NoGpg,
    /// It could not be asked.
    #[error("cannot ask gpg who signed {chart}")]
    Gpg {
        /// The chart, with its version.
        chart: String,
        /// Why.
        source: ProgramError,
    },
    /// There is no place for its files.
    #[error("cannot make a folder for gpg")]
    Home(#[source] io::Error),
    /// Nobody signed it.
    #[error("{chart} is not signed: its repository has no provenance file of it")]
    Unsigned {
        /// The chart, with its version.
        chart: String,
    },
    /// Somebody else signed it.
    #[error("{chart} is signed by key {key}, which is not in {keyring}")]
    Stranger {
        /// The chart, with its version.
        chart: String,
        /// Fingerprint or id.
        key: String,
        /// The name of the file.
        keyring: String,
    },
    /// Its signature is worth nothing.
    #[error("the signature of {chart} is not valid: {why}")]
    Invalid {
        /// The chart, with its version.
        chart: String,
        /// Why.
        why: String,
    },
    /// What was signed is something else.
    #[error("{chart} is rejected")]
    Content {
        /// The chart, with its version.
        chart: String,
        /// What was signed.
        source: ProvenanceError,
    },
}

impl Hint for SignerError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Keyring(error) => return error.hint(),
            Self::NoGpg => "install GnuPG",
            Self::Unsigned { .. } => "package it with `helm package --sign`, and publish the .prov file beside it",
            Self::Stranger { .. } => "see who signed it; if that key may sign, add it to the keyring",
            Self::Invalid { .. } => "see who changed the provenance file, and publish the chart as a new version",
            Self::Content { .. } => {
                "nothing was deployed of it; see who changed the archive, and publish it as a new version"
            }
            Self::Gpg { .. } | Self::Home(_) => "",
        }
        .into()
    }
}

impl SignerError {
    /// Whether the chart itself is at fault.
    pub(super) fn is_rejection(&self) -> bool {
        !matches!(self, Self::Gpg { .. } | Self::Home(_))
    }
}

/// The program that is asked.
///
/// # Errors
/// Where it is not installed.
pub(super) fn gpg() -> Result<PathBuf, SignerError> {
    let gpg = std::env::var_os("PATH").and_then(|path| program::find("gpg", &path));
    gpg.ok_or(SignerError::NoGpg)
}

/// Who signed this release, by its provenance file. Nothing of it is kept in `scratch`, a folder that is there. Blocks.
///
/// # Errors
/// Where none of the keys did.
pub(super) fn signer(
    provenance: &[u8],
    release: &ChartRelease,
    keyring: &Path,
    scratch: &Path,
) -> Result<String, SignerError> {
    let chart = || release.short();
    let (gpg, keys) = (gpg()?, keyring::read(keyring)?);
    let home = tempfile::Builder::new().prefix(".signers-").tempdir_in(scratch).map_err(SignerError::Home)?;
    std::fs::write(home.path().join("gpg.conf"), OPTIONS).map_err(SignerError::Home)?;
    let run = |arguments: &[&str], input: &[u8]| {
        let mut command = Command::new(&gpg);
        command.args(["--no-tty", "--quiet", "--status-fd", "2"]).args(arguments);
        command.env("HOME", home.path()).env("GNUPGHOME", home.path()).env_remove("GPG_TTY").env("LC_ALL", "C");
        program::run(command, input, LIMITS).map_err(|source| SignerError::Gpg { chart: chart(), source })
    };
    let imported = run(&["--import"], &keys)?;
    if !imported.status.success() {
        let why = last_line(&imported.stderr);
        return Err(KeyringError { file: keyring.to_owned(), why }.into());
    }
    let Finished { status, stdout, stderr } = run(&["--decrypt"], provenance)?;
    let name = keyring.file_name().unwrap_or(keyring.as_os_str()).to_string_lossy().into_owned();
    match signature::judge(Kind::Gpg, status.success(), &stderr, &name) {
        Verdict::Good(signer) => {
            let wrong = |source| SignerError::Content { chart: chart(), source };
            let signed = provenance::read(&String::from_utf8_lossy(&stdout)).map_err(wrong)?;
            signed.is_of(&release.name, &release.version, &release.digest).map_err(wrong)?;
            Ok(signer)
        }
        Verdict::Stranger(key) => Err(SignerError::Stranger { chart: chart(), key, keyring: name }),
        Verdict::Invalid(why) => Err(SignerError::Invalid { chart: chart(), why }),
        Verdict::OldGit => Err(SignerError::Invalid { chart: chart(), why: "it has no signature".to_owned() }),
    }
}

fn last_line(printed: &str) -> String {
    let mut lines = printed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("[GNUPG:]"));
    lines.next_back().unwrap_or("gpg does not say why").trim_start_matches("gpg: ").to_owned()
}
