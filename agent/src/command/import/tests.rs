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
    let (text, table) = imported(&folder.asked(From::Argocd));
    is_good(&text);
    assert!(["shop-qa", "shop-prod"].iter().all(|name| text.contains(&format!("name = \"{name}\""))), "{text}{table}");
    std::fs::write(folder.0.path().join("envs/qa/config.json"), "{").unwrap();
    let (_, table) = imported(&folder.asked(From::Argocd));
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
    let elsewhere =
        "objects that name another namespace stay there (1): write namespace into a kustomization.yaml at the path";
    assert!(table.contains(elsewhere), "{table}");
}
