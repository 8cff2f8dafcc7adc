//! What a registry can be told to do wrong, and where.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The steps of the protocol, by which requests are counted and faults are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `GET /v2/`
    Version,
    /// `GET /token`
    Token,
    /// `HEAD` of a blob.
    BlobHead,
    /// `GET` of a blob.
    BlobGet,
    /// `POST` of an upload, mounts included.
    UploadStart,
    /// `PATCH` of an upload: bytes of a blob.
    UploadPatch,
    /// `PUT` of an upload: the end of a blob.
    UploadPut,
    /// `HEAD` of a manifest.
    ManifestHead,
    /// `GET` of a manifest.
    ManifestGet,
    /// `PUT` of a manifest: the moment an image is there.
    ManifestPut,
    /// `DELETE` of a manifest or tag.
    ManifestDelete,
    /// `GET` of a tag list.
    Tags,
    /// `GET` of referrers.
    Referrers,
    /// Harbor: `GET` of an artifact.
    ApiArtifact,
    /// Harbor: `POST` of a scan.
    ApiScan,
    /// Harbor: `GET` of the report of a scan.
    ApiReport,
    /// Harbor: `HEAD` of the projects, with a name.
    ApiProject,
    /// Harbor: `GET` of the summary of a project.
    ApiSummary,
    /// Harbor: the immutable tag rules of a project.
    ApiRules,
    /// Harbor: `GET` of the quotas.
    ApiQuotas,
    /// Harbor: the labels of a project, `GET` and `POST`.
    ApiLabels,
    /// Harbor: `GET` of the artifacts of a repository.
    ApiArtifacts,
    /// Harbor: `POST` of a label to an artifact.
    ApiLabelSet,
    /// Harbor: `DELETE` of a label of an artifact.
    ApiLabelTaken,
    /// Harbor: `POST` of a tag to an artifact.
    ApiTagAdded,
    /// Harbor: `DELETE` of a tag of an artifact.
    ApiTagTaken,
    /// Whatever else was asked.
    Other,
}

/// A way to go wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers this status, with the error body that belongs to it.
    Status(u16),
    /// Answers this status and this body, word for word.
    Words(u16, String),
    /// Answers 429, and asks for a pause of this many seconds.
    Busy(u32),
    /// Does what was asked, and answers with another digest than the true one.
    OtherDigest,
    /// Reads this many bytes of the request's body, then cuts the connection.
    CutAfter(usize),
    /// Waits this long, then does what was asked.
    Slow(Duration),
}

/// The faults that are switched on, and how often each step was asked.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) counts: BTreeMap<Step, u64>,
    planned: BTreeMap<Step, VecDeque<(Fault, u32)>>,
}

impl Faults {
    pub(super) fn add(&mut self, step: Step, fault: Fault, times: u32) {
        if times > 0 {
            self.planned.entry(step).or_default().push_back((fault, times));
        }
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
    }

    /// Counts a request of `step`, and takes the fault that it is to meet.
    pub(super) fn take(&mut self, step: Step) -> Option<Fault> {
        *self.counts.entry(step).or_default() += 1;
        let queue = self.planned.get_mut(&step)?;
        let (fault, left) = queue.front_mut()?;
        let fault = fault.clone();
        *left -= 1;
        if *left == 0 {
            queue.pop_front();
        }
        Some(fault)
    }
}

/// The error code that registries put beside a status.
pub(super) fn code_of(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("UNAUTHORIZED", "authentication required"),
        403 => ("DENIED", "requested access to the resource is denied"),
        404 => ("NAME_UNKNOWN", "repository name not known to registry"),
        413 => ("SIZE_INVALID", "the manifest or blob is larger than this registry takes"),
        416 => ("BLOB_UPLOAD_INVALID", "blob upload invalid"),
        429 => ("TOOMANYREQUESTS", "too many requests"),
        _ => ("UNKNOWN", "unknown error"),
    }
}
