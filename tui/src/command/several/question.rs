//! Which of several environments: asked of a person at a terminal. A script is told and does not wait.

use std::io::{self, IsTerminal as _};
use std::pin::Pin;

use quarterdeck_shared::application::{Address, ApplicationName, EnvironmentId};
use tokio::sync::oneshot;

use crate::command::{CommandError, Context};

/// Reads the line that a person types.
pub type ReadLine = fn() -> Typed;

/// A line that is being typed.
pub type Typed = Pin<Box<dyn Future<Output = io::Result<String>>>>;

/// From the terminal; none where a question would not be seen or not be answered there.
pub fn at_terminal() -> Option<ReadLine> {
    (io::stdin().is_terminal() && io::stderr().is_terminal()).then_some(read_line)
}

/// On a thread of its own, which ends with the program: who interrupts a question is not made to answer it.
fn read_line() -> Typed {
    let (sender, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    });
    Box::pin(async { line.await.unwrap_or_else(|_| Ok(String::new())) })
}

/// Those that a person chose; none where nobody can be asked, and where nothing was answered.
pub(super) async fn ask(
    application: &ApplicationName,
    all: &[EnvironmentId],
    context: &mut Context,
) -> Result<Vec<Address>, CommandError> {
    let Some(read_line) = context.read_line.filter(|_| !context.output.errors_as_json) else { return Ok(Vec::new()) };
    context.output.note(&format!("{application} has {} environments:", all.len()))?;
    for (number, id) in (1..).zip(all) {
        context.output.note(&format!("  {number}  {id}"))?;
    }
    context.output.note("which one? Its number or name, or all:")?;
    let answer = read_line().await.unwrap_or_default();
    chosen(answer.trim(), all).ok_or_else(|| CommandError::Usage {
        message: format!("{application} has no environment {:?}", answer.trim()),
        hint: format!("answer with a number from 1 to {}, with a name, or with all", all.len()),
    })
}

/// What an answer means: a name, whole or without the application; a number of the list; `all`. Names come first, since
/// they may be any of these.
fn chosen(answer: &str, all: &[EnvironmentId]) -> Option<Vec<Address>> {
    let named = all.iter().find(|id| id.to_string() == answer || id.environment.as_str() == answer);
    let counted = || all.get(answer.parse::<usize>().ok()?.checked_sub(1)?);
    match (named.or_else(counted), answer) {
        (Some(id), _) => Some(vec![id.clone().into()]),
        (None, "all") => Some(all.iter().cloned().map(Address::from).collect()),
        (None, "") => Some(Vec::new()),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_name_a_number_or_all() {
        let ids = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<EnvironmentId>>();
        let (two, odd) = (ids(&["shop/qa", "shop/prod"]), ids(&["shop/2", "shop/all", "shop/qa"]));
        for (all, answer, wanted) in [
            (&two, "1", Some("shop/qa")),
            (&two, "2", Some("shop/prod")),
            (&two, "prod", Some("shop/prod")),
            (&two, "shop/prod", Some("shop/prod")),
            (&two, "all", Some("shop/qa shop/prod")),
            (&two, "", Some("")),
            (&two, "0", None),
            (&two, "3", None),
            (&two, "-1", None),
            (&two, "shop", None),
            (&two, "other/prod", None),
            (&odd, "2", Some("shop/2")),
            (&odd, "all", Some("shop/all")),
            (&odd, "3", Some("shop/qa")),
        ] {
            let got = chosen(answer, all).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(got.as_deref(), wanted, "{answer:?}");
        }
    }
}
