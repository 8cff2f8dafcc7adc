mod elsewhere;

use super::*;
use crate::render::elsewhere::Nowhere;
use crate::tree::memory::Files;
use crate::tree::sourced::{Source, Sourced};
use quarterdeck_shared::application::FilesSpec;
use quarterdeck_shared::error::Failure;

fn needs_of(files: &[(&str, &str)], folder: &str) -> Result<Needs, KustomizationError> {
    needs(&Beside::new(&Files::new(files)), folder, &Nowhere, Changed::default())
}

#[test]
fn what_is_named_is_taken_and_its_names_too() {
    let files = [
        (
            "apps/shop/prod/kustomization.yaml",
            "resources: [../base, extra.yaml]\nimages: [{name: shop, newTag: v1}]\ncomponents: [../../../parts/tls]\n",
        ),
        ("apps/shop/prod/extra.yaml", ""),
        ("apps/shop/prod/patch.yaml", ""),
        (
            "apps/shop/base/kustomization.yml",
            "configMapGenerator:\n- name: c\n  files: [app.ini=../../common/app.ini]\n",
        ),
        ("apps/shop/base/deep/Kustomization", "resources: [../../../../cluster]\n"),
        ("apps/common/app.ini", ""),
        ("apps/common/other.ini", ""),
        ("apps/cart/kustomization.yaml", ""),
        ("parts/tls/kustomization.yaml", "resources: [link.yaml]"),
        ("parts/tls/link.yaml@", "../shared/tls.yaml"),
        ("parts/shared/tls.yaml", ""),
        ("cluster/all.yaml", ""),
    ];
    let needs = needs_of(&files, "apps/shop/prod").unwrap();
    let taken: Vec<&str> = needs.files.keys().map(String::as_str).collect();
    assert_eq!(
        taken,
        [
            "apps/common/app.ini",
            "apps/shop/base/kustomization.yml",
            "apps/shop/prod/extra.yaml",
            "apps/shop/prod/kustomization.yaml",
            "parts/tls/kustomization.yaml",
            "parts/tls/link.yaml",
        ]
    );
    assert_eq!(needs.files["parts/tls/link.yaml"].path, "parts/shared/tls.yaml");
    let beside: Vec<&str> = needs.beside.keys().map(String::as_str).collect();
    assert_eq!(beside, ["apps/shop/base/deep/Kustomization", "apps/shop/prod/patch.yaml"]);
    for input in ["apps/shop/prod", "apps/shop/base", "apps/common/app.ini", "parts/tls", "parts/shared/tls.yaml"] {
        assert!(needs.inputs.contains(input), "{input}: {:?}", needs.inputs);
    }
}

#[test]
fn a_base_of_another_source_is_taken_by_its_folder() {
    let own = Files::new(&[("envs/prod/kustomization.yaml", "resources: [../../$base/shop]\nnamePrefix: prod-\n")]);
    let base = Files::new(&[
        ("shop/kustomization.yaml", "resources: [a.yaml, ../common]\n"),
        ("shop/a.yaml", ""),
        ("common/kustomization.yaml", "resources: [b.yaml]\n"),
        ("common/b.yaml", ""),
        ("other/c.yaml", ""),
    ]);
    let tree = Sourced { tree: &own, sources: vec![Source { folder: "$base", tree: &base }] };
    let needs = needs(&Beside::new(&tree), "envs/prod", &Nowhere, Changed::default()).unwrap();
    let taken: Vec<&str> = needs.files.keys().map(String::as_str).collect();
    assert_eq!(
        taken,
        [
            "$base/common/b.yaml",
            "$base/common/kustomization.yaml",
            "$base/shop/a.yaml",
            "$base/shop/kustomization.yaml",
            "envs/prod/kustomization.yaml",
        ]
    );
    assert!(needs.inputs.contains("$base/shop") && needs.inputs.contains("$base/common"), "{:?}", needs.inputs);
}

#[test]
fn links_are_followed_within_the_repository() {
    let files = [
        ("a/kustomization.yaml@", "../k/prod"),
        ("k/prod", "resources: [current, ../live/extra.yaml]\nconfigMapGenerator: [{name: c, files: [x/y]}]\n"),
        ("a/current@", "../live"),
        ("live@", "v2"),
        ("v2/kustomization.yaml", "resources: [app.yaml]"),
        ("v2/app.yaml@", "../shared/app"),
        ("v2/extra.yaml", ""),
        ("shared/app", ""),
        ("a/x@", "../v2"),
        ("v2/y", ""),
    ];
    let needs = needs_of(&files, "a").unwrap();
    let files: Vec<(&str, &str)> =
        needs.files.iter().map(|(path, entry)| (path.as_str(), entry.path.as_str())).collect();
    assert_eq!(
        files,
        [
            ("a/kustomization.yaml", "k/prod"),
            ("v2/app.yaml", "shared/app"),
            ("v2/extra.yaml", "v2/extra.yaml"),
            ("v2/kustomization.yaml", "v2/kustomization.yaml"),
            ("v2/y", "v2/y"),
        ]
    );
    let links: Vec<(&str, &str)> = needs.links.iter().map(|(link, to)| (link.as_str(), to.as_str())).collect();
    assert_eq!(links, [("a/current", "v2"), ("a/x", "v2"), ("live", "v2")]);
    assert!(["live", "a/current", "shared/app", "k/prod"].iter().all(|input| needs.inputs.contains(*input)));
}

