//! Credentials: found, sent only where they may go, and told when they are dead.

use quarterdeck_shared::error::Failure;
use std::path::Path;

use harness::git::{Counted, Fault, SshFault};
use harness::tls::Authority;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_git::{GitError, GitErrorKind, PushOutcome, Remote, RepositoryConfig};

use super::{Way, World, ann, edit, id, list_error, on};

#[tokio::test]
async fn http_credentials_are_sent_at_once_and_a_dead_one_is_a_kind_of_its_own() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let base = shop.commit("main", &[("a", "1")], "first");
    world.forge.require_login("", "t0ken-s3cret");
    let token = world.data.path().join("token");
    std::fs::write(&token, "t0ken-s3cret\n").unwrap();

    let without = world.mirror(Way::Http);
    let error = list_error(&without).await;
    assert_eq!(error.kind(), GitErrorKind::Credentials);
    assert!(error.to_string().contains("401 Unauthorized: HTTP Basic: Access denied, and no credentials"), "{error}");
    drop(without);

    // While the push is under way, what everyone on the machine can read of every process is kept.
    let arguments = world.data.path().join("arguments");
    shop.hook(
        "pre-receive",
        &format!("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' > {}; exit 0", arguments.display()),
    );
    let access = RepositoryConfig { token_file: Some(token.clone()), ..world.access() };
    let mirror = world.open(world.remote(Way::Http, access));
    let before = world.forge.http_count(Counted::Unauthorized);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    let pushed = on(&mirror, move |mirror| {
        let new =
            mirror.commit_edits(&id(&base), &[edit("a", "2")], &ann(), "two", jiff::Timestamp::UNIX_EPOCH).unwrap();
        mirror.push("main", &id(&base), &new)
    });
    assert_eq!(pushed.await.unwrap(), PushOutcome::Pushed);
    assert_eq!(world.forge.http_count(Counted::Unauthorized), before, "nothing was tried without the token");
    let arguments = String::from_utf8_lossy(&std::fs::read(arguments).unwrap()).into_owned();
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, "git:t0ken-s3cret");
    assert!(arguments.contains("push --porcelain"), "the push itself is among the processes");
    assert!(!arguments.contains("t0ken-s3cret") && !arguments.contains(&encoded), "a secret is in an argument list");

    // The token is rotated on the forge, then in its file: no restart.
    world.forge.require_login("", "rotated-s3cret");
    let error = list_error(&mirror).await;
    assert_eq!(error.kind(), GitErrorKind::Credentials, "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    std::fs::write(&token, "rotated-s3cret\n").unwrap();
    on(&mirror, Mirror::list_refs).await.unwrap();

    world.forge.http_fault(Fault::Status(403, "Your IP is banned; you sent rotated-s3cret".into()));
    let error = list_error(&mirror).await;
    assert_eq!(error.kind(), GitErrorKind::Credentials);
    assert!(error.to_string().contains("403 Forbidden: Your IP is banned; you sent ***"), "{error}");
}

#[tokio::test]
async fn a_credential_helper_is_asked_once_and_told_what_became_of_it() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    shop.commit("main", &[("a", "1")], "first");
    world.forge.require_login("bot", "from-helper");
    let mirror = world.mirror(Way::Http);
    // The helper notes each call and gives what is in its file.
    let (calls, secret) = (world.data.path().join("calls"), world.data.path().join("secret"));
    std::fs::write(&secret, "from-helper").unwrap();
    let helper = format!(
        "!f() {{ cat >/dev/null; echo $1 >>{}; [ $1 = get ] && echo username=bot && echo password=$(cat {}); true; }}; f",
        calls.display(),
        secret.display()
    );
    let status = std::process::Command::new("git")
        .args(["config", "--file"])
        .arg(mirror.dir().join("config"))
        .args(["credential.helper", &helper])
        .status();
    assert!(status.unwrap().success());
    let called =
        || std::fs::read_to_string(&calls).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");

    for _ in 0..3 {
        on(&mirror, Mirror::list_refs).await.unwrap();
    }
    assert_eq!(called(), "get store");
    world.forge.require_login("bot", "renewed");
    let error = list_error(&mirror).await;
    assert_eq!(error.kind(), GitErrorKind::Credentials, "{error}");
    assert_eq!(called(), "get store erase get erase");
    std::fs::write(&secret, "renewed").unwrap();
    on(&mirror, Mirror::list_refs).await.unwrap();
    assert_eq!(called(), "get store erase get erase get store");
}

