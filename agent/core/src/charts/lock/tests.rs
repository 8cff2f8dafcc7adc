use super::*;
use crate::yaml;

/// A chart and the lock file that helm 3.20.2 wrote for it: `helm dependency update`.
const PLAIN: [&str; 2] = [
    "- name: redis\n  version: 17.x.x\n  repository: http://127.0.0.1:18733\n",
    "dependencies:\n- name: redis\n  repository: http://127.0.0.1:18733\n  version: 17.3.0\n\
     digest: sha256:338facea103159629ea54ee8454b1eed13803a6274c3acd397b4c17eb16ac09a\ngenerated: \"2026-11-30T23:51:22.838094184Z\"\n",
];

/// With every field, two aliases of a repository that helm knows, a folder, and characters that Go escapes.
const FULL: [&str; 2] = [
    "- name: redis\n  version: \">=17.0.0 <18\"\n  repository: http://127.0.0.1:18733/\n  alias: cache\n  \
     condition: cache.enabled,global.cache & more\n  tags: [back-end, \"a<b\"]\n  import-values:\n  - data\n  - parent: up\n    \
     child: exports.data\n\
     - name: redis\n  version: ^18\n  repository: \"@stable\"\n  alias: queue\n\
     - name: beside\n  version: '*'\n  repository: file://../beside\n\
     - name: common\n  version: 2.x\n  repository: \"alias:stable\"\n  enabled: true\n",
    "dependencies:\n- name: redis\n  repository: http://127.0.0.1:18733/\n  version: 17.3.0\n\
     - name: redis\n  repository: http://127.0.0.1:18733\n  version: 18.1.2\n\
     - name: beside\n  repository: file://../beside\n  version: 0.3.0\n\
     - name: common\n  repository: http://127.0.0.1:18733\n  version: 2.0.1\n\
     digest: sha256:7008e42f3e022fa76ea686d87e92b170647acc756ac75375aef6f096ecbef690\ngenerated: \"2026-11-30T23:51:22.90557449Z\"\n",
];

/// Of a registry, whose tags helm compared.
const REGISTRY: [&str; 2] = [
    "- name: redis\n  version: 17.x\n  repository: oci://127.0.0.1:1338/team\n  alias: guest\n  condition: guest.enabled\n",
    "dependencies:\n- name: redis\n  repository: oci://127.0.0.1:1338/team\n  version: 17.3.0\n\
     digest: sha256:f3f29427bf0d028a47b79940c7c32b398e2d376d81f526516dc84d1f41cce4a3\ngenerated: \"2026-12-01T00:52:06.879111976Z\"\n",
];

/// Of `requirements.yaml`, as helm 3 locks it.
const OLD: [&str; 2] = [
    "- name: redis\n  version: ^18\n  repository: \"@stable\"\n",
    "dependencies:\n- name: redis\n  repository: http://127.0.0.1:18733\n  version: 18.1.2\n\
     digest: sha256:966b5eeaca21bb0e121c81129b3efeed66911ce8db6b30b2b63ef5b0ce0d35ab\ngenerated: \"2026-11-30T23:51:22.9772682Z\"\n",
];

fn value(text: &str) -> Value {
    yaml::parse(text.as_bytes()).unwrap().remove(0).value
}

fn read([asked, locked]: [&str; 2]) -> (Vec<Dependency>, Lock) {
    (dependencies(&value(asked)).unwrap(), Lock::read(&value(locked)).unwrap())
}

#[test]
fn what_helm_locked_is_of_its_chart() {
    for (files, format) in
        [(PLAIN, Format::V2), (FULL, Format::V2), (REGISTRY, Format::V2), (OLD, Format::V1), (OLD, Format::V2)]
    {
        let (asked, lock) = read(files);
        assert!(lock.is_of(&asked, format), "{asked:#?}");
    }
    // What helm reads as nothing is nothing, also where it is written.
    let (asked, lock) = read([&PLAIN[0].replace("\n  version", "\n  alias: null\n  tags: []\n  version"), PLAIN[1]]);
    assert!(lock.is_of(&asked, Format::V2));
}

#[test]
fn helm_2_made_the_digest_of_the_chart_alone() {
    let (asked, lock) = read(OLD);
    let of_helm_2 = digest(
        &serde_json::json!({ "dependencies": [{ "name": "redis", "version": "^18", "repository": "@stable" }] }),
    );
    let lock = Lock { digest: of_helm_2, ..lock };
    assert!(lock.is_of(&asked, Format::V1) && !lock.is_of(&asked, Format::V2));
}

#[test]
fn any_change_of_either_is_seen() {
    for (from, to) in [
        ("17.x.x", "18.x.x"),
        ("redis", "valkey"),
        ("127.0.0.1:18733", "127.0.0.1:18734"),
        ("  version: 17.x.x", "  version: 17.x.x\n  alias: cache"),
        ("- name", "- {name: more, repository: 'https://charts.example', version: 1.x}\n- name"),
    ] {
        let changed = PLAIN[0].replace(from, to);
        assert_ne!(changed, PLAIN[0]);
        let (asked, lock) = read([&changed, PLAIN[1]]);
        assert!(!lock.is_of(&asked, Format::V2), "{changed}");
    }
    for (from, to) in [("17.3.0", "17.3.1"), ("sha256:33", "sha256:34"), ("digest: ", "other: ")] {
        let changed = PLAIN[1].replace(from, to);
        let (asked, lock) = read([PLAIN[0], &changed]);
        assert!(!lock.is_of(&asked, Format::V2), "{changed}");
    }
    assert!(dependencies(&value("- {name: redis, version: 17}")).is_err(), "helm takes no number for a version");
}
