//! `[[application]]`: what a person writes, what it has to keep to, and what it means. What is written may lack things or
//! contradict itself; an [`ApplicationSpec`] cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quarterdeck_shared::application::{
    ApplicationName, ApplicationSpec, ArtifactSpec, CacheTo, Code, DeliverySpec, EnvironmentName, EnvironmentSpec,
    FilesSpec, Forks, ImageSpec, PromoteBy, PromotePolicy, RenderKind, SignSpec, Ssh, SyncPolicy,
};
use serde::Deserialize;

use super::artifact::WrittenArtifact;
use super::daemon::{self, is_platform};
use super::environment_source::{self, WrittenSource};
use super::files::{self, WrittenJsonnet};
use super::finding::Finding;
use super::follow::{self, Target, WrittenFollow};
use super::guards;
use super::helm::WrittenHelm;
use super::kustomize::{self, WrittenKustomize};
use super::locate::Step;
use super::promoted_values;
use super::pull_secret::{self, Owner, WrittenPullSecret};
use super::scan::{self, WrittenScan};
use super::sign;
use super::sops::SopsConfig;
use super::test::{self, WrittenTest};
use super::values::{self, check_address, escapes};
use super::variables::WrittenVariables;
use super::{BuilderKind, Config, EngineConfig, revision};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::trigger::{HeadRules, TagRules, TagTemplate};

/// An application as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) name: ApplicationName,
    pub(super) code: Option<Code>,
    #[serde(default)]
    pub(super) image: Vec<ImageSpec>,
    #[serde(default)]
    pub(super) test: Vec<WrittenTest>,
    pub(super) scan: Option<WrittenScan>,
    pub(super) sign: Option<SignSpec>,
    #[serde(default)]
    pub(super) environment: Vec<WrittenEnvironment>,
    #[serde(default)]
    pub(super) follow_image: Vec<WrittenFollow>,
}

/// An environment as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEnvironment {
    pub(super) name: EnvironmentName,
    pub(super) repository: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) tag_pattern: Option<String>,
    pub(super) semver: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) artifact: Option<WrittenArtifact>,
    #[serde(default)]
    pub(super) source: Vec<WrittenSource>,
    #[serde(default)]
    pub(super) path: String,
    #[serde(default)]
    pub(super) render: RenderKind,
    #[serde(default)]
    pub(super) include: Vec<String>,
    #[serde(default)]
    pub(super) exclude: Vec<String>,
    #[serde(default)]
    pub(super) kustomize: WrittenKustomize,
    #[serde(default)]
    pub(super) helm: WrittenHelm,
    #[serde(default)]
    pub(super) jsonnet: WrittenJsonnet,
    pub(super) sops: Option<SopsConfig>,
    pub(super) variables: Option<WrittenVariables>,
    pub(super) cluster: Option<String>,
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) create_namespace: bool,
    #[serde(default)]
    pub(super) pull_secret: Vec<WrittenPullSecret>,
    #[serde(default)]
    pub(super) protected: bool,
    #[serde(default)]
    pub(super) sync: SyncPolicy,
    #[serde(default)]
    pub(super) promote: PromotePolicy,
}

impl WrittenEnvironment {
    /// What is deployed of its repository.
    fn revision(&self) -> revision::Options<'_> {
        let Self { branch, tag, tag_pattern, semver, commit, artifact, .. } = self;
        let all =
            [("branch", branch), ("tag", tag), ("tag_pattern", tag_pattern), ("semver", semver), ("commit", commit)];
        revision::Options::new(all, artifact.is_some())
    }

    /// What of it may name a source.
    fn paths(&self, is_promoted: bool) -> environment_source::Paths<'_> {
        environment_source::Paths {
            path: &self.path,
            values_files: &self.helm.values_files,
            file_parameters: &self.helm.file_parameters,
            libs: &self.jsonnet.libs,
            is_promoted: is_promoted && self.promote.by != PromoteBy::None,
            named: self.promote.source.as_ref(),
            has_artifact: self.artifact.is_some(),
        }
    }

    /// The source that images are written into; nothing where that is its own repository, or none is written.
    fn promoted(&self, is_promoted: bool) -> Option<&WrittenSource> {
        let paths = self.paths(is_promoted);
        let environment_source::Promoted::Into(name) = environment_source::promoted(&paths) else { return None };
        self.source.iter().filter(|_| paths.is_promoted).find(|source| source.name().as_str() == name)
    }
}

