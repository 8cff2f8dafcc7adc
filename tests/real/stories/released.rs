//! What a merge request becomes: merged on a real forge and tagged, it is built and tested by a real engine, pushed to a Harbor,
//! scanned there, signed by the real `cosign`, verified, and written to the manifests. The Harbor is a stand-in, since a real
//! one is a cluster of its own; nothing is pulled from it.

use harness::agent::digest;
use harness::real::manifests;
use harness::registry::{Auth, Found, Registry, RegistryOptions, User};
use harness::world::borrowed;
use quarterdeck_shared::status::{Phase, StageKind};
use serde_json::json;

use super::engines::signed::{PASSWORD as PASSWORD_OF_KEY, cosign};
use super::*;

const USER: &str = "robot$ops+quarterdeck";
const PASSWORD: &str = "s3cret-of-the-robot";
const FOUND: Found = Found { id: "CVE-2026-2", severity: "Medium", package: "busybox", fixed_in: "" };

/// A Harbor that the town's images go to from now on, and a key to sign them with.
pub(crate) async fn harbor(town: &mut Town) -> anyhow::Result<Registry> {
    let auth = Auth::Token(vec![User::new(USER, PASSWORD)]);
    let harbor = Registry::start(RegistryOptions { auth, ..RegistryOptions::default() }).await?;
    harbor.be_harbor(&[FOUND]);
    town.image = format!("{}/ops/{}", harbor.address(), town.name);
    let mut files = manifests(&format!("{}:none", town.image));
    for (_, text) in &mut files {
        *text = text.replace("replicas: 2", "replicas: 0");
    }
    town.deploy.commit(&borrowed(&files), "From the Harbor")?;
    town.write_secret("harbor-password", PASSWORD)?;
    cosign(town, &["generate-key-pair", "--output-key-prefix", "own"])?;
    town.write_secret("key-password", PASSWORD_OF_KEY)?;
    let path = town.parts.path_with_programs()?;
    town.agent.set("PATH", path);
    Ok(harbor)
}

/// The configuration of a town whose images go there, and are promoted where they are scanned and signed.
pub(crate) fn config(town: &Town, harbor: &Registry) -> String {
    let registry = format!(
        "[[registry]]\nhost = \"{}\"\nkind = \"harbor\"\nusername = \"{USER}\"\npassword_file = \"harbor-password\"\n\n",
        harbor.address()
    );
    let after = "[application.environment.promote]\nrequire_signature = [\"own.pub\"]\n\
                 [application.scan]\nby = \"harbor\"\nmax_severity = \"high\"\n\
                 [application.sign]\nkey = \"own.key\"\npassword = { file = \"key-password\" }\n";
    town.config().replacen("[[repository]]", &format!("{registry}[[repository]]"), 1) + after
}

/// The merge request of this number is merged, its commit tagged, and the tag's run does all of its stages.
pub(crate) async fn is_released(town: &Town, number: u64) -> anyhow::Result<()> {
    let repository = format!("/repos/{}/{}", town.parts.get("FORGE_USER"), town.name);
    let merge = json!({ "Do": "merge" });
    town.parts.forge("POST", &format!("{repository}/pulls/{number}/merge"), &merge.to_string()).await?;
    town.shop.git(&["fetch", "--quiet", "origin", "main"])?;
    town.shop.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"])?;
    town.shop.tag("push-1.0.0")?;
    let run = town.run("push-1.0.0").await?;
    let kinds = [
        StageKind::Checkout,
        StageKind::Build,
        StageKind::Test,
        StageKind::Push,
        StageKind::Scan,
        StageKind::Sign,
        StageKind::Promote,
    ];
    let stages: Vec<_> = run.stages.iter().map(|stage| (stage.kind, stage.phase)).collect();
    ensure!(stages == kinds.map(|kind| (kind, Phase::Succeeded)), "{run:#?}");

    let pinned = format!("{}@{}", town.image, digest(&run).context("it was pushed")?);
    let message =
        |kind: StageKind| run.stages.iter().find(|stage| stage.kind == kind).map_or("", |stage| stage.message.as_str());
    ensure!(message(StageKind::Scan) == format!("{}: 1 medium; 0 with a fix", town.image), "{run:#?}");
    ensure!(message(StageKind::Sign) == format!("{pinned} signed by own.key"), "{run:#?}");
    ensure!(message(StageKind::Promote).ends_with("; signed by own.pub"), "{run:#?}");
    let promoted = harness::agent::promotion(&run).context("it was promoted")?;
    town.synced("what was promoted", promoted.as_str()).await?;
    let runs =
        town.kubectl(&["get", "deployment", "shop", "-o", "jsonpath={.spec.template.spec.containers[0].image}"])?;
    ensure!(runs == pinned.replacen('@', ":1.0.0@", 1), "the cluster has {runs}");
    Ok(())
}
