//! Doorbell.
fn main() {}
