//! Labels: one for the environments of a name, made in the project where it is needed.

use std::collections::BTreeSet;

use quarterdeck_container::registry::harbor::HarborError;
use quarterdeck_core::deployed_marks::{self as marks, Changes};

use super::{At, MarkError};

/// What was changed so that these digests have the label, and where nothing else runs, no others.
pub(super) async fn bring(at: &At<'_>, digests: &BTreeSet<String>, is_whole: bool) -> Result<Changes, MarkError> {
    let Some(label) = number(at, !digests.is_empty()).await? else { return Ok(Changes::default()) };
    let present = match at.harbor.labelled(&at.any, label).await {
        Ok(answer) => at.read(marks::digests(&answer))?,
        // A repository that went has nothing to label.
        Err(HarborError::Missing { .. }) => return Ok(Changes::default()),
        Err(error) => return Err(error.into()),
    };
    let changes = marks::changes(digests, is_whole, &present);
    for digest in &changes.set {
        at.set(digest, at.harbor.set_label(&at.artifact(digest)?, label).await)?;
    }
    for digest in &changes.take_off {
        at.harbor.take_label_off(&at.artifact(digest)?, label).await?;
    }
    Ok(changes)
}

/// The number of the label, which is made where it is needed and not there.
async fn number(at: &At<'_>, is_needed: bool) -> Result<Option<i64>, MarkError> {
    let (harbor, name) = (&at.harbor, at.place.label());
    let project = at.read(marks::project_number(&harbor.project(at.place.project()).await?))?;
    let found = at.read(marks::label_number(&harbor.labels(project, &name).await?, &name))?;
    if found.is_some() || !is_needed {
        return Ok(found);
    }
    harbor.make_label(project, &name).await?;
    at.read(marks::label_number(&harbor.labels(project, &name).await?, &name))
}
