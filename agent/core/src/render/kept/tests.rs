use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use quarterdeck_shared::application::{
    EnvironmentSource, EnvironmentSpec, FilesSpec, Follow, HelmSpec, JsonnetSpec, RenderKind,
};
use quarterdeck_shared::error::{Failure, Hint as _, chain};
use quarterdeck_shared::resource::ResourceRef;
use serde_json::json;

use super::depends::{Answer, Depends, Fit, KindSeen, Now, Seen};
use super::noting::{Noted, Noting};
use super::surplus::{Bounds, Item, surplus};
use super::*;
use crate::hooks::{DeletePolicy, Event, Hook, Moment, When};
use crate::render::built::BuildFailure;
use crate::render::chart::ChartError;
use crate::render::helm::HelmError;
use crate::render::kustomize::{KustomizationError, KustomizeError};
use crate::render::tests::try_render_by;
use crate::render::{RenderError, Rendered};
use crate::sync::confidential::Confidential;
use crate::sync::manifest::Manifest;
use crate::tree::memory::Files;

fn manifest(kind: &str, object: serde_json::Value) -> Manifest {
    let resource = ResourceRef::new("", kind, Some("prod"), "a");
    Manifest::new(resource, "v1".to_owned(), object, "apps/shop/a.yaml, document 2".into())
}

fn rendered(objects: Vec<serde_json::Value>) -> Rendered {
    let manifests = objects.into_iter().map(|object| manifest("ConfigMap", object)).collect();
    let (hooks, notes, inputs) = (Vec::new(), vec!["a note".to_owned()], vec!["apps/shop".to_owned()]);
    Rendered { manifests, hooks, on_demand: Vec::new(), notes, inputs, asks_capabilities: true }
}

fn again(rendered: &Rendered, before: Option<&Confidential>) -> Rendered {
    let bytes = entry::write(&Depends::default(), Ok(rendered)).expect("it can be kept");
    entry::read(&bytes).unwrap().outcome(before).unwrap().unwrap()
}

#[test]
fn nothing_of_a_render_is_lost() {
    let large = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "x".repeat(20_000), "n": 0.1 } });
    let mut whole = rendered(vec![json!({ "apiVersion": "v1", "kind": "ConfigMap" }), large]);
    let moments = vec![Moment { event: Event::Upgrade, when: When::Before }];
    whole.hooks.push(Hook {
        manifest: manifest("Job", json!({ "apiVersion": "batch/v1", "kind": "Job" })),
        moments,
        weight: -5,
        deleted: DeletePolicy { before_creation: true, succeeded: false, failed: true },
        timeout: Duration::from_millis(1_500),
    });
    assert_eq!(again(&whole, None), whole);
    assert_eq!(again(&whole, None).digest(), whole.digest());

    // What is hidden stays hidden, and what was live before is hidden with it.
    let mut confidential = Confidential::default();
    confidential.keep("hunter22");
    confidential.keep_in_messages("only in a Secret");
    whole.hide(&Arc::new(confidential));
    let mut before = Confidential::default();
    before.keep("hunter21");
    let read = again(&whole, Some(&before));
    for manifest in read.all() {
        assert_eq!(manifest.scrub("hunter22, hunter21, only in a Secret"), "***, ***, ***");
        let hides = manifest.confidential.as_ref().unwrap();
        assert!(hides.is_in("hunter22") && hides.is_in("hunter21") && !hides.is_in("only in a Secret"));
    }
    assert_eq!(read.digest(), whole.digest());
}

proptest! {
    #[test]
    fn any_object_is_read_back_the_same(texts in prop::collection::btree_map(".*", ".*", 0..8), number in any::<f64>()) {
        let whole = rendered(vec![json!({ "data": texts, "number": number })]);
        let read = again(&whole, None);
        prop_assert_eq!(read.digest(), whole.digest());
        prop_assert_eq!(read, whole);
    }
}

