//! Polling: one loop a repository, however many applications use it. An artifact of a registry is a repository too, of which the
//! registry is asked ([`crate::artifacts`]).
//!
//! Each turn asks the remote for its refs, once; only where they are others than before is anything fetched, and only where
//! tags are news is it asked again: until two listings agree. Where the repository itself or its forge says that a push is
//! complete, one listing has all of it. Who works with the repository (a worker) watches the refs and never asks the remote
//! itself. A remote that fails is asked less and less often; one that refuses our credentials least of all, since some forges ban
//! an address for that.

mod polling;
mod repositories;
mod repository;
mod turn;
mod unanswered;

pub use self::repositories::{Repositories, artifact_dir};
pub use self::repository::{Repository, Trouble};
