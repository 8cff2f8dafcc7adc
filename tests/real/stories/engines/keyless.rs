//! Signatures without a key by the real parts: a Fulcio and a timestamp authority of one's own, an OIDC issuer that we are, and `cosign`.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::body::Body;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use harness::serve::{self, Server};
use quarterdeck_shared::status::StageKind;
use serde_json::{Value, json};

use super::signed::cosign;
use super::*;

const OWN: &str = "ci@quarterdeck.test";

/// An issuer of identity tokens: what it says of itself, its key, and the server that says it.
struct Issuer {
    key: EcdsaKeyPair,
    address: String,
    _server: Server,
}

impl Issuer {
    async fn start() -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("a key")?;
        // Behind a byte that says that both numbers of the point follow.
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let keys = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": x, "y": y,
        }] });
        let handler: serve::Handler = Arc::new(move |request| {
            let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
            let at = |path: &str| format!("http://{host}{path}");
            let told = match request.uri().path() {
                "/.well-known/openid-configuration" => Some(json!({
                    "issuer": at(""), "jwks_uri": at("/keys"), "authorization_endpoint": at("/auth"),
                    "token_endpoint": at("/token"), "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
                })),
                "/keys" => Some(keys.clone()),
                _ => None,
            };
            let answer = http::Response::builder().status(if told.is_some() { 200 } else { 404 });
            let answer = answer.header("content-type", "application/json");
            let body = Body::from(told.unwrap_or_default().to_string());
            Box::pin(async move { Ok(answer.body(body).expect("a plain answer")) }) as _
        });
        let server = Server::start(serve::Place::loopback(0), handler).await?;
        Ok(Self { key, address: format!("http://{}", server.address()), _server: server })
    }

    /// A token of this identity, which is good for so many seconds.
    fn token(&self, identity: &str, seconds: i64) -> anyhow::Result<String> {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({
            "iss": self.address, "aud": "sigstore", "sub": identity, "email": identity, "email_verified": true,
            "iat": now - 60, "exp": now + seconds,
        });
        let parts = [json!({ "alg": "ES256", "kid": "1", "typ": "JWT" }), claims];
        let signed = parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).context("a signature")?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

/// A program of the world that runs, and ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Fulcio and a timestamp authority.
struct Services {
    fulcio: String,
    timestamps: String,
    _running: [Running; 2],
}

impl Services {
    /// Services that trust this issuer, once they answer.
    async fn start(town: &Town, issuer: &Issuer) -> anyhow::Result<Self> {
        let [fulcio, grpc, metrics, timestamps] = free_ports()?;
        let config = town.agent.path("fulcio.yaml");
        let address = &issuer.address;
        let known = format!("    issuer-url: {address}\n    client-id: sigstore\n    type: email\n");
        std::fs::write(&config, format!("oidc-issuers:\n  {address}:\n{known}"))?;
        let socket = town.agent.path("fulcio.sock").display().to_string();
        let [port, grpc, metrics] = [fulcio, grpc, metrics].map(|port| port.to_string());
        let (host, config) = ("127.0.0.1", config.display().to_string());
        let ca = program(
            town,
            "fulcio",
            &[
                "serve",
                "--ca",
                "ephemeralca",
                "--ct-log-url",
                "",
                "--config-path",
                &config,
                "--host",
                host,
                "--port",
                &port,
                "--grpc-host",
                host,
                "--grpc-port",
                &grpc,
                "--metrics-port",
                &metrics,
                "--legacy-unix-domain-socket",
                &socket,
            ],
        )?;
        let port = timestamps.to_string();
        let authority = program(
            town,
            "timestamp-server",
            &[
                "serve",
                "--host",
                host,
                "--port",
                &port,
                "--scheme",
                "http",
                "--timestamp-signer",
                "memory",
                "--disable-ntp-monitoring",
            ],
        )?;
        let [fulcio, timestamps] = [fulcio, timestamps].map(|port| format!("{host}:{port}"));
        for (at, path) in [(&fulcio, "/api/v2/trustBundle"), (&timestamps, "/api/v1/timestamp/certchain")] {
            answers(at, path).await?;
        }
        Ok(Self { fulcio, timestamps, _running: [ca, authority] })
    }

