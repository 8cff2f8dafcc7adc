//! `[engine]`: where images are built and tested.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::locate::Step;

/// The container engine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// `unix:///var/run/docker.sock`, `tcp://host:port`; found as the docker program finds it where absent.
    pub address: Option<String>,
    /// Which builder of a Docker engine.
    pub builder: BuilderKind,
    /// The daemon that builds instead of the engine.
    pub buildkit: Option<BuildkitConfig>,
}

/// Which builder of a Docker engine is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuilderKind {
    /// BuildKit where the engine offers it.
    #[default]
    Auto,
    /// BuildKit or nothing.
    Buildkit,
    /// The classic builder.
    Classic,
}

/// A BuildKit daemon.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildkitConfig {
    /// As `buildctl --addr` takes it.
    pub address: String,
    /// The authority of the daemon's certificate.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

/// How `buildctl` reaches a daemon, each with an address to show.
const SCHEMES: [(&str, &str); 7] = [
    ("tcp", "tcp://build.example:1234"),
    ("unix", "unix:///run/buildkit/buildkitd.sock"),
    ("kube-pod", "kube-pod://buildkitd?namespace=build"),
    ("docker-container", "docker-container://buildkitd"),
    ("podman-container", "podman-container://buildkitd"),
    ("nerdctl-container", "nerdctl-container://buildkitd"),
    ("ssh", "ssh://user@build.example"),
];

impl EngineConfig {
    /// Relative paths begin at `base`.
    pub(super) fn anchor(&mut self, base: &Path) {
        let files = self.buildkit.iter_mut().flat_map(|one| [&mut one.ca_file, &mut one.cert_file, &mut one.key_file]);
        files.flatten().for_each(|file| *file = base.join(&*file));
    }
}

impl BuildkitConfig {
    /// The files, by their options.
    fn files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let all = [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        all.into_iter().filter_map(|(option, file)| Some((option, file.as_ref()?)))
    }

    /// What is wrong with it, by option.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let (scheme, rest) = self.address.split_once("://").unwrap_or_default();
        if !SCHEMES.iter().any(|(known, _)| *known == scheme) || rest.is_empty() {
            let examples = SCHEMES.map(|(_, example)| example).join(", ");
            problems.push((
                "address",
                format!("{:?} is not a valid address of a BuildKit daemon: write e.g. {examples}", self.address),
            ));
        } else if scheme == "tcp" && rest.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            problems.push(("address", format!("{:?} names no port: write tcp://build.example:1234", self.address)));
        }
        if let Some((option, _)) = self.files().next().filter(|_| scheme != "tcp") {
            problems.push((
                option,
                format!("certificates are for tcp:// addresses, and this is {scheme}://: leave out {option}"),
            ));
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => problems.push(("cert_file", "a certificate needs its key: set key_file".to_owned())),
            (None, Some(_)) => problems.push(("key_file", "a key needs its certificate: set cert_file".to_owned())),
            _ => {}
        }
        problems
    }
}

fn place(option: &'static str) -> Vec<Step> {
    ["engine", "buildkit", option].map(Step::Key).into()
}

/// What is wrong with the table, without a look at the disk.
pub(super) fn check(engine: &EngineConfig, findings: &mut Vec<Finding>) {
    let Some(buildkit) = &engine.buildkit else { return };
    findings.extend(buildkit.problems().into_iter().map(|(option, message)| Finding { place: place(option), message }));
    if engine.builder != BuilderKind::Auto {
        let message =
            "builder says how the engine builds, and [engine.buildkit] builds instead: leave out one".to_owned();
        findings.push(Finding { place: ["engine", "builder"].map(Step::Key).into(), message });
    }
}

/// The files that cannot be read, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(engine: &EngineConfig, findings: &mut Vec<Finding>) {
    for (option, file) in engine.buildkit.iter().flat_map(BuildkitConfig::files) {
        if let Err(error) = std::fs::File::open(file) {
            findings.push(Finding { place: place(option), message: format!("{}: {error}", file.display()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_files_that_cannot_be_used_are_told() {
        let of = |text: &str| {
            let config: BuildkitConfig = toml::from_str(text).unwrap();
            config.problems().into_iter().map(|(option, message)| format!("{option}: {message}")).collect::<Vec<_>>()
        };
        for (_, example) in SCHEMES {
            assert_eq!(of(&format!("address = '{example}'")), Vec::<String>::new());
        }
        for (text, told) in [
            ("address = 'build.example:1234'", "address: \"build.example:1234\" is not a valid address"),
            ("address = 'https://build.example'", "address: \"https://build.example\" is not a valid address"),
            ("address = 'unix://'", "address: \"unix://\" is not a valid address"),
            ("address = 'tcp://build.example'", "names no port: write tcp://build.example:1234"),
            ("address = 'unix:///a'\nca_file = 'a'", "ca_file: certificates are for tcp:// addresses"),
            ("address = 'tcp://a:1'\ncert_file = 'a'", "cert_file: a certificate needs its key"),
            ("address = 'tcp://a:1'\nkey_file = 'a'", "key_file: a key needs its certificate"),
        ] {
            let problems = of(text);
            assert!(problems.len() == 1 && problems[0].contains(told), "{text}: {problems:?}");
        }
    }
}
