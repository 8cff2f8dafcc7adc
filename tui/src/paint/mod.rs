//! What screens are drawn with: the one who writes cells, the colours, and the parts that several screens are made of.
//!
//! Pure: what is drawn follows from what is given. It knows the parts of the model and no screen.

pub mod painter;
pub mod theme;

mod ascii;

pub(crate) mod empty;
pub(crate) mod found;
pub(crate) mod input;
pub mod list;
pub(crate) mod mark;
pub(crate) mod timeline;
