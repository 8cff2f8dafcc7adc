use serde_json::json;

use super::*;
use crate::yaml;

const OWN: &str = "https://git.example.org/ops/fleet.git";

fn around(files: &[&str]) -> Around {
    Around {
        repository: Some(OWN.to_owned()),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        environment: "default".to_owned(),
        automatic: true,
        ..Around::default()
    }
}

fn documents(file: &str, text: &str) -> Vec<Document> {
    let document = |document: yaml::Document| Document {
        place: Place { file: file.to_owned(), line: document.line },
        object: document.value,
    };
    yaml::parse(text.as_bytes()).unwrap().into_iter().map(document).collect()
}

/// The applications as JSON, and what was told, a line each.
fn read(tool: Tool, text: &str, around: &Around) -> (Value, Vec<String>) {
    let Imported { drafts, told, .. } = import(tool, &documents("a.yaml", text), around);
    let line = |one: Told| format!("{}: {} {}: {}", one.object, one.outcome, one.field, one.words);
    (serde_json::to_value(drafts).unwrap(), told.into_iter().map(line).collect())
}

fn application(spec: &str) -> String {
    let spec = spec.replace('\n', "\n  ");
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{ name: shop, namespace: argocd }}\nspec:\n  {spec}\n"
    )
}

#[test]
fn an_application_is_one_with_an_environment() {
    let text = application(
        "project: default
destination: { server: https://kubernetes.default.svc, namespace: shop }
source: { repoURL: https://git.example.org/ops/deploy.git, path: ./apps/shop, targetRevision: main }
syncPolicy:
  automated: { prune: true }
  syncOptions: [CreateNamespace=true, ServerSideApply=true, PruneLast=true]",
    );
    let (drafts, told) = read(Tool::ArgoCd, &text, &around(&[]));
    let wanted = json!([{ "name": "shop", "environment": [{
        "name": "default", "repository": "https://git.example.org/ops/deploy.git", "branch": "main", "path": "apps/shop",
        "namespace": "shop", "create_namespace": true, "sync": { "automatic": true, "prune": true, "self_heal": false },
    }] }]);
    assert_eq!((drafts, told), (wanted, Vec::new()));
}

#[test]
fn nothing_that_was_written_is_left_out_in_silence() {
    let source = "source: { repoURL: https://git.example.org/a.git, path: a }";
    for (more, told) in [
        ("project: team", "not imported spec.project: there are no projects: [[access]] replaces team"),
        (
            "ignoreDifferences: [{ kind: Deployment, jsonPointers: [/spec/replicas] }]",
            "not imported spec.ignoreDifferences: list the fields in the object's annotation quarterdeck.dev/ignore",
        ),
        (
            "revisionHistoryLimit: 3",
            "differs spec.revisionHistoryLimit: [history] limits the syncs of each application",
        ),
        ("somethingNew: { a: { b: 1 } }", "not imported spec.somethingNew.a.b: not supported"),
        (
            "syncPolicy: { syncOptions: [Replace=true] }",
            "not imported spec.syncPolicy.syncOptions.Replace=true: not supported",
        ),
        (
            "destination: { server: 'https://prod.example.org:6443' }",
            "differs spec.destination: https://prod.example.org:6443 is cluster prod-example-org: add a [[cluster]] or a context with this name",
        ),
    ] {
        let (drafts, lines) = read(Tool::ArgoCd, &application(&format!("{source}\n{more}")), &around(&[]));
        assert_eq!(lines, [format!("Application argocd/shop: {told}")], "{more}");
        assert_eq!(drafts.as_array().map(Vec::len), Some(1), "{more}");
    }
}

#[test]
fn what_would_be_something_else_is_no_application() {
    for (source, told) in [
        (
            "path: a\n  plugin: { name: x }",
            "not imported spec.source.plugin: there are no plugins: commit the plugin's output",
        ),
        (
            "path: a\n  targetRevision: 1f3c2a9",
            "not imported spec.source.targetRevision: the first digits of a commit are not enough: write the whole id of 1f3c2a9",
        ),
        ("path: a\n  targetRevision: 1.x", ""),
        (
            "path: a\n  targetRevision: '1.0 - 2.0, *'",
            "not imported spec.source.targetRevision: \"1.0 - 2.0, *\" is not a range of versions: it has a range with a dash",
        ),
        (
            "path: a\n  directory: { include: '{a,{b,c}}.yaml' }",
            "not imported spec.source.directory.include: the pattern is not understood: write it as in a .gitignore",
        ),
        ("path: ../a", "not imported spec.source.path: ../a leads out of the repository"),
    ] {
        let text = application(&format!("source:\n  repoURL: https://git.example.org/a.git\n  {source}"));
        let (drafts, lines) = read(Tool::ArgoCd, &text, &around(&[]));
        if told.is_empty() {
            assert_eq!(
                (&drafts[0]["environment"][0]["branch"], lines.len()),
                (&json!("1.x"), 0),
                "a branch may have such a name"
            );
        } else {
            assert_eq!((drafts, lines), (json!([]), vec![format!("Application argocd/shop: {told}")]), "{source}");
        }
    }
}

#[test]
fn a_range_and_a_commit_are_followed_as_there() {
    let id = "1f3c2a9d".repeat(5);
    for (revision, option, wanted) in [
        (&*format!("'{id}'"), "commit", &*id),
        ("'>=1.0 <2'", "semver", ">=1.0 <2"),
        ("v1.*", "semver", "v1.*"),
        ("refs/tags/release", "tag", "release"),
    ] {
        let source =
            format!("source: {{ repoURL: https://git.example.org/a.git, path: a, targetRevision: {revision} }}");
        let (drafts, told) = read(Tool::ArgoCd, &application(&source), &around(&[]));
        assert_eq!((&drafts[0]["environment"][0][option], told), (&json!(wanted), Vec::new()), "{revision}");
    }
    for (reference, option, wanted) in [
        (&*format!("commit: '{id}', branch: main"), "commit", &*id),
        ("semver: '>=1.0 <2', tag: v1", "semver", ">=1.0 <2"),
        ("name: refs/tags/v1, semver: '*'", "tag", "v1"),
        ("name: refs/heads/next", "branch", "next"),
    ] {
        let text = SOURCES.replace("branch: main", reference).replacen("---\n", KUSTOMIZATION, 1);
        let (drafts, told) = read(Tool::Flux, &text, &around(&[]));
        let environment = drafts[0]["environment"][0].as_object().expect("an environment");
        assert_eq!((&environment[option], told), (&json!(wanted), Vec::new()), "{reference}");
        let followed = ["branch", "tag", "semver", "commit"].iter().filter(|key| environment.contains_key(**key));
        assert_eq!(followed.count(), 1, "{environment:?}");
    }
    let text = SOURCES.replace("branch: main", "name: refs/pull/7/head").replacen("---\n", KUSTOMIZATION, 1);
    let (drafts, told) = read(Tool::Flux, &text, &around(&[]));
    let line =
        "Kustomization flux-system/shop: not imported spec.sourceRef: refs/pull/7/head is neither a branch nor a tag";
    assert_eq!((drafts, told), (json!([]), vec![line.to_owned()]));
}

#[test]
fn an_artifact_with_manifests_is_deployed_as_there() {
    let source = "---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: { name: manifests, namespace: flux-system }
spec: { url: 'oci://ghcr.io/acme/manifests/', REF }
---
";
    let kustomization = KUSTOMIZATION.replace("GitRepository, name: fleet", "OCIRepository, name: manifests");
    let digest = format!("sha256:{}", "d".repeat(64));
    let selector = "layerSelector: { mediaType: a/tar, operation: extract }";
    let verify = "Kustomization flux-system/shop"
        .replace("Kustomization", "OCIRepository")
        .replace("shop", "manifests")
        + ": not imported spec.verify: write the public key to a file, and list it in verify of the artifact, or of helm.chart";
    for (reference, artifact, told) in [
        ("ref: {}", json!({}), vec![]),
        ("ref: { tag: latest }", json!({ "tag": "latest" }), vec![]),
        ("ref: { semver: '>=1 <2', tag: latest }", json!({ "semver": ">=1 <2" }), vec![]),
        (&*format!("ref: {{ digest: '{digest}', semver: '*' }}"), json!({ "digest": digest }), vec![]),
        (selector, json!({ "media_type": "a/tar" }), vec![]),
        ("verify: { provider: cosign, secretRef: { name: keys } }", json!({}), vec![verify]),
    ] {
        let text = source.replace("REF", reference) + &kustomization;
        let (drafts, lines) = read(Tool::Flux, &text, &around(&[]));
        let mut wanted = artifact;
        wanted["repository"] = json!("oci://ghcr.io/acme/manifests");
        let environment = &drafts[0]["environment"][0];
        assert_eq!((&environment["artifact"], lines), (&wanted, told), "{reference}");
        assert_eq!((&environment["repository"], &environment["path"]), (&Value::Null, &json!("apps/shop")));
    }
    let (drafts, lines) = read(Tool::Flux, &kustomization, &around(&[]));
    let missing =
        "Kustomization flux-system/shop: not imported spec.sourceRef: the OCIRepository is missing: import it as well";
    assert_eq!((drafts, lines), (json!([]), vec![missing.to_owned()]));

    for (revision, option, wanted) in
        [("latest", "tag", "latest"), ("'>=1 <2'", "semver", ">=1 <2"), (&*digest, "digest", &*digest)]
    {
        let source =
            format!("source: {{ repoURL: 'oci://ghcr.io/acme/manifests', path: ., targetRevision: {revision} }}");
        let (drafts, told) = read(Tool::ArgoCd, &application(&source), &around(&[]));
        assert_eq!(
            (&drafts[0]["environment"][0]["artifact"][option], told),
            (&json!(wanted), Vec::new()),
            "{revision}"
        );
    }
}

const KUSTOMIZATION: &str = "---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: { name: shop, namespace: flux-system }
spec: { path: ./apps/shop, sourceRef: { kind: GitRepository, name: fleet } }
---
";

#[test]
fn what_is_rendered_of_a_folder_is_carried_over() {
    let imported = |directory: &str| {
        let source =
            format!("source: {{ repoURL: https://git.example.org/a.git, path: a, directory: {{ {directory} }} }}");
        let (drafts, told) = read(Tool::ArgoCd, &application(&source), &around(&[]));
        (drafts[0]["environment"][0].clone(), told)
    };
    let (environment, told) =
        imported("recurse: true, include: '*.yaml', exclude: '{docs/*,*_test.yaml}', jsonnet: {}");
    assert_eq!(
        (&environment["include"], &environment["exclude"], told),
        (&json!(["*.yaml"]), &json!(["docs/*", "*_test.yaml"]), Vec::new())
    );
    let (environment, told) = imported(
        "jsonnet: { libs: [vendor], tlas: [{ name: env, value: prod }, { name: replicas, value: '3', code: true }, { name: f, value: 'g()', code: true }], extVars: [{ name: a, value: b }] }",
    );
    assert_eq!(
        (&environment["render"], &environment["jsonnet"]),
        (&json!("jsonnet"), &json!({"libs": ["vendor"], "tla": {"env": "prod", "replicas": 3}, "ext": {"a": "b"}}))
    );
    assert_eq!(
        told,
        [
            "Application argocd/shop: differs spec.source.directory.jsonnet: the .jsonnet files of the folder are rendered, and no YAML beside them",
            "Application argocd/shop: not imported spec.source.directory.jsonnet.tlas: f is code, and only constants are imported: write it into a file",
        ]
    );
}

#[test]
fn a_chart_comes_with_its_values() {
    let text = application(
        "sources:
- repoURL: ghcr.io/acme/charts
  chart: shop
  targetRevision: 6.x
  helm:
    releaseName: store
    valueFiles: [$values/envs/prod.yaml]
    valuesObject: { image: { tag: one }, gone: null }
    parameters: [{ name: image.tag, value: two }, { name: replicas, value: '3' }]
- { repoURL: https://git.example.org/ops/values.git, ref: values, targetRevision: v1.2.3 }",
    );
    let (drafts, told) = read(Tool::ArgoCd, &text, &around(&[]));
    let environment = &drafts[0]["environment"][0];
    assert_eq!(
        (&environment["repository"], &environment["tag"]),
        (&json!("https://git.example.org/ops/values.git"), &json!("v1.2.3"))
    );
    let wanted = json!({
        "release_name": "store", "values_files": ["envs/prod.yaml"],
        "chart": { "repository": "oci://ghcr.io/acme/charts", "name": "shop", "version": "6.x" },
        "values": { "image": { "tag": "two" }, "replicas": 3 },
    });
    assert_eq!(environment["helm"], wanted);
    assert_eq!(
        told,
        [
            "Application argocd/shop: not imported spec.source.helm.values: 1 null: TOML has no null, write such a value into a values file",
            "Application argocd/shop: differs spec.sources.targetRevision: v1.2.3 is treated as a tag",
        ]
    );
}

#[test]
fn values_of_another_repository_are_a_source() {
    let sources = |more: &str| {
        application(&format!(
            "sources:
- {{ repoURL: https://git.example.org/ops/charts, path: charts/shop, targetRevision: main, helm: {{ valueFiles: [$values/prod.yaml, $Common/all.yaml, own.yaml] }} }}
- {{ repoURL: https://git.example.org/ops/values, ref: values, targetRevision: v1.2.3 }}
- {{ repoURL: https://git.example.org/ops/charts, ref: Common, targetRevision: {more} }}"
        ))
    };
    let told_tag = "Application argocd/shop: differs spec.sources.targetRevision: v1.2.3 is treated as a tag";
    let (drafts, told) = read(Tool::ArgoCd, &sources("next"), &around(&[]));
    let environment = &drafts[0]["environment"][0];
    assert_eq!(
        (&environment["repository"], &environment["path"]),
        (&json!("https://git.example.org/ops/charts"), &json!("charts/shop"))
    );
    assert_eq!(
        environment["source"],
        json!([
            { "name": "values", "repository": "https://git.example.org/ops/values", "tag": "v1.2.3" },
            { "name": "common", "repository": "https://git.example.org/ops/charts", "branch": "next" },
        ])
    );
    let files = json!(["$values/prod.yaml", "$common/all.yaml", "charts/shop/own.yaml"]);
    assert_eq!((&environment["helm"]["values_files"], told), (&files, vec![told_tag.to_owned()]));

    // What is of the same branch of the same repository is no other source.
    let (drafts, _) = read(Tool::ArgoCd, &sources("main"), &around(&[]));
    let environment = &drafts[0]["environment"][0];
    assert_eq!(environment["helm"]["values_files"][1], json!("all.yaml"));
    assert_eq!(environment["source"].as_array().map(Vec::len), Some(1));

    let (drafts, told) = read(Tool::ArgoCd, &sources("1f3c2a9"), &around(&[]));
    assert_eq!(drafts[0]["environment"][0]["helm"]["values_files"].as_array().map(Vec::len), Some(2));
    assert!(
        told.contains(&"Application argocd/shop: not imported spec.source.helm.valueFiles: $Common/all.yaml is of source Common, which is not imported".to_owned()),
        "{told:?}"
    );
}

#[test]
fn a_set_is_the_applications_that_it_makes() {
    let set = |generators: &str, go: bool, name: &str, path: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{ name: all, namespace: argocd }}\nspec:\n  goTemplate: {go}\n  \
             generators: {generators}\n  template:\n    metadata: {{ name: '{name}' }}\n    spec: {{ source: {{ repoURL: '{OWN}', path: '{path}' }} }}\n"
        )
    };
    let files = [
        "apps/shop/a.yaml",
        "apps/web/base/b.yaml",
        "apps/old/c.yaml",
        "d.yaml",
        "envs/qa/config.json",
        "envs/eu/prod/config.json",
        "envs/old/config.json",
    ];
    let mut around = Around { expand: true, ..around(&files) };
    for name in ["envs/qa", "envs/eu/prod", "envs/old"] {
        let content = json!({ "env": { "name": name.rsplit('/').next() } });
        around.contents.insert(format!("{name}/config.json"), content);
    }
    let folders = "git: { repoURL: git@git.example.org:ops/fleet, directories: [{ path: apps/* }, { path: apps/old, exclude: true }] }";
    for (generators, go, name, path, wanted) in [
        ("[{ list: { elements: [{ env: qa }, { env: prod }] } }]".to_owned(), false, "shop-{{env}}", "envs/{{env}}", vec!["shop-prod envs/prod", "shop-qa envs/qa"]),
        (format!("[{{ {folders} }}]"), false, "{{path.basename}}", "{{path}}", vec!["shop apps/shop", "web apps/web"]),
        (format!("[{{ {folders} }}]"), true, "{{ .path.basename }}", "{{ index .path.segments 1 }}", vec!["shop shop", "web web"]),
        (
            format!("[{{ matrix: {{ generators: [{{ list: {{ elements: [{{ env: qa }}] }} }}, {{ {folders} }}] }} }}]"),
            false, "{{path.basename}}-{{env}}", "{{path}}", vec!["shop-qa apps/shop", "web-qa apps/web"],
        ),
        (
            "[{ merge: { mergeKeys: [env], generators: [{ list: { elements: [{ env: qa, at: a }, { env: prod, at: a }] } }, { list: { elements: [{ env: qa, at: b }] } }] } }]".to_owned(),
            false, "{{env}}", "{{at}}", vec!["prod a", "qa b"],
        ),
        ("[{ clusters: {} }]".to_owned(), false, "{{name}}", "a", vec![]),
        (
            "[{ git: { repoURL: '".to_owned() + OWN + "', files: [{ path: 'envs/**/config.json' }, { path: envs/old/config.json, exclude: true }] } }]",
            false, "shop-{{env.name}}", "{{path}}/{{path.basename}}/{{path.filename}}",
            vec!["shop-prod envs/eu/prod/prod/config.json", "shop-qa envs/qa/qa/config.json"],
        ),
        (
            "[{ git: { repoURL: '".to_owned() + OWN + "', files: [{ path: 'envs/*/config.json' }] } }]",
            true, "shop-{{ .env.name }}", "{{ .path.path }}/{{ .path.filename }}",
            vec!["shop-old envs/old/config.json", "shop-qa envs/qa/config.json"],
        ),
    ] {
        let (drafts, told) = read(Tool::ArgoCd, &set(&generators, go, name, path), &around);
        let drafts = drafts.as_array().unwrap();
        let text = |draft: &Value, path: &str| draft.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let made: Vec<String> =
            drafts.iter().map(|draft| format!("{} {}", text(draft, "/name"), text(draft, "/environment/0/path"))).collect();
        assert_eq!(made, wanted, "{generators}: {told:#?}");
        assert!(told.iter().any(|line| line.contains("ApplicationSet argocd/all")), "{told:#?}");
    }
}

/// A set of Argo CD with these generators.
fn set(generators: &str, is_go: bool, name: &str, server: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{ name: all, namespace: argocd }}\nspec:\n  goTemplate: {is_go}\n  \
         generators: {generators}\n  template:\n    metadata: {{ name: '{name}' }}\n    spec: {{ destination: {{ server: '{server}' }}, \
         source: {{ repoURL: '{OWN}', path: a }} }}\n"
    )
}

#[test]
fn the_clusters_of_argo_cd_are_those_of_its_secrets() {
    let secret = |name: &str, env: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: cluster-{name}, namespace: argocd, labels: {{ argocd.argoproj.io/secret-type: cluster, \
             env: {env}, example.org/zone: z1 }} }}\nstringData: {{ name: {name}, server: 'https://{name}.example.org:6443', config: hunter2 }}\n"
        )
    };
    let secrets = secret("eu", "prod") + &secret("us", "prod") + &secret("lab", "qa");
    let expanded = Around { expand: true, ..around(&[]) };
    for (generators, is_go, name, wanted) in [
        ("[{ clusters: {} }]", false, "shop-{{name}}", "shop-eu eu, shop-in-cluster none, shop-lab lab, shop-us us"),
        (
            "[{ clusters: { selector: { matchLabels: { env: qa } } } }]",
            false,
            "{{metadata.labels.env}}-{{metadata.labels.example.org/zone}}",
            "qa-z1 lab",
        ),
        (
            "[{ clusters: { selector: { matchExpressions: [{ key: env, operator: NotIn, values: [prod] }] }, values: { tier: low } } }]",
            true,
            "{{ .metadata.labels.env }}-{{ .values.tier }}-{{ .nameNormalized }}",
            "qa-low-lab lab",
        ),
        ("[{ clusters: { selector: { matchExpressions: [{ key: env, operator: Near }] } } }]", false, "{{name}}", ""),
    ] {
        let server = if is_go { "{{ .server }}" } else { "{{server}}" };
        let (drafts, told) = read(Tool::ArgoCd, &(set(generators, is_go, name, server) + &secrets), &expanded);
        let text = |draft: &Value, path: &str| draft.pointer(path).and_then(Value::as_str).unwrap_or("none").to_owned();
        let made = drafts.as_array().unwrap().iter();
        let made: Vec<String> =
            made.map(|draft| format!("{} {}", text(draft, "/name"), text(draft, "/environment/0/cluster"))).collect();
        assert_eq!(made.join(", "), wanted, "{generators}: {told:#?}");
        assert!(!format!("{told:?}{drafts}").contains("hunter2"));
    }
    let (_, told) = read(Tool::ArgoCd, &set("[{ clusters: {} }]", false, "{{name}}", "{{server}}"), &around(&[]));
    let missing = "ApplicationSet argocd/all: not imported spec.generators: the Secrets of the clusters are not among the objects: import with --context, or use a list";
    assert!(told.contains(&missing.to_owned()), "{told:#?}");
}

