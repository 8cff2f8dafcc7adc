//! A context is held against what comes out of the tar.

use std::io::Read as _;

use super::*;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_shared::error::Failure;

fn tar_of(files: &Files, dockerfile: &str) -> (Vec<u8>, Vec<String>) {
    let context = Context::plan(files, "", dockerfile).unwrap();
    let (mut out, mut told) = (Vec::new(), context.warnings.clone());
    context.write(files, 1_700_000_000, &mut out, |sentence| told.push(sentence)).unwrap();
    (out, told)
}

/// `mode path -> target` or `mode path = content`, one line an entry.
fn listed(tar: &[u8]) -> String {
    let mut lines = Vec::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (1_700_000_000, 0, 0));
        let (mode, path) = (header.mode().unwrap(), entry.path().unwrap().display().to_string());
        let mut content = String::new();
        match entry.link_name().unwrap() {
            Some(target) => content = format!(" -> {}", target.display()),
            None => drop(entry.read_to_string(&mut content).unwrap()),
        }
        lines.push(format!("{mode:o} {path} {content}").trim_end().to_owned());
    }
    lines.join("\n")
}

#[test]
fn the_tar_is_sorted_complete_and_the_same_each_time() {
    let files = Files::new(&[
        ("Dockerfile", "FROM scratch"),
        ("src/main.rs", "fn main() {}"),
        ("src/a/b", "x"),
        ("src.txt", ""),
    ])
    .with("run.sh", EntryMode::Executable, "#!/bin/sh")
    .with("link", EntryMode::Symlink, "../outside/of/it");
    let (tar, told) = tar_of(&files, "./Dockerfile");
    let want = "644 Dockerfile FROM scratch\n777 link  -> ../outside/of/it\n755 run.sh #!/bin/sh\n644 src.txt\n755 src/\n755 src/a/\n\
                644 src/a/b x\n644 src/main.rs fn main() {}";
    assert_eq!(listed(&tar), want);
    assert_eq!((tar_of(&files, "Dockerfile").0 == tar, told), (true, Vec::new()));
}

#[test]
fn ignored_files_stay_home_but_never_the_two_that_the_engine_needs() {
    let files = Files::new(&[
        (".dockerignore", "*\n!src\nsrc/secret\n"),
        ("build/Dockerfile", "FROM scratch"),
        ("src/a", "a"),
        ("src/secret", "s"),
        ("README", "r"),
    ]);
    let want =
        "644 .dockerignore *\n!src\nsrc/secret\n755 build/\n644 build/Dockerfile FROM scratch\n755 src/\n644 src/a a";
    assert_eq!(listed(&tar_of(&files, "build/Dockerfile").0).replace("secret\n\n", "secret\n"), want);
}

#[test]
fn the_dockerfiles_own_ignore_file_beats_the_common_one() {
    let files = Files::new(&[
        (".dockerignore", "a"),
        ("Dockerfile.web", "FROM scratch"),
        ("Dockerfile.web.dockerignore", "b\n*.dockerignore"),
        ("a", "a"),
        ("b", "b"),
    ]);
    assert_eq!(
        listed(&tar_of(&files, "Dockerfile.web").0),
        "644 .dockerignore a\n644 Dockerfile.web FROM scratch\n644 a a"
    );
}

#[test]
fn what_is_left_out_and_lfs_pointers_are_told() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let files = Files::new(&[("Dockerfile", "FROM scratch"), ("model.bin", pointer)]).with(
        "vendor/lib",
        EntryMode::Submodule,
        "",
    );
    let files = Files { unnameable: vec!["caf\\xe9".to_owned()], ..files };
    let (tar, told) = tar_of(&files, "Dockerfile");
    assert!(!listed(&tar).contains("vendor") && !listed(&tar).contains("caf"));
    assert_eq!(told[0], "caf\\xe9 is left out of the context: its name is not UTF-8; rename it");
    assert!(told[1].starts_with("vendor/lib is a git submodule"), "{told:?}");
    assert!(told[2].starts_with("model.bin is a Git LFS pointer"), "{told:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let plan =
        |files: &Files, dockerfile: &str| Failure::of(&Context::plan(files, "", dockerfile).unwrap_err()).to_string();
    let files = Files::new(&[("docker/Dockerfile", "FROM scratch")]);
    let missing = plan(&files, "Dockerfile");
    assert_eq!(
        missing,
        "the commit has no Dockerfile in the build context (there is docker/Dockerfile)\nhint: set `dockerfile` or `context` in \
         [[application.image]]"
    );
    for outside in ["../Dockerfile", "/Dockerfile", "a/../../Dockerfile", ""] {
        assert!(plan(&files, outside).contains("leaves the build context"), "{outside}");
    }
    for hostile in ["../evil", "a/../../evil", "/etc/passwd", "a//b"] {
        let files = Files::new(&[("Dockerfile", "FROM scratch"), (hostile, "x")]);
        assert!(plan(&files, "Dockerfile").ends_with(", which leaves the build context"), "{hostile}");
    }
    let files = Files::new(&[("Dockerfile", "FROM scratch"), (".dockerignore", "ok\n[")]);
    let error = Context::plan(&files, "", "Dockerfile").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        (error.to_string().as_str(), cause.as_str()),
        (".dockerignore cannot be used", "line 2: \"[\" is not a valid pattern: a [ has no ]")
    );
}

