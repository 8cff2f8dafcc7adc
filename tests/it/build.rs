//! The agent's engine and registry rooms against the stand-ins: builds, pushes, and what a person reads when they fail.

use quarterdeck_shared::error::{Failure, Hint as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harness::engine::{Engine, EngineOptions, Outcome, StreamFault};
use harness::registry::{Auth, Fault, Registry, RegistryOptions, Step, User};
use quarterdeck_container::engine::docker::{BuilderChoice, DockerEngine, Environment, Limits};
use quarterdeck_container::engine::ssh_agent::SshAgent;
use quarterdeck_container::engine::testing::{ContainerRequest, TestRequest};
use quarterdeck_container::engine::{
    BuildError, BuildRequest, Builder as _, BuiltImage, GivenValue, Progress, PushedDigest,
};
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::oci::{Listing, Registries, RegistryError, Validator};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_core::tree::{Node, Tree, TreeEntry, TreeFailure, TreeListing};
use quarterdeck_shared::application::ContainerLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const DOCKERFILE: &str =
    "FROM scratch\nARG VERSION=dev\nCOPY hello /hello\nRUN echo built $VERSION\nENV A=1\nCMD [\"/hello\"]\n";

/// A registry, an engine on a real socket, and the agent's side of both.
struct World {
    registry: Registry,
    engine: Engine,
    room: DockerEngine,
    registries: Registries,
    cancel: CancellationToken,
    _folder: tempfile::TempDir,
}

/// What came of some work, with all that was told on the way.
struct Told<T> {
    result: Result<T, BuildError>,
    lines: Vec<String>,
    percents: Vec<u8>,
}

impl World {
    async fn with(auth: Auth) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::start(RegistryOptions { auth, ..RegistryOptions::default() }).await.unwrap();
        let engine = Engine::start(EngineOptions::on_socket(folder.path().join("engine.sock"))).await.unwrap();
        let room = DockerEngine::new(Some(engine.host()), BuilderChoice::Auto, Environment::default());
        Self {
            registry,
            engine,
            room,
            registries: Registries::new([]),
            cancel: CancellationToken::new(),
            _folder: folder,
        }
    }

    async fn open() -> Self {
        Self::with(Auth::None).await
    }

    fn image(&self, tag: &str) -> ImageRef {
        ImageRef::parse(&self.registry.image("ops/shop")).unwrap().with_tag(tag).unwrap()
    }

    fn request(&self, tag: &str, files: &[(&str, &str)]) -> BuildRequest {
        BuildRequest {
            tree: Arc::new(Damaged(Files::new(files))),
            context: String::new(),
            modified: 1_700_000_000,
            dockerfile: "Dockerfile".to_owned(),
            target: None,
            args: BTreeMap::new(),
            secrets: BTreeMap::new(),
            ssh: None,
            platforms: Vec::new(),
            cache_from: Vec::new(),
            inline_cache: false,
            cache_to: None,
            labels: BTreeMap::from([("org.opencontainers.image.revision".to_owned(), "1f3c2a9".to_owned())]),
            tags: vec![self.image(tag)],
            no_cache: false,
            logins: BTreeMap::new(),
        }
    }

    async fn build(&self, request: BuildRequest) -> Told<BuiltImage> {
        let (sink, progress) = mpsc::channel(16);
        let work = async {
            let result = self.room.build(request, sink.clone(), &self.cancel).await;
            drop(sink);
            result
        };
        told(work, progress).await
    }

    async fn push(&self, tag: &str, login: Option<&Login>) -> Told<PushedDigest> {
        let (sink, progress) = mpsc::channel(16);
        let image = self.image(tag);
        let work = async {
            let result = self.room.push(&image, login, sink.clone(), &self.cancel).await;
            drop(sink);
            result
        };
        told(work, progress).await
    }

    async fn built(&self, tag: &str) {
        self.build(self.request(tag, &[("Dockerfile", DOCKERFILE), ("hello", "hi")])).await.result.unwrap();
    }
}

async fn told<T>(work: impl Future<Output = Result<T, BuildError>>, mut progress: mpsc::Receiver<Progress>) -> Told<T> {
    let (mut lines, mut percents) = (Vec::new(), Vec::new());
    let mut listen = async || {
        while let Some(progress) = progress.recv().await {
            match progress {
                Progress::Line(line) => lines.push(line),
                Progress::Percent(percent) => percents.push(percent),
            }
        }
    };
    // The sink ends with the work, and the listener with the sink.
    let (result, ()) = tokio::join!(work, listen());
    Told { result, lines, percents }
}

fn login(user: &str, password: &str) -> Login {
    Login::Password { username: user.to_owned(), password: password.into() }
}

