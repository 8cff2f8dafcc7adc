//! What API servers quote in their messages, made short: the sentence that helps stands after it.
//!
//! A field that cannot be changed is told with all that was in it: of a pod template 3 KB of a Go structure, with the
//! value of each environment variable. People know what they wrote; they look for the field and the rule. So a quoted
//! structure keeps its type alone, and a long text its beginning. Pure.

/// What stands before a quoted value, in the words of `field.Error` of `k8s.io/apimachinery` and of the typed objects of
/// structured-merge-diff.
const BEFORE: [&str; 5] = ["Invalid value: ", "Duplicate value: ", "Unsupported value: ", "Not found: ", ", got &"];

/// Characters of a quoted value: a selector with two labels, and any name of a field, fits.
const VALUE_CHARS_MAX: usize = 80;

/// The message with each quoted value in [`VALUE_CHARS_MAX`] characters, and with no value of an environment variable.
pub(super) fn shorten(message: &str) -> String {
    let mut short = String::with_capacity(message.len().min(1024));
    let mut rest = message;
    while let Some((at, before)) = first_mark(rest) {
        let got = before == ", got &";
        let value_at = at + before.len();
        short.push_str(&rest[..if got { value_at - 1 } else { value_at }]);
        let (value, after) = rest[value_at..].split_at(value_end(&rest[value_at..]));
        short.push_str(&if got { go_kind(value) } else { short_value(value) });
        rest = after;
    }
    short.push_str(rest);
    short
}

fn first_mark(text: &str) -> Option<(usize, &'static str)> {
    BEFORE.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min()
}

/// Bytes of the value at the beginning of a text: up to the `: ` or `, ` that follows it, outside of its brackets and
/// quotes. All of the text where they do not close, which a server that cuts its messages leaves.
fn value_end(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, '{' | '[' | '(') => depth += 1,
            (None, '}' | ']' | ')') if depth == 0 => return at,
            (None, '}' | ']' | ')') => depth -= 1,
            (None, ':' | ',') if depth == 0 && text[at + 1..].starts_with(' ') => return at,
            (None, _) => {}
        }
        escaped = false;
    }
    text.len()
}

/// A value as it is shown.
fn short_value(value: &str) -> String {
    let is_text = value.starts_with('"');
    let is_long = value.chars().nth(VALUE_CHARS_MAX).is_some();
    match value.find(['{', '[']) {
        Some(_) if !is_text && (is_long || holds_environment(value)) => structure(value),
        _ if is_long => {
            let cut: String = value.chars().take(VALUE_CHARS_MAX - 2).collect();
            format!("{cut}…{}", if is_text { "\"" } else { "" })
        }
        _ => value.to_owned(),
    }
}

/// `core.PodTemplateSpec{…}` of a Go structure, `{…}` and `[…]` of JSON.
fn structure(value: &str) -> String {
    let (open, close) = match value.find('{') {
        // A list of JSON; `[]core.EnvVar{…}` is a structure with a type before it.
        _ if value.starts_with('[') && !value.starts_with("[]") => (0, ']'),
        Some(open) => (open, '}'),
        None => (value.find('[').unwrap_or(0), ']'),
    };
    let kind: String = value[..open].chars().take(VALUE_CHARS_MAX - 3).collect();
    let bracket = if close == '}' { '{' } else { '[' };
    format!("{kind}{bracket}…{close}")
}

/// Whether environment variables with their values may be in it: what they hold is nobody's business.
fn holds_environment(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    ["envvar", "\"value\":", "value:\""].iter().any(|sign| value.contains(sign))
}

