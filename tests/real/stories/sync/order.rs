//! A namespace, a kind and an object of that kind in that namespace come by one commit, and go by one.

use anyhow::ensure;
use quarterdeck_shared::change::Action;

use super::*;

#[tokio::test]
async fn a_namespace_a_kind_and_an_object_of_it_come_and_go_in_one_commit() -> anyhow::Result<()> {
    story(async |town| {
        // Both are the cluster's, so they carry the town's name.
        let (group, space) = (format!("{}.example.test", town.name), format!("{}-till", town.name));
        let result = come_and_go(town, &group, &space).await;
        let definition = town.kubectl(&["delete", "crd", &format!("tills.{group}"), "--ignore-not-found"]);
        let space = town.kubectl(&["delete", "namespace", &space, "--ignore-not-found", "--timeout=90s"]);
        result.and(definition).and(space).map(drop)
    })
    .await
}

async fn come_and_go(town: &mut Town, group: &str, space: &str) -> anyhow::Result<String> {
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: tills.{group}
spec:
  group: {group}
  scope: Namespaced
  names: {{ kind: Till, plural: tills, singular: till }}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [drawers]
            properties: {{ drawers: {{ type: integer, minimum: 1 }} }}
"
    );
    let till = format!(
        "apiVersion: {group}/v1\nkind: Till\nmetadata:\n  name: one\n  namespace: {space}\nspec: {{ drawers: 2 }}\n"
    );
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {space}\n");
    // By their names they come the wrong way round.
    let shop = file("shop", config("shop", "1"));
    let all = [file("a-till", &*till), file("b-kind", definition), file("c-space", namespace), shop.clone()];
    let commit = super::commit(town, &all, "A till from nothing")?;
    town.start().await?;
    town.healthy("the till", &commit).await?;
    let drawers = town.parts.kubectl(&[
        "get",
        &format!("tills.{group}"),
        "one",
        "-n",
        space,
        "-o",
        "jsonpath={.spec.drawers}",
    ])?;
    ensure!(drawers == "2", "the till has {drawers} drawers");
    let syncs = syncs(town).await?;
    ensure!(syncs.len() == 1, "it took more than one sync: {syncs:#?}");
    let lines = |sync: &SyncRecord| -> Vec<_> {
        sync.changes.iter().map(|change| (change.action, change.resource.kind.clone())).collect()
    };
    let created =
        ["Namespace", "CustomResourceDefinition", "ConfigMap", "Till"].map(|kind| (Action::Create, kind.to_owned()));
    ensure!(lines(&syncs[0]) == created, "the order was {:?}", lines(&syncs[0]));

    // What the new kind's own schema refuses is told by the field, and leaves all as it is.
    let bad = [
        file("a-till", till.replace("drawers: 2", "drawers: 0")),
        all[1].clone(),
        all[2].clone(),
        file("shop", config("shop", "2")),
    ];
    super::commit(town, &bad, "No drawers")?;
    town.agent.wait_for("the refusal", "shop", |app| app.message.contains("spec.drawers")).await?;
    ensure!(field(town, "configmap/shop", ".data.value")? == "1", "something else was applied");

    let commit = super::commit(town, &[shop], "No till")?;
    town.synced("the end of the till", &commit).await?;
    let pruned = lines(&self::syncs(town).await?[0]);
    let gone = ["Till", "CustomResourceDefinition", "Namespace"].map(|kind| (Action::Prune, kind.to_owned()));
    ensure!(pruned == gone, "the order was {pruned:?}");
    town.parts.kubectl(&["wait", "namespace", space, "--for", "delete", "--timeout", "60s"])?;
    town.parts.kubectl(&["wait", "crd", &format!("tills.{group}"), "--for", "delete", "--timeout", "60s"])
}
