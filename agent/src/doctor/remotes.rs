//! Repositories whose folders kustomizations take by tags: whether each answers, and has its tags where they were first used.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Found;
use crate::context::Context;

/// Digits of a commit that people read.
const SHORT: usize = 7;

/// Those of which a tag is in use.
pub(super) fn used(context: &Context) -> BTreeSet<String> {
    let config = context.config();
    let environments = config.applications.iter().flat_map(|application| &application.environments);
    let named = environments.flat_map(|environment| &environment.kustomize.remote);
    named.filter_map(|address| context.remotes.used_by_tag(address)).collect()
}

/// Whether one answers, and which tags were moved.
pub(super) async fn tags(context: Arc<Context>, address: String) -> Found {
    let asking = tokio::task::spawn_blocking(move || context.remotes.tags(&address));
    let asked = asking.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
    let tags = match asked {
        Ok(tags) => tags,
        Err(problem) => return Found::of(&problem, "what was fetched of it is rendered meanwhile"),
    };
    let short = |commit: &str| commit.chars().take(SHORT).collect::<String>();
    for (tag, now) in &tags {
        let (before, name) = (short(&tag.commit), &tag.reference);
        let kept = format!("{before} is rendered, as when it was first used");
        match now {
            None => return Found::bad(format!("tag {name} is gone: {kept}"), "write ?ref= with a tag that exists"),
            Some(now) if *now != tag.commit => {
                let message = format!("tag {name} was moved from {before} to {}: {kept}", short(now));
                return Found::bad(message, format!("see why; where the new one is wanted, write ?ref={now}"));
            }
            Some(_) => {}
        }
    }
    let names: Vec<&str> = tags.iter().map(|(tag, _)| tag.reference.as_str()).collect();
    Found::good(format!("answers; tags in use: {}", names.join(", ")))
}
