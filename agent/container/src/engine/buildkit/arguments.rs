//! What `buildctl` is called with (pure). Nothing of it is secret: every user of a machine reads the arguments of its programs.
//!
//! Paths of a build are seen from the folder that it works in, so that none of them has a comma or a quote that the lists of
//! `buildctl` would take apart.

use std::path::PathBuf;

use secrecy::SecretString;

use super::error::BuildkitError;
use crate::engine::{BuildRequest, GivenValue};

/// The folder of the context, below the one that a build works in.
pub(super) const CONTEXT: &str = "context";

/// The folder of what comes out.
pub(super) const OUTPUT: &str = "image";

/// The build argument that says what time is to be in what is built.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Where a daemon is, and by what it and we know each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Daemon {
    /// `tcp://build.example:1234`
    pub address: String,
    /// Its authority.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

impl Daemon {
    /// The files, by their options.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let all = [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        all.into_iter().filter_map(|(option, file)| Some((option, file.as_ref()?)))
    }

    /// What goes before each command.
    pub(super) fn arguments(&self) -> Vec<String> {
        let flag = |option| match option {
            "ca_file" => "--tlscacert",
            "cert_file" => "--tlscert",
            _ => "--tlskey",
        };
        let files = self.files().flat_map(|(option, file)| [flag(option).to_owned(), file.display().to_string()]);
        ["--addr".to_owned(), self.address.clone()].into_iter().chain(files).collect()
    }
}

/// How a build is called.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) arguments: Vec<String>,
    /// Secrets of the build, by variables of the program's environment, which its user alone reads.
    pub(super) secrets: Vec<(String, SecretString)>,
}

/// A build of what is in [`CONTEXT`], into [`OUTPUT`] where it is to be kept.
///
/// # Errors
/// Where a build argument is secret.
pub(super) fn build(daemon: &Daemon, request: &BuildRequest) -> Result<Call, BuildkitError> {
    let mut call = Call { arguments: daemon.arguments(), secrets: Vec::new() };
    let fixed = ["build", "--progress", "rawjson", "--frontend", "dockerfile.v0"];
    call.arguments.extend(fixed.map(str::to_owned));
    let mut add = |flag: &str, value: String| call.arguments.extend([flag.to_owned(), value]);
    for local in ["context", "dockerfile"] {
        add("--local", format!("{local}={CONTEXT}"));
    }
    add("--opt", format!("filename={}", request.dockerfile));
    if let Some(target) = &request.target {
        add("--opt", format!("target={target}"));
    }
    if !request.platforms.is_empty() {
        add("--opt", format!("platform={}", request.platforms.join(",")));
    }
    for (name, value) in &request.args {
        match value {
            GivenValue::Plain(value) => add("--opt", format!("build-arg:{name}={value}")),
            GivenValue::Secret(_) => return Err(BuildkitError::SecretArgument { name: name.clone() }),
        }
    }
    for (name, value) in &request.labels {
        add("--opt", format!("label:{name}={value}"));
    }
    if request.no_cache {
        add("--opt", "no-cache=".to_owned());
    }
    for (place, id) in request.secrets.keys().enumerate() {
        add("--secret", format!("id={id},env={}", variable(place)));
    }
    if let Some(agent) = &request.ssh {
        add("--ssh", format!("default={}", agent.socket.display()));
    }
    for image in &request.cache_from {
        add("--import-cache", format!("type=registry,ref={image}"));
    }
    if request.inline_cache {
        add("--export-cache", "type=inline".to_owned());
    }
    if let Some(image) = &request.cache_to {
        add("--export-cache", format!("type=registry,ref={image},mode=max"));
    }
    // What has no name is built to see that it can be: nothing comes back.
    if !request.tags.is_empty() {
        // Files and folders of each layer get a time as well, which no build argument alone does.
        let times = if request.args.contains_key(SOURCE_DATE_EPOCH) { ",rewrite-timestamp=true" } else { "" };
        add("--output", format!("type=oci,tar=false,dest={OUTPUT}{times}"));
    }
    let secrets = request.secrets.values().enumerate();
    call.secrets = secrets.map(|(place, secret)| (variable(place), secret.clone())).collect();
    Ok(call)
}

/// The variable of a secret.
fn variable(place: usize) -> String {
    format!("QUARTERDECK_SECRET_{place}")
}

/// The workers of a daemon, as JSON.
pub(super) fn workers(daemon: &Daemon) -> Vec<String> {
    let mut arguments = daemon.arguments();
    arguments.extend(["debug", "workers", "--format", "{{json .}}"].map(str::to_owned));
    arguments
}

#[cfg(test)]
mod tests;
