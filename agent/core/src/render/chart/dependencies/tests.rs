use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use quarterdeck_shared::error::{Failure, Hint};
use sha2::{Digest as _, Sha256};

use super::super::{DEPENDENCIES_MAX, chart};
use super::*;
use crate::charts::address::Repository;
use crate::render::built::BuildFailure;
use crate::render::elsewhere::{Packaged, Refusal};
use crate::tree::memory::Files;

/// Has some charts, and notes which were asked for.
#[derive(Default)]
struct Shelf(Mutex<Vec<String>>);

#[derive(Debug, thiserror::Error)]
#[error("https://away.example is unreachable")]
struct Away;

impl Hint for Away {
    fn hint(&self) -> std::borrow::Cow<'_, str> {
        "wait".into()
    }
}

impl Elsewhere for Shelf {
    fn dependency(
        &self,
        named: &DependencyRepository,
        repository: &Repository,
        name: &str,
        version: &str,
    ) -> Result<Packaged, Refusal> {
        if repository.to_string().contains("away.example") {
            return Err(Refusal::Failed(BuildFailure::new(Away)));
        }
        let by = named.username.as_deref().unwrap_or("nobody");
        self.0.lock().unwrap().push(format!("{name} {version} of {repository} as {by}"));
        let template = if name == "random" { "{{ randAlphaNum 8 }}" } else { "a: b" };
        let archive = vec![b'x'; if name == "huge" { 20 << 20 } else { 10 }];
        let files = Files::new(&[("Chart.yaml", ""), ("templates/a.yaml", template)]);
        Ok(Packaged { archive: archive.into(), files: Arc::new(files) })
    }
}

const CHARTS: &str = "https://charts.example";

/// A dependency as helm writes it into either file.
fn one(name: &str, version: &str, repository: &str) -> String {
    format!("{{\"name\":\"{name}\",\"version\":\"{version}\",\"repository\":\"{repository}\"}}")
}

/// A lock file for a list of dependencies.
fn locked(asked: &[String], locked: &[String]) -> String {
    let json = format!("[[{}],[{}]]", asked.join(","), locked.join(","));
    let json = [("<", "\\u003c"), (">", "\\u003e")].iter().fold(json, |json, (from, to)| json.replace(from, to));
    let digest: String = Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("dependencies: [{}]\ndigest: sha256:{digest}\n", locked.join(","))
}

/// A chart that depends on these, each with the version that is locked.
fn depending(on: &[(&str, &str, &str, &str)]) -> Vec<(String, String)> {
    let asked: Vec<String> = on.iter().map(|(name, range, _, repository)| one(name, range, repository)).collect();
    let versions: Vec<String> =
        on.iter().map(|(name, _, version, repository)| one(name, version, repository)).collect();
    let about = format!("apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies: [{}]\n", asked.join(","));
    vec![("shop/Chart.yaml".to_owned(), about), ("shop/Chart.lock".to_owned(), locked(&asked, &versions))]
}

fn from(addresses: &[&str]) -> Vec<DependencyRepository> {
    let named = |address: &&str| {
        let (repository, username) = address.split_once(' ').unwrap_or((address, ""));
        let username = (!username.is_empty()).then(|| username.to_owned());
        DependencyRepository { repository: repository.to_owned(), username, password_env: None, password_file: None }
    };
    addresses.iter().map(named).collect()
}

/// What was asked for, and the chart or what is said.
fn found(files: &[(String, String)], addresses: &[&str]) -> (Vec<String>, Result<Chart, String>) {
    let (shelf, named) = (Shelf::default(), from(addresses));
    let files: BTreeMap<&str, &str> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let files: Vec<(&str, &str)> = files.into_iter().collect();
    let fetching = Fetching { from: &named, elsewhere: &shelf };
    let chart = chart(&Files::new(&files), "shop", &[], Some(fetching));
    (shelf.0.into_inner().unwrap(), chart.map_err(|error| Failure::of(&error).to_string()))
}

fn told(files: &[(String, String)], addresses: &[&str]) -> String {
    found(files, addresses).1.expect_err("it is refused")
}

