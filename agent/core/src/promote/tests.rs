use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d";

fn to(by: PromoteBy) -> Promoted {
    Promoted { image: "reg.example/ops/shop".into(), tag: "1.4.0".into(), digest: DIGEST.into(), by }
}

/// Promotes into one file; `@D` stands for the digest.
fn check(path: &str, before: &str, by: PromoteBy, after: &str) {
    let (before, after) = (before.replace("@D", &format!("@{DIGEST}")), after.replace("@D", DIGEST));
    let edits = promote("apps/shop", &[(path.into(), before.clone().into_bytes())], &to(by)).unwrap();
    let now = edits.first().map_or(before.clone(), |edit| String::from_utf8(edit.content.clone()).unwrap());
    assert_eq!(now, after, "from {before}");
    let again = promote("apps/shop", &[(path.into(), now.into_bytes())], &to(by)).unwrap();
    assert_eq!(again, [], "twice is once");
}

#[test]
fn images_of_manifests_keep_everything_around_them() {
    use PromoteBy::*;
    let pinned = "reg.example/ops/shop:1.4.0@@D";
    for (before, by, after) in [
        ("image: reg.example/ops/shop:1.3\n", TagAndDigest, format!("image: {pinned}\n")),
        ("image: reg.example/ops/shop\n", Tag, "image: reg.example/ops/shop:1.4.0\n".into()),
        ("image: reg.example/ops/shop:1.3@sha256:00 # why\n", Digest, "image: reg.example/ops/shop@@D # why\n".into()),
        (
            "image:   'reg.example/ops/shop:1.3'   # why\r\nb: 1\r\n",
            TagAndDigest,
            format!("image:   '{pinned}'   # why\r\nb: 1\r\n"),
        ),
        (
            "\u{feff}a: ä\nimage: \"reg.example/ops/shop:1.3\"",
            TagAndDigest,
            format!("\u{feff}a: ä\nimage: \"{pinned}\""),
        ),
        ("image: \"reg.example\\/ops/shop:1.3\"\n", TagAndDigest, format!("image: \"{pinned}\"\n")),
        ("image: >-\n  reg.example/ops/shop:1.3\nb: 1\n", TagAndDigest, format!("image: >-\n  {pinned}\nb: 1\n")),
        ("[{image: reg.example/ops/shop:1.3, b: 1}]\n", TagAndDigest, format!("[{{image: {pinned}, b: 1}}]\n")),
        ("{\"image\":\"reg.example/ops/shop:1.3\"}", TagAndDigest, format!("{{\"image\":\"{pinned}\"}}")),
        (
            "image: {reference: reg.example/ops/shop:1}\n",
            Tag,
            "image: {reference: reg.example/ops/shop:1.4.0}\n".into(),
        ),
        (
            "x: &i reg.example/ops/shop:1.3\nimage: *i\n---\nimage: reg.example/ops/shop\n",
            Tag,
            "x: &i reg.example/ops/shop:1.4.0\nimage: *i\n---\nimage: reg.example/ops/shop:1.4.0\n".into(),
        ),
        (
            "a:\n# image: reg.example/ops/shop:1\n- image: other/shop:1\n- image: reg.example/ops/shop:1 \n",
            Tag,
            "a:\n# image: reg.example/ops/shop:1\n- image: other/shop:1\n- image: reg.example/ops/shop:1.4.0 \n".into(),
        ),
        (
            "data: |\n  image: reg.example/ops/shop:1\nimage: reg.example/ops/shop:1\n",
            Tag,
            "data: |\n  image: reg.example/ops/shop:1\nimage: reg.example/ops/shop:1.4.0\n".into(),
        ),
    ] {
        check("deployment.yaml", before, by, &after.replace("@@D", "\u{0}").replace('\u{0}', "@@D"));
    }
}

