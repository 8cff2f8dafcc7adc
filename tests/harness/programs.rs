//! Programs that stand in for others: scripts, found on the agent's `PATH` before all others.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Puts one into a folder of this one; the `PATH` on which it is found first.
///
/// # Errors
/// Where it cannot be written.
pub fn install(folder: &Path, name: &str, script: &str) -> std::io::Result<PathBuf> {
    let programs = folder.join("programs");
    std::fs::create_dir_all(&programs)?;
    let program = programs.join(name);
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let mut path = OsString::from(programs);
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    Ok(path.into())
}