#[test]
fn what_a_set_made_in_a_cluster_is_imported_and_not_made_once_more() {
    let made = application("source: { repoURL: 'https://git.example.org/a.git', path: a }")
        .replace("namespace: argocd }", "namespace: argocd, ownerReferences: [{ kind: ApplicationSet, name: all }] }");
    let root = application("source: { repoURL: 'https://git.example.org/a.git', path: b }")
        .replace("name: shop", "name: root")
        + "status: { resources: [{ group: argoproj.io, kind: Application, name: shop, namespace: argocd }] }\n";
    let sets = set("[{ list: { elements: [{ name: shop }] } }]", false, "{{name}}", "https://kubernetes.default.svc");
    let (drafts, told) = read(Tool::ArgoCd, &format!("{made}---\n{root}---\n{sets}"), &around(&[]));
    assert_eq!((drafts.as_array().map(Vec::len), &drafts[0]["name"]), (Some(1), &json!("shop")));
    let wanted = [
        "Application argocd/root: differs : the applications that it lists are imported separately",
        "ApplicationSet argocd/all: differs : the applications that it made are imported: a new one is not added by itself",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn a_project_is_told_with_the_limits_of_a_source() {
    let text = "apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: team, namespace: argocd }
spec:
  sourceRepos: ['https://git.example.org/team/*', 'https://git.example.org/base.git', '!https://git.example.org/team/x', '*']
  destinations:
  - { server: 'https://prod.example.org:6443', namespace: shop }
  - { name: qa, namespace: 'shop-*' }
  clusterResourceWhitelist: [{ group: '*', kind: '*' }]
  roles: [{ name: ops, policies: [p] }]
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: default, namespace: argocd }
spec: { sourceRepos: ['*'] }
";
    let (drafts, told) = read(Tool::ArgoCd, text, &around(&[]));
    let wanted = [
        "AppProject argocd/team: not imported spec.clusterResourceWhitelist: the ServiceAccount of the [[cluster]] limits which kinds are applied",
        "AppProject argocd/team: differs spec.destinations: an [[application_source]] of the team limits this: clusters = [\"prod-example-org\", \"qa\"], namespaces = [\"shop\", \"shop-*\"]",
        "AppProject argocd/team: not imported spec.roles: [[access]] and protected environments limit who may do what",
        "AppProject argocd/team: differs spec.sourceRepos: an [[application_source]] of the team limits this: repositories = [\"https://git.example.org/base.git\", \"https://git.example.org/team\"]",
    ];
    assert_eq!((drafts, told), (json!([]), wanted.map(str::to_owned).to_vec()));
}

#[test]
fn what_a_kustomization_applied_in_a_cluster_tells_what_it_is() {
    let one = |name: &str, ids: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{ name: {name}, namespace: flux-system }}\nspec: {{ path: {name}, \
             prune: true, sourceRef: {{ kind: GitRepository, name: fleet }} }}\nstatus: {{ inventory: {{ entries: [{ids}] }} }}\n---\n"
        )
    };
    let text = SOURCES.to_owned()
        + &one("root", "{ id: flux-system_shop_kustomize.toolkit.fluxcd.io_Kustomization, v: v1 }")
        + &one(
            "shop",
            "{ id: shop_web_apps_Deployment, v: v1 }, { id: shop_cache_helm.toolkit.fluxcd.io_HelmRelease, v: v2 }",
        );
    let (drafts, told) = read(Tool::Flux, &text, &around(&[]));
    assert_eq!((drafts.as_array().map(Vec::len), &drafts[0]["name"]), (Some(1), &json!("shop")));
    let wanted = [
        "Kustomization flux-system/root: differs : root only has objects that are imported separately",
        "Kustomization flux-system/shop: differs spec.path: objects of kind HelmRelease are imported separately: remove them from the path",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn an_application_of_applications_gives_way_to_them() {
    let text = format!(
        "{}---\n{}",
        application("source: { repoURL: 'https://git.example.org/a.git', path: a }"),
        application(&format!("source: {{ repoURL: '{OWN}', path: apps }}")).replace("name: shop", "name: root")
    );
    let documents: Vec<Document> = documents("apps/all.yaml", &text);
    let Imported { drafts, told, .. } = import(Tool::ArgoCd, &documents, &around(&["apps/all.yaml"]));
    assert_eq!(drafts.iter().map(|draft| draft.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    assert_eq!(told[0].words, "the applications in apps are imported separately");
}

const SOURCES: &str = "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: { name: fleet, namespace: flux-system }
spec: { url: 'ssh://git@git.example.org/ops/fleet', ref: { branch: main } }
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: { name: charts, namespace: flux-system }
spec: { url: 'https://charts.example.org/' }
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: { name: podinfo, namespace: flux-system }
spec: { url: 'oci://ghcr.io/acme/charts/podinfo', ref: { semver: 6.x } }
---
";

#[test]
fn a_kustomization_and_a_release_of_flux_are_applications() {
    let text = format!(
        "{SOURCES}apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{ name: shop, namespace: flux-system }}
spec: {{ path: ./apps/shop, prune: true, targetNamespace: shop, sourceRef: {{ kind: GitRepository, name: fleet }} }}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{ name: web, namespace: flux-system }}
spec:
  targetNamespace: web
  chart: {{ spec: {{ chart: web, version: '1.x', sourceRef: {{ kind: HelmRepository, name: charts }} }} }}
  install: {{ createNamespace: true }}
  driftDetection: {{ mode: enabled }}
  values: {{ replicas: 2 }}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{ name: podinfo, namespace: flux-system }}
spec: {{ suspend: true, chartRef: {{ kind: OCIRepository, name: podinfo }} }}
"
    );
    let (drafts, told) = read(Tool::Flux, &text, &around(&[]));
    let wanted = json!([
        { "name": "podinfo", "environment": [{
            "name": "default", "repository": OWN, "namespace": "flux-system",
            "sync": { "automatic": false, "prune": true, "self_heal": false },
            "helm": { "chart": { "repository": "oci://ghcr.io/acme/charts", "name": "podinfo", "version": "6.x" } },
        }] },
        { "name": "shop", "environment": [{
            "name": "default", "repository": "ssh://git@git.example.org/ops/fleet", "branch": "main", "path": "apps/shop",
            "namespace": "shop", "sync": { "automatic": true, "prune": true, "self_heal": true },
            "kustomize": { "generate": true, "namespace": "shop" },
        }] },
        { "name": "web", "environment": [{
            "name": "default", "repository": OWN, "namespace": "web", "create_namespace": true,
            "sync": { "automatic": true, "prune": true, "self_heal": true },
            "helm": {
                "release_name": "web-web", "chart": { "repository": "https://charts.example.org", "name": "web", "version": "1.x" },
                "values": { "replicas": 2 },
            },
        }] },
    ]);
    assert_eq!(drafts, wanted);
    assert_eq!(told, ["HelmRelease flux-system/podinfo: differs spec.suspend: imported with sync.automatic = false"]);
}

#[test]
fn variables_come_along_and_keys_are_asked_for() {
    let text = format!(
        "{SOURCES}apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{ name: shop, namespace: flux-system }}
spec:
  targetNamespace: shop
  sourceRef: {{ kind: GitRepository, name: fleet }}
  decryption: {{ provider: sops, secretRef: {{ name: age }} }}
  postBuild: {{ substitute: {{ REGION: eu, COUNT: 3 }}, substituteFrom: [{{ kind: Secret, name: vars, optional: true }}] }}
"
    );
    let (drafts, told) = read(Tool::Flux, &text, &around(&[]));
    let wanted = json!({ "strict": false, "values": { "REGION": "eu", "COUNT": "3" }, "from": [{ "kind": "Secret", "name": "vars", "optional": true }] });
    assert_eq!(drafts[0]["environment"][0]["variables"], wanted);
    assert_eq!(
        told,
        [
            "Kustomization flux-system/shop: differs spec.decryption: write the age key to a file, and list that in age_keys of [sops]",
            "Kustomization flux-system/shop: differs spec.postBuild.substituteFrom: Secret vars is read in namespace shop: copy it there",
        ]
    );
}

#[test]
fn a_folder_of_flux_objects_is_what_they_are_and_an_artifact_is_its_folder() {
    let text = format!(
        "{SOURCES}apiVersion: source.extensions.fluxcd.io/v1beta1
kind: ArtifactGenerator
metadata: {{ name: all, namespace: flux-system }}
spec:
  sources: [{{ alias: mono, kind: GitRepository, name: fleet }}]
  artifacts: [{{ name: apps, copy: [{{ from: '@mono/apps/base/**', to: '@artifact/base/' }}, {{ from: '@mono/apps/prod/**', to: '@artifact/prod/' }}] }}]
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{ name: prod, namespace: flux-system }}
spec: {{ path: ./prod/shop, prune: true, sourceRef: {{ kind: ExternalArtifact, name: apps }} }}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{ name: root, namespace: flux-system }}
spec: {{ path: clusters, prune: true, sourceRef: {{ kind: GitRepository, name: fleet }} }}
"
    );
    let mut around = around(&[]);
    let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<BTreeSet<_>>();
    around.built.insert("clusters".to_owned(), kinds(&["kustomize.toolkit.fluxcd.io/Kustomization"]));
    around.built.insert("apps/prod/shop".to_owned(), kinds(&["apps/Deployment", "helm.toolkit.fluxcd.io/HelmRelease"]));
    let all = documents("a.yaml", &text);
    let built: Vec<_> = all.iter().filter_map(|document| builds(document, &all)).collect();
    assert_eq!(built, ["apps/prod/shop", "clusters"]);
    let (drafts, told) = read(Tool::Flux, &text, &around);
    assert_eq!(drafts[0]["environment"][0]["path"], "apps/prod/shop");
    assert_eq!(drafts[0]["environment"][0]["repository"], "ssh://git@git.example.org/ops/fleet");
    assert_eq!(drafts.as_array().map(Vec::len), Some(1));
    for line in [
        "Kustomization flux-system/prod: differs spec.path: objects of kind HelmRelease are imported separately: remove them from the path",
        "Kustomization flux-system/root: differs : clusters only has objects that are imported separately",
    ] {
        assert!(told.contains(&line.to_owned()), "{line}: {told:#?}");
    }
}

