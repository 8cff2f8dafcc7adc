//! `qd-agent bundle …`: what an environment runs as one file, and from that file into the registry of a place without a network.
//!
//! ```text
//! history ─► sync ─► commit of the mirror ─► manifests ─┐
//!                 ├─► chart that is kept ───────────────┼─► FILE ══ carried ══► FILE ─► verified ─► registry ─► agent: look now
//!                 └─► images by digest ◄─ registries ───┘
//! ```
//! It works on the machine of the agent with its configuration, and beside an agent that runs.

mod create;
mod dependencies;
mod manifests;
mod push;
mod show;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use quarterdeck_shared::application::{EnvironmentId, EnvironmentSpec};
use quarterdeck_shared::id::TypedId;

pub(crate) use self::create::CreateError;
pub(crate) use self::push::PushError;
use super::config_path::ConfigPath;
use crate::config::{Config, places};
use crate::sources::aside;

/// What is done with a bundle.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum BundleCommand {
    /// Write the manifests, the chart and the images of the newest successful sync of an environment to a file
    Create {
        /// APP/ENV
        environment: EnvironmentId,
        /// The file to write; only its owner can read it
        #[arg(short = 'o', long = "output", value_name = "FILE")]
        file: PathBuf,
        /// Another sync of the history
        #[arg(long, value_name = "ID")]
        sync: Option<TypedId>,
        /// Of images for several platforms only these, e.g. linux/amd64
        #[arg(long, value_name = "OS/ARCH", num_args = 1..)]
        platform: Vec<String>,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Show what a bundle holds
    Show {
        /// A file written by `qd-agent bundle create`
        file: PathBuf,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Verify a bundle and push all of it to a registry
    Push {
        /// A file written by `qd-agent bundle create`
        file: PathBuf,
        /// Registry and path below which everything is pushed, e.g. registry.corp/mirror
        #[arg(long, value_name = "REGISTRY/PATH")]
        to: String,
        #[command(flatten)]
        config: ConfigPath,
    },
    /// Push a bundle to where an environment follows its manifests, and have the agent look now
    Apply {
        /// A file written by `qd-agent bundle create`
        file: PathBuf,
        /// APP/ENV, an environment with [application.environment.artifact] and a tag
        environment: EnvironmentId,
        #[command(flatten)]
        config: ConfigPath,
    },
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people.
    Table,
    /// JSON.
    Json,
}

/// Does what is asked for; what is under way goes to `progress`.
pub(crate) fn run(command: BundleCommand, out: &mut dyn Write, progress: &mut dyn Write) -> anyhow::Result<()> {
    if let BundleCommand::Show { file, output } = command {
        return show::show(&file, output, out);
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    match command {
        BundleCommand::Create { environment, file, sync, platform, config } => {
            let asked = create::Asked { environment, file, sync, platforms: platform, config: config.path()? };
            runtime.block_on(create::create(&asked, out, progress))
        }
        BundleCommand::Push { file, to, config } => runtime.block_on(push::push(&file, &to, &config.path()?, out)),
        BundleCommand::Apply { file, environment, config } => {
            runtime.block_on(push::apply(&file, &environment, &config.path()?, out))
        }
        BundleCommand::Show { .. } => Ok(()),
    }
}

/// What the configuration says of an environment, or the commit of a source that is in force.
fn configured(config: &Config, path: &Path, environment: &EnvironmentId) -> anyhow::Result<EnvironmentSpec> {
    let application = config.applications.iter().find(|one| one.name == environment.application);
    let of = application.and_then(|one| one.environment(&environment.environment));
    match of {
        Some(spec) => Ok(spec.clone()),
        // The configuration wins, as in the agent: what it has of an application is all of it.
        None if config.application_source.is_empty() || application.is_some() => {
            anyhow::bail!("the configuration has no environment {environment}")
        }
        None => {
            let base = path.parent().unwrap_or(Path::new("/"));
            let data_dir = places::data_dir(&config.agent)?;
            Ok(aside::environment(config, base, &data_dir, environment)?)
        }
    }
}