#[test]
fn a_failure_is_kept_where_the_files_are_why() {
    #[derive(Debug, thiserror::Error)]
    #[error("it is not there")]
    struct Away;
    impl quarterdeck_shared::error::Hint for Away {
        fn hint(&self) -> std::borrow::Cow<'_, str> {
            "".into()
        }
    }
    let path = || "apps/shop".to_owned();
    let kustomize = |source: KustomizeError| RenderError::Kustomize { path: path(), source };
    let helm = |source: HelmError| RenderError::Helm { path: path(), source: Box::new(source) };
    let sops = crate::sops::SopsError::Metadata("none".to_owned());
    for (error, is_outage, is_lasting) in [
        (RenderError::Read { path: path(), source: Away.into() }, true, false),
        (kustomize(BuildFailure::new(Away).into()), true, false),
        (kustomize(BuildFailure::of_the_files(Away).into()), false, true),
        (kustomize(KustomizationError::Read { path: path(), source: Away.into() }.into()), true, false),
        (kustomize(KustomizationError::TooManyFiles.into()), false, true),
        (helm(BuildFailure::new(Away).into()), true, false),
        (helm(BuildFailure::of_the_files(Away).into()), false, true),
        (helm(ChartError::Read { path: path(), source: Away.into() }.into()), true, false),
        (helm(HelmError::Changes { objects: vec!["Secret/a".to_owned()] }), false, false),
        (helm(HelmError::TooManyHooks { count: 1_000 }), false, true),
        (RenderError::Decrypt { path: path(), source: Arc::new(sops) }, false, false),
        (RenderError::NoFolder { path: path() }, false, true),
        (RenderError::Empty { path: path(), why: "none".to_owned() }, false, true),
    ] {
        assert_eq!((error.is_outage(), error.is_lasting()), (is_outage, is_lasting), "{error:?}");
    }
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let deep = (0..200).fold(json!("x"), |inner, _| json!([inner]));
    assert!(entry::write(&Depends::default(), Ok(&rendered(vec![json!({ "a": deep })]))).is_none());
    assert!(entry::read(b"{}").is_err() && entry::read(b"").is_err());
}

#[test]
fn a_failure_is_told_again_in_the_same_words() {
    let error = RenderError::Variable {
        origin: "apps/shop/a.yaml".to_owned(),
        object: "ConfigMap/a".to_owned(),
        source: crate::variables::ExpressionError::Unset("REGION".to_owned()),
    };
    let bytes = entry::write(&Depends::default(), Err(&error)).unwrap();
    let told = entry::read(&bytes).unwrap().outcome(None).unwrap().unwrap_err();
    assert_eq!((chain(&told), told.hint()), (chain(&error), error.hint()));
    assert_eq!(Failure::of(&told).message, Failure::of(&error).message);
    let RenderError::Again(failed) = &told else { panic!("{told:?}") };
    assert!(failed.may_pass(), "a variable may get a value without a commit");
    let twice = entry::write(&Depends::default(), Err(&told)).unwrap();
    assert_eq!(twice, bytes, "what is told again is kept as it was");

    let unknown = RenderError::UnknownKind {
        origin: "a.yaml".to_owned(),
        api_version: "example.com/v1".to_owned(),
        kind: "Pot".to_owned(),
    };
    let bytes = entry::write(&Depends::default(), Err(&unknown)).unwrap();
    let told = entry::read(&bytes).unwrap().outcome(None).unwrap().unwrap_err();
    assert!(matches!(told, RenderError::UnknownKind { .. }), "the kind is looked for again: {told:?}");
}

/// How things are, one part of which is changed by each row.
#[derive(Clone)]
struct Things {
    agent: &'static str,
    chart: Option<&'static str>,
    files: BTreeMap<&'static str, Seen>,
    pot: Answer,
    capabilities: Option<&'static str>,
    helm: Option<&'static str>,
    tag: &'static str,
}

impl Now for Things {
    fn elsewhere(&self, asked: &str) -> Option<String> {
        (asked == "git forge v1").then(|| self.tag.to_owned())
    }

    fn agent(&self) -> &str {
        self.agent
    }

    fn chart(&self) -> Option<&str> {
        self.chart
    }

    fn seen(&self, path: &str, _: &Seen) -> Option<Seen> {
        self.files.get(path).cloned()
    }

    fn kind(&self, _: &str, _: &str) -> Answer {
        self.pot
    }

    fn capabilities(&self) -> Option<String> {
        self.capabilities.map(str::to_owned)
    }

    fn program(&self, name: &str) -> Option<String> {
        self.helm.filter(|_| name == "helm").map(str::to_owned)
    }
}

