//! `qd pods [APP]`: the pods of applications.
//!
//! JSON: an array of [`PodStatus`]: `application`, `cluster`, `namespace`, `name`, `owner`, `status` (as `kubectl get
//! pods` says), `health`, `message`, `containers` (`name`, `image`, `state`, `ready`, `restarts`), `node`, `ip`,
//! `created`.

use jiff::Timestamp;
use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{Key, Object, PodStatus};

use crate::command::{CommandError, Context, ListFormat, objects};
use crate::exit::Exit;
use crate::meaning::of_health;
use crate::output::table::{Cell, Column, Table};
use crate::text::{age, ago};
use crate::unseen;

/// The pods of one application, or of all.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; all where absent.
    #[arg(value_name = "APP")]
    pub application: Option<ApplicationName>,

    /// Another form than a table.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<ListFormat>,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let state = context.client.state().await?;
    if let Some(name) = &args.application {
        objects::application(&state, name)?;
    }
    let pods: Vec<_> = objects::pods(&state, args.application.as_ref()).collect();
    let now = (context.clock)();
    match args.output {
        Some(ListFormat::Json) => context.output.json(&pods)?,
        Some(ListFormat::Name) => pods.iter().try_for_each(|pod| context.output.line(format!("pod/{}", pod.name)))?,
        _ if pods.is_empty() => context.output.note("No pods.")?,
        format => context.output.table(&table(pods.into_iter(), &state, now, format == Some(ListFormat::Wide)))?,
    }
    Ok(Exit::Done)
}

/// A table of pods, with the columns of `kubectl get pods`.
pub(super) fn table<'a>(pods: impl Iterator<Item = &'a PodStatus>, state: &State, now: Timestamp, wide: bool) -> Table {
    let narrow = [
        Column::words("POD"),
        Column::words("READY"),
        Column::words("STATUS"),
        Column::numbers("RESTARTS"),
        Column::words("AGE"),
        Column::words("APPLICATION"),
    ];
    let more = [
        Column::words("CLUSTER"),
        Column::words("NAMESPACE"),
        Column::words("IP"),
        Column::names("NODE"),
        Column::names("IMAGES"),
    ];
    let more: &[Column] = if wide { &more } else { &[] };
    let mut table = Table::new(&[&narrow, more, &[Column::prose("MESSAGE")]].concat());
    for pod in pods {
        let (ready, all) = pod.ready();
        let over = match state.objects.get(&Key::application(&pod.application)) {
            Some(Object::Application(application)) => unseen::over_pod(application, pod),
            _ => None,
        };
        let seen = over.map(|over| unseen::last_seen(over, |at| ago(at, now))).unwrap_or_default();
        let mut row = vec![
            Cell::strong(&pod.name),
            format!("{ready}/{all}").into(),
            Cell::of(of_health(pod.health), &pod.status).old(over.is_some()),
            pod.restarts().into(),
            Cell::quiet(pod.created.map(|created| age(created, now)).unwrap_or_default()),
            (&pod.application).into(),
        ];
        if wide {
            let images: Vec<_> = pod.containers.iter().filter(|c| !c.init).map(|c| &*c.image).collect();
            row.extend([&*pod.cluster, &*pod.namespace, &*pod.ip, &*pod.node].map(Cell::from));
            row.push(images.join(",").into());
        }
        let message = [&*seen, &*pod.message].into_iter().filter(|part| !part.is_empty());
        row.push(message.collect::<Vec<_>>().join("; ").into());
        table.row(row);
    }
    table
}
