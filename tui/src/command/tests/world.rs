//! The world that the transcripts are of: applications as an operator meets them, most with one environment, one with two,
//! one with none; and an agent's answers.

use serde_json::{Value, json};

use crate::standin::Reply;

pub(super) const NOW: &str = "2026-11-23T12:05:00Z";

const MAIN: &str = "main@sha1:1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";
const OLD: &str = "main@sha1:e4b1c77de4b1c77de4b1c77de4b1c77de4b1c77d";
const CODE: &str = "9b1e77d09b1e77d09b1e77d09b1e77d09b1e77d0";
const IMAGE: &str =
    "registry.example/ops/shop:1.4.0@sha256:5f91f7625f91f7625f91f7625f91f7625f91f7625f91f7625f91f7625f91f762";

/// What the stand-in answers.
pub(super) fn answer(asked: &str) -> Reply {
    let (asked, _) = asked.split_once(" {").unwrap_or((asked, ""));
    let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
    match path {
        "GET /v1/version" => Reply::json(&version()),
        "GET /v1/state" => Reply::json(&state()),
        "GET /v1/runs" => Reply::json(&match query {
            _ if query.contains("before=k7x2m-17") => json!([]),
            _ if query.contains("limit=5") || query.contains("before=18") => json!([run()]),
            _ => json!([running(), run()]),
        }),
        "GET /v1/runs/17" | "GET /v1/runs/k7x2m-17" => Reply::json(&run()),
        "GET /v1/runs/17/packages" => Reply::json(&crate::model::fixture::packages()),
        "GET /v1/runs/18/packages" => Reply::json(&json!([])),
        "GET /v1/runs/18/log" => Reply::records(&Vec::<Value>::new()),
        "GET /v1/runs/17/log" => Reply::records(&run_log()),
        "GET /v1/events" if query.contains("limit=2") => Reply::json(&json!(events()[..2])),
        "GET /v1/events" => Reply::json(&events()),
        "GET /v1/doctor" => Reply::json(&checks()),
        "GET /v1/gc" => Reply::json(&unneeded()),
        "POST /v1/gc/delete" => accepted("what is no longer needed will be deleted"),
        "GET /v1/environments/shop/diff" => Reply::json(&diff()),
        "GET /v1/environments/search/diff" => Reply::json(&no_diff()),
        "GET /v1/environments/shop/adoption" => Reply::json(&adoption()),
        "GET /v1/environments/search/adoption" => {
            Reply::json(&with(adoption(), json!({"objects": [], "holders": [], "unseen": []})))
        }
        "GET /v1/environments/till/adoption" => {
            let refusal = "ConfigMap/flags in namespace prod belongs to environment shop/prod";
            Reply::json(&with(adoption(), json!({"environment": "till/prod", "refusals": [refusal]})))
        }
        "GET /v1/environments/shop/history" => Reply::json(&json!([sync(42, MAIN), sync(41, OLD)])),
        "GET /v1/environments/shop/images" => Reply::json(&json!([
            {"image": IMAGE, "state": "missing"},
            {"image": "registry.example/ops/worker:1", "state": "unknown", "reason": "registry.example is unreachable"},
        ])),
        "GET /v1/environments/search/history" => Reply::json(&json!([])),
        "GET /v1/environments/shop/logs" => Reply::records(&pod_log()),
        "GET /v1/environments/shop/manifests" => Reply::json(&json!({
            "revision": MAIN,
            "yaml": "kind: ConfigMap\ndata:\n  a: \"b\"\n---\nkind: Secret\ndata:\n  password: '***'\n",
        })),
        "POST /v1/applications/shop/build" | "POST /v1/applications/shop/push" => {
            Reply::json(&json!({"message": "run 19 of shop is queued", "run": "k7x2m-19"}))
        }
        "POST /v1/environments/shop/rollback" => {
            Reply::json(&json!({"message": "shop goes back to e4b1c77", "revision": OLD, "after_sync": "k7x2m-42"}))
        }
        "POST /v1/environments/locked/sync" => {
            Reply::error(403, "forbidden", "sync of locked requires role approver; bob has operator", "ask ops")
        }
        "POST /v1/environments/media/qa/resume" => {
            Reply::error(403, "forbidden", "resume requires role approver; bob has operator", "ask ops")
        }
        path if path.starts_with("POST /v1/environments/media/") && path.matches('/').count() == 5 => {
            let said = path.trim_start_matches("POST /v1/environments/");
            Reply::json(&json!({"message": format!("{said} taken"), "after_sync": "k7x2m-42"}))
        }
        path if path.contains("/v1/environments/media/") => Reply::error(
            409,
            "conflict",
            "media has 2 environments: media/qa, media/prod",
            "name one of them, as media/qa",
        ),
        path if path.starts_with("POST /v1/environments/shop/") || path == "POST /v1/applications/shop/refresh" => {
            Reply::json(
                &json!({"message": format!("shop: {} taken", path.rsplit('/').next().unwrap()), "after_sync": "k7x2m-42"}),
            )
        }
        "POST /v1/runs/18/cancel" => Reply::json(&json!({"message": "run 18 is told to stop"})),
        path => Reply::error(404, "not_found", &format!("nothing at {path}"), "qd status names what there is"),
    }
}

