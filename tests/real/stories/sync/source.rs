//! Applications in git: they come, change and go with commits to a repository of the real forge.

use anyhow::ensure;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::SyncStatus;

use super::*;

/// The file of an application whose manifests are a folder of the same repository.
fn defined(town: &Town, name: &str) -> (String, String) {
    let text = format!(
        "[[application]]\nname = \"{name}\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{}\"\nbranch = \"main\"\n\
         path = \"shop/{name}\"\ncluster = \"world\"\nnamespace = \"{}\"\n",
        town.deploy.url, town.namespace
    );
    (format!("shop/applications/{name}.toml"), text)
}

/// A folder of manifests of an application: a ConfigMap of its name.
fn manifests(name: &str, value: &str) -> (String, String) {
    (format!("shop/{name}/config.yaml"), config(name, value))
}

/// What is in the ConfigMap of an application.
fn value(town: &Town, name: &str) -> anyhow::Result<String> {
    field(town, &format!("configmap/{name}"), ".data.value")
}

#[tokio::test]
async fn applications_come_change_and_go_with_commits() -> anyhow::Result<()> {
    story(async |town| {
        let source = format!(
            "[[application_source]]\nname = \"teams\"\nrepository = \"{}\"\nbranch = \"main\"\npath = \"shop/applications\"\n\
             clusters = [\"world\"]\nnamespaces = [\"{}\"]\n",
            town.deploy.url, town.namespace
        );
        let config = town.config();
        let (head, _) = config.split_once("[[application]]").unwrap_or((&config, ""));
        town.agent.configure(&format!("{head}{source}"))?;
        town.parts.kubectl(&["create", "namespace", &town.namespace])?;
        let is_synced = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.progress.is_none();

        commit(town, &[defined(town, "one"), manifests("one", "first")], "One application")?;
        town.agent.start_agent().await?;
        town.agent.wait_for("the first application", "one", is_synced).await?;
        ensure!(value(town, "one")? == "first");

        let both = [defined(town, "one"), manifests("one", "second"), defined(town, "two"), manifests("two", "first")];
        commit(town, &both, "Another one")?;
        town.agent.wait_for("the second application", "two", is_synced).await?;
        town.until("the first to change", &["get", "configmap/one", "-o", "jsonpath={.data.value}"], "second").await?;
        ensure!(value(town, "two")? == "first");

        // One that goes leaves its objects, as nothing else was said.
        commit(town, &[defined(town, "two"), manifests("two", "first")], "One is enough")?;
        let is_gone = async {
            while town.agent.client().state().await?.objects.values().any(is_one) {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), is_gone).await.context("it did not go")??;
        ensure!(value(town, "one")? == "second");
        Ok(())
    })
    .await
}

fn is_one(object: &Object) -> bool {
    matches!(object, Object::Application(application) if application.name.as_str() == "one")
}
