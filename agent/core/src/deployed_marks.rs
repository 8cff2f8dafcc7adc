//! Which artifacts of a Harbor are marked as what an environment runs: by a label, by a tag, or both. (pure)
//!
//! Its retention selects by tag alone, so the tag is for that; the label is for people, and for programs that delete by its API.
//!
//! ```text
//! what environments run ─ wanted ─► by repository and environment: which images ─ changes ─► marks to set and to take off
//! ```
//!
//! The label of the environments called `prod` is `deployed-prod`; a tag of theirs is `deployed-prod-` and the beginning of the digest that
//! it is on, for a tag names one artifact and environments of one name may run several. Applications may share a repository, so
//! what all of them run counts together; and where it is not known of one what it runs, nothing loses a mark for it.

use std::collections::{BTreeMap, BTreeSet};

use quarterdeck_shared::application::EnvironmentName;
use serde::Deserialize;

use crate::image_ref::ImageRef;

/// What is known of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// How it is called in its application.
    pub environment: EnvironmentName,
    /// The images that it runs; none where that is not known yet.
    pub images: Option<Vec<String>>,
    /// Images that it ran before: in their repositories a label of it may be left.
    pub before: BTreeSet<String>,
}

/// How what runs is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A label of the project.
    Label,
    /// A tag.
    Tag,
}

/// Characters of a digest in a tag: as many as in a container's short id, too many to meet by chance in a repository.
const SHORT: usize = 12;

/// Where a mark is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The host.
    pub registry: String,
    /// The repository, with its project.
    pub repository: String,
    /// Of which environments.
    pub environment: EnvironmentName,
    /// Which.
    pub mark: Mark,
}

impl Place {
    /// The name of the label. Names of environments have 63 characters at most, and labels of Harbor 128.
    pub fn label(&self) -> String {
        format!("deployed-{}", self.environment)
    }

    /// The tag of an artifact: `deployed-prod-1f3c2a9b0d4e`. Tags have 128 characters at most, and this one 85.
    pub fn tag(&self, digest: &str) -> String {
        let (_, hex) = digest.split_once(':').unwrap_or(("", digest));
        format!("{}-{}", self.label(), hex.get(..SHORT).unwrap_or(hex))
    }

    /// The project that the artifacts are in.
    pub fn project(&self) -> &str {
        self.repository.split_once('/').map_or(&self.repository, |(project, _)| project)
    }

    /// The image of this digest or tag.
    pub fn image(&self, reference: &str) -> String {
        let separator = if reference.contains(':') { '@' } else { ':' };
        format!("{}/{}{separator}{reference}", self.registry, self.repository)
    }
}

/// What has a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Digests, and tags of what runs by its tag alone.
    pub references: BTreeSet<String>,
    /// Whether nothing else runs. Where it is not known of an environment, what has the mark keeps it.
    pub is_whole: bool,
}

/// The marks that are wanted of one kind, in the registries that have it.
pub fn wanted(all: &[Running], mark: Mark, has: impl Fn(&str) -> bool) -> BTreeMap<Place, Wanted> {
    let place = |environment: &EnvironmentName, text: &str| {
        let image = ImageRef::parse(text).ok()?;
        let is_placed = has(image.registry()) && image.repository().contains('/');
        let (registry, repository) = (image.registry().to_owned(), image.repository().to_owned());
        is_placed.then_some((Place { registry, repository, environment: environment.clone(), mark }, image))
    };
    let mut wanted: BTreeMap<Place, Wanted> = BTreeMap::new();
    for Running { environment, images, before } in all {
        for text in images.iter().flatten() {
            if let Some((place, image)) = place(environment, text) {
                let reference = image.digest().or(image.tag()).unwrap_or("latest").to_owned();
                wanted.entry(place).or_default().references.insert(reference);
            }
        }
        for (place, _) in before.iter().filter_map(|text| place(environment, text)) {
            wanted.entry(place).or_default();
        }
    }
    for (at, wanted) in &mut wanted {
        // One that never ran anything that is known may run anything.
        let may_run = |one: &Running| {
            let mut before = one.before.iter().filter_map(|text| place(&one.environment, text));
            one.before.is_empty() || before.any(|(place, _)| place == *at)
        };
        let unknown = |one: &&Running| one.environment == at.environment && one.images.is_none();
        wanted.is_whole = !all.iter().filter(unknown).any(may_run);
    }
    wanted
}