fn version() -> Value {
    json!({"wire": 1, "agent": "0.1.0", "pid": 4711, "started": "2026-11-20T12:00:00Z", "history": "k7x2m",
        "role": "operator"})
}

/// A state of these objects.
pub(super) fn state_of(revision: u64, objects: &[Value]) -> Value {
    let key = |object: &Value| {
        let object: quarterdeck_shared::snapshot::Object = serde_json::from_value(object.clone()).unwrap();
        object.key().to_string()
    };
    let objects: serde_json::Map<String, Value> = objects.iter().map(|object| (key(object), object.clone())).collect();
    json!({"revision": revision, "epoch": "e1", "objects": objects})
}

pub(super) fn empty() -> Value {
    state_of(1, &[agent(json!({}))])
}

/// The value with these fields changed.
pub(super) fn with(mut value: Value, changed: Value) -> Value {
    value.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    value
}

fn agent(changed: Value) -> Value {
    let agent = json!({
        "kind": "Agent", "version": "0.1.0", "host": "deck", "pid": 4711, "started": "2026-11-20T12:00:00Z",
        "configuration": "/home/alice/.config/quarterdeck/config.toml",
    });
    with(agent, changed)
}

fn state() -> Value {
    let banner = json!({
        "banner": "a playground: the cluster is a stand-in",
        "configuration_error": "line 7: unknown field `nmae`, did you mean `name`?",
        "history_error": "cannot write to the history database, no changes were made: the disk is full; free some disk",
    });
    state_of(
        7,
        &[
            agent(banner),
            application(
                "shop",
                &["prod"],
                json!({"last": {"what": "push", "phase": "Succeeded", "at": "2026-11-23T12:04:40Z"}}),
            ),
            application("cart", &["prod"], json!({})),
            application("search", &["prod"], json!({})),
            application("billing", &["prod"], json!({})),
            application("media", &["qa", "prod"], json!({"artifact": artifact("media", &["media", "media-worker"])})),
            application(
                "tools",
                &[],
                json!({"artifact": artifact("tools", &["tools"]),
                "last": {"what": "build", "phase": "Failed", "at": "2026-11-23T12:00:00Z"}}),
            ),
            shop(),
            cart(),
            search(),
            billing(),
            environment("media/qa", json!({})),
            environment("media/prod", json!({"health": "Missing", "message": "Deployment/media: not in the cluster"})),
            resource("Deployment", "Progressing", "2 of 3 updated"),
            resource("Service", "Healthy", ":80 → 3 endpoints"),
            pod("shop", "shop-7b46-x9k", "ContainerCreating", "Progressing", "", false),
            pod("shop", "shop-7b46-p2m", "Running", "Healthy", "", true),
            pod(
                "cart",
                "cart-6d5f-l8w",
                "CrashLoopBackOff",
                "Degraded",
                "exit 1, \"missing DATABASE_URL\" \u{1b}[31m",
                false,
            ),
            with(run(), json!({"kind": "Run"})),
            with(running(), json!({"kind": "Run"})),
        ],
    )
}

