//! Why what was pushed is not signed, and what a person could do about it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use quarterdeck_container::registry::messages::{hint, is_transient};
use quarterdeck_container::registry::signature::KeyError;
use quarterdeck_shared::error::Hint;

use super::kind::ProgramKind;

/// What was pushed is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A program is not installed.
    #[error("{} is not in PATH of the agent", .0.name())]
    Missing(ProgramKind),
    /// The private key cannot be read.
    #[error("cannot read the private key {}", .path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{} is not a private key of cosign", short(.0))]
    NotAKey(PathBuf),
    /// The password is not the key's.
    #[error("the password of {} is wrong", short(.0))]
    Password(PathBuf),
    /// The public half of the key cannot be used.
    #[error("the key cannot be used")]
    Public(#[from] KeyError),
    /// The program signs for no identity in the way that is asked for.
    #[error("signing without a key requires cosign 3, and an older one is in PATH of the agent")]
    TooOld,
    /// There is no identity token of any use.
    #[error("cannot use the identity token {}: {why}", .path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// There is no trusted root of any use.
    #[error("cannot use the trusted root {}: {why}", .path.display())]
    TrustedRoot {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The certificate authority refused the token.
    #[error("the certificate authority made no certificate for the identity token: {said}")]
    NoCertificate {
        /// Who should have made the token.
        issuer: String,
        /// Its words.
        said: String,
    },
    /// A folder for its files cannot be made.
    #[error("cannot write to {}", .path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed, or could not be run to its end.
    #[error("{} failed while {doing}: {said}", .program.name())]
    Failed {
        /// Which.
        program: ProgramKind,
        /// What it was to do.
        doing: &'static str,
        /// Its last words, fit to be shown.
        said: String,
        /// Whether it came with a login.
        with_login: bool,
    },
    /// A program did not end in time.
    #[error("{} did not end within {seconds} s while {doing}", .program.name())]
    TooLong {
        /// Which.
        program: ProgramKind,
        /// What it was to do.
        doing: &'static str,
        /// Its limit.
        seconds: u64,
    },
    /// The run was cancelled meanwhile.
    #[error("cancelled")]
    Dropped,
    /// The program ended well, and what it should have written is not found.
    #[error("cosign signed {image}, but its signature is not in the registry: {found}")]
    NotThere {
        /// By its digest.
        image: String,
        /// What is there.
        found: String,
    },
}

impl SignError {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Failed { said, .. } => is_transient(said),
            Self::TooLong { .. } => true,
            _ => false,
        }
    }
}

impl Hint for SignError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Missing(ProgramKind::Cosign) => {
                "install cosign 2 or 3 (3 for identities), or leave out [application.sign] and identities in require_signature".into()
            }
            Self::TooOld => "install cosign 3, or sign with a key".into(),
            Self::Token { .. } => {
                "check identity_token_file in [application.sign.keyless], and that whoever writes the file renews it".into()
            }
            Self::TrustedRoot { .. } => {
                "write one with `cosign trusted-root create`, from the certificates of Fulcio and of the timestamp authority".into()
            }
            Self::NoCertificate { issuer, .. } => format!(
                "see that Fulcio knows the issuer {issuer} and reaches it, and that the token is for the audience that Fulcio wants (sigstore)"
            )
            .into(),
            Self::Missing(ProgramKind::Syft) => "install syft 1, or leave out sbom in [application.sign]".into(),
            Self::Key { .. } => "check key in [application.sign] and the permissions of the file".into(),
            Self::NotAKey(_) => "write one with `cosign generate-key-pair`, and name it in [application.sign]".into(),
            Self::Password(_) => "check password in [application.sign]; `cosign public-key --key FILE` tries it".into(),
            Self::Public(error) => error.hint(),
            Self::Failed { said, with_login, .. } => hint(said, *with_login).unwrap_or_default().into(),
            Self::NotThere { .. } => "check whether the registry keeps manifests that cosign writes".into(),
            Self::Write { .. } | Self::TooLong { .. } | Self::Dropped => "".into(),
        }
    }
}

/// Without its folders: what is told to forges says nothing of this machine.
pub fn short(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
