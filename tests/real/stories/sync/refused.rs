//! What the server refuses is told in its words, with what to do next, and nothing of that commit is applied.

use anyhow::ensure;
use harness::agent::is_at;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::{Phase, SyncStatus};

use super::*;

#[tokio::test]
async fn an_immutable_field_is_told_and_nothing_is_half_done() -> anyhow::Result<()> {
    story(async |town| {
        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\nspec:\n  selector: { app: shop }\n  ports: [{ port: 80 }]\n";
        let job = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: once\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - {{ name: once, image: {}/busybox:1, command: [echo, once] }}\n",
            town.parts.get("REGISTRY")
        );
        let shop = deployment(&town.parts, "");
        let good = [file("deployment", &*shop), file("service", service), file("job", &*job), file("config", config("shop", "good"))];
        let first = begin(town, &good).await?;
        for (place, text, words) in [
            (0, shop.replace("app: shop }", "app: other }"), &["Deployment/shop", "deployment.yaml", "spec.selector", "field is immutable"][..]),
            (1, service.replace("spec:\n", "spec:\n  clusterIP: None\n"), &["Service/shop", "service.yaml", "spec.clusterIPs[0]", "may not change once set"]),
        ] {
            let mut bad = good.clone();
            bad[place].1 = text;
            bad[3] = file("config", config("shop", "half"));
            refused(town, &bad, words, &first).await?;
        }
        let again = commit(town, &good, "As it was")?;
        town.healthy("the good state", &again).await?;

        // A Job holds up nothing else, and is told until it is deleted.
        let mut newer = good.clone();
        newer[2].1 = job.replace("[echo, once]", "[echo, twice]");
        newer[3] = file("config", config("shop", "newer"));
        let newer = commit(town, &newer, "Another version")?;
        let words = ["Job/once", "job.yaml", "spec.template", "field is immutable"];
        let told = |app: &EnvironmentStatus| is_at(app, &newer) && words.iter().all(|word| app.message.contains(word));
        let app = town.agent.wait_for("the Job to be told", "shop", told).await?;
        ensure!(app.sync == SyncStatus::OutOfSync && app.hint.contains("delete the live object"), "{app:?}");
        ensure!(field(town, "configmap/shop", ".data.value")? == "newer", "the rest was not applied");
        town.kubectl(&["delete", "job", "once"])?;
        town.healthy("the new Job", &newer).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn what_is_no_yaml_or_no_port_stops_what_stands_beside_it() -> anyhow::Result<()> {
    story(async |town| {
        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\nspec:\n  selector: { app: shop }\n  ports: [{ port: 80, targetPort: 8080 }]\n";
        let shop = deployment(&town.parts, "");
        let good = [file("deployment", shop), file("service", service), file("config", config("shop", "good"))];
        let first = begin(town, &good).await?;

        let with = |text: &str| [good[0].clone(), file("service", text), file("config", config("shop", "half"))];
        let words = ["shop/service.yaml: document 1, line 7", "unclosed bracket"];
        refused(town, &with(&service.replace("ports: [{", "ports: [[{")), &words, &first).await?;
        let words = ["Service/shop", "service.yaml", "spec.ports[0].targetPort", "between 1 and 65535"];
        refused(town, &with(&service.replace("8080", "88080")), &words, &first).await?;
        let again = commit(town, &good, "As it was")?;
        town.healthy("the good state", &again).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_policy_is_told_in_its_words_and_nothing_is_half_done() -> anyhow::Result<()> {
    story(async |town| {
        let good = |replicas: u32, value: &str| {
            [
                file("deployment", deployment(&town.parts, &format!("  replicas: {replicas}\n"))),
                file("config", config("shop", value)),
            ]
        };
        let files = good(1, "good");
        let (bad, again) = (good(6, "half"), good(2, "better"));
        let first = begin(town, &files).await?;
        let result = policy(town, &bad, &again, &first).await;
        let gone = town.kubectl(&[
            "delete",
            &format!("validatingadmissionpolicy/{}", town.name),
            &format!("validatingadmissionpolicybinding/{}", town.name),
            "--ignore-not-found",
        ]);
        result.and(gone).map(drop)
    })
    .await
}

async fn policy(
    town: &Town,
    bad: &[(String, String)],
    again: &[(String, String)],
    first: &str,
) -> anyhow::Result<String> {
    let text = format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {name}
spec:
  matchConstraints:
    namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: {name} }} }}
    resourceRules:
    - {{ apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments] }}
  validations:
  - expression: object.spec.replicas <= 5
    message: no shop needs more than five pods
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {name}
spec:
  policyName: {name}
  validationActions: [Deny]
",
        name = town.name
    );
    let path = town.agent.path("policy.yaml");
    std::fs::write(&path, text)?;
    town.kubectl(&["apply", "-f", &path.display().to_string()])?;
    // It is in force a moment after it is there.
    let started = std::time::Instant::now();
    let six = ["patch", "deployment", "shop", "--dry-run=server", "-p", "{\"spec\": {\"replicas\": 6}}"];
    while town.kubectl(&six).is_ok() {
        ensure!(started.elapsed().as_secs() < 60, "the policy does not come into force");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    refused(town, bad, &["Deployment/shop", &town.name, "denied request: no shop needs more than five pods"], first)
        .await?;
    let commit = commit(town, again, "Two are enough")?;
    town.healthy("what the policy allows", &commit).await?;
    Ok(commit)
}