#[test]
fn a_kustomization_gets_what_kustomize_would_write() {
    use PromoteBy::*;
    let cases = [
        // Changed where it is.
        (
            "resources: [a.yaml]\nimages:\n- name: reg.example/ops/shop # ours\n  newTag: 1.3.0\n  digest: sha256:00\n- name: b\n",
            TagAndDigest,
            "resources: [a.yaml]\nimages:\n- name: reg.example/ops/shop # ours\n  newTag: 1.4.0\n  digest: @D\n- name: b\n",
        ),
        // A key is added after the name, in its column.
        (
            "images:\n  - newTag: '1.3'\n    name: reg.example/ops/shop # ours\n  - name: b\n",
            TagAndDigest,
            "images:\n  - newTag: '1.4.0'\n    name: reg.example/ops/shop # ours\n    digest: @D\n  - name: b\n",
        ),
        // A key that is not to be written goes, whatever its place.
        (
            "images:\n- name: reg.example/ops/shop\n  newTag: a\n  digest: sha256:00\n",
            Tag,
            "images:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n",
        ),
        (
            "images:\n- digest: sha256:00\n  name: reg.example/ops/shop\n",
            Tag,
            "images:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n",
        ),
        (
            "images: [{name: reg.example/ops/shop, newTag: a}]\n",
            Digest,
            "images: [{name: reg.example/ops/shop, digest: @D}]\n",
        ),
        (
            "images: [{newTag: a, name: reg.example/ops/shop}]\n",
            Digest,
            "images: [{name: reg.example/ops/shop, digest: @D}]\n",
        ),
        // A placeholder in the manifests that the kustomization gives our name.
        (
            "images:\n- name: shop\n  newName: reg.example/ops/shop\n  newTag: a\n",
            Tag,
            "images:\n- name: shop\n  newName: reg.example/ops/shop\n  newTag: 1.4.0\n",
        ),
        // Added where it is not.
        ("images:\n- name: b # x\n", Tag, "images:\n- name: b # x\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n"),
        (
            "images:\n  -  name: b\n     newTag: x\n\nnamePrefix: a\n",
            Tag,
            "images:\n  -  name: b\n     newTag: x\n  - name: reg.example/ops/shop\n    newTag: 1.4.0\n\nnamePrefix: a\n",
        ),
        (
            "images: [{name: b}]\n",
            Tag,
            "images: [{name: b}, {\"name\": \"reg.example/ops/shop\", \"newTag\": \"1.4.0\"}]\n",
        ),
        ("images: []\nb: 1\n", Tag, "images:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\nb: 1\n"),
        ("images:\nb: 1\n", Tag, "images:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\nb: 1\n"),
        (
            "resources:\r\n- a.yaml",
            Tag,
            "resources:\r\n- a.yaml\r\nimages:\r\n- name: reg.example/ops/shop\r\n  newTag: 1.4.0",
        ),
        (
            "resources:\n- a.yaml # last\n# end\n",
            Tag,
            "resources:\n- a.yaml # last\nimages:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n# end\n",
        ),
        (
            "{\"resources\": [\"a\"]}",
            Tag,
            "{\"resources\": [\"a\"], \"images\": [{\"name\": \"reg.example/ops/shop\", \"newTag\": \"1.4.0\"}]}",
        ),
        (
            "patches:\n- patch: |\n    a: 1",
            Tag,
            "patches:\n- patch: |\n    a: 1\nimages:\n- name: reg.example/ops/shop\n  newTag: 1.4.0",
        ),
        (
            "images:\n- newTag: a\n  # why\n  name: reg.example/ops/shop\n  digest: b\n",
            Digest,
            "images:\n- \n  # why\n  name: reg.example/ops/shop\n  digest: @D\n",
        ),
        // A line break of old.
        (
            "images:\n- name: reg.example/ops/shop\n  newTag: a\r  digest: b\n",
            Digest,
            "images:\n- name: reg.example/ops/shop\n  digest: @D\n",
        ),
        ("", Tag, "images:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n"),
        ("# nothing yet\n", Tag, "# nothing yet\nimages:\n- name: reg.example/ops/shop\n  newTag: 1.4.0\n"),
    ];
    for (before, by, after) in cases {
        check("kustomization.yaml", before, by, after);
    }
}

#[test]
fn a_tag_that_looks_like_a_number_stays_a_word() {
    let to = Promoted { tag: "1.4".into(), ..to(PromoteBy::Tag) };
    let before = b"images:\n- name: reg.example/ops/shop\n  newTag: abc\n".to_vec();
    let edits = promote("", &[("kustomization.yml".into(), before)], &to).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&edits[0].content),
        "images:\n- name: reg.example/ops/shop\n  newTag: \"1.4\"\n"
    );
}

