//! Sets of Argo CD as templates of a source, and what such templates have in the configuration: folders and files that come and go.

use std::process::Command;

use super::sources::{configure, fleet, in_force, refused, source};
use super::*;

/// A set for each folder below `apps`, as Argo CD has it.
fn set(world: &World) -> String {
    let own = world.forge.path("ops/fleet").display().to_string();
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {{ name: apps, namespace: argocd }}
spec:
  goTemplate: true
  generators: [{{ git: {{ repoURL: '{own}', revision: main, directories: [{{ path: apps/* }}, {{ path: apps/old, exclude: true }}] }} }}]
  template:
    metadata: {{ name: 'a-{{{{ .path.basename }}}}' }}
    spec:
      project: default
      destination: {{ server: 'https://kubernetes.default.svc', namespace: 'team-{{{{ .path.basename | lower }}}}' }}
      source: {{ repoURL: '{own}', targetRevision: main, path: '{{{{ .path.path }}}}' }}
      syncPolicy: {{ automated: {{ prune: true, selfHeal: true }}, syncOptions: [CreateNamespace=true] }}
"
    )
}

/// What an import of a folder printed.
async fn import(world: &World, folder: &str, more: &[&str]) -> (String, String) {
    let own = world.forge.path("ops/fleet").display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
    command.args(["agent", "import", "argocd"]).arg(world.path(folder)).args([
        "--repository",
        &own,
        "--cluster",
        "demo",
        "--automatic",
    ]);
    command.args(more);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn files_of(world: &World, folder: &str, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = world.path(folder).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

async fn synced(world: &World, name: &str) {
    let is_it = |object: &Object| matches!(object, Object::Environment(one) if one.environment.to_string() == name && one.sync == SyncStatus::Synced);
    let found = |state: &State| state.objects.values().any(is_it).then_some(());
    world.wait(&format!("{name} to be synced"), found).await.unwrap();
}

async fn gone(world: &World, namespace: &str) {
    let is_gone =
        |cluster: &harness::cluster::Cluster| cluster.get("configmaps", namespace, "a").is_none().then_some(());
    world.cluster.wait_for(&format!("the objects in {namespace} to be gone"), is_gone).await;
}

#[tokio::test]
async fn a_set_that_is_imported_makes_an_application_of_each_folder_that_comes_and_deletes_what_leaves() {
    let mut world = world().await;
    let map = config_map("a", "1");
    let files = [("apps/shop/a.yaml", &*map), ("apps/old/a.yaml", &map)];
    fleet(&world).commit("main", &files, "Apps");
    files_of(&world, "clone", &files);
    let set = set(&world);
    files_of(&world, "clone", &[("argocd/set.yaml", &set)]);

    let (out, table) = import(&world, "clone", &["--expand"]).await;
    assert!(out.contains("name = \"a-shop\"") && !out.contains("[[application_source]]"), "{out}{table}");
    let (out, table) = import(&world, "clone", &[]).await;
    assert!(table.contains("[[application_source]] apps: a template, which makes a-shop now"), "{out}{table}");
    assert!(table.contains("prune = true, as there"), "{table}");
    configure(&world, &out);
    world.start_agent().await.unwrap();
    synced(&world, "a-shop/default").await;
    assert!(world.cluster.get("configmaps", "team-shop", "a").is_some());

    fleet(&world).commit("main", &[("apps/Cart/a.yaml", &map)], "A cart");
    let error = refused(&world, "apps", "a-Cart").await;
    assert!(error.contains(": configuration:") && error.contains("(for apps/Cart)"), "{error}");
    fleet(&world)
        .change("main")
        .remove("apps/Cart/a.yaml")
        .write("apps/cart/a.yaml", &map)
        .commit("A cart that is one");
    synced(&world, "a-cart/default").await;
    assert!(world.cluster.get("configmaps", "team-cart", "a").is_some());

    let commit = fleet(&world).change("main").remove("apps/shop/a.yaml").commit("No shop");
    in_force(&world, "apps", &commit).await;
    gone(&world, "team-shop").await;
    assert!(world.cluster.get("configmaps", "team-cart", "a").is_some(), "what stays is not deleted");
}

#[tokio::test]
async fn each_file_makes_an_application_with_what_a_list_adds_and_a_file_that_is_wrong_changes_nothing() {
    let mut world = world().await;
    let map = config_map("a", "${VALUE}");
    let files = [
        ("envs/eu/config.json", "{ \"env\": { \"name\": \"eu\", \"size\": 1 } }"),
        ("envs/us/config.yaml", "env: { name: us, size: 2 }\n"),
        ("manifests/a.yaml", &*map),
    ];
    fleet(&world).commit("main", &files, "Environments");
    let own = world.forge.path("ops/fleet").display().to_string();
    let tables = format!(
        "prune = true\n[[application_source.generate]]\nfiles = [\"envs/*/config.*\"]\n\
         [[application_source.generate]]\nlist = [{{ \"env.name\" = \"us\", \"env.size\" = \"large\" }}]\nmerge = [\"env.name\"]\n\
         [[application_source.application]]\nname = \"web\"\n[[application_source.application.environment]]\nname = \"{{env.name}}\"\n\
         repository = \"{own}\"\nbranch = \"main\"\npath = \"manifests\"\ncluster = \"demo\"\nnamespace = \"web-{{path.basename}}\"\n\
         create_namespace = true\nvariables.values = {{ VALUE = \"{{env.size|upper}} of {{path.file}}\" }}\n"
    );
    configure(&world, &(source(&world, "fleet", "") + &tables));
    world.start_agent().await.unwrap();
    synced(&world, "web/eu").await;
    synced(&world, "web/us").await;
    let value =
        |namespace: &str| Some(world.cluster.get("configmaps", namespace, "a")?["data"]["value"].as_str()?.to_owned());
    assert_eq!(value("web-eu").as_deref(), Some("1 of config.json"));
    assert_eq!(value("web-us").as_deref(), Some("LARGE of config.yaml"));

    fleet(&world).commit("main", &[("envs/ap/config.yaml", "env: { name: ap\n")], "A mistake");
    let error = refused(&world, "fleet", "envs/ap/config.yaml:").await;
    assert!(error.contains(":envs/ap/config.yaml:"), "{error}");
    fleet(&world).commit("main", &[("envs/ap/config.yaml", "env: { nmae: ap }\n")], "Another mistake");
    let error = refused(&world, "fleet", "nothing gives {env.name}").await;
    assert!(error.contains("(for envs/ap/config.yaml)"), "{error}");
    fleet(&world).commit("main", &[("envs/ap/config.yaml", "env: { name: ap, size: s }\n")], "Right");
    synced(&world, "web/ap").await;

    let commit = fleet(&world).change("main").remove("envs/eu/config.json").commit("No eu");
    in_force(&world, "fleet", &commit).await;
    gone(&world, "web-eu").await;
}
