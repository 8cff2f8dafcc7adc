use quarterdeck_shared::error::Failure;

use super::*;
use crate::tree::memory::Files;

fn selection(files: &[(&str, &str)], include: &[&str], exclude: &[&str]) -> Selection {
    let texts = |patterns: &[&str]| patterns.iter().map(|&text| text.to_owned()).collect();
    let spec = FilesSpec { include: texts(include), exclude: texts(exclude) };
    let files: Vec<_> = files.iter().copied().chain([("apps/shop/a.yaml", "")]).collect();
    Selection::read(&Files::new(&files), "apps/shop", &spec).unwrap()
}

#[test]
#[rustfmt::skip]
fn patterns_are_those_of_git() {
    for (exclude, path, is_left_out) in [
        (&["docs/**"][..], "apps/shop/docs/a.yaml", true),
        (&["docs/**"], "apps/shop/deep/docs/a.yaml", false),
        (&["docs/"], "apps/shop/deep/docs/a.yaml", true),
        (&["docs/"], "apps/shop/docs", false),
        (&["*_test.yaml"], "apps/shop/deep/a_test.yaml", true),
        (&["*_test.yaml"], "apps/shop/a.yaml", false),
        (&["/a.yaml"], "apps/shop/a.yaml", true),
        (&["/a.yaml"], "apps/shop/deep/a.yaml", false),
        (&["**/old/*.yaml"], "apps/shop/x/old/a.yaml", true),
        (&["old/*.yaml"], "apps/shop/old/x/a.yaml", false),
        (&["*.yaml", "!a.yaml"], "apps/shop/a.yaml", false),
        (&["!a.yaml", "*.yaml"], "apps/shop/a.yaml", true),
        (&["old", "!old/a.yaml"], "apps/shop/old/a.yaml", true),
        (&["[ab].yaml"], "apps/shop/b.yaml", true),
        (&["\\!a.yaml"], "apps/shop/!a.yaml", true),
        (&["apps/shop/a.yaml"], "apps/shop/a.yaml", false),
        (&["shop"], "apps/shop/a.yaml", false),
        (&[], "apps/shop/a.yaml", false),
    ] {
        assert_eq!(selection(&[], &[], exclude).leaves_out(path), is_left_out, "{exclude:?} {path}");
        assert_eq!(selection(&[], &[], exclude).selects(path), !is_left_out, "{exclude:?} {path}");
    }
    for (include, path, is_selected) in [
        (&["*.yaml"][..], "apps/shop/deep/a.yaml", true),
        (&["*.yaml"], "apps/shop/a.json", false),
        (&["base/", "a.json"], "apps/shop/base/x/a.yaml", true),
        (&["base/", "a.json"], "apps/shop/a.json", true),
        (&["base/", "a.json"], "apps/shop/a.yaml", false),
    ] {
        assert_eq!(selection(&[], include, &[]).selects(path), is_selected, "{include:?} {path}");
    }
    assert!(!selection(&[], &["*.yaml"], &["a.yaml"]).selects("apps/shop/a.yaml"), "what is excluded is not taken back");
}

#[test]
fn ignore_files_are_seen_from_their_folders_and_the_nearer_one_overrules() {
    let files = [
        (".sourceignore", "# Flux\n/apps/*/docs\n\n*.json  \r\n"),
        (".quarterdeckignore", "/old\nc.yaml\n"),
        ("apps/shop/.quarterdeckignore", "/d.yaml\n!c.yaml\n!docs/\n"),
    ];
    let selection = selection(&files, &[], &[]);
    for (path, is_selected) in [
        ("apps/shop/a.yaml", true),
        ("apps/shop/a.json", false),
        ("apps/shop/c.yaml", true),
        ("apps/shop/d.yaml", false),
        ("apps/shop/x/d.yaml", true),
        ("apps/shop/old/a.yaml", true),
        ("apps/shop/docs/a.yaml", true),
        ("apps/cart/docs/a.yaml", false),
    ] {
        assert_eq!(selection.selects(path), is_selected, "{path}");
    }
    let mut inputs = selection.inputs;
    inputs.dedup();
    assert_eq!(
        inputs,
        [".sourceignore", ".quarterdeckignore", "apps/shop/.sourceignore", "apps/shop/.quarterdeckignore"],
        "also the one that does not exist"
    );
}

#[test]
fn more_patterns_than_anybody_writes_are_an_error() {
    let many = "a\n".repeat(PATTERNS_MAX + 1);
    let read = Selection::read(&Files::new(&[(".quarterdeckignore", &many)]), "", &FilesSpec::default());
    let error = read.err().expect("an error");
    assert_eq!(
        Failure::of(&error).to_string(),
        ".quarterdeckignore has more than 1000 patterns\nhint: name folders instead of their files"
    );
}

#[test]
fn what_cannot_be_meant_is_told() {
    for (pattern, is_wrong) in [
        ("", true),
        (" ", true),
        ("../x", true),
        ("a/..", true),
        ("a[b", true),
        ("a\nb", true),
        ("a[b]*", false),
        ("!a", false),
    ] {
        assert_eq!(fault(pattern).is_some(), is_wrong, "{pattern}");
    }
}
