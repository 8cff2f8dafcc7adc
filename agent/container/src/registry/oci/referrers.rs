//! What refers to an image, page by page; in a registry without referrers the list that its clients keep under a tag.
//!
//! The library reads the first page alone, and lets go of the header that leads to the next.

use futures::StreamExt as _;
use oci_client::Reference;
use oci_client::errors::{OciDistributionError, OciEnvelope};
use oci_client::manifest::{ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OciImageIndex};
use reqwest::header::{ACCEPT, HeaderMap, LINK};
use reqwest::{StatusCode, Url};

use super::call::{Call, is_missing, is_refused};
use super::{Registries, RegistryError};

/// What else may refer to an image and is only counted: reports of scanners, lists of parts, a few each day at most.
pub(super) const REFERRERS_MAX: usize = 2_000;

/// Pages that are read: registries give 50 or more on each.
const PAGES_MAX: usize = 40;

/// One page is no larger: a registry's limit for a manifest.
const PAGE_BYTES_MAX: usize = 4 << 20;

struct Page {
    entries: Vec<ImageIndexEntry>,
    next: Option<Url>,
}

impl Registries {
    /// What refers to the image with this digest, as far as is looked at.
    pub(super) async fn referrers(&self, call: &mut Call, digest: &str) -> Result<Vec<ImageIndexEntry>, RegistryError> {
        let path = format!("referrers/{digest}");
        let mut first = call.within(call.page(&call.url(&path))).await;
        if first.as_ref().is_err_and(is_refused) && self.is_answered(call, &path).await? {
            first = call.within(call.page(&call.url(&path))).await;
        }
        let Page { mut entries, mut next } = match first {
            Ok(page) => page,
            // A registry without referrers, in whatever words it says so.
            Err(error) if is_missing(&error) => return self.under_referrers_tag(call, digest).await,
            Err(error) => return Err(call.error(error)),
        };
        for _ in 1..PAGES_MAX {
            let Some(url) = next.take().filter(|_| entries.len() < REFERRERS_MAX) else { break };
            let page = call.within(call.page(url.as_str())).await.map_err(|error| call.error(error))?;
            entries.extend(page.entries);
            next = page.next;
        }
        Ok(entries)
    }

    /// The list that clients keep where the registry keeps none (OCI distribution specification, "Referrers Tag Schema").
    async fn under_referrers_tag(&self, call: &mut Call, digest: &str) -> Result<Vec<ImageIndexEntry>, RegistryError> {
        let (registry, repository) = (call.registry.clone(), call.reference.repository().to_owned());
        let reference = Reference::with_tag(registry, repository, digest.replace(':', "-"));
        match self.ask_manifest(call, &reference, &[OCI_IMAGE_INDEX_MEDIA_TYPE]).await? {
            // Something else under that tag is no list.
            Ok((bytes, _)) => {
                Ok(serde_json::from_slice(&bytes).map_or(Vec::new(), |list: OciImageIndex| list.manifests))
            }
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            Err(error) => Err(call.error(error)),
        }
    }
}

impl Call {
    async fn page(&self, url: &str) -> Result<Page, OciDistributionError> {
        let asked = self.bare.get(url).header(ACCEPT, OCI_IMAGE_INDEX_MEDIA_TYPE);
        let answer = self.authorized(asked).send().await?;
        let (status, next) = (answer.status(), next(answer.headers(), answer.url()));
        let mut body = Vec::new();
        let mut parts = answer.bytes_stream();
        while let Some(part) = parts.next().await {
            let part = part?;
            if body.len() + part.len() > PAGE_BYTES_MAX {
                let message = format!("a list of referrers larger than {PAGE_BYTES_MAX} bytes");
                return Err(OciDistributionError::SpecViolationError(message));
            }
            body.extend_from_slice(&part);
        }
        let url = url.to_owned();
        match status {
            StatusCode::OK => {
                let list: OciImageIndex = serde_json::from_slice(&body)?;
                Ok(Page { entries: list.manifests, next })
            }
            StatusCode::UNAUTHORIZED => Err(OciDistributionError::UnauthorizedError { url }),
            _ => Err(match serde_json::from_slice::<OciEnvelope>(&body) {
                Ok(envelope) if status.is_client_error() && status != StatusCode::NOT_FOUND => {
                    OciDistributionError::RegistryError { envelope, url }
                }
                _ => {
                    let message = String::from_utf8_lossy(&body).into_owned();
                    OciDistributionError::ServerError { code: status.as_u16(), url, message }
                }
            }),
        }
    }
}

/// Where the next page is: `Link: <…>; rel="next"` (RFC 8288). The login is shown to the same server alone.
fn next(headers: &HeaderMap, of: &Url) -> Option<Url> {
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok()).flat_map(|link| link.split(','));
    let is_next = |parameters: &str| {
        parameters.split(';').any(|one| matches!(one.trim().to_ascii_lowercase().as_str(), "rel=\"next\"" | "rel=next"))
    };
    let mut targets = links.filter_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        is_next(parameters).then_some(target)
    });
    let url = of.join(targets.next()?).ok()?;
    (url.origin() == of.origin()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_at_the_same_server() {
        let of = Url::parse("https://registry.example/v2/ops/shop/referrers/sha256:aa").unwrap();
        for (links, url) in [
            (
                &["</v2/ops/shop/referrers/sha256:aa?last=5>; rel=\"next\""][..],
                Some("/v2/ops/shop/referrers/sha256:aa?last=5"),
            ),
            (&["<./sha256:aa?n=5>;rel=next"], Some("/v2/ops/shop/referrers/sha256:aa?n=5")),
            (&["</a>; rel=\"prev\", </b>; rel=\"next\""], Some("/b")),
            (&["</a>; rel=\"first\"", "</b>; REL=\"Next\""], Some("/b")),
            (&["<https://registry.example/c>; rel=\"next\""], Some("/c")),
            (&["<https://elsewhere.example/c>; rel=\"next\""], None),
            (&["<//elsewhere.example/c>; rel=\"next\""], None),
            (&["</a>; rel=\"prev\""], None),
            (&["next"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for link in links {
                headers.append(LINK, link.parse().unwrap());
            }
            let found = next(&headers, &of).map(|url| url.to_string());
            assert_eq!(found, url.map(|path| format!("https://registry.example{path}")), "{links:?}");
        }
    }
}
