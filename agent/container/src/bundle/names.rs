//! Where the parts of a bundle go in a registry, and how containerd finds them there.

use std::fmt;

use quarterdeck_core::image_ref::{DOCKER_HUB, ImageRef, ImageRefError};

/// A registry, and the path in it below which everything goes: `registry.corp/mirror`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is not the beginning of a name.
    pub fn read(text: &str) -> Result<Self, ImageRefError> {
        let below = ImageRef::parse(&format!("{}/x", text.trim_end_matches('/')))?;
        Ok(Self::above(&below))
    }

    /// The one in which a repository is.
    pub fn above(image: &ImageRef) -> Self {
        let name = image.name();
        Self(name.rsplit_once('/').map_or(&*name, |(above, _)| above).to_owned())
    }

    /// A repository below it.
    ///
    /// # Errors
    /// Where that makes no name.
    pub fn below(&self, path: &str) -> Result<ImageRef, ImageRefError> {
        ImageRef::parse(&format!("{}/{path}", self.0))
    }

    /// Where an image of elsewhere goes.
    ///
    /// # Errors
    /// Where that makes no name.
    pub fn mirrors(&self, image: &ImageRef) -> Result<ImageRef, ImageRefError> {
        self.below(&format!("{}/{}", folder(image.registry()), image.repository()))
    }

    /// What containerd needs in `hosts.toml` to find the images of a host here under their own names.
    pub fn hosts_toml(&self, host: &str, is_plain: bool) -> String {
        let (registry, path) = self.0.split_once('/').unwrap_or((&self.0, ""));
        let path = if path.is_empty() { folder(host) } else { format!("{path}/{}", folder(host)) };
        let server = if host == DOCKER_HUB { "registry-1.docker.io" } else { host };
        let scheme = if is_plain { "http" } else { "https" };
        format!(
            "# /etc/containerd/certs.d/{host}/hosts.toml\nserver = \"https://{server}\"\n\n\
             [host.\"{scheme}://{registry}/v2/{path}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n"
        )
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host as a part of the name of a repository: small letters, and a dash before its port.
fn folder(host: &str) -> String {
    let plain = host.to_ascii_lowercase().replace(['[', ']'], "").replace(':', "-");
    plain.trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_its_place_below_the_prefix() {
        for (prefix, image, place) in [
            (
                "registry.corp/mirror",
                "registry.example:5000/ops/shop:1.4.0",
                "registry.corp/mirror/registry.example-5000/ops/shop",
            ),
            ("registry.corp/mirror/", "alpine", "registry.corp/mirror/docker.io/library/alpine"),
            ("registry.corp", "ghcr.io/a/b", "registry.corp/ghcr.io/a/b"),
            ("localhost:5000/a/b", "Registry.Example/shop", "localhost:5000/a/b/registry.example/shop"),
            ("registry.corp/m", "[::1]:5000/shop", "registry.corp/m/1-5000/shop"),
        ] {
            let image = ImageRef::parse(image).unwrap();
            assert_eq!(Prefix::read(prefix).unwrap().mirrors(&image).unwrap().name(), place);
        }
        for wrong in ["", "registry.corp/Mirror", "https://registry.corp", "registry.corp//a"] {
            assert!(Prefix::read(wrong).is_err(), "{wrong}");
        }
        for (repository, prefix) in
            [("registry.corp/mirror/shop-prod", "registry.corp/mirror"), ("registry.corp/shop-prod", "registry.corp")]
        {
            assert_eq!(Prefix::above(&ImageRef::parse(repository).unwrap()).to_string(), prefix);
        }
    }

    #[test]
    fn containerd_finds_a_host_below_the_prefix() {
        let mirror = Prefix::read("registry.corp/mirror").unwrap();
        assert_eq!(
            mirror.hosts_toml("registry.example:5000", false),
            "# /etc/containerd/certs.d/registry.example:5000/hosts.toml\nserver = \"https://registry.example:5000\"\n\n\
             [host.\"https://registry.corp/v2/mirror/registry.example-5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n"
        );
        let hub = Prefix::read("localhost:5000").unwrap().hosts_toml("docker.io", true);
        assert!(hub.contains("server = \"https://registry-1.docker.io\""), "{hub}");
        assert!(hub.contains("[host.\"http://localhost:5000/v2/docker.io\"]"), "{hub}");
    }
}
