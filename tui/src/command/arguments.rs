//! Arguments that several commands have, each with its words once.

use std::time::Duration;

use quarterdeck_shared::application::{Address, ApplicationName};
use quarterdeck_shared::id::{InvalidId, TypedId};

use crate::column;
use crate::command::{Format, ListFormat};

/// Which environment.
#[derive(Debug, clap::Args)]
pub struct Of {
    /// The environment: shop/prod, or shop where that is its only one.
    #[arg(value_name = "APP[/ENV]")]
    pub address: Address,
}

/// Which environment, or each of an application.
#[derive(Debug, clap::Args)]
pub struct OfEach {
    /// The environment: shop/prod, or shop where that is its only one.
    #[arg(value_name = "APP[/ENV]")]
    pub address: Address,

    /// All environments of the application, one after the other.
    #[arg(long)]
    pub all: bool,
}

/// Which application or environment, or all.
#[derive(Debug, Default, clap::Args)]
pub struct OfAny {
    /// The environment, or the application with all of its environments; all where absent.
    #[arg(value_name = "APP[/ENV]")]
    pub address: Option<Address>,
}

/// Which application.
#[derive(Debug, clap::Args)]
pub struct OfApplication {
    /// The application.
    #[arg(value_name = "APP")]
    pub application: ApplicationName,
}

/// Which application, or all.
#[derive(Debug, Default, clap::Args)]
pub struct OfAnyApplication {
    /// The application; all where absent.
    #[arg(value_name = "APP")]
    pub application: Option<ApplicationName>,
}

/// Which run.
#[derive(Debug, clap::Args)]
pub struct OneRun {
    /// Its number, or its whole id.
    #[arg(value_name = "RUN", value_parser = run_id)]
    pub id: TypedId,
}

/// A run as people type it: `17`, `#17`, `run/17`, each also with its whole id.
pub(super) fn run_id(text: &str) -> Result<TypedId, InvalidId> {
    text.trim_start_matches("run/").trim_start_matches('#').parse()
}

/// At which revision.
#[derive(Debug, clap::Args)]
pub struct At {
    /// A commit, branch, tag or merge request (merge-request-7) of the deploy repository, instead of what git says now; for
    /// `manifests` also the number of a sync.
    #[arg(long, value_name = "REF")]
    pub revision: Option<String>,
}

/// Why.
#[derive(Debug, clap::Args)]
pub struct Why {
    /// The reason, shown in status and events.
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// Whether to wait for the end, and how long.
#[derive(Debug, clap::Args)]
pub struct Waiting {
    /// Wait until the sync has ended and the environment is healthy at its revision.
    #[arg(short, long)]
    pub wait: bool,

    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration, requires = "wait")]
    pub timeout: Duration,
}

/// In which form to answer.
#[derive(Debug, clap::Args)]
pub struct InForm {
    /// The output format; text by default.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

/// In which form to answer with a list.
#[derive(Debug, Default, clap::Args)]
pub struct InListForm {
    /// The output format; a table by default.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<ListFormat>,
}

impl InListForm {
    /// The form of the table, where it is one.
    pub fn table(&self) -> column::Form {
        if self.output == Some(ListFormat::Wide) { column::Form::Wide } else { column::Form::Table }
    }
}
