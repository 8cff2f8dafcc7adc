//! `qd-agent repo create NAME`.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use nix::unistd::{Uid, User};
use quarterdeck_core::own_repository::name::RepositoryName;
use quarterdeck_git::own;

use crate::config::{AgentConfig, places};

/// The hook, with a place for the program and one for the configuration.
const HOOK: &str = include_str!("post-receive.sh");

/// Makes a repository, and says how it is used.
pub(super) fn create(config: &Path, name: &RepositoryName, out: &mut dyn Write) -> anyhow::Result<()> {
    let data_dir = places::data_dir(&AgentConfig::read(config)?)?;
    super::is_ours(&data_dir)?;
    let root = super::folder_in(&data_dir);
    let program = std::env::current_exe().context("cannot find this program")?;
    let (program, file) = (text(&program)?, text(config)?);
    own::create(&root, name, &hook(program, file))?;
    let uid = rustix::process::getuid().as_raw();
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_default = places::config_file().is_ok_and(|default| default == config);
    let key = key_line(program, (!is_default).then_some(file));
    let path = root.join(name.folder());
    let path = path.display();
    writeln!(
        out,
        "created {path}\n\n\
         Name it in the configuration of the agent:\n  [application.code]\n  repository = \"{path}\"\n\n\
         For each key that may use repositories here, one line in ~{user}/.ssh/authorized_keys:\n  {key}\n\n\
         Clone it:\n  git clone ssh://{user}@{host}/{name}.git"
    )?;
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The hook of a repository: the program by its path of now, which an upgrade may take away, else by its name.
fn hook(program: &str, config: &str) -> String {
    HOOK.replace("@PROGRAM@", &quoted(program)).replace("@CONFIG@", &quoted(config))
}

/// A line of `authorized_keys`, with places for a person and a key.
fn key_line(program: &str, config: Option<&str>) -> String {
    let config = config.map(|config| format!(" --config {}", plain_or_quoted(config))).unwrap_or_default();
    let command = format!("{} repo serve{config} --user NAME", plain_or_quoted(program));
    // In the quotes of sshd.
    format!("command=\"{}\",restrict ssh-ed25519 AAAA…", command.replace('"', "\\\""))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The same, without quotes where none are needed.
fn plain_or_quoted(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if is_plain { word.to_owned() } else { quoted(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_for_the_shell_of_the_hook() {
        let hook = hook("/opt/it's here/qd-agent", "/etc/quarterdeck/config.toml");
        assert!(hook.starts_with("#!/bin/sh\n"), "{hook}");
        assert!(hook.contains("\nprogram='/opt/it'\\''s here/qd-agent'\n"), "{hook}");
        assert!(hook.contains(" repo received --config '/etc/quarterdeck/config.toml' </dev/null"), "{hook}");
        assert!(hook.ends_with("\nexit 0\n") && !hook.contains('@'), "{hook}");
    }

    #[test]
    fn a_key_is_held_by_a_forced_command() {
        assert_eq!(
            key_line("/usr/bin/qd-agent", None),
            "command=\"/usr/bin/qd-agent repo serve --user NAME\",restrict ssh-ed25519 AAAA…"
        );
        assert_eq!(
            key_line("/opt/q d/qd-agent", Some("/etc/\"q\".toml")),
            "command=\"'/opt/q d/qd-agent' repo serve --config '/etc/\\\"q\\\".toml' --user NAME\",restrict ssh-ed25519 AAAA…"
        );
    }
}
