//! Who signed a tag, by real `ssh-keygen` and `gpg`, and that nothing counts but the files of the configuration.

use std::path::PathBuf;
use std::sync::Arc;

use harness::git::Signer;
use quarterdeck_core::admission::Refusal;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{GitError, ObjectId};
use quarterdeck_shared::application::Signers;
use quarterdeck_shared::error::Failure;

use super::{Way, World, on};

/// A forge with a commit, and its mirror.
async fn world() -> (World, Arc<Mirror>) {
    let world = World::new().await;
    world.forge.repo("ops/shop").commit("main", &[("a", "1")], "first");
    let mirror = world.mirror(Way::Path);
    (world, mirror)
}

impl World {
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.data.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Who signed a tag, as the mirror says it after a fetch; else why that does not count, with what to do.
    async fn signer(&self, mirror: &Arc<Mirror>, tag: &str, signers: &Signers) -> String {
        let scratch = self.data.path().join("scratch");
        let (tag, signers, at) = (tag.to_owned(), signers.clone(), scratch.clone());
        let found = on(mirror, move |mirror| {
            let refs = mirror.list_refs()?;
            mirror.fetch(&refs)?;
            let object: ObjectId = refs.tags[&tag].object.clone();
            mirror.signer_of(&tag, &object, &signers, &at)
        });
        let found: Result<Result<String, Refusal>, GitError> = found.await;
        let left = std::fs::read_dir(&scratch).map(|all| all.count()).unwrap_or_default();
        assert_eq!(left, 0, "what was made for a check is removed after it");
        match found {
            Ok(Ok(signer)) => format!("by {signer}"),
            Ok(Err(refusal)) => Failure::of(&refusal).to_string(),
            Err(error) => Failure::of(&error).to_string(),
        }
    }
}

#[tokio::test]
async fn a_tag_is_signed_by_a_key_of_the_file_or_by_a_stranger() {
    let (world, mirror) = world().await;
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(Signer::with_ssh);
    let allowed = alice.allowed("") + &bob.allowed("valid-before=\"20200101\" ");
    let ssh = Signers { ssh: Some(world.file("allowed_signers", &allowed)), gpg: None };
    let repo = world.forge.repo("ops/shop");
    repo.signed_tag("good", "main", &alice);
    repo.signed_tag("late", "main", &bob);
    repo.signed_tag("strange", "main", &eve);
    repo.annotated_tag("unsigned", "main", "a tag");
    repo.tag("light", "main");
    // The object of a tag under another name, and one whose words were changed.
    repo.git(&["update-ref", "refs/tags/copied", "refs/tags/good"]);
    let forged = repo.git_raw(&["cat-file", "tag", "good"], b"").replacen("tag good", "tag forged", 1);
    let forged = repo.git_raw(&["hash-object", "-t", "tag", "-w", "--stdin"], forged.as_bytes());
    repo.git(&["update-ref", "refs/tags/forged", forged.trim()]);
    let (eves, bobs) = (eve.fingerprint(), bob.fingerprint());
    for (tag, expected) in [
        ("good", "by alice@example.com".to_owned()),
        (
            "late",
            format!(
                "tag late is signed by a key that is not among the signers of allowed_signers: {bobs} (line 2: key has expired"
            ),
        ),
        (
            "strange",
            format!(
                "tag strange is signed by a key that is not among the signers of allowed_signers: {eves}\nhint: if the key"
            ),
        ),
        ("unsigned", "tag unsigned is not signed\nhint: sign it: `git tag --sign --force unsigned COMMIT`".to_owned()),
        ("light", "tag light is not signed\n".to_owned()),
        ("copied", "tag copied is a copy of the signed tag good\n".to_owned()),
        (
            "forged",
            "the signature of tag forged is not valid: Signature verification failed: incorrect signature\n".to_owned(),
        ),
    ] {
        let found = world.signer(&mirror, tag, &ssh).await;
        assert!(found.starts_with(&expected), "{tag}: {found}");
    }

    // The file is read when it is needed.
    world.file("allowed_signers", &eve.allowed(""));
    assert_eq!(world.signer(&mirror, "strange", &ssh).await, "by eve@example.com");
    let found = world.signer(&mirror, "good", &ssh).await;
    assert!(found.contains("not among the signers of allowed_signers"), "{found}");
    let gpg = Signers { ssh: None, gpg: ssh.ssh.clone() };
    let found = world.signer(&mirror, "good", &gpg).await;
    assert!(
        found.starts_with("tag good has an ssh signature, and require_signed names no signers of that kind\n"),
        "{found}"
    );
    let away = Signers { ssh: Some(world.data.path().join("nowhere")), gpg: None };
    let found = world.signer(&mirror, "good", &away).await;
    let why = format!("cannot read the signers in {}: No such file", world.data.path().join("nowhere").display());
    assert!(found.starts_with(&why) && found.contains("\nhint: check that the file exists"), "{found}");
}