#[test]
fn what_cannot_be_done_is_told() {
    let file = |path: &str, content: &[u8]| (path.to_owned(), content.to_vec());
    for (files, told) in [
        (vec![], "no manifest below `apps/shop` names the image reg.example/ops/shop (0 files were read)"),
        (vec![file("a.yaml", b"image: other:1"), file("b.txt", b"image: reg.example/ops/shop")], "(1 files were read)"),
        (vec![file("a.yaml", b"image: reg.example/ops/shop:1\nb: [")], "a.yaml cannot be read as YAML, line "),
        (vec![file("a.yaml", b"image: reg.example/ops/shop:1 # \xff")], "a.yaml names the image but is not UTF-8"),
        (
            vec![file("a.yaml", &[b"image: reg.example/ops/shop\n#".to_vec(), vec![b'x'; FILE_BYTES_MAX]].concat())],
            "over the limit of 4194304",
        ),
        (vec![file("kustomization.yaml", b"images: 7")], "kustomization.yaml, line 1: the image is written in a way"),
        (vec![file("kustomization.yaml", b"a: 1\n---\nb: 1\n")], "a kustomization is one mapping"),
        (vec![file("kustomization.yaml", b"!\n")], "a kustomization is one mapping"),
        (
            vec![file("kustomization.yaml", b"images: !!str\n")],
            "kustomization.yaml, line 1: the image is written in a way",
        ),
        (
            vec![file("kustomization.yaml", b"images:\n- digest: # why\n  name: reg.example/ops/shop\n")],
            "kustomization.yaml, line 2: the image is written in a way",
        ),
        (
            vec![file("a.yaml", b"kind: R\nimage: {repository: reg.example/ops/shop, tag: 1, digest: sha256:00}\n")],
            "a.yaml, line 2: the image has a digest beside its tag; set promote.by = \"tag_and_digest\"",
        ),
        // What is added would become a part of the key.
        (vec![file("kustomization.yaml", b"?\n n\n: ")], "the image cannot be updated here"),
        (vec![file("kustomization.yaml", b"images: [")], "kustomization.yaml cannot be read as YAML"),
    ] {
        let error = promote("apps/shop", &files, &to(PromoteBy::Tag)).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    for tag in ["", "a b", "a\nb", "a\"b", "-a", "a#b", "{{x}}"] {
        let to = Promoted { tag: tag.into(), ..to(PromoteBy::Tag) };
        assert!(matches!(promote("", &[], &to), Err(PromoteError::NotAnImage(_))), "{tag:?}");
    }
}

#[test]
fn a_broken_file_that_does_not_name_the_image_is_no_hindrance() {
    let files = [
        ("templates/x.yaml".to_owned(), b"{{ if .Values.a }}\nb: [".to_vec()),
        ("a.yaml".to_owned(), b"image: reg.example/ops/shop:1\n".to_vec()),
    ];
    let edits = promote("", &files, &to(PromoteBy::Tag)).unwrap();
    assert_eq!(edits.iter().map(|edit| edit.path.as_str()).collect::<Vec<_>>(), ["a.yaml"]);
    assert_eq!(promote("", &files, &to(PromoteBy::None)).unwrap(), []);
}

mod trees;

#[test]
fn a_place_is_found_by_what_it_is_in_its_kind() {
    use PromoteBy::*;
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n";
    for (before, by, after) in [
        // An alias stands for the word at its anchor, whatever key that is on, and both are told at once.
        (
            "  initContainers: [{image: reg.example/ops/shop:1.3}]\n  containers:\n  - env: [{name: SELF, value: &i reg.example/ops/shop:1.3}]\n    image: *i\n",
            Tag,
            "  initContainers: [{image: reg.example/ops/shop:1.4.0}]\n  containers:\n  - env: [{name: SELF, value: &i reg.example/ops/shop:1.4.0}]\n    image: *i\n",
        ),
        (
            "  x: &i reg.example/ops/shop\n  containers: [{image: *i}, {image: *i}]\n",
            Tag,
            "  x: &i reg.example/ops/shop:1.4.0\n  containers: [{image: *i}, {image: *i}]\n",
        ),
        // What is merged is where it is defined; an own image beside it counts.
        (
            "  x: &one {image: reg.example/ops/shop:1.3}\n  containers: [{<<: *one, name: a}, {<<: [*one], image: other}]\n",
            Tag,
            "  x: &one {image: reg.example/ops/shop:1.4.0}\n  containers: [{<<: *one, name: a}, {<<: [*one], image: other}]\n",
        ),
        (
            "  x: &all [{image: reg.example/ops/shop:1.3}]\n  containers: *all\n",
            Tag,
            "  x: &all [{image: reg.example/ops/shop:1.4.0}]\n  containers: *all\n",
        ),
        (
            "  volumes: [{name: m, image: {reference: reg.example/ops/shop:1}}]\n",
            Tag,
            "  volumes: [{name: m, image: {reference: reg.example/ops/shop:1.4.0}}]\n",
        ),
        // A pod knows no other image.
        (
            "  containers: [{image: reg.example/ops/shop:1}]\n  image: reg.example/ops/shop:1\n",
            Tag,
            "  containers: [{image: reg.example/ops/shop:1.4.0}]\n  image: reg.example/ops/shop:1\n",
        ),
    ] {
        check("pod.yaml", &format!("{pod}{before}"), by, &format!("{pod}{after}"));
    }
    let release = "apiVersion: example.com/v1\nkind: Release\nspec:\n";
    for (before, by, after) in [
        (
            "  image: {repository: reg.example/ops/shop, tag: 1.0.0}\n",
            TagAndDigest,
            "  image: {repository: reg.example/ops/shop, tag: 1.4.0}\n",
        ),
        (
            "  image: {registry: reg.example, repository: ops/shop, tag: '1'}\n",
            Tag,
            "  image: {registry: reg.example, repository: ops/shop, tag: '1.4.0'}\n",
        ),
        (
            "  sidecar: {imageName: reg.example/ops/shop, imageTag: \"1.0.0\"}\n",
            Tag,
            "  sidecar: {imageName: reg.example/ops/shop, imageTag: \"1.4.0\"}\n",
        ),
        (
            "  image: {repository: reg.example/ops/shop, tag: a, digest: sha256:00}\n",
            TagAndDigest,
            "  image: {repository: reg.example/ops/shop, tag: 1.4.0, digest: @D}\n",
        ),
        (
            "  images: [{name: reg.example/ops/shop, newTag: a}]\n",
            Tag,
            "  images: [{name: reg.example/ops/shop, newTag: 1.4.0}]\n",
        ),
        ("  image: reg.example/ops/shop\n  tag: a\n", Tag, "  image: reg.example/ops/shop\n  tag: 1.4.0\n"),
        (
            "  sidecarImage: reg.example/ops/shop:1\n  tag: a\n",
            Tag,
            "  sidecarImage: reg.example/ops/shop:1.4.0\n  tag: a\n",
        ),
        ("  image: reg.example/ops/shop:1\n  tag: a\n", Tag, "  image: reg.example/ops/shop:1.4.0\n  tag: a\n"),
        (
            "  image: {repository: reg.example/ops/shopping, tag: a}\n  b: {image: reg.example/ops/shop}\n",
            Tag,
            "  image: {repository: reg.example/ops/shopping, tag: a}\n  b: {image: reg.example/ops/shop:1.4.0}\n",
        ),
    ] {
        check("release.yaml", &format!("{release}{before}"), by, &format!("{release}{after}"));
    }
}

#[test]
fn what_runs_no_image_names_none() {
    for content in [
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  image: reg.example/ops/shop:1\n",
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, data: {image: reg.example/ops/shop:1}}\n",
        "apiVersion: v1\nkind: ConfigMapList\nitems: [{data: {image: reg.example/ops/shop:1}}]\n",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {image: {default: reg.example/ops/shop:1}}\n",
    ] {
        let error = promote("", &[("a.yaml".into(), content.into())], &to(PromoteBy::Tag)).unwrap_err();
        assert!(matches!(error, PromoteError::Nowhere { .. }), "{content}: {error}");
    }
}

