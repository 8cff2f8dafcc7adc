//! What a sync will do, decided without touching anything: manifests, the order they are applied in, how live objects
//! differ from them, and the plan.

pub mod manifest;