/// What is to be done in one place, by digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// These get the mark.
    pub set: BTreeSet<String>,
    /// These lose it.
    pub take_off: BTreeSet<String>,
}

/// From the digests that are to have a mark, and those that have it.
pub fn changes(wanted: &BTreeSet<String>, is_whole: bool, present: &BTreeSet<String>) -> Changes {
    let set = wanted.difference(present).cloned().collect();
    let take_off = present.difference(wanted).filter(|_| is_whole).cloned().collect();
    Changes { set, take_off }
}

/// The number of a project, in what Harbor tells of it.
///
/// # Errors
/// Where it is no project.
pub fn project_number(project: &[u8]) -> Result<i64, serde_json::Error> {
    #[derive(Deserialize)]
    struct Project {
        project_id: i64,
    }
    serde_json::from_slice(project).map(|Project { project_id }| project_id)
}

/// The number of the label of this name, in a list of labels: Harbor finds those that hold a name too.
///
/// # Errors
/// Where it is no list of labels.
pub fn label_number(labels: &[u8], name: &str) -> Result<Option<i64>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Label {
        id: i64,
        name: String,
    }
    let labels: Option<Vec<Label>> = serde_json::from_slice(labels)?;
    Ok(labels.into_iter().flatten().find(|label| label.name == name).map(|label| label.id))
}

/// The digests in a list of artifacts.
///
/// # Errors
/// Where it is no list of artifacts.
pub fn digests(artifacts: &[u8]) -> Result<BTreeSet<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Artifact {
        digest: String,
    }
    let artifacts: Option<Vec<Artifact>> = serde_json::from_slice(artifacts)?;
    Ok(artifacts.into_iter().flatten().map(|artifact| artifact.digest).collect())
}