#[test]
fn a_file_keeps_its_encoding() {
    for (mark, unit) in [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)] {
        let write = |text: &str| [&mark[..], &text.encode_utf16().flat_map(unit).collect::<Vec<u8>>()].concat();
        let before = write("image: reg.example/ops/shop:1 # ä\r\n");
        let edits = promote("", &[("a.yaml".into(), before)], &to(PromoteBy::Tag)).unwrap();
        assert_eq!(edits[0].content, write("image: reg.example/ops/shop:1.4.0 # ä\r\n"));
    }
}

#[test]
fn a_mark_at_each_document_stays() {
    check(
        "a.yaml",
        "\u{feff}image: reg.example/ops/shop:1\n---\n\u{feff}# ä\nimage: reg.example/ops/shop\nb: 1\n",
        PromoteBy::Tag,
        "\u{feff}image: reg.example/ops/shop:1.4.0\n---\n\u{feff}# ä\nimage: reg.example/ops/shop:1.4.0\nb: 1\n",
    );
}

/// A line of a made-up manifest, and the same line after promotion by tag.
fn line() -> impl Strategy<Value = (String, String)> {
    let both = |line: &str| (line.to_owned(), line.to_owned());
    prop_oneof![
        "[a-z]{1,6}".prop_map(move |key| both(&format!("  {key}: 'ä # not a comment'"))),
        "[ -~&&[^'\"]]{0,20}".prop_map(move |comment| both(&format!("# {comment}"))),
        Just(both("")),
        ("[a-z]{1,8}", 0..3_usize).prop_map(|(tag, quotes)| {
            let quote = ["", "'", "\""][quotes];
            let line = |tag: &str| format!("- image:  {quote}reg.example/ops/shop:{tag}{quote}  # {tag}");
            let after = line(&tag).replacen(&format!("shop:{tag}"), "shop:1.4.0", 1);
            (line(&tag), after)
        }),
        "[a-z]{1,8}".prop_map(move |tag| both(&format!("- image: reg.example/ops/shopping:{tag}"))),
    ]
}

