//! What git does not name belongs to others; what leaves git goes, and nothing else does.

use anyhow::ensure;
use quarterdeck_shared::change::Action;

use super::*;

#[tokio::test]
async fn an_autoscaler_has_the_replicas_that_git_does_not_name() -> anyhow::Result<()> {
    story(async |town| {
        let scaler = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: shop
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: shop }
  minReplicas: 2
  maxReplicas: 5
  metrics:
  - type: Resource
    resource: { name: cpu, target: { type: Utilization, averageUtilization: 60 } }
";
        let parts = town.parts.clone();
        let files = |more: &str| [file("deployment", deployment(&parts, more)), file("scaler", scaler)];
        let first = commit(town, &files(""), "The shop")?;
        town.start().await?;
        town.synced("the first state", &first).await?;
        let replicas = ["get", "deployment", "shop", "-o", "jsonpath={.spec.replicas}"];
        town.until("the autoscaler's least number", &replicas, "2").await?;
        town.kubectl(&["scale", "deployment", "shop", "--replicas", "4"])?;
        // The world has no metrics, so it can tell no number between. That is said at once, and is
        // bad only when it lasts: an autoscaler that is new has no metrics yet.
        let told = |state: &State| {
            let scaler = resource(state, "HorizontalPodAutoscaler", "shop")?;
            scaler.message.contains("metrics").then_some(scaler.health)
        };
        let health = town.agent.wait("the autoscaler's trouble", told).await?;
        ensure!(health == quarterdeck_shared::status::Health::Progressing, "it has just begun, and is {health:?}");

        let second = commit(town, &files("  minReadySeconds: 1\n"), "Wait a second")?;
        town.synced("the second state", &second).await?;
        ensure!(town.kubectl(&replicas)? == "4", "the replicas were reset");
        let all = syncs(town).await?;
        ensure!(all.len() == 2, "what git does not name was healed: {all:#?}");

        // Also where git names them: an autoscaler that git brings has them all the same.
        let third = commit(town, &files("  minReadySeconds: 2\n  replicas: 3\n"), "Three")?;
        town.synced("the third state", &third).await?;
        ensure!(town.kubectl(&replicas)? == "4", "git and the autoscaler write in turns");

        // And where they are left to others by name, whatever git says.
        let left = |more: &str| {
            let metadata = "  name: shop\n  annotations: { quarterdeck.dev/ignore: spec.replicas }\nspec";
            let deployment = deployment(&parts, more).replacen("  name: shop\nspec", metadata, 1);
            [file("deployment", deployment), file("scaler", scaler)]
        };
        let fourth = commit(town, &left("  replicas: 2\n"), "Left to the autoscaler")?;
        town.synced("the fourth state", &fourth).await?;
        ensure!(town.kubectl(&replicas)? == "4", "they are left alone");
        town.kubectl(&["scale", "deployment", "shop", "--replicas", "3"])?;
        let fifth = commit(town, &left("  replicas: 2\n  minReadySeconds: 2\n"), "Wait two seconds")?;
        town.synced("the fifth state", &fifth).await?;
        ensure!(town.kubectl(&replicas)? == "3", "the replicas were reset");
        ensure!(syncs(town).await?.len() == 5, "what is left to others was healed: {:#?}", syncs(town).await?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_renamed_file_changes_nothing_and_a_deleted_one_takes_its_objects_along() -> anyhow::Result<()> {
    story(async |town| {
        let shop = file("deployment", deployment(&town.parts, ""));
        begin(town, &[shop.clone(), file("one", config("one", "1")), file("two", config("two", "2"))]).await?;
        town.kubectl(&["create", "configmap", "by-hand"])?;
        let uid = field(town, "configmap/one", ".metadata.uid")?;

        let renamed = [shop.clone(), file("uno", config("one", "1")), file("two", config("two", "2"))];
        let commit = super::commit(town, &renamed, "Another file")?;
        town.healthy("the renamed file", &commit).await?;
        ensure!(field(town, "configmap/one", ".metadata.uid")? == uid, "the object was made anew");

        let commit = super::commit(town, &[shop, file("uno", config("one", "1"))], "No second")?;
        town.healthy("the deleted file", &commit).await?;
        ensure!(field(town, "configmap/two", ".metadata.uid")?.is_empty(), "it is still there");
        ensure!(field(town, "configmap/one", ".metadata.uid")? == uid, "the other one was touched");
        ensure!(!field(town, "configmap/by-hand", ".metadata.uid")?.is_empty(), "what is nobody's was pruned");
        let newest = syncs(town).await?.remove(0);
        let lines: Vec<_> = newest.changes.iter().map(|change| (change.action, change.resource.short())).collect();
        ensure!(lines == [(Action::Prune, "ConfigMap/two".to_owned())], "the sync says {lines:?}");
        Ok(())
    })
    .await
}
