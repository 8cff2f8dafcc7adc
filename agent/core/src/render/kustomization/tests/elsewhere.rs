//! What kustomizations take from elsewhere: where it is put, what names it, and what leads nowhere.

use std::sync::Arc;

use super::*;
use crate::render::built::BuildFailure;
use crate::render::elsewhere::{Elsewhere, Refusal, Taken};

/// Has two repositories, one file and one chart.
struct Shelf;

#[derive(Debug, thiserror::Error)]
#[error("the forge is unreachable")]
struct Away;

impl quarterdeck_shared::error::Hint for Away {
    fn hint(&self) -> std::borrow::Cow<'_, str> {
        "wait".into()
    }
}

impl Elsewhere for Shelf {
    fn repository(&self, repository: &str, reference: &str) -> Result<Taken, Refusal> {
        let files = match (repository, reference) {
            ("https://forge.example/ops/base", "v1") => Files::new(&[
                ("base/kustomization.yaml", "resources: [a.yaml, ../common, link.yaml]\n"),
                ("base/a.yaml", "a"),
                ("base/link.yaml@", "../common/c.yaml"),
                ("common/kustomization.yaml", "resources: [c.yaml]\n"),
                ("common/c.yaml", "c"),
                ("out/kustomization.yaml", "resources: [../../../apps/secret.yaml]\n"),
                ("link/kustomization.yaml", "resources: [secret.yaml]\n"),
                ("link/secret.yaml@", "../../../apps/secret.yaml"),
                ("again/kustomization.yaml", "resources: ['https://forge.example/ops/circle//one?ref=v1']\n"),
            ]),
            ("https://forge.example/ops/circle", "v1") => Files::new(&[(
                "one/kustomization.yaml",
                "resources: ['https://forge.example/ops/circle//one?ref=v2']\n",
            )]),
            ("https://forge.example/ops/circle", reference) => {
                let next: usize = reference.trim_start_matches('v').parse().unwrap_or(0);
                let text = format!("resources: ['https://forge.example/ops/circle//one?ref=v{}']\n", next + 1);
                Files::new(&[("one/kustomization.yaml", &text)])
            }
            ("https://forge.example/ops/away", _) => return Err(Refusal::Failed(BuildFailure::new(Away))),
            _ => return Err(Refusal::NotNamed),
        };
        Ok(Taken { tree: Arc::new(files), is: format!("commit of {reference}") })
    }

    fn file(&self, url: &str) -> Result<Vec<u8>, Refusal> {
        if url.starts_with("https://web.example/") { Ok(url.as_bytes().to_vec()) } else { Err(Refusal::NotNamed) }
    }

    fn chart(&self, repository: &str, name: &str, version: &str) -> Result<Taken, Refusal> {
        let files = match (repository, name, version) {
            ("https://charts.example", "web", "1.0.0") => "a: {{ .Values.a }}",
            ("https://charts.example", "random", "1.0.0") => "a: {{ randAlpha 3 }}",
            _ => return Err(Refusal::NotNamed),
        };
        let about = format!("name: {name}\nversion: {version}\n");
        let files = Files::new(&[("Chart.yaml", &about), ("values.yaml", "a: 1\n"), ("templates/a.yaml", files)]);
        Ok(Taken { tree: Arc::new(files), is: "sha256:1".to_owned() })
    }
}

fn taken(kustomization: &str) -> Result<Needs, KustomizationError> {
    let files = Files::new(&[
        ("apps/shop/kustomization.yaml", kustomization),
        ("apps/secret.yaml", ""),
        ("apps/shop/charts/own/Chart.yaml", "name: own\nversion: 1.0.0\n"),
        (".quarterdeck-remote/mine/kustomization.yaml", ""),
    ]);
    needs(&Beside::new(&files), "apps/shop", &Shelf, Changed::default())
}

fn refusal(kustomization: &str) -> String {
    Failure::of(&taken(kustomization).expect_err(kustomization)).to_string()
}

#[test]
fn a_folder_of_another_repository_is_put_beside_and_named_there() {
    let needs = taken("namePrefix: a-\nresources:\n- https://forge.example/ops/base//base?ref=v1\n").unwrap();
    let root = needs.places.keys().next().unwrap().clone();
    assert_eq!(needs.places[&root], "https://forge.example/ops/base@v1");
    assert!(root.starts_with(".quarterdeck-remote/base-"), "{root}");
    let taken: Vec<&str> = needs.files.keys().map(|path| path.trim_start_matches(&root)).collect();
    let expected = ["/base/a.yaml", "/base/kustomization.yaml", "/base/link.yaml", "/common/c.yaml"];
    assert_eq!(taken, [&expected[..], &["/common/kustomization.yaml", "apps/shop/kustomization.yaml"]].concat());
    let text = String::from_utf8(needs.rewritten["apps/shop/kustomization.yaml"].clone()).unwrap();
    let written = yaml::parse(text.as_bytes()).unwrap().remove(0).value;
    assert_eq!(written, serde_json::json!({"namePrefix": "a-", "resources": [format!("../../{root}/base")]}));
    assert_eq!(needs.inputs.into_iter().collect::<Vec<_>>(), ["apps/shop", "apps/shop/kustomization.yaml"]);
}

