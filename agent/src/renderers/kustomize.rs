//! `kustomize build`, else `kubectl kustomize`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use quarterdeck_core::render::built::Built;
use quarterdeck_core::render::kustomize::Needs;
use quarterdeck_core::tree::Tree;

use super::own_folder::Own;
use super::programs::Program;
use super::{BuildError, files, run};
use quarterdeck_system::program::ProgramError;

pub(super) fn build(
    own: &Own<'_>,
    program: &Program,
    helm: Option<&Program>,
    tree: &dyn Tree,
    folder: &str,
    needs: &Needs,
) -> Result<Built, BuildError> {
    let root = own.root();
    let mut bytes_left = files::INPUT_BYTES_MAX;
    files::write(tree, &needs.files, own, &mut bytes_left)?;
    for (path, content) in &needs.rewritten {
        own.place(path, |target| std::fs::write(target, content))?;
    }
    files::link(&needs.links, own)?;
    files::write_beside(tree, needs, own, bytes_left)?;
    let folder = root.join(folder);
    let mut arguments: Vec<OsString> = vec![program.subcommand().into(), folder.into()];
    if let Some(helm) = helm {
        arguments.extend(["--enable-helm".into(), "--helm-command".into(), helm.path.clone().into()]);
    }
    run(program, root, &arguments, b"", |line| line.starts_with("# Warning")).map_err(|error| match error {
        BuildError::Program { program, source: ProgramError::Failed { status, stderr } } => {
            let stderr = located(&stderr, &needs.places);
            BuildError::Program { program, source: ProgramError::Failed { status, stderr } }
        }
        other => other,
    })
}

/// The words of kustomize with the addresses of what is elsewhere in place of where it was put.
fn located(words: &str, places: &BTreeMap<String, String>) -> String {
    places.iter().rev().fold(words.to_owned(), |mut words, (place, address)| {
        // It names them from the folder of a kustomization as well.
        while words.contains(&format!("../{place}")) {
            words = words.replace(&format!("../{place}"), place);
        }
        words.replace(place, address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_elsewhere_is_named_by_its_address() {
        let places = [
            (".quarterdeck-remote/argo-cd-1f3c", "https://forge.example/argo-cd@v2.9.3"),
            ("a/charts/web-1.0/web", "oci://r/web@1.0"),
        ];
        let places = places.map(|(place, address)| (place.to_owned(), address.to_owned())).into();
        for (words, told) in [
            (
                "no such file: ../../.quarterdeck-remote/argo-cd-1f3c/base/a.yaml",
                "no such file: https://forge.example/argo-cd@v2.9.3/base/a.yaml",
            ),
            ("in a/charts/web-1.0/web/values.yaml", "in oci://r/web@1.0/values.yaml"),
            ("accumulating resources: a.yaml is broken", "accumulating resources: a.yaml is broken"),
        ] {
            assert_eq!(located(words, &places), told);
        }
    }
}
