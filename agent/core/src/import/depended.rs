//! What an imported chart of the repository depends on: Argo CD and Flux fetch that from anywhere, and here the configuration names
//! from where.

use std::collections::BTreeSet;

use super::draft::Environment;
use super::{Around, Imported, Outcome, Told, same};
use crate::charts::address::Repository;
use crate::charts::lock::is_alias;
use crate::render::chart::CHART_FILE;

/// Files about charts that are read: a repository of some hundred applications has fewer, and of more nothing is said.
const FILES_MAX: usize = 2_000;

/// The files about charts, which say what these depend on.
pub(super) fn files_wanted(files: &BTreeSet<String>) -> impl Iterator<Item = &String> {
    files.iter().filter(|file| file.rsplit('/').next() == Some(CHART_FILE)).take(FILES_MAX)
}

/// Names the repositories for each chart whose files are known.
pub(super) fn name_repositories(imported: &mut Imported, around: &Around) {
    for draft in &mut imported.drafts {
        for environment in &mut draft.environment {
            let (repositories, problems) = needed(environment, around);
            let say = |outcome, words| Told {
                place: draft.place.clone(),
                object: draft.object.clone(),
                field: String::new(),
                outcome,
                words,
            };
            if !repositories.is_empty() {
                let words = "what the chart depends on is fetched from helm.dependencies alone, in the versions of Chart.lock: \
                             commit that file";
                imported.told.push(say(Outcome::Otherwise, words.to_owned()));
            }
            imported.told.extend(problems.into_iter().map(|words| say(Outcome::Not, words)));
            environment.helm.dependencies = repositories.into_iter().collect();
        }
    }
}

/// The repositories of a chart that is in the repository, but of what is in its `charts/`; and what cannot be named.
fn needed(environment: &Environment, around: &Around) -> (BTreeSet<String>, Vec<String>) {
    let (mut repositories, mut problems) = (BTreeSet::new(), Vec::new());
    let is_own = around.repository.as_deref().is_some_and(|own| same(own, &environment.repository));
    let below = |file: &str| match environment.path.as_str() {
        "" => file.to_owned(),
        folder => format!("{folder}/{file}"),
    };
    let is_rendered_by_helm = environment.render.is_none() && environment.helm.chart.is_none();
    let about = around.contents.get(&below(CHART_FILE)).filter(|_| is_own && is_rendered_by_helm);
    for dependency in about.and_then(|about| about["dependencies"].as_array()).into_iter().flatten() {
        let text = |key: &str| dependency[key].as_str().unwrap_or_default();
        let (name, repository) = (text("name"), text("repository"));
        let is_there = around.files.contains(&below(&format!("charts/{name}/{CHART_FILE}")));
        if is_there || repository.is_empty() || repository.starts_with("file://") {
            continue;
        }
        match Repository::read(repository) {
            Ok(repository) => drop(repositories.insert(repository.to_string())),
            Err(_) if is_alias(repository) => {
                problems
                    .push(format!("add the address of {repository}, which {name} comes from, to helm.dependencies"));
            }
            Err(error) => problems.push(format!("the chart depends on {name}: {error}")),
        }
    }
    (repositories, problems)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::Place;
    use super::super::draft::Draft;
    use super::*;

    fn imported(dependencies: &[Value], more: &[&str]) -> Imported {
        let about = serde_json::json!({ "name": "shop", "dependencies": dependencies });
        let around = Around {
            repository: Some("https://forge.example/ops/deploy".to_owned()),
            files: more.iter().chain(&["apps/shop/Chart.yaml"]).map(|file| (*file).to_owned()).collect(),
            contents: [("apps/shop/Chart.yaml".to_owned(), about)].into(),
            ..Around::default()
        };
        let environment = Environment {
            repository: "git@forge.example:ops/deploy.git".to_owned(),
            path: "apps/shop".to_owned(),
            ..Environment::default()
        };
        let place = Place { file: "shop.yaml".to_owned(), line: 1 };
        let draft = Draft {
            name: "shop".to_owned(),
            environment: vec![environment],
            object: "Application shop".to_owned(),
            place,
        };
        let mut imported = Imported { drafts: vec![draft], sources: Vec::new(), told: Vec::new() };
        name_repositories(&mut imported, &around);
        imported
    }

    #[test]
    fn the_repositories_of_what_is_not_there_are_named() {
        let one = |name: &str, repository: &str| serde_json::json!({ "name": name, "version": "1.x", "repository": repository });
        let all = [
            one("redis", "https://charts.example/stable/"),
            one("valkey", "https://charts.example/stable"),
            one("common", "oci://registry.example/charts"),
            one("beside", "file://../beside"),
            one("vendored", "https://other.example"),
            one("within", ""),
            one("odd", "@stable"),
        ];
        let found = imported(&all, &["apps/shop/charts/vendored/Chart.yaml"]);
        let helm = &found.drafts[0].environment[0].helm;
        assert_eq!(helm.dependencies, ["https://charts.example/stable", "oci://registry.example/charts"]);
        let told: Vec<_> = found.told.iter().map(|told| (told.outcome, told.words.as_str())).collect();
        assert_eq!(
            told,
            [
                (
                    Outcome::Otherwise,
                    "what the chart depends on is fetched from helm.dependencies alone, in the versions of Chart.lock: commit that file"
                ),
                (Outcome::Not, "add the address of @stable, which odd comes from, to helm.dependencies"),
            ]
        );
        let none = imported(&[], &[]);
        assert!(none.told.is_empty() && none.drafts[0].environment[0].helm.dependencies.is_empty());
    }
}
