//! Several sources feed one environment: a chart of one repository of the forge with values of another, by the real helm, and a base
//! of another, by the real kustomize.

use anyhow::ensure;
use quarterdeck_shared::protocol::Accepted;

use super::*;

const SAYS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: says\ndata:\n  greeting: {{ required \"a greeting is required\" .Values.greeting }} VERSION\n";

/// A chart that says what it is given, and which version it is.
fn chart(version: &str) -> [(&'static str, String); 2] {
    let about = "apiVersion: v2\nname: says\nversion: 0.1.0\n".to_owned();
    [("charts/says/Chart.yaml", about), ("charts/says/templates/says.yaml", SAYS.replace("VERSION", version))]
}

/// The shop's environment with this path, and a source that is the other repository of the town.
fn configure(town: &mut Town, path: &str, name: &str, more: &str) -> anyhow::Result<()> {
    let programs = town.parts.path_with_programs()?;
    town.agent.set("PATH", programs);
    let config = town.config().replace("path = \"shop\"", &format!("path = \"{path}\""));
    let source = format!("[[application.environment.source]]\nname = \"{name}\"\nrepository = \"{}\"\n", town.shop.url);
    town.agent.configure(&format!("{config}{source}{more}"))
}

async fn says(town: &Town, what: &str, object: &str, wanted: &str) -> anyhow::Result<()> {
    town.until(what, &["get", object, "-o", "jsonpath={.data.greeting}"], wanted).await
}

#[tokio::test]
async fn a_chart_of_one_repository_is_deployed_with_values_of_another() -> anyhow::Result<()> {
    story(async |town| {
        let more = "path = \"charts\"\n[application.environment.helm]\nvalues_files = [\"shop/prod.yaml\"]\n";
        configure(town, "$charts/says", "charts", more)?;
        let values = |greeting: &str| [("shop/prod.yaml".to_owned(), format!("greeting: {greeting}\n"))];
        let first = town.shop.commit(&borrowed_all(&chart("one")), "A chart")?;
        let own = commit(town, &values("hello"), "Values")?;
        town.start().await?;
        says(town, "the chart with its values", "configmap/says", "hello one").await?;
        let is_it = |app: &quarterdeck_shared::snapshot::EnvironmentStatus| {
            let wanted = format!("main@{} charts:main@{}", &own[..7], &first[..7]);
            app.revision.as_ref().is_some_and(|revision| revision.short() == wanted)
        };
        town.agent.wait_for("both commits to be shown", "shop", is_it).await?;

        town.shop.commit(&borrowed_all(&chart("two")), "Another chart")?;
        says(town, "the next chart", "configmap/says", "hello two").await?;
        commit(town, &values("goodbye"), "Other values")?;
        says(town, "the next values", "configmap/says", "goodbye two").await?;

        // Back by the commit of the source alone.
        let to = serde_json::json!({ "to": format!("main charts:{first}"), "reason": "a test" });
        town.agent.client().post::<Accepted>("/v1/environments/shop/rollback", &to).await?;
        says(town, "the first chart again", "configmap/says", "goodbye one").await
    })
    .await
}

#[tokio::test]
async fn a_base_of_another_repository_is_built_by_kustomize() -> anyhow::Result<()> {
    story(async |town| {
        configure(town, "shop", "base", "")?;
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: says\ndata:\n  greeting: hello\n";
        let base = [("base/kustomization.yaml", "resources: [says.yaml]\n"), ("base/says.yaml", object)];
        town.shop.commit(&base, "A base")?;
        let own = "resources: [../$base/base]\nnamePrefix: prod-\n".to_owned();
        commit(town, &[("shop/kustomization.yaml".to_owned(), own)], "What is ours")?;
        town.start().await?;
        says(town, "the base with our prefix", "configmap/prod-says", "hello").await?;
        town.shop.commit(&[("base/says.yaml", &object.replace("hello", "goodbye"))], "Another word")?;
        says(town, "the next base", "configmap/prod-says", "goodbye").await?;
        ensure!(field(town, "configmap/says", ".data.greeting")?.is_empty(), "the base alone is not deployed");
        Ok(())
    })
    .await
}

fn borrowed_all<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files.iter().map(|(path, text)| (*path, text.as_str())).collect()
}
