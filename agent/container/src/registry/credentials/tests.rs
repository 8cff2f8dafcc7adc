//! Logins from real files and a real helper program, in a temporary folder.

use super::*;
use quarterdeck_shared::error::Failure;

/// Helper programs are files of the repository: one that was just written may be busy when it is started.
const HELPERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/credentials/test_helpers");

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn docker(&self, json: &str) -> Sources {
        let path = self.folder.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        Sources { docker_config: Some(path), search_path: HELPERS.into(), ..Sources::default() }
    }
}

/// `user:password`, `<identity>:token`, `-` for nobody, or the error.
async fn who(sources: &Sources, image: &str) -> String {
    match sources.find(&ImageRef::parse(image).unwrap()).await.map(|search| search.found) {
        Ok(None) => "-".to_owned(),
        Ok(Some(found)) => match &found.login {
            Login::Password { username, password } => format!("{username}:{}", password.expose_secret()),
            Login::IdentityToken(token) => format!("<identity>:{}", token.expose_secret()),
            Login::RegistryToken(token) => format!("<registry>:{}", token.expose_secret()),
        },
        Err(error) => Failure::of(&error).to_string(),
    }
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn entries_are_found_under_every_form_of_their_host() {
    let world = World::new();
    let json = format!(
        r#"{{"auths": {{
            "registry.example": {{"auth": "{}"}},
            "https://old.example/v2/": {{"username": "u", "password": "p"}},
            "https://index.docker.io/v1/": {{"auth": "{}"}},
            "quay.io/team": {{"auth": "{}"}},
            "quay.io": {{"auth": "{}"}},
            "azure.example": {{"auth": "{}", "identitytoken": "refresh"}},
            "empty.example": {{}}
        }}}}"#,
        base64("bot:pa:ss"),
        base64("hub:h"),
        base64("team:t"),
        base64("quay:q"),
        base64("0000:")
    );
    let sources = world.docker(&json);
    for (image, want) in [
        ("registry.example/ops/shop", "bot:pa:ss"),
        ("registry.example:5000/ops/shop", "-"),
        ("old.example/shop", "u:p"),
        ("alpine", "hub:h"),
        ("quay.io/team/shop", "team:t"),
        ("quay.io/teams/shop", "quay:q"),
        ("azure.example/shop", "<identity>:refresh"),
        ("empty.example/shop", "-"),
        ("unknown.example/shop", "-"),
    ] {
        assert_eq!(who(&sources, image).await, want, "{image}");
    }
}

#[tokio::test]
async fn configuration_comes_first_and_podman_last() {
    let world = World::new();
    let mut sources = world.docker(&format!(r#"{{"auths": {{"b.example": {{"auth": "{}"}}}}}}"#, base64("docker:d")));
    let podman = world.folder.path().join("auth.json");
    let both = format!(
        r#"{{"auths": {{"b.example": {{"auth": "{0}"}}, "c.example": {{"auth": "{0}"}}}}}}"#,
        base64("podman:p")
    );
    std::fs::write(&podman, both).unwrap();
    sources.podman_auth = Some(podman);
    sources.inline = Some(format!(r#"{{"auths": {{"i.example": {{"auth": "{}"}}}}}}"#, base64("ci:c")).into());
    let configured = Login::Password { username: "config".to_owned(), password: "a".into() };
    sources.configured.insert("a.example".to_owned(), configured);
    for (image, want) in
        [("a.example/x", "config:a"), ("b.example/x", "docker:d"), ("c.example/x", "podman:p"), ("i.example/x", "ci:c")]
    {
        assert_eq!(who(&sources, image).await, want, "{image}");
    }
}

#[tokio::test]
async fn helpers_are_asked_with_the_registry_on_their_input() {
    let world = World::new();
    let json = format!(
        r#"{{"credHelpers": {{"own.example": "own", "token.example": "token", "broken.example": "broken",
             "chatty.example": "chatty", "gone.example": "gone", "evil.example": "../evil"}},
            "credsStore": "empty", "auths": {{"file.example": {{"auth": "{}"}}}}}}"#,
        base64("file:f")
    );
    let sources = world.docker(&json);
    assert_eq!(who(&sources, "own.example/x").await, "own.example:get");
    assert_eq!(who(&sources, "token.example/x").await, "<identity>:idt");
    assert_eq!(who(&sources, "file.example/x").await, "file:f");
    assert_eq!(who(&sources, "nobody.example/x").await, "-");
    for (host, why) in [
        ("broken.example", "password=*** is wrong"),
        ("chatty.example", "its answer is not the JSON of a login"),
        ("evil.example", "its name is not a program name"),
    ] {
        let error = who(&sources, &format!("{host}/x")).await;
        assert!(error.contains(why) && error.contains(&format!("echo {host} | docker-credential-")), "{error}");
    }
}

