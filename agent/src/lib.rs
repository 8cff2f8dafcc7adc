//! The background agent: it watches git repositories, builds and pushes images when tags ask for it, and keeps
//! Kubernetes clusters equal to what git says.
//!
//! # Where to begin
//! - **A tag becomes a build**: [`deliver`] reads straight down; `owing` is where a tag becomes a run, [`queue`] says which
//!   run is next, `stages::Build` is where a run becomes a build.
//! - **A manifest becomes a patch**: [`reconcile`] reads straight down; `cluster::kube` is where the patch is sent.
//! - **What happened becomes what is known**: [`journal`] is the one writer.
//!
//! # The house
//! ```text
//! poll ─ refs ─► worker ─► deliver:   trigger (pure) ─► checkout ─► build ─► push ─► promote (pure) ─► a commit in git
//!             └► worker ─► reconcile: render (pure) ─► cluster: observe ─► sync::plan (pure) ─► apply ─► prune
//!                          cluster: watch ─► assess ─► health; drift pokes the worker
//! each step ─ Facts ─► journal ─► history (SQLite) ─► snapshot ─► api ══ Unix socket ══► consoles
//! api ─ intent as a fact, then a poke ─► worker
//! ```
//! A file named after a technology does I/O (`git`, `docker`, `kube`, `sqlite`, `oci`, `kustomize`); its neighbours do not.
//!
//! # What holds everywhere
//! - Level-triggered: a story compares what is asked with what is so; whatever wakes it takes no other path, so that
//!   nothing is lost when the agent dies between two steps, and nothing is done twice.
//! - One writer: only the journal changes state; others read the snapshot. One owner: an application's worker runs one
//!   pass at a time.
//! - Every queue, retry, message, log and cache is bounded, beside a comment that says why so.
//! - Secrets are named in the configuration, never written there, and never reach a log, an event or the socket.

pub mod deliver;
pub mod reconcile;

pub mod access;
pub mod agent;
pub mod cli;
pub mod config;
pub mod context;
pub mod doctor;
pub mod identity;
pub mod supervise;
pub mod telemetry;
pub mod upkeep;

pub mod poll;
pub mod reach;
pub mod readable;
pub mod worker;

pub mod certificate;
pub mod source;

pub mod build;
pub mod images;
pub mod kustomize;
pub mod registry;

pub mod wanted;

pub mod assess;
pub mod cluster;
pub mod clusters;

pub mod flood;
pub mod open_files;

pub mod history;
pub mod journal;

pub mod api;

pub mod command;

pub use cli::run;