/// An error with its causes, as the agent prints it.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |all, e| format!("{all}: {e}"))
}

/// Files of a commit, of which those whose content is `unreadable` cannot be read.
struct Damaged(Files);

impl Tree for Damaged {
    fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
        self.0.lookup(path)
    }

    fn entries(&self, folder: &str) -> Result<TreeListing, TreeFailure> {
        self.0.entries(folder)
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
        self.0.size(entry)
    }

    fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
        let content = self.0.blob(entry)?;
        if content == b"unreadable" { Err("the object is damaged".into()) } else { Ok(content) }
    }
}

#[tokio::test]
async fn an_image_is_built_with_its_names_labels_and_progress() {
    let world = World::open().await;
    let mut request = world
        .request("1.4.0", &[("Dockerfile", DOCKERFILE), ("hello", "hi"), ("secret", "s"), (".dockerignore", "secret")]);
    request.tags.push(world.image("latest"));
    request.args.insert("VERSION".to_owned(), GivenValue::Plain("1.4.0".to_owned()));
    let told = world.build(request).await;
    let built = told.result.unwrap();

    assert_eq!(Some(&built.id), world.engine.image_id(&world.image("1.4.0").to_string()).as_ref());
    assert_eq!(Some(&built.id), world.engine.image_id(&world.image("latest").to_string()).as_ref());
    assert_eq!((built.size_bytes, built.names.len()), (2, 2));
    assert_eq!(world.engine.file(&built.id, "/hello").as_deref(), Some("hi"));
    assert_eq!(world.engine.labels(&built.id)["org.opencontainers.image.revision"], "1f3c2a9");
    assert!(told.lines.contains(&"Step 3/7 : COPY hello /hello".to_owned()), "{:#?}", told.lines);
    assert_eq!(told.percents, [0, 14, 28, 42, 57, 71, 85, 100]);
    assert_eq!(world.engine.builds()[0].args, ["VERSION"]);
}

#[tokio::test]
async fn buildkit_builds_in_its_own_manner() {
    let world = World::open().await;
    world.engine.have_buildkit();
    let mut request = world.request("1.4.0", &[("Dockerfile", DOCKERFILE), ("hello", "hi")]);
    request.tags.push(world.image("latest"));
    request.args.insert("VERSION".to_owned(), GivenValue::Secret("$VERSION".into()));
    let told = world.build(request.clone()).await;
    let built = told.result.unwrap();
    assert_eq!(Some(&built.id), world.engine.image_id(&world.image("1.4.0").to_string()).as_ref());
    assert_eq!(Some(&built.id), world.engine.image_id(&world.image("latest").to_string()).as_ref());
    assert_eq!(world.engine.file(&built.id, "/hello").as_deref(), Some("hi"));
    let lines = [
        "#1 [internal] load remote build context",
        "#1 DONE 0.0s",
        "#2 [1/2] COPY hello /hello",
        "#2 DONE 0.0s",
        "#3 [2/2] RUN echo built ***",
        "#3 built ***",
        "#3 DONE 0.0s",
        "#4 exporting to image",
        "#4 DONE 0.0s",
    ];
    assert_eq!((told.lines, told.percents), (lines.map(str::to_owned).to_vec(), vec![0, 50, 99, 100]));
    let told = world.build(request).await;
    assert_eq!(told.result.unwrap().id, built.id);
    assert_eq!(told.lines.iter().filter(|line| line.ends_with(" CACHED")).count(), 2, "{:#?}", told.lines);

    let stages =
        "FROM scratch AS made\nCOPY hello /\nFROM scratch\nCOPY --from=made /hello /\nRUN echo almost && exit 3\n";
    let told = world.build(world.request("2", &[("Dockerfile", stages), ("hello", "hi")])).await;
    let words = "process \"/bin/sh -c echo almost && exit 3\" did not complete successfully: exit code: 3";
    assert_eq!(told.result.unwrap_err().to_string(), format!("building {} failed: {words}", world.image("2")));
    let end = ["#4 [stage-1 2/2] RUN echo almost && exit 3", "#4 almost", &format!("#4 ERROR: {words}")];
    assert!(told.lines.contains(&"#2 [made 1/1] COPY hello /".to_owned()), "{:#?}", told.lines);
    assert!(told.lines.ends_with(&end.map(str::to_owned)), "{:#?}", told.lines);

    world.engine.fail_build(StreamFault::CutAfter(2));
    let error = world.build(world.request("3", &[("Dockerfile", stages), ("hello", "hi")])).await.result.unwrap_err();
    assert!(matches!(error, BuildError::CutOff { .. }), "{error}");
}

