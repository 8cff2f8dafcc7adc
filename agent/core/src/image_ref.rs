//! Names of images (pure): `registry.example/ops/shop:1.4.0@sha256:…`, by the rules of the distribution project.
//!
//! A name without a registry is one of Docker Hub, as everywhere else; a name without a tag stays without one here, because who
//! builds and who deploys have different opinions on `latest`.

use std::fmt;
use std::str::FromStr;

/// The registry of names that have none.
pub const DOCKER_HUB: &str = "docker.io";

/// A parsed, valid name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is not a valid image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid image name: {why}")]
pub struct ImageRefError {
    /// What was read.
    pub text: String,
    /// What is wrong with it, and what would be right.
    pub why: &'static str,
}

impl ImageRef {
    /// Reads a name, with or without registry, tag and digest.
    pub fn parse(text: &str) -> Result<Self, ImageRefError> {
        let fault = |why| ImageRefError { text: text.chars().take(300).collect(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port of the registry.
        let name_at = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[name_at..].split_once(':') {
            Some((last, tag)) => (&rest[..name_at + last.len()], Some(tag)),
            None => (rest, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, path)) if is_docker_hub(first) && !path.is_empty() && !path.contains('/') => {
                (first, format!("library/{path}"))
            }
            Some((first, path)) if is_registry(first) => (first, path.to_owned()),
            Some(_) => (DOCKER_HUB, name.to_owned()),
            None => (DOCKER_HUB, format!("library/{name}")),
        };
        if name.is_empty() || repository.is_empty() {
            return Err(fault("there is no repository name in it"));
        }
        if repository.len() + registry.len() + 1 > 255 {
            return Err(fault("it is longer than 255 characters"));
        }
        check_registry(registry).map_err(fault)?;
        check_repository(&repository).map_err(fault)?;
        if let Some(tag) = tag {
            check_tag(tag).map_err(fault)?;
        }
        if let Some(digest) = digest {
            check_digest(digest).map_err(fault)?;
        }
        // Docker Hub has three names, and its registry's own host is not the one that it goes by.
        let registry = if is_docker_hub(registry) { DOCKER_HUB } else { registry };
        let (tag, digest) = (tag.map(str::to_owned), digest.map(str::to_owned));
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }

    /// `registry.example:5000`; `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// `ops/shop`
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// `1.4.0`
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// `sha256:…`
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Registry and repository: `registry.example/ops/shop`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository with this tag, without a digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ImageRefError> {
        check_tag(tag).map_err(|why| ImageRefError { text: format!("{}:{tag}", self.name()), why })?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository and tag, pinned to this digest.
    pub fn with_digest(&self, digest: &str) -> Result<Self, ImageRefError> {
        check_digest(digest).map_err(|why| ImageRefError { text: format!("{}@{digest}", self.name()), why })?;
        Ok(Self { digest: Some(digest.to_owned()), ..self.clone() })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Is the part before the first slash a host? Docker's rule: it has a dot or a colon, or is `localhost`, or has capitals.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase())
}

/// By either of the names that people write.
fn is_docker_hub(registry: &str) -> bool {
    matches!(registry, DOCKER_HUB | "index.docker.io")
}

fn check_registry(registry: &str) -> Result<(), &'static str> {
    const WHY: &str = "the part before the first slash is not a host name such as registry.example:5000";
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => match port.strip_prefix(':') {
            None if !port.is_empty() => return Err(WHY),
            port => ("ipv6", port),
        },
        Some(_) => return Err(WHY),
        None => registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        edge(label.chars().next())
            && edge(label.chars().last())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    // Rust reads a number with a plus in front as well.
    let number = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let valid = host.split('.').all(label) && port.is_none_or(number);
    if valid { Ok(()) } else { Err(WHY) }
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("repository names are lower case");
    }
    // Words of letters and digits, joined by a dot, one or two underscores, or any dashes.
    let segment = |segment: &str| {
        let joints =
            segment.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|joint| !joint.is_empty());
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let joint = |joint: &str| matches!(joint, "." | "_" | "__") || joint.chars().all(|c| c == '-');
        edge(segment.chars().next()) && edge(segment.chars().last()) && joints.into_iter().all(joint)
    };
    if repository.split('/').all(segment) {
        Ok(())
    } else {
        Err("a repository name has small letters and digits, joined by one of . _ __ - and by slashes")
    }
}

/// Is this a tag that registries take?
pub fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let valid = tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-');
    if valid { Ok(()) } else { Err("a tag has at most 128 letters, digits, _ . and -, and does not begin with . or -") }
}

