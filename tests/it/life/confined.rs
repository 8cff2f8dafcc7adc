//! What a program that renders is kept from: a stand-in for kustomize tries the network, the files of the agent, memory and
//! processes, as its folder says.

use quarterdeck_shared::protocol::{Check, CheckResult};

use super::*;

/// It does what the file `try` of its folder says, and prints the manifests where nothing came of that.
const SCRIPT: &str = r#"#!/bin/sh
[ "$1" = version ] && { echo v5.5.0; exit 0; }
try=$(sed -n 's/^# try //p' "$2/kustomization.yaml")
case "$try" in
network) GIT_ALLOW_PROTOCOL=git git ls-remote "git://ADDRESS/x" >&2 || exit 3 ;;
write) echo written >"FOLDER/programs/outside" || exit 3 ;;
change) echo written >>"FOLDER/programs/kustomize" || exit 3 ;;
read) ls "FOLDER/data" >&2; ls "FOLDER/data/history.db" >&2 || exit 3 ;;
memory) dd if=/dev/zero of=/dev/null bs=3G count=1 >&2 || exit 3 ;;
core) [ "$(ulimit -c)" = 0 ] || exit 3 ;;
others) [ "$$" = 1 ] && grep -q kustomize /proc/1/cmdline && exit 3; exit 5 ;;
children) setsid sh -c "sleep 3600; true" FOLDER >/dev/null 2>&1 & ;;
processes) for i in $(seq 700); do sleep 30 >/dev/null 2>&1 & done ;;
esac
cat "$2/a.yaml"
"#;

/// Makes the stand-in try something, and waits for what is told of it.
async fn tried(world: &World, what: &str, words: &str) -> String {
    let kustomization = format!("# try {what}\nresources: [a.yaml]\n");
    let commit = manifests(world, &[("kustomization.yaml", &kustomization)], what);
    // What was tried before is still told when the next commit is known.
    let is_told = |app: &EnvironmentStatus| {
        let is_at = app.target.as_ref().is_some_and(|target| target.commit.as_str() == commit);
        is_at && told(&app.message, &app.hint).contains(words)
    };
    let status = world.wait_for(&format!("{what} to be refused with {words:?}"), "shop", is_told).await.unwrap();
    told(&status.message, &status.hint)
}

async fn doctor(world: &World) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    checks.into_iter().find(|check| check.name == "renderer confinement").expect("a line of the confinement")
}

/// Processes that renderers of this world began and that outlived them.
fn left_behind(world: &World) -> Vec<String> {
    let folder = world.path("").display().to_string();
    let words = |process: std::fs::DirEntry| std::fs::read(process.path().join("cmdline")).ok();
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(words);
    let all = all.map(|words| String::from_utf8_lossy(&words).replace('\0', " "));
    all.filter(|words| words.contains("sleep 3600") && words.contains(folder.trim_end_matches('/'))).collect()
}

/// A world whose shop is a kustomization; the agent runs.
async fn kustomized(is_confined: bool) -> World {
    let mut world = world().await;
    let folder = world.path("").display().to_string();
    let script = SCRIPT.replace("FOLDER", folder.trim_end_matches('/')).replace("ADDRESS", world.registry.address());
    let path = harness::programs::install(&world.path(""), "kustomize", &script).unwrap();
    world.set("PATH", path);
    let address = world.forge.path("ops/deploy").display().to_string();
    let head = world.config_head("a test");
    let head = if is_confined { head.replace("confine_renderers = false\n", "") } else { head };
    world.configure(&(head + &application("shop", &address, ""))).unwrap();
    let files = [("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", &config_map("a", "one"))];
    let commit = manifests(&world, &files, "A shop");
    world.start_agent().await.unwrap();
    synced_to(&world, &commit).await;
    world
}

#[tokio::test]
async fn a_renderer_is_kept_from_the_network_the_files_of_others_and_too_much_memory() {
    let world = kustomized(true).await;
    let check = doctor(&world).await;
    tried(&world, "memory", "hint: a renderer has 2 GiB of memory: render less in one environment").await;
    let commit = manifests(&world, &[("kustomization.yaml", "# try core\nresources: [a.yaml]\n")], "No core");
    synced_to(&world, &commit).await;
    if check.message.contains("no network: yes") {
        tried(&world, "network", "Network is unreachable\nhint: nothing is fetched while rendering").await;
    }
    if check.message.contains("own folder alone: yes") {
        assert_eq!(check.result, CheckResult::Good);
        let hint = "Read-only file system\nhint: a renderer writes to its own folder alone";
        tried(&world, "write", hint).await;
        tried(&world, "change", hint).await;
        assert!(!world.path("programs/outside").exists(), "written");
        let told = tried(&world, "read", "No such file or directory").await;
        assert!(!told.contains("scratch") && !told.contains("mirrors"), "{told}");
        if check.message.contains("no other process: yes") {
            tried(&world, "others", "exit status: 3").await;
            let commit =
                manifests(&world, &[("kustomization.yaml", "# try children\nresources: [a.yaml]\n")], "A child");
            synced_to(&world, &commit).await;
            assert_eq!(left_behind(&world), Vec::<String>::new(), "they end with it");
        }
    } else {
        assert_eq!(check.result, CheckResult::Warning, "{check:?}");
        assert!(check.message.contains("cannot "), "it says why: {check:?}");
    }
    // Root may start as many as it likes.
    if check.message.contains("no network: yes") && !rustix::process::getuid().is_root() {
        tried(&world, "processes", "hint: a renderer has 512 processes and threads").await;
    }
    let commit = manifests(
        &world,
        &[("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", &config_map("a", "two"))],
        "Good again",
    );
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "a").as_deref(), Some("two"));
}

#[tokio::test]
async fn a_renderer_that_needs_more_gets_it_and_stays_within_its_limits() {
    let world = kustomized(false).await;
    let check = doctor(&world).await;
    assert_eq!(check.result, CheckResult::Warning);
    assert_eq!(
        check.message,
        "renderers have no network: no (agent.confine_renderers is false), proxies that lead nowhere alone; 2 GiB of memory, 1024 open files"
    );
    let commit = manifests(&world, &[("kustomization.yaml", "# try write\nresources: [a.yaml]\n")], "Writes");
    synced_to(&world, &commit).await;
    assert_eq!(std::fs::read_to_string(world.path("programs/outside")).unwrap(), "written\n");
    tried(&world, "memory", "hint: a renderer has 2 GiB of memory").await;
}
