//! Diffs as rows.

use quarterdeck_shared::protocol::{DiffAnswer, ObjectDiff};
use quarterdeck_shared::resource::ResourceRef;

use super::*;

fn answer(live: Option<&str>, desired: Option<&str>) -> DiffDocument {
    let sha = "1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d1f3c2a9d".parse().expect("a commit");
    let object = ObjectDiff {
        resource: ResourceRef::new("apps", "Deployment", Some("prod"), "shop"),
        action: Action::Configure,
        live: live.map(str::to_owned),
        desired: desired.map(str::to_owned),
    };
    document(DiffAnswer {
        environment: "shop/prod".parse().expect("an address"),
        plan: Plan {
            revision: quarterdeck_shared::revision::Revision::new("main", sha),
            changes: Vec::new(),
            steps: Vec::new(),
        },
        objects: vec![object],
    })
}

/// The rows as `diff -u` would print them, marks in brackets.
fn print(document: &DiffDocument, whole: bool, sides: bool) -> String {
    let side = |lines: &[SideLine], line: Option<u32>| {
        let Some(line) = line.map(|line| &lines[line as usize]) else { return String::new() };
        let mut text = line.text.to_string();
        for (start, end) in line.marks.iter().rev() {
            text.insert(*end as usize, ']');
            text.insert(*start as usize, '[');
        }
        text
    };
    let row = |row: &DiffRow| match row {
        DiffRow::Title(object) => format!("@ {}", document.objects[*object].title),
        DiffRow::Fold(lines) => format!("… {lines}"),
        DiffRow::Field(object, field) => format!("  {}", document.objects[*object].fields[*field]),
        DiffRow::Blank => String::new(),
        DiffRow::Lines { object, live, desired, alike } => {
            let object = &document.objects[*object];
            let (old, new) = (side(&object.live, *live), side(&object.desired, *desired));
            match (alike, live, desired) {
                (true, ..) => format!("  {old}"),
                (false, Some(_), None) if !sides => format!("- {old}"),
                (false, None, Some(_)) if !sides => format!("+ {new}"),
                _ => format!("{old} | {new}"),
            }
        }
    };
    document.rows(whole, sides).iter().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_changed_within_a_line_is_marked() {
    let document = answer(Some("a: 1\nimage: shop:1.3.9\nb: 2\n"), Some("a: 1\nimage: shop:1.4.0\nb: 2\nc: 3\n"));
    insta::assert_snapshot!(print(&document, false, false), @r"
    @ Deployment/shop in prod
      a: 1
    - image: shop:1.[3].[9]
    + image: shop:1.[4].[0]
      b: 2
    + c: 3
    ");
    insta::assert_snapshot!(print(&document, false, true), @r"
    @ Deployment/shop in prod
      a: 1
    image: shop:1.[3].[9] | image: shop:1.[4].[0]
      b: 2
     | c: 3
    ");
}

#[test]
fn alike_lines_are_folded_where_that_hides_more_than_one() {
    let lines = |changed: &str| {
        (0..20).map(|n| if n == 10 { format!("{changed}\n") } else { format!("l{n}\n") }).collect::<String>()
    };
    let document = answer(Some(&lines("old")), Some(&lines("new")));
    insta::assert_snapshot!(print(&document, false, false), @r"
    @ Deployment/shop in prod
    … 7
      l7
      l8
      l9
    - old
    + new
      l11
      l12
      l13
    … 6
    ");
    assert_eq!(document.rows(true, false).len(), 22);
}

#[test]
fn one_side_may_be_absent_and_texts_may_be_hostile() {
    let created = answer(None, Some("a: \x1b[31m1\n"));
    assert_eq!(print(&created, false, false), "@ Deployment/shop in prod\n+ a: ^[[31m1");
    let pruned = answer(Some("a: 1"), None);
    assert_eq!(print(&pruned, false, false), "@ Deployment/shop in prod\n- a: 1");
    assert_eq!(print(&answer(None, None), false, false), "@ Deployment/shop in prod");
}

#[test]
fn a_field_in_short() {
    let short = |path: &str, live: Option<serde_json::Value>, desired: Option<serde_json::Value>| {
        let (path, manager, default) = (path.to_owned(), None, false);
        field_short(&quarterdeck_shared::change::FieldChange { path, live, desired, manager, default })
    };
    let image = "spec.template.spec.containers[name=shop].image";
    assert_eq!(
        short(image, Some("r/ops/shop:1.3.9".into()), Some("r/ops/shop:1.4.0".into())),
        "spec.template…image   1.3.9 → 1.4.0"
    );
    let pinned = |tag: &str, digit: &str| Some(format!("r/ops/shop:{tag}@sha256:{}", digit.repeat(64)).into());
    assert_eq!(short(image, pinned("1", "a"), pinned("2", "b")), "spec.template…image   1 → 2");
    assert_eq!(short(image, pinned("1", "a"), pinned("1", "b")), "spec.template…image   aaaaaaa → bbbbbbb");
    assert_eq!(short("spec.replicas", Some(2.into()), Some(3.into())), "spec.replicas   2 → 3");
    assert_eq!(short("data.größe", Some("größe:ä".into()), Some("größe:ö".into())), "data.größe   ä → ö");
    assert_eq!(short("data.a", None, Some("x".into())), "data.a   absent → x");
}
