//! The programs as processes.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::arguments::option;
use super::form::{BUNDLE, bundle, envelope, payload, simple, statement};
use super::keyless::{certify, verify};
use super::{Key, Layer};

/// How a program was called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// Its name.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it looked for logins.
    pub docker_config: String,
    /// Who may look there as well.
    pub mode: u32,
    /// Variables that a user's environment could have set.
    pub strays: Vec<String>,
}

/// Plays a program: its name, its major version, the file of calls, and its arguments. Tells its exit code.
pub fn run(name: &str, mut arguments: Vec<String>) -> i32 {
    let rest = arguments.split_off(2.min(arguments.len()));
    let [version, calls] = &arguments[..] else { return 2 };
    let played = note(name, Path::new(calls), &rest).and_then(|()| match name {
        "syft" => syft(&rest),
        _ => cosign(version.parse().unwrap_or(2), &rest),
    });
    let Err(error) = played else { return 0 };
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "Error: {error:#}\nerror during command execution: {error:#}");
    1
}

fn note(program: &str, calls: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let docker_config = std::env::var("DOCKER_CONFIG").unwrap_or_default();
    let mode = std::fs::metadata(&docker_config).map_or(0, |folder| folder.permissions().mode() & 0o777);
    let is_stray =
        |name: &String| (name.starts_with("COSIGN_") && name != "COSIGN_PASSWORD") || name == "REGISTRY_AUTH_FILE";
    let strays = std::env::vars().map(|(name, _)| name).filter(is_stray).collect();
    let call = Call { program: program.to_owned(), arguments: arguments.to_vec(), docker_config, mode, strays };
    let mut file = std::fs::File::options().create(true).append(true).open(calls)?;
    Ok(file.write_all(format!("{}\n", serde_json::to_string(&call)?).as_bytes())?)
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn syft(arguments: &[String]) -> anyhow::Result<()> {
    let [what, image, ..] = arguments else { bail!("requires an image") };
    if what == "version" {
        return say("{\"version\":\"1.99.0-standin\"}\n");
    }
    let image = image.strip_prefix("registry:").context("the stand-in lists what is in a registry alone")?;
    let (format, file) =
        option(arguments, "--output").and_then(|output| output.split_once('=')).context("no output")?;
    let list = match format {
        "spdx-json" => json!({ "spdxVersion": "SPDX-2.3", "name": image, "packages": [
            { "name": "busybox", "versionInfo": "1.36.1", "licenseDeclared": "GPL-2.0-only", "externalRefs": [
                { "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:apk/alpine/busybox@1.36.1" },
            ] },
            { "name": image, "primaryPackagePurpose": "CONTAINER" },
        ] }),
        "cyclonedx-json" => json!({ "bomFormat": "CycloneDX", "metadata": { "component": { "name": image } } }),
        other => bail!("the stand-in does not know the format {other}"),
    };
    Ok(std::fs::write(file, list.to_string())?)
}

fn cosign(version: u8, arguments: &[String]) -> anyhow::Result<()> {
    let what = arguments.first().map_or("", String::as_str);
    if what == "version" {
        return say(&format!("{{\"gitVersion\":\"v{version}.0.0-standin\"}}\n"));
    }
    if arguments.iter().any(|one| one == "--help") {
        return say(if version >= 3 { "    --use-signing-config=true: …\n" } else { "    --key='': …\n" });
    }
    if what == "verify" || what == "verify-attestation" {
        return verified(what, arguments);
    }
    let signer = match option(arguments, "--key") {
        Some(file) => Signer::Key(opened(file)?),
        None => Signer::Identity(certify(arguments)?),
    };
    if let (Signer::Key(key), "public-key") = (&signer, what) {
        return say(&key.public());
    }
    if let Signer::Key(_) = signer {
        let has = |flag: &str| arguments.iter().any(|one| one == flag);
        ensure!(has("--tlog-upload=false"), "Post \"https://rekor.sigstore.dev/api/v1/log/entries\": no such host");
        ensure!(
            version < 3 || has("--use-signing-config=false"),
            "--tlog-upload=false is not supported with --signing-config or --use-signing-config"
        );
    }
    let image = arguments.last().context("no image")?;
    let (name, digest) = image.split_once('@').context("the stand-in signs by digest alone")?;
    let wants = match what {
        "sign" => "https://sigstore.dev/cosign/sign/v1",
        "attest" => predicate(arguments)?,
        other => bail!("the stand-in does not know {other}"),
    };
    let predicate: Value = match option(arguments, "--predicate") {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => json!({}),
    };
    let statement = statement(wants, digest, &predicate);
    let tag = digest.replace(':', "-");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let place = Place::open(image).await?;
        let key = match &signer {
            Signer::Identity(certified) => return place.refer(digest, certified.bundle(&statement), wants).await,
            Signer::Key(key) => key,
        };
        match (version, what) {
            (3.., _) => place.refer(digest, bundle(key, &statement), wants).await,
            (_, "sign") => {
                let payload = payload(name, digest);
                let signature = key.sign(&payload);
                place.tag(&format!("{tag}.sig"), simple(payload, signature)).await
            }
            _ => {
                let bytes = envelope(key, &statement).to_string().into_bytes();
                let annotations = [("predicateType".to_owned(), wants.to_owned())].into();
                let media_type = "application/vnd.dsse.envelope.v1+json".to_owned();
                place.tag(&format!("{tag}.att"), Layer { media_type, bytes, annotations }).await
            }
        }
    })
}

