//! A promotion on its way to the branch: pushed, raced, refused.

use harness::git::Fault;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{GitError, GitErrorKind, PushOutcome, Target};
use quarterdeck_shared::error::Failure;

use super::{Way, World, ann, edit, id, on};

#[tokio::test]
async fn a_commit_reaches_the_branch_by_every_way() {
    for way in [Way::Path, Way::Http, Way::Ssh] {
        let world = World::new().await;
        let shop = world.forge.repo("ops/shop");
        let base = shop.change("main").write("a.yaml", "a: 1\n").executable("run.sh", "#!/bin/sh\n").commit("first");
        let mirror = world.mirror(way);
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
        let time = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        let old = id(&base);
        let make = move |mirror: &Mirror| {
            let edits = [edit("a.yaml", "a: 2\n"), edit("run.sh", "#!/bin/sh\ntrue\n"), edit("deep/new.yaml", "n\n")];
            mirror.commit_edits(&old, &edits, &ann(), "Promote shop\n\nTo 1.4.0\n", time).unwrap()
        };
        let (one, two) = (on(&mirror, make.clone()).await, on(&mirror, make).await);
        assert_eq!(one, two, "the same edits give the same commit");
        let (old, new) = (id(&base), one.clone());
        let pushed = on(&mirror, move |mirror| mirror.push("main", &old, &new)).await.unwrap();
        assert_eq!(pushed, PushOutcome::Pushed, "{way:?}");
        assert_eq!(shop.rev("main"), one.as_str(), "{way:?}");
        assert_eq!(shop.file("main", "a.yaml") + &shop.file("main", "deep/new.yaml"), "a: 2\nn\n");
        assert!(shop.git(&["ls-tree", "main", "run.sh"]).starts_with("100755"), "the executable bit stays");
        assert_eq!(shop.subjects("main"), ["Promote shop", "first"]);
        shop.git(&["fsck", "--strict"]);
        assert_eq!(on(&mirror, |mirror| mirror.resolve(&Target::Branch("main".into()), None)).await.unwrap(), one);

        // Somebody else was faster: nothing moves, and the answer says where the branch is.
        let theirs = shop.commit("main", &[("b.yaml", "b\n")], "theirs");
        let (old, base) = (one.clone(), one.clone());
        let new =
            on(&mirror, move |mirror| mirror.commit_edits(&base, &[edit("a.yaml", "a: 3\n")], &ann(), "late", time))
                .await
                .unwrap();
        let raced = on(&mirror, move |mirror| mirror.push("main", &old, &new)).await.unwrap();
        assert_eq!(raced, PushOutcome::Raced { now: Some(id(&theirs)) }, "{way:?}");
        assert_eq!(shop.rev("main"), theirs);
    }
}

#[tokio::test]
async fn a_forge_refuses_a_push_in_its_own_words() {
    for way in [Way::Path, Way::Http, Way::Ssh] {
        let world = World::new().await;
        let shop = world.forge.repo("ops/shop");
        let base = shop.commit("main", &[("a.yaml", "a: 1\n")], "first");
        shop.protect("refs/heads/main");
        let mirror = world.mirror(way);
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
        let error = on(&mirror, move |mirror| {
            let time = jiff::Timestamp::UNIX_EPOCH;
            let new = mirror.commit_edits(&id(&base), &[edit("a.yaml", "a: 2\n")], &ann(), "late", time).unwrap();
            mirror.push("main", &id(&base), &new).unwrap_err()
        })
        .await;
        assert_eq!(error.kind(), GitErrorKind::Rejected, "{error}");
        assert!(error.to_string().contains("GitForge: refs/heads/main is protected."), "{way:?}: {error}");
    }
}

/// An archived project answers 403 to whoever it is: other credentials would not help.
#[tokio::test]
async fn a_push_that_is_refused_for_the_forges_own_reasons_blames_no_credentials() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let base = shop.commit("main", &[("a.yaml", "a: 1\n")], "first");
    let mirror = world.mirror(Way::Http);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    for (words, kind) in [
        ("This repository was archived so it is read-only.", GitErrorKind::Rejected),
        ("You may not push here.", GitErrorKind::Credentials),
    ] {
        world.forge.http_fault(Fault::Status(403, words.into()));
        let base = id(&base);
        let error = on(&mirror, move |mirror| {
            let time = jiff::Timestamp::UNIX_EPOCH;
            let new = mirror.commit_edits(&base, &[edit("a.yaml", "a: 2\n")], &ann(), "late", time).unwrap();
            mirror.push("main", &base, &new).unwrap_err()
        })
        .await;
        assert_eq!(error.kind(), kind, "{error}");
        let (told, blames) = (Failure::of(&error).to_string(), kind == GitErrorKind::Credentials);
        assert!(told.contains(words) && told.contains("check the credentials") == blames, "{told}");
    }
}

#[tokio::test]
async fn edits_that_git_would_choke_on_are_refused() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let base = shop.change("main").write("dir/file", "x").symlink("link", "dir/file").commit("first");
    let mirror = world.mirror(Way::Path);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    on(&mirror, move |mirror| {
        for path in ["", "/a", "a/../b", "a//b", ".git/config", "a/.GIT/x", "dir", "link", "a\nb"] {
            let made = mirror.commit_edits(&id(&base), &[edit(path, "")], &ann(), "bad", jiff::Timestamp::UNIX_EPOCH);
            assert!(matches!(made, Err(GitError::BadEdit { .. })), "{path:?}: {made:?}");
        }
    })
    .await;
}
