//! What holds of every model after every message. Tests ask it while they play with the console; the console itself never
//! does.

use crate::console::Model;

/// Panics where a cursor is not on a row, or what is selected is not what lies under it.
pub fn assert_invariants(model: &Model) {
    assert!(!model.screens.is_empty());
    model.place().assert_invariants(&model.world);
}
