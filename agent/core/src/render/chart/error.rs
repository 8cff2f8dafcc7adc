//! Why a chart is not given to helm, and what a person could do about it.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;

use super::{ARCHIVES_BYTES_MAX, DEPENDENCIES_MAX, DEPTH_MAX, FILES_MAX, FOLDERS_MAX};
use crate::charts::address::AddressError;
use crate::render::built::BuildFailure;
use crate::tree::TreeFailure;
use crate::yaml::YamlError;

/// Why a chart is not given to helm.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The repository could not be read.
    #[error("cannot read {path} from the repository")]
    Read {
        /// What was read.
        path: String,
        /// Why not.
        source: TreeFailure,
    },
    /// The folder holds none.
    #[error("there is no Chart.yaml in {folder:?}")]
    None {
        /// Where it was looked for.
        folder: String,
    },
    /// `Chart.yaml` or another file about it is no YAML.
    #[error("{path}")]
    Yaml {
        /// The file.
        path: String,
        /// What is wrong, and where.
        source: YamlError,
    },
    /// A chart has no name.
    #[error("{path} names no chart: it has no `name`")]
    Nameless {
        /// The file.
        path: String,
    },
    /// A file of values is not there.
    #[error("the values file {path} is not in this commit")]
    Values {
        /// As it is configured.
        path: String,
    },
    /// A chart that it depends on is elsewhere, and is fetched from nowhere.
    #[error(
        "{path} depends on the chart {name} of {repository}, which is not in charts/: nothing is fetched while rendering"
    )]
    Dependency {
        /// The file that names it.
        path: String,
        /// Its name.
        name: String,
        /// Where it would come from, as it is written.
        repository: String,
    },
    /// A chart that it depends on is of a repository that the configuration does not name.
    #[error(
        "{path} depends on the chart {name} of {repository}, which is not in charts/, and the configuration does not allow that \
         repository"
    )]
    NotNamed {
        /// The file that names it.
        path: String,
        /// Its name.
        name: String,
        /// Where it would come from.
        repository: String,
        /// What to add to the configuration, and where in the table.
        add: String,
    },
    /// A chart that it depends on is at no address.
    #[error("{path} depends on the chart {name}, which is not in charts/")]
    Address {
        /// The file that names it.
        path: String,
        /// Its name.
        name: String,
        /// What is wrong with its repository.
        source: AddressError,
    },
    /// Nothing says which versions to fetch.
    #[error("{path} depends on charts that are not in charts/, and there is no {lock} with their versions")]
    NoLock {
        /// The file that names them.
        path: String,
        /// The file that should be there.
        lock: String,
    },
    /// A file about what it depends on is not understood.
    #[error("{path} is not read: {why}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The lock file is of other dependencies.
    #[error("{lock} is out of sync with {path}: its digest is of other dependencies")]
    OutOfSync {
        /// The file that names the dependencies.
        path: String,
        /// The lock file.
        lock: String,
    },
    /// The lock file has no version of one.
    #[error("{lock} has version {version:?} of the chart {name}, which is not a single version")]
    Unlocked {
        /// The lock file.
        lock: String,
        /// The chart.
        name: String,
        /// As it is written.
        version: String,
    },
    /// What is in `charts/` is not what is asked for.
    #[error("{found} is version {version}, and {path} asks for {wanted}")]
    Outdated {
        /// The archive or folder.
        found: String,
        /// Its version.
        version: String,
        /// The file that names the dependency.
        path: String,
        /// The range there.
        wanted: String,
    },
    /// One that it depends on cannot be had.
    #[error("cannot fetch the chart {chart}, which {path} depends on")]
    Elsewhere {
        /// The file that names it.
        path: String,
        /// Its name, version and repository.
        chart: String,
        /// Why not.
        source: BuildFailure,
    },
    /// It depends on more than is fetched.
    #[error("more than {DEPENDENCIES_MAX} charts that it depends on are not in charts/")]
    TooManyDependencies,
    /// What it depends on is too much.
    #[error("the archives of the charts that it depends on have more than {ARCHIVES_BYTES_MAX} bytes")]
    TooLarge,
    /// There is more of it than we write.
    #[error("it has more than {FILES_MAX} files")]
    TooManyFiles,
    /// Charts hold charts, or links lead to folders, without an end.
    #[error("its dependencies or links are more than {DEPTH_MAX} deep, or lead to more than {FOLDERS_MAX} folders")]
    TooDeep,
}

impl Hint for ChartError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Yaml { source, .. } => return source.hint(),
            Self::Elsewhere { source, .. } => return source.hint().to_owned().into(),
            Self::NotNamed { add, .. } => {
                return format!(
                    "add {add} [application.environment.helm], or run `helm dependency build` and commit what it puts into charts/"
                )
                .into();
            }
            Self::Read { .. } | Self::Nameless { .. } => "",
            Self::None { .. } => "name the folder of the chart by `path` of the environment",
            Self::Values { .. } => "`helm.values_files` are paths from the root of the repository",
            Self::Dependency { repository, .. } if repository.starts_with("file://") => {
                "write the path from the folder of this chart to that of another one in the same repository"
            }
            Self::Dependency { .. } => {
                "run `helm dependency build`, and commit or package what it puts into charts/ with the chart"
            }
            Self::Address { .. } => "correct its `repository`, run `helm dependency update`, and commit Chart.lock",
            Self::NoLock { .. } | Self::Form { .. } | Self::OutOfSync { .. } | Self::Unlocked { .. } => {
                "run `helm dependency update` in the folder of the chart, and commit its lock file"
            }
            Self::Outdated { .. } => "remove it from git, or run `helm dependency update` and commit what is in charts/ then",
            Self::TooManyDependencies | Self::TooLarge => {
                "deploy some of them as environments of their own, or commit what `helm dependency build` puts into charts/"
            }
            Self::TooManyFiles => "name the folder of the chart alone by `path`",
            Self::TooDeep => "see that no chart depends on itself, and no link leads in a circle",
        }
        .into()
    }
}

impl ChartError {
    /// Whether the repository, or whoever has what it depends on, was away.
    pub(in crate::render) fn is_outage(&self) -> bool {
        match self {
            Self::Read { .. } => true,
            Self::Elsewhere { source, .. } => source.is_outage(),
            _ => false,
        }
    }
}