/// A state in which something cannot be seen: a watch of `shop`, the cluster of `cart`, the repository of all.
pub(super) fn blind() -> Value {
    let unseen = |of: &str, what: &str, reason: &str| json!({"of": of, "what": what, "reason": reason, "last_seen": "2026-11-23T12:04:20Z"});
    let known = json!({"sync": "Synced", "health": "Healthy"});
    let watch = |what: &str| unseen("watch", what, "forbidden");
    let repository = "ssh://git@forge/ops/deploy.git";
    let not_watched = json!({
        "health": "Unknown", "message": "ConfigMaps in namespace shop not watched: forbidden", "last_known": known,
        "unseen": [watch("ConfigMaps in namespace shop"), watch("pods in namespace shop")],
    });
    let refused = unseen("cluster", "cluster w1", "connection refused");
    let away = json!({
        "sync": "Unknown", "health": "Unknown", "message": "cluster w1 cannot be observed: connection refused",
        "last_known": known, "unseen": [refused],
    });
    let mut cart = environment("cart/prod", away);
    cart["spec"]["cluster"] = json!("w1");
    let not_read = json!({
        "message": format!("repository {repository} cannot be read: it was not found"),
        "unseen": [unseen("repository", &format!("repository {repository}"), "it was not found")],
    });
    let config = json!({
        "kind": "Resource", "environment": "shop/prod", "sync": "Synced", "health": "Healthy",
        "resource": {"group": "", "kind": "ConfigMap", "namespace": "shop", "name": "flags"},
    });
    state_of(
        7,
        &[
            agent(json!({})),
            application("shop", &["prod"], json!({})),
            application("cart", &["prod"], json!({})),
            application("search", &["prod"], json!({})),
            environment("shop/prod", not_watched),
            cart,
            environment("search/prod", not_read),
            config,
            resource("Deployment", "Healthy", "2/2"),
            pod("shop", "shop-7b46-p2m", "Running", "Healthy", "", true),
            json!({"kind": "Connection", "to": "cluster", "name": "w1", "reachable": false, "version": "",
                "error": "connection refused", "since": "2026-11-23T12:04:20Z"}),
            json!({"kind": "Connection", "to": "cluster", "name": "prod", "reachable": true, "version": "v1.35.4",
                "since": "2026-11-20T12:00:00Z"}),
            json!({"kind": "Repository", "address": repository, "polled": "2026-11-23T12:01:00Z", "branches": 1,
                "tags": 0, "error": "it was not found", "failures": 8}),
        ],
    )
}

/// An application with these environments; the caller says what is particular.
pub(super) fn application(name: &str, environments: &[&str], changed: Value) -> Value {
    let application = json!({
        "kind": "Application", "name": name, "environments": environments,
        "code": format!("ssh://git@forge/ops/{name}.git"), "images": [format!("registry.example/ops/{name}")],
    });
    with(application, changed)
}

/// An environment; the caller says what is particular.
pub(super) fn environment(address: &str, changed: Value) -> Value {
    let (name, _) = address.split_once('/').unwrap();
    let environment = json!({
        "kind": "Environment", "environment": address, "sync": "Synced", "health": "Healthy", "revision": MAIN,
        "images": [format!("registry.example/ops/{name}:3.0.2")], "suspended": false, "message": "",
        "since": "2026-11-21T12:00:00Z", "target": MAIN, "drifted": 0, "resources": 12,
        "spec": {
            "repository": "ssh://git@forge/ops/deploy.git", "path": format!("apps/{name}"),
            "cluster": "prod", "namespace": name, "automatic": true, "prune": true, "self_heal": true,
        },
    });
    with(environment, changed)
}

/// The images of a commit, pushed.
fn artifact(application: &str, images: &[&str]) -> Value {
    let image = |name: &&str| {
        json!({"name": format!("registry.example/ops/{name}"), "id": "sha256:aa",
            "digest": IMAGE.split('@').nth(1).unwrap()})
    };
    json!({"application": application, "commit": CODE, "tag": "1.4.0", "built": "2026-11-23T12:04:31Z",
        "images": images.iter().map(image).collect::<Vec<_>>()})
}

fn shop() -> Value {
    environment(
        "shop/prod",
        json!({
            "health": "Progressing", "since": "2026-11-23T12:04:48Z", "images": ["docker.io/library/redis:7", IMAGE],
            "message": "Deployment/shop: 2 of 3 updated", "last_sync": sync(42, MAIN),
        }),
    )
}

