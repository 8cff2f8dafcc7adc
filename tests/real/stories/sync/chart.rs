//! A Helm chart of the repository, by the real helm: what it is told, what it makes, what goes wrong, and a promotion into
//! its values.

use anyhow::ensure;
use harness::agent::environment;
use harness::real::manifests;
use quarterdeck_shared::snapshot::EnvironmentStatus;
use quarterdeck_shared::status::SyncStatus;

use super::*;

const SAYS: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: says
data:
  release: {{ .Release.Name }} in {{ .Release.Namespace }}
  cluster: {{ .Capabilities.KubeVersion.Version }}
  boats: {{ .Capabilities.APIVersions.Has (printf \"%s/v1\" .Values.group) | quote }}
  greeting: {{ required \"a greeting is required\" .Values.greeting }}
  common: {{ include \"common.word\" . }}
";

/// The shop's manifests as a chart with a dependency beside it, and values of the environment.
fn chart(town: &Town, greeting: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = manifests("IMAGE")
        .into_iter()
        .map(|(path, text)| {
            let image = "\"{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}\"";
            (path.replace("shop/", "shop/templates/"), text.replace("image: IMAGE ", &format!("image: {image} ")))
        })
        .collect();
    let more = [
        ("shop/Chart.yaml", "apiVersion: v2\nname: store\nversion: 0.1.0\ndependencies:\n- {name: common, version: 0.x.x, repository: 'file://../common'}\n".to_owned()),
        ("shop/values.yaml", format!("image:\n  repository: {}\n  tag: none\n  digest: \"\"\n", town.image)),
        ("shop/templates/says.yaml", SAYS.to_owned()),
        ("common/Chart.yaml", "apiVersion: v2\nname: common\nversion: 0.1.0\ntype: library\n".to_owned()),
        ("common/templates/_word.tpl", "{{ define \"common.word\" }}shared{{ end }}".to_owned()),
        ("envs/prod.yaml", format!("# of production\nimage:\n  tag: none # promoted\n  digest: \"\"\n{greeting}")),
    ];
    files.extend(more.map(|(path, text)| (path.to_owned(), text)));
    files
}

fn configure(town: &mut Town, more: &str) -> anyhow::Result<()> {
    let path = town.parts.path_with_programs()?;
    town.agent.set("PATH", path);
    let group = format!("{}.example", town.name);
    let helm = format!(
        "[application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\nvalues = {{ group = \"{group}\" }}\n{more}"
    );
    town.agent.configure(&format!("{}{helm}", town.config()))
}

fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: boats.{group}}}\nspec:\n  group: {group}\n  \
         scope: Namespaced\n  names: {{kind: Boat, plural: boats}}\n  versions:\n  - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}\n"
    )
}

#[tokio::test]
async fn a_chart_is_rendered_by_helm_and_promoted_into() -> anyhow::Result<()> {
    story(async |town| {
        configure(town, "")?;
        let group = format!("{}.example", town.name);
        town.deploy.git(&["rm", "-rq", "shop"])?;
        town.deploy.commit(&borrowed(&chart(town, "greeting: hello\n")), "A chart")?;
        town.start().await?;
        let says = |key: &str| field(town, "configmap/says", &format!(".data.{key}"));
        for (key, said) in [
            ("release", format!("shop in {}", town.namespace)),
            ("boats", "false".to_owned()),
            ("greeting", "hello".to_owned()),
            ("common", "shared".to_owned()),
        ] {
            ensure!(says(key)? == said, "{key} is {}, not {said}", says(key)?);
        }
        let version: serde_json::Value = serde_json::from_str(&town.kubectl(&["get", "--raw", "/version"])?)?;
        ensure!(says("cluster")? == version["gitVersion"], "it was told {}", says("cluster")?);

        // A push is written where the environment says its tag, and nowhere else.
        town.shop.commit(&borrowed(&harness::real::code("1.4.0", 0)), "A shop")?;
        town.shop.tag("push-1.4.0")?;
        let first = town.promoted(&town.run("push-1.4.0").await?)?;
        town.healthy("the first version", &first.commit).await?;
        town.runs_digest(&first)?;
        town.answers("1.4.0").await?;
        town.deploy.pull()?;
        let changed = town.deploy.git(&["show", "--format=", "--unified=0", "HEAD"])?;
        let lines: Vec<&str> = changed.lines().filter(|line| line.starts_with(['+', '-'])).collect();
        let digest = format!("+  digest: \"{}\"", first.digest);
        let wanted = [
            "--- a/envs/prod.yaml",
            "+++ b/envs/prod.yaml",
            "-  tag: none # promoted",
            "-  digest: \"\"",
            "+  tag: 1.4.0 # promoted",
            &digest,
        ];
        ensure!(lines == wanted, "{changed}");

        // A kind that comes is seen by a chart that asks for it, without a commit.
        let file = town.agent.path("boats.yaml").display().to_string();
        std::fs::write(&file, definition(&group))?;
        town.kubectl(&["apply", "-f", &file])?;
        let seen = town
            .until("the kind that came", &["get", "configmap", "says", "-o", "jsonpath={.data.boats}"], "true")
            .await;
        town.kubectl(&["delete", "-f", &file])?;
        seen?;
        town.until("the kind that went", &["get", "configmap", "says", "-o", "jsonpath={.data.boats}"], "false")
            .await?;

        // What the chart says no to is told in its words; what was deployed stays.
        let text = town.deploy.git(&["show", "HEAD:envs/prod.yaml"])?.replace("greeting: hello", "");
        town.deploy.commit(&[("envs/prod.yaml", &*text)], "Without a greeting")?;
        let told =
            |app: &EnvironmentStatus| app.message.contains("a greeting is required").then(|| app.message.clone());
        let message = town.agent.wait("the refusal", |state| environment(state, "shop").and_then(told)).await?;
        ensure!(message.contains("(shop/templates/says.yaml:9:15)"), "the place is told: {message}");
        ensure!(says("greeting")? == "hello", "what was deployed stays");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn hooks_and_made_up_values_are_refused_until_they_are_given() -> anyhow::Result<()> {
    story(async |town| {
        configure(town, "")?;
        town.deploy.git(&["rm", "-rq", "shop"])?;
        let hook = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  annotations: {helm.sh/hook: pre-upgrade}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}\n";
        let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: made\nstringData:\n  password: {{ .Values.password | default (randAlphaNum 12) | quote }}\n";
        let simple = |more: (&'static str, &'static str)| {
            let chart = [("shop/Chart.yaml", "apiVersion: v2\nname: store\nversion: 0.1.0\n"), ("envs/prod.yaml", ""), ("shop/templates/kept.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\n")];
            [chart.as_slice(), &[more]].concat()
        };
        town.deploy.commit(&simple(("shop/templates/secret.yaml", secret)), "A made-up password")?;
        town.agent.start_agent().await?;
        let refused = |part: &'static str| {
            move |state: &State| environment(state, "shop").filter(|app| app.message.contains(part)).map(|app| app.message.clone())
        };
        town.agent.wait("the refusal", refused("each render makes other values of Secret/made")).await?;
                town.deploy.commit(&[("envs/prod.yaml", "password: given\n")], "A password")?;
        let synced = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced;
        town.agent.wait_for("the password that is given", "shop", synced).await?;
        ensure!(field(town, "secret/made", ".data.password")? == "Z2l2ZW4=");

        let commit = town.deploy.commit(&[("shop/templates/hook.yaml", hook)], "A hook")?;
        town.agent.wait("the hook", refused("Job/migrate (pre-upgrade)")).await?;
        configure(town, "skip_hooks = true\n")?;
        town.agent.reload_agent();
        town.synced("without its hook", &commit).await?;
        ensure!(field(town, "job/migrate", ".metadata.name")?.is_empty(), "a hook is no object");
        Ok(())
    })
    .await
}
