//! Stands in for the program `kustomize`: `kustomize build` prints the manifests beside a kustomization, in the order of their names,
//! and fails where one of them is called `broken.yaml`. It reads no kustomization; the real tier has the real one. How often it
//! was started is in a file beside it.
//!
//! Another one follows `resources` and `components`, a line each, and renders the first of `helmCharts` with the helm that it is given, where the real
//! one looks for a chart before it would have it fetched. It does NOT do: anything else that a kustomization may say.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const SCRIPT: &str = r##"#!/bin/sh
echo "$1" >>"${0%/*}/kustomize-starts"
case "$1" in
version) echo "v5.5.0" ;;
build)
    if [ -e "$2/broken.yaml" ]; then
        echo "accumulating resources: broken.yaml is broken" >&2
        exit 1
    fi
    for file in "$2"/*.yaml; do
        case "$file" in
        */kustomization.yaml) ;;
        *) echo "---"; cat "$file" ;;
        esac
    done
    ;;
*) echo "the stand-in does not know kustomize $1" >&2; exit 1 ;;
esac
"##;

const FOLLOWS: &str = r##"#!/bin/sh
echo "$1" >>"${0%/*}/kustomize-starts"
helm=
follow() (
    cd "$1" || exit 1
    if [ ! -e kustomization.yaml ]; then
        echo "no kustomization.yaml in $1" >&2
        exit 1
    fi
    under() { awk -v wanted="$1:" '/^[a-zA-Z]/ { field = $1 } field == wanted' kustomization.yaml; }
    { under resources; under components; } | sed -n "s/^ *- *//p" | tr -d "'\"" | while IFS= read -r entry; do
        if [ -d "$entry" ]; then
            follow "$1/$entry" || exit 1
        elif [ "${entry##*/}" = broken.yaml ]; then
            echo "accumulating resources from '$1/$entry': it is broken" >&2
            exit 1
        else
            echo "---"
            cat "$entry" || exit 1
        fi
    done || exit 1
    word() { under helmCharts | tr -d "'\"-" | sed -n "s/^ *$1: *//p" | head -n 1; }
    name=$(word name)
    [ -n "$name" ] || exit 0
    if [ -z "$helm" ]; then
        echo "must specify --enable-helm" >&2
        exit 1
    fi
    version=$(word version)
    chart="charts/$name-$version/$name"
    [ -n "$(word repo)" ] || chart="charts/$name"
    if [ ! -d "$chart" ]; then
        echo "there is no chart in $chart, and nothing is pulled" >&2
        exit 1
    fi
    "$helm" template "$(word releaseName)" "$chart"
)
case "$1" in
version) echo "v5.8.1" ;;
build)
    if [ "$3" = --enable-helm ] && [ "$4" = --helm-command ]; then helm=$5; fi
    follow "$2"
    ;;
*) echo "the stand-in does not know kustomize $1" >&2; exit 1 ;;
esac
"##;

/// Puts the one that follows resources and charts beside the stand-in for helm; the `PATH` on which both are found first.
///
/// # Errors
/// Where they cannot be written.
pub fn install_following(folder: &Path) -> std::io::Result<PathBuf> {
    let path = crate::helm::install(folder)?;
    write(folder, FOLLOWS)?;
    Ok(path)
}

/// Puts it beside the stand-in for helm, which is put there as well; the `PATH` on which both are found first.
///
/// # Errors
/// Where they cannot be written.
pub fn install(folder: &Path) -> std::io::Result<PathBuf> {
    let path = crate::helm::install(folder)?;
    write(folder, SCRIPT)?;
    Ok(path)
}

/// Puts another version of it in its place, which prints the same.
///
/// # Errors
/// Where it cannot be written.
pub fn upgrade(folder: &Path) -> std::io::Result<()> {
    std::fs::remove_file(folder.join("programs/kustomize"))?;
    write(folder, &SCRIPT.replace("v5.5.0", "v5.6.0 of a later day"))
}

/// Puts what cannot be started in its place and in that of helm: one that is removed may leave another one on the machine.
///
/// # Errors
/// Where it cannot be written.
pub fn take_away(folder: &Path) -> std::io::Result<()> {
    ["kustomize", "helm"]
        .iter()
        .try_for_each(|name| std::fs::write(folder.join("programs").join(name), "#!/of/no/program\n"))
}

fn write(folder: &Path, script: &str) -> std::io::Result<()> {
    let program = folder.join("programs/kustomize");
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
}

/// How often the one of this folder was started.
pub fn starts(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("programs/kustomize-starts")).map_or(0, |starts| starts.lines().count())
}