fn cart() -> Value {
    environment(
        "cart/prod",
        json!({
            "health": "Degraded", "since": "2026-11-23T12:01:00Z",
            "message": "CrashLoopBackOff in cart-6d5f-l8w: exit 1, \"missing DATABASE_URL\"",
            "last": {"what": "sync", "phase": "Failed", "at": "2026-11-23T12:00:58Z"},
        }),
    )
}

fn search() -> Value {
    environment(
        "search/prod",
        json!({
            "sync": "OutOfSync", "revision": null, "images": [], "progress": {"step": "planning", "objects": 12}, "drifted": 1,
        }),
    )
}

fn billing() -> Value {
    let cause = json!({"by": "person", "uid": 1000, "name": "alice"});
    environment(
        "billing/prod",
        json!({
            "suspended": true, "revision": OLD.replace("main", "pin"), "since": "2026-11-17T12:00:00Z",
            "suspension": {"reason": "moving house\u{202e}", "cause": cause, "at": "2026-11-17T12:00:00Z"},
            "pin": {"revision": OLD, "reason": "", "cause": cause, "at": "2026-11-16T12:00:00Z"},
        }),
    )
}

pub(super) fn sync(id: u64, revision: &str) -> Value {
    json!({
        "id": format!("k7x2m-{id}"), "environment": "shop/prod", "revision": revision, "cause": {"by": "commit", "revision": revision},
        "phase": "Succeeded", "started": "2026-11-23T12:04:42Z", "finished": "2026-11-23T12:04:44.500Z",
        "message": "2 configured, 9 unchanged", "images": [IMAGE],
    })
}

fn resource(kind: &str, health: &str, summary: &str) -> Value {
    json!({
        "kind": "Resource", "environment": "shop/prod", "sync": "Synced", "health": health, "summary": summary,
        "resource": {"group": "", "kind": kind, "namespace": "prod", "name": "shop"},
    })
}

fn pod(application: &str, name: &str, status: &str, health: &str, message: &str, ready: bool) -> Value {
    json!({
        "kind": "Pod", "environment": format!("{application}/prod"), "cluster": "prod", "namespace": application, "name": name,
        "status": status, "health": health, "message": message, "node": "node1", "ip": "10.0.0.7",
        "created": "2026-11-23T12:04:00Z",
        "containers": [
            {"name": "init", "image": "busybox:1", "state": "terminated: exit 0", "ready": true, "restarts": 0, "init": true},
            {"name": "app", "image": format!("registry.example/ops/{application}:1.4.0"), "state": "running",
             "ready": ready, "restarts": if ready { 0 } else { 4 }},
        ],
    })
}

fn stage(kind: &str, phase: &str, message: &str) -> Value {
    json!({"kind": kind, "phase": phase, "message": message, "started": "2026-11-23T12:04:00Z"})
}

fn run() -> Value {
    let done = |kind, message| with(stage(kind, "Succeeded", message), json!({"finished": "2026-11-23T12:04:31Z"}));
    let promoted = |environment| with(done("promote", "1f3c2a9"), json!({"environment": environment}));
    let commit = MAIN.rsplit(':').next().unwrap();
    json!({
        "id": "k7x2m-17", "application": "shop", "goal": "push", "reference": "push-1.4.0", "commit": CODE,
        "cause": {"by": "tag", "tag": "push-1.4.0", "commit": CODE}, "subject": "Faster search", "phase": "Succeeded",
        "stages": [done("checkout", ""), done("build", ""), done("push", "sha256:5f91f762"), done("scan", "1 critical"), promoted("qa"), promoted("prod")],
        "queued": "2026-11-23T12:03:58Z", "started": "2026-11-23T12:04:00Z", "finished": "2026-11-23T12:05:02Z",
        "message": "pushed 1.4.0",
        "scans": [scan()],
        "promoted": {"prod": commit, "qa": commit}, "artifact": artifact("shop", &["shop", "shop-worker"]),
    })
}