#[test]
fn an_application_waits_for_a_person_unless_told_otherwise() {
    let text = application(
        "source: { repoURL: 'https://git.example.org/a.git', path: a }\nsyncPolicy: { automated: { prune: true } }",
    );
    for automatic in [true, false] {
        let around = Around { automatic, ..around(&[]) };
        let (drafts, _) = read(Tool::ArgoCd, &text, &around);
        let sync = json!({ "automatic": automatic, "prune": true, "self_heal": false });
        assert_eq!(drafts[0]["environment"][0]["sync"], sync);
    }
}

#[test]
fn two_of_one_name_are_told_apart() {
    let one = |namespace: &str| {
        format!(
            "{}---\n",
            application(&format!(
                "source: {{ repoURL: 'https://git.example.org/a.git', path: a }}\ndestination: {{ namespace: {namespace} }}"
            ))
        )
    };
    let (drafts, told) = read(Tool::ArgoCd, &(one("qa") + &one("prod") + &one("prod")), &around(&[]));
    let names: Vec<&str> = drafts.as_array().unwrap().iter().filter_map(|draft| draft["name"].as_str()).collect();
    assert_eq!(names, ["prod-shop", "shop", "shop-2"]);
    assert_eq!(told.len(), 2);
}

#[test]
fn values_of_config_maps_are_below_those_of_the_release() {
    let release = |more: &str| {
        format!(
            "{SOURCES}apiVersion: v1
kind: ConfigMap
metadata: {{ name: base, namespace: flux-system }}
data: {{ values.yaml: \"replicas: 1\\nimage: {{ tag: a, pull: Always }}\\nhosts: [a, b]\", more.yaml: 'hosts: [c]', list: '[]' }}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{ name: web, namespace: flux-system }}
spec:
  chart: {{ spec: {{ chart: web, version: '1.x', sourceRef: {{ kind: HelmRepository, name: charts }} }} }}
  valuesFrom: [{more}]
  values: {{ image: {{ tag: b }} }}
"
        )
    };
    let told = |kind: &str, why: &str| {
        let words = match kind {
            "" => "differs spec.valuesFrom: the values in ConfigMap base are copied into helm.values".to_owned(),
            kind => {
                format!(
                    "not imported spec.valuesFrom: {kind}: {why}: write its values into helm.values, or into a values file"
                )
            }
        };
        format!("HelmRelease flux-system/web: {words}")
    };
    let own = json!({ "image": { "tag": "b" } });
    let base = json!({ "replicas": 1, "image": { "tag": "b", "pull": "Always" }, "hosts": ["a", "b"] });
    let both = json!({ "replicas": 1, "image": { "tag": "b", "pull": "Always" }, "hosts": ["c"] });
    for (more, wanted, lines) in [
        ("{ kind: ConfigMap, name: base }", &base, vec![told("", "")]),
        (
            "{ kind: ConfigMap, name: base }, { kind: ConfigMap, name: base, valuesKey: more.yaml }",
            &both,
            vec![told("", ""), told("", "")],
        ),
        ("{ kind: Secret, name: base }", &own, vec![told("Secret base", "values in a Secret are not read")]),
        ("{ kind: ConfigMap, name: other }", &own, vec![told("ConfigMap other", "it is not among the objects")]),
        (
            "{ kind: ConfigMap, name: base, valuesKey: none }",
            &own,
            vec![told("ConfigMap base", "it does not have this key")],
        ),
        (
            "{ kind: ConfigMap, name: base, valuesKey: list }",
            &own,
            vec![told("ConfigMap base", "it is not a map of values")],
        ),
        (
            "{ kind: ConfigMap, name: base, targetPath: a.b }",
            &own,
            vec![told("ConfigMap base", "a value for one path is not read")],
        ),
    ] {
        let (drafts, told) = read(Tool::Flux, &release(more), &around(&[]));
        assert_eq!((&drafts[0]["environment"][0]["helm"]["values"], told), (wanted, lines), "{more}");
    }
}

#[test]
fn what_a_release_says_of_its_install_is_told_for_what_it_is() {
    for (more, told) in [
        ("install: { crds: Skip }", vec![]),
        (
            "install: { crds: Skip }, upgrade: { crds: CreateReplace }",
            vec![
                "not imported spec.install.crds: CRDs of the chart are deployed, as by an upgrade: helm.skip_crds leaves them out",
            ],
        ),
        (
            "upgrade: { crds: Skip }",
            vec![
                "not imported spec.upgrade.crds: CRDs of the chart are updated in each sync: helm.skip_crds leaves them out",
            ],
        ),
        ("upgrade: { crds: CreateReplace }", vec![]),
        (
            "install: { disableHooks: true }",
            vec!["differs spec.install.disableHooks: hooks are run: helm.skip_hooks skips them in each sync"],
        ),
        ("install: { disableHooks: true }, upgrade: { disableHooks: true }", vec![]),
        (
            "upgrade: { force: true, remediation: { retries: 3 } }",
            vec![
                "not imported spec.upgrade.force: an immutable field that changes is an error: delete the object manually",
                "differs spec.upgrade.remediation: a failed sync is retried; `qd rollback` goes back",
            ],
        ),
        ("install: { somethingNew: true }", vec!["not imported spec.install.somethingNew: not supported"]),
    ] {
        let text = format!(
            "{SOURCES}apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{ name: web, namespace: flux-system }}\n\
             spec: {{ chart: {{ spec: {{ chart: web, sourceRef: {{ kind: HelmRepository, name: charts }} }} }}, {more} }}\n"
        );
        let (drafts, lines) = read(Tool::Flux, &text, &around(&[]));
        let wanted: Vec<String> = told.iter().map(|line| format!("HelmRelease flux-system/web: {line}")).collect();
        assert_eq!((drafts.as_array().map(Vec::len), lines), (Some(1), wanted), "{more}");
    }
}

#[test]
fn a_folder_of_jsonnet_is_rendered_by_it_without_being_asked_for() {
    let source = format!("source: {{ repoURL: '{OWN}', path: a }}");
    let why = "Application argocd/shop: differs spec.source.path: the .jsonnet files of the folder are rendered, and no YAML beside them";
    for (files, wanted, told) in [
        (vec!["a/shop.jsonnet", "b/other.yaml"], json!("jsonnet"), vec![why]),
        (vec!["a/shop.jsonnet", "a/Chart.yaml"], Value::Null, vec![]),
        (vec!["a/shop.jsonnet", "a/kustomization.yaml"], Value::Null, vec![]),
        (vec!["a/shop.yaml", "ab/shop.jsonnet"], Value::Null, vec![]),
    ] {
        let (drafts, lines) = read(Tool::ArgoCd, &application(&source), &around(&files));
        assert_eq!(
            (drafts[0]["environment"][0]["render"].clone(), lines),
            (wanted, told.iter().map(|line| (*line).to_owned()).collect()),
            "{files:?}"
        );
    }
}

#[test]
fn a_values_file_that_may_be_missing_is_omitted_where_it_is() {
    let helm = "helm: { ignoreMissingValueFiles: true, valueFiles: [values.yaml, ../envs/prod.yaml] }";
    let files = ["charts/shop/Chart.yaml", "charts/shop/values.yaml"];
    let source = |repository: &str| format!("source: {{ repoURL: '{repository}', path: charts/shop, {helm} }}");
    let (drafts, told) = read(Tool::ArgoCd, &application(&source(OWN)), &around(&files));
    let line = "Application argocd/shop: differs spec.source.helm.valueFiles: charts/envs/prod.yaml is missing, and is omitted: add it to helm.values_files once it exists";
    let values = |drafts: &Value| drafts[0]["environment"][0]["helm"]["values_files"].clone();
    assert_eq!((values(&drafts), told), (json!(["charts/shop/values.yaml"]), vec![line.to_owned()]));
    let (drafts, told) =
        read(Tool::ArgoCd, &application(&source("https://git.example.org/other.git")), &around(&files));
    let line = "Application argocd/shop: not imported spec.source.helm.ignoreMissingValueFiles: a missing values file is an error: omit it";
    assert_eq!(
        (values(&drafts), told),
        (json!(["charts/shop/values.yaml", "charts/envs/prod.yaml"]), vec![line.to_owned()])
    );
}

#[test]
fn a_source_of_a_chart_is_followed_as_flux_follows_it() {
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: { name: web, namespace: flux-system }
spec: { chartRef: { kind: OCIRepository, name: podinfo } }
";
    let filter = "HelmRelease flux-system/web: not imported spec.chartRef: tags are not filtered before the range: semverFilter of the OCIRepository";
    let digest = "HelmRelease flux-system/web: differs spec.chartRef: the tag of the OCIRepository is deployed, and the digest is not compared";
    for (reference, version, told) in [
        ("{ semver: 6.x, tag: 1.0.0 }", "6.x", vec![]),
        ("{ tag: 1.0.0 }", "1.0.0", vec![]),
        ("{ semver: 6.x, semverFilter: '.*-rc.*' }", "6.x", vec![filter]),
        ("{ tag: 1.0.0, digest: 'sha256:aa' }", "1.0.0", vec![digest]),
    ] {
        let text = SOURCES.replace("{ semver: 6.x }", reference) + release;
        let (drafts, lines) = read(Tool::Flux, &text, &around(&[]));
        let found = drafts[0]["environment"][0]["helm"]["chart"]["version"].clone();
        assert_eq!(
            (found, lines),
            (json!(version), told.iter().map(|line| (*line).to_owned()).collect()),
            "{reference}"
        );
    }
}

#[test]
fn what_a_source_says_of_its_login_and_layers_is_told() {
    let source = "GitRepository\nmetadata: { name: fleet, namespace: flux-system }\nspec: { ";
    for (text, told) in [
        (
            SOURCES.replace(source, &format!("{source}provider: github, ")),
            "GitRepository flux-system/fleet: differs spec.provider: the login of provider github is that of [[repository]]",
        ),
        (SOURCES.replace(source, &format!("{source}provider: generic, ")), ""),
        (
            SOURCES.replace("ref: { semver: 6.x }", "layerSelector: { operation: copy }"),
            "OCIRepository flux-system/podinfo: not imported spec.layerSelector.operation: a layer is always unpacked",
        ),
        (SOURCES.replace("ref: { semver: 6.x }", "layerSelector: { operation: extract }"), ""),
        (
            SOURCES.replace(
                "ref: { semver: 6.x }",
                "layerSelector: { operation: copy, mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip }",
            ),
            "",
        ),
    ] {
        let (_, lines) = read(Tool::Flux, &text, &around(&[]));
        assert_eq!(lines, if told.is_empty() { Vec::new() } else { vec![told.to_owned()] }, "{text}");
    }
}

#[test]
fn values_that_are_no_map_and_sources_without_manifests_are_told() {
    for (spec, told, count) in [
        (
            "source: { repoURL: 'https://git.example.org/a.git', path: a, helm: { values: '- a' } }",
            "not imported spec.source.helm.values: it is not a map of values",
            1,
        ),
        ("source: { repoURL: 'https://git.example.org/a.git', path: a, helm: { values: '# none' } }", "", 1),
        (
            "source: { repoURL: 'https://git.example.org/a.git', path: a }\nsources: [{ repoURL: 'https://git.example.org/b.git', ref: values }]",
            "not imported spec.source: no source",
            0,
        ),
    ] {
        let (drafts, lines) = read(Tool::ArgoCd, &application(spec), &around(&[]));
        let wanted = if told.is_empty() { Vec::new() } else { vec![format!("Application argocd/shop: {told}")] };
        assert_eq!((drafts.as_array().map(Vec::len), lines), (Some(count), wanted), "{spec}");
    }
}

#[test]
fn a_folder_without_a_kustomization_is_one_as_flux_makes_it() {
    let text = SOURCES.to_owned() + KUSTOMIZATION.trim_start_matches("---\n");
    let text = text.replace("ssh://git@git.example.org/ops/fleet", OWN);
    for (files, is_made) in [
        (vec!["apps/shop/web/kustomization.yaml", "apps/shop/web/a.yaml"], true),
        (vec!["apps/shop/kustomization.yaml", "apps/shop/web/kustomization.yaml"], false),
        (vec!["apps/shop/a.yaml", "apps/shopping/kustomization.yaml"], false),
    ] {
        let (drafts, told) = read(Tool::Flux, &text, &around(&files));
        assert_eq!(told, Vec::<String>::new(), "{files:?}");
        assert_eq!(drafts[0]["environment"][0]["kustomize"]["generate"] == true, is_made, "{files:?}");
    }
}

#[test]
fn what_flux_writes_into_a_kustomization_is_written_by_the_environment() {
    let spec = "path: ./apps/shop, targetNamespace: shop, namePrefix: eu-, nameSuffix: -1, commonMetadata: { labels: { team: a, year: 1 }, annotations: { b: c } }, \
                components: [../../parts/tls, ../../parts/gone], ignoreMissingComponents: true, patches: [{ patch: '- op: remove', target: { kind: Job, name: null } }], \
                images: [{ name: shop, newTag: 2 }], sourceRef: { kind: GitRepository, name: fleet }";
    let text = format!(
        "{SOURCES}apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{ name: shop, namespace: flux-system }}\nspec: {{ {spec} }}\n"
    );
    let text = text.replace("ssh://git@git.example.org/ops/fleet", OWN);
    let wanted = json!({
        "namespace": "shop", "name_prefix": "eu-", "name_suffix": "-1", "components": ["../../parts/tls"],
        "labels": { "team": "a", "year": "1" }, "annotations": { "b": "c" },
        "patches": [{ "patch": "- op: remove", "target": { "kind": "Job" } }], "images": [{ "name": "shop", "newTag": "2" }],
    });
    let files = ["apps/shop/kustomization.yaml", "parts/tls/kustomization.yaml"];
    let (drafts, told) = read(Tool::Flux, &text, &around(&files));
    assert_eq!(drafts[0]["environment"][0]["kustomize"], wanted);
    let gone = "Kustomization flux-system/shop: differs spec.components: ../../parts/gone is missing, and is omitted: add it to kustomize.components once it exists";
    assert_eq!(told, [gone]);
    // What is there of another repository is not known.
    let (drafts, told) = read(Tool::Flux, &text, &around(&[]));
    let unknown = "Kustomization flux-system/shop: not imported spec.ignoreMissingComponents: a missing component is an error: omit it";
    assert_eq!((&drafts[0]["environment"][0]["kustomize"]["generate"], told), (&json!(true), vec![unknown.to_owned()]));
}

#[test]
fn what_argo_cd_writes_into_a_kustomization_is_written_by_the_environment() {
    let of = |options: &str| {
        let source = "repoURL: https://git.example.org/a.git, path: a";
        read(Tool::ArgoCd, &application(&format!("source: {{ {source}, kustomize: {{ {options} }} }}")), &around(&[]))
    };
    let (drafts, told) = of(
        "namePrefix: eu-, nameSuffix: -1, namespace: web, images: ['shop=r/shop:2', 'nginx@sha256:1'], \
         replicas: [{ name: shop, count: '3' }], components: [../tls], patches: [{ path: a.yaml, options: { allowNameChange: true } }], \
         commonLabels: { team: a }, commonAnnotations: { b: $c }, forceCommonLabels: true",
    );
    let wanted = json!({
        "namespace": "web", "name_prefix": "eu-", "name_suffix": "-1", "components": ["../tls"], "labels_in": "selectors",
        "annotations_in": "templates", "labels": { "team": "a" }, "annotations": { "b": "$c" },
        "patches": [{ "path": "a.yaml", "options": { "allowNameChange": true } }],
        "images": [{ "name": "shop", "newName": "r/shop", "newTag": "2" }, { "name": "nginx", "newName": "nginx", "digest": "sha256:1" }],
        "replicas": [{ "name": "shop", "count": 3 }],
    });
    assert_eq!((&drafts[0]["environment"][0]["kustomize"], told), (&wanted, Vec::new()));
    for (options, place) in [
        ("commonLabels: { team: a }, labelWithoutSelector: true", json!(null)),
        ("commonLabels: { team: a }, labelWithoutSelector: true, labelIncludeTemplates: true", json!("templates")),
    ] {
        assert_eq!(of(options).0[0]["environment"][0]["kustomize"]["labels_in"], place, "{options}");
    }
    for (options, line) in [
        (
            "images: ['shop:$ARGOCD_APP_REVISION']",
            "not imported spec.source.kustomize.images: shop:$ARGOCD_APP_REVISION has variables or asterisks: write newTag or digest into kustomize.images",
        ),
        (
            "commonLabels: { rev: $ARGOCD_APP_REVISION }",
            "not imported spec.source.kustomize.commonLabels: rev has variables of Argo CD: write its value",
        ),
        ("version: v5", "differs spec.source.kustomize.version: the installed kustomize renders"),
    ] {
        assert_eq!(of(options).1, [format!("Application argocd/shop: {line}")], "{options}");
    }
}

#[test]
fn what_a_chart_is_given_by_files_and_without_definitions_comes_along() {
    let source = "source: { repoURL: 'https://git.example.org/a.git', path: charts/a, helm: { skipCrds: true, fileParameters: [{ name: a.b, path: ../f.txt }, { name: 'a,b', path: f }] } }";
    let (drafts, told) = read(Tool::ArgoCd, &application(source), &around(&[]));
    let wanted = json!({ "skip_crds": true, "file_parameters": [{ "name": "a.b", "path": "charts/f.txt" }] });
    assert_eq!(drafts[0]["environment"][0]["helm"], wanted);
    let line = "Application argocd/shop: not imported spec.source.helm.fileParameters: a,b is not the name of a value with a file: write it into a values file";
    assert_eq!(told, [line]);
}

#[test]
fn what_kustomizations_of_the_repository_take_from_elsewhere_is_allowed() {
    let own = |text: &str| yaml::parse(text.as_bytes()).unwrap().remove(0).value;
    let kustomizations = [
        (
            "apps/shop/kustomization.yaml",
            "resources: [../base, 'https://github.com/ops/base//deploy?ref=v1', 'https://web.example/a.yaml']\ncomponents: ['https://github.com/ops/parts//tls']\n",
        ),
        (
            "apps/base/kustomization.yaml",
            "helmCharts:\n- { name: web, repo: 'oci://r.example/charts', version: 1.0.0 }\n- { name: own, repo: 'https://charts.example', version: 1.0.0 }\n- { name: any, repo: 'https://charts.example/any', version: 1.x }\n",
        ),
        ("other/kustomization.yaml", "resources: ['https://github.com/ops/other//deploy?ref=v1']\n"),
    ];
    let files: Vec<&str> =
        kustomizations.iter().map(|(path, _)| *path).chain(["apps/base/charts/own-1.0.0/own/Chart.yaml"]).collect();
    let mut around = around(&files);
    around.kustomizations = kustomizations.iter().map(|(path, text)| ((*path).to_owned(), own(text))).collect();
    let text = application(&format!("source: {{ repoURL: '{OWN}', path: apps/shop }}"));
    let (drafts, told) = read(Tool::ArgoCd, &text, &around);
    let remote = ["https://charts.example/any", "https://github.com/ops/base", "oci://r.example/charts"];
    assert_eq!(drafts[0]["environment"][0]["kustomize"], json!({ "remote": remote }));
    let lines = [
        "differs spec.source.path: its kustomizations may take from https://charts.example/any, https://github.com/ops/base, oci://r.example/charts: kustomize.remote",
        "not imported spec.source.path: its kustomizations take https://web.example/a.yaml: add a [[application.environment.kustomize.remote_file]] with the sha256 that `curl -fsSL https://web.example/a.yaml | sha256sum` prints",
        "not imported spec.source.path: chart any has version \"1.x\", which is not a single version: write one, as 6.7.1",
        "not imported spec.source.path: https://github.com/ops/parts//tls may change at any time: write ?ref= with a tag or a whole commit behind it",
    ];
    assert_eq!(told, lines.map(|line| format!("Application argocd/shop: {line}")));
}

/// The sources of sets as they will be written, in JSON, and what was told.
fn templates(text: &str, around: &Around) -> (Vec<Value>, Vec<String>) {
    let Imported { sources, told, .. } = import(Tool::ArgoCd, &documents("a.yaml", text), around);
    let written = |source: &SourceDraft| {
        let text = serde_json::to_string(source).unwrap();
        serde_json::from_str(&source.with_placeholders(&text)).unwrap()
    };
    let line = |one: Told| format!("{}: {} {}: {}", one.object, one.outcome, one.field, one.words);
    (sources.iter().map(written).collect(), told.into_iter().map(line).collect())
}

/// A set whose applications are of these, in this namespace.
fn template(generators: &str, go: bool, name: &str, path: &str, namespace: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{ name: all, namespace: argocd }}\nspec:\n  goTemplate: {go}\n  \
         generators: {generators}\n  template:\n    metadata: {{ name: '{name}' }}\n    spec:\n      \
         destination: {{ server: 'https://kubernetes.default.svc', namespace: '{namespace}' }}\n      \
         source: {{ repoURL: '{OWN}', path: '{path}' }}\n"
    )
}

