//! Real parts: the world of `tests/real/world`, and what one story makes in it. Nothing here stands in for anything.

mod forward;
mod parts;
mod shop;
mod town;
mod version;

pub use self::forward::{Forward, Traffic};
pub use self::parts::{CANNOT, Checkout, NoWorld, Parts, Way, http, said, world};
pub use self::shop::{code, manifests};
pub use self::town::{Town, in_town};
pub use self::version::{Polled, Version, poll};
