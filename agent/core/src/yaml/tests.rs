use proptest::prelude::*;
use serde_json::json;

use super::*;
use quarterdeck_shared::error::Failure;

mod kubectl;

fn only(text: &str) -> Value {
    let mut documents = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(documents.len(), 1, "{text:?}");
    documents.remove(0).value
}

fn error(text: &str) -> String {
    match parse(text.as_bytes()) {
        Ok(documents) => panic!("{text:?} was read as {documents:?}"),
        Err(error) => Failure::of(&error).to_string(),
    }
}

#[test]
fn keys_are_the_words_that_are_written() {
    assert_eq!(only("on: {1: a, true: b}"), json!({"on": {"1": "a", "true": "b"}}));
}

#[test]
fn merge_keys_are_merged() {
    assert_eq!(only("a: &x {b: 1, c: 1}\nd:\n  <<: *x\n  c: 2\n")["d"], json!({"b": 1, "c": 2}));
}

#[test]
fn a_mark_at_a_document_shifts_neither_lines_nor_columns() {
    let text = "\u{feff}a: 1\n---\n\u{feff}# by another editor\nb: 2\nc: 3\n---\nd: 4\n";
    let lines: Vec<u64> = parse(text.as_bytes()).unwrap().iter().map(|document| document.line).collect();
    assert_eq!(lines, [1, 4, 7]);
    assert_eq!(
        error("a: 1\n---\n\u{feff}b: 2\nb: 3\n"),
        "document 2, line 4, column 1: the key \"b\" is defined twice"
    );
}

#[test]
fn what_is_not_utf_8_is_named() {
    let utf16: Vec<u8> = "a: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, words) in [
        (&utf16[..], "it seems to be UTF-16 without a byte order mark\nhint: save the file as UTF-8"),
        (b"\xff\xfea\0:", "it seems to be UTF-16 that is cut off or damaged\nhint: save the file as UTF-8"),
        (b"\xff\xfe\0\0a\0\0\0", "it seems to be UTF-32\nhint: save the file as UTF-8"),
        (b"\0\0\0a", "it seems to be UTF-32\nhint: save the file as UTF-8"),
    ] {
        assert_eq!(Failure::of(&parse(bytes).unwrap_err()).to_string(), words);
    }
}

#[test]
fn aliases_are_bounded_in_depth_too() {
    let nested = |inner: &str| "[".repeat(90) + inner + &"]".repeat(90);
    let text = format!("a: &a {}\nb: {}\n", nested(""), nested("*a"));
    assert!(error(&text).ends_with("more than 128 collections in one another"), "{}", error(&text));
}

#[test]
fn documents_without_content_do_not_count() {
    let text = "# head\n---\n# only a comment\n---\na: 1\n---\n---\r\nb: 2\n...\n---\n";
    let read: Vec<_> = parse(text.as_bytes()).unwrap().into_iter().map(|d| (d.number, d.line, d.value)).collect();
    assert_eq!(read, [(1, 5, json!({"a": 1})), (2, 8, json!({"b": 2}))]);
    assert!(parse(b"").unwrap().is_empty());
}

