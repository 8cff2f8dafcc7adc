//! The image tag that a git tag gives, by a template.
//!
//! | placeholder | is |
//! | --- | --- |
//! | `{suffix}` | what the wildcards of the pattern matched: `1.4.0` of `build-1.4.0`; of a tag without, the short commit |
//! | `{tag}` | the whole git tag: `build-1.4.0` |
//! | `{commit}` | the commit, all digits |
//! | `{short_commit}` | its first twelve digits: in a repository of a million commits, two share them once in 500 |
//!
//! An image tag holds `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}` (OCI distribution). What does not fit is mapped: other
//! characters become `-`, a first `.` or `-` gets a `_` before it, the rest is cut. A mapped tag ends with `__` and a
//! hash of what was mapped, so that `build-a/b` and `build-a+b` do not become one image. A tag that another git tag of
//! the same kind, at another commit, would also give (`build-1.4.0` and `build/1.4.0`) ends with a hash of the git tag.

use std::collections::BTreeMap;

use quarterdeck_shared::revision::CommitId;
use sha2::{Digest, Sha256};

use super::TagRules;
use crate::git::TagRef;

/// The longest image tag.
const TAG_MAX: usize = 128;
/// Digits of a short commit in an image tag.
pub(super) const SHORT_COMMIT: usize = 12;
/// Hexadecimal digits of the hash: two of a thousand git tags share them once in two million repositories.
const HASH_DIGITS: usize = 10;
const HASH_MARK: &str = "__";

/// A template for image tags that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Suffix,
    Tag,
    Commit,
    ShortCommit,
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An unknown placeholder.
    #[error("`{{{0}}}` is not a placeholder of an image tag; use {{suffix}}, {{tag}}, {{commit}} and {{short_commit}}")]
    Unknown(String),
    /// A brace without its partner.
    #[error("the template `{0}` has a brace without its partner")]
    Brace(String),
    /// Every image would get one tag.
    #[error(
        "the template `{0}` gives one image tag for every git tag; use {{suffix}}, {{tag}} or {{short_commit}} in it"
    )]
    Constant(String),
}

