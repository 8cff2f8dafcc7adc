//! `[application.scan]`: how pushed images are scanned, as it is written, what it has to keep to, and what it means.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef};
use quarterdeck_shared::application::{ImageSpec, ScanException, ScanSpec, Scanner, Severity};
use serde::Deserialize;

use super::Interval;
use super::locate::Step;

/// Most scans end within a minute; the first fetches a database of some hundred megabytes.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How images are scanned, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenScan {
    by: Scanner,
    max_severity: Option<Severity>,
    timeout: Option<Interval>,
    #[serde(default)]
    exception: Vec<WrittenException>,
}

/// An exception as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenException {
    id: String,
    reason: String,
    until: Day,
}

/// A day, written as `2027-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Day(Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("{text:?} is not a valid day: write 2027-01-31"))
    }
}

/// What was found right.
pub(super) fn read(written: WrittenScan) -> ScanSpec {
    let WrittenScan { by, max_severity, timeout, exception } = written;
    let one = |WrittenException { id, reason, until: Day(until) }| ScanException { id, reason, until };
    let exceptions = exception.into_iter().map(one).collect();
    ScanSpec { by, max_severity, timeout: timeout.map_or(TIMEOUT, |timeout| timeout.0), exceptions }
}

/// What is wrong with how the images of an application are scanned.
pub(super) fn check(written: &WrittenScan, images: &[ImageSpec], say: &mut impl FnMut(&[Step], String)) {
    let mut option = |name: &'static str, message: String| say(&[Step::Key("scan"), Step::Key(name)], message);
    if images.is_empty() {
        option("by", "the application has no image to scan: add [[application.image]]".to_owned());
    }
    if written.timeout.is_some_and(|timeout| timeout.0 < Duration::from_secs(1)) {
        option("timeout", "no scan ends within a second: write 10m".to_owned());
    }
    for image in images.iter().filter(|_| written.by == Scanner::Harbor) {
        let Ok(name) = ImageRef::parse(&image.name) else { continue };
        if name.registry() == DOCKER_HUB {
            let why = format!("the image {} is on Docker Hub, which is not a Harbor", image.name);
            option("by", format!("{why}: write \"trivy\" or \"grype\""));
        } else if !name.repository().contains('/') {
            let why = format!("the image {} is in no project of Harbor", image.name);
            option("by", format!("{why}: name it registry/project/name, or write \"trivy\" or \"grype\""));
        }
    }
    let mut ids = BTreeSet::new();
    for (index, exception) in written.exception.iter().enumerate() {
        let mut say = |name: &'static str, message: String| {
            say(&[Step::Key("scan"), Step::Key("exception"), Step::Index(index), Step::Key(name)], message);
        };
        let WrittenException { id, reason, until: _ } = exception;
        if id.trim().is_empty() || id.trim() != id {
            say("id", format!("{id:?} is not the id of a vulnerability: write CVE-2026-1234"));
        }
        if !ids.insert(id.to_ascii_lowercase()) {
            say("id", format!("the exception {id} is defined twice: leave out one"));
        }
        if reason.trim().is_empty() {
            say("reason", format!("why is {id} accepted? Write it for whoever reads it next year"));
        }
    }
}
