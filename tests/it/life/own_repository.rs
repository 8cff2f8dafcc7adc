//! A repository of one's own: git itself pushes through the forced command of a key, as sshd would run it, and what it pushes is
//! noticed without a poll. sshd alone is stood in for, by a script of a few lines: it encrypts nothing and asks for no key.

use std::ffi::OsStr;
use std::process::Output;

use harness::agent::is_at;
use harness::git::{CLIENT, SshKey, write_program};
use quarterdeck_shared::snapshot::RunStatus;
use quarterdeck_shared::status::Phase;
use serde_json::Value;

use super::*;

/// The program that stands for `qd-agent` here, with its word `agent`.
const PROGRAM: &str = env!("CARGO_BIN_EXE_playground");

/// A key for the repositories of a world, with these options.
fn key(world: &World, options: &[&str]) -> SshKey {
    let home = world.path("home");
    std::fs::create_dir_all(&home).unwrap();
    // Hooks for all repositories, as some have: ours are run all the same.
    std::fs::write(home.join(".gitconfig"), "[core]\n\thooksPath = /nowhere\n").unwrap();
    let config = world.path("config.toml");
    let mut forced: Vec<&OsStr> = [PROGRAM, "agent", "repo", "serve", "--config"].map(OsStr::new).into();
    forced.push(config.as_os_str());
    forced.extend(options.iter().map(OsStr::new));
    SshKey::new(world.path(&format!("ssh-{}", options.len())), &home, &forced).unwrap()
}

/// Runs `git` in a person's repository with a key; whether it succeeded, and what it said.
fn git(key: &SshKey, repo: &Repo, arguments: &[&str]) -> (bool, String) {
    said(key.git(repo.path(), arguments))
}

/// The same of `qd-agent repo`.
fn repo(world: &World, arguments: &[&str]) -> (bool, String) {
    said(world.agent_command().arg("repo").args(arguments).output())
}

fn said(output: std::io::Result<Output>) -> (bool, String) {
    let Output { status, stdout, stderr } = output.unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// A shop whose code is in a repository of one's own, and its manifests in another; each is polled once an hour. The agent does
/// not run, the manifests are pushed and the code is not.
async fn own_shop() -> (World, SshKey) {
    let world = shop().await;
    let relative = world.application("shop", "");
    // However it is written: one relative and roundabout, the other as a URL.
    let spelled =
        |text: String, old: &str, new: String| text.replacen(&world.forge.path(old).display().to_string(), &new, 1);
    let relative = spelled(relative, "ops/shop", "data/../data/repositories/shop.git".to_owned());
    let url = format!("file://{}", world.path("data/repositories/team/deploy.git").display());
    let application = spelled(relative, "ops/deploy", url);
    world.configure(&(world.config_head("a test").replacen("500ms", "1h", 1) + &application)).unwrap();
    for name in ["shop", "team/deploy"] {
        let (created, text) = repo(&world, &["create", name]);
        let path = world.path(&format!("data/repositories/{name}.git"));
        assert!(created && text.contains(&format!("repository = \"{}\"", path.display())), "{text}");
        assert!(text.contains(",restrict ssh-ed25519 AAAA…\n"), "{text}");
    }
    let alice = key(&world, &["--user", "alice"]);
    let (pushed, text) = git(&alice, &deploy(&world), &["push", "ssh://git@host/team/deploy.git", "main"]);
    assert!(pushed, "{text}");
    (world, alice)
}

async fn polled(world: &World) {
    let polled = |state: &State| repositories(state).iter().filter(|one| one.polled.is_some()).count() == 2;
    world.wait("the first polls", |state| polled(state).then_some(())).await.unwrap();
}

async fn succeeded(world: &World, tag: &str) -> RunStatus {
    let is_it = |run: &RunStatus| run.reference == tag && run.phase == Phase::Succeeded;
    world.wait_run(&format!("the success of {tag}"), is_it).await.unwrap()
}

#[tokio::test]
async fn a_push_is_delivered_without_a_poll() {
    let (mut world, alice) = own_shop().await;
    world.start_agent().await.unwrap();
    polled(&world).await;
    code(&world).tag("push-1.4.0", "main");
    let (pushed, text) = git(&alice, &code(&world), &["push", "git@host:shop.git", "main", "push-1.4.0"]);
    assert!(pushed && text.contains("remote: quarterdeck: polled now"), "{text}");
    // The agent's own push of the promotion meets the hook of the other repository, and is no different.
    let run = succeeded(&world, "push-1.4.0").await;
    let promotion = harness::agent::promotion(&run).unwrap().to_string();
    synced_to(&world, &promotion).await;

    let log = world.path("data/repositories/shop.git/logs/refs/tags/push-1.4.0");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&format!(" alice <alice@{CLIENT}> ")), "{log}");
    // Tags of one push are decided together, whichever git writes first.
    let [older, newer] = ["1.9", "1.10"].map(|version| code(&world).commit("main", &[("app.txt", version)], version));
    code(&world).tag("push-1.10", &newer);
    code(&world).tag("push-1.9", &older);
    let (pushed, text) = git(&alice, &code(&world), &["push", "ssh://git@host/shop", "push-1.10", "push-1.9"]);
    assert!(pushed, "{text}");
    let (last, first) = (succeeded(&world, "push-1.10").await, succeeded(&world, "push-1.9").await);
    assert!(first.id < last.id && !first.promoted.is_empty() && !last.promoted.is_empty(), "{first:?} {last:?}");
    let newest = harness::agent::promotion(&last).unwrap().to_string();
    world.wait_for("the newest", "shop", |app| is_at(app, &newest)).await.unwrap();
}

