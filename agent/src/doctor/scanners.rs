//! The doctor's look at who scans images: programs that are installed, registries that are a Harbor with a scanner.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use quarterdeck_shared::application::Scanner;
use quarterdeck_shared::protocol::CheckResult;

use super::Found;
use crate::config::Config;
use crate::context::Context;
use quarterdeck_container::registry::harbor::Component;
use quarterdeck_core::image_ref::ImageRef;

/// Who scans: a program, or a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Program(Scanner),
    Registry(String),
}

/// A check of each that the configuration names.
pub(super) fn of(context: &Arc<Context>) -> Vec<(String, BoxFuture<'static, Found>)> {
    let check = |asked: Asked| -> (String, BoxFuture<'static, Found>) {
        let context = context.clone();
        match asked {
            Asked::Program(program) => (format!("scanner {program}"), Box::pin(installed(context, program))),
            Asked::Registry(registry) => (format!("scanner harbor {registry}"), Box::pin(harbor(context, registry))),
        }
    };
    asked(&context.config()).into_iter().map(check).collect()
}

/// Each program and each registry once.
fn asked(config: &Config) -> BTreeSet<Asked> {
    let mut all = BTreeSet::new();
    for delivery in config.applications.iter().filter_map(|application| application.delivery.as_ref()) {
        match delivery.scan.as_ref().map(|scan| scan.by) {
            None => {}
            Some(Scanner::Harbor) => {
                let images = delivery.images.iter().filter_map(|image| ImageRef::parse(&image.name).ok());
                all.extend(images.map(|image| Asked::Registry(image.registry().to_owned())));
            }
            Some(program) => drop(all.insert(Asked::Program(program))),
        }
    }
    all
}

async fn installed(context: Arc<Context>, program: Scanner) -> Found {
    match context.scanners().version(program).await {
        Ok(version) => Found::good(format!("{program} {version}").trim_end()),
        Err(error) => Found::of(&error, &format!("run `{program} --version` manually")),
    }
}

async fn harbor(context: Arc<Context>, registry: String) -> Found {
    let images = context.images();
    let harbor = match images.registries.harbor(&registry, None) {
        Ok(harbor) => harbor,
        Err(error) => return Found::of(&error, ""),
    };
    match harbor.health().await {
        Ok(components) => healthy(&components),
        Err(error) => Found::of(&error, ""),
    }
}

/// Harbor lists the scanner that it brings; another one is known to the project alone.
fn healthy(components: &[Component]) -> Found {
    let is_ill = |part: &&Component| ["trivy", "jobservice", "core"].contains(&&*part.name) && part.status != "healthy";
    if let Some(part) = components.iter().find(is_ill) {
        let hint = "see the log of that container of Harbor; scans wait for it";
        return Found::bad(format!("the component {} of Harbor is {}", part.name, part.status), hint);
    }
    if components.iter().any(|part| part.name == "trivy") {
        return Found::good("a Harbor with Trivy");
    }
    Found {
        result: CheckResult::Warning,
        message: "a Harbor without Trivy".to_owned(),
        hint: "see that the project has another scanner, under Interrogation Services".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harbor_is_as_healthy_as_what_scans() {
        let of = |parts: &[(&str, &str)]| {
            let part = |(name, status): &(&str, &str)| Component { name: (*name).into(), status: (*status).into() };
            let found = healthy(&parts.iter().map(part).collect::<Vec<_>>());
            (found.result, found.message)
        };
        let core = ("core", "healthy");
        assert_eq!(of(&[core, ("trivy", "healthy")]), (CheckResult::Good, "a Harbor with Trivy".to_owned()));
        let ill = "the component trivy of Harbor is unhealthy".to_owned();
        assert_eq!(of(&[core, ("trivy", "unhealthy")]), (CheckResult::Bad, ill));
        assert_eq!(of(&[core]), (CheckResult::Warning, "a Harbor without Trivy".to_owned()));
        assert_eq!(of(&[("portal", "unhealthy"), ("trivy", "healthy")]).0, CheckResult::Good, "that is for people");
    }
}
