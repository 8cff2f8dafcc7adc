//! What a Harbor tells of a project before an image is built that is to be pushed into it, and whether the push can succeed. (pure)
//!
//! A project that does not exist, a quota that is used up, and a tag that may not be overwritten are told before a build takes its
//! time. What Harbor does not tell is no reason to refuse: the push finds it out.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;
use serde::Deserialize;

use crate::image_ref::ImageRef;
use crate::immutable_tags::Rules;

/// The storage of a project, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What it may need; below zero where it has no limit.
    pub hard: i64,
    /// What it needs.
    pub used: i64,
}

/// What is known of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Project {
    /// There is none of this name.
    Missing,
    /// It is there, with this quota where Harbor shows one.
    There(Option<Quota>),
}

/// Why an image cannot be pushed, whatever is built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its name has no project.
    #[error("the image {image} is in no project of the Harbor registry {registry}")]
    Unplaced {
        /// The host.
        registry: String,
        /// The image.
        image: String,
    },
    /// The registry does not have it.
    #[error("the Harbor registry {registry} has no project {project}")]
    NoProject {
        /// The host.
        registry: String,
        /// Its name.
        project: String,
    },
    /// Nothing more may be stored.
    #[error("the quota of the project {project} of the registry {registry} is used up: {used} of {hard}")]
    Full {
        /// The host.
        registry: String,
        /// Its name.
        project: String,
        /// What it needs, with a unit.
        used: String,
        /// What it may need, with a unit.
        hard: String,
    },
    /// Harbor refuses the push of a tag that is there, of the same image too.
    #[error("the tag {tag} of {image} exists and is immutable, so the push would be refused")]
    Immutable {
        /// The name without the tag.
        image: String,
        /// The tag.
        tag: String,
        /// The project.
        project: String,
        /// The rule, as people read it.
        rule: String,
    },
}

impl Hint for Refusal {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Unplaced { registry, .. } => format!("name the image {registry}/PROJECT/NAME").into(),
            Self::NoProject { project, .. } => {
                format!("create the project {project} in Harbor, or correct the name of the image").into()
            }
            Self::Full { .. } => {
                "raise the quota of the project, or delete old images and let Harbor collect garbage; then `qd runs retry`"
                    .into()
            }
            Self::Immutable { project, rule, .. } => format!(
                "push another version, or change the rule in the project {project} in Harbor under Policy, Tag Immutability: {rule}"
            )
            .into(),
        }
    }
}

/// The project that an image is in: the first part of its repository.
///
/// # Errors
/// Where its name has none.
pub fn project(image: &ImageRef) -> Result<&str, Refusal> {
    let unplaced = || Refusal::Unplaced { registry: image.registry().to_owned(), image: image.name() };
    image.repository().split_once('/').map(|(project, _)| project).ok_or_else(unplaced)
}

/// The quota in the summary of a project; none where Harbor has none for it, or does not show it to who asks.
///
/// # Errors
/// Where it is no summary of a project.
pub fn quota(summary: &[u8]) -> Result<Option<Quota>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Summary {
        quota: Option<Both>,
    }
    #[derive(Deserialize)]
    struct Both {
        hard: Option<Resources>,
        used: Option<Resources>,
    }
    #[derive(Deserialize)]
    struct Resources {
        storage: Option<i64>,
    }
    let Summary { quota } = serde_json::from_slice(summary)?;
    let Some(Both { hard: Some(hard), used: Some(used) }) = quota else { return Ok(None) };
    Ok(hard.storage.zip(used.storage).map(|(hard, used)| Quota { hard, used }))
}

/// Whether an image can be pushed into a project of which this is known. What is not built needs no more room than the push of it
/// finds out: its layers may be there already.
///
/// # Errors
/// Where it cannot.
pub fn judge(registry: &str, project: &str, known: Project, is_built: bool) -> Result<(), Refusal> {
    let (registry, project) = (registry.to_owned(), project.to_owned());
    match known {
        Project::Missing => Err(Refusal::NoProject { registry, project }),
        Project::There(Some(Quota { hard, used })) if is_built && hard >= 0 && used >= hard => {
            Err(Refusal::Full { registry, project, used: size(used), hard: size(hard) })
        }
        Project::There(_) => Ok(()),
    }
}

/// What refuses the push of an image whose tag is there, by these rules of its project.
pub fn overwrites(image: &ImageRef, rules: &Rules) -> Option<Refusal> {
    let (project, repository) = image.repository().split_once('/')?;
    let tag = image.tag()?;
    let rule = rules.holding(repository, tag)?;
    Some(Refusal::Immutable { image: image.name(), tag: tag.to_owned(), project: project.to_owned(), rule })
}

