//! A bundle: what runs is carried from one registry to another, and deployed from there by an agent that knows no forge.

use std::process::Command;

use anyhow::ensure;
use harness::real::said;
use quarterdeck_shared::change::Action;
use quarterdeck_shared::protocol::DiffAnswer;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::SyncStatus;

use super::*;

/// Runs `qd-agent bundle` with the configuration of the town's agent.
async fn bundle(town: &Town, words: &[&str]) -> anyhow::Result<String> {
    let mut command: Command = town.agent.agent_command();
    command.arg("bundle").args(words);
    let output = tokio::task::spawn_blocking(move || said(&mut command)).await??;
    Ok(String::from_utf8(output.stdout)?)
}

/// Which pods run.
fn pods(town: &Town) -> anyhow::Result<String> {
    town.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"])
}

#[tokio::test]
async fn what_runs_is_carried_to_a_registry_and_deployed_without_a_forge() -> anyhow::Result<()> {
    story(async |town| {
        begin(town, &[file("shop", deployment(&town.parts, "")), file("says", config("says", "carried"))]).await?;
        let tar = town.agent.path("shop.tar").display().to_string();
        bundle(town, &["create", "shop/prod", "-o", &tar]).await?;
        let before = pods(town)?;
        town.agent.kill_agent();

        // Another agent, without what the first one knows: it has the other registry and the cluster alone.
        let at = |name: &str| town.parts.get(name);
        let (registry, prefix) = (at("REGISTRY_LOGIN"), format!("{}/{}", at("REGISTRY_LOGIN"), town.name));
        town.write_secret("registry-password", at("REGISTRY_LOGIN_PASSWORD"))?;
        town.agent.configure(&format!(
            "[agent]\ndata_dir = \"{data}\"\nsocket = \"{socket}\"\n\n\
             [[registry]]\nhost = \"{registry}\"\nusername = \"{user}\"\npassword_file = \"registry-password\"\n\n\
             [[cluster]]\nname = \"world\"\nkubeconfig = \"{kubeconfig}\"\ncontext = \"{context}\"\n\n\
             [[application]]\nname = \"shop\"\n[[application.environment]]\nname = \"prod\"\npath = \"shop\"\ncluster = \"world\"\n\
             namespace = \"{namespace}\"\ncreate_namespace = true\n\
             [application.environment.artifact]\nrepository = \"oci://{prefix}/shop-prod\"\ntag = \"current\"\n",
            data = town.agent.path("elsewhere").display(),
            socket = town.agent.socket().display(),
            user = at("REGISTRY_LOGIN_USER"),
            kubeconfig = at("KUBECONFIG"),
            context = at("KUBE_CONTEXT"),
            namespace = town.namespace,
        ))?;
        let told = bundle(town, &["apply", &tar, "shop/prod"]).await?;
        ensure!(told.contains("override_path = true"), "{told}");
        town.agent.start_agent().await?;
        let is_there = |app: &EnvironmentStatus| {
            let is_artifact = app.revision.as_ref().is_some_and(|revision| revision.artifact.is_some());
            app.sync == SyncStatus::Synced && app.progress.is_none() && is_artifact
        };
        town.agent.wait_for("the bundle to be deployed", "shop", is_there).await?;
        let diff: DiffAnswer = town.agent.client().get("/v1/environments/shop/diff").await?;
        ensure!(diff.plan.changes.iter().all(|change| change.action == Action::Unchanged), "{:#?}", diff.plan);
        ensure!(pods(town)? == before, "the pods are the same: {before} and {}", pods(town)?);
        Ok(())
    })
    .await
}
