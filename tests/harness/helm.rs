//! Stands in for the program `helm`: `helm template` prints the templates of a chart as they are, each below the line that
//! names it, and behind its own those of the charts in `charts/`, packed or as folders. It fills in nothing but `@VALUE@`, with what the
//! last of its values files says behind `value: ` or `image: `, and knows no aliases, conditions and no schema; the real tier has the
//! real one. How often it ran is in a file beside it.

use std::path::{Path, PathBuf};

const SCRIPT: &str = r##"#!/bin/sh
case "$1" in
version) echo "v3.18.0+standin" ;;
template)
    echo "$2" >>"${0%/*}/calls"
    chart=$3
    name=$(sed -n 's/^name: //p' "$chart/Chart.yaml")
    value=
    while [ $# -gt 1 ]; do
        if [ "$1" = --values ] && [ "$2" != - ]; then
            said=$(sed -n -E 's/^(value|image): //p' "$2")
            value=${said:-$value}
        fi
        shift
    done
    for file in "$chart"/templates/*.yaml; do
        [ -f "$file" ] || continue
        printf -- '---\n# Source: %s/templates/%s\n' "$name" "${file##*/}"
        sed "s|@VALUE@|$value|" "$file"
        echo
    done
    for archive in "$chart"/charts/*.tgz; do
        [ -f "$archive" ] || continue
        for path in $(tar -tzf "$archive" | grep '/templates/.*yaml$'); do
            printf -- '---\n# Source: %s/charts/%s\n' "$name" "$path"
            tar -xzOf "$archive" "$path"
            echo
        done
    done
    for file in "$chart"/charts/*/templates/*.yaml; do
        [ -f "$file" ] || continue
        printf -- '---\n# Source: %s/charts/%s\n' "$name" "${file#"$chart"/charts/}"
        cat "$file"
        echo
    done
    ;;
*) echo "the stand-in does not know helm $1" >&2; exit 1 ;;
esac
"##;

/// Puts it into a folder of this one; the `PATH` on which it is found first.
///
/// # Errors
/// Where it cannot be written.
pub fn install(folder: &Path) -> std::io::Result<PathBuf> {
    crate::programs::install(folder, "helm", SCRIPT)
}

/// How often the one of this folder rendered a chart.
pub fn renders(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("programs/calls")).map_or(0, |calls| calls.lines().count())
}
