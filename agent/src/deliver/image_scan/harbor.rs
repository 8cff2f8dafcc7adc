//! A scan by the scanner of the registry: asked for where it has no fresh report, and followed to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use quarterdeck_shared::application::ScanSpec;
use tokio::time::Instant;

use crate::context::Context;
use crate::deliver::DeliverError;
use crate::deliver::execution::Execution;
use crate::deliver::scan_error::ScanError;
use quarterdeck_container::registry::harbor::{Harbor, HarborError};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::scan::Report;
use quarterdeck_core::scan::harbor::{self, Next, Overview};

/// How often Harbor is asked how far its scan is: a small image is done within seconds, a large one within minutes.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(2))
    .with_max_delay(PAUSE_MAX)
    .with_factor(1.5)
    .without_max_times();
/// As above, at the longest.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The report of the registry's scanner. `asked` holds the digests for which this run asked for a scan: it outlives an outage.
pub(super) async fn report(
    context: &Context,
    spec: &ScanSpec,
    image: &ImageRef,
    asked: &mut BTreeSet<String>,
    execution: &mut Execution<'_>,
) -> Result<Report, DeliverError> {
    let images = context.images();
    let (login, notes) = images.search(image).await?;
    notes.iter().for_each(|note| execution.say(note));
    let harbor = images.registries.harbor(image.registry(), login.as_ref()).map_err(ScanError::Harbor)?;
    let begun = Instant::now();
    let mut pauses = PAUSES.build();
    loop {
        let mut pause = pauses.next().unwrap_or(PAUSE_MAX);
        match turn(&harbor, image, asked, execution).await {
            Ok(Some(report)) => return Ok(report),
            Ok(None) => {}
            // It said how long; anything else that passes is tried again by the stage.
            Err(ScanError::Harbor(error @ HarborError::Busy { wait: Some(wait), .. }))
                if begun.elapsed() + wait < spec.timeout =>
            {
                execution.say(&error.to_string());
                pause = pause.max(wait);
            }
            Err(error) => return Err(error.into()),
        }
        if begun.elapsed() + pause > spec.timeout {
            let registry = image.registry().to_owned();
            return Err(ScanError::TooLong { registry, image: image.name(), timeout: spec.timeout }.into());
        }
        tokio::time::sleep(pause).await;
    }
}

/// Looks once how far the scan is, and does what is next; the report, once there is one.
async fn turn(
    harbor: &Harbor<'_>,
    image: &ImageRef,
    asked: &mut BTreeSet<String>,
    execution: &mut Execution<'_>,
) -> Result<Option<Report>, ScanError> {
    let digest = image.digest().unwrap_or_default();
    let unread = |source| ScanError::Report { image: image.name(), source };
    let artifact = harbor.artifact(image).await.map_err(ScanError::Harbor)?;
    let overview = harbor::overview(&artifact).map_err(unread)?;
    match harbor::next(overview.as_ref(), asked.contains(digest), Timestamp::now()) {
        Next::Read => {
            let report = harbor.vulnerabilities(image).await.map_err(ScanError::Harbor)?;
            return harbor::read(&report).map(Some).map_err(unread);
        }
        Next::Failed => {
            let status = overview.map(|overview| overview.status).unwrap_or_default();
            return Err(ScanError::Failed { registry: image.registry().to_owned(), image: image.name(), status });
        }
        Next::Ask => {
            harbor.scan(image).await.map_err(ScanError::Harbor)?;
            asked.insert(digest.to_owned());
            execution.say(&format!("{} was asked to scan {}", image.registry(), image.name()));
        }
        Next::Wait => {
            let Overview { status, percent, .. } =
                overview.unwrap_or(Overview { status: "Pending".to_owned(), percent: None, ended: None });
            execution.progress(percent, Some(&format!("{}: scan {status}", image.registry())));
        }
    }
    Ok(None)
}
