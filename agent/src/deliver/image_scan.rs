//! The stage of a run between push and promotion, where there is one: what is in the registry is scanned, and an image with
//! vulnerabilities that are too severe is not promoted.
//!
//! Every image of a run is scanned, also one that was pushed before: what is known of it changes while it does not. A run that takes
//! up another holds what that one learned; it is judged again by what the configuration accepts now, without another scan.

mod harbor;

use std::collections::BTreeSet;

use jiff::Timestamp;
use quarterdeck_shared::application::{ScanSpec, Scanner};
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::snapshot::ScanResult;

use super::DeliverError;
use super::execution::{Execution, Outcome, Step};
use super::scan_error::ScanError;
use crate::context::Context;
use quarterdeck_container::scanner::Request;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::scan::verdict::{self, Rules, Scanned, Verdict};
use quarterdeck_core::scan::{Report, grype, trivy};

/// Vulnerabilities of an image that are in the log of a run: more than a person reads, and less than crowds out the log of the build.
const LINES_MAX: usize = 200;

/// The images that were pushed have no vulnerabilities that are too severe.
pub(super) struct Scan<'a> {
    context: &'a Context,
    spec: &'a ScanSpec,
    pushed: &'a Artifact,
    /// Digests for which this run asked the registry for a scan.
    asked: BTreeSet<String>,
}

impl Step<()> for Scan<'_> {
    /// One image after the other, each kept as soon as it is known; all of them are looked at, so that a person learns of all at
    /// the first failure.
    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<()>, DeliverError> {
        let pushed = self.pushed;
        let (mut is_new, mut refusals, mut told) = (false, Vec::new(), Vec::new());
        for image in &pushed.images {
            let verdict = match self.held(execution, image) {
                Some(verdict) => verdict,
                None => {
                    is_new = true;
                    self.scan(execution, image).await?
                }
            };
            self.tell(execution, &verdict);
            told.push(format!("{}: {}", image.name, verdict.result.describe()));
            refusals.extend(verdict.refusal(self.spec.max_severity));
            keep(execution, verdict.result).await?;
        }
        if !refusals.is_empty() {
            return Err(DeliverError::Vulnerable { run: execution.run.id.number, message: refusals.join("; ") });
        }
        let message = told.join("; ");
        Ok(if is_new { Outcome::Done((), message) } else { Outcome::Skipped((), message) })
    }
}

/// Keeps what the scan of an image came to.
async fn keep(execution: &mut Execution<'_>, result: ScanResult) -> Result<(), DeliverError> {
    let scans = &mut execution.run.scans;
    match scans.iter_mut().find(|scan| scan.name == result.name) {
        Some(before) => *before = result,
        None => scans.push(result),
    }
    execution.record(Vec::new()).await
}

impl<'a> Scan<'a> {
    pub(super) fn new(context: &'a Context, spec: &'a ScanSpec, pushed: &'a Artifact) -> Self {
        Self { context, spec, pushed, asked: BTreeSet::new() }
    }

    /// What is known of this image from an earlier try, judged by what counts now.
    fn held(&self, execution: &Execution<'_>, image: &Image) -> Option<Verdict> {
        let of = self.scanned(image, image.digest.as_deref()?);
        let now = Timestamp::now();
        let held = execution.run.scans.iter().find(|scan| scan.name == image.name)?;
        verdict::judge_again(held, of, &Rules::new(self.spec, now), now)
    }

    fn scanned<'s>(&self, image: &'s Image, digest: &'s str) -> Scanned<'s> {
        Scanned { name: &image.name, digest, by: self.spec.by }
    }

    /// Scans an image and judges what is found.
    async fn scan(&mut self, execution: &mut Execution<'_>, image: &Image) -> Result<Verdict, DeliverError> {
        let digest = image.digest.as_deref().ok_or_else(|| ScanError::NoDigest { image: image.name.clone() })?;
        let name = ImageRef::parse(&image.name)?.with_digest(digest)?;
        execution.progress(None, Some(&format!("{} scans {}", self.spec.by, image.name)));
        let report = match self.spec.by {
            Scanner::Harbor => harbor::report(self.context, self.spec, &name, &mut self.asked, execution).await?,
            Scanner::Trivy | Scanner::Grype => self.by_program(execution, &name).await?,
        };
        let now = Timestamp::now();
        Ok(verdict::judge(self.scanned(image, digest), report, &Rules::new(self.spec, now), now))
    }

    /// The report of a program on this machine.
    async fn by_program(&self, execution: &mut Execution<'_>, image: &ImageRef) -> Result<Report, DeliverError> {
        let images = self.context.images();
        let (login, notes) = images.search(image).await?;
        notes.iter().for_each(|note| execution.say(note));
        let way = images.registries.way(image.registry())?;
        let request = Request { image, login: login.as_ref(), way: &way, timeout: self.spec.timeout };
        let scanned = self.context.scanners().scan(self.spec.by, request).await.map_err(ScanError::Program)?;
        let report = match self.spec.by {
            Scanner::Grype => grype::read(&scanned.report),
            Scanner::Trivy | Scanner::Harbor => trivy::read(&scanned.report, &scanned.version),
        };
        Ok(report.map_err(|source| ScanError::Report { image: image.name(), source })?)
    }

    /// Writes into the log what was found, the worst first.
    fn tell(&self, execution: &mut Execution<'_>, verdict: &Verdict) {
        let Verdict { result, all, refused } = verdict;
        execution.say(&format!("{}@{}: {} ({})", result.name, result.digest, result.describe(), result.scanner));
        for one in all.iter().take(LINES_MAX) {
            let (text, more) = (one.describe(), one.accepted.as_ref().map(|reason| format!(": {reason}")));
            let word = match &more {
                Some(_) => "accepted: ",
                None if refused.contains(one) => "refused: ",
                None => "",
            };
            execution.say(&format!("{word}{text}{}", more.unwrap_or_default()));
        }
        if all.len() > LINES_MAX {
            execution.say(&format!("and {} more", all.len() - LINES_MAX));
        }
        for expired in Rules::new(self.spec, Timestamp::now()).expired(all) {
            execution.say(&format!("the exception of {} expired at the end of {}", expired.id, expired.until));
        }
    }
}
