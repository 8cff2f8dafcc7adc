use super::*;
use crate::config::Config;

const APPLICATION: &str = "# Kept by the team.
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: shop, namespace: argocd }
spec:
  project: team
  destination: { server: 'https://kubernetes.default.svc', namespace: shop }
  source:
    repoURL: https://git.example.org/ops/deploy.git
    path: charts/shop # moved in spring
    helm: { valuesObject: { image: { tag: '1.0' }, hosts: [{ name: a }, { name: b }] } }
";

const RELEASE: &str = "# The charts of the platform team
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: { name: charts, namespace: apps }
spec: { url: 'https://charts.example.org' }
---
# Their web
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: { name: web, namespace: apps }
spec: { chart: { spec: { chart: web, version: 1.2.3, sourceRef: { kind: HelmRepository, name: charts } } } }
";

const CLUSTER: &str = "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: { name: fleet, namespace: flux-system }
spec: { url: 'https://git.example.org/ops/fleet.git' }
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: { name: apps, namespace: flux-system }
spec: { path: ./apps, prune: true, targetNamespace: web, sourceRef: { kind: GitRepository, name: fleet } }
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn asked(&self, from: From) -> Import {
        Import {
            from,
            folder: Some(self.0.path().to_owned()),
            context: None,
            namespace: None,
            path: None,
            fetch: false,
            environment: "prod".to_owned(),
            cluster: None,
            automatic: false,
            expand: false,
            repository: Some("https://git.example.org/ops/fleet.git".to_owned()),
            to: None,
        }
    }
}

/// The applications, and the table.
fn imported(asked: &Import) -> (String, String) {
    let (mut out, mut table) = (Vec::new(), Vec::new());
    run(asked, &mut out, &mut table).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(table).unwrap())
}

fn is_good(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path).unwrap();
}

#[test]
fn what_is_written_is_a_configuration_and_says_what_it_lacks() {
    let folder = Folder::with(&[
        ("apps/shop.yaml", APPLICATION),
        ("chart/templates/app.yaml", "kind: Application\nmetadata:\n  name: {{ .Release.Name }}\n  {{- end }}\n"),
        ("chart/values.yaml", "{{"),
        (".hidden/app.yaml", APPLICATION),
    ]);
    let (text, table) = imported(&folder.asked(From::Argocd));
    is_good(&text);
    insta::assert_snapshot!(format!("{text}{table}"));
}

#[test]
fn the_repositories_of_what_a_chart_depends_on_are_named() {
    let chart = "name: shop\nversion: 1.0.0\ndependencies:\n- {name: redis, version: 17.x, repository: 'https://charts.example/stable'}\n\
                 - {name: vendored, version: 1.x, repository: 'https://other.example'}\n";
    let folder = Folder::with(&[
        ("apps/shop.yaml", &APPLICATION.replace("ops/deploy", "ops/fleet")),
        ("charts/shop/Chart.yaml", chart),
        ("charts/shop/charts/vendored/Chart.yaml", "name: vendored\nversion: 1.0.0\n"),
    ]);
    let (text, table) = imported(&folder.asked(From::Argocd));
    is_good(&text);
    assert!(text.contains("https://charts.example/stable") && !text.contains("https://other.example"), "{text}");
    assert!(table.contains("is fetched from helm.dependencies alone, in the versions of Chart.lock"), "{table}");
}

#[test]
fn kustomizations_are_followed_from_a_folder() {
    let folder = Folder::with(&[
        ("clusters/one/all.yaml", CLUSTER),
        ("clusters/two/all.yaml", "not: followed"),
        ("apps/web/release.yaml", RELEASE),
    ]);
    let mut asked = folder.asked(From::Flux);
    asked.path = Some("clusters/one".into());
    let (text, table) = imported(&asked);
    is_good(&text);
    insta::assert_snapshot!(format!("{text}{table}"));
}

