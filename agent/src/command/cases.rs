//! `qd-agent health --cases DIR`: objects beside what they should be called, so that rules can be held against the states of
//! the kinds that they are for. Reads every `*.yaml` file of the folder ([`quarterdeck_core::health::cases`]).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use quarterdeck_core::health::cases::{self, CaseError};
use quarterdeck_core::health::rules::Rules;
use quarterdeck_shared::status::Health;

use crate::command::health::judge;

/// Larger files are no cases. In bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Why the cases are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// The folder or a file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file does not read.
    #[error("{}: {source}", path.display())]
    Case {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        source: CaseError,
    },
    /// Nothing was compared.
    #[error("no cases in {}: write `# expected: Degraded` above an object in a .yaml file", .0.display())]
    Empty(PathBuf),
    /// At least one verdict differs; which, was written.
    #[error("{0} of {1} cases differ")]
    Differ(usize, usize),
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// Judges all cases of a folder, and writes what differs and counts.
///
/// # Errors
/// Where a verdict differs, and where the cases cannot be read.
pub(crate) fn run(
    folder: &Path,
    rules: &Rules,
    now: Option<jiff::Timestamp>,
    out: &mut dyn Write,
) -> Result<(), CasesError> {
    let mut counts: BTreeMap<Health, (usize, usize)> = BTreeMap::new();
    for path in files(folder)? {
        let text = read(&path)?;
        let cases = cases::read(&text).map_err(|source| CasesError::Case { path: path.clone(), source })?;
        for case in cases {
            let Some(line) = judge(std::slice::from_ref(&case.object), rules, now).pop() else { continue };
            let (agree, all) = counts.entry(case.expected).or_default();
            *all += 1;
            if line.health == case.expected {
                *agree += 1;
                continue;
            }
            let (at, because) = (case.line, format!("{} {}", line.reason, line.rule));
            let told =
                format!("{} {}: expected {}, got {}: {because}", line.kind, line.name, case.expected, line.health);
            writeln!(out, "{}:{at}: {told}", path.display()).map_err(CasesError::Write)?;
        }
    }
    for (health, (agree, all)) in &counts {
        writeln!(out, "{health:11}  {agree} of {all} agree").map_err(CasesError::Write)?;
    }
    let (agree, all) = counts.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    match all {
        0 => Err(CasesError::Empty(folder.to_owned())),
        _ if agree == all => Ok(()),
        _ => Err(CasesError::Differ(all - agree, all)),
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, CasesError> {
    let fails = |source| CasesError::Read { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(fails)?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(fails)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, CasesError> {
    let fails = |source| CasesError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(fails)?;
    io::read_to_string(io::Read::take(file, FILE_BYTES_MAX)).map_err(fails)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_with_its_place_and_counts() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = |status: &str| {
            format!(
                "kind: Issuer\napiVersion: cert-manager.io/v1\nmetadata: {{name: a}}\nstatus: {{conditions: [{{type: Ready, status: '{status}'}}]}}\n"
            )
        };
        let run_on = |text: &str| {
            std::fs::write(folder.path().join("a.yaml"), text).unwrap();
            let mut out = Vec::new();
            let result = run(folder.path(), Rules::built_in(), None, &mut out);
            (String::from_utf8(out).unwrap(), result.map_err(|error| error.to_string()))
        };
        let good = format!("# expected: Healthy\n{}", issuer("True"));
        assert_eq!(run_on(&good), ("Healthy      1 of 1 agree\n".to_owned(), Ok(())));
        let (out, result) = run_on(&format!("{good}---\n# expected: Progressing\n{}", issuer("False")));
        assert_eq!(result, Err("1 of 2 cases differ".to_owned()));
        assert!(
            out.contains(
                "a.yaml:7: Issuer a: expected Progressing, got Degraded: Ready is False cert-manager.io/Issuer"
            ),
            "{out}"
        );
        assert!(run_on("a: 1").1.unwrap_err().starts_with("no cases in "));
    }
}
