//! A configuration that is in git: it comes and changes with commits, and what is wrong or not allowed changes nothing.

use harness::git::Signer;
use harness::world::environment as status;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::{ApplicationStatus, ConfigurationStatus};

use super::*;

const FILE: &str = "quarterdeck.toml";

fn fleet(world: &World) -> Repo {
    world.forge.repo("ops/fleet")
}

fn place(world: &World) -> String {
    world.forge.path("ops/fleet").display().to_string()
}

/// What stands on the machine: places, the way to the repository, and these options of it.
fn local(world: &World, options: &str) -> String {
    let table = format!("\n[configuration]\nrepository = \"{}\"\nsecrets = [\"secrets\"]\n{options}", place(world));
    world.config_head("a test") + &table
}

/// The table of an application of the deploy repository.
fn defined(world: &World, name: &str, more: &str) -> String {
    application(name, &world.forge.path("ops/deploy").display().to_string(), more)
}

/// A world whose fleet is the configuration, and has the shop; the agent runs, and synced it.
async fn sailing(options: &str) -> World {
    let mut world = world().await;
    manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests of the shop");
    deploy(&world).commit("main", &[("apps/cart/b.yaml", &config_map("b", "one"))], "Manifests of the cart");
    fleet(&world).commit("main", &[(FILE, &defined(&world, "shop", ""))], "A shop");
    std::fs::create_dir(world.path("secrets")).unwrap();
    world.configure(&local(&world, options)).unwrap();
    world.start_agent().await.unwrap();
    synced(&world, "shop").await;
    world
}

async fn synced(world: &World, name: &str) {
    let is_it = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && app.revision.is_some();
    world.wait_for(&format!("{name} to be synced"), name, is_it).await.unwrap();
}

fn in_git(state: &State) -> Option<&ConfigurationStatus> {
    agent(state)?.configuration_in_git.as_deref()
}

/// Waits until a commit is in force, and all is well.
async fn in_force(world: &World, commit: &str) -> ConfigurationStatus {
    let is_it = |state: &State| {
        let one = in_git(state)?;
        let at = one.commit.as_ref().is_some_and(|at| at.as_str() == commit);
        (at && one.error.is_none() && !one.kept).then(|| one.clone())
    };
    world.wait(&format!("the configuration to be at {commit}"), is_it).await.unwrap()
}

/// Waits until the newest commit is refused for this.
async fn refused(world: &World, words: &str) -> String {
    let is_it = |state: &State| in_git(state)?.error.clone().filter(|error| error.contains(words));
    world.wait(&format!("the configuration to be refused: {words}"), is_it).await.unwrap()
}

async fn gone(world: &World, name: &str) {
    let is_gone = |state: &State| named(state, name).is_none().then_some(());
    world.wait(&format!("{name} to be gone"), is_gone).await.unwrap();
}

fn named<'a>(state: &'a State, name: &str) -> Option<&'a ApplicationStatus> {
    state.objects.values().find_map(|object| match object {
        Object::Application(application) if application.name.as_str() == name => Some(&**application),
        _ => None,
    })
}

/// What a commit changed. It is told behind the status.
async fn changes(world: &World, commit: &str) -> Vec<String> {
    let begins = format!("commit {} of ", &commit[..7]);
    told(world, |event| match event {
        Event::ConfigurationReloaded { changes } if changes[0].starts_with(&begins) => Some(changes.clone()),
        _ => None,
    })
    .await
}

