//! Which files of a folder are rendered plainly: by the configuration, and by ignore files in git.

use quarterdeck_shared::protocol::ManifestsAnswer;

use super::*;

#[tokio::test]
async fn what_is_left_out_is_not_deployed_and_an_ignore_file_prunes_what_it_names() {
    let files = [
        ("a.yaml", config_map("a", "one")),
        ("b.json", "{}".to_owned()),
        ("a_test.yaml", "not: an object\n".to_owned()),
        ("docs/example.yaml", "{{ a template }}\n".to_owned()),
        ("old/c.yaml", config_map("c", "old")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let world = deployed(&files, "include = [\"*.yaml\"]\nexclude = [\"docs/\", \"*_test.yaml\"]\n").await;
    assert_eq!((value(&world, "a").as_deref(), value(&world, "c").as_deref()), (Some("one"), Some("old")));
    let answer: ManifestsAnswer = world.client().get("/v1/environments/shop/manifests").await.unwrap();
    assert!(!answer.yaml.contains("not: an object"), "{answer:?}");

    // It did not exist before, and lies in no folder that is rendered.
    let commit = deploy(&world).commit("main", &[(".quarterdeckignore", "# gone\n/apps/*/old/\n")], "Ignore");
    synced_to(&world, &commit).await;
    assert_eq!((value(&world, "a").as_deref(), value(&world, "c")), (Some("one"), None));
    let commit = manifests(&world, &[(".quarterdeckignore", "!old/\n")], "After all");
    synced_to(&world, &commit).await;
    assert_eq!(value(&world, "c").as_deref(), Some("old"));

    // What would prune all is an error.
    manifests(&world, &[(".quarterdeckignore", "*.yaml\n")], "Nothing");
    let words = "apps/shop holds no manifests: include, exclude and ignore files leave out all of its 5 manifest files";
    world.wait_for("the error", "shop", |app| app.message.contains(words)).await.unwrap();
    assert_eq!(value(&world, "a").as_deref(), Some("one"));
}
