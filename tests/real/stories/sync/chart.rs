//! A Helm chart of the repository, by the real helm: what it is told, what it makes, what goes wrong, and a promotion into
//! its values; and one that helm pushed to a registry.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use harness::agent::environment;
use harness::real::manifests;
use quarterdeck_shared::protocol::Accepted;
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

/// A chart of these templates, without values of its own.
fn simple(templates: &[(&'static str, String)]) -> Vec<(String, String)> {
    let mut chart = vec![
        ("shop/Chart.yaml".to_owned(), "apiVersion: v2\nname: store\nversion: 0.1.0\n".to_owned()),
        ("envs/prod.yaml".to_owned(), String::new()),
    ];
    let file = |(name, text): &(&str, String)| (format!("shop/templates/{name}.yaml"), text.clone());
    chart.extend(templates.iter().map(file));
    chart
}

fn kept(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: kept}}\ndata: {{value: {value}}}\n")
}

#[tokio::test]
async fn made_up_values_are_refused_until_they_are_given() -> anyhow::Result<()> {
    story(async |town| {
        configure(town, "")?;
        town.deploy.git(&["rm", "-rq", "shop"])?;
        let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: made\nstringData:\n  password: {{ .Values.password | default (randAlphaNum 12) | quote }}\n";
        let chart = simple(&[("kept", kept("one")), ("secret", secret.to_owned())]);
        town.deploy.commit(&borrowed(&chart), "A made-up password")?;
        town.agent.start_agent().await?;
        let refused = |state: &State| {
            environment(state, "shop").filter(|app| app.message.contains("each render makes other values of Secret/made")).map(drop)
        };
        town.agent.wait("the refusal", refused).await?;
        town.deploy.commit(&[("envs/prod.yaml", "password: given\n")], "A password")?;
        let synced = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced;
        town.agent.wait_for("the password that is given", "shop", synced).await?;
        ensure!(field(town, "secret/made", ".data.password")? == "Z2l2ZW4=");
        Ok(())
    })
    .await
}

