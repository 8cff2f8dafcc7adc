//! `qd pods [APP[/ENV]]`: the pods of environments.
//!
//! JSON: an array of [`PodStatus`]: `environment`, `cluster`, `namespace`, `name`, `owner`, `status` (as `kubectl get
//! pods` says), `health`, `message`, `containers` (`name`, `image`, `state`, `ready`, `restarts`), `node`, `ip`,
//! `created`.

use jiff::Timestamp;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::PodStatus;

use crate::column::Form;
use crate::command::arguments::{InListForm, OfAny};
use crate::command::{CommandError, Context, ListFormat, objects};
use crate::exit::Exit;
use crate::output::table::Table;
use crate::screen::pods::{Row, columns};
use crate::unseen;

/// The pods of one application or environment, or of all.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which application or environment, or all.
    #[command(flatten)]
    pub of: OfAny,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InListForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let state = context.client.state().await?;
    if let Some(of) = &args.of.address {
        objects::addressed(&state, of)?;
    }
    let pods: Vec<_> = objects::pods(&state, args.of.address.as_ref()).collect();
    let now = (context.clock)();
    match args.form.output {
        Some(ListFormat::Json) => context.output.json(&pods)?,
        Some(ListFormat::Name) => pods.iter().try_for_each(|pod| context.output.line(format!("pod/{}", pod.name)))?,
        _ if pods.is_empty() => context.output.note("No pods.")?,
        None | Some(ListFormat::Wide) => {
            context.output.table(&table(pods.into_iter(), &state, args.form.table(), now))?
        }
    }
    Ok(Exit::Done)
}

/// A table of pods.
pub(super) fn table<'a>(
    pods: impl Iterator<Item = &'a PodStatus>,
    state: &'a State,
    form: Form,
    now: Timestamp,
) -> Table {
    let rows = pods.map(|pod| {
        let over = objects::environment(state, &pod.environment);
        let over = over.and_then(|environment| unseen::over_pod(environment, pod));
        Row { pod, of: objects::label(state, &pod.environment), is_old: over.is_some(), over, now }
    });
    Table::of(&columns(), form, rows, now)
}
