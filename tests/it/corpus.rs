//! Every input that the fuzzers keep, through the properties that they check: what one of them found stays mended.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzzers use it as a library")]
mod properties;

use std::path::Path;

#[test]
fn every_kept_input_keeps_its_promises() {
    let mut broken = Vec::new();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, check) in properties::TARGETS {
        let folder = corpus.join(target);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{target} has a corpus");
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            if std::panic::catch_unwind(|| check(&data)).is_err() {
                broken.push(input);
            }
        }
    }
    assert!(broken.is_empty(), "these break the property of their target, see above: {broken:#?}");
}
