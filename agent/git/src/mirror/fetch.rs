//! Bringing the mirror to a listing: what is new is fetched, what moved is moved (also backwards), what is gone goes.
//!
//! Only refs that differ are asked for, so a fetch costs what changed and not what exists.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use gix::bstr::{BString, ByteSlice};
use gix::progress::Discard;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};
use gix::remote::Direction;
use gix::remote::fetch::{Status, Tags};

use super::Mirror;
use super::operation::{Bounds, Operation};
use crate::error::chain;
use crate::id::GixId;
use crate::{CommitId, FetchOutcome, GitError, MergeRequestRef, RefSnapshot};
use quarterdeck_core::failpoint;

/// Up to this many refs are asked for by name: 200 names fit in one small request. Beyond, all refs are asked for.
const BY_NAME: usize = 200;

/// Where commits are kept that no ref of the remote leads to.
pub(super) const KEPT: &str = "refs/quarterdeck/";

/// So many commits are kept by their ids, more than environments that name one of a repository; those that were named before
/// serve rollbacks. Each costs a ref.
const KEPT_MAX: usize = 1_000;

/// What gix says of an object that is larger than `gitoxide.objects.allocLimit`; its errors have no kinds to tell by.
const OVER_ALLOC_LIMIT: &str = "too large to fit in memory";

impl Mirror {
    /// Makes the mirror hold exactly the branches and tags of `refs`, with all their objects. Nothing is sent if it does
    /// already. Merge requests are fetched one by one ([`Mirror::fetch_merge_request`]); those that it holds stay for as long
    /// as they are listed.
    ///
    /// A ref that moved since it was listed is fetched as it is now; the next listing tells. Pass a smaller snapshot to
    /// mirror less than all.
    pub fn fetch(&self, refs: &RefSnapshot) -> Result<FetchOutcome, GitError> {
        let _writing = self.writing();
        failpoint::reached("git: before a fetch");
        let want = wanted(refs);
        let repository = self.repository_for(want.values().next())?;
        let have = self.own_refs(&repository)?;

        let is_listed = |name: &String| {
            let listed = MergeRequestRef::number(name).zip(refs.merge_requests.as_ref());
            listed.and_then(|(number, all)| all.get(&number)).is_some_and(|head| head.name == *name)
        };
        let is_kept = |name: &String| want.contains_key(name) || is_listed(name) || name.starts_with(KEPT);
        let gone: Vec<&String> = have.keys().filter(|name| !is_kept(name)).collect();
        let differ: Vec<(&String, gix::ObjectId)> =
            want.iter().filter(|(name, id)| have.get(*name) != Some(id)).map(|(name, id)| (name, *id)).collect();
        // A tip that we have under another name came with all its history: it needs a ref and nothing else.
        let tips: BTreeSet<gix::ObjectId> = have.values().copied().collect();
        let (known, missing): (Vec<_>, Vec<_>) = differ.into_iter().partition(|(_, id)| tips.contains(id));

        // Deleted first: a branch `a` may have made room for a branch `a/b`.
        self.edit(&repository, gone.iter().map(|name| deletion(name)))?;
        self.edit(&repository, known.iter().map(|(name, id)| update(name, *id)))?;
        let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        let objects = if names.is_empty() { 0 } else { self.receive(&repository, &names)? };

        failpoint::reached("git: after a fetch");
        let now = self.own_refs(&repository)?;
        let updated =
            now.iter().filter(|(name, id)| have.get(*name) != Some(id)).map(|(name, _)| name.clone()).collect();
        if let Some(absent) = names.iter().find(|name| !now.contains_key(**name)) {
            return Err(self.not_found(format!("{absent}, which was listed a moment ago,")));
        }
        self.complete();
        Ok(FetchOutcome { updated, pruned: gone.into_iter().cloned().collect(), objects })
    }

    /// Brings the newest commit of a merge request into the mirror.
    pub fn fetch_merge_request(&self, head: &MergeRequestRef) -> Result<(), GitError> {
        let _writing = self.writing();
        self.receive(&self.repository(), &[&head.name])?;
        Ok(())
    }

