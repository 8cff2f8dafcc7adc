use quarterdeck_shared::error::Failure;

use super::*;
use crate::tree::memory::Files;

const CHART: (&str, &str) = ("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");

fn found(files: &[(&str, &str)], values_files: &[&str]) -> Result<Chart, String> {
    let values_files: Vec<String> = values_files.iter().map(|path| (*path).to_owned()).collect();
    chart(&Files::new(files), "charts/shop", &values_files, None).map_err(|error| Failure::of(&error).to_string())
}

fn needs(text: &str) -> (&'static str, String) {
    (CHART.0, format!("{}dependencies:\n- {text}\n", CHART.1))
}

#[test]
fn a_chart_is_all_below_its_folder_and_what_links_lead_to() {
    let files = [
        CHART,
        ("charts/shop/values.yaml", "a: 1\n"),
        ("charts/shop/templates/a.yaml", ""),
        ("charts/shop/templates/_shared.tpl@", "../../../common/_shared.tpl"),
        ("charts/shop/dashboards@", "../../dashboards"),
        ("charts/shop/gone@", "nowhere"),
        ("charts/shop/self@", "."),
        ("common/_shared.tpl", ""),
        ("dashboards/one.json", "{}"),
        ("charts/other/Chart.yaml", ""),
        ("envs/prod.yaml", ""),
        ("envs/live.yaml@", "prod.yaml"),
    ];
    let chart = found(&files, &["envs/prod.yaml", "./envs/live.yaml"]).unwrap();
    assert_eq!(chart.name, "shop");
    let paths: Vec<&str> = chart.files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "charts/shop/Chart.yaml",
            "charts/shop/dashboards/one.json",
            "charts/shop/templates/_shared.tpl",
            "charts/shop/templates/a.yaml",
            "charts/shop/values.yaml",
            "envs/live.yaml",
            "envs/prod.yaml",
        ]
    );
    assert_eq!(chart.values, ["envs/prod.yaml", "envs/live.yaml"]);
    let inputs: Vec<&str> = chart.inputs.iter().map(String::as_str).collect();
    assert_eq!(
        inputs,
        [
            "charts/shop",
            "charts/shop/dashboards",
            "charts/shop/templates/_shared.tpl",
            "common/_shared.tpl",
            "dashboards",
            "envs/live.yaml",
            "envs/prod.yaml",
        ]
    );
    assert!(!chart.may_change && !chart.looks_up);
}

#[test]
fn a_dependency_is_there_or_is_put_there_from_a_folder_of_the_repository() {
    let common = [
        (
            "charts/common/Chart.yaml",
            "apiVersion: v2\nname: common\nversion: 0.1.0\ndependencies: [{name: base, repository: 'file://../base'}]",
        ),
        ("charts/common/templates/_a.tpl", ""),
        ("charts/base/Chart.yaml", "name: base"),
    ];
    let redis = "{name: redis, version: 1.x.x, repository: 'oci://reg.example/charts'}";
    for (dependency, file, written) in [
        (
            "{name: common, version: '*', repository: 'file://../common'}",
            None,
            "charts/shop/charts/common/charts/base/Chart.yaml",
        ),
        (redis, Some("charts/shop/charts/redis-1.2.3.tgz"), "charts/shop/charts/redis-1.2.3.tgz"),
        (redis, Some("charts/shop/charts/redis/Chart.yaml"), "charts/shop/charts/redis/Chart.yaml"),
    ] {
        let (path, text) = needs(dependency);
        let mut files: Vec<(&str, &str)> = common.to_vec();
        files.push((path, &text));
        files.extend(file.map(|file| (file, "name: redis")));
        let chart = found(&files, &[]).unwrap_or_else(|error| panic!("{dependency}: {error}"));
        assert!(chart.files.contains_key(written), "{dependency}: {:?}", chart.files.keys());
        assert_eq!(chart.inputs.contains("charts/base"), file.is_none());
        assert_eq!(chart.may_change, written.ends_with(".tgz"), "nobody looks into an archive");
    }
}