#[tokio::test]
async fn a_quota_refuses_before_anything_is_done_or_ends_the_sync_where_it_is_full() -> anyhow::Result<()> {
    story(async |town| {
        let quota = |room: usize| {
            let hard = format!("count/configmaps: \"{room}\"");
            let text =
                format!("apiVersion: v1\nkind: ResourceQuota\nmetadata:\n  name: few\nspec:\n  hard: {{ {hard} }}\n");
            file("quota", text)
        };
        let parts = town.parts.clone();
        let shop = |more: &str| file("deployment", deployment(&parts, more));
        let (good, slower) = (shop(""), shop("  minReadySeconds: 1\n"));
        let value = |value: &str| file("config", config("shop", value));
        let (more, most) = (file("more", config("more", "1")), file("most", config("most", "1")));
        begin(town, &[good.clone(), value("good")]).await?;
        // Ours, our inventory, and what the cluster puts into every namespace.
        let full = town.kubectl(&["get", "configmaps", "-o", "name"])?.lines().count();
        let counts = async |town: &Town, which: &str, number: usize| {
            let path = format!("jsonpath={{.status.{which}.count/configmaps}}");
            town.until("the quota to count", &["get", "quota", "few", "-o", &path], &number.to_string()).await
        };
        let first = commit(town, &[good.clone(), value("good"), quota(full)], "No more than these")?;
        town.healthy("the quota", &first).await?;
        counts(town, "used", full).await?;
        let words = ["ConfigMap/more", "more.yaml", "exceeded quota: few", &format!("used: count/configmaps={full}")];
        refused(town, &[slower.clone(), value("half"), more.clone(), quota(full)], &words, &first).await?;

        // Each of two has room, both have not: only the write can tell. What is in their stage is done as far as it
        // goes, no later stage is begun, and the next try goes on from there.
        let roomy = commit(town, &[good.clone(), value("good"), quota(full + 1)], "Room for one")?;
        town.healthy("room for one", &roomy).await?;
        counts(town, "hard", full + 1).await?;
        commit(town, &[slower.clone(), value("good"), more.clone(), most.clone(), quota(full + 1)], "Two more")?;
        let is_full = |app: &EnvironmentStatus| app.message.contains("exceeded quota: few");
        let app = town.agent.wait_for("the full quota", "shop", is_full).await?;
        ensure!(app.sync == SyncStatus::OutOfSync && is_at(&app, &roomy), "it is told as {app:?}");
        let partly = |sync: SyncRecord| Some(sync.message).filter(|message| message.contains("done before it"));
        let said = syncs(town).await?.into_iter().find_map(partly);
        ensure!(said.as_ref().is_some_and(|said| said.contains("1 created")), "the sync said {said:?}");
        ensure!(field(town, "deployment/shop", ".spec.minReadySeconds")?.is_empty(), "a later stage was begun");

        // More room and what needs it are two commits: all of a commit is checked against the cluster as it is.
        let roomier = commit(town, &[good, value("good"), quota(full + 2)], "Room for two")?;
        town.healthy("room for two", &roomier).await?;
        counts(town, "hard", full + 2).await?;
        let last = commit(town, &[slower, value("good"), more, most, quota(full + 2)], "Two more again")?;
        town.healthy("both", &last).await.map(drop)
    })
    .await
}

/// Commits what the server refuses, and sees that it is told, that nothing was done, and that the good state is left.
async fn refused(town: &Town, bad: &[(String, String)], words: &[&str], good: &str) -> anyhow::Result<()> {
    let generation = field(town, "deployment/shop", ".metadata.generation")?;
    let bad = commit(town, bad, "What is refused")?;
    let told = |app: &EnvironmentStatus| {
        let at_it = app.target.as_ref().is_some_and(|target| target.commit.as_str() == bad);
        at_it && words.iter().all(|word| app.message.contains(*word))
    };
    let app = town.agent.wait_for(&format!("a refusal with {words:?}"), "shop", told).await?;
    // What cannot be read cannot be compared.
    let sync = if app.message.contains("cannot render") { SyncStatus::Unknown } else { SyncStatus::OutOfSync };
    ensure!(app.sync == sync && is_at(&app, good), "it is told as {app:?}");
    let all = syncs(town).await?;
    let of_it: Vec<_> = all.iter().filter(|sync| sync.revision.commit.as_str() == bad).collect();
    let once = of_it.len() == 1 && of_it[0].phase == Phase::Failed && of_it[0].changes.is_empty();
    ensure!(once, "the history has {of_it:#?}");
    ensure!(field(town, "configmap/shop", ".data.value")? == "good", "something else was applied");
    ensure!(field(town, "deployment/shop", ".metadata.generation")? == generation, "the Deployment was written");
    Ok(())
}