/// What applications mean that were found right; relative paths in them begin at `base`, and `sops` is what environments have
/// that say nothing of it.
pub(super) fn read(written: Vec<Written>, sops: &SopsConfig, base: &Path) -> Vec<ApplicationSpec> {
    let image = |mut image: ImageSpec| {
        values::anchor(&mut image.args, base);
        values::anchor(&mut image.secrets, base);
        if let Ssh::Key(key) = &mut image.ssh {
            key.key_file = base.join(&key.key_file);
        }
        image
    };
    let code = |mut code: Code| {
        guards::anchor(&mut code, base);
        code
    };
    let application =
        |Written { name, code: written, image: images, test: tests, scan, sign, environment, follow_image }| {
            let is_promoted = |name: &EnvironmentName| {
                !images.is_empty() || follow_image.iter().any(|followed| followed.is_for(name))
            };
            let promoted: BTreeSet<EnvironmentName> =
                environment.iter().map(|one| one.name.clone()).filter(is_promoted).collect();
            let delivery = written.map(|written| DeliverySpec {
                code: code(written),
                tests: test::read(tests, &images, base),
                scan: scan.map(scan::read),
                sign: sign.map(|sign| sign::anchor(sign, base)),
                images: images.into_iter().map(image).collect(),
            });
            ApplicationSpec {
                name,
                delivery,
                environments: environment.into_iter().map(|one| meaning(one, &promoted, sops, base)).collect(),
                followed: follow::read(follow_image),
            }
        };
    written.into_iter().map(application).collect()
}

/// `promoted` are the environments that images are written into, where that is not off.
fn meaning(
    mut written: WrittenEnvironment,
    promoted: &BTreeSet<EnvironmentName>,
    sops: &SopsConfig,
    base: &Path,
) -> EnvironmentSpec {
    sign::anchor_keys(&mut written.promote, base);
    written.promote.source = written.promoted(promoted.contains(&written.name)).map(|source| source.name().clone());
    let follow = written.revision().read();
    let WrittenEnvironment {
        name,
        repository,
        artifact,
        source,
        path,
        render,
        include,
        exclude,
        kustomize,
        helm,
        jsonnet,
        cluster,
        namespace,
        ..
    } = written;
    let artifact = artifact.map(|artifact| artifact.read(base));
    EnvironmentSpec {
        name,
        repository: artifact.as_ref().map(ArtifactSpec::describe).or(repository).unwrap_or_default(),
        follow,
        sources: environment_source::read(source, artifact.as_ref(), base),
        artifact,
        path,
        render,
        files: FilesSpec { include, exclude },
        kustomize: kustomize.read(),
        helm: helm.read(base),
        jsonnet: jsonnet.read(),
        variables: written.variables.map(WrittenVariables::read),
        age_keys: written.sops.unwrap_or_else(|| sops.clone()).read(base),
        age_keys_only: false,
        cluster,
        namespace,
        create_namespace: written.create_namespace,
        pull_secrets: pull_secret::read(written.pull_secret, base),
        protected: written.protected,
        sync: written.sync,
        promote: written.promote,
    }
}

