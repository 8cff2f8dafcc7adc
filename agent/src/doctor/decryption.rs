//! Whether encrypted files can be decrypted: the age keys, and the `sops` program for all others.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quarterdeck_core::sops::age::Identity;
use quarterdeck_shared::protocol::CheckResult;

use super::{Found, version};
use crate::config::Config;
use crate::context::Context;
use crate::sops::identities_of;

/// The files of age keys that environments use, each once.
pub(super) fn files(config: &Config) -> BTreeSet<PathBuf> {
    let environments = config.applications.iter().flat_map(|application| &application.environments);
    environments.flat_map(|environment| environment.age_keys.iter().cloned()).collect()
}

/// Whom a file of keys decrypts for. One that others may read is no secret.
pub(super) async fn keys(file: PathBuf) -> Found {
    let read = move || {
        let mode = std::fs::metadata(&file).map_or(0, |metadata| metadata.permissions().mode());
        (mode & 0o077 != 0, identities_of(&file))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok((_, Err(error))) => Found::of(&error, ""),
        Ok((others_may, Ok(identities))) => {
            let recipients: Vec<String> = identities.iter().map(Identity::recipient).collect();
            let message = format!("decrypts for {}", recipients.join(", "));
            if !others_may {
                return Found::good(message);
            }
            Found {
                result: CheckResult::Warning,
                message: format!("{message}; other users of this machine may read the keys"),
                hint: "let the agent's user alone read the file: chmod 600".to_owned(),
            }
        }
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

/// Whether an environment has keys of age.
pub(super) fn is_used(config: &Config) -> bool {
    !files(config).is_empty()
}

/// How programs that render get what was decrypted: in memory, and not at all where there is none.
pub(super) fn given(memory: Option<&Path>, is_used: bool) -> Found {
    match memory {
        Some(folder) => Found::good(format!("renderers get them in memory: {}", folder.display())),
        None if is_used => Found::bad(
            "no folder in memory: kustomize, helm and jsonnet get no file that was decrypted",
            "mount a tmpfs at /dev/shm, and start the agent again",
        ),
        None => {
            Found::good("no folder in memory; files that are decrypted for kustomize, helm and jsonnet alone need it")
        }
    }
}

/// The program for keys that are not of age.
pub(super) async fn program(context: Arc<Context>) -> Found {
    match context.renderers.sops().cloned() {
        Some(program) => version(program).await,
        None => Found::good(
            "sops was not in PATH when the agent began; keys of KMS, PGP and Vault alone need it, and age keys do not",
        ),
    }
}