#[tokio::test]
async fn a_push_is_accepted_whatever_becomes_of_the_agent() {
    let (mut world, alice) = own_shop().await;
    let push = |tag: &str| {
        code(&world).tag(tag, "main");
        let (pushed, text) = git(&alice, &code(&world), &["push", "ssh://git@host/shop.git", "main", tag]);
        assert!(pushed, "{text}");
        text
    };
    let text = push("build-1");
    assert!(
        text.contains("remote: quarterdeck: the agent is not running; it will see this push when it starts"),
        "{text}"
    );
    // A configuration that is half written stops no push either, where the agent's table can be read.
    let config = std::fs::read_to_string(world.path("config.toml")).unwrap();
    world.configure(&(config.clone() + "\n[[application]]\nnames = \"half\"\n")).unwrap();
    push("other-1");
    world.configure(&config).unwrap();
    world.start_agent().await.unwrap();
    succeeded(&world, "build-1").await;

    // The program is gone from where it was: it is found by its name, or the hook says that it is not.
    let hook = world.path("data/repositories/shop.git/hooks/post-receive");
    let text = std::fs::read_to_string(&hook).unwrap();
    std::fs::write(&hook, text.replace(PROGRAM, "/nowhere/qd-agent")).unwrap();
    let push = |tag: &str| {
        code(&world).tag(tag, "main");
        git(&alice, &code(&world), &["push", "ssh://git@host/shop.git", tag])
    };
    let (pushed, text) = push("other-2");
    assert!(pushed && text.contains("remote: quarterdeck: qd-agent is not installed where this hook looks"), "{text}");
    let by_name = format!("#!/bin/sh\nexec '{PROGRAM}' agent \"$@\"\n");
    write_program(&world.path("home/bin/qd-agent"), &by_name).unwrap();
    let (pushed, text) = push("build-2");
    assert!(pushed && text.contains("remote: quarterdeck: polled now"), "{text}");
    succeeded(&world, "build-2").await;

    // One that no application uses is no failure.
    assert!(repo(&world, &["create", "spare"]).0);
    let (pushed, text) = git(&alice, &code(&world), &["push", "ssh://git@host/spare.git", "main"]);
    assert!(pushed && text.contains("remote: quarterdeck: no application of the agent uses this repository"), "{text}");
}

