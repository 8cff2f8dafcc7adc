//! What a cluster can do for us: plan and execute a sync, tell what an object looks like, say what changed, give logs.
//!
//! - `cluster`: the handle that all others stand behind; its `planning` says how a plan comes about, its `sync` plans and executes.
//! - A sync: `observe` (dry runs), `apply` walks the steps, `prune`, `inventory`; `objects` sends each request.
//! - What is seen: `watch` follows each kind, `cache` has it judged and keeps a few words of it, `changes` passes
//!   it on.
//! - The way in: `kubeconfig`, `access`, `exec`, `proxy`, `connection`; `requests` sends, `problem` says why it was refused.
//! - `logs`: of all containers, by time.
//!
//! ```text
//! plan:     desired + memory -> observe (dry runs, only what is needed) -> sync::plan (pure) -> PlannedSync
//! execute:  inventory -> kinds, namespaces -> hooks -> rest -> prunes -> hooks -> inventory
//! ```
//!
//! A [`Cluster`] is a handle: it is made without a request, and cloning it is free. Every request has a deadline, and
//! a bounded number of them is in flight. Not here: what a sync does (that is [`quarterdeck_core::sync::plan`]), how well an object
//! is ([`quarterdeck_core::health`]), and when to sync.
//!
//! Invariant: objects are written by server-side apply as the field manager `quarterdeck` alone, but for the one patch of
//! `takeover` that makes the fields of client-side kubectl ours, and those of an adoption that write ownership and nothing else; what is no object of an environment, see `pull_secrets`, has a field
//! manager of its own. No object is deleted but what is in the inventory, carries our
//! label and still has the uid that was seen; an inventory that names nothing any more goes as well, a pull secret that nobody wants any more, and what is there
//! under the name of a hook that runs, where that says by an annotation that it is a hook, or by our label that it was an object
//! of this environment.

mod cluster;
mod config;
mod error;
mod options;
mod problem;

mod apply;
mod held;
mod left;
mod observe;
mod planned;
mod prune;
mod survey;

mod inventory;
mod pull_secrets;
mod strays;

mod cache;
mod changes;
mod classes;
mod identity;
mod namespaced;
mod pace;
mod termination;
mod watch;
mod watch_set;

mod logs;

mod holders;

mod autoscalers;
mod objects;
mod takeover;

mod clock;
mod discovery;
mod link;
mod requests;
mod waiting;

mod access;
mod connection;
mod exec;
mod kubeconfig;
mod proxy;

pub use crate::apply::{Ended as HookEnded, Executed, Far, Ran};
pub use crate::changes::ClusterChange;
pub use crate::cluster::{Adoption, Cluster, Removed};
pub use crate::config::{CURRENT_CONTEXT, ClusterConfig, IN_CLUSTER};
pub use crate::discovery::{Kind, Kinds};
pub use crate::error::ClusterError;
pub use crate::inventory::{INVENTORY_LABEL, OtherAgent, inventory_name};
pub use crate::logs::Logs;
pub use crate::options::{Options, PullSecret, PullSecrets};
pub use crate::planned::PlannedSync;
pub use crate::problem::{ApiProblem, Class};
pub use crate::pull_secrets::PullProblem;
pub use crate::watch::{Use, Used};
