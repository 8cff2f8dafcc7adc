//! What the mirror sees, and what seeing costs.

use harness::git::{Counted, Repo};
use quarterdeck_git::mirror::{Mirror, Named};
use quarterdeck_git::{EntryMode, GitError, GitErrorKind, PushOutcome, Remote, Target};

use super::{Way, World, ann, edit, id, on};

/// What `qd diff`, `qd build`, `qd push` and `qd rollback` take: one rule for all of them.
#[tokio::test]
async fn a_person_names_a_tag_a_branch_or_a_commit_by_its_first_digits() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let first = shop.commit("main", &[("a", "1\n")], "first");
    let second = shop.commit("main", &[("a", "2\n")], "second");
    let blob = shop.git(&["rev-parse", "main:a"]);
    shop.tag("v1", &first);
    shop.tag("main", &first);
    shop.branch("feature", &second);
    let mirror = world.mirror(Way::Path);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    let listed = refs.clone();
    on(&mirror, move |mirror| mirror.fetch(&listed)).await.unwrap();
    for (text, expected) in [
        ("v1", Named::Reference(id(&first))),
        ("feature", Named::Reference(id(&second))),
        ("main", Named::Reference(id(&first))), // a tag comes before a branch, as for git
        (&first, Named::Commit(id(&first))),
        (&second[..7], Named::Commit(id(&second))),
        (&second[..12].to_uppercase(), Named::Commit(id(&second))),
        (&second[..6], Named::Missing),
        (&blob[..10], Named::Missing),
        ("0000000", Named::Missing),
        ("v2", Named::Missing),
        ("", Named::Missing),
    ] {
        let (asked, refs) = (text.to_owned(), refs.clone());
        let found = on(&mirror, move |mirror| mirror.named(Some(&refs), &asked)).await.unwrap();
        assert_eq!(found, expected, "{text}");
    }
}

#[tokio::test]
async fn merge_requests_are_listed_where_they_are_wanted_and_fetched_one_by_one() {
    for way in [Way::Path, Way::Http, Way::Ssh] {
        let world = World::new().await;
        let shop = world.forge.repo("ops/shop");
        let main = shop.commit("main", &[("a", "1\n")], "first");
        let of_merge_request = |name: &str, text: &str| {
            shop.branch("away", "main");
            let commit = shop.commit("away", &[("a", text)], text);
            shop.delete_branch("away");
            shop.git(&["update-ref", name, &commit]);
            commit
        };
        let seven = of_merge_request("refs/pull/7/head", "seven");
        let eight = of_merge_request("refs/merge-requests/8/head", "eight");
        shop.git(&["update-ref", "refs/pull/7/merge", &main]);
        shop.git(&["update-ref", "refs/pull/nine/head", &main]);

        let plain = on(&world.mirror(way), Mirror::list_refs).await.unwrap();
        assert_eq!((plain.branches.len(), plain.merge_requests), (1, None), "{way:?}");

        let remote = world.remote(way, world.access());
        let mirror = world.open(Remote { merge_requests: true, ..remote });
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        let listed = refs.merge_requests.clone().unwrap();
        let heads: Vec<_> = listed.iter().map(|(number, head)| (*number, &*head.name, head.commit.as_str())).collect();
        let wanted = [(7, "refs/pull/7/head", &*seven), (8, "refs/merge-requests/8/head", &*eight)];
        assert_eq!(heads, wanted, "{way:?}");

        let all = refs.clone();
        let outcome = on(&mirror, move |mirror| mirror.fetch(&all)).await.unwrap();
        assert_eq!(outcome.updated, ["refs/heads/main"], "{way:?}");
        let (commit, head) = (id(&seven), listed[&7].clone());
        let missing = on(&mirror, move |mirror| mirror.commit_info(&commit)).await.unwrap_err();
        assert_eq!(missing.kind(), GitErrorKind::NotFound, "{way:?}");
        on(&mirror, move |mirror| mirror.fetch_merge_request(&head)).await.unwrap();
        let commit = id(&seven);
        let info = on(&mirror, move |mirror| mirror.commit_info(&commit)).await.unwrap();
        assert_eq!(info.subject, "seven", "{way:?}");

        // Who asks for one gets it, listed or not, and as it is now.
        let (plain, again) = (world.mirror(way), of_merge_request("refs/pull/9/head", "nine"));
        for commit in [again, of_merge_request("refs/pull/9/head", "nine and a half")] {
            shop.git(&["update-ref", "refs/pull/9/head", &commit]);
            let found = on(&plain, |mirror| mirror.merge_request(9)).await.unwrap();
            assert_eq!(found, Some(id(&commit)), "{way:?}");
        }
        assert_eq!(on(&plain, |mirror| mirror.merge_request(8)).await.unwrap(), Some(id(&eight)), "{way:?}");
        shop.git(&["update-ref", "-d", "refs/pull/9/head"]);
        assert_eq!(on(&plain, |mirror| mirror.merge_request(9)).await.unwrap(), None, "{way:?}");

        // It stays for as long as it is listed.
        for (gone, pruned) in [(false, vec![]), (true, vec!["refs/pull/7/head"])] {
            if gone {
                shop.git(&["update-ref", "-d", "refs/pull/7/head"]);
            }
            let listing = on(&mirror, Mirror::list_refs).await.unwrap();
            let outcome = on(&mirror, move |mirror| mirror.fetch(&listing)).await.unwrap();
            assert_eq!(
                (outcome.updated.len(), outcome.pruned),
                (0, pruned.iter().map(|name| (*name).to_owned()).collect()),
                "{way:?}"
            );
        }
    }
}

