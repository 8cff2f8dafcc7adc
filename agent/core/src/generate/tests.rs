use serde_json::json;

use super::*;

fn element(values: &[(&str, &str)]) -> Element {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Element { values, of: "a test".to_owned() }
}

#[test]
fn a_value_is_put_into_texts_and_stays_text() {
    let shop = element(&[("app", "shop"), ("cluster.region", "eu"), ("note", "a\"\nb = true {tag} {app}")]);
    for (text, filled) in [
        ("{app}", "shop"),
        ("apps/{app}/envs", "apps/shop/envs"),
        ("{app}-{app}", "shop-shop"),
        ("{cluster.region}", "eu"),
        ("{note}", "a\"\nb = true {tag} {app}"),
        ("{suffix}-{app}", "{suffix}-shop"),
        ("${app} and $app", "${app} and $app"),
        ("{{app}} and {app}", "{app} and shop"),
        ("{ print $1 }", "{ print $1 }"),
        ("{}", "{}"),
        ("{app", "{app"),
        ("{App}", "{App}"),
        ("a }{app}", "a }shop"),
        ("{app|upper}-{cluster.region|first:1}", "SHOP-e"),
        ("{app|replace:s:S|dns}", "shop"),
        ("{app|sort}", "{app|sort}"),
        ("{a|b}", "{a|b}"),
        ("{{app|upper}}", "{app|upper}"),
    ] {
        assert_eq!(fill(&json!(text), &shop), Ok(json!(filled)), "{text}");
    }
    let template = json!({"name": "{app}", "port": 80, "on": true, "{app}": ["x", {"y": "{app}"}]});
    let filled = json!({"name": "shop", "port": 80, "on": true, "shop": ["x", {"y": "shop"}]});
    assert_eq!(fill(&template, &shop), Ok(filled));
}

#[test]
fn what_nothing_gives_is_named_with_its_place() {
    let template = json!({"application": [{"name": "{app}"}, {"name": "{ap}", "path": "{env}/{app}"}]});
    let unknown = fill(&template, &element(&[("app", "shop")])).unwrap_err();
    let at = |key: &str| vec![Part::Key("application".to_owned()), Part::Index(1), Part::Key(key.to_owned())];
    let one = |key: &str, placeholder: &str| Unknown { at: at(key), placeholder: placeholder.to_owned() };
    assert_eq!(unknown, [one("name", "{ap}"), one("path", "{env}")]);
}

#[test]
fn a_slug_is_a_label_and_no_two_branches_share_one() {
    assert_eq!(slug("fix-login"), "fix-login");
    let all = ["feature/login", "feature-login!", "Feature-Login", "feature_login", "x", "-x", "ü", "..", "a/b/c/"];
    let long = "a".repeat(100);
    let longer = "a".repeat(101);
    let all: Vec<String> = all.iter().copied().chain([&*long, &*longer]).map(slug).collect();
    for slug in &all {
        let is_label = slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(is_label && !slug.starts_with('-') && !slug.ends_with('-') && slug.len() <= 39, "{slug}");
    }
    let different: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:?}");
}

#[test]
fn names_of_values_are_words_that_no_option_knows() {
    for (name, is_one) in [
        ("appName", true),
        ("values.app-name", true),
        ("a b", false),
        ("a{b", false),
        ("app", true),
        ("app_2", true),
        ("App", false),
        ("2", false),
        ("", false),
        ("a.b", true),
        ("tag", false),
    ] {
        assert_eq!(is_name(name), is_one, "{name}");
    }
}

#[test]
fn a_word_stands_for_each_placeholder_whatever_it_is() {
    let template = json!({ "name": "{app}-{any|dns}", "path": "${x}/{tag}/{{app}}", "list": ["{a.b}"] });
    let wanted = json!({ "name": "x-x", "path": "${x}/{tag}/{app}", "list": ["x"] });
    assert_eq!(with_word(&template, "x"), wanted);
}

#[test]
fn a_folder_gives_its_path_and_the_parts_of_it() {
    let found = Element::of_folder("apps/shop/qa");
    let values: Vec<String> = found.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(values.join(" "), "path=apps/shop/qa path.0=apps path.1=shop path.2=qa path.basename=qa");
}
