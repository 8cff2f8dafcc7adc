use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use secrecy::SecretString;

const DIGEST: &str = "sha256:5f91f7625f91f7625f91f7625f91f7625f91f7625f91f7625f91f7625f91f762";

fn image(registry: &str) -> ImageRef {
    ImageRef::parse(&format!("{registry}/ops/shop:1.4.0@{DIGEST}")).unwrap()
}

/// The arguments, and of the environment what is not ours.
fn called(program: Scanner, request: Request<'_>) -> (Vec<String>, BTreeMap<String, String>) {
    let command = command(program, Path::new("/bin/scanner"), Path::new("/data"), request);
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let arguments = command.get_args().map(text).collect();
    let set = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
    (arguments, set.filter(|(name, _)| !ENVIRONMENT.contains(&&**name)).collect())
}

#[test]
fn a_login_is_in_the_environment_and_not_in_the_arguments() {
    let image = image("registry.example");
    let password = Login::Password { username: "robot$qd".to_owned(), password: SecretString::from("hunter22-secret") };
    let token = Login::RegistryToken(SecretString::from("token-hunter22"));
    let timeout = Duration::from_secs(90);
    for (program, login, arguments, set) in [
        (
            Scanner::Trivy,
            Some(&password),
            "image --format json --quiet --scanners vuln --image-src remote --timeout 120s registry.example/ops/shop@",
            &["TRIVY_CACHE_DIR=/data", "TRIVY_PASSWORD=hunter22-secret", "TRIVY_USERNAME=robot$qd"][..],
        ),
        (
            Scanner::Trivy,
            Some(&token),
            "image --format json --quiet --scanners vuln --image-src remote --timeout 120s registry.example/ops/shop@",
            &["TRIVY_CACHE_DIR=/data", "TRIVY_REGISTRY_TOKEN=token-hunter22"],
        ),
        (
            Scanner::Grype,
            Some(&password),
            "registry:registry.example/ops/shop@",
            &[
                "GRYPE_CHECK_FOR_APP_UPDATE=false",
                "GRYPE_DB_CACHE_DIR=/data",
                "GRYPE_REGISTRY_AUTH_AUTHORITY=registry.example",
                "GRYPE_REGISTRY_AUTH_PASSWORD=hunter22-secret",
                "GRYPE_REGISTRY_AUTH_USERNAME=robot$qd",
            ],
        ),
        (
            Scanner::Grype,
            None,
            "registry:registry.example/ops/shop@",
            &["GRYPE_CHECK_FOR_APP_UPDATE=false", "GRYPE_DB_CACHE_DIR=/data"],
        ),
    ] {
        let (found, environment) = called(program, Request { image: &image, login, way: &Way::default(), timeout });
        let found = found.join(" ");
        assert!(found.starts_with(&format!("{arguments}{DIGEST}")) && !found.contains("hunter22"), "{found}");
        let environment: Vec<_> = environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(environment, set);
    }
}

#[test]
fn plain_http_is_asked_for_by_the_environment() {
    let image = image("127.0.0.1:5000");
    for (program, names) in [
        (Scanner::Trivy, &["TRIVY_NON_SSL", "TRIVY_INSECURE"][..]),
        (Scanner::Grype, &["GRYPE_REGISTRY_INSECURE_USE_HTTP"]),
    ] {
        for is_plain in [true, false] {
            let way = Way { is_plain, ..Way::default() };
            let request = Request { image: &image, login: None, way: &way, timeout: Duration::from_secs(1) };
            let (_, environment) = called(program, request);
            for name in names {
                assert_eq!(environment.get(*name).map(String::as_str), is_plain.then_some("true"), "{name}");
            }
        }
    }
}

