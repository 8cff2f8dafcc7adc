//! From the files of a commit to the objects that a cluster should have.
//!
//! ```text
//! Tree ─┬─ selection ────── plain ─────────────────────┐
//!       ├─ kustomization ── kustomize* (the program) ──┼─ object ── manifests in the order of their apply
//!       ├─ chart ────────── helm* (the program) ───────┤
//!       └─ imports ──────── jsonnet* (the program) ────┘
//! ```
//!
//! A render is all or nothing: a file that cannot be read, a document that is no object or a name that is defined twice
//! is an error with its place, since rendering the rest would prune what could not be read. For the same reason a
//! render without a single object is an error of its own, [`RenderError::Empty`], and never a plan that prunes all.
//!
//! The same tree always gives the same manifests: no program asks a network, what a kustomization takes from elsewhere is pinned
//! ([`elsewhere`]), and made-up values are refused. Of the cluster a chart is told what it serves, and nothing else. What a render
//! depended on is told in [`Rendered::inputs`], so that it need not be done again while these are the same.
//!
//! Not here: decryption (the tree is handed in as [`crate::sops::decrypting`] shows it), and what the objects mean to a cluster
//! (that is [`crate::sync`]).

mod injected;
pub mod object;
pub(crate) mod plain;
pub mod selection;

mod differing;
pub mod elsewhere;
pub(crate) mod kustomization;
pub mod kustomize;

pub mod chart;
pub mod helm;
pub mod release;

pub mod jsonnet;

pub mod built;
pub mod programs;

pub mod images;
pub mod kept;
pub mod outside;
pub mod scope;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use quarterdeck_shared::application::{EnvironmentId, FilesSpec, JsonnetSpec, Overlay, RenderKind};
use quarterdeck_shared::error::Hint;
use quarterdeck_shared::resource::ResourceRef;
use sha2::{Digest as _, Sha256};

use crate::hooks::Hook;
use crate::render::helm::HelmError;
use crate::render::jsonnet::JsonnetError;
use crate::render::kustomize::KustomizeError;
use crate::render::plain::Plain;
use crate::render::programs::Programs;
use crate::render::release::Release;
use crate::render::scope::Scope;
use crate::render::selection::Selection;
use crate::sops::SopsError;
use crate::sops::decrypting::StaysEncrypted;
use crate::sync::confidential::Confidential;
use crate::sync::digest::ContentDigest;
use crate::sync::manifest::Manifest;
use crate::tree::links::{Followed, resolve, resolve_noting};
use crate::tree::{Tree, TreeEntry, TreeFailure, paths};
use crate::variables::{ExpressionError, Variables};
use crate::yaml::YamlError;

/// What to render, for whom.
pub struct Request<'a> {
    /// The files of the commit.
    pub tree: &'a dyn Tree,
    /// The folder of the manifests, from the root of the repository; `""` is the root.
    pub path: &'a str,
    /// How.
    pub kind: RenderKind,
    /// Whose objects these are: each is labelled with it.
    pub environment: &'a EnvironmentId,
    /// The namespace of objects that name none.
    pub namespace: &'a str,
    /// The scope of a kind, by group and kind, as the cluster knows it; nothing for a kind that it does not serve.
    pub scope: &'a dyn Fn(&str, &str) -> Option<Scope>,
    /// Whether a kind tells a status apart from what is asked for, by group and kind, where the cluster knows it.
    pub has_status: &'a dyn Fn(&str, &str) -> Option<bool>,
    /// Which files are rendered, where they are rendered plainly.
    pub files: &'a FilesSpec,
    /// What is written into the kustomization of the folder.
    pub overlay: &'a Overlay,
    /// What a chart is told.
    pub release: &'a Release<'a>,
    /// What jsonnet is told.
    pub jsonnet: &'a JsonnetSpec,
    /// What `${name}` means, where it means something.
    pub variables: Option<&'a Variables>,
    /// Who runs the programs that render.
    pub programs: &'a dyn Programs,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The objects, in the order in which they are applied; never none.
    pub manifests: Vec<Manifest>,
    /// What is run beside them.
    pub hooks: Vec<Hook>,
    /// What only a person runs: tests, and the hooks of a deletion. No part of the release, whose [`Rendered::digest`] they do not
    /// change.
    pub on_demand: Vec<Hook>,
    /// What a person should know of it: files that were left out, warnings of a renderer.
    pub notes: Vec<String>,
    /// The files and folders that it depended on, sorted: while the ids of these in a tree are the same, so is the outcome.
    pub inputs: Vec<String>,
    /// Whether it depends on the kinds that the cluster serves, used here or not: a chart may ask for any.
    pub asks_capabilities: bool,
}