#[tokio::test]
async fn every_way_in_tells_the_same_story() {
    for way in [Way::Path, Way::Http, Way::Ssh] {
        let world = World::new().await;
        let shop = world.forge.repo("ops/shop");
        let first = shop.commit("main", &[("Dockerfile", "FROM scratch\n"), ("apps/shop/a.yaml", "a: 1\n")], "first");
        shop.tag("build-1.0", &first);
        let tag_object = shop.annotated_tag("push/1.0", &first, "ship it");
        let mirror = world.mirror(way);

        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        assert_eq!(refs.default_branch.as_deref(), Some("main"), "{way:?}");
        assert_eq!(refs.branches["main"], id(&first), "{way:?}");
        assert_eq!(
            (refs.tags["build-1.0"].object.as_str(), &refs.tags["build-1.0"].commit),
            (&*first, &Some(id(&first)))
        );
        assert_eq!(
            (refs.tags["push/1.0"].object.as_str(), &refs.tags["push/1.0"].commit),
            (&*tag_object, &Some(id(&first))),
            "{way:?}"
        );
        let outcome = on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
        assert_eq!(outcome.updated, ["refs/heads/main", "refs/tags/build-1.0", "refs/tags/push/1.0"], "{way:?}");
        assert!(outcome.objects > 0);
        let head = on(&mirror, |mirror| mirror.resolve(&Target::Tag("push/1.0".into()), None)).await.unwrap();
        assert_eq!(head, id(&first));
        let (commit, tag) = (first.parse().unwrap(), tag_object.parse().unwrap());
        let (made, tagged) = on(&mirror, move |mirror| (mirror.time_of(&commit), mirror.time_of(&tag))).await;
        assert!(made.is_some() && made < tagged, "{made:?} {tagged:?}");

        // Forward, backward, moved, gone.
        shop.commit("main", &[("apps/shop/a.yaml", "a: 2\n")], "second");
        shop.branch("feature", "main");
        let listing = on(&mirror, Mirror::list_refs).await.unwrap();
        on(&mirror, move |mirror| mirror.fetch(&listing)).await.unwrap();
        shop.branch("main", &first);
        let rewritten = shop.commit("main", &[("apps/shop/a.yaml", "a: 3\n")], "instead");
        shop.tag("build-1.0", &rewritten);
        shop.delete_tag("push/1.0");
        shop.delete_branch("feature");
        shop.branch("feature/deep", &first);
        let listing = on(&mirror, Mirror::list_refs).await.unwrap();
        let again = listing.clone();
        let outcome = on(&mirror, move |mirror| mirror.fetch(&listing)).await.unwrap();
        assert_eq!(outcome.pruned, ["refs/heads/feature", "refs/tags/push/1.0"], "{way:?}");
        assert_eq!(outcome.updated, ["refs/heads/feature/deep", "refs/heads/main", "refs/tags/build-1.0"], "{way:?}");
        let main = on(&mirror, |mirror| mirror.resolve(&Target::Default, Some("main"))).await.unwrap();
        assert_eq!(main, id(&rewritten), "{way:?}");
        let log = on(&mirror, move |mirror| mirror.log(&main, 10, Some("apps/shop"))).await.unwrap();
        assert_eq!(log.iter().map(|commit| commit.subject.as_str()).collect::<Vec<_>>(), ["instead", "first"]);
        let (base, head, shop) = (id(&first), id(&rewritten), ["apps/shop".to_owned()]);
        for (head, base, most, count) in
            [(&head, &base, 9, 1), (&head, &base, 0, 0), (&base, &head, 9, 0), (&head, &head, 9, 0)]
        {
            let (head, base, shop) = (head.clone(), base.clone(), shop.clone());
            let ahead = on(&mirror, move |mirror| mirror.ahead(&head, &base, &shop, most)).await.unwrap();
            assert_eq!(ahead, count, "{way:?}");
        }
        let outcome = on(&mirror, move |mirror| mirror.fetch(&again)).await.unwrap();
        assert_eq!(outcome, Default::default(), "{way:?}");
    }
}

