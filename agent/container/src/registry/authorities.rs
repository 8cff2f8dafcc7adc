//! `ca_file` of a registry: authorities that are trusted for it beside those of the machine.
//!
//! The file is read at each question, as passwords are: one that was exchanged is used at the next.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use quarterdeck_shared::error::chain;
use quarterdeck_system::file::read_up_to;
use sha2::{Digest as _, Sha256};

/// The bundle of all public authorities has some 250 KiB; what is larger is another file.
const BYTES_MAX: u64 = 2 << 20;

/// The variable that names folders of authorities to programs that are written in Go (crypto/x509).
const FOLDERS: &str = "SSL_CERT_DIR";

/// Those that such a program looks into where the variable is not set.
const FOLDERS_OF_THE_MACHINE: &str = "/etc/ssl/certs:/etc/pki/tls/certs";

/// How a program on this machine reaches a registry, as the agent does itself.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// By plain http.
    pub is_plain: bool,
    /// The authorities that are trusted for it beside those of the machine.
    pub authorities: Option<Authorities>,
}

/// Authorities, as their file has them.
#[derive(Debug, Clone)]
pub struct Authorities {
    pem: Vec<u8>,
    certificates: Vec<reqwest::Certificate>,
}

/// A file that names no authority.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct NoAuthorities {
    path: PathBuf,
    why: String,
}

impl Authorities {
    /// Reads a file in PEM.
    ///
    /// # Errors
    /// Where it cannot be read, holds no certificate, or more than 2 MiB.
    pub fn read(path: &Path) -> Result<Self, NoAuthorities> {
        let failed = |why: String| NoAuthorities { path: path.to_owned(), why };
        let pem = read_up_to(path, BYTES_MAX).map_err(|error| failed(error.to_string()))?;
        if pem.len() as u64 > BYTES_MAX {
            return Err(failed(format!("it has more than {BYTES_MAX} bytes")));
        }
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(chain(&error)))?;
        if certificates.is_empty() {
            return Err(failed("it holds no certificate in PEM".to_owned()));
        }
        Ok(Self { pem, certificates })
    }

    /// Lets a program that is written in Go trust them, beside those of the machine: `cosign`, `syft`, `trivy` and `grype` have no
    /// option for it that all of their versions know. The folder is for them alone: each file in it is read.
    ///
    /// # Errors
    /// Where they cannot be written into it.
    pub fn give(&self, folder: &Path, command: &mut Command) -> io::Result<()> {
        std::fs::write(folder.join("ca.pem"), &self.pem)?;
        let others = std::env::var_os(FOLDERS).filter(|folders| !folders.is_empty());
        let mut folders = OsString::from(folder);
        folders.push(":");
        folders.push(others.unwrap_or_else(|| FOLDERS_OF_THE_MACHINE.into()));
        command.env(FOLDERS, folders);
        Ok(())
    }

    /// Tells one content of the file from another.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.pem).into()
    }

    /// The same for a client of our own.
    pub(super) fn certificates(&self) -> impl Iterator<Item = reqwest::Certificate> + '_ {
        self.certificates.iter().cloned()
    }

    /// The same for the library, each by itself.
    pub(super) fn pem(&self) -> oci_client::client::Certificate {
        oci_client::client::Certificate {
            encoding: oci_client::client::CertificateEncoding::Pem,
            data: self.pem.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_is_told_with_its_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (content, why) in [
            ("", "it holds no certificate in PEM"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "it holds no certificate in PEM"),
        ] {
            std::fs::write(file.path(), content).unwrap();
            let error = Authorities::read(file.path()).unwrap_err().to_string();
            assert_eq!(error, format!("{}: {why}", file.path().display()));
        }
        let error = Authorities::read(Path::new("/proc/quarterdeck")).unwrap_err().to_string();
        assert_eq!(error, "/proc/quarterdeck: No such file or directory (os error 2)");
    }
}
