//! Packaged Helm charts: fetched from a registry or a chart repository, and read from their archives. No program of Helm takes
//! part in it.
//!
//! ```text
//! registry ── tags, artifact ──┐
//!                              ├─► which version ─► its archive, as its digest says ─► archive: the files, in memory
//! repository ── index.yaml ────┘
//! ```
//! Nothing is kept here, and nothing is asked by itself: who keeps and when to ask is the agent's.

pub mod archive;
pub mod fetch;
pub mod http;
pub mod keyring;

pub mod error;