#[test]
fn a_render_is_used_again_while_all_that_had_a_say_is_so() {
    let pot = Answer { cluster_scoped: Some(true), has_status: Some(false) };
    let content = |id: &str| Seen::Content(id.to_owned());
    let files =
        [("apps/shop", content("1")), ("values.yaml", content("2")), ("none", Seen::Absent), ("up", Seen::Folder)];
    let now = Things {
        agent: "1",
        chart: Some("podinfo 6"),
        files: files.clone().into_iter().collect(),
        pot,
        capabilities: Some("c"),
        helm: Some("helm 3"),
        tag: "1f3c",
    };
    let kind = KindSeen { group: "example.com".to_owned(), kind: "Pot".to_owned(), answer: pot, own: false };
    let depends = Depends {
        agent: "1".to_owned(),
        chart: Some("podinfo 6".to_owned()),
        elsewhere: vec![("git forge v1".to_owned(), "1f3c".to_owned())],
        files: files.map(|(path, seen)| (path.to_owned(), seen)).to_vec(),
        kinds: vec![kind.clone()],
        capabilities: Some("c".to_owned()),
        programs: vec![("helm".to_owned(), "helm 3".to_owned())],
    };
    let with = |path: &'static str, seen: Option<Seen>| {
        let mut files = now.files.clone();
        match seen {
            Some(seen) => drop(files.insert(path, seen)),
            None => drop(files.remove(path)),
        }
        Things { files, ..now.clone() }
    };
    let cases = [
        ("all is so", now.clone(), Fit::Same),
        ("another agent", Things { agent: "2", ..now.clone() }, Fit::ByOthers),
        ("another helm", Things { helm: Some("helm 4"), ..now.clone() }, Fit::ByOthers),
        ("no helm", Things { helm: None, ..now.clone() }, Fit::ByOthers),
        ("another version of the chart", Things { chart: Some("podinfo 7"), ..now.clone() }, Fit::Other),
        ("a tag that is another commit", Things { tag: "9e2b", ..now.clone() }, Fit::Other),
        ("another file", with("values.yaml", Some(content("3"))), Fit::Other),
        ("a file that came", with("none", Some(content("4"))), Fit::Other),
        ("a file that went", with("values.yaml", Some(Seen::Absent)), Fit::Other),
        ("no folder any more", with("up", Some(content("5"))), Fit::Other),
        ("a repository that cannot be read", with("values.yaml", None), Fit::Other),
        ("a kind that is not served any more", Things { pot: Answer::default(), ..now.clone() }, Fit::Other),
        ("another Kubernetes", Things { capabilities: Some("d"), ..now.clone() }, Fit::Other),
        ("a cluster that does not say", Things { capabilities: None, ..now.clone() }, Fit::Other),
    ];
    for (what, now, expected) in cases {
        assert_eq!(depends.fit(&now), expected, "{what}");
    }
    // What defines its own kind does not care whether it is served yet, but that it is served as it says.
    let own = Depends { kinds: vec![KindSeen { own: true, ..kind }], ..depends };
    let other = Answer { cluster_scoped: Some(false), ..pot };
    for (pot, expected) in [(pot, Fit::Same), (Answer::default(), Fit::Same), (other, Fit::Other)] {
        assert_eq!(own.fit(&Things { pot, ..now.clone() }), expected, "{pot:?}");
    }
}

#[test]
fn each_option_that_has_a_say_is_asked_for() {
    let environment = "shop/prod".parse().unwrap();
    let spec = EnvironmentSpec::new("prod".parse().unwrap(), "/r".to_owned(), "shop".to_owned());
    let ask = |spec: &EnvironmentSpec, variables: Option<[u8; 32]>, keys: &[String]| {
        Request { environment: &environment, spec, variables: variables.map(ContentDigest), keys }.material()
    };
    let same = ask(&spec, None, &[]);
    let policy = EnvironmentSpec { protected: true, create_namespace: true, ..spec.clone() };
    assert_eq!(ask(&policy, None, &[]), same, "what a sync may do has no say in what is rendered");
    let values = json!({ "replicas": 2 }).as_object().unwrap().clone();
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let source = |path: &str| EnvironmentSource {
        name: "values".parse().unwrap(),
        repository: "/v".to_owned(),
        follow: Follow::Default,
        artifact: None,
        path: path.to_owned(),
        bundled: false,
    };
    let others = [
        ask(&EnvironmentSpec { path: "apps".to_owned(), ..spec.clone() }, None, &[]),
        ask(&EnvironmentSpec { render: RenderKind::Plain, ..spec.clone() }, None, &[]),
        ask(&EnvironmentSpec { namespace: "other".to_owned(), ..spec.clone() }, None, &[]),
        ask(&EnvironmentSpec { helm: HelmSpec { values, ..HelmSpec::default() }, ..spec.clone() }, None, &[]),
        ask(
            &EnvironmentSpec { files: FilesSpec { include: own(&["*.yaml"]), exclude: own(&[]) }, ..spec.clone() },
            None,
            &[],
        ),
        ask(
            &EnvironmentSpec { files: FilesSpec { include: own(&[]), exclude: own(&["*.yaml"]) }, ..spec.clone() },
            None,
            &[],
        ),
        ask(
            &EnvironmentSpec {
                jsonnet: JsonnetSpec { libs: own(&["vendor"]), ..JsonnetSpec::default() },
                ..spec.clone()
            },
            None,
            &[],
        ),
        ask(&EnvironmentSpec { age_keys_only: true, ..spec.clone() }, None, &[]),
        ask(&EnvironmentSpec { sources: vec![source("")], ..spec.clone() }, None, &[]),
        ask(&EnvironmentSpec { sources: vec![source("prod")], ..spec.clone() }, None, &[]),
        ask(&spec, Some([1; 32]), &[]),
        ask(&spec, None, &["age.txt 189".to_owned()]),
    ];
    let different: std::collections::BTreeSet<&String> = others.iter().chain([&same]).collect();
    assert_eq!(different.len(), others.len() + 1, "{different:?}");
}

