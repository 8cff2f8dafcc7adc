//! How a Helm chart is rendered, as it is written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quarterdeck_container::charts::keyring;
use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_core::charts::address::{Repository, check_name};
use quarterdeck_core::charts::versions::Wanted;
use serde::Deserialize;
use serde_json::Value;

use quarterdeck_git::url::redact;
use quarterdeck_shared::application::{
    ApplicationName, ApplicationSpec, ChartSpec, DependencyRepository, FileParameter, HelmSpec, RenderKind,
};
use quarterdeck_shared::error::chain;

use super::Interval;
use super::finding::Finding;
use super::kustomize::WrittenPostRender;
use super::locate::Step;
use super::values::{escapes, has_date, two_places};

/// Repositories that a chart may have its dependencies from: as many as it may have of these.
const DEPENDENCIES_MAX: usize = 100;

/// `[application.environment.helm]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenHelm {
    chart: Option<WrittenChart>,
    dependencies: Vec<WrittenDependency>,
    release_name: Option<String>,
    pub(super) values_files: Vec<String>,
    values: serde_json::Map<String, Value>,
    pub(super) file_parameters: Vec<FileParameter>,
    skip_crds: bool,
    pub(super) skip_hooks: bool,
    hook_timeout: Option<Interval>,
    pub(super) post_render: Option<WrittenPostRender>,
}

impl WrittenHelm {
    /// What it means.
    pub(super) fn read(self, base: &Path) -> HelmSpec {
        let Self {
            chart,
            dependencies,
            release_name,
            values_files,
            values,
            file_parameters,
            skip_crds,
            skip_hooks,
            hook_timeout,
            post_render,
        } = self;
        let dependencies = dependencies.into_iter().map(|dependency| dependency.read(base)).collect();
        let hook_timeout = hook_timeout.map_or(HelmSpec::HOOK_TIMEOUT, |timeout| timeout.0);
        let chart = chart.map(|chart| chart.read(base));
        let post_render = post_render.map(WrittenPostRender::read);
        HelmSpec {
            chart,
            dependencies,
            release_name,
            values_files,
            values,
            file_parameters,
            skip_crds,
            skip_hooks,
            hook_timeout,
            post_render,
        }
    }

    /// Whether the chart comes from elsewhere.
    pub(super) fn has_chart(&self) -> bool {
        self.chart.is_some()
    }

