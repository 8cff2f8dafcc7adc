//! Who may do what: every route against every role over the real socket, and what the agent keeps from other users.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::Method;
use quarterdeck_agent::api::{ROUTES, Route};
use quarterdeck_shared::event::{Event, EventRecord};
use quarterdeck_shared::protocol::Role;
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

/// The stand-ins answer on another thread while this one waits for a client that is a process.
/// Only root can be several users: for anybody else this shows that the agent's own user may do everything, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_asks_every_role() {
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
    let head = world.config_head("a test").replace("[agent]\n", &format!("[agent]\nsocket_group = \"{GROUP}\"\n"));
    world.configure(&(head + &rules + &application("shop", &address, "") + &vault)).unwrap();
    std::fs::set_permissions(world.path(""), std::fs::Permissions::from_mode(0o711)).unwrap();
    world.start_agent().await.unwrap();
    world.wait_for("the shop to be synced", "shop", |app| app.sync == SyncStatus::Synced).await.unwrap();

    let mut requests: Vec<(&Route, bool, &Method, String)> = Vec::new();
    for route in ROUTES {
        for name in ["shop", "vault"].iter().take(if is_of_one(route) { 2 } else { 1 }) {
            let path = route.path.replace("{name}", name).replace("{application}", name);
            let path = path.replace("{environment}", "prod").replace("{id}", "1");
            let query = if path.ends_with("/object") { "?kind=ConfigMap&name=a&namespace=shop" } else { "" };
            for method in METHODS {
                requests.push((route, *name == "vault", method, format!("{method} {path}{query}")));
            }
        }
    }
    let mut denied = 0;
    let am_root = rustix::process::getuid().is_root();
    let own = (rustix::process::getuid().as_raw(), Some(Role::Approver));
    for (uid, role) in PEOPLE.into_iter().filter(|_| am_root).chain([own]) {
        let lines: Vec<&str> = requests.iter().map(|(_, _, _, line)| line.as_str()).collect();
        for ((route, protected, method, line), answer) in requests.iter().zip(ask_as(&world, uid, group(), &lines)) {
            // Who asks for the head alone asks for as much as who asks for the whole.
            let is_head = *method == Method::HEAD && route.method == Method::GET;
            if *method != route.method && !is_head {
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
    }
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    let told = events.iter().filter(|record| matches!(record.event, Event::RequestDenied { .. })).count();
    assert_eq!(told, denied, "each refusal is an event");

    if am_root {
        // Who is not even in the group cannot knock.
        let answers = ask_as(&world, 64_299, 64_299, &["GET /v1/version"]);
        assert!(answers[0].starts_with("000 Permission denied"), "{answers:?}");
    }
}

#[test]
fn what_changes_something_is_a_post_and_asks_for_more_than_looking() {
    for route in ROUTES {
        assert_eq!(route.method == Method::POST, route.role > Role::Viewer, "{}", route.path);
    }
}

/// Whether a route is about one application or environment.
fn is_of_one(route: &Route) -> bool {
    route.path.contains("{name}") || route.path.contains("{application}")
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

/// A shell would read what a repository or a configuration says as its own language. git runs the ssh command of a push
/// through one, and for that each word is quoted (`quarterdeck_git`, `mirror::ssh`).
#[test]
fn no_program_is_run_through_a_shell() {
    let mut found = Vec::new();
    let mut commands = 0;
    let crates =
        ["agent", "agent/core", "agent/system", "agent/kubernetes", "agent/git", "agent/container", "tui", "shared"];
    let parts = crates.map(|part| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part).join("src"));
    for path in parts.iter().flat_map(|folder| sources(folder)) {
        let text = std::fs::read_to_string(&path).unwrap();
        commands += text.matches("Command::new(").count();
        for (number, line) in without_tests(&text) {
            let shell = ["\"sh\"", "\"bash\"", "/bin/sh", "/bin/bash", "\"-c\"", "\"cmd\""];
            if !line.trim_start().starts_with("//") && shell.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(found.is_empty() && commands >= 5, "{commands} programs are run, and through a shell {found:#?}");
}

/// The lines of a source with their numbers, but for what is built for tests alone: the item after each `#[cfg(test)]`,
/// which ends where something stands as far to the left again.
fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push((number + 1, line));
            continue;
        }
        let margin = line.len() - line.trim_start().len();
        for (_, line) in lines.by_ref() {
            let is_first_or_last = !line.trim().is_empty() && line.len() - line.trim_start().len() <= margin;
            if is_first_or_last && (line.ends_with([';', '}'])) {
                break;
            }
        }
    }
    kept
}

#[test]
fn what_is_for_tests_alone_is_told_apart() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nmod more {\n    fn c() {}\n}\nfn d() {}\n";
    let kept: Vec<&str> = without_tests(text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(kept, ["use a;", "fn b() {}", "fn d() {}"]);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        match (path.is_dir(), is_test) {
            (true, true) => {}
            (true, false) => found.extend(sources(&path)),
            (false, false) if path.extension().is_some_and(|ending| ending == "rs") => found.push(path),
            _ => {}
        }
    }
    found
}