#[tokio::test]
async fn a_secret_of_a_build_is_where_a_step_mounts_it_and_nowhere_else() {
    let world = World::open().await;
    let dockerfile = "FROM scratch\nCOPY hello /\nRUN --mount=type=secret,id=npmrc,target=/root/.npmrc cat /root/.npmrc\n\
                      RUN --mount=type=secret,id=token,required=true echo installed\n\
                      RUN --mount=type=secret,id=other echo without\n";
    let request = |tag: &str| {
        let mut request = world.request(tag, &[("Dockerfile", dockerfile), ("hello", "hi")]);
        let secrets =
            [("npmrc", "//npm.example/:_authToken=hunter-4711\nalways-auth=true\n"), ("token", "hunter-4712")];
        request.secrets = secrets.map(|(id, secret)| (id.to_owned(), secret.into())).into();
        request
    };
    // The classic builder would read its first step, and Podman build without it.
    let error = world.build(request("1")).await.result.unwrap_err();
    let failure = Failure::of(&error);
    assert!(
        failure.message.starts_with("build secrets need BuildKit, and the engine at unix:///"),
        "{}",
        failure.message
    );
    assert!(failure.hint.contains("Docker 18.09 or newer"), "{}", failure.hint);
    assert!(!error.is_transient() && world.engine.builds().is_empty());

    world.engine.have_buildkit();
    let told = world.build(request("1")).await;
    let built = told.result.unwrap();
    let of_step = [
        "#3 [2/4] RUN --mount=type=secret,id=npmrc,target=/root/.npmrc cat /root/.npmrc",
        "#3 ***",
        "#3 ***",
        "#3 DONE 0.0s",
        "#4 [3/4] RUN --mount=type=secret,id=token,required=true echo installed",
        "#4 installed",
    ];
    assert!(told.lines.windows(of_step.len()).any(|lines| lines == of_step), "{:#?}", told.lines);
    let left = format!("{:?} {:?}", world.engine.builds(), world.engine.history(&built.id));
    assert!(left.contains("id=npmrc") && !left.contains("hunter"), "{left}");
    assert_eq!(world.engine.file(&built.id, "/root/.npmrc"), None);

    let mut without = request("2");
    without.no_cache = true;
    without.secrets.clear();
    let error = world.build(without).await.result.unwrap_err().to_string();
    assert!(error.ends_with("did not complete successfully: exit code: 1"), "{error}");
    let mut without = request("2");
    without.no_cache = true;
    without.secrets.remove("token");
    let error = world.build(without).await.result.unwrap_err().to_string();
    assert!(error.ends_with("failed: secret token: not found"), "{error}");
    // Each session ends with its build.
    world.engine.no_sessions().await;
}

#[tokio::test]
async fn a_step_uses_the_keys_of_an_ssh_agent_and_no_more() {
    let world = World::open().await;
    let dockerfile = "FROM scratch\nCOPY hello /\nRUN --mount=type=ssh,required=true cat /run/buildkit/ssh_agent.0\n";
    let socket = world._folder.path().join("ssh-agent.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let agent = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut asked = [0; 5];
        connection.read_exact(&mut asked).await.unwrap();
        connection.write_all(b"\0\0\0\x0ea key of tests").await.unwrap();
        asked
    });
    let mut request = world.request("1", &[("Dockerfile", dockerfile), ("hello", "hi")]);
    request.ssh = Some(SshAgent::at(socket));
    let error = world.build(request.clone()).await.result.unwrap_err().to_string();
    assert!(error.starts_with("ssh mounts need BuildKit"), "{error}");
    world.engine.have_buildkit();
    let told = world.build(request.clone()).await;
    told.result.unwrap();
    assert!(told.lines.contains(&"#3 a key of tests".to_owned()), "{:#?}", told.lines);
    assert_eq!(agent.await.unwrap(), [0, 0, 0, 1, 11], "it is asked for its keys, and never to forget them");

    request.no_cache = true;
    let error = world.build(request.clone()).await.result.unwrap_err().to_string();
    assert!(error.contains("the ssh agent does not answer"), "{error}");
    request.ssh = None;
    let error = world.build(request).await.result.unwrap_err().to_string();
    assert!(error.ends_with("unset ssh forward key default"), "{error}");
}

