//! One poll: the refs of the remote, and what is new of them fetched. Tags that are news are listed until two listings agree.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck_git::{GitError, RefSnapshot};
use quarterdeck_shared::error::chain;

use super::repository::Repository;
use super::unanswered::Unanswered;
use crate::artifacts::{ArtifactSource, Looked};

/// The pause before tags that are news are listed again. Gitea shows the tags of one push a third of a second apart; three
/// times that is long enough for a forge that is busy. Who polls more often than every other second waits half of that.
const PAUSE: Duration = Duration::from_secs(1);

/// Listings until two agree: a push of some hundred tags at that pace. One that takes longer is decided in parts.
const LISTINGS_MAX: u32 = 60;

/// One poll of an artifact.
pub(super) async fn look(repository: &Repository, artifact: &ArtifactSource) -> Result<Listed, Unanswered> {
    let mirror = repository.mirror();
    let looked = tokio::select! {
        looked = artifact.look(&mirror) => looked.map_err(Unanswered::Artifact)?,
        () = repository.stop.cancelled() => return Err(GitError::Interrupted { url: repository.address.clone(), doing: "the poll" }.into()),
    };
    let Looked { refs, renewed } = looked;
    Ok(Listed { refs: Arc::new(refs), tags_are_news: false, passed_by: Vec::new(), renewed })
}

/// One poll: the refs, and what is new of them fetched. Where tags are news, it is listed again until two listings agree
/// on them: a forge shows the tags of one push one after another, and they are to be decided together.
///
/// So does git itself: it writes the refs of a push one by one, with the hooks of each between them, and a listing may come in
/// their midst, on this machine as well as elsewhere. Its post-receive hook runs after the last of them, and out of that a forge
/// sends its webhooks of the push. A turn that begins with its word (`whole`) sees all of that push, and decides it without a
/// second look. Another push that is under way at that moment says so itself when it is complete; what was seen of it is decided
/// in parts, as of one that takes longer than our patience, and its tags keep their order by `queue::are_together`.
pub(super) async fn turn(repository: &Repository, mut whole: bool) -> Result<Listed, GitError> {
    let known = repository.refs.borrow().clone();
    let mut seen: Vec<String> = Vec::new();
    let mut listed = list(repository, known).await?;
    for _ in 0..LISTINGS_MAX {
        let Some(pause) = pause(listed.tags_are_news, whole, *repository.interval.borrow()) else { break };
        whole = tokio::select! {
            () = repository.received.notified() => true,
            () = tokio::time::sleep(pause) => false,
            () = repository.stop.cancelled() => break,
        };
        seen.extend(listed.refs.tags.keys().cloned());
        let again = list(repository, Some(listed.refs)).await?;
        listed = Listed { renewed: listed.renewed || again.renewed, ..again };
    }
    seen.retain(|tag| !listed.refs.tags.contains_key(tag));
    seen.sort();
    seen.dedup();
    Ok(Listed { passed_by: seen, ..listed })
}

/// How long to wait before the tags are listed again; nothing where they are to be decided as they were listed.
fn pause(tags_are_news: bool, whole: bool, interval: Duration) -> Option<Duration> {
    (tags_are_news && !whole).then(|| PAUSE.min(interval / 2))
}

/// What a poll found.
pub(super) struct Listed {
    pub(super) refs: Arc<RefSnapshot>,
    /// Whether a fetch brought or took tags.
    pub(super) tags_are_news: bool,
    /// Tags that came and went while it was listed again.
    pub(super) passed_by: Vec<String>,
    /// Whether the mirror had to be fetched anew.
    pub(super) renewed: bool,
}

/// One listing, and what is new of it fetched.
async fn list(repository: &Repository, known: Option<Arc<RefSnapshot>>) -> Result<Listed, GitError> {
    let address = repository.address.clone();
    repository
        .work(move |mirror| {
            mirror.heal()?;
            let mut refs = mirror.list_refs()?;
            mirror.peel_known(&mut refs, known.as_deref());
            let renewed = mirror.is_anew();
            let mut tags_are_news = false;
            if renewed || known.as_deref() != Some(&refs) {
                // A mirror that fails is looked at, and what is damaged is made anew: it is fetched into that.
                let fetched = mirror.fetch(&refs).or_else(|error| match error {
                    GitError::Mirror { .. } if mirror.heal()? => mirror.fetch(&refs),
                    other => Err(other),
                })?;
                mirror.peel_known(&mut refs, known.as_deref());
                tags_are_news =
                    fetched.updated.iter().chain(&fetched.pruned).any(|name| name.starts_with("refs/tags/"));
                // What was fetched counts, also where there is no git program to pack it up with.
                if let Err(error) = mirror.maintain() {
                    tracing::warn!(repository = %address, error = %chain(&error), "the mirror is not packed up");
                }
            }
            Ok(Listed { refs: Arc::new(refs), tags_are_news, passed_by: Vec::new(), renewed })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_listed_again_unless_the_push_is_known_to_be_complete() {
        let (often, seldom) = (Duration::from_millis(500), Duration::from_secs(3_600));
        for (tags_are_news, whole, interval, wanted) in [
            (false, false, seldom, None),
            (false, true, seldom, None),
            (true, true, seldom, None),
            (true, true, often, None),
            (true, false, seldom, Some(PAUSE)),
            (true, false, often, Some(often / 2)),
        ] {
            assert_eq!(pause(tags_are_news, whole, interval), wanted, "{tags_are_news} {whole} {interval:?}");
        }
    }
}
