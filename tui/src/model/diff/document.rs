//! Comparing both sides of each object, line by line and then within the lines.

use std::collections::HashMap;
use std::time::Duration;

use quarterdeck_shared::change::{Change, FieldChange};
use quarterdeck_shared::protocol::{DiffAnswer, ObjectDiff};
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;
use similar::{ChangeTag, DiffTag, InlineChangeMode, InlineChangeOptions, TextDiff};

use crate::model::diff::{DiffDocument, ObjectLines, Part, SideLine};
use crate::text;

/// Lines of one side that are compared. Beyond it a manifest is data, not text that somebody reads.
const LINES_MAX: usize = 20_000;

/// The comparison of one object may take this long; then it becomes coarser, never wrong.
const COMPARE_MAX: Duration = Duration::from_millis(250);

/// Makes an answer ready for drawing.
pub fn document(answer: DiffAnswer) -> DiffDocument {
    let changes: HashMap<&ResourceRef, &Change> = answer.plan.changes.iter().map(|c| (&c.resource, c)).collect();
    let objects = answer.objects.iter().map(|o| compare(o, changes.get(&o.resource).copied())).collect();
    DiffDocument { objects, plan: answer.plan }
}

fn compare(object: &ObjectDiff, change: Option<&Change>) -> ObjectLines {
    let live = head(object.live.as_deref());
    let desired = head(object.desired.as_deref());
    let diff = TextDiff::configure().timeout(COMPARE_MAX).diff_lines(&*live, &*desired);
    let mut lives: Vec<SideLine> = (0..).map_while(|line| diff.old_slice(line)).map(side).collect();
    let mut desireds: Vec<SideLine> = (0..).map_while(|line| diff.new_slice(line)).map(side).collect();
    let mut parts = Vec::new();
    for op in diff.ops() {
        if op.tag() == DiffTag::Replace {
            for change in diff.iter_inline_changes_with_options(op, by_characters()) {
                let marks = marks(change.values());
                match (change.tag(), change.old_index(), change.new_index()) {
                    (ChangeTag::Delete, Some(line), _) => lives[line].marks = marks,
                    (ChangeTag::Insert, _, Some(line)) => desireds[line].marks = marks,
                    _ => {}
                }
            }
        }
        let span = |range: std::ops::Range<usize>| (small(range.start), small(range.len()));
        let alike = op.tag() == DiffTag::Equal;
        parts.push(Part { alike, live: span(op.old_range()), desired: span(op.new_range()) });
    }
    let resource = &object.resource;
    let place = resource.namespace.as_deref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    ObjectLines {
        title: format!("{}{place}", resource.short()),
        action: object.action,
        reason: change.and_then(|change| change.reason.clone()),
        fields: if parts.iter().all(|part| part.alike) { change.map(fields).unwrap_or_default() } else { Vec::new() },
        live: lives,
        desired: desireds,
        parts,
    }
}

/// The fields of a change, a line each: `data.password: "••••" → "••••"`.
fn fields(change: &Change) -> Vec<String> {
    change.fields.iter().map(field).collect()
}

/// As [`field`] with what a person needs to know it again: `spec.template…image   1.3.9 → 1.4.0`.
pub fn field_short(field: &FieldChange) -> String {
    let value = |value: &Option<Value>| match value {
        None => "absent".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let (live, desired) = short_digests(value(&field.live), value(&field.desired));
    let alike = alike_head(&live, &desired);
    format!("{}   {} → {}{}", path_short(&field.path), &live[alike..], &desired[alike..], aside(field))
}

/// Two names of images without their digests, or with as much of them as people compare where nothing else differs: both
/// sides of a change are to be seen beside each other.
fn short_digests(live: String, desired: String) -> (String, String) {
    const DIGITS: usize = 7;
    match (live.split_once("@sha256:"), desired.split_once("@sha256:")) {
        (Some((before, a)), Some((after, b))) if before == after => {
            let short = |hex: &str| format!("{before}@{}", hex.get(..DIGITS).unwrap_or(hex));
            (short(a), short(b))
        }
        (before, after) => (
            before.map_or(live.as_str(), |(name, _)| name).to_owned(),
            after.map_or(desired.as_str(), |(name, _)| name).to_owned(),
        ),
    }
}

/// `spec.template…image` of `spec.template.spec.containers[name=shop].image`.
fn path_short(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    match &parts[..] {
        [first, second, _, .., last] if path.len() > 30 => format!("{first}.{second}…{last}"),
        _ => path.to_owned(),
    }
}

/// Bytes of what two values begin with alike, up to the last mark between their parts: the registry and the name of an
/// image, where only its tag differs.
fn alike_head(live: &str, desired: &str) -> usize {
    let alike = live.char_indices().zip(desired.chars()).take_while(|((_, a), b)| a == b).map(|((at, _), _)| at);
    let end = alike.last().map_or(0, |at| at + 1);
    let head = live.get(..end).unwrap_or_default();
    head.rfind(['/', ':', '@']).map_or(0, |at| at + 1)
}

/// `spec.replicas: 2 → 3, set by kubectl-scale`.
fn field(field: &FieldChange) -> String {
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "absent".to_owned(), |v| v.to_string());
    format!("{}: {} → {}{}", field.path, value(&field.live), value(&field.desired), aside(field))
}

/// What else there is to know of the two values.
fn aside(field: &FieldChange) -> String {
    let default = if field.default { " (default)" } else { "" };
    let manager = field.manager.as_deref().map(|manager| format!(", set by {manager}")).unwrap_or_default();
    format!("{default}{manager}")
}

/// Versions and numbers differ within words, so characters are compared; then the marks are joined to what people read
/// as one.
fn by_characters() -> InlineChangeOptions {
    let mut options = InlineChangeOptions::new();
    options.mode(InlineChangeMode::Chars).semantic_cleanup(true);
    options
}

/// A side, made harmless line by line before it is compared, so that marks stand where the text is drawn.
fn head(side: Option<&str>) -> String {
    let text = side.unwrap_or_default();
    let mut head = String::with_capacity(text.len());
    for line in text.lines().take(LINES_MAX) {
        head.push_str(&text::clean(line).replace('\t', "    "));
        head.push('\n');
    }
    let left_out = text.lines().skip(LINES_MAX).count();
    if left_out > 0 {
        head.push_str(&format!("# … and {left_out} lines more, which are not compared here\n"));
    }
    head
}

fn side(line: &str) -> SideLine {
    SideLine { text: line.trim_end_matches('\n').into(), marks: Vec::new() }
}

/// Bytes of a line that are emphasised. Where all of it is, nothing is: a mark tells parts from the whole.
fn marks(values: &[(bool, &str)]) -> Vec<(u32, u32)> {
    if !values.iter().any(|(marked, text)| !marked && !text.trim().is_empty()) {
        return Vec::new();
    }
    let mut at = 0;
    let mut marks = Vec::new();
    for (marked, text) in values {
        let end = at + small(text.trim_end_matches('\n').len());
        if *marked && end > at {
            marks.push((at, end));
        }
        at = end;
    }
    marks
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a side has at most LINES_MAX lines")
}
