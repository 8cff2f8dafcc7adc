//! Reading an object whose shape nobody guarantees: a field that is missing or of another type is as good as empty.

use jiff::Timestamp;
use serde_json::Value;

/// A reason is read in one line of a list; longer ones are cut. In characters.
const REASON_CHARS_MAX: usize = 500;

/// The text at a JSON pointer, or `""`.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a JSON pointer, within what can be added and taken away without a thought.
pub(super) fn number(object: &Value, pointer: &str) -> Option<i64> {
    const FAR: i64 = i64::MAX / 4;
    object.pointer(pointer).and_then(Value::as_i64).map(|number| number.clamp(-FAR, FAR))
}

/// The number at a JSON pointer; controllers leave out what is zero.
pub(super) fn count(object: &Value, pointer: &str) -> i64 {
    number(object, pointer).unwrap_or(0)
}

/// Whether there is a `true` at a JSON pointer.
pub(super) fn is_true(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at a JSON pointer, or none.
pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// One of the things that an object says about itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition<'a>(&'a Value);

impl<'a> Condition<'a> {
    /// `True`, `False` or `Unknown`; what is written without quotes counts too.
    pub(super) fn status(self) -> &'static str {
        match self.0.get("status") {
            Some(Value::String(status)) if status.eq_ignore_ascii_case("true") => "True",
            Some(Value::String(status)) if status.eq_ignore_ascii_case("false") => "False",
            Some(Value::Bool(true)) => "True",
            Some(Value::Bool(false)) => "False",
            _ => "Unknown",
        }
    }

    /// What is written as its status: a few controllers write a state here.
    pub(super) fn word(self) -> &'a str {
        text(self.0, "/status")
    }

    pub(super) fn is(self, status: &str) -> bool {
        self.status() == status
    }

    pub(super) fn kind(self) -> &'a str {
        text(self.0, "/type")
    }

    pub(super) fn reason(self) -> &'a str {
        text(self.0, "/reason")
    }

    pub(super) fn message(self) -> &'a str {
        text(self.0, "/message")
    }

    /// `Error`, `Warning` or `Info`, where a controller says how bad it is.
    pub(super) fn severity(self) -> &'a str {
        text(self.0, "/severity")
    }

    /// `Reason: message`, or what there is of it.
    pub(super) fn summary(self) -> String {
        match (self.reason(), self.message()) {
            ("", "") => format!("{} is {}", self.kind(), self.status()),
            ("", message) => message.to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }

    /// When its status became what it is.
    pub(super) fn changed_at(self) -> Option<Timestamp> {
        text(self.0, "/lastTransitionTime").parse().ok()
    }

    /// The generation that it is about, where it tells.
    pub(super) fn observed_generation(self) -> Option<i64> {
        number(self.0, "/observedGeneration")
    }
}

/// The conditions of an object, in their order.
pub(super) fn conditions(object: &Value) -> impl Iterator<Item = Condition<'_>> {
    list(object, "/status/conditions").iter().map(Condition)
}

/// The conditions that are in a list elsewhere in an object.
pub(super) fn conditions_at<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = Condition<'a>> + use<'a> {
    list(object, pointer).iter().map(Condition)
}

/// The condition of a type.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    conditions(object).find(|condition| condition.kind() == kind)
}

/// The condition of a type where it has this status.
pub(super) fn condition_that_is<'a>(object: &'a Value, kind: &str, status: &str) -> Option<Condition<'a>> {
    condition(object, kind).filter(|condition| condition.is(status))
}

/// Why the status is about an older object, for kinds whose controller always tells what it has seen. Where the object
/// has no generation (it does not come from a cluster) there is nothing to compare.
pub(super) fn not_observed(object: &Value) -> Option<String> {
    match (number(object, "/metadata/generation"), number(object, "/status/observedGeneration")) {
        (Some(generation), None) if generation > 0 => Some("its controller has not seen it yet".to_owned()),
        (Some(_), None) | (None, _) => None,
        (Some(generation), Some(observed)) => stale(generation, observed),
    }
}

/// The same for kinds whose controller may tell.
pub(super) fn observed_is_stale(object: &Value) -> Option<String> {
    stale(number(object, "/metadata/generation")?, number(object, "/status/observedGeneration")?)
}

fn stale(generation: i64, observed: i64) -> Option<String> {
    let words = || format!("its controller has seen generation {observed}, not {generation} yet");
    (observed < generation).then(words)
}

/// `3 pods`, `1 pod`.
pub(super) fn pods(count: i64) -> String {
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}

/// A text in one line, without control characters, and not too long.
pub(super) fn condense(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    if line.chars().count() <= REASON_CHARS_MAX {
        return line;
    }
    line.chars().take(REASON_CHARS_MAX - 1).chain(['…']).collect()
}
