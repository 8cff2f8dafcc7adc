//! What a configuration must keep to beyond its form: names that exist, options that fit together.

use std::collections::BTreeSet;
use std::path::Path;

use super::finding::Finding;
use super::locate::Step;
use super::values::two_places;
use super::{Config, RegistryKind};
use quarterdeck_container::registry::authorities::Authorities;

/// Everything that is wrong; empty where nothing is.
pub fn check(config: &Config, base: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    super::git_source::check(config, base, &mut findings);
    check_agent(config, &mut findings);
    check_webhook(config, &mut findings);
    super::engine::check(&config.engine, &mut findings);
    check_lists(config, base, &mut findings);
    if let Some(message) = config.sops.problem() {
        findings.push(Finding { place: vec![Step::Key("sops"), Step::Key("age_keys")], message });
    }
    super::health::check(&config.health, &mut findings);
    super::application::check(config, base, &mut findings);
    super::source::check(config, base, &mut findings);
    findings
}

/// The files of a daemon and of authorities that cannot be used, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(config: &Config, findings: &mut Vec<Finding>) {
    super::git_source::check_files(config, findings);
    super::engine::check_files(&config.engine, findings);
    for (index, registry) in config.registry.iter().enumerate() {
        if let Some(Err(error)) = registry.ca_file.as_deref().map(Authorities::read) {
            let place = vec![Step::Key("registry"), Step::Index(index), Step::Key("ca_file")];
            findings.push(Finding { place, message: error.to_string() });
        }
    }
}

fn check_agent(config: &Config, findings: &mut Vec<Finding>) {
    let mut say = |option: &'static str, message: &str| {
        findings.push(Finding { place: vec![Step::Key("agent"), Step::Key(option)], message: message.to_owned() });
    };
    if config.agent.poll_interval.0.as_millis() < 100 {
        say(
            "poll_interval",
            "a poll interval below 100ms is too short: write 30s, and use `qd refresh` to poll immediately",
        );
    }
    if config.agent.image_interval.0.as_millis() < 1_000 {
        say(
            "image_interval",
            "an interval below 1s is too short, since registries limit requests: write 5m, and use `qd refresh` to ask immediately",
        );
    }
    if config.agent.max_concurrent_builds == 0 {
        say("max_concurrent_builds", "0 concurrent builds would never build: write 1 or more");
    }
    if config.agent.max_concurrent_syncs == 0 {
        say("max_concurrent_syncs", "0 concurrent syncs would never sync: write 1 or more");
    }
    if let Err(error) = config.agent.log_level.parse::<tracing_subscriber::EnvFilter>() {
        say("log_level", &format!("not a valid log level ({error}): write error, warn, info, debug or trace"));
    }
}

fn check_webhook(config: &Config, findings: &mut Vec<Finding>) {
    for (option, message) in config.webhook.iter().flat_map(|webhook| webhook.problems()) {
        findings.push(Finding { place: vec![Step::Key("webhook"), Step::Key(option)], message });
    }
}

fn check_lists(config: &Config, base: &Path, findings: &mut Vec<Finding>) {
    let mut say = |list: &'static str, index: usize, option: &'static str, message: String| {
        findings.push(Finding { place: vec![Step::Key(list), Step::Index(index), Step::Key(option)], message });
    };
    for (index, registry) in config.registry.iter().enumerate() {
        if registry.host.is_empty() || registry.host.contains('/') {
            say(
                "registry",
                index,
                "host",
                format!("{:?} is not a registry host: write registry.example or localhost:5000", registry.host),
            );
        }
        let twice = two_places("password", registry.password_env.as_ref(), registry.password_file.as_ref());
        if let Some(problem) = twice {
            say("registry", index, "password_file", problem);
        }
        if registry.username.is_none() && (registry.password_env.is_some() || registry.password_file.is_some()) {
            say("registry", index, "host", "a password needs a username beside it".to_owned());
        }
        for (option, is_set) in [("labels", registry.labels), ("deployed_tags", registry.deployed_tags)] {
            if is_set && registry.kind != Some(RegistryKind::Harbor) {
                let message = format!("only Harbor can do this: set kind = \"harbor\", or leave out {option}");
                say("registry", index, option, message);
            }
        }
        for problem in super::registry::problems(registry) {
            say("registry", index, "mirrors", problem);
        }
        if registry.insecure && registry.ca_file.is_some() {
            let message = "plain http shows no certificate: leave out ca_file or insecure".to_owned();
            say("registry", index, "ca_file", message);
        }
    }
    for (index, forge) in config.forge.iter().enumerate() {
        for (option, problem) in forge.problems() {
            say("forge", index, option, problem);
        }
        if config.forge[..index].iter().any(|other| other.url.trim_end_matches('/') == forge.url.trim_end_matches('/'))
        {
            say("forge", index, "url", format!("the forge {} is defined twice: leave out one", forge.url));
        }
    }
    for (index, repository) in config.repository.iter().enumerate() {
        for problem in repository.problems(base) {
            say("repository", index, "url", problem.to_string());
        }
    }
    let mut names = BTreeSet::new();
    for (index, cluster) in config.cluster.iter().enumerate() {
        if !names.insert(&cluster.name) {
            say("cluster", index, "name", format!("cluster {:?} is defined twice: choose another name", cluster.name));
        }
    }
    for (index, rule) in config.access.iter().enumerate() {
        if rule.users.is_empty() && rule.groups.is_empty() {
            say("access", index, "role", "this rule applies to no one: name users or groups".to_owned());
        }
    }
}
