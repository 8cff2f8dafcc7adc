//! Which files of a repository a kustomization needs, and what it asks for that we do not give it.
//!
//! A folder with a kustomization is taken whole, and every folder or file that it names elsewhere in the repository with
//! it, and what these name. So a render costs what the environment refers to, not what the repository holds. Every text
//! in a kustomization that happens to be a path of the repository counts as naming it: a file too many is harmless, and
//! no list of kustomize's fields has to be kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::render::KUSTOMIZATIONS;
use crate::render::tree::{EntryMode, Followed, Node, Tree, TreeEntry, TreeFailure, file_name, follow, join};
use crate::yaml::{self, YamlError};

/// Files that a kustomization may need: a repository of some hundred environments, all with bases, has fewer.
const FILES_MAX: usize = 20_000;

/// Fields of a kustomization whose texts are files or folders to read. What is named here has to be in the repository.
const PATHS: &[&str] = &["resources", "bases", "components"];

/// Fields whose texts are files or what such a file would hold: kustomize fetches where they are addresses.
const FILES: &[&str] = &["configurations", "crds", "generators", "patchesStrategicMerge", "transformers", "validators"];

/// The same in the entries of other fields: these keys of theirs.
const FILE_KEYS: &[&str] = &["path", "files", "env", "envs"];

/// What a kustomization needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Every file by the path to write it at; a link is there as the file that it stands for.
    pub(super) files: BTreeMap<String, TreeEntry>,
    /// The folders and files that were asked for by name: what the outcome depends on.
    pub(super) inputs: BTreeSet<String>,
    pub(super) notes: Vec<String>,
}

/// Why a kustomization is not given to kustomize.
#[derive(Debug, thiserror::Error)]
pub enum KustomizationError {
    /// The repository could not be read.
    #[error("cannot read {path} from the repository")]
    Read {
        /// What was read.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// There is no kustomization file.
    #[error("there is no kustomization.yaml in {folder:?}; `render = \"plain\"` renders a folder without one")]
    None {
        /// Where it was looked for.
        folder: String,
    },
    /// A kustomization file is no YAML.
    #[error("{path}")]
    Yaml {
        /// The file.
        path: String,
        /// What is wrong, and where.
        source: YamlError,
    },
    /// It names something on a network.
    #[error("{path} names {text:?} in {field}: nothing is fetched while rendering; copy it into the repository")]
    Remote {
        /// The kustomization.
        path: String,
        /// Which field.
        field: String,
        /// What it names.
        text: String,
    },
    /// It names what is not there.
    #[error("{path} names {text:?} in {field}, which is not in the repository")]
    Missing {
        /// The kustomization.
        path: String,
        /// Which field.
        field: String,
        /// What it names.
        text: String,
    },
    /// A name in the tree would be written elsewhere than it says.
    #[error("{path:?} cannot be the path of a file")]
    Path {
        /// The path.
        path: String,
    },
    /// It needs more files than we write.
    #[error("it needs more than {FILES_MAX} files; begin at a smaller folder")]
    TooManyFiles,
}

/// Finds out what the kustomization of a folder needs.
pub(super) fn needs(tree: &dyn Tree, folder: &str) -> Result<Needs, KustomizationError> {
    let mut needs = Needs::default();
    if !take_folder(tree, folder, &mut needs)? {
        return Err(KustomizationError::None { folder: folder.to_owned() });
    }
    // A kustomization below a folder that was taken may itself name what is elsewhere, so each is read once.
    let mut read = BTreeSet::new();
    let mut waiting: VecDeque<String> = kustomizations(&needs, &read);
    while let Some(path) = waiting.pop_front() {
        read.insert(path.clone());
        follow_names(tree, &path, &mut needs)?;
        if waiting.is_empty() {
            waiting = kustomizations(&needs, &read);
        }
    }
    Ok(needs)
}

fn kustomizations(needs: &Needs, read: &BTreeSet<String>) -> VecDeque<String> {
    let unread = |path: &&String| KUSTOMIZATIONS.contains(&file_name(path)) && !read.contains(*path);
    needs.files.keys().filter(unread).cloned().collect()
}

/// Takes all files of a folder; tells whether a kustomization file is directly in it.
fn take_folder(tree: &dyn Tree, folder: &str, needs: &mut Needs) -> Result<bool, KustomizationError> {
    let reading = |source| KustomizationError::Read { path: folder.to_owned(), source };
    if needs.inputs.insert(folder.to_owned()) {
        let listing = tree.entries(folder).map_err(reading)?;
        needs.notes.extend(listing.unreadable.iter().map(|path| format!("{path} is left out: its name is not UTF-8")));
        for entry in listing.entries {
            take_file(tree, entry, needs)?;
        }
    }
    Ok(KUSTOMIZATIONS.iter().filter_map(|name| join(folder, name)).any(|path| needs.files.contains_key(&path)))
}

fn take_file(tree: &dyn Tree, entry: TreeEntry, needs: &mut Needs) -> Result<(), KustomizationError> {
    let path = entry.path.clone();
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\0') {
        return Err(KustomizationError::Path { path });
    }
    match entry.mode {
        EntryMode::File => drop(needs.files.insert(path, entry)),
        EntryMode::Submodule => {
            needs.notes.push(format!("{path} is left out: it is a submodule, and these are not fetched"))
        }
        EntryMode::Symlink => {
            match follow(tree, &entry).map_err(|source| KustomizationError::Read { path: path.clone(), source })? {
                Followed::File(target) => {
                    needs.inputs.insert(target.path.clone());
                    needs.files.insert(path, target);
                }
                Followed::Folder(target) | Followed::Nowhere(target) => {
                    needs.notes.push(format!(
                        "{path} is left out: it is a link to {target:?}, which is not a file of this repository"
                    ));
                }
            }
        }
    }
    if needs.files.len() > FILES_MAX { Err(KustomizationError::TooManyFiles) } else { Ok(()) }
}

