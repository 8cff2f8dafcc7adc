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
use quarterdeck_shared::application::Scanner;
use quarterdeck_shared::error::{Hint as _, chain};

/// Looks at the project of each image that is to be in a Harbor, each once. `is_built` tells by its place among them whether an
/// image is yet to be built.
///
/// A Harbor that is away is asked no more: one that answers nothing takes its time at each question.
pub(super) async fn check_projects(
    commit: &Commit<'_>,
    names: &[ImageRef],
    is_built: impl Fn(usize) -> bool,
    execution: &mut Execution<'_>,
) -> Result<(), DeliverError> {
    let (images, scan) = (commit.context.images(), commit.code.spec.scan.as_ref());
    let scans = scan.is_some_and(|scan| scan.by == Scanner::Harbor);
    let mut projects: BTreeMap<(&str, &str), (&ImageRef, bool)> = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        if scans || images.is_harbor(name.registry()) {
            let of = (name.registry(), before_push::project(name)?);
            projects.entry(of).or_insert((name, false)).1 |= is_built(place);
        }
    }
    let mut away = BTreeSet::new();
    for ((registry, project), (name, is_built)) in projects {
        if away.contains(registry) {
            continue;
        }
        let (login, notes) = images.search(name).await?;
        notes.iter().for_each(|note| execution.say(note));
        match known(commit, registry, project, login.as_ref(), execution).await {
            Ok(known) => before_push::judge(registry, project, known, is_built)?,
            Err(error) => {
                untold(execution, project, &chain(&error), &error.hint());
                if error.is_transient() {
                    away.insert(registry);
                }
            }
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
        Ok(None) => {
            let hint = "if it has one, give the robot account the permission quota:read in this project";
            untold(execution, project, &format!("the Harbor registry {registry} shows no quota of it"), hint);
        }
        Err(error) => untold(execution, project, &format!("the summary of it cannot be read: {error}"), ""),
    }
    Ok(Project::There(quota.ok().flatten()))
}

fn untold(execution: &mut Execution<'_>, project: &str, why: &str, hint: &str) {
    let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
    execution.say(&format!("the project {project} is not checked before the build: {why}{hint}"));
}
