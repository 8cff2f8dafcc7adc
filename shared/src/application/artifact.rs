//! Manifests that come from a registry instead of a repository.

use std::fmt;
use std::path::PathBuf;

/// An artifact of a registry that an environment is deployed from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactSpec {
    /// Registry and repository: `registry.example/ops/shop-manifests`.
    pub image: String,
    /// Which of it is deployed.
    pub follow: ArtifactFollow,
    /// The files of public keys: what none of them signed is not deployed. None where no signature is required.
    pub verify: Vec<PathBuf>,
    /// The media type of the layer with the manifests; the first layer where absent.
    pub media_type: Option<String>,
}

/// What is deployed of an artifact's repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactFollow {
    /// What is under a tag, wherever it is moved.
    Tag(String),
    /// The newest version in a range of those that tags name.
    Semver(String),
    /// What has this digest, `sha256:…`; it never moves.
    Digest(String),
}

impl ArtifactSpec {
    /// `oci://registry.example/ops/shop-manifests:latest`, with all that decides what is deployed, for people.
    pub fn describe(&self) -> String {
        let Self { image, follow, verify, media_type } = self;
        let names = verify.iter().map(|key| key.file_name().unwrap_or(key.as_os_str()).to_string_lossy());
        let names = names.collect::<Vec<_>>().join(" or ");
        let signed = if names.is_empty() { names } else { format!(", signed by {names}") };
        let layer = media_type.as_ref().map(|kind| format!(", layer {kind}")).unwrap_or_default();
        format!("oci://{image}{follow}{signed}{layer}")
    }
}

impl fmt::Display for ArtifactFollow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Semver(range) => write!(f, " {range}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_described_by_all_that_decides_what_is_deployed() {
        let of = |follow, verify: &[&str], media_type: Option<&str>| ArtifactSpec {
            image: "registry.example/ops/shop".to_owned(),
            follow,
            verify: verify.iter().map(PathBuf::from).collect(),
            media_type: media_type.map(str::to_owned),
        };
        for (spec, words) in [
            (of(ArtifactFollow::Tag("latest".to_owned()), &[], None), "oci://registry.example/ops/shop:latest"),
            (
                of(ArtifactFollow::Semver(">=1 <2".to_owned()), &["/etc/a.pub", "/etc/b.pub"], None),
                "oci://registry.example/ops/shop >=1 <2, signed by a.pub or b.pub",
            ),
            (
                of(ArtifactFollow::Digest("sha256:1f".to_owned()), &[], Some("a/tar")),
                "oci://registry.example/ops/shop@sha256:1f, layer a/tar",
            ),
        ] {
            assert_eq!(spec.describe(), words);
        }
    }
}
