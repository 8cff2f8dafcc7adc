//! Which applications use a repository of one's own.

use std::path::Path;

use quarterdeck_git::local;
use quarterdeck_git::url::RepositoryUrl;

use crate::config::Config;

/// The sources, applications and environments of a configuration whose repository is this directory, under whatever address.
/// `base` is what relative addresses begin at. What the applications of a source use only a running agent knows.
pub(super) fn used_by(config: &Config, base: &Path, directory: &Path) -> Vec<String> {
    let Ok(directory) = std::fs::canonicalize(directory) else { return Vec::new() };
    let is_it = |address: &str| RepositoryUrl::parse(address, base).is_ok_and(|url| local::leads_to(&url, &directory));
    let sources = config.application_source.iter().filter(|source| is_it(&source.repository));
    let configuration = config.configuration.iter().filter(|configuration| is_it(&configuration.repository));
    let configuration = configuration.map(|_| "the configuration".to_owned());
    let sources = sources.map(|source| format!("source {}", source.name));
    let mut users: Vec<String> = configuration.chain(sources).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_applications_uses_its_repository() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[[application_source]]\nname = 'teams'\nrepository = '{}'\npath = ''\nclusters = ['c']\nnamespaces = ['*']\n",
            folder.path().display()
        );
        let config = Config::parse(Path::new("/etc/qd/config.toml"), &text).unwrap();
        assert_eq!(used_by(&config, Path::new("/etc/qd"), folder.path()), ["source teams"]);
        let text = format!("[configuration]\nrepository = '{}'\n", folder.path().display());
        let config = Config::parse(Path::new("/etc/qd/config.toml"), &text).unwrap();
        assert_eq!(used_by(&config, Path::new("/etc/qd"), folder.path()), ["the configuration"]);
        let other = tempfile::tempdir().unwrap();
        assert_eq!(used_by(&config, Path::new("/etc/qd"), other.path()), Vec::<String>::new());
    }
}