/// Takes everything that a kustomization names.
fn follow_names(tree: &dyn Tree, path: &str, needs: &mut Needs) -> Result<(), KustomizationError> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let entry = &needs.files[path];
    let bytes = tree.blob(&entry.id).map_err(|source| KustomizationError::Read { path: path.to_owned(), source })?;
    let documents = yaml::parse(&bytes).map_err(|source| KustomizationError::Yaml { path: path.to_owned(), source })?;
    let fields = documents.iter().filter_map(|document| document.value.as_object()).flatten();
    for (field, value) in fields {
        for (key, text) in texts(field, value) {
            if take_named(tree, folder, text, needs)? {
                continue;
            }
            let must_be_there = PATHS.contains(&field.as_str());
            let is_file = must_be_there || FILES.contains(&key) || FILE_KEYS.contains(&key);
            let (path, field, text) = (path.to_owned(), field.clone(), text.to_owned());
            if is_file && is_remote(&text) {
                return Err(KustomizationError::Remote { path, field, text });
            }
            if must_be_there {
                return Err(KustomizationError::Missing { path, field, text });
            }
        }
    }
    Ok(())
}

/// Takes what a text names, alone or as the right side of `key=path`; tells whether it names something.
fn take_named(tree: &dyn Tree, folder: &str, text: &str, needs: &mut Needs) -> Result<bool, KustomizationError> {
    // No path is longer, and no path of a manifest has several lines: what is inline is not looked up.
    if text.is_empty() || text.len() > 4096 || text.contains(['\n', '\0']) {
        return Ok(false);
    }
    let candidates = std::iter::once(text).chain(text.split_once('=').map(|(_, path)| path));
    for path in candidates.filter_map(|text| join(folder, text)) {
        let node = tree.lookup(&path).map_err(|source| KustomizationError::Read { path: path.clone(), source })?;
        match node {
            Some(Node::Folder) => drop(take_folder(tree, &path, needs)?),
            Some(Node::File(entry)) => {
                needs.inputs.insert(path);
                take_file(tree, entry, needs)?;
            }
            None => continue,
        }
        return Ok(true);
    }
    Ok(false)
}

/// Every text in a value, at any depth, with the key that it is under.
fn texts<'a>(key: &'a str, value: &'a Value) -> Vec<(&'a str, &'a str)> {
    match value {
        Value::String(text) => vec![(key, text)],
        Value::Array(items) => items.iter().flat_map(|item| texts(key, item)).collect(),
        Value::Object(fields) => fields.iter().flat_map(|(key, value)| texts(key, value)).collect(),
        _ => Vec::new(),
    }
}