    /// Writes what is trusted: the certificates of both.
    async fn trusted_root(&self, town: &Town) -> anyhow::Result<()> {
        let bundle: Value = serde_json::from_str(&answers(&self.fulcio, "/api/v2/trustBundle").await?)?;
        let chain = bundle["chains"][0]["certificates"].as_array().context("no certificates")?;
        let chain: Vec<&str> = chain.iter().filter_map(Value::as_str).map(str::trim_end).collect();
        std::fs::write(town.agent.path("fulcio.pem"), chain.join("\n") + "\n")?;
        let chain = answers(&self.timestamps, "/api/v1/timestamp/certchain").await?;
        std::fs::write(town.agent.path("timestamps.pem"), chain)?;
        let fulcio = format!("--fulcio=url=http://{},certificate-chain=fulcio.pem", self.fulcio);
        let timestamps = format!("--tsa=url={},certificate-chain=timestamps.pem", self.timestamp_url());
        cosign(town, &["trusted-root", "create", &fulcio, &timestamps, "--out", "root.json"]).map(drop)
    }

    fn timestamp_url(&self) -> String {
        format!("http://{}/api/v1/timestamp", self.timestamps)
    }
}

/// Ports that nobody listens on now.
fn free_ports() -> anyhow::Result<[u16; 4]> {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = (0..4).map(listen).collect::<Result<Vec<_>, _>>()?;
    let ports = held.iter().map(|one| Ok(one.local_addr()?.port())).collect::<std::io::Result<Vec<_>>>()?;
    ports.try_into().map_err(|_| anyhow::anyhow!("four ports"))
}

fn program(town: &Town, name: &str, arguments: &[&str]) -> anyhow::Result<Running> {
    let log = std::fs::File::create(town.agent.path(&format!("{name}.log")))?;
    let mut command = Command::new(Path::new(town.parts.get("WORLD_BIN")).join(name));
    command.args(arguments).current_dir(town.agent.path("")).stdin(Stdio::null());
    let spawned = command.stdout(log.try_clone()?).stderr(log).spawn();
    Ok(Running(spawned.with_context(|| format!("cannot start {name}"))?))
}

/// What is at a path, once the service answers.
async fn answers(at: &str, path: &str) -> anyhow::Result<String> {
    let asking = async {
        loop {
            if let Ok((200, body)) = http(at, "GET", path, "", "").await {
                return body;
            }
            tokio::task::yield_now().await;
        }
    };
    let most = std::time::Duration::from_secs(60);
    tokio::time::timeout(most, asking).await.with_context(|| format!("{at}{path} does not answer"))
}

fn message(run: &RunStatus, kind: StageKind) -> &str {
    run.stages.iter().find(|stage| stage.kind == kind).map_or("", |stage| stage.message.as_str())
}

/// The end of a tag, however it ends.
async fn ended(town: &Town, tag: &str) -> anyhow::Result<RunStatus> {
    town.agent.wait_run(&format!("the end of {tag}"), |run| run.reference == tag && run.phase.is_final()).await
}

/// Another version of the shop under a tag, and what became of it.
async fn pushed(town: &Town, version: &str) -> anyhow::Result<RunStatus> {
    town.shop.commit(&borrowed(&code(version, 0)), "Another version")?;
    town.shop.tag(&format!("push-{version}"))?;
    ended(town, &format!("push-{version}")).await
}

#[tokio::test]
async fn what_is_pushed_is_signed_for_an_identity_and_what_no_identity_signed_is_refused() -> anyhow::Result<()> {
    story(async |town| {
        let issuer = Issuer::start().await?;
        let services = Services::start(town, &issuer).await?;
        services.trusted_root(town).await?;
        signs_and_refuses(town, &issuer, &services).await
    })
    .await
}

