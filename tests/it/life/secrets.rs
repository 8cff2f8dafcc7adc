//! A secret that the agent holds is nowhere that people look: not in its log at its most talkative, not in an answer,
//! not in what it keeps.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::world::runs;
use quarterdeck_shared::status::Phase;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// The registry's password is the world's; the others are planted here.
const PLANTED: [&str; 5] =
    ["robot-secret-4711", "token-in-address-4712", "manifest-secret-4713", "build-argument-4714", "live-secret-4715"];

#[tokio::test]
async fn a_planted_secret_is_seen_nowhere() {
    let mut world = shop().await;
    let [_, token, secret, argument, live] = PLANTED;
    world.forge.require_login("robot", token);
    std::fs::write(world.path("argument"), argument).unwrap();
    let address = world.forge.http("ops/shop").replace("http://", &format!("http://robot:{token}@"));
    let path = world.forge.path("ops/shop").display().to_string();
    let built =
        format!("[application.build]\nargs = {{ TOKEN = {{ file = \"{}\" }} }}\n", world.path("argument").display());
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
    let dockerfile = "FROM busybox:1\nARG TOKEN\nCOPY app.txt /srv/app.txt\nRUN echo $TOKEN\nCMD [\"/bin/sh\"]\n";
    let commit = code(&world).commit("main", &[("Dockerfile", dockerfile)], "With an argument");
    code(&world).tag("push-1.4.0", &commit);
    world.start_agent().await.unwrap();
    let run = world.wait_run("the push", |run| run.phase.is_final()).await.unwrap();
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    synced_to(&world, &deploy(&world).rev("main")).await;
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
    kept(&world.path("data"), &mut seen);
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
