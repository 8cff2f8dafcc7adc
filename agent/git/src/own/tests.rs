use std::ffi::OsStr;

use super::*;

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// What git says in a repository, trimmed.
fn git(path: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    plain(&mut command).arg("--git-dir").arg(path).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_repository_is_made_whole_listed_and_removed_with_its_empty_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("repositories");
    assert_eq!(list(&root).unwrap(), []);
    for text in ["shop", "team/web", "team/deep/er", "team.x"] {
        create(&root, &name(text), "#!/bin/sh\n").unwrap();
    }
    // What is not of this making is none.
    for other in [".new-1/x.git", "Upper.git", "shop.git/inner.git", "team/empty"] {
        std::fs::create_dir_all(root.join(other)).unwrap();
    }
    std::fs::write(root.join("file.git"), "").unwrap();
    assert_eq!(list(&root).unwrap(), ["shop", "team.x", "team/deep/er", "team/web"].map(name));
    let mode = std::fs::metadata(root.join("team")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let shop = root.join("shop.git");
    assert_eq!(git(&shop, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    for (key, value) in [
        ("core.bare", "true"),
        ("receive.fsckObjects", "true"),
        ("receive.maxInputSize", "2g"),
        ("core.logAllRefUpdates", "always"),
        ("core.hooksPath", "hooks"),
    ] {
        assert_eq!(git(&shop, &["config", key]), value, "{key}");
    }
    let again = create(&root, &name("shop"), "").unwrap_err();
    assert_eq!(again.to_string(), format!("repository shop exists: {}", shop.display()));
    let left = std::fs::read_dir(&root).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".new-") && name != ".new-1"
    });
    assert_eq!(left.count(), 0, "nothing is left of one that was not made");

    remove(&root, &name("team/deep/er")).unwrap();
    assert!(!root.join("team/deep").exists() && root.join("team/web.git").exists());
    remove(&root, &name("team/web")).unwrap();
    assert!(root.join("team/empty").exists(), "a folder that holds something else stays");
    assert!(matches!(remove(&root, &name("gone")), Err(OwnError::Io { .. })));
    assert_eq!(list(&root).unwrap(), ["shop", "team.x"].map(name));
}

#[test]
fn refs_bytes_and_the_last_push_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &name("shop"), "#!/bin/sh\n").unwrap();
    let empty = facts_of(folder.path(), &name("shop")).unwrap();
    assert_eq!((empty.refs, empty.pushed), (0, None));
    let shop = folder.path().join("shop.git");
    let tree = git(&shop, &["hash-object", "-w", "-t", "tree", "/dev/null"]);
    let author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
    let commit = git(&shop, &[&author[..], &["commit-tree", "-m", "First", &tree]].concat());
    for full in ["refs/heads/main", "refs/tags/v1"] {
        git(&shop, &[&author[..], &["update-ref", full, &commit]].concat());
    }
    let facts = facts_of(folder.path(), &name("shop")).unwrap();
    assert!(facts.refs == 2 && facts.bytes > empty.bytes && facts.pushed.is_some(), "{facts:?}");
    assert!(matches!(facts_of(folder.path(), &name("web")), Err(OwnError::Missing { .. })));
    std::fs::write(shop.join("config"), "[core").unwrap();
    assert!(matches!(facts_of(folder.path(), &name("shop")), Err(OwnError::Unreadable { .. })));
}

#[test]
fn git_is_run_on_the_path_alone_and_knows_who_pushes() {
    let client = Client { user: "alice".to_owned(), address: "192.0.2.7".parse().ok() };
    for (service, arguments) in [
        (Service::UploadPack, &["upload-pack", "--strict", "/own/shop.git"][..]),
        (Service::ReceivePack, &["receive-pack", "/own/shop.git"]),
        (Service::UploadArchive, &["upload-archive", "/own/shop.git"]),
    ] {
        let command = serve(service, Path::new("/own/shop.git"), Some(&client));
        assert_eq!(command.get_program(), "git");
        assert_eq!(command.get_args().collect::<Vec<_>>(), arguments.iter().map(OsStr::new).collect::<Vec<_>>());
        let set = |wanted: &str| command.get_envs().find(|(key, _)| *key == wanted).and_then(|(_, value)| value);
        assert_eq!(set("GIT_COMMITTER_NAME"), Some(OsStr::new("alice")));
        assert_eq!(set("GIT_COMMITTER_EMAIL"), Some(OsStr::new("alice@192.0.2.7")));
    }
    for (text, is_one) in [("version=2", true), ("version=", false), ("version=2:x", false), ("x", false)] {
        assert_eq!(is_protocol(text), is_one, "{text}");
    }
}
