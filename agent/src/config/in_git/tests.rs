//! What several files become together, and what those in git may not say.

use super::*;

const SHOP: &str = "[[application]]\nname = 'shop'\n[[application.environment]]\nname = 'prod'\nrepository = 'https://forge/ops/deploy'\n\
                    cluster = 'demo'\nnamespace = 'shop'\n";

const TABLE: &str = "[configuration]\nrepository = 'https://forge/ops/fleet'\nsecrets = ['secrets', '/run/keys']\n";

/// A local file with the table and this behind it, and files of git.
fn composed(local: &str, git: &[(&str, &str)]) -> Result<Config, String> {
    let file = |(path, text): &(&str, &str)| GitFile {
        path: (*path).to_owned(),
        shown: format!("https://forge/ops/fleet@1f3c2a9:{path}"),
        text: (*text).to_owned(),
    };
    let files: Vec<GitFile> = git.iter().map(file).collect();
    // One link leads out, and one within.
    let real = |path: &Path| match path.to_str() {
        Some("/etc/qd/secrets/out") => PathBuf::from("/etc/shadow"),
        Some("/etc/qd/secrets/linked") => PathBuf::from("/run/keys/token"),
        _ => path.to_owned(),
    };
    compose(Path::new("/etc/qd/config.toml"), local, &files, &real).map_err(|error| error.to_string())
}

/// What is wrong with a file of git, with its line.
fn told(text: &str) -> String {
    told_beside(TABLE, text)
}

fn told_beside(local: &str, text: &str) -> String {
    let told = composed(local, &[("fleet.toml", text)]).err().unwrap_or_default();
    told.replace("https://forge/ops/fleet@1f3c2a9:fleet.toml:", "")
}

#[test]
fn files_are_put_together_and_each_knows_its_own() {
    let local = format!("{TABLE}[agent]\nbanner = 'local'\n[[cluster]]\nname = 'demo'\n");
    let (one, two) = ("[agent]\npoll_interval = '5m'\n[[cluster]]\nname = 'other'\n", SHOP);
    let config = composed(&local, &[("fleet/a.toml", one), ("fleet/b.toml", two)]).unwrap();
    assert_eq!(config.agent.banner.as_deref(), Some("local"));
    assert_eq!(config.agent.poll_interval.0.as_secs(), 300);
    assert_eq!(config.cluster.iter().map(|one| &*one.name).collect::<Vec<_>>(), ["demo", "other"]);
    let shop = &config.applications[0];
    assert_eq!(config.defined[&shop.name], DefinedIn { source: None, file: "fleet/b.toml".to_owned() });
    assert!(shop.environments[0].age_keys_only, "the program is not allowed");
    // What stands in one file may be used by another; a mistake is told where it is.
    let error = composed(&local, &[("a.toml", one), ("b.toml", &two.replace("'demo'", "'prod'"))]).unwrap_err();
    let expected = "https://forge/ops/fleet@1f3c2a9:b.toml:6:11: no [[cluster]] has the name \"prod\"; there are: demo, other, in-cluster";
    assert_eq!(error, expected);
    let error = composed(&local, &[("a.toml", one), ("b.toml", "[agent]\nimage_interval = '1ms'\n")]).unwrap_err();
    assert!(error.starts_with("https://forge/ops/fleet@1f3c2a9:b.toml:2:18: an interval below 1s"), "{error}");
    let error = composed(&local, &[("a.toml", "[[cluster]]\nnmae = 'x'\n")]).unwrap_err();
    assert!(error.starts_with("https://forge/ops/fleet@1f3c2a9:a.toml:2:1: unknown field `nmae`"), "{error}");
}

#[test]
fn without_the_table_and_without_files_the_local_file_is_all() {
    let path = Path::new("/etc/qd/config.toml");
    for local in [SHOP.to_owned(), format!("{TABLE}{SHOP}")] {
        assert_eq!(composed(&local, &[]).unwrap(), Config::parse(path, &local).unwrap(), "{local}");
    }
    assert!(composed(&local_wrong(), &[]).unwrap_err().starts_with("/etc/qd/config.toml:1:1: unknown field `wrong`"));
}

