//! Applications that are defined in git: they come, change and go with commits, and what is wrong changes nothing.

use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::snapshot::{ApplicationSourceStatus, ApplicationStatus};

use super::*;

pub(super) const FILES: &str = "path = \"applications\"";

pub(super) fn fleet(world: &World) -> Repo {
    world.forge.repo("ops/fleet")
}

/// A source of this name that may use the deploy repository.
pub(super) fn source(world: &World, name: &str, layout: &str) -> String {
    let (own, deploy) = (world.forge.path(&format!("ops/{name}")), world.forge.path("ops/deploy"));
    format!(
        "\n[[application_source]]\nname = \"{name}\"\nrepository = \"{}\"\n{layout}\nclusters = [\"demo\"]\nnamespaces = [\"*\"]\n\
         repositories = [\"{}\"]\n",
        own.display(),
        deploy.display()
    )
}

pub(super) fn configure(world: &World, tables: &str) {
    world.configure(&(world.config_head("a test") + tables)).unwrap();
}

/// The table of an application of the deploy repository, as files of a source have it.
pub(super) fn defined(world: &World, name: &str, more: &str) -> String {
    application(name, &world.forge.path("ops/deploy").display().to_string(), more)
}

/// A world whose fleet defines the shop; the agent runs, and synced it.
pub(super) async fn sailing() -> World {
    let mut world = world().await;
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests of the shop");
    deploy(&world).commit("main", &[("apps/cart/b.yaml", &config_map("b", "one"))], "Manifests of the cart");
    fleet(&world).commit("main", &[("applications/shop.toml", &defined(&world, "shop", ""))], "A shop");
    configure(&world, &source(&world, "fleet", FILES));
    world.start_agent().await.unwrap();
    let is_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.revision.is_some();
    world.wait_for(&format!("the shop to be synced to {commit} or later"), "shop", is_it).await.unwrap();
    world
}

pub(super) fn status<'a>(state: &'a State, name: &str) -> Option<&'a ApplicationSourceStatus> {
    state.objects.values().find_map(|object| match object {
        Object::ApplicationSource(source) if source.name.as_str() == name => Some(source),
        _ => None,
    })
}

pub(super) fn named<'a>(state: &'a State, name: &str) -> Option<&'a ApplicationStatus> {
    state.objects.values().find_map(|object| match object {
        Object::Application(application) if application.name.as_str() == name => Some(&**application),
        _ => None,
    })
}

/// Waits until a source is at a commit, and is right.
pub(super) async fn in_force(world: &World, name: &str, commit: &str) -> ApplicationSourceStatus {
    let is_it = |state: &State| {
        let one = status(state, name)?;
        let at = one.commit.as_ref().is_some_and(|at| at.as_str() == commit);
        (at && one.error.is_none()).then(|| one.clone())
    };
    world.wait(&format!("source {name} to be at {commit}"), is_it).await.unwrap()
}

/// Waits until a source is refused for this.
pub(super) async fn refused(world: &World, name: &str, words: &str) -> String {
    let is_it = |state: &State| status(state, name)?.error.clone().filter(|error| error.contains(words));
    world.wait(&format!("source {name} to be refused: {words}"), is_it).await.unwrap()
}

pub(super) async fn gone(world: &World, name: &str) {
    world.wait(&format!("{name} to be gone"), |state| named(state, name).is_none().then_some(())).await.unwrap();
}

