//! Scans between push and promotion: what is too severe is not promoted, who scans is waited for, and nothing is scanned twice.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::registry::{Fault, Found, Step};
use harness::tls::Authority;
use quarterdeck_shared::application::{Scanner, Severity};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::{RunStatus, ScanResult};
use quarterdeck_shared::status::{Phase, Stage, StageKind};
use serde_json::json;

use super::tested::{configure, ended, reconfigure};
use super::*;

const CRITICAL: Found = Found { id: "CVE-2026-1", severity: "Critical", package: "openssl", fixed_in: "3.0.2" };
const MEDIUM: Found = Found { id: "CVE-2026-2", severity: "Medium", package: "zlib", fixed_in: "" };

const BY_HARBOR: &str = "[application.scan]\nby = \"harbor\"\nmax_severity = \"high\"\n";

/// A shop in a Harbor whose scanner finds this; its agent runs, and nothing is tagged yet.
async fn scanned(found: &[Found], scan: &str) -> World {
    let mut world = shop().await;
    world.registry.be_harbor(found);
    configure(&world, scan);
    world.start_agent().await.unwrap();
    world
}

fn exception(until: &str) -> String {
    format!(
        "{BY_HARBOR}[[application.scan.exception]]\nid = \"CVE-2026-1\"\nreason = \"not reachable\"\nuntil = \"{until}\"\n"
    )
}

fn result(run: &RunStatus) -> &ScanResult {
    run.scans.first().unwrap_or_else(|| panic!("a scan of {run:#?}"))
}

fn scan(run: &RunStatus) -> &Stage {
    run.stages.iter().find(|stage| stage.kind == StageKind::Scan).unwrap_or_else(|| panic!("a scan stage of {run:#?}"))
}

async fn retried(world: &World, run: &RunStatus) -> RunStatus {
    let accepted: Accepted = world.client().post(&format!("/v1/runs/{}/retry", run.id), &json!({})).await.unwrap();
    let is_it = |one: &RunStatus| Some(one.id) == accepted.run && one.phase.is_final();
    world.wait_run("the retry", is_it).await.unwrap()
}

/// How often the manifests were written.
fn promotions(world: &World) -> usize {
    deploy(world).git(&["log", "--format=%s", "main"]).lines().filter(|subject| subject.starts_with("shop: ")).count()
}

#[tokio::test]
async fn what_is_mild_enough_is_promoted_with_what_was_found_beside_it() {
    let world = scanned(&[MEDIUM], BY_HARBOR).await;
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let name = format!("scanner harbor {}", world.registry.address());
    let check = checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{checks:#?}"));
    assert_eq!((check.result, &*check.message), (CheckResult::Good, "a Harbor with Trivy"));

    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, scan(&run).phase), (Phase::Succeeded, Phase::Succeeded), "{run:#?}");
    let image = world.image("ops/shop");
    assert_eq!(scan(&run).message, format!("{image}: 1 medium; 0 with a fix"));
    let found = result(&run);
    assert_eq!(Some(&found.digest), run.artifact.as_ref().unwrap().images[0].digest.as_ref());
    assert_eq!((found.by, &*found.scanner, found.count(Severity::Medium)), (Scanner::Harbor, "Trivy v0.58.1", 1));
    assert_eq!((run.promoted.len(), promotions(&world)), (1, 1), "{run:#?}");
    let line = "CVE-2026-2 in zlib 3.0.1 (medium, no fix yet)".to_owned();
    assert!(log_lines(&world, &run).await.contains(&line));

    // Of an image that was pushed before the report is read again; the registry need not scan again.
    world.registry.be_harbor(&[CRITICAL]);
    let again = retried(&world, &run).await;
    assert_eq!((again.phase, result(&again).refused), (Phase::Failed, 1), "{again:#?}");
    let push = again.stages.iter().find(|stage| stage.kind == StageKind::Push).unwrap();
    assert_eq!(push.phase, Phase::Skipped);
    assert_eq!([Step::ApiScan, Step::ApiReport].map(|step| world.registry.count(step)), [1, 2]);
}