fn with_contents(files: &[(&str, Value)]) -> Around {
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let contents = files.iter().filter(|(_, value)| !value.is_null());
    let contents = contents.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Around { contents, ..around(&names) }
}

#[test]
fn a_set_is_a_template_where_both_make_the_same() {
    let files = with_contents(&[
        ("apps/shop/a.yaml", Value::Null),
        ("apps/web_ui/base/b.yaml", Value::Null),
        ("apps/old/c.yaml", Value::Null),
        ("envs/eu/qa/config.json", json!({ "env": { "name": "qa", "hosts": ["a"] }, "tag": "one" })),
        ("envs/eu/prod/config.json", json!({ "env": { "name": "prod", "hosts": ["b"] }, "tag": "two" })),
    ]);
    let folders = format!(
        "git: {{ repoURL: '{OWN}', revision: main, directories: [{{ path: apps/* }}, {{ path: apps/old, exclude: true }}] }}"
    );
    let of_files = format!("git: {{ repoURL: '{OWN}', files: [{{ path: 'envs/**/config.json' }}] }}");
    let list = "list: { elements: [{ env: qa, values: { tier: a }, unused: x }, { env: prod, values: { tier: b } }] }";
    for (generators, go, name, path, namespace, generate, wanted) in [
        (
            format!("[{{ {folders} }}]"),
            false,
            "{{path.basenameNormalized}}",
            "{{path}}",
            "x-{{path[1]}}",
            json!([{ "directories": ["apps/*", "!apps/old"] }]),
            "{path.basename|dns} {path} x-{path.1}",
        ),
        (
            format!("[{{ {folders} }}]"),
            true,
            "a-{{ .path.basename | replace \"_\" \"-\" }}",
            "{{ .path.path }}",
            "{{ index .path.segments 1 }}",
            json!([{ "directories": ["apps/*", "!apps/old"] }]),
            "a-{path.basename|replace:_:-} {path} {path.1}",
        ),
        (
            format!("[{{ {of_files} }}]"),
            false,
            "{{env.name}}-{{tag}}",
            "{{path}}/{{path.filename}}",
            "{{env.hosts.0}}",
            json!([{ "files": ["envs/**/config.json"], "prefix": "file" }]),
            "{file.env.name}-{file.tag} {file.path}/{file.path.file} {file.env.hosts.0}",
        ),
        (
            format!("[{{ {list} }}]"),
            true,
            "shop-{{ .env | lower }}",
            "a",
            "{{ .values.tier }}",
            json!([{ "list": [{ "env": "qa", "values.tier": "a" }, { "env": "prod", "values.tier": "b" }] }]),
            "shop-{env|lower} a {values.tier}",
        ),
        (
            format!("[{{ matrix: {{ generators: [{{ {list} }}, {{ {folders} }}] }} }}]"),
            false,
            "{{path[1]}}-{{env}}",
            "{{path}}",
            "n",
            json!([{ "list": [{ "env": "qa" }, { "env": "prod" }] }, { "directories": ["apps/*", "!apps/old"] }]),
            "none: a template would not make web-ui-prod",
        ),
        (
            format!("[{{ matrix: {{ generators: [{{ {folders} }}, {{ {list} }}] }} }}]"),
            false,
            "{{path.basenameNormalized}}-{{env}}",
            "{{path}}",
            "n",
            json!([{ "directories": ["apps/*", "!apps/old"] }, { "list": [{ "env": "qa" }, { "env": "prod" }] }]),
            "{path.basename|dns}-{env} {path} n",
        ),
        (
            format!(
                "[{{ merge: {{ mergeKeys: [env], generators: [{{ {list} }}, {{ list: {{ elements: [{{ env: qa, values.tier: c }}] }} }}] }} }}]"
            ),
            false,
            "{{env}}",
            "{{values.tier}}",
            "n",
            json!([
                { "list": [{ "env": "qa", "values.tier": "a" }, { "env": "prod", "values.tier": "b" }] },
                { "list": [{ "env": "qa", "values.tier": "c" }], "merge": ["env"] },
            ]),
            "{env} {values.tier} n",
        ),
        (
            format!(
                "[{{ git: {{ repoURL: '{OWN}', directories: [{{ path: apps/shop }}], values: {{ of: 'x-{{{{path.basename}}}}' }} }} }}]"
            ),
            false,
            "{{values.of}}",
            "{{path}}",
            "n",
            json!([{ "directories": ["apps/shop"] }]),
            "x-{path.basename} {path} n",
        ),
        (
            format!("[{{ {list} }}]"),
            true,
            "{{ if .env }}a{{ end }}",
            "a",
            "n",
            Value::Null,
            "none: {{if .env}} has no equal in a template",
        ),
        (
            format!("[{{ {list}, selector: {{ matchLabels: {{ env: qa }} }} }}]"),
            false,
            "{{env}}",
            "a",
            "n",
            Value::Null,
            "none: a selector of a generator",
        ),
        (
            "[{ scmProvider: {} }]".to_owned(),
            false,
            "{{repository}}",
            "a",
            "n",
            Value::Null,
            "none: generator scmProvider has no equal",
        ),
        (
            format!(
                "[{{ matrix: {{ generators: [{{ {list} }}, {{ git: {{ repoURL: '{OWN}', directories: [{{ path: '{{{{env}}}}/*' }}] }} }}] }} }}]"
            ),
            false,
            "{{env}}",
            "a",
            "n",
            Value::Null,
            "none: a generator of the matrix has parameters of the other in it",
        ),
    ] {
        let (sources, told) = templates(&template(&generators, go, name, path, namespace), &files);
        let Some(why) = wanted.strip_prefix("none: ") else {
            let [source] = &sources[..] else { panic!("{generators}: {told:#?}") };
            assert_eq!(source["generate"], generate, "{generators}");
            let application = &source["application"][0];
            let environment = &application["environment"][0];
            let texts = [&application["name"], &environment["path"], &environment["namespace"]]
                .map(|one| one.as_str().unwrap_or_default());
            assert_eq!(
                (texts.join(" ").as_str(), &environment["cluster"]),
                (wanted, &json!("in-cluster")),
                "{generators}"
            );
            assert_eq!((&source["prune"], &source["repository"]), (&json!(true), &json!(OWN)));
            continue;
        };
        assert_eq!(sources.len(), 0, "{generators}: {sources:#?}");
        assert!(
            told.iter().any(|line| line.contains(&format!("not imported as a template: {why}"))),
            "{why}: {told:#?}"
        );
    }
}

