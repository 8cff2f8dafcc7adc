//! The configuration held against its example, and bad ones against their messages.

use quarterdeck_shared::application::{
    EnvironmentSpec, PromotePolicy, RequiredSigner, SignerIdentity, Ssh, SshKey, TestRun, TestSpec, ValueFrom,
};

use super::*;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// The example with every commented option in force.
fn whole_example() -> String {
    let option = |line: &str| {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split(['=', ' ']).next().unwrap_or_default();
        let is_key = !key.is_empty()
            && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && bare.contains(" = ");
        if is_key || bare.starts_with('[') { bare.to_owned() } else { String::new() }
    };
    EXAMPLE.lines().map(option).collect::<Vec<_>>().join("\n")
}

/// A daemon that builds.
const DAEMON: &str = "[engine.buildkit]\naddress = 'tcp://build.example:1234'\n";

#[test]
fn the_example_as_it_stands_is_the_default() {
    assert_eq!(Config::parse(Path::new("/etc/qd/config.toml"), EXAMPLE).unwrap(), Config::default());
}

#[test]
fn the_example_names_options_that_are_there_with_their_defaults() {
    let text = whole_example();
    let config: Config = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let AgentConfig {
        poll_interval,
        image_interval,
        data_dir,
        socket,
        socket_group,
        banner,
        log_format,
        log_level,
        max_concurrent_builds,
        max_concurrent_syncs,
        confine_renderers,
        build_idle_timeout,
        retry_timeout,
    } = config.agent;
    assert!(data_dir.is_some() && socket.is_some() && socket_group.is_some() && banner.is_some());
    let shown = AgentConfig {
        data_dir: None,
        socket: None,
        socket_group: None,
        banner: None,
        poll_interval,
        image_interval,
        log_format,
        log_level,
        max_concurrent_builds,
        max_concurrent_syncs,
        confine_renderers,
        build_idle_timeout,
        retry_timeout,
    };
    assert_eq!(shown, AgentConfig::default());
    assert_eq!(EngineConfig { address: None, buildkit: None, ..config.engine }, EngineConfig::default());
    assert_eq!(config.history, HistoryConfig::default());
    let [application] = &config.application[..] else { panic!("one application") };
    let bare: application::Written = toml::from_str(
        "name = 'shop'\ncode = { repository = 'a' }\nimage = [{ name = 'b' }]\n\
         environment = [{ name = 'prod', repository = 'c', namespace = 'd' }]",
    )
    .unwrap();
    let (shown, default) = (application.code.as_ref().unwrap(), bare.code.as_ref().unwrap());
    assert_eq!(
        (&shown.build_tags, &shown.push_tags, shown.existing_tags, &shown.image_tag, shown.forks),
        (&default.build_tags, &default.push_tags, default.existing_tags, &default.image_tag, default.forks)
    );
    assert_eq!(shown.require_protected_tags, default.require_protected_tags);
    let (shown, default) = (&application.image[0], &bare.image[0]);
    assert_eq!((&shown.context, &shown.dockerfile), (&default.context, &default.dockerfile));
    let tests = |tests: Vec<test::WrittenTest>| test::read(tests, &bare.image, Path::new("/"));
    let [shown] = &tests(application.test.clone())[..] else { panic!("one test") };
    let bare_test = toml::from_str("name = 'unit'\ncommand = ['a']").unwrap();
    let [default] = &tests(vec![bare_test])[..] else { panic!("one test") };
    assert_eq!(shown.timeout, default.timeout);
    // Of the two ways to say what a test is the stage counts; the limits are those of the other.
    let mut command = application.test.clone();
    command.iter_mut().for_each(|test| test.target = None);
    let limits = |test: &TestSpec| match &test.run {
        TestRun::Command(command) => command.limits,
        TestRun::Target(_) => panic!("a command"),
    };
    assert_eq!(limits(&tests(command)[0]), limits(default));
    let scan = |written: &scan::WrittenScan| scan::read(written.clone());
    let bare_scan = toml::from_str("by = 'harbor'").unwrap();
    assert_eq!(scan(application.scan.as_ref().unwrap()).timeout, scan(&bare_scan).timeout);
    assert_eq!(scan(&bare_scan).max_severity, None);
    let (shown, default) = (&application.environment[0], &bare.environment[0]);
    let hooks = |environment: &application::WrittenEnvironment| {
        let helm = environment.helm.clone().read(Path::new("/"));
        (helm.skip_hooks, helm.hook_timeout)
    };
    assert!(!shown.promote.require_signature.is_empty());
    assert!(shown.promote.source.is_some());
    assert!(!shown.promote.values.is_empty());
    let promote =
        PromotePolicy { source: None, require_signature: Vec::new(), values: Vec::new(), ..shown.promote.clone() };
    assert_eq!(
        (shown.create_namespace, shown.render, hooks(shown), shown.protected, &shown.sync, &promote),
        (default.create_namespace, default.render, hooks(default), default.protected, &default.sync, &default.promote)
    );
}

/// Every option that the types know stands in the example: serde tells the names when it meets a wrong one.
#[test]
fn every_option_stands_in_the_example() {
    for table in [
        "configuration",
        "agent",
        "engine",
        "engine.buildkit",
        "history",
        "render",
        "[access]",
        "[repository]",
        "[registry]",
        "[forge]",
        "webhook",
        "[cluster]",
        "sops",
        "[health]",
        "[application_source]",
        "[application]",
    ] {
        let error = toml::from_str::<Config>(&format!("[{table}]\nwrong = 1\n")).unwrap_err().to_string();
        assert_example_has(&error);
    }
    let generate = "[[application_source]]\nname = 'a'\nrepository = 'b'\n[[application_source.generate]]\nwrong = 1\n";
    assert_example_has(&toml::from_str::<Config>(generate).unwrap_err().to_string());
    for part in [
        "[application.code]",
        "[[application.image]]",
        "[[application.test]]",
        "[[application.test]]\n[[application.test.service]]",
        "[application.scan]",
        "[application.scan]\nby = 'trivy'\n[[application.scan.exception]]",
        "[application.sign]",
        "[application.sign.keyless]",
        "[[application.environment]]",
        "[[application.environment]]\n[application.environment.sync]",
        "[[application.environment]]\n[application.environment.promote]",
        "[[application.environment]]\n[[application.environment.promote.values]]",
        "[[application.environment]]\n[[application.environment.source]]",
        "[[application.environment]]\n[application.environment.helm]",
        "[[application.environment]]\n[application.environment.kustomize]",
        "[[application.environment]]\n[[application.environment.kustomize.remote_file]]",
        "[[application.environment]]\n[application.environment.helm.post_render]",
        "[[application.environment]]\n[application.environment.jsonnet]",
        "[[application.environment]]\n[application.environment.sops]",
        "[[application.environment]]\n[application.environment.variables]",
        "[[application.environment]]\n[[application.environment.variables.from]]",
        "[[application.environment]]\n[application.environment.helm.chart]",
        "[[application.environment]]\n[[application.environment.pull_secret]]",
        "[[application.follow_image]]",
    ] {
        let text = format!("[[application]]\nname = 'a'\n{part}\nwrong = 1\n");
        assert_example_has(&toml::from_str::<Config>(&text).unwrap_err().to_string());
    }
}

