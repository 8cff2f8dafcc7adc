//! What is in the images that a run pushed, by the lists that were attached to them when they were signed. Registries are asked when a
//! person wants to know, and nothing of it is kept: a list may have 20 MB.

use std::time::Duration;

use quarterdeck_container::registry::signature::{PublicKey, is_signed, signer};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::sbom;
use quarterdeck_core::signature::{Claim, Found, Unfit, Wanted, judge};
use quarterdeck_shared::application::{ApplicationName, RequiredSigner, SbomFormat};
use quarterdeck_shared::artifact::Image;
use quarterdeck_shared::error::{Failure, chain};
use quarterdeck_shared::protocol::{PACKAGES_MAX, Package, PackagesAnswer};
use quarterdeck_shared::snapshot::RunStatus;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::context::Context;

/// Lists that are read at a time, of all answers: one may take three times its 64 MiB.
static READING: Semaphore = Semaphore::const_new(1);

/// How long the answer about one image may take: a console gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// A list that was found.
struct Listed {
    format: SbomFormat,
    signer: Option<String>,
    packages: Vec<Package>,
}

/// What is in each image of a run, in their order.
pub async fn of_run(context: &Context, run: &RunStatus) -> Vec<PackagesAnswer> {
    let mut answers = Vec::new();
    for image in run.artifact.iter().flat_map(|artifact| &artifact.images) {
        let found = match timeout(PATIENCE, of_image(context, &run.application, image)).await {
            Ok(found) => found,
            Err(_) => Err(format!("its registry did not answer within {} s", PATIENCE.as_secs())),
        };
        let digest = image.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        let name = format!("{}{digest}", image.name);
        answers.push(match found {
            Ok(Listed { format, signer, mut packages }) => {
                let total = packages.len();
                packages.truncate(PACKAGES_MAX);
                PackagesAnswer { image: name, format: Some(format), signer, total, packages, reason: String::new() }
            }
            Err(reason) => {
                PackagesAnswer { image: name, format: None, signer: None, total: 0, packages: Vec::new(), reason }
            }
        });
    }
    answers
}

/// The list of an image; else why there is none.
async fn of_image(context: &Context, of: &ApplicationName, image: &Image) -> Result<Listed, String> {
    let Some(digest) = &image.digest else { return Err("it was not pushed".to_owned()) };
    let told = |failure: Failure| failure.message;
    let name = ImageRef::parse(&image.name).and_then(|name| name.with_digest(digest)).map_err(|error| chain(&error))?;
    let keys = required(context, of)?;
    let images = context.images();
    let login = images.login(&name).await.map_err(|error| told(Failure::of(&error)))?;
    let _place = READING.acquire().await;
    for format in [SbomFormat::Spdx, SbomFormat::Cyclonedx] {
        let are_enough = |claims: &[Result<Claim, Unfit>]| match keys.is_empty() {
            true => claims.iter().any(Result::is_ok),
            false => is_signed(claims, &keys),
        };
        let claims = images.registries.find_claims(&name, Wanted::Sbom(format), login.as_ref(), are_enough).await;
        let claims = claims.map_err(|error| told(Failure::of(&error)))?;
        if claims.is_empty() {
            continue;
        }
        let read = move || {
            let (claim, signer) = chosen(claims, &keys)?;
            let list = claim.predicate().ok_or("its list of packages cannot be read")?;
            Ok(Listed { format, signer, packages: sbom::packages(format, &list) })
        };
        // A list of 20 MB takes a moment to read.
        return match tokio::task::spawn_blocking(read).await {
            Ok(found) => found,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        };
    }
    Err("no list of packages is attached to it; `sbom` under [application.sign] has one made".to_owned())
}

/// The keys that environments of the application require.
fn required(context: &Context, of: &ApplicationName) -> Result<Vec<PublicKey>, String> {
    let Some(application) = context.application(of) else { return Ok(Vec::new()) };
    let files = application.spec.environments.iter().flat_map(|environment| &environment.promote.require_signature);
    files.filter_map(RequiredSigner::key).map(|file| PublicKey::read(file).map_err(|error| chain(&error))).collect()
}

/// The first list that one of the keys signed, and which; the first of all where no key is required.
fn chosen(claims: Vec<Result<Claim, Unfit>>, keys: &[PublicKey]) -> Result<(Claim, Option<String>), String> {
    let mut found = Vec::new();
    for claim in claims {
        match claim {
            Ok(claim) if keys.is_empty() => return Ok((claim, None)),
            Ok(claim) => match signer(&claim, keys) {
                Some(key) => return Ok((claim, Some(key.name().to_owned()))),
                None => found.push(Found::Other(claim.by)),
            },
            Err(why) => found.push(Found::Unfit(why)),
        }
    }
    let by = keys.iter().map(PublicKey::name).collect::<Vec<_>>().join(" or ");
    let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
    Err(format!("no list of packages is signed{by}: {}", judge(&found).err().unwrap_or_default()))
}
