//! What an inventory says of releases that had hooks, see [`quarterdeck_core::hooks`]. One of an environment without hooks says
//! nothing of it.

use quarterdeck_core::hooks::Record;
use serde_json::{Value, json};

/// The annotation, with JSON.
const HOOKS: &str = "quarterdeck.dev/hooks";

/// What is said on an object. What makes no sense says nothing: hooks are then run from the next change on.
pub(super) fn record_of(object: &Value) -> Record {
    let text = object["metadata"]["annotations"][HOOKS].as_str().unwrap_or("{}");
    serde_json::from_str(text).unwrap_or_default()
}

/// Says it on an object.
pub(super) fn put(object: &mut Value, record: &Record) {
    if *record != Record::default() {
        object["metadata"]["annotations"][HOOKS] = json!(serde_json::to_string(record).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use quarterdeck_core::hooks::{Event, Running, When};

    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let running = Running {
            content: "1f".to_owned(),
            event: Event::Upgrade,
            id: "k7x2m-12".to_owned(),
            passed: Some(When::Before),
        };
        for record in [
            Record::default(),
            Record { applied: Some("0e".to_owned()), running: None },
            Record { applied: Some("0e".to_owned()), running: Some(running) },
        ] {
            let mut object = json!({"metadata": {"annotations": {"other": "stays"}}});
            put(&mut object, &record);
            assert_eq!(record_of(&object), record);
        }
        let changed = json!({"metadata": {"annotations": {HOOKS: "{\"applied\": 3}"}}});
        assert_eq!(record_of(&changed), Record::default());
    }
}