fn scan() -> Value {
    let count =
        |severity: &str, total: u32, fixable: u32| json!({"severity": severity, "total": total, "fixable": fixable});
    let found = |id: &str, severity: &str, package: &str| json!({"id": id, "severity": severity, "package": package, "version": "3.0.1"});
    let accepted = json!({"fixed_in": "3.0.2", "accepted": "not reachable: the parser is not used"});
    json!({
        "name": "registry.example/ops/shop", "digest": "sha256:5f91f762", "by": "harbor", "scanner": "Trivy v0.58.1",
        "scanned": "2026-11-23T12:04:40Z", "accepted": 1,
        "counts": [count("critical", 1, 1), count("medium", 30, 2), count("unknown", 1, 0)],
        "vulnerabilities": [
            with(found("CVE-2026-9", "unknown", "odd\u{202e}"), json!({"severity_word": "Important"})),
            with(found("CVE-2026-1", "critical", "openssl"), accepted),
            found("CVE-2026-2", "medium", "zlib"),
        ],
    })
}

fn running() -> Value {
    json!({
        "id": "k7x2m-18", "application": "cart", "goal": "build", "reference": "build-2.2.0", "commit": CODE,
        "cause": {"by": "person", "uid": 1000, "name": "alice"}, "subject": "Try again", "phase": "Running",
        "stages": [
            stage("checkout", "Succeeded", ""),
            with(stage("build", "Running", "step 3 of 7"), json!({"percent": 43})),
        ],
        "queued": "2026-11-23T12:04:00Z", "started": "2026-11-23T12:04:01Z",
    })
}

fn run_log() -> Vec<Value> {
    vec![
        json!({"type": "line", "at": "2026-11-23T12:04:01Z", "from": "build", "text": "#1 [1/2] FROM scratch"}),
        json!({"type": "line", "at": "2026-11-23T12:04:01Z", "from": "build", "text": "#1 CACHED"}),
        json!({"type": "line", "at": "2026-11-23T12:04:01Z", "from": "build", "text": "#2 [2/2] RUN \u{1b}[31mmake"}),
        json!({"type": "line", "at": "2026-11-23T12:04:09Z", "from": "build", "text": "#2 cc -c main.c"}),
        json!({"type": "line", "at": "2026-11-23T12:05:13Z", "from": "build", "text": "#2 DONE 72.4s"}),
        json!({"type": "line", "from": "push", "text": "pushed \u{1b}[2J"}),
        json!({"type": "gap", "reason": "the log was cut at 10 MB"}),
    ]
}

fn pod_log() -> Vec<Value> {
    vec![
        json!({"type": "notice", "text": "shop-7b46-x9k joined"}),
        json!({"type": "line", "at": "2026-11-23T12:04:31.5Z", "from": "shop-7b46-x9k/app", "text": "listening on :8080"}),
        json!({"type": "gap", "lines": 214, "reason": "the reader was slower than the pods"}),
        json!({"type": "line", "from": "shop-7b46-p2m/app", "text": "\u{1b}]0;owned\u{7}GET /\t200"}),
    ]
}

/// Newest first.
fn events() -> Vec<Value> {
    let record = |id: u64, address: Option<&str>, cause: Value, event: Value| {
        let application = address.and_then(|address| address.split('/').next());
        let environment = address.and_then(|address| address.split('/').nth(1));
        json!({"id": format!("k7x2m-{id}"), "at": "2026-11-23T12:04:31Z", "application": application, "environment": environment,
            "cause": cause, "event": event})
    };
    let alice = json!({"by": "person", "uid": 1000, "name": "alice"});
    vec![
        record(9, Some("billing/prod"), alice, json!({"type": "suspended", "reason": "moving house"})),
        record(
            8,
            Some("shop/prod"),
            json!({"by": "agent"}),
            json!({"type": "sync_finished", "sync": "k7x2m-42", "phase": "Failed",
            "message": "Deployment/shop: spec.replicas: Invalid value: -1"}),
        ),
        record(
            7,
            Some("shop/qa"),
            json!({"by": "commit", "revision": MAIN}),
            json!({"type": "sync_started", "sync": "k7x2m-42",
            "revision": MAIN}),
        ),
        record(6, None, json!({"by": "agent"}), json!({"type": "agent_started", "version": "0.1.0", "interrupted": 2})),
    ]
}

fn change(action: &str, group: &str, kind: &str, name: &str, more: Value) -> Value {
    with(json!({"resource": named(group, kind, name), "action": action}), more)
}

fn named(group: &str, kind: &str, name: &str) -> Value {
    json!({"group": group, "kind": kind, "namespace": "prod", "name": name})
}