#[tokio::test]
async fn ssh_failures_are_told_in_words_that_help() {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    let mirror = world.mirror(Way::Ssh);
    for (fault, kind, words) in [
        (SshFault::Denied, GitErrorKind::Credentials, "Permission denied (publickey)"),
        (SshFault::UnknownHost, GitErrorKind::Credentials, "verify the key with the forge's administrator"),
        (SshFault::ChangedHost, GitErrorKind::Credentials, "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        (SshFault::Refused, GitErrorKind::Unreachable, "Connection refused"),
    ] {
        world.forge.ssh_fault(fault);
        let error = list_error(&mirror).await;
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert!(Failure::of(&error).to_string().contains(words), "{fault:?}: {error}");
    }
    world.forge.ssh_fault(SshFault::None);
    on(&mirror, Mirror::list_refs).await.unwrap();
    let gone = RepositoryUrl::parse(&world.forge.ssh("ops/none"), Path::new("/")).unwrap();
    let mirror = world.open(Remote { merge_requests: false, url: gone, access: world.access() });
    assert_eq!(list_error(&mirror).await.kind(), GitErrorKind::NotFound);
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told_by_every_way() {
    let world = World::new().await;
    for way in [Way::Path, Way::Http, Way::Ssh] {
        let error = list_error(&world.mirror(way)).await;
        assert_eq!(error.kind(), GitErrorKind::NotFound, "{way:?}: {error}");
    }
}

/// A company's authority is renewed: its new file is taken up without a restart, for listing, fetching and pushing.
#[tokio::test]
async fn the_file_of_a_private_authority_is_read_anew_when_it_changes() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let base = shop.commit("main", &[("a", "1")], "first");
    let (old, new) = (Authority::new("Old").unwrap(), Authority::new("New").unwrap());
    let file = world.data.path().join("ca.pem");
    let access = RepositoryConfig { ca_file: Some(file.clone()), ..world.access() };
    let url = RepositoryUrl::parse(&world.forge.https("ops/shop"), Path::new("/")).unwrap();
    let mirror = world.open(Remote { merge_requests: false, url, access });

    let error = list_error(&mirror).await.to_string();
    assert!(error.contains("ca.pem: No such file"), "{error}");
    std::fs::write(&file, "no certificate\n").unwrap();
    let error = list_error(&mirror).await.to_string();
    assert!(error.contains("ca.pem: it holds no certificate in PEM"), "{error}");

    std::fs::write(&file, old.pem()).unwrap();
    world.forge.secure(&old.sign("127.0.0.1").unwrap()).await.unwrap();
    on(&mirror, Mirror::list_refs).await.unwrap();
    world.forge.secure(&new.sign("127.0.0.1").unwrap()).await.unwrap();
    let error = list_error(&mirror).await;
    assert!(matches!(error, GitError::Certificate { .. }) && error.kind() == GitErrorKind::Unreachable, "{error}");
    std::fs::write(&file, new.pem()).unwrap();
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    let pushed = on(&mirror, {
        let base = id(&base);
        move |mirror| {
            let new =
                mirror.commit_edits(&base, &[edit("a", "2")], &ann(), "two", jiff::Timestamp::UNIX_EPOCH).unwrap();
            mirror.push("main", &base, &new)
        }
    });
    assert_eq!(pushed.await.unwrap(), PushOutcome::Pushed);
    world.forge.secure(&old.sign("127.0.0.1").unwrap()).await.unwrap();
    let error = on(&mirror, {
        let base = id(&shop.rev("main"));
        move |mirror| {
            let new =
                mirror.commit_edits(&base, &[edit("a", "3")], &ann(), "three", jiff::Timestamp::UNIX_EPOCH).unwrap();
            mirror.push("main", &base, &new).unwrap_err()
        }
    });
    let error = error.await;
    assert!(matches!(error, GitError::Certificate { .. }), "{error}");
    assert!(error.to_string().contains("certificate verification failed"), "{error}");
}
