//! Who signed a tag or a commit: `git verify-tag` or `verify-commit` in the mirror, with the signers that the configuration names and none other.
//!
//! git asks `ssh-keygen` or `gpg`. Neither the configuration of the user and the machine is read nor the keyring of the user:
//! gpg has a folder of its own, made for this one check and removed after it, with the keys of the file alone. It starts no
//! agent there (`no-autostart`): public keys need none.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use quarterdeck_core::admission::Refusal;
use quarterdeck_core::admission::commit::CommitRefusal;
use quarterdeck_core::admission::signature::{self, Kind, TagObject, Verdict};
use quarterdeck_shared::application::Signers;
use quarterdeck_system::file::read_up_to;
use quarterdeck_system::program::{self, Finished};

use super::operation::{Bounds, Operation};
use super::program::{git, unprompted, with_options};
use super::{Mirror, process};
use crate::id::GixId;
use crate::{CommitId, GitError, ObjectId};

/// A check takes some milliseconds; a machine that is busy some seconds.
const CHECK_TIME: Duration = Duration::from_secs(30);

/// What the programs print is some lines; with a file of some hundred keys some hundred.
const CHECK_BYTES: u64 = 256 << 10;

/// The longest tag object that is looked at: git's own release notes have some KiB.
const TAG_BYTES_MAX: u64 = 1 << 20;

/// The longest file of signers: some thousand keys.
const SIGNERS_BYTES_MAX: u64 = 4 << 20;

/// What gpg does in the folder that is made for it. Whose keys are in the file is trusted: that is what the file says.
const GPG_OPTIONS: &str = "batch\nno-autostart\nno-auto-key-retrieve\ntrust-model always\n";

impl Mirror {
    /// Who signed the tag `name`, whose object is `tag`: the principal, or the user id of the key. Nothing of it is kept in
    /// `scratch`, a folder that may be there or not.
    ///
    /// # Errors
    /// Where the tag object, a file of signers or a program is not to be had.
    pub fn signer_of(
        &self,
        name: &str,
        tag: &ObjectId,
        signers: &Signers,
        scratch: &Path,
    ) -> Result<Result<String, Refusal>, GitError> {
        let unsigned = || Ok(Err(Refusal::Unsigned { tag: name.to_owned() }));
        let Some(TagObject { name: signed, signature }) = self.tag_object(name, tag)? else { return unsigned() };
        let Some(kind) = signature else { return unsigned() };
        let Some(file) = of_kind(signers, kind) else {
            return Ok(Err(Refusal::NoSigners { tag: name.to_owned(), kind }));
        };
        let verdict = self.judged("verify-tag", tag.as_str(), kind, file, scratch)?;
        let name = name.to_owned();
        Ok(match verdict {
            Verdict::Good(_) if signed != name => Err(Refusal::Copied { tag: name, signed }),
            Verdict::Good(signer) => Ok(signer),
            Verdict::Stranger(key) => Err(Refusal::Stranger { tag: name, file: short(file), key }),
            Verdict::Invalid(why) => Err(Refusal::Invalid { tag: name, why }),
            Verdict::OldGit => return Err(old_git(kind)),
        })
    }

    /// Who signed a commit: the principal, or the user id of the key. Nothing of it is kept in `scratch`.
    ///
    /// # Errors
    /// Where the commit, a file of signers or a program is not to be had.
    pub fn signer_of_commit(
        &self,
        commit: &CommitId,
        signers: &Signers,
        scratch: &Path,
    ) -> Result<Result<String, CommitRefusal>, GitError> {
        let repository = self.repository();
        let failed = |error: gix::Error| self.broken("reading a commit", &error);
        let object = repository.try_find_object(commit.to_gix()).map_err(failed)?;
        let object = object.ok_or_else(|| self.not_found(format!("commit {}", commit.short())))?;
        let is_sha256 = commit.as_str().len() > 40;
        let Some(kind) = signature::of_commit(&object.data, is_sha256) else { return Ok(Err(CommitRefusal::Unsigned)) };
        let Some(file) = of_kind(signers, kind) else { return Ok(Err(CommitRefusal::NoSigners { kind })) };
        Ok(match self.judged("verify-commit", commit.as_str(), kind, file, scratch)? {
            Verdict::Good(signer) => Ok(signer),
            Verdict::Stranger(key) => Err(CommitRefusal::Stranger { file: short(file), key }),
            Verdict::Invalid(why) => Err(CommitRefusal::Invalid { why }),
            Verdict::OldGit => return Err(old_git(kind)),
        })
    }

    fn judged(
        &self,
        check: &'static str,
        object: &str,
        kind: Kind,
        file: &Path,
        scratch: &Path,
    ) -> Result<Verdict, GitError> {
        readable(file)?;
        let finished = self.verify(check, object, kind, file, scratch)?;
        Ok(signature::judge(kind, finished.status.success(), &finished.stderr, &short(file)))
    }