#[test]
fn a_template_goes_by_the_clusters_that_are_there() {
    let secret = |name: &str, env: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: c-{name}, namespace: argocd, labels: {{ argocd.argoproj.io/secret-type: cluster, \
             env: {env} }} }}\nstringData: {{ name: {name}, server: 'https://{name}.example.org:6443' }}\n"
        )
    };
    let secrets = secret("eu", "prod") + &secret("us", "prod") + &secret("lab", "qa");
    let of = |generators: &str, name: &str| {
        let (sources, told) = templates(&(set(generators, false, name, "{{server}}") + &secrets), &around(&[]));
        (sources.into_iter().next(), told)
    };
    let (source, told) = of(
        "[{ clusters: { selector: { matchLabels: { env: prod } }, values: { tier: a } } }]",
        "{{values.tier}}-{{name}}",
    );
    let source = source.unwrap_or_else(|| panic!("{told:#?}"));
    assert_eq!(source["generate"], json!([{ "clusters": { "env": "prod" }, "values": { "values.tier": "a" } }]));
    assert_eq!(source["clusters"], json!(["eu", "us"]));
    assert_eq!(source["application"][0]["environment"][0]["cluster"], "{cluster}");
    let add =
        "ApplicationSet argocd/all: differs spec.generators: add a [[cluster]] for each of eu, us with the labels env";
    assert!(told.contains(&add.to_owned()), "{told:#?}");
    let (source, told) = of("[{ clusters: {} }]", "{{metadata.labels.env}}-{{name}}");
    assert_eq!(source, None, "the cluster of Argo CD has no labels: {told:#?}");
    let (source, _) = of("[{ clusters: {} }]", "x-{{nameNormalized}}");
    assert_eq!(source.unwrap()["clusters"], json!(["eu", "in-cluster", "lab", "us"]));

    let each = "[{ clusters: { selector: { matchLabels: { argocd.argoproj.io/secret-type: cluster } } } }]";
    let (source, told) = of(each, "x-{{name}}");
    let source = source.unwrap_or_else(|| panic!("{told:#?}"));
    assert_eq!((&source["generate"], &source["clusters"]), (&json!([{ "clusters": {} }]), &json!(["eu", "lab", "us"])));

    let text = set(
        "[{ clusters: { selector: { matchLabels: { env: prod } } } }]",
        false,
        "x-{{name}}",
        "https://kubernetes.default.svc",
    );
    let (sources, told) = templates(&(text + &secrets), &around(&[]));
    let why = "it deploys to in-cluster, which is not among the clusters that it selects";
    assert!(sources.is_empty() && told.iter().any(|line| line.contains(why)), "{told:#?}");

    // An address of a list goes by the name of its cluster.
    let list = "[{ list: { elements: [{ env: qa, server: 'https://eu.example.org:6443' }, { env: prod, server: 'https://kubernetes.default.svc' }] } }]";
    let (source, told) = of(list, "a-{{env}}");
    let source = source.unwrap_or_else(|| panic!("{told:#?}"));
    let wanted =
        json!([{ "list": [{ "env": "qa", "destination": "eu" }, { "env": "prod", "destination": "in-cluster" }] }]);
    assert_eq!((&source["generate"], &source["clusters"]), (&wanted, &json!(["eu", "in-cluster"])));
}

