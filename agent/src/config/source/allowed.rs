//! What an application of a source may say. Whoever may push to the source must not read the files, variables and logins of
//! the agent's machine by it, nor have them sent elsewhere.
//!
//! Each type is taken apart whole, so that an option that is new has to be decided here.

use std::collections::BTreeMap;
use std::path::Path;

use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::trigger::TagGlob;
use quarterdeck_git::url::{RepositoryUrl, redact};
use quarterdeck_shared::application::{
    ApplicationSpec, ArtifactSpec, CacheTo, ChartSpec, Code, DeliverySpec, DependencyRepository, EnvironmentSource,
    EnvironmentSpec, FollowSpec, HelmSpec, ImageSpec, KustomizeSpec, Overlay, PromotePolicy, RemoteFile, ServiceSpec,
    TestCommand, TestRun, TestSpec, ValueFrom,
};

use super::ApplicationSource;
use crate::config::locate::Step;

/// The options that are refused, and why; the guide has them in a table.
pub(super) const REFUSED: [(&str, &str); 14] = [
    ("require_signed", "it names files of the agent's machine"),
    ("require_signature", "it names files of the agent's machine"),
    ("verify", "it names files of the agent's machine"),
    ("verify_keyring", "it names a file of the agent's machine"),
    ("sign", "it names a private key of the agent's machine"),
    ("args", "a value from a variable or a file of the agent's machine ends up in the image: write the value itself"),
    ("secrets", "they are files and variables of the agent's machine"),
    ("ssh", "it lends the keys of the agent's ssh agent to the build"),
    ("env", "the test could print a variable or a file of the agent's machine: write the value itself"),
    ("age_keys", "it names files of the agent's machine: [application_source.sops] has the keys of a source"),
    ("pull_secret", "it writes a login of the agent into a namespace"),
    ("username", "a login comes from the agent's machine"),
    ("password_env", "it is a variable of the agent's machine, and is sent to the address beside it"),
    ("password_file", "it is a file of the agent's machine, and is sent to the address beside it"),
];

/// Everything that an application says and may not.
pub(super) fn check(
    spec: &ApplicationSpec,
    source: &ApplicationSource,
    base: &Path,
    say: &mut impl FnMut(&[Step], String),
) {
    let ApplicationSpec { name: _, delivery, environments, followed } = spec;
    let limits = Limits { source, base };
    if let Some(delivery) = delivery {
        limits.delivery(delivery, say);
    }
    for (index, environment) in environments.iter().enumerate() {
        limits.environment(environment, &mut |keys, message| {
            say(&[&[Step::Key("environment"), Step::Index(index)], keys].concat(), message);
        });
    }
    for (index, FollowSpec { image, policy: _, environments: _ }) in followed.iter().enumerate() {
        let place = [Step::Key("follow_image"), Step::Index(index), Step::Key("image")];
        limits.image(image, &mut |message| say(&place, message));
    }
}

struct Limits<'a> {
    source: &'a ApplicationSource,
    base: &'a Path,
}

