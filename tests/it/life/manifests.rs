//! Manifests that cannot be: each is told at the application in words that help, and the last good state keeps running.

use super::*;

/// What a commit brings, and words of what a person then reads.
struct Bad {
    files: Vec<(&'static str, String)>,
    link: Option<(&'static str, &'static str)>,
    words: Vec<&'static str>,
}

fn bad(files: &[(&'static str, &str)], words: &[&'static str]) -> Bad {
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    Bad { files, link: None, words: words.to_vec() }
}

fn all() -> Vec<Bad> {
    let bomb: String = std::iter::once("a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain(["ba", "cb", "dc", "ed", "fe", "gf", "hg"].iter().map(|pair| {
            let (name, of) = pair.split_at(1);
            format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 9].join(", "))
        }))
        .collect();
    let long = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: long }}\ndata:\n  text: {}\n",
        "x".repeat(17 << 20)
    );
    let in_two = config_map("b", "two");
    vec![
        bad(&[("x.yaml", "kind: [")], &["x.yaml: document 1, line"]),
        bad(&[("x.yaml", "a: 1\na: 2\n")], &["x.yaml: document 1, line 2, column 1: the key \"a\" is defined twice"]),
        bad(&[("x.yaml", &bomb)], &["alias", "x.yaml: document 1"]),
        bad(&[("x.yaml", "apiVersion: v1\nmetadata: { name: x }\n")], &["x.yaml, document 1, line 1: it has no kind"]),
        bad(
            &[("x.yaml", "apiVersion: v1\nkind: ConfigMapp\nmetadata: { name: x }\n")],
            &["the cluster does not serve the kind ConfigMapp of v1"],
        ),
        bad(
            &[(
                "x.yaml",
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: [{ kind: Pod }]\n",
            )],
            &["x.yaml, document 1, line 1, item 1, item 1: it has no apiVersion"],
        ),
        bad(
            &[("x.yaml", &in_two), ("y.yaml", &in_two)],
            &[
                "ConfigMap/b in namespace shop is defined twice: in apps/shop/x.yaml, document 1, line 1, and in apps/shop/y.yaml",
            ],
        ),
        bad(
            &[("x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x, namespace: nowhere }\n")],
            &[
                "cluster demo: shop/prod is not applied: ConfigMap/x (apps/shop/x.yaml, document 1, line 1): namespaces \"nowhere\" not \
                 found",
                "hint: add the Namespace to the manifests, or set create_namespace = true",
            ],
        ),
        bad(&[("x.yaml", "name: {{ .Values.name }}\n")], &["x.yaml looks like a template"]),
        bad(
            &[("x.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")],
            &["x.yaml is a Git LFS pointer"],
        ),
        bad(
            &[("x.yaml", &long)],
            &[
                "cannot read apps/shop/x.yaml from the repository: object ",
                "ops/deploy.git has 17.0 MiB, over the limit of 16.0 MiB",
            ],
        ),
        bad(&[("caf\u{1}.yaml", "a: 1\n")], &["caf"]),
        Bad {
            files: Vec::new(),
            link: Some(("x.yaml", "../../../etc/passwd")),
            words: vec!["x.yaml is a link to \"../../../etc/passwd\", which is not a file of this repository"],
        },
    ]
}

#[tokio::test]
async fn what_is_wrong_is_told_and_the_last_good_state_keeps_running() {
    let world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    let good = deploy(&world).rev("main");
    let repository = deploy(&world);
    let mut wrong = Vec::new();
    for Bad { files, link, words } in all() {
        let mut change = repository.change("main").write("apps/shop/a.yaml", config_map("a", "changed"));
        for (name, text) in &files {
            change = change.write(format!("apps/shop/{name}"), text);
        }
        if let Some((name, target)) = link {
            change = change.symlink(format!("apps/shop/{name}"), target);
        }
        let commit = change.commit("Bad");
        let seen = |app: &EnvironmentStatus| {
            let at = app.target.as_ref().is_some_and(|target| target.commit.as_str() == commit);
            at && app.sync != SyncStatus::Synced && app.message.contains(words[0])
        };
        match world.wait_for("the words", "shop", seen).await {
            Ok(status) => {
                let read = told(&status.message, &status.hint);
                if words.iter().any(|word| !read.contains(word)) || !is_at(&status, &good) {
                    wrong.push(format!("{words:?}: {}", status.message));
                }
            }
            Err(error) => wrong.push(format!("{words:?}: {error}")),
        }
        if value(&world, "a").as_deref() != Some("one") {
            wrong.push(format!("{words:?}: the last good state was left"));
        }
        repository.git(&["update-ref", "refs/heads/main", &good]);
    }
    // Names that are no UTF-8 and names that clash in case come as bytes.
    repository.change("main").write(b"apps/shop/caf\xe9.yaml", "a: 1\n").commit("Bad");
    world.wait_for("the name", "shop", |app| app.message.contains("caf\\xe9.yaml")).await.unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");

    repository.git(&["update-ref", "refs/heads/main", &good]);
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n";
    let item = "  - { apiVersion: v1, kind: ConfigMap, metadata: { name: deep }, data: { value: found } }\n";
    let files = [("a.yaml", config_map("a", "two")), ("deep.yaml", format!("{list}{item}"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let commit = manifests(&world, &files, "Good again");
    let status = synced_to(&world, &commit).await;
    assert_eq!((status.message.as_str(), value(&world, "deep").as_deref()), ("", Some("found")));
}

/// An agent that is started on manifests that cannot be rendered still sees what runs.
#[tokio::test]
async fn what_runs_is_seen_though_git_cannot_be_rendered() {
    let mut world = deployed(&[("a.yaml", &config_map("a", "one"))], "").await;
    manifests(&world, &[("a.yaml", "kind: [")], "Bad");
    world.wait_for("the words", "shop", |app| app.message.contains("a.yaml")).await.unwrap();
    world.stop_agent().unwrap();
    world.start_agent().await.unwrap();
    let config = |object: &Object| matches!(object, Object::Resource(one) if one.resource.kind == "ConfigMap");
    world.wait("the object", |state| state.objects.values().any(config).then_some(())).await.unwrap();
}