async fn told<T>(world: &World, is_it: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        let events: Vec<EventRecord> = world.client().get("/v1/events?limit=200").await.unwrap();
        if let Some(found) = events.iter().find_map(|record| is_it(&record.event)) {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

async fn doctor(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let name = format!("configuration {}", place(world));
    checks.into_iter().find(|check| check.name == name).unwrap()
}

#[tokio::test]
async fn it_comes_changes_and_leaves_with_commits() {
    let world = sailing("").await;
    let first = fleet(&world).rev("main");
    let status = in_force(&world, &first).await;
    assert_eq!((status.repository, &*status.path, status.files), (place(&world), FILE, vec![FILE.to_owned()]));
    let state = world.state().await.unwrap();
    let place = named(&state, "shop").unwrap().defined.clone().unwrap();
    assert_eq!((place.source, &*place.file), (None, FILE));
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    let check = doctor(&world).await;
    assert_eq!((check.result, check.message), (CheckResult::Good, format!("commit {} is in use", &first[..7])));

    let both = defined(&world, "shop", "protected = true\n") + &defined(&world, "cart", "");
    let commit = fleet(&world).commit("main", &[(FILE, &both)], "A cart, and a protected shop");
    synced(&world, "cart").await;
    world.wait_for("the shop to be protected", "shop", |app| app.spec.protected).await.unwrap();
    let expected = ["environment cart/prod is added", "application cart is added"];
    let told = changes(&world, &commit).await;
    assert!(expected.iter().all(|line| told.iter().any(|told| told == line)), "{told:#?}");
    assert!(told.iter().any(|line| line == "application shop is changed"), "{told:#?}");

    // A commit that changes nothing of it is in force without an event.
    let idle = fleet(&world).commit("main", &[("README.md", "A fleet")], "Words");
    in_force(&world, &idle).await;

    let commit = fleet(&world).commit("main", &[(FILE, &defined(&world, "cart", ""))], "No shop");
    gone(&world, "shop").await;
    let told = changes(&world, &commit).await;
    assert!(
        told.iter().any(|line| line.starts_with("environment shop/prod is removed; its objects are left")),
        "{told:#?}"
    );
    assert_eq!(value(&world, "a").as_deref(), Some("one"), "what it applied stays");
    let idle = format!("commit {} of ", &idle[..7]);
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=200").await.unwrap();
    let is_idle = |record: &EventRecord| matches!(&record.event, Event::ConfigurationReloaded { changes } if changes[0].starts_with(&idle));
    assert!(!events.iter().any(is_idle));

    // So it is when the table leaves the local file.
    world.configure(&world.config_head("a test")).unwrap();
    world.reload_agent();
    gone(&world, "cart").await;
    world.wait("the part in git to be gone", |state| in_git(state).is_none().then_some(())).await.unwrap();
    assert!(world.cluster.get("configmaps", "cart", "b").is_some());
}

/// Each as a commit of its own: what is refused, where, and that the shop stays.
#[tokio::test]
async fn a_commit_that_is_wrong_or_says_too_much_changes_nothing() {
    let world = sailing("").await;
    let good = fleet(&world).rev("main");
    in_force(&world, &good).await;
    let cart = defined(&world, "cart", "");
    let shop = |more: &str| defined(&world, "shop", more) + &cart;
    let outside = world.path("registry-password").display().to_string();
    let beside = world.path("config.toml").display().to_string();
    std::os::unix::fs::symlink(&outside, world.path("secrets/linked")).unwrap();
    let registry = |file: &str| {
        let password = format!("username = \"robot\"\npassword_file = \"{file}\"\n");
        format!("[[registry]]\nhost = \"other.example\"\n{password}") + &shop("")
    };
    let rows = [
        (shop("protceted = true\n"), "12:1: unknown field `protceted`".to_owned()),
        (format!("no TOML{}", shop("")), "1:4: ".to_owned()),
        (registry(&outside), format!("4:17: {outside} is in no folder that git may name files of")),
        (
            registry("secrets/linked"),
            format!("4:17: {} is a link that leads out", world.path("secrets/linked").display()),
        ),
        (
            "[[repository]]\nurl = \"ssh://forge.example\"\nssh_program = \"/bin/sh\"\n".to_owned() + &shop(""),
            "3:15: /bin/sh starts a program of the agent's machine: programs = true in [configuration]".to_owned(),
        ),
        (
            "[[access]]\nrole = \"operator\"\nusers = [\"eve\"]\n".to_owned() + &shop(""),
            "1:11: [access] is refused in git: whoever may push could give himself a role".to_owned(),
        ),
        (
            "[[cluster]]\nname = \"demo\"\n".to_owned() + &shop(""),
            format!("2:8: cluster demo is also defined in {beside}:"),
        ),
        (
            "[agent]\nbanner = \"git\"\n".to_owned() + &shop(""),
            format!("2:10: banner of [agent] is also set in {beside}:"),
        ),
    ];
    for (number, (text, expected)) in rows.into_iter().enumerate() {
        let commit = fleet(&world).commit("main", &[(FILE, &text)], &format!("Number {number}"));
        let begins = format!("{}@{}:{FILE}:", place(&world), &commit[..7]);
        let error = refused(&world, &begins).await;
        let told_at = error.strip_prefix(&begins).unwrap();
        let is_there = told_at.starts_with(&expected);
        // The place of a list is its beginning, which TOML counts from its bracket.
        assert!(
            is_there || expected.starts_with("1:11") && told_at.contains(&expected[6..]),
            "wanted {expected}: {error}"
        );
        told(&world, |event| {
            matches!(event, Event::ConfigurationRefused { message } if *message == error).then_some(())
        })
        .await;
        let check = doctor(&world).await;
        assert!(check.result == CheckResult::Bad && check.message.contains(&error.replace('\n', "; ")), "{check:?}");
        let state = world.state().await.unwrap();
        assert_eq!(in_git(&state).unwrap().commit.as_ref().unwrap().as_str(), good);
        assert!(named(&state, "cart").is_none(), "nothing of the commit is in force");
        assert!(agent(&state).unwrap().configuration_error.is_none(), "the local file is right");
    }
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &commit).await;

    // Put right, and with a file of the folder.
    std::fs::remove_file(world.path("secrets/linked")).unwrap();
    let commit = fleet(&world).commit("main", &[(FILE, &registry("secrets/other"))], "Right");
    in_force(&world, &commit).await;
    synced(&world, "cart").await;

    // A local file that says what git says is refused as a whole.
    world.configure(&(local(&world, "") + &defined(&world, "cart", ""))).unwrap();
    world.reload_agent();
    let of_local = |state: &State| agent(state)?.configuration_error.clone();
    let error = world.wait("the local file to be refused", of_local).await.unwrap();
    assert!(error.contains("application cart is also defined in ") && error.contains(&beside), "{error}");
    world.configure(&local(&world, "")).unwrap();
    world.reload_agent();
    let right = |state: &State| agent(state)?.configuration_error.is_none().then_some(());
    world.wait("the local file to be right", right).await.unwrap();
}

#[tokio::test]
async fn only_a_commit_that_one_of_the_signers_signed_comes_into_force() {
    let mut world = world().await;
    manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests of the shop");
    let [alice, eve] = ["alice", "eve"].map(Signer::with_ssh);
    std::fs::write(world.path("allowed_signers"), alice.allowed("")).unwrap();
    let repo = fleet(&world);
    repo.commit("draft", &[(FILE, &defined(&world, "shop", ""))], "A shop");
    let unsigned = repo.commit("main", &[(FILE, &defined(&world, "shop", ""))], "A shop that nobody signed");
    world.configure(&local(&world, "require_signed = { ssh = \"allowed_signers\" }\n")).unwrap();
    world.start_agent().await.unwrap();
    let error = refused(&world, &unsigned[..7]).await;
    assert!(error.contains(": the commit is not signed (sign the newest commit of the branch with"), "{error}");
    assert!(named(&world.state().await.unwrap(), "shop").is_none());

    let signed = repo.signed_commit("main", "draft", &alice);
    assert_eq!(in_force(&world, &signed).await.signer, "alice@example.com");
    synced(&world, "shop").await;
    assert!(changes(&world, &signed).await[0].ends_with(", signed by alice@example.com"));

    repo.commit("draft", &[(FILE, "")], "No shop");
    let strange = repo.signed_commit("main", "draft", &eve);
    let error = refused(&world, &strange[..7]).await;
    assert!(error.contains("not among the signers of allowed_signers: "), "{error}");
    assert!(named(&world.state().await.unwrap(), "shop").is_some());

    // Who is not trusted any more is not trusted by a start without the repository either.
    world.kill_agent();
    std::fs::write(world.path("allowed_signers"), eve.allowed("")).unwrap();
    let (there, aside) = (world.forge.path("ops/fleet"), world.path("aside"));
    std::fs::rename(&there, &aside).unwrap();
    world.start_agent().await.unwrap();
    refused(&world, "cannot be read").await;
    assert!(named(&world.state().await.unwrap(), "shop").is_none());
    assert_eq!(value(&world, "a").as_deref(), Some("one"), "what it applied stays");
    std::fs::rename(&aside, &there).unwrap();
    assert_eq!(in_force(&world, &strange).await.signer, "eve@example.com");
}

#[tokio::test]
async fn a_start_without_the_repository_runs_what_was_in_force_and_the_first_one_waits() {
    let mut world = sailing("").await;
    let good = fleet(&world).rev("main");
    in_force(&world, &good).await;
    // The newest commit is wrong, and then the repository and its mirror are away.
    let bad = fleet(&world).commit("main", &[(FILE, "no TOML")], "Wrong");
    refused(&world, &bad[..7]).await;
    let (there, aside) = (world.forge.path("ops/fleet"), world.path("aside"));
    world.kill_agent();
    std::fs::rename(&there, &aside).unwrap();
    std::fs::remove_dir_all(world.path("data/mirrors")).unwrap();
    world.start_agent().await.unwrap();
    let state = world.state().await.unwrap();
    assert!(named(&state, "shop").is_some(), "it is in force before anything is answered");
    let error = refused(&world, "cannot be read").await;
    assert!(error.starts_with(&format!("repository {} cannot be read: ", place(&world))), "{error}");
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=200").await.unwrap();
    let is_told = |record: &EventRecord| matches!(&record.event, Event::ConfigurationRefused { message } if message.contains("cannot be read"));
    assert!(!events.iter().any(is_told), "nothing was refused; the connection is told as lost");
    let state = world.state().await.unwrap();
    let now = in_git(&state).unwrap();
    assert_eq!((now.commit.as_ref().unwrap().as_str(), now.kept), (&*good, true));
    let check = doctor(&world).await;
    let expected = format!("configuration in git is not in use, commit {} stays in use: repository", &good[..7]);
    assert!(check.result == CheckResult::Bad && check.message.starts_with(&expected), "{check:?}");
    let commit = manifests(&world, &[("a.yaml", &config_map("a", "two"))], "Another value");
    synced_to(&world, &commit).await;

    // Without what was kept it is a first start: the socket is there, and says why there is nothing.
    world.kill_agent();
    std::fs::remove_file(world.path("data/configuration.json")).unwrap();
    world.start_agent().await.unwrap();
    refused(&world, "cannot be read").await;
    let state = world.state().await.unwrap();
    assert!(named(&state, "shop").is_none() && in_git(&state).unwrap().commit.is_none());
    assert_eq!(value(&world, "a").as_deref(), Some("two"), "what it applied stays");
    let check = doctor(&world).await;
    assert!(
        check.message.starts_with("configuration in git is not in use, only the local file is in use"),
        "{check:?}"
    );

    std::fs::rename(&aside, &there).unwrap();
    let fixed = fleet(&world).commit("main", &[(FILE, &defined(&world, "shop", ""))], "Fixed");
    in_force(&world, &fixed).await;
    synced_to(&world, &deploy(&world).rev("main")).await;
}

#[tokio::test]
async fn a_rewritten_history_is_followed_and_told() {
    let world = sailing("").await;
    let first = fleet(&world).rev("main");
    in_force(&world, &first).await;
    let repo = fleet(&world);
    let other = repo.commit("other", &[(FILE, &defined(&world, "shop", "protected = true\n"))], "Another beginning");
    repo.git(&["update-ref", "refs/heads/main", &other]);
    in_force(&world, &other).await;
    let told = changes(&world, &other).await;
    assert_eq!(told[1], format!("its history was rewritten: {} is not part of it", &first[..7]));
    world.wait_for("the shop to be protected", "shop", |app| app.spec.protected).await.unwrap();
}

#[tokio::test]
async fn a_folder_of_files_may_have_sources_of_applications_too() {
    let mut world = world().await;
    manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests of the shop");
    deploy(&world).commit("main", &[("apps/cart/b.yaml", &config_map("b", "one"))], "Manifests of the cart");
    let deploy = world.forge.path("ops/deploy").display().to_string();
    let source = format!(
        "[[application_source]]\nname = \"teams\"\nrepository = \"{}\"\npath = \"fleet/teams\"\nclusters = [\"demo\"]\n\
         namespaces = [\"*\"]\nrepositories = [\"{deploy}\"]\n",
        place(&world)
    );
    let (shop, cart) = (defined(&world, "shop", ""), defined(&world, "cart", ""));
    let files = [("fleet/apps.toml", &*shop), ("fleet/sources.toml", &source), ("fleet/teams/cart.toml", &cart)];
    let commit = fleet(&world).commit("main", &files, "A fleet");
    world.configure(&local(&world, "path = \"fleet\"\nbranch = \"main\"\n")).unwrap();
    world.start_agent().await.unwrap();
    synced(&world, "shop").await;
    synced(&world, "cart").await;
    let status = in_force(&world, &commit).await;
    assert_eq!(status.files, ["fleet/apps.toml", "fleet/sources.toml"]);
    let state = world.state().await.unwrap();
    let of = |name: &str| named(&state, name).unwrap().defined.clone().unwrap();
    assert_eq!((of("shop").source, of("cart").source.unwrap().as_str()), (None, "teams"));
    // Both are polled by one question; a commit to each of them counts.
    let files = [("fleet/teams/cart.toml", &*defined(&world, "cart", "protected = true\n"))];
    let commit = fleet(&world).commit("main", &files, "A protected cart");
    world.wait_for("the cart to be protected", "cart", |app| app.spec.protected).await.unwrap();
    in_force(&world, &commit).await;
}

#[tokio::test]
async fn a_refresh_of_an_application_polls_the_configuration_that_defines_it() {
    let world = sailing("").await;
    in_force(&world, &fleet(&world).rev("main")).await;
    // Nothing else asks it within a test.
    let seldom = format!("\n[[repository]]\nurl = \"{}\"\npoll_interval = \"1h\"\n", place(&world));
    world.configure(&(local(&world, "") + &seldom)).unwrap();
    world.reload_agent();
    let far = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    let slow = |state: &State| repositories(state).iter().any(|one| one.next_poll > Some(far)).then_some(());
    world.wait("the fleet to be polled seldom", slow).await.unwrap();
    let commit = fleet(&world).commit("main", &[(FILE, &defined(&world, "shop", "protected = true\n"))], "Protected");
    ask(&world, "refresh", serde_json::json!({})).await;
    in_force(&world, &commit).await;
}

#[tokio::test]
async fn another_branch_or_folder_replaces_all_at_once_when_it_was_read() {
    let world = sailing("").await;
    in_force(&world, &fleet(&world).rev("main")).await;
    world.configure(&local(&world, "branch = \"next\"\n")).unwrap();
    world.reload_agent();
    let error = refused(&world, "has no branch next").await;
    assert!(error.starts_with(&place(&world)), "{error}");
    assert!(status(&world.state().await.unwrap(), "shop").is_some(), "what was in force stays until then");
    let next = fleet(&world).commit("next", &[(FILE, &defined(&world, "cart", ""))], "Another fleet");
    in_force(&world, &next).await;
    gone(&world, "shop").await;
    synced(&world, "cart").await;
}

/// In a pipeline of the repository: the same words, with the files of the working copy.
#[tokio::test]
async fn a_working_copy_is_checked_by_the_same_rules_before_it_is_pushed() {
    let world = world().await;
    world.configure(&local(&world, "")).unwrap();
    let copy = world.path("copy");
    std::fs::create_dir(&copy).unwrap();
    let (file, config) = (copy.join(FILE), world.path("config.toml"));
    let check = |place: &std::path::Path| {
        let mut command = world.agent_command();
        let output = command.args(["check", "--config"]).arg(&config).arg("--as-git").arg(place).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap().trim_end().to_owned())
    };
    let both = |place: &std::path::Path| format!("{} with {}", config.display(), place.display());
    std::fs::write(&file, defined(&world, "shop", "")).unwrap();
    assert_eq!(check(&copy), (Some(0), format!("{}: OK (1 application)", both(&copy))));
    assert_eq!(check(&file), (Some(0), format!("{}: OK (1 application)", both(&file))));
    std::fs::write(&file, defined(&world, "shop", "") + "[history]\nevents = 1\n").unwrap();
    let refused = "[history] is refused in git: whoever may push could have the record of what was done deleted; write it in the local file";
    for place in [&copy, &file] {
        let (code, told) = check(place);
        assert_eq!((code, &*told), (Some(1), &*format!("qd-agent: {}:12:1: {refused}", file.display())));
    }
}

