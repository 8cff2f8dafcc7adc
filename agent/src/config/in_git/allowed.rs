//! What may come from git, and what stays with the machine. Whoever may push to the repository decides what the agent does, and
//! must not gain by it what the local file did not give: rights on the socket, files and programs of the machine.

use std::path::{Component, Path, PathBuf};

use quarterdeck_git::url::{RepositoryUrl, redact};

use super::machine::{self, OfMachine};
use super::merged::Merged;
use crate::config::finding::Finding;
use crate::config::git_source::ConfigurationSource;
use crate::config::locate::Step;
use crate::config::{AgentConfig, Config};

/// What the tables and options of the local file alone are, and why; the guide has them in a table.
pub(super) const LOCAL: [(&str, &str); 12] = [
    ("configuration", "it says how git itself is read"),
    ("access", "whoever may push could give himself a role"),
    ("history", "whoever may push could have the record of what was done deleted"),
    ("render", "the agent reads it when it starts, before the repository"),
    ("webhook", "it opens a port of the agent's machine"),
    ("data_dir", "it is a place of the agent's machine"),
    ("socket", "it is a place of the agent's machine"),
    ("socket_group", "whoever may push could let others connect"),
    ("log_format", "the agent reads it when it starts, before the repository"),
    ("max_concurrent_builds", "the agent reads it when it starts, before the repository"),
    ("max_concurrent_syncs", "the agent reads it when it starts, before the repository"),
    ("confine_renderers", "whoever may push could open the agent's machine to what is rendered"),
];

/// Whether a table may come from git, by its name. Each is named here.
fn may_have_table(config: &Config, name: &str) -> bool {
    let Config {
        configuration: _,
        access: _,
        history: _,
        render: _,
        webhook: _,
        // Option by option, see below and `machine`.
        agent: _,
        engine: _,
        gc: _,
        repository: _,
        registry: _,
        forge: _,
        cluster: _,
        sops: _,
        health: _,
        application_source: _,
        application: _,
        // Not written.
        applications: _,
        defined: _,
    } = config;
    !["configuration", "access", "history", "render", "webhook"].contains(&name)
}

/// Whether an option of `[agent]` may come from git.
fn may_have_option(agent: &AgentConfig, name: &str) -> bool {
    let AgentConfig {
        data_dir: _,
        socket: _,
        socket_group: _,
        log_format: _,
        max_concurrent_builds: _,
        max_concurrent_syncs: _,
        confine_renderers: _,
        // These say how the agent works, and change at a reload.
        poll_interval: _,
        image_interval: _,
        banner: _,
        log_level: _,
        build_idle_timeout: _,
        retry_timeout: _,
    } = agent;
    ["poll_interval", "image_interval", "banner", "log_level", "build_idle_timeout", "retry_timeout"].contains(&name)
}

/// Tables and options that are in git and may not be: each in the file that has it.
pub(super) fn tables(merged: &Merged) -> Vec<crate::config::Problem> {
    let (config, mut problems) = (Config::default(), Vec::new());
    for (file, table, value) in merged.git_tables() {
        if !may_have_table(&config, table) {
            problems.push(merged.problem_in(file, &[table], refusal(table, &format!("[{table}]"))));
        }
        if table != "agent" {
            continue;
        }
        for option in value.as_table().into_iter().flat_map(|options| options.keys()) {
            if !may_have_option(&config.agent, option) {
                let problem =
                    merged.problem_in(file, &[table, option], refusal(option, &format!("{option} of [agent]")));
                problems.push(problem);
            }
        }
    }
    problems
}

fn refusal(name: &str, what: &str) -> String {
    let why = LOCAL.iter().find(|(local, _)| *local == name).map(|(_, why)| *why).unwrap_or_default();
    format!("{what} is refused in git: {why}; write it in the local file")
}

/// What the local file gives, and how a path is followed.
pub(super) struct Limits<'a> {
    pub(super) settings: &'a ConfigurationSource,
    pub(super) base: &'a Path,
    pub(super) real: &'a dyn Fn(&Path) -> PathBuf,
}