#[tokio::test]
async fn a_platform_is_asked_for_and_one_that_is_not_emulated_says_what_to_do() {
    let world = World::open().await;
    let mut request = world.request("1", &[("Dockerfile", DOCKERFILE), ("hello", "hi")]);
    request.platforms = vec!["linux/arm64".to_owned()];
    for buildkit in [false, true] {
        if buildkit {
            world.engine.have_buildkit();
        }
        world.build(request.clone()).await.result.unwrap();
        assert_eq!(world.engine.builds().last().unwrap().platform.as_deref(), Some("linux/arm64"));
        let dockerfile = "FROM scratch\nRUN echo exec /bin/sh: exec format error && exit 1\n";
        let error = world.build(world.request("2", &[("Dockerfile", dockerfile)])).await.result.unwrap_err();
        assert!(error.hint().contains("install emulation there"), "{error}");
        let other = world.build(world.request("3", &[("Dockerfile", "FROM scratch\nRUN false\n")])).await;
        assert_eq!(other.result.unwrap_err().hint(), "");
    }
}

#[tokio::test]
async fn caches_of_registries_are_asked_for_and_written_where_there_is_buildkit() {
    let world = World::open().await;
    let mut request = world.request("1", &[("Dockerfile", DOCKERFILE), ("hello", "hi")]);
    request.cache_from = vec![world.image("main"), world.image("0.9")];
    request.inline_cache = true;
    let error = world.build(request.clone()).await.result.unwrap_err().to_string();
    assert!(error.starts_with("caches of registries need BuildKit"), "{error}");
    world.engine.have_buildkit();
    world.build(request.clone()).await.result.unwrap();
    let build = world.engine.builds().remove(0);
    assert_eq!(build.cache_from, request.cache_from.iter().map(ImageRef::to_string).collect::<Vec<_>>());
    assert_eq!(build.args, ["BUILDKIT_INLINE_CACHE"]);
}

#[tokio::test]
async fn the_same_commit_again_is_the_same_image_from_the_cache() {
    let world = World::open().await;
    world.built("1").await;
    let told = world.build(world.request("2", &[("Dockerfile", DOCKERFILE), ("hello", "hi")])).await;
    let id = told.result.unwrap().id;
    assert_eq!(Some(id.clone()), world.engine.image_id(&world.image("1").to_string()));
    assert_eq!(told.lines.iter().filter(|line| *line == " ---> Using cache").count(), 6);
    assert_eq!(world.engine.builds()[1].outcome, Outcome::Cached(id));
}

#[tokio::test]
async fn an_image_is_found_by_its_labels_and_named_anew() {
    let world = World::open().await;
    let labels = world.request("1", &[]).labels;
    assert_eq!(world.room.find(&labels).await.unwrap(), None);
    world.built("1").await;
    let found = world.room.find(&labels).await.unwrap().unwrap();
    world.room.tag(&found.id, &world.image("2")).await.unwrap();
    assert_eq!(Some(found.id), world.engine.image_id(&world.image("2").to_string()));
    let other = BTreeMap::from([("org.opencontainers.image.revision".to_owned(), "other".to_owned())]);
    assert_eq!(world.room.find(&other).await.unwrap(), None);
    let error = world.room.tag("sha256:0000", &world.image("3")).await.unwrap_err().to_string();
    assert!(error.contains("the engine refused (404): No such image"), "{error}");
}

#[tokio::test]
async fn a_dockerfile_that_fails_says_what_and_where() {
    let world = World::open().await;
    for (dockerfile, words) in [
        ("FROM scratch\nRUN false\n", "The command '/bin/sh -c false' returned a non-zero code: 1"),
        (
            "FROM scratch\nCOPY nope /\n",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat nope",
        ),
        ("FROM scratch\nFOO bar\n", "dockerfile parse error line 2: unknown instruction: FOO"),
        ("FROM nowhere\n", "pull access denied for nowhere"),
    ] {
        let error = world.build(world.request("1", &[("Dockerfile", dockerfile)])).await.result.unwrap_err();
        assert_eq!(error.to_string().split(words).next().unwrap(), format!("building {} failed: ", world.image("1")));
        assert!(!error.is_transient(), "{error}");
    }
    let mut request = world.request("1", &[("Dockerfile", "FROM scratch\nENV A=1\n")]);
    request.target = Some("web".to_owned());
    let error = world.build(request).await.result.unwrap_err().to_string();
    assert!(error.contains("failed to reach build target web"), "{error}");

    let error = world.build(world.request("1", &[("docker/Dockerfile", "")])).await.result.unwrap_err().to_string();
    assert!(
        error.starts_with("the commit has no Dockerfile in the build context (there is docker/Dockerfile)"),
        "{error}"
    );
    let unreadable = [("Dockerfile", "FROM scratch\n"), ("hello", "unreadable")];
    let error = world.build(world.request("1", &unreadable)).await.result.unwrap_err();
    assert_eq!(chain(&error), "reading hello for the build context: the object is damaged");
}

