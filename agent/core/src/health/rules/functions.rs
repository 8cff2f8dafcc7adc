//! What a rule can call besides the standard functions of CEL. All of them take what is absent for empty, so that a rule is
//! short and yet never wrong about an object that its controller has not seen.

use std::collections::HashMap;
use std::sync::Arc;

use cel::{Context, Value as Cel};
use quarterdeck_shared::status::Health;
use serde_json::Value;

use crate::health::custom::lexicon;
use crate::health::field::{conditions, is_true, number};

/// The parts of an object that a rule sees, each an empty map where it is absent.
pub(super) const VARIABLES: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status", "data"];

const NAMES: &[&str] = &[
    "condition",
    "isTrue",
    "isFalse",
    "isUnknown",
    "reason",
    "textAt",
    "textsAt",
    "numberAt",
    "trueAt",
    "failing",
    "working",
    "stopped",
];

/// The functions of CEL itself that a rule has a use for.
const STANDARD: &[&str] =
    &["bool", "contains", "double", "dyn", "endsWith", "int", "size", "startsWith", "string", "type", "uint"];

pub(super) fn is_known(name: &str) -> bool {
    // Operators are functions as well: `_==_`, `@in`, `!_`.
    let is_operator = name.starts_with(['_', '@', '!', '-']);
    is_operator || NAMES.contains(&name) || STANDARD.contains(&name)
}

/// One condition, as far as a rule asks for it.
#[derive(Clone, Default)]
struct Told {
    kind: String,
    status: &'static str,
    reason: String,
    message: String,
    severity: String,
}

/// Adds the functions, with what they know of the object.
pub(super) fn add(context: &mut Context<'_, '_>, object: &Value) {
    let generation = number(object, "/metadata/generation");
    let told: Arc<[Told]> = conditions(object)
        .map(|condition| {
            // What is about an older object is not known of this one.
            let is_stale = matches!((generation, condition.observed_generation()), (Some(g), Some(o)) if o < g);
            Told {
                kind: condition.kind().to_owned(),
                status: if is_stale { "Unknown" } else { condition.status() },
                reason: condition.reason().to_owned(),
                message: condition.message().to_owned(),
                severity: condition.severity().to_owned(),
            }
        })
        .collect();
    let all = Arc::clone(&told);
    let find = move |kind: &str| all.iter().find(|told| told.kind == kind).cloned();
    let is = |find: &(dyn Fn(&str) -> Option<Told> + Send + Sync), kind: &str, status: &str| {
        find(kind).is_some_and(|told| told.status == status)
    };
    let object = Arc::new(object.clone());
    let (a, b, c, d, e) = (find.clone(), find.clone(), find.clone(), find.clone(), find);
    let (w, x, y, z) = (Arc::clone(&object), Arc::clone(&object), Arc::clone(&object), object);
    // None of these names is one of the standard library, so that none is refused.
    let _ = context.add_function("condition", move |kind: Arc<String>| as_map(a(&kind)));
    let _ = context.add_function("isTrue", move |kind: Arc<String>| is(&b, &kind, "True"));
    let _ = context.add_function("isFalse", move |kind: Arc<String>| is(&c, &kind, "False"));
    let _ = context.add_function("isUnknown", move |kind: Arc<String>| is(&d, &kind, "Unknown"));
    let _ =
        context.add_function("reason", move |kind: Arc<String>| e(&kind).map(|told| told.reason).unwrap_or_default());
    let _ = context.add_function("textAt", move |path: Arc<String>| word(x.pointer(&pointer(&path))));
    let _ = context.add_function("textsAt", move |path: Arc<String>| texts_at(&w, &path));
    let _ = context.add_function("numberAt", move |path: Arc<String>| number(&y, &pointer(&path)).unwrap_or(0));
    let _ = context.add_function("trueAt", move |path: Arc<String>| is_true(&z, &pointer(&path)));
    let _ = context.add_function("failing", |word: Arc<String>| lexicon::state(&word) == Some(Health::Degraded));
    let _ = context.add_function("working", |word: Arc<String>| lexicon::state(&word) == Some(Health::Progressing));
    let _ = context.add_function("stopped", |word: Arc<String>| lexicon::state(&word) == Some(Health::Suspended));
}

/// A text, or what else is one word.
fn word(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The texts at all places that a path with `*` names: `status.tills.*.phase`.
fn texts_at(object: &Value, path: &str) -> Cel {
    let mut places = vec![object];
    for part in path.split('.') {
        places = places.into_iter().flat_map(|place| step(place, part)).collect();
    }
    let words: Vec<Cel> = places.into_iter().map(|place| Cel::from(word(Some(place)))).collect();
    Cel::List(Arc::new(words))
}

fn step<'a>(place: &'a Value, part: &str) -> Vec<&'a Value> {
    match (part, place) {
        ("*", Value::Array(items)) => items.iter().collect(),
        ("*", Value::Object(fields)) => fields.values().collect(),
        (name, place) => place.get(name).into_iter().collect(),
    }
}

/// `status.loadBalancer.ingress.0.ip` as a JSON pointer.
fn pointer(path: &str) -> String {
    path.split('.').flat_map(|part| ["/", part]).collect()
}

fn as_map(told: Option<Told>) -> Cel {
    let told = told.unwrap_or_default();
    let fields = [
        ("type", told.kind.as_str()),
        ("status", told.status),
        ("reason", told.reason.as_str()),
        ("message", told.message.as_str()),
        ("severity", told.severity.as_str()),
    ];
    Cel::from(fields.map(|(name, text)| (name.to_owned(), Cel::from(text))).into_iter().collect::<HashMap<_, _>>())
}
