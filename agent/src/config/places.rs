//! Where things are: the configuration, the data and the socket, by the XDG rules through `directories`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};
use quarterdeck_shared::error::Hint;
use quarterdeck_shared::protocol;

use super::AgentConfig;

/// There is no home directory and nothing else says where to be.
#[derive(Debug, thiserror::Error)]
#[error("no home directory is known, so there is no place for {what}")]
pub struct NoPlace {
    what: &'static str,
    option: &'static str,
}

impl Hint for NoPlace {
    fn hint(&self) -> Cow<'_, str> {
        format!("set HOME, or say where with {}", self.option).into()
    }
}

/// `$XDG_CONFIG_HOME/quarterdeck/config.toml`; a system service is told with `--config`.
pub fn config_file() -> Result<PathBuf, NoPlace> {
    project()
        .map(|dirs| dirs.config_dir().join("config.toml"))
        .ok_or(NoPlace { what: "the configuration", option: "--config" })
}

/// The data directory: the option, `$STATE_DIRECTORY` (systemd), else `$XDG_DATA_HOME/quarterdeck`.
pub fn data_dir(config: &AgentConfig) -> Result<PathBuf, NoPlace> {
    if let Some(dir) = &config.data_dir {
        return Ok(dir.clone());
    }
    if let Some(dir) = std::env::var_os("STATE_DIRECTORY").filter(|d| !d.is_empty()) {
        return Ok(PathBuf::from(dir));
    }
    project().map(|dirs| dirs.data_dir().to_owned()).ok_or(NoPlace { what: "the data", option: "agent.data_dir" })
}

/// The socket: the option, `$RUNTIME_DIRECTORY` (systemd), else in the user's runtime directory.
pub fn socket(config: &AgentConfig) -> PathBuf {
    if let Some(path) = &config.socket {
        return path.clone();
    }
    if let Some(dir) = std::env::var_os("RUNTIME_DIRECTORY").filter(|d| !d.is_empty()) {
        return Path::new(&dir).join("agent.sock");
    }
    let dirs = BaseDirs::new();
    protocol::user_socket(dirs.as_ref().and_then(BaseDirs::runtime_dir), rustix::process::getuid().as_raw())
}

fn project() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "quarterdeck")
}
