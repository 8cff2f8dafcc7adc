//! Templates of a source that are made for more than directories: lists, clusters, branches and merge requests.

use harness::forge_api::{ForgeApi, Open, TOKEN};

use super::sources::{configure, fleet, in_force, named, refused, source};
use super::*;

/// Where previews are of.
const PROJECT: &str = "ops/shop";

/// A template of an application of the fleet's own repository.
fn template(world: &World, application: &str, environment: &str) -> String {
    let own = world.forge.path("ops/fleet").display().to_string();
    format!(
        "[[application]]\nname = \"{application}\"\n[[application.environment]]\nname = \"{environment}\"\nrepository = \"{own}\"\nbranch = \"main\"\n\
         path = \"manifests\"\ncluster = \"demo\"\nnamespace = \"{application}-{environment}\"\ncreate_namespace = true\n\
         variables.values = {{ VALUE = \"{application}-{environment}\" }}\n"
    )
}

/// A world whose fleet has this template, in a file of this name; the agent does not run.
async fn templated(file: &str, template: impl Fn(&World) -> String) -> World {
    let world = world().await;
    let text = template(&world);
    let files = [(file, &*text), ("manifests/a.yaml", &*config_map("a", "${VALUE}"))];
    fleet(&world).commit("main", &files, "A template");
    world
}

fn table(world: &World, file: &str, generators: &str) -> String {
    source(world, "fleet", &format!("template = \"{file}\"")) + generators
}

/// Waits until an environment is synced.
async fn synced(world: &World, name: &str) {
    let is_it = |object: &Object| matches!(object, Object::Environment(one) if one.environment.to_string() == name && one.sync == SyncStatus::Synced);
    let found = |state: &State| state.objects.values().any(is_it).then_some(());
    world.wait(&format!("{name} to be synced"), found).await.unwrap();
}

async fn left(world: &World, name: &str) {
    let is_it = |object: &Object| matches!(object, Object::Environment(one) if one.environment.to_string() == name);
    let is_gone = |state: &State| (!state.objects.values().any(is_it)).then_some(());
    world.wait(&format!("{name} to be gone"), is_gone).await.unwrap();
}

fn value_in(world: &World, namespace: &str) -> Option<String> {
    Some(world.cluster.get("configmaps", namespace, "a")?["data"]["value"].as_str()?.to_owned())
}

#[tokio::test]
async fn a_list_makes_each_of_a_template_in_yaml() {
    let yaml = |world: &World| {
        let own = world.forge.path("ops/fleet").display().to_string();
        format!(
            "application:\n- name: '{{app}}'\n  environment:\n  - name: qa\n    repository: {own}\n    branch: main\n    path: manifests\n    \
             cluster: demo\n    namespace: '{{app}}'\n    create_namespace: true\n    variables: {{ values: {{ VALUE: '{{text}}' }} }}\n"
        )
    };
    let mut world = templated("app.yaml", yaml).await;
    let list = "[[application_source.generate]]\nlist = [{ app = \"shop\", text = \"one\" }, { app = \"cart\", text = \"two\" }]\n";
    configure(&world, &table(&world, "app.yaml", list));
    world.start_agent().await.unwrap();
    synced(&world, "shop/qa").await;
    synced(&world, "cart/qa").await;
    assert_eq!((value_in(&world, "shop").as_deref(), value_in(&world, "cart").as_deref()), (Some("one"), Some("two")));

    let broken = yaml(&world).replace("'{text}'", "'{txt}'");
    fleet(&world).commit("main", &[("app.yaml", &broken)], "A mistake");
    let error = refused(&world, "fleet", "nothing gives {txt}").await;
    assert!(
        error.contains(":app.yaml:11:35: nothing gives {txt}: there are {app}, {text} (for number 1 of the list)"),
        "{error}"
    );
    assert!(named(&world.state().await.unwrap(), "cart").is_some(), "what is wrong changes nothing");
}

#[tokio::test]
async fn clusters_are_selected_by_their_labels_and_those_that_are_not_allowed_are_none() {
    let per_cluster = |world: &World| template(world, "web", "{cluster.stage}").replace("\"demo\"", "\"{cluster}\"");
    let mut world = templated("app.toml", per_cluster).await;
    let head = world.config_head("a test");
    let labelled = |stage: &str| {
        head.replacen("name = \"demo\"", &format!("name = \"demo\"\nlabels = {{ stage = \"{stage}\" }}"), 1)
    };
    let other = "\n[[cluster]]\nname = \"other\"\nlabels = { stage = \"qa\" }\n";
    let all = table(&world, "app.toml", "[[application_source.generate]]\nclusters = {}\n");
    world.configure(&(labelled("qa") + other + &all)).unwrap();
    world.start_agent().await.unwrap();
    synced(&world, "web/qa").await;

    // Another label is another environment; the cluster itself goes on.
    world.configure(&(labelled("prod") + other + &all)).unwrap();
    world.reload_agent();
    synced(&world, "web/prod").await;
    left(&world, "web/qa").await;
    assert_eq!(value_in(&world, "web-qa").as_deref(), Some("web-qa"), "what the configuration changes prunes nothing");

    let none = table(&world, "app.toml", "[[application_source.generate]]\nclusters = { stage = \"test\" }\n");
    world.configure(&(labelled("prod") + other + &none)).unwrap();
    world.reload_agent();
    left(&world, "web/prod").await;
}

