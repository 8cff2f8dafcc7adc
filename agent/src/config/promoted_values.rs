//! `[[application.environment.promote.values]]`: where the values of a chart name an image, and what is wrong with it.

use quarterdeck_shared::application::{ImageValues, PromoteBy, PromotePolicy, RenderKind};

/// Everything that is wrong with them. `promoted` are the images that the application builds or follows.
pub(super) fn check(promote: &PromotePolicy, render: RenderKind, promoted: &[&str], say: &mut impl FnMut(String)) {
    let all = &promote.values;
    if all.is_empty() {
        return;
    }
    if matches!(render, RenderKind::Plain | RenderKind::Kustomize | RenderKind::Jsonnet) {
        say("keys of a chart's values, and render is not \"helm\": leave out one of the two".to_owned());
    }
    if promote.by == PromoteBy::None {
        say("promotion is off here, so no values are written: set promote.by, or leave it out".to_owned());
    }
    for (index, values) in all.iter().enumerate() {
        let image = &values.image;
        if !promoted.contains(&image.as_str()) {
            say(format!("{image:?} is not an image of [[application.image]] or [[application.follow_image]]"));
        }
        if all[..index].iter().any(|other| other.image == *image) {
            say(format!("{image:?} is named twice: keep one of the two"));
        }
        if let Some(problem) = problem(values, promote.by) {
            say(format!("{image}: {problem}"));
        }
    }
}

fn problem(values: &ImageValues, by: PromoteBy) -> Option<&'static str> {
    let ImageValues { image: _, tag, digest, whole } = values;
    let is_path = |keys: &&String| keys.split('.').all(|key| !key.is_empty());
    let keys: Vec<&String> = [tag, digest, whole].into_iter().flatten().collect();
    let wants_digest = by == PromoteBy::Digest;
    if keys.is_empty() {
        return Some("no key: write tag = \"web.version\"");
    }
    if whole.is_some() && keys.len() > 1 {
        return Some("whole has tag and digest in it: leave out whole, or the other two");
    }
    if !keys.iter().all(is_path) {
        return Some("keys are written with dots between them, as web.image.tag");
    }
    if whole.is_none() && tag.is_none() && by != PromoteBy::None && !wants_digest {
        return Some("promote.by writes a tag: write tag, or set promote.by = \"digest\"");
    }
    if whole.is_none() && digest.is_none() && wants_digest {
        return Some("promote.by writes a digest: write digest, or set promote.by = \"tag\"");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_written_are_told() {
        let told = |by: PromoteBy, render: RenderKind, keys: [&str; 3], promoted: &[&str]| {
            let [tag, digest, whole] = keys.map(|keys| (!keys.is_empty()).then(|| keys.to_owned()));
            let values = vec![ImageValues { image: "reg.example/shop".to_owned(), tag, digest, whole }];
            let mut said = Vec::new();
            let promote = PromotePolicy { by, values, ..PromotePolicy::default() };
            check(&promote, render, promoted, &mut |message| said.push(message));
            said.join("\n")
        };
        let shop = ["reg.example/shop"];
        let of_chart = |by, keys| told(by, RenderKind::Helm, keys, &shop);
        for fine in [["web.version", "", ""], ["web.version", "web.digest", ""], ["", "", "web.image"]] {
            assert_eq!(of_chart(PromoteBy::TagAndDigest, fine), "");
        }
        assert_eq!(of_chart(PromoteBy::Digest, ["", r"a\.b.digest", ""]), "");
        let wrong = [
            of_chart(PromoteBy::Tag, ["", "", ""]),
            of_chart(PromoteBy::Tag, ["web.version", "", "web.image"]),
            of_chart(PromoteBy::Tag, ["web..version", "", ""]),
            of_chart(PromoteBy::TagAndDigest, ["", "web.digest", ""]),
            of_chart(PromoteBy::Digest, ["web.version", "", ""]),
            of_chart(PromoteBy::None, ["web.version", "", ""]),
            told(PromoteBy::Tag, RenderKind::Kustomize, ["web.version", "", ""], &shop),
            told(PromoteBy::Tag, RenderKind::Auto, ["web.version", "", ""], &[]),
        ];
        insta::assert_snapshot!(wrong.join("\n"), @r#"
        reg.example/shop: no key: write tag = "web.version"
        reg.example/shop: whole has tag and digest in it: leave out whole, or the other two
        reg.example/shop: keys are written with dots between them, as web.image.tag
        reg.example/shop: promote.by writes a tag: write tag, or set promote.by = "digest"
        reg.example/shop: promote.by writes a digest: write digest, or set promote.by = "tag"
        promotion is off here, so no values are written: set promote.by, or leave it out
        keys of a chart's values, and render is not "helm": leave out one of the two
        "reg.example/shop" is not an image of [[application.image]] or [[application.follow_image]]
        "#);
    }
}
