//! What real repositories hold, and git takes: authors without brackets, tags of no commit, directories of others.

use harness::git::Repo;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{GitError, RefSnapshot, Target};
use quarterdeck_shared::error::Failure;

use super::{Way, World, id, on};

/// A commit as broken scripts wrote them; git takes it with `--literally` alone.
fn odd(shop: &Repo, author: &str) -> String {
    let (tree, parent) = (shop.rev("main^{tree}"), shop.rev("main"));
    let commit = format!(
        "tree {tree}\nparent {parent}\nauthor {author}\ncommitter Nobody <nobody@example.com> 1767225600 +0000\n\nodd\n"
    );
    let arguments = ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"];
    shop.git_raw(&arguments, commit.as_bytes()).trim().to_owned()
}

async fn fetched(mirror: &std::sync::Arc<Mirror>) -> RefSnapshot {
    on(mirror, |mirror| {
        let mut refs = mirror.list_refs()?;
        mirror.fetch(&refs)?;
        mirror.peel_known(&mut refs, None);
        Ok::<_, GitError>(refs)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn an_author_that_git_takes_stops_no_fetch_and_is_read_as_far_as_it_can_be() {
    for way in [Way::Path, Way::Http] {
        let world = World::new().await;
        let shop = world.forge.repo("ops/shop");
        shop.commit("main", &[("a", "1")], "first");
        let mirror = world.mirror(way);
        fetched(&mirror).await;
        let authors = [
            ("Nobody <nobody 1767225600 +0000", "Nobody"),
            ("Nobody 1767225600 +0000", "Nobody"),
            ("Nobody <nobody@example.com\n> 1767225600 +0000", "Nobody"),
            ("<> 0 +0000", ""),
        ];
        for (n, (author, name)) in authors.into_iter().enumerate() {
            let commit = odd(&shop, author);
            shop.tag(&format!("build-odd{n}"), &commit);
            let refs = fetched(&mirror).await;
            assert!(refs.tags.contains_key(&format!("build-odd{n}")));
            let info = on(&mirror, move |mirror| mirror.commit_info(&id(&commit))).await.unwrap();
            assert_eq!((info.author.as_str(), info.subject.as_str()), (name, "odd"), "{author}");
        }
        // Beside the tip of a branch: what follows is fetched, and alone.
        let commit = odd(&shop, "Nobody <nobody 1767225600 +0000");
        shop.branch("main", &commit);
        (0..3).for_each(|n| _ = shop.commit("main", &[("a", &format!("good {n}"))], "good"));
        fetched(&mirror).await;
        let next = shop.commit("main", &[("a", "next")], "next");
        let refs = on(&mirror, Mirror::list_refs).await.unwrap();
        let outcome = on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
        assert_eq!(outcome.objects, 3, "a commit, a tree and a file: {way:?}");
        let head = on(&mirror, |mirror| mirror.resolve(&Target::Branch("main".into()), None)).await.unwrap();
        assert_eq!(head, id(&next));
        let log = on(&mirror, move |mirror| mirror.log(&head, 10, Some("a"))).await.unwrap();
        assert_eq!(log.len(), 5, "{log:?}");
    }
}

#[tokio::test]
async fn a_tag_of_no_commit_triggers_nothing_and_stops_nothing() {
    for way in [Way::Path, Way::Http] {
        let world = World::new().await;
        let shop = world.forge.repo("ops/shop");
        let first = shop.commit("main", &[("a", "1")], "first");
        shop.annotated_tag("inner", &first, "inner");
        shop.annotated_tag("of-a-tag", "inner", "outer");
        shop.tag("tree", &shop.rev("main^{tree}"));
        shop.annotated_tag("blob", &shop.rev("main:a"), "a blob");
        let mirror = world.mirror(way);
        let refs = fetched(&mirror).await;
        let commits: Vec<(&str, bool)> = refs.tags.iter().map(|(name, tag)| (&**name, tag.commit.is_some())).collect();
        assert_eq!(commits, [("blob", false), ("inner", true), ("of-a-tag", true), ("tree", false)], "{way:?}");
        assert_eq!(refs.tags["of-a-tag"].commit, Some(id(&first)), "{way:?}");
        let known = refs.clone();
        let again = on(&mirror, move |mirror| {
            let mut refs = mirror.list_refs()?;
            mirror.peel_known(&mut refs, Some(&known));
            Ok::<_, GitError>(refs)
        });
        assert_eq!(again.await.unwrap(), refs, "what is settled is no news at the next poll");
    }
}

#[tokio::test]
#[ignore = "wants root, which alone can give a directory away; told by tests/real/run"]
async fn a_directory_of_another_user_is_told_with_what_to_do() {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    let path = world.forge.path("ops/shop");
    std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
    let mirror = world.mirror(Way::Path);
    let error = on(&mirror, |mirror| mirror.list_refs().and_then(|refs| mirror.fetch(&refs))).await.unwrap_err();
    assert!(matches!(error, GitError::Ownership { .. }), "{error}");
    let path = path.display();
    assert_eq!(
        Failure::of(&error).to_string(),
        format!(
            "git refuses to read {path}, which belongs to another user\nhint: run `git config --global --add safe.directory \
             {path}` as the user of the agent, or change its owner"
        )
    );
}
