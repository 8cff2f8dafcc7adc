//! Taking an object over from client-side kubectl: `kubectl apply` and `kubectl create` own each field that they wrote, as
//! managers of their own, so that a field which git leaves out would stay in the cluster for ever, and a `value` that
//! becomes a `valueFrom` would be refused since both are there.
//!
//! What they own becomes ours before we apply, as client-go's `csaupgrade` does it for `kubectl apply --server-side`; the
//! server then removes what git does not name. It goes with the annotation in which kubectl keeps its copy of the object,
//! which is one of these fields. Fields of any other manager are left alone: a controller may be behind it.
//!
//! A dry run shows an apply after that change only once the change is made, and a plan writes nothing. So the plan makes the
//! object itself, from what each manager owns, and asks the server what becomes of it ([`predicted`], [`merge_patch`]).

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::sync::managed_fields::MANAGER;

/// The managers of client-side kubectl whose objects are in files: `apply` and `create -f`. Not `kubectl-edit`, `kubectl-patch`
/// and the like, which change single fields of what another wrote.
const CLIENT_SIDE: [&str; 2] = ["kubectl-client-side-apply", "kubectl-create"];

/// The managers whose fields become ours when the object is written; none where it is not taken over.
pub fn managers(live: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        entries(live).filter(|e| is_client_side(e)).filter_map(|e| e["manager"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The `managedFields` of the object with these fields as ours; none where it is not taken over.
pub fn upgraded(live: &Value) -> Option<Value> {
    upgraded_from(live, is_client_side)
}

/// The same for the fields of other managers: of those entries that are `theirs`.
pub fn upgraded_from(live: &Value, theirs: impl Fn(&Value) -> bool) -> Option<Value> {
    let first = entries(live).find(|entry| theirs(entry))?;
    let mut ours = entries(live).find(|entry| is_ours(entry)).cloned().unwrap_or_else(|| {
        let mut entry = first.clone();
        entry["manager"] = json!(MANAGER);
        entry["operation"] = json!("Apply");
        entry
    });
    ours["fieldsV1"] = taken(live, &theirs);
    let others = entries(live).filter(|entry| !theirs(entry) && !is_ours(entry)).cloned();
    Some(std::iter::once(ours).chain(others).collect())
}

/// The object once it is taken over: what is ours in it then.
pub fn taken_over(live: &Value) -> Cow<'_, Value> {
    match upgraded(live) {
        Some(fields) => {
            let mut object = live.clone();
            object["metadata"]["managedFields"] = fields;
            Cow::Owned(object)
        }
        None => Cow::Borrowed(live),
    }
}

/// The object after `desired` is applied to the taken over one, before the server fills in defaults.
pub fn predicted(live: &Value, desired: &Value) -> Value {
    let taken = taken(live, is_client_side);
    let kept = entries(live).filter(|entry| !is_client_side(entry) && !is_ours(entry)).map(|entry| &entry["fieldsV1"]);
    let sets = Sets { taken: Some(&taken), kept: kept.collect() };
    combine(live, Some(desired), &sets).unwrap_or_else(|| desired.clone())
}

/// The merge patch (RFC 7386) that makes one object of the other.
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (from, to) else { return to.clone() };
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let changed = new.iter().filter(|(name, value)| old.get(*name) != Some(value));
    let changed =
        changed.map(|(name, value)| (name.clone(), merge_patch(old.get(name).unwrap_or(&Value::Null), value)));
    gone.chain(changed).collect::<Map<String, Value>>().into()
}

fn entries(live: &Value) -> impl Iterator<Item = &Value> {
    live["metadata"]["managedFields"].as_array().into_iter().flatten()
}

fn is_client_side(entry: &Value) -> bool {
    let manager = entry["manager"].as_str().unwrap_or_default();
    entry["operation"] == "Update" && entry["subresource"].is_null() && CLIENT_SIDE.contains(&manager)
}

fn is_ours(entry: &Value) -> bool {
    entry["operation"] == "Apply" && entry["subresource"].is_null() && entry["manager"] == MANAGER
}

/// What is ours and what becomes so. Fields that were written through another version of the API may have other paths:
/// these are given up, and not taken (as `csaupgrade` does).
fn taken(live: &Value, theirs: impl Fn(&Value) -> bool) -> Value {
    let version = entries(live).find(|entry| is_ours(entry)).or_else(|| entries(live).find(|entry| theirs(entry)));
    let version = version.map_or(&Value::Null, |entry| &entry["apiVersion"]);
    let all = entries(live).filter(|entry| is_ours(entry) || (theirs(entry) && entry["apiVersion"] == *version));
    all.fold(json!({}), |all, entry| union(&all, &entry["fieldsV1"], true))
}

/// The union of two sets in the form of fieldsV1. A field without anything below it is in the set itself; one with
/// something below it is so where it has a `.` there.
fn union(a: &Value, b: &Value, is_root: bool) -> Value {
    let (Value::Object(one), Value::Object(two)) = (a, b) else {
        return if a.is_null() { b.clone() } else { a.clone() };
    };
    let mut all = one.clone();
    for (step, below) in two {
        let joined = one.get(step).map_or_else(|| below.clone(), |old| union(old, below, false));
        all.insert(step.clone(), joined);
    }
    if !is_root && !all.is_empty() && (one.is_empty() || two.is_empty()) {
        all.insert(".".to_owned(), json!({}));
    }
    all.into()
}

/// What is owned at one place: by us, and by each of the others.
struct Sets<'a> {
    taken: Option<&'a Value>,
    kept: Vec<&'a Value>,
}

