//! What a sync will do, decided without touching anything: manifests, the order they are applied in, how live objects
//! differ from them, and the plan.

pub mod content;
pub mod digest;
pub mod manifest;
pub mod order;

pub mod neighbours;
pub mod plan;

pub mod concede;
pub mod drift;
pub mod ignore;
pub mod managed_fields;
pub mod path;
pub mod value_at;

pub mod autoscaled;
pub mod takeover;

pub mod confidential;
pub mod mask;
pub mod normalize;

/// The labels that every object of an environment carries, with the names of application and environment as their
/// values: who looks at the object sees whose it is, and it is pruned only while it says so.
pub const APPLICATION_LABEL: &str = "quarterdeck.dev/application";
/// As above.
pub const ENVIRONMENT_LABEL: &str = "quarterdeck.dev/environment";

/// On every pull secret, with the address of its environment as `shop.prod`: it is not an object of the environment, and has
/// neither of the labels above.
pub const PULL_SECRET_LABEL: &str = "quarterdeck.dev/pull-secret";