#[tokio::test]
async fn a_key_may_do_what_its_line_says_and_nothing_else() {
    let (world, alice) = own_shop().await;
    let code = code(&world);
    let (reader, team) = (key(&world, &["--read-only"]), key(&world, &["--user", "bob", "--repository", "team/*"]));
    assert!(git(&alice, &code, &["push", "ssh://git@host/shop.git", "main"]).0);
    let refs = || std::fs::read_to_string(world.path("data/repositories/shop.git/refs/heads/main")).unwrap();
    let before = refs();
    for (key, arguments, answer) in [
        (&reader, &["ls-remote", "ssh://git@host/shop.git"][..], Ok("refs/heads/main")),
        (&reader, &["archive", "--remote", "git@host:shop.git", "--format=tar", "main", "app.txt"], Ok("app.txt")),
        (
            &reader,
            &["push", "ssh://git@host/shop.git", "main:new"],
            Err("qd-agent: this key may read repository shop, but not push to it\nhint: ask "),
        ),
        (&team, &["ls-remote", "ssh://git@host/team/deploy"], Ok("refs/heads/main")),
        (&team, &["ls-remote", "ssh://git@host/shop"], Err("qd-agent: this key may not use repository shop\n")),
        (&team, &["push", "ssh://git@host/shop", ":main"], Err("qd-agent: this key may not use repository shop\n")),
        (&team, &["ls-remote", "ssh://git@host/none"], Err("qd-agent: this key may not use repository none\n")),
        (&alice, &["ls-remote", "ssh://git@host/none"], Err("qd-agent: repository none does not exist\n")),
        (&alice, &["ls-remote", "ssh://git@host/../agent.git"], Err("it contains `..`\nhint: names consist of ")),
        (&alice, &["ls-remote", "ssh://git@host/shop.git/hooks"], Err("a part of it ends with `.git`\n")),
        (
            &alice,
            &["ls-remote", "ssh://git@host/it's"],
            Err("invalid name of a repository `it's`: it contains '\\''\n"),
        ),
        (&alice, &["ls-remote", "--upload-pack=id;", "ssh://git@host/shop"], Err("qd-agent: this key is for git only")),
    ] {
        let (succeeded, text) = git(key, &code, arguments);
        let wanted = answer.unwrap_or_else(|wanted| wanted);
        assert_eq!(succeeded, answer.is_ok(), "{arguments:?}: {text}");
        assert!(text.contains(wanted), "{arguments:?}: {text}");
    }
    for command in ["", "id", "sh -c id", "git-upload-pack '/shop.git'; id", "git-receive-pack shop.git"] {
        let (served, text) = said(alice.ask(command));
        assert!(!served && text.starts_with("qd-agent: ") && !text.contains("uid="), "{command}: {text}");
    }
    assert_eq!(refs(), before);
}

#[tokio::test]
async fn a_repository_that_is_used_or_holds_something_is_not_deleted_by_mistake() {
    let (world, alice) = own_shop().await;
    assert!(git(&alice, &code(&world), &["push", "ssh://git@host/shop.git", "main"]).0);
    let (again, text) = repo(&world, &["create", "shop.git"]);
    assert!(!again && text.starts_with("qd-agent: repository shop exists: "), "{text}");
    for (name, user) in [("shop", "shop"), ("team/deploy", "shop/prod")] {
        let (deleted, text) = repo(&world, &["rm", "--force", name]);
        assert!(
            !deleted && text.starts_with(&format!("qd-agent: repository {name} is used by {user}\nhint: ")),
            "{text}"
        );
    }
    assert!(repo(&world, &["create", "team/spare"]).0);
    assert!(git(&alice, &code(&world), &["push", "ssh://git@host/team/spare.git", "main", "main:two"]).0);
    let (deleted, text) = repo(&world, &["rm", "team/spare"]);
    assert!(!deleted && text.contains("repository team/spare has 2 branches, tags and other refs\nhint: "), "{text}");

    let (_, text) = repo(&world, &["list", "-o", "json"]);
    let listed: Value = serde_json::from_str(&text).unwrap();
    let line = |one: &Value| (one["name"].to_string(), one["refs"].as_u64().unwrap(), one["used_by"].to_string());
    let lines: Vec<_> = listed.as_array().unwrap().iter().map(line).collect();
    let wanted = [("shop", 1, "[\"shop\"]"), ("team/deploy", 1, "[\"shop/prod\"]"), ("team/spare", 2, "[]")];
    assert_eq!(lines, wanted.map(|(name, refs, users)| (format!("\"{name}\""), refs, users.to_owned())));
    assert!(listed[2]["pushed"].is_string() && listed[2]["bytes"].as_u64() > Some(0), "{text}");

    let path = world.path("data/repositories/team/spare.git");
    assert_eq!(repo(&world, &["path", "team/spare"]), (true, format!("{}\n", path.display())));
    assert!(repo(&world, &["rm", "--force", "team/spare"]).0 && !path.exists());
    let (found, text) = repo(&world, &["path", "team/spare"]);
    assert!(!found && text.starts_with("qd-agent: repository team/spare does not exist\nhint: "), "{text}");
    let (_, text) = repo(&world, &["list"]);
    assert!(text.starts_with("NAME ") && text.lines().count() == 3, "{text}");
}
