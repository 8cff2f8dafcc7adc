//! Logs of pods.

use quarterdeck_kubernetes::Logs;
use quarterdeck_shared::protocol::LogRecord;
use quarterdeck_shared::queries::LogQuery;

use super::*;

fn talking(lines: &str) -> String {
    SHOP.replace(
        "metadata: {labels: {app: shop}}",
        &format!("metadata: {{labels: {{app: shop}}, annotations: {{{lines}}}}}"),
    )
}

async fn pods_run(scene: &Scene, count: usize) {
    let mut ready = std::collections::HashSet::new();
    let all = |change: &ClusterChange| {
        match change {
            ClusterChange::PodChanged(pod) if pod.ready() == (1, 1) => ready.insert(pod.name.clone()),
            _ => false,
        };
        (ready.len() == count).then_some(())
    };
    scene.wait_for("pods run", all).await;
}

async fn next(logs: &mut Logs) -> Option<LogRecord> {
    tokio::time::timeout(Duration::from_secs(20), logs.next()).await.expect("no record in 20 s")
}

/// The next line's `from` and text.
async fn line(logs: &mut Logs) -> (String, String) {
    loop {
        match next(logs).await {
            Some(LogRecord::Line { from, text, .. }) => return (from.into(), text.into()),
            Some(_) => {}
            None => panic!("the log has ended"),
        }
    }
}

#[tokio::test]
async fn all_containers_are_read_in_the_order_of_time() {
    let mut scene = Scene::new().await;
    scene.sync(&talking("standin.quarterdeck.dev/log: \"one\\n\\e[31mtwo\\e[0m\"")).await.unwrap();
    pods_run(&scene, 2).await;
    let mut logs = scene.cluster.logs(&shop(), LogQuery::default());
    let (mut times, mut texts) = (Vec::new(), Vec::new());
    while let Some(record) = next(&mut logs).await {
        if let LogRecord::Line { at, text, from } = record {
            assert!(from.starts_with("shop-") && from.ends_with("/shop"), "{from}");
            times.push(at);
            texts.push(text.into_string());
        }
    }
    texts.sort();
    assert_eq!(texts, ["one", "one", "two", "two"]);
    assert!(times.is_sorted(), "{times:?}");

    let mut logs = scene.cluster.logs(&shop(), LogQuery { tail: Some(1), ..LogQuery::default() });
    assert_eq!((line(&mut logs).await.1.as_str(), line(&mut logs).await.1.as_str()), ("two", "two"));
    assert_eq!(next(&mut logs).await, None);
}

#[tokio::test]
async fn a_followed_log_goes_on_over_breaks_without_a_line_twice() {
    let mut scene = Scene::new().await;
    let yaml = talking("standin.quarterdeck.dev/log-every-ms: \"20\", standin.quarterdeck.dev/line: tick");
    scene.sync(&yaml.replace("replicas: 2", "replicas: 1")).await.unwrap();
    pods_run(&scene, 1).await;
    let mut logs = scene.cluster.logs(&shop(), LogQuery { follow: true, ..LogQuery::default() });
    let mut ticks = Vec::new();
    while ticks.len() < 60 {
        let (_, text) = line(&mut logs).await;
        if let Some(number) = text.strip_prefix("tick ") {
            ticks.push(number.parse::<u64>().unwrap());
        }
        if matches!(ticks.len(), 20 | 40) {
            scene.api.cut_watches();
        }
    }
    let first = ticks[0];
    assert_eq!(ticks, (first..first + 60).collect::<Vec<_>>());
}

#[tokio::test]
async fn pods_that_come_later_join() {
    let mut scene = Scene::new().await;
    let one = talking("standin.quarterdeck.dev/log: started").replace("replicas: 2", "replicas: 1");
    scene.sync(&one).await.unwrap();
    pods_run(&scene, 1).await;
    let mut logs = scene.cluster.logs(&shop(), LogQuery { follow: true, ..LogQuery::default() });
    let (first, text) = line(&mut logs).await;
    assert_eq!(text, "started");
    scene.sync(&one.replace("replicas: 1", "replicas: 2")).await.unwrap();
    let (second, text) = line(&mut logs).await;
    assert_eq!(text, "started");
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_reader_that_stands_still_is_told_what_it_missed() {
    let mut scene = Scene::new().await;
    let yaml = talking("standin.quarterdeck.dev/log-every-ms: \"0.2\", standin.quarterdeck.dev/line: tick");
    scene.sync(&yaml.replace("replicas: 2", "replicas: 1").replace("\"0.2\"", "\"1\"")).await.unwrap();
    pods_run(&scene, 1).await;
    let mut logs = scene.cluster.logs(&shop(), LogQuery { follow: true, ..LogQuery::default() });
    line(&mut logs).await;
    // Nobody reads until more was written than waits anywhere.
    let enough = || async {
        let mut other = scene.cluster.logs(&shop(), LogQuery { follow: true, tail: Some(1), ..LogQuery::default() });
        let (_, begin) = line(&mut other).await;
        let number = |text: &str| text.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let begin = number(&begin);
        while number(&line(&mut other).await.1) < begin + 3_000 {}
    };
    enough().await;
    let (mut lost, mut read, mut last) = (0, 0, None::<u64>);
    while lost == 0 || read < 2_000 {
        match next(&mut logs).await.unwrap() {
            LogRecord::Gap { lines, .. } => lost += lines.unwrap(),
            LogRecord::Line { text, .. } => {
                last = text.strip_prefix("tick ").and_then(|n| n.parse().ok()).or(last);
                read += 1;
            }
            LogRecord::Notice { .. } => {}
        }
    }
    assert!(lost > 0 && last.is_some());
}

#[tokio::test]
async fn a_log_of_nothing_says_so() {
    let scene = Scene::new().await;
    let mut logs = scene.cluster.logs(&shop(), LogQuery::default());
    assert!(matches!(next(&mut logs).await, Some(LogRecord::Notice { .. })));
    assert_eq!(next(&mut logs).await, None);
}
