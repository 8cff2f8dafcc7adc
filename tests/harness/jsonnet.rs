//! Stands in for the program `jsonnet`: a file evaluates to its text without its first line, in which `@NAME@` is the content of
//! the file that was given for the argument NAME, in quotes. It knows no language and no imports; the real tier has the real one.

use std::path::{Path, PathBuf};

const SCRIPT: &str = r#"#!/bin/sh
case "$1" in
--version) echo "Jsonnet commandline interpreter (stand-in) v0.21.0"; exit 0 ;;
esac
text='s/^//'
while [ $# -gt 1 ]; do
    case "$1" in
    --tla-str-file) text="$text;s/@${2%%=*}@/\"$(cat "${2#*=}")\"/" ;;
    --tla-code-file) text="$text;s/@${2%%=*}@/$(cat "${2#*=}")/" ;;
    esac
    shift
done
if grep -q '^error ' "$1"; then
    echo "RUNTIME ERROR: $(sed -n 's/^error //p' "$1")" >&2
    echo "	$1:2:1-9" >&2
    exit 1
fi
sed -e 1d -e "$text" "$1"
"#;

/// Puts it into a folder of this one; the `PATH` on which it is found first.
///
/// # Errors
/// Where it cannot be written.
pub fn install(folder: &Path) -> std::io::Result<PathBuf> {
    crate::programs::install(folder, "jsonnet", SCRIPT)
}