fn local_wrong() -> String {
    "wrong = 1\n".to_owned()
}

#[test]
fn what_two_files_say_is_refused_with_both_places() {
    let local = format!(
        "{TABLE}[agent]\nbanner = 'local'\n[sops]\nage_keys = ['secrets/age']\n[[cluster]]\nname = 'demo'\n[[registry]]\nhost = 'r'\n\
         [[repository]]\nurl = 'https://forge/ops'\n[[health]]\ngroup = 'g'\nkind = 'K'\ncurrent = 'true'\n{SHOP}"
    );
    let config = "/etc/qd/config.toml";
    for (text, expected) in [
        (SHOP, format!("2:8: application shop is also defined in {config}:19:8: leave out one of the two")),
        (
            "[agent]\nbanner = 'git'\n",
            format!("2:10: banner of [agent] is also set in {config}:5:10: leave out one of the two"),
        ),
        (
            "[sops]\nage_keys = []\n",
            format!("2:12: age_keys of [sops] is also set in {config}:7:12: leave out one of the two"),
        ),
        (
            "[[cluster]]\nname = 'demo'\n",
            format!("2:8: cluster demo is also defined in {config}:9:8: leave out one of the two"),
        ),
        (
            "[[registry]]\nhost = 'r'\n",
            format!("2:8: registry r is also defined in {config}:11:8: leave out one of the two"),
        ),
        (
            "[[repository]]\nurl = 'https://forge/ops/'\n",
            format!("2:7: repository https://forge/ops is also defined in {config}:13:7: leave out one of the two"),
        ),
        (
            "[[health]]\nkind = 'K'\ngroup = 'g'\ncurrent = 'false'\n",
            format!("2:8: the health rule of g K is also defined in {config}:16:8: leave out one of the two"),
        ),
    ] {
        assert_eq!(told_beside(&local, text), expected, "{text}");
    }
    let twice = composed(TABLE, &[("a.toml", SHOP), ("b.toml", SHOP)]).unwrap_err();
    let expected = "https://forge/ops/fleet@1f3c2a9:b.toml:2:8: application shop is also defined in \
                    https://forge/ops/fleet@1f3c2a9:a.toml:2:8: leave out one of the two";
    assert_eq!(twice, expected);
    assert!(told(&format!("{SHOP}{SHOP}")).starts_with("9:8: application shop is defined twice"));
}

#[test]
fn what_stays_with_the_machine_is_refused_with_its_reason() {
    for (text, line, name, what) in [
        ("[configuration]\nrepository = '/a'\n", "1:1", "configuration", "[configuration]"),
        ("[[access]]\nrole = 'operator'\nusers = ['eve']\n", "1:1", "access", "[access]"),
        ("[history]\nevents = 1\n", "1:1", "history", "[history]"),
        ("[render]\n", "1:1", "render", "[render]"),
        ("[webhook]\nlisten = '127.0.0.1:1'\nsecret_file = 'secrets/a'\n", "1:1", "webhook", "[webhook]"),
        ("[agent]\ndata_dir = '/a'\n", "2:12", "data_dir", "data_dir of [agent]"),
        ("[agent]\nsocket = '/a'\n", "2:10", "socket", "socket of [agent]"),
        ("[agent]\nsocket_group = 'a'\n", "2:16", "socket_group", "socket_group of [agent]"),
        ("[agent]\nlog_format = 'json'\n", "2:14", "log_format", "log_format of [agent]"),
        ("[agent]\nmax_concurrent_builds = 1\n", "2:25", "max_concurrent_builds", "max_concurrent_builds of [agent]"),
        ("[agent]\nmax_concurrent_syncs = 1\n", "2:24", "max_concurrent_syncs", "max_concurrent_syncs of [agent]"),
        ("[agent]\nconfine_renderers = false\n", "2:21", "confine_renderers", "confine_renderers of [agent]"),
    ] {
        let why = allowed::LOCAL.iter().find(|(local, _)| *local == name).unwrap().1;
        let told = told(text);
        assert!(told.ends_with(&format!(": {what} is refused in git: {why}; write it in the local file")), "{told}");
        let (at, place) = (told.split(": ").next().unwrap(), line);
        assert!(at == place || place == "1:1" && at.starts_with("1:"), "{text}: {told}");
    }
    for text in [
        "[agent]\npoll_interval = '1m'\nimage_interval = '1m'\nbanner = 'a'\nlog_level = 'warn'\nbuild_idle_timeout = '1h'\nretry_timeout = '1m'\n",
        "[gc]\nimages = 3\n[engine]\nbuilder = 'classic'\n[[health]]\nkind = 'A'\ncurrent = 'true'\n",
        "[[application_source]]\nname = 'teams'\nrepository = 'https://forge/teams'\npath = ''\nclusters = ['demo']\nnamespaces = ['*']\n",
        SHOP,
    ] {
        assert_eq!(told(text), "", "{text}");
    }
}

