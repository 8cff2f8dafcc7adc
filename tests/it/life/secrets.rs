//! A secret that the agent holds is nowhere that people look: not in its log at its most talkative, not in an answer,
//! not in what it keeps.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::cluster::faults::Fault as ClusterFault;
use harness::git::Fault as GitFault;
use harness::registry::{Fault as RegistryFault, Step};
use harness::terminal::Terminal;
use quarterdeck_shared::snapshot::{RunId, RunStatus};
use quarterdeck_shared::status::Phase;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// The password of the registry is the world's, and so is the token of its kubeconfig; the others are planted here.
const ROBOT: &str = "robot-secret-4711";
const KUBECONFIG: &str = "standin-token";
/// In an address. Whatever has a sign besides letters looks another way where it is percent-encoded.
const ADDRESS: &str = "token+in/address=4712";
const MANIFEST: &str = "manifest+secret/4713=";
const ARGUMENT: &str = "build+argument/4714=";
const LIVE: &str = "live+secret/4715=";
const VARIABLE: &str = "environment+argument/4716=";
const DOCKER: &str = "docker+config/4717=";
const TOKEN_FILE: &str = "token+in+file/4718=";
const TOKEN_ENV: &str = "token+in+variable/4719=";
const GIT_HELPER: &str = "git+helper/4720=";
const REGISTRY_ENV: &str = "registry+variable/4721=";
const DOCKER_HELPER: &str = "docker+helper/4722=";
const SSH_KEY: &str = "c3NoK2tleQ+ssh/4723=";
const REFUSED: &str = "refused+secret/4724=";
const API: &str = "token+of+an+api/4725=";
const MOUNTED: &str = "build+secret/4726=";
const MOUNTED_ENV: &str = "build+secret+in+variable/4727=";
const PULL: &str = "pull+secret/4728=";

const PLANTED: [&str; 19] = [
    ROBOT,
    KUBECONFIG,
    ADDRESS,
    MANIFEST,
    ARGUMENT,
    LIVE,
    VARIABLE,
    DOCKER,
    TOKEN_FILE,
    TOKEN_ENV,
    GIT_HELPER,
    REGISTRY_ENV,
    DOCKER_HELPER,
    SSH_KEY,
    REFUSED,
    API,
    MOUNTED,
    MOUNTED_ENV,
    PULL,
];

/// What the agent itself never reads, or lets go as soon as it is sent: nobody else has it to say it.
const NOT_HELD: [&str; 4] = [MANIFEST, LIVE, SSH_KEY, REFUSED];

/// Every secret that the agent holds in one line, as a careless server may answer.
fn careless() -> String {
    let held: Vec<&str> = PLANTED.into_iter().filter(|planted| !NOT_HELD.contains(planted)).collect();
    format!("no such token: {}", held.join(" "))
}

/// A Secret that says its value in both ways.
fn secret(name: &str, value: &str) -> String {
    let encoded = BASE64_STANDARD.encode(value);
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: {name} }}\nstringData: {{ a: \"{value}\" }}\ndata: {{ b: {encoded} }}\n"
    )
}