impl Rendered {
    /// Of all manifests and hooks: two renders with the same digest ask for the same.
    pub fn digest(&self) -> ContentDigest {
        let mut hasher = Sha256::new();
        for manifest in self.all() {
            hasher.update(manifest.digest.0);
        }
        ContentDigest(hasher.finalize().into())
    }

    /// Says of all of its objects what is shown of none.
    pub fn hide(&mut self, confidential: &Arc<Confidential>) {
        let hooks = self.hooks.iter_mut().chain(&mut self.on_demand).map(|hook| &mut hook.manifest);
        self.manifests.iter_mut().chain(hooks).for_each(|one| one.confidential = Some(confidential.clone()));
    }

    /// Its objects, and those of its hooks.
    pub fn all(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.iter().chain(self.hooks.iter().map(|hook| &hook.manifest))
    }
}

/// Why there are no manifests. The place is a path from the root of the repository, with the document where there are several.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The repository could not be read.
    #[error("cannot read {} from the repository", Folder(.path))]
    Read {
        /// What was read.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// The configured folder is not in the commit.
    #[error("{} is not in this commit", Folder(.path))]
    NoFolder {
        /// The path.
        path: String,
    },
    /// There is not one object. Nothing is pruned for it.
    #[error("{} holds no manifests: {why}", Folder(.path))]
    Empty {
        /// The folder.
        path: String,
        /// In which way.
        why: String,
    },
    /// A file is no YAML or JSON.
    #[error("{path}")]
    Yaml {
        /// The file.
        path: String,
        /// What is wrong, and where.
        source: YamlError,
    },
    /// A file is no YAML, and looks like a template.
    #[error("{path} looks like a template, and no Chart.yaml beside it makes it one of a chart")]
    Template {
        /// The file.
        path: String,
        /// What is wrong with it as YAML.
        source: YamlError,
    },
    /// A document is no object that could be applied.
    #[error("{origin}: {problem}")]
    Object {
        /// The document.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An expression of an object has no value.
    #[error("{origin}: {object}")]
    Variable {
        /// The document.
        origin: String,
        /// Kind and name, as they are written.
        object: String,
        /// Why not.
        source: ExpressionError,
    },
    /// A file stays encrypted.
    #[error("cannot decrypt {path}")]
    Decrypt {
        /// The file.
        path: String,
        /// Why.
        source: Arc<SopsError>,
    },
    /// An object is encrypted, and no file of SOPS.
    #[error("{origin}: it holds values that SOPS encrypted, and is never applied like this")]
    Encrypted {
        /// The document.
        origin: String,
    },
    /// Nobody knows the kind.
    #[error(
        "{origin}: the cluster does not serve the kind {kind} of {api_version}, and no CustomResourceDefinition beside it does"
    )]
    UnknownKind {
        /// The document.
        origin: String,
        /// As it is written.
        api_version: String,
        /// As it is written.
        kind: String,
    },
    /// One object is described twice.
    #[error("{} is defined twice: in {first}, and in {second}", resource.with_namespace())]
    Twice {
        /// Which.
        resource: Box<ResourceRef>,
        /// Where it is first.
        first: Arc<str>,
        /// Where it is again.
        second: Arc<str>,
    },
    /// A manifest's file name cannot be read.
    #[error("the name of {path} is not UTF-8")]
    NameNotUtf8 {
        /// The path, with what could not be read replaced.
        path: String,
    },
    /// A manifest is a link to what is no file of the repository.
    #[error("{path} is a link to {target:?}, which is not a file of this repository")]
    Link {
        /// The link.
        path: String,
        /// Where it leads, as written.
        target: String,
    },
    /// Links lead to ever more folders.
    #[error("the links in {} lead to more than 1000 folders", Folder(.path))]
    TooManyLinks {
        /// The folder.
        path: String,
    },
    /// Manifests may be in another repository.
    #[error("{path} is a submodule, and submodules are not fetched")]
    Submodule {
        /// Where it is.
        path: String,
    },
    /// Kustomize gave nothing.
    #[error("cannot render the kustomization of {}", Folder(.path))]
    Kustomize {
        /// The folder.
        path: String,
        /// Why not.
        source: KustomizeError,
    },
    /// Helm gave nothing, or what is not deployed.
    #[error("cannot render the chart of {}", Folder(.path))]
    Helm {
        /// The folder.
        path: String,
        /// Why not.
        source: Box<HelmError>,
    },
    /// Jsonnet gave nothing.
    #[error("cannot render the jsonnet of {}", Folder(.path))]
    Jsonnet {
        /// The folder.
        path: String,
        /// Why not.
        source: JsonnetError,
    },
    /// An ignore file holds too much.
    #[error("{path} has more than 1000 patterns")]
    TooManyPatterns {
        /// The file.
        path: String,
    },
    /// A manifest is kept in Git LFS.
    #[error("{path} is a Git LFS pointer, and its content is not fetched")]
    LargeFileStorage {
        /// The file.
        path: String,
    },
    /// The same files failed before, and nothing that has a say is otherwise now.
    #[error(transparent)]
    Again(Box<kept::Failed>),
}

