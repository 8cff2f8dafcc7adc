//! Where manifests came from.

use serde::{Deserialize, Serialize};

/// Where the manifests of an environment came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenderedFrom {
    /// They were rendered.
    Now,
    /// They were rendered before from the same files, in the same way.
    Cache,
    /// The repository or the program is unavailable: they are what was kept of an earlier render of the same revision, with the
    /// same options.
    Kept,
}

impl RenderedFrom {
    /// Behind the word `rendered`: `now`, or why not.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Cache => "earlier: the files are unchanged",
            Self::Kept => "earlier, and kept: the repository or the renderer is unavailable",
        }
    }
}