/// A program of three lines.
fn program(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A world in which each way of naming a secret is used: what its agent has in its environment comes back.
fn plant(world: &World) -> Vec<(&'static str, std::ffi::OsString)> {
    world.forge.require_login("robot", ADDRESS);
    [TOKEN_FILE, TOKEN_ENV, GIT_HELPER].iter().for_each(|token| world.forge.let_in(token));
    for (file, value) in
        [("argument", ARGUMENT), ("forge-token", TOKEN_FILE), ("key", SSH_KEY), ("mounted", MOUNTED), ("pull", PULL)]
    {
        std::fs::write(world.path(file), value).unwrap();
    }
    std::fs::create_dir(world.path("bin")).unwrap();
    std::fs::create_dir(world.path("docker")).unwrap();
    let helper = world.path("bin/git-helper");
    program(&helper, &format!("[ \"$1\" = get ] && printf 'username=robot\\npassword=%s\\n' '{GIT_HELPER}'"));
    std::fs::write(world.path("gitconfig"), format!("[credential]\n\thelper = {}\n", helper.display())).unwrap();
    let answer = json!({ "Username": "robot", "Secret": DOCKER_HELPER });
    program(&world.path("bin/docker-credential-standin"), &format!("cat >/dev/null\necho '{answer}'"));
    let auth = json!({
        "auths": { "private.example": { "auth": BASE64_STANDARD.encode(format!("robot:{DOCKER}")) } },
        "credHelpers": { "helper.example": "standin" },
    });
    std::fs::write(world.path("docker/config.json"), auth.to_string()).unwrap();

    // The code by an address with its token, the manifests of each application in another way.
    let encoded = ADDRESS.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let address = world.forge.http("ops/shop").replace("http://", &format!("http://robot:{encoded}@"));
    let path = |name: &str| format!("\"{}\"", world.forge.path(name).display());
    let built = "\nargs = { TOKEN = { file = \"argument\" }, OTHER = { env = \"QD_TEST_BUILD_TOKEN\" } }\n\
                 secrets = { mounted = { file = \"mounted\" }, variable = { env = \"QD_TEST_BUILD_SECRET\" } }\n";
    let more = format!(
        "[[repository]]\nurl = \"{}\"\nusername = \"robot\"\ntoken_file = \"forge-token\"\n\
         [[repository]]\nurl = \"{}\"\nusername = \"robot\"\ntoken_env = \"QD_TEST_FORGE_TOKEN\"\n\
         [[repository]]\nurl = \"ssh://git@forge.test\"\nssh_key = \"key\"\nssh_program = \"{}\"\n\
         [[forge]]\nkind = \"gitlab\"\nurl = \"{web}\"\napi = \"{web}/api/v4\"\ntoken_env = \"QD_TEST_API_TOKEN\"\n\
         [[registry]]\nhost = \"127.0.0.1:9\"\nusername = \"robot\"\npassword_env = \"QD_TEST_REGISTRY_PASSWORD\"\n",
        world.forge.http("ops/deploy"),
        world.forge.http("ops/vault"),
        world.forge.ssh_program().display(),
        web = world.forge.http("ops").trim_end_matches("/ops.git"),
    );
    let pull = "[[application.environment.pull_secret]]\nregistry = \"127.0.0.1:9\"\nusername = \"robot\"\npassword_file = \"pull\"\n";
    let text = world.config_head("a test").replace("[agent]\n", "[agent]\nlog_level = \"trace\"\n")
        + &more
        + &world
            .application("shop", &format!("[application.environment.sync]\nself_heal = false\n{pull}"))
            .replace(&path("ops/shop"), &format!("\"{address}\""))
            .replace(&path("ops/deploy"), &format!("\"{}\"", world.forge.http("ops/deploy")))
            .replace("\n[[application.environment]]", &format!("{built}[[application.environment]]"))
        + &application("vault", &world.forge.http("ops/vault"), "")
        + &application("helped", &world.forge.http("ops/helped"), "")
        + &application("keyed", &world.forge.ssh("ops/keyed"), "");
    world.configure(&text).unwrap();

    manifests(world, &[("secret.yaml", &secret("shop", MANIFEST))], "A secret");
    let files = [("apps/vault/secret.yaml", secret("vault", REFUSED)), ("apps/vault/a.yaml", config_map("a", "one"))];
    let files = files.map(|(path, text)| (path.to_owned(), text));
    world.forge.repo("ops/vault").commit("main", &borrowed(&files), "A vault");
    for name in ["helped", "keyed"] {
        let file = format!("apps/{name}/a.yaml");
        world.forge.repo(&format!("ops/{name}")).commit("main", &[(&file, &config_map("a", "one"))], "Another");
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let search = std::env::join_paths([world.path("bin")].into_iter().chain(std::env::split_paths(&search))).unwrap();
    vec![
        ("DOCKER_CONFIG", world.path("docker").into()),
        ("GIT_CONFIG_GLOBAL", world.path("gitconfig").into()),
        ("QD_TEST_BUILD_TOKEN", VARIABLE.into()),
        ("QD_TEST_BUILD_SECRET", MOUNTED_ENV.into()),
        ("QD_TEST_FORGE_TOKEN", TOKEN_ENV.into()),
        ("QD_TEST_REGISTRY_PASSWORD", REGISTRY_ENV.into()),
        ("QD_TEST_API_TOKEN", API.into()),
        ("PATH", search),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_secret_is_seen_nowhere() {
    let mut world = shop().await;
    world.engine.have_buildkit();
    let environment = plant(&world);
    let bases = ["private.example/base:1", "127.0.0.1:9/base:1", "helper.example/base:1"];
    for base in bases {
        world.engine.add_image(base, &[("bin/sh", "a stand-in")]).unwrap();
    }
    // What the other side says of a failure it may say with our secrets in it: a registry through the engine, then a
    // build, a forge, and a cluster that quotes the Secret which it refuses.
    let words = json!({ "errors": [{ "code": "TOOMANYREQUESTS", "message": careless() }] });
    world.registry.fail(Step::ManifestPut, RegistryFault::Words(429, words.to_string()), 1);
    let quoted =
        format!("Secret \"vault\" is invalid: data: {REFUSED} {} {KUBECONFIG}", BASE64_STANDARD.encode(REFUSED));
    world.cluster.fault(ClusterFault::words(422, &quoted).on("patch", "secrets").within("vault"));
    let dockerfile = format!(
        "FROM {}\nFROM {}\nFROM {}\nARG TOKEN\nARG OTHER\nCOPY app.txt /srv/app.txt\nRUN echo $TOKEN $OTHER\n\
         RUN --mount=type=secret,id=mounted cat /run/secrets/mounted\n\
         RUN --mount=type=secret,id=variable cat /run/secrets/variable && echo mounted\n\
         LABEL standin.quarterdeck.dev/log=\"listening\"\nCMD [\"/bin/sh\"]\n",
        bases[1], bases[2], bases[0]
    );
    let commit = code(&world).commit("main", &[("Dockerfile", &dockerfile)], "With an argument");
    world.start_agent_with(&environment).await.unwrap();
    let arguments = Arguments::watch(world.pid().unwrap());
    let watch = Watch::open(&world).await;
    // The agent holds them all before anybody tells it of them.
    for name in ["helped", "keyed"] {
        world.wait_for("the others", name, |app| app.sync == SyncStatus::Synced).await.unwrap();
    }
    code(&world).tag("push-1.4.0", &commit);
    let run = world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(&world, &deploy(&world).rev("main")).await;
    let refused = |app: &EnvironmentStatus| app.message.contains("is invalid");
    let refused = world.wait_for("the Secret to be refused", "vault", refused).await.unwrap();
    assert!(refused.message.contains("(hidden)") && refused.message.contains("***"), "{}", refused.message);

    // A build whose failure quotes its argument.
    let failing = "FROM private.example/base:1\nARG TOKEN\nCOPY $TOKEN /srv/\n";
    let commit = code(&world).commit("main", &[("Dockerfile", failing)], "It copies what is not there");
    code(&world).tag("build-1.5.0", &commit);
    let failed = |run: &RunStatus| run.reference == "build-1.5.0" && run.phase.is_final();
    let failed = world.wait_run("the build to fail", failed).await.unwrap();
    assert_eq!(failed.phase, Phase::Failed, "{}", failed.message);
    assert!(failed.message.contains("***"), "{}", failed.message);

    let mut seen = Vec::new();
    looked_at(&world, run.id, &mut seen).await;
    world.cluster.mend();
    world.wait_for("the vault", "vault", |app| app.sync == SyncStatus::Synced).await.unwrap();
    world.forge.http_fault(GitFault::Status(500, careless()));
    let failing = |state: &State| repositories(state).iter().filter(|r| r.failures > 0).count() >= 4;
    world.wait("the polls to fail", |state| failing(state).then_some(())).await.unwrap();
    let edit = |object: &mut serde_json::Value| object["data"]["a"] = json!(BASE64_STANDARD.encode(LIVE));
    world.cluster.edit("secrets", "shop", "shop", "somebody", edit).unwrap();
    world.wait_for("the drift", "shop", |app| app.sync == SyncStatus::OutOfSync).await.unwrap();
    looked_at(&world, run.id, &mut seen).await;

    let whole = |path: &str| seen.iter().rfind(|(at, _)| at == path).map(|(_, text)| text.clone()).unwrap();
    assert!(whole("/v1/environments/shop/diff").contains("Secret"), "{}", whole("/v1/environments/shop/diff"));
    let pushes = whole(&format!("/v1/runs/{}/log", run.id));
    assert!(pushes.contains("#7 ***") && pushes.contains("#8 mounted"), "the steps read their secrets: {pushes}");
    assert!(pushes.contains("no such token: ***"), "what the registry said is told without the secret: {pushes}");
    assert!(whole("the console").contains("no such token: ***"), "the console shows the run's log");
    left(&world, &mut seen);
    seen.push(("the arguments of programs".to_owned(), arguments.seen()));
    seen.push(("/v1/watch".to_owned(), watch.seen()));
    kept(&world.path("data"), &mut seen);
    // Last, when all that is looked at has left its trace.
    seen.push(("/v1/log".to_owned(), raw(&world, "/v1/log").await));
    let log = std::fs::read_to_string(world.path("agent.log")).unwrap();
    assert!(log.contains("TRACE"), "the log says little");
    seen.push(("the log".to_owned(), log));
    let mut shown = BTreeSet::new();
    for (at, text) in &seen {
        for planted in PLANTED {
            let percent: String = planted
                .bytes()
                .map(|b| {
                    if b.is_ascii_alphanumeric() || b == b'-' { char::from(b).to_string() } else { format!("%{b:02X}") }
                })
                .collect();
            let pair = BASE64_STANDARD.encode(format!("robot:{planted}"));
            for form in [planted.to_owned(), BASE64_STANDARD.encode(planted), pair, percent.to_lowercase(), percent] {
                if let Some(line) = text.lines().find(|line| line.contains(&form)) {
                    let from = line.find(&form).unwrap_or_default().saturating_sub(200);
                    let line: String = line.chars().skip(from).take(600).collect();
                    shown.insert(format!("{at} shows {planted}: {line}"));
                }
            }
        }
    }
    assert!(shown.is_empty(), "{shown:#?}");
}

/// Every way to look.
async fn looked_at(world: &World, run: RunId, seen: &mut Vec<(String, String)>) {
    let object = "/v1/environments/shop/object?version=v1&kind=Secret&namespace=shop&name=shop";
    let run_log = format!("/v1/runs/{run}/log");
    let pull = object.replace("name=shop", "name=quarterdeck-pull");
    let mut paths = vec![object.to_owned(), pull, format!("/v1/runs/{run}"), run_log];
    for path in ["state", "events", "runs", "doctor", "version"] {
        paths.push(format!("/v1/{path}"));
    }
    for application in ["shop", "vault"] {
        for path in ["diff", "manifests", "history", "commits"] {
            paths.push(format!("/v1/environments/{application}/{path}"));
        }
    }
    paths.push("/v1/environments/shop/logs".to_owned());
    for path in &paths {
        seen.push((path.clone(), raw(world, path).await));
    }
    seen.push(("the console".to_owned(), console(world).await));
    let socket = world.socket().display().to_string();
    let run = run.to_string();
    for words in [
        vec!["api", "GET", "/v1/state"],
        vec!["api", "GET", "/v1/environments/shop/diff"],
        vec!["api", "GET", object],
        vec!["status"],
        vec!["status", "-o", "json"],
        vec!["status", "shop"],
        vec!["status", "vault", "-o", "json"],
        vec!["diff", "shop"],
        vec!["runs"],
        vec!["runs", "-o", "json"],
        vec!["runs", "show", &run],
        vec!["runs", "log", &run],
        vec!["runs", "log", &run, "-o", "json"],
        vec!["history", "shop", "-o", "json"],
        vec!["history", "vault"],
        vec!["events"],
        vec!["events", "-o", "json"],
        vec!["manifests", "shop"],
        vec!["manifests", "vault", "-o", "json"],
        vec!["pods", "-o", "json"],
        vec!["logs", "shop", "-o", "json"],
        vec!["doctor", "-o", "json"],
        vec!["version"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
        let output = command.args(["console", "--socket", &socket]).args(&words).output().unwrap();
        let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.code().is_some_and(|code| code < 2), "qd {words:?}: {texts:?}");
        seen.push((format!("qd {}", words.join(" ")), texts.concat()));
    }
}

/// What left the agent for others: its commits, and what it wrote to the cluster and to the engine. A Secret holds its
/// values, and nothing besides.
fn left(world: &World, seen: &mut Vec<(String, String)>) {
    let commits = deploy(world).git(&["log", "-p", "--author=Quarterdeck", "--format=fuller", "main"]);
    assert!(commits.contains("shop: 1.4.0"), "{commits}");
    seen.push(("the commits".to_owned(), commits));
    let kinds =
        ["secrets", "configmaps", "namespaces", "services", "deployments.apps", "replicasets.apps", "pods", "events"];
    for kind in kinds {
        for object in world.cluster.list(kind, "") {
            let mut object = (*object).clone();
            if kind == "secrets"
                && let Some(fields) = object.as_object_mut()
            {
                fields.remove("data");
            }
            seen.push((format!("{kind} in the cluster"), object.to_string()));
        }
    }
    for build in world.engine.builds() {
        seen.push(("a build's request".to_owned(), format!("{:?} {:?} {:?}", build.tags, build.labels, build.args)));
        for tag in &build.tags {
            // A build argument is told there by its name; an engine of today keeps its value as well.
            seen.push(("the history of an image".to_owned(), format!("{:?}", world.engine.history(tag))));
        }
    }
}

/// All that `/v1/watch` tells from now on.
struct Watch {
    seen: Arc<Mutex<Vec<u8>>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Watch {
    async fn open(world: &World) -> Self {
        let state = world.state().await.unwrap();
        let mut stream = tokio::net::UnixStream::connect(world.socket()).await.unwrap();
        let request = format!("GET /v1/watch?since={} HTTP/1.1\r\nhost: agent\r\n\r\n", state.revision);
        stream.write_all(request.as_bytes()).await.unwrap();
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let noted = seen.clone();
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                noted.lock().unwrap().extend(&buffer[..length]);
            }
        });
        Self { seen, reader }
    }

    fn seen(self) -> String {
        self.reader.abort();
        let seen = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        assert!(seen.starts_with("HTTP/1.1 200") && seen.contains("environment/shop"), "{seen}");
        seen
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

/// What a person sees who opens the application, its difference, the log of its run, and the agent's own.
async fn console(world: &World) -> String {
    let socket = world.socket().display().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_playground"));
    let console = Terminal::start(program, &["console", "--socket", &socket], &[], (200, 60)).unwrap();
    let mut seen = console.wait_text("vault").await.unwrap().contents();
    for (keys, texts) in [
        ("/shop\r", ["shop"; 2]),
        ("\r", ["Deployment shop"; 2]),
        ("d", ["› diff", "unchanged"]),
        ("2", ["push-1.4.0", "build-1.5.0"]),
        ("/push\r", ["push-1.4.0"; 2]),
        ("\r", ["no such token"; 2]),
        ("4", ["EVENT", "AGE"]),
        ("5", ["reachable"; 2]),
        ("6", ["TRACE"; 2]),
    ] {
        console.type_keys(keys).unwrap();
        let all = |screen: &vt100::Screen| texts.iter().all(|text| screen.contents().contains(text));
        seen += &console.wait(&format!("{texts:?}"), all).await.unwrap().contents();
    }
    console.type_keys("\u{3}").unwrap();
    seen
}

/// The whole answer as it comes over the socket.
pub(super) async fn raw(world: &World, path: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(world.socket()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    // What cannot be compared now is told so: that is looked at like any other answer.
    assert!(answer.starts_with("HTTP/1.1 200") || path.contains("/vault/"), "{path}: {answer}");
    answer
}

/// Every file that the agent keeps. What git packed cannot be read so, and is the forge's to keep from others.
pub(super) fn kept(folder: &Path, seen: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            kept(&path, seen);
        } else if let Ok(bytes) = std::fs::read(&path) {
            seen.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}
