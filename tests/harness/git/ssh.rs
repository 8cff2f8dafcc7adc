//! A stand-in for the `ssh` program: it is called as OpenSSH is and runs on this machine what ssh would run on the other.
//!
//! It is a shell script of a few lines beside the repositories. It reads no key, no agent, no `~/.ssh`, encrypts nothing
//! and looks at no host name; that ssh itself checks host keys and keys is shown on a real server. Its failures are
//! the words of OpenSSH, so that our reading of them is tried.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What an ssh session meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshFault {
    /// Nothing unusual.
    None,
    /// The key is refused.
    Denied,
    /// The host key is not known.
    UnknownHost,
    /// The host key is another than the one known.
    ChangedHost,
    /// Nobody answers.
    Refused,
    /// The session is silent for ever.
    Hang,
    /// Bytes come for ever.
    Endless,
}

pub(super) struct SshDoor {
    folder: PathBuf,
    program: PathBuf,
}

impl SshDoor {
    pub(super) fn make(folder: PathBuf, root: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let program = folder.join("ssh");
        let text = SCRIPT.replace("FOLDER", &folder.display().to_string()).replace("ROOT", &root.display().to_string());
        std::fs::write(&program, text)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        let door = Self { folder, program };
        door.fault(SshFault::None);
        Ok(door)
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn fault(&self, fault: SshFault) {
        std::fs::write(self.folder.join("fault"), format!("{fault:?}")).expect("the folder is ours");
    }

    pub(super) fn count(&self) -> usize {
        std::fs::read_to_string(self.folder.join("sessions")).unwrap_or_default().lines().count()
    }
}

const SCRIPT: &str = r#"#!/bin/sh
echo "$*" >> 'FOLDER/sessions'
fault=$(cat 'FOLDER/fault')
case $fault in
Denied) echo 'git@forge.test: Permission denied (publickey).' >&2; exit 255 ;;
UnknownHost) echo 'Host key verification failed.' >&2; exit 255 ;;
ChangedHost)
    echo '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@' >&2
    echo '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @' >&2
    echo '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@' >&2
    echo 'Host key for forge.test has changed and you have requested strict checking.' >&2
    echo 'Host key verification failed.' >&2; exit 255 ;;
Refused) echo 'ssh: connect to host forge.test port 22: Connection refused' >&2; exit 255 ;;
Hang) exec sleep 600 ;;
Endless) exec yes '003f0000000000000000000000000000000000000000 refs/heads/endless' ;;
esac
# The last word is the command for the far side, quoted for its shell: `git-upload-pack '/ops/shop.git'`.
for word; do command=$word; done
eval "set -- $command"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
exec git "${1#git-}" "ROOT/$2"
"#;