#[test]
fn open_merge_requests_are_a_template_that_nothing_here_can_compare() {
    let of = |more: &str, revision: &str| {
        let text = template(
            &format!(
                "[{{ pullRequest: {{ github: {{ owner: ops, repo: shop{more} }}, filters: [{{ targetBranchMatch: '^main$' }}] }} }}]"
            ),
            true,
            "shop-{{ .number }}",
            "deploy",
            "preview-{{ .number }}",
        );
        templates(
            &text.replace("path: 'deploy'", &format!("path: 'deploy', targetRevision: '{revision}'")),
            &around(&[]),
        )
    };
    let (sources, told) = of("", "{{ .head_sha }}");
    let [source] = &sources[..] else { panic!("{told:#?}") };
    assert_eq!(
        source["generate"],
        json!([{ "merge_requests": "main", "repository": "https://github.com/ops/shop.git" }])
    );
    let environment = &source["application"][0]["environment"][0];
    assert_eq!((&environment["commit"], &environment["branch"]), (&json!("{merge_request.commit}"), &Value::Null));
    assert_eq!(source["namespaces"], json!(["preview-*"]));
    for line in [
        "what it makes is not known here",
        "add a [[forge]] with a token that may list merge requests of https://github.com/ops/shop.git",
        "forks = true",
    ] {
        assert!(told.iter().any(|told| told.contains(line)), "{line}: {told:#?}");
    }
    let (_, told) = of("", "{{ .title }}");
    assert!(told.iter().any(|line| line.contains("{{.title}} has no equal in a template")), "{told:#?}");
    let (_, told) = of(", labels: [preview]", "{{ .branch }}");
    assert!(told.iter().any(|line| line.contains("merge requests are not selected by labels")), "{told:#?}");
}

