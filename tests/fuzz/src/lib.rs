//! What holds for any text that a stranger can hand us: a property a module, each from bytes alone, without disk, network
//! or clock.
//!
//! The fuzzers in `fuzz_targets/` search for bytes that break one of these; `tests/it/corpus.rs` takes the same
//! properties through every kept input of `corpus/`, so that what was found once stays mended without a fuzzer.

pub mod config;
pub mod dockerignore;
pub mod image_ref;
pub mod manifests;
pub mod promote;
pub mod tags;

pub mod console;
pub mod wire;

/// What holds for any bytes; a panic is a finding.
pub type Check = fn(&[u8]);

/// Each target by the name of its fuzzer and of its corpus, with what it checks.
pub const TARGETS: [(&str, Check); 8] = [
    ("config", config::check),
    ("tags", tags::check),
    ("manifests", manifests::check),
    ("wire", wire::check),
    ("dockerignore", dockerignore::check),
    ("image_ref", image_ref::check),
    ("promote", promote::check),
    ("console", console::check),
];
