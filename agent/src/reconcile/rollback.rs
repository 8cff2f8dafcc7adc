//! What a person rolls back to: the revision before the present one, a sync's, or a commit that is named as everywhere.
//!
//! The present one is not what the branch is at: a commit that changed nothing of this environment is in force without a
//! sync, and the content that runs is that of an earlier one. So releases are told apart by what their manifests say.

use std::sync::Arc;

use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::event::SyncRecord;
use quarterdeck_shared::id::TypedId;
use quarterdeck_shared::revision::{Parts, Revision, SourceRevision};
use quarterdeck_shared::status::Phase;

use super::ReconcileError;
use super::target::Origin;
use super::{chart, queries};
use crate::context::{Context, Environment};
use crate::history::foreign;
use quarterdeck_git::CommitId;

/// Releases that are looked through: as many as history keeps by default, and their repeats.
const RELEASES: usize = 200;

/// The revision that a person wants to go back to.
pub async fn target(
    context: &Arc<Context>,
    environment: &Environment,
    to: Option<&str>,
) -> Result<Revision, ReconcileError> {
    let status = queries::status(context, environment)?;
    let name = environment.id.clone();
    let (releases, newest) = context
        .journal
        .ask(move |history| Ok((history.releases(&name, RELEASES)?, history.syncs(&name, 1)?.pop())))
        .await?;
    let revision = match to {
        None => {
            let before = before(&releases, newest.as_ref(), status.revision.as_ref());
            before.cloned().ok_or_else(|| {
                ReconcileError::NoSuch(format!("{} has no earlier sync to roll back to", environment.id))
            })?
        }
        Some(text) => match synced_by(context, environment, text).await? {
            Some(revision) => revision,
            None => {
                // The history knows them where the mirror was lost and the forge is away.
                let known: Vec<CommitId> = releases.into_iter().map(|sync| sync.revision.commit).collect();
                let Parts { first, chart, sources } = queries::parts(text)?;
                let commit = queries::named(Origin::own(environment), first, &known).await?.0;
                // The commit says nothing of the chart and of other sources: they stay as they are.
                let now = status.revision.as_ref();
                let chart = chart.or_else(|| now.and_then(|revision| revision.chart.as_deref().cloned()));
                let sources = queries::sources_named(environment, &sources, now, now).await?;
                let own = Revision::new(Revision::PIN, commit);
                let own = super::target::of_artifact(&environment.repository, own);
                let revision = super::sources::joined(environment, own, sources).await;
                revision.with_chart(chart.or(chart::newest(environment)?))
            }
        },
    };
    let pinned = |at: Revision| Revision { reference: Revision::PIN.to_owned(), ..at };
    let sources = revision.sources.iter().cloned();
    let sources = sources.map(|source| SourceRevision { at: pinned(source.at), ..source }).collect();
    Ok(pinned(revision).with_sources(sources))
}

/// The images of the newest release of a revision; none where the history has none.
pub async fn images(context: &Context, environment: &EnvironmentId, revision: &Revision) -> Vec<String> {
    let name = environment.clone();
    let releases = context.journal.ask(move |history| history.releases(&name, RELEASES)).await.unwrap_or_default();
    let release = releases.into_iter().find(|sync| sync.revision.is_same_content(revision));
    release.map(|sync| sync.images).unwrap_or_default()
}

/// The revision of the release before the one that runs. Releases are the newest first; `newest` is the last sync of any
/// kind, and `now` what is in force.
fn before<'a>(releases: &'a [SyncRecord], newest: Option<&SyncRecord>, now: Option<&Revision>) -> Option<&'a Revision> {
    let present = releases.first()?;
    // A release that was cut off in the middle left some of its objects: the way back is the last whole one.
    let is_half = |sync: &&SyncRecord| {
        sync.part.is_none()
            && sync.id > present.id
            && match sync.phase {
                Phase::Failed | Phase::Cancelled => !sync.changes.is_empty(),
                phase => matches!(phase, Phase::Running | Phase::Interrupted),
            }
            && !sync.revision.is_same_content(&present.revision)
    };
    if newest.filter(is_half).is_some() {
        return Some(&present.revision);
    }
    let is_other = |sync: &&SyncRecord| {
        let same_content = !sync.content.is_empty() && sync.content == present.content;
        let is = |revision: &Revision| sync.revision.is_same_content(revision);
        !now.is_some_and(is) && !is(&present.revision) && !same_content
    };
    releases.iter().find(is_other).map(|sync| &sync.revision)
}