#[tokio::test]
async fn each_branch_that_matches_is_a_preview_in_each_of_a_list_until_it_is_deleted() {
    let of_branch = |world: &World| template(world, "{app}", "{branch.slug}");
    let mut world = templated("app.toml", of_branch).await;
    let code = world.forge.repo(PROJECT);
    code.commit("main", &[("a", "a")], "Code");
    code.branch("feature/login", "main");
    code.branch("fix", "main");
    let generators = format!(
        "prune = true\n[[application_source.generate]]\nlist = [{{ app = \"shop\" }}]\n[[application_source.generate]]\nbranches = \"feature/*\"\nrepository = \"{}\"\n",
        code.path().display()
    );
    configure(&world, &table(&world, "app.toml", &generators));
    world.start_agent().await.unwrap();
    let of = |state: &State| named(state, "shop").map(|shop| shop.environments.clone()).filter(|all| all.len() == 1);
    let environments = world.wait("a preview", of).await.unwrap();
    let login = environments[0].to_string();
    assert!(login.starts_with("feature-login-"), "{login}");
    synced(&world, &format!("shop/{login}")).await;

    code.branch("feature/new", "main");
    let two = |state: &State| named(state, "shop").filter(|shop| shop.environments.len() == 2).map(|_| ());
    world.wait("the other preview", two).await.unwrap();

    // A restart without the forge keeps them.
    world.kill_agent();
    let (place, aside) = (world.forge.path(PROJECT), world.path("aside"));
    std::fs::rename(&place, &aside).unwrap();
    world.start_agent().await.unwrap();
    assert_eq!(named(&world.state().await.unwrap(), "shop").unwrap().environments.len(), 2);
    std::fs::rename(&aside, &place).unwrap();

    code.delete_branch("feature/login");
    left(&world, &format!("shop/{login}")).await;
    let namespace = format!("shop-{login}");
    world
        .cluster
        .wait_for("the objects of the preview to be gone", |cluster| {
            cluster.get("configmaps", &namespace, "a").is_none().then_some(())
        })
        .await;
}

/// A world with previews of merge requests of a forge; the agent runs.
async fn previews(kind: &str, path: &str, more: &str) -> (World, ForgeApi) {
    let of_merge_request = |world: &World| template(world, "shop", "pr-{merge_request}");
    let mut world = templated("app.toml", of_merge_request).await;
    let code = world.forge.repo(PROJECT);
    code.commit("main", &[("a", "a")], "Code");
    let api = ForgeApi::start().await.unwrap();
    std::fs::write(world.path("forge-token"), TOKEN).unwrap();
    open(&world, &api, 7, "main", false);
    open(&world, &api, 8, "main", true);
    open(&world, &api, 9, "stable", false);
    let address = world.forge.http(PROJECT);
    let web = address.strip_suffix("/ops/shop.git").unwrap_or_else(|| panic!("{address}"));
    let forge = format!(
        "\n[[forge]]\nkind = \"{kind}\"\nurl = \"{web}\"\napi = \"{}{path}\"\ntoken_file = \"forge-token\"\n",
        api.url()
    );
    let generator = format!(
        "prune = true\n[[application_source.generate]]\nmerge_requests = \"main\"\nrepository = \"{address}\"\n{more}"
    );
    let table = table(&world, "app.toml", &generator);
    configure(&world, &(forge + &table));
    world.start_agent().await.unwrap();
    synced(&world, "shop/pr-7").await;
    (world, api)
}

fn open(world: &World, api: &ForgeApi, number: u64, target: &str, is_of_fork: bool) {
    let (project, head) = (PROJECT.to_owned(), world.forge.repo(PROJECT).rev("main"));
    api.open_merge_request(Open { project, number, head, target: target.to_owned(), is_of_fork });
}

fn environments(state: &State) -> Vec<String> {
    named(state, "shop").map(|shop| shop.environments.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[tokio::test]
async fn each_open_merge_request_is_a_preview_until_it_is_closed() {
    for (kind, path) in [("gitlab", "/api/v4"), ("github", "/api/v3"), ("gitea", "/api/v1")] {
        let (world, api) = previews(kind, path, "").await;
        let state = world.state().await.unwrap();
        assert_eq!(environments(&state), ["pr-7"], "{kind}: none of a fork, none into another branch");
        assert_eq!(value_in(&world, "shop-pr-7").as_deref(), Some("shop-pr-7"));

        open(&world, &api, 12, "main", false);
        synced(&world, "shop/pr-12").await;
        // The last one goes as well as the others.
        for number in [7, 12] {
            api.close_merge_request(PROJECT, number);
            left(&world, &format!("shop/pr-{number}")).await;
            let namespace = format!("shop-pr-{number}");
            world
                .cluster
                .wait_for("the objects of the preview to be gone", |cluster| {
                    cluster.get("configmaps", &namespace, "a").is_none().then_some(())
                })
                .await;
        }
    }
}

#[tokio::test]
async fn previews_of_forks_are_made_where_that_is_said_and_a_forge_that_is_away_keeps_all() {
    let (world, api) = previews("github", "/api/v3", "forks = true\n").await;
    synced(&world, "shop/pr-8").await;
    api.may_list(false);
    let error = refused(&world, "fleet", "open merge requests of").await;
    assert!(error.contains("are unknown: forge ") && error.contains("read:repository"), "{error}");
    api.close_merge_request(PROJECT, 8);
    let head = fleet(&world).commit("main", &[("manifests/b.yaml", &config_map("b", "1"))], "Another object");
    let is_there = |cluster: &harness::cluster::Cluster| cluster.get("configmaps", "shop-pr-8", "b").map(|_| ());
    world.cluster.wait_for("the other object", is_there).await;
    assert_eq!(environments(&world.state().await.unwrap()), ["pr-7", "pr-8"]);
    api.may_list(true);
    left(&world, "shop/pr-8").await;
    in_force(&world, "fleet", &head).await;
}