fn archives(chart: &Chart) -> Vec<&str> {
    chart.archives.keys().map(String::as_str).collect()
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn what_is_locked_is_fetched_from_where_it_is_allowed() {
    let registry = "oci://registry.example/team/charts";
    let files = depending(&[
        ("redis", ">=17 <18", "17.3.0", CHARTS),
        ("redis", "^18", "18.1.2", CHARTS),
        ("common", "2.x", "2.0.1", registry),
    ]);
    let (asked, chart) =
        found(&files, &["https://charts.example", "oci://registry.example", "oci://registry.example/team robot"]);
    let chart = chart.unwrap();
    assert_eq!(
        archives(&chart),
        ["shop/charts/common-2.0.1.tgz", "shop/charts/redis-17.3.0.tgz", "shop/charts/redis-18.1.2.tgz"]
    );
    assert_eq!(
        asked,
        [
            "redis 17.3.0 of https://charts.example as nobody",
            "redis 18.1.2 of https://charts.example as nobody",
            "common 2.0.1 of oci://registry.example/team/charts as robot",
        ]
    );
    assert!(!chart.may_change, "what is in an archive that was fetched is known");
    let files = depending(&[("random", "1.x", "1.0.0", CHARTS)]);
    assert!(found(&files, &[CHARTS]).1.unwrap().may_change);
}

#[test]
fn what_is_there_is_not_fetched() {
    let on = [("redis", "17.x", "17.3.0", CHARTS), ("common", "2.x", "2.0.1", CHARTS)];
    for there in [
        ("shop/charts/redis-17.1.0.tgz", ""),
        ("shop/charts/redis/Chart.yaml", "name: redis\nversion: 17.0.0"),
        ("shop/charts/cache/Chart.yaml", "name: redis\nversion: 17.0.0"),
        ("shop/charts/redis-new.tgz", ""),
    ] {
        let mut files = depending(&on);
        files.extend(owned(&[there]));
        let (_, chart) = found(&files, &[CHARTS]);
        let chart = chart.unwrap_or_else(|error| panic!("{there:?}: {error}"));
        assert_eq!(archives(&chart), ["shop/charts/common-2.0.1.tgz"], "{there:?}");
    }
    // Of another chart whose name begins so.
    let mut files = depending(&on);
    files.extend(owned(&[("shop/charts/redis-cluster-9.0.0.tgz", "")]));
    assert_eq!(archives(&found(&files, &[CHARTS]).1.unwrap()).len(), 2);
    // One of two versions is there.
    let mut files = depending(&[("redis", "17.x", "17.3.0", CHARTS), ("redis", "18.x", "18.1.2", CHARTS)]);
    files.extend(owned(&[("shop/charts/redis-17.3.0.tgz", "")]));
    assert_eq!(archives(&found(&files, &[CHARTS]).1.unwrap()), ["shop/charts/redis-18.1.2.tgz"]);
    // All is there: neither a lock file nor leave is asked for.
    let mut files = depending(&[("redis", "17.x", "17.3.0", CHARTS)]);
    files.retain(|(path, _)| !path.ends_with("lock"));
    files.extend(owned(&[("shop/charts/redis-17.3.0.tgz", "")]));
    assert_eq!(found(&files, &[]).1.map(|chart| chart.archives.len()), Ok(0));

    let mut files = depending(&on);
    files.extend(owned(&[("shop/charts/redis-16.2.0.tgz", "")]));
    assert_eq!(
        told(&files, &[CHARTS]),
        "shop/charts/redis-16.2.0.tgz is version 16.2.0, and shop/Chart.yaml asks for 17.x\nhint: remove it from git, or run \
         `helm dependency update` and commit what is in charts/ then"
    );
}

#[test]
fn a_folder_of_the_same_repository_is_put_beside_what_is_fetched() {
    let mut files = depending(&[("common", "*", "0.1.0", "file://../common"), ("redis", "17.x", "17.3.0", CHARTS)]);
    let inner = depending(&[("base", "1.x", "1.2.0", CHARTS)]);
    let inner = inner
        .into_iter()
        .map(|(path, text)| (path.replace("shop/", "common/"), text.replace("name: shop", "name: common")));
    files.extend(inner);
    let (_, chart) = found(&files, &[CHARTS]);
    let chart = chart.unwrap();
    assert_eq!(archives(&chart), ["shop/charts/common/charts/base-1.2.0.tgz", "shop/charts/redis-17.3.0.tgz"]);
    assert!(chart.files.contains_key("shop/charts/common/Chart.yaml") && chart.inputs.contains("common"));

    for (path, words) in [
        (
            "file://../../etc",
            "shop/Chart.yaml depends on the chart common of file://../../etc, which is not in charts/",
        ),
        ("file:///etc", "shop/Chart.yaml depends on the chart common of file:///etc, which is not in charts/"),
        (
            "file://../$values/common",
            "shop/Chart.yaml depends on the chart common of file://../$values/common, which is not",
        ),
    ] {
        let mut files = depending(&[("common", "*", "0.1.0", path)]);
        files.extend(owned(&[("$values/common/Chart.yaml", "name: common"), ("etc/Chart.yaml", "name: common")]));
        let error = told(&files, &[CHARTS]);
        assert!(error.starts_with(words), "{error}");
        assert!(error.ends_with(
            "hint: write the path from the folder of this chart to that of another one in the same repository"
        ));
    }
}

#[test]
fn an_alias_is_what_the_lock_file_says() {
    let asked = one("redis", "17.x", "@stable");
    let resolved = one("redis", "17.x", CHARTS);
    let about = format!("apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies: [{asked}]\n");
    let lock = locked(&[resolved], &[one("redis", "17.3.0", CHARTS)]);
    let mut files = vec![("shop/Chart.yaml".to_owned(), about), ("shop/Chart.lock".to_owned(), lock)];
    assert_eq!(found(&files, &[CHARTS]).0, ["redis 17.3.0 of https://charts.example as nobody"]);
    assert!(told(&files, &[]).contains("add dependencies = [\"https://charts.example\"] to"));
    files.pop();
    let error = told(&files, &[CHARTS]);
    assert!(
        error.starts_with("shop/Chart.yaml depends on charts that are not in charts/, and there is no shop/Chart.lock"),
        "{error}"
    );
}

#[test]
fn a_chart_for_helm_2_has_its_own_files() {
    let asked = [one("redis", "17.x", CHARTS)];
    let lock = locked(&asked, &[one("redis", "17.3.0", CHARTS)]);
    let mut files = vec![
        ("shop/Chart.yaml".to_owned(), "name: shop\nversion: 1.0.0\n".to_owned()),
        ("shop/requirements.yaml".to_owned(), format!("dependencies: [{}]\n", asked[0])),
        ("shop/requirements.lock".to_owned(), lock),
    ];
    assert_eq!(archives(&found(&files, &[CHARTS]).1.unwrap()), ["shop/charts/redis-17.3.0.tgz"]);
    files.pop();
    let error = told(&files, &[CHARTS]);
    assert!(
        error.starts_with(
            "shop/requirements.yaml depends on charts that are not in charts/, and there is no shop/requirements.lock"
        ),
        "{error}"
    );
}

#[test]
fn what_is_not_fetched_is_told_with_what_to_do() {
    let plain = || depending(&[("redis", "17.x", "17.3.0", CHARTS)]);
    let at = |repository: &str| depending(&[("redis", "17.x", "17.3.0", repository)]);
    let with = |path: &str, text: &str| {
        let mut files = plain();
        files.extend(owned(&[(path, text)]));
        files
    };
    let two =
        depending(&[("redis", "17.x", "17.3.0", CHARTS), ("common", "2.x", "2.0.1", "oci://registry.example/charts")]);
    let update = "run `helm dependency update` in the folder of the chart, and commit its lock file";
    let mut unlocked = plain();
    unlocked.pop();
    for (files, addresses, message) in [
        (
            two.clone(),
            &[][..],
            "shop/Chart.yaml depends on the chart redis of https://charts.example, which is not in charts/, and the configuration does not \
             allow that repository\nhint: add dependencies = [\"https://charts.example\", \"oci://registry.example/charts\"] to \
             [application.environment.helm], or run `helm dependency build` and commit what it puts into charts/"
                .to_owned(),
        ),
        (
            two,
            &[CHARTS][..],
            "shop/Chart.yaml depends on the chart common of oci://registry.example/charts, which is not in charts/, and the configuration \
             does not allow that repository\nhint: add \"oci://registry.example/charts\" to `dependencies` of \
             [application.environment.helm], or run `helm dependency build` and commit what it puts into charts/"
                .to_owned(),
        ),
        (
            unlocked,
            &[CHARTS],
            format!(
                "shop/Chart.yaml depends on charts that are not in charts/, and there is no shop/Chart.lock with their versions\nhint: {update}"
            ),
        ),
        (
            with("shop/Chart.lock", &locked(&[one("redis", "18.x", CHARTS)], &[one("redis", "18.0.0", CHARTS)])),
            &[CHARTS],
            format!("shop/Chart.lock is out of sync with shop/Chart.yaml: its digest is of other dependencies\nhint: {update}"),
        ),
        (
            depending(&[("redis", "17.x", "17.x", CHARTS)]),
            &[CHARTS],
            format!("shop/Chart.lock has version \"17.x\" of the chart redis, which is not a single version\nhint: {update}"),
        ),
        (
            with("shop/Chart.lock", "dependencies: 5"),
            &[CHARTS],
            format!(
                "shop/Chart.lock is not read: invalid type: integer `5`, expected a sequence\nhint: {update}"
            ),
        ),
        (
            at("https://me:s3cret@charts.example"),
            &[CHARTS],
            "shop/Chart.yaml depends on the chart redis, which is not in charts/: the address of charts has a login in it: write `username` \
             and `password_file` instead\nhint: correct its `repository`, run `helm dependency update`, and commit Chart.lock"
                .to_owned(),
        ),
        (
            at("https://charts.example/stable/../private"),
            &["https://charts.example/stable"],
            "shop/Chart.yaml depends on the chart redis, which is not in charts/: \"https://charts.example/stable/../private\" is not the \
             address of charts: leave out the parts `.` and `..`\nhint: correct its `repository`, run `helm dependency update`, and commit \
             Chart.lock"
                .to_owned(),
        ),
        (
            at(""),
            &[CHARTS],
            "shop/Chart.yaml depends on the chart redis of (no repository), which is not in charts/: nothing is fetched while rendering\n\
             hint: run `helm dependency build`, and commit or package what it puts into charts/ with the chart"
                .to_owned(),
        ),
        (
            at("https://away.example"),
            &["https://away.example"],
            "cannot fetch the chart redis 17.3.0 of https://away.example, which shop/Chart.yaml depends on: https://away.example is \
             unreachable\nhint: wait"
                .to_owned(),
        ),
    ] {
        assert_eq!(told(&files, addresses), message);
    }
}

#[test]
fn what_is_fetched_for_one_chart_is_bounded() {
    let names: Vec<String> = (0..=DEPENDENCIES_MAX).map(|n| format!("c{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1.x", "1.0.0", CHARTS)).collect();
    let error = told(&depending(&many), &[CHARTS]);
    assert!(error.starts_with("more than 100 charts that it depends on are not in charts/"), "{error}");
    let ranges = ["1.x", "2.x", "3.x", "4.x"];
    let versions = ["1.0.0", "2.0.0", "3.0.0", "4.0.0"];
    let large: Vec<_> = ranges.iter().zip(versions).map(|(range, version)| ("huge", *range, version, CHARTS)).collect();
    assert!(found(&depending(&large[..3]), &[CHARTS]).1.is_ok());
    let error = told(&depending(&large), &[CHARTS]);
    assert!(
        error.starts_with("the archives of the charts that it depends on have more than 67108864 bytes"),
        "{error}"
    );
}
