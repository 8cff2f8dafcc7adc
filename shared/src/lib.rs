//! The words of Quarterdeck and the wire between its agent and its console. No async, no I/O.
//!
//! # The words
//! One meaning each, everywhere: code, screen, command line, docs, events.
//!
//! | word | meaning | here |
//! | --- | --- | --- |
//! | Application | what a team runs: its code, its images, its environments | [`application`] |
//! | Code, Image | the repository whose commits are built; one built image of it | [`application::DeliverySpec`] |
//! | Environment | one place where it runs: its manifests, cluster, namespace, policies; addressed `APP/ENV` | [`application::EnvironmentId`] |
//! | Revision | a commit that a branch, tag or pin resolved to: `main@sha1:1f3c…` | [`revision`] |
//! | Source | another repository or artifact whose files an environment takes, seen as the folder `$NAME` | [`application::EnvironmentSource`] |
//! | Artifact | all images of one commit, each by image id and, once pushed, by registry digest | [`artifact`] |
//! | Id | names one run, sync or event of one history: `k7x2m-12`, and `12` where the history is known | [`id`] |
//! | Run, Stage | the delivery of one application for one trigger; one step of it | [`snapshot::RunStatus`], [`status::Stage`] |
//! | Promote | write the pushed artifact into the manifests of an environment in git, as a commit | [`application::PromotePolicy`] |
//! | Plan, Change, Action | what a sync will do; one line of it; create, configure, unchanged, prune, skip | [`change`] |
//! | Sync, Prune, Suspend, Pin | apply a plan; delete what left git; stop syncing on purpose; hold at a revision | [`event`] |
//! | Inventory | the objects that we applied and therefore may prune; kept in the cluster | [`resource`] |
//! | Drift | how a live object differs from its manifest | [`event::Cause::Drift`] |
//! | SyncStatus, Health | Synced, OutOfSync, Unknown; Healthy to Unknown, ordered | [`status`] |
//! | Event, Snapshot, History | something that happened; all that is so now; the events kept | [`event`], [`snapshot`] |
//!
//! # The wire
//! HTTP/1.1 and JSON over a Unix socket: [`routes`], their [`queries`], and the requests and answers of [`protocol`].
//! [`routes::STATE`] gives every object of the [`snapshot`] under its key, and a revision; [`routes::WATCH`] streams what
//! changes after it as put, del and bookmark records, the latest value of a key winning; 410 says "list again". Commands
//! are `POST`s that answer at once: the work shows in the state. Logs, diffs, manifests and build output are fetched on
//! demand, each on its own connection.

#[macro_use]
mod label;

pub mod application;
pub mod artifact;
pub mod id;
pub mod resource;
pub mod revision;

pub mod change;
pub mod status;

pub mod error;
pub mod event;
pub mod snapshot;

pub mod protocol;
pub mod queries;
pub mod routes;
