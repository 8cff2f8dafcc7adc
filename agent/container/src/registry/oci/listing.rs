//! The tags of a repository, page by page; and nothing of them where the registry says that they are as they were.
//!
//! Registries are free to send an `ETag` with a list and to answer `304` to whoever shows it again. One that sends none is asked as
//! ever. The library lets go of the headers of a list, so the first page is asked for here.

use futures::StreamExt as _;
use oci_client::errors::{OciDistributionError, OciEnvelope};
use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::call::{Call, is_missing, is_refused};
use super::{Registries, RegistryError, TAGS, Tags};
use crate::registry::credentials::Login;
use quarterdeck_core::image_ref::ImageRef;

/// One page is no larger: 20,000 tags of the longest names are some 2.6 MB.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// A longer `ETag` is not kept: those that are seen are digests.
const ETAG_BYTES_MAX: usize = 256;

/// What a registry knows a list of tags again by. Only a list of one page has it: the pages behind it change without the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// The repository that gave it: a mirror's is of no use elsewhere.
    at: String,
    etag: String,
    /// The last tag of the list. A tag that comes behind a full page changes that page in no way: it is asked for by itself.
    last: String,
}

/// What a registry answers for its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// They are those of the list that the validator is of.
    Unchanged,
    /// These.
    Tags {
        /// As far as they were asked for.
        tags: Tags,
        /// What to ask with the next time, where the registry gives it.
        validator: Option<Validator>,
    },
}

enum Page {
    Unchanged,
    Tags { tags: Vec<String>, etag: Option<String> },
}

