//! How an image was built, as a predicate of SLSA provenance v1 (slsa.dev/spec/v1.0/provenance). Pure.
//!
//! It says where the code came from, by which tag and at which commit, what the configuration said of the image, and which run of
//! which agent built it. Build arguments are named without their values: these may be secret.

use quarterdeck_shared::application::ImageSpec;
use quarterdeck_shared::artifact::Artifact;
use quarterdeck_shared::snapshot::RunStatus;
use serde_json::{Map, Value, json};

/// What the parameters below mean: the page of the guide says it.
const BUILD_TYPE: &str = "https://quarterdeck.dev/build/v1";

/// Who built it.
const BUILDER: &str = "https://quarterdeck.dev/agent";

/// The predicate of one image of an artifact that a run pushed; `repository` is the address of the code, without a login.
pub fn statement(run: &RunStatus, image: &ImageSpec, artifact: &Artifact, repository: &str) -> String {
    let commit = artifact.commit.as_str();
    let mut parameters = Map::new();
    let mut say = |name: &str, value: Value| parameters.insert(name.to_owned(), value);
    say("repository", json!(repository));
    say("reference", json!(run.reference));
    say("dockerfile", json!(image.dockerfile));
    say("context", json!(if image.context.is_empty() { "." } else { &image.context }));
    if let Some(target) = &image.target {
        say("target", json!(target));
    }
    if let Some(platform) = &image.platform {
        say("platform", json!(platform));
    }
    if !image.args.is_empty() {
        say("arguments", image.args.keys().map(String::as_str).collect());
    }
    let finished = artifact.built.to_string();
    let predicate = json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": parameters,
            "internalParameters": { "application": artifact.application.as_str() },
            "resolvedDependencies": [{ "uri": format!("git+{repository}"), "digest": { "gitCommit": commit } }],
        },
        "runDetails": {
            "builder": { "id": BUILDER, "version": { "quarterdeck": env!("CARGO_PKG_VERSION") } },
            "metadata": { "invocationId": run.id.to_string(), "finishedOn": finished },
        },
    });
    format!("{predicate:#}\n")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use quarterdeck_shared::application::ValueFrom;
    use quarterdeck_shared::snapshot::RunGoal;

    use super::*;
    use crate::queue::tests::run;

    #[test]
    fn it_says_from_what_and_how_it_was_built_and_no_value_of_an_argument() {
        let run = run(12, "push-1.4.0", RunGoal::Push);
        let artifact = Artifact {
            application: run.application.clone(),
            commit: run.commit.clone(),
            tag: "1.4.0".to_owned(),
            images: Vec::new(),
            built: Timestamp::UNIX_EPOCH,
            pushed: None,
            tested: Default::default(),
        };
        let image: ImageSpec =
            serde_json::from_value(json!({ "name": "registry.example/ops/shop", "target": "release" })).unwrap();
        let args = [("TOKEN".to_owned(), ValueFrom::Plain("hunter2-4711".to_owned()))].into();
        let text = statement(&run, &ImageSpec { args, ..image }, &artifact, "ssh://git@forge.example/ops/shop.git");
        assert!(!text.contains("hunter2"), "{text}");
        let predicate: Value = serde_json::from_str(&text).unwrap();
        let definition = &predicate["buildDefinition"];
        assert_eq!(
            definition["externalParameters"],
            json!({
                "repository": "ssh://git@forge.example/ops/shop.git", "reference": "push-1.4.0", "dockerfile": "Dockerfile",
                "context": ".", "target": "release", "arguments": ["TOKEN"],
            })
        );
        let commit = json!({ "gitCommit": run.commit.as_str() });
        assert_eq!(definition["resolvedDependencies"][0]["digest"], commit);
        assert_eq!(predicate["runDetails"]["metadata"]["invocationId"], json!(run.id.to_string()));
        assert_eq!(predicate["runDetails"]["metadata"]["finishedOn"], "1970-01-01T00:00:00Z");
    }
}