async fn signs_and_refuses(town: &mut Town, issuer: &Issuer, services: &Services) -> anyhow::Result<()> {
    let at = &issuer.address;
    let (own, other) = (format!("{OWN} (issuer {at})"), format!("other@quarterdeck.test (issuer {at})"));
    let required = |identity: &str| {
        let signer = format!("{{ identity = \"{identity}\", issuer = \"{at}\", trusted_root = \"root.json\" }}");
        format!("[application.environment.promote]\nrequire_signature = [{signer}]\n")
    };
    let signs = format!(
        "[application.sign]\nprovenance = true\n[application.sign.keyless]\nidentity = \"{OWN}\"\nissuer = \"{at}\"\n\
         identity_token_file = \"token\"\ntrusted_root = \"root.json\"\nfulcio_url = \"http://{}\"\ntimestamp_url = \"{}\"\n",
        services.fulcio,
        services.timestamp_url(),
    );
    let config = |town: &Town, identity: &str, signs: &str| format!("{}{}{signs}", town.config(), required(identity));
    town.write_secret("token", &issuer.token(OWN, 3_600)?)?;
    let path = town.parts.path_with_programs()?;
    town.agent.set("PATH", path);
    town.agent.configure(&config(town, OWN, &signs))?;
    town.agent.start_agent().await?;
    let run = pushed(town, "1.4.0").await?;
    let pinned = format!("{}@{}", town.image, digest(&run).context("it was pushed")?);
    ensure!(run.phase == Phase::Succeeded, "{run:#?}");
    ensure!(message(&run, StageKind::Sign) == format!("{pinned} signed by {own}, with its provenance"), "{run:#?}");
    ensure!(message(&run, StageKind::Promote).ends_with(&format!("; signed by {own}")), "{run:#?}");
    let verify = [
        "verify",
        "--trusted-root",
        "root.json",
        "--insecure-ignore-tlog",
        "--insecure-ignore-sct",
        "--use-signed-timestamps",
        "--certificate-identity",
        OWN,
        "--certificate-oidc-issuer",
        at,
    ];
    cosign(town, &[&verify[..], &[&pinned]].concat())?;

    // A token that Fulcio refuses, and one that has expired.
    town.write_secret("token", &Issuer::start().await?.token(OWN, 3_600)?)?;
    let run = pushed(town, "1.5.0").await?;
    let why = "the certificate authority made no certificate for the identity token: ";
    ensure!(run.phase == Phase::Failed && run.message.starts_with(why) && !run.hint.is_empty(), "{run:#?}");
    town.write_secret("token", &issuer.token(OWN, -60)?)?;
    let run = pushed(town, "1.6.0").await?;
    ensure!(run.phase == Phase::Failed && run.message.contains("it expired at"), "{run:#?}");

    // Another identity is required; the real cosign says whose the signature is.
    town.write_secret("token", &issuer.token(OWN, 3_600)?)?;
    town.agent.kill_agent();
    town.agent.configure(&config(town, "other@quarterdeck.test", &signs))?;
    town.agent.start_agent().await?;
    let run = pushed(town, "1.7.0").await?;
    let pinned = format!("{}@{}", town.image, digest(&run).context("it was pushed")?);
    let why = format!("{pinned} is not signed by {other}: found a signature by {OWN}");
    ensure!(run.phase == Phase::Failed && run.message == why, "{run:#?}");

    // A statement of the identity about the image is no signature of it.
    town.agent.kill_agent();
    town.agent.configure(&config(town, OWN, ""))?;
    town.agent.start_agent().await?;
    let run = pushed(town, "1.8.0").await?;
    let pinned = format!("{}@{}", town.image, digest(&run).context("it was pushed")?);
    let why = format!("{pinned} is not signed by {own}: no signature was found");
    ensure!(run.phase == Phase::Failed && run.message == why, "{run:#?}");
    attests(town, services, &pinned)?;
    town.agent.client().post::<Value>(&format!("/v1/runs/{}/retry", run.id), &json!({})).await?;
    let is_again = |one: &RunStatus| one.reference == "push-1.8.0" && one.id != run.id && one.phase.is_final();
    let again = town.agent.wait_run("the retry", is_again).await?;
    let why = format!("{pinned} is not signed by {own}: found a signed statement, and no signature of the image");
    ensure!(again.phase == Phase::Failed && again.message == why, "{again:#?}");
    Ok(())
}

/// Somebody who is the identity says something about an image.
fn attests(town: &Town, services: &Services, image: &str) -> anyhow::Result<()> {
    std::fs::write(town.agent.path("report.json"), "{\"found\":1}")?;
    let service = |url: &str| format!("url={url},api-version=1,start-time=2024-01-01T00:00:00Z,operator=town");
    let fulcio = format!("--fulcio={}", service(&format!("http://{}", services.fulcio)));
    let timestamps = format!("--tsa={}", service(&services.timestamp_url()));
    let out = ["--tsa-config=ANY", "--out", "services.json"];
    cosign(town, &[&["signing-config", "create", &fulcio, &timestamps], &out[..]].concat())?;
    let attest = [
        "attest",
        "--yes",
        "--type",
        "slsaprovenance1",
        "--predicate",
        "report.json",
        "--signing-config",
        "services.json",
        "--trusted-root",
        "root.json",
        "--identity-token",
        "token",
        image,
    ];
    cosign(town, &attest).map(drop)
}
