//! Mirrors that are damaged on this machine: made anew by themselves, and never taken for trouble of the forge.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{GitError, GitErrorKind, RefSnapshot, Target};

use super::{Way, World, id, on};

/// What the agent does at each poll.
async fn poll(mirror: &Arc<Mirror>) -> Result<RefSnapshot, GitError> {
    on(mirror, |mirror| {
        mirror.heal()?;
        let refs = mirror.list_refs()?;
        mirror.fetch(&refs)?;
        Ok(refs)
    })
    .await
}

/// Each file in a folder of the mirror.
fn each(mirror: &Path, folder: &str, act: impl Fn(&Path)) {
    for file in std::fs::read_dir(mirror.join(folder)).unwrap().flatten() {
        act(&file.path());
    }
}

/// A file with other content, under the same name; what is mapped of the old one stays.
fn exchange(path: &Path, content: &str) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Makes loose objects of all packs.
fn unpack(mirror: &Path) {
    each(mirror, "objects/pack", |file| {
        let bytes = std::fs::read(file).unwrap();
        std::fs::remove_file(file).unwrap();
        if file.extension().is_some_and(|ending| ending == "pack") {
            let mut git = Command::new("git");
            git.arg("--git-dir").arg(mirror).args(["unpack-objects", "-q"]).stdin(Stdio::piped());
            let mut git = git.spawn().unwrap();
            git.stdin.take().unwrap().write_all(&bytes).unwrap();
            assert!(git.wait().unwrap().success());
        }
    });
}

/// Cuts each pack in half, as a disk does; the file is another, for what is mapped must stay.
pub(crate) fn cut_packs(mirror: &Path) {
    for pack in std::fs::read_dir(mirror.join("objects/pack")).unwrap().flatten() {
        let path = pack.path();
        if path.extension().is_some_and(|ending| ending == "pack") {
            let bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }
    }
}

type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 9] = [
    ("its folder is removed", |mirror| std::fs::remove_dir_all(mirror).unwrap()),
    ("its objects are removed", |mirror| std::fs::remove_dir_all(mirror.join("objects")).unwrap()),
    ("its packs are removed", |mirror| each(mirror, "objects/pack", |file| std::fs::remove_file(file).unwrap())),
    ("its packs' folder is removed", |mirror| std::fs::remove_dir_all(mirror.join("objects/pack")).unwrap()),
    ("its packs are cut", cut_packs),
    ("its indexes are cut", |mirror| {
        each(mirror, "objects/pack", |file| {
            if file.extension().is_some_and(|ending| ending == "idx") {
                exchange(file, "torn");
            }
        });
    }),
    ("its refs are garbage", |mirror| {
        exchange(&mirror.join("packed-refs"), "# pack-refs with: peeled\nnothing of a ref\n")
    }),
    ("its HEAD is empty", |mirror| exchange(&mirror.join("HEAD"), "")),
    ("its configuration is garbage", |mirror| exchange(&mirror.join("config"), "[core\n")),
];

#[tokio::test]
async fn a_damaged_mirror_is_made_anew_by_itself_and_no_forge_is_blamed() {
    for way in [Way::Path, Way::Http, Way::Ssh] {
        for (what, damage) in DAMAGES {
            for restarted in [false, true] {
                let world = World::new().await;
                let shop = world.forge.repo("ops/shop");
                let first = shop.commit("main", &[("apps/shop/a.yaml", "a: 1\n")], "first");
                shop.annotated_tag("push-1.0", &first, "ship it");
                let mut mirror = world.mirror(way);
                poll(&mirror).await.unwrap();
                damage(mirror.dir());
                if restarted {
                    let remote = mirror.remote().clone();
                    drop(mirror);
                    mirror = world.open(remote);
                }
                let second = shop.commit("main", &[("apps/shop/a.yaml", "a: 2\n")], "second");
                // The first poll may be the one that finds it, the next one may only clear a first doubt.
                let mut failures = Vec::new();
                while let Err(error) = poll(&mirror).await {
                    assert_eq!(error.kind(), GitErrorKind::Local, "{way:?}, {what}: {error}");
                    failures.push(error.to_string());
                    assert!(failures.len() < 3, "{way:?}, {what}: {failures:#?}");
                }
                for commit in [first, second] {
                    let listing = on(&mirror, move |mirror| mirror.entries(&id(&commit), "apps/shop")).await;
                    assert_eq!(listing.unwrap().entries.len(), 1, "{way:?}, {what}");
                }
            }
        }
    }
}

