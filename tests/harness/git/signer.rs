//! People who sign tags and commits: with ssh keys, or with OpenPGP keys in a home of their own. Real keys, made by the real programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Repo;

/// Somebody with a key.
pub struct Signer {
    name: String,
    folder: tempfile::TempDir,
    is_gpg: bool,
}

impl Signer {
    /// With a new ssh key. Panics where `ssh-keygen` is not installed.
    pub fn with_ssh(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a key");
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(folder.path().join("key"));
        run(command);
        Self { name: name.to_owned(), folder, is_gpg: false }
    }

    /// With a new OpenPGP key. Panics where `gpg` is not installed.
    pub fn with_gpg(name: &str) -> Self {
        let signer = Self { name: name.to_owned(), folder: tempfile::tempdir().expect("a home for gpg"), is_gpg: true };
        run(signer.gpg(&["--passphrase", "", "--quick-generate-key", &signer.address(), "ed25519", "sign", "never"]));
        signer
    }

    /// By this they are known: `alice@example.com`.
    pub fn address(&self) -> String {
        format!("{}@example.com", self.name)
    }

    /// A line of an allowed signers file, with these options before the key: `valid-before="20200101" `.
    pub fn allowed(&self, options: &str) -> String {
        let key = std::fs::read_to_string(self.key().with_extension("pub")).expect("its own key");
        format!("{} {options}{key}", self.address())
    }

    /// The public key, in armor.
    pub fn armored(&self) -> String {
        run(self.gpg(&["--armor", "--export"]))
    }

    /// A text, clear-signed by the OpenPGP key.
    pub fn clear_signed(&self, text: &str) -> String {
        let file = self.home().join("text");
        std::fs::write(&file, text).expect("a place for a text");
        let mut command = self.gpg(&["--passphrase", "", "--clearsign", "--output", "-"]);
        command.arg(file);
        run(command)
    }

    /// The fingerprint of an ssh key: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        let mut command = Command::new("ssh-keygen");
        command.arg("-lf").arg(self.key());
        run(command).split(' ').nth(1).expect("bits, fingerprint, name").to_owned()
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn gpg(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.home()).args(["--batch", "--quiet"]).args(arguments);
        command
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Signer {
    /// Who signs with gpg has its agent run; this one ends it.
    fn drop(&mut self) {
        if self.is_gpg {
            let mut command = Command::new("gpgconf");
            let _ = command.env("GNUPGHOME", self.home()).args(["--kill", "all"]).status();
        }
    }
}

impl Repo {
    /// Writes a tag that somebody signs, moving it if it is there; gives the tag object.
    pub fn signed_tag(&self, name: &str, at: &str, by: &Signer) -> String {
        self.signing(by, &["tag", "--force", "--sign", "--message", name, name, at]);
        self.rev(&format!("refs/tags/{name}"))
    }

    /// Adds a commit that somebody signs to a branch, with the files of another one; gives the commit.
    pub fn signed_commit(&self, branch: &str, files_of: &str, by: &Signer) -> String {
        let tree = format!("{files_of}^{{tree}}");
        let tip = format!("refs/heads/{branch}");
        let parent = self.git(&["for-each-ref", "--format=%(objectname)", &tip]);
        let mut arguments = vec!["commit-tree", "--gpg-sign", "-m", "A signed commit"];
        if !parent.trim().is_empty() {
            arguments.extend(["-p", parent.trim()]);
        }
        arguments.push(&tree);
        let commit = self.signing(by, &arguments).trim().to_owned();
        self.git(&["update-ref", &tip, &commit]);
        commit
    }

    /// Runs git with the key of somebody.
    fn signing(&self, by: &Signer, arguments: &[&str]) -> String {
        let (format, key) = match by.is_gpg {
            true => ("gpg.format=openpgp", by.address()),
            false => ("gpg.format=ssh", by.key().display().to_string()),
        };
        let key = format!("user.signingKey={key}");
        // git hands its environment on to gpg.
        let home = format!("gpg.program={}", wrapper(by).display());
        let options = ["-c", format, "-c", &key, "-c", &home];
        self.git(&[&options[..], arguments].concat())
    }
}

/// `gpg` in the home of a signer.
fn wrapper(by: &Signer) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = by.home().join("gpg-of-signer");
    let script = format!("#!/bin/sh\nGNUPGHOME='{}' exec gpg --batch \"$@\"\n", by.home().display());
    std::fs::write(&path, script).expect("a place for a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a script of our own");
    path
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