/// A Job of the shop's own image that is a hook.
fn hook(town: &Town, name: &str, events: &str, policy: &str, command: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations:\n    helm.sh/hook: {events}\n    \
         helm.sh/hook-delete-policy: {policy}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      \
         containers:\n      - {{name: {name}, image: \"{}/busybox:1\", command: [sh, -c, {command:?}], terminationMessagePolicy: FallbackToLogsOnError}}\n",
        town.parts.get("REGISTRY")
    )
}

#[tokio::test]
async fn hooks_run_around_a_release_and_one_that_fails_stops_it() -> anyhow::Result<()> {
    story(async |town| {
        configure(town, "")?;
        let both = "pre-install,pre-upgrade";
        let goes = hook(town, "goes", "post-install,post-upgrade", "hook-succeeded", "echo warmed");
        let chart = |town: &Town, value: &str, command: &str| {
            let migrate = hook(town, "migrate", both, "before-hook-creation", command);
            simple(&[("kept", kept(value)), ("migrate", migrate), ("goes", goes.clone())])
        };
        town.deploy.git(&["rm", "-rq", "shop"])?;
        let first =
            town.deploy.commit(&borrowed(&chart(town, "one", "sleep 3; echo migrated")), "A chart with hooks")?;
        town.agent.start_agent().await?;
        let waits = |app: &EnvironmentStatus| {
            let now = app.progress.as_ref().map(|progress| progress.describe()).unwrap_or_default();
            now.contains("waiting for hook Job/migrate (pre-install, weight 0): ")
        };
        town.agent.wait_for("the hook to be waited for", "shop", waits).await?;
        ensure!(field(town, "configmap/kept", ".data.value")?.is_empty(), "the objects wait for the hook");
        town.synced("the first release", &first).await?;
        ensure!(field(town, "job/migrate", ".status.succeeded")? == "1");
        ensure!(field(town, "job/goes", ".metadata.name")?.is_empty(), "its delete policy says so");
        let ran = field(town, "job/migrate", ".metadata.uid")?;

        let bad = chart(town, "two", "echo no such table; exit 3");
        town.deploy.commit(&borrowed(&bad), "A migration that fails")?;
        let told =
            |app: &EnvironmentStatus| app.message.contains("pre-upgrade hook failed: ").then(|| app.message.clone());
        let message = town.agent.wait("the failure", |state| environment(state, "shop").and_then(told)).await?;
        ensure!(message.contains("BackoffLimitExceeded") && message.contains("exit 3, \"no such table\""), "{message}");
        ensure!(field(town, "configmap/kept", ".data.value")? == "one", "nothing later is written");

        let third = town.deploy.commit(&borrowed(&chart(town, "three", "echo migrated")), "A migration that works")?;
        town.synced("the release after it", &third).await?;
        ensure!(field(town, "configmap/kept", ".data.value")? == "three");
        ensure!(field(town, "job/migrate", ".metadata.uid")? != ran, "of each release it is another Job");

        // Drift brings back what was changed, and runs nothing.
        let ran = field(town, "job/migrate", ".metadata.uid")?;
        town.kubectl(&["patch", "configmap", "kept", "-p", "{\"data\":{\"value\":\"manual\"}}"])?;
        town.until("the drift to be reverted", &["get", "configmap", "kept", "-o", "jsonpath={.data.value}"], "three")
            .await?;
        ensure!(field(town, "job/migrate", ".metadata.uid")? == ran, "drift runs no hook");
        Ok(())
    })
    .await
}

/// Packages a version of the town's chart with helm, and pushes it to the registry of the forge: the town's package, which goes
/// with it.
fn push_chart(town: &Town, version: &str) -> anyhow::Result<()> {
    let folder = town.agent.path("chart").join(version).join(&town.name);
    std::fs::create_dir_all(folder.join("templates"))?;
    let says = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: says\ndata:\n  version: \"{version}\"\n  \
         greeting: {{{{ .Values.greeting }}}}\n  chart: \"{{{{ .Chart.Name }}}} {{{{ .Chart.Version }}}}\"\n"
    );
    std::fs::write(folder.join("Chart.yaml"), format!("apiVersion: v2\nname: {}\nversion: {version}\n", town.name))?;
    std::fs::write(folder.join("values.yaml"), "greeting: of the chart\n")?;
    std::fs::write(folder.join("templates/says.yaml"), says)?;
    let folder = town.agent.path("chart").join(version);
    let archive = format!("{}-{version}.tgz", town.name);
    helm(town, &folder, &["package", &town.name])?;
    helm(town, &folder, &["push", "--plain-http", &archive, &charts(town)])
}