    /// The newest commit of a merge request, asked for and fetched now, also where merge requests are not listed; none where
    /// the remote has no such one. It stays until the next [`Mirror::fetch`].
    pub fn merge_request(&self, number: u64) -> Result<Option<CommitId>, GitError> {
        let _writing = self.writing();
        for place in MergeRequestRef::PLACES {
            let name = format!("{place}{number}/head");
            let repository = self.repository();
            // What is known from before may be gone by now.
            let known = self.own_refs(&repository)?.contains_key(&name).then(|| deletion(&name));
            self.edit(&repository, known.into_iter())?;
            self.receive(&repository, &[&name])?;
            if let Some(id) = self.own_refs(&self.repository())?.get(&name) {
                return Ok(Some(CommitId::from_gix(*id)));
            }
        }
        Ok(None)
    }

    /// Brings a commit into the mirror that no branch or tag of the remote has. It stays there.
    ///
    /// # Errors
    /// Where the remote does not have it, or gives nothing by its id: git does so by protocol 2, and older servers where
    /// `uploadpack.allowReachableSHA1InWant` is set.
    pub fn fetch_commit(&self, commit: &CommitId) -> Result<(), GitError> {
        let _writing = self.writing();
        let repository = self.repository();
        let kept = self.own_refs(&repository)?.into_keys().filter(|name| name.starts_with(KEPT));
        let beyond: Vec<String> = kept.skip(KEPT_MAX - 1).collect();
        self.edit(&repository, beyond.iter().map(|name| deletion(name)))?;
        match self.receive_specs(&repository, &[format!("+{commit}:{KEPT}{commit}").into()]) {
            Err(error) if is_refused_by_id(&error) => Err(GitError::NotFound {
                url: self.url(),
                what: format!("commit {commit} (no branch or tag leads to it, and it is not sent by its id)"),
            }),
            received => received.map(drop),
        }
    }

    /// The mirror, of the kind of ids that the remote counts in.
    fn repository_for(&self, id: Option<&gix::ObjectId>) -> Result<gix::Repository, GitError> {
        let repository = self.repository();
        match id.map(|id| id.kind()).filter(|kind| *kind != repository.object_hash()) {
            None => Ok(repository),
            Some(kind) if self.own_refs(&repository)?.is_empty() => {
                self.begin_again(kind)?;
                Ok(self.repository())
            }
            Some(kind) => {
                tracing::warn!(mirror = %self.dir.display(), "the remote counts in {kind} now: everything is fetched again");
                self.begin_again(kind)?;
                Ok(self.repository())
            }
        }
    }

    /// Receives these refs from the remote; answers how many objects came.
    ///
    /// To tell the remote what is here, gix reads commits near the tips whole, and fails at an author that git tolerates. So
    /// the git program writes down their parents and times beside (`commit-graph`), where gix looks first; where
    /// even that is of no use, nothing is told, and the remote sends everything.
    fn receive(&self, repository: &gix::Repository, names: &[&str]) -> Result<u32, GitError> {
        let specs: Vec<BString> = if names.len() <= BY_NAME {
            names.iter().map(|name| format!("+{name}:{name}").into()).collect()
        } else {
            vec!["+refs/heads/*:refs/heads/*".into(), "+refs/tags/*:refs/tags/*".into()]
        };
        self.receive_specs(repository, &specs)
    }

    fn receive_specs(&self, repository: &gix::Repository, specs: &[BString]) -> Result<u32, GitError> {
        let unreadable = Cell::new(false);
        match self.receive_with(repository, specs, &unreadable) {
            Err(_) if unreadable.replace(false) => {}
            answer => return answer,
        }
        match self.write_commit_graph() {
            Ok(()) => match self.receive_with(&self.repository(), specs, &unreadable) {
                Err(_) if unreadable.replace(false) => {}
                answer => return answer,
            },
            Err(error) => {
                tracing::debug!(mirror = %self.dir.display(), error = %chain(&error), "no commit-graph is written")
            }
        }
        let mut plain = self.repository();
        let told =
            plain.config_snapshot_mut().set_value(&gix::config::tree::Fetch::NEGOTIATION_ALGORITHM, "noop").map(drop);
        told.map_err(|error| self.failed_here("preparing a fetch", chain(&error)))?;
        tracing::info!(mirror = %self.dir.display(), "a commit here cannot be read whole, so that everything is fetched again");
        self.receive_with(&plain, specs, &unreadable)
    }

