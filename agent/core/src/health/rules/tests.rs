use proptest::prelude::*;

use super::*;
use crate::health::cases;
use crate::health::tests::{line, object};
use crate::health::{Surroundings, assess_in};

fn rules(texts: &[RuleText]) -> Rules {
    Rules::configure(texts.iter().cloned()).unwrap_or_else(|(at, error)| panic!("{at}: {error}"))
}

fn shop() -> RuleText {
    RuleText { group: "example.com".to_owned(), kinds: vec!["Shop".to_owned()], ..RuleText::default() }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn judge(rules: &Rules, yaml: &str) -> String {
    let verdict = assess_in(&object(yaml), Surroundings { rules, ..Surroundings::default() });
    format!("{} by {}", line(&verdict), verdict.rule)
}

fn of_shop(status: &str) -> String {
    format!("{{apiVersion: example.com/v1, kind: Shop, metadata: {{name: a, generation: 2}}, status: {{{status}}}}}")
}

#[test]
fn the_first_that_holds_decides() {
    let rules = rules(&[RuleText {
        suspended: some("status.open == false"),
        in_progress: some("status.queue > 5"),
        failed: some("status.till.broken || failing(textAt('status.last'))"),
        current: some("isTrue('Open')"),
        message: some("'till ' + textAt('status.till.name')"),
        ..shop()
    }]);
    for (status, expected) in [
        ("open: false", "Suspended: till"),
        ("queue: 6, till: {broken: true}", "Progressing: till"),
        ("till: {broken: true, name: 3}", "Degraded: till 3"),
        ("till: {broken: true, name: x}", "Degraded: till x"),
        ("last: Failed", "Degraded: till"),
        ("conditions: [{type: Open, status: 'True'}]", "Healthy"),
        ("conditions: [{type: Open, status: 'True', observedGeneration: 1}]", "Progressing: till"),
        (
            "conditions: [{type: Open, status: 'True'}], observedGeneration: 1",
            "Progressing: its controller has seen generation 1, not 2 yet",
        ),
        ("", "Progressing: its controller has reported no status yet"),
        ("odd: 1", "Progressing: till"),
    ] {
        let judged = judge(&rules, &of_shop(status));
        assert_eq!(judged, format!("{expected} by configuration: example.com/Shop"), "{status}");
    }
}

#[test]
fn a_rule_without_current_leaves_the_rest_to_the_conventions() {
    let rules = rules(&[RuleText { failed: some("status.queue > 5"), ..shop() }]);
    for (status, expected) in [
        ("queue: 6", "Degraded: failed"),
        ("conditions: [{type: Ready, status: 'False', reason: Pending}]", "Progressing: Pending"),
        ("", "Progressing: its controller has reported no status yet"),
    ] {
        assert_eq!(judge(&rules, &of_shop(status)), format!("{expected} by configuration: example.com/Shop"));
    }
}

#[test]
fn the_closest_rule_speaks_and_the_configuration_before_ours() {
    let of = |group: &str, kind: &str, word: &str| RuleText {
        group: group.to_owned(),
        kinds: vec![kind.to_owned()],
        failed: some("true"),
        message: Some(format!("'{word}'")),
        ..RuleText::default()
    };
    let rules = rules(&[
        of("*.example.com", "*", "pattern"),
        of("a.example.com", "*", "group"),
        of("*.example.com", "Shop", "kind"),
        of("a.example.com", "Shop", "both"),
        of("", "ConfigMap", "core"),
    ]);
    for (api_version, kind, expected) in [
        ("a.example.com/v1", "Shop", "Degraded: both by configuration: a.example.com/Shop"),
        ("b.example.com/v1", "Shop", "Degraded: kind by configuration: *.example.com/Shop"),
        ("a.example.com/v1", "Till", "Degraded: group by configuration: a.example.com/Till"),
        ("b.example.com/v1", "Till", "Degraded: pattern by configuration: *.example.com/Till"),
        ("v1", "ConfigMap", "Degraded: core by configuration: ConfigMap"),
        ("v1", "Secret", "Healthy by built in: Secret"),
        ("example.org/v1", "Shop", "Healthy: it has no status by generic"),
    ] {
        assert_eq!(judge(&rules, &format!("{{apiVersion: {api_version}, kind: {kind}}}")), expected);
    }
}

#[test]
fn an_expression_that_cannot_be_used_says_where() {
    let long = format!("'{}' == ''", "x".repeat(5000));
    for (text, expected) in [
        ("status.phase ==", "current: line 1, column"),
        ("stauts.phase == 'Ready'", "current: unknown name stauts"),
        ("isTure('Ready')", "current: unknown name isTure"),
        (long.as_str(), "current: the expression is longer than 4000 bytes"),
        ("[1].all(a, [1].all(b, [1].all(c, true)))", "current: more than two loops"),
    ] {
        let (at, error) = Rules::configure([shop(), RuleText { current: some(text), ..shop() }]).expect_err(text);
        let message = error_line(&error);
        assert!(at == 1 && message.starts_with(expected), "{message}");
    }
}

fn error_line(error: &RuleError) -> String {
    error.to_string()
}

#[test]
fn loops_name_their_items() {
    let rules = rules(&[RuleText {
        current: some("status.tills.all(till, till.open && till.drawers.exists(d, d > 1))"),
        ..shop()
    }]);
    assert!(judge(&rules, &of_shop("tills: [{open: true, drawers: [1, 2]}]")).starts_with("Healthy"));
    assert!(judge(&rules, &of_shop("tills: [{open: true, drawers: [1]}]")).starts_with("Progressing"));
}

#[test]
fn every_rule_that_we_ship_can_be_used_and_names_its_source() {
    for rule in SHIPPED.iter() {
        rule.check().unwrap_or_else(|error| panic!("{}: {error}", rule.name));
    }
    for text in shipped::texts() {
        assert!(text.source.starts_with("https://"), "{}/{:?} names no source", text.group, text.kinds);
        assert!(!text.kinds.is_empty(), "{} names no kind", text.group);
    }
}

/// The measure of our rules: states that were written from the documentation, and what an operator would call them.
#[test]
fn every_case_is_called_what_it_should_be() {
    let surroundings = Surroundings { has_status: &|_, _| Some(true), ..Surroundings::default() };
    let mut wrong = Vec::new();
    let mut all = 0;
    for (family, text) in shipped::CASES {
        for case in cases::read(text).unwrap_or_else(|error| panic!("cases/{family}.yaml: {error}")) {
            all += 1;
            let verdict = assess_in(&case.object, surroundings);
            if verdict.health != case.expected {
                let (at, name) = (case.line, &case.object["metadata"]["name"]);
                let told = format!("{} by {}", line(&verdict), verdict.rule);
                wrong.push(format!("cases/{family}.yaml:{at} {name}: {} expected, {told}", case.expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {all} differ:\n{}", wrong.len(), wrong.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a person writes, it is an error or an answer.
    #[test]
    fn no_expression_makes_it_panic(
        words in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "status", ".", "phase", "==", "'a'", "(", ")", "[", "]", "1", "-", "/", "0", "&&", "||", "!", "?", ":", "exists", ",", "x",
                    "size", "isTrue", "in", "{", "}", "9223372036854775807", "+", "%", "*", "textAt", "1.5", "int", "string", "null", " ",
                ]).prop_map(str::to_owned),
                "[ -~]{1,4}",
            ],
            0..16,
        ),
    ) {
        let text = RuleText { current: Some(words.concat()), ..shop() };
        if let Ok(rules) = Rules::configure([text]) {
            let _ = judge(&rules, &of_shop("phase: a, x: [1, 2]"));
        }
    }
}