#[test]
fn the_guide_lists_what_stays_with_the_machine() {
    let guide = include_str!("../../../../shared/guide/configuration-in-git.md");
    for (name, why) in allowed::LOCAL {
        let is_named = |line: &&str| {
            line.starts_with('|') && (line.contains(&format!("`{name}`")) || line.contains(&format!("[{name}]`")))
        };
        let line = guide.lines().find(is_named);
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {why}");
    }
}

/// An environment of SHOP with more of it.
fn environment(more: &str) -> String {
    format!("{SHOP}{more}\n")
}

/// An application that is built, with more of its image and of itself.
fn built(image: &str, more: &str) -> String {
    format!(
        "[[application]]\nname = 'shop'\n[application.code]\nrepository = 'https://forge/ops/shop'\n[[application.image]]\nname = 'r/shop'\n{image}\n{more}\n"
    )
}

#[test]
fn files_are_of_the_folders_that_the_local_file_names() {
    let registry = |file: &str| format!("[[registry]]\nhost = 'r'\nusername = 'u'\npassword_file = '{file}'\n");
    let (folders, outside) = ("/etc/qd/secrets, /run/keys", "is in no folder that git may name files of");
    for (file, expected) in [
        ("secrets/token", String::new()),
        ("/etc/qd/secrets/a/token", String::new()),
        ("/run/keys/token", String::new()),
        ("secrets/linked", String::new()),
        ("token", format!("4:17: /etc/qd/token {outside}: {folders}")),
        ("/etc/shadow", format!("4:17: /etc/shadow {outside}: {folders}")),
        ("/run/keys-too/token", format!("4:17: /run/keys-too/token {outside}: {folders}")),
        ("secrets/../token", format!("4:17: /etc/qd/secrets/../token {outside}: {folders}")),
        (
            "secrets/out",
            "4:17: /etc/qd/secrets/out is a link that leads out of the folders that git may name files of".to_owned(),
        ),
    ] {
        assert_eq!(told(&registry(file)), expected, "{file}");
    }
    let bare = "[configuration]\nrepository = 'https://forge/ops/fleet'\n";
    let told = told_beside(bare, &registry("/run/keys/token"));
    assert!(
        told.starts_with("4:17: /run/keys/token is a file of the agent's machine, which git may not name: secrets in"),
        "{told}"
    );
    assert_eq!(composed(&format!("{bare}{}", registry("/etc/shadow")), &[]).err(), None, "the local file names any");
}