    /// Everything that is wrong with it.
    pub(super) fn check(&self, path: &str, render: RenderKind, say: &mut impl FnMut(&[&'static str], String)) {
        if let Some(chart) = &self.chart {
            chart.check(say);
            if !path.is_empty() {
                let message =
                    "the chart comes from helm.chart, and path is the folder of a chart: leave out one of the two";
                say(&["path"], message.to_owned());
            }
        }
        if self.chart.is_some() && !self.dependencies.is_empty() {
            let message =
                "what a packaged chart depends on is in its archive: leave out helm.chart or helm.dependencies";
            say(&["helm", "dependencies"], message.to_owned());
        }
        self.check_dependencies(&mut |message| say(&["helm", "dependencies"], message));
        if *self != Self::default() && matches!(render, RenderKind::Plain | RenderKind::Kustomize | RenderKind::Jsonnet)
        {
            say(&["helm"], "settings of a chart, and render is not \"helm\": leave out one of the two".to_owned());
        }
        // What helm takes for the name of a release; the same rule as for names of applications.
        if let Some(name) = self.release_name.as_ref().filter(|name| name.parse::<ApplicationName>().is_err()) {
            let rule = "write lower-case letters, digits and '-', 53 at most";
            say(&["helm", "release_name"], format!("{name:?} is not a valid name of a release: {rule}"));
        }
        if self.values.values().any(has_date) {
            say(&["helm", "values"], "a date is not a value of a chart: write it in quotes".to_owned());
        }
        for path in self.values_files.iter().filter(|path| path.is_empty() || escapes(path)) {
            say(&["helm", "values_files"], format!("the values file {path:?} must be a file inside the repository"));
        }
        self.check_file_parameters(say);
        if let Some(post_render) = &self.post_render {
            post_render.check(say);
        }
        if self.hook_timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            say(&["helm", "hook_timeout"], "a hook takes longer than no time: write 5m".to_owned());
        }
    }
}

impl WrittenHelm {
    fn check_file_parameters(&self, say: &mut impl FnMut(&[&'static str], String)) {
        let mut say = |message: String| say(&["helm", "file_parameters"], message);
        if self.file_parameters.len() > FILE_PARAMETERS_MAX {
            let count = self.file_parameters.len();
            say(format!("{count} file_parameters are more than {FILE_PARAMETERS_MAX}: write some as values"));
        }
        for FileParameter { name, path } in &self.file_parameters {
            // Helm reads several of them in one text, and each as NAME=FILE.
            if name.is_empty() || name.contains([',', '=', '\n']) {
                say(format!("{name:?} is not the name of a value: write its keys with dots, as config.text"));
            }
            if path.is_empty() || escapes(path) {
                say(format!("the file {path:?} of the parameter {name} must be a file inside the repository"));
            }
        }
    }

    fn check_dependencies(&self, say: &mut impl FnMut(String)) {
        if self.dependencies.len() > DEPENDENCIES_MAX {
            let count = self.dependencies.len();
            say(format!(
                "{count} repositories of dependencies are more than {DEPENDENCIES_MAX}: name what they are below"
            ));
        }
        let mut addresses = BTreeSet::new();
        for dependency in &self.dependencies {
            dependency.check(say);
            let address = dependency.whole().repository;
            let address = Repository::read(&address).map_or(address, |read| read.to_string());
            if !addresses.insert(address.clone()) {
                say(format!("{} is named twice: leave out one of the two", redact(&address)));
            }
        }
    }
}

/// Files whose texts are values: each is an argument of helm, and charts that want one want some.
const FILE_PARAMETERS_MAX: usize = 100;
/// A repository of `dependencies`: its address, or a table with the login beside it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "write its address, or { repository, username, password_file }")]
enum WrittenDependency {
    Address(String),
    WithLogin(WrittenLogin),
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLogin {
    repository: String,
    username: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
}

impl WrittenDependency {
    fn whole(&self) -> WrittenLogin {
        match self {
            Self::Address(repository) => WrittenLogin { repository: repository.clone(), ..WrittenLogin::default() },
            Self::WithLogin(login) => login.clone(),
        }
    }

    fn read(self, base: &Path) -> DependencyRepository {
        let WrittenLogin { repository, username, password_env, password_file } = self.whole();
        let repository = Repository::read(&repository).map_or(repository, |read| read.to_string());
        let password_file = password_file.map(|file| base.join(file));
        DependencyRepository { repository, username, password_env, password_file }
    }

    fn check(&self, say: &mut impl FnMut(String)) {
        let WrittenLogin { repository, username, password_env, password_file } = self.whole();
        let has_password = password_env.is_some() || password_file.is_some();
        check_login(&repository, username.is_some(), has_password, say);
        if let Some(problem) = two_places("password", password_env.as_ref(), password_file.as_ref()) {
            say(problem);
        }
    }
}

/// What is wrong with the address of a repository, and with a login beside it.
fn check_login(repository: &str, has_username: bool, has_password: bool, say: &mut impl FnMut(String)) {
    match Repository::read(repository) {
        Err(error) => say(error.to_string()),
        Ok(Repository::Oci(_)) if has_username || has_password => {
            say("the login to a registry is that of [[registry]], or of `docker login`: leave out the one here"
                .to_owned())
        }
        Ok(Repository::Http(address)) if has_password && is_plain(&address) => {
            say("the password would go over plain http, readable on the way: write https://".to_owned());
        }
        Ok(_) if has_username != has_password => {
            say("a login has a username and a password_file or password_env: add what is missing".to_owned());
        }
        Ok(_) => {}
    }
}

/// `[application.environment.helm.chart]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChart {
    repository: String,
    name: String,
    version: String,
    username: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    verify_keyring: Option<PathBuf>,
    #[serde(default)]
    verify: Vec<PathBuf>,
}

impl WrittenChart {
    fn read(self, base: &Path) -> ChartSpec {
        let Self { repository, name, version, username, password_env, password_file, verify_keyring, verify } = self;
        let repository = Repository::read(&repository).map_or(repository, |read| read.to_string());
        let password_file = password_file.map(|file| base.join(file));
        let verify_keyring = verify_keyring.map(|file| base.join(file));
        let verify = verify.into_iter().map(|key| base.join(key)).collect();
        ChartSpec { repository, name, version, username, password_env, password_file, verify_keyring, verify }
    }

    fn check(&self, say: &mut impl FnMut(&[&'static str], String)) {
        let mut say = |option: &'static str, message: String| say(&["helm", "chart", option], message);
        let Self { repository, name, version, username, password_env, password_file, verify_keyring, verify } = self;
        let read = Repository::read(repository);
        if let Err(error) = check_name(name) {
            say("name", error.to_string());
        } else if let Ok(charts @ Repository::Oci(_)) = &read
            && charts.image(name).is_none()
        {
            say("name", format!("{name:?} is not the name of a chart in a registry: write it in lower case"));
        }
        if let Err(error) = Wanted::read(version) {
            say("version", format!("{error}: write a version, as 6.7.1, or a range, as 6.x or >=6.7 <7"));
        }
        if verify_keyring.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            say("verify_keyring", "a keyring has no file: write verify_keyring = \"chart-signers.asc\"".to_owned());
        }
        if verify.iter().any(|key| key.as_os_str().is_empty()) {
            say("verify", "a public key has no file: write verify = [\"cosign.pub\"]".to_owned());
        }
        if !verify.is_empty() && matches!(read, Ok(Repository::Http(_))) {
            let message = "cosign signs charts in registries: write verify_keyring, whose keys signed the .prov file";
            say("verify", message.to_owned());
        }
        let has_password = password_env.is_some() || password_file.is_some();
        check_login(repository, username.is_some(), has_password, &mut |message| say("repository", message));
        if let Some(problem) = two_places("password", password_env.as_ref(), password_file.as_ref()) {
            say("password_file", problem);
        }
    }
}

/// The keys that cannot be read, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(applications: &[ApplicationSpec], findings: &mut Vec<Finding>) {
    for (index, application) in applications.iter().enumerate() {
        for (at, environment) in application.environments.iter().enumerate() {
            let Some(chart) = &environment.helm.chart else { continue };
            let keyring = chart.verify_keyring.iter().filter_map(|file| keyring::read(file).err());
            let keyring = keyring.map(|error| ("verify_keyring", chain(&error)));
            let keys = chart.verify.iter().filter_map(|key| PublicKey::read(key).err());
            let keys = keys.map(|error| ("verify", chain(&error)));
            for (option, message) in keyring.chain(keys) {
                let place = [
                    Step::Key("application"),
                    Step::Index(index),
                    Step::Key("environment"),
                    Step::Index(at),
                    Step::Key("helm"),
                    Step::Key("chart"),
                    Step::Key(option),
                ];
                findings.push(Finding { place: place.to_vec(), message });
            }
        }
    }
}

/// Whether an address is of plain http to another machine.
pub(super) fn is_plain(address: &str) -> bool {
    let host = address.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    name.is_some_and(|name| !matches!(name, "localhost" | "127.0.0.1" | "[::1]"))
}