    /// What the object of a tag says of itself; nothing of a lightweight tag, which has none.
    fn tag_object(&self, name: &str, tag: &ObjectId) -> Result<Option<TagObject>, GitError> {
        let repository = self.repository();
        let failed = |error: gix::Error| self.broken("reading a tag", &error);
        let header = repository.try_find_header(tag.to_gix()).map_err(failed)?;
        let header = header.ok_or_else(|| self.not_found(format!("tag {name}")))?;
        if header.kind() != gix::objs::Kind::Tag {
            return Ok(None);
        }
        if header.size() > TAG_BYTES_MAX {
            let (url, what, size) = (self.url(), format!("tag {name}"), header.size());
            return Err(GitError::BlobTooBig { url, what, size, limit: TAG_BYTES_MAX });
        }
        Ok(Some(signature::read(&repository.find_object(tag.to_gix()).map_err(failed)?.data)))
    }

    /// Runs `git verify-tag` or `git verify-commit`.
    fn verify(
        &self,
        check: &'static str,
        object: &str,
        kind: Kind,
        file: &Path,
        scratch: &Path,
    ) -> Result<Finished, GitError> {
        let bounds = Bounds {
            doing: "the check of a signature",
            time: CHECK_TIME,
            stall: CHECK_TIME,
            bytes: CHECK_BYTES,
            bytes_option: None,
        };
        let talk = Operation::new(self.url(), bounds, self.interrupt.clone());
        let home = home(scratch).map_err(|error| GitError::Mirror {
            dir: self.dir.clone(),
            doing: "making a folder for a check",
            detail: error.to_string(),
        })?;
        let mut command = git(&self.dir, &[check, "--raw", object]);
        private(&mut command, home.path());
        let options = match kind {
            Kind::Ssh => vec![("gpg.ssh.program", ssh_keygen()?), ("gpg.ssh.allowedSignersFile", file.to_owned())],
            Kind::Gpg | Kind::X509 => {
                let gpg = gpg()?;
                import(&gpg, file, home.path(), &talk)?;
                vec![("gpg.program", gpg)]
            }
        };
        with_options(&mut command, &options);
        process::run(command, b"", &talk)
    }
}

/// The file of those who sign so.
fn of_kind(signers: &Signers, kind: Kind) -> Option<&PathBuf> {
    match kind {
        Kind::Ssh => signers.ssh.as_ref(),
        Kind::Gpg => signers.gpg.as_ref(),
        Kind::X509 => None,
    }
}

fn old_git(kind: Kind) -> GitError {
    let detail = format!("knows no {kind} signatures: git 2.34 or newer is needed");
    GitError::Program { program: "git".to_owned(), detail }
}

/// A file of signers, as far as it can be said beforehand whether it is of use.
///
/// # Errors
/// Where it cannot be read.
pub fn readable(file: &Path) -> Result<(), GitError> {
    let failed = |why: String| GitError::Signers { file: file.to_owned(), why };
    match read_up_to(file, SIGNERS_BYTES_MAX) {
        Err(error) => Err(failed(error.to_string())),
        Ok(bytes) if bytes.len() as u64 > SIGNERS_BYTES_MAX => {
            Err(failed(format!("it has more than {SIGNERS_BYTES_MAX} bytes")))
        }
        Ok(bytes) if bytes.trim_ascii().is_empty() => Err(failed("it is empty".to_owned())),
        Ok(_) => Ok(()),
    }
}

/// Which programs a check asks that are not on this machine, beside git: each with where it comes from.
pub fn missing_programs(signers: &Signers) -> Option<GitError> {
    let ssh = signers.ssh.as_ref().map(|_| ssh_keygen());
    let gpg = signers.gpg.as_ref().map(|_| gpg());
    ssh.into_iter().chain(gpg).find_map(Result::err)
}

fn ssh_keygen() -> Result<PathBuf, GitError> {
    found("ssh-keygen", "it comes with the ssh client of OpenSSH")
}

fn gpg() -> Result<PathBuf, GitError> {
    found("gpg", "it comes with GnuPG")
}

fn found(name: &str, comes: &'static str) -> Result<PathBuf, GitError> {
    let found = std::env::var_os("PATH").and_then(|path| program::find(name, &path));
    found.ok_or_else(|| GitError::NotInstalled { program: name.to_owned(), comes })
}

/// Without its folders: what is told to forges says nothing of this machine.
fn short(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

/// A folder that stands for a home, for us alone.
fn home(scratch: &Path) -> std::io::Result<tempfile::TempDir> {
    DirBuilder::new().recursive(true).mode(0o700).create(scratch)?;
    let home = tempfile::Builder::new().prefix("signers-").tempdir_in(scratch)?;
    std::fs::write(home.path().join("gpg.conf"), GPG_OPTIONS)?;
    Ok(home)
}

/// Nothing that the user or the machine configured counts, in git and in gpg.
fn private(command: &mut Command, home: &Path) {
    unprompted(command);
    command
        .env("HOME", home)
        .env("GNUPGHOME", home)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "0")
        .env_remove("GIT_CONFIG_SYSTEM")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("GPG_TTY");
}

/// The keys of the file, in the folder where gpg looks for them.
fn import(gpg: &Path, file: &Path, home: &Path, talk: &Arc<Operation>) -> Result<(), GitError> {
    let mut command = Command::new(gpg);
    command.args(["--no-tty", "--quiet", "--import", "--"]).arg(file);
    private(&mut command, home);
    let finished = process::run(command, b"", talk)?;
    if finished.status.success() {
        return Ok(());
    }
    let why = finished.stderr.lines().last().unwrap_or("gpg does not say why").trim_start_matches("gpg: ").to_owned();
    Err(GitError::Signers { file: file.to_owned(), why })
}
