//! Paths of the distribution API (pure). Repository names hold slashes, so a path is read from its end.

use http::Method;

use super::fault::Step;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Version,
    Token,
    Blob { repository: String, digest: String },
    Uploads { repository: String },
    Upload { repository: String, id: String },
    Manifest { repository: String, reference: String },
    Tags { repository: String },
    Referrers { repository: String, digest: String },
}

impl Route {
    pub(super) fn parse(path: &str) -> Option<Self> {
        if path == "/token" {
            return Some(Route::Token);
        }
        let rest = path.strip_prefix("/v2/")?;
        if rest.is_empty() {
            return Some(Route::Version);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Route::Tags { repository: repository(name)? });
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
            return Some(Route::Uploads { repository: repository(name)? });
        }
        let (head, last) = rest.rsplit_once('/')?;
        let last = last.to_owned();
        if let Some(name) = head.strip_suffix("/blobs/uploads") {
            return Some(Route::Upload { repository: repository(name)?, id: last });
        }
        if let Some(name) = head.strip_suffix("/blobs") {
            return Some(Route::Blob { repository: repository(name)?, digest: last });
        }
        if let Some(name) = head.strip_suffix("/manifests") {
            return Some(Route::Manifest { repository: repository(name)?, reference: last });
        }
        let name = head.strip_suffix("/referrers")?;
        Some(Route::Referrers { repository: repository(name)?, digest: last })
    }

    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Route::Version | Route::Token => None,
            Route::Blob { repository, .. }
            | Route::Uploads { repository }
            | Route::Upload { repository, .. }
            | Route::Manifest { repository, .. }
            | Route::Tags { repository }
            | Route::Referrers { repository, .. } => Some(repository),
        }
    }

    pub(super) fn step(&self, method: &Method) -> Step {
        match (self, method.as_str()) {
            (Route::Version, _) => Step::Version,
            (Route::Token, _) => Step::Token,
            (Route::Blob { .. }, "HEAD") => Step::BlobHead,
            (Route::Blob { .. }, "GET") => Step::BlobGet,
            (Route::Uploads { .. }, "POST") => Step::UploadStart,
            (Route::Upload { .. }, "PATCH") => Step::UploadPatch,
            (Route::Upload { .. }, "PUT") => Step::UploadPut,
            (Route::Manifest { .. }, "HEAD") => Step::ManifestHead,
            (Route::Manifest { .. }, "GET") => Step::ManifestGet,
            (Route::Manifest { .. }, "PUT") => Step::ManifestPut,
            (Route::Manifest { .. }, "DELETE") => Step::ManifestDelete,
            (Route::Tags { .. }, _) => Step::Tags,
            (Route::Referrers { .. }, _) => Step::Referrers,
            _ => Step::Other,
        }
    }
}

/// What a method needs to be allowed.
pub(super) fn action(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE => "delete",
        _ => "push",
    }
}

/// A repository name by the grammar of the specification: lower-case words joined by `.`, `_`, `__` or dashes, in segments.
fn repository(name: &str) -> Option<String> {
    let word = |segment: &str| {
        let bytes = segment.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(b))
    };
    name.split('/').all(word).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let manifest = Route::Manifest { repository: "ops/shop".into(), reference: "1.4.0".into() };
        assert_eq!(Route::parse("/v2/ops/shop/manifests/1.4.0"), Some(manifest));
        assert_eq!(Route::parse("/v2/blobs/blobs/uploads/"), Some(Route::Uploads { repository: "blobs".into() }));
        assert_eq!(Route::parse("/v2/"), Some(Route::Version));
        assert_eq!(Route::parse("/v2/Ops/manifests/x"), None);
        assert_eq!(Route::parse("/v2/ops/unknown/x"), None);
    }
}