/// Everything that is wrong with the applications.
pub(super) fn check(config: &Config, base: &Path, findings: &mut Vec<Finding>) {
    let mut first_with: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, written) in config.application.iter().enumerate() {
        let place = [Step::Key("application"), Step::Index(index)];
        let mut say = |keys: &[Step], message: String| {
            findings.push(Finding { place: place.iter().chain(keys).cloned().collect(), message });
        };
        let name = &written.name;
        if let Some(other) = first_with.insert(name.as_str(), index) {
            let other = other + 1;
            say(
                &[Step::Key("name")],
                format!("application {name} is defined twice, also as number {other}: choose another name"),
            );
        }
        check_one(written, config, base, &mut say);
    }
    let owners = config.application.iter().enumerate().flat_map(|(application, written)| {
        written.environment.iter().enumerate().map(move |(place, environment)| Owner {
            at: (application, place),
            name: format!("{}/{}", written.name, environment.name),
            cluster: environment.cluster.as_deref(),
            namespace: &environment.namespace,
            secrets: &environment.pull_secret,
        })
    });
    pull_secret::check(owners, findings);
}

/// Everything that is wrong with one application, whatever the others are.
pub(super) fn check_one(written: &Written, config: &Config, base: &Path, say: &mut impl FnMut(&[Step], String)) {
    let clusters: BTreeSet<&str> = config.cluster.iter().map(|c| c.name.as_str()).collect();
    check_parts(written, say);
    check_delivery(written, base, &config.engine, say);
    if let Some(code) = &written.code {
        guards::check(code, config, base, say);
    }
    test::check(&written.test, &written.image, say);
    if let Some(scan) = &written.scan {
        scan::check(scan, &written.image, say);
    }
    if let Some(sign) = &written.sign {
        sign::check(sign, written.code.is_some(), say);
    }
    check_environments(written, &clusters, base, say);
    let targets = written.environment.iter().map(|environment| Target {
        name: &environment.name,
        promotes: environment.promote.by != PromoteBy::None,
        has_digest: matches!(environment.promote.by, PromoteBy::TagAndDigest | PromoteBy::Digest),
        followed: environment.promoted(true).map_or(environment.revision(), WrittenSource::revision).fixed(),
    });
    follow::check(&written.follow_image, &written.image, &targets.collect::<Vec<_>>(), say);
}

fn check_parts(written: &Written, say: &mut impl FnMut(&[Step], String)) {
    let Written { name, code, image, test, scan: _, sign: _, environment, follow_image: _ } = written;
    if image.is_empty() && !test.is_empty() {
        say(
            &[Step::Key("test")],
            format!("application {name} has tests and no image to test: add [[application.image]]"),
        );
    }
    match (code, image.is_empty()) {
        (None, true) if environment.is_empty() => say(
            &[Step::Key("name")],
            format!(
                "application {name} has nothing to do: give it [application.code] with [[application.image]], or \
                 [[application.environment]]"
            ),
        ),
        (None, false) => say(
            &[Step::Key("image")],
            format!("application {name} has images and no code: add [application.code] with repository = \"…\""),
        ),
        (Some(_), true) => say(
            &[Step::Key("code")],
            format!(
                "application {name} has code and no image: add [[application.image]] with name = \"registry/name\""
            ),
        ),
        _ => {}
    }
}