    /// One try; `unreadable` is set where a commit of the mirror is what failed.
    fn receive_with(
        &self,
        repository: &gix::Repository,
        specs: &[BString],
        unreadable: &Cell<bool>,
    ) -> Result<u32, GitError> {
        let limits = &self.remote.access.limits;
        let bounds = || Bounds {
            doing: "the fetch",
            time: limits.transfer_time,
            stall: limits.stall_time,
            bytes: limits.pack_bytes,
            bytes_option: Some("pack_bytes"),
        };
        self.converse(bounds, |transport, talk: &std::sync::Arc<Operation>| {
            // The address is for gix's books only; the transport knows where it goes.
            let remote = repository
                .remote_at_without_url_rewrite("file:///remote")?
                .with_refspecs(specs.iter().map(|spec| spec.as_bstr()), Direction::Fetch)?
                .with_fetch_tags(Tags::None);
            // Our transports have their options already; gix would read its own for them from the configuration.
            let connection = remote
                .to_connection_with_transport(transport)
                .with_credentials(|_| Ok(None))
                .with_transport_options(Box::new(()));
            let prepared = connection.prepare_fetch(Discard, Default::default())?;
            if prepared.ref_map().mappings.is_empty() {
                return Ok(0);
            }
            // Packed refs cannot collide on file systems that ignore case, and one file is written for a thousand tags.
            let received = prepared.with_write_packed_refs_only(true).receive(Discard, talk.interrupt());
            let outcome = received.inspect_err(|error| {
                unreadable.set(is_unreadable(&chain(error)));
                if chain(error).contains(OVER_ALLOC_LIMIT) {
                    let (limit, what) = (limits.object_bytes, "bytes in one object");
                    let option = Some("object_bytes");
                    talk.fail(GitError::TooMuch { url: talk.url().to_owned(), limit, what, option });
                }
            })?;
            Ok(match outcome.status {
                Status::Change { write_pack_bundle, .. } => write_pack_bundle.index.num_objects,
                Status::NoPackReceived { .. } => 0,
            })
        })
    }

    /// The refs that the mirror holds, by full name.
    pub(super) fn own_refs(&self, repository: &gix::Repository) -> Result<BTreeMap<String, gix::ObjectId>, GitError> {
        let failed = |error: gix::Error| self.broken("reading its refs", &error);
        let mut refs = BTreeMap::new();
        let platform = repository.references().map_err(failed)?;
        for found in platform.prefixed("refs/").map_err(failed)? {
            let found = found.map_err(failed)?;
            if let Some(id) = found.try_id() {
                refs.insert(found.name().as_bstr().to_string(), id.detach());
            }
        }
        Ok(refs)
    }

    pub(super) fn edit(
        &self,
        repository: &gix::Repository,
        edits: impl Iterator<Item = Result<RefEdit, gix::Error>>,
    ) -> Result<(), GitError> {
        let failed = |error: gix::Error| self.broken("writing its refs", &error);
        let edits = edits.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if !edits.is_empty() {
            repository.edit_references(edits).map_err(failed)?;
        }
        Ok(())
    }
}

/// Whether words of gix are about a commit of the mirror that it cannot read while it prepares what to tell the remote.
fn is_unreadable(message: &str) -> bool {
    ["could not be decoded", "look up commit in graph", "actor signature"].iter().any(|said| message.contains(said))
}

/// Whether a fetch failed since the remote does not send this commit.
fn is_refused_by_id(error: &GitError) -> bool {
    let said = chain(error);
    ["not our ref", "unadvertised object", "no such remote ref"].iter().any(|words| said.contains(words))
}

fn wanted(refs: &RefSnapshot) -> BTreeMap<String, gix::ObjectId> {
    let branches = refs.branches.iter().map(|(name, id)| (format!("refs/heads/{name}"), id.to_gix()));
    let tags = refs.tags.iter().map(|(name, tag)| (format!("refs/tags/{name}"), tag.object.to_gix()));
    branches.chain(tags).collect()
}

pub(super) fn deletion(name: &str) -> Result<RefEdit, gix::Error> {
    let change = Change::Delete { expected: PreviousValue::Any, log: RefLog::AndReference };
    Ok(RefEdit { change, name: full(name)?, deref: false })
}

/// Sets a ref of the mirror, whatever it was.
pub(super) fn update(name: &str, id: gix::ObjectId) -> Result<RefEdit, gix::Error> {
    let change = Change::Update { log: LogChange::default(), expected: PreviousValue::Any, new: Target::Object(id) };
    Ok(RefEdit { change, name: full(name)?, deref: false })
}

fn full(name: &str) -> Result<FullName, gix::Error> {
    FullName::try_from(name).map_err(gix::Error::from_error)
}