/// The digests in a list of artifacts that have their tag of a place.
///
/// # Errors
/// Where it is no list of artifacts.
pub fn tagged(artifacts: &[u8], place: &Place) -> Result<BTreeSet<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Artifact {
        digest: String,
        tags: Option<Vec<Tag>>,
    }
    #[derive(Deserialize)]
    struct Tag {
        name: String,
    }
    let artifacts: Option<Vec<Artifact>> = serde_json::from_slice(artifacts)?;
    let has_its = |one: &Artifact| one.tags.iter().flatten().any(|tag| tag.name == place.tag(&one.digest));
    Ok(artifacts.into_iter().flatten().filter(has_its).map(|artifact| artifact.digest).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(of: char) -> String {
        format!("sha256:{}", of.to_string().repeat(64))
    }

    fn running(environment: &str, images: Option<&[&str]>, before: &[&str]) -> Running {
        let own = |all: &[&str]| all.iter().map(|image| (*image).to_owned()).collect::<Vec<_>>();
        Running {
            environment: environment.parse().unwrap(),
            images: images.map(own),
            before: own(before).into_iter().collect(),
        }
    }

    /// `shop/web deployed-prod: sha256:aaaa… +` of each place; `+` where nothing else runs.
    fn shown(all: &[Running]) -> Vec<String> {
        let shown =
            wanted(all, Mark::Label, |registry| registry == "harbor.example").into_iter().map(|(place, wanted)| {
                let references: Vec<&str> = wanted.references.iter().map(|one| one.get(..9).unwrap_or(one)).collect();
                format!(
                    "{} {}: {}{}",
                    place.repository,
                    place.label(),
                    references.join(" "),
                    if wanted.is_whole { "+" } else { "" }
                )
            });
        shown.collect()
    }

    #[test]
    fn what_all_environments_of_a_name_run_counts_together() {
        let web = |of| format!("harbor.example/shop/web:1@{}", digest(of));
        let (a, b) = (web('a'), web('b'));
        let shop = running("prod", Some(&[&a, "other.example/shop/web:1", "harbor.example/odd"]), &[]);
        let second = running("prod", Some(&[&b]), &["harbor.example/shop/old:1"]);
        let qa = running("qa", Some(&[&b, "harbor.example/team/tools/cli:2"]), &[]);
        assert_eq!(
            shown(&[shop, second, qa]),
            [
                "shop/old deployed-prod: +",
                "shop/web deployed-prod: sha256:aa sha256:bb+",
                "shop/web deployed-qa: sha256:bb+",
                "team/tools/cli deployed-qa: 2+"
            ]
        );
    }

    #[test]
    fn where_it_is_not_known_what_one_runs_nothing_loses_a_label() {
        let a = format!("harbor.example/shop/web@{}", digest('a'));
        let known = running("prod", Some(&[&a]), &[]);
        for (unknown, whole) in [
            (running("prod", None, &[]), ""),
            (running("prod", None, &["harbor.example/shop/web:1"]), ""),
            (running("qa", None, &[]), "+"),
        ] {
            let line = format!("shop/web deployed-prod: sha256:aa{whole}");
            assert_eq!(shown(&[known.clone(), unknown.clone()])[0], line, "{unknown:?}");
        }
        // One that was only ever elsewhere is in nobody's way.
        let elsewhere = running("prod", None, &["harbor.example/shop/api:1"]);
        assert_eq!(shown(&[known, elsewhere]), ["shop/api deployed-prod: ", "shop/web deployed-prod: sha256:aa+"]);
    }

    #[test]
    fn an_answer_is_read_as_far_as_it_is_one() {
        assert_eq!(project_number(br#"{"project_id":7,"name":"shop"}"#).unwrap(), 7);
        let labels = br#"[{"id":1,"name":"deployed-prod-eu"},{"id":2,"name":"deployed-prod"}]"#;
        assert_eq!(label_number(labels, "deployed-prod").unwrap(), Some(2));
        assert_eq!((label_number(labels, "deployed").unwrap(), label_number(b"null", "a").unwrap()), (None, None));
        assert_eq!(
            digests(br#"[{"digest":"a","tags":null},{"digest":"b"}]"#).unwrap(),
            ["a", "b"].map(str::to_owned).into()
        );
        for other in ["", "{}", "[{}]", "7"] {
            let other = other.as_bytes();
            assert!(project_number(other).is_err() && label_number(other, "a").is_err() && digests(other).is_err());
        }
    }

    #[test]
    fn an_image_is_named_by_its_digest_or_its_tag() {
        let (registry, repository) = ("harbor.example".to_owned(), "shop/team/web".to_owned());
        let place = Place { registry, repository, environment: "prod".parse().unwrap(), mark: Mark::Tag };
        assert_eq!(place.project(), "shop");
        assert_eq!(place.image(&digest('a')), format!("harbor.example/shop/team/web@{}", digest('a')));
        assert_eq!(place.image("1.4"), "harbor.example/shop/team/web:1.4");
        assert_eq!(place.tag(&digest('a')), "deployed-prod-aaaaaaaaaaaa");
    }

    #[test]
    fn an_artifact_has_its_tag_where_it_is_of_this_environment_and_of_its_digest() {
        let (registry, repository) = ("harbor.example".to_owned(), "shop/web".to_owned());
        let place = Place { registry, repository, environment: "prod".parse().unwrap(), mark: Mark::Tag };
        let artifact = |of, tags: &[&str]| {
            let tags: Vec<_> = tags.iter().map(|name| serde_json::json!({ "name": name })).collect();
            serde_json::json!({ "digest": digest(of), "tags": tags })
        };
        let answer = serde_json::json!([
            artifact('a', &["1.4.0", "deployed-prod-aaaaaaaaaaaa"]),
            // Of an environment `prod-cccccccccccc`; of another artifact, as who moves a tag leaves it; of none.
            artifact('c', &["deployed-prod-cccccccccccc-cccccccccccc"]),
            artifact('b', &["deployed-prod-aaaaaaaaaaaa", "deployed-prod"]),
            { "digest": digest('d'), "tags": null },
        ]);
        assert_eq!(tagged(answer.to_string().as_bytes(), &place).unwrap(), [digest('a')].into());
        assert_eq!(tagged(b"null", &place).unwrap(), BTreeSet::new());
        assert!(tagged(b"{}", &place).is_err());
    }

    proptest! {
        #[test]
        fn after_the_changes_what_runs_has_it_and_nothing_more_is_to_do(
            wanted in proptest::collection::btree_set("[a-e]", 0..5),
            present in proptest::collection::btree_set("[a-e]", 0..5),
            is_whole: bool,
        ) {
            let Changes { set, take_off } = changes(&wanted, is_whole, &present);
            let after: BTreeSet<String> = present.union(&set).filter(|one| !take_off.contains(*one)).cloned().collect();
            prop_assert!(after.is_superset(&wanted));
            if is_whole {
                prop_assert_eq!(&after, &wanted);
            } else {
                prop_assert!(after.is_superset(&present));
            }
            prop_assert_eq!(changes(&wanted, is_whole, &after), Changes::default());
        }
    }
}
