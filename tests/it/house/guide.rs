//! The user's guide: its reference pages are what the code says, and its links and commands lead somewhere.
//!
//! `QD_WRITE_GUIDE=1 cargo test -p quarterdeck-tests --test it house::guide` writes the reference pages.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::CommandFactory as _;
use quarterdeck_tui::cli::Cli;

use super::house;

fn guide() -> PathBuf {
    house().join("shared/guide")
}

/// Every page, as its name below the guide and its text.
fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for folder in ["", "reference"] {
        for entry in std::fs::read_dir(guide().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(guide()).unwrap().display().to_string();
                pages.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    pages
}

fn is_generated(name: &str, text: &str) {
    let path = guide().join("reference").join(name);
    if std::env::var_os("QD_WRITE_GUIDE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let same = found == text;
    assert!(same, "{} is not what the code says; write it with QD_WRITE_GUIDE=1", path.display());
}

#[test]
fn the_commands_are_those_of_the_command_line() {
    let mut page =
        "# Commands\n\nGenerated from the help of the command lines: `qd` first, then `qd-agent`.\n".to_owned();
    for program in programs() {
        // That `qd-agent help` prints what is here is known.
        let own = program.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set());
        for command in std::iter::once(&program).chain(own) {
            describe(&mut page, command, program.get_name());
        }
    }
    is_generated("commands.md", &page);
}

/// The command lines of both programs, with what clap fills in.
pub(super) fn programs() -> [clap::Command; 2] {
    [Cli::command(), quarterdeck_agent::cli::command()].map(|mut program| {
        program.build();
        program
    })
}

fn describe(page: &mut String, command: &clap::Command, program: &str) {
    let mut command = command.clone();
    let title = command.get_bin_name().unwrap_or(program).to_owned();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, "\n## `{title}`\n\n{about}.\n\n```text\n{}\n```", command.render_usage()).unwrap();
    let rows: Vec<String> =
        command.get_arguments().filter(|one| !one.is_hide_set() && is_own(one, title == program)).map(row).collect();
    if !rows.is_empty() {
        writeln!(page, "\n| argument | meaning |\n| --- | --- |\n{}", rows.join("\n")).unwrap();
    }
    let below: Vec<clap::Command> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    for sub in below.iter().filter(|_| title != program) {
        describe(page, sub, program);
    }
}

/// The options of every command are listed once, at the top.
fn is_own(argument: &clap::Arg, is_top: bool) -> bool {
    (is_top || !argument.is_global_set()) && argument.get_id() != "help" && argument.get_id() != "version"
}

fn row(argument: &clap::Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
    let takes = argument.get_action().takes_values();
    let long = argument.get_long().map(|long| format!("--{long}"));
    let short = argument.get_short().map(|short| format!("-{short}"));
    let name = match (long, short) {
        (Some(long), Some(short)) => format!("{short}, {long}"),
        (Some(long), None) => long,
        (None, Some(short)) => short,
        (None, None) => String::new(),
    };
    let value = value.filter(|_| takes).unwrap_or_default();
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    let default = default.map(|value| format!(" Default: `{value}`.")).unwrap_or_default();
    format!("| `{}` | {}.{default} |", format!("{name} {value}").trim(), help.replace('|', "\\|"))
}

/// The example of the configuration is held against the types by the agent's own tests; this page is the example.
#[test]
fn the_configuration_is_the_example() {
    let example = std::fs::read_to_string(house().join("config.example.toml")).unwrap();
    let page = format!(
        "# Configuration\n\nGenerated from `config.example.toml`, which lists every option with its default and the reason \
         for it; `qd-agent init` writes the same file.\n\n```toml\n{example}```\n"
    );
    is_generated("config.md", &page);
}

#[test]
fn links_lead_somewhere() {
    for (name, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let target = link.split('#').next().unwrap();
            let is_there = link.contains("://") || guide().join(&name).parent().unwrap().join(target).exists();
            assert!(is_there, "{name} links to {link}");
        }
    }
}

#[test]
fn every_page_is_reached_from_the_first() {
    let first = std::fs::read_to_string(guide().join("README.md")).unwrap();
    for (name, _) in pages().iter().filter(|(name, _)| name != "README.md") {
        assert!(first.contains(&format!("({name})")), "{name} is in no list of the guide");
    }
}

/// Lines of shell that call `qd` are taken by its command line.
#[test]
fn commands_are_commands() {
    for (name, text) in pages().iter().filter(|(name, _)| !name.starts_with("reference")) {
        for line in shell_lines(text) {
            for call in
                line.split(['|', '&', ';']).map(str::trim).filter(|call| call.starts_with("qd ") || *call == "qd")
            {
                let call = call.split(" #").next().unwrap().trim();
                let parsed = parse(call);
                assert!(parsed.is_ok(), "{name}: {call}: {}", parsed.unwrap_err());
            }
        }
    }
}

/// Words in double quotes are one, as in a shell.
fn parse(call: &str) -> Result<(), clap::Error> {
    let mut words = Vec::new();
    for (i, part) in call.split('"').enumerate() {
        match i % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    Cli::command().try_get_matches_from(words).map(drop)
}

fn shell_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).flat_map(str::lines)
}