#[test]
fn a_repository_reads_nothing_of_another_one() {
    let missing = |text: &str| format!("names {text:?} in resources, which is not in the repository");
    for (folder, text) in [("out", "../../../apps/secret.yaml"), ("link", "secret.yaml")] {
        let told = refusal(&format!("resources: ['https://forge.example/ops/base//{folder}?ref=v1']"));
        assert!(told.contains(&missing(text)), "{told}");
    }
    let told = refusal("resources: ['https://forge.example/ops/base//common/c.yaml?ref=v1']");
    assert!(told.contains("which is not in the repository"), "a file is no folder: {told}");
    let both = "resources: ['https://forge.example/ops/base//base?ref=v1', '../../ROOT/common']";
    let needs = taken(both.split(", '../").next().map(|one| format!("{one}]")).unwrap().as_str()).unwrap();
    let told = refusal(&both.replace("ROOT", needs.places.keys().next().unwrap()));
    assert!(told.contains("which is not in the repository"), "a place of ours is no name: {told}");
}

#[test]
fn repositories_that_name_each_other_end() {
    let told = refusal("resources: ['https://forge.example/ops/base//again?ref=v1']");
    assert!(told.contains("beyond 100 remotes or 5 levels of remotes that name others"), "{told}");
    let away = taken("resources: ['https://forge.example/ops/away//a?ref=v1']").unwrap_err();
    assert!(away.is_outage());
    assert_eq!(
        Failure::of(&away).to_string(),
        "cannot fetch https://forge.example/ops/away//a?ref=v1, named in apps/shop/kustomization.yaml: the forge is unreachable\n\
         hint: wait"
    );
}

#[test]
fn files_are_put_below_the_folder_that_names_them() {
    let needs = taken(
        "resources: ['https://web.example/install.yaml']\nconfigMapGenerator:\n- {name: c, files: ['key=https://web.example/a?b=c']}\n\
         patches: [{path: 'https://web.example/patch.yaml'}]\n",
    )
    .unwrap();
    assert_eq!(needs.files.len(), 4);
    let text = String::from_utf8(needs.rewritten["apps/shop/kustomization.yaml"].clone()).unwrap();
    for (name, before, url) in [
        ("install.yaml", "", "https://web.example/install.yaml"),
        ("a", "key=", "https://web.example/a?b=c"),
        ("patch.yaml", "", "https://web.example/patch.yaml"),
    ] {
        let (place, _) = needs.places.iter().find(|(_, address)| *address == url).unwrap();
        let local = place.trim_start_matches("apps/shop/");
        assert!(place.starts_with("apps/shop/.quarterdeck-remote/") && place.ends_with(&format!("/{name}")), "{place}");
        assert!(text.contains(&format!("{before}{local}")), "{text}");
    }
}

#[test]
fn charts_are_put_where_kustomize_looks_for_them() {
    let chart = |name: &str, more: &str| {
        taken(&format!("helmCharts:\n- name: {name}\n  releaseName: shop\n{more}helmGlobals: {{}}\n"))
    };
    let elsewhere = "  repo: https://charts.example\n  version: 1.0.0\n";
    let needs = chart("web", elsewhere).unwrap();
    assert!(needs.has_charts && !needs.may_change && needs.rewritten.is_empty());
    let at = "apps/shop/charts/web-1.0.0/web";
    assert!(needs.files.contains_key(&format!("{at}/templates/a.yaml")), "{:?}", needs.files);
    assert_eq!(needs.places[at], "https://charts.example/web@1.0.0");
    assert!(chart("random", elsewhere).unwrap().may_change);
    let unnamed = taken(&format!("helmCharts:\n- name: web\n{elsewhere}")).unwrap();
    assert!(unnamed.may_change, "helm makes up the name of the release");
    let home = taken(&format!("helmCharts:\n- name: web\n{elsewhere}helmGlobals: {{chartHome: ../home}}\n")).unwrap();
    assert!(home.files.contains_key("apps/home/web-1.0.0/web/Chart.yaml"), "{:?}", home.files);
    let own = chart("own", "").unwrap();
    assert!(own.places.is_empty() && own.files.contains_key("apps/shop/charts/own/Chart.yaml"), "{:?}", own.files);
    for (name, more, told) in [
        (
            "web",
            "  repo: https://charts.example\n  version: 1.x\n",
            "apps/shop/kustomization.yaml names chart web with version \"1.x\", which is not a single version\nhint: write one version, as 6.7.1",
        ),
        (
            "web",
            "  repo: https://other.example\n  version: 1.0.0\n",
            "apps/shop/kustomization.yaml names chart web, and the configuration does not allow https://other.example\nhint: add \
             \"https://other.example\" to `remote` of [application.environment.kustomize], or copy it into the repository",
        ),
        ("web", "", "apps/shop/kustomization.yaml names \"web\" in helmCharts, which is not in the repository"),
    ] {
        assert_eq!(Failure::of(&chart(name, more).unwrap_err()).to_string(), told);
    }
}
