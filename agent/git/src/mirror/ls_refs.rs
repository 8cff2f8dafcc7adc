//! The poll: which branches and tags a remote has now.
//!
//! A listing costs one round: over http a POST on a warm connection, over ssh one session, for a directory of this
//! machine a look at its files. The server filters (`ref-prefix`), so merge requests that nobody asks for and other refs
//! cost nothing.

use std::path::Path;
use std::sync::PoisonError;

use gix::bstr::{BStr, ByteSlice};
use gix::progress::Discard;
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::{LsRefsCommand, indicate_end_of_interaction};

use super::operation::Bounds;
use super::transport::Link;
use super::{Mirror, RefSnapshot};
use crate::error::{Escaped, chain};
use crate::id::GixId;
use crate::local::served;
use crate::{CommitId, GitError, MergeRequestRef, ObjectId, TagRef};
use quarterdeck_system::open_files;

impl Mirror {
    /// Lists branches, tags and the default branch of the remote, and merge requests where they are wanted. It does not touch
    /// the mirror.
    pub fn list_refs(&self) -> Result<RefSnapshot, GitError> {
        match &self.link {
            Link::Local(path) => self.list_local(path),
            Link::Ssh | Link::Http(_) => self.list_remote(),
        }
    }

    /// Brings tags to what the mirror knows of them: one whose object is here and is a tree or a blob has no commit. What was
    /// `known` of a tag that did not move still holds.
    pub fn peel_known(&self, refs: &mut RefSnapshot, known: Option<&RefSnapshot>) {
        let repository = self.repository();
        for (name, tag) in &mut refs.tags {
            if let Some(known) = known.and_then(|known| known.tags.get(name)).filter(|known| known.object == tag.object)
            {
                tag.clone_from(known);
                continue;
            }
            let header = tag.commit.as_ref().map(|commit| repository.try_find_header(commit.to_gix()));
            if let Some(Ok(Some(header))) = header
                && header.kind() != gix::objs::Kind::Commit
            {
                tag.commit = None;
            }
        }
    }

    /// Below which names refs are listed.
    fn listed_places(&self) -> impl Iterator<Item = &'static str> + use<> {
        let more = self.remote.merge_requests.then_some(MergeRequestRef::PLACES);
        ["refs/heads/", "refs/tags/"].into_iter().chain(more.into_iter().flatten())
    }

    fn list_remote(&self) -> Result<RefSnapshot, GitError> {
        let limits = &self.remote.access.limits;
        let bounds = || Bounds {
            doing: "the listing of refs",
            time: limits.list_time,
            stall: limits.stall_time,
            bytes: limits.list_bytes,
            bytes_option: Some("list_bytes"),
        };
        let refs = self.converse(bounds, |mut transport, _| {
            let service = gix::protocol::transport::Service::UploadPack;
            // Our transports authenticate by themselves; gix must never come to its own way, which prompts.
            let mut shake = gix::protocol::handshake(&mut transport, service, |_| Ok(None), Vec::new(), &mut Discard)?;
            if let Some(refs) = shake.refs.take() {
                return Ok(refs);
            }
            let mut prefixes = RefPrefixes::new();
            prefixes.extend(std::iter::once("HEAD").chain(self.listed_places()).map(Into::into));
            let agent = ("agent", Some(gix::protocol::agent(concat!("quarterdeck-", env!("CARGO_PKG_VERSION")))));
            let command = LsRefsCommand::new(Some(prefixes), &shake.capabilities, agent);
            let refs = command.invoke_blocking(&mut transport, &mut Discard, false)?;
            let _ = indicate_end_of_interaction(&mut transport, false);
            Ok(refs)
        })?;
        let mut listing = Listing::new(self);
        for found in refs {
            listing.take(found)?;
        }
        Ok(listing.snapshot)
    }

    /// Reads the refs of a repository on this machine in place, without a process.
    fn list_local(&self, path: &Path) -> Result<RefSnapshot, GitError> {
        let failed = |error: gix::Error| match chain(&error) {
            detail if open_files::is_reached_in(&detail) => {
                GitError::OpenFiles { url: self.url(), limit: open_files::limit_reached() }
            }
            detail => GitError::NoRepository { url: self.url(), detail },
        };
        let options = gix::open::Options::isolated().open_path_as_is(true);
        let repository = gix::open_opts(served(path), options).map_err(failed)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut listing = Listing::new(self);
        if let Some(name) = repository.head_name().map_err(failed)? {
            listing.head(name.as_bstr());
        }
        let platform = repository.references().map_err(failed)?;
        for prefix in self.listed_places() {
            for found in platform.prefixed(prefix).map_err(failed)? {
                let mut found = found.map_err(failed)?;
                let name = found.name().as_bstr().to_owned();
                let object = match found.try_id() {
                    Some(id) => id.detach(),
                    // A symbolic ref; one that leads nowhere is not listed, as git does not list it.
                    None => match found.follow_to_object() {
                        Ok(id) => id.detach(),
                        Err(_) => continue,
                    },
                };
                let known = name.strip_prefix(b"refs/tags/").and_then(|tag| seen.tags.get(tag.to_str().ok()?));
                match known.filter(|known| object.to_hex() == known.object.as_str()) {
                    Some(known) => listing.tag(name.as_bstr(), known.clone())?,
                    None => {
                        let peeled = found.peel_to_id().map(|id| id.detach()).unwrap_or(object);
                        listing.add(name.as_bstr(), object, peeled)?;
                    }
                }
            }
        }
        seen.clone_from(&listing.snapshot);
        Ok(listing.snapshot)
    }
}

