//! `[[application.test]]`: a test as it is written, what it has to keep to, and what it means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use quarterdeck_shared::application::{
    ContainerLimits, ImageSpec, ServiceName, ServiceSpec, TestCommand, TestName, TestRun, TestSpec, ValueFrom,
};
use serde::Deserialize;

use super::Interval;
use super::locate::Step;
use super::values;
use quarterdeck_core::image_ref::ImageRef;

/// Most suites end within minutes; what hangs holds a place among the builds for as long.
const TIMEOUT: Duration = Duration::from_secs(1_800);

/// More than a compiler or a browser needs, and less than makes the machine of the engine swap.
const MEMORY_BYTES: u64 = 4 << 30;

/// The engine refuses a container with less.
const MEMORY_BYTES_MIN: u64 = 6 << 20;

/// A browser has some hundreds; a fork bomb ends here.
const PROCESSES: u32 = 4_096;

/// A test as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTest {
    name: TestName,
    image: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    pub(super) target: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, ValueFrom>,
    #[serde(default)]
    reports: Vec<String>,
    #[serde(default)]
    service: Vec<WrittenService>,
    timeout: Option<Interval>,
    memory_bytes: Option<u64>,
    processes: Option<u32>,
}

/// A service as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenService {
    name: ServiceName,
    image: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, ValueFrom>,
    #[serde(default)]
    ready: Vec<String>,
}

/// What tests mean that were found right; relative paths in them begin at `base`.
pub(super) fn read(written: Vec<WrittenTest>, images: &[ImageSpec], base: &Path) -> Vec<TestSpec> {
    let first = images.first().map(|image| image.name.clone()).unwrap_or_default();
    written.into_iter().map(|test| meaning(test, first.clone(), base)).collect()
}

fn meaning(written: WrittenTest, first: String, base: &Path) -> TestSpec {
    let WrittenTest { name, image, command, target, mut env, reports, service: beside, timeout, .. } = written;
    values::anchor(&mut env, base);
    let service = |WrittenService { name, image, command, mut env, ready }| {
        values::anchor(&mut env, base);
        ServiceSpec { name, image, command, env, ready }
    };
    let limits = ContainerLimits {
        memory_bytes: written.memory_bytes.unwrap_or(MEMORY_BYTES),
        processes: written.processes.unwrap_or(PROCESSES),
    };
    let services = beside.into_iter().map(service).collect();
    let run = match target {
        Some(target) => TestRun::Target(target),
        None => TestRun::Command(Box::new(TestCommand { command, env, reports, services, limits })),
    };
    TestSpec { name, image: image.unwrap_or(first), run, timeout: timeout.map_or(TIMEOUT, |timeout| timeout.0) }
}

/// Everything that is wrong with the tests of an application.
pub(super) fn check(tests: &[WrittenTest], images: &[ImageSpec], say: &mut impl FnMut(&[Step], String)) {
    let mut names = BTreeSet::new();
    for (index, test) in tests.iter().enumerate() {
        let mut say = |keys: &[Step], message: String| {
            let below = [Step::Key("test"), Step::Index(index)];
            say(&below.into_iter().chain(keys.iter().cloned()).collect::<Vec<_>>(), message);
        };
        if !names.insert(&test.name) {
            say(&[Step::Key("name")], format!("test {} is defined twice: choose another name", test.name));
        }
        if let Some(image) = test.image.as_ref().filter(|name| !images.iter().any(|image| image.name == **name)) {
            let known = images.iter().map(|image| image.name.as_str()).collect::<Vec<_>>().join(", ");
            say(&[Step::Key("image")], format!("no [[application.image]] is named {image:?}; there are: {known}"));
        }
        check_run(test, &mut say);
        check_services(test, &mut say);
    }
}

fn check_run(test: &WrittenTest, say: &mut impl FnMut(&[Step], String)) {
    let mut say = |name: &'static str, message: String| say(&[Step::Key(name)], message);
    match (&test.target, test.command.is_empty()) {
        (None, true) => say("name", format!("test {} runs nothing: give it `command` or `target`", test.name)),
        (Some(_), false) => say("target", "a test is a command or a stage of the Dockerfile: leave out one".to_owned()),
        _ => {}
    }
    if test.target.is_some() {
        let parts = [
            ("env", test.env.is_empty()),
            ("reports", test.reports.is_empty()),
            ("service", test.service.is_empty()),
            ("memory_bytes", test.memory_bytes.is_none()),
            ("processes", test.processes.is_none()),
        ];
        for (name, _) in parts.into_iter().filter(|(_, is_absent)| !is_absent) {
            say(name, format!("`{name}` belongs to a command, and this test builds a stage: leave it out"));
        }
    }
    for path in test.reports.iter().filter(|path| !path.starts_with('/') || **path == "/") {
        say("reports", format!("{path:?} must be a path from the root of the container: write /app/reports"));
    }
    if test.memory_bytes.is_some_and(|bytes| bytes < MEMORY_BYTES_MIN) {
        say("memory_bytes", format!("no container starts with less than {MEMORY_BYTES_MIN} bytes (6 MiB)"));
    }
    if test.processes == Some(0) {
        say("processes", "0 processes would run nothing: write 1 or more".to_owned());
    }
    if test.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        say("timeout", "no test ends in no time: write 30m".to_owned());
    }
}

fn check_services(test: &WrittenTest, say: &mut impl FnMut(&[Step], String)) {
    let mut names = BTreeSet::new();
    for (index, service) in test.service.iter().enumerate() {
        let mut say = |name: &'static str, message: String| {
            say(&[Step::Key("service"), Step::Index(index), Step::Key(name)], message);
        };
        if !names.insert(&service.name) {
            say("name", format!("service {} is defined twice: choose another name", service.name));
        }
        if let Err(error) = ImageRef::parse(&service.image) {
            say("image", format!("{error}: write postgres:17 or registry.example/team/name:tag"));
        }
    }
}
