//! Where charts are: the part of a registry below which each is a repository of its own, or an HTTP repository with an index.

use std::fmt;

use crate::image_ref::ImageRef;

use super::versions;

/// Where charts are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repository {
    /// Part of a registry: `registry.example/charts`, without a slash at its end.
    Oci(String),
    /// The address of an HTTP repository, without a slash at its end.
    Http(String),
}

/// An address or a name that names no chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Its scheme is none of those that charts are fetched by.
    #[error("{0:?} is not the address of charts: write oci://registry.example/charts or https://charts.example")]
    Scheme(String),
    /// It has a login in it.
    #[error("the address of charts has a login in it: write `username` and `password_file` instead")]
    Login,
    /// It has no host, or more than a path behind it.
    #[error("{0:?} is not the address of charts: it has a host and a path, and nothing behind them")]
    Form(String),
    /// It leads elsewhere than it begins.
    #[error("{0:?} is not the address of charts: leave out the parts `.` and `..`")]
    Dots(String),
    /// It is no part of a registry.
    #[error("{address:?} is not a part of a registry: {why}")]
    Registry {
        /// As it is written.
        address: String,
        /// What is wrong.
        why: &'static str,
    },
    /// It cannot be the name of a chart.
    #[error("{0:?} is not the name of a chart: write letters, digits, '.', '_' and '-'")]
    Name(String),
}

impl Repository {
    /// Reads an address.
    ///
    /// # Errors
    /// Where charts cannot be fetched from it.
    pub fn read(address: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = address.split_once("://").ok_or_else(|| AddressError::Scheme(address.to_owned()))?;
        let host = rest.split('/').next().unwrap_or_default();
        if host.contains('@') {
            return Err(AddressError::Login);
        }
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '\\');
        if host.is_empty() || rest.contains(is_odd) {
            return Err(AddressError::Form(address.to_owned()));
        }
        let is_dots = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if rest.split('/').any(is_dots) {
            return Err(AddressError::Dots(address.to_owned()));
        }
        let rest = rest.trim_end_matches('/');
        match scheme {
            "http" | "https" => Ok(Self::Http(format!("{scheme}://{rest}"))),
            "oci" => match ImageRef::parse(&format!("{rest}/chart")) {
                Ok(image) if image.tag().is_some() || image.digest().is_some() => {
                    Err(AddressError::Form(address.to_owned()))
                }
                Ok(_) if host.contains(['.', ':']) || host == "localhost" => Ok(Self::Oci(rest.to_owned())),
                Ok(_) => {
                    Err(AddressError::Registry { address: address.to_owned(), why: "it does not begin with a host" })
                }
                Err(error) => Err(AddressError::Registry { address: address.to_owned(), why: error.why }),
            },
            _ => Err(AddressError::Scheme(address.to_owned())),
        }
    }

    /// Whether another one is this one, or below it.
    pub fn covers(&self, other: &Self) -> bool {
        let (this, other) = (self.to_string(), other.to_string());
        other.strip_prefix(&this).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The repository of a chart in its registry; nothing of an HTTP repository, or where the name cannot be in a registry.
    pub fn image(&self, name: &str) -> Option<ImageRef> {
        match self {
            Self::Oci(part) => ImageRef::parse(&format!("{part}/{name}")).ok(),
            Self::Http(_) => None,
        }
    }

    /// The same with the tag of a version.
    pub fn tagged(&self, name: &str, version: &str) -> Option<ImageRef> {
        self.image(name)?.with_tag(&versions::tag(version)).ok()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci(part) => write!(f, "oci://{part}"),
            Self::Http(address) => f.write_str(address),
        }
    }
}

/// That a chart may be called so. It becomes part of the names of files.
///
/// # Errors
/// [`AddressError::Name`] otherwise.
pub fn check_name(name: &str) -> Result<(), AddressError> {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let is_good = name.len() <= 250
        && name.bytes().all(is_inner)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if is_good { Ok(()) } else { Err(AddressError::Name(name.chars().take(300).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_charts_are_read_and_others_are_told() {
        let oci = |part: &str| Ok(Repository::Oci(part.to_owned()));
        let http = |address: &str| Ok(Repository::Http(address.to_owned()));
        for (address, read) in [
            ("oci://registry.example/charts/", oci("registry.example/charts")),
            ("oci://localhost:5000", oci("localhost:5000")),
            ("oci://127.0.0.1:5000/a/b", oci("127.0.0.1:5000/a/b")),
            ("https://charts.example", http("https://charts.example")),
            ("http://127.0.0.1:8080/stable/", http("http://127.0.0.1:8080/stable")),
            ("charts.example", Err("write oci://registry.example/charts or https://charts.example")),
            ("ftp://charts.example", Err("write oci://registry.example/charts or https://charts.example")),
            ("https://me:secret@charts.example", Err("has a login in it")),
            ("oci://me@registry.example/charts", Err("has a login in it")),
            ("https://", Err("it has a host and a path")),
            ("https://charts.example/?a=b", Err("it has a host and a path")),
            ("https://charts.example/stable/../private", Err("leave out the parts `.` and `..`")),
            ("https://charts.example/stable/%2E%2e/private", Err("leave out the parts `.` and `..`")),
            ("oci://registry.example/charts:1.0", Err("is not a part of a registry")),
            ("oci://charts/podinfo", Err("it does not begin with a host")),
            ("oci://registry.example/Charts", Err("is not a part of a registry")),
        ] {
            match (Repository::read(address), read) {
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{address}: {error}"),
                (found, expected) => {
                    assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned))
                }
            }
        }
        assert!(!Repository::read("https://me:secret@charts.example").unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn an_address_covers_all_below_it_and_nothing_beside_it() {
        let read = |address: &str| Repository::read(address).unwrap();
        for (named, asked, is_covered) in [
            ("https://charts.example", "https://charts.example/", true),
            ("https://charts.example/", "https://charts.example/stable", true),
            ("https://charts.example/stable", "https://charts.example", false),
            ("https://charts.example/stable", "https://charts.example/stable-2", false),
            ("https://charts.example", "https://charts.example.org", false),
            ("https://charts.example", "http://charts.example", false),
            ("oci://registry.example/charts", "oci://registry.example/charts/team", true),
            ("oci://registry.example:5000", "oci://registry.example", false),
        ] {
            assert_eq!(read(named).covers(&read(asked)), is_covered, "{named} {asked}");
        }
    }

    #[test]
    fn a_version_is_a_tag_of_the_repository_of_its_chart() {
        let charts = Repository::read("oci://registry.example/charts").unwrap();
        let tagged = charts.tagged("podinfo", "6.7.1+build.5").unwrap();
        assert_eq!(tagged.to_string(), "registry.example/charts/podinfo:6.7.1_build.5");
        assert_eq!(charts.image("Podinfo"), None);
        assert_eq!(Repository::read("https://charts.example").unwrap().image("podinfo"), None);
        for (name, is_good) in [
            ("podinfo", true),
            ("kube-prometheus_stack.2", true),
            ("", false),
            ("../a", false),
            ("a/b", false),
            (".a", false),
            ("a b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), is_good, "{name}");
        }
    }
}