impl TagTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let brace = || TemplateError::Brace(text.to_owned());
            let (before, from) = rest.split_at(open);
            let (name, after) = from.strip_prefix('{').and_then(|from| from.split_once('}')).ok_or_else(brace)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match name {
                "suffix" => Part::Suffix,
                "tag" => Part::Tag,
                "commit" => Part::Commit,
                "short_commit" => Part::ShortCommit,
                other => return Err(TemplateError::Unknown(other.to_owned())),
            });
            rest = after;
        }
        if parts.iter().all(|part| matches!(part, Part::Text(_))) {
            return Err(TemplateError::Constant(text.to_owned()));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    fn fill(&self, rules: &TagRules, tag: &str, commit: &CommitId) -> String {
        let short = &commit.as_str()[..SHORT_COMMIT];
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Suffix => rules.suffix(tag).unwrap_or(short).to_owned(),
            Part::Tag => tag.to_owned(),
            Part::Commit => commit.to_string(),
            Part::ShortCommit => short.to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

/// The image tag that the git tag `tag` at `commit` gives. `now` are all tags of the repository: one that would give
/// the same image tag for another commit makes both keep apart.
pub fn image_tag(
    rules: &TagRules,
    template: &TagTemplate,
    tag: &str,
    commit: &CommitId,
    now: &BTreeMap<String, TagRef>,
) -> String {
    let filled = template.fill(rules, tag, commit);
    let kind = rules.kind_of(tag);
    let shared = now.iter().any(|(other, at)| {
        let elsewhere = at.commit.as_ref().filter(|at| other != tag && *at != commit);
        elsewhere.is_some_and(|at| rules.kind_of(other) == kind && template.fill(rules, other, at) == filled)
    });
    let fit = fitted(&filled);
    // A tag that ends as marked ones do is marked too: else it could be the marked one of another.
    let marked = shared || fit != filled || looks_marked(&filled);
    if !marked {
        return fit;
    }
    // A build tag and the push tag of the same name give one image tag, so what does not fit is hashed without the name.
    let hash = Sha256::digest(if shared { tag.as_bytes() } else { filled.as_bytes() });
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let room = TAG_MAX - HASH_MARK.len() - HASH_DIGITS;
    let stem: String = fit.chars().take(room).collect();
    format!("{stem}{HASH_MARK}{}", &hash[..HASH_DIGITS])
}

/// The nearest text that an image tag can hold, all ASCII.
fn fitted(text: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let mut fit: String = text.chars().map(|c| if valid(c) { c } else { '-' }).collect();
    if fit.starts_with(['.', '-']) || fit.is_empty() {
        fit.insert(0, '_');
    }
    fit.truncate(TAG_MAX);
    fit
}

fn looks_marked(text: &str) -> bool {
    let hash = text.len().checked_sub(HASH_DIGITS).and_then(|at| text.split_at_checked(at));
    hash.is_some_and(|(stem, hash)| {
        stem.ends_with(HASH_MARK) && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use quarterdeck_shared::application::ExistingTags;

    use super::super::TriggerKind;
    use super::*;

    fn rules() -> TagRules {
        let texts = |texts: [&str; 3]| texts.map(str::to_owned);
        TagRules::new(&texts(["build", "build-*", "build/*"]), &texts(["push", "push-*", "push/*"]), ExistingTags::None)
            .unwrap()
    }

    fn commit(number: usize) -> CommitId {
        format!("{number:x}f3c2a9d1f3c")
            .chars()
            .chain(std::iter::repeat('0'))
            .take(40)
            .collect::<String>()
            .parse()
            .unwrap()
    }

    /// Each tag at a commit of its own, but those that name the same after `@`.
    fn tags(names: &[&str]) -> BTreeMap<String, TagRef> {
        let at = |(number, name): (usize, &&str)| {
            let (name, number) = name.split_once('@').map_or((*name, number), |(name, at)| (name, at.parse().unwrap()));
            let commit = commit(number);
            (name.to_owned(), TagRef { object: commit.as_str().parse().unwrap(), commit: Some(commit) })
        };
        names.iter().enumerate().map(at).collect()
    }

    fn check(template: &str, names: &[&str], expected: &[&str]) {
        let (now, template) = (tags(names), TagTemplate::parse(template).unwrap());
        for (name, expected) in names.iter().zip(expected) {
            let name = name.split('@').next().unwrap();
            let commit = now[name].commit.clone().unwrap();
            assert_eq!(image_tag(&rules(), &template, name, &commit, &now), *expected, "{name} of {names:?}");
        }
    }

    #[test]
    fn a_suffix_or_a_commit_names_the_image() {
        check("{suffix}", &["build-1.4.0"], &["1.4.0"]);
        check("{suffix}", &["push-1.4.0"], &["1.4.0"]);
        check("{suffix}", &["build"], &["0f3c2a9d1f3c"]);
        check("v{suffix}-{short_commit}", &["build-1.4.0"], &["v1.4.0-0f3c2a9d1f3c"]);
        check("{tag}", &["build-1.4.0"], &["build-1.4.0"]);
        check("{commit}", &["push"], &[commit(0).as_str()]);
    }

    #[test]
    fn what_an_image_tag_cannot_hold_is_mapped_and_marked() {
        check("{suffix}", &["build-a/b"], &["a-b__c14cddc033"]);
        check("{suffix}", &["build-.x"], &["_.x__bb42e4c602"]);
        let long = format!("build-{}", "x".repeat(200));
        let now = tags(&[&long]);
        let tag = image_tag(&rules(), &TagTemplate::parse("{suffix}").unwrap(), &long, &commit(0), &now);
        assert_eq!((tag.len(), tag.starts_with("xxx"), tag.contains("__")), (128, true, true), "{tag}");
    }

    #[test]
    fn two_git_tags_are_two_images() {
        let marks = |names: &[&str]| {
            let now = tags(names);
            let template = TagTemplate::parse("{suffix}").unwrap();
            let tag = |name: &&str| {
                let name = name.split('@').next().unwrap();
                image_tag(&rules(), &template, name, &now[name].commit.clone().unwrap(), &now)
            };
            names.iter().map(tag).map(|tag| tag.contains("__")).collect::<Vec<_>>()
        };
        assert_eq!(marks(&["build-1.4.0", "build/1.4.0"]), [true, true]);
        assert_eq!(marks(&["build-1.4.0@7", "build/1.4.0@7"]), [false, false], "one commit is one image");
        assert_eq!(marks(&["build-1.4.0", "push-1.4.0"]), [false, false], "a push is of what was built");
        assert_eq!(marks(&["build-1__0123456789"]), [true]);
    }

    #[test]
    fn templates_that_cannot_work_are_refused() {
        for (text, told) in [
            ("{sufix}", "`{sufix}` is not a placeholder"),
            ("{suffix", "has a brace without its partner"),
            ("suffix}", "has a brace without its partner"),
            ("latest", "gives one image tag for every git tag"),
            ("", "gives one image tag for every git tag"),
        ] {
            let error = TagTemplate::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn different_commits_never_share_an_image_tag(
            names in prop::collection::btree_set("(build|push)([-/][a-c1/+.é_-]{0,4})?", 1..12),
            long in prop::collection::btree_set("build-x{120,130}[/+]", 0..3),
            template in prop::sample::select(vec!["{suffix}", "{tag}", "v{suffix}", "{suffix}-{short_commit}"]),
        ) {
            let names: Vec<&str> = names.iter().chain(&long).map(String::as_str).collect();
            let (now, template) = (tags(&names), TagTemplate::parse(template).unwrap());
            for kind in [TriggerKind::Build, TriggerKind::Push] {
                let mut taken: HashMap<String, &str> = HashMap::new();
                for (name, at) in now.iter().filter(|(name, _)| rules().kind_of(name) == Some(kind)) {
                    let tag = image_tag(&rules(), &template, name, at.commit.as_ref().unwrap(), &now);
                    let first = tag.bytes().next().unwrap();
                    prop_assert!(first.is_ascii_alphanumeric() || first == b'_', "{}", tag);
                    prop_assert!(tag.len() <= 128 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)), "{}", tag);
                    if let Some(other) = taken.insert(tag.clone(), name) {
                        prop_assert!(false, "{} and {} are both {}", name, other, tag);
                    }
                }
            }
        }
    }
}
