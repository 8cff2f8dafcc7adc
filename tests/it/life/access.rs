//! Who may do what: every route against every role over the real socket, and what the agent keeps from other users.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use http::Method;
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::Role;
use quarterdeck_shared::routes::{self, ROUTES, Row};
use quarterdeck_shared::status::Phase;

use super::*;

/// A group that every Linux has; its members may reach the socket of these tests.
const GROUP: &str = "daemon";

/// User ids that nobody has, and the role that the configuration gives each.
const PEOPLE: [(u32, Option<Role>); 4] =
    [(64_201, None), (64_202, Some(Role::Viewer)), (64_203, Some(Role::Operator)), (64_204, Some(Role::Approver))];

/// What the table has, what axum answers beside it, and what nothing here takes.
const METHODS: [&Method; 7] =
    [&Method::GET, &Method::POST, &Method::HEAD, &Method::OPTIONS, &Method::PUT, &Method::PATCH, &Method::DELETE];

/// Only root can be several users.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants root, which alone can be several users; told by tests/real/run"]
async fn every_route_asks_every_role() {
    let world = guarded(&format!("socket_group = \"{GROUP}\"\n")).await;
    let denied: usize = PEOPLE.into_iter().chain([own()]).map(|(uid, role)| ask_all(&world, uid, role)).sum();
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    let told = events.iter().filter(|record| matches!(record.event, Event::RequestDenied { .. })).count();
    assert!(told == denied && told > 0, "each of {denied} refusals is an event: {told}");

    // Who is not even in the group cannot knock.
    let answers = ask_as(&world, 64_299, 64_299, &["GET /v1/version"]);
    assert!(answers[0].starts_with("000 Permission denied"), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agents_own_user_may_do_everything() {
    let world = guarded("").await;
    let (uid, role) = own();
    assert_eq!(ask_all(&world, uid, role), 0);
}

/// The user of these tests and of their agent, who needs no rule.
fn own() -> (u32, Option<Role>) {
    (rustix::process::getuid().as_raw(), Some(Role::Approver))
}

/// A shop, a vault that is protected, and the rules of [`PEOPLE`]. The stand-ins answer on another thread while that of a
/// test waits for a client that is a process.
async fn guarded(options: &str) -> World {
    let mut world = world().await;
    manifests(&world, &[("a.yaml", &config_map("a", "one"))], "Manifests of the shop");
    deploy(&world).commit("main", &[("apps/vault/b.yaml", &config_map("b", "one"))], "Manifests of the vault");
    let address = world.forge.path("ops/deploy").display().to_string();
    let rules: String = PEOPLE
        .iter()
        .filter_map(|(uid, role)| Some((uid, serde_json::to_string(&(*role)?).ok()?)))
        .map(|(uid, role)| format!("[[access]]\nrole = {role}\nusers = [\"{uid}\"]\n"))
        .collect();
    let vault =
        application("vault", &address, "").replacen("name = \"prod\"\n", "name = \"prod\"\nprotected = true\n", 1);
    let head = world.config_head("a test").replace("[agent]\n", &format!("[agent]\n{options}"));
    world.configure(&(head + &rules + &application("shop", &address, "") + &vault)).unwrap();
    std::fs::set_permissions(world.path(""), std::fs::Permissions::from_mode(0o711)).unwrap();
    world.start_agent().await.unwrap();
    world.wait_for("the shop to be synced", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();
    world
}

/// Has a user ask every route with every method, of the shop and of the vault: what their role may not is refused, and
/// nothing else. So many requests were refused.
fn ask_all(world: &World, uid: u32, role: Option<Role>) -> usize {
    let requests = requests();
    let lines: Vec<&str> = requests.iter().map(|(_, _, _, line)| line.as_str()).collect();
    let mut denied = 0;
    for ((route, protected, method, line), answer) in requests.iter().zip(ask_as(world, uid, group(), &lines)) {
        // Who asks for the head alone asks for as much as who asks for the whole.
        let is_head = *method == Method::HEAD && route.method == routes::Method::Get;
        if method.as_str() != route.method.as_str() && !is_head {
            assert!(answer.starts_with("405 "), "{uid} with {role:?} asks {line}: {answer}");
            continue;
        }
        let needed = if route.guarded && *protected { Role::Approver } else { route.role };
        let refused = answer.starts_with("403 ");
        assert_eq!(refused, role < Some(needed), "{uid} with {role:?} asks {line}: {answer}");
        assert!(refused || !answer.starts_with("000"), "{line}: {answer}");
        if refused {
            denied += 1;
            let has = role.map_or("none", Role::word);
            let path = line.split('?').next().unwrap();
            let words = format!("{path} requires role {}; {uid} has {has}", needed.word());
            let told = answer.contains(&words) && answer.contains("[[access]]");
            assert!(told || is_head, "{answer}");
        }
    }
    denied
}

/// Every route with every method: the route, whether it is asked of the vault, the method, and the line that asks.
fn requests() -> Vec<(&'static Row, bool, &'static Method, String)> {
    let mut requests = Vec::new();
    let templates =
        ROUTES.iter().flat_map(|route| route.templates().into_iter().map(move |template| (route, template)));
    for (route, template) in templates {
        // What is about one application or environment is asked of both.
        for name in ["shop", "vault"].iter().take(if template.contains("{application}") { 2 } else { 1 }) {
            let path = template.replace("{application}", name);
            let path = path.replace("{environment}", "prod").replace("{id}", "1");
            let query = if path.ends_with("/object") { "?kind=ConfigMap&name=a&namespace=shop" } else { "" };
            let lines = METHODS.map(|method| (route, *name == "vault", method, format!("{method} {path}{query}")));
            requests.extend(lines);
        }
    }
    requests
}

#[test]
fn what_changes_something_is_a_post_and_asks_for_more_than_looking() {
    for route in ROUTES {
        assert_eq!(route.method == routes::Method::Post, route.role > Role::Viewer, "{}", route.path);
    }
}

/// Answers to requests that another user makes.
fn ask_as(world: &World, uid: u32, gid: u32, requests: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
    command.arg("ask").arg(world.socket()).stdin(Stdio::piped()).stdout(Stdio::piped());
    if uid != rustix::process::getuid().as_raw() {
        // In a folder that this user may enter, wherever the sources were built.
        let (program, copy) = (env!("CARGO_BIN_EXE_playground"), world.path("ask"));
        if !copy.exists() && std::fs::hard_link(program, &copy).is_err() {
            std::fs::copy(program, &copy).unwrap();
        }
        command = Command::new(copy);
        command.arg("ask").arg(world.socket()).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.current_dir("/").uid(uid).gid(gid);
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all((requests.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answers: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), requests.len(), "{answers:#?}");
    answers
}

/// The id of [`GROUP`].
fn group() -> u32 {
    let text = std::fs::read_to_string("/etc/group").unwrap();
    let line = text.lines().find(|line| line.split(':').next() == Some(GROUP));
    line.and_then(|line| line.split(':').nth(2)?.parse().ok()).expect("there is a group daemon")
}

#[tokio::test]
async fn what_the_agent_writes_is_for_its_own_user() {
    let mut world = shop().await;
    code(&world).tag("push-1.4.0", "main");
    world.start_agent().await.unwrap();
    let run = world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(&world, &deploy(&world).rev("main")).await;
    let (mut count, mut open) = (0, Vec::new());
    let mut folders = vec![world.path("data"), world.path("run")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            count += 1;
            if found.mode() & 0o077 != 0 {
                open.push(format!("{:o} {}", found.mode(), entry.path().display()));
            }
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(open.is_empty() && count > 20, "{count} files, and open are {open:#?}");
}