#[test]
fn requirements_that_are_no_mapping_name_no_chart() {
    let chart = found(&[("charts/shop/Chart.yaml", "name: shop"), ("charts/shop/requirements.yaml", "none")], &[]);
    assert_eq!(chart.map(|chart| chart.files.len()), Ok(2));
}

#[test]
fn what_cannot_be_given_to_helm_is_told() {
    let circle = "name: shop\ndependencies: [{name: shop, repository: 'file://.'}]";
    let (path, elsewhere) = needs("{name: redis, repository: 'https://me:s3cret@charts.example'}");
    let (_, old) = needs("{name: red, repository: 'file://../red'}");
    for (files, values, message) in [
        (
            &[("charts/shop/values.yaml", "")][..],
            None,
            "there is no Chart.yaml in \"charts/shop\"\nhint: name the folder of the chart by `path` of the environment",
        ),
        (&[(CHART.0, "name: [")], None, "charts/shop/Chart.yaml: document 1, line "),
        (&[(CHART.0, "version: 1.0.0")], None, "charts/shop/Chart.yaml names no chart: it has no `name`"),
        (
            &[CHART],
            Some("envs/prod.yaml"),
            "the values file envs/prod.yaml is not in this commit\nhint: `helm.values_files` are paths from the root of the repository",
        ),
        (
            &[(path, &elsewhere), ("charts/shop/charts/redis-ha-1.0.0.zip", "")],
            None,
            "charts/shop/Chart.yaml depends on the chart redis of https://charts.example, which is not in charts/: nothing is fetched while rendering\nhint: run `helm dependency build`, and commit or package what it puts into charts/ with the chart",
        ),
        (
            &[(path, &old), ("charts/shop/charts/redis/Chart.yaml", "name: redis")],
            None,
            "charts/shop/Chart.yaml depends on the chart red of file://../red, which is not in charts/",
        ),
        (
            &[CHART, ("charts/shop/requirements.yaml", "dependencies: [{name: redis}]")],
            None,
            "charts/shop/requirements.yaml depends on the chart redis of (no repository), which is not in charts/",
        ),
        (
            &[(CHART.0, circle)],
            None,
            "its dependencies or links are more than 10 deep, or lead to more than 1000 folders\nhint: see that no chart depends on itself",
        ),
    ] {
        let outcome = found(files, values.as_slice());
        assert!(outcome.clone().is_err_and(|error| error.starts_with(message)), "{outcome:?}");
    }
}

#[test]
fn links_in_circles_end() {
    let names: Vec<String> =
        (0..40).map(|n| format!("charts/shop/{n}@")).chain((0..40).map(|n| format!("elsewhere/{n}@"))).collect();
    let links = names.iter().map(|name| {
        let to = if name.starts_with("charts") { "../../elsewhere" } else { "../charts/shop" };
        (name.as_str(), to)
    });
    let files: Vec<(&str, &str)> = links.chain([CHART]).collect();
    let error = found(&files, &[]).unwrap_err();
    assert!(error.starts_with("its dependencies or links are more than"), "{error}");
}

#[test]
fn templates_that_ask_or_make_up_are_known() {
    for (path, text, may_change, looks_up) in [
        ("templates/a.yaml", "{{ randAlphaNum 8 }}", true, false),
        ("templates/sub/_a.tpl", "{{- $ca := genCA \"ca\" 365 -}}", true, false),
        ("charts/db/templates/a.yaml", "{{ now | date }}", true, false),
        ("templates/a.yaml", "{{ (lookup \"v1\" \"Secret\" \"a\" \"b\").data }}", false, true),
        ("templates/NOTES.txt", "{{ now }}", false, false),
        ("templates/a.yaml", "# well known, and looked up", false, false),
        ("values.yaml", "password: \"\" # made by randAlphaNum", false, false),
    ] {
        let chart = found(&[CHART, (&format!("charts/shop/{path}"), text)], &[]).unwrap();
        assert_eq!((chart.may_change, chart.looks_up), (may_change, looks_up), "{path}: {text}");
    }
}