/// Each option that names a file: within the folders it is right, and outside of them refused with its line.
#[test]
fn every_option_that_names_a_file_is_held() {
    let sign = "[application.sign]\n";
    let keyless = |more: &str| {
        built(
            "",
            &format!(
                "[application.sign.keyless]\nidentity = 'a'\nissuer = 'b'\nfulcio_url = 'https://f'\nrekor_url = 'https://r'\n{more}"
            ),
        )
    };
    let rows: Vec<(String, &str)> = vec![
        ("[engine.buildkit]\naddress = 'tcp://b:1'\nca_file = 'FILE'\n".to_owned(), "3:11"),
        ("[engine.buildkit]\naddress = 'tcp://b:1'\ncert_file = 'FILE'\nkey_file = 'secrets/k'\n".to_owned(), "3:13"),
        ("[engine.buildkit]\naddress = 'tcp://b:1'\ncert_file = 'secrets/c'\nkey_file = 'FILE'\n".to_owned(), "4:12"),
        ("[[repository]]\nurl = 'https://f'\nssh_key = 'FILE'\n".to_owned(), "3:11"),
        ("[[repository]]\nurl = 'https://f'\nknown_hosts = 'FILE'\n".to_owned(), "3:15"),
        ("[[repository]]\nurl = 'https://f'\ntoken_file = 'FILE'\n".to_owned(), "3:14"),
        ("[[repository]]\nurl = 'https://f'\nca_file = 'FILE'\n".to_owned(), "3:11"),
        ("[[registry]]\nhost = 'r'\nca_file = 'FILE'\n".to_owned(), "3:11"),
        ("[[forge]]\nkind = 'gitea'\nurl = 'https://f'\ntoken_file = 'FILE'\n".to_owned(), "4:14"),
        ("[[cluster]]\nname = 'demo'\nkubeconfig = 'FILE'\n".to_owned(), "3:14"),
        ("[sops]\nage_keys = ['FILE']\n".to_owned(), "2:12"),
        (
            "[[application_source]]\nname = 't'\nrepository = 'https://f/t'\npath = ''\nclusters = ['c']\nnamespaces = ['*']\n[application_source.sops]\nage_keys = ['FILE']\n"
                .to_owned(),
            "8:12",
        ),
        (built("args = { A = { file = 'FILE' } }", ""), "7:8"),
        (built("secrets = { a = { file = 'FILE' } }", ""), "7:11"),
        (built("ssh = { key_file = 'FILE' }", ""), "7:7"),
        (built("", "[[application.test]]\nname = 'unit'\ncommand = ['a']\nenv = { A = { file = 'FILE' } }"), "11:7"),
        (
            built("", "[[application.test]]\nname = 'unit'\ncommand = ['a']\n[[application.test.service]]\nname = 'db'\nimage = 'i'\nenv = { A = { file = 'FILE' } }"),
            "14:7",
        ),
        (built("", &format!("{sign}key = 'FILE'")), "9:7"),
        (built("", &format!("{sign}key = 'secrets/k'\npassword = {{ file = 'FILE' }}")), "10:12"),
        (keyless("trusted_root = 'FILE'\nidentity_token_file = 'secrets/a'"), "13:16"),
        (keyless("trusted_root = 'secrets/a'\nidentity_token_file = 'FILE'"), "14:23"),
        (
            built("", "[application.sign.keyless]\nidentity = 'a'\nissuer = 'b'\ntrusted_root = 'secrets/a'\nidentity_token_file = 'secrets/b'\nsigning_config = 'FILE'"),
            "13:18",
        ),
        (built("", "").replace("ops/shop'\n", "ops/shop'\nrequire_signed = { ssh = 'FILE' }\n"), "5:18"),
        (environment("[application.environment.sops]\nage_keys = ['FILE']"), "9:12"),
        (environment("[application.environment.promote]\nrequire_signature = ['FILE']"), "9:21"),
        (
            environment("[application.environment.promote]\nrequire_signature = [{ identity = 'a', issuer = 'b', trusted_root = 'FILE' }]"),
            "9:21",
        ),
        (
            environment("[[application.environment.pull_secret]]\nregistry = 'r.example'\nusername = 'u'\npassword_file = 'FILE'"),
            "8:1",
        ),
        (
            SHOP.replace("repository = 'https://forge/ops/deploy'\n", "")
                + "[application.environment.artifact]\nrepository = 'oci://r.example/a'\nverify = ['FILE']\n",
            "9:10",
        ),
        (
            environment("[application.environment.helm.chart]\nrepository = 'oci://r.example/c'\nname = 'c'\nversion = '1.x'\nverify = ['FILE']"),
            "12:10",
        ),
        (
            environment("[application.environment.helm.chart]\nrepository = 'https://c'\nname = 'c'\nversion = '1.x'\nverify_keyring = 'FILE'"),
            "12:18",
        ),
        (
            environment("[application.environment.helm.chart]\nrepository = 'https://c'\nname = 'c'\nversion = '1.x'\nusername = 'u'\npassword_file = 'FILE'"),
            "13:17",
        ),
        (
            environment("[[application.environment.source]]\nname = 'a'\n[application.environment.source.artifact]\nrepository = 'oci://r.example/a'\nverify = ['FILE']"),
            "12:10",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, line) in rows {
        let within = told(&text.replace("FILE", "secrets/file"));
        let outside = told(&text.replace("FILE", "/etc/shadow"));
        let expected = "/etc/shadow is in no folder that git may name files of";
        let is_told = outside.contains(expected) && outside.lines().count() == 1;
        let is_there = outside.split(": ").next() == Some(line);
        if !within.is_empty() || !is_told || !is_there {
            wrong.push(format!("{text}{line}\n  within: {within}\n  outside: {outside}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn variables_programs_and_keys_of_the_agents_user_are_refused() {
    let variable = "TOKEN is a variable of the agent's machine, which git may not name";
    for (text, expected) in [
        ("[[repository]]\nurl = 'https://f'\ntoken_env = 'TOKEN'\n".to_owned(), variable),
        ("[[registry]]\nhost = 'r'\nusername = 'u'\npassword_env = 'TOKEN'\n".to_owned(), variable),
        ("[[forge]]\nkind = 'gitea'\nurl = 'https://f'\ntoken_env = 'TOKEN'\n".to_owned(), variable),
        (built("args = { A = { env = 'TOKEN' } }", ""), variable),
        (built("secrets = { a = { env = 'TOKEN' } }", ""), variable),
        (built("", "[application.sign]\nkey = 'secrets/k'\npassword = { env = 'TOKEN' }"), variable),
        (
            environment("[[application.environment.pull_secret]]\nregistry = 'r.example'\nusername = 'u'\npassword_env = 'TOKEN'"),
            variable,
        ),
        (
            environment("[application.environment.helm.chart]\nrepository = 'https://c'\nname = 'c'\nversion = '1.x'\nusername = 'u'\npassword_env = 'TOKEN'"),
            variable,
        ),
        (built("ssh = true", ""), "the keys of the agent's own ssh agent are refused in git"),
        (
            environment("[[application.environment.pull_secret]]\nregistry = 'r.example'"),
            "the agent's login of r.example would be written into a namespace",
        ),
        ("[engine]\naddress = 'unix:///var/run/docker.sock'\n".to_owned(), "unix:///var/run/docker.sock is a place of"),
        ("[engine.buildkit]\naddress = 'unix:///run/b.sock'\n".to_owned(), "unix:///run/b.sock is a place of"),
        (
            "[[registry]]\nhost = 'r'\nusername = 'u'\npassword_file = 'secrets/a'\n[[application]]\nname = 'a'\n[application.code]\n\
             repository = 'https://u:secret-4711@forge/a'\n[[application.image]]\nname = 'r/a'\n"
                .to_owned(),
            "https://***@forge/a has a user or password in it",
        ),
        (
            "[[application_source]]\nname = 't'\nrepository = 'https://secret-4711@f/t'\npath = ''\nclusters = ['c']\nnamespaces = ['*']\n".to_owned(),
            "https://***@f/t has a user or password in it",
        ),
    ] {
        let told = told(&text);
        assert!(told.contains(expected) && told.lines().count() == 1 && !told.contains("4711"), "{text}: {told}");
    }
    let login = "[[registry]]\nhost = 'r.example'\nusername = 'u'\npassword_file = 'secrets/a'\n".to_owned()
        + &environment("[[application.environment.pull_secret]]\nregistry = 'r.example'");
    assert_eq!(told(&login), "", "a login that git names itself");
}

#[test]
fn programs_are_named_where_the_local_file_allows_it() {
    let allowing = format!("{TABLE}programs = true\n");
    for (text, shown) in [
        ("[[repository]]\nurl = 'https://f'\nssh_program = '/opt/ssh'\n", "/opt/ssh"),
        ("[engine.buildkit]\naddress = 'ssh://build@b'\n", "ssh://***@b"),
        ("[engine.buildkit]\naddress = 'kube-pod://b?namespace=n'\n", "kube-pod://b"),
    ] {
        let told = told(text);
        let expected =
            format!("{shown} starts a program of the agent's machine: programs = true in [configuration] of");
        assert!(told.contains(&expected), "{text}: {told}");
        assert_eq!(told_beside(&allowing, text), "", "{text}");
    }
    let config = composed(&allowing, &[("a.toml", SHOP)]).unwrap();
    assert!(!config.applications[0].environments[0].age_keys_only);
}

#[test]
fn keys_of_the_local_file_decrypt_what_git_defines() {
    let local = format!("{TABLE}[sops]\nage_keys = ['/etc/age.txt']\n");
    let config = composed(&local, &[("a.toml", SHOP)]).unwrap();
    assert_eq!(config.applications[0].environments[0].age_keys, [PathBuf::from("/etc/age.txt")]);
}

#[test]
fn git_does_not_change_how_it_is_read_itself() {
    let refused =
        "2:7: it would change how the configuration itself is read: write a [[repository]] of the whole address";
    let own = |url: &str| format!("{TABLE}[[repository]]\nurl = '{url}'\n");
    for (local, url, is_refused) in [
        (TABLE.to_owned(), "https://forge", true),
        (TABLE.to_owned(), "https://forge/ops/fleet", true),
        (TABLE.to_owned(), "https://forge/teams", false),
        (own("https://forge/ops/fleet"), "https://forge", false),
        (own("https://forge/ops"), "https://forge/ops/fleet", true),
    ] {
        let told = told_beside(&local, &format!("[[repository]]\nurl = '{url}'\ninsecure = true\n"));
        assert_eq!(told.starts_with(refused), is_refused, "{url}: {told}");
    }
}

#[test]
fn the_table_itself_is_checked() {
    let told = |text: &str| {
        let error = Config::parse(Path::new("/etc/qd/config.toml"), &format!("[configuration]\n{text}\n")).err();
        error.map(|error| error.to_string().replace("/etc/qd/config.toml:", "")).unwrap_or_default()
    };
    for (text, expected) in [
        ("repository = 'https://f/a'\npath = ''", ""),
        ("repository = 'ftp://f/a'", "2:14: "),
        ("repository = 'https://f/a'\npath = '../a'", "3:8: the path \"../a\" must be a file or a folder inside"),
        ("repository = 'https://f/a'\nrequire_signed = {}", "3:18: no one could sign: name signers with"),
        ("repository = 'https://f/a'\nsecrets = ['/']", "3:11: \"/\" would let git name any file"),
        ("repository = 'https://f/a'\nsecrets = ['a', 'a']", "3:11: the folder a is named twice"),
        ("path = 'a'", "1:1: missing field `repository`"),
    ] {
        let told = told(text);
        assert!(told.starts_with(expected) && told.is_empty() == expected.is_empty(), "{text}: {told}");
    }
}

#[test]
fn links_are_followed_as_far_as_there_are_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("secrets/..data")).unwrap();
    std::fs::write(root.join("secrets/..data/token"), "t").unwrap();
    std::os::unix::fs::symlink("..data/token", root.join("secrets/token")).unwrap();
    std::os::unix::fs::symlink("/etc", root.join("secrets/etc")).unwrap();
    std::os::unix::fs::symlink("/no/such/file", root.join("secrets/lost")).unwrap();
    for (path, expected) in [
        ("secrets/token", root.join("secrets/..data/token")),
        ("secrets/later/token", root.join("secrets/later/token")),
        ("secrets/etc/no-such-file", PathBuf::from("/etc").canonicalize().unwrap().join("no-such-file")),
        ("secrets/lost", PathBuf::new()),
    ] {
        assert_eq!(real(&root.join(path)), expected, "{path}");
    }
}
