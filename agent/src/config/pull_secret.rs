//! `[[application.environment.pull_secret]]`: logins that the cluster of an environment gets, so that it can pull images. One
//! table for each registry; those of one name are one Secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::application::{PullLogin, PullSecretSpec, ValueFrom};
use serde::Deserialize;

use super::finding::Finding;
use super::locate::Step;
use super::values::{no_place, two_places};

/// The name of the Secret where none is written.
const NAME: &str = "quarterdeck-pull";

/// The ServiceAccount of pods that name none.
const ACCOUNT: &str = "default";

/// The option, as findings name it.
const OPTION: &str = "pull_secret";

/// A login as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPullSecret {
    registry: String,
    #[serde(default = "name")]
    name: String,
    username: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default = "service_accounts")]
    service_accounts: Vec<String>,
}

fn name() -> String {
    NAME.to_owned()
}

fn service_accounts() -> Vec<String> {
    vec![ACCOUNT.to_owned()]
}

/// The Secrets that were found right; relative paths in them begin at `base`.
pub(super) fn read(written: Vec<WrittenPullSecret>, base: &Path) -> Vec<PullSecretSpec> {
    let mut secrets: Vec<PullSecretSpec> = Vec::new();
    for WrittenPullSecret { registry, name, username, password_env, password_file, service_accounts } in written {
        let file = |file: PathBuf| ValueFrom::File { file: base.join(file).display().to_string() };
        let password = password_env.map(|env| ValueFrom::Environment { env }).or(password_file.map(file));
        let login = PullLogin { registry, own: username.zip(password) };
        let place = secrets.iter().position(|secret| secret.name == name).unwrap_or_else(|| {
            secrets.push(PullSecretSpec { name, registries: Vec::new(), service_accounts: Vec::new() });
            secrets.len() - 1
        });
        let PullSecretSpec { registries, service_accounts: accounts, .. } = &mut secrets[place];
        registries.push(login);
        for account in service_accounts {
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
    }
    secrets
}

/// An environment, as far as it has pull secrets.
pub(super) struct Owner<'a> {
    /// Its place among the applications, and among the environments of its own.
    pub(super) at: (usize, usize),
    /// `shop/prod`
    pub(super) name: String,
    pub(super) cluster: Option<&'a str>,
    pub(super) namespace: &'a str,
    pub(super) secrets: &'a [WrittenPullSecret],
}

/// Everything that is wrong with those of all environments: two that share a namespace must not write one Secret.
pub(super) fn check<'a>(owners: impl Iterator<Item = Owner<'a>>, findings: &mut Vec<Finding>) {
    let mut taken: BTreeMap<(Option<&str>, &str, &str), String> = BTreeMap::new();
    for Owner { at: (application, environment), name: owner, cluster, namespace, secrets } in owners {
        let mut logins = BTreeSet::new();
        for (number, one) in secrets.iter().enumerate() {
            let mut say = |key: &'static str, message: String| {
                let lists = [("application", application), ("environment", environment), (OPTION, number)];
                let steps = lists.into_iter().flat_map(|(list, at)| [Step::Key(list), Step::Index(at)]);
                findings.push(Finding { place: steps.chain([Step::Key(key)]).collect(), message });
            };
            if !logins.insert((&one.name, &one.registry)) {
                say("registry", format!("{} is in the Secret {} twice: leave out one", one.registry, one.name));
            }
            let other = taken.entry((cluster, namespace, &*one.name)).or_insert_with(|| owner.clone());
            if *other != owner {
                let name = &one.name;
                say("name", format!("{other} has a Secret {name} in namespace {namespace}: choose another name"));
            }
            check_one(one, &mut say);
        }
    }
}

fn check_one(one: &WrittenPullSecret, say: &mut impl FnMut(&'static str, String)) {
    let WrittenPullSecret { registry, name, username, password_env, password_file, service_accounts } = one;
    let image = ImageRef::parse(&format!("{registry}/image"));
    if registry.contains('/') || !image.is_ok_and(|image| image.registry() == registry) {
        say("registry", format!("{registry:?} is not a registry host: write registry.example or localhost:5000"));
    }
    if !is_object_name(name) {
        say("name", format!("{name:?} is not a valid name of a Secret: write a-z, 0-9, '-' and '.'"));
    }
    if let Some(account) = service_accounts.iter().find(|account| !is_object_name(account)) {
        let message = format!("{account:?} is not a valid name of a ServiceAccount: write a-z, 0-9, '-' and '.'");
        say("service_accounts", message);
    }
    let (env, file) = (password_env.as_ref(), password_file.as_ref());
    match two_places("password", env, file) {
        Some(problem) => say("password_file", problem),
        None if username.is_some() => no_place("password", env, file).into_iter().for_each(|why| say("username", why)),
        None if env.is_some() || file.is_some() => {
            say("registry", "a password needs a username beside it".to_owned());
        }
        None => {}
    }
}

/// A DNS subdomain (RFC 1123), as the API server wants names of Secrets and ServiceAccounts.
fn is_object_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_one_name_are_one_secret() {
        let written = |text: &str| toml::from_str::<WrittenPullSecret>(text).unwrap();
        let secrets = read(
            vec![
                written("registry = 'a.example'"),
                written(
                    "registry = 'b.example'\nusername = 'u'\npassword_file = 'p'\nservice_accounts = ['default', 'job']",
                ),
                written("registry = 'a.example'\nname = 'other'\nservice_accounts = []"),
            ],
            Path::new("/etc/qd"),
        );
        let login = |registry: &str, own| PullLogin { registry: registry.to_owned(), own };
        let own = Some(("u".to_owned(), ValueFrom::File { file: "/etc/qd/p".to_owned() }));
        let secret = |name: &str, registries, accounts: &[&str]| PullSecretSpec {
            name: name.to_owned(),
            registries,
            service_accounts: accounts.iter().map(|account| (*account).to_owned()).collect(),
        };
        assert_eq!(
            secrets,
            [
                secret(NAME, vec![login("a.example", None), login("b.example", own)], &["default", "job"]),
                secret("other", vec![login("a.example", None)], &[]),
            ]
        );
    }
}