#[tokio::test]
async fn what_is_too_severe_is_pushed_and_not_promoted() {
    let world = scanned(&[MEDIUM, CRITICAL], BY_HARBOR).await;
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, scan(&run).phase), (Phase::Failed, Phase::Failed), "{run:#?}");
    let image = world.image("ops/shop");
    let told = "CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2)";
    assert_eq!(run.message, format!("1 vulnerability of {image} is worse than high: {told}"));
    assert!(run.hint.contains("[[application.scan.exception]]"), "{}", run.hint);
    assert!(log_lines(&world, &run).await.contains(&format!("refused: {told}")));
    assert_eq!(world.registry.tags("ops/shop"), ["1.4.0"], "it was pushed");
    assert_eq!((run.promoted.len(), promotions(&world)), (0, 0), "{run:#?}");
    let promote = run.stages.iter().find(|stage| stage.kind == StageKind::Promote).unwrap();
    assert_eq!(promote.phase, Phase::Skipped);

    // Without a limit it is only shown.
    reconfigure(&world, "[application.scan]\nby = \"harbor\"\n").await;
    let run = retried(&world, &run).await;
    assert_eq!((run.phase, result(&run).refused, promotions(&world)), (Phase::Succeeded, 0, 1), "{run:#?}");
}

#[tokio::test]
async fn an_exception_counts_until_its_day() {
    let world = scanned(&[CRITICAL], &exception("2020-01-31")).await;
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, promotions(&world)), (Phase::Failed, 0), "{run:#?}");
    let expired = "the exception of CVE-2026-1 expired at the end of 2020-01-31".to_owned();
    assert!(log_lines(&world, &run).await.contains(&expired));

    reconfigure(&world, &exception("9999-01-31")).await;
    let run = retried(&world, &run).await;
    assert_eq!((run.phase, promotions(&world)), (Phase::Succeeded, 1), "{run:#?}");
    let found = result(&run);
    assert_eq!((found.accepted, found.refused), (1, 0));
    assert_eq!(found.vulnerabilities[0].accepted.as_deref(), Some("not reachable"));
    let line = "accepted: CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2): not reachable".to_owned();
    assert!(log_lines(&world, &run).await.contains(&line));
}

#[tokio::test]
async fn a_harbor_that_is_away_or_busy_is_waited_for() {
    let world = scanned(&[], BY_HARBOR).await;
    world.registry.fail(Step::ApiArtifact, Fault::Status(503), 1);
    world.registry.fail(Step::ApiScan, Fault::Busy(1), 1);
    world.registry.fail(Step::ApiReport, Fault::CutAfter(0), 1);
    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, result(&run).total(), promotions(&world)), (Phase::Succeeded, 0, 1), "{run:#?}");
    let log = log_lines(&world, &run).await;
    let registry = world.registry.address();
    let unreachable = format!("the Harbor registry {registry} is unreachable: 503 Service Unavailable");
    assert!(log.iter().any(|line| line.starts_with("trying again in") && line.contains(&unreachable)), "{log:#?}");
    let busy = format!("the Harbor registry {registry} limits requests (it asks for 1 s)");
    assert!(log.contains(&busy), "{log:#?}");
    assert_eq!(world.registry.count(Step::ApiScan), 2, "the one that was refused, and one");
}

