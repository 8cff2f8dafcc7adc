//! `qd-agent` as a process: what only the program has, which is its allocator with threads of its own.

use std::process::Command;

use quarterdeck_agent::renderers::confinement::{Confinement, Reach};

#[test]
fn it_becomes_a_confined_renderer_where_the_kernel_allows_that() {
    let folder = tempfile::tempdir().unwrap();
    let found = Confinement::by(env!("CARGO_BIN_EXE_qd-agent").into(), true, folder.path(), &[]);
    let why = found.why.clone().unwrap_or_default();
    // Of a second thread, and of nothing else, the kernel says this.
    assert!(!why.contains("Invalid argument"), "{why}");
    let namespaces = Command::new("unshare").args(["--user", "--net", "true"]).output();
    if namespaces.is_ok_and(|output| output.status.success()) {
        assert_ne!(found.reach, Reach::All, "{why}");
    }
}
