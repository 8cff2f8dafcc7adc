//! Values of build arguments and variables, found where the configuration says they are.

use std::collections::BTreeMap;

use quarterdeck_shared::application::ValueFrom;

use super::DeliverError;
use quarterdeck_container::engine::GivenValue;
use quarterdeck_system::secret::{self, Place};

/// Each with its value now: a secret is read at each use. `what` they are is said where one is not there. Code of a fork
/// gets none that is secret.
pub(super) fn given(
    what: &'static str,
    values: &BTreeMap<String, ValueFrom>,
    is_of_fork: bool,
) -> Result<BTreeMap<String, GivenValue>, DeliverError> {
    let values = values.iter().filter(|(_, from)| !is_of_fork || !is_secret(from));
    values.map(|(name, from)| Ok((name.clone(), value(what, name, from)?))).collect()
}

/// A line about what is withheld from code of a fork; empty where nothing is.
pub(super) fn withheld<'v>(what: &str, values: impl Iterator<Item = (&'v String, &'v ValueFrom)>) -> String {
    let names: Vec<&str> = values.filter(|(_, from)| is_secret(from)).map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("{what} withheld from code of a fork: {}", names.join(", ")) }
}

fn is_secret(from: &ValueFrom) -> bool {
    !matches!(from, ValueFrom::Plain(_))
}

fn value(what: &'static str, name: &str, from: &ValueFrom) -> Result<GivenValue, DeliverError> {
    let place = match from {
        ValueFrom::Plain(value) => return Ok(GivenValue::Plain(value.clone())),
        ValueFrom::Environment { env } => Place::variable(env),
        ValueFrom::File { file } => Place::file(file),
    };
    let secret = secret::read(&place);
    secret.map(GivenValue::Secret).map_err(|source| DeliverError::Value { what, name: name.to_owned(), source })
}