#[tokio::test]
async fn what_no_scan_can_be_had_of_is_told_and_not_promoted() {
    let world = scanned(&[], BY_HARBOR).await;
    let (registry, image) = (world.registry.address().to_owned(), world.image("ops/shop"));
    let told = async |tag: &str| {
        code(&world).tag(tag, "main");
        let run = ended(&world, tag).await;
        assert_eq!((run.phase, promotions(&world)), (Phase::Failed, 0), "{run:#?}");
        (run.message, run.hint)
    };
    for (number, (permission, doing)) in
        [("scan:create", "scan the artifact"), ("artifact:read", "read the artifact")].into_iter().enumerate()
    {
        world.registry.deny(Some(permission));
        let (message, hint) = told(&format!("push-1.0.{number}")).await;
        assert_eq!(
            message,
            format!("robot may not {doing} in the Harbor registry {registry}: 403 Forbidden forbidden")
        );
        assert_eq!(hint, format!("give the robot account the permission {permission} in this project"));
    }
    world.registry.deny(None);
    world.registry.hold_scans(true);
    reconfigure(&world, &format!("{BY_HARBOR}timeout = \"1s\"\n")).await;
    let (message, hint) = told("push-1.0.9").await;
    assert_eq!(message, format!("the scan of {image} by the registry {registry} did not end within 1s"));
    assert!(hint.contains("raise `timeout`"), "{hint}");
    world.registry.hold_scans(false);
    reconfigure(&world, BY_HARBOR).await;
    world.registry.end_scans("Error");
    let (message, hint) = told("push-1.1.0").await;
    assert_eq!(message, format!("the scan of {image} by the registry {registry} failed: it is Error"));
    assert!(hint.contains("log of the scan"), "{hint}");
    world.registry.fail(Step::ApiArtifact, Fault::Words(200, "<html>A portal</html>".to_owned()), 1);
    let (message, hint) = told("push-1.2.0").await;
    assert_eq!(message, format!("the registry {registry} is not a Harbor"));
    assert!(hint.contains("trivy"), "{hint}");
}

#[tokio::test]
async fn killed_in_the_middle_it_is_not_scanned_twice() {
    let mut world = scanned(&[MEDIUM], BY_HARBOR).await;
    world.registry.hold_scans(true);
    code(&world).tag("push-1.4.0", "main");
    let runs = |run: &RunStatus| {
        run.stages.iter().any(|stage| stage.kind == StageKind::Scan && stage.message.ends_with("scan Running"))
    };
    world.wait_run("the scan to run", runs).await.unwrap();
    world.kill_agent();
    world.registry.hold_scans(false);
    // The next one comes as far as the commit that promotes, and dies there: what was found is held by its run.
    let died = world.die_at("git: before a push", |_| false).await.unwrap();
    assert_eq!(died.as_deref(), Some("git: before a push"));
    world.start_agent().await.unwrap();
    let done = |run: &RunStatus| run.phase == Phase::Succeeded;
    let run = world.wait_run("the run that takes it up", done).await.unwrap();
    assert_eq!((scan(&run).phase, result(&run).total(), promotions(&world)), (Phase::Skipped, 1, 1), "{run:#?}");
    assert_eq!([Step::ApiScan, Step::ApiReport].map(|step| world.registry.count(step)), [1, 1]);
}

const TRIVY: &str = r#"{"SchemaVersion":2,"ArtifactName":"x","Results":[{"Target":"x (debian 12.8)","Class":"os-pkgs","Vulnerabilities":[
    {"VulnerabilityID":"CVE-2026-1","PkgName":"openssl","InstalledVersion":"3.0.1","FixedVersion":"3.0.2","Severity":"CRITICAL"}]}]}"#;
const GRYPE: &str = r#"{"matches":[{"vulnerability":{"id":"CVE-2026-2","severity":"Medium","fix":{"versions":[],"state":"not-fixed"}},
    "artifact":{"name":"zlib","version":"1.2"}}],"descriptor":{"name":"grype","version":"0.87.0"}}"#;

/// A folder of programs for an agent: git, and what is written into it.
fn programs(world: &World) -> PathBuf {
    let folder = world.path("bin");
    std::fs::create_dir(&folder).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file()).expect("git");
    std::os::unix::fs::symlink(git, folder.join("git")).unwrap();
    folder
}

