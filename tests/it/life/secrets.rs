//! A secret that the agent holds is nowhere that people look: not in its log at its most talkative, not in an answer,
//! not in what it keeps.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::git::Fault as GitFault;
use harness::registry::{Fault as RegistryFault, Step};
use harness::terminal::Terminal;
use harness::world::runs;
use quarterdeck_shared::status::Phase;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// The registry's password is the world's; the others are planted here.
const PLANTED: [&str; 7] = [
    "robot-secret-4711",
    "token-in-address-4712",
    "manifest-secret-4713",
    "build-argument-4714",
    "live-secret-4715",
    "environment-argument-4716",
    "docker-config-4717",
];

/// The build argument that is in the agent's environment.
const VARIABLE: &str = "QD_TEST_BUILD_TOKEN";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_secret_is_seen_nowhere() {
    let mut world = shop().await;
    let [robot, token, secret, argument, live, variable, docker] = PLANTED;
    world.forge.require_login("robot", token);
    std::fs::write(world.path("argument"), argument).unwrap();
    let address = world.forge.http("ops/shop").replace("http://", &format!("http://robot:{token}@"));
    let path = world.forge.path("ops/shop").display().to_string();
    let built = format!(
        "[application.build]\nargs = {{ TOKEN = {{ file = \"{}\" }}, OTHER = {{ env = \"{VARIABLE}\" }} }}\n",
        world.path("argument").display()
    );
    let text = (world.config_head("a test") + &world.application("shop", "[application.sync]\nself_heal = false\n"))
        .replace(&path, &address)
        .replace("[application.build]\n", &built)
        .replace("[agent]\n", "[agent]\nlog_level = \"trace\"\n");
    world.configure(&text).unwrap();
    let manifest = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{ name: shop }}\nstringData: {{ a: {value} }}\ndata: {{ b: {} }}\n",
            BASE64_STANDARD.encode(value)
        )
    };
    manifests(&world, &[("secret.yaml", &manifest(secret))], "A secret");
    world.engine.add_image("private.example/base:1", &[("bin/sh", "a stand-in")]).unwrap();
    let dockerfile = "FROM private.example/base:1\nARG TOKEN\nARG OTHER\nCOPY app.txt /srv/app.txt\nRUN echo $TOKEN $OTHER\nCMD [\"/bin/sh\"]\n";
    std::fs::create_dir(world.path("docker")).unwrap();
    let auth = json!({ "auths": { "private.example": { "auth": BASE64_STANDARD.encode(format!("robot:{docker}")) } } });
    std::fs::write(world.path("docker/config.json"), auth.to_string()).unwrap();
    // What the other side says of a failure it may say with our secrets in it.
    let words = json!({ "errors": [{ "code": "TOOMANYREQUESTS", "message": format!("no such token: {robot}") }] });
    world.registry.fail(Step::ManifestPut, RegistryFault::Words(429, words.to_string()), 1);
    let commit = code(&world).commit("main", &[("Dockerfile", dockerfile)], "With an argument");
    code(&world).tag("push-1.4.0", &commit);
    let environment = [("DOCKER_CONFIG", world.path("docker").into()), (VARIABLE, variable.into())];
    world.start_agent_with(&environment).await.unwrap();
    let arguments = Arguments::watch(world.pid().unwrap());
    let run = world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(&world, &deploy(&world).rev("main")).await;
    world.forge.http_fault(GitFault::Status(500, format!("no such token: {token}")));
    let failed = |state: &State| repositories(state).iter().any(|r| r.failures > 0).then_some(());
    world.wait("a poll to fail", failed).await.unwrap();
    let edit = |object: &mut serde_json::Value| object["data"]["a"] = json!(BASE64_STANDARD.encode(live));
    world.cluster.edit("secrets", "shop", "shop", "somebody", edit).unwrap();
    world.wait_for("the drift", "shop", |app| app.sync == SyncStatus::OutOfSync).await.unwrap();

    let id = runs(&world.state().await.unwrap()).next().unwrap().id;
    let object = "/v1/applications/shop/object?version=v1&kind=Secret&namespace=shop&name=shop";
    let mut seen = vec![("the log".to_owned(), std::fs::read_to_string(world.path("agent.log")).unwrap())];
    for path in [
        "/v1/state",
        "/v1/events",
        "/v1/runs",
        "/v1/doctor",
        "/v1/log",
        "/v1/applications/shop/diff",
        "/v1/applications/shop/manifests",
        "/v1/applications/shop/history",
        object,
        &format!("/v1/runs/{id}/log"),
    ] {
        seen.push((path.to_owned(), raw(&world, path).await));
    }
    let whole = |path: &str| seen.iter().find(|(at, _)| at == path).map(|(_, text)| text.clone()).unwrap();
    assert!(whole("the log").contains("TRACE") || whole("the log").contains("trace"), "the log says little");
    assert!(whole("/v1/applications/shop/diff").contains("Secret"), "{}", whole("/v1/applications/shop/diff"));
    let pushes = whole(&format!("/v1/runs/{id}/log"));
    assert!(pushes.contains("no such token: ***"), "what the registry said is told without the secret: {pushes}");
    kept(&world.path("data"), &mut seen);
    seen.push(("the arguments of programs".to_owned(), arguments.seen()));
    seen.push(("the console".to_owned(), console(&world).await));
    let socket = world.socket().display().to_string();
    for path in ["/v1/state", "/v1/applications/shop/diff", object] {
        let words = ["console", "--socket", &socket, "api", "GET", path];
        let output = Command::new(env!("CARGO_BIN_EXE_playground")).args(words).output().unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        seen.push((format!("qd api GET {path}"), String::from_utf8(output.stdout).unwrap()));
    }
    for (at, text) in &seen {
        for planted in PLANTED {
            for form in [
                planted.to_owned(),
                BASE64_STANDARD.encode(planted),
                BASE64_STANDARD.encode(format!("robot:{planted}")),
            ] {
                let line = text.lines().find(|line| line.contains(&form));
                assert_eq!(line, None, "{at} shows {planted}");
            }
        }
    }
}

