//! What a configuration must keep to beyond its form: names that exist, options that fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quarterdeck_shared::application::{ApplicationSpec, PromoteBy};

use super::Config;
use super::locate::Step;
use quarterdeck_core::trigger::{TagRules, TagTemplate};

/// Something wrong, and the place of the option that has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The way to the option.
    pub place: Vec<Step>,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything that is wrong; empty where nothing is.
pub fn check(config: &Config, base: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_agent(config, &mut findings);
    check_lists(config, base, &mut findings);
    super::health::check(&config.health, &mut findings);
    let mut first_with: BTreeMap<&str, usize> = BTreeMap::new();
    let clusters: BTreeSet<&str> = config.cluster.iter().map(|c| c.name.as_str()).collect();
    for (index, application) in config.application.iter().enumerate() {
        let mut say = |keys: &[&'static str], message: String| {
            let mut place = vec![Step::Key("application"), Step::Index(index)];
            place.extend(keys.iter().map(|key| Step::Key(key)));
            findings.push(Finding { place, message });
        };
        if let Some(other) = first_with.insert(application.name.as_str(), index) {
            say(
                &["name"],
                format!(
                    "application {} is there twice, also as number {}: choose another name",
                    application.name,
                    other + 1
                ),
            );
        }
        check_application(application, &clusters, base, &mut say);
    }
    findings
}

fn check_agent(config: &Config, findings: &mut Vec<Finding>) {
    let mut say = |option: &'static str, message: &str| {
        findings.push(Finding { place: vec![Step::Key("agent"), Step::Key(option)], message: message.to_owned() });
    };
    if config.agent.poll_interval.0.as_millis() < 100 {
        say(
            "poll_interval",
            "a poll interval below 100ms only hammers the remote: write 30s, or wake the agent with `qd refresh`",
        );
    }
    if config.agent.max_concurrent_builds == 0 {
        say("max_concurrent_builds", "0 builds at once would never build: write 1 or more");
    }
    if config.agent.max_concurrent_syncs == 0 {
        say("max_concurrent_syncs", "0 syncs at once would never sync: write 1 or more");
    }
    if let Err(error) = config.agent.log_level.parse::<tracing_subscriber::EnvFilter>() {
        say("log_level", &format!("no log level ({error}): write error, warn, info, debug or trace"));
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
                format!("{:?} is no registry host: write registry.example or localhost:5000", registry.host),
            );
        }
        if registry.password_env.is_some() && registry.password_file.is_some() {
            say(
                "registry",
                index,
                "password_file",
                "the password comes from one place: leave out password_env or password_file".to_owned(),
            );
        }
        if registry.username.is_none() && (registry.password_env.is_some() || registry.password_file.is_some()) {
            say("registry", index, "host", "a password needs a username beside it".to_owned());
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
            say("cluster", index, "name", format!("cluster {:?} is there twice: choose another name", cluster.name));
        }
    }
    for (index, rule) in config.access.iter().enumerate() {
        if rule.users.is_empty() && rule.groups.is_empty() {
            say("access", index, "role", "this rule is for nobody: name users or groups".to_owned());
        }
    }
}

fn check_application(
    application: &ApplicationSpec,
    clusters: &BTreeSet<&str>,
    base: &Path,
    say: &mut impl FnMut(&[&'static str], String),
) {
    let ApplicationSpec { name, code, build, deploy, sync: _, promote, protected: _ } = application;
    if code.is_none() && deploy.is_none() {
        say(
            &["name"],
            format!(
                "application {name} has nothing to do: give it [application.code] with [application.build], or [application.deploy]"
            ),
        );
    }
    if build.is_some() && code.is_none() {
        say(
            &["build"],
            format!("application {name} has a build and no code: add [application.code] with repository = \"…\""),
        );
    }
    if code.is_some() && build.is_none() {
        say(
            &["code"],
            format!("application {name} has code and no build: add [application.build] with image = \"registry/name\""),
        );
    }
    if let Some(code) = code {
        for (option, globs) in [("build_tags", &code.build_tags), ("push_tags", &code.push_tags)] {
            if let Err(error) = TagRules::new(globs, &[], code.existing_tags) {
                say(&["code", option], error.to_string());
            }
        }
        check_address(&code.repository, base, &["code", "repository"], say);
    }
    if let Some(build) = build {
        if let Err(error) = TagTemplate::parse(&build.tag) {
            say(&["build", "tag"], error.to_string());
        }
        match quarterdeck_core::image_ref::ImageRef::parse(&build.image) {
            Ok(image) if image.tag().is_some() || image.digest().is_some() => {
                say(
                    &["build", "image"],
                    format!(
                        "{:?} names a tag or digest; the tag comes from the git tag: write it without",
                        build.image
                    ),
                );
            }
            Ok(_) => {}
            Err(error) => say(&["build", "image"], format!("{error}: write registry.example/team/name")),
        }
        if escapes(&build.context) {
            say(
                &["build", "context"],
                format!("the context {:?} must be a folder inside the repository", build.context),
            );
        }
        if escapes(&build.dockerfile) {
            say(&["build", "dockerfile"], format!("the Dockerfile {:?} must be inside the context", build.dockerfile));
        }
    }
    if let Some(deploy) = deploy {
        check_address(&deploy.repository, base, &["deploy", "repository"], say);
        if deploy.branch.is_some() && deploy.tag.is_some() {
            say(&["deploy", "tag"], "either a branch or a tag is deployed: leave out one".to_owned());
        }
        if deploy.tag.is_some() && build.is_some() && promote.by != PromoteBy::None {
            say(&["deploy", "tag"], "a promotion is a commit on a branch, and a tag is deployed here: name a branch, or set promote.by = \"none\"".to_owned());
        }
        if escapes(&deploy.path) {
            say(&["deploy", "path"], format!("the path {:?} must be a folder inside the repository", deploy.path));
        }
        if deploy.namespace.is_empty() {
            say(
                &["deploy", "namespace"],
                "the namespace of objects that name none: write namespace = \"…\"".to_owned(),
            );
        }
        if let Some(cluster) =
            deploy.cluster.as_deref().filter(|c| !clusters.is_empty() && *c != "in-cluster" && !clusters.contains(c))
        {
            let known = clusters.iter().copied().collect::<Vec<_>>().join(", ");
            say(
                &["deploy", "cluster"],
                format!("no [[cluster]] has the name {cluster:?}; there are: {known}, in-cluster"),
            );
        }
    }
    if promote.by != PromoteBy::None && !promote.author.contains('<') {
        say(&["promote", "author"], format!("{:?} is no author: write \"Name <mail@example>\"", promote.author));
    }
}

fn check_address(address: &str, base: &Path, place: &[&'static str], say: &mut impl FnMut(&[&'static str], String)) {
    if let Err(error) = crate::source::url::RepositoryUrl::parse(address, base) {
        say(place, error.to_string());
    }
}

fn escapes(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}
