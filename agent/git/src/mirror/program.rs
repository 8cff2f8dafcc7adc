//! The `git` program, for what gix cannot do: push, maintenance, asking credential helpers, serving a local fetch.
//!
//! It runs with no way to prompt, in plain English (its messages are read), and free of the variables with which a
//! surrounding git command would point it at another repository.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Variables that would change which repository or index is meant, or spill what is said on the wire.
const REMOVED: [&str; 16] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_CONFIG_PARAMETERS",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_PACKET",
    "GIT_CURL_VERBOSE",
    "GIT_PROTOCOL",
    "DISPLAY",
];

/// `git` with these arguments, on the repository at `dir`.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("--git-dir").arg(dir).args(arguments).current_dir(dir);
    unprompted(&mut command);
    command
}

/// Gives git these options, by the environment: arguments are for all of the machine to read.
pub(crate) fn with_options<K: AsRef<OsStr>, V: AsRef<OsStr>>(command: &mut Command, options: &[(K, V)]) {
    command.env("GIT_CONFIG_COUNT", options.len().to_string());
    for (number, (key, value)) in options.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
}

/// Takes every way to prompt away from a program.
pub(crate) fn unprompted(command: &mut Command) {
    for name in REMOVED {
        command.env_remove(name);
    }
    command
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "")
        .env("SSH_ASKPASS", "")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env("GCM_INTERACTIVE", "never");
}
