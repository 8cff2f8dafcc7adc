//! charts: 100 applications, each a Helm chart of its own with six templates. `--charts` says how many.
//!
//! Beside them `helm template` of the same folders, one after the other: what starting the program costs, and nothing of
//! comparing, applying and recording.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness::git::Repo;
use harness::real::Parts;

use crate::Options;
use crate::cluster::Namespace;
use crate::figure::{Figure, Goal, Unit};
use crate::measure::{self, Process};
use crate::subject::Subject;

const HELPERS: &str = "{{- define \"labels\" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf \"%s-%s\" .Chart.Name .Chart.Version | quote }}
{{- end -}}
";

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {{- include \"labels\" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      serviceAccountName: {{ .Release.Name }}
      containers:
      - name: {{ .Chart.Name }}
        image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
        {{- with .Values.resources }}
        resources: {{- toYaml . | nindent 10 }}
        {{- end }}
";

/// The other objects of a chart, by kind, with what follows their metadata. The Services want no address of the cluster, which has few.
const OTHERS: [(&str, &str); 3] = [
    ("Service", "spec: {clusterIP: None, selector: {app: {{ .Release.Name }}}, ports: [{port: 80, targetPort: http}]}"),
    ("ServiceAccount", "automountServiceAccountToken: false"),
    ("ConfigMap", "data: {greeting: {{ .Values.greeting | quote }}}"),
];

pub(crate) fn family(options: &Options) -> BoxFuture<'_, anyhow::Result<Vec<Figure>>> {
    async {
        let parts = options.parts()?;
        let space = Namespace::make(parts, "charts").await?;
        let measured = measure(options, parts, &space).await;
        space.delete()?;
        measured
    }
    .boxed()
}

/// What one life of the agent showed.
struct Life {
    first: f64,
    processor: f64,
    peak: f64,
    unchanged: f64,
    changed: f64,
}

async fn measure(options: &Options, parts: &Parts, space: &Namespace) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    for name in names(options.charts) {
        for (path, text) in chart(&name, "hello") {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            std::fs::write(path, text)?;
        }
    }
    let (mut lives, mut helm, mut helm_processor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.runs {
        let mut subject = Subject::start(options, Some(&space.name), None).await?;
        lives.push(live(&mut subject, &names(options.charts)).await?);
        drop(subject);
        parts.kubectl(&[
            "delete",
            "deployment,service,serviceaccount,configmap",
            "--all",
            "--namespace",
            &space.name,
        ])?;
        let ours = Process(std::process::id());
        let before = ours.cpu()?;
        helm.push(templates(parts, folder.path(), options.charts)?);
        helm_processor.push((ours.cpu()? - before) * 1000.0);
    }
    let charts = options.charts;
    let all = |of: fn(&Life) -> f64| lives.iter().map(of).collect::<Vec<_>>();
    let ms = |what: &str, runs| Figure::new(what, Unit::Milliseconds, runs);
    Ok(vec![
        ms(&format!("{charts} charts from empty, processor time with that of helm"), all(|life| life.processor))
            .beside(&format!("{charts} × helm template alone"), helm_processor)
            .goal(Goal::Times(1.2)),
        ms(&format!("{charts} charts from empty"), all(|life| life.first))
            .beside(&format!("{charts} × helm template, one after the other"), helm),
        Figure::new("memory of the agent at its highest", Unit::Mebibytes, all(|life| life.peak))
            .goal(Goal::AtMost(120.0)),
        ms("a commit that changes none of them, wake to recorded", all(|life| life.unchanged)),
        ms("a commit that changes the values of one, wake to applied", all(|life| life.changed))
            .goal(Goal::AtMost(1_000.0)),
    ])
}

async fn live(subject: &mut Subject, names: &[String]) -> anyhow::Result<Life> {
    commit(&subject.repo, names);
    let process = subject.process().await?;
    let before = process.cpu()?;
    let first = subject.operate(names).await?;
    subject.settle().await?;
    let (processor, peak) = ((process.cpu()? - before) * 1000.0, process.peak()?);
    subject.repo.commit("main", &[("README.md", "Nothing that is deployed\n")], "Words");
    let unchanged = subject.wake(names).await?;
    subject.settle().await?;
    let values = values("hello again");
    subject.repo.commit("main", &[(&*format!("apps/{}/values.yaml", names[7]), &*values)], "Another greeting");
    let changed = subject.wake(names).await?;
    Ok(Life { first, processor, peak, unchanged, changed })
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("chart-{number}")).collect()
}

fn values(greeting: &str) -> String {
    format!(
        "replicas: 0\ngreeting: {greeting}\nimage: {{repository: registry.example/ops/shop, tag: \"\"}}\n\
         resources: {{requests: {{cpu: 10m, memory: 16Mi}}}}\n"
    )
}

fn chart(name: &str, greeting: &str) -> Vec<(String, String)> {
    let others = OTHERS.map(|(kind, rest)| {
        let metadata = "metadata:\n  name: {{ .Release.Name }}\n  labels: {{- include \"labels\" . | nindent 4 }}";
        (
            format!("templates/{}.yaml", kind.to_lowercase()),
            format!("apiVersion: v1\nkind: {kind}\n{metadata}\n{rest}\n"),
        )
    });
    let about = "apiVersion: v2\nname: store\nversion: 0.1.0\nappVersion: 1.4.0\n";
    let files = [
        ("Chart.yaml", about.to_owned()),
        ("values.yaml", values(greeting)),
        ("templates/_helpers.tpl", HELPERS.to_owned()),
        ("templates/deployment.yaml", DEPLOYMENT.to_owned()),
    ];
    let files = files.into_iter().map(|(path, text)| (path.to_owned(), text)).chain(others);
    files.map(|(path, text)| (format!("apps/{name}/{path}"), text)).collect()
}

fn commit(repo: &Repo, names: &[String]) {
    let files = names.iter().flat_map(|name| chart(name, "hello"));
    files.fold(repo.change("main"), |change, (path, text)| change.write(path, text)).commit("A hundred charts");
}

/// Renders each chart, one after the other; milliseconds.
fn templates(parts: &Parts, folder: &Path, count: usize) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for name in names(count) {
        let mut command = Command::new(Path::new(parts.get("WORLD_BIN")).join("helm"));
        command.arg("template").arg(&name).arg(folder.join("apps").join(&name)).args(["--namespace", "charts"]);
        sum += measure::run(&mut command)?;
    }
    Ok(sum)
}
