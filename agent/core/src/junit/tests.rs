//! Files as the runners write them, and what is none.

use secrecy::SecretString;

use super::*;

fn told(file: &str) -> Vec<String> {
    let one = |case: Case| match case.outcome {
        Outcome::Passed => format!("{}: passed", case.name),
        Outcome::Skipped => format!("{}: skipped", case.name),
        Outcome::Failed { message, output } => format!("{}: {message} | {}", case.name, output.replace('\n', "/")),
    };
    cases(file.as_bytes()).unwrap().into_iter().map(one).collect()
}

#[test]
fn what_each_runner_writes_is_read() {
    let pytest = r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4">
        <testcase classname="tests.test_cart" name="test_adds" time="0.001" />
        <testcase classname="tests.test_cart" name="test_pays"><failure message="assert 1 == 2">def test_pays():
&gt;       assert 1 == 2</failure></testcase>
        <testcase classname="tests.test_cart" name="test_later"><skipped type="pytest.skip" message="later">x</skipped></testcase>
        <testcase classname="" name="tests.test_broken"><error message="collection failure">E</error></testcase>
        </testsuite></testsuites>"#;
    assert_eq!(
        told(pytest),
        [
            "tests.test_cart test_adds: passed",
            "tests.test_cart test_pays: assert 1 == 2 | def test_pays():/>       assert 1 == 2",
            "tests.test_cart test_later: skipped",
            "tests.test_broken: collection failure | E",
        ]
    );
    let surefire = "<testsuite tests='2'><properties><property name='a' value='b'/></properties>
        <testcase name='adds' classname='shop.CartTest'><failure type='java.lang.AssertionError'><![CDATA[
  expected: <3> but was: <4>
	at shop.CartTest.adds]]></failure><system-out><![CDATA[connecting
]]></system-out></testcase>
        <testcase name='flaky' classname='shop.CartTest'><flakyFailure message='once'/></testcase></testsuite>";
    assert_eq!(
        told(surefire),
        [
            "shop.CartTest adds: expected: <3> but was: <4> | /  expected: <3> but was: <4>/\tat shop.CartTest.adds/connecting/",
            "shop.CartTest flaky: passed",
        ]
    );
    let google = "\u{feff}<testsuites><testsuite name='Cart'><testcase name='Adds' status='run' result='completed' classname='Cart'/>
        <testcase name='DISABLED_Pays' status='notrun' result='suppressed' classname='Cart'/></testsuite></testsuites>";
    assert_eq!(told(google), ["Cart Adds: passed", "Cart DISABLED_Pays: skipped"]);
    // Suites in suites, as Jest and PHPUnit nest them, and a case that says nothing of itself.
    let nested =
        "<testsuites><testsuite><testsuite><testcase name='a'/></testsuite></testsuite><testcase/></testsuites>";
    assert_eq!(told(nested), ["a: passed", "a case without a name: passed"]);
}

#[test]
fn what_is_none_says_why() {
    for (file, why) in [
        ("", "it is not valid XML"),
        ("ok 1 - adds", "it is not valid XML"),
        ("<testsuite><testcase>", "it is not valid XML"),
        ("<html/>", "it is not a JUnit file: its root is <html>, not <testsuites> or <testsuite>"),
        ("<!DOCTYPE a [<!ENTITY b \"bb\">]><testsuite/>", "it is not valid XML"),
    ] {
        assert_eq!(cases(file.as_bytes()).unwrap_err().to_string(), why, "{file}");
    }
    // Of another encoding: names are hurt, the counts are right.
    assert_eq!(cases(b"<testsuite><testcase name='gr\xfcn'/></testsuite>").unwrap().len(), 1);
}

#[test]
fn cases_are_counted_and_what_failed_is_named_up_to_a_bound() {
    let failed = "<testcase name='pays'><failure message='token hunter22 refused&#10;at once'/></testcase>".repeat(12);
    let file =
        format!("<testsuite><testcase name='adds'/><testcase name='later'><skipped/></testcase>{failed}</testsuite>");
    let secret = SecretString::from("hunter22".to_owned());
    let counted = count(&cases(file.as_bytes()).unwrap(), &Mask::new([&secret]));
    assert_eq!((counted.passed, counted.failed, counted.skipped), (1, 12, 1));
    assert_eq!(counted.failures.len(), FAILURES_MAX);
    let first = &counted.failures[0];
    assert!(first.message.starts_with("token *** refused"), "{first:?}");
    assert!(!first.message.contains('\n'));
}

#[test]
fn output_is_bounded() {
    let long = "ä".repeat(OUTPUT_BYTES_MAX);
    let file = format!("<testsuite><testcase name='a'><failure>{long}</failure></testcase></testsuite>");
    let Outcome::Failed { output, .. } = &cases(file.as_bytes()).unwrap()[0].outcome else { panic!("it failed") };
    assert!(output.len() < OUTPUT_BYTES_MAX + 10 && output.ends_with("\n(cut)"));
}
