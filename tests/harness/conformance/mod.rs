//! What an API server answers, as a table: the same rows are asked of the stand-in, in the hermetic tier, and of a real API
//! server, in the real tier. Where the two differ, the stand-in is wrong.
//!
//! A row is a few requests and what is wanted of their answers ([`step`]), in a namespace of its own. Rows that the stand-in
//! cannot do stand in [`rows::beyond`], each with its reason, and nowhere else; one that it can do after all is told.

mod objects;

pub mod rows;

pub mod step;

pub mod target;

use std::collections::BTreeMap;

use futures::StreamExt as _;

pub use self::step::Step;
pub use self::target::Target;

/// So many rows are asked at once: some of them wait for the end of a watch.
const AT_ONCE: usize = 6;

/// One case: what it shows, and how.
pub struct Row {
    /// A sentence.
    pub name: &'static str,
    steps: Vec<Step>,
}

impl Row {
    /// A row of these requests, one after the other.
    pub fn new(name: &'static str, steps: impl Into<Vec<Step>>) -> Self {
        Self { name, steps: steps.into() }
    }

    /// Asks all of it, in this namespace. What was answered otherwise, with the answer.
    async fn ask(&self, target: &Target, namespace: &str) -> Result<(), String> {
        let mut words = BTreeMap::from(
            [("ns", namespace), ("mark", target.mark())].map(|(word, is)| (word.to_owned(), is.to_owned())),
        );
        target.namespace(namespace).await.map_err(|error| format!("no namespace: {error:#}"))?;
        for (index, step) in self.steps.iter().enumerate() {
            step.ask(target, &mut words).await.map_err(|why| format!("{}, request {}: {why}", self.name, index + 1))?;
        }
        Ok(())
    }
}

/// How the target answers each of these rows: as it is wanted, or how else. And whether all that was made is cleared away.
async fn ask(target: &Target, rows: &[Row]) -> (Vec<Result<(), String>>, anyhow::Result<()>) {
    let asked = rows.iter().enumerate().map(|(index, row)| async move {
        let namespace = format!("{}-{index}", target.mark());
        row.ask(target, &namespace).await
    });
    let answers = futures::stream::iter(asked).buffered(AT_ONCE).collect().await;
    (answers, target.clear().await)
}

/// All that this target answers otherwise than the rows want, as text; nothing where it conforms.
pub async fn misses(target: &Target, rows: &[Row]) -> Vec<String> {
    let (answers, cleared) = ask(target, rows).await;
    let cleared = cleared.map_err(|error| format!("what was made is not cleared away: {error:#}"));
    answers.into_iter().chain([cleared]).filter_map(Result::err).collect()
}

/// The rows of [`rows::beyond`] that this target can do, by name: on the stand-in there are none.
///
/// # Errors
/// When what was made cannot be cleared away.
pub async fn within_reach(target: &Target) -> anyhow::Result<Vec<&'static str>> {
    let beyond: Vec<Row> = rows::beyond::all().into_iter().map(|(row, _)| row).collect();
    let (answers, cleared) = ask(target, &beyond).await;
    cleared?;
    Ok(beyond.iter().zip(answers).filter(|(_, answer)| answer.is_ok()).map(|(row, _)| row.name).collect())
}