impl<'a> Sets<'a> {
    fn below(&self, step: &str) -> Self {
        let below = |set: &&'a Value| set.get(step);
        Self { taken: self.taken.as_ref().and_then(below), kept: self.kept.iter().filter_map(below).collect() }
    }

    fn steps(&self) -> impl Iterator<Item = &'a str> {
        let maps = self.taken.into_iter().chain(self.kept.iter().copied()).filter_map(Value::as_object);
        maps.flat_map(|map| map.keys().map(String::as_str))
    }

    /// The whole is one value: a manager has it, and none has a part of it.
    fn is_whole(&self) -> bool {
        let all = || self.taken.into_iter().chain(self.kept.iter().copied());
        all().any(is_leaf) && all().all(is_leaf)
    }

    /// Another has the value itself.
    fn is_kept(&self) -> bool {
        self.kept.iter().any(|set| is_leaf(set) || set.get(".").is_some())
    }
}

fn is_leaf(set: &Value) -> bool {
    set.as_object().is_none_or(Map::is_empty)
}

/// The value that is left of a live one; none where it goes.
fn combine(live: &Value, desired: Option<&Value>, sets: &Sets<'_>) -> Option<Value> {
    match (live, desired) {
        (Value::Object(old), Some(Value::Object(new))) if !sets.is_whole() || old.is_empty() => {
            Some(members(old, new, sets).into())
        }
        (Value::Array(old), Some(Value::Array(new))) if !sets.is_whole() => Some(items(old, new, sets)),
        (_, Some(desired)) => Some(desired.clone()),
        (_, None) if sets.taken.is_none() => Some(live.clone()),
        (_, None) if sets.taken.is_some_and(is_leaf) => (!sets.kept.is_empty()).then(|| live.clone()),
        (Value::Object(old), None) => {
            let left = members(old, &Map::new(), sets);
            (!left.is_empty() || sets.is_kept()).then(|| left.into())
        }
        (Value::Array(old), None) => {
            let left = items(old, &[], sets);
            (left != json!([]) || sets.is_kept()).then_some(left)
        }
        (_, None) => Some(live.clone()),
    }
}

fn members(old: &Map<String, Value>, new: &Map<String, Value>, sets: &Sets<'_>) -> Map<String, Value> {
    let left = |(name, value): (&String, &Value)| {
        Some((name.clone(), combine(value, new.get(name), &sets.below(&format!("f:{name}")))?))
    };
    let mut all: Map<String, Value> = old.iter().filter_map(left).collect();
    all.extend(
        new.iter().filter(|(name, _)| !old.contains_key(*name)).map(|(name, value)| (name.clone(), value.clone())),
    );
    all
}

/// Items that desired names in its order, where the list has them; the new ones at its end.
fn items(old: &[Value], new: &[Value], sets: &Sets<'_>) -> Value {
    let keys: Option<Map<String, Value>> =
        sets.steps().find_map(|step| serde_json::from_str(step.strip_prefix("k:")?).ok());
    let is_set = sets.steps().any(|step| step.starts_with("v:"));
    if keys.is_none() && !is_set {
        // A list that is one value, or that nobody owns.
        return if new.is_empty() { old.to_vec() } else { new.to_vec() }.into();
    }
    let names: Vec<&String> = keys.iter().flat_map(|keys| keys.keys()).collect();
    let same = |a: &Value, b: &Value| match is_set {
        true => a == b,
        // A key that a manifest leaves out has its default, as the protocol of a port.
        false => {
            names.iter().all(|name| b.get(name.as_str()).is_none_or(|wanted| a.get(name.as_str()) == Some(wanted)))
        }
    };
    let mut named = new.iter().filter(|wanted| old.iter().any(|item| same(item, wanted)));
    let mut left = Vec::new();
    for item in old {
        if new.iter().any(|wanted| same(item, wanted)) {
            let Some(wanted) = named.next() else { continue };
            let item = old.iter().find(|item| same(item, wanted)).unwrap_or(item);
            left.extend(combine(item, Some(wanted), &below_item(sets, item)));
            continue;
        }
        let sets = below_item(sets, item);
        if sets.taken.is_some_and(|set| is_leaf(set) || set.get(".").is_some()) && sets.kept.is_empty() {
            continue;
        }
        left.extend(combine(item, None, &sets).map(|left| with_keys(left, item, &names)));
    }
    left.extend(new.iter().filter(|wanted| !old.iter().any(|item| same(item, wanted))).cloned());
    left.into()
}

fn below_item<'a>(sets: &Sets<'a>, item: &Value) -> Sets<'a> {
    let step = sets.steps().find(|step| match step.split_at_checked(2) {
        Some(("k:", keys)) => serde_json::from_str::<Map<String, Value>>(keys)
            .is_ok_and(|keys| keys.iter().all(|(name, value)| item.get(name) == Some(value))),
        Some(("v:", value)) => serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item),
        _ => false,
    });
    step.map_or(Sets { taken: None, kept: Vec::new() }, |step| sets.below(step))
}

/// An item of which something is left is still known by its keys.
fn with_keys(mut left: Value, item: &Value, names: &[&String]) -> Value {
    for name in names {
        if let (Some(map), Some(key)) = (left.as_object_mut(), item.get(name.as_str())) {
            map.insert((*name).clone(), key.clone());
        }
    }
    left
}

#[cfg(test)]
mod tests;
