//! Which applications use a repository of one's own.

use std::path::Path;

use quarterdeck_git::local;
use quarterdeck_git::url::RepositoryUrl;

use crate::config::Config;

/// The applications and environments of a configuration whose repository is this directory, under whatever address.
/// `base` is what relative addresses begin at.
pub(super) fn used_by(config: &Config, base: &Path, directory: &Path) -> Vec<String> {
    let Ok(directory) = std::fs::canonicalize(directory) else { return Vec::new() };
    let is_it = |address: &str| RepositoryUrl::parse(address, base).is_ok_and(|url| local::leads_to(&url, &directory));
    let mut users = Vec::new();
    for application in &config.applications {
        let name = &application.name;
        if application.delivery.as_ref().is_some_and(|delivery| is_it(&delivery.code.repository)) {
            users.push(name.to_string());
        }
        let environments = application.environments.iter().filter(|one| is_it(&one.repository));
        users.extend(environments.map(|one| format!("{name}/{}", one.name)));
    }
    users
}
