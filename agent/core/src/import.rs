//! Coming from Argo CD or Flux: their objects become applications of ours, and what could not be carried over is said.
//!
//! ```text
//! documents ─ argocd (sets ─► templates, Applications) ─┐
//!           └ flux (sources, releases)                  ├─► drafts, as the configuration has them
//!                                                       └─► told: each field that was carried over otherwise, or not at all
//! ```
//! Nothing is left out in silence: what is read of an object is taken out of it, and what is left over is told.
//!
//! Not here: finding the files, building kustomizations, writing TOML (that is the agent's `command::import`).

mod argocd;
mod depended;
mod draft;
mod fields;
mod flux;
mod known;
mod source_draft;
mod taken;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

pub use argocd::SECRET_TYPE;
pub use draft::{Draft, Environment};
pub use flux::{builds, is_of_flux};
pub use source_draft::SourceDraft;

/// Whose objects are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Applications, ApplicationSets, AppProjects.
    ArgoCd,
    /// Kustomizations, HelmReleases, their sources, image policies.
    Flux,
}

/// Where an object was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, below the folder that is imported; `-` is standard input.
    pub file: String,
    /// The line that it begins at, from 1; 0 where a program built it.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => out.write_str(&self.file),
            line => write!(out, "{}:{line}", self.file),
        }
    }
}

/// An object that was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where.
    pub place: Place,
    /// What it says.
    pub object: Value,
}

/// What is known beside the objects.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// The address of the repository that they are in, where it is known.
    pub repository: Option<String>,
    /// The files of that repository, below its root.
    pub files: BTreeSet<String>,
    /// What is written in those of them that [`files_wanted`] means, as YAML or JSON.
    pub contents: BTreeMap<String, Value>,
    /// What the kustomizations among them say.
    pub kustomizations: BTreeMap<String, Value>,
    /// Which environment of its application each becomes.
    pub environment: String,
    /// The cluster that "the same cluster" is; by default the agent's own default.
    pub cluster: Option<String>,
    /// Whether what is synced automatically there is here, too. Two that sync the same objects undo each other's work, so that
    /// a person has to want it.
    pub automatic: bool,
    /// Whether a set of Argo CD is what it makes now, and never a template.
    pub expand: bool,
    /// What a Kustomization builds, by its path: the kinds, as `apps/Deployment`. A path that is not there was not built.
    pub built: BTreeMap<String, BTreeSet<String>>,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It means here what it meant there.
    Carried,
    /// The same is done in another way, or by hand.
    Otherwise,
    /// Nothing here does it.
    Not,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Carried => "imported",
            Self::Otherwise => "differs",
            Self::Not => "not imported",
        })
    }
}

/// One line of what is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Where the object is.
    pub place: Place,
    /// Which it is: `Application argocd/guestbook`.
    pub object: String,
    /// The field, as `spec.source.plugin`; empty where it is about all of the object.
    pub field: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, or what to do.
    pub words: String,
}

/// What an import came to.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// The applications, in the order of their names.
    pub drafts: Vec<Draft>,
    /// Sources of applications, with a template each.
    pub sources: Vec<SourceDraft>,
    /// What is to be known about it, by object.
    pub told: Vec<Told>,
}

/// Reads what these objects ask for.
pub fn import(tool: Tool, documents: &[Document], around: &Around) -> Imported {
    let mut imported = match tool {
        Tool::ArgoCd => argocd::import(documents, around),
        Tool::Flux => flux::import(documents, around),
    };
    source_draft::name_apart(&mut imported.sources);
    depended::name_repositories(&mut imported, around);
    draft::name_apart(&mut imported);
    if !around.automatic {
        let environments = imported.drafts.iter_mut().flat_map(|draft| &mut draft.environment);
        environments.for_each(draft::Environment::wait);
    }
    imported.drafts.sort_by(|one, other| one.name.cmp(&other.name));
    imported.told.sort_by(|one, other| (&one.place, &one.field).cmp(&(&other.place, &other.field)));
    imported
}

/// The files whose content these objects want: generators of ApplicationSets read parameters in them, and charts say what they depend on.
pub fn files_wanted(documents: &[Document], files: &BTreeSet<String>) -> BTreeSet<String> {
    let patterns: Vec<String> = documents.iter().flat_map(|document| argocd::file_patterns(&document.object)).collect();
    let is_wanted = |file: &&String| patterns.iter().any(|pattern| argocd::matches(pattern, file));
    files.iter().filter(is_wanted).chain(depended::files_wanted(files)).cloned().collect()
}

/// `Application argocd/guestbook`
pub fn name_of(object: &Value) -> String {
    match name_parts(object) {
        (kind, "", name) => format!("{kind} {name}"),
        (kind, namespace, name) => format!("{kind} {namespace}/{name}"),
    }
}

/// Kind, namespace and name.
fn name_parts(object: &Value) -> (&str, &str, &str) {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// Whether two addresses are of one repository, as people write them: with `.git` or without, by http or ssh.
fn same(one: &str, other: &str) -> bool {
    let plain = |address: &str| {
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
        rest.trim_end_matches('/').trim_end_matches(".git").replacen(':', "/", 1).to_ascii_lowercase()
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod crds;
#[cfg(test)]
mod tests;
