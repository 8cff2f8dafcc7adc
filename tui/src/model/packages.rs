//! The packages of the images of a run, made ready for a list.

use std::borrow::Cow;

use quarterdeck_shared::protocol::{Package, PackagesAnswer};
use serde::{Deserialize, Serialize};

use crate::model::records::Record;
use crate::model::table::contains;
use crate::text;

/// What is shown of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Packages {
    /// The packages, image after image.
    pub rows: Vec<Row>,
    /// A line for each image about its list: why there is none, or whose it is.
    pub notes: Vec<String>,
}

/// A package in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Its number in the list.
    pub number: u64,
    /// The image that it is in: registry and repository.
    pub image: String,
    /// The package.
    pub package: Package,
}

impl Record for Row {
    fn id(&self) -> u64 {
        self.number
    }

    fn mentions(&self, word: &str) -> bool {
        let Package { name, version, kind, license } = &self.package;
        [name, version, kind, license, &self.image].iter().any(|text| contains(text, word))
    }

    fn below(&self) -> Cow<'_, str> {
        "".into()
    }
}

/// Makes an answer ready.
pub fn document(answers: Vec<PackagesAnswer>) -> Packages {
    let notes = answers.iter().map(note).collect();
    let of = |answer: PackagesAnswer| {
        let image = text::clean(&answer.image).split('@').next().unwrap_or_default().to_owned();
        answer.packages.into_iter().map(move |package| (image.clone(), harmless(&package)))
    };
    let rows = answers.into_iter().flat_map(of).zip(0..);
    let rows = rows.map(|((image, package), number)| Row { number, image, package }).collect();
    Packages { rows, notes }
}

/// Without control characters.
fn harmless(package: &Package) -> Package {
    let clean = |text: &String| text::clean(text).replace('\t', " ");
    let Package { name, version, kind, license } = package;
    Package { name: clean(name), version: clean(version), kind: clean(kind), license: clean(license) }
}

/// What is said of the list of an image.
pub fn note(answer: &PackagesAnswer) -> String {
    let PackagesAnswer { image, format, signer, total, packages, reason } = answer;
    let Some(format) = format else { return text::clean(&format!("{image}: {reason}")).into_owned() };
    let signed = match signer {
        Some(key) => format!("signed by {key}"),
        None => "no key is required, so its signature was not checked".to_owned(),
    };
    let only = if packages.len() < *total { format!(", of which {} are shown", packages.len()) } else { String::new() };
    let called = if *total == 1 { "package" } else { "packages" };
    text::clean(&format!("{image}: {total} {called}{only} ({}; {signed})", format.word())).into_owned()
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::application::SbomFormat;

    use super::*;

    #[test]
    fn an_image_says_whose_list_it_has_or_why_there_is_none() {
        let package = |name: &str| Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            kind: "deb".to_owned(),
            license: "MIT".to_owned(),
        };
        let listed = PackagesAnswer {
            image: "registry.example/ops/shop@sha256:00".to_owned(),
            format: Some(SbomFormat::Spdx),
            signer: Some("cosign.pub".to_owned()),
            total: 3,
            packages: vec![package("bash"), package("zlib")],
            reason: String::new(),
        };
        let unsigned = PackagesAnswer { signer: None, total: 1, packages: vec![package("musl")], ..listed.clone() };
        let none = PackagesAnswer {
            format: None,
            total: 0,
            packages: Vec::new(),
            reason: "it was not pushed".to_owned(),
            ..listed.clone()
        };
        let Packages { rows, notes } = document(vec![listed, unsigned, none]);
        let name = "registry.example/ops/shop@sha256:00";
        assert_eq!(
            notes,
            [
                format!("{name}: 3 packages, of which 2 are shown (spdx; signed by cosign.pub)"),
                format!("{name}: 1 package (spdx; no key is required, so its signature was not checked)"),
                format!("{name}: it was not pushed"),
            ]
        );
        let shown: Vec<_> = rows.iter().map(|row| (row.number, &*row.image, &*row.package.name)).collect();
        let image = "registry.example/ops/shop";
        assert_eq!(shown, [(0, image, "bash"), (1, image, "zlib"), (2, image, "musl")]);
        assert!(rows[0].mentions("mit") && rows[0].mentions("bas") && !rows[0].mentions("zlib"));
    }
}
