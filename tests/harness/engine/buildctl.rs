//! Stands in for the program `buildctl` and the BuildKit daemon behind it: an image from a context, as an OCI layout, with the
//! progress that `--progress=rawjson` prints.
//!
//! It builds as the stand-in engine does, once for each platform, and knows no mounts, caches and certificates: what it was
//! asked for is noted, and the real tier has the real ones. What it is to do wrong is a word in a file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::State;
use super::build::{BuildAsked, build};
use super::dockerfile::Dockerfile;
use super::files::{Node, Tree, digest};
use super::output::{Output, Stop};

/// How the program was called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildctlCall {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Secrets of the build, by their ids, as it found them in its environment.
    pub secrets: BTreeMap<String, String>,
    /// Hosts of the registries that it had a login for.
    pub logins: Vec<String>,
    /// Who may look into its folder.
    pub mode: u32,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether its ssh agent answered, and how many keys it has; none where it was given none.
    pub keys: Option<usize>,
}

impl BuildctlCall {
    /// The values of an option.
    pub fn all(&self, option: &str) -> Vec<&str> {
        let pairs = self.arguments.windows(2);
        pairs.filter(|pair| pair[0] == option).map(|pair| pair[1].as_str()).collect()
    }
}

/// A daemon, and the program that speaks to it.
pub struct Buildctl {
    folder: PathBuf,
}

impl Buildctl {
    /// Puts the program into a folder of this one; `playground` is what plays it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn install(folder: &Path, playground: &Path) -> std::io::Result<Self> {
        let folder = folder.join("buildctl");
        std::fs::create_dir_all(folder.join("bin"))?;
        let program = folder.join("bin/buildctl");
        let text = format!("#!/bin/sh\nexec {} buildctl {} \"$@\"\n", playground.display(), folder.display());
        std::fs::write(&program, text)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self { folder })
    }

    /// The `PATH` on which it is found first.
    pub fn path(&self) -> PathBuf {
        let mut path = self.folder.join("bin").into_os_string();
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        path.into()
    }

    /// The builds that it was called for so far.
    pub fn builds(&self) -> Vec<BuildctlCall> {
        let text = std::fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// From now on the daemon is `away`, rejects a `certificate`, or builds `hang`; with no word all is well again.
    pub fn be(&self, word: &str) {
        std::fs::write(self.folder.join("word"), word).expect("the stand-in writes into its folder");
    }

    /// The process of a build that hangs, once there is one.
    pub fn hanging(&self) -> Option<u32> {
        std::fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()
    }
}

/// Plays the program: its folder, then its arguments. Tells its exit code.
pub fn play_buildctl(arguments: Vec<String>) -> i32 {
    let Some((folder, rest)) = arguments.split_first() else { return 2 };
    let Err(error) = play(Path::new(folder), rest) else { return 0 };
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    1
}

fn play(folder: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let word = std::fs::read_to_string(folder.join("word")).unwrap_or_default();
    let is_build = arguments.iter().any(|one| one == "build");
    let unavailable = "failed to list workers: Unavailable: connection error: desc =";
    match word.as_str() {
        "away" => bail!(
            "{unavailable} \"transport: Error while dialing: dial tcp 10.0.0.1:1234: connect: connection refused\""
        ),
        "certificate" => {
            bail!("{unavailable} \"error reading server preface: remote error: tls: certificate required\"")
        }
        _ => {}
    }
    if !is_build {
        let platforms = json!([{ "os": "linux", "architecture": "amd64" }, { "os": "linux", "architecture": "386" }]);
        let worker =
            json!([{ "id": "standin", "platforms": platforms, "buildkitVersion": { "version": "v0.99.0-standin" } }]);
        return Ok(std::io::stdout().write_all(worker.to_string().as_bytes())?);
    }
    note(folder, arguments)?;
    if word == "hang" {
        say(&json!({ "vertexes": [{ "digest": "sha256:1", "name": "[1/1] RUN sleep", "started": NOW }] }));
        std::fs::write(folder.join("pid.new"), std::process::id().to_string())?;
        std::fs::rename(folder.join("pid.new"), folder.join("pid"))?;
        loop {
            std::thread::park();
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(make(arguments))
}

const NOW: &str = "2026-11-30T17:18:36Z";

fn say(status: &Value) {
    let _ = writeln!(std::io::stderr(), "{status}");
}

/// The value of an option, or of a name in the list of an option that comes again and again.
fn value<'a>(arguments: &'a [String], option: &str, name: &str) -> Option<&'a str> {
    let pairs = arguments.windows(2).filter(|pair| pair[0] == option);
    pairs.filter_map(|pair| pair[1].strip_prefix(name)?.strip_prefix('=')).next()
}

