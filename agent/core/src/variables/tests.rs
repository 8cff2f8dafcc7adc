use proptest::prelude::*;
use serde_json::json;

use super::*;

fn variables(strict: bool, values: &[(&str, &str)]) -> Variables {
    let mut variables = Variables::new(strict);
    values.iter().for_each(|(name, value)| variables.set(name, value, false));
    variables
}

/// What Flux's own library (fluxcd/pkg/envsubst 1.8.0, strict) makes of some eighty texts: `=` and the text that comes out, or
/// why none does. Written by a program of ten lines that calls it with the variables below.
#[test]
fn expressions_mean_what_they_mean_to_flux() {
    let values = [
        ("name", "shop"),
        ("empty", ""),
        ("path", "/a/b.c/d.tar.gz"),
        ("Word", "Abc dEF"),
        ("uni", "äöü"),
        ("n", "3"),
        ("dots", "a.b.c"),
    ];
    let variables = variables(true, &values);
    let rows = include_str!("flux.tsv").lines();
    let mut count = 0;
    for (text, expected) in rows.map(|row| row.split_once('\t').unwrap()) {
        let expanded = expression::expand(text, &|name| variables.value(name));
        let said = match &expanded {
            Ok(text) => format!("={text}"),
            Err(ExpressionError::Unset(_)) => "!unset".to_owned(),
            Err(_) => "!form".to_owned(),
        };
        assert_eq!(said, expected, "{text}: {expanded:?}");
        count += 1;
    }
    assert!(count > 80, "{count} rows");
}

#[test]
fn what_is_not_understood_says_so() {
    let variables = variables(true, &[("a", "x")]);
    let refusal = |text: &str| variables.substitute(json!({ "x": text })).unwrap_err().to_string();
    for (text, problem) in [
        ("${a:+x}", "the expression ${a:+x} is not understood: `:+` and `:?` are not supported"),
        ("a ${ a} b", "the expression ${ a} b is not understood: a name has letters, digits and `_`"),
        ("${a", "the expression ${a is not understood: a `}` is missing"),
        ("${a/x}", "the expression ${a/x} is not understood: a `}` is missing"),
        ("${b}", "the variable b is not set"),
        ("${b^^}", "the variable b is not set"),
        ("${a:-${b}}", "the variable b is not set"),
    ] {
        assert_eq!(refusal(text), problem);
    }
    let nested = "${a:=".repeat(20);
    assert!(refusal(&nested).contains("too many expressions in one another"));
    let long = Variables { values: variables.values, strict: true };
    let mut long = long;
    long.set("a", &"x".repeat(1 << 20), false);
    assert_eq!(long.substitute(json!({ "x": "${a}".repeat(9) })), Err(ExpressionError::TooLong));
}

#[test]
fn a_value_that_stands_alone_is_read_again_where_kubernetes_takes_more_than_text() {
    let variables = variables(
        true,
        &[
            ("n", "3"),
            ("on", "true"),
            ("s", "text"),
            ("empty", ""),
            ("list", "[{\"key\": \"a\"}]"),
            ("quote", "\""),
            ("v", "1.10"),
        ],
    );
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "${s}-${n}", "labels": {"n": "${n}", "${s}": "x"}, "annotations": {"on": "${on}"}},
        "spec": {
            "replicas": "${n}", "paused": "${on}", "quoted": "${quote}${n}${quote}", "nothing": "${empty}", "all": "${list}",
            "version": "v${v}", "url": "http://${s}:${n}", "note": "n: ${n}", "lines": "a\n${n}\n", "price": "5$",
            "selector": {"n": "${n}"},
            "template": {
                "metadata": {"labels": {"n": "${n}"}},
                "spec": {"containers": [{"args": ["${n}"], "env": [{"name": "N", "value": "${n}"}], "ports": [{"containerPort": "${n}"}]}]},
            },
        },
    });
    let expected = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "text-3", "labels": {"n": "3", "text": "x"}, "annotations": {"on": "true"}},
        "spec": {
            "replicas": 3, "paused": true, "quoted": "3", "nothing": null, "all": [{"key": "a"}],
            "version": "v1.10", "url": "http://text:3", "note": "n: 3", "lines": "a\n3\n", "price": "5$",
            "selector": {"n": "3"},
            "template": {
                "metadata": {"labels": {"n": "3"}},
                "spec": {"containers": [{"args": ["3"], "env": [{"name": "N", "value": "3"}], "ports": [{"containerPort": 3}]}]},
            },
        },
    });
    assert_eq!(variables.substitute(object).unwrap(), expected);
    let data =
        |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"n": value}});
    assert_eq!(variables.substitute(data("${n}")).unwrap(), data("3"));
}

#[test]
fn an_object_that_opts_out_stays_and_where_nothing_is_required_nothing_is() {
    let strict = variables(true, &[]);
    for name in ["quarterdeck.dev/substitute", "kustomize.toolkit.fluxcd.io/substitute"] {
        for words in ["labels", "annotations"] {
            let object = json!({"metadata": {words: {name: "disabled"}}, "x": "${b}"});
            assert_eq!(strict.substitute(object.clone()).unwrap(), object);
            let object = json!({"metadata": {words: {name: "enabled"}}, "x": "${b}"});
            assert_eq!(strict.substitute(object), Err(ExpressionError::Unset("b".to_owned())));
        }
    }
    let lenient = variables(false, &[]);
    assert_eq!(lenient.substitute(json!({"x": "a${b}c"})).unwrap(), json!({"x": "ac"}));
}

#[test]
fn values_come_from_config_maps_and_secrets_and_a_later_one_overrules() {
    let map = json!({"kind": "ConfigMap", "data": {"a": "1", "b": "text\n"}});
    let secret = json!({"kind": "Secret", "data": {"a": "Mg==", "bad": "%", "bin": "//8=", "ca.crt": "eA=="}});
    let mut variables = Variables::new(true);
    for object in [&map, &secret] {
        for (name, value) in data_of(object) {
            variables.set(&name, &value, object["kind"] == "Secret");
        }
    }
    assert_eq!(format!("{variables:?}"), "{\"a\", \"b\"}", "by their names alone");
    assert_eq!(variables.secrets().collect::<Vec<_>>(), ["2"]);
    assert_eq!(variables.substitute(json!({"x": "${a} ${b}"})).unwrap(), json!({"x": "2 text"}));
    let before = variables.digest();
    variables.set("a", "2", false);
    assert_eq!(variables.digest(), before);
    variables.set("a", "3", false);
    assert_ne!(variables.digest(), before);
}

proptest! {
    #[test]
    fn whatever_is_written_never_panics_and_text_without_a_dollar_stays(text in "[a-c${}:/#%^,=\\\\*?ä\\[\\]-]{0,24}") {
        let variables = variables(true, &[("a", "äb"), ("b", "")]);
        let expanded = expression::expand(&text, &|name| variables.value(name));
        if !text.contains('$') {
            prop_assert_eq!(expanded.unwrap(), text);
        }
    }
}