#[test]
fn a_file_that_exists_and_a_folder_without_any_are_refused() {
    let folder = Folder::with(&[("a.yaml", APPLICATION)]);
    let to = folder.0.path().join("applications.toml");
    let mut asked = folder.asked(From::Argocd);
    asked.to = Some(to.clone());
    let (out, _) = imported(&asked);
    assert!(out.ends_with("then `qd-agent check`; `qd diff` and `qd sync` for each\n"), "{out}");
    is_good(&std::fs::read_to_string(&to).unwrap());
    let again = run(&asked, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(again.to_string(), format!("cannot write {}", to.display()));
    let none = run(&folder.asked(From::Flux), &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(none.to_string(), format!("nothing of Flux is in {}", folder.0.path().display()));
}

#[test]
fn files_with_parameters_are_read_for_a_set() {
    let set = "apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: { name: envs, namespace: argocd }
spec:
  generators: [{ git: { repoURL: 'https://git.example.org/ops/fleet.git', files: [{ path: 'envs/*/config.*' }] } }]
  template:
    metadata: { name: 'shop-{{name}}' }
    spec: { source: { repoURL: 'https://git.example.org/ops/fleet.git', path: '{{path}}' } }
";
    let folder = Folder::with(&[
        ("apps/set.yaml", set),
        ("envs/qa/config.json", "{ \"name\": \"qa\" }"),
        ("envs/prod/config.yaml", "name: prod\n"),
    ]);
    let asked = Import { expand: true, ..folder.asked(From::Argocd) };
    let (text, table) = imported(&asked);
    is_good(&text);
    assert!(["shop-qa", "shop-prod"].iter().all(|name| text.contains(&format!("name = \"{name}\""))), "{text}{table}");
    std::fs::write(folder.0.path().join("envs/qa/config.json"), "{").unwrap();
    let (_, table) = imported(&asked);
    assert!(table.contains("envs/qa/config.json is not valid YAML or JSON"), "{table}");
}

#[test]
fn objects_of_flux_are_imported_as_their_kustomization_leaves_them() {
    let build = "postBuild: { substitute: { APP: shop }, substituteFrom: [{ kind: ConfigMap, name: settings }, { kind: Secret, name: keys }] }";
    let cluster = CLUSTER.replace("prune: true", &format!("prune: true, {build}"))
        + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings, namespace: flux-system }\ndata: { DOMAIN: example.org, APP: other }\n";
    let values = "values: { host: '${APP}.${DOMAIN}', text: '$${HOME}' }, chart:";
    let release = RELEASE.replace("chart: {", &format!("{values} {{"));
    let second = release.replace("name: web,", "name: api,").replace("${APP}", "${TOKEN}");
    let folder = Folder::with(&[
        ("clusters/one/all.yaml", &cluster),
        ("apps/web/release.yaml", &release),
        ("apps/api/release.yaml", second.split_once("---\n").unwrap().1),
        ("apps/api/other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: other }\n"),
    ]);
    let mut asked = folder.asked(From::Flux);
    asked.path = Some("clusters/one".into());
    let (text, table) = imported(&asked);
    is_good(&text);
    assert!(text.contains("host = \"shop.example.org\"\ntext = \"${HOME}\"\n"), "{text}");
    assert!(text.contains("host = \"${TOKEN}.${DOMAIN}\"\n"), "{text}");
    let line = table.lines().find(|line| line.contains("variables stay in")).unwrap_or_default();
    let words = "variables stay in HelmRelease api: ";
    assert!(line.contains(words) && line.ends_with(": Secret keys may set it, and is not read"), "{table}");
    assert_eq!(table.matches("variables stay in").count(), 1, "{table}");
    // What names another namespace is moved, as by Flux; the folder has no kustomization that could say so.
    assert!(text.contains("generate = true\nnamespace = \"web\"\n"), "{text}");
}

/// A set of Argo CD with these generators, whose applications are in the fleet.
fn set(name: &str, generators: &str, template: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{ name: {name}, namespace: argocd }}\nspec:\n  goTemplate: true\n  \
         generators: {generators}\n  template:\n    metadata: {{ name: '{template}' }}\n    spec:\n      destination: {{ namespace: '{template}' }}\n      \
         source: {{ repoURL: 'https://git.example.org/ops/fleet.git', path: '{{{{ .path.path }}}}' }}\n"
    )
}

/// The agent reads the same number of applications by a template as the set makes, and more when a folder or a file is added.
#[test]
fn a_template_that_is_imported_makes_what_the_set_makes_and_more_later() {
    let git = "git: { repoURL: 'https://git.example.org/ops/fleet.git'";
    let list = "list: { elements: [{ env: qa }, { env: prod }] }";
    let matrix = format!(
        "[{{ matrix: {{ generators: [{{ {git}, directories: [{{ path: 'apps/*' }}] }} }}, {{ {list} }}] }} }}]"
    );
    for (generators, name, now, later) in [
        (format!("[{{ {git}, directories: [{{ path: 'apps/*' }}] }} }}]"), "{{ .path.basename }}", 2, 3),
        (
            format!("[{{ {git}, files: [{{ path: 'apps/*/config.json' }}] }} }}]"),
            "{{ .name }}-{{ .path.basename }}",
            2,
            3,
        ),
        (matrix, "{{ .path.basename }}-{{ .env }}", 4, 6),
    ] {
        let folder = Folder::with(&[
            ("argocd/set.yaml", &set("apps", &generators, name)),
            ("apps/shop/config.json", "{ \"name\": \"a\" }"),
            ("apps/cart/config.json", "{ \"name\": \"b\" }"),
        ]);
        let mut asked = folder.asked(From::Argocd);
        asked.expand = true;
        let (expanded, _) = imported(&asked);
        assert_eq!(expanded.matches("[[application]]").count(), now, "{generators}: {expanded}");
        asked.expand = false;
        let (text, table) = imported(&asked);
        assert!(!text.contains("[[application]]"), "{text}{table}");
        let made = || {
            let config = Config::parse(Path::new("/etc/qd/config.toml"), &text).unwrap();
            crate::sources::folder::check(config, Path::new("/etc/qd"), &"apps".parse().unwrap(), folder.0.path())
                .unwrap()
        };
        assert_eq!(made(), now, "{text}");
        let more = folder.0.path().join("apps/web");
        std::fs::create_dir_all(&more).unwrap();
        std::fs::write(more.join("config.json"), "{ \"name\": \"c\" }").unwrap();
        assert_eq!(made(), later, "{text}");
    }
}

#[test]
fn a_set_is_written_as_a_source_with_its_template_and_says_what_to_do() {
    let list = "[{ list: { elements: [{ env: qa, path: { path: a }, tag: '1.0' }, { env: prod, path: { path: b }, tag: '2.0' }] } }]";
    let text = set("envs", list, "shop-{{ .env }}") + "  syncPolicy: { preserveResourcesOnDeletion: true }\n";
    let text = text.replace(
        "path: '{{ .path.path }}' }",
        "path: '{{ .path.path }}', helm: { valuesObject: { image: { tag: 'v{{ .tag }}' } } } }",
    );
    let folder = Folder::with(&[("set.yaml", &text)]);
    let (text, table) = imported(&folder.asked(From::Argocd));
    is_good(&text);
    insta::assert_snapshot!(format!("{text}{table}"));
}
