//! Stands in for the programs `cosign` and `syft`: real signatures by real keys, in the forms that cosign 2 and cosign 3 write,
//! pushed with the login of the `DOCKER_CONFIG` that they are given.
//!
//! Without a key it signs for an identity, as cosign 3 does (`keyless`).
//!
//! It knows key files of its own (not encrypted, the password is in them), a registry that speaks plain http, and none of
//! Sigstore's public services: asked for those it fails, as the real programs do without a network. The real tier has the
//! real ones.

mod arguments;
mod form;
mod keyless;
mod program;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

pub use form::{Layer, bundle, envelope, payload, simple, statement};
pub use keyless::{Certified, FULCIO, ISSUER, identity_token, trusted_root};
pub use program::{Call, run};

/// A key pair, ECDSA P-256.
pub struct Key(EcdsaKeyPair);

impl Key {
    /// A new one.
    pub fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
    }

    /// The public half, as PEM.
    pub fn public(&self) -> String {
        pem("PUBLIC KEY", self.der().as_ref())
    }

    /// What a bundle calls the key.
    pub fn hint(&self) -> String {
        BASE64_STANDARD.encode(Sha256::digest(self.der().as_ref()))
    }

    /// The private half in the form that this stand-in reads, with this password.
    pub fn private(&self, password: &str) -> String {
        let private = self.0.private_key().as_be_bytes().expect("a private key");
        let private: &EcPrivateKeyBin<'_> = &private;
        let both = [private.as_ref(), self.0.public_key().as_ref()].map(|part| BASE64_STANDARD.encode(part));
        let text = serde_json::json!({ "password": password, "private": both[0], "public": both[1] }).to_string();
        pem("ENCRYPTED SIGSTORE PRIVATE KEY", text.as_bytes())
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// In the words of cosign, where it is none or has another password.
    pub fn open(text: &str, password: &str) -> Result<Self, &'static str> {
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let bytes = BASE64_STANDARD.decode(body).map_err(|_| "invalid pem block")?;
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| "invalid pem block")?;
        if json["password"] != password {
            return Err("decrypt: encrypted: decryption failed");
        }
        let part = |name: &str| BASE64_STANDARD.decode(json[name].as_str().unwrap_or_default()).unwrap_or_default();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &part("private"),
            &part("public"),
        );
        pair.map(Self).map_err(|_| "unsupported pem type")
    }

    /// A signature in base64.
    pub fn sign(&self, bytes: &[u8]) -> String {
        BASE64_STANDARD.encode(self.0.sign(&SystemRandom::new(), bytes).expect("a signature"))
    }

    fn der(&self) -> PublicKeyX509Der<'_> {
        self.0.public_key().as_der().expect("a public key")
    }
}

fn pem(kind: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// The programs, installed in a folder.
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Puts them into a folder of this one; `playground` is the program that plays them, as cosign of this major version.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn install(folder: &Path, playground: &Path, version: u8) -> std::io::Result<Self> {
        let folder = folder.join("signing");
        std::fs::create_dir_all(&folder)?;
        let programs = Self { folder };
        for name in ["cosign", "syft"] {
            let exec = format!("exec {} {name} {version} {}", playground.display(), programs.calls_file().display());
            programs.replace(name, &format!("#!/bin/sh\n{exec} \"$@\"\n"))?;
        }
        Ok(programs)
    }

    /// The `PATH` on which they are found first.
    pub fn path(&self) -> PathBuf {
        let mut path = OsString::from(&self.folder);
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        path.into()
    }

    /// Another program in the place of one.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn replace(&self, name: &str, script: &str) -> std::io::Result<()> {
        let file = self.folder.join(name);
        std::fs::write(&file, script)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
    }

    /// The script of one.
    ///
    /// # Errors
    /// Where it is not installed.
    pub fn script(&self, name: &str) -> std::io::Result<String> {
        std::fs::read_to_string(self.folder.join(name))
    }

    /// One is not installed any more.
    ///
    /// # Errors
    /// Where it was not.
    pub fn remove(&self, name: &str) -> std::io::Result<()> {
        std::fs::remove_file(self.folder.join(name))
    }

    /// How they were called so far.
    pub fn calls(&self) -> Vec<Call> {
        let text = std::fs::read_to_string(self.calls_file()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a call")).collect()
    }

    fn calls_file(&self) -> PathBuf {
        self.folder.join("calls")
    }
}
