//! The log: what each line is about, also where a library writes it.

use quarterdeck_shared::protocol::ManifestsAnswer;

use super::*;

/// Lines of the log that a library writes about the cluster's API.
fn of_kube(world: &World) -> Vec<String> {
    let log = std::fs::read_to_string(world.path("agent.log")).unwrap();
    log.lines().filter(|line| line.contains("kube_client::")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_line_of_a_library_says_which_environment_it_is_about() {
    let mut world = world().await;
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests of the shop");
    let address = world.forge.path("ops/deploy").display().to_string();
    let head = world.config_head("a test").replace("[agent]\n", "[agent]\nlog_level = \"warn,kube_client=debug\"\n");
    world.configure(&(head + &application("shop", &address, ""))).unwrap();
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    let about_it = |line: &&String| line.contains("application=shop") && line.contains("environment=prod");
    let of_the_sync = of_kube(&world);
    assert!(of_the_sync.iter().filter(about_it).any(|line| line.contains("sync=")), "{of_the_sync:#?}");

    // A question of a console is a task of its own.
    let before = of_kube(&world).len();
    let path = "/v1/environments/shop/object?kind=ConfigMap&namespace=shop&name=a";
    let _: ManifestsAnswer = world.client().get(path).await.unwrap();
    let asked = of_kube(&world).split_off(before);
    assert!(asked.iter().any(|line| about_it(&line)), "{asked:#?}");
}
