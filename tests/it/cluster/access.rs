//! Ways in: tokens, the files that they stand in, and credential programs. Those that need more of a cluster than a
//! stand-in has are told in `tests/real/stories/ways`.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::future::join_all;
use harness::tls::{Authority, Certificate};
use jiff::{SignedDuration, Timestamp};
use quarterdeck_kubernetes::{ApiProblem, Class};

use super::*;

/// Opens a pipe only where somebody is at its other end.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// A cluster to get into, and a folder for kubeconfigs and what they name.
struct Door {
    api: StandIn,
    folder: tempfile::TempDir,
}

impl Door {
    async fn new() -> Self {
        let api = StandIn::start().await.unwrap();
        api.namespace("prod").unwrap();
        Self { api, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes a kubeconfig with these lines of its user.
    fn kubeconfig(&self, name: &str, user: &str) {
        let text = self.api.kubeconfig_text();
        let (before, rest) = text.split_once("    token: ").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        self.write(name, &format!("{before}{user}\n{after}"));
    }

    fn cluster(&self, user: &str) -> Cluster {
        self.kubeconfig("kubeconfig", user);
        self.connect()
    }

    /// The same over TLS, with these lines of its cluster.
    fn cluster_over_tls(&self, cluster: &str, user: &str) -> Cluster {
        self.kubeconfig("kubeconfig", user);
        let text = std::fs::read_to_string(self.path("kubeconfig")).unwrap();
        let (before, after) = text.split_once("server: http://").unwrap();
        self.write("kubeconfig", &format!("{before}{cluster}\n    server: https://{after}"));
        self.connect()
    }

    fn connect(&self) -> Cluster {
        let mut config = ClusterConfig::named(Some("standin"));
        config.kubeconfig = Some(self.path("kubeconfig"));
        config.timeout_seconds = 10;
        Cluster::new(config)
    }

    /// A user with a credential program, which notes that it runs and then does this.
    fn program(&self, script: &str) -> String {
        let folder = self.folder.path().display();
        self.write("login.sh", &format!("cd '{folder}'\necho run >>runs\n{script}\n"));
        format!(
            "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: /bin/sh\n      \
             args: ['{folder}/login.sh', a-secret-word]\n      interactiveMode: Never"
        )
    }

    /// What the program finds in `answer`.
    fn hands_out(&self, token: &str, lasts: Option<SignedDuration>) {
        let mut status = json!({ "token": token });
        if let Some(lasts) = lasts {
            status["expirationTimestamp"] = json!((Timestamp::now() + lasts).to_string());
        }
        self.write("answer.new", &json!({ "kind": "ExecCredential", "status": status }).to_string());
        std::fs::rename(self.path("answer.new"), self.path("answer")).unwrap();
    }

    /// How often the program ran.
    fn runs(&self) -> usize {
        std::fs::read_to_string(self.path("runs")).unwrap_or_default().lines().count()
    }

    fn has_seen(&self, token: &str) -> bool {
        self.api.counts().tokens.contains(token)
    }
}

/// Asks for something that only those may have who are let in.
async fn enters(cluster: &Cluster) -> Result<(), ApiProblem> {
    cluster.live_yaml(&ResourceRef::new("", "Namespace", None, "prod"), None).await.map(drop)
}

/// Eight at once.
async fn all_enter(cluster: &Cluster) {
    for entered in join_all((0..8).map(|_| enters(cluster))).await {
        entered.unwrap();
    }
}

/// Goes in and out until something is so.
async fn until(what: &str, cluster: &Cluster, mut so: impl FnMut() -> bool) {
    let entering = async {
        while !so() {
            enters(cluster).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), entering).await.unwrap_or_else(|_| panic!("waited for {what}"));
}

/// Waits until one who was let in is not any more.
async fn refused(cluster: &Cluster) -> ApiProblem {
    let knocking = async {
        loop {
            if let Err(problem) = enters(cluster).await {
                return problem;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), knocking).await.expect("nobody is refused")
}

#[tokio::test]
async fn a_token_file_is_read_without_its_line_feed_and_again_when_it_is_renewed() {
    let door = Door::new().await;
    door.write("token", "first\n");
    door.api.let_in(&["first"]);
    let cluster = door.cluster("    token: an-old-copy\n    tokenFile: token");
    enters(&cluster).await.unwrap();

    door.api.let_in(&["first", "second"]);
    door.write("token", "second\n");
    until("the new token, where the old one would do", &cluster, || door.has_seen("second")).await;

    door.api.let_in(&["third"]);
    door.write("token", "third\n");
    enters(&cluster).await.expect("the new token, where the old one is refused");
    assert_eq!(door.api.counts().tokens.into_iter().collect::<Vec<_>>(), ["first", "second", "third"]);
}

#[tokio::test]
async fn a_token_that_is_renewed_stops_no_request_and_no_watch() {
    let mut scene = Scene::new().await;
    scene.sync(SHOP).await.unwrap();
    scene.synced().await;
    scene.api.let_in(&["renewed"]);
    scene.api.kubeconfig(&scene.folder.path().join("kubeconfig")).unwrap();
    all_enter(&scene.cluster).await;

    scene.api.let_in(&["renewed-again"]);
    scene.api.kubeconfig(&scene.folder.path().join("kubeconfig")).unwrap();
    scene.api.cut_watches();
    scene.api.edit("configmaps", "prod", "shop", "hand", |o| o["data"]["greeting"] = json!("bye")).unwrap();
    let told = |change: &ClusterChange| match change {
        ClusterChange::Away { why } => panic!("told as away: {why}"),
        ClusterChange::ContentChanged { .. } => Some(()),
        _ => None,
    };
    scene.wait_for("the edit", told).await;
}

#[tokio::test]
async fn a_credential_program_is_run_once_for_all_and_again_when_the_server_refuses() {
    let door = Door::new().await;
    door.api.let_in(&["first"]);
    door.hands_out("first", None);
    let cluster = door.cluster(&door.program("cat answer"));
    all_enter(&cluster).await;
    cluster.kinds().await.unwrap();
    assert_eq!(door.runs(), 1);

    door.api.let_in(&["second"]);
    door.hands_out("second", None);
    all_enter(&cluster).await;
    assert_eq!(door.runs(), 2);

    // Where it has nothing better, it is not run for each request.
    door.api.let_in(&["third"]);
    for _ in 0..20 {
        let problem = enters(&cluster).await.unwrap_err();
        assert_eq!((problem.class, &*problem.message), (Class::Unauthorized, "Unauthorized"));
    }
    assert!(door.runs() <= 3, "{} runs", door.runs());
}

#[tokio::test]
async fn a_credential_program_is_run_again_before_what_it_handed_out_ends() {
    let door = Door::new().await;
    door.api.let_in(&["first", "second"]);
    door.hands_out("first", Some(SignedDuration::from_secs(4)));
    let cluster = door.cluster(&door.program("cat answer"));
    enters(&cluster).await.unwrap();
    door.hands_out("second", Some(SignedDuration::from_hours(1)));
    until("the next token", &cluster, || door.has_seen("second")).await;
    all_enter(&cluster).await;
    assert_eq!(door.runs(), 2);
}

/// A program that waits to be let go on, and then says no.
#[tokio::test]
async fn while_a_renewal_hangs_and_fails_the_last_credential_serves_until_its_end() {
    let door = Door::new().await;
    door.hands_out("standin-token", Some(SignedDuration::from_secs(8)));
    let script = "if [ -e hangs ]; then cat hangs; echo a secret; echo 'the session ended: sso login' >&2; exit 3; fi\ncat answer";
    let cluster = door.cluster(&door.program(script));
    enters(&cluster).await.unwrap();
    assert!(Command::new("mkfifo").arg(door.path("hangs")).status().unwrap().success());
    // It can be opened as soon as the program reads there.
    let mut held = None;
    let open = || OpenOptions::new().write(true).custom_flags(NONBLOCK).open(door.path("hangs"));
    until("the renewal", &cluster, || {
        held = open().ok();
        held.is_some()
    })
    .await;
    all_enter(&cluster).await;

    door.write("empty", "");
    std::fs::rename(door.path("empty"), door.path("hangs")).unwrap();
    drop(held);
    let problem = refused(&cluster).await;
    let words = "cannot connect to cluster standin: the credential program /bin/sh failed with exit status: 3: the session ended: sso login";
    assert_eq!((problem.class, problem.to_string()), (Class::Configuration, words.to_owned()));

    std::fs::remove_file(door.path("hangs")).unwrap();
    door.hands_out("standin-token", None);
    let back = async { while enters(&cluster).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), back).await.expect("it never came back");
}

#[tokio::test]
async fn what_is_wrong_with_a_credential_program_is_told_without_what_it_prints() {
    let door = Door::new().await;
    let rubbish = "answered something other than an ExecCredential; run it manually as the agent's user";
    let token = "answered a token that no header can carry; run it manually as the agent's user";
    let certificate = "answered a certificate or a key that is not PEM; run it manually as the agent's user";
    for (script, told) in [
        ("echo a secret; echo no session >&2; exit 3", "failed with exit status: 3: no session"),
        ("echo a secret; kill -9 $$", "failed with signal: 9 (SIGKILL) and said nothing"),
        ("echo a secret", rubbish),
        ("echo '{\"status\": {\"token\": [\"secret\"]}}'", rubbish),
        ("printf %s '{\"status\": {\"token\": \"a\\nsecret\"}}'", token),
        ("echo '{\"status\": {\"clientCertificateData\": \"secret\", \"clientKeyData\": \"secret\"}}'", certificate),
    ] {
        let problem = enters(&door.cluster(&door.program(script))).await.unwrap_err();
        let words = format!("cannot connect to cluster standin: the credential program /bin/sh {told}");
        assert_eq!((problem.class, problem.to_string()), (Class::Configuration, words), "{script}");
        assert!(!problem.hint.is_empty());
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_written_while_a_credential_program_runs_counts() {
    let door = Door::new().await;
    door.api.let_in(&["first", "second"]);
    door.hands_out("first", None);
    door.kubeconfig("next", "    token: second");
    let cluster = door.cluster(&door.program("mv next kubeconfig\ncat answer"));
    enters(&cluster).await.unwrap();
    until("the new kubeconfig", &cluster, || door.has_seen("second")).await;
    assert_eq!(door.runs(), 1);
}

fn trusting(authority: &Authority) -> String {
    format!("certificate-authority-data: {}", BASE64_STANDARD.encode(authority.pem()))
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate() {
    let door = Door::new().await;
    let (ours, theirs) = (Authority::new("Ours").unwrap(), Authority::new("Somebody").unwrap());
    let trusted = trusting(&ours);
    let renamed = format!("{trusted}\n    tls-server-name: api.example");
    let anybody = "insecure-skip-tls-verify: true".to_owned();
    let its_own = Certificate::of_its_own("127.0.0.1").unwrap();
    let itself = format!("certificate-authority-data: {}", BASE64_STANDARD.encode(its_own.pem()));
    for (certificate, cluster, why) in [
        (ours.sign("127.0.0.1"), &trusted, None),
        (theirs.sign("127.0.0.1"), &trusted, Some("it is signed by an unknown authority")),
        (ours.sign("api.example"), &trusted, Some("it is for api.example, not for 127.0.0.1")),
        (ours.sign("api.example"), &renamed, None),
        (ours.sign("127.0.0.1"), &renamed, Some("it is for 127.0.0.1, not for api.example")),
        (ours.sign_ended("127.0.0.1"), &trusted, Some("it expired at 2020-02-03T00:00:00Z")),
        (theirs.sign("api.example"), &anybody, None),
        (Ok(its_own), &itself, Some("it is the certificate of an authority (CA:TRUE), shown as that of a server")),
    ] {
        door.api.secure(&certificate.unwrap()).await;
        let entered = enters(&door.cluster_over_tls(cluster, "    token: standin-token")).await;
        let told = entered.err().map(|problem| (problem.class, problem.message));
        let words = why.map(|why| (Class::Untrusted, format!("the server's certificate was rejected: {why}")));
        assert_eq!(told, words);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_a_renewed_one_counts() {
    let door = Door::new().await;
    let (ours, people) = (Authority::new("Ours").unwrap(), Authority::new("People").unwrap());
    let user = |certificate: &Certificate| {
        let (pem, key) = (BASE64_STANDARD.encode(certificate.pem()), BASE64_STANDARD.encode(certificate.key_pem()));
        format!("    token: standin-token\n    client-certificate-data: {pem}\n    client-key-data: {key}")
    };
    let somebody = people.sign("somebody").unwrap();
    door.api.secure(&ours.sign("127.0.0.1").unwrap().asking(&people)).await;
    enters(&door.cluster_over_tls(&trusting(&ours), &user(&somebody))).await.unwrap();

    let ended = people.sign_ended("somebody").unwrap();
    for (user, alert) in [
        ("    token: standin-token".to_owned(), "CertificateRequired"),
        (user(&ended), "CertificateExpired"),
        (user(&ours.sign("somebody").unwrap()), "UnknownCA"),
    ] {
        let problem = enters(&door.cluster_over_tls(&trusting(&ours), &user)).await.unwrap_err();
        let words = "the server rejects the client certificate, or requires one: received fatal alert: ";
        assert_eq!((problem.class, problem.message), (Class::Unauthorized, format!("{words}{alert}")));
    }

    door.write("client.crt", ended.pem());
    door.write("client.key", ended.key_pem());
    let by_file = "    token: standin-token\n    client-certificate: client.crt\n    client-key: client.key";
    let cluster = door.cluster_over_tls(&trusting(&ours), by_file);
    assert_eq!(enters(&cluster).await.unwrap_err().class, Class::Unauthorized);
    door.write("client.crt", somebody.pem());
    door.write("client.key", somebody.key_pem());
    enters(&cluster).await.expect("the renewed certificate");
}