proptest! {
    #[test]
    fn bytes_outside_the_image_never_change(lines in prop::collection::vec(line(), 1..20), crlf: bool, last: bool) {
        // Every property line belongs to the item before it, so that any order is a sequence of mappings.
        let end = if crlf { "\r\n" } else { "\n" };
        let join = |pick: &dyn Fn(&(String, String)) -> String| {
            let mut text = String::from("- name: x") + end;
            for (number, line) in lines.iter().enumerate() {
                let line = pick(line);
                // Keys of one mapping differ.
                let line = line.strip_prefix("  ").map_or(line.clone(), |rest| format!("  k{number}{rest}"));
                text += &line;
                text += end;
            }
            if last { text.trim_end_matches(['\r', '\n']).to_owned() } else { text }
        };
        let (before, after) = (join(&|line| line.0.clone()), join(&|line| line.1.clone()));
        match promote("", &[("a.yaml".into(), before.clone().into_bytes())], &to(PromoteBy::Tag)) {
            Ok(edits) => {
                let now = edits.first().map_or(before, |edit| String::from_utf8(edit.content.clone()).unwrap());
                prop_assert_eq!(&now, &after);
                prop_assert_eq!(promote("", &[("a.yaml".into(), now.into_bytes())], &to(PromoteBy::Tag)).unwrap(), vec![]);
            }
            Err(error) => prop_assert!(matches!(error, PromoteError::Nowhere { .. }) && before == after, "{}", error),
        }
    }

    #[test]
    fn no_kustomization_makes_it_panic_or_lose_a_line(
        lines in prop::collection::vec("(images:|- name: (a|reg.example/ops/shop)|  newTag: [a-z0-9.]{1,4}|  digest: x|# c|b: \\{\\}|images: \\[\\]|)", 0..8),
    ) {
        let before = lines.join("\n");
        if let Ok(edits) = promote("", &[("Kustomization".into(), before.clone().into_bytes())], &to(PromoteBy::TagAndDigest)) {
            let now = edits.first().map_or(before.clone(), |edit| String::from_utf8(edit.content.clone()).unwrap());
            for line in lines.iter().filter(|line| !line.contains(':') || line.contains("name: a")) {
                prop_assert!(now.contains(line.as_str()), "{:?} is lost in {:?}", line, now);
            }
            let again = promote("", &[("Kustomization".into(), now.into_bytes())], &to(PromoteBy::TagAndDigest));
            prop_assert_eq!(again.unwrap(), vec![]);
        }
    }
}