#[test]
fn versions_and_reasons_are_read() {
    for (text, version) in [
        ("Version: 0.58.1\nVulnerability DB:\n  Version: 2\n", "0.58.1"),
        ("grype 0.87.0\n", "0.87.0"),
        ("v1.2\n", "1.2"),
        ("dev\n", ""),
        ("grype [not provided]\n", ""),
        ("", ""),
    ] {
        assert_eq!(version_in(text), version, "{text:?}");
    }
    let stderr = "2026-11-30T10:00:00Z\tINFO\tscanning\n2026-11-30T10:00:01Z\tFATAL\tFatal error\timage scan error: unauthorized\n";
    assert_eq!(reason(stderr), "2026-11-30T10:00:01Z\tFATAL\tFatal error\timage scan error: unauthorized");
    assert_eq!(reason("no such image"), "no such image");
    // As grype 0.121.2 prints it.
    for (stderr, why, passes) in [
        (
            "[0000]  WARN registry communication is insecure: insecure-use-http enabled\n\
             [0000] ERROR failed to catalog: errors occurred attempting to resolve '127.0.0.1:5599/ops/shop@sha256:6d4a':\n  \
             - oci-registry: failed to get image descriptor from registry: Get \"https://127.0.0.1:5599/v2/\": dial tcp 127.0.0.1:5599: connect: connection refused\n  \
             - oci-model: failed to fetch descriptor: Get \"https://127.0.0.1:5599/v2/\": dial tcp 127.0.0.1:5599: connect: connection refused\n",
            "[0000] ERROR failed to catalog: errors occurred attempting to resolve '127.0.0.1:5599/ops/shop@sha256:6d4a': failed to get image \
             descriptor from registry: Get \"https://127.0.0.1:5599/v2/\": dial tcp 127.0.0.1:5599: connect: connection refused",
            true,
        ),
        (
            "[0000]  WARN unable to check for vulnerability database update\n\
             [0000]  WARN error updating db error=unable to download listing: Get \"https://grype.anchore.io/databases/v6/latest.json\": dial tcp: lookup grype.anchore.io: no such host\n\
             [0004] ERROR failed to load vulnerability db: database does not exist\n",
            "[0004] ERROR failed to load vulnerability db: database does not exist: unable to download listing: Get \
             \"https://grype.anchore.io/databases/v6/latest.json\": dial tcp: lookup grype.anchore.io: no such host",
            true,
        ),
        (
            "[0000] ERROR failed to catalog: errors occurred attempting to resolve 'r/a@sha256:6d4a':\n  \
             - oci-registry: failed to get image descriptor from registry: GET http://r/v2/a/manifests/sha256:6d4a: MANIFEST_UNKNOWN: manifest unknown\n",
            "[0000] ERROR failed to catalog: errors occurred attempting to resolve 'r/a@sha256:6d4a': failed to get image descriptor from \
             registry: GET http://r/v2/a/manifests/sha256:6d4a: MANIFEST_UNKNOWN: manifest unknown",
            false,
        ),
    ] {
        let found = reason(stderr);
        assert_eq!((&*found, messages::is_transient(&found)), (why, passes));
    }
}

#[test]
fn a_program_is_at_home_where_no_configuration_of_the_user_is() {
    let image = image("registry.example");
    let request = Request { image: &image, login: None, way: &Way::default(), timeout: Duration::from_secs(1) };
    for program in [Scanner::Trivy, Scanner::Grype] {
        let command = command(program, Path::new("/bin/scanner"), Path::new("/data"), request);
        let home = command.get_envs().find(|(name, _)| *name == "HOME").and_then(|(_, value)| value);
        assert_eq!(
            (home, command.get_current_dir()),
            (Some(OsStr::new("/data")), Some(Path::new("/data"))),
            "{program}"
        );
    }
}

/// Written by a shell, so that no other process holds it open for writing when it is run.
fn write_program(path: &Path, text: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(path).arg(text);
    assert!(shell.status().unwrap().success());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test]
async fn a_program_that_is_missing_or_fails_is_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let programs = Programs { search_path: root.path().into(), folder: root.path().join("scanners") };
    let image = image("registry.example");
    let login = Login::Password { username: "u".to_owned(), password: SecretString::from("hunter22-secret") };
    let (way, timeout) = (Way::default(), Duration::from_secs(60));
    let request = Request { image: &image, login: Some(&login), way: &way, timeout };
    let error = programs.scan(Scanner::Trivy, request).await.unwrap_err();
    assert_eq!(error.to_string(), "trivy is not on the PATH");
    assert!(error.hint().starts_with("install trivy"), "{}", error.hint());

    let script = |ending: &str| {
        format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'Version: 0.58.1'; exit 0; fi\n{ending}\n")
    };
    for (ending, is_transient, told) in [
        ("echo \"FATAL unauthorized $TRIVY_PASSWORD\" >&2; exit 1", false, "FATAL unauthorized ***"),
        ("echo 'FATAL dial tcp: connection refused' >&2; exit 1", true, "FATAL dial tcp: connection refused"),
    ] {
        write_program(&root.path().join("trivy"), &script(ending));
        let error = programs.scan(Scanner::Trivy, request).await.unwrap_err();
        assert_eq!(error.is_transient(), is_transient, "{error:?}");
        let text = quarterdeck_shared::error::chain(&error);
        assert_eq!(text, format!("trivy cannot scan {image}: exit status: 1: {told}"));
    }
    write_program(&root.path().join("trivy"), &script("echo '{}'; pwd >&2"));
    let output = programs.scan(Scanner::Trivy, request).await.unwrap();
    assert_eq!((&*output.report, &*output.version), (&b"{}\n"[..], "0.58.1"));
    assert!(root.path().join("scanners/trivy").is_dir());
}
