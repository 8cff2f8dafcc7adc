//! `cosign` and `syft`: how they are asked, and what is kept from them.
//!
//! Each image has a folder of its own, for this user alone, with the one login that is needed in Docker's form; it goes with
//! the stage. The password of the key goes by the environment, an identity token by its file. None is an argument, which all users
//! of a machine see. Nothing goes to Sigstore's public services, unless the configuration names them: what a private registry holds is
//! nobody else's business.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quarterdeck_container::registry::authorities::Way;
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::docker_config::for_program;
use quarterdeck_container::registry::messages::fit;
use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::output::Mask;
use quarterdeck_core::signature::Wanted;
use quarterdeck_core::signature::keyless::{TrustedRoot, found_instead, speaks_of};
use quarterdeck_shared::application::{SbomFormat, SignBy, SignerIdentity};
use quarterdeck_system::program::{self, Finished, Limits, ProgramError};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::{SignError, short};
use super::keyless;
use super::kind::ProgramKind;

/// A key, or the help of a program: nothing that goes over a network.
const HERE: Limits = Limits { time: Duration::from_secs(30), output_bytes: 1 << 20 };

/// A signature is some hundred bytes; what takes longer waits for a registry.
const SIGNS: Limits = Limits { time: Duration::from_secs(120), output_bytes: 1 << 20 };

/// Statements that a program prints: a list of what is in an image has up to 64 MiB, and there may be two.
const STATEMENTS_BYTES_MAX: u64 = 128 << 20;

/// `syft` reads the whole image, and a list of it is uploaded: as long as a slow line needs for some GiB.
const LISTS: Limits = Limits { time: Duration::from_secs(1_800), output_bytes: 1 << 20 };

/// Where a program is.
///
/// # Errors
/// Where it is not installed.
fn found(kind: ProgramKind) -> Result<PathBuf, SignError> {
    let path = std::env::var_os("PATH").and_then(|path| program::find(kind.name(), &path));
    path.ok_or(SignError::Missing(kind))
}

/// The version of a program, as it prints it: `v2.6.5`.
///
/// # Errors
/// Where it is not installed, or does not say.
pub async fn version(kind: ProgramKind) -> Result<String, SignError> {
    let mut command = Command::new(found(kind)?);
    command.args(match kind {
        ProgramKind::Cosign => ["version", "--json"],
        ProgramKind::Syft => ["version", "--output=json"],
    });
    let printed = program::run_beside(command, Vec::new(), HERE).await.and_then(Finished::successful);
    let printed = printed.map_err(|error| failed(kind, "it says its version", &error, &Mask::default(), true))?;
    let json: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap_or_default();
    let version = json["gitVersion"].as_str().or(json["version"].as_str()).unwrap_or("an unknown version");
    Ok(fit(&Mask::default(), version))
}

/// Where one image is signed.
pub struct Workplace<'a> {
    folder: tempfile::TempDir,
    image: &'a ImageRef,
    password: &'a SecretString,
    mask: Mask,
    with_login: bool,
    way: Way,
}

impl<'a> Workplace<'a> {
    /// With the login for the image's registry.
    pub fn open(
        scratch: PathBuf,
        image: &'a ImageRef,
        login: Option<&Login>,
        password: &'a SecretString,
        way: Way,
    ) -> Result<Self, SignError> {
        let write = |source| SignError::Write { path: scratch.clone(), source };
        // For this user alone: tempfile makes its folders so.
        let folder = tempfile::Builder::new().prefix("quarterdeck-sign-").tempdir_in(&scratch).map_err(write)?;
        let config = for_program(image, login);
        std::fs::write(folder.path().join("config.json"), config.expose_secret()).map_err(write)?;
        let mask = Mask::new(login.map(Login::secret).into_iter().chain([password]));
        Ok(Self { folder, image, password, mask, with_login: login.is_some(), way })
    }

    /// The public half of the key; that also shows whether key and password are right, before a registry is asked.
    pub async fn public_key(&self, key: &Path) -> Result<PublicKey, SignError> {
        std::fs::File::open(key).map_err(|source| SignError::Key { path: key.to_owned(), source })?;
        let mut command = self.cosign("public-key")?;
        command.arg("--key").arg(key);
        let printed = self.run(command, HERE, ProgramKind::Cosign, "reading the key").await;
        let printed = printed.map_err(|error| match error {
            SignError::Failed { said, .. } if said.contains("decryption failed") => SignError::Password(key.to_owned()),
            SignError::Failed { said, .. } if is_no_key(&said) => SignError::NotAKey(key.to_owned()),
            error => error,
        })?;
        Ok(PublicKey::parse(&short(key), &printed.stdout)?)
    }

    /// Signs the image.
    pub async fn sign(&self, by: SignBy<'_>) -> Result<(), SignError> {
        let mut command = self.cosign("sign")?;
        self.signs_by(&mut command, "sign", by).await?;
        command.arg(self.image.to_string());
        self.signed(command, SIGNS, "signing", by).await
    }