/// By what is signed.
enum Signer {
    Key(Key),
    Identity(super::Certified),
}

fn opened(file: &str) -> anyhow::Result<Key> {
    let text = std::fs::read_to_string(file).with_context(|| format!("open {file}"))?;
    Key::open(&text, &std::env::var("COSIGN_PASSWORD").unwrap_or_default()).map_err(anyhow::Error::msg)
}

/// What a statement of the type that is asked for says that it is.
fn predicate(arguments: &[String]) -> anyhow::Result<&'static str> {
    Ok(match option(arguments, "--type") {
        Some("spdxjson") => "https://spdx.dev/Document",
        Some("cyclonedx") => "https://cyclonedx.org/bom",
        Some("slsaprovenance1") => "https://slsa.dev/provenance/v1",
        other => bail!("the stand-in does not know {other:?}"),
    })
}

/// Verifies what refers to an image, as an identity signed it: any statement of it will do, as with cosign.
fn verified(what: &str, arguments: &[String]) -> anyhow::Result<()> {
    let file = option(arguments, "--trusted-root").context("the stand-in does not know the public root")?;
    let root = std::fs::read(file).context("setting trusted material: loading trusted root")?;
    let root: Value = serde_json::from_slice(&root).context("setting trusted material: loading trusted root")?;
    let image = arguments.last().context("no image")?;
    let (name, digest) = image.split_once('@').context("the stand-in verifies by digest alone")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bundles = runtime.block_on(async { Place::open(image).await?.bundles().await })?;
    ensure!(!bundles.is_empty(), "no signatures found");
    let all: Vec<_> = bundles.iter().map(|bundle| verify(bundle, arguments, &root)).collect();
    let kinds: Vec<&String> = all.iter().filter_map(|one| one.as_ref().ok()).collect();
    if kinds.is_empty() {
        let last = all.iter().filter_map(|one| one.as_ref().err()).next_back().map(ToString::to_string);
        bail!("no matching attestations: {}", last.unwrap_or_default());
    }
    if what == "verify-attestation" {
        let wanted = predicate(arguments)?;
        let found = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
        let kind = option(arguments, "--type").unwrap_or_default();
        ensure!(found.contains(wanted), "none of the attestations matched the predicate type: {kind}, found: {found}");
        return say("{}\n");
    }
    let told = |kind: &&String| {
        let critical = json!({
            "identity": { "docker-reference": name }, "image": { "docker-manifest-digest": digest }, "type": kind,
        });
        json!({ "critical": critical, "optional": {} })
    };
    say(&format!("\n{}\n", Value::Array(kinds.iter().map(told).collect())))
}

/// A repository that is pushed to.
struct Place {
    client: Client,
    reference: Reference,
}