/// Is this a digest, as `sha256:` and 64 hexadecimal digits?
pub fn check_digest(digest: &str) -> Result<(), &'static str> {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let valid = match digest.split_once(':') {
        Some(("sha256", value)) => value.len() == 64 && hex(value),
        Some(("sha512", value)) => value.len() == 128 && hex(value),
        _ => false,
    };
    if valid { Ok(()) } else { Err("a digest is sha256: and 64 hexadecimal digits") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[rustfmt::skip]
    fn names_are_read_as_docker_reads_them() {
        let hex = "a".repeat(64);
        let digest = format!("sha256:{hex}");
        for (text, registry, repository, tag, pinned) in [
            ("alpine", "docker.io", "library/alpine", None, false),
            ("alpine:3.20", "docker.io", "library/alpine", Some("3.20"), false),
            ("bitnami/redis", "docker.io", "bitnami/redis", None, false),
            ("docker.io/library/alpine", "docker.io", "library/alpine", None, false),
            ("index.docker.io/library/alpine", "docker.io", "library/alpine", None, false),
            ("docker.io/alpine:3.20", "docker.io", "library/alpine", Some("3.20"), false),
            ("index.docker.io/alpine", "docker.io", "library/alpine", None, false),
            ("localhost/shop", "localhost", "shop", None, false),
            ("localhost:5000/ops/shop:1.4.0", "localhost:5000", "ops/shop", Some("1.4.0"), false),
            ("registry.example/ops/team/shop_web--x:v1.0-rc.1_2", "registry.example", "ops/team/shop_web--x", Some("v1.0-rc.1_2"), false),
            ("[::1]:5000/shop", "[::1]:5000", "shop", None, false),
            ("127.0.0.1:5000/shop@DIGEST", "127.0.0.1:5000", "shop", None, true),
            ("ghcr.io/a/b:1@DIGEST", "ghcr.io", "a/b", Some("1"), true),
            ("HOST/shop", "HOST", "shop", None, false),
        ] {
            let text = text.replace("DIGEST", &digest);
            let image = ImageRef::parse(&text).unwrap();
            assert_eq!((image.registry(), image.repository(), image.tag()), (registry, repository, tag), "{text}");
            assert_eq!(image.digest(), pinned.then_some(digest.as_str()), "{text}");
            assert_eq!(ImageRef::parse(&image.to_string()).unwrap(), image, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        for (text, why) in [
            ("", "no repository name"),
            ("registry.example/", "no repository name"),
            ("docker.io/", "no repository name"),
            ("registry.example/Shop", "lower case"),
            ("shop:", "a tag has"),
            ("shop:-x", "a tag has"),
            ("shop:a/b", "not a host name"),
            ("shop:build+1", "a tag has"),
            ("a//b", "joined by"),
            ("-shop", "joined by"),
            ("a..b", "joined by"),
            ("a___b", "joined by"),
            ("shop@sha256:abc", "a digest is"),
            ("shop@md5:d41d8cd98f00b204e9800998ecf8427e", "a digest is"),
            ("reg istry.example/shop", "not a host name"),
            ("host:99999/shop", "not a host name"),
            ("host:+80/shop", "not a host name"),
            ("[::1]5000/shop", "not a host name"),
            ("[::1]:/shop", "not a host name"),
            ("https://registry.example/shop", "not a host name"),
        ] {
            let error = ImageRef::parse(text).unwrap_err();
            assert!(error.why.contains(why), "{text}: {error}");
        }
        let long = "a".repeat(300);
        assert!(ImageRef::parse(&long).unwrap_err().why.contains("longer"));
        assert!(check_tag(&"a".repeat(129)).is_err() && check_tag(&"a".repeat(128)).is_ok());
    }

    #[test]
    fn tags_and_digests_are_put_on() {
        let shop = ImageRef::parse("registry.example/shop").unwrap();
        let tagged = shop.with_tag("1.4.0").unwrap();
        let pinned = tagged.with_digest(&format!("sha256:{}", "0".repeat(64))).unwrap();
        assert_eq!(tagged.to_string(), "registry.example/shop:1.4.0");
        assert_eq!(pinned.to_string(), format!("registry.example/shop:1.4.0@sha256:{}", "0".repeat(64)));
        assert_eq!(pinned.with_tag("2").unwrap().to_string(), "registry.example/shop:2");
        assert!(shop.with_tag("a/b").is_err() && shop.with_digest("sha256:1").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_comes_back(text in "\\PC{0,80}") {
            if let Ok(image) = ImageRef::parse(&text) {
                prop_assert_eq!(ImageRef::parse(&image.to_string()), Ok(image));
            }
        }
    }
}