fn diff() -> Value {
    let deployment = json!({"fields": [
        {"path": "spec.replicas", "live": 5, "desired": 3, "manager": "kubectl-edit"},
        {"path": "spec.paused", "live": true},
    ]});
    let secret = json!({"fields": [{"path": "data.password", "live": "***", "desired": "*** (another)"}]});
    let sides = |live: Option<&str>, desired: Option<&str>| json!({"live": live, "desired": desired});
    json!({
        "environment": "shop/prod",
        "plan": {"revision": MAIN, "changes": [
            change("create", "", "ConfigMap", "flags", json!({})),
            change("configure", "", "Secret", "login", secret),
            change("configure", "apps", "Deployment", "shop", deployment),
            change("unchanged", "", "Service", "twin", json!({})),
            change("unchanged", "serving.example", "Service", "twin", json!({})),
            change("skip", "batch", "Job", "once", json!({"reason": "pruning is off"})),
            change("prune", "batch", "Job", "migrate-41", json!({"reason": "no longer in git"})),
        ], "steps": [
            {"action": "apply", "resources": [named("", "ConfigMap", "flags"), named("", "Secret", "login")],
             "wait": "none", "timeout_seconds": 0},
            {"action": "apply", "resources": [named("apps", "Deployment", "shop")], "wait": "none", "timeout_seconds": 0},
            {"action": "delete", "resources": [named("batch", "Job", "migrate-41")], "wait": "gone", "timeout_seconds": 3},
        ]},
        "objects": [
            change("create", "", "ConfigMap", "flags", sides(None, Some("kind: ConfigMap\ndata:\n  a: b\n"))),
            change("configure", "", "Secret", "login", sides(Some("password: ***\n"), Some("password: ***\n"))),
            change("configure", "apps", "Deployment", "shop", sides(
                Some("kind: Deployment\nspec:\n  paused: true\n  replicas: 5\n"),
                Some("kind: Deployment\nspec:\n  replicas: 3\n"),
            )),
            change("prune", "batch", "Job", "migrate-41", sides(Some("kind: Job\n"), None)),
        ],
    })
}

fn adoption() -> Value {
    let argo = "Argo CD Application argocd/shop";
    let object = |group: &str, kind: &str, name: &str, more: Value| {
        let by = json!([{"holder": argo, "sign": "annotation argocd.argoproj.io/tracking-id"}]);
        let own = json!({"resource": named(group, kind, name), "held_by": by, "managers": ["argocd-controller"], "labels": true,
            "inventory": true, "removes": ["annotation argocd.argoproj.io/tracking-id"], "differs": 0});
        with(own, more)
    };
    let done = json!({"managers": [], "labels": false, "inventory": false, "removes": [],
        "held_by": [{"holder": "Helm release prod/cache", "sign": "annotation meta.helm.sh/release-name"}]});
    let refused = json!({"differs": null, "problem": "check Job/migrate: spec.template is immutable"});
    json!({
        "environment": "shop/prod", "revision": MAIN,
        "objects": [
            object("", "ConfigMap", "flags", json!({})),
            object("apps", "Deployment", "shop", json!({"differs": 2})),
            object("batch", "Job", "migrate", refused),
            object("", "Service", "cache", done),
        ],
        "holders": [
            {"holder": argo, "does": ["syncs automatically, reverts what differs from its source"],
             "turn_off": ["kubectl -n argocd delete applications.argoproj.io shop"],
             "not_in_git": [named("", "ConfigMap", "old")], "more_not_in_git": 3},
            {"holder": "Helm release prod/cache", "does": ["does nothing by itself"], "turn_off": [], "not_in_git": [],
             "more_not_in_git": 0},
        ],
        "refusals": [], "free": 1, "missing": 2, "unseen": ["Flux Kustomization a/b: list refused"],
    })
}

fn no_diff() -> Value {
    json!({
        "environment": "search/prod",
        "plan": {"revision": MAIN, "changes": [change("unchanged", "", "Service", "search", json!({}))]},
        "objects": [],
    })
}