#[tokio::test]
#[ignore = "wants gpg; told by tests/real/run"]
async fn a_tag_is_signed_by_a_key_of_the_file_or_by_a_stranger_with_gpg() {
    let (world, mirror) = world().await;
    let [carol, dan] = ["carol", "dan"].map(Signer::with_gpg);
    let alice = Signer::with_ssh("alice");
    let repo = world.forge.repo("ops/shop");
    repo.signed_tag("good", "main", &carol);
    repo.signed_tag("strange", "main", &dan);
    repo.signed_tag("ssh", "main", &alice);
    let keys = world.file("release-keys.asc", &carol.armored());
    let both = Signers { ssh: Some(world.file("allowed_signers", &alice.allowed(""))), gpg: Some(keys) };
    for (tag, expected) in [
        ("good", "by carol@example.com"),
        ("strange", "tag strange is signed by a key that is not among the signers of release-keys.asc: "),
        ("ssh", "by alice@example.com"),
    ] {
        let found = world.signer(&mirror, tag, &both).await;
        assert!(found.starts_with(expected), "{tag}: {found}");
    }
    let commit = repo.signed_commit("carol", "main", &carol).parse().unwrap();
    let (signers, scratch) = (both.clone(), world.data.path().join("scratch"));
    let found = on(&mirror, move |mirror| {
        mirror.fetch(&mirror.list_refs()?)?;
        mirror.signer_of_commit(&commit, &signers, &scratch)
    });
    assert!(found.await.unwrap().unwrap().contains("carol@example.com"));
    // Several keys, one after the other; and what is no key.
    world.file("release-keys.asc", &(carol.armored() + &dan.armored()));
    assert_eq!(world.signer(&mirror, "strange", &both).await, "by dan@example.com");
    world.file("release-keys.asc", "no key\n");
    let found = world.signer(&mirror, "good", &both).await;
    assert!(found.starts_with("cannot read the signers in ") && found.contains("release-keys.asc: "), "{found}");
    let agents = std::process::Command::new("pgrep").args(["-f", "gpg-agent.*signers-"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&agents.stdout), "", "no agent was started for a check");
}

#[tokio::test]
async fn a_commit_is_signed_by_a_key_of_the_file_or_by_a_stranger() {
    let (world, mirror) = world().await;
    let [alice, eve] = ["alice", "eve"].map(Signer::with_ssh);
    let ssh = Signers { ssh: Some(world.file("allowed_signers", &alice.allowed(""))), gpg: None };
    let gpg = Signers { ssh: None, gpg: Some(world.file("release-keys.asc", "no key is asked for")) };
    let repo = world.forge.repo("ops/shop");
    let commits = [
        ("unsigned", repo.rev("main")),
        ("alices", repo.signed_commit("alice", "main", &alice)),
        ("eves", repo.signed_commit("eve", "main", &eve)),
    ];
    let of = async |name: &str, signers: &Signers| {
        let scratch = world.data.path().join("scratch");
        let (_, commit) = commits.iter().find(|(known, _)| *known == name).unwrap();
        let (commit, signers) = (commit.parse().unwrap(), signers.clone());
        let found = on(&mirror, move |mirror| {
            mirror.fetch(&mirror.list_refs()?)?;
            mirror.signer_of_commit(&commit, &signers, &scratch)
        });
        match found.await {
            Ok(Ok(signer)) => format!("by {signer}"),
            Ok(Err(refusal)) => Failure::of(&refusal).to_string(),
            Err(error) => Failure::of(&error).to_string(),
        }
    };
    let stranger = format!(
        "the commit is signed by a key that is not among the signers of allowed_signers: {}",
        eve.fingerprint()
    );
    for (name, signers, expected) in [
        ("unsigned", &ssh, "the commit is not signed\n"),
        ("alices", &ssh, "by alice@example.com"),
        ("eves", &ssh, &*stranger),
        ("alices", &gpg, "the commit has an ssh signature, and require_signed names no signers of that kind\n"),
    ] {
        let found = of(name, signers).await;
        assert!(found.starts_with(expected), "{name}: {found}");
    }
    world.file("allowed_signers", &eve.allowed(""));
    assert!(
        of("alices", &ssh).await.contains("not among the signers of allowed_signers"),
        "the file is read each time"
    );
    std::fs::remove_file(ssh.ssh.as_ref().unwrap()).unwrap();
    assert!(of("alices", &ssh).await.contains("allowed_signers"), "a file that is gone trusts nobody");
}