impl Limits<'_> {
    fn delivery(&self, delivery: &DeliverySpec, say: &mut impl FnMut(&[Step], String)) {
        let DeliverySpec { code, images, tests, scan: _, sign } = delivery;
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
        let option = |name: &'static str| [Step::Key("code"), Step::Key(name)];
        self.repository(repository, &mut |message| say(&option("repository"), message));
        if require_signed.is_some() {
            say(&option("require_signed"), refusal("require_signed"));
        }
        if sign.is_some() {
            say(&[Step::Key("sign")], refusal("sign"));
        }
        for (index, image) in images.iter().enumerate() {
            self.built(image, &mut |key, message| {
                say(&[Step::Key("image"), Step::Index(index), Step::Key(key)], message);
            });
        }
        for (index, TestSpec { name: _, image: _, run, timeout: _ }) in tests.iter().enumerate() {
            let TestRun::Command(command) = run else { continue };
            let TestCommand { command: _, env, reports: _, services, limits: _ } = &**command;
            let has_secret =
                |ServiceSpec { name: _, image: _, command: _, env, ready: _ }: &ServiceSpec| is_elsewhere(env);
            if is_elsewhere(env) || services.iter().any(has_secret) {
                say(&[Step::Key("test"), Step::Index(index), Step::Key("env")], refusal("env"));
            }
        }
    }

    fn built(&self, image: &ImageSpec, say: &mut impl FnMut(&'static str, String)) {
        let ImageSpec {
            name,
            context: _,
            dockerfile: _,
            target: _,
            args,
            secrets,
            ssh,
            source_date_epoch: _,
            cache_from: _,
            platform: _,
            platforms: _,
            cache_to,
        } = image;
        self.image(name, &mut |message| say("name", message));
        // What an application may not push under it may not keep a cache under.
        if let Some(CacheTo::Registry(name)) = cache_to {
            self.image(name, &mut |message| say("cache_to", message));
        }
        if is_elsewhere(args) {
            say("args", refusal("args"));
        }
        if !secrets.is_empty() {
            say("secrets", refusal("secrets"));
        }
        if !ssh.is_off() {
            say("ssh", refusal("ssh"));
        }
    }

    fn environment(&self, environment: &EnvironmentSpec, say: &mut impl FnMut(&[Step], String)) {
        let EnvironmentSpec {
            name: _,
            repository,
            follow: _,
            artifact,
            sources,
            path: _,
            render: _,
            files: _,
            jsonnet: _,
            kustomize,
            helm,
            age_keys,
            age_keys_only: _,
            variables: _,
            cluster,
            namespace,
            create_namespace: _,
            pull_secrets,
            sync: _,
            promote,
            protected: _,
        } = environment;
        match artifact {
            Some(artifact) => self.artifact(artifact, &mut |key, message| {
                say(&[Step::Key("artifact"), Step::Key(key)], message);
            }),
            None => self.repository(repository, &mut |message| say(&[Step::Key("repository")], message)),
        }
        for (at, source) in sources.iter().enumerate() {
            let EnvironmentSource { name: _, repository, follow: _, artifact, path: _, bundled: _ } = source;
            let place = [Step::Key("source"), Step::Index(at)];
            let mut say =
                |below: &[Step], message| say(&place.iter().chain(below).cloned().collect::<Vec<_>>(), message);
            match artifact {
                Some(artifact) => self.artifact(artifact, &mut |key, message| {
                    say(&[Step::Key("artifact"), Step::Key(key)], message);
                }),
                None => self.repository(repository, &mut |message| say(&[Step::Key("repository")], message)),
            }
        }
        self.kustomize(kustomize, &mut |key, message| say(&[Step::Key("kustomize"), Step::Key(key)], message));
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
            self.chart(chart, &mut |key, message| {
                say(&[Step::Key("helm"), Step::Key("chart"), Step::Key(key)], message);
            });
        }
        for dependency in dependencies {
            self.dependency(dependency, &mut |message| {
                say(&[Step::Key("helm"), Step::Key("dependencies")], message);
            });
        }
        let source = &self.source.name;
        match cluster {
            None => say(&[], format!("an application of source {source} names its cluster: write cluster = \"…\"")),
            Some(cluster) if !self.source.clusters.contains(cluster) => say(
                &[Step::Key("cluster")],
                format!("cluster {cluster:?} is not among the clusters of source {source}"),
            ),
            Some(_) => {}
        }
        if !matches_one(&self.source.namespaces, namespace) {
            let message = format!("namespace {namespace:?} is not among the namespaces of source {source}");
            say(&[Step::Key("namespace")], message);
        }
        if *age_keys != self.source.sops.clone().read(self.base) {
            say(&[Step::Key("sops"), Step::Key("age_keys")], refusal("age_keys"));
        }
        if !pull_secrets.is_empty() {
            say(&[Step::Key("pull_secret")], refusal("pull_secret"));
        }
        let PromotePolicy { by: _, source: _, author: _, message: _, require_signature, values: _ } = promote;
        if !require_signature.is_empty() {
            say(&[Step::Key("promote"), Step::Key("require_signature")], refusal("require_signature"));
        }
    }

    /// What its kustomizations take from elsewhere is among the repositories of the source, its own as well.
    fn kustomize(&self, kustomize: &KustomizeSpec, say: &mut impl FnMut(&'static str, String)) {
        let KustomizeSpec { remote, remote_files, overlay } = kustomize;
        // What is written into the kustomization names files of the repository, or of what is in `remote`.
        let Overlay {
            generate: _,
            namespace,
            name_prefix: _,
            name_suffix: _,
            components: _,
            patches: _,
            images: _,
            replicas: _,
            labels: _,
            labels_in: _,
            annotations: _,
            annotations_in: _,
        } = overlay;
        if let Some(namespace) = namespace.as_ref().filter(|name| !matches_one(&self.source.namespaces, name)) {
            let source = &self.source.name;
            say("namespace", format!("namespace {namespace:?} is not among the namespaces of source {source}"));
        }
        for address in remote {
            // A repository, or one of charts: either way it is asked by the same agent.
            match RepositoryUrl::parse(address, self.base) {
                Ok(_) => self.repository(address, &mut |message| say("remote", message)),
                Err(_) => self.in_registry(address, &mut |message| say("remote", message)),
            }
        }
        for RemoteFile { url, sha256: _ } in remote_files {
            self.in_registry(url, &mut |message| say("remote_file", message));
        }
    }

    fn chart(&self, chart: &ChartSpec, say: &mut impl FnMut(&'static str, String)) {
        let ChartSpec {
            repository,
            name: _,
            version: _,
            username,
            password_env,
            password_file,
            verify_keyring,
            verify,
        } = chart;
        let of_the_machine = [
            ("username", username.is_some()),
            ("password_env", password_env.is_some()),
            ("password_file", password_file.is_some()),
            ("verify_keyring", verify_keyring.is_some()),
            ("verify", !verify.is_empty()),
        ];
        for (key, _) in of_the_machine.into_iter().filter(|(_, is_there)| *is_there) {
            say(key, refusal(key));
        }
        self.in_registry(repository, &mut |message| say("repository", message));
    }

    /// Where a chart has what it depends on from is among the repositories of the source.
    fn dependency(&self, dependency: &DependencyRepository, say: &mut impl FnMut(String)) {
        let DependencyRepository { repository, username, password_env, password_file } = dependency;
        let of_the_machine = [
            ("username", username.is_some()),
            ("password_env", password_env.is_some()),
            ("password_file", password_file.is_some()),
        ];
        for (key, _) in of_the_machine.into_iter().filter(|(_, is_there)| *is_there) {
            say(refusal(key));
        }
        self.in_registry(repository, say);
    }

    fn artifact(&self, artifact: &ArtifactSpec, say: &mut impl FnMut(&'static str, String)) {
        let ArtifactSpec { image, follow: _, verify, media_type: _ } = artifact;
        if !verify.is_empty() {
            say("verify", refusal("verify"));
        }
        self.in_registry(&format!("oci://{image}"), &mut |message| say("repository", message));
    }

    /// The address of charts or of an artifact.
    fn in_registry(&self, repository: &str, say: &mut impl FnMut(String)) {
        let is_below = |prefix: &String| {
            let prefix = prefix.trim_end_matches('/');
            repository.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if is_devious(repository) || !self.source.repositories.iter().any(is_below) {
            say(self.no_repository(repository));
        }
    }

    /// The source's own repository, which it is read with already, or one that it is allowed.
    fn repository(&self, address: &str, say: &mut impl FnMut(String)) {
        let parsed = RepositoryUrl::parse(address, self.base);
        let own = RepositoryUrl::parse(&self.source.repository, self.base);
        let (Ok(parsed), Ok(own)) = (parsed, own) else { return };
        let is_covered = |prefix: &String| matches!(parsed.covered_by(prefix, self.base), Ok(Some(_)));
        let is_allowed = parsed.key() == own.key() || self.source.repositories.iter().any(is_covered);
        if is_devious(address) || !is_allowed {
            say(self.no_repository(address));
        }
    }

    fn no_repository(&self, address: &str) -> String {
        let (address, source) = (redact(address), &self.source.name);
        format!("repository {address} is not among the repositories of source {source}")
    }

    fn image(&self, name: &str, say: &mut impl FnMut(String)) {
        let whole = ImageRef::parse(name).map(|image| image.name());
        if !whole.is_ok_and(|whole| matches_one(&self.source.images, &whole)) {
            say(format!("image {name} is not among the images of source {}", self.source.name));
        }
    }
}

/// Whether a server might find something else at an address than what is read in it: `..`, also where it is written as `%2e`.
fn is_devious(address: &str) -> bool {
    address.contains(['%', '\\']) || address.split(['/', ':']).any(|part| part == "..")
}

fn matches_one(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| TagGlob::parse(pattern).is_ok_and(|glob| glob.matches(text)))
}

fn is_elsewhere(values: &BTreeMap<String, ValueFrom>) -> bool {
    values.values().any(|value| match value {
        ValueFrom::Plain(_) => false,
        ValueFrom::Environment { .. } | ValueFrom::File { .. } => true,
    })
}

fn refusal(option: &str) -> String {
    let why = REFUSED.iter().find(|(name, _)| *name == option).map(|(_, why)| *why).unwrap_or_default();
    format!("{option} is refused in an application of a source: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::source::file::{Held, read};
    use crate::config::source::spelled::{Spelled, Syntax};

    const GUIDE: &str = include_str!("../../../../shared/guide/applications-in-git.md");

    #[test]
    fn the_guide_lists_what_is_refused() {
        for (option, _) in REFUSED {
            assert!(GUIDE.contains(&format!("`{option}`")), "{option}");
        }
    }

    fn source() -> ApplicationSource {
        toml::from_str(
            "name = 'teams'\nrepository = 'https://forge/ops/fleet.git'\npath = 'apps'\nclusters = ['staging']\n\
             namespaces = ['team-*', 'shop']\nrepositories = ['https://forge/team', 'oci://registry.example/charts']\n\
             images = ['registry.example/team/*', 'docker.io/team/*']\n",
        )
        .unwrap()
    }

    /// What is said of an environment with this in it, without its place.
    fn told(text: &str) -> Vec<String> {
        let held = Held { source: &source(), config: &Config::default(), base: Path::new("/etc/qd") };
        let read = read(&Spelled::whole(text, Syntax::Toml), held);
        assert_eq!(read.applications.is_empty(), !read.problems.is_empty(), "{text}");
        read.problems.into_iter().map(|problem| problem.message).collect()
    }

    const ENVIRONMENT: &str = "[[application]]\nname = 'a'\n[[application.environment]]\nname = 'qa'\n";

    #[test]
    fn where_an_environment_may_be() {
        let not = |what: &str| vec![format!("{what} of source teams")];
        let own = "https://forge/ops/fleet";
        for (repository, cluster, namespace, expected) in [
            (own, "staging", "team-a", Vec::new()),
            ("https://forge/ops/fleet.git", "staging", "shop", Vec::new()),
            ("https://forge/team/shop.git", "staging", "team-", Vec::new()),
            (own, "prod", "shop", not("cluster \"prod\" is not among the clusters")),
            (own, "staging", "kube-system", not("namespace \"kube-system\" is not among the namespaces")),
            (
                "https://forge/ops/fleet2",
                "staging",
                "shop",
                not("repository https://forge/ops/fleet2 is not among the repositories"),
            ),
            (
                "https://forge/teams/shop",
                "staging",
                "shop",
                not("repository https://forge/teams/shop is not among the repositories"),
            ),
            (
                "https://forge/team/../ops/secret",
                "staging",
                "shop",
                not("repository https://forge/team/../ops/secret is not among the repositories"),
            ),
            (
                "https://forge/team/%2e%2e/ops/secret",
                "staging",
                "shop",
                not("repository https://forge/team/%2e%2e/ops/secret is not among the repositories"),
            ),
            ("/etc", "staging", "shop", not("repository /etc is not among the repositories")),
            ("fleet", "staging", "shop", not("repository fleet is not among the repositories")),
            (
                "ssh://git@forge/team/shop",
                "staging",
                "shop",
                not("repository ssh://git@forge/team/shop is not among the repositories"),
            ),
        ] {
            let text =
                format!("{ENVIRONMENT}repository = '{repository}'\ncluster = '{cluster}'\nnamespace = '{namespace}'\n");
            assert_eq!(told(&text), expected, "{text}");
        }
        let text = format!("{ENVIRONMENT}repository = '{own}'\nnamespace = 'shop'\n");
        assert_eq!(told(&text), ["an application of source teams names its cluster: write cluster = \"…\""]);
    }

    #[test]
    fn what_an_application_may_not_say() {
        let place = "repository = 'https://forge/ops/fleet'\ncluster = 'staging'\nnamespace = 'shop'\n";
        let environment = |more: &str| format!("{ENVIRONMENT}{place}{more}");
        let built = |code: &str, image: &str, more: &str| {
            format!(
                "[[application]]\nname = 'a'\n[application.code]\nrepository = 'https://forge/team/a'\n{code}\n\
                 [[application.image]]\n{image}\n{more}"
            )
        };
        let image = "name = 'registry.example/team/a'";
        let refused = |option: &str| vec![refusal(option)];
        for (text, expected) in [
            (environment(""), Vec::new()),
            (
                environment("kustomize.remote = ['https://forge/team/base', 'oci://registry.example/charts/a']"),
                Vec::new(),
            ),
            (environment("helm.dependencies = ['oci://registry.example/charts/a']"), Vec::new()),
            (
                environment("helm.dependencies = ['https://charts.example']"),
                vec!["repository https://charts.example is not among the repositories of source teams".to_owned()],
            ),
            (
                environment(
                    "helm.dependencies = [{ repository = 'https://charts.example/x', username = 'a', password_file = '/etc/shadow' }]",
                ),
                vec![
                    refusal("username"),
                    refusal("password_file"),
                    "repository https://charts.example/x is not among the repositories of source teams".to_owned(),
                ],
            ),
            (
                environment("kustomize.remote = ['https://charts.example']"),
                vec!["repository https://charts.example is not among the repositories of source teams".to_owned()],
            ),
            (
                environment("kustomize.remote = ['https://forge/other/base']"),
                vec!["repository https://forge/other/base is not among the repositories of source teams".to_owned()],
            ),
            (
                environment(&format!(
                    "kustomize.remote_file = [{{ url = 'https://web.example/a.yaml', sha256 = '{}' }}]",
                    "0".repeat(64)
                )),
                vec!["repository https://web.example/a.yaml is not among the repositories of source teams".to_owned()],
            ),
            (built("", image, ""), Vec::new()),
            (built("", "name = 'team/a'\nargs = { A = 'b' }", ""), Vec::new()),
            (
                built("", "name = 'registry.example/other/a'", ""),
                vec!["image registry.example/other/a is not among the images of source teams".to_owned()],
            ),
            (built("require_signed = { ssh = '/etc/shadow' }", image, ""), refused("require_signed")),
            (built("", &format!("{image}\nargs = {{ A = {{ env = 'HOME' }} }}"), ""), refused("args")),
            (built("", &format!("{image}\nsecrets = {{ a = {{ file = 'a' }} }}"), ""), refused("secrets")),
            (built("", &format!("{image}\nssh = true"), ""), refused("ssh")),
            (built("", image, "[application.sign]\nkey = 'cosign.key'\n"), refused("sign")),
            (
                built("", image, "[[application.test]]\nname = 't'\ncommand = ['a']\nenv = { A = { file = 'a' } }\n"),
                refused("env"),
            ),
            (
                built(
                    "",
                    image,
                    "[[application.test]]\nname = 't'\ncommand = ['a']\n[[application.test.service]]\nname = 's'\nimage = 'b:1'\nenv = { A = { env = 'A' } }\n",
                ),
                refused("env"),
            ),
            (built("", image, "[[application.test]]\nname = 't'\ncommand = ['a']\nenv = { A = 'b' }\n"), Vec::new()),
            (
                environment("[[application.environment.pull_secret]]\nregistry = 'registry.example'\n"),
                refused("pull_secret"),
            ),
            (environment("sops.age_keys = ['/root/age.txt']\n"), refused("age_keys")),
            (environment("variables.values = { A = 'b' }\n"), Vec::new()),
            (environment("promote.require_signature = ['a.pub']\n"), refused("require_signature")),
            (
                environment(
                    "helm.chart = { repository = 'oci://registry.example/charts', name = 'a', version = '1.0.0' }\n",
                ),
                Vec::new(),
            ),
            (
                environment("artifact = { repository = 'oci://registry.example/charts/a', verify = ['a.pub'] }\n")
                    .replace("repository = 'https://forge/ops/fleet'\n", ""),
                refused("verify"),
            ),
            (environment("source = [{ name = 'a', repository = 'https://forge/ops/fleet' }]\n"), Vec::new()),
            (
                environment("source = [{ name = 'a', repository = 'https://forge/else/fleet' }]\n"),
                vec!["repository https://forge/else/fleet is not among the repositories of source teams".to_owned()],
            ),
            (
                environment(
                    "source = [{ name = 'a', artifact = { repository = 'oci://registry.example/charts/a', verify = ['a.pub'] } }]\n",
                ),
                refused("verify"),
            ),
            (
                environment("artifact = { repository = 'oci://registry.example/a', tag = 'b' }\n")
                    .replace("repository = 'https://forge/ops/fleet'\n", ""),
                vec!["repository oci://registry.example/a is not among the repositories of source teams".to_owned()],
            ),
            (
                environment(
                    "helm.chart = { repository = 'oci://registry.example/charts2', name = 'a', version = '1.0.0' }\n",
                ),
                vec![
                    "repository oci://registry.example/charts2 is not among the repositories of source teams"
                        .to_owned(),
                ],
            ),
            (
                environment(
                    "helm.chart = { repository = 'https://forge/team/charts', name = 'a', version = '1.0.0', username = 'u', password_file = '/etc/shadow' }\n",
                ),
                vec![refusal("username"), refusal("password_file")],
            ),
            (
                environment(
                    "helm.chart = { repository = 'https://forge/team/charts', name = 'a', version = '1.0.0', username = 'u', password_env = 'A' }\n",
                ),
                vec![refusal("username"), refusal("password_env")],
            ),
            (
                environment(
                    "helm.chart = { repository = 'https://forge/team/charts', name = 'a', version = '1.0.0', verify_keyring = 'a.asc' }\n",
                ),
                vec![refusal("verify_keyring")],
            ),
            (
                environment(
                    "helm.chart = { repository = 'oci://registry.example/charts', name = 'a', version = '1.0.0', verify = ['a.pub'] }\n",
                ),
                vec![refusal("verify")],
            ),
            (
                environment("[[application.follow_image]]\nimage = 'registry.example/other/b'\nsemver = '1.x'\n"),
                vec!["image registry.example/other/b is not among the images of source teams".to_owned()],
            ),
            (
                environment("[[application.follow_image]]\nimage = 'registry.example/team/b'\nsemver = '1.x'\n"),
                Vec::new(),
            ),
        ] {
            assert_eq!(told(&text), expected, "{text}");
        }
    }
}
