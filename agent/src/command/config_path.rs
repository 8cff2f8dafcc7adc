//! `--config FILE`, as all subcommands take it that need to know the agent.

use std::path::PathBuf;

use crate::config::places;

/// Which configuration.
#[derive(Debug, clap::Args)]
pub struct ConfigPath {
    /// The configuration [default: $XDG_CONFIG_HOME/quarterdeck/config.toml]
    #[arg(long, value_name = "FILE", env = "QD_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigPath {
    /// Its absolute path.
    pub fn path(self) -> anyhow::Result<PathBuf> {
        let path = self.config.map_or_else(places::config_file, Ok)?;
        // Relative paths inside begin at its folder, so the folder must have a name.
        Ok(std::path::absolute(path)?)
    }
}