    /// Whether an identity signed what is wanted of the image: what was found instead, where it did not.
    pub async fn verified(&self, signer: &SignerIdentity, wanted: Wanted) -> Result<Result<(), String>, SignError> {
        let root = keyless::trusted_root(&signer.trusted_root)?;
        let mut command = match wanted.kind() {
            None => self.cosign("verify")?,
            Some(kind) => {
                let mut command = self.cosign("verify-attestation")?;
                command.args(["--type", kind]);
                command
            }
        };
        command.arg("--trusted-root").arg(&signer.trusted_root).args(TrustedRoot::options(root));
        command.args(["--certificate-identity", &signer.identity, "--certificate-oidc-issuer", &signer.issuer]);
        self.at_registry(&mut command);
        command.arg(self.image.to_string());
        let digest = self.image.digest().unwrap_or_default();
        // A list of what is in an image is printed whole.
        let limits = Limits { output_bytes: STATEMENTS_BYTES_MAX, ..SIGNS };
        match self.run(command, limits, ProgramKind::Cosign, "verifying a signature").await {
            Ok(printed) if wanted == Wanted::Signature && !speaks_of(&printed.stdout, digest) => {
                Ok(Err("found a signed statement, and no signature of the image".to_owned()))
            }
            Ok(_) => Ok(Ok(())),
            Err(SignError::Failed { said, program, doing, with_login }) => match found_instead(&said, wanted) {
                Some(found) => Ok(Err(found)),
                None => Err(SignError::Failed { said, program, doing, with_login }),
            },
            Err(error) => Err(error),
        }
    }

    /// Lists what is in the image, into a file of this place.
    pub async fn list(&self, format: SbomFormat) -> Result<PathBuf, SignError> {
        let file = self.folder.path().join("sbom.json");
        let mut command = Command::new(found(ProgramKind::Syft)?);
        self.private(&mut command)?;
        command.env("SYFT_CHECK_FOR_APP_UPDATE", "false");
        if self.way.is_plain {
            command.env("SYFT_REGISTRY_INSECURE_USE_HTTP", "true");
        }
        let kind = match format {
            SbomFormat::Spdx => "spdx-json",
            SbomFormat::Cyclonedx => "cyclonedx-json",
        };
        command.arg("scan").arg(format!("registry:{}", self.image));
        command.arg("--output").arg(format!("{kind}={}", file.display()));
        self.run(command, LISTS, ProgramKind::Syft, "listing what is in the image").await?;
        Ok(file)
    }

    /// Writes a statement to a file of this place.
    pub fn write(&self, name: &str, statement: &str) -> Result<PathBuf, SignError> {
        let file = self.folder.path().join(name);
        std::fs::write(&file, statement).map_err(|source| SignError::Write { path: file.clone(), source })?;
        Ok(file)
    }

    /// Attaches what is in a file to the image, signed.
    pub async fn attest(&self, file: &Path, what: Wanted, by: SignBy<'_>) -> Result<(), SignError> {
        let mut command = self.cosign("attest")?;
        self.signs_by(&mut command, "attest", by).await?;
        command.args(["--type", what.kind().unwrap_or_default()]).arg("--predicate").arg(file);
        command.arg(self.image.to_string());
        self.signed(command, LISTS, "attaching what it says of the image", by).await
    }

    async fn signed(
        &self,
        command: Command,
        limits: Limits,
        doing: &'static str,
        by: SignBy<'_>,
    ) -> Result<(), SignError> {
        let run = self.run(command, limits, ProgramKind::Cosign, doing).await.map(|_| ());
        run.map_err(|error| match (error, by) {
            (SignError::Failed { said, .. }, SignBy::Keyless(spec)) if keyless::is_refusal(&said) => {
                SignError::NoCertificate { issuer: spec.issuer.clone(), said }
            }
            (error, _) => error,
        })
    }

    fn cosign(&self, what: &str) -> Result<Command, SignError> {
        let mut command = Command::new(found(ProgramKind::Cosign)?);
        self.private(&mut command)?;
        command.arg(what).env("COSIGN_PASSWORD", self.password.expose_secret());
        Ok(command)
    }

