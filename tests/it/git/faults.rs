//! Remotes that fail, hang, never end or lie.

use quarterdeck_shared::error::Failure;
use std::time::{Duration, Instant};

use harness::git::{Fault, SshFault};
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{GitError, GitErrorKind, Target};

use super::{Way, World, id, list_error, on};

#[tokio::test]
async fn an_http_server_that_fails_is_told_apart() {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    let mirror = world.mirror(Way::Http);
    on(&mirror, Mirror::list_refs).await.unwrap();
    for (fault, kind, words) in [
        (
            Fault::Status(500, "oops".into()),
            GitErrorKind::Unreachable,
            "the server answers 500 Internal Server Error: oops",
        ),
        (Fault::Status(429, "Retry later".into()), GitErrorKind::Unreachable, "429 Too Many Requests: Retry later"),
        (Fault::Status(404, "no".into()), GitErrorKind::NotFound, "there is no repository at http://127.0.0.1"),
        (Fault::Status(200, "<html>".into()), GitErrorKind::Unreachable, "did not answer as a git server"),
    ] {
        world.forge.http_fault(fault.clone());
        let error = list_error(&mirror).await;
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
    }
    // A name that git does not allow is left out, as `git fetch` leaves it out.
    for (name, shown) in [
        (&b"refs/heads/caf\xe9"[..], "refs/heads/caf\\xe9"),
        (b"refs/heads/../../etc/passwd", "refs/heads/../../etc/passwd"),
        (b"refs/tags/a\x1b[2Jb", "refs/tags/a\\u{1b}[2Jb"),
        (b"refs/heads/a.lock", "refs/heads/a.lock"),
    ] {
        world.forge.http_fault(Fault::RefName(name.into()));
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        assert_eq!(refs.skipped, [shown]);
    }

    world.forge.http_fault(Fault::None);
    world.forge.http_away().await;
    let error = list_error(&mirror).await;
    assert_eq!(error.kind(), GitErrorKind::Unreachable, "{error}");
    world.forge.http_back().await.unwrap();
    on(&mirror, Mirror::list_refs).await.unwrap();
}

