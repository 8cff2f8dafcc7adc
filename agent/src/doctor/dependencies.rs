//! Repositories that charts of git have their dependencies from: whether each answers, and knows the chart that was used last.

use std::collections::BTreeSet;
use std::sync::Arc;

use quarterdeck_shared::application::DependencyRepository;

use super::Found;
use crate::context::Context;

/// Those that the configuration names and that something was fetched from.
pub(super) fn used(context: &Context) -> BTreeSet<DependencyRepository> {
    let config = context.config();
    let environments = config.applications.iter().flat_map(|application| &application.environments);
    let named = environments.flat_map(|environment| &environment.helm.dependencies);
    named.filter(|named| context.remotes.used(named).is_some()).cloned().collect()
}

/// Whether one answers.
pub(super) async fn answers(context: Arc<Context>, named: DependencyRepository) -> Found {
    let remotes = context.remotes.clone();
    let used = tokio::task::spawn_blocking(move || remotes.used(&named)).await;
    let used = used.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
    let Some(chart) = used else { return Found::good("nothing is used of it") };
    match context.remotes.check(&chart).await {
        Ok(versions) => Found::good(format!("answers, and has {versions} versions of {}", chart.name)),
        Err(problem) => Found::of(&problem, "what was fetched of it is rendered meanwhile"),
    }
}
