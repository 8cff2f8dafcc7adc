//! Whether images can be signed, and their signatures be checked: the programs and the keys.

use std::path::PathBuf;

use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec, EnvironmentId, SignSpec};

use super::Found;
use crate::config::Config;
use crate::signing::{ProgramKind, version};

/// The keys that sign, by application.
pub(super) fn keys(config: &Config) -> Vec<(ApplicationName, SignSpec)> {
    let of = |one: &ApplicationSpec| Some((one.name.clone(), one.delivery.as_ref()?.sign.clone()?));
    config.applications.iter().filter_map(of).collect()
}

/// The keys that have to have signed, by environment.
pub(super) fn required(config: &Config) -> Vec<(EnvironmentId, Vec<PathBuf>)> {
    let environments = config.applications.iter().flat_map(|one| one.environments.iter().map(|to| (&one.name, to)));
    let required = environments.filter(|(_, to)| !to.promote.require_signature.is_empty());
    required.map(|(name, to)| (EnvironmentId::new(name, &to.name), to.promote.require_signature.clone())).collect()
}

/// Whether the programs are there and the private key can be read. Its password is tried by the stage alone.
pub(super) async fn programs(sign: SignSpec) -> Found {
    let mut told = Vec::new();
    for program in [Some(ProgramKind::Cosign), sign.sbom.map(|_| ProgramKind::Syft)].into_iter().flatten() {
        match version(program).await {
            Ok(version) => told.push(format!("{} {version}", program.name())),
            Err(error) => return Found::of(&error, ""),
        }
    }
    let file = sign.key.display();
    match tokio::fs::File::open(&sign.key).await {
        Ok(_) => Found::good(format!("{}, with {file}", told.join(", "))),
        Err(error) => {
            let hint = "check key in [application.sign] and the permissions of the file";
            Found::bad(format!("cannot read the private key {file}: {error}"), hint)
        }
    }
}

/// Whether the public keys can be used.
pub(super) async fn readable(files: Vec<PathBuf>) -> Found {
    let names = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    let read = move || files.iter().find_map(|file| PublicKey::read(file).err());
    match tokio::task::spawn_blocking(read).await {
        Ok(None) => Found::good(format!("named in {names}")),
        Ok(Some(error)) => Found::of(&error, ""),
        Err(error) => Found::bad(error.to_string(), ""),
    }
}
