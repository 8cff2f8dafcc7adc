//! Hooks of Helm charts: which run, when, how often, and what becomes of those that fail.

use quarterdeck_shared::change::{Plan, StepAction, Wait};
use quarterdeck_shared::event::{Event, EventRecord, SyncRecord};
use quarterdeck_shared::protocol::DiffAnswer;
use quarterdeck_shared::snapshot::Progress;
use quarterdeck_shared::status::Phase;
use serde_json::{Value, json};

use super::*;

const CHART: &str = "apiVersion: v2\nname: store\nversion: 0.1.0\n";

/// A Job that is a hook; `more` are annotations.
pub(super) fn job(name: &str, events: &str, more: &str, command: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations:\n    helm.sh/hook: {events}\n{more}spec:\n  backoffLimit: 0\n  \
         template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - {{ name: {name}, image: \"{}/busybox:1\", command: {command} }}\n",
        world::EVERYWHERE
    )
}

const TRUE: &str = "[\"true\"]";
const FALSE: &str = "[\"false\"]";
const BOTH: &str = "pre-install,pre-upgrade";

/// Ends by itself, after a time in which it is seen to run.
const A_WHILE: &str = "[\"sleep\", \"10\"]";
const FOR_EVER: &str = "[\"sleep\", \"3600\"]";

pub(super) fn commit(world: &World, templates: &[(&str, &str)], message: &str) -> String {
    let repository = deploy(world);
    let mut change = repository.change("main").write("apps/shop/Chart.yaml", CHART);
    for (name, text) in templates {
        change = change.write(format!("apps/shop/templates/{name}.yaml"), text);
    }
    change.commit(message)
}

fn texts<'a>(templates: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    templates.iter().map(|(name, text)| (*name, text.as_str())).collect()
}

/// A world whose shop is a chart with these templates; the agent runs.
pub(super) async fn charted(templates: &[(&str, &str)], more: &str) -> (World, String) {
    let mut world = world().await;
    let first = commit(&world, templates, "A chart");
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, more))).unwrap();
    let path = harness::helm::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world.start_agent().await.unwrap();
    (world, first)
}

/// How often a Job was created.
pub(super) fn jobs(world: &World, name: &str) -> u64 {
    world.cluster.counts().patched.get(&format!("jobs.batch shop/{name}")).copied().unwrap_or_default()
}

pub(super) fn exists(world: &World, resource: &str, name: &str) -> bool {
    world.cluster.get(resource, "shop", name).is_some()
}

/// Waits until this hook is waited for; how that is shown.
async fn runs(world: &World, hook: &str) -> String {
    let seen = |app: &EnvironmentStatus| match &app.progress {
        Some(Progress::Applying { hook: Some(awaited), .. }) => {
            awaited.moment.describe(&awaited.resource) == hook && awaited.message.contains("running")
        }
        _ => false,
    };
    let status = world.wait_for(&format!("hook {hook} to run"), "shop", seen).await.unwrap();
    status.progress.unwrap().describe()
}

/// Waits until a sync of this commit failed; the status then.
async fn failed(world: &World, commit: &str) -> EnvironmentStatus {
    let of_it = |sync: &SyncRecord| sync.revision.commit.as_str() == commit && sync.phase == Phase::Failed;
    let told = |app: &EnvironmentStatus| app.last_sync.as_ref().is_some_and(of_it) && app.message.contains(" hook ");
    world.wait_for("the sync to fail", "shop", told).await.unwrap()
}

/// How the first sync to this commit ended.
async fn first_end(world: &World, commit: &str) -> String {
    let events: Vec<EventRecord> = world.client().get("/v1/events?limit=1000").await.unwrap();
    let began = |event: &Event| match event {
        Event::SyncStarted { sync, revision } if revision.commit.as_str() == commit => Some(*sync),
        _ => None,
    };
    let first = events.iter().filter_map(|record| began(&record.event)).min().unwrap();
    let ended = events.into_iter().find_map(|record| match record.event {
        Event::SyncFinished { sync, message, .. } if sync == first => Some(message),
        _ => None,
    });
    ended.unwrap()
}

