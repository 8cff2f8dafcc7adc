//! An error of the agent for people: the whole chain in one sentence, and what to do next.

use crate::client::error::ClientError;
use crate::model::link::Problem;

impl From<&ClientError> for Problem {
    fn from(error: &ClientError) -> Self {
        Self { message: quarterdeck_shared::error::chain(error), hints: error.hints() }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        (&error).into()
    }
}
