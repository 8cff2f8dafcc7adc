//! Before anything is built that is to be pushed: what a Harbor tells of the projects of the images. What cannot be pushed is not
//! built; what Harbor does not tell is in the log of the run, which goes on.

use std::collections::{BTreeMap, BTreeSet};

use super::Commit;
use crate::deliver::DeliverError;
use crate::deliver::execution::Execution;
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::harbor::HarborError;
use quarterdeck_core::before_push::{self, Project};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::immutable_tags::Rules;
use quarterdeck_shared::application::Scanner;
use quarterdeck_shared::error::{Hint, chain};

/// Looks at the project of each image that is to be in a Harbor, each once, and at the tags that are to be pushed. `is_built` tells
/// by its place among them whether an image is yet to be built, `is_pushed` whether it was pushed already.
///
/// A Harbor that is away is asked no more: one that answers nothing takes its time at each question.
pub(super) async fn check_projects(
    commit: &Commit<'_>,
    names: &[ImageRef],
    is_built: impl Fn(usize) -> bool,
    is_pushed: impl Fn(usize) -> bool,
    execution: &mut Execution<'_>,
) -> Result<(), DeliverError> {
    let (images, scan) = (commit.context.images(), commit.code.spec.scan.as_ref());
    let scans = scan.is_some_and(|scan| scan.by == Scanner::Harbor);
    let mut projects: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        if scans || images.is_harbor(name.registry()) {
            projects.entry((name.registry(), before_push::project(name)?)).or_default().push(place);
        }
    }
    let mut away = BTreeSet::new();
    for ((registry, project), places) in projects {
        if away.contains(registry) {
            continue;
        }
        let (login, notes) = images.search(&names[places[0]]).await?;
        notes.iter().for_each(|note| execution.say(note));
        match known(commit, registry, project, login.as_ref(), execution).await {
            Ok(known) => before_push::judge(registry, project, known, places.iter().any(|place| is_built(*place)))?,
            Err(error) => {
                let is_away = error.is_transient();
                untold(execution, &format!("the project {project} is not checked"), &error);
                if is_away {
                    away.insert(registry);
                    continue;
                }
            }
        }
        let pushed = places.iter().filter(|place| !is_pushed(**place)).map(|place| &names[*place]);
        let pushed: Vec<&ImageRef> = pushed.collect();
        check_tags(commit, (registry, project), &pushed, login.as_ref(), execution).await?;
    }
    Ok(())
}

/// Refuses to push over a tag that is there and immutable: Harbor would, whatever is pushed.
async fn check_tags(
    commit: &Commit<'_>,
    (registry, project): (&str, &str),
    names: &[&ImageRef],
    login: Option<&Login>,
    execution: &mut Execution<'_>,
) -> Result<(), DeliverError> {
    let images = commit.context.images();
    let what = format!("the immutable tag rules of the project {project} are not checked");
    let rules = match images.registries.harbor(registry, login) {
        Ok(harbor) => harbor.immutable_tag_rules(project).await,
        Err(error) => Err(error),
    };
    let rules = match rules.map(|answer| Rules::read(&answer)) {
        Ok(Ok(rules)) => rules,
        Ok(Err(error)) => {
            execution.say(&format!("{what} before the build: they cannot be read: {error}"));
            return Ok(());
        }
        Err(error) => {
            untold(execution, &what, &error);
            return Ok(());
        }
    };
    for name in names {
        let Some(refusal) = before_push::overwrites(name, &rules) else { continue };
        match images.registries.digest(name, login).await {
            Ok(Some(_)) => return Err(refusal.into()),
            Ok(None) => {}
            Err(error) => untold(execution, &format!("the tag of {name} is not checked"), &error),
        }
    }
    Ok(())
}

/// What Harbor tells of a project.
async fn known(
    commit: &Commit<'_>,
    registry: &str,
    project: &str,
    login: Option<&Login>,
    execution: &mut Execution<'_>,
) -> Result<Project, HarborError> {
    let images = commit.context.images();
    let harbor = images.registries.harbor(registry, login)?;
    if !harbor.has_project(project).await? {
        return Ok(Project::Missing);
    }
    let quota = before_push::quota(&harbor.project_summary(project).await?);
    match &quota {
        Ok(Some(_)) => {}
        Ok(None) => execution.say(&format!(
            "the project {project} is not checked before the build: the Harbor registry {registry} shows no quota of it; if it has one, \
             give the robot account the permission quota:read in this project"
        )),
        Err(error) => execution.say(&format!(
            "the project {project} is not checked before the build: the summary of it cannot be read: {error}"
        )),
    }
    Ok(Project::There(quota.ok().flatten()))
}

/// A check that could not be made, which is no reason not to build.
fn untold(execution: &mut Execution<'_>, what: &str, error: &impl Hint) {
    let hint = error.hint();
    let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
    execution.say(&format!("{what} before the build: {}{hint}", chain(error)));
}
