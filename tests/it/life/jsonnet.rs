//! Manifests that jsonnet makes, on a stand-in for the program.

use quarterdeck_shared::protocol::{Check, CheckResult};

use super::*;

const OPTIONS: &str =
    "render = \"jsonnet\"\n[application.environment.jsonnet]\nlibs = [\"vendor\"]\ntla = { name = \"a\", count = 3 }\n";

fn of(name: &str, value: &str) -> String {
    format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {{\"name\": {name}}}, \"data\": {{\"value\": \"{value}\"}}}}"
    )
}

/// A world whose shop is jsonnet; the agent does not run.
async fn jsonnet(files: &[(&str, &str)]) -> World {
    let mut world = world().await;
    let path = harness::jsonnet::install(&world.path("")).unwrap();
    world.set("PATH", path);
    let address = world.forge.path("ops/deploy").display().to_string();
    let head = world.config_head("a test").replace("confine_renderers = false\n", "");
    world.configure(&(head + &application("shop", &address, OPTIONS))).unwrap();
    manifests(&world, files, "A shop");
    world
}

async fn doctor(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name == "renderer jsonnet").expect("a line of jsonnet")
}

#[tokio::test]
async fn objects_are_deployed_with_their_arguments_and_what_is_imported_is_watched() {
    let main = format!("// import 'v.libsonnet'\n[{}, {}]\n", of("@name@", "@count@"), of("\"b\"", "two"));
    let mut world = jsonnet(&[("main.jsonnet", &main), ("lib.libsonnet", "not rendered")]).await;
    world.start_agent().await.unwrap();
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!((value(&world, "a").as_deref(), value(&world, "b").as_deref()), (Some("3"), Some("two")));
    let check = doctor(&world).await;
    assert_eq!((check.result, check.message.as_str()), (CheckResult::Good, "jsonnet, v0.21.0"));

    // A library that is added where an import looks first, and one that nobody imports.
    let commit =
        deploy(&world).commit("main", &[("vendor/v.libsonnet", "{}"), ("vendor/w.libsonnet", "{}")], "Libraries");
    synced_to(&world, &commit).await;

    let commit = manifests(&world, &[("main.jsonnet", "// \nerror no region\n")], "Bad");
    let is_told = |app: &EnvironmentStatus| {
        app.target.as_ref().is_some_and(|target| target.commit.as_str() == commit) && app.message.contains("RUNTIME")
    };
    let status = world.wait_for("the error", "shop", is_told).await.unwrap();
    assert_eq!(
        status.message.split_once(": ").unwrap().1,
        "cannot render the jsonnet of apps/shop: jsonnet failed: exit status: 1: RUNTIME ERROR: no region\n\tapps/shop/main.jsonnet:2:1-9"
    );
    assert_eq!(value(&world, "b").as_deref(), Some("two"), "what runs stays");
}

#[tokio::test]
async fn an_import_of_this_machine_is_refused_and_a_missing_program_is_told() {
    let main = format!("local k = importstr '/etc/passwd';\n{}\n", of("@name@", "one"));
    let mut world = jsonnet(&[("main.jsonnet", &main)]).await;
    world.start_agent().await.unwrap();
    let words = "cannot render the jsonnet of apps/shop: apps/shop/main.jsonnet, line 1: it imports \"/etc/passwd\", which is not in the repository";
    let status = world.wait_for("the refusal", "shop", |app| app.message.ends_with(words)).await.unwrap();
    assert_eq!(status.hint, "copy it into the repository, and name its folder by `jsonnet.libs`");

    world.kill_agent();
    std::fs::remove_file(world.path("programs/jsonnet")).unwrap();
    manifests(
        &world,
        &[("main.jsonnet", &main.replace("local", "// local").replace("importstr '/etc/passwd'", "none"))],
        "Good",
    );
    world.start_agent().await.unwrap();
    let is_missing = |app: &EnvironmentStatus| app.message.contains("jsonnet is not on the PATH");
    let status = world.wait_for("the missing program", "shop", is_missing).await.unwrap();
    assert_eq!(status.hint, "install go-jsonnet or jsonnet where the agent runs, and start the agent again");
    assert_eq!(doctor(&world).await.result, CheckResult::Bad);
}