#[test]
fn what_configurations_of_generators_name_is_taken() {
    let files = [
        ("a/kustomization.yaml", "generators: [gen.yaml]"),
        ("a/gen.yaml", "kind: ConfigMapGenerator\nmetadata: {name: c}\nfiles: [../common/app.ini]\n"),
        ("common/app.ini", ""),
    ];
    assert!(needs_of(&files, "a").unwrap().files.contains_key("common/app.ini"));
}

#[test]
fn a_kustomization_that_nothing_names_is_not_read() {
    let files = [
        ("kustomization.yaml", "resources: [a.yaml]"),
        ("a.yaml", ""),
        ("old/kustomization.yaml", "resources: ['https://example.com/x.yaml']"),
    ];
    assert_eq!(needs_of(&files, "").unwrap().files.len(), 2);
}

#[test]
fn kustomizations_in_a_circle_end() {
    let files = [("a/kustomization.yaml", "resources: [../b]"), ("b/kustomization.yaml", "resources: [../a]")];
    assert_eq!(needs_of(&files, "a").unwrap().files.len(), 2);
}

#[test]
fn what_is_not_in_the_repository_is_refused() {
    for (content, message) in [
        (
            "resources: [gone.yaml]",
            "a/kustomization.yaml names \"gone.yaml\" in resources, which is not in the repository",
        ),
        (
            "resources: [../../out]",
            "a/kustomization.yaml names \"../../out\" in resources, which is not in the repository",
        ),
        (
            "resources: [/etc/passwd]",
            "a/kustomization.yaml names \"/etc/passwd\" in resources, which is not in the repository",
        ),
        ("components: [gone]", "a/kustomization.yaml names \"gone\" in components, which is not in the repository"),
        ("resources: [a: 1", "a/kustomization.yaml"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "a/kustomization.yaml is a Git LFS pointer, and its content is not fetched",
        ),
    ] {
        assert_eq!(needs_of(&[("a/kustomization.yaml", content)], "a").unwrap_err().to_string(), message, "{content}");
    }
    let error = Failure::of(&needs_of(&[("a/b.yaml", "")], "a").unwrap_err()).to_string();
    assert_eq!(
        error,
        "there is no kustomization.yaml in \"a\"\nhint: `render = \"plain\"` renders a folder without one, and `kustomize.generate = true` makes one of its manifests"
    );
}

#[test]
fn what_is_on_a_network_is_refused() {
    for (content, message) in [
        (
            "resources: ['https://example.com/x.yaml']",
            "a/kustomization.yaml names the file https://example.com/x.yaml, and the configuration does not allow it\n\
             hint: add it with its sha256 as [[application.environment.kustomize.remote_file]], or copy it into the repository",
        ),
        (
            "resources: ['github.com/owner/repository//path?ref=v1']",
            "a/kustomization.yaml names github.com/owner/repository//path?ref=v1, and the configuration does not allow \
             https://github.com/owner/repository\nhint: add \"https://github.com/owner/repository\" to `remote` of \
             [application.environment.kustomize], or copy it into the repository",
        ),
        (
            "components: ['https://example.com/owner/repository']",
            "a/kustomization.yaml names \"https://example.com/owner/repository\" without a ref, so it may change at any time\nhint: write ?ref= with a tag or a whole commit behind it",
        ),
        (
            "resources: ['s3::https://example.com/x']",
            "a/kustomization.yaml names \"s3::https://example.com/x\" in resources, and only resources and components are \
             folders of other repositories\nhint: copy it into the repository",
        ),
    ] {
        let error = needs_of(&[("a/kustomization.yaml", content)], "a").unwrap_err();
        assert_eq!(Failure::of(&error).to_string(), message);
    }
    for content in [
        "bases: ['git@example.com:owner/repository.git']",
        "components: ['ssh://git@example.com/x/y']",
        "crds: ['https://example.com/crd.yaml']",
        "patches: [{path: 'https://example.com/patch.yaml'}]",
        "secretGenerator: [{name: a, files: ['key=https://example.com/key']}]",
        "openapi: {path: 'https://example.com/schema.json'}",
        "transformers: ['https://github.com/owner/repository//path?ref=v1']",
    ] {
        assert!(needs_of(&[("a/kustomization.yaml", content)], "a").is_err(), "{content}");
    }
    let harmless = "commonAnnotations: {home: 'https://example.com/'}\nimages: [{name: ghcr.io/owner/shop}]\npatches:\n- patch: |-\n    see: https://x\n\
                    configMapGenerator:\n- {name: a, literals: [URL=https://example.com/]}\n";
    assert!(needs_of(&[("a/kustomization.yaml", harmless)], "a").is_ok());
}