    /// Nothing that the user or the machine configured counts, such as another place for signatures; proxies and authorities
    /// of certificates do, and those that are configured for the registry.
    fn private(&self, command: &mut Command) -> Result<(), SignError> {
        let is_own = |name: &str| ["COSIGN_", "SIGSTORE_", "SYFT_", "TUF_"].iter().any(|own| name.starts_with(own));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_own) {
                command.env_remove(name);
            }
        }
        let folder = self.folder.path();
        command.current_dir(folder).env("HOME", folder).env("TMPDIR", folder).env("DOCKER_CONFIG", folder);
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG"]
        {
            command.env_remove(name);
        }
        if let Some(authorities) = &self.way.authorities {
            let trusted = folder.join("authorities");
            let given = std::fs::create_dir_all(&trusted).and_then(|()| authorities.give(&trusted, command));
            given.map_err(|source| SignError::Write { path: trusted, source })?;
        }
        Ok(())
    }

    /// By what it signs, and with which services.
    async fn signs_by(&self, command: &mut Command, what: &str, by: SignBy<'_>) -> Result<(), SignError> {
        let mut help = self.cosign(what)?;
        help.arg("--help");
        let help = self.run(help, HERE, ProgramKind::Cosign, "saying what it can do").await?;
        let knows_services = String::from_utf8_lossy(&help.stdout).contains("--use-signing-config");
        command.arg("--yes");
        match by {
            SignBy::Key(key) => {
                // Off Sigstore's public services: version 2 asks for its log, and version 3 for a list of services as well, which
                // older ones do not know.
                command.arg("--tlog-upload=false");
                if knows_services {
                    command.arg("--use-signing-config=false");
                }
                command.arg("--key").arg(key);
            }
            SignBy::Keyless(_) if !knows_services => return Err(SignError::TooOld),
            SignBy::Keyless(spec) => {
                let services = match &spec.signing_config {
                    Some(file) => file.clone(),
                    None => self.write("signing-config.json", &keyless::services(spec))?,
                };
                command.arg("--signing-config").arg(services).arg("--trusted-root").arg(&spec.trusted_root);
                command.arg("--identity-token").arg(&spec.identity_token_file);
                // What cosign finds beside the file is another identity.
                command.arg("--oidc-disable-ambient-providers=true");
            }
        }
        self.at_registry(command);
        Ok(())
    }

    fn at_registry(&self, command: &mut Command) {
        if self.way.is_plain {
            command.arg("--allow-http-registry");
        }
    }

    async fn run(
        &self,
        command: Command,
        limits: Limits,
        program: ProgramKind,
        doing: &'static str,
    ) -> Result<Finished, SignError> {
        match program::run_beside(command, Vec::new(), limits).await.and_then(Finished::successful) {
            Ok(finished) => Ok(finished),
            Err(ProgramError::Dropped) => Err(SignError::Dropped),
            Err(error) => Err(failed(program, doing, &error, &self.mask, self.with_login)),
        }
    }
}

/// What cosign says of a file that it did not write.
fn is_no_key(said: &str) -> bool {
    ["invalid pem block", "unsupported pem type", "unmarshal", "parsing private key"]
        .iter()
        .any(|word| said.contains(word))
}

fn failed(program: ProgramKind, doing: &'static str, error: &ProgramError, mask: &Mask, with_login: bool) -> SignError {
    let said = match error {
        ProgramError::Failed { stderr, status } => match last_words(stderr) {
            "" => status.to_string(),
            words => words.to_owned(),
        },
        ProgramError::TooLong(time) => return SignError::TooLong { program, doing, seconds: time.as_secs() },
        error => quarterdeck_shared::error::chain(error),
    };
    SignError::Failed { program, doing, said: fit(mask, &said), with_login }
}

/// The line that says why: cosign's is the one behind `Error: `, and is followed by itself in other words; syft tells what it met in
/// each of the ways to an image.
fn last_words(stderr: &str) -> &str {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = lines().find_map(|line| line.strip_prefix("Error: ").or(line.strip_prefix("- oci-registry: ")));
    marked.or_else(|| lines().next_back()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_found() {
        for (stderr, why) in [
            ("", ""),
            (
                "WARNING: a\nError: signing [r/a]: no\nerror during command execution: signing [r/a]: no\n",
                "signing [r/a]: no",
            ),
            ("[0000]  INFO a\n[0000] ERROR could not fetch: EOF\n\n", "[0000] ERROR could not fetch: EOF"),
            ("[0000] ERROR no source:\n  - oci-registry: no image: EOF\n  - oci-model: no: EOF\n", "no image: EOF"),
        ] {
            assert_eq!(last_words(stderr), why);
        }
    }

    #[test]
    fn what_passes_is_tried_again_and_a_wrong_key_is_not() {
        let failed = |said: &str| SignError::Failed {
            program: ProgramKind::Cosign,
            doing: "signing",
            said: said.to_owned(),
            with_login: true,
        };
        let away = "signing [r/a@sha256:0]: accessing image: Get \"http://r/v2/\": dial tcp 127.0.0.1:1: connect: connection refused";
        assert!(failed(away).is_transient());
        assert!(!failed("GET https://r/v2/: UNAUTHORIZED: authentication required").is_transient());
        assert!(!SignError::Password("a".into()).is_transient() && !SignError::NotAKey("a".into()).is_transient());
        assert!(is_no_key("invalid pem block") && !is_no_key("connection refused"));
    }
}
