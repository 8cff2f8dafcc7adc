//! The rows, by what they are about.

pub mod beyond;

mod conditions;
mod custom;
mod deletes;
mod lists;
mod ownership;
mod reads;
mod refused;
mod status;
mod strict;
mod values;
mod watches;

use super::Row;

/// All rows that every API server answers alike, the stand-in too.
pub fn all() -> Vec<Row> {
    let parts = [
        ownership::rows(),
        lists::rows(),
        values::rows(),
        refused::rows(),
        conditions::rows(),
        deletes::rows(),
        strict::rows(),
        status::rows(),
        custom::rows(),
        reads::rows(),
        watches::rows(),
    ];
    parts.into_iter().flatten().collect()
}