impl Hint for RenderError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Yaml { source, .. } => return source.hint(),
            Self::Decrypt { source, .. } => return source.hint(),
            Self::Kustomize { source, .. } => return source.hint(),
            Self::Helm { source, .. } => return source.hint(),
            Self::Jsonnet { source, .. } => return source.hint(),
            Self::Read { .. } | Self::Template { .. } | Self::Object { .. } => "",
            Self::NoFolder { .. } => "name the folder of the manifests by `path` of the environment",
            Self::Empty { .. } => "nothing is pruned for this; remove the environment to remove its objects",
            Self::Variable { source: ExpressionError::Unset(_), .. } => {
                "set it by `variables` of the environment, or write a default: ${NAME:=default}"
            }
            Self::Variable { source: ExpressionError::Form { .. }, .. } => {
                "write $${ for a text that is not an expression, or annotate the object with quarterdeck.dev/substitute: disabled"
            }
            Self::Variable { source: ExpressionError::TooLong, .. } => "shorten the values",
            Self::Encrypted { .. } => "keep its SOPS metadata in the same file, with an extension of yaml, yml or json",
            Self::UnknownKind { .. } => "correct it, or install its definition first",
            Self::Twice { .. } => "remove one of the two",
            Self::NameNotUtf8 { .. } => "rename it",
            Self::Link { .. } => "put the file there instead of the link",
            Self::TooManyLinks { .. } => "begin at a smaller folder",
            Self::TooManyPatterns { .. } => "name folders instead of their files",
            Self::Submodule { .. } => "move it out of the folder of the manifests",
            Self::LargeFileStorage { .. } => "keep manifests in git itself",
            Self::Again(failed) => return failed.hint(),
        }
        .into()
    }
}

/// Renders the manifests of one commit.
///
/// # Errors
/// See [`RenderError`]; with an error nothing is to be applied and nothing to be pruned.
pub fn render(request: &Request<'_>) -> Result<Rendered, RenderError> {
    make(request).map_err(RenderError::of_its_file)
}

impl RenderError {
    /// Whether the repository or the program was unavailable: what was kept of an earlier render is good then.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Read { .. } => true,
            Self::Kustomize { source, .. } => source.is_outage(),
            Self::Helm { source, .. } => match &**source {
                HelmError::Build(failure) => failure.is_outage(),
                HelmError::Chart(error) => error.is_outage(),
                HelmError::PostRender(source) => source.is_outage(),
                HelmError::FileParameter { .. }
                | HelmError::Output(_)
                | HelmError::TooManyHooks { .. }
                | HelmError::Changes { .. } => false,
            },
            _ => false,
        }
    }

    /// Whether the next try comes to the same while nothing that is known to have a say changes. Keys are not known, and what a
    /// chart makes up is another thing each time, and may once be the same.
    pub fn is_lasting(&self) -> bool {
        let changes = |source: &HelmError| {
            matches!(source, HelmError::Changes { .. } | HelmError::PostRender(KustomizeError::Changes { .. }))
        };
        match self {
            Self::Decrypt { .. } | Self::Kustomize { source: KustomizeError::Changes { .. }, .. } => false,
            Self::Helm { source, .. } if changes(source) => false,
            other => !other.is_outage(),
        }
    }

    /// Where a file stays encrypted, that is what failed, and not whatever read it.
    fn of_its_file(self) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&self);
        while let Some(error) = cause {
            if let Some(StaysEncrypted { path, why }) = error.downcast_ref() {
                return Self::Decrypt { path: path.clone(), source: why.clone() };
            }
            cause = error.source();
        }
        self
    }
}