/// A state with images that are followed: one that is so, one that a person took back, one whose registry is away.
pub(super) fn followed() -> Value {
    let image = |application: &str, image: &str, changed: Value| {
        let followed = json!({
            "kind": "FollowedImage", "application": application, "image": image, "policy": "semver >=6.0 <7", "tag": "6.9.1",
            "digest": format!("sha256:{}", "5f91f762".repeat(8)), "checked": "2026-11-23T12:04:18Z",
            "environments": {"prod": {"state": "current", "message": "6.9.1"}},
        });
        with(followed, changed)
    };
    let held = json!({"environments": {
        "prod": {"state": "held", "message": "6.9.1 was promoted by 1f3c2a9 and reverted"},
        "qa": {"state": "current", "message": "6.9.1"},
    }});
    let away = json!({
        "error": "the registry ghcr.io is unreachable: connection refused", "hint": "", "tag": null, "checked": null,
        "environments": {}, "policy": "newest main-*",
    });
    state_of(
        7,
        &[
            agent(json!({})),
            application("shop", &["prod"], json!({})),
            application("cart", &["prod"], json!({})),
            image("shop", "docker.io/library/redis", json!({})),
            image("shop", "ghcr.io/stefanprodan/podinfo", held),
            image("cart", "ghcr.io/vendor/cart", away),
        ],
    )
}

/// A state with sources of applications: one that is in force, one of which a newer commit is wrong.
pub(super) fn with_sources() -> Value {
    let source = |name: &str, changed: Value| {
        let source = json!({
            "kind": "ApplicationSource", "name": name, "repository": "ssh://git@forge/ops/fleet.git", "branch": "main",
            "commit": "4f3c2a9d".repeat(5), "applications": 2, "since": "2026-11-23T11:04:18Z",
        });
        with(source, changed)
    };
    let wrong = "ssh://git@forge/ops/fleet.git@5f3c2a9:teams/cart.toml:7:1: unknown field `nmae`\n\
                 ssh://git@forge/ops/fleet.git@5f3c2a9:teams/web.toml:1:1: the file is not UTF-8";
    state_of(
        7,
        &[
            agent(json!({})),
            application("shop", &[], json!({"defined": {"source": "teams", "file": "teams/shop.toml"}})),
            source("teams", json!({})),
            source("web", json!({"error": wrong})),
            source("old", json!({"pruning": ["cart/qa", "cart/prod: the cluster does not answer"]})),
        ],
    )
}

/// A state whose configuration is in git, with a newest commit that is wrong.
pub(super) fn with_configuration_in_git() -> Value {
    let in_git = json!({
        "repository": "ssh://git@forge/ops/fleet.git", "path": "quarterdeck.toml", "commit": "4f3c2a9d".repeat(5), "signer": "alice@example.com",
        "files": ["quarterdeck.toml"], "since": "2026-11-23T11:04:18Z",
        "error": "ssh://git@forge/ops/fleet.git@5f3c2a9:quarterdeck.toml:7:1: unknown field `nmae`",
    });
    let shop = application("shop", &[], json!({"defined": {"file": "quarterdeck.toml"}}));
    state_of(7, &[agent(json!({"configuration_in_git": in_git})), shop])
}

fn unneeded() -> Value {
    let image = |tag: &str, commit: &str, at: &str, kept: Option<&str>| {
        let name = format!("registry.example/ops/shop:{tag}");
        let commit = commit.repeat(40);
        json!({"kind": "image", "name": name, "application": "shop", "commit": commit, "at": at, "bytes": 71_400_000, "kept": kept})
    };
    json!({
        "items": [
            image("1.2.0", "a", "2026-07-01T12:00:00Z", None),
            image("main", "b", "2026-07-02T12:00:00Z", None),
            {"kind": "mirror", "name": "forge.example-ops-old-1f", "at": "2026-06-01T12:00:00Z", "bytes": 2_300_000_000_u64},
            image("1.4.0", "c", "2026-07-03T12:00:00Z", Some("an environment runs it, or ran it before")),
        ],
        "problems": [{"name": "engine", "result": "bad", "message": "cannot be reached"}],
    })
}

fn checks() -> Value {
    json!([
        {"name": "engine", "result": "good", "message": "Docker 28.2.2"},
        {"name": "registry registry.example", "result": "warning", "message": "no login", "hint": "docker login registry.example"},
        {"name": "cluster prod", "result": "bad", "message": "connection refused", "hint": "is the VPN up?"},
    ])
}

fn accepted(message: &str) -> Reply {
    Reply::json(&json!({ "message": message }))
}
