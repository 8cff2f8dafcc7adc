//! A bundle: all that an environment runs as one tar with an OCI image layout in it, for places without a network.
//!
//! ```text
//! oci-layout, blobs/sha256/…, index.json ─ [layout]: what is in it*
//!             written and read           ─ [archive]
//!             where each part goes       ─ [names]*
//!             the layer of manifests     ─ [pack]*
//! ```
//! What has a star is pure.

pub mod archive;
pub mod layout;
pub mod names;
pub mod pack;