fn make(request: &Request<'_>) -> Result<Rendered, RenderError> {
    let folder = folder(request.tree, request.path)?;
    let renderer = renderer(request.tree, &folder, request.kind, request.overlay)?;
    let Made { found, hooks, on_demand, mut notes, mut inputs } = match renderer {
        Renderer::Kustomize => kustomize::render(request, &folder)?,
        Renderer::Helm => helm::render(request, &folder)?,
        Renderer::Jsonnet => jsonnet::render(request, &folder)?,
        Renderer::Plain => {
            let selection = Selection::read(request.tree, &folder, request.files)?;
            let Plain { found, notes, outside: mut inputs } = plain::render(request.tree, &folder, &selection)?;
            inputs.push(folder.clone());
            Made { found, hooks: Vec::new(), on_demand: Vec::new(), notes, inputs }
        }
    };
    let lists_files = renderer == Renderer::Plain || request.overlay.generate;
    if !lists_files && !request.files.is_empty() {
        notes.push("include and exclude select nothing: they are for folders that are rendered plain".to_owned());
    }
    // Where the folder is reached by links, these count as well.
    let path = request.path.trim_start_matches('/');
    let read = |source| RenderError::Read { path: path.to_owned(), source };
    resolve_noting(request.tree, path, &mut inputs).map_err(read)?;
    inputs.sort();
    inputs.dedup();
    let all = inputs.clone();
    inputs.retain(|path| !all.iter().any(|folder| folder != path && paths::is_below(path, folder)));
    let asks_capabilities = renderer == Renderer::Helm;
    let substituted = |one: object::Found| match request.variables {
        Some(variables) => one.substituted(variables),
        None => Ok(one),
    };
    let found = found.into_iter().map(substituted).collect::<Result<_, _>>()?;
    let hooks = hooks.into_iter().map(|(one, runs)| Ok((substituted(one)?, runs)));
    let hooks = hooks.collect::<Result<_, RenderError>>()?;
    let on_demand = on_demand.into_iter().map(|(one, runs)| Ok((substituted(one)?, runs))).collect();
    let (manifests, hooks, on_demand) = object::manifests(found, hooks, on_demand, &mut notes, request)?;
    Ok(Rendered { manifests, hooks, on_demand, notes, inputs, asks_capabilities })
}

/// What a renderer made of a folder, before it is put into one form.
struct Made {
    found: Vec<object::Found>,
    /// Objects that are run as hooks, and when.
    hooks: Vec<(object::Found, object::Runs)>,
    /// Those that only a person runs.
    on_demand: Vec<(object::Found, object::Runs)>,
    notes: Vec<String>,
    inputs: Vec<String>,
}

/// What makes the manifests of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renderer {
    /// They are its files.
    Plain,
    /// The program of that name, here and below.
    Kustomize,
    Helm,
    Jsonnet,
}

/// What makes the manifests of a folder: what is configured, else what its files say. A kustomization beside a chart is
/// taken: it is what uses the chart. Where the environment writes into a kustomization, one is meant.
pub(crate) fn renderer(
    tree: &dyn Tree,
    folder: &str,
    kind: RenderKind,
    overlay: &Overlay,
) -> Result<Renderer, RenderError> {
    Ok(match kind {
        RenderKind::Plain => Renderer::Plain,
        RenderKind::Kustomize => Renderer::Kustomize,
        RenderKind::Helm => Renderer::Helm,
        RenderKind::Jsonnet => Renderer::Jsonnet,
        RenderKind::Auto if !overlay.is_empty() => Renderer::Kustomize,
        RenderKind::Auto if kustomization_file(tree, folder)?.is_some() => Renderer::Kustomize,
        RenderKind::Auto if helm::is_chart(tree, folder)? => Renderer::Helm,
        RenderKind::Auto => Renderer::Plain,
    })
}

/// The kustomization file of a folder, links followed.
pub(crate) fn kustomization_file(tree: &dyn Tree, folder: &str) -> Result<Option<TreeEntry>, RenderError> {
    for name in KUSTOMIZATIONS {
        let path = paths::join(folder, name).unwrap_or_default();
        let found = resolve(tree, &path).map_err(|source| RenderError::Read { path, source })?;
        if let Followed::File(entry) = found {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// The folder of the manifests as trees name it: without `./`, links followed, and known to be there.
pub(crate) fn folder(tree: &dyn Tree, path: &str) -> Result<String, RenderError> {
    let missing = || RenderError::NoFolder { path: path.to_owned() };
    let plain = paths::join("", path.trim_start_matches('/')).ok_or_else(missing)?;
    match resolve(tree, &plain) {
        Ok(Followed::Folder(folder)) => Ok(folder),
        Ok(_) => Err(missing()),
        Err(source) => Err(RenderError::Read { path: plain, source }),
    }
}

/// The files that make a folder a kustomization.
pub const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A folder for people: the root has no name.
struct Folder<'a>(&'a str);

impl fmt::Display for Folder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the root of the repository") } else { f.write_str(self.0) }
    }
}

#[cfg(test)]
mod tests;