impl Place {
    async fn open(image: &str) -> anyhow::Result<Self> {
        let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
        let reference: Reference = image.parse()?;
        let auth = login(reference.registry())?;
        client.auth(&reference, &auth, RegistryOperation::Push).await.context("accessing image")?;
        Ok(Self { client, reference })
    }

    /// The bundles that refer to the image.
    async fn bundles(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let auth = login(self.reference.registry())?;
        let mut bundles = Vec::new();
        for entry in self.client.pull_referrers(&self.reference, None).await.context("accessing image")?.manifests {
            let (registry, repository) = (self.reference.registry().into(), self.reference.repository().into());
            let reference = Reference::with_digest(registry, repository, entry.digest);
            let (manifest, _) = self.client.pull_manifest_raw(&reference, &auth, &[MANIFEST]).await?;
            let manifest: Value = serde_json::from_slice(&manifest)?;
            if manifest["artifactType"] != BUNDLE {
                continue;
            }
            let mut bytes = Vec::new();
            let layer = manifest["layers"][0]["digest"].as_str().unwrap_or_default();
            self.client.pull_blob(&self.reference, layer, &mut bytes).await?;
            bundles.push(bytes);
        }
        Ok(bundles)
    }

    async fn blob(&self, media_type: &str, bytes: Vec<u8>) -> anyhow::Result<Value> {
        let digest = format!("sha256:{}", hex(&bytes));
        let size = bytes.len();
        self.client.push_blob(&self.reference, bytes, &digest).await.context("uploading a layer")?;
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": size }))
    }

    /// As cosign 2: the tag grows by a layer.
    async fn tag(&self, tag: &str, layer: Layer) -> anyhow::Result<()> {
        let reference =
            Reference::with_tag(self.reference.registry().into(), self.reference.repository().into(), tag.into());
        let mut descriptor = self.blob(&layer.media_type, layer.bytes).await?;
        descriptor["annotations"] = json!(layer.annotations);
        let auth = login(self.reference.registry())?;
        let before = self.client.pull_manifest_raw(&reference, &auth, &[MANIFEST]).await.ok();
        let before: Value = before.and_then(|(bytes, _)| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut layers = before["layers"].as_array().cloned().unwrap_or_default();
        layers.push(descriptor);
        let config = self.blob("application/vnd.oci.image.config.v1+json", b"{\"config\":{}}".to_vec()).await?;
        self.put(&reference, &json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers }))
            .await
    }

    /// As cosign 3: a manifest that refers to the image.
    async fn refer(&self, digest: &str, layer: Layer, predicate: &str) -> anyhow::Result<()> {
        let layer = self.blob(&layer.media_type, layer.bytes).await?;
        let config = self.blob("application/vnd.oci.empty.v1+json", b"{}".to_vec()).await?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE, "config": config, "layers": [layer],
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicate,
            },
            "subject": { "mediaType": MANIFEST, "digest": digest, "size": 1 },
        });
        let own = format!("sha256:{}", hex(manifest.to_string().as_bytes()));
        let (registry, repository) = (self.reference.registry().into(), self.reference.repository().into());
        self.put(&Reference::with_digest(registry, repository, own), &manifest).await
    }

    async fn put(&self, reference: &Reference, manifest: &Value) -> anyhow::Result<()> {
        let bytes = manifest.to_string().into_bytes();
        self.client.push_manifest_raw(reference, bytes, MANIFEST.parse()?).await.context("uploading a manifest")?;
        Ok(())
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// From the configuration that docker would read.
fn login(registry: &str) -> anyhow::Result<RegistryAuth> {
    let folder = std::env::var("DOCKER_CONFIG").context("no DOCKER_CONFIG")?;
    let json: Value = serde_json::from_slice(&std::fs::read(Path::new(&folder).join("config.json"))?)?;
    let Some(auth) = json["auths"][registry]["auth"].as_str() else { return Ok(RegistryAuth::Anonymous) };
    let text = String::from_utf8(BASE64_STANDARD.decode(auth)?)?;
    let (user, password) = text.split_once(':').context("a login without a colon")?;
    Ok(RegistryAuth::Basic(user.to_owned(), password.to_owned()))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
