//! Why a kustomization is not given to kustomize.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;

use super::{DEPTH_MAX, FILES_MAX, REMOTES_MAX};
use crate::render::built::BuildFailure;
use crate::render::chart::ChartError;
use crate::tree::TreeFailure;
use crate::yaml::YamlError;

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
    #[error("there is no kustomization.yaml in {folder:?}")]
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
    /// It names something elsewhere that is never fetched.
    #[error("{path} names {text:?} in {field}, and only resources and components are folders of other repositories")]
    Remote {
        /// The kustomization.
        path: String,
        /// Which field.
        field: String,
        /// What it names.
        text: String,
    },
    /// It names a folder of a repository, and not which one.
    #[error("{path} names {text:?} without a ref, so it may change at any time")]
    Unpinned {
        /// The kustomization.
        path: String,
        /// What it names.
        text: String,
    },
    /// The configuration does not name the repository.
    #[error("{path} names {text}, and the configuration does not allow {address}")]
    NotNamed {
        /// The kustomization.
        path: String,
        /// What it names.
        text: String,
        /// The repository.
        address: String,
    },
    /// The configuration does not name the file.
    #[error("{path} names the file {url}, and the configuration does not allow it")]
    FileNotNamed {
        /// The kustomization.
        path: String,
        /// Its address.
        url: String,
    },
    /// A chart of elsewhere has no version, or a range of them.
    #[error("{path} names chart {name} with version {version:?}, which is not a single version")]
    Version {
        /// The kustomization.
        path: String,
        /// The chart.
        name: String,
        /// As it is written.
        version: String,
    },
    /// What it names elsewhere cannot be had.
    #[error("cannot fetch {text}, named in {path}")]
    Elsewhere {
        /// The kustomization.
        path: String,
        /// What it names.
        text: String,
        /// Why not.
        source: BuildFailure,
    },
    /// Repositories name folders of others without an end.
    #[error("{path} names {text:?}, beyond {REMOTES_MAX} remotes or {DEPTH_MAX} levels of remotes that name others")]
    TooMuchElsewhere {
        /// The kustomization.
        path: String,
        /// What it names.
        text: String,
    },
    /// A chart of it is not given to helm.
    #[error("the chart in {folder}")]
    Chart {
        /// Its folder.
        folder: String,
        /// Why not.
        source: Box<ChartError>,
    },
    /// A field that is added to has another form.
    #[error("{field} in {path} is not {form}, and the environment adds to it")]
    Form {
        /// The kustomization.
        path: String,
        /// Which field.
        field: String,
        /// What it should be.
        form: &'static str,
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
    /// It is kept in Git LFS.
    #[error("{path} is a Git LFS pointer, and its content is not fetched")]
    LargeFileStorage {
        /// The file.
        path: String,
    },
    /// It needs more files than we write.
    #[error("it needs more than {FILES_MAX} files")]
    TooManyFiles,
}

impl Hint for KustomizationError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Yaml { source, .. } => return source.hint(),
            Self::Chart { source, .. } => return source.hint(),
            Self::Elsewhere { source, .. } => return source.hint().to_owned().into(),
            Self::NotNamed { address, .. } => {
                return format!("add {address:?} to `remote` of [application.environment.kustomize], or copy it into the repository").into();
            }
            Self::FileNotNamed { .. } => {
                "add it with its sha256 as [[application.environment.kustomize.remote_file]], or copy it into the repository"
            }
            Self::Unpinned { .. } => "write ?ref= with a tag or a whole commit behind it",
            Self::Version { .. } => "write one version, as 6.7.1",
            Self::TooMuchElsewhere { .. } => "copy what is needed of it into the repository",
            Self::Form { .. } => "correct it as kustomize documents it",
            Self::Read { .. } | Self::Missing { .. } | Self::Path { .. } => "",
            Self::None { .. } => "`render = \"plain\"` renders a folder without one, and `kustomize.generate = true` makes one of its manifests",
            Self::Remote { .. } => "copy it into the repository",
            Self::LargeFileStorage { .. } => "keep manifests in git itself",
            Self::TooManyFiles => "begin at a smaller folder",
        }
        .into()
    }
}

impl KustomizationError {
    /// Whether the repository, or whoever has what is elsewhere, was away.
    pub(in crate::render) fn is_outage(&self) -> bool {
        match self {
            Self::Read { .. } => true,
            Self::Elsewhere { source, .. } => source.is_outage(),
            Self::Chart { source, .. } => source.is_outage(),
            _ => false,
        }
    }
}