/// Who asks between the accident and the next poll is not told that the forge has no such branch: a run would fail for good.
#[tokio::test]
async fn nothing_is_said_to_be_gone_by_a_mirror_that_lost_it() {
    for (what, damage) in DAMAGES {
        let world = World::new().await;
        let shop = world.forge.repo("ops/shop");
        let commit = shop.commit("main", &[("apps/shop/a.yaml", "a: 1\n")], "first");
        let mirror = world.mirror(Way::Path);
        poll(&mirror).await.unwrap();
        damage(mirror.dir());
        let asked = on(&mirror, |mirror| mirror.resolve(&Target::Branch("main".to_owned()), None)).await;
        // What is still open is read all the same.
        match asked {
            Ok(found) => assert_eq!(found, id(&commit), "{what}"),
            Err(error) => assert_eq!(error.kind(), GitErrorKind::Local, "{what}: {error}"),
        }
        let error = on(&mirror, |mirror| mirror.resolve(&Target::Branch("none".to_owned()), None)).await.unwrap_err();
        // Without its HEAD it still has its refs, and knows what is not among them.
        let knows = what == "its HEAD is empty" && error.kind() == GitErrorKind::NotFound;
        assert!(knows || error.kind() == GitErrorKind::Local, "{what}: {error}");
    }
}

/// A lock that a killed `git gc` left is cleared; the mirror itself is well and stays.
#[tokio::test]
async fn a_left_lock_costs_one_failure_and_no_clone() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    shop.commit("main", &[("a", "1")], "first");
    let mirror = world.mirror(Way::Path);
    poll(&mirror).await.unwrap();
    std::fs::write(mirror.dir().join("packed-refs.lock"), "").unwrap();
    std::fs::write(mirror.dir().join("objects/marked"), "").unwrap();
    shop.commit("main", &[("a", "2")], "second");
    let error = poll(&mirror).await.unwrap_err();
    assert!(matches!(error, GitError::Mirror { .. }), "{error}");
    poll(&mirror).await.unwrap();
    assert!(mirror.dir().join("objects/marked").exists(), "the same mirror");
}

/// Damage that no look at a mirror finds shows when it is read. Until all is fetched again nothing is told to be gone.
#[tokio::test]
async fn what_cannot_be_read_is_fetched_anew_and_nothing_is_missed_meanwhile() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let commit = shop.commit("main", &[("apps/shop/a.yaml", "a: 1\n"), ("b", "2")], "first");
    let mirror = world.mirror(Way::Http);
    poll(&mirror).await.unwrap();
    // As a power cut leaves what was written last: the tree is empty.
    let tree = shop.rev("main:apps/shop");
    let loose = mirror.dir().join("objects").join(&tree[..2]);
    unpack(mirror.dir());
    exchange(&loose.join(&tree[2..]), "");
    let mut mirror = world.open(mirror.remote().clone());
    let read = async |mirror: &Arc<Mirror>| {
        let commit = commit.clone();
        on(mirror, move |mirror| mirror.entries(&id(&commit), "apps/shop")).await
    };
    for _ in 0..2 {
        let error = read(&mirror).await.unwrap_err();
        assert!(matches!(error, GitError::Mirror { .. }), "{error}");
        on(&mirror, Mirror::heal).await.unwrap();
    }
    // Also where the agent ends before all is fetched.
    for restarts in [false, true] {
        if restarts {
            mirror = world.open(mirror.remote().clone());
        }
        let error = read(&mirror).await.unwrap_err();
        assert!(matches!(error, GitError::Mirror { doing: "being fetched again", .. }), "{restarts}: {error}");
    }
    poll(&mirror).await.unwrap();
    assert_eq!(read(&mirror).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_mirror_is_made_anew_however_often_somebody_removes_it() {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    let mirror = world.mirror(Way::Http);
    poll(&mirror).await.unwrap();
    for _ in 0..3 {
        std::fs::remove_dir_all(mirror.dir()).unwrap();
        poll(&mirror).await.unwrap();
        assert!(mirror.dir().join("HEAD").exists());
    }
}

/// As after a folder that was removed while no agent ran: a run that is resumed before the first poll waits for it.
#[tokio::test]
async fn a_mirror_that_nothing_was_fetched_into_yet_says_nothing_of_the_remote() {
    let world = World::new().await;
    let shop = world.forge.repo("ops/shop");
    let commit = shop.commit("main", &[("apps/shop/a.yaml", "a: 1\n")], "first");
    let mirror = world.mirror(Way::Path);
    let read = async |commit: String| on(&mirror, move |mirror| mirror.entries(&id(&commit), "apps/shop")).await;
    let error = read(commit.clone()).await.unwrap_err();
    assert!(matches!(error, GitError::Mirror { doing: "being fetched again", .. }) && error.passes(), "{error}");
    poll(&mirror).await.unwrap();
    assert_eq!(read(commit).await.unwrap().entries.len(), 1);
    let error = read("1".repeat(40)).await.unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }) && !error.passes(), "{error}");
}
