//! Mirrors of registries: where the same images are asked for first, and what is believed of an answer.
//!
//! What a digest names is the same everywhere, and is checked by its content: any mirror may answer for it. Which digest a tag has now
//! only its registry knows; a mirror that keeps a list of yesterday answers for tags where it is said that it may.

use std::fmt;

use crate::image_ref::{DOCKER_HUB, ImageRef};

/// Mirrors of one registry that are asked: each is a question more before the registry itself is asked.
pub const MIRRORS_MAX: usize = 4;

/// A place where the images of a registry are as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mirror {
    registry: String,
    /// What stands before the names of its repositories.
    prefix: Option<String>,
    /// Whether it may say which tags there are, and which digest a tag has.
    pub tags: bool,
}

/// Why a text names no mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid mirror: {why}")]
pub struct MirrorError {
    /// What was read.
    pub text: String,
    /// What is wrong with it, and what would be right.
    pub why: String,
}

impl Mirror {
    /// Reads `mirror.example` or `mirror.example/docker-hub`.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str, tags: bool) -> Result<Self, MirrorError> {
        let fault = |why: String| MirrorError { text: text.chars().take(300).collect(), why };
        if text.contains("://") {
            let why = "write it as images are named, mirror.example/path; a mirror that speaks plain http has `insecure = true` in a \
                       [[registry]] of its own";
            return Err(fault(why.to_owned()));
        }
        let (registry, prefix) = match text.split_once('/') {
            Some((registry, prefix)) => (registry, Some(prefix)),
            None => (text, None),
        };
        let any = ImageRef::parse(&format!("{text}/any/image")).map_err(|error| fault(error.why.to_owned()))?;
        if any.registry() != registry || registry == DOCKER_HUB {
            return Err(fault("it does not begin with a host: write mirror.example/path".to_owned()));
        }
        Ok(Self { registry: registry.to_owned(), prefix: prefix.map(str::to_owned), tags })
    }

    /// Its host.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The same image there; none where the name would be longer than names may be.
    pub fn of(&self, image: &ImageRef) -> Option<ImageRef> {
        let prefix = self.prefix.as_ref().map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let there = ImageRef::parse(&format!("{}/{prefix}{}", self.registry, image.repository())).ok()?;
        match (image.tag(), image.digest()) {
            (_, Some(digest)) => there.with_digest(digest).ok(),
            (Some(tag), None) => there.with_tag(tag).ok(),
            (None, None) => Some(there),
        }
    }

    /// Whether it is asked for this image: by a digest always, by a tag where it may answer for tags.
    pub fn may_answer(&self, image: &ImageRef) -> bool {
        self.tags || image.digest().is_some()
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.registry)?;
        self.prefix.iter().try_for_each(|prefix| write!(f, "/{prefix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_name_at_its_mirror() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (mirror, image, there) in [
            ("mirror.example", "registry.example/ops/shop:1", "mirror.example/ops/shop:1".to_owned()),
            ("mirror.example:5000/hub", "alpine", "mirror.example:5000/hub/library/alpine".to_owned()),
            ("m.example/a/b", &*format!("registry.example/shop:1@{digest}"), format!("m.example/a/b/shop@{digest}")),
        ] {
            let image = ImageRef::parse(image).unwrap();
            let mirror = Mirror::parse(mirror, false).unwrap();
            assert_eq!(mirror.of(&image).unwrap().to_string(), there);
            assert_eq!(mirror.may_answer(&image), image.digest().is_some());
            assert!(Mirror { tags: true, ..mirror }.may_answer(&image));
        }
        let long = Mirror::parse(&format!("m.example/{}", "a".repeat(200)), false).unwrap();
        assert_eq!(long.of(&ImageRef::parse(&format!("r.example/{}", "b".repeat(100))).unwrap()), None);
    }

    #[test]
    fn what_is_no_mirror_is_told_why() {
        for (text, why) in [
            ("https://mirror.example/v2", "write it as images are named"),
            ("mirror", "it does not begin with a host"),
            ("docker.io", "it does not begin with a host"),
            ("mirror.example/Hub", "lower case"),
            ("mirror.example/", "joined by"),
            ("mirror.example/hub:1", "joined by"),
            ("mir ror.example", "not a host name"),
            ("", "joined by"),
        ] {
            let error = Mirror::parse(text, false).unwrap_err();
            assert!(error.why.contains(why), "{text}: {error}");
        }
        assert_eq!(Mirror::parse("m.example:5000/hub", false).unwrap().to_string(), "m.example:5000/hub");
    }
}
