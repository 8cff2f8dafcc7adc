//! The configuration: any text is taken or refused with places that are in the text; what is taken keeps to its own
//! rules, and no address ever shows what stands before its `@`.

use std::collections::BTreeSet;
use std::path::Path;

use quarterdeck_agent::config::{Config, ConfigError, Problem};
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::{ApplicationSpec, EnvironmentSpec, PromoteBy};

const FOLDER: &str = "/etc/qd";

/// `data` is the file.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(&Path::new(FOLDER).join("config.toml"), text) {
        Ok(config) => is_valid(&config),
        Err(ConfigError::Wrong { problems }) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|problem| is_in_text(problem, text));
        }
        Err(error) => panic!("a text is not read from a disk: {error}"),
    }
    text.split(['"', '\'']).filter(|part| part.contains("://")).for_each(hides_who_logs_in);
}

fn is_in_text(problem: &Problem, text: &str) {
    assert!(!problem.message.trim().is_empty(), "{problem:?}");
    let line = text.split('\n').nth(problem.line.checked_sub(1).expect("lines are counted from 1"));
    let line = line.unwrap_or_else(|| panic!("{problem} names a line that is not there"));
    assert!((1..=line.len() + 1).contains(&problem.column), "{problem} names a column that is not there");
}

fn is_valid(config: &Config) {
    assert!(config.agent.poll_interval.0.as_millis() >= 100 && config.agent.max_concurrent_builds > 0);
    let names: BTreeSet<_> = config.applications.iter().map(|application| &application.name).collect();
    assert_eq!(names.len(), config.applications.len());
    for application in &config.applications {
        let ApplicationSpec { name, delivery, environments, followed } = application;
        assert!(delivery.is_some() || !environments.is_empty(), "{name} has nothing to do");
        assert!(delivery.as_ref().is_none_or(|delivery| !delivery.images.is_empty()), "{name} builds nothing");
        let names: BTreeSet<_> = environments.iter().map(|environment| &environment.name).collect();
        assert_eq!(names.len(), environments.len(), "{name}");
        let followed: BTreeSet<_> = followed.iter().map(|one| &one.image).collect();
        let built = delivery.iter().flat_map(|delivery| &delivery.images);
        assert!(built.map(|image| &image.name).all(|name| !followed.contains(name)), "{name} follows what it builds");
        let promotes = |one: &&EnvironmentSpec| delivery.is_some() && one.promote.by != PromoteBy::None;
        let on_a_tag =
            environments.iter().filter(promotes).find(|one| !one.follow.is_branch() || one.artifact.is_some());
        assert!(on_a_tag.is_none(), "{name} promotes to a tag");
    }
}

fn hides_who_logs_in(address: &str) {
    const SECRET: &str = "hunter2";
    let Some((scheme, rest)) = address.split_once("://") else { return };
    let authority = rest.split('/').next().unwrap_or_default();
    let is_http = matches!(scheme.trim().to_ascii_lowercase().as_str(), "http" | "https");
    if !is_http || !authority.contains('@') || address.contains(SECRET) {
        return;
    }
    let address = format!("{scheme}://{SECRET}{rest}");
    match RepositoryUrl::parse(&address, Path::new(FOLDER)) {
        Ok(url) => {
            let mirror = url.mirror_name();
            let shown = format!("{url} {url:?} {} {mirror}", url.key());
            assert!(!shown.contains(SECRET), "{address} is shown as {shown}");
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            assert!(mirror.chars().all(plain) && !mirror.starts_with('.') && mirror.len() < 100, "{mirror}");
        }
        Err(error) => assert!(!error.to_string().contains(SECRET), "{address} is told as {error}"),
    }
}