async fn diff(world: &World) -> Plan {
    world.client().get::<DiffAnswer>("/v1/environments/shop/diff").await.unwrap().plan
}

#[tokio::test]
async fn hooks_run_around_the_objects_of_each_release_and_never_without_one() {
    let templates = |value: &str| {
        let first = "    helm.sh/hook-weight: \"-5\"\n";
        let settings = config_map("settings", value).replace(
            "{ name: settings }",
            "{ name: settings, annotations: { helm.sh/hook: pre-install, helm.sh/hook-weight: \"-9\" } }",
        );
        [
            ("a", config_map("a", value)),
            ("settings", settings),
            ("migrate", job("migrate", BOTH, first, A_WHILE)),
            ("check", job("check", BOTH, "", TRUE)),
            ("warm", job("warm", "post-install, post-upgrade", "", A_WHILE)),
            ("probe", job("probe", "test", "", TRUE)),
        ]
    };
    let one = templates("one");
    let (mut world, first) = charted(&texts(&one), "").await;
    let shown = runs(&world, "Job/migrate (pre-install, weight -5)").await;
    assert_eq!(shown, "applying 1 of 5, waiting for hook Job/migrate (pre-install, weight -5): running: 1 active");
    assert!(exists(&world, "configmaps", "settings"), "what has less weight ran before");
    assert!(!exists(&world, "configmaps", "a") && !exists(&world, "jobs.batch", "check"), "the rest waits");
    runs(&world, "Job/warm (post-install, weight 0)").await;
    assert_eq!((value(&world, "a").as_deref(), jobs(&world, "check")), (Some("one"), 1));
    let status = synced_to(&world, &first).await;
    assert_eq!((status.resources, status.message.as_str()), (1, ""), "hooks are no objects of the environment");
    assert_eq!(status.last_sync.unwrap().message, "1 created, 4 hooks done, 0 unchanged");
    let inventory = world.cluster.get("configmaps", "shop", "quarterdeck-shop.prod").unwrap().to_string();
    assert!(!inventory.contains("\"migrate\"") && !inventory.contains("settings"), "{inventory}");
    assert!(!exists(&world, "jobs.batch", "probe"));

    // Drift, a commit elsewhere, a person and a restart run none again.
    let ran = |world: &World| ["migrate", "check", "warm"].map(|name| jobs(world, name));
    assert_eq!(ran(&world), [1, 1, 1]);
    world.cluster.delete("configmaps", "shop", "settings").unwrap();
    let by_hand = |object: &mut Value| object["data"]["value"] = json!("by hand");
    world.cluster.edit("configmaps", "shop", "a", "kubectl-edit", by_hand).unwrap();
    let healed = |app: &EnvironmentStatus| value(&world, "a").as_deref() == Some("one") && app.progress.is_none();
    world.wait_for("the drift to be reverted", "shop", healed).await.unwrap();
    let elsewhere = deploy(&world).commit("main", &[("apps/other/a.txt", "other")], "Not ours");
    synced_to(&world, &elsewhere).await;
    world.kill_agent();
    world.start_agent().await.unwrap();
    let asked = ask(&world, "sync", json!({})).await;
    let newer = |app: &EnvironmentStatus| {
        app.last_sync.as_ref().is_some_and(|sync| Some(sync.id) > asked.after_sync && sync.phase.is_final())
    };
    let status = world.wait_for("the sync that was asked for", "shop", newer).await.unwrap();
    assert_eq!(status.last_sync.unwrap().message, "nothing to do: everything is as git says");
    assert_eq!(ran(&world), [1, 1, 1]);
    assert!(!exists(&world, "configmaps", "settings"), "what is gone of a hook is not missed");

    let two = templates("two");
    let second = commit(&world, &texts(&two), "Another value");
    runs(&world, "Job/migrate (pre-upgrade, weight -5)").await;
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
    synced_to(&world, &second).await;
    assert_eq!((value(&world, "a").as_deref(), ran(&world)), (Some("two"), [2, 2, 2]));
    assert!(!exists(&world, "configmaps", "settings"), "that one is of an install");
}

