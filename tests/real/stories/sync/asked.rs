//! What a person asks of a chart, by the real helm and on a real cluster: its tests, and the deletion of all of it with its hooks.

use anyhow::ensure;
use quarterdeck_shared::protocol::{Accepted, TestsAnswer};
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::Phase;
use serde_json::json;

use super::*;

/// A Pod or Job that runs a script, as a hook of these events.
fn hook(town: &Town, kind: &str, name: &str, events: &str, script: &str) -> String {
    let image = format!("{}/busybox:1", town.parts.get("REGISTRY"));
    let pod = format!(
        "restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{{name: run, image: '{image}', command: [sh, -c, '{script}']}}]"
    );
    let (version, spec) = match kind {
        "Job" => ("batch/v1", format!("backoffLimit: 0, template: {{spec: {{{pod}}}}}")),
        _ => ("v1", pod),
    };
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, annotations: {{helm.sh/hook: {events}}}}}\nspec: {{{spec}}}\n"
    )
}

/// A chart with a test that passes where `answer` is yes, and a hook before its deletion that keeps a note.
fn chart(town: &Town, answer: &str) -> Vec<(String, String)> {
    let test = "echo asking; test {{ .Values.answer }} = yes";
    let says = config("says", "{{ .Values.answer }}");
    [
        ("Chart.yaml", "apiVersion: v2\nname: asked\nversion: 0.1.0\n".to_owned()),
        ("values.yaml", format!("answer: \"{answer}\"\n")),
        ("templates/says.yaml", says),
        ("templates/asks.yaml", hook(town, "Pod", "asks", "test", test)),
        ("templates/drains.yaml", hook(town, "Job", "drains", "pre-delete", "echo drained")),
    ]
    .map(|(name, text)| (format!("shop/{name}"), text))
    .into()
}

async fn tested(town: &Town) -> anyhow::Result<TestsAnswer> {
    let client = town.agent.client();
    let asked: Accepted = client.post("/v1/environments/shop/test", &json!({})).await?;
    let is_done = |app: &EnvironmentStatus| {
        app.tests.as_ref().is_some_and(|tests| Some(tests.at) == asked.tests && tests.phase.is_final())
    };
    town.agent.wait_for("the tests to end", "shop", is_done).await?;
    Ok(client.get("/v1/environments/shop/tests").await?)
}

#[tokio::test]
async fn a_chart_is_tested_and_deleted_when_somebody_asks() -> anyhow::Result<()> {
    story(async |town| {
        let path = town.parts.path_with_programs()?;
        town.agent.set("PATH", path);
        town.agent.configure(&town.config())?;
        commit(town, &chart(town, "yes"), "A chart")?;
        town.start().await?;
        town.until("the chart", &["get", "configmap/says", "-o", "jsonpath={.data.value}"], "yes").await?;
        let answer = tested(town).await?;
        ensure!(answer.run.phase == Phase::Succeeded && answer.tests[0].log == ["asking"], "{answer:?}");

        commit(town, &chart(town, "no"), "Another answer")?;
        town.until("the next", &["get", "configmap/says", "-o", "jsonpath={.data.value}"], "no").await?;
        town.agent.wait_for("it to rest", "shop", |app: &EnvironmentStatus| app.progress.is_none()).await?;
        let answer = tested(town).await?;
        ensure!(answer.run.phase == Phase::Failed && answer.run.message.contains("exit 1"), "{answer:?}");

        let client = town.agent.client();
        let asked: Accepted = client.post("/v1/environments/shop/delete", &json!({})).await?;
        let is_done = |app: &EnvironmentStatus| {
            app.deletion.as_ref().is_some_and(|one| Some(one.at) == asked.deletion && one.phase.is_final())
        };
        let status = town.agent.wait_for("the deletion", "shop", is_done).await?;
        let deletion = status.deletion.as_ref().map(|one| (one.phase, one.message.as_str()));
        ensure!(deletion == Some((Phase::Succeeded, "1 deleted, 1 hook done")), "{deletion:?}");
        ensure!(field(town, "configmap/says", ".data.value")?.is_empty(), "it is there still");
        ensure!(field(town, "job/drains", ".status.succeeded")? == "1", "the hook ran");
        Ok(())
    })
    .await
}