fn overlaid(overlay: &Overlay, files: &[(&str, &str)]) -> Result<(Needs, String), String> {
    let changed = Changed { folder: "apps/shop", overlay: Some(overlay), ..Changed::default() };
    let needs = needs(&Beside::new(&Files::new(files)), "apps/shop", &Nowhere, changed);
    let needs = needs.map_err(|error| Failure::of(&error).to_string())?;
    let text = needs.rewritten.get("apps/shop/kustomization.yaml").cloned().unwrap_or_default();
    Ok((needs, String::from_utf8(text).unwrap()))
}

#[test]
fn what_an_environment_writes_is_taken_as_if_the_file_said_it() {
    let files = [
        ("apps/shop/kustomization.yaml", "resources: [a.yaml]\n"),
        ("apps/shop/a.yaml", ""),
        ("parts/tls/kustomization.yaml", "patches: [{path: tls.yaml}]"),
        ("parts/tls/tls.yaml", ""),
    ];
    let components = |folder: &str| Overlay { components: vec![folder.to_owned()], ..Overlay::default() };
    let (needs, text) = overlaid(&components("../../parts/tls"), &files).unwrap();
    assert_eq!(text, "components:\n- ../../parts/tls\nresources:\n- a.yaml\n");
    assert!(needs.files.contains_key("parts/tls/tls.yaml") && needs.inputs.contains("parts/tls"), "{needs:?}");
    for (folder, told) in [
        (
            "../../parts/gone",
            "kustomize of the environment names \"../../parts/gone\" in components, which is not in the repository",
        ),
        (
            "https://forge.example/ops/base//tls?ref=v1",
            "kustomize of the environment names https://forge.example/ops/base//tls?ref=v1, and the configuration does not allow \
             https://forge.example/ops/base\nhint: add \"https://forge.example/ops/base\" to `remote` of \
             [application.environment.kustomize], or copy it into the repository",
        ),
    ] {
        assert_eq!(overlaid(&components(folder), &files).unwrap_err(), told);
    }
    // A file that says nothing is a kustomization all the same.
    let empty = [("apps/shop/kustomization.yaml", "# none\n"), files[2], files[3]];
    assert_eq!(overlaid(&components("../../parts/tls"), &empty).unwrap().1, "components:\n- ../../parts/tls\n");
    assert_eq!(overlaid(&Overlay::default(), &files).unwrap().1, "", "nothing is rewritten");
}

#[test]
fn a_made_kustomization_lists_what_flux_lists() {
    let files = Files::new(&[
        ("apps/shop/b.yml", ""),
        ("apps/shop/a.yaml", ""),
        ("apps/shop/board.json", ""),
        ("apps/shop/README.md", ""),
        ("apps/shop/deep/c.yaml", ""),
        ("apps/shop/web/kustomization.yaml", "resources: [d.yaml, inner]"),
        ("apps/shop/web/d.yaml", ""),
        ("apps/shop/web/inner/kustomization.yml", ""),
        ("apps/shop/.hidden/e.yaml", ""),
        ("apps/shop/left/f.yaml", ""),
        ("apps/shop/left/out/kustomization.yaml", ""),
        ("apps/shop/.sourceignore", "left/\n"),
        ("apps/other.yaml", ""),
    ]);
    let listed = made::made(&files, "apps/shop", &FilesSpec::default()).unwrap();
    assert_eq!(listed.resources, ["a.yaml", "b.yml", "deep/c.yaml", "web"]);
    assert!(listed.inputs.contains(&"apps/shop/.sourceignore".to_owned()), "{:?}", listed.inputs);
    let changed = Changed { folder: "apps/shop", made: Some(&listed.resources), ..Changed::default() };
    let needs = needs(&Beside::new(&files), "apps/shop", &Nowhere, changed).unwrap();
    let text = String::from_utf8_lossy(&needs.rewritten["apps/shop/kustomization.yaml"]).into_owned();
    assert_eq!(text, "resources:\n- a.yaml\n- b.yml\n- deep/c.yaml\n- web\n");
    assert!(needs.files.contains_key("apps/shop/web/d.yaml") && needs.inputs.contains("apps/shop"), "{needs:?}");
    let selected = FilesSpec { include: vec!["/deep/".to_owned()], exclude: vec!["web/".to_owned()] };
    assert_eq!(made::made(&files, "apps/shop", &selected).unwrap().resources, ["deep/c.yaml"]);
    let none = Files::new(&[("apps/shop/board.json", "{}")]);
    let error = made::made(&none, "apps/shop", &FilesSpec::default()).err().map(|error| error.to_string());
    let told = "apps/shop holds no manifests: there is no .yaml or .yml file below it to make a kustomization of";
    assert_eq!(error.as_deref(), Some(told));
}