/// The revision of a sync that ended well, by its number or its whole id; nothing where the text is something else.
async fn synced_by(
    context: &Context,
    environment: &Environment,
    text: &str,
) -> Result<Option<Revision>, ReconcileError> {
    let Ok(id) = text.parse::<TypedId>() else { return Ok(None) };
    let name = environment.id.clone();
    let sync = context.journal.ask(move |history| history.sync(&name, id)).await?;
    if sync.is_none() && id.history.is_some() {
        let foreign = foreign("sync", id, context.journal.history());
        let missing = || format!("sync {id} of {} does not exist, or is older than what is kept", environment.id);
        return Err(ReconcileError::NoSuch(foreign.unwrap_or_else(missing)));
    }
    let Some(sync) = sync.filter(|sync| sync.phase == Phase::Succeeded) else { return Ok(None) };
    if let Some(part) = sync.part {
        let (count, of) = (part.count, part.of);
        return Err(ReconcileError::NoSuch(format!(
            "sync {} applied {count} of {of} objects, which is not a release",
            id.number
        )));
    }
    Ok(Some(sync.revision))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use quarterdeck_shared::change::{Action, Change};
    use quarterdeck_shared::event::{Cause, Part};
    use quarterdeck_shared::id::{Prefix, SyncId};
    use quarterdeck_shared::resource::ResourceRef;
    use quarterdeck_shared::revision::ChartRelease;

    use super::*;

    fn commit(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn sync(id: u64, digit: char, content: &str, phase: Phase) -> SyncRecord {
        let resource = ResourceRef::new("", "ConfigMap", Some("prod"), "a");
        SyncRecord {
            id: SyncId::new(Prefix::of(1), id),
            environment: "shop/prod".parse().unwrap(),
            revision: Revision::new("main", commit(digit)),
            part: None,
            content: content.to_owned(),
            cause: Cause::Agent,
            phase,
            started: Timestamp::UNIX_EPOCH,
            finished: None,
            message: String::new(),
            hint: String::new(),
            images: Vec::new(),
            changes: vec![Change { resource, action: Action::Configure, fields: Vec::new(), reason: None }],
        }
    }

    #[test]
    fn the_way_back_leads_to_another_content_and_out_of_the_middle() {
        use Phase::{Cancelled, Failed, Interrupted, Succeeded};
        let good = |id, digit, content| sync(id, digit, content, Succeeded);
        let unchanged = |sync: SyncRecord| SyncRecord { changes: Vec::new(), ..sync };
        let part = |sync: SyncRecord| SyncRecord { part: Some(Part { named: vec![], count: 1, of: 3 }), ..sync };
        // releases, the newest sync of any kind, what is in force -> where to
        type Case = (&'static str, Vec<SyncRecord>, Option<SyncRecord>, char, Option<char>);
        let cases: [Case; 11] = [
            ("nothing before", vec![good(1, 'a', "1")], None, 'a', None),
            ("the one before", vec![good(2, 'b', "2"), good(1, 'a', "1")], None, 'b', Some('a')),
            ("again and again", vec![good(3, 'b', "2"), good(2, 'b', "2"), good(1, 'a', "1")], None, 'b', Some('a')),
            ("commits to others came since", vec![good(2, 'b', "2"), good(1, 'a', "1")], None, 'f', Some('a')),
            (
                "a person synced such a commit",
                vec![unchanged(good(3, 'f', "2")), good(2, 'b', "2"), good(1, 'a', "1")],
                None,
                'f',
                Some('a'),
            ),
            ("of an older agent", vec![good(2, 'b', ""), good(1, 'a', "")], None, 'b', Some('a')),
            (
                "a release failed in the middle",
                vec![good(2, 'b', "2"), good(1, 'a', "1")],
                Some(sync(3, 'c', "3", Failed)),
                'b',
                Some('b'),
            ),
            (
                "one was stopped in the middle",
                vec![good(2, 'b', "2"), good(1, 'a', "1")],
                Some(sync(3, 'c', "3", Cancelled)),
                'b',
                Some('b'),
            ),
            (
                "one was refused before it began",
                vec![good(2, 'b', "2"), good(1, 'a', "1")],
                Some(unchanged(sync(3, 'c', "3", Failed))),
                'b',
                Some('a'),
            ),
            (
                "the agent died in one",
                vec![good(2, 'b', "2"), good(1, 'a', "1")],
                Some(unchanged(sync(3, 'c', "3", Interrupted))),
                'b',
                Some('b'),
            ),
            (
                "some objects of a newer one were applied",
                vec![good(2, 'b', "2"), good(1, 'a', "1")],
                Some(part(good(3, 'c', "3"))),
                'b',
                Some('a'),
            ),
        ];
        for (what, releases, newest, now, to) in cases {
            let newest = newest.or(releases.first().cloned());
            let at = before(&releases, newest.as_ref(), Some(&Revision::new("main", commit(now))));
            assert_eq!(at.map(|revision| revision.commit.clone()), to.map(commit), "{what}");
        }
    }

    #[test]
    fn the_way_back_leads_to_another_chart_with_the_same_commit() {
        let with = |id: u64, version: &str| {
            let chart =
                ChartRelease { name: "podinfo".to_owned(), version: version.to_owned(), digest: "sha256:1".to_owned() };
            let sync = sync(id, 'a', version, Phase::Succeeded);
            SyncRecord { revision: sync.revision.clone().with_chart(Some(chart)), ..sync }
        };
        let releases = [with(2, "6.8.0"), with(1, "6.7.1")];
        let back = before(&releases, releases.first(), Some(&releases[0].revision));
        assert_eq!(back, Some(&releases[1].revision));
    }
}
