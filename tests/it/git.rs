//! The mirror of a repository against real git, by each way in: what it sees, what it costs, and what it refuses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::git::{Counted, Fault, Forge, SshFault};
use quarterdeck_agent::source::git::Mirror;
use quarterdeck_agent::source::url::RepositoryUrl;
use quarterdeck_agent::source::{
    Author, CommitId, EntryMode, FileEdit, GitError, GitErrorKind, PushOutcome, Remote, RepositoryConfig, Target,
    TreeProblem,
};

/// A way into a forge.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Path,
    Http,
    Ssh,
}

/// A forge with `ops/shop` and a place for mirrors.
struct World {
    forge: Forge,
    data: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self { forge: Forge::start().await.unwrap(), data: tempfile::tempdir().unwrap() }
    }

    fn address(&self, way: Way) -> String {
        match way {
            Way::Path => self.forge.path("ops/shop").display().to_string(),
            Way::Http => self.forge.http("ops/shop"),
            Way::Ssh => self.forge.ssh("ops/shop"),
        }
    }

    fn access(&self) -> RepositoryConfig {
        RepositoryConfig { ssh_program: Some(self.forge.ssh_program().into()), ..Default::default() }
    }

    fn remote(&self, way: Way, access: RepositoryConfig) -> Remote {
        let url = RepositoryUrl::parse(&self.address(way), Path::new("/")).unwrap();
        Remote { url, access, limits: Default::default() }
    }

    fn dir(&self, remote: &Remote) -> PathBuf {
        self.data.path().join("mirrors").join(remote.url.mirror_name())
    }

    fn open(&self, remote: Remote) -> Arc<Mirror> {
        Arc::new(Mirror::open_or_init(self.dir(&remote), remote).unwrap())
    }

    fn mirror(&self, way: Way) -> Arc<Mirror> {
        self.open(self.remote(way, self.access()))
    }
}

/// Runs a blocking call of a mirror as the agent does.
async fn on<T: Send + 'static>(mirror: &Arc<Mirror>, call: impl FnOnce(&Mirror) -> T + Send + 'static) -> T {
    let mirror = mirror.clone();
    tokio::task::spawn_blocking(move || call(&mirror)).await.unwrap()
}

async fn list_error(mirror: &Arc<Mirror>) -> GitError {
    on(mirror, Mirror::list_refs).await.expect_err("the listing fails")
}

fn id(text: &str) -> CommitId {
    text.parse().unwrap()
}

fn ann() -> Author {
    Author { name: "Ann".into(), email: "ann@example.org".into() }
}

fn edit(path: &str, content: &str) -> FileEdit {
    FileEdit { path: path.into(), content: content.into() }
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
async fn trees_are_read_with_their_problems() {
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
        let listing = mirror.entries(&commit, "apps/shop").unwrap();
        let files: Vec<_> = listing.entries.iter().map(|entry| (entry.path.as_str(), entry.mode)).collect();
        assert_eq!(
            files,
            [
                ("README", EntryMode::File),
                ("deployment.yaml", EntryMode::File),
                ("inside", EntryMode::Symlink),
                ("lib", EntryMode::Submodule),
                ("outside", EntryMode::Symlink),
                ("readme", EntryMode::File),
                ("run.sh", EntryMode::Executable),
            ]
        );
        let problems = [
            TreeProblem::NotUtf8 { path: "caf\\xe9.yaml".into() },
            TreeProblem::CaseClash { first: "README".into(), second: "readme".into() },
            TreeProblem::LinkLeaves { path: "outside".into(), target: "../../secret".into() },
            TreeProblem::Submodule { path: "lib".into() },
        ];
        assert_eq!(listing.problems, problems);
        assert_eq!(mirror.blob(&listing.entries[1].id, 100).unwrap(), b"kind: Deployment\n");
        assert!(matches!(mirror.blob(&listing.entries[1].id, 5), Err(GitError::BlobTooBig { size: 17, limit: 5, .. })));
        assert_eq!(mirror.file(&commit, "secret", 10).unwrap().as_deref(), Some(&b"s"[..]));
        assert_eq!(mirror.file(&commit, "apps", 10).unwrap(), None);
        assert_eq!(mirror.tree_of(&commit, "apps/shop/").unwrap(), mirror.tree_of(&commit, "/apps/./shop").unwrap());
        assert_eq!(mirror.tree_of(&commit, "apps/none").unwrap(), None);
        assert_eq!(mirror.tree_of(&commit, "secret").unwrap(), None);
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
    assert!(error.to_string().contains("401 Unauthorized: HTTP Basic: Access denied., and no credentials"), "{error}");
    drop(without);

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
        (Fault::RefName(b"refs/heads/../../etc/passwd".into()), GitErrorKind::Refused, "with `..` in it"),
        (
            Fault::RefName(b"refs/tags/a\x1b[2Jb".into()),
            GitErrorKind::Refused,
            "`refs/tags/a\\u{1b}[2Jb`, with control characters",
        ),
        (Fault::RefName(b"refs/heads/a.lock".into()), GitErrorKind::Refused, "which git does not allow as a name"),
    ] {
        world.forge.http_fault(fault.clone());
        let error = list_error(&mirror).await;
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
    }
    world.forge.http_fault(Fault::RefName(b"refs/heads/caf\xe9".into()));
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    assert_eq!(refs.skipped, ["refs/heads/caf\\xe9"]);

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
        remote.limits.list_time = Duration::from_secs(2);
        remote.limits.list_bytes = 32 << 10;
        remote
    };
    let http = world.open(limited(Way::Http));
    let ssh = world.open(limited(Way::Ssh));
    on(&http, Mirror::list_refs).await.unwrap();

    world.forge.http_fault(Fault::EndlessRefs);
    let error = list_error(&http).await;
    assert!(matches!(error, GitError::TooMuch { what: "bytes", option: "list_bytes", .. }), "{error}");
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
        remote.limits.refs = 10;
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
    // Bytes that do not compress (xorshift).
    let next = |x: &u64| [13, -7, 17].iter().fold(*x, |x, by| if *by > 0 { x ^ (x << by) } else { x ^ (x >> -by) });
    let noise: Vec<u8> =
        std::iter::successors(Some(88_172_645_463_325_252), |x| Some(next(x))).map(|x| x as u8).take(200_000).collect();
    shop.change("main").write("big", &noise).commit("big");
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
        remote.limits.pack_bytes = bytes;
        let mirror = world.open(remote);
        let wanted = refs.clone();
        match on(&mirror, move |mirror| mirror.fetch(&wanted)).await {
            Ok(outcome) => assert!(fine && outcome.objects > 0),
            Err(GitError::TooMuch { option: "pack_bytes", .. }) => assert!(!fine),
            Err(error) => panic!("{way:?}: {error}"),
        }
    }
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
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
    }
    world.forge.ssh_fault(SshFault::None);
    on(&mirror, Mirror::list_refs).await.unwrap();
    let gone = RepositoryUrl::parse(&world.forge.ssh("ops/none"), Path::new("/")).unwrap();
    let mirror = world.open(Remote { url: gone, access: world.access(), limits: Default::default() });
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
    drop(mirror);
    shop.commit("main", &[("a", "after")], "after");
    shop.commit("deep/x", &[("a", "deep")], "deep");
    let mirror = world.open(remote);
    let refs = on(&mirror, Mirror::list_refs).await.unwrap();
    let outcome = on(&mirror, move |mirror| mirror.fetch(&refs)).await.unwrap();
    assert_eq!(outcome.updated, ["refs/heads/deep/x", "refs/heads/main"]);
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
