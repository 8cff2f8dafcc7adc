//! Lines as they are written, from real events.

use std::sync::{Arc, Mutex};

use quarterdeck_shared::protocol::LogRecord;
use tracing::{Level, error, info, info_span, warn};

use super::*;

/// What the code writes, in one form, and the records that consoles get.
fn written(form: Form, code: impl FnOnce()) -> (String, Vec<LogRecord>) {
    let page = Arc::<Mutex<String>>::default();
    let log = LogRing::default();
    let secrets: &'static SecretScrubber = Box::leak(Box::default());
    secrets.keep("hunter2-hunter2");
    let to = page.clone();
    let write = move |line: &str| to.lock().unwrap().push_str(line);
    let now = || "2026-11-23T12:04:31.5Z".parse().unwrap();
    let recorder = Recorder { form, log: log.clone(), secrets, now, write };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(recorder), code);
    (std::mem::take(&mut *page.lock().unwrap()), log.tail_and_follow(None).0)
}

#[derive(Debug, thiserror::Error)]
#[error("cannot log in to registry.example")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("the server refused \"hunter2-hunter2\"")]
struct Inner;

fn story() {
    let deliver = info_span!("deliver", application = "shop", run = 17, commit = tracing::field::Empty);
    deliver.in_scope(|| {
        deliver.record("commit", "9b1e77d");
        info!(target: "quarterdeck_agent::deliver", "image pushed");
        let stage = info_span!("stage", stage = "push", run = 18);
        stage.in_scope(|| warn!(target: "kube::client", retry = true, "the answer was\n\u{1b}[31mred"));
    });
    let problem = Outer(Inner);
    let error = &problem as &dyn std::error::Error;
    error!(target: "quarterdeck_agent", error, url = "https://a:b@forge/x", "gave up on {}", "hunter2-hunter2");
    tracing::event!(target: "log", Level::DEBUG, log.target = "bollard::uri", log.line = 7, "said through log");
}

#[test]
fn people_read_text() {
    insta::assert_snapshot!(written(Form::Text, story).0, @r#"
    2026-11-23T12:04:31.500Z  INFO deliver: image pushed application=shop run=17 commit=9b1e77d
    2026-11-23T12:04:31.500Z  WARN kube::client: the answer was\n\u{1b}[31mred application=shop run=18 commit=9b1e77d stage=push retry=true
    2026-11-23T12:04:31.500Z ERROR agent: gave up on *** error="cannot log in to registry.example: the server refused \"***\"" url=https://***@forge/x
    2026-11-23T12:04:31.500Z DEBUG bollard::uri: said through log
    "#);
}

#[test]
fn journald_reads_priorities() {
    insta::assert_snapshot!(written(Form::Journal, story).0, @r#"
    <6>deliver: image pushed application=shop run=17 commit=9b1e77d
    <4>kube::client: the answer was\n\u{1b}[31mred application=shop run=18 commit=9b1e77d stage=push retry=true
    <3>agent: gave up on *** error="cannot log in to registry.example: the server refused \"***\"" url=https://***@forge/x
    <7>bollard::uri: said through log
    "#);
}

#[test]
fn collectors_read_json() {
    insta::assert_snapshot!(written(Form::Json, story).0, @r#"
    {"at":"2026-11-23T12:04:31.500Z","fields":{"application":"shop","commit":"9b1e77d","run":17},"level":"info","message":"image pushed","target":"deliver"}
    {"at":"2026-11-23T12:04:31.500Z","fields":{"application":"shop","commit":"9b1e77d","retry":true,"run":18,"stage":"push"},"level":"warn","message":"the answer was\n\u001b[31mred","target":"kube::client"}
    {"at":"2026-11-23T12:04:31.500Z","fields":{"error":"cannot log in to registry.example: the server refused \"***\"","url":"https://***@forge/x"},"level":"error","message":"gave up on ***","target":"agent"}
    {"at":"2026-11-23T12:04:31.500Z","fields":{},"level":"debug","message":"said through log","target":"bollard::uri"}
    "#);
}

#[test]
fn consoles_read_records() {
    let (_, records) = written(Form::Text, story);
    let LogRecord::Line { at: Some(at), from, text } = &records[0] else { panic!("{records:?}") };
    assert_eq!((at.to_string().as_str(), &**from), ("2026-11-23T12:04:31.5Z", "deliver"));
    assert_eq!(&**text, "INFO  image pushed application=shop run=17 commit=9b1e77d");
    assert_eq!(records.len(), 4);
}

#[test]
fn what_is_too_long_is_cut() {
    let (text, _) = written(Form::Text, || info!(target: "t", answer = "ä".repeat(10_000), "big"));
    assert!(text.len() < 8_400 && text.ends_with("… (11808 bytes more)\"\n"), "{}", &text[8_000..]);
}

#[test]
fn no_form_of_a_line_holds_a_secret_or_a_second_line() {
    for form in [Form::Text, Form::Journal, Form::Json] {
        let (text, records) = written(form, story);
        assert!(!text.contains("hunter2") && !format!("{records:?}").contains("hunter2"), "{text}");
        assert_eq!(text.lines().count(), 4);
        assert!(!text.contains('\u{1b}'));
    }
}

#[test]
fn a_level_is_about_us_and_a_filter_is_taken_as_it_is() {
    for (text, expected) in [
        ("error", "kube_client=off,error"),
        (" INFO ", "quarterdeck=info,kube_client=off,warn"),
        ("debug", "quarterdeck=debug,kube_client=off,warn"),
        ("trace", "trace"),
        ("warn,kube=debug", "kube=debug,warn"),
    ] {
        assert_eq!(filter(text).unwrap().to_string(), expected);
    }
    for text in ["", "loud=very", "info,=,"] {
        let error = filter(text).unwrap_err();
        assert!(error.to_string().contains("is not a log level: write error, warn, info"), "{error}");
    }
}

#[test]
fn it_can_be_begun_once_and_turned_up() {
    let telemetry = begin(LogFormat::Text, "off", None).unwrap();
    info!(target: "quarterdeck_agent", "unheard");
    telemetry.set_level("info").unwrap();
    info!(target: "quarterdeck_agent", "heard");
    let (lines, _) = telemetry.log.tail_and_follow(None);
    let heard = |text: &str| lines.iter().any(|line| format!("{line:?}").contains(text));
    assert!(heard("heard") && !heard("unheard"), "{lines:?}");
    assert!(matches!(telemetry.set_level("loud=very"), Err(TelemetryError::Level { .. })));
    assert!(matches!(begin(LogFormat::Json, "info", None), Err(TelemetryError::Begun(_))));

    let outranked = Telemetry { outranks: Some("off".into()), ..telemetry };
    outranked.set_level("info").unwrap();
    info!(target: "quarterdeck_agent", "outranked");
    assert!(!format!("{:?}", outranked.log.tail_and_follow(None).0).contains("outranked"));
}
