//! Why a commit is not trusted, where only those count that one of the signers signed.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;

use super::signature::Kind;

/// Why a commit does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitRefusal {
    /// Nobody signed it.
    #[error("the commit is not signed")]
    Unsigned,
    /// There is no one who may sign so.
    #[error("the commit has an {kind} signature, and require_signed names no signers of that kind")]
    NoSigners {
        /// Of which kind.
        kind: Kind,
    },
    /// Its signer may not.
    #[error("the commit is signed by a key that is not among the signers of {file}: {key}")]
    Stranger {
        /// The name of the file that names the signers.
        file: String,
        /// The fingerprint, and what the file says about it where that is why.
        key: String,
    },
    /// The signature is worth nothing.
    #[error("the signature of the commit is not valid: {why}")]
    Invalid {
        /// Why.
        why: String,
    },
}

impl Hint for CommitRefusal {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Unsigned => {
                "sign the newest commit of the branch with `git commit --gpg-sign`; a merge that a forge makes is signed by the forge".into()
            }
            Self::NoSigners { .. } => {
                "sign with a key of the other kind (gpg.format), or name signers of this kind in require_signed".into()
            }
            Self::Stranger { file, .. } => {
                format!("if the key is to be trusted, add it to {file}, and reload the agent").into()
            }
            Self::Invalid { .. } => "have one of the signers sign a new commit".into(),
        }
    }
}