fn assert_example_has(error: &str) {
    let (_, expected) = error.split_once("expected").unwrap_or_else(|| panic!("{error}"));
    for option in expected.split('`').skip(1).step_by(2) {
        let there = EXAMPLE.lines().any(|line| {
            line.trim_start_matches("# ").starts_with(&format!("{option} = "))
                || line.contains(&format!("[{option}]"))
                || line.contains(&format!(".{option}]"))
        });
        assert!(there, "{option} is not in config.example.toml: {error}");
    }
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_configuration() {
    let text = "[[registry]]\nhost = 'r'\nusername = 'u'\npassword_file = 'secret'\n[[cluster]]\nname = 'c'\nkubeconfig = '/k'\n";
    let text = text.to_owned()
        + "[[application]]\nname = 'a'\n[application.code]\nrepository = '/x'\n[[application.image]]\nname = 'r/a'\n\
           args = { KEY = { file = 'key' } }\nssh = { key_file = 'deploy-key' }\nsecrets = { npmrc = { file = 'npmrc' } }\n\
           [application.sign]\nkey = 'cosign.key'\npassword = { file = 'password' }\n[[application.environment]]\nname = 'prod'\n\
           repository = '/d'\nnamespace = 'a'\npromote.require_signature = ['a.pub', '/b.pub', \
           { identity = 'ci@example', issuer = 'https://i.example', trusted_root = 'root.json' }]\n";
    let config = Config::parse(Path::new("/etc/qd/config.toml"), &text).unwrap();
    assert_eq!(config.registry[0].password_file.as_deref(), Some(Path::new("/etc/qd/secret")));
    assert_eq!(config.cluster[0].kubeconfig.as_deref(), Some(Path::new("/k")));
    let image = &config.applications[0].delivery.as_ref().unwrap().images[0];
    assert_eq!(image.ssh, Ssh::Key(SshKey { key_file: "/etc/qd/deploy-key".into() }));
    let file = |file: &str| ValueFrom::File { file: file.to_owned() };
    assert_eq!((&image.args["KEY"], &image.secrets["npmrc"]), (&file("/etc/qd/key"), &file("/etc/qd/npmrc")));
    let sign = config.applications[0].delivery.as_ref().unwrap().sign.as_ref().unwrap();
    let key = sign.key.as_deref();
    assert_eq!((key, &sign.password), (Some(Path::new("/etc/qd/cosign.key")), &Some(file("/etc/qd/password"))));
    let required = &config.applications[0].environments[0].promote.require_signature;
    let key = |file: &str| RequiredSigner::Key(file.into());
    let signer = SignerIdentity {
        identity: "ci@example".to_owned(),
        issuer: "https://i.example".to_owned(),
        trusted_root: "/etc/qd/root.json".into(),
    };
    assert_eq!(required[..], [key("/etc/qd/a.pub"), key("/b.pub"), RequiredSigner::Identity(signer)]);
}

#[test]
fn keys_are_missed_by_a_check_and_not_by_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let text = "[[application]]\nname = 'shop'\n[application.code]\nrepository = '/srv/shop'\n[[application.image]]\nname = 'r/a'\n\
                [application.sign]\nkey = 'cosign.key'\n[[application.environment]]\nname = 'prod'\nrepository = '/srv/deploy'\n\
                namespace = 'shop'\n[application.environment.promote]\nrequire_signature = ['a.pub', 'b.pub']\n";
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("b.pub"), "not a key\n").unwrap();
    Config::load(&path).unwrap();
    let Err(ConfigError::Wrong { problems }) = Config::load_with_files(&path) else { panic!("three files are wrong") };
    let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    let [(8, sign), (14, missing), (14, wrong)] = found[..] else { panic!("{found:#?}") };
    assert!(sign.starts_with("cannot read the private key") && sign.contains("No such file"), "{sign}");
    assert!(missing.starts_with("cannot read the public key") && missing.contains("No such file"), "{missing}");
    assert_eq!(wrong, "b.pub is not a valid public key: it does not hold `-----BEGIN PUBLIC KEY-----`");
}

#[test]
fn age_keys_are_missed_by_a_check_and_not_by_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let text = "[sops]\nage_keys = ['a.txt', 'b.txt']\n[[application]]\nname = 'shop'\n[[application.environment]]\nname = 'prod'\n\
                repository = '/srv/deploy'\nnamespace = 'shop'\n[[application.environment]]\nname = 'qa'\nrepository = '/srv/deploy'\n\
                namespace = 'qa'\n[application.environment.sops]\nage_keys = ['qa.txt']\n";
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("b.txt"), "# none\n").unwrap();
    let config = Config::load(&path).unwrap();
    let [prod, qa] = &config.applications[0].environments[..] else { panic!("{config:?}") };
    assert_eq!(prod.age_keys, ["a.txt", "b.txt"].map(|file| folder.path().join(file)), "those of all");
    assert_eq!(qa.age_keys, [folder.path().join("qa.txt")], "its own alone");
    let Err(ConfigError::Wrong { problems }) = Config::load_with_files(&path) else { panic!("three files are wrong") };
    let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    let [(2, missing), (2, none), (14, own)] = found[..] else { panic!("{found:#?}") };
    assert!(missing.contains("a.txt cannot be read: No such file"), "{missing}");
    assert!(none.ends_with("b.txt: it holds no age identity"), "{none}");
    assert!(own.contains("qa.txt cannot be read: No such file"), "{own}");
}

#[test]
fn files_of_signers_are_missed_by_a_check_and_not_by_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let text = "[[application]]\nname = 'shop'\n[application.code]\nrepository = 'https://forge.example/ops/shop'\n\
                require_signed = { ssh = 'allowed_signers', gpg = 'keys.asc' }\nrequire_protected_tags = true\n\
                [[application.image]]\nname = 'r/a'\n[[forge]]\nkind = 'gitea'\nurl = 'https://forge.example'\ntoken_env = 'A'\n";
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("keys.asc"), "").unwrap();
    let config = Config::load(&path).unwrap();
    let signers = config.applications[0].delivery.as_ref().unwrap().code.require_signed.clone().unwrap();
    assert_eq!(signers.ssh, Some(folder.path().join("allowed_signers")), "from the folder of the configuration");
    let Err(ConfigError::Wrong { problems }) = Config::load_with_files(&path) else { panic!("both files are missed") };
    let [ssh, gpg] = &problems[..] else { panic!("{problems:#?}") };
    assert!((ssh.line, gpg.line) == (5, 5) && ssh.message.contains("No such file"), "{problems:#?}");
    assert!(ssh.column < gpg.column && gpg.message.ends_with("keys.asc: it is empty"), "{problems:#?}");
    for file in ["allowed_signers", "keys.asc"] {
        std::fs::write(folder.path().join(file), "a key\n").unwrap();
    }
    assert_eq!(Config::load_with_files(&path).unwrap(), config);
}