/// A snapshot in the making: every name is looked at before it is used.
struct Listing<'a> {
    mirror: &'a Mirror,
    snapshot: RefSnapshot,
    count: u64,
}

impl<'a> Listing<'a> {
    fn new(mirror: &'a Mirror) -> Self {
        let merge_requests = mirror.remote.merge_requests.then(Default::default);
        Self { mirror, snapshot: RefSnapshot { merge_requests, ..RefSnapshot::default() }, count: 0 }
    }

    fn take(&mut self, found: Ref) -> Result<(), GitError> {
        match found {
            Ref::Direct { full_ref_name, object } => self.add(full_ref_name.as_bstr(), object, object),
            Ref::Peeled { full_ref_name, tag, object } => self.add(full_ref_name.as_bstr(), tag, object),
            Ref::Symbolic { full_ref_name, target, .. } | Ref::Unborn { full_ref_name, target }
                if full_ref_name == "HEAD" =>
            {
                self.head(target.as_bstr());
                Ok(())
            }
            Ref::Symbolic { full_ref_name, tag, object, .. } => {
                self.add(full_ref_name.as_bstr(), tag.unwrap_or(object), object)
            }
            Ref::Unborn { .. } => Ok(()),
        }
    }

    /// The branch that HEAD names; anything else (a detached HEAD, a name that is no branch) is no default branch.
    fn head(&mut self, target: &BStr) {
        let branch = target.strip_prefix(b"refs/heads/").and_then(|name| name.to_str().ok());
        let valid = gix::validate::reference::name(target).is_ok() && !target.iter().any(u8::is_ascii_control);
        self.snapshot.default_branch = branch.filter(|_| valid).map(str::to_owned);
    }

    fn add(&mut self, full: &BStr, object: gix::ObjectId, peeled: gix::ObjectId) -> Result<(), GitError> {
        let commit = CommitId::from_gix(peeled);
        if let Some(branch) = full.strip_prefix(b"refs/heads/") {
            if let Some(name) = self.name(full, branch.as_bstr())? {
                self.snapshot.branches.insert(name, commit);
            }
            return Ok(());
        }
        if self.snapshot.merge_requests.is_some()
            && let Ok(name) = full.to_str()
            && let Some(number) = MergeRequestRef::number(name)
        {
            self.count()?;
            let head = MergeRequestRef { name: name.to_owned(), commit };
            self.snapshot.merge_requests.get_or_insert_default().insert(number, head);
            return Ok(());
        }
        self.tag(full, TagRef { object: ObjectId::from_gix(object), commit: Some(commit) })
    }

    fn tag(&mut self, full: &BStr, tag: TagRef) -> Result<(), GitError> {
        // Servers without protocol 2 send all their refs; what is neither branch nor tag is not ours.
        let Some(short) = full.strip_prefix(b"refs/tags/") else { return Ok(()) };
        if let Some(name) = self.name(full, short.as_bstr())? {
            self.snapshot.tags.insert(name, tag);
        }
        Ok(())
    }

    /// Counts one more ref.
    fn count(&mut self) -> Result<(), GitError> {
        self.count += 1;
        let limit = self.mirror.remote.access.limits.refs;
        if self.count > limit {
            let url = self.mirror.url();
            return Err(GitError::TooMuch { url, limit, what: "refs", option: Some("refs") });
        }
        Ok(())
    }

    /// The name to use; `None` if it is left out.
    fn name(&mut self, full: &BStr, short: &BStr) -> Result<Option<String>, GitError> {
        self.count()?;
        // As `git fetch`, which ignores a funny ref and takes the others. Control characters beyond ASCII (C1) move cursors too.
        let is_valid = gix::validate::reference::name(full).is_ok()
            && full.len() <= NAME_MAX
            && !full.iter().any(u8::is_ascii_control)
            && !full.contains_str("..");
        match short.to_str() {
            Ok(name) if is_valid && !name.chars().any(char::is_control) => Ok(Some(name.to_owned())),
            _ => {
                if self.snapshot.skipped.len() < RefSnapshot::SKIPPED_MAX {
                    self.snapshot.skipped.push(Escaped(full).to_string());
                }
                Ok(None)
            }
        }
    }
}

/// The longest ref name that a file system stores for git, as loose ref with its lock.
const NAME_MAX: usize = 1024;