#[tokio::test]
async fn a_hook_that_fails_stops_its_sync_and_the_next_good_commit_goes_on() {
    let bad = job("migrate", BOTH, "", FALSE);
    let (world, first) = charted(&[("a", &config_map("a", "one")), ("migrate", &bad)], "").await;
    let status = failed(&world, &first).await;
    let begin = "Job/migrate (apps/shop/templates/migrate.yaml): pre-install hook failed: BackoffLimitExceeded: Job has reached the \
                 specified backoff limit; Pod/migrate-";
    assert!(status.message.starts_with(begin), "{}", status.message);
    assert!(
        status.message.ends_with(": container migrate: exit 1; done before it: nothing done"),
        "{}",
        status.message
    );
    assert_eq!(status.hint, "read its log: kubectl -n shop logs job/migrate");
    assert_eq!((status.sync, value(&world, "a")), (SyncStatus::OutOfSync, None), "nothing later is written");

    // What was never applied as a whole is still installed.
    let only_upgrades = job("upgrade", "pre-upgrade", "", TRUE);
    let good = job("migrate", "pre-install", "", TRUE);
    let second = commit(&world, &[("migrate", &good), ("upgrade", &only_upgrades)], "A migration that works");
    synced_to(&world, &second).await;
    assert_eq!((value(&world, "a").as_deref(), jobs(&world, "upgrade")), (Some("one"), 0));

    // After the objects: these stay as they are.
    let late = job("late", "post-upgrade", "", FALSE);
    let third = commit(&world, &[("a", &config_map("a", "two")), ("late", &late)], "A check that fails");
    let status = failed(&world, &third).await;
    assert!(status.message.contains("post-upgrade hook failed: "), "{}", status.message);
    // What is shown may be of another try already, which finds all of it done.
    let first = first_end(&world, &third).await;
    assert!(first.ends_with("; done before it: 1 configured, 1 hook done"), "{first}");
    assert_eq!((value(&world, "a").as_deref(), jobs(&world, "upgrade")), (Some("two"), 1));
    let tried = jobs(&world, "late");
    world.cluster.wait_for("another try", |_| (jobs(&world, "late") > tried).then_some(())).await;
    assert_eq!(jobs(&world, "upgrade"), 1, "what succeeded for this content is not run again");
    let fourth = commit(&world, &[("late", &job("late", "post-upgrade", "", TRUE))], "A check that works");
    synced_to(&world, &fourth).await;
    assert_eq!(jobs(&world, "upgrade"), 2, "of another release it is");
}