/// What the newest commit of a source that changed something changed. It is told behind the status.
pub(super) async fn changes(world: &World, commit: &str) -> Vec<String> {
    loop {
        let events: Vec<EventRecord> = world.client().get("/v1/events").await.unwrap();
        let found = events.into_iter().find_map(|record| match record.event {
            Event::ApplicationSourceRead { commit: of, changes, .. } if of.as_str() == commit => Some(changes),
            _ => None,
        });
        if let Some(changes) = found {
            return changes;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn applications_come_change_and_go_with_commits() {
    let world = sailing().await;
    let state = world.state().await.unwrap();
    let place = named(&state, "shop").unwrap().defined.clone().unwrap();
    assert_eq!((place.source.unwrap().as_str(), &*place.file), ("fleet", "applications/shop.toml"));
    assert_eq!(value(&world, "a").as_deref(), Some("one"));

    let cart = defined(&world, "cart", "");
    let commit = fleet(&world).commit("main", &[("applications/team/cart.toml", &cart)], "A cart");
    assert_eq!(in_force(&world, "fleet", &commit).await.applications, 2);
    world.wait_for("the cart", "cart", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert_eq!(changes(&world, &commit).await, ["environment cart/prod is added", "application cart is added"]);

    let shop = defined(&world, "shop", "protected = true\n");
    let commit = fleet(&world).commit("main", &[("applications/shop.toml", &shop)], "A protected shop");
    world.wait_for("the shop to be protected", "shop", |app| app.spec.protected).await.unwrap();
    assert_eq!(changes(&world, &commit).await, ["environment shop/prod is changed", "application shop is changed"]);

    // A commit that changes no application is in force without an event, and a file may move.
    let repo = fleet(&world);
    let change = repo.change("main").remove("applications/shop.toml");
    let commit = change.write("applications/web/shop.toml", &shop).commit("The shop moves");
    in_force(&world, "fleet", &commit).await;
    let moved =
        |state: &State| (named(state, "shop")?.defined.as_ref()?.file == "applications/web/shop.toml").then_some(());
    world.wait("the other place of the shop", moved).await.unwrap();

    let commit = fleet(&world).change("main").remove("applications/web/shop.toml").commit("No shop");
    gone(&world, "shop").await;
    in_force(&world, "fleet", &commit).await;
    let told = changes(&world, &commit).await;
    assert_eq!(told[0], "application shop is removed");
    assert!(
        told[1].starts_with("environment shop/prod is removed; its objects are left in the cluster, since its source")
    );
    assert_eq!(value(&world, "a").as_deref(), Some("one"), "what it applied stays");

    // So it is when the source itself leaves.
    configure(&world, "");
    world.reload_agent();
    gone(&world, "cart").await;
    world.wait("the source to be gone", |state| status(state, "fleet").is_none().then_some(())).await.unwrap();
    assert!(world.cluster.get("configmaps", "cart", "b").is_some());
}

#[tokio::test]
async fn a_refresh_of_an_application_polls_the_source_that_defines_it() {
    let world = sailing().await;
    // Nothing else asks it within a test.
    let seldom =
        format!("\n[[repository]]\nurl = \"{}\"\npoll_interval = \"1h\"\n", world.forge.path("ops/fleet").display());
    configure(&world, &(seldom + &source(&world, "fleet", FILES)));
    world.reload_agent();
    let far = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    let slow = |state: &State| repositories(state).iter().any(|one| one.next_poll > Some(far)).then_some(());
    world.wait("the fleet to be polled seldom", slow).await.unwrap();
    let shop = defined(&world, "shop", "protected = true\n");
    let commit = fleet(&world).commit("main", &[("applications/shop.toml", &shop)], "A protected shop");
    ask(&world, "refresh", serde_json::json!({})).await;
    in_force(&world, "fleet", &commit).await;
}

#[tokio::test]
async fn a_file_that_is_wrong_changes_nothing_and_is_told_with_its_line() {
    let world = sailing().await;
    let good = fleet(&world).rev("main");
    let (shop, cart) = (defined(&world, "shop", "protceted = true\n"), defined(&world, "cart", ""));
    let files = [("applications/shop.toml", &*shop), ("applications/cart.toml", &*cart)];
    let bad = fleet(&world).commit("main", &files, "Half a change");
    let error = refused(&world, "fleet", "protceted").await;
    let place = format!("{}@{}:applications/shop.toml:12:1: ", world.forge.path("ops/fleet").display(), &bad[..7]);
    assert!(error.starts_with(&(place + "unknown field `protceted`")), "{error}");
    let state = world.state().await.unwrap();
    assert_eq!(status(&state, "fleet").unwrap().commit.as_ref().unwrap().as_str(), good);
    assert!(named(&state, "cart").is_none(), "nothing of the commit is in force");
    let is_told = |record: &EventRecord| matches!(&record.event, Event::ApplicationSourceRefused { message, .. } if *message == error);
    while !world.client().get::<Vec<EventRecord>>("/v1/events").await.unwrap().iter().any(is_told) {
        tokio::task::yield_now().await;
    }

    // What runs goes on.
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("two"));

    // A folder that is not there any more takes no application away either.
    fleet(&world)
        .change("main")
        .remove("applications/shop.toml")
        .remove("applications/cart.toml")
        .write("a", "b")
        .commit("Empty");
    refused(&world, "fleet", "there is no folder applications").await;
    assert!(named(&world.state().await.unwrap(), "shop").is_some());

    let fixed = fleet(&world).commit(
        "main",
        &[("applications/cart.toml", &cart), ("applications/shop.toml", &defined(&world, "shop", ""))],
        "Fixed",
    );
    in_force(&world, "fleet", &fixed).await;
    world.wait_for("the cart", "cart", |app| app.sync == SyncStatus::Synced).await.unwrap();
}

#[tokio::test]
async fn a_name_is_defined_once_and_the_configuration_wins() {
    let world = sailing().await;
    // The configuration takes the name: its environment counts at once.
    let fleet_table = source(&world, "fleet", FILES);
    configure(&world, &(fleet_table.clone() + &defined(&world, "shop", "protected = true\n")));
    world.reload_agent();
    world.wait_for("the shop of the configuration", "shop", |app| app.spec.protected).await.unwrap();
    let error = refused(&world, "fleet", "application shop is defined by the configuration too").await;
    assert!(error.contains(":applications/shop.toml: "), "{error}");
    let own = |state: &State| named(state, "shop")?.defined.is_none().then_some(());
    world.wait("the place of the shop", own).await.unwrap();

    // And gives it back.
    configure(&world, &fleet_table);
    world.reload_agent();
    world.wait_for("the shop of the fleet", "shop", |app| !app.spec.protected).await.unwrap();
    in_force(&world, "fleet", &fleet(&world).rev("main")).await;

    // Another source may not have it, until the first one gives it up.
    let web = world.forge.repo("ops/web");
    let files = [("applications/shop.toml", &*defined(&world, "shop", "protected = true\n"))];
    let commit = web.commit("main", &files, "Another shop");
    configure(&world, &(fleet_table + &source(&world, "web", FILES)));
    world.reload_agent();
    refused(&world, "web", "application shop is defined by source fleet too").await;
    assert_eq!(
        named(&world.state().await.unwrap(), "shop")
            .unwrap()
            .defined
            .as_ref()
            .unwrap()
            .source
            .as_ref()
            .unwrap()
            .as_str(),
        "fleet"
    );
    fleet(&world)
        .change("main")
        .remove("applications/shop.toml")
        .write("applications/cart.toml", defined(&world, "cart", ""))
        .commit("A cart instead");
    in_force(&world, "web", &commit).await;
    world.wait_for("the shop of the web", "shop", |app| app.spec.protected).await.unwrap();
    world.wait_for("the cart", "cart", |app| app.sync == SyncStatus::Synced).await.unwrap();
}

#[tokio::test]
async fn a_restart_without_the_forge_keeps_them() {
    let mut world = sailing().await;
    let good = fleet(&world).rev("main");
    in_force(&world, "fleet", &good).await;
    // The newest commit is wrong, and then the forge is away.
    fleet(&world).commit("main", &[("applications/shop.toml", "no TOML")], "Wrong");
    refused(&world, "fleet", "applications/shop.toml:1:").await;
    let (place, aside) = (world.forge.path("ops/fleet"), world.path("aside"));
    world.kill_agent();
    std::fs::rename(&place, &aside).unwrap();
    world.start_agent().await.unwrap();
    let state = world.state().await.unwrap();
    assert!(named(&state, "shop").is_some(), "it is in force before anything is answered");
    assert_eq!(status(&state, "fleet").unwrap().commit.as_ref().unwrap().as_str(), good);
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &commit).await;

    // Without its mirror it runs what the configuration says, and leaves what is in the cluster.
    world.kill_agent();
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    configure(&world, &(source(&world, "fleet", FILES) + &defined(&world, "cart", "")));
    world.start_agent().await.unwrap();
    world.wait_for("the cart of the configuration", "cart", |app| app.sync == SyncStatus::Synced).await.unwrap();
    assert!(named(&world.state().await.unwrap(), "shop").is_none());
    assert_eq!(value(&world, "a").as_deref(), Some("two"), "what it applied stays");

    std::fs::rename(&aside, &place).unwrap();
    let fixed = fleet(&world).commit("main", &[("applications/shop.toml", &defined(&world, "shop", ""))], "Fixed");
    in_force(&world, "fleet", &fixed).await;
    synced_to(&world, &deploy(&world).rev("main")).await;
}

#[tokio::test]
async fn directories_are_environments_by_a_template() {
    let mut world = world().await;
    let own = world.forge.path("ops/fleet").display().to_string();
    let template = format!(
        "[[application]]\nname = \"{{app}}\"\n[[application.environment]]\nname = \"{{env}}\"\nrepository = \"{own}\"\nbranch = \"main\"\n\
         path = \"apps/{{app}}/envs/{{env}}\"\ncluster = \"demo\"\nnamespace = \"{{app}}-{{env}}\"\ncreate_namespace = true\n"
    );
    let files = [
        ("templates/app.toml", &*template),
        ("apps/shop/envs/qa/a.yaml", &config_map("a", "qa")),
        ("apps/shop/README.md", "The shop"),
    ];
    fleet(&world).commit("main", &files, "A shop");
    // Its own repository is allowed without being named.
    let layout = "pattern = \"apps/{app}/envs/{env}\"\ntemplate = \"templates/app.toml\"";
    let table = source(&world, "fleet", layout);
    let table = table.split("repositories = ").next().unwrap();
    configure(&world, table);
    world.start_agent().await.unwrap();
    let synced = |name: &'static str| {
        move |state: &State| {
            let is_it = |object: &Object| matches!(object, Object::Environment(one) if one.environment.to_string() == name && one.sync == SyncStatus::Synced);
            state.objects.values().any(is_it).then_some(())
        }
    };
    world.wait("the environment", synced("shop/qa")).await.unwrap();

    let commit =
        fleet(&world).commit("main", &[("apps/shop/envs/prod/a.yaml", &config_map("a", "prod"))], "Production");
    world.wait("the new environment", synced("shop/prod")).await.unwrap();
    assert_eq!(changes(&world, &commit).await, ["environment shop/prod is added", "application shop is changed"]);
    let of = |namespace: &str| world.cluster.get("configmaps", namespace, "a").unwrap()["data"]["value"].clone();
    assert_eq!((of("shop-qa"), of("shop-prod")), ("qa".into(), "prod".into()));

    // A folder that cannot be a name, and then a mistake in the template, with the directory that shows it.
    fleet(&world).commit("main", &[("apps/My_Shop/envs/qa/a.yaml", "a")], "A folder");
    refused(&world, "fleet", ":apps/My_Shop/envs/qa: \"My_Shop\" cannot name an application").await;
    let repo = fleet(&world);
    let change = repo.change("main").remove("apps/My_Shop/envs/qa/a.yaml");
    change.write("templates/app.toml", template.replace("\"demo\"", "\"{env}\"")).commit("Another cluster");
    let error = refused(&world, "fleet", ":templates/app.toml:8:11: ").await;
    assert!(error.contains("(for apps/shop/envs/prod)"), "{error}");
    world.wait("both environments", synced("shop/prod")).await.unwrap();
}

#[tokio::test]
async fn what_would_read_the_agents_machine_is_refused_and_limits_hold_what_runs() {
    let world = sailing().await;
    let secret = world.path("registry-password").display().to_string();
    let code = world.forge.path("ops/shop").display().to_string();
    let built = format!(
        "[application.code]\nrepository = \"{code}\"\n[[application.image]]\nname = \"{}\"\nargs = {{ A = {{ file = \"{secret}\" }} }}\n",
        world.image("ops/shop")
    );
    let shop = defined(&world, "shop", "").replace("[[application.env", &(built + "[[application.env"));
    fleet(&world).commit("main", &[("applications/shop.toml", &shop)], "A build");
    let error = refused(&world, "fleet", "args is refused in an application of a source").await;
    for words in ["is not among the repositories of source fleet", "is not among the images of source fleet"] {
        assert!(error.contains(words), "{error}");
    }
    let pull = "[[application.environment.pull_secret]]\nregistry = \"registry.example\"\n";
    fleet(&world).commit("main", &[("applications/shop.toml", &defined(&world, "shop", pull))], "A login");
    refused(&world, "fleet", "pull_secret is refused in an application of a source").await;
    assert_eq!(world.engine.builds().len(), 0);
    let good = fleet(&world).commit("main", &[("applications/shop.toml", &defined(&world, "shop", ""))], "As it was");
    in_force(&world, "fleet", &good).await;

    // The configuration takes back what it allowed.
    let table = source(&world, "fleet", FILES);
    configure(&world, &table.replace("namespaces = [\"*\"]", "namespaces = [\"team-*\"]"));
    world.reload_agent();
    refused(&world, "fleet", "namespace \"shop\" is not among the namespaces of source fleet").await;
    gone(&world, "shop").await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"), "what it applied stays");
    configure(&world, &table);
    world.reload_agent();
    world.wait_for("the shop again", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
}