/// What kustomize would fetch.
fn is_remote(text: &str) -> bool {
    let begins =
        ["git@", "git::", "github.com/", "gitlab.com/", "bitbucket.org/"].iter().any(|begin| text.starts_with(begin));
    !text.contains('\n') && (begins || text.contains("://") || text.contains("?ref="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tree::Files;

    fn needs_of(files: &[(&str, &str)], folder: &str) -> Result<Needs, KustomizationError> {
        needs(&Files::new(files), folder)
    }

    #[test]
    fn what_is_named_is_taken_and_its_names_too() {
        let files = [
            (
                "apps/shop/prod/kustomization.yaml",
                "resources: [../base, extra.yaml]\nimages: [{name: shop, newTag: v1}]\ncomponents: [../../../parts/tls]\n",
            ),
            ("apps/shop/prod/extra.yaml", ""),
            ("apps/shop/prod/patch.yaml", ""),
            (
                "apps/shop/base/kustomization.yml",
                "configMapGenerator:\n- name: c\n  files: [app.ini=../../common/app.ini]\n",
            ),
            ("apps/shop/base/deep/Kustomization", "resources: [../../../../cluster]\n"),
            ("apps/common/app.ini", ""),
            ("apps/common/other.ini", ""),
            ("apps/cart/kustomization.yaml", ""),
            ("parts/tls/kustomization.yaml", ""),
            ("parts/tls/link.yaml@", "../shared/tls.yaml"),
            ("parts/shared/tls.yaml", ""),
            ("cluster/all.yaml", ""),
        ];
        let needs = needs_of(&files, "apps/shop/prod").unwrap();
        let taken: Vec<&str> = needs.files.keys().map(String::as_str).collect();
        assert_eq!(
            taken,
            [
                "apps/common/app.ini",
                "apps/shop/base/deep/Kustomization",
                "apps/shop/base/kustomization.yml",
                "apps/shop/prod/extra.yaml",
                "apps/shop/prod/kustomization.yaml",
                "apps/shop/prod/patch.yaml",
                "cluster/all.yaml",
                "parts/tls/kustomization.yaml",
                "parts/tls/link.yaml",
            ]
        );
        assert_eq!(needs.files["parts/tls/link.yaml"].path, "parts/shared/tls.yaml");
        for input in
            ["apps/shop/prod", "apps/shop/base", "apps/common/app.ini", "parts/tls", "parts/shared/tls.yaml", "cluster"]
        {
            assert!(needs.inputs.contains(input), "{input}: {:?}", needs.inputs);
        }
    }

    #[test]
    fn kustomizations_in_a_circle_end() {
        let files = [("a/kustomization.yaml", "resources: [../b]"), ("b/kustomization.yaml", "resources: [../a]")];
        assert_eq!(needs_of(&files, "a").unwrap().files.len(), 2);
    }

    #[test]
    fn what_is_not_in_the_repository_is_refused() {
        for (content, message) in [
            (
                "resources: [gone.yaml]",
                "a/kustomization.yaml names \"gone.yaml\" in resources, which is not in the repository",
            ),
            (
                "resources: [../../out]",
                "a/kustomization.yaml names \"../../out\" in resources, which is not in the repository",
            ),
            (
                "resources: [/etc/passwd]",
                "a/kustomization.yaml names \"/etc/passwd\" in resources, which is not in the repository",
            ),
            ("components: [gone]", "a/kustomization.yaml names \"gone\" in components, which is not in the repository"),
            ("resources: [a: 1", "a/kustomization.yaml"),
        ] {
            assert_eq!(
                needs_of(&[("a/kustomization.yaml", content)], "a").unwrap_err().to_string(),
                message,
                "{content}"
            );
        }
        let error = needs_of(&[("a/b.yaml", "")], "a").unwrap_err().to_string();
        assert_eq!(error, "there is no kustomization.yaml in \"a\"; `render = \"plain\"` renders a folder without one");
    }

    #[test]
    fn what_is_on_a_network_is_refused() {
        for (field, text) in [
            ("resources", "https://example.com/x.yaml"),
            ("resources", "github.com/owner/repository//path?ref=v1"),
            ("bases", "git@example.com:owner/repository.git"),
            ("components", "ssh://git@example.com/x"),
            ("crds", "https://example.com/crd.yaml"),
        ] {
            let error =
                needs_of(&[("a/kustomization.yaml", &format!("{field}: ['{text}']"))], "a").unwrap_err().to_string();
            let message = format!(
                "a/kustomization.yaml names {text:?} in {field}: nothing is fetched while rendering; copy it into the repository"
            );
            assert_eq!(error, message);
        }
        for content in [
            "patches: [{path: 'https://example.com/patch.yaml'}]",
            "secretGenerator: [{name: a, files: ['key=https://example.com/key']}]",
            "openapi: {path: 'https://example.com/schema.json'}",
        ] {
            let refused = needs_of(&[("a/kustomization.yaml", content)], "a");
            assert!(matches!(refused, Err(KustomizationError::Remote { .. })), "{content}: {refused:?}");
        }
        let harmless = "commonAnnotations: {home: 'https://example.com/'}\nimages: [{name: ghcr.io/owner/shop}]\npatches:\n- patch: |-\n    see: https://x\n\
                        configMapGenerator:\n- {name: a, literals: [URL=https://example.com/]}\n";
        assert!(needs_of(&[("a/kustomization.yaml", harmless)], "a").is_ok());
    }
}