/// It is refused on the one side until the other lets go, and then changes hands in one step.
#[tokio::test]
async fn an_application_moves_between_the_local_file_and_git_without_leaving() {
    let world = sailing("").await;
    in_force(&world, &fleet(&world).rev("main")).await;
    let shop = defined(&world, "shop", "");
    let is_of = |in_git: bool| {
        move |state: &State| {
            (named(state, "shop").expect("the shop never leaves").defined.is_some() == in_git).then_some(())
        }
    };
    let double =
        |state: &State| agent(state)?.configuration_error.clone().filter(|error| error.contains("application shop"));

    world.configure(&(local(&world, "") + &shop)).unwrap();
    world.reload_agent();
    world.wait("the local file to be refused", double).await.unwrap();
    let commit = fleet(&world).commit("main", &[(FILE, "# The shop is on the machine.\n")], "No shop");
    in_force(&world, &commit).await;
    world.wait("the shop to be of the local file", is_of(false)).await.unwrap();
    assert!(agent(&world.state().await.unwrap()).unwrap().configuration_error.is_none());

    let commit = fleet(&world).commit("main", &[(FILE, &shop)], "The shop comes back");
    refused(&world, "application shop is also defined in").await;
    world.configure(&local(&world, "")).unwrap();
    world.reload_agent();
    in_force(&world, &commit).await;
    world.wait("the shop to be of git", is_of(true)).await.unwrap();
    assert!(changes(&world, &commit).await.iter().all(|line| !line.contains("removed")));
}