/// The arguments of the agent and of every program below it, as everyone on the machine can read them.
struct Arguments {
    seen: Arc<Mutex<BTreeSet<String>>>,
    done: Arc<AtomicBool>,
    watcher: std::thread::JoinHandle<()>,
}

impl Arguments {
    fn watch(agent: u32) -> Self {
        let (seen, done) = (Arc::<Mutex<BTreeSet<String>>>::default(), Arc::<AtomicBool>::default());
        let (noted, ended) = (seen.clone(), done.clone());
        let watcher = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let found =
                    below(agent).into_iter().filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok());
                noted.lock().unwrap().extend(found.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ")));
                // Often enough for a program that lives a few milliseconds, and not all that a core has.
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        Self { seen, done, watcher }
    }

    fn seen(self) -> String {
        self.done.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap();
        let seen: Vec<String> = self.seen.lock().unwrap().iter().cloned().collect();
        let programs = seen.join("\n");
        assert!(programs.contains("git") && programs.contains("playground"), "{programs}");
        programs
    }
}

/// A process and all that it started.
fn below(process: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold anything.
        text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let all =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = all.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![process];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// What a person sees who opens the application, its difference, and the log of its run.
async fn console(world: &World) -> String {
    let socket = world.socket().display().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_playground"));
    let console = Terminal::start(program, &["console", "--socket", &socket], &[], (200, 60)).unwrap();
    let mut seen = console.wait_text("shop").await.unwrap().contents();
    for (keys, text) in [("\r", "Deployment shop"), ("d", "Secret")] {
        console.type_keys(keys).unwrap();
        seen += &console.wait_text(text).await.unwrap().contents();
    }
    console.type_keys("\u{3}").unwrap();
    seen
}

/// The whole answer as it comes over the socket.
async fn raw(world: &World, path: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(world.socket()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer
}

/// Every file that the agent keeps. What git packed cannot be read so, and is the forge's to keep from others.
fn kept(folder: &Path, seen: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            kept(&path, seen);
        } else if let Ok(bytes) = std::fs::read(&path) {
            seen.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}