/// As Harbor shows sizes.
fn size(bytes: i64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.1} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: i64 = 1 << 30;

    fn there(hard: i64, used: i64) -> Project {
        Project::There(Some(Quota { hard, used }))
    }

    #[test]
    fn what_cannot_be_pushed_is_refused_with_what_to_do() {
        let full = |sizes: &str| {
            Some(format!("the quota of the project shop of the registry registry.example is used up: {sizes}"))
        };
        let missing = Some("the Harbor registry registry.example has no project shop".to_owned());
        for (known, is_built, told) in [
            (Project::Missing, true, missing.clone()),
            (Project::Missing, false, missing),
            (Project::There(None), true, None),
            (there(-1, 10 * GIB), true, None),
            (there(10 * GIB, 10 * GIB - 1), true, None),
            (there(10 * GIB, 10 * GIB), true, full("10.0 GiB of 10.0 GiB")),
            (there(5 << 20, GIB + GIB / 2), true, full("1.5 GiB of 5.0 MiB")),
            (there(0, 0), true, full("0.0 MiB of 0.0 MiB")),
            (there(10 * GIB, 10 * GIB), false, None),
        ] {
            let refusal = judge("registry.example", "shop", known, is_built).err();
            assert_eq!(refusal.as_ref().map(ToString::to_string), told, "{known:?} {is_built}");
            assert!(refusal.is_none_or(|refusal| !refusal.hint().is_empty()));
        }
    }

    #[test]
    fn the_project_is_the_first_part_of_the_repository() {
        let image = |name: &str| ImageRef::parse(name).unwrap();
        assert_eq!(project(&image("registry.example/shop/team/web:1")), Ok("shop"));
        let refusal = project(&image("registry.example/web:1")).map(str::to_owned).unwrap_err();
        let told = "the image registry.example/web is in no project of the Harbor registry registry.example";
        assert_eq!(refusal.to_string(), told);
        assert_eq!(refusal.hint(), "name the image registry.example/PROJECT/NAME");
    }

    #[test]
    fn a_tag_that_may_not_be_overwritten_is_refused_with_its_rule() {
        let rules = br#"[{"tag_selectors":[{"decoration":"matches","pattern":"1.*"}],
            "scope_selectors":{"repository":[{"decoration":"repoMatches","pattern":"team/*"}]}}]"#;
        let rules = Rules::read(rules).unwrap();
        let refusal = |name: &str| overwrites(&ImageRef::parse(name).unwrap(), &rules);
        let refused = refusal("registry.example/shop/team/web:1.4.0").unwrap();
        let told =
            "the tag 1.4.0 of registry.example/shop/team/web exists and is immutable, so the push would be refused";
        assert_eq!(refused.to_string(), told);
        assert_eq!(
            refused.hint(),
            "push another version, or change the rule in the project shop in Harbor under Policy, Tag Immutability: \
             tags matching \"1.*\" of repositories matching \"team/*\""
        );
        for free in
            ["registry.example/shop/web:1.4.0", "registry.example/shop/team/web:2.0", "registry.example/shop/team/web"]
        {
            assert_eq!(refusal(free), None, "{free}");
        }
    }

    #[test]
    fn a_quota_is_read_where_it_is_shown() {
        for (summary, known) in [
            (
                r#"{"repo_count":2,"quota":{"hard":{"storage":7},"used":{"storage":3}}}"#,
                Some(Quota { hard: 7, used: 3 }),
            ),
            (r#"{"quota":{"hard":{"storage":-1},"used":{"storage":0}}}"#, Some(Quota { hard: -1, used: 0 })),
            (r#"{"quota":{"hard":{"count":7},"used":{"storage":3}}}"#, None),
            (r#"{"quota":{"hard":{"storage":7}}}"#, None),
            (r#"{"quota":null}"#, None),
            (r#"{"repo_count":2}"#, None),
        ] {
            assert_eq!(quota(summary.as_bytes()).unwrap(), known, "{summary}");
        }
        for other in ["", "[", "[1]", "7", r#"{"quota":{"hard":{"storage":"7"},"used":{"storage":3}}}"#] {
            assert!(quota(other.as_bytes()).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn room_that_is_left_refuses_nothing(hard in 1..i64::MAX, part in 0.0..1.0_f64, is_built: bool) {
            let used = ((hard as f64 * part) as i64).min(hard - 1);
            prop_assert_eq!(judge("r", "p", there(hard, used), is_built), Ok(()));
            prop_assert!(judge("r", "p", there(used, hard), true).is_err());
        }
    }
}