#[test]
fn json_is_read_with_tabs_and_without_separators() {
    let text = "\u{feff}{\n\t\"a\":\t1.0,\n\t\"b\": \"\\/\"}{\"c\": 2}\n";
    let read: Vec<_> = parse(text.as_bytes()).unwrap().into_iter().map(|d| d.value).collect();
    assert_eq!(read, [json!({"a": 1, "b": "/"}), json!({"c": 2})]);
    assert_eq!(only("{a: 1, b: [yes]}"), json!({"a": 1, "b": [true]}), "a YAML mapping in flow style");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, message) in [
        ("a: 1\nb: 2\na: 3\n", "document 1, line 3, column 1: the key \"a\" is defined twice"),
        ("# one\n---\na: 1\n---\nb: [\n", "document 2, line 5, column 4: unclosed bracket '['"),
        ("a: b: c", "document 1, line 1, column 5: mapping values are not allowed in this context"),
        ("a:\n\t- b", "document 1, line 2, column 2: tabs disallowed within this context (block indentation)"),
        ("a: *nope", "document 1, line 1, column 4: alias references unknown anchor"),
        ("a: .inf", "document 1, line 1, column 4: .inf is not a JSON number"),
        ("~: b", "document 1, line 1, column 1: a key has to be text"),
        ("[1]: b", "document 1, line 1, column 1: a key has to be text"),
        ("{\"a\": 1,\n\"a\": 2}", "document 1, line 2, column 3: the key \"a\" is defined twice"),
        ("{\"a\": 1}\n{\"b\":\n", "document 2, line 3, column 0: EOF while parsing a value"),
    ] {
        assert_eq!(error(text), message, "{text:?}");
    }
    let latin1 = Failure::of(&parse(b"a: 1\nb: caf\xe9\n").unwrap_err()).to_string();
    assert_eq!(latin1, "line 2: it is not UTF-8\nhint: save the file as UTF-8");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        text += &format!("a{i}: &a{i} [{aliases}]\n");
    }
    assert_eq!(error(&text), "document 1, line 6, column 9: aliases expand it beyond 64 MiB");
}

#[test]
fn an_anchor_may_be_used_often() {
    let text = "labels: &l {app: shop}\nall:\n".to_owned() + &"- *l\n".repeat(500);
    assert_eq!(only(&text)["all"].as_array().unwrap().len(), 500);
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(format!("a: {}", nested(DEPTH_MAX - 1)).as_bytes()).is_ok());
    for deep in [nested(100_000), "{\"a\":".repeat(100_000), "- ".repeat(100_000)] {
        assert!(parse(deep.as_bytes()).is_err());
    }
    let deepest = only(&nested(DEPTH_MAX));
    assert_eq!(only(&write(&deepest)), deepest, "and what can be read can be written");
}

#[test]
fn a_manifest_of_10_mb_is_read_and_one_beyond_the_limit_is_refused() {
    let line = format!("  key-{{}}: {}\n", "x".repeat(1000));
    let data: String = (0..10_000).map(|i| line.replace("{}", &i.to_string())).collect();
    assert_eq!(only(&format!("kind: ConfigMap\ndata:\n{data}"))["data"].as_object().unwrap().len(), 10_000);
    let error = Failure::of(&parse(&vec![b' '; TEXT_BYTES_MAX + 1]).unwrap_err()).to_string();
    assert_eq!(error, "33554433 bytes are more than the 33554432 that a file of manifests may have\nhint: split it");
}

#[test]
fn people_read_blocks_and_unfolded_lines() {
    let text = write(
        &json!({"script": "set -e\nrun\n", "flag": "yes", "mode": "0644", "long": "word ".repeat(60) + "end", "list": [{"a": 1}]}),
    );
    let long = "word ".repeat(60) + "end";
    let expected = format!("flag: \"yes\"\nlist:\n- a: 1\nlong: {long}\nmode: \"0644\"\nscript: |\n  set -e\n  run\n");
    assert_eq!(text, expected);
}

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~\n\t]{0,20}",
        "\\PC{0,8}",
        Just("yes".to_owned()),
        Just("0644".to_owned()),
        Just("---\n".to_owned())
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000i32..1000).prop_map(|n| json!(f64::from(n) + 0.5)),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..6).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in values()) {
        let text = write(&value);
        let read: Vec<Value> = parse(text.as_bytes()).map_err(|e| TestCaseError::fail(format!("{e} in {text:?}")))?.into_iter().map(|d| d.value).collect();
        let expected = if value.is_null() { vec![] } else { vec![value] };
        prop_assert_eq!(read, expected, "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}|[-:a\n \\[\\]{}&*!|>'\"%#]{0,60}") {
        let _ = parse(text.as_bytes());
    }
}