#[test]
fn what_argo_cd_would_delete_is_pruned_and_nothing_else() {
    let of = |policy: &str| {
        let list = "[{ list: { elements: [{ env: qa }] } }]";
        let text = template(list, false, "{{env}}", "a", "n")
            + &format!("  syncPolicy: {policy}\n  strategy: {{ type: RollingSync }}\n");
        let (sources, told) = templates(&text, &around(&[]));
        let own = told
            .into_iter()
            .filter(|line| line.contains("spec.syncPolicy") || line.contains("spec.strategy"))
            .collect::<Vec<_>>();
        (sources[0]["prune"] == true, own)
    };
    let strategy = "ApplicationSet argocd/all: not imported spec.strategy: applications have no order among each other";
    for (policy, prunes, lines) in [
        ("{}", true, 1),
        ("{ preserveResourcesOnDeletion: true }", false, 1),
        ("{ applicationsSync: sync }", true, 1),
        ("{ applicationsSync: create-update }", false, 1),
        ("{ applicationsSync: create-only }", false, 2),
        ("{ applicationsSync: create-delete }", true, 2),
    ] {
        let (is_pruned, told) = of(policy);
        assert_eq!((is_pruned, told.len()), (prunes, lines + 1), "{policy}: {told:#?}");
        assert!(told.contains(&strategy.to_owned()), "{told:#?}");
        let word = if prunes { "prune = true, as there" } else { "prune is off, as there" };
        assert!(told.iter().any(|line| line.contains(word)), "{told:#?}");
    }
}

