//! What decides. Everything here is a function of what it is given: no runtime, no socket, no disk, no program, no clock.
//! Whoever does what is decided here is the agent; time, ids and what was seen are handed in.
//!
//! # The house
//! ```text
//! tags ─ trigger ─► runs owed ─ queue ─► which is next ─ run ─► how one ends and is taken up again
//! an artifact ─ promote ─► edits of manifests, one commit
//! the files of a commit ─ render ─► manifests ─ sync (order, ignore, drift, plan) ─► what differs ─ steps ─► what a sync does
//!                              └─► hooks ─ due? ────────────────────────────────────────────────────┘
//! a live object ─ health ─► how it is
//! ```
//! - [`git`], [`tree`]: the words of git, and the files of a commit as all that read them see them.
//! - [`image_ref`], [`junit`], [`yaml`]: names of images, what tests came to, and YAML that keeps its places.
//! - [`registry_mirror`]: where the images of a registry are asked for first.
//! - [`trigger`], [`queue`], [`run`], [`promote`], [`dockerignore`]: a tag becomes an image, an image a commit.
//! - [`admission`]: whether a tag may trigger: who signed it, and whether its forge protects it.
//! - [`provenance`]: how an image was built, as others read it.
//! - [`signature`]: what a signature of an image claims, and what is said of those that were found.
//! - [`commit_status`], [`merge_comment`]: what a forge is told of a run.
//! - [`follow`]: which tag of an image of others is wanted, or of a deploy repository. [`charts`]: which version of a chart of elsewhere.
//! - [`oci_artifact`]: artifacts of registries with manifests: what their commits say, and which are kept.
//! - [`before_push`], [`immutable_tags`]: whether an image can be pushed at all, as far as its registry tells before it is built.
//! - [`deployed_marks`]: which artifacts of a registry are marked as what an environment runs.
//! - [`sbom`]: which packages an image is listed to have.
//! - [`scan`]: what a scanner found in an image, and whether it may be promoted with it.
//! - [`directories`]: which directories of a repository stand for applications. [`generate`]: what else a template is made for, and
//!   what it says of each.
//! - [`departure`]: what becomes of the objects of an environment that leaves a source of applications.
//! - [`gc`]: what of it nobody needs any more on the machine that built it.
//! - [`import`]: what Argo CD or Flux is asked for, as applications of ours. [`adopt`]: the objects that they hold become ours.
//! - [`own_repository`]: repositories that this machine holds itself: their names, and what a key may do with them.
//! - [`render`], [`sync`], [`steps`]: a commit becomes manifests, manifests and what is live a plan, a plan a list of steps.
//! - [`sops`]: files that are encrypted, decrypted before they are rendered. [`variables`]: what `${name}` in manifests means.
//! - [`hooks`]: what is run beside a release, and when.
//! - [`health`]: one file a kind; how a kind that nobody knows is read is `health::custom`.
//! - [`secrets`], [`output`]: what must never be shown, and text from elsewhere made fit to be shown. The values of a
//!   Kubernetes Secret, and what was decrypted for any other object, are masked by [`sync::mask`].
//! - [`backoff`], [`failpoint`]: how long a count of failures waits; where the agent may die, for the tests that let it.
//!
//! The two exceptions from "a function of what it is given" are the secrets that the process holds and the watcher of the
//! failpoints: one of each, for whoever writes a log line or takes a step anywhere.

pub mod git;
pub mod image_ref;
pub mod junit;
pub mod tree;
pub mod yaml;

pub mod admission;
pub mod before_push;
pub mod charts;
pub mod commit_status;
pub mod departure;
pub mod deployed_marks;
pub mod directories;
pub mod dockerignore;
pub mod follow;
pub mod gc;
pub mod generate;
pub mod immutable_tags;
pub mod import;
pub mod merge_comment;
pub mod oci_artifact;
pub mod own_repository;
pub mod promote;
pub mod provenance;
pub mod queue;
pub mod registry_mirror;
pub mod run;
pub mod sbom;
pub mod scan;
pub mod signature;
pub mod trigger;
pub mod webhook;

pub mod adopt;
pub mod hooks;
pub mod render;
pub mod sops;
pub mod steps;
pub mod sync;
pub mod variables;

pub mod health;

pub mod output;
pub mod secrets;

pub mod backoff;
pub mod failpoint;
