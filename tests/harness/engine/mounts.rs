//! What a `RUN --mount` brings into a step for its time alone. Of the types there are `secret`, `ssh`, of which a step sees in
//! the place of the socket what the agent answers when it is asked for its keys, and `cache` and `tmpfs`, which bring nothing;
//! BuildKit alone has any.

use std::collections::BTreeMap;

use super::dockerfile::Instruction;
use super::output::Stop;
use super::session::Session;

/// The files of the mounts of a step, by their paths.
pub(super) type Mounted = BTreeMap<String, Vec<u8>>;

/// What the mounts of a `RUN` bring; the classic builder has no session, and refuses them.
pub(super) async fn mounted(instruction: &Instruction, session: Option<&Session>) -> Result<Mounted, Stop> {
    let mut files = Mounted::new();
    for (_, value) in instruction.flags.iter().filter(|(name, _)| name == "mount") {
        let Some(session) = session else {
            return Err(Stop::failed(
                "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/",
            ));
        };
        let fields: BTreeMap<&str, &str> =
            value.split(',').map(|field| field.split_once('=').unwrap_or((field, "true"))).collect();
        let field = |name: &str| fields.get(name).copied();
        match field("type") {
            Some("secret") => {
                let id = field("id").unwrap_or_default();
                match session.secret(id).await? {
                    Some(secret) => {
                        let path = field("target").map_or_else(|| format!("/run/secrets/{id}"), str::to_owned);
                        files.insert(path, secret);
                    }
                    None if field("required") == Some("true") => {
                        return Err(Stop::failed(format!("secret {id}: not found")));
                    }
                    None => {}
                }
            }
            Some("ssh") => match session.keys(field("id").unwrap_or("default")).await? {
                Some(keys) => drop(files.insert("/run/buildkit/ssh_agent.0".to_owned(), keys)),
                None if field("required") == Some("true") => {
                    return Err(Stop::failed("unset ssh forward key default"));
                }
                None => {}
            },
            Some("cache" | "tmpfs") => {}
            other => return Err(Stop::failed(format!("the stand-in engine has no mount of type {other:?}"))),
        }
    }
    Ok(files)
}
