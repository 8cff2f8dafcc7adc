//! A key with a forced command, and the sshd that runs it: a stand-in for both, which git calls as it calls OpenSSH.
//!
//! It is a shell script of a few lines. It encrypts nothing and asks for no key; the forced command itself is the real one, with
//! the environment that sshd gives it and nothing else.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::repo::clean_git;

/// Who connects with it comes from here.
pub const CLIENT: &str = "192.0.2.7";

/// See the module.
pub struct SshKey {
    program: PathBuf,
}

impl SshKey {
    /// A key whose line has this forced command, of an account with this home, into whose `bin` its `PATH` leads first. `place`
    /// is where the script is written.
    pub fn new(place: PathBuf, home: &Path, forced: &[&OsStr]) -> std::io::Result<Self> {
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"));
        let forced: Vec<String> = forced.iter().map(|word| quoted(word)).collect();
        let path = std::env::var("PATH").unwrap_or_default();
        let text = SCRIPT
            .replace("PATH_OF_IT", &format!("{}:{path}", home.join("bin").display()))
            .replace("HOME_OF_IT", &home.display().to_string())
            .replace("CLIENT", CLIENT)
            .replace("FORCED", &forced.join(" "));
        write_program(&place, &text)?;
        Ok(Self { program: place })
    }

    /// Runs git in a folder; what it reaches over ssh it reaches with this key.
    pub fn git(&self, folder: &Path, arguments: &[&str]) -> std::io::Result<Output> {
        let mut git = clean_git();
        git.current_dir(folder).args(arguments).env("GIT_SSH_COMMAND", &self.program).env("GIT_SSH_VARIANT", "ssh");
        git.output()
    }

    /// Asks for a command, as `ssh HOST COMMAND` does; for a login where it is empty.
    pub fn ask(&self, command: &str) -> std::io::Result<Output> {
        Command::new(&self.program).args(["git@host", command]).output()
    }
}

/// Writes a script that can be run, and the folder that it is in.
pub fn write_program(place: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
    std::fs::write(place, text)?;
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755))
}

/// The last word of what ssh is called with is what is to be run at the far side.
const SCRIPT: &str = r#"#!/bin/sh
command=
for word; do command=$word; done
exec env -i PATH='PATH_OF_IT' HOME='HOME_OF_IT' GIT_PROTOCOL="$GIT_PROTOCOL" \
    SSH_CONNECTION='CLIENT 50000 192.0.2.1 22' SSH_ORIGINAL_COMMAND="$command" FORCED
"#;