#[tokio::test]
async fn an_empty_repository_has_an_unborn_default_branch() {
    for way in [Way::Path, Way::Http, Way::Ssh] {
        let world = World::new().await;
        world.forge.repo("ops/shop");
        let mirror = world.mirror(way);
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        assert_eq!(
            (refs.branches.len(), refs.tags.len(), refs.default_branch.as_deref()),
            (0, 0, Some("main")),
            "{way:?}"
        );
        assert_eq!(on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap(), Default::default());
        let error = on(&mirror, |mirror| mirror.resolve(&Target::Default, Some("main"))).await.unwrap_err();
        assert_eq!(error.kind(), GitErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn polling_an_unchanged_repository_costs_one_request() {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    let mirror = world.mirror(Way::Http);
    for _ in 0..5 {
        on(&mirror, Mirror::list_refs).await.unwrap();
    }
    assert_eq!((world.forge.http_count(Counted::Advertisement), world.forge.http_count(Counted::UploadPack)), (1, 5));
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    let before = world.forge.http_count(Counted::All);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    assert_eq!(world.forge.http_count(Counted::All), before + 1, "a fetch of what is there asks for nothing");
}

#[tokio::test]
async fn trees_are_read_and_what_is_left_out_is_named() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let commit = shop
        .change("main")
        .write("apps/shop/deployment.yaml", "kind: Deployment\n")
        .executable("apps/shop/run.sh", "#!/bin/sh\n")
        .symlink("apps/shop/inside", "deployment.yaml")
        .symlink("apps/shop/outside", "../../secret")
        .write("apps/shop/README", "a")
        .write("apps/shop/readme", "b")
        .write(b"apps/shop/caf\xe9.yaml", "c")
        .submodule("apps/shop/lib", "1f3c2a9000000000000000000000000000000000")
        .write("secret", "s")
        .commit("all sorts");
    let mirror = world.mirror(Way::Path);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    on(&mirror, move |mirror| {
        let commit = id(&commit);
        let listing = mirror.entries(&commit, "/apps/./shop/").unwrap();
        let files: Vec<_> = listing.entries.iter().map(|entry| (entry.path.as_str(), entry.mode)).collect();
        assert_eq!(
            files,
            [
                ("apps/shop/README", EntryMode::File),
                ("apps/shop/deployment.yaml", EntryMode::File),
                ("apps/shop/inside", EntryMode::Symlink),
                ("apps/shop/lib", EntryMode::Submodule),
                ("apps/shop/outside", EntryMode::Symlink),
                ("apps/shop/readme", EntryMode::File),
                ("apps/shop/run.sh", EntryMode::Executable),
            ]
        );
        assert_eq!(listing.unnameable, ["apps/shop/caf\\xe9.yaml"]);
        assert_eq!(mirror.blob(&listing.entries[1].id, 100).unwrap(), b"kind: Deployment\n");
        assert!(matches!(mirror.blob(&listing.entries[1].id, 5), Err(GitError::BlobTooBig { size: 17, limit: 5, .. })));
        assert_eq!(mirror.file(&commit, "secret", 10).unwrap().as_deref(), Some(&b"s"[..]));
        assert_eq!(mirror.file(&commit, "apps", 10).unwrap(), None);
        assert_eq!(mirror.tree_of(&commit, "apps/shop/").unwrap(), mirror.tree_of(&commit, "/apps/./shop").unwrap());
        assert_eq!(mirror.tree_of(&commit, "apps/none").unwrap(), None);
        assert_eq!(mirror.tree_of(&commit, "secret").unwrap(), None);
        let entry = |path: &str| mirror.entry(&commit, path).unwrap().map(|entry| (entry.path, entry.mode));
        assert_eq!(entry("/apps/./shop/run.sh"), Some(("apps/shop/run.sh".to_owned(), EntryMode::Executable)));
        assert_eq!(entry("apps/shop/outside"), Some(("apps/shop/outside".to_owned(), EntryMode::Symlink)));
        assert_eq!(entry("apps/shop/lib"), Some(("apps/shop/lib".to_owned(), EntryMode::Submodule)));
        for nothing in ["apps/shop", "", "apps/none", "secret/below"] {
            assert_eq!(entry(nothing), None, "{nothing}");
        }
        let info = mirror.commit_info(&commit).unwrap();
        assert_eq!(
            (info.subject.as_str(), info.author.as_str(), info.author_email.as_str()),
            ("all sorts", "Ann", "ann@example.org")
        );
        assert_eq!(Some(info.tree), mirror.tree_of(&commit, "").unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_agent_left_is_cleared_and_packs_are_packed_up() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let mirror = world.mirror(Way::Path);
    for n in 0..52 {
        shop.commit("main", &[("a", &n.to_string())], "more");
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    }
    let packs = || {
        let entries = std::fs::read_dir(mirror.dir().join("objects/pack")).unwrap().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "pack")).count()
    };
    assert_eq!(packs(), 52);
    assert!(on(&mirror, Mirror::maintain).await.unwrap());
    assert!(!on(&mirror, Mirror::maintain).await.unwrap());
    assert_eq!(packs(), 1);
    // The same handle goes on reading and fetching.
    let commit = id(&shop.commit("main", &[("a", "last")], "last"));
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    assert_eq!(on(&mirror, move |mirror| mirror.log(&commit, 100, None)).await.unwrap().len(), 53);

    let remote = mirror.remote().clone();
    std::fs::write(mirror.dir().join("packed-refs.lock"), "").unwrap();
    std::fs::create_dir_all(mirror.dir().join("refs/heads/deep")).unwrap();
    std::fs::write(mirror.dir().join("refs/heads/deep/x.lock"), "").unwrap();
    let half = mirror.dir().join("objects/pack/.tmpAbCdEf");
    std::fs::write(&half, "PACK").unwrap();
    drop(mirror);
    shop.commit("main", &[("a", "after")], "after");
    shop.commit("deep/x", &[("a", "deep")], "deep");
    let mirror = world.open(remote);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    let outcome = on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    assert_eq!(outcome.updated, ["refs/heads/deep/x", "refs/heads/main"]);
    assert!(!half.exists(), "half a pack is cleared away");
}

#[tokio::test]
async fn a_repository_that_counts_in_sha_256_is_mirrored_and_pushed_to() {
    for way in [Way::Path, Way::Http, Way::Ssh] {
        let world = World::new().await;
        let shop = Repo::init_sha256(world.forge.path("ops/shop"));
        let base = shop.commit("main", &[("a", "1")], "first");
        assert_eq!(base.len(), 64);
        let mirror = world.mirror(way);
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
        let pushed = on(&mirror, move |mirror| {
            let new = mirror.commit_edits(&id(&base), &[edit("a", "2")], &ann(), "two", jiff::Timestamp::UNIX_EPOCH)?;
            mirror.push("main", &id(&base), &new)
        });
        assert_eq!(pushed.await.unwrap(), PushOutcome::Pushed, "{way:?}");
        assert_eq!(shop.file("main", "a"), "2");
    }
}