fn check_delivery(written: &Written, base: &Path, engine: &EngineConfig, say: &mut impl FnMut(&[Step], String)) {
    if let Some(code) = &written.code {
        let option = |name: &'static str| [Step::Key("code"), Step::Key(name)];
        for (name, globs) in [("build_tags", &code.build_tags), ("push_tags", &code.push_tags)] {
            if let Err(error) = TagRules::new(globs, &[], code.existing_tags) {
                say(&option(name), error.to_string());
            }
        }
        if let Err(error) = HeadRules::new(code) {
            say(&option("branches"), error.to_string());
        }
        if code.push_merge_requests && !code.merge_requests {
            let message = "push_merge_requests pushes what merge_requests builds, and that is off: turn it on";
            say(&[Step::Key("code"), Step::Key("push_merge_requests")], message.to_owned());
        }
        if code.forks != Forks::default() && !code.merge_requests {
            let message = "forks says what happens with merge requests, and merge_requests is off: turn it on";
            say(&option("forks"), message.to_owned());
        }
        if let Err(error) = TagTemplate::parse(&code.image_tag) {
            say(&option("image_tag"), error.to_string());
        }
        check_address(&code.repository, base, &mut |message| say(&option("repository"), message));
    }
    let mut names = BTreeSet::new();
    for (index, image) in written.image.iter().enumerate() {
        let mut say = |name: &'static str, message: String| {
            say(&[Step::Key("image"), Step::Index(index), Step::Key(name)], message);
        };
        let ImageSpec {
            name,
            context,
            dockerfile,
            target: _,
            args,
            secrets,
            ssh: _,
            source_date_epoch,
            cache_from,
            cache_to: _,
            platform,
            platforms: _,
        } = image;
        if !names.insert(name) {
            say("name", format!("the image {name} is defined twice: each is built once"));
        }
        match ImageRef::parse(name) {
            Ok(image) if image.tag().is_some() || image.digest().is_some() => {
                say("name", format!("{name:?} names a tag or digest; the tag comes from the git tag: write it without"))
            }
            Ok(_) => {}
            Err(error) => say("name", format!("{error}: write registry.example/team/name")),
        }
        if escapes(context) {
            say("context", format!("the context {context:?} must be a folder inside the repository"));
        }
        if escapes(dockerfile) {
            say("dockerfile", format!("the Dockerfile {dockerfile:?} must be inside the context"));
        }
        values::check_secrets(secrets, &mut |message| say("secrets", message));
        if *source_date_epoch && args.contains_key("SOURCE_DATE_EPOCH") {
            say("source_date_epoch", "SOURCE_DATE_EPOCH is in args as well: leave out one of the two".to_owned());
        }
        if let Some(platform) = platform.as_ref().filter(|platform| !is_platform(platform)) {
            say("platform", format!("{platform:?} is not a valid platform: write one, as linux/arm64 or linux/arm/v7"));
        }
        for image in cache_from {
            if let Err(error) = ImageRef::parse(image) {
                say("cache_from", format!("{error}: write registry.example/team/name:cache"));
            }
        }
        for (option, what) in of_buildkit(image).filter(|_| engine.builder == BuilderKind::Classic) {
            say(option, format!("{what} need BuildKit: leave out {option}, or builder = \"classic\" in [engine]"));
        }
        daemon::check(image, engine.buildkit.is_some(), &mut say);
    }
}