/// A scanner that writes down how it was called, and this report. It is written by a shell, so that no process that is
/// started meanwhile holds it open.
fn install(folder: &Path, name: &str, version: &str, report: &str) {
    let called = folder.join(name).display().to_string();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo '{version}'; exit 0; fi\nprintf '%s\\n' \"$@\" > '{called}.arguments'\n\
         /usr/bin/env > '{called}.environment'\npwd > '{called}.folder'\n\
         if [ -n \"$SSL_CERT_DIR\" ]; then /bin/cat \"${{SSL_CERT_DIR%%:*}}\"/* > '{called}.authorities'; fi\n/bin/cat '{called}.report'\n"
    );
    std::fs::write(format!("{called}.report"), report).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"", &called, &script]);
    assert!(shell.status().unwrap().success());
}

fn called(folder: &Path, name: &str) -> (String, Vec<String>) {
    let read = |part: &str| std::fs::read_to_string(folder.join(format!("{name}.{part}"))).unwrap();
    let environment = read("environment").lines().map(str::to_owned).collect();
    (read("arguments").replace('\n', " ").trim_end().to_owned(), environment)
}

#[tokio::test]
async fn a_program_gets_the_login_in_its_environment_alone() {
    let mut world = shop().await;
    let bin = programs(&world);
    install(&bin, "trivy", "Version: 0.58.1", TRIVY);
    install(&bin, "grype", "grype 0.87.0", GRYPE);
    configure(&world, "[application.scan]\nby = \"trivy\"\nmax_severity = \"high\"\n");
    world.start_agent_with(&[("PATH", bin.clone().into()), ("QD_TEST_CANARY", "a canary".into())]).await.unwrap();
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.iter().find(|check| check.name == "scanner trivy").unwrap_or_else(|| panic!("{checks:#?}"));
    assert_eq!((check.result, &*check.message), (CheckResult::Good, "trivy 0.58.1"));

    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    let image = world.image("ops/shop");
    let told = "CVE-2026-1 in openssl 3.0.1 (critical, fixed in 3.0.2)";
    assert_eq!(run.message, format!("1 vulnerability of {image} is worse than high: {told}"));
    assert_eq!(result(&run).scanner, "Trivy 0.58.1");
    let digest = run.artifact.as_ref().unwrap().images[0].digest.clone().unwrap();
    let (arguments, environment) = called(&bin, "trivy");
    let options = "image --format json --quiet --scanners vuln --image-src remote --timeout 630s";
    assert_eq!(arguments, format!("{options} {image}@{digest}"));
    let cache = format!("TRIVY_CACHE_DIR={}", world.path("data/scanners/trivy").display());
    // At home in its own folder: what the user configured for it leaves no vulnerability out.
    let home = format!("HOME={}", world.path("data/scanners/trivy").display());
    for variable in ["TRIVY_USERNAME=robot", "TRIVY_PASSWORD=robot-secret-4711", "TRIVY_NON_SSL=true", &*cache, &*home]
    {
        assert!(environment.iter().any(|line| line == variable), "{variable}: {environment:#?}");
    }
    assert!(!environment.iter().any(|line| line.contains("canary") || line.starts_with("QD_")), "{environment:#?}");
    assert!(!log_lines(&world, &run).await.iter().any(|line| line.contains("robot-secret")));

    reconfigure(&world, "[application.scan]\nby = \"grype\"\nmax_severity = \"high\"\n").await;
    let run = retried(&world, &run).await;
    assert_eq!((run.phase, &*result(&run).scanner), (Phase::Succeeded, "Grype 0.87.0"), "{run:#?}");
    assert_eq!((result(&run).count(Severity::Medium), promotions(&world)), (1, 1));
    let (arguments, environment) = called(&bin, "grype");
    assert_eq!(arguments, format!("registry:{image}@{digest} --output json"));
    let authority = format!("GRYPE_REGISTRY_AUTH_AUTHORITY={}", world.registry.address());
    let login = ["GRYPE_REGISTRY_AUTH_USERNAME=robot", "GRYPE_REGISTRY_AUTH_PASSWORD=robot-secret-4711", &*authority];
    for variable in login {
        assert!(environment.iter().any(|line| line == variable), "{variable}: {environment:#?}");
    }
}

