//! `qd-agent repo list` and `qd-agent repo path NAME`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use quarterdeck_core::own_repository::name::RepositoryName;
use quarterdeck_git::own;
use quarterdeck_shared::error::chain;
use serde::Serialize;

use super::Output;
use super::used::used_by;
use crate::config::places;
use crate::configuration;

/// A repository in the list.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    path: PathBuf,
    refs: usize,
    bytes: u64,
    pushed: Option<Timestamp>,
    used_by: Vec<String>,
    /// Why nothing is known of it; empty where it can be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
}

/// Lists all of them; one that cannot be read has its problem in its line.
pub(super) fn list(file: &Path, output: Output, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = configuration::in_force(file)?;
    let base = file.parent().unwrap_or(file);
    let root = super::folder_in(&places::data_dir(&config.agent)?);
    let line = |name: RepositoryName| {
        let path = root.join(name.folder());
        let used_by = used_by(&config, base, &path);
        let (facts, problem) = match own::facts_of(&root, &name) {
            Ok(facts) => (facts, String::new()),
            Err(error) => (own::Facts { refs: 0, bytes: 0, pushed: None }, chain(&error)),
        };
        let own::Facts { refs, bytes, pushed } = facts;
        Line { name: name.to_string(), path, refs, bytes, pushed, used_by, problem }
    };
    let lines: Vec<Line> = own::list(&root)?.into_iter().map(line).collect();
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&lines)?)?,
        Output::Table if lines.is_empty() => writeln!(out, "no repositories in {}", root.display())?,
        Output::Table => table(&lines, out)?,
    }
    Ok(())
}

/// Prints where one is.
pub(super) fn path(file: &Path, name: &RepositoryName, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = own::directory_of(&super::root(file)?, name)?;
    writeln!(out, "{}", path.display())?;
    Ok(())
}

fn table(lines: &[Line], out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![["NAME", "REFS", "SIZE", "LAST PUSH", "USED BY"].map(str::to_owned)];
    rows.extend(lines.iter().map(|line| {
        let pushed = line.pushed.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
        let used_by = if line.used_by.is_empty() { "-".to_owned() } else { line.used_by.join(", ") };
        let last = if line.problem.is_empty() { used_by } else { line.problem.clone() };
        [line.name.clone(), line.refs.to_string(), format!("{} KiB", line.bytes.div_ceil(1024)), pushed, last]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    for [name, refs, size, pushed, used_by] in &rows {
        let [a, b, c, d] = widths;
        writeln!(out, "{name:a$}  {refs:>b$}  {size:>c$}  {pushed:d$}  {used_by}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_columns() {
        let line = |name: &str, refs, bytes, used_by: &[&str], problem: &str| Line {
            name: name.to_owned(),
            path: PathBuf::from("/own").join(name),
            refs,
            bytes,
            pushed: (refs > 0).then(|| "2026-01-02T03:04:05.6Z".parse().unwrap()),
            used_by: used_by.iter().map(|user| (*user).to_owned()).collect(),
            problem: problem.to_owned(),
        };
        let lines = [
            line("shop", 12, 70_000, &["shop", "web/qa"], ""),
            line("team/empty", 0, 1, &[], ""),
            line("torn", 0, 0, &["a"], "cannot read /own/torn.git: x"),
        ];
        let mut out = Vec::new();
        table(&lines, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\
NAME        REFS    SIZE  LAST PUSH             USED BY
shop          12  69 KiB  2026-01-02T03:04:05Z  shop, web/qa
team/empty     0   1 KiB  -                     -
torn           0   0 KiB  -                     cannot read /own/torn.git: x
"
        );
    }
}