#[test]
fn a_generator_has_a_template_of_its_own_and_what_is_not_the_same_is_not_one() {
    let list = "{ list: { elements: [{ env: qa }], template: { spec: { source: { path: 'over/{{env}}' } } } } }";
    let other = "{ list: { elements: [{ env: prod }] } }";
    let text = template(&format!("[{list}, {other}]"), false, "{{env}}", "below", "n");
    let (sources, told) = templates(&text, &around(&[]));
    let paths: Vec<(&Value, &Value)> =
        sources.iter().map(|one| (&one["name"], &one["application"][0]["environment"][0]["path"])).collect();
    let wanted = [(json!("all"), json!("over/{env}")), (json!("all-2"), json!("below"))];
    assert_eq!(paths, wanted.iter().map(|(name, path)| (name, path)).collect::<Vec<_>>(), "{told:#?}");

    // What says nothing of what is deployed may be anything.
    let label =
        text.replace("metadata: { name: '{{env}}' }", "metadata: { name: '{{env}}', labels: { of: '{{nobody}}' } }");
    assert_eq!(templates(&label, &around(&[])).0.len(), 2);

    // A number stays a number only where it is not filled in.
    let number =
        text.replace("path: 'below'", "path: 'below', helm: { parameters: [{ name: port, value: '{{port}}' }] }");
    let (sources, told) = templates(
        &number.replace("env: qa", "env: qa, port: 80").replace("env: prod", "env: prod, port: 81"),
        &around(&[]),
    );
    assert_eq!(sources.len(), 0);
    let why = "not imported as a template: helm.values.port of qa is 80, and would be \"80\"";
    assert!(told.iter().any(|line| line.contains(why)), "{told:#?}");
    // What is written like a placeholder of ours is not one of theirs.
    let (sources, told) = templates(&template(&format!("[{other}]"), false, "{{env}}", "a-{x}", "n"), &around(&[]));
    assert_eq!(sources.len(), 0);
    assert!(
        told.iter().any(|line| line.contains("a text of its template is written like a placeholder of ours")),
        "{told:#?}"
    );
}
