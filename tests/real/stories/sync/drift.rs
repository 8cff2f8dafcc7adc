//! Drift by every hand that kubectl has, and by another manager: it is undone, and who it was is told.

use anyhow::ensure;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::status::Phase;

use super::*;

/// An editor that is a command, as scripts use it; a label, a scale, an object that is deleted.
#[tokio::test]
async fn what_kubectl_does_is_undone_and_told_of_it() -> anyhow::Result<()> {
    story(async |town| {
        let shop = deployment(&town.parts, "  replicas: 1\n")
            .replace("name: shop\nspec", "name: shop\n  labels: { tier: web }\nspec");
        let first = begin(town, &[file("deployment", shop), file("config", config("shop", "plain"))]).await?;

        let editor = [("KUBE_EDITOR", "sed -i s/infinity/1d/")];
        let edit = ["--namespace", &town.namespace, "edit", "deployment", "shop"];
        let said = town.parts.kubectl_with(&edit, &editor)?;
        ensure!(said.contains("edited"), "kubectl edit said {said:?}");
        healed(town, "deployment/shop", ".spec.template.spec.containers[0].command[1]", "infinity").await?;
        told(town, "drift of Deployment/shop by kubectl-edit").await?;

        town.kubectl(&["label", "--overwrite", "deployment", "shop", "tier=other"])?;
        healed(town, "deployment/shop", ".metadata.labels.tier", "web").await?;
        told(town, "drift of Deployment/shop by kubectl-label").await?;

        town.kubectl(&["scale", "deployment", "shop", "--replicas", "3"])?;
        healed(town, "deployment/shop", ".spec.replicas", "1").await?;
        told(town, "drift of Deployment/shop by kubectl").await?;

        let uid = field(town, "configmap/shop", ".metadata.uid")?;
        town.kubectl(&["delete", "configmap", "shop"])?;
        healed(town, "configmap/shop", ".data.value", "plain").await?;
        ensure!(field(town, "configmap/shop", ".metadata.uid")? != uid, "it was not deleted");
        // Who deletes leaves no name.
        told(town, "drift of ConfigMap/shop").await?;
        let status = town.healthy("rest", &first).await?;
        ensure!(status.drifted == 0 && status.message.is_empty(), "{status:?}");
        ensure!(syncs(town).await?.len() == 5, "one sync a deed: {:#?}", syncs(town).await?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn other_field_managers_are_undone_and_named() -> anyhow::Result<()> {
    story(async |town| {
        let config = config("shop", "plain").replace("name: shop\n", "name: shop\n  annotations: { note: keep me }\n");
        let first = begin(town, &[file("deployment", deployment(&town.parts, "")), file("config", config)]).await?;

        // As `kubectl edit` does it: the object is read, changed, and put back whole.
        let live = town.kubectl(&["get", "deployment", "shop", "-o", "yaml"])?;
        let edited = town.agent.path("edited.yaml");
        std::fs::write(&edited, live.replace("- infinity", "- \"99999\""))?;
        let edited = edited.display().to_string();
        town.kubectl(&["replace", "--field-manager", "kubectl-edit", "-f", &edited])?;
        healed(town, "deployment/shop", ".spec.template.spec.containers[0].command[1]", "infinity").await?;
        told(town, "drift of Deployment/shop by kubectl-edit").await?;

        let theirs = town.agent.path("theirs.yaml");
        std::fs::write(&theirs, super::config("shop", "theirs"))?;
        let theirs = theirs.display().to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "--field-manager", "intruder", "-f", &theirs];
        town.kubectl(&apply)?;
        healed(town, "configmap/shop", ".data.value", "plain").await?;
        told(town, "drift of ConfigMap/shop by intruder").await?;
        let fields = ".metadata.managedFields[?(@.manager==\"quarterdeck\")].fieldsV1";
        let owned =
            town.kubectl(&["get", "configmap/shop", "--show-managed-fields", "-o", &format!("jsonpath={{{fields}}}")])?;
        ensure!(owned.contains("f:value"), "we own {owned}");

        town.kubectl(&["annotate", "configmap", "shop", "note-"])?;
        healed(town, "configmap/shop", ".metadata.annotations.note", "keep me").await?;
        let status = town.healthy("rest", &first).await?;
        ensure!(status.drifted == 0 && status.message.is_empty(), "{status:?}");
        // What somebody adds beside ours is theirs.
        town.kubectl(&["annotate", "configmap", "shop", "theirs=too"])?;
        town.kubectl(&["label", "configmap", "shop", "app.example/theirs=too"])?;
        let before = syncs(town).await?.len();
        let next = commit(
            town,
            &[file("deployment", deployment(&town.parts, "")), file("config", super::config("shop", "new"))],
            "Next",
        )?;
        town.healthy("the next commit", &next).await?;
        let after = syncs(town).await?;
        ensure!(after.len() == before + 1, "what is not ours was healed: {after:#?}");
        ensure!(field(town, "configmap/shop", ".metadata.annotations.theirs")? == "too", "their annotation is gone");
        ensure!(field(town, "configmap/shop", ".metadata.annotations.note")?.is_empty(), "our annotation is left");
        Ok(())
    })
    .await
}

async fn healed(town: &Town, object: &str, path: &str, wanted: &str) -> anyhow::Result<()> {
    town.until(
        &format!("{object} to be healed"),
        &["get", object, "--ignore-not-found", "-o", &format!("jsonpath={{{path}}}")],
        wanted,
    )
    .await
}

/// Waits until the newest sync says by whom it was caused; the events say it too.
async fn told(town: &Town, cause: &str) -> anyhow::Result<()> {
    let healed = |app: &quarterdeck_shared::snapshot::EnvironmentStatus| {
        app.last_sync.as_ref().is_some_and(|sync| sync.cause.describe() == cause && sync.finished.is_some())
    };
    town.agent.wait_for(&format!("{cause:?} to be told"), "shop", healed).await?;
    let events: Vec<EventRecord> = town.agent.client().get("/v1/events?limit=200").await?;
    let by_them = events.iter().filter(|record| record.cause.describe() == cause).map(|record| &record.event);
    let began = by_them.clone().any(|event| matches!(event, Event::SyncStarted { .. }));
    let ended = by_them.clone().any(|event| matches!(event, Event::SyncFinished { phase: Phase::Succeeded, .. }));
    ensure!(began && ended, "the events of {cause:?}: {:#?}", by_them.collect::<Vec<_>>());
    Ok(())
}