/// What the files in git name and may not. Paths are absolute.
pub(super) fn check(config: &Config, merged: &Merged, limits: &Limits<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    machine::named(config, limits.base, &mut |place, named| {
        if merged.git_file(place).is_none() {
            return;
        }
        if let Some(message) = limits.refused(named, config, merged) {
            findings.push(Finding { place: place.to_vec(), message });
        }
    });
    findings.extend(own_repository(config, merged, limits));
    findings
}

impl Limits<'_> {
    fn refused(&self, named: OfMachine<'_>, config: &Config, merged: &Merged) -> Option<String> {
        match named {
            OfMachine::File(file) => self.file(file),
            OfMachine::Variable(name) => Some(format!(
                "{name} is a variable of the agent's machine, which git may not name: write the value to a file in a folder of \
                 secrets, and name that"
            )),
            OfMachine::Program(name) => (!self.settings.programs).then(|| {
                format!("{} starts a program of the agent's machine: programs = true in [configuration] of the local file allows it", redact(name))
            }),
            OfMachine::Socket(address) => Some(format!(
                "{} is a place of the agent's machine: use a tcp:// address, or write [engine] in the local file",
                redact(address)
            )),
            OfMachine::SshAgent => Some(
                "the keys of the agent's own ssh agent are refused in git: write ssh = { key_file = \"…\" } with a file in a \
                 folder of secrets"
                    .to_owned(),
            ),
            OfMachine::Login(registry) => {
                let place = config.registry.iter().position(|one| one.host == registry);
                let is_own = place.is_some_and(|at| {
                    let has_login = config.registry[at].password_file.is_some();
                    has_login && merged.git_file(&[Step::Key("registry"), Step::Index(at)]).is_some()
                });
                (!is_own).then(|| {
                    format!(
                        "the agent's login of {registry} would be written into a namespace: write username and password_file, \
                         or define [[registry]] {registry} with its password_file in git"
                    )
                })
            }
            OfMachine::Address(address) => {
                let has_login = address.starts_with("http") && redact(address).contains("***@");
                has_login.then(|| {
                    format!(
                        "{} has a user or password in it, which anyone sees who reads the repository: name it with token_file in \
                         [[repository]]",
                        redact(address)
                    )
                })
            }
        }
    }

    /// Why a file may not be named; nothing where it may.
    fn file(&self, file: &Path) -> Option<String> {
        let shown = file.display();
        let folders = &self.settings.secrets;
        if folders.is_empty() {
            return Some(format!(
                "{shown} is a file of the agent's machine, which git may not name: secrets in [configuration] of the local file \
                 lists the folders that it may"
            ));
        }
        let is_devious = file.components().any(|part| part == Component::ParentDir);
        let is_inside = !is_devious && folders.iter().any(|folder| file.starts_with(folder));
        if !is_inside {
            let folders = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
            return Some(format!("{shown} is in no folder that git may name files of: {folders}"));
        }
        let real = (self.real)(file);
        let leads_out = !folders.iter().any(|folder| real.starts_with((self.real)(folder)));
        leads_out.then(|| format!("{shown} is a link that leads out of the folders that git may name files of"))
    }
}

/// A `[[repository]]` of git that would say how the configuration itself is reached.
fn own_repository(config: &Config, merged: &Merged, limits: &Limits<'_>) -> Vec<Finding> {
    let Ok(own) = RepositoryUrl::parse(&limits.settings.repository, limits.base) else { return Vec::new() };
    let covers = |url: &str| own.covered_by(url, limits.base).ok().flatten();
    let is_git = |index: usize| merged.git_file(&[Step::Key("repository"), Step::Index(index)]).is_some();
    let all = || config.repository.iter().enumerate().filter_map(|(index, one)| Some((index, covers(&one.url)?)));
    let local = all().filter(|(index, _)| !is_git(*index)).map(|(_, length)| length).max();
    let more = all().filter(|(index, length)| is_git(*index) && local.is_none_or(|local| *length >= local));
    let finding = |(index, _)| Finding {
        place: vec![Step::Key("repository"), Step::Index(index), Step::Key("url")],
        message:
            "it would change how the configuration itself is read: write a [[repository]] of the whole address of \
                  [configuration] in the local file"
                .to_owned(),
    };
    more.map(finding).collect()
}