#[test]
fn names_longer_than_a_tar_header_holds_arrive_whole() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(180));
    let files = Files::new(&[("Dockerfile", "FROM scratch"), (&long, "x")]);
    assert!(listed(&tar_of(&files, "Dockerfile").0).contains(&format!("644 {long} x")));
}

#[test]
fn a_list_that_is_a_link_is_followed_within_the_context() {
    let files = Files::new(&[
        ("Dockerfile", "FROM scratch"),
        ("lists/ignore", "*.pem\nlists\n"),
        ("server.pem", "secret"),
        ("src/a", "a"),
    ]);
    let files = files.with(".dockerignore", EntryMode::Symlink, "current/ignore");
    let files = files.with("current", EntryMode::Symlink, "lists");
    let sent = listed(&tar_of(&files, "Dockerfile").0);
    assert_eq!(
        sent,
        "777 .dockerignore  -> current/ignore\n644 Dockerfile FROM scratch\n777 current  -> lists\n755 src/\n644 src/a a"
    );
}

#[test]
fn a_dockerfile_that_is_a_link_is_sent_with_what_it_leads_to() {
    let files = Files::new(&[("build/Dockerfile", "FROM scratch"), (".dockerignore", "*")]);
    let files = files.with("Dockerfile", EntryMode::Symlink, "here/Dockerfile");
    let files = files.with("here", EntryMode::Symlink, "./build");
    let sent = listed(&tar_of(&files, "Dockerfile").0);
    let want =
        "777 Dockerfile  -> here/Dockerfile\n755 build/\n644 build/Dockerfile FROM scratch\n777 here  -> ./build";
    assert_eq!(sent.split_once('\n').unwrap().1, want);
}

#[test]
fn a_context_is_a_folder_of_the_commit_and_ends_there() {
    let files = Files::new(&[
        ("apps/shop/Dockerfile", "FROM scratch"),
        ("apps/shop/a", "a"),
        ("apps/shop/.dockerignore@", "../list"),
        ("apps/list", ""),
        ("current@", "apps/shop"),
    ]);
    let plan = |files: &Files, folder: &str| Context::plan(files, folder, "Dockerfile");
    let refused = plan(&files, "current").unwrap_err();
    assert_eq!(refused.to_string(), ".dockerignore is a link to \"../list\", which is not a file of the build context");
    let files = files.with("apps/shop/.dockerignore", EntryMode::File, "b");
    let mut tar = Vec::new();
    plan(&files, "current").unwrap().write(&files, 1_700_000_000, &mut tar, drop).unwrap();
    assert_eq!(listed(&tar), "644 .dockerignore b\n644 Dockerfile FROM scratch\n644 a a");
    let error = plan(&files, "apps/cart").unwrap_err();
    assert_eq!(error.to_string(), "reading the tree for the build context");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("apps/cart"), "{error:?}");
}

#[test]
fn what_decides_over_the_build_and_cannot_be_read_is_told() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let docker = || Files::new(&[("Dockerfile", "FROM scratch")]);
    let link = |to: &str| docker().with(".dockerignore", EntryMode::Symlink, to);
    for (files, words) in [
        (
            link("../secrets/list"),
            ".dockerignore is a link to \"../secrets/list\", which is not a file of the build context\nhint: put the file there instead of the link",
        ),
        (
            link("gone"),
            ".dockerignore is a link to \"gone\", which is not a file of the build context\nhint: put the file there instead of the link",
        ),
        (
            link("/etc/ignore"),
            ".dockerignore is a link to \"/etc/ignore\", which is not a file of the build context\nhint: put the file there instead of the link",
        ),
        (
            link(".dockerignore"),
            ".dockerignore is a link to \".dockerignore\", which is not a file of the build context\nhint: put the file there instead of the link",
        ),
        (
            docker().with(".dockerignore", EntryMode::File, pointer),
            ".dockerignore is a Git LFS pointer, and its content is not fetched\nhint: keep it in git itself",
        ),
        (
            Files::new(&[("Dockerfile", pointer)]),
            "Dockerfile is a Git LFS pointer, and its content is not fetched\nhint: keep it in git itself",
        ),
        (
            docker().with("list/a", EntryMode::File, "").with(".dockerignore", EntryMode::Symlink, "list"),
            ".dockerignore is a link to \"list\", which is not a file of the build context\nhint: put the file there instead of the link",
        ),
        (
            Files::new(&[]).with("Dockerfile", EntryMode::Symlink, "../Dockerfile"),
            "Dockerfile is a link to \"../Dockerfile\", which is not a file of the build context\nhint: put the file there instead of the link",
        ),
    ] {
        assert_eq!(Failure::of(&Context::plan(&files, "", "Dockerfile").unwrap_err()).to_string(), words);
    }
}