#[tokio::test]
async fn delete_policies_say_when_a_hook_goes() {
    let policy = |policy: &str| format!("    helm.sh/hook-delete-policy: {policy}\n");
    let (succeeded, kept) = (policy("hook-succeeded,before-hook-creation"), policy("hook-succeeded"));
    let (world, first) = charted(
        &[
            ("a", &config_map("a", "one")),
            ("stays", &job("stays", BOTH, "", TRUE)),
            ("goes", &job("goes", BOTH, &succeeded, TRUE)),
        ],
        "",
    )
    .await;
    synced_to(&world, &first).await;
    assert!(exists(&world, "jobs.batch", "stays") && !exists(&world, "jobs.batch", "goes"));
    let uid =
        |world: &World| world.cluster.get("jobs.batch", "shop", "stays").map(|job| job["metadata"]["uid"].clone());
    let before = uid(&world);

    let failing = job("fails", BOTH, &policy("hook-failed"), FALSE)
        .replace("upgrade\n", "upgrade\n    helm.sh/hook-weight: \"1\"\n");
    let second = commit(&world, &[("fails", &failing)], "One that fails, and goes");
    let status = failed(&world, &second).await;
    assert!(status.hint.starts_with("correct it; its log went with its object"), "{}", status.hint);
    assert!(!exists(&world, "jobs.batch", "fails") && !exists(&world, "jobs.batch", "goes"), "as those before it");
    assert_ne!(uid(&world), before, "it was created anew");

    // One that is kept stands in the way of its successor.
    let third = commit(&world, &[("fails", &job("fails", BOTH, &kept, FALSE))], "One that fails, and stays");
    let kept = |app: &EnvironmentStatus| app.message.contains("it exists, and its delete policy keeps it");
    let status = world.wait_for("the next try to be refused", "shop", kept).await.unwrap();
    assert_eq!(status.hint, "delete it, or add before-hook-creation to its delete policy");
    assert_eq!((jobs(&world, "fails") > 1, is_at(&status, &third)), (true, false));
    let fourth = commit(&world, &[("fails", &job("fails", BOTH, "", TRUE))], "One that succeeds");
    synced_to(&world, &fourth).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_in_the_middle_of_a_hook_goes_on_with_it() {
    let templates = [
        ("a", config_map("a", "one")),
        ("first", job("first", BOTH, "    helm.sh/hook-weight: \"-1\"\n", TRUE)),
        ("migrate", job("migrate", BOTH, "", A_WHILE)),
    ];
    let (mut world, first) = charted(&texts(&templates), "").await;
    runs(&world, "Job/migrate (pre-install, weight 0)").await;
    world.kill_agent();
    world.start_agent().await.unwrap();
    synced_to(&world, &first).await;
    assert_eq!((jobs(&world, "first"), jobs(&world, "migrate"), value(&world, "a").as_deref()), (1, 1, Some("one")));
}

#[tokio::test]
async fn a_hook_has_a_deadline_and_is_not_begun_again_while_it_runs() {
    let slow = job("migrate", BOTH, "", FOR_EVER);
    let more = "[application.environment.helm]\nhook_timeout = \"1s\"\n";
    let (world, first) = charted(&[("a", &config_map("a", "one")), ("migrate", &slow)], more).await;
    let status = failed(&world, &first).await;
    let begin =
        "Job/migrate (apps/shop/templates/migrate.yaml): pre-install hook is not done after 1 s: running: 1 active";
    assert!(status.message.starts_with(begin), "{}", status.message);
    assert_eq!(status.hint, "read its log: kubectl -n shop logs job/migrate, or raise hook_timeout");
    let again = |app: &EnvironmentStatus| {
        app.last_sync.as_ref().is_some_and(|sync| sync.id > status.last_sync.as_ref().unwrap().id)
    };
    world.wait_for("another try", "shop", again).await.unwrap();
    assert_eq!((jobs(&world, "migrate"), value(&world, "a")), (1, None));
}

#[tokio::test]
async fn a_hook_that_takes_long_holds_up_no_other_environment() {
    let mut world = world().await;
    commit(&world, &[("migrate", &job("migrate", BOTH, "", FOR_EVER)), ("a", &config_map("a", "one"))], "A chart");
    let beside = deploy(&world).commit("main", &[("apps/till/a.yaml", &config_map("a", "one"))], "Another application");
    let address = world.forge.path("ops/deploy").display().to_string();
    let both = ["shop", "till"].map(|name| application(name, &address, "")).concat();
    let head = world.config_head("a test").replace("[agent]", "[agent]\nmax_concurrent_syncs = 1");
    world.configure(&(head + &both)).unwrap();
    let path = harness::helm::install(&world.path("")).unwrap();
    world.set("PATH", path);
    world.start_agent().await.unwrap();
    runs(&world, "Job/migrate (pre-install, weight 0)").await;
    let done = |app: &EnvironmentStatus| app.sync == SyncStatus::Synced && is_at(app, &beside);
    world.wait_for("the other one to be synced", "till", done).await.unwrap();
    runs(&world, "Job/migrate (pre-install, weight 0)").await;
}

#[tokio::test]
async fn a_person_sees_the_hooks_of_a_plan_and_runs_them_once() {
    let manual = "[application.environment.sync]\nautomatic = false\n";
    let migrate = |command: &str| job("migrate", "pre-install,pre-upgrade,pre-rollback", "", command);
    let (world, first) = charted(&[("a", &config_map("a", "one")), ("migrate", &migrate(TRUE))], manual).await;
    let lists = |what: &'static str, commit: String| {
        move |app: &EnvironmentStatus| {
            app.message == what && app.target.as_ref().is_some_and(|target| target.commit.as_str() == commit)
        }
    };
    let waits = "differs from git, and automatic sync is off";
    world.wait_for("it to wait", "shop", lists(waits, first.clone())).await.unwrap();
    let plan = diff(&world).await;
    let step = plan.steps.iter().find(|step| step.action == StepAction::Hook).unwrap();
    assert_eq!(step.to_string(), "run hook Job/migrate (pre-install, weight 0); wait until completed, 300 s at most");
    assert_eq!((step.wait, step.hook.as_ref().unwrap().phase.as_str()), (Wait::Completed, "pre-install"));
    assert_eq!(plan.summary(), "1 to create, 1 hook to run");
    assert_eq!(jobs(&world, "migrate"), 0, "nobody asked yet");
    ask(&world, "sync", json!({})).await;
    synced_to(&world, &first).await;
    let plan = diff(&world).await;
    assert_eq!((plan.differs(), plan.summary().as_str()), (false, "1 unchanged"));

    // Nothing but a hook changes: it is a difference all the same.
    let second = commit(&world, &[("migrate", &migrate("[\"sh\", \"-c\", \"exit 0\"]"))], "Another migration");
    let waiting = |app: &EnvironmentStatus| app.sync == SyncStatus::OutOfSync && app.message.starts_with(waits);
    world.wait_for("the hook to wait", "shop", waiting).await.unwrap();
    assert_eq!((diff(&world).await.summary().as_str(), jobs(&world, "migrate")), ("1 unchanged, 1 hook to run", 1));
    ask(&world, "sync", json!({})).await;
    synced_to(&world, &second).await;
    assert_eq!(jobs(&world, "migrate"), 2);

    ask(&world, "rollback", json!({ "reason": "a test" })).await;
    let status = synced_to(&world, &first).await;
    assert_eq!(jobs(&world, "migrate"), 3);
    assert_eq!(status.last_sync.unwrap().message, "1 hook done, 1 unchanged");
    let annotation =
        world.cluster.get("jobs.batch", "shop", "migrate").unwrap()["metadata"]["annotations"]["quarterdeck.dev/hook"]
            .to_string();
    assert!(annotation.starts_with("\"shop/prod pre-rollback "), "{annotation}");
}