/// What a structure that only wraps a value is to people: a value in YAML that should have been in quotes, or the other
/// way round.
fn go_kind(value: &str) -> String {
    let inner = value.split_once("Value:").map_or(value, |(_, inner)| inner).trim_end_matches('}');
    let kind = match inner.as_bytes().first() {
        _ if matches!(inner, "true" | "false") => "a boolean",
        Some(b'0'..=b'9' | b'-' | b'+' | b'.') => "a number",
        Some(b'"' | b'`') => "a string",
        Some(b'[') => "a list",
        Some(_) if inner.starts_with("map[") => "a mapping",
        _ => "another kind of value",
    };
    kind.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEMPLATE: &str = r#"core.PodTemplateSpec{ObjectMeta:v1.ObjectMeta{Name:"", Labels:map[string]string{"app":"once"}}, Spec:core.PodSpec{Containers:[]core.Container{core.Container{Name:"c", Env:[]core.EnvVar{core.EnvVar{Name:"PASSWORD", Value:"hunter2 \"}: x", ValueFrom:(*core.EnvVarSource)(nil)}}}}}}"#;

    #[test]
    fn what_is_quoted_keeps_its_kind_and_the_sentence_after_it() {
        let long = "x".repeat(100);
        for (message, short) in [
            (
                format!("spec.template: Invalid value: {TEMPLATE}: field is immutable"),
                "spec.template: Invalid value: core.PodTemplateSpec{…}: field is immutable".to_owned(),
            ),
            (
                r#"spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable"#.to_owned(),
                r#"spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable"#.to_owned(),
            ),
            (
                r#"a: Invalid value: [{"name":"DB","value":"hunter2"}]: no, b: Invalid value: {"name":"DB","Value":"hunter2"}: never"#.to_owned(),
                "a: Invalid value: […]: no, b: Invalid value: {…}: never".to_owned(),
            ),
            (
                r#"a: Invalid value: []core.EnvVar{core.EnvVar{Name:"A", Value:"hunter2"}}: no"#.to_owned(),
                "a: Invalid value: []core.EnvVar{…}: no".to_owned(),
            ),
            (
                format!(r#"[metadata.name: Invalid value: "{long}": a DNS label, spec.replicas: Invalid value: -1: be positive]"#),
                format!(r#"[metadata.name: Invalid value: "{}…": a DNS label, spec.replicas: Invalid value: -1: be positive]"#, "x".repeat(77)),
            ),
            (
                r#"a.type: Unsupported value: "Odd: x": supported values: "ClusterIP", "NodePort""#.to_owned(),
                r#"a.type: Unsupported value: "Odd: x": supported values: "ClusterIP", "NodePort""#.to_owned(),
            ),
            (
                r#".env[name="P"].value: expected string, got &value.valueUnstructured{Value:5432}, .x: expected map, got &value.valueUnstructured{Value:"hunter2"}"#.to_owned(),
                r#".env[name="P"].value: expected string, got a number, .x: expected map, got a string"#.to_owned(),
            ),
            (
                format!("spec: Invalid value: {}", &TEMPLATE[..200]),
                "spec: Invalid value: core.PodTemplateSpec{…}".to_owned(),
            ),
            ("the server answered 500".to_owned(), "the server answered 500".to_owned()),
        ] {
            assert_eq!(shorten(&message), short, "{message}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_is_cut_and_no_value_of_an_environment_is_left(
            before in "[a-z.]{0,12}", json in prop::bool::ANY, secret in "[A-Z]{12}", fill in "[ -~]{0,200}", after in "[a-z ]{0,30}",
        ) {
            let quoted = format!("{fill:?}");
            let value = match json {
                true => format!("{{\"a\":{quoted},\"env\":[{{\"name\":\"N\",\"value\":\"{secret}\"}}]}}"),
                false => format!("core.X{{A:{quoted}, Env:[]core.EnvVar{{core.EnvVar{{Name:\"N\", Value:\"{secret}\"}}}}}}"),
            };
            let short = shorten(&format!("{before}: Invalid value: {value}: {after}"));
            prop_assert!(!short.contains(&secret), "{short}");
            prop_assert!(short.ends_with(&format!("…}}: {after}")), "{short}");
        }

        #[test]
        fn any_text_comes_through(text in "\\PC{0,200}") {
            let all = shorten(&format!("Invalid value: {text}"));
            prop_assert!(all.chars().count() <= text.chars().count() + 40);
        }
    }
}
