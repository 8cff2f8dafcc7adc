//! `qd version`: the versions of this program and of the agent.
//!
//! JSON: `qd`, `wire`, and `agent`: [`VersionAnswer`] (`wire`, `agent`, `pid`, `started`, `history`, `role`), or null where none
//! answers. This program's own version is written also then; why the agent's is missing is told as everywhere.

use quarterdeck_shared::protocol::{VersionAnswer, WIRE_VERSION};
use quarterdeck_shared::routes;
use serde::Serialize;

use crate::command::arguments::InForm;
use crate::command::{CommandError, Context};
use crate::exit::Exit;

/// The versions of this program and of the agent.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

#[derive(Serialize)]
struct Versions {
    qd: &'static str,
    wire: u32,
    agent: Option<VersionAnswer>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let (agent, error) = match context.client.get::<VersionAnswer>(routes::VERSION.path()).await {
        Ok(agent) => (Some(agent), None),
        Err(error) => (None, Some(error)),
    };
    let versions = Versions { qd: env!("CARGO_PKG_VERSION"), wire: WIRE_VERSION, agent };
    context.answer(args.form.output, &versions, |context, versions| {
        context.output.line(format!("qd        {} (wire {})", versions.qd, versions.wire))?;
        versions.agent.iter().try_for_each(|agent| {
            let VersionAnswer { agent, wire, pid, history, .. } = agent;
            context.output.line(format!("qd-agent  {agent} (wire {wire}, process {pid}, ids {history}-…)"))
        })
    })?;
    error.map_or(Ok(Exit::Done), |error| Err(error.into()))
}
