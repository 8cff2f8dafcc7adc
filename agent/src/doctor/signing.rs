//! Whether images can be signed, and their signatures be checked: the programs and the keys.

use jiff::Timestamp;
use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_shared::application::{
    ApplicationName, ApplicationSpec, EnvironmentId, KeylessSpec, RequiredSigner, SignBy, SignSpec,
};
use quarterdeck_shared::error::Failure;

use super::Found;
use crate::config::Config;
use crate::signing::{self, ProgramKind, version};

/// The keys that sign, by application.
pub(super) fn keys(config: &Config) -> Vec<(ApplicationName, SignSpec)> {
    let of = |one: &ApplicationSpec| Some((one.name.clone(), one.delivery.as_ref()?.sign.clone()?));
    config.applications.iter().filter_map(of).collect()
}

/// Those who have to have signed, by environment.
pub(super) fn required(config: &Config) -> Vec<(EnvironmentId, Vec<RequiredSigner>)> {
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
    let told = told.join(", ");
    match sign.by() {
        SignBy::Keyless(spec) => keyless(spec, &told),
        SignBy::Key(key) => match tokio::fs::File::open(key).await {
            Ok(_) => Found::good(format!("{told}, with {}", key.display())),
            Err(error) => {
                let hint = "check key in [application.sign] and the permissions of the file";
                Found::bad(format!("cannot read the private key {}: {error}", key.display()), hint)
            }
        },
    }
}

/// Whether the token is good now, and what would verify a signature by it. The services are asked by the stage alone.
fn keyless(spec: &KeylessSpec, programs: &str) -> Found {
    let ready = || {
        signing::trusted_root(&spec.trusted_root)?;
        signing::token(spec, Timestamp::now())
    };
    match ready() {
        Ok(token) => {
            let (signer, expires, issuer) = (spec.signer(), token.expires, token.issuer);
            Found::good(format!("{programs}, as {signer}; the token is by {issuer} and expires at {expires}"))
        }
        Err(error) => Found::of(&error, ""),
    }
}

/// Whether the public keys and the trusted roots can be used, and what verifies signatures by identity is installed.
pub(super) async fn readable(required: Vec<RequiredSigner>) -> Found {
    if required.iter().any(|one| one.identity().is_some())
        && let Err(error) = version(ProgramKind::Cosign).await
    {
        return Found::of(&error, "");
    }
    let named = |one: &RequiredSigner| match one {
        RequiredSigner::Key(file) => file.display().to_string(),
        RequiredSigner::Identity(signer) => format!("{} for {signer}", signer.trusted_root.display()),
    };
    let names = required.iter().map(named).collect::<Vec<_>>().join(", ");
    let read = move || -> Result<(), Failure> {
        required.iter().try_for_each(|one| match one {
            RequiredSigner::Key(file) => PublicKey::read(file).map(drop).map_err(|error| Failure::of(&error)),
            RequiredSigner::Identity(signer) => {
                signing::trusted_root(&signer.trusted_root).map(drop).map_err(|error| Failure::of(&error))
            }
        })
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(())) => Found::good(format!("named in {names}")),
        Ok(Err(failure)) => Found::not(failure),
        Err(error) => Found::bad(error.to_string(), ""),
    }
}
