//! What a software bill of materials lists, in the two formats that `syft` writes. (pure)
//!
//! | | SPDX 2.3 | CycloneDX 1.4 to 1.6 |
//! | --- | --- | --- |
//! | a package | `packages[]` | `components[]`, and those in them |
//! | left out | the image itself, by its purpose `CONTAINER` | files |
//! | its kind | the type of its package URL | the same |
//! | its license | concluded, else declared | expression, else ids and names |

use quarterdeck_shared::application::SbomFormat;
use quarterdeck_shared::protocol::Package;
use serde_json::Value;

use crate::output::is_unfit;

/// Characters of a name, version or license that are kept: names of Go modules have up to some 150.
const CHARS_MAX: usize = 200;

/// What SPDX says where it says nothing.
const NOTHING: [&str; 2] = ["NOASSERTION", "NONE"];

/// The packages of a list, by name and version, each once.
pub fn packages(format: SbomFormat, list: &Value) -> Vec<Package> {
    let mut found = Vec::new();
    match format {
        SbomFormat::Spdx => found.extend(all(&list["packages"]).filter_map(spdx)),
        SbomFormat::Cyclonedx => cyclonedx(&list["components"], &mut found),
    }
    found.sort();
    found.dedup();
    found
}

fn spdx(package: &Value) -> Option<Package> {
    if package["primaryPackagePurpose"] == "CONTAINER" {
        return None;
    }
    let refers = |kind: &&Value| kind["referenceType"] == "purl";
    let url = all(&package["externalRefs"]).find(refers).map_or("", |found| text(&found["referenceLocator"]));
    let license = ["licenseConcluded", "licenseDeclared"].map(|name| text(&package[name]));
    let license = license.into_iter().find(|one| !one.is_empty() && !NOTHING.contains(one));
    named(text(&package["name"]), text(&package["versionInfo"]), url, license.unwrap_or_default())
}

fn cyclonedx(components: &Value, found: &mut Vec<Package>) {
    for component in all(components) {
        if component["type"] != "file" {
            let [name, version, url] = ["name", "version", "purl"].map(|part| text(&component[part]));
            found.extend(named(name, version, url, &licenses(&component["licenses"])));
        }
        cyclonedx(&component["components"], found);
    }
}

fn licenses(all_of: &Value) -> String {
    all(all_of).filter_map(license).collect::<Vec<&str>>().join(" AND ")
}

fn license(choice: &Value) -> Option<&str> {
    let places = [&choice["expression"], &choice["license"]["id"], &choice["license"]["name"]];
    places.into_iter().map(text).find(|text| !text.is_empty())
}

fn named(name: &str, version: &str, url: &str, license: &str) -> Option<Package> {
    let kind = url.strip_prefix("pkg:").and_then(|url| url.split_once('/')).map_or("", |(kind, _)| kind);
    let [name, version, kind, license] = [name, version, kind, license].map(shown);
    (!name.is_empty()).then_some(Package { name, version, kind, license })
}

fn all(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A registry may answer anything: what is shown fits into a line.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !is_unfit(*c)).take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn lines(format: SbomFormat, list: &Value) -> Vec<String> {
        let line = |one: Package| format!("{} {} [{}] {}", one.name, one.version, one.kind, one.license);
        packages(format, list).into_iter().map(|one| line(one).trim_end().to_owned()).collect()
    }

    #[test]
    fn spdx_as_syft_writes_it() {
        let url = |url: &str| {
            json!([{ "referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a" },
            { "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url }])
        };
        let list = json!({ "spdxVersion": "SPDX-2.3", "packages": [
            { "name": "libssl3", "versionInfo": "3.0.11-1", "licenseConcluded": "NOASSERTION", "licenseDeclared": "Apache-2.0",
              "externalRefs": url("pkg:deb/debian/libssl3@3.0.11-1?arch=amd64") },
            { "name": "golang.org/x/net", "versionInfo": "v0.30.0", "licenseConcluded": "NONE", "licenseDeclared": "NOASSERTION",
              "externalRefs": url("pkg:golang/golang.org/x/net@v0.30.0") },
            { "name": "left-pad", "licenseConcluded": "WTFPL" },
            { "name": "left-pad", "licenseConcluded": "WTFPL" },
            { "name": "registry.example/ops/shop", "versionInfo": "sha256:00", "primaryPackagePurpose": "CONTAINER" },
            { "versionInfo": "of nothing" },
        ] });
        assert_eq!(
            lines(SbomFormat::Spdx, &list),
            ["golang.org/x/net v0.30.0 [golang]", "left-pad  [] WTFPL", "libssl3 3.0.11-1 [deb] Apache-2.0"]
        );
    }

    #[test]
    fn cyclonedx_as_syft_writes_it() {
        let list = json!({ "bomFormat": "CycloneDX", "components": [
            { "type": "library", "name": "musl", "version": "1.2.5", "purl": "pkg:apk/alpine/musl@1.2.5",
              "licenses": [{ "license": { "id": "MIT" } }, { "license": { "name": "public domain" } }] },
            { "type": "application", "name": "shop", "licenses": [{ "expression": "MIT OR Apache-2.0" }], "components": [
                { "type": "library", "name": "serde", "version": "1.0.0", "purl": "pkg:cargo/serde@1.0.0" },
            ] },
            { "type": "file", "name": "/etc/passwd" },
            { "type": "operating-system", "name": "alpine", "version": "3.20" },
        ] });
        assert_eq!(
            lines(SbomFormat::Cyclonedx, &list),
            [
                "alpine 3.20 []",
                "musl 1.2.5 [apk] MIT AND public domain",
                "serde 1.0.0 [cargo]",
                "shop  [] MIT OR Apache-2.0"
            ]
        );
    }

    #[test]
    fn what_is_no_list_has_no_packages_and_what_is_shown_fits_into_a_line() {
        for other in [json!(null), json!([]), json!({ "packages": 7, "components": "a" })] {
            assert_eq!(packages(SbomFormat::Spdx, &other), []);
            assert_eq!(packages(SbomFormat::Cyclonedx, &other), []);
        }
        let long = json!({ "packages": [{ "name": format!("a\n\u{1b}[2J{}", "b".repeat(500)) }] });
        let found = packages(SbomFormat::Spdx, &long);
        assert_eq!(found[0].name.len(), CHARS_MAX);
        assert!(found[0].name.starts_with("a[2Jb"), "{}", found[0].name);
    }

    proptest! {
        /// What one format lists the other does, where both are told the same.
        #[test]
        fn both_formats_list_the_same(of in proptest::collection::vec(("[a-z]{1,5}", "[0-9.]{0,5}", "(deb|npm)"), 0..6)) {
            let url = |(name, version, kind): &(String, String, String)| format!("pkg:{kind}/{name}@{version}");
            let spdx = of.iter().map(|one| json!({ "name": one.0, "versionInfo": one.1,
                "externalRefs": [{ "referenceType": "purl", "referenceLocator": url(one) }] }));
            let cyclonedx = of.iter().map(|one| json!({ "type": "library", "name": one.0, "version": one.1, "purl": url(one) }));
            let (spdx, cyclonedx) = (json!({ "packages": spdx.collect::<Vec<_>>() }), json!({ "components": cyclonedx.collect::<Vec<_>>() }));
            prop_assert_eq!(packages(SbomFormat::Spdx, &spdx), packages(SbomFormat::Cyclonedx, &cyclonedx));
        }
    }
}
