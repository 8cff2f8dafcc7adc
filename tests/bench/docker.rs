//! The docker program on the world's engine, as a user would run it.

use std::path::Path;
use std::process::Command;

use harness::real::Parts;

/// The program with these words: with BuildKit, which is what the agent takes, or classic.
pub(crate) fn command(parts: &Parts, buildkit: bool, words: &[&str]) -> Command {
    let mut command = Command::new(Path::new(parts.get("WORLD_BIN")).join("docker"));
    command.args(words).env("DOCKER_HOST", parts.get("DOCKER_HOST"));
    command.env("DOCKER_CONFIG", parts.get("DOCKER_CONFIG"));
    command.env("DOCKER_BUILDKIT", if buildkit { "1" } else { "0" });
    command
}