/// Runs helm in a folder, with the logins of the town.
fn helm(town: &Town, folder: &Path, words: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(Path::new(town.parts.get("WORLD_BIN")).join("helm"));
    command.args(words).current_dir(folder).env("HOME", town.agent.path("chart"));
    command.env("HELM_REGISTRY_CONFIG", Path::new(town.parts.get("DOCKER_CONFIG")).join("config.json"));
    let output = command.output()?;
    ensure!(output.status.success(), "helm {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Where the town's chart is.
fn charts(town: &Town) -> String {
    format!("oci://{}/{}", town.parts.get("FORGE_REGISTRY"), town.parts.get("FORGE_USER"))
}

#[tokio::test]
async fn a_chart_that_helm_pushed_is_deployed_with_values_of_git() -> anyhow::Result<()> {
    story(async |town| {
        push_chart(town, "0.1.0")?;
        town.deploy.commit(&[("envs/prod.yaml", "greeting: of git\n")], "Values")?;
        let path = town.parts.path_with_programs()?;
        town.agent.set("PATH", path);
        let helm = format!(
            "[application.environment.helm]\nvalues_files = [\"envs/prod.yaml\"]\n[application.environment.helm.chart]\n\
             repository = \"{}\"\nname = \"{}\"\nversion = \"0.x\"\n",
            charts(town),
            town.name
        );
        town.agent.configure(&format!("{}{helm}", town.config().replace("path = \"shop\"\n", "")))?;
        town.agent.start_agent().await?;
        let name = town.name.clone();
        let runs = |version: &str| {
            let wanted = format!("{name} {version}");
            move |app: &EnvironmentStatus| {
                let chart = app.revision.as_ref().and_then(|revision| revision.chart.as_ref());
                app.sync == SyncStatus::Synced && chart.is_some_and(|chart| chart.short() == wanted)
            }
        };
        town.agent.wait_for("the first version", "shop", runs("0.1.0")).await?;
        let says = |key: &str| field(town, "configmap/says", &format!(".data.{key}"));
        ensure!((says("version")?, says("greeting")?) == ("0.1.0".to_owned(), "of git".to_owned()));
        ensure!(says("chart")? == format!("{} 0.1.0", town.name), "helm was told {}", says("chart")?);

        // A newer release is taken up, and a pre-release is not.
        push_chart(town, "0.2.0")?;
        push_chart(town, "0.3.0-rc.1")?;
        let client = town.agent.client();
        let _: Accepted = client.post("/v1/applications/shop/refresh", &serde_json::json!({})).await?;
        town.agent.wait_for("the newer version", "shop", runs("0.2.0")).await?;
        ensure!((says("version")?, says("greeting")?) == ("0.2.0".to_owned(), "of git".to_owned()));
        Ok(())
    })
    .await
}

/// Lets helm write the lock file of a chart that depends on the one that was pushed; what of it is in git.
fn locked(town: &Town) -> anyhow::Result<Vec<(String, String)>> {
    let folder = town.agent.path("chart").join("store");
    std::fs::create_dir_all(&folder)?;
    let about = format!(
        "apiVersion: v2\nname: store\nversion: 0.1.0\ndependencies:\n- name: {}\n  version: 0.x\n  repository: {}\n  alias: guest\n  \
         condition: guest.enabled\n",
        town.name,
        charts(town)
    );
    std::fs::write(folder.join("Chart.yaml"), &about)?;
    helm(town, &folder, &["dependency", "update", "--plain-http", "."])?;
    let lock = std::fs::read_to_string(folder.join("Chart.lock"))?;
    let own = kept("one");
    let files = [("Chart.yaml", about), ("Chart.lock", lock), ("templates/kept.yaml", own)];
    Ok(files.map(|(path, text)| (format!("shop/{path}"), text)).into())
}

#[tokio::test]
async fn what_a_chart_depends_on_is_fetched_by_the_lock_file_of_helm() -> anyhow::Result<()> {
    story(async |town| {
        push_chart(town, "0.1.0")?;
        let files = locked(town)?;
        push_chart(town, "0.2.0")?;
        configure(town, &format!("dependencies = [{:?}]\n", charts(town)))?;
        town.deploy.git(&["rm", "-rq", "shop"])?;
        let values = [("envs/prod.yaml".to_owned(), "guest: {enabled: true, greeting: of git}\n".to_owned())];
        let all: Vec<(String, String)> = files.into_iter().chain(values).collect();
        let commit = town.deploy.commit(&borrowed(&all), "A chart that depends on another")?;
        town.agent.start_agent().await?;
        town.synced("the chart and what it depends on", &commit).await?;
        let says = |key: &str| field(town, "configmap/says", &format!(".data.{key}"));
        ensure!((says("version")?, says("greeting")?) == ("0.1.0".to_owned(), "of git".to_owned()), "what is locked");
        ensure!(says("chart")? == "guest 0.1.0", "its alias: {}", says("chart")?);
        ensure!(field(town, "configmap/kept", ".data.value")? == "one");

        let off = town.deploy.commit(&[("envs/prod.yaml", "guest: {enabled: false}\n")], "Without it")?;
        town.synced("the chart alone", &off).await?;
        ensure!(says("version")?.is_empty(), "its condition turns it off");
        Ok(())
    })
    .await
}
