//! JSON patch (RFC 6902).

use serde::Deserialize;
use serde_json::Value;

/// One operation.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    Add { path: String, value: Value },
    Remove { path: String },
    Replace { path: String, value: Value },
    Move { from: String, path: String },
    Copy { from: String, path: String },
    Test { path: String, value: Value },
}

/// Why a patch does not apply, in the server's words as far as it has some.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum JsonPatchError {
    /// No list of operations.
    #[error("error decoding patch: {0}")]
    Unreadable(String),
    /// A path that is not there.
    #[error("the server rejected our request due to an error in our request")]
    Missing(String),
    /// A test that does not hold.
    #[error("the server rejected our request due to an error in our request")]
    Test(String),
}

/// Applies the operations in order, all or none.
///
/// # Errors
/// When the patch cannot be read, names what is not there, or a test in it fails.
pub fn apply(target: &Value, patch: &Value) -> Result<Value, JsonPatchError> {
    let operations: Vec<Operation> =
        serde_json::from_value(patch.clone()).map_err(|error| JsonPatchError::Unreadable(error.to_string()))?;
    let mut out = target.clone();
    for operation in operations {
        match operation {
            Operation::Add { path, value } => add(&mut out, &path, value)?,
            Operation::Remove { path } => drop(remove(&mut out, &path)?),
            Operation::Replace { path, value } => {
                *out.pointer_mut(&path).ok_or_else(|| JsonPatchError::Missing(path.clone()))? = value;
            }
            Operation::Move { from, path } => {
                let value = remove(&mut out, &from)?;
                add(&mut out, &path, value)?;
            }
            Operation::Copy { from, path } => {
                let value = out.pointer(&from).cloned().ok_or(JsonPatchError::Missing(from))?;
                add(&mut out, &path, value)?;
            }
            Operation::Test { path, value } => {
                if out.pointer(&path) != Some(&value) {
                    return Err(JsonPatchError::Test(path));
                }
            }
        }
    }
    Ok(out)
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), JsonPatchError> {
    let missing = || JsonPatchError::Missing(path.to_owned());
    let Some((parent, last)) = split(path) else {
        *target = value;
        return Ok(());
    };
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(last, value)),
        Some(Value::Array(items)) if last == "-" => items.push(value),
        Some(Value::Array(items)) => {
            let at: usize = last.parse().map_err(|_| missing())?;
            if at > items.len() {
                return Err(missing());
            }
            items.insert(at, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, JsonPatchError> {
    let missing = || JsonPatchError::Missing(path.to_owned());
    let (parent, last) = split(path).ok_or_else(missing)?;
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => map.remove(&last).ok_or_else(missing),
        Some(Value::Array(items)) => {
            let at = last.parse().ok().filter(|at| *at < items.len()).ok_or_else(missing)?;
            Ok(items.remove(at))
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations() {
        let object = json!({"a": [1, 2], "b/c": {"d": 1}});
        let patch = json!([
            {"op": "test", "path": "/a/0", "value": 1},
            {"op": "add", "path": "/a/-", "value": 3},
            {"op": "remove", "path": "/a/0"},
            {"op": "move", "from": "/b~1c/d", "path": "/e"},
        ]);
        assert_eq!(apply(&object, &patch).expect("it applies"), json!({"a": [2, 3], "b/c": {}, "e": 1}));
        let refused = apply(&object, &json!([{"op": "remove", "path": "/x"}])).expect_err("nothing there");
        assert_eq!(refused, JsonPatchError::Missing("/x".into()));
    }
}