#[tokio::test]
async fn output_comes_clean_bounded_and_without_secrets() {
    let world = World::open().await;
    let dockerfile = "FROM scratch\nARG TOKEN\nARG V\nRUN printf '\\033[31mred\\033[0m 10%\\r100%\\n' && seq 5000\nENV LEAK=$TOKEN\nLABEL leak=$TOKEN\n";
    let mut request = world.request("1", &[("Dockerfile", dockerfile)]);
    request.args.insert("TOKEN".to_owned(), GivenValue::Secret("hunter2-hunter2".into()));
    request.args.insert("V".to_owned(), GivenValue::Plain("1".to_owned()));
    let debug = format!("{:?}", request.args);
    let told = world.build(request).await;
    told.result.unwrap();
    assert_eq!(told.lines.iter().filter(|line| line.parse::<u32>().is_ok()).count(), 5000);
    assert!(told.lines.contains(&"100%".to_owned()), "{:#?}", &told.lines[..12]);
    assert!(!told.lines.iter().any(|line| line.contains("hunter2") || line.contains('\u{1b}')));
    assert!(!debug.contains("hunter2"), "{debug}");

    let failing = "FROM scratch\nARG TOKEN\nRUN echo hunter2-hunter2 && false\n";
    let mut request = world.request("1", &[("Dockerfile", failing)]);
    request.args.insert("TOKEN".to_owned(), GivenValue::Secret("hunter2-hunter2".into()));
    let told = world.build(request).await;
    let error = told.result.unwrap_err().to_string();
    assert!(error.contains("echo *** && false") && !told.lines.concat().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn pushing_works_with_every_kind_of_login_and_answers_the_registrys_digest() {
    let people = || vec![User::new("bot", "right"), User::read_only("guest", "guest")];
    for auth in [Auth::None, Auth::Basic(people()), Auth::Token(people())] {
        let world = World::with(auth.clone()).await;
        world.built("1").await;
        let bot = login("bot", "right");
        let told = world.push("1", Some(&bot)).await;
        let PushedDigest(pushed) = told.result.unwrap();
        let confirmed = world.registries.confirm(&world.image("1"), &pushed, Some(&bot)).await.unwrap();
        assert_eq!(Some(confirmed), world.registry.digest("ops/shop", "1"), "{auth:?}");
        assert_eq!(told.percents.last(), Some(&100));
        assert!(told.lines.iter().any(|line| line == "1 layers: 1 sent, 0 already there"), "{:?}", told.lines);
        // Again: nothing is sent, and the digest is the same.
        let told = world.push("1", Some(&bot)).await;
        assert_eq!(told.result.unwrap(), PushedDigest(pushed));
        assert_eq!(world.registry.count(Step::UploadPatch), 1);

        let tags = world.registries.tags(&world.image("1"), Some(&bot), 10).await.unwrap();
        assert_eq!((tags.tags, tags.more), (vec!["1".to_owned()], false));
    }
}

/// As of registries that let anybody pull some repositories: `/v2/` asks nobody, and the challenge comes at the repository.
#[tokio::test]
async fn a_challenge_is_answered_where_it_comes() {
    let people = || vec![User::new("bot", "right"), User::read_only("guest", "guest")];
    for auth in [Auth::Basic(people()), Auth::Token(people())] {
        let world = World::with(auth.clone()).await;
        world.built("1").await;
        let bot = login("bot", "right");
        let PushedDigest(pushed) = world.push("1", Some(&bot)).await.result.unwrap();
        world.registry.open_version_check();
        for who in ["bot", "guest"] {
            let registries = Registries::new([]);
            let login = login(who, if who == "bot" { "right" } else { "guest" });
            registries.check_login(&world.image("1"), Some(&login)).await.unwrap();
            let confirmed = registries.confirm(&world.image("1"), &pushed, Some(&login)).await.unwrap();
            assert_eq!(confirmed, pushed, "{auth:?}");
            assert_eq!(registries.digest(&world.image("none"), Some(&login)).await.unwrap(), None, "{auth:?}");
        }
        let wrong = Registries::new([]).check_login(&world.image("1"), Some(&login("bot", "wrong"))).await.unwrap_err();
        assert!(matches!(wrong, RegistryError::WrongLogin { .. }), "{auth:?}: {wrong}");
        let nobody = Registries::new([]).check_login(&world.image("1"), None).await.unwrap_err();
        assert!(matches!(nobody, RegistryError::NoPermission { user: None, .. }), "{auth:?}: {nobody}");
        // The token of one repository is none for another, and the same client asks for both.
        let registries = Registries::new([]);
        let other = ImageRef::parse(&world.registry.image("ops/other")).unwrap().with_tag("1").unwrap();
        assert_eq!(registries.digest(&other, Some(&bot)).await.unwrap(), None, "{auth:?}");
        assert_eq!(registries.digest(&world.image("1"), Some(&bot)).await.unwrap(), Some(pushed), "{auth:?}");
    }
}

#[tokio::test]
async fn a_wrong_login_and_a_missing_right_are_two_things() {
    let people = || vec![User::new("bot", "right"), User::read_only("guest", "guest")];
    for auth in [Auth::Basic(people()), Auth::Token(people())] {
        let world = World::with(auth.clone()).await;
        world.built("1").await;
        for (who, words, hint) in [
            (None, "", "no login was found for this registry"),
            (Some(login("bot", "wrong")), "unauthorized", "check the login"),
            (
                Some(login("guest", "guest")),
                "denied: requested access to the resource is denied",
                "give it push rights",
            ),
        ] {
            let error = world.push("1", who.as_ref()).await.result.unwrap_err();
            let shown = Failure::of(&error).to_string();
            assert!(shown.starts_with(&format!("pushing {} failed: ", world.image("1"))), "{shown}");
            assert!(shown.contains(words) && shown.contains(hint) && !shown.contains("wrong\""), "{auth:?}: {shown}");
            assert!(!error.is_transient(), "{shown}");
        }
        assert!(world.registry.tags("ops/shop").is_empty());

        let ask = |who: Option<Login>| {
            let (registries, image) = (&world.registries, world.image("1"));
            async move { registries.check_login(&image, who.as_ref()).await }
        };
        let wrong = ask(Some(login("bot", "wrong"))).await.unwrap_err();
        assert!(matches!(wrong, RegistryError::WrongLogin { .. }), "{wrong}");
        let nobody = ask(None).await.unwrap_err();
        assert!(matches!(nobody, RegistryError::NoPermission { user: None, .. }), "{nobody}");
        ask(Some(login("bot", "right"))).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_registry_refuses_is_told_in_its_words_and_tried_again_if_it_passes() {
    let world = World::open().await;
    world.built("1").await;
    let refused = async |step, status, words, passes| {
        world.registry.fail(step, Fault::Status(status), 1);
        let error = world.push("1", None).await.result.unwrap_err();
        assert!(Failure::of(&error).to_string().contains(words), "{status}: {error}");
        assert_eq!(error.is_transient(), passes, "{status}: {error}");
    };
    let denied = "denied: requested access to the resource is denied\nhint: no login was found";
    refused(Step::UploadStart, 403, denied, false).await;
    refused(Step::UploadStart, 404, "the repository or project does not exist", false).await;
    let unavailable = "received unexpected HTTP status: 503 Service Unavailable";
    refused(Step::Version, 503, unavailable, true).await;
    refused(Step::UploadPatch, 500, "received unexpected HTTP status: 500", true).await;

    world.registry.fail(Step::UploadPatch, Fault::CutAfter(1), 1);
    let error = world.push("1", None).await.result.unwrap_err();
    assert!(error.is_transient(), "{error}");

    refused(Step::ManifestPut, 413, "takes no upload of that size", false).await;
    refused(Step::ManifestPut, 429, "toomanyrequests", true).await;

    world.registry.away().await;
    let error = world.push("1", None).await.result.unwrap_err();
    assert!(error.to_string().contains("connection refused") && error.is_transient(), "{error}");
    let error = world.registries.digest(&world.image("1"), None).await.unwrap_err();
    assert!(matches!(error, RegistryError::Away { .. }), "{error}");
    world.registry.back().await.unwrap();
    world.push("1", None).await.result.unwrap();
}

#[tokio::test]
async fn another_digest_in_the_registrys_answer_is_an_error() {
    let world = World::open().await;
    world.built("1").await;
    let PushedDigest(pushed) = world.push("1", None).await.result.unwrap();
    world.registry.fail(Step::ManifestHead, Fault::OtherDigest, 1);
    let error = world.registries.confirm(&world.image("1"), &pushed, None).await.unwrap_err();
    let error = Failure::of(&error).to_string();
    assert!(error.contains(&pushed) && error.contains("sha256:bad0") && error.contains("push again"), "{error}");
    let error = world.registries.confirm(&world.image("2"), &pushed, None).await.unwrap_err().to_string();
    assert!(error.contains("no such image"), "{error}");
    assert_eq!(world.registries.confirm(&world.image("1"), &pushed, None).await.unwrap(), pushed);
}

#[tokio::test]
async fn a_registrys_words_are_shown_without_the_secrets_in_them() {
    let world = World::with(Auth::Token(vec![User::new("bot", "correct-horse")])).await;
    world.built("1").await;
    let words = r#"{"errors":[{"code":"DENIED","message":"correct-horse is no good, token=abcdefghijkl"}]}"#;
    world.registry.fail(Step::ManifestPut, Fault::Words(403, words.to_owned()), 1);
    let error = world.push("1", Some(&login("bot", "correct-horse"))).await.result.unwrap_err().to_string();
    assert!(error.contains("denied: *** is no good, token=***"), "{error}");
    world.registry.fail(Step::Token, Fault::Words(401, "unauthorized: correct-horse".to_owned()), 1);
    let image = world.image("1");
    let error = world.registries.digest(&image, Some(&login("bot", "correct-horse"))).await.unwrap_err();
    let error = Failure::of(&error).to_string();
    assert!(error.contains("unauthorized: ***") && error.contains("docker login"), "{error}");
}

/// As when a token server is started again with another key: what it gave before is refused long before its time.
#[tokio::test]
async fn a_token_that_is_refused_before_its_time_is_renewed_once() {
    let world = World::with(Auth::Token(vec![User::new("bot", "right")])).await;
    world.built("1").await;
    let bot = login("bot", "right");
    let PushedDigest(pushed) = world.push("1", Some(&bot)).await.result.unwrap();
    let image = world.image("1");
    for _ in 0..2 {
        assert_eq!(world.registries.digest(&image, Some(&bot)).await.unwrap(), Some(pushed.clone()));
        world.registry.expire_tokens();
    }
    assert_eq!(world.registries.tags(&image, Some(&bot), 10).await.unwrap().tags, ["1"]);
}

#[tokio::test]
async fn tags_are_listed_up_to_a_limit() {
    let world = World::open().await;
    for tag in ["a", "b", "c"] {
        world.built(tag).await;
        world.push(tag, None).await.result.unwrap();
    }
    let list = async |limit| world.registries.tags(&world.image("x"), None, limit).await.unwrap();
    assert_eq!((list(2).await.tags.join(" "), list(2).await.more), ("a b".to_owned(), true));
    assert_eq!((list(3).await.tags.join(" "), list(3).await.more), ("a b c".to_owned(), false));
    let nowhere = ImageRef::parse(&world.registry.image("ops/nowhere")).unwrap();
    assert!(world.registries.tags(&nowhere, None, 5).await.unwrap().tags.is_empty());
    assert_eq!(world.registries.digest(&nowhere, None).await.unwrap(), None);
}

/// Of whatever kind the login is, also where `/v2/` asks nobody.
#[tokio::test]
async fn a_list_of_tags_that_did_not_change_is_not_sent_again() {
    let people = || vec![User::new("bot", "right")];
    for (auth, is_open) in [
        (Auth::None, false),
        (Auth::Basic(people()), false),
        (Auth::Token(people()), false),
        (Auth::Basic(people()), true),
        (Auth::Token(people()), true),
    ] {
        let world = World::with(auth.clone()).await;
        if is_open {
            world.registry.open_version_check();
        }
        let bot = login("bot", "right");
        let ask = async |known: Option<&Validator>| {
            world.registries.tags_since(&world.image("x"), Some(&bot), 100, known).await.unwrap()
        };
        let list = async |known: Option<&Validator>| match ask(known).await {
            Listing::Tags { tags, validator } => (tags.tags.join(" "), validator),
            Listing::Unchanged => panic!("{auth:?}: a list was expected"),
        };
        for tag in ["a", "b"] {
            world.registry.publish("ops/shop", tag, tag);
        }
        assert_eq!(list(None).await, ("a b".to_owned(), None), "{auth:?}");
        world.registry.know_lists_again();
        let (tags, validator) = list(None).await;
        assert_eq!((&*tags, validator.is_some()), ("a b", true), "{auth:?}");
        assert_eq!(ask(validator.as_ref()).await, Listing::Unchanged, "{auth:?}");
        assert_eq!(world.registry.unchanged(), 1, "{auth:?}");
        world.registry.expire_tokens();
        assert_eq!(ask(validator.as_ref()).await, Listing::Unchanged, "{auth:?}");
        // A full page stays as it is where a tag comes behind it; a list of several pages is not known again.
        world.registry.page_tags_by(2);
        world.registry.publish("ops/shop", "c", "c");
        assert_eq!(list(validator.as_ref()).await, ("a b c".to_owned(), None), "{auth:?}");
    }
}

#[tokio::test]
async fn an_engine_that_is_away_cut_or_silent_is_told_apart() {
    let mut world = World::open().await;
    let patient = world.room.clone();
    let heartbeat = Duration::from_millis(50);
    let silence = Duration::from_millis(300);
    let hasty = patient.clone().with_limits(Limits {
        heartbeat,
        build_silent: silence,
        push_silent: silence,
        ..Limits::default()
    });
    let files = [("Dockerfile", DOCKERFILE), ("hello", "hi")];

    world.engine.fail_build(StreamFault::CutAfter(2));
    let error = world.build(world.request("1", &files)).await.result.unwrap_err();
    // What was said before the cut may or may not have come through.
    assert!(matches!(error, BuildError::CutOff { .. } | BuildError::Away { .. }) && error.is_transient(), "{error}");

    world.room = hasty.clone();
    world.engine.fail_build(StreamFault::SilentAfter(2));
    let error = world.build(world.request("1", &files)).await.result.unwrap_err();
    assert!(matches!(error, BuildError::Silent { .. }), "{error}");

    world.room = patient.clone();
    world.built("1").await;
    world.room = hasty;
    world.engine.fail_push(StreamFault::SilentAfter(1));
    let error = world.push("1", None).await.result.unwrap_err();
    assert!(matches!(error, BuildError::Silent { .. }), "{error}");

    world.room = patient;
    world.engine.away().await;
    let error = world.build(world.request("1", &files)).await.result.unwrap_err();
    assert!(matches!(error, BuildError::Away { .. }) && error.is_transient(), "{error}");
    assert!(
        chain(&error).contains("engine.sock (from [engine] address) is unreachable while connecting"),
        "{}",
        chain(&error)
    );
    world.engine.back().await.unwrap();
    world.built("1").await;
}

#[tokio::test]
async fn a_test_that_writes_too_much_is_stopped() {
    let mut world = World::open().await;
    world.built("1").await;
    world.room = world.room.clone().with_limits(Limits { test_output_bytes: 1 << 20, ..Limits::default() });
    let command = ["yes", "more and more", "|", "head", "-c", "2M"].map(str::to_owned).to_vec();
    let container = ContainerRequest { image: world.image("1").to_string(), command, env: BTreeMap::new() };
    let request = TestRequest {
        name: "unit".to_owned(),
        owner: "history/shop".to_owned(),
        called: "quarterdeck-1-unit".to_owned(),
        container,
        reports: Vec::new(),
        services: Vec::new(),
        limits: ContainerLimits { memory_bytes: 64 << 20, processes: 10 },
        timeout: Duration::from_secs(60),
        logins: BTreeMap::new(),
    };
    let (sink, mut progress) = mpsc::channel(16);
    let listen = async { while progress.recv().await.is_some() {} };
    let (result, ()) = tokio::join!(world.room.test(&request, sink, &world.cancel), listen);
    assert_eq!(result.unwrap_err().to_string(), "test unit wrote more than 1 MiB and was stopped");
    assert_eq!(world.engine.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_cancelled_build_ends_at_once_and_on_the_engine_too() {
    let world = World::open().await;
    let dockerfile = "FROM scratch\nRUN sleep 600\n";
    let (sink, mut progress) = mpsc::channel(16);
    let request = world.request("1", &[("Dockerfile", dockerfile)]);
    let work = world.room.build(request, sink, &world.cancel);
    let cancel = async {
        while let Some(progress) = progress.recv().await {
            if progress == Progress::Line("Step 2/3 : RUN sleep 600".to_owned()) {
                world.cancel.cancel();
            }
        }
    };
    let (result, ()) = tokio::join!(work, cancel);
    assert!(matches!(result, Err(BuildError::Cancelled { .. })), "{result:?}");
    let stopped = async {
        while world.engine.builds()[0].outcome == Outcome::Running {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap();
    assert_eq!(world.engine.builds()[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn the_engine_is_described_and_its_builder_chosen() {
    let mut world = World::open().await;
    let info = world.room.info().await.unwrap();
    assert_eq!(
        (info.name.as_str(), info.builder.as_str(), info.platform.as_str()),
        ("Docker", "classic", "linux/amd64")
    );
    world.engine.claim_builder("2");
    assert_eq!(world.room.info().await.unwrap().builder, "BuildKit");
    world.room = DockerEngine::new(Some(world.engine.host()), BuilderChoice::Classic, Environment::default());
    assert_eq!(world.room.info().await.unwrap().builder, "classic");
    world.room = DockerEngine::new(Some(world.engine.host()), BuilderChoice::Buildkit, Environment::default());
    let error = world.build(world.request("1", &[("Dockerfile", DOCKERFILE)])).await.result.unwrap_err().to_string();
    assert!(error.starts_with("opening a session for building") && error.contains("refused (404)"), "{error}");
    let nowhere = DockerEngine::new(None, BuilderChoice::Auto, Environment::default());
    assert!(nowhere.info().await.unwrap_err().hint().contains("start Docker or Podman"));
}