#[tokio::test]
async fn a_helper_that_is_missing_is_a_note_and_one_that_fails_is_none_where_another_place_has_the_login() {
    let world = World::new();
    let auth = format!(r#""auths": {{"file.example": {{"auth": "{}"}}}}"#, base64("robot:sesame"));
    let notes = async |sources: &Sources, image: &str| {
        let search = sources.find(&ImageRef::parse(image).unwrap()).await.unwrap();
        search.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let gone = world.docker(&format!(r#"{{"credsStore": "desktop", {auth}}}"#));
    assert_eq!(who(&gone, "file.example/x").await, "robot:sesame");
    assert_eq!(who(&gone, "public.example/x").await, "-");
    for image in ["file.example/x", "public.example/x"] {
        let note = notes(&gone, image).await;
        assert!(
            note.contains("docker-credential-desktop") && note.contains("it is not installed (not in PATH)"),
            "{note}"
        );
    }
    // Podman's file, after a store that is missing.
    let mut both = world.docker(r#"{"credsStore": "desktop"}"#);
    let podman = world.folder.path().join("auth.json");
    std::fs::write(&podman, format!("{{{auth}}}")).unwrap();
    both.podman_auth = Some(podman);
    assert_eq!(who(&both, "file.example/x").await, "robot:sesame");
    let (logins, problems) =
        both.find_all(&["file.example/x", "a.example/x"].map(|i| ImageRef::parse(i).unwrap())).await;
    assert_eq!((logins.len(), problems.len()), (1, 1), "one store is missing once");

    let broken = world.docker(&format!(r#"{{"credsStore": "broken", {auth}}}"#));
    assert_eq!(who(&broken, "file.example/x").await, "robot:sesame");
    assert!(who(&broken, "public.example/x").await.contains("password=*** is wrong"));
}

#[tokio::test]
async fn files_that_are_wrong_are_told_without_their_content() {
    let world = World::new();
    let error = who(&world.docker("{\"auths\": {\"a.example\": \"hunter2\"}}"), "a.example/x").await;
    assert!(error.contains("config.json is not valid (line 1") && !error.contains("hunter2"), "{error}");
    let error = who(&world.docker(r#"{"auths": {"a.example": {"auth": "?"}}}"#), "a.example/x").await;
    assert!(error.contains("the entry of a.example: `auth` is not base64"), "{error}");
    assert_eq!(who(&Sources::default(), "a.example/x").await, "-");
}

#[tokio::test]
async fn logins_for_several_images_leave_out_those_that_cannot_be_had() {
    let world = World::new();
    let json = format!(
        r#"{{"auths": {{"a.example": {{"auth": "{}"}}}}, "credHelpers": {{"b.example": "broken"}}}}"#,
        base64("a:a")
    );
    let images =
        ["a.example/x", "a.example/y", "b.example/x", "c.example/x"].map(|name| ImageRef::parse(name).unwrap());
    let (logins, problems) = world.docker(&json).find_all(&images).await;
    assert_eq!((logins.into_keys().collect::<Vec<_>>(), problems.len()), (vec!["a.example".to_owned()], 1));
}
