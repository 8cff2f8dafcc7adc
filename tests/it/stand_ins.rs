//! The stand-ins themselves, spoken to as `curl` would: so that a failing test elsewhere is not theirs.

use axum::body::Body;
use harness::engine::{Engine, EngineOptions, Outcome};
use harness::registry::{Auth, Registry, RegistryOptions, Step, User};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

#[tokio::test]
async fn an_image_is_built_pushed_pulled_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept = RegistryOptions {
        auth: Auth::Token(vec![User::new("bot", "secret")]),
        folder: Some(folder.path().into()),
        ..RegistryOptions::default()
    };
    let registry = Registry::start(kept.clone()).await.unwrap();
    let engine = Engine::start(EngineOptions::on_loopback()).await.unwrap();
    let image = registry.image("ops/shop");

    let context = tar_of(&[("Dockerfile", "FROM scratch\nCOPY hello /\nENV A=1\n"), ("hello", "hi")]);
    let output = call(&engine, Method::POST, &format!("/v1.41/build?t={image}:1"), None, context.clone()).await;
    assert!(output.contains(r#"{"stream":"Step 2/3 : COPY hello /"}"#), "{output}");
    let again = call(&engine, Method::POST, &format!("/build?t={image}:2"), None, context).await;
    assert!(again.contains("Using cache"), "{again}");
    assert_eq!(engine.image_id(&format!("{image}:1")), engine.image_id(&format!("{image}:2")));

    let refused = call(&engine, Method::POST, &format!("/images/{image}/push?tag=1"), None, Vec::new()).await;
    assert!(refused.contains("denied: requested access to the resource is denied"), "{refused}");
    let login = base64::Engine::encode(
        &base64::prelude::BASE64_STANDARD,
        r#"{"username":"bot","password":"secret","serveraddress":""}"#,
    );
    let pushed = call(&engine, Method::POST, &format!("/images/{image}/push?tag=1"), Some(&login), Vec::new()).await;
    let digest = registry.digest("ops/shop", "1").expect(&pushed);
    assert!(pushed.contains(&format!("1: digest: {digest} size:")), "{pushed}");
    assert!(pushed.contains(r#""status":"Pushing""#), "{pushed}");
    assert_eq!(
        (registry.count(Step::ManifestPut), engine.pushes()[1].outcome.clone()),
        (1, Outcome::Done(digest.clone()))
    );

    drop(registry);
    let registry = Registry::start(kept).await.unwrap();
    assert_eq!(registry.digest("ops/shop", "1"), Some(digest));
    let other = Engine::start(EngineOptions::on_loopback()).await.unwrap();
    let image = registry.image("ops/shop");
    let url = format!("/images/create?fromImage={image}&tag=1");
    let pulled = call(&other, Method::POST, &url, Some(&login), Vec::new()).await;
    assert_eq!(other.file(&format!("{image}:1"), "/hello").as_deref(), Some("hi"), "{pulled}");
}

async fn call(engine: &Engine, method: Method, path: &str, login: Option<&str>, body: Vec<u8>) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let url = format!("{}{path}", engine.host().replace("tcp://", "http://"));
    let mut request = Request::builder().method(method).uri(url);
    if let Some(login) = login {
        request = request.header("x-registry-auth", login);
    }
    let answer = client.request(request.body(body.into()).unwrap()).await.unwrap();
    String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned()
}

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}
