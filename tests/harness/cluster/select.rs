//! Label and field selectors. Pure.

use serde_json::Value;

use super::failure::Failure;
use super::kinds::Kind;
use super::store::text;

/// Which objects a list or watch is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector {
    labels: Vec<(String, Test)>,
    fields: Vec<(String, Test)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Test::In(values) => value.is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|unwanted| unwanted != value)),
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}

impl Selector {
    /// Reads the two query parameters.
    ///
    /// # Errors
    /// 400 for what cannot be read, and for a field that this kind does not let one select by.
    pub fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Selector, Failure> {
        let labels = split(labels).iter().map(|term| label(term)).collect::<Result<_, _>>()?;
        let fields = split(fields).iter().map(|term| field(kind, term)).collect::<Result<_, _>>()?;
        Ok(Selector { labels, fields })
    }

    /// Whether the object is one of those.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.labels.iter().all(|(key, test)| test.holds(labels.and_then(|all| all.get(key)).and_then(Value::as_str)))
            && self.fields.iter().all(|(path, test)| test.holds(Some(text(object, path))))
    }
}

/// Whether a `metav1.LabelSelector` selects these labels. An empty one selects all.
pub fn label_selector_matches(selector: &Value, labels: Option<&Value>) -> bool {
    let value = |key: &str| labels.and_then(|all| all.get(key)).and_then(Value::as_str);
    let exact = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    exact.into_iter().all(|(key, wanted)| value(key) == wanted.as_str())
        && expressions.into_iter().all(|expression| {
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            let test = match text(expression, "/operator") {
                "In" => Test::In(values),
                "NotIn" => Test::NotIn(values),
                "Exists" => Test::Exists,
                _ => Test::Absent,
            };
            test.holds(value(text(expression, "/key")))
        })
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<String> {
    let (mut terms, mut depth, mut term) = (Vec::new(), 0_usize, String::new());
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(std::mem::take(&mut term));
                continue;
            }
            _ => {}
        }
        term.push(letter);
    }
    terms.push(term);
    terms.retain(|term| !term.trim().is_empty());
    terms
}

fn label(term: &str) -> Result<(String, Test), Failure> {
    let term = term.trim();
    let pair = |key: &str, test: Test| Ok((key.trim().to_owned(), test));
    if let Some((head, values)) = term.split_once('(') {
        let values = values.trim_end_matches(')').split(',').map(|value| value.trim().to_owned()).collect();
        return match head.trim().rsplit_once(char::is_whitespace) {
            Some((key, "in")) => pair(key, Test::In(values)),
            Some((key, "notin")) => pair(key, Test::NotIn(values)),
            _ => Err(Failure::bad_request(format!("unable to parse requirement: {term}"))),
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return pair(key, Test::NotIn(vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return pair(key, Test::In(vec![value.trim().to_owned()]));
    }
    if let Some((_, found)) = term.split_once(char::is_whitespace) {
        let message = format!("unable to parse requirement: found '{found}', expected: in, notin, =, ==, !=, gt, lt");
        return Err(Failure::bad_request(message));
    }
    match term.strip_prefix('!') {
        Some(key) => pair(key, Test::Absent),
        None => pair(term, Test::Exists),
    }
}

fn field(kind: &Kind, term: &str) -> Result<(String, Test), Failure> {
    let (name, test) = match label(term)? {
        (name, test @ (Test::In(_) | Test::NotIn(_))) => (name, test),
        _ => return Err(Failure::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'"))),
    };
    let own: &[&str] = match kind.kind.as_str() {
        _ if kind.custom => &[],
        "Pod" => &["spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.fieldPath",
            "reason",
            "type",
        ],
        "Secret" => &["type"],
        "Namespace" => &["status.phase"],
        "Service" => &["spec.clusterIP", "spec.type"],
        _ => &[],
    };
    if !["metadata.name", "metadata.namespace"].contains(&name.as_str()) && !own.contains(&name.as_str()) {
        let message = if own.is_empty() && !kind.custom {
            format!("{name:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        } else {
            format!("field label not supported: {name}")
        };
        return Err(Failure::bad_request(message));
    }
    Ok((format!("/{}", name.replace('.', "/")), test))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::kinds::builtin;

    #[test]
    fn selectors() {
        let kinds = builtin();
        let pods = kinds.iter().find(|kind| kind.is("Pod")).expect("pods");
        let pod = json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}, "status": {"phase": "Running"}});
        let table = [
            ("app=web", "", true),
            ("app==web,tier!=back", "", true),
            ("app in (web, api),!old", "", true),
            ("app notin (web)", "", false),
            ("tier", "metadata.name=a", true),
            ("missing", "", false),
            ("missing!=x", "", true),
            ("", "status.phase!=Running", false),
            ("", "metadata.name=b", false),
        ];
        for (labels, fields, wanted) in table {
            let selector = Selector::parse(pods, labels, fields).expect("a selector");
            assert_eq!(selector.matches(&pod), wanted, "{labels} {fields}");
        }
        let refused = Selector::parse(pods, "", "spec.hostname=x").expect_err("not a field to select by");
        assert_eq!((refused.code, refused.message.as_str()), (400, "field label not supported: spec.hostname"));
    }
}
