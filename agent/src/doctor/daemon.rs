//! The doctor's look at a BuildKit daemon that builds, and at the engine that tests what it built.

use std::collections::BTreeSet;
use std::sync::Arc;

use quarterdeck_container::engine::Builder as _;
use quarterdeck_shared::application::TestRun;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::protocol::CheckResult;

use super::Found;
use crate::config::Config;
use crate::context::Context;
use crate::probe;

/// Whether `buildctl` is installed and the daemon answers, and what its workers are.
pub(super) async fn builds(context: Arc<Context>) -> Found {
    match context.images().engine.info().await {
        Ok(info) => {
            let workers: Vec<&str> = info.platform.split(", ").collect();
            found(probe::described(&info).detail, &workers, &wanted(&context.config()))
        }
        Err(error) => Found::of(&error, ""),
    }
}

/// The platforms that images are built for.
fn wanted(config: &Config) -> BTreeSet<String> {
    let deliveries = config.applications.iter().filter_map(|application| application.delivery.as_ref());
    let images = deliveries.flat_map(|delivery| &delivery.images);
    images.flat_map(|image| image.platforms.iter().chain(&image.platform).cloned()).collect()
}

/// A platform that no worker has is none that nothing can be built for: files are copied into any.
fn found(detail: String, workers: &[&str], wanted: &BTreeSet<String>) -> Found {
    let foreign: Vec<&str> = wanted.iter().map(String::as_str).filter(|one| !workers.contains(one)).collect();
    if foreign.is_empty() {
        return Found::good(detail);
    }
    Found {
        result: CheckResult::Warning,
        message: format!("{detail}; no worker has {}: only steps that run no program can be built", foreign.join(", ")),
        hint: "give the daemon a worker of that platform, or install emulation on its machine: docker run --privileged --rm \
               tonistiigi/binfmt --install all"
            .to_owned(),
    }
}

/// The engine, which runs tests alone.
pub(super) async fn engine(context: Arc<Context>) -> Found {
    let is_needed = runs_commands(&context.config());
    match context.images().containers.info().await {
        Ok(info) => Found::good(format!("{}, for tests", probe::described(&info).detail)),
        Err(_) if !is_needed => Found::good("none, and no test runs a command: [engine.buildkit] builds"),
        Err(error) => {
            let Failure { message, hint } = Failure::of(&error);
            Found::bad(format!("tests that run a command need one beside [engine.buildkit]: {message}"), hint)
        }
    }
}

fn runs_commands(config: &Config) -> bool {
    let deliveries = config.applications.iter().filter_map(|application| application.delivery.as_ref());
    deliveries.flat_map(|delivery| &delivery.tests).any(|test| matches!(test.run, TestRun::Command(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_that_no_worker_has_is_a_warning() {
        let of = |wanted: &[&str]| {
            let wanted = wanted.iter().map(|one| (*one).to_owned()).collect();
            found("BuildKit v1".to_owned(), &["linux/amd64", "linux/386"], &wanted)
        };
        assert_eq!((of(&[]).result, of(&["linux/amd64"]).message), (CheckResult::Good, "BuildKit v1".to_owned()));
        let foreign = of(&["linux/amd64", "linux/arm64"]);
        assert_eq!(foreign.result, CheckResult::Warning);
        assert_eq!(
            foreign.message,
            "BuildKit v1; no worker has linux/arm64: only steps that run no program can be built"
        );
    }
}
