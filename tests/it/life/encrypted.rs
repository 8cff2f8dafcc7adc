//! Files that SOPS encrypted: applied in clear and shown nowhere, and what is said where they stay encrypted.
//!
//! `encrypted/first.yaml` and `second.yaml` are a Secret and a ConfigMap, encrypted by sops 3.13.3 for the key in `age.txt`;
//! `other.txt` is another key. All were made for these stories.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use quarterdeck_shared::protocol::{Check, CheckResult, DiffAnswer, ManifestsAnswer};
use serde_json::json;

use super::secrets::{kept, raw};
use super::*;

pub(super) const FIRST: &str = include_str!("encrypted/first.yaml");
const SECOND: &str = include_str!("encrypted/second.yaml");
pub(super) const KEY: &str = include_str!("encrypted/age.txt");
const OTHER: &str = include_str!("encrypted/other.txt");

/// What is in them.
pub(super) const VALUES: [&str; 6] =
    ["first+password/4730=", "first+token/4731=", "48151", "second+password/4732=", "second+token/4733=", "62342"];

const RECIPIENT: &str = "age1dfm22kur48n6aa0rgnw5h37l57gs9q78xuyqf8h8q4cz29jhd9hq84mzj9";

/// A world whose shop is such files; the agent does not run, and decrypts with what is in `age.txt` of the world.
pub(super) async fn encrypted(key: &str, files: &[(&str, &str)], more: &str) -> World {
    let world = world().await;
    manifests(&world, files, "Encrypted manifests");
    let address = world.forge.path("ops/deploy").display().to_string();
    std::fs::write(world.path("age.txt"), key).unwrap();
    std::fs::set_permissions(world.path("age.txt"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let sops = "[sops]\nage_keys = [\"age.txt\"]\n";
    world.configure(&(world.config_head("a test") + sops + &application("shop", &address, more))).unwrap();
    world
}

/// The password of the Secret in the cluster, and what is in the ConfigMap.
pub(super) fn live(world: &World) -> Option<(String, serde_json::Value)> {
    let secret = world.cluster.get("secrets", "shop", "db")?;
    let password = BASE64_STANDARD.decode(secret["data"]["password"].as_str()?).ok()?;
    let settings = world.cluster.get("configmaps", "shop", "settings")?;
    Some((String::from_utf8(password).ok()?, settings["data"].clone()))
}

fn values(password: &str, token: &str, pin: &str) -> (String, serde_json::Value) {
    (password.to_owned(), json!({ "url": format!("postgres://shop@db/{token}"), "pin": pin }))
}

pub(super) fn first() -> (String, serde_json::Value) {
    values(VALUES[0], VALUES[1], VALUES[2])
}

fn second() -> (String, serde_json::Value) {
    values(VALUES[3], VALUES[4], VALUES[5])
}

/// Waits until the environment says why it is not applied.
async fn refused(world: &World, words: &str) -> EnvironmentStatus {
    world.wait_for(&format!("{words:?} to be told"), "shop", |app| app.message.contains(words)).await.unwrap()
}

async fn doctor(world: &World, name: &str) -> Check {
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let found = checks.into_iter().find(|check| check.name.starts_with(name));
    found.unwrap_or_else(|| panic!("no line of {name}"))
}

#[tokio::test]
async fn what_is_encrypted_is_applied_in_clear_and_shown_nowhere() {
    let mut world = encrypted(KEY, &[("db.yaml", FIRST)], "[application.environment.sync]\nautomatic = false\n").await;
    world.start_agent().await.unwrap();
    let waits = |app: &EnvironmentStatus| app.message.contains("automatic sync is off");
    world.wait_for("a plan", "shop", waits).await.unwrap();
    let mut seen = Vec::new();
    let mut look = async |world: &World, when: &str| {
        let of = |kind: &str, name: &str| {
            format!("/v1/environments/shop/object?version=v1&kind={kind}&namespace=shop&name={name}")
        };
        let paths = ["diff", "manifests", "history"].map(|path| format!("/v1/environments/shop/{path}"));
        let others = ["/v1/state", "/v1/events", "/v1/log", "/v1/doctor"].map(str::to_owned);
        let objects = [of("Secret", "db"), of("ConfigMap", "settings")].into_iter().filter(|_| live(world).is_some());
        for path in paths.into_iter().chain(others).chain(objects) {
            seen.push((format!("{when}: {path}"), raw(world, &path).await));
        }
    };
    look(&world, "before").await;
    let manifests_now: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert_eq!(manifests_now.yaml.matches("(hidden ").count(), 3, "{}", manifests_now.yaml);
    assert!(!manifests_now.yaml.contains("sops"), "the metadata is not applied: {}", manifests_now.yaml);

    ask(&world, "sync", json!({})).await;
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!(live(&world), Some(first()));
    look(&world, "first").await;

    // Both the value that runs and the one that is to come are hidden, and it is seen that they differ.
    let next = manifests(&world, &[("db.yaml", SECOND)], "Another password");
    let newer = |app: &EnvironmentStatus| {
        waits(app) && app.target.as_ref().is_some_and(|target| target.commit.to_string() == next)
    };
    world.wait_for("the next plan", "shop", newer).await.unwrap();
    let diff: DiffAnswer = world.client().get("/v1/environments/shop/diff").await.unwrap();
    let fields: Vec<_> = diff.plan.changes.iter().flat_map(|change| &change.fields).collect();
    assert_eq!(fields.len(), 3, "{fields:?}");
    for field in fields {
        for side in [&field.live, &field.desired] {
            let side = side.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
            assert!(side.starts_with("(hidden "), "{field:?}");
        }
    }
    look(&world, "next").await;
    ask(&world, "sync", json!({})).await;
    synced_to(&world, &next).await;
    assert_eq!(live(&world), Some(second()));
    look(&world, "second").await;

    kept(&world.path("data"), &mut seen);
    seen.push(("the log".to_owned(), std::fs::read_to_string(world.path("agent.log")).unwrap()));
    for (at, text) in &seen {
        for value in VALUES.iter().filter(|value| value.len() > 5) {
            for form in [(*value).to_owned(), BASE64_STANDARD.encode(value)] {
                assert!(!text.contains(&form), "{at} shows {value}: {text}");
            }
        }
    }
    let shown: Vec<_> = seen.iter().filter(|(at, text)| at.contains("/diff") && text.contains("48151")).collect();
    assert!(shown.is_empty(), "a short value is hidden where it is all of one: {shown:?}");
}

#[tokio::test]
async fn without_its_key_nothing_is_applied_and_a_key_that_comes_is_used() {
    let mut world = encrypted(OTHER, &[("db.yaml", FIRST), ("a.yaml", &config_map("a", "one"))], "").await;
    world.start_agent().await.unwrap();
    let status = refused(&world, "cannot decrypt apps/shop/db.yaml: it is encrypted with SOPS for").await;
    assert!(status.message.contains(RECIPIENT), "for whom it is: {}", status.message);
    assert!(status.message.contains("the configured keys are age17553s2"), "{}", status.message);
    assert!(value(&world, "a").is_none() && live(&world).is_none(), "nothing of it is applied");
    assert_eq!(doctor(&world, "age keys ").await.result, CheckResult::Good);

    std::fs::write(world.path("age.txt"), format!("{OTHER}{KEY}")).unwrap();
    ask(&world, "refresh", json!({})).await;
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!(live(&world), Some(first()));
    std::fs::set_permissions(world.path("age.txt"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let check = doctor(&world, "age keys ").await;
    assert_eq!(check.result, CheckResult::Warning);
    assert!(check.message.contains(RECIPIENT) && check.message.contains("may read the keys"), "{}", check.message);
}

#[tokio::test]
async fn an_environment_has_keys_of_its_own() {
    let own = "[application.environment.sops]\nage_keys = [\"own.txt\"]\n";
    let mut world = encrypted(OTHER, &[("db.yaml", FIRST)], own).await;
    std::fs::write(world.path("own.txt"), KEY).unwrap();
    world.start_agent().await.unwrap();
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!(live(&world), Some(first()));
}

#[tokio::test]
async fn what_was_changed_is_refused_and_the_last_good_one_runs() {
    let mut world = encrypted(KEY, &[("db.yaml", FIRST)], "").await;
    world.start_agent().await.unwrap();
    synced_to(&world, &deploy(&world).rev("main")).await;
    let sealed = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    let undo = "undo the change, and edit the file with `sops edit FILE` alone";
    let metadata = SECOND.split("sops:\n").next().unwrap();
    for (text, words, hint) in [
        (SECOND.replace("name: settings", "name: others"), "its MAC does not match its values", undo),
        (
            SECOND.replace(&sealed(SECOND, "url"), &sealed(SECOND, "pin")),
            "cannot decrypt data:url: it was changed or moved after it was encrypted",
            undo,
        ),
        (
            metadata.to_owned(),
            "it holds values that SOPS encrypted, and is never applied like this",
            "keep its SOPS metadata in the same file, with an extension of yaml, yml or json",
        ),
    ] {
        manifests(&world, &[("db.yaml", &text)], "Damaged");
        let status = refused(&world, words).await;
        assert!(status.message.contains("apps/shop/db.yaml"), "{}", status.message);
        assert_eq!(status.hint, hint);
        assert_eq!(live(&world), Some(first()), "what runs stays");
    }
    let good = manifests(&world, &[("db.yaml", SECOND)], "Good");
    synced_to(&world, &good).await;
    assert_eq!(live(&world), Some(second()));
}

#[tokio::test]
async fn a_chart_is_given_its_files_in_clear_and_none_is_left() {
    let chart = "apiVersion: v2\nname: shop\nversion: 1.0.0\n";
    let mut world = encrypted(KEY, &[("Chart.yaml", chart), ("templates/db.yaml", FIRST)], "").await;
    let path = harness::helm::install(&world.path("")).unwrap();
    // It says where its files are, before it does anything.
    let program = world.path("programs/helm");
    let script = std::fs::read_to_string(&program).unwrap();
    let noting = "#!/bin/sh\nstat -f -c '%T %n' \"$PWD\" >>\"${0%/*}/folders\"\n";
    std::fs::write(&program, script.replacen("#!/bin/sh\n", noting, 1)).unwrap();
    world.set("PATH", path);
    world.start_agent().await.unwrap();
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!(live(&world), Some(first()));
    let folders = std::fs::read_to_string(world.path("programs/folders")).unwrap();
    let of_renders: Vec<&str> = folders.lines().filter(|line| line.contains("quarterdeck-render-")).collect();
    assert!(!of_renders.is_empty() && of_renders.iter().all(|line| line.starts_with("tmpfs ")), "{folders}");
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.into_iter().find(|check| check.name == "decrypted files").unwrap();
    assert_eq!(check.result, CheckResult::Good);
    assert!(check.message.starts_with("renderers get them in memory: /"), "{}", check.message);
    let mut seen = vec![("manifests".to_owned(), raw(&world, "/v1/environments/shop/manifests").await)];
    kept(&world.path("data"), &mut seen);
    for (at, text) in seen {
        assert!(!text.contains(VALUES[0]) && !text.contains(VALUES[1]), "{at} shows it");
    }
}

/// What stands in for sops: it reads the file from its standard input, and gives the same in clear.
const SOPS: &str = r#"#!/bin/sh
case "$1" in
--version) echo "sops 3.13.3" ;;
decrypt)
    test "$*" = "decrypt --input-type yaml --output-type yaml" || { echo "unknown: $*" >&2; exit 1; }
    grep -q 'ENC\[AES256_GCM' || { echo "no sops file" >&2; exit 1; }
    printf '%s' "$IN_CLEAR"
    ;;
esac
"#;

#[tokio::test]
async fn other_keys_are_those_of_the_sops_program() {
    let text = FIRST.replace("    age:\n", "    pgp:\n");
    let mut world = encrypted(KEY, &[("db.yaml", &text)], "").await;
    world.start_agent().await.unwrap();
    let status = refused(&world, "its data key is kept by PGP: sops was not in PATH when the agent began").await;
    assert!(status.hint.contains("install sops 3.9 or newer where the agent runs"), "{}", status.hint);
    assert!(doctor(&world, "sops").await.message.contains("keys of KMS, PGP and Vault alone need it"));
    world.kill_agent();

    std::fs::create_dir(world.path("programs")).unwrap();
    std::fs::write(world.path("programs/sops"), SOPS).unwrap();
    std::fs::set_permissions(world.path("programs/sops"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let search = std::env::var_os("PATH").unwrap_or_default();
    let search =
        std::env::join_paths([world.path("programs")].into_iter().chain(std::env::split_paths(&search))).unwrap();
    let clear = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: '{}'}}\n---\napiVersion: v1\nkind: ConfigMap\n\
         metadata: {{name: settings}}\ndata: {{url: 'postgres://shop@db/{}', pin: '{}'}}\n",
        VALUES[0], VALUES[1], VALUES[2]
    );
    world.start_agent_with(&[("PATH", search), ("IN_CLEAR", clear.into())]).await.unwrap();
    synced_to(&world, &deploy(&world).rev("main")).await;
    assert_eq!(live(&world), Some(first()));
    let shown = raw(&world, "/v1/environments/shop/manifests").await;
    assert!(shown.contains("(hidden ") && !shown.contains("4731"), "{shown}");
    assert!(doctor(&world, "sops").await.message.contains("3.13.3"));
}