/// What the agent itself trusts for a registry, a scanner that asks the same registry trusts as well.
#[tokio::test]
async fn a_program_trusts_the_authority_that_is_named_for_the_registry() {
    let mut world = shop().await;
    let bin = programs(&world);
    install(&bin, "trivy", "Version: 0.58.1", TRIVY);
    let ours = Authority::new("Ours").unwrap();
    std::fs::write(world.path("ca.pem"), ours.pem()).unwrap();
    world.registry.set_auth(harness::registry::Auth::None);
    // Loopback is spoken to in plain http; this address of the same machine is not.
    let elsewhere = world.registry.address().replace("127.0.0.1", "0.0.0.0");
    world.registry.secure(&ours.sign("0.0.0.0").unwrap()).await.unwrap();
    configure(&world, "[application.scan]\nby = \"trivy\"\n");
    let text = std::fs::read_to_string(world.path("config.toml")).unwrap();
    let named = "password_file = \"registry-password\"\nca_file = \"ca.pem\"\n";
    let text = text.replace("password_file = \"registry-password\"\n", named);
    world.configure(&text.replace(world.registry.address(), &elsewhere)).unwrap();
    let image = format!("{elsewhere}/ops/shop:none");
    deploy(&world).commit("main", &borrowed(&world::manifests("shop", &image)), "The other name");
    code(&world).tag("push-1.4.0", "main");
    world.start_agent_with(&[("PATH", bin.clone().into())]).await.unwrap();

    let run = ended(&world, "push-1.4.0").await;
    assert_eq!(run.phase, Phase::Succeeded, "{}", run.message);
    assert_eq!(std::fs::read_to_string(bin.join("trivy.authorities")).unwrap(), ours.pem());
    let (_, environment) = called(&bin, "trivy");
    assert!(!environment.iter().any(|line| line.starts_with("TRIVY_NON_SSL")), "{environment:#?}");
    let left = std::fs::read_dir(world.path("data/scanners/trivy")).unwrap().count();
    assert_eq!(left, 0, "what it was given went with it");
}

#[tokio::test]
async fn a_program_that_is_missing_is_told_by_the_doctor_and_by_the_run() {
    let mut world = shop().await;
    let bin = programs(&world);
    configure(&world, "[application.scan]\nby = \"trivy\"\n");
    world.start_agent_with(&[("PATH", bin.clone().into())]).await.unwrap();
    let checks: Vec<Check> = world.client().get("/v1/doctor").await.unwrap();
    let check = checks.iter().find(|check| check.name == "scanner trivy").unwrap_or_else(|| panic!("{checks:#?}"));
    assert_eq!((check.result, &*check.message), (CheckResult::Bad, "trivy is not on the PATH"));
    assert!(check.hint.starts_with("install trivy"), "{}", check.hint);

    code(&world).tag("push-1.4.0", "main");
    let run = ended(&world, "push-1.4.0").await;
    assert_eq!((run.phase, &*run.message, promotions(&world)), (Phase::Failed, "trivy is not on the PATH", 0));

    // What is installed is found without a restart. A report that is cut is no image without vulnerabilities.
    install(&bin, "trivy", "Version: 0.58.1", "{\"SchemaVersion\":2,\"Results\":[{");
    let run = retried(&world, &run).await;
    let cut = format!("the report about {} cannot be read: it is not a report of Trivy", world.image("ops/shop"));
    assert!(run.message.starts_with(&cut), "{}", run.message);
    assert_eq!((run.phase, promotions(&world)), (Phase::Failed, 0));
}
