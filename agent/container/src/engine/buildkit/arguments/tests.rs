//! The arguments of builds, whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::tree::memory::Files;

use super::*;
use crate::engine::ssh_agent::SshAgent;

fn request() -> BuildRequest {
    BuildRequest {
        tree: Arc::new(Files::new(&[("Dockerfile", "FROM scratch")])),
        context: String::new(),
        modified: 0,
        dockerfile: "Dockerfile".to_owned(),
        target: None,
        args: BTreeMap::new(),
        secrets: BTreeMap::new(),
        ssh: None,
        platforms: Vec::new(),
        cache_from: Vec::new(),
        inline_cache: false,
        cache_to: None,
        labels: BTreeMap::new(),
        tags: Vec::new(),
        no_cache: false,
        logins: BTreeMap::new(),
    }
}

fn daemon() -> Daemon {
    Daemon { address: "tcp://build.example:1234".to_owned(), ..Daemon::default() }
}

fn image(name: &str) -> ImageRef {
    ImageRef::parse(name).unwrap()
}

/// What differs from the build of a stage that nobody keeps, which is where all begin.
fn differs(change: impl FnOnce(&mut BuildRequest)) -> String {
    let base = build(&daemon(), &request()).unwrap().arguments;
    let mut changed = request();
    change(&mut changed);
    let arguments = build(&daemon(), &changed).unwrap().arguments;
    assert_eq!(arguments[..base.len()], base);
    arguments[base.len()..].join(" ")
}

#[test]
fn a_stage_that_is_only_tried_has_no_output() {
    let arguments = build(&daemon(), &request()).unwrap().arguments.join(" ");
    assert_eq!(
        arguments,
        "--addr tcp://build.example:1234 build --progress rawjson --frontend dockerfile.v0 --local context=context \
         --local dockerfile=context --opt filename=Dockerfile"
    );
}

#[test]
fn each_wish_is_an_argument() {
    let plain = |text: &str| GivenValue::Plain(text.to_owned());
    assert_eq!(differs(|one| one.tags.push(image("r.example/a:1"))), "--output type=oci,tar=false,dest=image");
    let reproducible = differs(|one| {
        one.tags.push(image("r.example/a:1"));
        one.args.insert("SOURCE_DATE_EPOCH".into(), plain("1700000000"));
    });
    assert_eq!(
        reproducible,
        "--opt build-arg:SOURCE_DATE_EPOCH=1700000000 --output type=oci,tar=false,dest=image,rewrite-timestamp=true"
    );
    assert_eq!(differs(|one| one.target = Some("test".into())), "--opt target=test");
    assert_eq!(differs(|one| one.platforms = vec!["linux/arm64".into()]), "--opt platform=linux/arm64");
    assert_eq!(
        differs(|one| one.platforms = ["linux/amd64", "linux/arm64"].map(str::to_owned).into()),
        "--opt platform=linux/amd64,linux/arm64"
    );
    assert_eq!(differs(|one| drop(one.args.insert("A".into(), plain("b, c=d")))), "--opt build-arg:A=b, c=d");
    assert_eq!(differs(|one| drop(one.labels.insert("a.b".into(), "c".into()))), "--opt label:a.b=c");
    assert_eq!(differs(|one| one.no_cache = true), "--opt no-cache=");
    assert_eq!(differs(|one| one.ssh = Some(SshAgent::at("/run/agent.sock".into()))), "--ssh default=/run/agent.sock");
    assert_eq!(
        differs(|one| one.cache_from.push(image("r.example/a:cache"))),
        "--import-cache type=registry,ref=r.example/a:cache"
    );
    assert_eq!(differs(|one| one.inline_cache = true), "--export-cache type=inline");
    assert_eq!(
        differs(|one| one.cache_to = Some(image("r.example/a:cache"))),
        "--export-cache type=registry,ref=r.example/a:cache,mode=max"
    );
}

#[test]
fn files_of_the_daemon_come_first() {
    let file = |name: &str| Some(PathBuf::from(name));
    let daemon = Daemon { ca_file: file("/a/ca"), cert_file: file("/a/cert"), key_file: file("/a/key"), ..daemon() };
    assert_eq!(
        workers(&daemon).join(" "),
        "--addr tcp://build.example:1234 --tlscacert /a/ca --tlscert /a/cert --tlskey /a/key debug workers --format {{json .}}"
    );
}

#[test]
fn no_secret_is_an_argument() {
    let mut secrets = request();
    secrets.secrets = [("npmrc", "s3cret-1"), ("token", "s3cret-2")].map(|(id, of)| (id.to_owned(), of.into())).into();
    let call = build(&daemon(), &secrets).unwrap();
    let all = call.arguments.join(" ");
    assert!(
        all.ends_with("--secret id=npmrc,env=QUARTERDECK_SECRET_0 --secret id=token,env=QUARTERDECK_SECRET_1"),
        "{all}"
    );
    let names: Vec<&str> = call.secrets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["QUARTERDECK_SECRET_0", "QUARTERDECK_SECRET_1"]);

    let mut secret = request();
    secret.args.insert("TOKEN".to_owned(), GivenValue::Secret("s3cret-3".into()));
    let error = build(&daemon(), &secret).unwrap_err().to_string();
    assert_eq!(
        error,
        "the build argument TOKEN is secret, and buildctl takes build arguments on its command line only"
    );
}