/// Which page is asked for.
#[derive(Clone, Copy)]
enum Ask<'a> {
    First { etag: Option<&'a str> },
    After(&'a str),
}

/// A list of tags, as registries send it; some send none as `null`.
#[derive(Deserialize)]
struct Sent {
    tags: Option<Vec<String>>,
}

impl Registries {
    /// Up to `limit` tags of a repository, unless they are those of an earlier list; none if there is no such repository. A mirror
    /// answers where it may, and lists any.
    ///
    /// # Errors
    /// Where the registry does not answer.
    pub async fn tags_since(
        &self,
        image: &ImageRef,
        login: Option<&Login>,
        limit: usize,
        known: Option<&Validator>,
    ) -> Result<Listing, RegistryError> {
        for there in self.mirrors.of(image).await {
            let answer = self.listing(&there.image, there.login.as_ref(), limit, known).await;
            let lists_any = |listing: &Listing| match listing {
                Listing::Unchanged => true,
                Listing::Tags { tags, .. } => !tags.tags.is_empty(),
            };
            if let Some(listing) = self.mirrors.heard(&there, answer).filter(lists_any) {
                return Ok(listing);
            }
        }
        self.listing(image, login, limit, known).await
    }

    /// The same of this registry itself.
    pub(super) async fn listing(
        &self,
        image: &ImageRef,
        login: Option<&Login>,
        limit: usize,
        known: Option<&Validator>,
    ) -> Result<Listing, RegistryError> {
        let known = known.filter(|known| known.at == image.name());
        let mut tokens = self.tokens(image.registry(), login);
        loop {
            match self.ask_listing(image, login, limit, known).await {
                Err(error) if tokens.were_old(&error) => {}
                answer => return answer,
            }
        }
    }

    async fn ask_listing(
        &self,
        image: &ImageRef,
        login: Option<&Login>,
        limit: usize,
        known: Option<&Validator>,
    ) -> Result<Listing, RegistryError> {
        let mut call = self.call(image, login)?.log_in().await?;
        let mut first = self.page(&mut call, limit + 1, Ask::First { etag: known.map(|known| &*known.etag) }).await?;
        if let (Page::Unchanged, Some(known)) = (&first, known) {
            match self.page(&mut call, 1, Ask::After(&known.last)).await? {
                Page::Tags { tags, .. } if !tags.is_empty() => {}
                _ => return Ok(Listing::Unchanged),
            }
            first = self.page(&mut call, limit + 1, Ask::First { etag: None }).await?;
        }
        let Page::Tags { mut tags, etag } = first else {
            return Err(call.answer("304 Not Modified, to a question that had no condition"));
        };
        let is_of_one_page = self.further(&mut call, &mut tags, limit).await?;
        let more = tags.len() > limit;
        let last = tags.last().cloned().filter(|_| is_of_one_page && !more);
        let at = image.name();
        let validator = etag.zip(last).map(|(etag, last)| Validator { at, etag, last });
        tags.truncate(limit);
        Ok(Listing::Tags { tags: Tags { tags, more }, validator })
    }

    /// Reads on behind the first page, until there are more than `limit`: true where nothing is there.
    async fn further(&self, call: &mut Call, tags: &mut Vec<String>, limit: usize) -> Result<bool, RegistryError> {
        let mut is_of_one_page = true;
        while tags.len() <= limit {
            // One more than wanted tells whether there are more; a registry may give pages smaller than asked.
            let missing = limit + 1 - tags.len();
            let Some(last) = tags.last().cloned() else { break };
            let Page::Tags { tags: page, .. } = self.page(call, missing, Ask::After(&last)).await? else { break };
            is_of_one_page &= page.is_empty();
            // A registry that ignores `last` sends the same page again.
            let fresh: Vec<String> = page.into_iter().filter(|tag| !tags.contains(tag)).collect();
            if fresh.is_empty() {
                break;
            }
            tags.extend(fresh);
        }
        Ok(is_of_one_page)
    }

    async fn page(&self, call: &mut Call, count: usize, ask: Ask<'_>) -> Result<Page, RegistryError> {
        let mut answered = false;
        loop {
            let page = match ask {
                Ask::First { etag } => call.within(call.first_page(count, etag)).await,
                Ask::After(last) => {
                    let page = call.client.list_tags(&call.reference, &call.auth, Some(count), Some(last));
                    call.within(page).await.map(|page| Page::Tags { tags: page.tags, etag: None })
                }
            };
            match page {
                Err(error) if is_missing(&error) => return Ok(Page::Tags { tags: Vec::new(), etag: None }),
                Err(error) if is_refused(&error) && !answered => {
                    answered = true;
                    if !self.is_answered(call, TAGS).await? {
                        return Err(call.error(error));
                    }
                }
                Err(error) => return Err(call.refused(error, Method::GET, TAGS).await),
                Ok(page) => return Ok(page),
            }
        }
    }
}

impl Call {
    async fn first_page(&self, count: usize, etag: Option<&str>) -> Result<Page, OciDistributionError> {
        let url = self.url("tags/list");
        let mut request = self.authorized(self.bare.get(&url).query(&[("n", count)]));
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let answer = request.send().await?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(Page::Unchanged);
        }
        let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.filter(|etag| etag.len() <= ETAG_BYTES_MAX).map(str::to_owned);
        let mut body = Vec::new();
        let mut parts = answer.bytes_stream();
        while let Some(part) = parts.next().await {
            let part = part?;
            if body.len() + part.len() > PAGE_BYTES_MAX {
                let message = format!("a list of tags larger than {PAGE_BYTES_MAX} bytes");
                return Err(OciDistributionError::SpecViolationError(message));
            }
            body.extend_from_slice(&part);
        }
        match status {
            StatusCode::OK => {
                let Sent { tags } = serde_json::from_slice(&body)?;
                Ok(Page::Tags { tags: tags.unwrap_or_default(), etag })
            }
            StatusCode::UNAUTHORIZED => Err(OciDistributionError::UnauthorizedError { url }),
            _ => Err(match serde_json::from_slice::<OciEnvelope>(&body) {
                Ok(envelope) if status.is_client_error() => OciDistributionError::RegistryError { envelope, url },
                _ => {
                    let message = String::from_utf8_lossy(&body).into_owned();
                    OciDistributionError::ServerError { code: status.as_u16(), url, message }
                }
            }),
        }
    }
}
