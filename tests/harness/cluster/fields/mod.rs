//! Server-side apply: who owns which field, what a merge gives, and where two managers disagree. Pure.
//!
//! The rules are those of the structured merge of Kubernetes: `set.rs` is a set of field paths in the `fieldsV1` form,
//! `walk.rs` reads such sets off objects, `merge.rs` merges an applied object into the live one, `remove.rs` takes out
//! what an applier no longer names, `managed.rs` holds the `managedFields` entries, and `apply.rs` joins these.
//!
//! Not here: moving ownership between API versions (each kind has one version), and the cap of ten update managers.

pub mod apply;

pub mod managed;

pub mod merge;

pub mod remove;

pub mod set;

pub mod walk;