#[test]
fn a_file_without_authorities_is_missed_by_a_check_and_not_by_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "[[registry]]\nhost = 'r.example'\nca_file = 'ca.pem'\n").unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config.registry[0].ca_file, Some(folder.path().join("ca.pem")), "from the folder of the configuration");
    for (content, why) in [(None, "ca.pem: No such file"), (Some("a key"), "ca.pem: it holds no certificate in PEM")] {
        content.into_iter().for_each(|text| std::fs::write(folder.path().join("ca.pem"), text).unwrap());
        let Err(ConfigError::Wrong { problems }) = Config::load_with_files(&path) else { panic!("{why}") };
        let [problem] = &problems[..] else { panic!("{problems:#?}") };
        assert!(problem.line == 3 && problem.message.contains(why), "{problem}");
    }
}

/// Signs for an identity, with these options more.
fn keyless(more: &str) -> String {
    format!(
        "[application.sign.keyless]\nidentity = 'ci@example'\nissuer = 'https://i.example'\ntrusted_root = 'root.json'\n\
         identity_token_file = 'token'\n{more}\n"
    )
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_would_be_right() {
    let application = "[[application]]\nname = 'shop'\n[[application.environment]]\nname = 'prod'\nrepository = '/srv/deploy'\nnamespace = 'shop'\n";
    let built =
        format!("{application}[application.code]\nrepository = '/srv/shop'\n[[application.image]]\nname = 'r/a'\n");
    let pulls = format!("{application}[[application.environment.pull_secret]]\n");
    let artifact = |more: &str| {
        format!(
            "[[application]]\nname = 'shop'\n[[application.environment]]\nname = 'prod'\nnamespace = 'shop'\n[application.environment.artifact]\nrepository = 'oci://registry.example/ops/shop-manifests'\n{more}\n"
        )
    };
    let source = |more: &str| {
        format!(
            "{application}[[application.environment.source]]\nname = 'values'\nrepository = '/srv/values'\n{more}\n"
        )
    };
    let bundled =
        |more: &str| artifact(&format!("[[application.environment.source]]\nname = 'values'\nbundled = true\n{more}"));
    let many: String = (1..9)
        .map(|number| format!("[[application.environment.source]]\nname = 's{number}'\nrepository = '/srv/values'\n"))
        .collect();
    let with_image = "[application.code]\nrepository = '/srv/shop'\n[[application.image]]\nname = 'r/a'\n";
    let coded = format!("{application}[application.code]\nrepository = '/srv/shop'\n");
    let chart = |repository: &str, version: &str| {
        format!(
            "{application}[application.environment.helm.chart]\nrepository = '{repository}'\nname = 'podinfo'\nversion = '{version}'\n"
        )
    };
    for (text, line, words) in [
        ("[agent]\npol_interval = '30s'\n".to_owned(), 2, "expected one of `poll_interval`"),
        ("[agent]\npoll_interval = 'soon'\n".to_owned(), 2, "write 30s, 5m or 1h"),
        ("[agent]\nimage_interval = '0s'\n".to_owned(), 2, "registries limit requests"),
        ("[agent]\nmax_concurrent_builds = 0\n".to_owned(), 2, "write 1 or more"),
        ("[agent\n".to_owned(), 1, ""),
        ("[[application]]\nname = 'Shop'\n".to_owned(), 2, "cannot name an application"),
        ("[[application]]\nname = 'shop'\n".to_owned(), 2, "nothing to do"),
        (format!("{application}\n{application}"), 9, "twice"),
        (format!("{application}branch = 'main'\ntag = 'v1'\n"), 8, "leave out branch or tag"),
        (format!("{application}tag = 'v1'\nsemver = '1.x'\n"), 8, "leave out tag or semver"),
        (format!("{application}semver = '1.x'\ncommit = '{}'\n", "1".repeat(40)), 8, "leave out semver or commit"),
        (format!("{application}semver = 'stable'\n"), 7, "is not a range of versions"),
        (format!("{application}semver = 'stable'\n"), 7, "write \">=1.0 <2\""),
        (format!("{application}tag_pattern = ''\n"), 7, "an empty pattern matches nothing"),
        (format!("{application}tag_pattern = 'refs/tags/v*'\n"), 7, "leave `refs/…/` out"),
        (format!("{application}commit = '1f3c2a9'\n"), 7, "expected 40 or 64 hexadecimal digits"),
        (format!("{application}path = '../other'\n"), 7, "inside the repository"),
        (application.replace("repository", "# repository"), 3, "has no manifests: add repository"),
        (artifact("tag = '1.0'\nsemver = '1.x'"), 9, "leave out tag or semver"),
        (artifact(with_image), 6, "and an artifact is deployed here: set promote.by = \"none\""),
        (
            format!("{application}semver = '1.x'\n{with_image}"),
            7,
            "and a tag is deployed here: name a branch, or set promote.by = \"none\"",
        ),
        (
            format!("{application}commit = '{}'\n{with_image}", "1".repeat(40)),
            7,
            "and a commit is deployed here: name a branch",
        ),
        (artifact("tag = '-'"), 8, "\"-\" is not a tag"),
        (artifact("semver = 'stable'"), 8, "write \">=1.0 <2\""),
        (artifact("digest = '1f3c'"), 8, "write sha256:…"),
        (artifact("digest = 'sha256:1f3c'"), 8, "is not a digest"),
        (artifact("verify = ['']"), 8, "write verify = [\"cosign.pub\"]"),
        (artifact("media_type = 'tar'"), 8, "a layer has a media type"),
        (artifact("media_typ = 'tar'"), 8, "expected one of `repository`"),
        (artifact("").replace("oci://", "https://"), 7, "write oci://registry.example/ops/shop-manifests"),
        (artifact("").replace("manifests'", "manifests:1.0'"), 7, "it has a tag or a digest"),
        (artifact("").replace("registry.example/", ""), 7, "it does not begin with a host"),
        (artifact("").replace("namespace", "branch = 'main'\nnamespace"), 5, "leave out branch or artifact"),
        (artifact("").replace("namespace", "repository = '/srv/a'\nnamespace"), 5, "leave out repository or artifact"),
        (source("").replace("'values'", "'Values'"), 8, "cannot name a source of an environment"),
        (source("").replace("repository = '/srv/values'", ""), 7, "has no files: add repository"),
        (source("branch = 'main'\ntag = 'v1'"), 11, "leave out branch or tag"),
        (source("semver = 'stable'"), 10, "write \">=1.0 <2\""),
        (source("path = '../other'"), 10, "inside the repository"),
        (
            source("artifact = { repository = 'oci://registry.example/ops/values' }"),
            9,
            "leave out repository or artifact",
        ),
        (
            source("")
                .replace("repository = '/srv/values'", "artifact = { repository = 'registry.example/ops/values' }"),
            9,
            "write oci://registry.example/ops/shop-manifests",
        ),
        (source("branches = 'main'"), 10, "expected one of `name`"),
        (format!("{}{}", source(""), source("").replace(application, "")), 12, "source values is defined twice"),
        (source(&many), 7, "9 sources are more than 8: bring some together in one"),
        (source("").replace("repository = '/srv/deploy'\n", ""), 3, "write one of its sources as repository"),
        (
            source("[application.environment.helm]\nvalues_files = ['$other/prod.yaml', '$values/prod.yaml']"),
            11,
            "\"$other/prod.yaml\" begins with $other, and no source has this name; there are: $values: add \
             [[application.environment.source]] with name = \"other\"",
        ),
        (format!("{application}path = '$charts/podinfo'\n"), 7, "no source has this name: add"),
        (
            format!("{application}render = 'jsonnet'\n[application.environment.jsonnet]\nlibs = ['$lib']\n"),
            9,
            "begins with $lib",
        ),
        (
            format!("{}{with_image}", source("tag = 'v1'").replace("namespace", "path = '$values/shop'\nnamespace")),
            11,
            "a promotion is a commit on a branch, and a tag is deployed here: name a branch, or set promote.by = \"none\"",
        ),
        (
            source("semver = '1.x'\n[application.environment.helm]\nvalues_files = ['$values/prod.yaml']")
                + "[[application.follow_image]]\nimage = 'nginx'\nsemver = '1.x'\n",
            10,
            "a promotion is a commit on a branch, and a tag is deployed here: name a branch",
        ),
        (
            source(&format!("commit = '{}'\n{with_image}", "1".repeat(40)))
                .replace("namespace", "promote = { source = 'values' }\nnamespace"),
            11,
            "and a commit is deployed here: name a branch",
        ),
        (
            source(with_image)
                .replace("repository = '/srv/values'", "artifact = { repository = 'oci://r.example/values' }")
                .replace("namespace", "promote = { source = 'values' }\nnamespace"),
            10,
            "and an artifact is deployed here: set promote.by = \"none\"",
        ),
        (
            source("").replace("namespace", "promote = { source = 'other' }\nnamespace"),
            6,
            "the environment has no source other; there are: $values: leave out promote.source",
        ),
        (
            format!("{application}promote = {{ source = 'values' }}\n"),
            7,
            "the environment has no source values: leave out promote.source for the environment's own repository",
        ),
        (
            source(
                "[[application.environment.source]]\nname = 'common'\nrepository = '/srv/common'\n\
                 [application.environment.helm]\nvalues_files = ['$common/all.yaml', '$values/prod.yaml']",
            ) + with_image,
            14,
            "images are written into one source, and these files are of several (common, values): set promote.source = \
             \"common\" or another of them",
        ),
        (
            source("bundled = true"),
            9,
            "a bundled source is in the artifact of the environment, as the bundle brought it: leave out repository or bundled",
        ),
        (
            source("bundled = true").replace("repository = '/srv/values'\n", ""),
            9,
            "source values is in a bundle, and the environment follows git: add [application.environment.artifact]",
        ),
        (bundled("path = 'teams'"), 11, "leave out path or bundled"),
        (bundled("branch = 'main'"), 11, "leave out branch or artifact"),
        (
            bundled(with_image).replace("namespace", "path = '$values/shop'\nnamespace"),
            9,
            "and an artifact is deployed here: set promote.by = \"none\"",
        ),
        ("[sops]\nage_keys = ['a', 'a']\n".to_owned(), 2, "are named twice"),
        ("[sops]\nage_keys = ['']\n".to_owned(), 2, "an age key has no file"),
        ("[sops]\n".to_owned(), 1, "missing field `age_keys`"),
        (format!("{application}[application.environment.sops]\nage_keys = ['']\n"), 8, "an age key has no file"),
        (
            format!("{application}[application.environment.variables]\nvalues = {{ 'a-b' = 'x' }}\n"),
            8,
            "begin with a letter",
        ),
        (
            format!("{application}[application.environment.variables]\nfrom = [{{ kind = 'ConfigMap', name = '' }}]\n"),
            8,
            "write that of one in the environment's namespace",
        ),
        (
            format!(
                "{application}[application.environment.variables]\nfrom = [{{ kind = 'Secret', name = 'a' }}, {{ kind = 'Secret', name = 'a' }}]\n"
            ),
            8,
            "Secret a is named twice",
        ),
        (
            format!("{application}[application.environment.variables]\nfrom = [{{ kind = 'Pod', name = 'a' }}]\n"),
            8,
            "expected `ConfigMap` or `Secret`",
        ),
        (format!("{application}render = 'plain'\nhelm.release_name = 'shop'\n"), 8, "leave out one of the two"),
        (
            format!("{application}exclude = ['docs/', '../x']\n"),
            7,
            "it leads out of the folder: write as in a .gitignore",
        ),
        (format!("{application}include = ['']\n"), 7, "it matches nothing"),
        (format!("{application}include = ['!a.yaml']\n"), 7, "takes nothing back here: write \"a.yaml\" in exclude"),
        (format!("{application}render = 'helm'\ninclude = ['*.yaml']\n"), 8, "render is not: leave out one of the two"),
        (format!("{application}render = 'plain'\nkustomize.remote = ['/r']\n"), 8, "render is not \"kustomize\""),
        (format!("{application}kustomize.remote = ['https://forge/a//b?ref=v1']\n"), 7, "remote names repositories"),
        (format!("{application}kustomize.remote = ['https://me:pw@forge/a']\n"), 7, "has a login in it"),
        (format!("{application}kustomize.remote = ['ext::sh']\n"), 7, "ext"),
        (format!("{application}kustomize.remote = ['oci://charts']\n"), 7, "it does not begin with a host"),
        (
            format!("{application}kustomize.remote_file = [{{ url = 'ftp://a/b', sha256 = '{}' }}]\n", "0".repeat(64)),
            7,
            "write https://host/path",
        ),
        (
            format!("{application}kustomize.remote_file = [{{ url = 'https://a/b', sha256 = 'ABC' }}]\n"),
            7,
            "write the 64 digits of `sha256sum`",
        ),
        (format!("{application}kustomize.components = ['../x']\n"), 7, "leads out of the repository: write a folder"),
        (
            format!("{application}kustomize.patches = [{{ path = '../x' }}]\n"),
            7,
            "leads out of the repository: write a file",
        ),
        (
            format!("{application}kustomize.patches = [{{ patch = 'a', path = 'b' }}]\n"),
            7,
            "has patch and path: leave out",
        ),
        (
            format!("{application}kustomize.patches = [{{ target = {{}} }}]\n"),
            7,
            "an entry of patches has no patch or path",
        ),
        (
            format!("{application}kustomize.images = [{{ name = 'a', tag = '1' }}]\n"),
            7,
            "unknown field \"tag\" in images",
        ),
        (format!("{application}kustomize.replicas = [{{ name = '', count = 1 }}]\n"), 7, "write each object once"),
        (format!("{application}kustomize.name_prefix = ''\n"), 7, "name_prefix is empty"),
        (format!("{application}kustomize.labels_in = 'selectors'\n"), 7, "labels are written, and there are none"),
        (
            format!("{application}kustomize.annotations = {{ a = 'b' }}\nkustomize.annotations_in = 'selectors'\n"),
            8,
            "annotations are in no selector",
        ),
        (format!("{application}render = 'plain'\nkustomize.generate = true\n"), 8, "render is not \"kustomize\""),
        (
            format!("{application}render = 'helm'\nhelm.post_render.path = 'a'\nkustomize.namespace = 'b'\n"),
            9,
            "change its objects by helm.post_render",
        ),
        (
            format!("{application}helm.file_parameters = [{{ name = 'a,b', path = 'c' }}]\n"),
            7,
            "is not the name of a value",
        ),
        (
            format!("{application}helm.file_parameters = [{{ name = 'a', path = '../c' }}]\n"),
            7,
            "inside the repository",
        ),
        (format!("{application}[application.environment.helm.post_render]\n"), 7, "post_render changes nothing"),
        (format!("{application}helm.post_render.path = '../x'\n"), 7, "must be a folder inside the repository"),
        (
            format!("{application}helm.post_render.patches = [{{ path = 'a' }}]\n"),
            7,
            "unknown field \"path\" in patches",
        ),
        (format!("{application}helm.post_render.images = [{{ newTag = '1' }}]\n"), 7, "an entry of images has no name"),
        (format!("{application}jsonnet.libs = ['vendor']\n"), 7, "render is not \"jsonnet\""),
        (format!("{application}render = 'jsonnet'\njsonnet.libs = ['../x']\n"), 8, "must be inside the repository"),
        (format!("{application}render = 'jsonnet'\njsonnet.tla = {{ 'a-b' = 1 }}\n"), 8, "begin with no digit"),
        (format!("{application}render = 'jsonnet'\njsonnet.ext = {{ 'a=b' = 1 }}\n"), 8, "write it without ="),
        (format!("{application}render = 'jsonnet'\njsonnet.ext = {{ day = 2026-11-29 }}\n"), 8, "write it in quotes"),
        (
            format!(
                "{application}render = 'jsonnet'\n[[application.image]]\nname = 'r/a'\n[application.code]\nrepository = '/srv/shop'\n"
            ),
            7,
            "set promote.by = \"none\"",
        ),
        (
            format!("{application}helm.dependencies = ['charts.example']\n"),
            7,
            "write oci://registry.example/charts or https",
        ),
        (format!("{application}helm.dependencies = ['https://me:pw@charts.example']\n"), 7, "has a login in it"),
        (
            format!("{application}helm.dependencies = ['https://charts.example', 'https://charts.example/']\n"),
            7,
            "https://charts.example is named twice",
        ),
        (
            format!(
                "{application}helm.dependencies = [{{ repository = 'https://charts.example', username = 'me' }}]\n"
            ),
            7,
            "a login has a username and a password_file or password_env",
        ),
        (
            format!(
                "{application}helm.dependencies = [{{ repository = 'oci://r.example/a', username = 'me', password_env = 'A' }}]\n"
            ),
            7,
            "the login to a registry is that of [[registry]]",
        ),
        (
            format!(
                "{application}helm.dependencies = [{{ repository = 'http://charts.example', username = 'me', password_env = 'A' }}]\n"
            ),
            7,
            "the password would go over plain http",
        ),
        (
            format!("{application}helm.dependencies = [5]\n"),
            7,
            "write its address, or { repository, username, password_file }",
        ),
        (
            format!("{application}render = 'kustomize'\nhelm.dependencies = ['https://charts.example']\n"),
            8,
            "render is not \"helm\"",
        ),
        (
            format!("{application}[application.environment.helm]\nrelease_name = 'Shop'\n"),
            8,
            "not a valid name of a release",
        ),
        (format!("{application}helm.values = {{ since = [2026-11-29] }}\n"), 7, "write it in quotes"),
        (chart("oci://registry.example/charts", "1.0 - 2"), 10, "a range with a dash: write a version, as 6.7.1"),
        (chart("registry.example/charts", "1.0.0"), 8, "write oci://registry.example/charts or https://charts.example"),
        (chart("ftp://charts.example", "1.0.0"), 8, "write oci://registry.example/charts or https://charts.example"),
        (chart("https://me:pw@charts.example", "1.0.0"), 8, "has a login in it"),
        (chart("https://charts.example", "1.0.0'\nusername = 'me"), 8, "add what is missing"),
        (
            chart("http://charts.example", "1.0.0'\nusername = 'me'\npassword_env = 'PASSWORD"),
            8,
            "the password would go over plain http",
        ),
        (
            chart("oci://registry.example", "1.0.0'\nusername = 'me"),
            8,
            "the login to a registry is that of [[registry]]",
        ),
        (chart("oci://registry.example", "1.0.0").replace("'podinfo'", "'Podinfo'"), 9, "write it in lower case"),
        (chart("https://charts.example", "1.0.0").replace("'podinfo'", "'../a'"), 9, "is not the name of a chart"),
        (
            chart("https://charts.example", "1.0.0") + "verify = ['cosign.pub']\n",
            11,
            "cosign signs charts in registries: write verify_keyring",
        ),
        (chart("oci://registry.example", "1.0.0") + "verify = ['']\n", 11, "write verify = [\"cosign.pub\"]"),
        (
            chart("oci://registry.example", "1.0.0") + "verify_keyring = ''\n",
            11,
            "write verify_keyring = \"chart-signers.asc\"",
        ),
        (
            chart("https://charts.example", "1.0.0")
                .replace("namespace = 'shop'", "namespace = 'shop'\npath = 'charts/shop'"),
            7,
            "leave out one of the two",
        ),
        (
            chart("https://charts.example", "1.0.0")
                .replace("namespace = 'shop'", "namespace = 'shop'\nrender = 'plain'"),
            8,
            "settings of a chart",
        ),
        (format!("{application}helm.values_files = ['../prod.yaml']\n"), 7, "a file inside the repository"),
        (format!("{application}helm.hook_timeout = '0s'\n"), 7, "write 5m"),
        (format!("{application}helm.hook_timeout = 'soon'\n"), 7, "write 30s, 5m or 1h"),
        (format!("{application}[[application.image]]\nname = 'r/a'\n"), 7, "add [application.code]"),
        (
            format!(
                "{application}[application.code]\nrepository = 'ftp://x/y'\n[[application.image]]\nname = 'r/a:1'\n"
            ),
            8,
            "ftp",
        ),
        (
            format!("{application}[[application.environment]]\nname = 'prod'\nrepository = '/x'\nnamespace = 'y'\n"),
            8,
            "environment shop/prod is defined twice",
        ),
        (
            format!(
                "{application}[application.code]\nrepository = '/x'\n[[application.image]]\nname = 'r/a'\n\
                 [[application.image]]\nname = 'r/a:1'\n"
            ),
            12,
            "write it without",
        ),
        (format!("{pulls}registry = 'registry'\n"), 8, "not a registry host"),
        (format!("{pulls}registry = 'r.example/ops'\n"), 8, "write registry.example"),
        (format!("{pulls}registry = 'r.example'\nname = 'Pull'\n"), 9, "not a valid name of a Secret"),
        (
            format!("{pulls}registry = 'r.example'\nservice_accounts = ['a_b']\n"),
            9,
            "not a valid name of a ServiceAccount",
        ),
        (format!("{pulls}registry = 'r.example'\nusername = 'u'\n"), 9, "set password_file or password_env"),
        (format!("{pulls}registry = 'r.example'\npassword_env = 'A'\n"), 8, "a password needs a username"),
        (
            format!("{pulls}registry = 'r.example'\n[[application.environment.pull_secret]]\nregistry = 'r.example'\n"),
            10,
            "is in the Secret quarterdeck-pull twice",
        ),
        (
            format!(
                "{pulls}registry = 'r.example'\n[[application.environment]]\nname = 'qa'\nrepository = '/x'\nnamespace = 'shop'\n\
                 [[application.environment.pull_secret]]\nregistry = 'r.example'\n"
            ),
            13,
            "shop/prod has a Secret quarterdeck-pull in namespace shop: choose another name",
        ),
        (
            format!("{application}[[application.follow_image]]\nimage = 'r/a'\n"),
            8,
            "Set semver, newest, newest_created or tag",
        ),
        (format!("{application}[[application.follow_image]]\nimage = 'r/a:1'\ntag = 'x'\n"), 8, "write it without"),
        (
            format!("{application}[[application.follow_image]]\nimage = 'r/a'\nsemver = '6'\ntag = 'x'\n"),
            10,
            "leave out semver or tag",
        ),
        (
            format!(
                "{application}[[application.follow_image]]\nimage = 'r/a'\nnewest = '*'\nnewest_created = 'main-*'\n"
            ),
            10,
            "leave out newest or newest_created",
        ),
        (
            format!("{application}[[application.follow_image]]\nimage = 'r/a'\nnewest_created = 'main-['\n"),
            9,
            "opens a `[` that is not closed",
        ),
        (
            format!("{application}[[application.follow_image]]\nimage = 'r/a'\nsemver = 'newest'\n"),
            9,
            "is not a range of versions",
        ),
        (
            format!("{application}[[application.follow_image]]\nimage = 'r/a'\ntag = 'x'\nenvironments = ['qa']\n"),
            10,
            "there is no environment qa",
        ),
        (
            format!("{application}promote.by = 'tag'\n[[application.follow_image]]\nimage = 'r/a'\ntag = 'x'\n"),
            10,
            "writes none",
        ),
        (
            format!("{built}[[application.follow_image]]\nimage = 'r/a'\ntag = 'x'\n"),
            12,
            "is built by this application",
        ),
        (format!("{built}[application.scan]\nby = 'clair'\n"), 12, "expected one of `harbor`, `trivy`, `grype`"),
        (format!("{built}[application.scan]\nmax_severity = 'high'\n"), 11, "missing field `by`"),
        (format!("{built}[application.scan]\nby = 'trivy'\nmax_severity = 'severe'\n"), 13, "`critical`"),
        (format!("{built}[application.scan]\nby = 'trivy'\ntimeout = '0s'\n"), 13, "write 10m"),
        (format!("{application}[application.scan]\nby = 'trivy'\n"), 8, "add [[application.image]]"),
        (format!("{built}[application.scan]\nby = 'harbor'\n"), 12, "is on Docker Hub, which is not a Harbor"),
        (
            format!("{coded}[[application.image]]\nname = 'r.example/a'\n[application.scan]\nby = 'harbor'\n"),
            12,
            "is in no project of Harbor",
        ),
        (
            format!(
                "{built}[application.scan]\nby = 'trivy'\n[[application.scan.exception]]\nid = 'CVE-1'\nreason = 'x'\n"
            ),
            13,
            "missing field `until`",
        ),
        (
            format!(
                "{built}[application.scan]\nby = 'trivy'\n[[application.scan.exception]]\nid = 'CVE-1'\nreason = ' '\n\
                 until = '2027-01-31'\n"
            ),
            15,
            "why is CVE-1 accepted?",
        ),
        (
            format!(
                "{built}[application.scan]\nby = 'trivy'\n[[application.scan.exception]]\nid = 'CVE-1'\nreason = 'x'\n\
                 until = '2027-01-31'\n[[application.scan.exception]]\nid = 'cve-1'\nreason = 'x'\nuntil = '2027-02-31'\n"
            ),
            20,
            "\"2027-02-31\" is not a valid day",
        ),
        (
            format!(
                "{built}[application.scan]\nby = 'trivy'\n[[application.scan.exception]]\nid = 'CVE-1'\nreason = 'x'\n\
                 until = '2027-01-31'\n[[application.scan.exception]]\nid = 'cve-1'\nreason = 'x'\nuntil = '2027-02-01'\n"
            ),
            18,
            "the exception cve-1 is defined twice",
        ),
        ("[webhook]\nlisten = 'here'\nsecret_env = 'A'\n".to_owned(), 2, "invalid socket address"),
        ("[webhook]\nlisten = '0.0.0.0:9180'\nsecret_env = 'A'\n".to_owned(), 2, "behind a proxy with TLS"),
        ("[webhook]\nlisten = '127.0.0.1:9180'\n".to_owned(), 2, "set secret_file or secret_env"),
        ("[[forge]]\nkind = 'svn'\n".to_owned(), 2, "expected one of `gitlab`, `github`, `gitea`"),
        (
            "[[forge]]\nkind = 'gitea'\nurl = 'forge.example'\ntoken_env = 'A'\n".to_owned(),
            3,
            "write https://forge.example",
        ),
        (
            "[[forge]]\nkind = 'gitea'\nurl = 'https://a:b@forge.example'\ntoken_env = 'A'\n".to_owned(),
            3,
            "without user or token",
        ),
        (
            "[[forge]]\nkind = 'gitea'\nurl = 'http://forge.example'\ntoken_env = 'A'\n".to_owned(),
            3,
            "or insecure = true",
        ),
        (
            "[[forge]]\nkind = 'gitea'\nurl = 'https://forge.example'\ntoken_env = 'A'\n".repeat(2),
            7,
            "is defined twice: leave out one",
        ),
        ("[[forge]]\nkind = 'gitea'\nurl = 'https://forge.example'\n".to_owned(), 2, "set token_file or token_env"),
        (format!("{coded}branches = ['main', '']\n"), 9, "an empty pattern matches nothing"),
        (format!("{coded}branches = ['refs/heads/main']\n"), 9, "leave `refs/…/` out"),
        (format!("{coded}require_signed = {{}}\n"), 9, "name signers with ssh"),
        (format!("{coded}require_signed = {{ pgp = 'a' }}\n"), 9, "expected `ssh` or `gpg`"),
        (format!("{coded}require_protected_tags = true\n"), 9, "no [[forge]] has the repository /srv/shop"),
        (
            format!(
                "{coded}require_protected_tags = true\n[[forge]]\nkind = 'gitea'\nurl = 'https://forge.example'\ntoken_env = 'A'\n"
            ),
            9,
            "no [[forge]] has the repository /srv/shop",
        ),
        (format!("{coded}forks = 'run'\n"), 9, "merge_requests is off: turn it on"),
        (format!("{coded}forks = 'always'\n"), 9, "expected one of `ask`, `run`, `never`"),
        (format!("{built}secrets = {{ 'a b' = {{ env = 'A' }} }}\n"), 11, "not a valid id of a secret"),
        (format!("{built}secrets = {{ npmrc = 's3cret' }}\n"), 11, "write the name of its place, as npmrc = { file"),
        (
            format!("{built}secrets = {{ npmrc = {{ env = 'A' }} }}\n[engine]\nbuilder = 'classic'\n"),
            11,
            "build secrets need BuildKit",
        ),
        (format!("{built}ssh = true\n[engine]\nbuilder = 'classic'\n"), 11, "ssh mounts need BuildKit"),
        (
            format!("{built}args.SOURCE_DATE_EPOCH = '0'\nsource_date_epoch = true\n"),
            12,
            "SOURCE_DATE_EPOCH is in args as well",
        ),
        (format!("{built}platform = 'arm64'\n"), 11, "not a valid platform"),
        (format!("{built}platform = 'linux/amd64,linux/arm64'\n"), 11, "write one, as linux/arm64"),
        (format!("{built}cache_from = ['Not/An image']\n"), 11, "write registry.example/team/name:cache"),
        (format!("{built}cache_to = 'registry'\n"), 11, "let a BuildKit daemon build with [engine.buildkit]"),
        (
            format!("{built}cache_to = 'Not/An image'\n{DAEMON}"),
            11,
            "write \"inline\", or registry.example/team/name:cache",
        ),
        (format!("{built}ssh = 'yes'\n"), 11, "expected true, false or { key_file = \"…\" }"),
        (format!("{built}platforms = ['linux/amd64']\n"), 11, "the API of an engine builds one platform"),
        (format!("{built}platforms = ['arm64']\n{DAEMON}"), 11, "\"arm64\" is not a valid platform"),
        (format!("{built}platforms = ['linux/arm64', 'linux/arm64']\n{DAEMON}"), 11, "linux/arm64 is named twice"),
        (
            format!("{built}platform = 'linux/arm64'\nplatforms = ['linux/amd64']\n{DAEMON}"),
            12,
            "platform and platforms say the same",
        ),
        (
            format!("{built}args.TOKEN = {{ env = 'TOKEN' }}\n{DAEMON}"),
            11,
            "the build argument TOKEN is secret, and with [engine.buildkit] it would be on a command line",
        ),
        (format!("{DAEMON}cert_file = 'a'\n"), 3, "a certificate needs its key: set key_file"),
        ("[engine.buildkit]\naddress = 'build.example'\n".to_owned(), 2, "not a valid address of a BuildKit daemon"),
        (format!("[engine]\nbuilder = 'buildkit'\n{DAEMON}"), 2, "[engine.buildkit] builds instead: leave out one"),
        (
            format!("{built}cache_to = 'inline'\n[engine]\nbuilder = 'classic'\n"),
            11,
            "caches in images need BuildKit: leave out cache_to",
        ),
        (format!("{built}[[application.test]]\nname = 'unit'\n"), 12, "give it `command` or `target`"),
        (format!("{built}[[application.test]]\nname = 'Unit'\n"), 12, "cannot name a test"),
        (format!("{built}[[application.test]]\nname = 'unit'\ncommand = ['a']\ntarget = 'b'\n"), 14, "leave out one"),
        (
            format!("{built}[[application.test]]\nname = 'unit'\ntarget = 'b'\nreports = ['/r']\n"),
            14,
            "`reports` belongs to a command",
        ),
        (
            format!("{built}[[application.test]]\nname = 'unit'\ncommand = ['a']\nreports = ['r']\n"),
            14,
            "a path from the root of the container",
        ),
        (format!("{built}[[application.test]]\nname = 'unit'\ncommand = ['a']\nimage = 'r/b'\n"), 14, "there are: r/a"),
        (format!("{built}[[application.test]]\nname = 'unit'\ncommand = ['a']\nmemory_bytes = 1\n"), 14, "6 MiB"),
        (
            format!(
                "{built}[[application.test]]\nname = 'unit'\ncommand = ['a']\n[[application.test.service]]\nname = 'db'\n\
                 image = 'Bad Name'\n"
            ),
            16,
            "write postgres:17",
        ),
        (
            format!("{application}[[application.test]]\nname = 'unit'\ncommand = ['a']\n"),
            7,
            "has tests and no image to test",
        ),
        (format!("{built}[application.sign]\nsbom = 'spdx'\n"), 11, "or sign for an identity with"),
        (
            format!(
                "{built}[application.sign]\nkey = 'a'\n{}",
                keyless("fulcio_url = 'https://f'\nrekor_url = 'https://r'")
            ),
            12,
            "leave out key or keyless",
        ),
        (
            format!("{built}[application.sign]\npassword = {{ env = 'P' }}\n{}", keyless("signing_config = 's'")),
            12,
            "there is none to open",
        ),
        (format!("{built}{}", keyless("")), 15, "write fulcio_url, or signing_config"),
        (format!("{built}{}", keyless("fulcio_url = 'https://f'")), 16, "write timestamp_url or rekor_url"),
        (
            format!("{built}{}", keyless("fulcio_url = 'http://f.example'\nrekor_url = 'https://r'")),
            16,
            "would go over plain http",
        ),
        (format!("{built}{}", keyless("fulcio_url = 'f.example'\nrekor_url = 'https://r'")), 16, "is not an address"),
        (
            format!("{built}{}", keyless("signing_config = 's'\nrekor_url = 'https://r'")),
            17,
            "names the services already",
        ),
        (format!("{built}{}", keyless("signing_config = 's'").replace("ci@example", "")), 12, "write who signs"),
        (
            format!(
                "{application}promote = {{ require_signature = [{{ identity = '', issuer = 'i', trusted_root = 'r' }}] }}\n"
            ),
            7,
            "is anybody: write identity and issuer",
        ),
        (
            format!("{application}promote = {{ require_signature = [{{ identity = 'a', issuer = 'i' }}] }}\n"),
            7,
            "write the file of a public key, or { identity",
        ),
        (format!("{built}[application.sign]\nkey = 'a'\nsbom = 'swid'\n"), 13, "expected `spdx` or `cyclonedx`"),
        (format!("{built}[application.sign]\nkey = ''\n"), 12, "a private key is required"),
        (
            format!("{built}[application.sign]\nkey = 'a'\npassword = 's3cret'\n"),
            13,
            "write the name of its place, as password = { file",
        ),
        (format!("{application}[application.sign]\nkey = 'a'\n"), 8, "add [application.code]"),
        (
            format!("{application}promote = {{ by = 'tag', require_signature = ['a.pub'] }}\n"),
            7,
            "set \"tag_and_digest\" or \"digest\"",
        ),
        (
            format!("{application}promote = {{ by = 'none', require_signature = ['a.pub'] }}\n"),
            7,
            "promotion is off here",
        ),
        (format!("{application}promote = {{ require_signature = [''] }}\n"), 7, "a public key has no file"),
        (format!("{application}cluster = 'prod'\n[[cluster]]\nname = 'qa'\n"), 7, "there are: qa"),
        (
            "[[registry]]\nhost = 'r'\nusername = 'u'\npassword_env = 'A'\npassword_file = 'b'\n".to_owned(),
            5,
            "one place",
        ),
        ("[[registry]]\nhost = 'r'\ninsecure = true\nca_file = 'a'\n".to_owned(), 4, "leave out ca_file or insecure"),
        (
            "[[registry]]\nhost = 'r'\nmirrors = ['https://m.example/hub']\n".to_owned(),
            3,
            "write it as images are named",
        ),
        (
            "[[registry]]\nhost = 'r'\nmirrors = [{ address = 'hub', tags = true }]\n".to_owned(),
            3,
            "does not begin with a host",
        ),
        ("[[registry]]\nhost = 'r'\nmirrors = ['m.example', { address = 'm.example' }]\n".to_owned(), 3, "named twice"),
        ("[[registry]]\nhost = 'r.example'\nmirrors = ['r.example']\n".to_owned(), 3, "is the registry itself"),
        (
            "[[registry]]\nhost = 'r'\nmirrors = ['a.example', 'b.example', 'c.example', 'd.example', 'e.example']\n"
                .to_owned(),
            3,
            "more than 4: name the nearest",
        ),
        (
            "[[registry]]\nhost = 'r'\nmirrors = [7]\n".to_owned(),
            3,
            "or { address = \"mirror.example/path\", tags = true }",
        ),
        ("[[registry]]\nhost = 'r'\nkind = 'quay'\n".to_owned(), 3, "expected `harbor`"),
        ("[[registry]]\nhost = 'r'\nlabels = true\n".to_owned(), 3, "set kind = \"harbor\", or leave out labels"),
        (
            "[[registry]]\nhost = 'r'\ndeployed_tags = true\n".to_owned(),
            3,
            "set kind = \"harbor\", or leave out deployed_tags",
        ),
    ] {
        match Config::parse(Path::new("/etc/qd/config.toml"), &text) {
            Err(ConfigError::Wrong { problems }) => {
                let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(words));
                assert!(found, "{text}\nwanted line {line}: {words}\nfound {problems:#?}");
            }
            other => panic!("{text}\n{other:?}"),
        }
    }
}