fn check_environments(
    written: &Written,
    clusters: &BTreeSet<&str>,
    base: &Path,
    say: &mut impl FnMut(&[Step], String),
) {
    let mut names = BTreeSet::new();
    for (index, environment) in written.environment.iter().enumerate() {
        let mut say = |keys: &[&'static str], message: String| {
            let below = [Step::Key("environment"), Step::Index(index)];
            let place: Vec<Step> = below.into_iter().chain(keys.iter().map(|key| Step::Key(key))).collect();
            say(&place, message);
        };
        let WrittenEnvironment { name, repository, artifact, path, cluster, namespace, promote, .. } = environment;
        if !names.insert(name) {
            say(&["name"], format!("environment {}/{name} is defined twice: choose another name", written.name));
        }
        match (repository, artifact) {
            (Some(_), Some(_)) => say(
                &["repository"],
                "the manifests come from a repository or an artifact: leave out repository or artifact".to_owned(),
            ),
            (Some(repository), None) => check_address(repository, base, &mut |message| say(&["repository"], message)),
            (None, Some(artifact)) => artifact.check(&mut say),
            // One of the repositories is the environment's own: promotions, merge requests and rollbacks are of that one.
            (None, None) if !environment.source.is_empty() => {
                let which = "write one of its sources as repository of the environment";
                say(&[], format!("environment {name} has sources and no repository of its own: {which}"));
            }
            (None, None) => say(
                &[],
                format!(
                    "environment {name} has no manifests: add repository = \"…\" or [application.environment.artifact]"
                ),
            ),
        }
        let is_promoted = !written.image.is_empty() && promote.by != PromoteBy::None;
        // Into its own repository: what is deployed of a source is looked at with the source.
        environment.revision().check(is_promoted && environment.promoted(true).is_none(), &mut say);
        if escapes(path) {
            say(&["path"], format!("the path {path:?} must be a folder inside the repository"));
        }
        if namespace.is_empty() {
            say(&["namespace"], "the namespace of objects that name none: write namespace = \"…\"".to_owned());
        }
        environment.helm.check(path, environment.render, &mut say);
        let around = kustomize::Around {
            render: environment.render,
            path,
            has_chart: environment.helm.has_chart(),
            has_post_render: environment.helm.post_render.is_some(),
        };
        environment.kustomize.check(&around, base, &mut say);
        let selected = FilesSpec { include: environment.include.clone(), exclude: environment.exclude.clone() };
        files::check(&selected, environment.render, &mut say);
        environment.jsonnet.check(environment.render, &mut say);
        let is_promoted = !written.image.is_empty() && promote.by != PromoteBy::None;
        if is_promoted && environment.render == RenderKind::Jsonnet {
            say(
                &["render"],
                "a promotion does not change jsonnet: set promote.by = \"none\", and change the image there".to_owned(),
            );
        }
        if let Some(variables) = &environment.variables {
            variables.check(&mut say);
        }
        if let Some(problem) = environment.sops.as_ref().and_then(SopsConfig::problem) {
            say(&["sops", "age_keys"], problem);
        }
        let is_known = |name: &str| clusters.is_empty() || name == "in-cluster" || clusters.contains(name);
        if let Some(cluster) = cluster.as_deref().filter(|name| !is_known(name)) {
            let known = clusters.iter().copied().collect::<Vec<_>>().join(", ");
            say(&["cluster"], format!("no [[cluster]] has the name {cluster:?}; there are: {known}, in-cluster"));
        }
        sign::check_required(promote, &mut say);
        let built = written.image.iter().map(|image| image.name.as_str());
        let followed = written.follow_image.iter().map(WrittenFollow::image);
        let promoted: Vec<&str> = built.chain(followed).collect();
        promoted_values::check(promote, environment.render, &promoted, &mut |message| {
            say(&["promote", "values"], message);
        });
        if promote.by != PromoteBy::None && !promote.author.contains('<') {
            say(
                &["promote", "author"],
                format!("{:?} is not a valid author: write \"Name <mail@example>\"", promote.author),
            );
        }
    }
    for (index, environment) in written.environment.iter().enumerate() {
        let is_followed = written.follow_image.iter().any(|one| one.is_for(&environment.name));
        let paths = environment.paths(!written.image.is_empty() || is_followed);
        environment_source::check(&environment.source, &paths, base, &mut |keys: &[Step], message| {
            let below = [Step::Key("environment"), Step::Index(index)];
            say(&below.iter().chain(keys).cloned().collect::<Vec<_>>(), message);
        });
    }
}

/// What of an image no builder but BuildKit can do: the options that ask for it, and what it is.
pub(crate) fn of_buildkit(image: &ImageSpec) -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = [
        ("secrets", "build secrets", !image.secrets.is_empty()),
        ("ssh", "ssh mounts", !image.ssh.is_off()),
        ("cache_from", "caches of registries", !image.cache_from.is_empty()),
        ("cache_to", "caches in images", image.cache_to == Some(CacheTo::Inline)),
    ];
    all.into_iter().filter(|(_, _, is_asked)| *is_asked).map(|(option, what, _)| (option, what))
}
