//! The console and the command line of Quarterdeck.

pub mod client;
pub mod route;

#[cfg(test)]
mod standin;
