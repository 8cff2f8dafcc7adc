//! Tags, by which a retention rule keeps what runs: each artifact has its own.

use std::collections::BTreeSet;

use quarterdeck_container::registry::harbor::HarborError;
use quarterdeck_core::deployed_marks::{self as marks, Changes};

use super::{At, MarkError};

/// What was changed so that these digests have their tag, and where nothing else runs, no others.
pub(super) async fn bring(at: &At<'_>, digests: &BTreeSet<String>, is_whole: bool) -> Result<Changes, MarkError> {
    let present = match at.harbor.tagged(&at.any, &at.place.label()).await {
        Ok(answer) => at.read(marks::tagged(&answer, at.place))?,
        // A repository that went has nothing to tag.
        Err(HarborError::Missing { .. }) => return Ok(Changes::default()),
        Err(error) => return Err(error.into()),
    };
    let changes = marks::changes(digests, is_whole, &present);
    for digest in &changes.set {
        at.set(digest, at.harbor.add_tag(&at.artifact(digest)?, &at.place.tag(digest)).await)?;
    }
    for digest in &changes.take_off {
        at.harbor.take_tag_off(&at.artifact(digest)?, &at.place.tag(digest)).await?;
    }
    Ok(changes)
}