#[test]
fn a_render_that_fails_depends_on_what_it_saw() {
    let files =
        Files::new(&[("apps/shop/a.yaml", "apiVersion: v1\nkind: ConfigMap\n"), ("apps/other/b.yaml", "c: d\n")]);
    let tree = Noting::new(&files);
    let nobody = &super::super::tests::Nobody;
    try_render_by(nobody, "apps/shop", RenderKind::Auto, &HelmSpec::default(), &tree).unwrap_err();
    let noted = tree.finish().unwrap();
    assert_eq!(noted.get("apps/shop"), Some(&Noted::Listed));
    assert_eq!(noted.get("apps/shop/Chart.yaml"), Some(&Noted::Seen(Seen::Absent)), "one may come");
    assert!(!noted.keys().any(|path| path.starts_with("apps/other")), "{noted:?}");
    let now = |path: &str| (path != "gone").then(|| Seen::Content(format!("now {path}")));
    let all = noting::files(&noted, None, now).unwrap();
    assert!(all.contains(&("apps/shop".to_owned(), Seen::Content("now apps/shop".to_owned()))), "{all:?}");
    assert!(all.contains(&("apps/shop/Chart.yaml".to_owned(), Seen::Absent)), "{all:?}");
    // One that succeeds says itself what it read; what it missed elsewhere counts beside that.
    let noted = [("apps/shop/none.yaml", Seen::Absent), ("base/none.yaml", Seen::Absent), ("base", Seen::Folder)];
    let noted = noted.map(|(path, seen)| (path.to_owned(), Noted::Seen(seen))).into_iter().collect();
    let files = noting::files(&noted, Some(&["apps/shop".to_owned()]), now).unwrap();
    let expected = [("apps/shop", Seen::Content("now apps/shop".to_owned())), ("base/none.yaml", Seen::Absent)];
    assert_eq!(files, expected.map(|(path, seen)| (path.to_owned(), seen)));
    assert_eq!(noting::files(&noted, Some(&["gone".to_owned()]), now), None, "what cannot be read is not kept");
}

fn item(name: &str, bytes: u64, used: u64) -> Item {
    Item { name: name.to_owned(), bytes, used }
}

#[test]
fn the_oldest_unused_goes_first() {
    let items = vec![item("a-1", 40, 10), item("a-2", 40, 30), item("b-1", 40, 20), item("b-2", 40, 5)];
    let bounds = Bounds { bytes: 160, age: 1_000, of_a_group: 10, newest_stays: false };
    for (what, bounds, now, gone) in [
        ("all fit", bounds, 40, vec![]),
        ("too many bytes", Bounds { bytes: 130, ..bounds }, 40, vec!["b-2"]),
        ("room is made for more than the next", Bounds { bytes: 120, ..bounds }, 40, vec!["a-1", "b-2"]),
        ("too old", Bounds { age: 25, ..bounds }, 40, vec!["a-1", "b-2"]),
        ("but never the newest of a group", Bounds { age: 0, newest_stays: true, ..bounds }, 40, vec!["a-1", "b-2"]),
        ("too many of a group", Bounds { of_a_group: 1, ..bounds }, 40, vec!["a-1", "b-2"]),
        ("nothing is to be kept", Bounds { bytes: 0, ..bounds }, 40, vec!["a-2", "b-1", "a-1", "b-2"]),
        ("a clock that was set back", Bounds { age: 25, ..bounds }, 0, vec![]),
    ] {
        assert_eq!(surplus(items.clone(), bounds, now), gone, "{what}");
    }
}

proptest! {
    #[test]
    fn what_stays_is_within_the_bounds_and_newer_than_what_goes_for_want_of_room(
        items in prop::collection::vec((0..4_u8, 0..100_u64, 0..1_000_u64), 0..40), bytes in 0..2_000_u64,
    ) {
        let items: Vec<Item> = items
            .into_iter()
            .enumerate()
            .map(|(nth, (group, bytes, used))| item(&format!("{group}-{nth}"), bytes, used))
            .collect();
        let bounds = Bounds { bytes, age: u64::MAX, of_a_group: usize::MAX, newest_stays: false };
        let gone = surplus(items.clone(), bounds, 1_000);
        let (gone, stay): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| gone.contains(&item.name));
        prop_assert!(stay.iter().map(|item| item.bytes).sum::<u64>() <= bytes);
        let oldest = stay.iter().map(|item| item.used).min().unwrap_or(u64::MAX);
        prop_assert!(gone.iter().all(|item| item.used <= oldest));
    }
}
