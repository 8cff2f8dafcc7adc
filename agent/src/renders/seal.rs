//! The key of the agent's own renders, and what is done with it: they hold what was decrypted, so whoever copies the files has
//! nothing without it.
//!
//! AES-256-GCM with a nonce of the system's randomness each time, with the name of the file as what is authenticated beside the
//! content: one file in the place of another is as good as none. 2³² files may be sealed with one key (NIST SP 800-38D, 8.3),
//! more than an agent writes in any time.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};

/// The file of the key.
const FILE: &str = "key";

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The first bytes of each file: what it is, and the number of its form.
const MAGIC: &[u8; 4] = b"QDR1";

/// The bytes of a keyed digest that names have: half of a SHA-256 tells any number of renders apart.
const NAME_BYTES: usize = 16;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// The file can be neither read nor made.
    #[error("cannot read or make the key {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system gave no randomness, or the library took no key.
    #[error("cannot make a key")]
    Random,
}

/// What seals, opens and names.
pub(super) struct Seal {
    names: hmac::Key,
    content: RandomizedNonceKey,
}

impl Seal {
    /// The key in this folder, made where there is none or what is there is no key; and whether it was made now.
    pub(super) fn load(folder: &Path) -> Result<(Self, bool), SealError> {
        let path = folder.join(FILE);
        let failed = |source| SealError::File { path: path.clone(), source };
        match fs::read(&path) {
            Ok(key) if key.len() == KEY_BYTES => return Ok((Self::new(&key)?, false)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key).map_err(|_| SealError::Random)?;
        fs::create_dir_all(folder).map_err(failed)?;
        // Whole or not at all, and for its owner alone: that is how temporary files are made.
        let mut file = tempfile::Builder::new().prefix(".").tempfile_in(folder).map_err(failed)?;
        file.write_all(&key).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok((Self::new(&key)?, true))
    }

    fn new(key: &[u8]) -> Result<Self, SealError> {
        let master = hmac::Key::new(hmac::HMAC_SHA256, key);
        let names = hmac::sign(&master, b"names");
        let content = hmac::sign(&master, b"content");
        let content = RandomizedNonceKey::new(&AES_256_GCM, content.as_ref()).map_err(|_| SealError::Random)?;
        Ok(Self { names: hmac::Key::new(hmac::HMAC_SHA256, names.as_ref()), content })
    }

    /// A keyed digest of some texts, in hexadecimal digits.
    pub(super) fn digest(&self, texts: &[&str]) -> String {
        let mut signing = hmac::Context::with_key(&self.names);
        for text in texts {
            signing.update(&(text.len() as u64).to_be_bytes());
            signing.update(text.as_bytes());
        }
        signing.sign().as_ref()[..NAME_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals what is kept under a name.
    pub(super) fn seal(&self, name: &str, mut content: Vec<u8>) -> Option<Vec<u8>> {
        let nonce = self.content.seal_in_place_append_tag(Aad::from(name), &mut content).ok()?;
        Some([MAGIC.as_slice(), nonce.as_ref(), &content].concat())
    }

    /// Opens it; nothing where it is damaged, or was sealed for another name or with another key.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, content) = sealed.strip_prefix(MAGIC)?.split_at_checked(NONCE_LEN)?;
        let (nonce, mut content) = (Nonce::try_assume_unique_for_key(nonce).ok()?, content.to_vec());
        let length = self.content.open_in_place(nonce, Aad::from(name), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}