#[tokio::test]
async fn what_never_ends_is_ended() {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    let limited = |way| {
        let mut remote = world.remote(way, world.access());
        remote.access.limits.list_time = Duration::from_secs(2);
        remote.access.limits.list_bytes = 32 << 10;
        remote
    };
    let http = world.open(limited(Way::Http));
    let ssh = world.open(limited(Way::Ssh));
    on(&http, Mirror::list_refs).await.unwrap();

    world.forge.http_fault(Fault::EndlessRefs);
    let error = list_error(&http).await;
    assert!(matches!(error, GitError::TooMuch { what: "bytes", option: Some("list_bytes"), .. }), "{error}");
    world.forge.ssh_fault(SshFault::Endless);
    assert_eq!(list_error(&ssh).await.kind(), GitErrorKind::Unreachable, "refs without a greeting are no git server");

    world.forge.http_fault(Fault::Hang);
    world.forge.ssh_fault(SshFault::Hang);
    for mirror in [&http, &ssh] {
        let begun = Instant::now();
        let error = list_error(mirror).await;
        assert!(matches!(error, GitError::TimedOut { doing: "the listing of refs", .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    world.forge.http_fault(Fault::None);
    world.forge.ssh_fault(SshFault::None);
    on(&http, Mirror::list_refs).await.unwrap();
    on(&ssh, Mirror::list_refs).await.unwrap();
}

#[tokio::test]
async fn too_many_refs_are_refused() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let commit = shop.commit("main", &[("a", "1")], "first");
    (0..10).for_each(|n| shop.tag(&format!("t{n}"), &commit));
    for way in [Way::Path, Way::Http] {
        let mut remote = world.remote(way, world.access());
        remote.access.limits.refs = 10;
        let error = list_error(&world.open(remote)).await;
        assert!(matches!(error, GitError::TooMuch { limit: 10, what: "refs", .. }), "{way:?}: {error}");
    }
}

#[tokio::test]
async fn a_torn_or_too_big_fetch_leaves_the_mirror_as_it_was() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let first = shop.commit("main", &[("a", "1")], "first");
    let mirror = world.mirror(Way::Http);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    shop.change("main").write("big", noise(200_000)).commit("big");
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    world.forge.http_fault(Fault::CutAfter(5000));
    let wanted = refs.clone();
    let error = on(&mirror, move |mirror| mirror.fetch(&wanted)).await.unwrap_err();
    assert_eq!(error.kind(), GitErrorKind::Unreachable, "{error}");
    let main = on(&mirror, |mirror| mirror.resolve(&Target::Branch("main".into()), None)).await.unwrap();
    assert_eq!(main, id(&first));
    world.forge.http_fault(Fault::None);
    drop(mirror);

    for (way, bytes, fine) in [(Way::Http, 50_000, false), (Way::Path, 50_000, false), (Way::Http, 1 << 20, true)] {
        let mut remote = world.remote(way, world.access());
        remote.access.limits.pack_bytes = bytes;
        let mirror = world.open(remote);
        let wanted = refs.clone();
        match on(&mirror, move |mirror| mirror.fetch(&wanted)).await {
            Ok(outcome) => assert!(fine && outcome.objects > 0),
            Err(GitError::TooMuch { option: Some("pack_bytes"), .. }) => assert!(!fine),
            Err(error) => panic!("{way:?}: {error}"),
        }
    }
}

/// Forty directories that each name the next one twice are a million million directories, in forty objects.
#[tokio::test]
async fn a_tree_that_names_itself_again_and_again_is_not_walked_to_its_end() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let mut tree = shop.git_raw(&["mktree"], b"").trim().to_owned();
    for _ in 0..40 {
        let twice = format!("040000 tree {tree}\ta\n040000 tree {tree}\tb\n");
        tree = shop.git_raw(&["mktree"], twice.as_bytes()).trim().to_owned();
    }
    let commit = shop.git_raw(&["commit-tree", &tree, "-m", "a bomb"], b"").trim().to_owned();
    shop.branch("main", &commit);
    let mirror = world.mirror(Way::Path);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    let error = on(&mirror, move |mirror| mirror.entries(&id(&commit), "").unwrap_err()).await;
    let words = "sent more than 200000 files and directories in one directory\nhint: raise `tree_entries` in [repository.limits]";
    assert!(Failure::of(&error).to_string().contains(words), "{error}");
}

/// A few kilobytes that unpack to far more than one object may have.
#[tokio::test]
async fn a_pack_bomb_claims_no_memory() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let first = shop.commit("main", &[("a", "1")], "first");
    let zeros = vec![0; 64 << 20];
    let bomb = shop.change("main").write("zeros", &zeros).commit("a bomb");
    shop.branch("main", &first);
    for way in [Way::Path, Way::Http] {
        let mut remote = world.remote(way, world.access());
        remote.access.limits.object_bytes = 1 << 20;
        let mirror = world.open(remote);
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
        shop.branch("main", &bomb);
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        let error = on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap_err();
        let words = "sent more than 1048576 bytes in one object\nhint: raise `object_bytes` in [repository.limits]";
        assert!(
            Failure::of(&error).to_string().contains(words) && error.kind() == GitErrorKind::Refused,
            "{way:?}: {error}"
        );
        let main = on(&mirror, |mirror| mirror.resolve(&Target::Branch("main".into()), None)).await.unwrap();
        assert_eq!(main, id(&first), "{way:?}: the mirror stays as it was");
        shop.branch("main", &first);
    }
}

/// A server that falls silent in the middle of a pack is left, and the mirror stays as it was.
#[tokio::test]
async fn a_fetch_that_stalls_is_ended() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let first = shop.commit("main", &[("a", "1")], "first");
    let mut remote = world.remote(Way::Http, world.access());
    remote.access.limits.stall_time = Duration::from_secs(2);
    let mirror = world.open(remote);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    shop.change("main").write("big", noise(200_000)).commit("big");
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    world.forge.http_fault(Fault::SilentAfter(5000));
    let begun = Instant::now();
    let error = on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap_err();
    assert!(error.to_string().contains("the fetch") && error.kind() == GitErrorKind::Unreachable, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let main = on(&mirror, |mirror| mirror.resolve(&Target::Branch("main".into()), None)).await.unwrap();
    assert_eq!(main, id(&first));
}

/// Bytes that do not compress (xorshift).
fn noise(bytes: usize) -> Vec<u8> {
    let next = |x: &u64| [13, -7, 17].iter().fold(*x, |x, by| if *by > 0 { x ^ (x << by) } else { x ^ (x >> -by) });
    std::iter::successors(Some(88_172_645_463_325_252), |x| Some(next(x))).map(|x| x as u8).take(bytes).collect()
}

#[tokio::test]
async fn an_interrupt_ends_a_listing_that_hangs() {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    world.forge.ssh_fault(SshFault::Hang);
    let mirror = world.mirror(Way::Ssh);
    let listing = tokio::spawn({
        let mirror = mirror.clone();
        async move { list_error(&mirror).await }
    });
    while world.forge.ssh_count() == 0 {
        tokio::task::yield_now().await;
    }
    mirror.interrupt();
    let error = listing.await.unwrap();
    assert!(matches!(error, GitError::Interrupted { .. }), "{error}");
}