#[test]
fn images_are_written_where_they_are_named_or_where_a_person_says() {
    let with_image = "[application.code]\nrepository = '/srv/shop'\n[[application.image]]\nname = 'r/a'\n";
    let spec = |own: &str, values_files: &str, more: &str| {
        let text = format!(
            "[[application]]\nname = 'shop'\n[[application.environment]]\nname = 'prod'\nrepository = '/srv/deploy'\nnamespace = 'shop'\n{own}\n\
             [[application.environment.source]]\nname = 'charts'\nrepository = '/srv/charts'\ntag = 'v1'\n\
             [[application.environment.source]]\nname = 'values'\nrepository = '/srv/values'\nbranch = 'prod'\npath = 'teams'\n\
             [application.environment.helm]\nvalues_files = [{values_files}]\n{more}"
        );
        Config::parse(Path::new("/srv/config.toml"), &text).unwrap().applications.remove(0).environments.remove(0)
    };
    let place = |spec: &EnvironmentSpec| {
        let source = spec.promoted_source().map(|source| source.name.as_str().to_owned());
        (source.unwrap_or_default(), spec.promoted_follow().branch().unwrap_or("-").to_owned(), spec.promoted_place())
    };
    for (own, values_files, wanted) in [
        ("path = '$charts/shop'", "'$values/prod.yaml'", ("values", "prod", "teams/prod.yaml")),
        ("path = '$charts/shop'", "'envs/all.yaml', '$values/prod.yaml'", ("", "-", "envs/all.yaml")),
        (
            "path = '$charts/shop'\npromote.source = 'values'",
            "'envs/all.yaml', '$values/prod.yaml'",
            ("values", "prod", "teams/prod.yaml"),
        ),
        ("path = '$values/shop'", "", ("values", "prod", "teams/shop")),
        ("path = 'apps/shop/'", "", ("", "-", "apps/shop")),
        (
            "path = 'apps/shop'\ncommit = '1111111111111111111111111111111111111111'\npromote.source = 'values'",
            "'$values/a.yaml'",
            ("values", "prod", "teams/a.yaml"),
        ),
        ("", "", ("", "-", ".")),
    ] {
        let (source, branch, at) = wanted;
        let found = place(&spec(own, values_files, with_image));
        assert_eq!(found, (source.to_owned(), branch.to_owned(), at.to_owned()), "{own} {values_files}");
    }
    assert_eq!(spec("path = '$values/shop'", "", "").promoted_source(), None, "nothing is promoted");
}