fn named(arguments: &[String], beginning: &str) -> BTreeMap<String, String> {
    let pairs = arguments.windows(2).filter(|pair| pair[0] == "--opt");
    let values = pairs.filter_map(|pair| pair[1].strip_prefix(beginning)?.split_once('='));
    values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn note(folder: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let secrets = arguments.windows(2).filter(|pair| pair[0] == "--secret");
    let secrets = secrets.filter_map(|pair| pair[1].strip_prefix("id=")?.split_once(",env="));
    let secrets = secrets.map(|(id, name)| (id.to_owned(), std::env::var(name).unwrap_or_default())).collect();
    let config: PathBuf = std::env::var_os("DOCKER_CONFIG").context("no DOCKER_CONFIG")?.into();
    let logins: Value = serde_json::from_slice(&std::fs::read(config.join("config.json"))?)?;
    let logins = logins["auths"].as_object().into_iter().flatten().map(|(host, _)| host.clone()).collect();
    let mode = std::fs::metadata(&config)?.permissions().mode() & 0o777;
    let keys = value(arguments, "--ssh", "default").map(keys).transpose()?;
    let call = BuildctlCall { arguments: arguments.to_vec(), secrets, logins, mode, folder: config, keys };
    let mut file = std::fs::File::options().create(true).append(true).open(folder.join("calls"))?;
    Ok(file.write_all(format!("{}\n", serde_json::to_string(&call)?).as_bytes())?)
}

/// How many keys the agent at a socket has.
fn keys(socket: &str) -> anyhow::Result<usize> {
    let listed = std::process::Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", socket).output()?;
    let lines = String::from_utf8_lossy(&listed.stdout).lines().count();
    Ok(if listed.status.success() { lines } else { 0 })
}

async fn make(arguments: &[String]) -> anyhow::Result<()> {
    let folder = value(arguments, "--local", "context").context("no context")?;
    let path = value(arguments, "--opt", "filename").unwrap_or("Dockerfile");
    let (mut context, text) = (Tree::new(), std::fs::read_to_string(Path::new(folder).join(path))?);
    read(Path::new(folder), "", &mut context)?;
    let output = arguments.windows(2).find(|pair| pair[0] == "--output").map(|pair| pair[1].as_str());
    let output =
        output.map(|one| one.strip_prefix("type=oci,tar=false,dest=").context("another output")).transpose()?;
    let asked = BuildAsked {
        context,
        args: named(arguments, "build-arg:"),
        labels: named(arguments, "label:"),
        ..BuildAsked::default()
    };
    let platforms = value(arguments, "--opt", "platform").unwrap_or("linux/amd64");
    let mut manifests = Vec::new();
    let mut blobs = BTreeMap::new();
    for (place, platform) in platforms.split(',').enumerate() {
        let file = Dockerfile::parse(&text, path).map_err(anyhow::Error::msg)?;
        let target = value(arguments, "--opt", "target").unwrap_or_default();
        let file = file.up_to(target).map_err(|words| anyhow::anyhow!("failed to solve: {words}"))?;
        let steps: Vec<String> =
            file.stages.iter().flat_map(|stage| &stage.instructions).map(|step| step.text.clone()).collect();
        let built = image(file, &asked, platform, &mut blobs).await;
        tell(place, platform, &steps, built.as_ref().err().map(ToString::to_string));
        manifests.push(built.map_err(|error| anyhow::anyhow!("failed to solve: {error}"))?);
    }
    let root = match &manifests[..] {
        [only] => only.clone(),
        all => {
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": all }).to_string().into_bytes();
            blob(&mut blobs, INDEX, index)
        }
    };
    let Some(output) = output.map(Path::new) else { return Ok(()) };
    std::fs::create_dir_all(output.join("blobs/sha256"))?;
    for (digest, bytes) in blobs {
        std::fs::write(output.join("blobs").join(digest.replacen(':', "/", 1)), bytes)?;
    }
    std::fs::write(output.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(std::fs::write(output.join("index.json"), json!({ "schemaVersion": 2, "manifests": [root] }).to_string())?)
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Steps as BuildKit tells them, the last with what it failed for.
fn tell(place: usize, platform: &str, steps: &[String], error: Option<String>) {
    for (number, step) in steps.iter().enumerate() {
        let id = format!("sha256:{place}-{number}");
        let name = format!("[{platform} {}/{}] {step}", number + 1, steps.len());
        let is_last = number + 1 == steps.len();
        say(&json!({ "vertexes": [{ "digest": id, "name": name, "started": NOW }] }));
        let said = BASE64_STANDARD.encode(format!("did {step}\n"));
        say(&json!({ "logs": [{ "vertex": id, "stream": 1, "data": said, "timestamp": NOW }] }));
        let error = error.as_deref().filter(|_| is_last).unwrap_or_default();
        say(&json!({ "vertexes": [{ "digest": id, "name": name, "started": NOW, "completed": NOW, "error": error }] }));
    }
}

fn blob(blobs: &mut BTreeMap<String, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Value {
    let descriptor = json!({ "mediaType": media_type, "digest": digest(&bytes), "size": bytes.len() });
    blobs.insert(digest(&bytes), bytes);
    descriptor
}

/// The image of one platform; what is answered is its manifest's descriptor.
async fn image(
    file: Dockerfile,
    asked: &BuildAsked,
    platform: &str,
    blobs: &mut BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<Value> {
    let state = State::new(None)?;
    add_base(&state)?;
    let (output, body) = Output::new(true, None);
    let drained = tokio::spawn(async move { drop(http_body_util::BodyExt::collect(body).await) });
    let built = build(&state, file, asked, &output).await;
    drop(output);
    drained.await?;
    let built = built.map_err(|stop| match stop {
        Stop::Failed { message, .. } => anyhow::Error::msg(message),
        other => anyhow::anyhow!("{other:?}"),
    })?;
    let images = state.images();
    let (_, image) = images.find(&built.id).context("the image is gone")?;
    let mut config: Value = serde_json::from_str(&image.config_json)?;
    let (os, architecture) = platform.split_once('/').context("no platform")?;
    (config["os"], config["architecture"]) = (os.into(), architecture.into());
    let config = blob(blobs, "application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
    let layers = image.layers.iter().map(|layer| images.blob(&layer.digest).map(|bytes| bytes.to_vec()));
    let layers: Vec<Vec<u8>> = layers.collect::<Option<_>>().context("a layer is gone")?;
    let layers: Vec<Value> =
        layers.into_iter().map(|bytes| blob(blobs, "application/vnd.oci.image.layer.v1.tar+gzip", bytes)).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    let mut descriptor = blob(blobs, MANIFEST, manifest.to_string().into_bytes());
    descriptor["platform"] = json!({ "os": os, "architecture": architecture });
    Ok(descriptor)
}

fn add_base(state: &State) -> anyhow::Result<()> {
    super::add_image(&mut state.images(), "busybox:1", &[("bin/sh", "a stand-in for busybox")]).map(drop)
}

fn read(folder: &Path, path: &str, tree: &mut Tree) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder.join(path))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let at = if path.is_empty() { name } else { format!("{path}/{name}") };
        let kind = entry.file_type()?;
        let node = if kind.is_dir() {
            read(folder, &at, tree)?;
            Node::Folder
        } else if kind.is_symlink() {
            Node::Link(std::fs::read_link(entry.path())?.display().to_string())
        } else {
            let mode = entry.metadata()?.permissions().mode() & 0o777;
            Node::File { mode, bytes: std::fs::read(entry.path())?.into() }
        };
        tree.insert(at, node);
    }
    Ok(())
}
