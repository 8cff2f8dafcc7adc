//! Which of the tests of a chart a person means.

use super::Run;

/// Why there is nothing to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTests {
    /// The chart has none.
    None,
    /// It has others; their names.
    Named {
        /// The first name that none has.
        missing: String,
        /// The names that there are.
        names: Vec<String>,
    },
}

/// The tests of these names, in their order; all where no name is given. `grpc*` means all whose names begin so: charts may give a
/// test another ending in each render.
///
/// # Errors
/// Where there are none, or none has one of the names.
pub fn chosen(tests: Vec<Run>, only: &[String]) -> Result<Vec<Run>, NoTests> {
    if tests.is_empty() {
        return Err(NoTests::None);
    }
    let is = |run: &Run, name: &str| match name.strip_suffix('*') {
        Some(begin) => run.resource().name.starts_with(begin),
        None => run.resource().name == name,
    };
    if let Some(missing) = only.iter().find(|name| !tests.iter().any(|run| is(run, name))) {
        let names = tests.iter().map(|run| run.resource().name.clone()).collect();
        return Err(NoTests::Named { missing: missing.clone(), names });
    }
    Ok(tests.into_iter().filter(|run| only.is_empty() || only.iter().any(|name| is(run, name))).collect())
}
