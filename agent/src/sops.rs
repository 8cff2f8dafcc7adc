//! The keys and the program that decrypt what SOPS encrypted; the files themselves are decrypted by
//! [`quarterdeck_core::sops`], in memory.
//!
//! Keys of age are read at each render, so that a new one is used at the next. All others (KMS, PGP, Vault, plugins of age, groups
//! of keys) are the `sops` program's: it gets the file on its standard input, and whatever of our environment it logs in with.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quarterdeck_core::sops::age::{Identity, IdentityError};
use quarterdeck_core::sops::{Format, KeyFailure, Keys};
use quarterdeck_core::yaml;
use quarterdeck_shared::application::EnvironmentSpec;
use quarterdeck_shared::error::Hint;
use quarterdeck_system::program::{self, Finished, Limits, ProgramError};
use quarterdeck_system::secret::{self, Place, SecretError};
use secrecy::ExposeSecret as _;

use crate::renderers::confinement;
use crate::renderers::programs::{Program, Renderers};

/// A call of a KMS takes a second, and sops tries one key after the other.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), output_bytes: yaml::TEXT_BYTES_MAX as u64 };

/// Why there is no key, or the program gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SopsKeyError {
    /// A file of keys could not be read.
    #[error("cannot read the age keys")]
    Read(#[from] SecretError),
    /// It holds none.
    #[error("cannot read the age keys of {path}", path = path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: IdentityError,
    },
    /// Nobody is there to ask.
    #[error("sops was not in PATH when the agent began")]
    NoProgram,
    /// It may not be asked.
    #[error("files of environments that are defined in git are decrypted with age keys only")]
    AgeKeysOnly,
    /// It failed. The words of the program are the source.
    #[error("sops decrypt failed")]
    Program(#[source] ProgramError),
}

impl Hint for SopsKeyError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Read(_) | Self::Identity { .. } => "write a key with `age-keygen -o FILE`, and name it by `age_keys`",
            Self::NoProgram => {
                "install sops 3.9 or newer where the agent runs and start the agent again, or encrypt the file for an age key too"
            }
            Self::AgeKeysOnly => "encrypt the file for an age key, and list that key in [application_source.sops], or in [sops] for the configuration in git",
            Self::Program(_) => "run `sops decrypt` on the file as the agent's user: what it logs in with has to be the agent's too",
        }
        .into()
    }
}

/// What an environment decrypts with.
pub struct ConfiguredKeys<'a> {
    /// The files of its age identities.
    pub age_keys: &'a [PathBuf],
    /// What has the other keys.
    pub program: Option<&'a Program>,
    /// Whether that one may be asked at all.
    pub age_keys_only: bool,
}

impl<'a> ConfiguredKeys<'a> {
    /// Those of an environment.
    pub fn of(environment: &'a EnvironmentSpec, renderers: &'a Renderers) -> Self {
        let EnvironmentSpec { age_keys, age_keys_only, .. } = environment;
        Self { age_keys, program: renderers.sops(), age_keys_only: *age_keys_only }
    }
}

impl Keys for ConfiguredKeys<'_> {
    fn identities(&self) -> Result<Vec<Identity>, KeyFailure> {
        let mut identities = Vec::new();
        for file in self.age_keys {
            identities.extend(identities_of(file).map_err(KeyFailure::new)?);
        }
        Ok(identities)
    }

    fn by_program(&self, format: Format, content: &[u8]) -> Result<Vec<u8>, KeyFailure> {
        if self.age_keys_only {
            return Err(KeyFailure::new(SopsKeyError::AgeKeysOnly));
        }
        let program = self.program.ok_or_else(|| KeyFailure::new(SopsKeyError::NoProgram))?;
        let mut command = program.limited();
        command.args(["decrypt", "--input-type", format.name(), "--output-type", format.name()]);
        // Below no folder of a user, so that no `.sops.yaml` there has a say.
        command.current_dir("/").env("SOPS_DISABLE_VERSION_CHECK", "1");
        let ran = program::run(command, content, LIMITS).and_then(Finished::successful).map_err(confinement::told);
        Ok(ran.map_err(|error| KeyFailure::new(SopsKeyError::Program(error)))?.stdout)
    }
}

/// The age identities of a file.
///
/// # Errors
/// Where it cannot be read, or holds something else.
pub fn identities_of(file: &Path) -> Result<Vec<Identity>, SopsKeyError> {
    let text = secret::read_whole(&Place::file(file))?;
    let identities = Identity::read(text.expose_secret());
    identities.map_err(|source| SopsKeyError::Identity { path: file.to_owned(), source })
}
