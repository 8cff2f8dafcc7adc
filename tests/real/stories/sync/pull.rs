//! An image that cannot be had, a pod that may not be made: Degraded, in the words of who could not do it.

use anyhow::ensure;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::Health;

use super::*;

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_degraded_with_the_pull_error() -> anyhow::Result<()> {
    story(async |town| {
        let good = deployment(&town.parts, "");
        begin(town, &[file("deployment", &*good)]).await?;
        let first = pod_names(town)?;
        let missing = format!("{}/no-such-image:7", town.parts.get("REGISTRY"));
        let bad = good.replace(&format!("{}/busybox:1", town.parts.get("REGISTRY")), &missing);
        let bad = commit(town, &[file("deployment", bad)], "An image that nobody has")?;
        let app = town.agent.wait_for("the pull to fail", "shop", |app| app.health == Health::Degraded).await?;
        ensure!(harness::agent::is_at(&app, &bad), "the sync was done: {app:?}");
        let told = |state: &State| {
            state.objects.values().find_map(|object| match object {
                Object::Pod(pod) if pod.message.contains("no-such-image") => {
                    Some((pod.status.to_string(), pod.message.to_string()))
                }
                _ => None,
            })
        };
        let (status, message) = town.agent.wait("the pull error", told).await?;
        ensure!(["ErrImagePull", "ImagePullBackOff"].contains(&&*status), "the pod is {status}: {message}");
        ensure!(message.contains("not found"), "the pod is {status}: {message}");
        let name = app.message.clone();
        let of_app =
            |app: &EnvironmentStatus| app.message.contains("no-such-image") && app.message.contains("not found");
        let app = town.agent.wait_for("the application to say why", "shop", of_app).await;
        ensure!(app.is_ok(), "the application said {name:?}: {:?}", app.err());
        ensure!(pod_names(town)?.contains(&first[0]), "the old pod was ended");

        let good = commit(town, &[file("deployment", good)], "The image again")?;
        town.healthy("the old image", &good).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn pods_that_a_quota_refuses_are_told_in_its_words() -> anyhow::Result<()> {
    story(async |town| {
        let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata:\n  name: small\nspec:\n  hard: { pods: \"2\" }\n";
        let parts = town.parts.clone();
        let shop = |replicas: u32| file("deployment", deployment(&parts, &format!("  replicas: {replicas}\n")));
        begin(town, &[shop(2), file("quota", quota)]).await?;
        let commit = super::commit(town, &[shop(3), file("quota", quota)], "One too many")?;
        town.synced("the third replica", &commit).await?;
        let refused = |state: &State| {
            let shop = resource(state, "Deployment", "shop")?;
            (shop.health == Health::Degraded).then(|| shop.message.clone())
        };
        let why = town.agent.wait("the quota's refusal", refused).await?;
        ensure!(why.contains("exceeded quota: small") && why.contains("limited: pods=2"), "it is told as {why:?}");
        Ok(())
    })
    .await
}

fn pod_names(town: &Town) -> anyhow::Result<Vec<String>> {
    let names = town.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"])?;
    Ok(names.split_whitespace().map(str::to_owned).collect())
}
