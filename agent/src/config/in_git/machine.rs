//! What of the agent's machine a configuration names: files, variables, programs, keys of its user. Each type is taken apart whole,
//! so that an option that is new has to be looked at here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quarterdeck_git::RepositoryConfig;
use quarterdeck_kubernetes::ClusterConfig;
use quarterdeck_shared::application::{
    ApplicationSpec, ArtifactSpec, ChartSpec, Code, DeliverySpec, DependencyRepository, EnvironmentSource,
    EnvironmentSpec, FollowSpec, HelmSpec, ImageSpec, KeylessSpec, KustomizeSpec, PromotePolicy, PullLogin,
    PullSecretSpec, RemoteFile, RequiredSigner, ServiceSpec, SignSpec, SignerIdentity, Ssh, SshKey, TestCommand,
    TestRun, TestSpec, ValueFrom,
};

use crate::config::forge::ForgeConfig;
use crate::config::locate::Step;
use crate::config::source::ApplicationSource;
use crate::config::{BuildkitConfig, Config, EngineConfig, RegistryConfig};

/// Something of the machine, or something that must not stand in git.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfMachine<'a> {
    /// A file.
    File(&'a Path),
    /// An environment variable.
    Variable(&'a str),
    /// A program, by what names it.
    Program(&'a str),
    /// A socket, by its address.
    Socket(&'a str),
    /// The keys of the ssh agent that the agent uses.
    SshAgent,
    /// The agent's login of a registry, which is written into a namespace.
    Login(&'a str),
    /// The address of a repository.
    Address(&'a str),
}

/// Whoever is told of what is named, with its place.
type Say<'s> = &'s mut dyn FnMut(&[Step], OfMachine<'_>);

/// What of the machine a configuration names, once its paths are absolute.
pub(super) fn named(config: &Config, base: &Path, say: Say<'_>) {
    let Config {
        // Refused in git as a whole, or option by option.
        configuration: _,
        agent: _,
        history: _,
        render: _,
        access: _,
        webhook: _,
        // These name nothing.
        gc: _,
        health: _,
        defined: _,
        application: _,
        engine,
        repository,
        registry,
        forge,
        cluster,
        sops,
        application_source,
        applications,
    } = config;
    of_engine(engine, say);
    for (index, one) in repository.iter().enumerate() {
        of_repository(one, &mut at("repository", index, say));
    }
    for (index, one) in registry.iter().enumerate() {
        of_registry(one, &mut at("registry", index, say));
    }
    for (index, one) in forge.iter().enumerate() {
        let ForgeConfig { kind: _, url: _, api: _, token_file, token_env, comment: _, plan: _, insecure: _ } = one;
        let mut say = at("forge", index, say);
        file(&[Step::Key("token_file")], token_file.as_ref(), &mut say);
        variable(&[Step::Key("token_env")], token_env.as_ref(), &mut say);
    }
    for (index, one) in cluster.iter().enumerate() {
        let ClusterConfig {
            name: _,
            kubeconfig,
            context: _,
            labels: _,
            insecure: _,
            max_concurrent_requests: _,
            timeout_seconds: _,
        } = one;
        file(&[Step::Key("kubeconfig")], kubeconfig.as_ref(), &mut at("cluster", index, say));
    }
    let keys = sops.clone().read(base);
    for key in &keys {
        say(&[Step::Key("sops"), Step::Key("age_keys")], OfMachine::File(key));
    }
    for (index, one) in application_source.iter().enumerate() {
        of_source(one, base, &mut at("application_source", index, say));
    }
    for (index, one) in applications.iter().enumerate() {
        of_application(one, &keys, &mut at("application", index, say));
    }
}

fn of_engine(EngineConfig { address, builder: _, buildkit }: &EngineConfig, say: Say<'_>) {
    let engine = |rest: &[&'static str]| -> Vec<Step> {
        [Step::Key("engine")].into_iter().chain(rest.iter().map(|key| Step::Key(key))).collect()
    };
    if let Some(address) = address.as_deref().filter(|address| !address.starts_with("tcp://")) {
        say(&engine(&["address"]), OfMachine::Socket(address));
    }
    let Some(BuildkitConfig { address, ca_file, cert_file, key_file }) = buildkit else { return };
    let place = engine(&["buildkit", "address"]);
    match address.split_once("://").map(|(scheme, _)| scheme) {
        Some("tcp") => {}
        Some("unix") | None => say(&place, OfMachine::Socket(address)),
        // The program of the scheme connects: ssh, kubectl, docker, podman, nerdctl.
        Some(_) => say(&place, OfMachine::Program(address)),
    }
    for (option, one) in [("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)] {
        file(&engine(&["buildkit", option]), one.as_ref(), say);
    }
}

fn of_repository(one: &RepositoryConfig, say: Say<'_>) {
    let RepositoryConfig {
        url,
        ssh_key,
        known_hosts,
        ssh_program,
        username: _,
        token_file,
        token_env,
        ca_file,
        insecure: _,
        poll_interval: _,
        limits: _,
    } = one;
    say(&[Step::Key("url")], OfMachine::Address(url));
    let files = [("ssh_key", ssh_key), ("known_hosts", known_hosts), ("token_file", token_file), ("ca_file", ca_file)];
    files.into_iter().for_each(|(option, one)| file(&[Step::Key(option)], one.as_ref(), say));
    variable(&[Step::Key("token_env")], token_env.as_ref(), say);
    if let Some(program) = ssh_program {
        say(&[Step::Key("ssh_program")], OfMachine::Program(&program.to_string_lossy()));
    }
}

fn of_registry(one: &RegistryConfig, say: Say<'_>) {
    let RegistryConfig {
        host: _,
        kind: _,
        username: _,
        password_env,
        password_file,
        insecure: _,
        ca_file,
        mirrors: _,
        labels: _,
        deployed_tags: _,
    } = one;
    file(&[Step::Key("password_file")], password_file.as_ref(), say);
    file(&[Step::Key("ca_file")], ca_file.as_ref(), say);
    variable(&[Step::Key("password_env")], password_env.as_ref(), say);
}

fn of_source(one: &ApplicationSource, base: &Path, say: Say<'_>) {
    let ApplicationSource {
        name: _,
        repository: _,
        branch: _,
        path: _,
        yaml: _,
        pattern: _,
        template: _,
        // What they make is held to what applications of a source may name.
        application: _,
        written_in: _,
        generate: _,
        prune: _,
        prune_max: _,
        clusters: _,
        namespaces: _,
        repositories: _,
        images: _,
        sops,
    } = one;
    for address in one.repositories_read() {
        say(&[Step::Key("repository")], OfMachine::Address(&address));
    }
    for key in sops.clone().read(base) {
        say(&[Step::Key("sops"), Step::Key("age_keys")], OfMachine::File(&key));
    }
}

/// `keys` are those of `[sops]`, which an environment has that names none.
fn of_application(spec: &ApplicationSpec, keys: &[PathBuf], say: Say<'_>) {
    let ApplicationSpec { name: _, delivery, environments, followed } = spec;
    if let Some(delivery) = delivery {
        of_delivery(delivery, say);
    }
    for (index, one) in environments.iter().enumerate() {
        of_environment(one, keys, &mut at("environment", index, say));
    }
    for FollowSpec { image: _, policy: _, environments: _ } in followed {}
}

fn of_delivery(DeliverySpec { code, images, tests, scan: _, sign }: &DeliverySpec, say: Say<'_>) {
    let Code {
        repository,
        build_tags: _,
        push_tags: _,
        existing_tags: _,
        branches: _,
        merge_requests: _,
        push_merge_requests: _,
        forks: _,
        image_tag: _,
        require_signed,
        require_protected_tags: _,
    } = code;
    say(&[Step::Key("code"), Step::Key("repository")], OfMachine::Address(repository));
    if let Some(signers) = require_signed {
        let place = [Step::Key("code"), Step::Key("require_signed")];
        signers.ssh.iter().chain(&signers.gpg).for_each(|file| say(&place, OfMachine::File(file)));
    }
    for (index, image) in images.iter().enumerate() {
        of_image(image, &mut at("image", index, say));
    }
    for (index, TestSpec { name: _, image: _, run, timeout: _ }) in tests.iter().enumerate() {
        let TestRun::Command(command) = run else { continue };
        let TestCommand { command: _, env, reports: _, services, limits: _ } = &**command;
        let mut say = at("test", index, say);
        values("env", env, &mut say);
        for (at, ServiceSpec { name: _, image: _, command: _, env, ready: _ }) in services.iter().enumerate() {
            values("env", env, &mut self::at("service", at, &mut say));
        }
    }
    if let Some(sign) = sign {
        of_sign(sign, say);
    }
}

fn of_image(image: &ImageSpec, say: Say<'_>) {
    let ImageSpec {
        name: _,
        context: _,
        dockerfile: _,
        target: _,
        args,
        secrets,
        ssh,
        source_date_epoch: _,
        cache_from: _,
        cache_to: _,
        platform: _,
        platforms: _,
    } = image;
    values("args", args, say);
    values("secrets", secrets, say);
    match ssh {
        Ssh::Agent(false) => {}
        Ssh::Agent(true) => say(&[Step::Key("ssh")], OfMachine::SshAgent),
        Ssh::Key(SshKey { key_file }) => say(&[Step::Key("ssh")], OfMachine::File(key_file)),
    }
}

fn of_sign(SignSpec { key, password, keyless, sbom: _, provenance: _ }: &SignSpec, say: Say<'_>) {
    let sign = |option: &'static str| [Step::Key("sign"), Step::Key(option)];
    file(&sign("key"), key.as_ref(), say);
    if let Some(password) = password {
        value(&sign("password"), password, say);
    }
    let Some(keyless) = keyless else { return };
    let KeylessSpec {
        identity: _,
        issuer: _,
        trusted_root,
        identity_token_file,
        signing_config,
        fulcio_url: _,
        timestamp_url: _,
        rekor_url: _,
    } = keyless;
    let files = [
        ("trusted_root", Some(trusted_root)),
        ("identity_token_file", Some(identity_token_file)),
        ("signing_config", signing_config.as_ref()),
    ];
    for (option, one) in files {
        file(&[Step::Key("sign"), Step::Key("keyless"), Step::Key(option)], one, say);
    }
}

fn of_environment(environment: &EnvironmentSpec, keys: &[PathBuf], say: Say<'_>) {
    let EnvironmentSpec {
        name: _,
        repository,
        follow: _,
        artifact,
        sources,
        path: _,
        render: _,
        files: _,
        kustomize,
        helm,
        jsonnet: _,
        age_keys,
        age_keys_only: _,
        variables: _,
        cluster: _,
        namespace: _,
        create_namespace: _,
        pull_secrets,
        sync: _,
        promote,
        protected: _,
    } = environment;
    say(&[Step::Key("repository")], OfMachine::Address(repository));
    of_artifact(artifact.as_ref(), say);
    for (index, EnvironmentSource { name: _, repository, follow: _, artifact, path: _, bundled: _ }) in
        sources.iter().enumerate()
    {
        let mut say = at("source", index, say);
        say(&[Step::Key("repository")], OfMachine::Address(repository));
        of_artifact(artifact.as_ref(), &mut say);
    }
    let KustomizeSpec { remote, remote_files, overlay: _ } = kustomize;
    for address in remote {
        say(&[Step::Key("kustomize"), Step::Key("remote")], OfMachine::Address(address));
    }
    for RemoteFile { url, sha256: _ } in remote_files {
        say(&[Step::Key("kustomize"), Step::Key("remote_file")], OfMachine::Address(url));
    }
    let HelmSpec {
        chart,
        dependencies,
        release_name: _,
        values_files: _,
        values: _,
        file_parameters: _,
        skip_crds: _,
        skip_hooks: _,
        hook_timeout: _,
        post_render: _,
    } = helm;
    if let Some(chart) = chart {
        of_chart(chart, say);
    }
    for DependencyRepository { repository, username: _, password_env, password_file } in dependencies {
        let place = [Step::Key("helm"), Step::Key("dependencies")];
        say(&place, OfMachine::Address(repository));
        variable(&place, password_env.as_ref(), say);
        file(&place, password_file.as_ref(), say);
    }
    for key in age_keys.iter().filter(|key| age_keys != keys && !key.as_os_str().is_empty()) {
        say(&[Step::Key("sops"), Step::Key("age_keys")], OfMachine::File(key));
    }
    for PullSecretSpec { name: _, registries, service_accounts: _ } in pull_secrets {
        for PullLogin { registry, own } in registries {
            match own {
                Some((_, password)) => value(&[Step::Key("pull_secret")], password, say),
                None => say(&[Step::Key("pull_secret")], OfMachine::Login(registry)),
            }
        }
    }
    let PromotePolicy { by: _, source: _, author: _, message: _, require_signature, values: _ } = promote;
    for required in require_signature {
        let one = match required {
            RequiredSigner::Key(key) => key,
            RequiredSigner::Identity(SignerIdentity { identity: _, issuer: _, trusted_root }) => trusted_root,
        };
        say(&[Step::Key("promote"), Step::Key("require_signature")], OfMachine::File(one));
    }
}

fn of_artifact(artifact: Option<&ArtifactSpec>, say: Say<'_>) {
    let Some(ArtifactSpec { image: _, follow: _, verify, media_type: _ }) = artifact else { return };
    verify.iter().for_each(|key| say(&[Step::Key("artifact"), Step::Key("verify")], OfMachine::File(key)));
}

fn of_chart(chart: &ChartSpec, say: Say<'_>) {
    let ChartSpec { repository, name: _, version: _, username: _, password_env, password_file, verify_keyring, verify } =
        chart;
    let place = |option: &'static str| [Step::Key("helm"), Step::Key("chart"), Step::Key(option)];
    say(&place("repository"), OfMachine::Address(repository));
    variable(&place("password_env"), password_env.as_ref(), say);
    file(&place("password_file"), password_file.as_ref(), say);
    file(&place("verify_keyring"), verify_keyring.as_ref(), say);
    verify.iter().for_each(|key| say(&place("verify"), OfMachine::File(key)));
}

/// Says the same of what is below an entry of a list.
fn at<'s>(list: &'static str, index: usize, say: Say<'s>) -> impl FnMut(&[Step], OfMachine<'_>) + use<'s> {
    move |below, named| say(&[&[Step::Key(list), Step::Index(index)], below].concat(), named)
}

fn file(place: &[Step], file: Option<&PathBuf>, say: Say<'_>) {
    if let Some(file) = file {
        say(place, OfMachine::File(file));
    }
}

fn variable(place: &[Step], name: Option<&String>, say: Say<'_>) {
    if let Some(name) = name {
        say(place, OfMachine::Variable(name));
    }
}

fn values(option: &'static str, all: &BTreeMap<String, ValueFrom>, say: Say<'_>) {
    all.values().for_each(|one| value(&[Step::Key(option)], one, say));
}

fn value(place: &[Step], from: &ValueFrom, say: Say<'_>) {
    match from {
        ValueFrom::Plain(_) => {}
        ValueFrom::Environment { env } => say(place, OfMachine::Variable(env)),
        ValueFrom::File { file } => say(place, OfMachine::File(Path::new(file))),
    }
}
