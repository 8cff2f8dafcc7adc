use super::*;
use quarterdeck_shared::error::Hint as _;
use secrecy::SecretString;

const REGISTRY: &str = "registry.example";

fn login() -> Login {
    Login::Password { username: "robot$shop+qd".to_owned(), password: SecretString::from("s3cret-of-a-robot") }
}

fn client() -> Client {
    Client::builder().build().unwrap()
}

fn image(name: &str) -> ImageRef {
    ImageRef::parse(name).unwrap()
}

#[test]
fn a_repository_is_in_a_project_and_encoded_twice() {
    let client = client();
    let harbor = Harbor::new(client.clone(), "https", "registry.example:8443", None).unwrap();
    let digest = format!("sha256:{}", "0".repeat(64));
    for (name, path) in [
        ("registry.example:8443/ops/shop", "projects/ops/repositories/shop"),
        ("registry.example:8443/ops/team/shop", "projects/ops/repositories/team%252Fshop"),
        ("registry.example:8443/1/a/b/c", "projects/1/repositories/a%252Fb%252Fc"),
    ] {
        let to = harbor.of(&image(&format!("{name}@{digest}")), &["additions", "vulnerabilities"]).unwrap();
        let whole =
            format!("https://registry.example:8443/api/v2.0/{path}/artifacts/{digest}/additions/vulnerabilities");
        assert_eq!(to.as_str(), whole);
    }
    let error = harbor.of(&image("registry.example:8443/shop"), &[]).unwrap_err();
    assert_eq!(error.to_string(), "the image registry.example:8443/shop is in no project of Harbor");
}

/// What each answer means, and what a person reads.
#[test]
fn each_refusal_is_in_plain_words_with_what_to_do() {
    let (client, login) = (client(), login());
    let known = Harbor::new(client.clone(), "https", REGISTRY, Some(&login)).unwrap();
    let nobody = Harbor::new(client.clone(), "https", REGISTRY, None).unwrap();
    let said = |message: &str| format!(r#"{{"errors":[{{"code":"X","message":"{message}"}}]}}"#);
    for (harbor, status, body, what, told, hint) in [
        (
            &known,
            401,
            said("unauthorized: s3cret-of-a-robot"),
            What::Artifact,
            "the Harbor registry registry.example does not accept the login of robot$shop+qd: 401 Unauthorized unauthorized: ***",
            "a robot account that expired",
        ),
        (
            &nobody,
            401,
            said("x"),
            What::Scan,
            "the Harbor registry registry.example requires a login to scan the artifact",
            "robot account",
        ),
        (
            &known,
            403,
            said("forbidden"),
            What::Scan,
            "robot$shop+qd may not scan the artifact in the Harbor registry registry.example: 403 Forbidden forbidden",
            "the permission scan:create",
        ),
        (
            &known,
            403,
            said("forbidden"),
            What::Report,
            "robot$shop+qd may not read the report of a scan in the Harbor registry registry.example: 403 Forbidden forbidden",
            "the permission artifact-addition:read",
        ),
        (
            &known,
            403,
            said("forbidden"),
            What::Project,
            "robot$shop+qd may not read the project in the Harbor registry registry.example: 403 Forbidden forbidden",
            "the permission project:read",
        ),
        (
            &known,
            404,
            said("not found"),
            What::Artifact,
            "the Harbor registry registry.example has no artifact registry.example/ops/shop",
            "push it again",
        ),
        (
            &known,
            404,
            "404 page not found".to_owned(),
            What::Artifact,
            "the registry registry.example is not a Harbor",
            "by = \"trivy\"",
        ),
        (
            &known,
            200,
            "<html>".to_owned(),
            What::Artifact,
            "the registry registry.example is not a Harbor",
            "by = \"trivy\"",
        ),
        (
            &known,
            412,
            said("no available scanner"),
            What::Scan,
            "the Harbor registry registry.example refuses to scan the artifact: 412 Precondition Failed no available scanner",
            "default scanner",
        ),
        (
            &known,
            429,
            String::new(),
            What::Report,
            "the Harbor registry registry.example limits requests (it asks for 7 s)",
            "",
        ),
        (
            &known,
            502,
            "bad".to_owned(),
            What::Report,
            "the Harbor registry registry.example is unreachable: 502 Bad Gateway (request 1)",
            "",
        ),
        (
            &known,
            418,
            String::new(),
            What::Report,
            "asked to read the report of a scan, the Harbor registry registry.example answers 418 I'm a teapot (request 1)",
            "",
        ),
    ] {
        let (status, wait) = (StatusCode::from_u16(status).unwrap(), Some(Duration::from_secs(7)));
        let answer = Answer { status, wait, body: body.into_bytes(), id: "1".to_owned() };
        let error = harbor.refusal(what, "registry.example/ops/shop", &answer).unwrap();
        assert_eq!(error.to_string(), told);
        assert!(error.hint().contains(hint), "{told}: {}", error.hint());
        assert_eq!(error.is_transient(), matches!(status.as_u16(), 429 | 502), "{told}");
    }
    let good = |body: &str| Answer { status: StatusCode::ACCEPTED, wait: None, body: body.into(), id: String::new() };
    assert!(["", "{}"].iter().all(|body| known.refusal(What::Scan, "", &good(body)).is_none()));
}

#[test]
fn a_wait_is_read_in_seconds_and_bounded() {
    for (value, wait) in [
        ("7", Some(7)),
        (" 30 ", Some(30)),
        ("86400", Some(300)),
        ("Wed, 21 Oct 2020 07:28:00 GMT", Some(0)),
        ("-1", None),
    ] {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        assert_eq!(retry_after(&headers).map(|wait| wait.as_secs()), wait, "{value}");
    }
    assert_eq!(retry_after(&HeaderMap::new()), None);
}
