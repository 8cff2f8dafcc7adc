//! `qd sync APP[/ENV]`, `qd sync APP --all`: make the cluster as git says, now.
//!
//! JSON: [`Accepted`]: `message`, `after_sync`. With `--wait`, also `outcome` (`good`, `bad`, `timeout`), `reason`, and
//! `object`, the environment as it was then. With `--dry-run`, the [`Plan`]: `revision`, `changes`. With `--all`, one such value an
//! environment, one after the other.

use std::str::FromStr;
use std::time::Duration;

use quarterdeck_shared::application::Address;
use quarterdeck_shared::change::Plan;
use quarterdeck_shared::protocol::{Accepted, DiffAnswer, SyncRequest};
use quarterdeck_shared::queries::AtRevision;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::routes;

use crate::command::arguments::{InForm, OfEach, Waiting};
use crate::command::diff::plan_lines;
use crate::command::several::{self, NAME_ONE_OR_ALL};
use crate::command::wait::{self, Goal};
use crate::command::{CommandError, Context, Format, act};
use crate::exit::Exit;

/// Make the cluster equal to git, now.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which environment, or each.
    #[command(flatten)]
    pub of: OfEach,

    /// Delete what left git also where the environment's policy does not.
    #[arg(long)]
    pub prune: bool,

    /// Compare every object with the cluster also where nothing is known to have changed.
    #[arg(long)]
    pub full: bool,

    /// Only this object: KIND/NAME, or GROUP/KIND/NAMESPACE/NAME where that is not enough. May be given again.
    #[arg(long, value_name = "OBJECT")]
    pub only: Vec<ObjectName>,

    /// Delete this object, which left git, although other objects are in it or another environment may want it: KIND/NAME,
    /// as in --only. May be given again.
    #[arg(long, value_name = "OBJECT", conflicts_with = "only")]
    pub prune_anyway: Vec<ObjectName>,

    /// Show the plan, and change nothing.
    #[arg(long, conflicts_with_all = ["prune", "full", "only", "prune_anyway", "wait"])]
    pub dry_run: bool,

    /// Whether to wait for the end, and how long.
    #[command(flatten)]
    pub waiting: Waiting,

    /// In which form to answer.
    #[command(flatten)]
    pub form: InForm,
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    several::each(&args.of, context, async |of, context| one(of, args, context).await).await
}

/// One environment.
async fn one(of: &Address, args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    if args.dry_run {
        return plan(&diff(of, context).await?, args.form.output, context);
    }
    let (only, prune_anyway) = resolve(of, args, context).await?;
    let request = SyncRequest { prune: args.prune, full: args.full, only, prune_anyway };
    let accepted = context.client.post(&routes::SYNC.of(of), &request).await;
    let accepted: Accepted = several::one(accepted, of, NAME_ONE_OR_ALL, context).await?;
    if args.waiting.wait {
        wait_healthy(of, &accepted, args.waiting.timeout, args.form.output, context).await
    } else {
        act::print_accepted(&accepted, args.form.output, context)
    }
}

async fn diff(of: &Address, context: &Context) -> Result<DiffAnswer, CommandError> {
    let path = routes::DIFF.of_with(of, &AtRevision::default());
    several::one(context.client.get(&path).await, of, NAME_ONE_OR_ALL, context).await
}

/// Waits for the sync that answers a request, and for health at its revision.
pub(super) async fn wait_healthy(
    of: &Address,
    accepted: &Accepted,
    patience: Duration,
    format: Option<Format>,
    context: &mut Context,
) -> Result<Exit, CommandError> {
    // An agent that names no sync had none of this environment before.
    let goal = Goal::Healthy {
        of: of.clone(),
        after_sync: accepted.after_sync,
        commit: accepted.revision.as_ref().map(|revision| revision.commit.clone()),
    };
    wait::wait_and_print(&goal, accepted, patience, format, context).await
}

fn plan(answer: &DiffAnswer, format: Option<Format>, context: &mut Context) -> Result<Exit, CommandError> {
    let environment = &answer.environment;
    context.answer(format, &answer.plan, |context, plan: &Plan| {
        context.output.line(format!("{environment} to {}: {}", plan.revision.short(), plan.summary()))?;
        plan_lines(plan).into_iter().try_for_each(|line| context.output.line(line))?;
        plan.step_lines().into_iter().try_for_each(|line| context.output.line(line))
    })?;
    Ok(Exit::Done)
}

/// An object as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectName {
    /// `Deployment/shop`; the kind in any case, as `kubectl` takes it.
    Short {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// `apps/Deployment/prod/shop`.
    Full(ResourceRef),
}

impl FromStr for ObjectName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [kind, name] if !kind.is_empty() && !name.is_empty() => {
                Ok(Self::Short { kind: kind.to_owned(), name: name.to_owned() })
            }
            [group, kind, namespace, name] if !kind.is_empty() && !name.is_empty() => {
                Ok(Self::Full(ResourceRef::new(group, kind, Some(namespace), name)))
            }
            _ => Err("expected KIND/NAME or GROUP/KIND/NAMESPACE/NAME"),
        }
    }
}

impl ObjectName {
    fn names(&self, resource: &ResourceRef) -> bool {
        match self {
            Self::Short { kind, name } => resource.kind.eq_ignore_ascii_case(kind) && resource.name == *name,
            Self::Full(full) => resource == full,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Short { kind, name } => format!("{kind}/{name}"),
            Self::Full(resource) => resource.to_string(),
        }
    }
}

/// The objects that `--only` and `--prune-anyway` name, found in the plan: it holds also what is not in the cluster yet.
async fn resolve(
    of: &Address,
    args: &Args,
    context: &Context,
) -> Result<(Vec<ResourceRef>, Vec<ResourceRef>), CommandError> {
    if args.only.is_empty() && args.prune_anyway.is_empty() {
        return Ok(Default::default());
    }
    let answer = diff(of, context).await?;
    let found = |names: &[ObjectName]| names.iter().map(|name| find(name, &answer)).collect::<Result<Vec<_>, _>>();
    Ok((found(&args.only)?, found(&args.prune_anyway)?))
}

fn find(name: &ObjectName, answer: &DiffAnswer) -> Result<ResourceRef, CommandError> {
    let changes = || answer.plan.changes.iter().map(|change| &change.resource);
    match changes().filter(|resource| name.names(resource)).collect::<Vec<_>>()[..] {
        [one] => Ok(one.clone()),
        [] => Err(CommandError::NotFound {
            what: format!("object {} in the plan of {}", name.text(), answer.environment),
            hint: format!("its objects: {}", some(changes())),
        }),
        ref several => Err(CommandError::Usage {
            message: format!("{} could be any of {} objects", name.text(), several.len()),
            hint: format!("name one of: {}", some(several.iter().copied())),
        }),
    }
}

/// The first ten, in full.
fn some<'a>(resources: impl Iterator<Item = &'a ResourceRef>) -> String {
    resources.take(10).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
