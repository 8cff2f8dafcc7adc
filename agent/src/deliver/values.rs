//! Values of build arguments and variables, found where the configuration says they are.

use std::collections::BTreeMap;

use quarterdeck_shared::application::ValueFrom;

use super::DeliverError;
use quarterdeck_container::engine::GivenValue;
use quarterdeck_system::secret::{self, Place};

/// Each with its value now: a secret is read at each use. `what` they are is said where one is not there.
pub(super) fn given(
    what: &'static str,
    values: &BTreeMap<String, ValueFrom>,
) -> Result<BTreeMap<String, GivenValue>, DeliverError> {
    values.iter().map(|(name, from)| Ok((name.clone(), value(what, name, from)?))).collect()
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