#[tokio::test]
async fn a_chart_may_be_deployed_without_its_hooks_and_nothing_else_is_taken_for_one() {
    let templates = [("a", config_map("a", "one")), ("migrate", job("migrate", BOTH, "", TRUE))];
    let skips = "[application.environment.helm]\nskip_hooks = true\n";
    let (world, first) = charted(&texts(&templates), skips).await;
    synced_to(&world, &first).await;
    assert!(!exists(&world, "jobs.batch", "migrate"));
    let mut plain: Value = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "shop"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": format!("{}/busybox:1", world::EVERYWHERE)}]}}},
    });
    world.cluster.put(plain.take()).unwrap();

    // They run from the next change on; what somebody else made under that name is left alone.
    let address = world.forge.path("ops/deploy").display().to_string();
    world.configure(&(world.config_head("a test") + &application("shop", &address, ""))).unwrap();
    world.reload_agent();
    let second = commit(&world, &[("a", &config_map("a", "two"))], "Another value");
    let status = failed(&world, &second).await;
    assert!(
        status.message.contains("pre-upgrade hook cannot be run: it exists and is not a hook"),
        "{}",
        status.message
    );
    assert_eq!(status.hint, "delete it, or rename the hook");
    world.cluster.delete("jobs.batch", "shop", "migrate").unwrap();
    synced_to(&world, &second).await;
    assert_eq!(value(&world, "a").as_deref(), Some("two"));
}
