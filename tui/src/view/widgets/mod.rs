//! Parts that several screens are made of.

pub(super) mod columns;
pub(super) mod empty;
pub(super) mod mark;
pub(super) mod timeline;

pub(super) mod frame;

pub(super) mod confirm;
pub(super) mod help;
pub(super) mod palette;
pub(super) mod prompt;
