//! What imported repositories come to, with the programs of Argo CD and Flux as the referees: by hand, on checkouts of them.
//!
//! Each file `NAME.import` in `$QD_REFEREE` has the words of an import, as `flux fleet --path clusters/production`, of the checkout
//! `fleet` beside it. The repository is imported, and each environment of the configuration that comes out is rendered by the agent and
//! by the programs of what it was: see [`flux`] and [`argocd`]. Charts of elsewhere are folders in `charts`, for both; one that is not
//! there is told, and is not counted as equal. Objects of Flux in the folder of a Kustomization are not compared: the import says that
//! they are environments of their own.

mod argocd;
mod flux;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use quarterdeck_agent::charts::ChartFiles;
use quarterdeck_agent::config::Config;
use quarterdeck_agent::renderers::programs::Renderers;
use quarterdeck_agent::renderers::{ByProgram, NoSecrets};
use quarterdeck_core::render::release::{Capabilities, Release};
use quarterdeck_core::render::{Request, render, scope};
use quarterdeck_core::tree::Tree;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_core::variables::{Variables, data_of};
use quarterdeck_shared::application::{ApplicationName, EnvironmentSpec, RenderKind};
use quarterdeck_shared::error::Failure;
use serde_json::Value;

use super::{Objects, VERSION, differing, files_of, key_in, output, simple};

/// A repository that was imported.
pub(super) struct Repository {
    /// Where the files of `$QD_REFEREE` are.
    root: PathBuf,
    /// A copy of the checkout, which programs write beside its files.
    at: tempfile::TempDir,
    /// The folder that the import begins with, where it follows Kustomizations.
    first: Option<String>,
    tree: Files,
}

impl Repository {
    fn folder(&self) -> &Path {
        self.at.path()
    }

    /// The folder of a chart of elsewhere.
    fn chart(&self, name: &str, version: &str) -> Result<PathBuf, String> {
        let folder = self.root.join("charts").join(name);
        if folder.is_dir() { Ok(folder) } else { Err(format!("the chart {name} {version} cannot be had here")) }
    }
}

/// An environment as the configuration has it, and what it was.
pub(super) struct Case {
    application: ApplicationName,
    spec: EnvironmentSpec,
    /// `Kustomization flux-system/apps`
    object: String,
    /// `clusters/production/apps.yaml`
    file: String,
}

/// What the tool itself makes of an environment.
trait Referee {
    fn objects(&self, case: &Case) -> Result<Objects, String>;
    /// ConfigMaps of the cluster that variables are read of.
    fn config_map(&self, namespace: &str, name: &str) -> Option<&Value>;
}

#[test]
#[ignore = "by hand: wants helm, kubectl, kustomize, flux, jsonnet, python3-yaml, and checkouts of repositories in QD_REFEREE"]
fn an_imported_environment_is_what_its_own_tool_makes() {
    let root = PathBuf::from(std::env::var_os("QD_REFEREE").expect("QD_REFEREE names a folder"));
    let mut asked: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    asked.retain(|path| path.extension().is_some_and(|ending| ending == "import"));
    asked.sort();
    let mut is_same = true;
    for file in &asked {
        let words = std::fs::read_to_string(file).unwrap();
        let words: Vec<&str> = words.split_whitespace().collect();
        let (text, same) = compared(&root, &words).unwrap_or_else(|error| (format!("{error}\n"), false));
        is_same &= same;
        // For who runs it by hand: no table is nothing that was seen.
        writeln!(std::io::stderr(), "## {}\n\n{text}", words.join(" ")).unwrap();
    }
    assert!(is_same, "see the tables");
}

/// The table of a repository, and whether nothing differs in it.
fn compared(root: &Path, words: &[&str]) -> Result<(String, bool), String> {
    let [tool, name, more @ ..] = words else { return Err("write the tool and the folder".to_owned()) };
    let at = tempfile::tempdir().map_err(|error| error.to_string())?;
    output(Command::new("cp").arg("-a").arg(root.join(name).join(".")).arg(at.path()), b"")?;
    let (cases, told) = import(at.path(), tool, more)?;
    place_charts(root, at.path())?;
    let tree = files_of(at.path())?;
    let first = more.iter().skip_while(|word| **word != "--path").nth(1).map(|path| (*path).to_owned());
    let repository = Repository { root: root.to_owned(), at, first, tree };
    let referee: Box<dyn Referee> = match *tool {
        "flux" => Box::new(flux::Cluster::read(&repository, &cases)?),
        _ => Box::new(argocd::Applications { repository: &repository }),
    };
    let mut text = String::from(
        "| environment | of | objects | equal | differing | why |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    let mut sum = [0_usize; 4];
    for case in &cases {
        let row = match (referee.objects(case), ours(&repository, case, &*referee)) {
            (Ok(theirs), Ok(ours)) => {
                let why = differing(&theirs, &ours);
                let equal = theirs.len().saturating_sub(why.len());
                sum = [sum[0] + theirs.len(), sum[1] + equal, sum[2] + why.len(), sum[3]];
                format!("{} | {equal} | {} | {}", theirs.len(), why.len(), why.join("; "))
            }
            (theirs, ours) => {
                sum[3] += 1;
                let told = |side: Result<Objects, String>| side.err().unwrap_or_else(|| "renders".to_owned());
                format!("- | - | - | theirs: {}; ours: {}", told(theirs), told(ours)).replace(['\n', '|'], " ")
            }
        };
        writeln!(text, "| {}/{} | {} | {row} |", case.application, case.spec.name, case.object).unwrap();
    }
    let [objects, equal, differ, not] = sum;
    writeln!(text, "| {} in all | | {objects} | {equal} | {differ} | {not} not compared |\n\n{told}", cases.len())
        .unwrap();
    Ok((text, differ == 0))
}

/// Puts the charts of kustomizations where kustomize looks for them, as far as they are folders in `charts`: for both.
fn place_charts(root: &Path, at: &Path) -> Result<(), String> {
    for (path, (_, content)) in files_of(at)?.files {
        let Some(folder) = path.strip_suffix("kustomization.yaml") else { continue };
        let read = quarterdeck_core::yaml::parse(&content).unwrap_or_default();
        let charts = read.first().and_then(|document| document.value["helmCharts"].as_array()).cloned();
        for chart in charts.into_iter().flatten() {
            let text = |key: &str| chart[key].as_str().unwrap_or_default();
            let from = root.join("charts").join(text("name"));
            let to = at.join(folder).join("charts").join(format!("{}-{}", text("name"), text("version")));
            if from.is_dir() {
                std::fs::create_dir_all(&to).map_err(|error| error.to_string())?;
                output(Command::new("cp").arg("-a").arg(&from).arg(&to), b"")?;
            }
        }
    }
    Ok(())
}

/// What the import makes of the repository, and what it says is not imported.
fn import(folder: &Path, tool: &str, more: &[&str]) -> Result<(Vec<Case>, String), String> {
    let to = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = to.path().join("applications.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
    command.args(["agent", "import", tool]).arg(folder).args(more).arg("--to").arg(&file);
    let table = String::from_utf8_lossy(&output(&mut command, b"")?).into_owned();
    let told: Vec<&str> = table.lines().filter(|line| line.starts_with("not imported")).collect();
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let config = Config::load(&file).map_err(|error| Failure::of(&error).to_string())?;
    // `# KIND NAME of FILE:LINE` stands above each.
    let mut origins = text.lines().filter(|line| line.starts_with("# ") && !line.starts_with("# not imported"));
    let mut cases = Vec::new();
    for application in config.applications {
        let origin =
            origins.next().and_then(|line| line[2..].split_once(" of ")).ok_or("an application without origin")?;
        let file = origin.1.rsplit_once(':').map_or(origin.1, |(file, _)| file);
        for spec in application.environments {
            let (object, file) = (origin.0.to_owned(), file.to_owned());
            cases.push(Case { application: application.name.clone(), spec, object, file });
        }
    }
    Ok((cases, told.join("\n")))
}

/// What the agent makes of an environment.
fn ours(repository: &Repository, case: &Case, referee: &dyn Referee) -> Result<Objects, String> {
    let spec = &case.spec;
    if spec.artifact.is_some() {
        return Err("an artifact of a registry cannot be had here".to_owned());
    }
    let chart = match &spec.helm.chart {
        None => None,
        Some(chart) => {
            let files = files_of(&repository.chart(&chart.name, &chart.version)?)?;
            Some(ChartFiles { folder: format!("{}@0", chart.name), files })
        }
    };
    let layered = chart.as_ref().map(|chart| chart.over(&repository.tree));
    let (tree, path, kind): (&dyn Tree, &str, RenderKind) = match &layered {
        Some(layered) => (layered, layered.folder, RenderKind::Helm),
        None => (&repository.tree, &spec.path, spec.render),
    };
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let renderers = Renderers::find(std::env::var_os("PATH").as_deref());
    let capabilities = || Ok(Capabilities { kube_version: Some(VERSION.to_owned()), api_versions: Vec::new() });
    let any = |group: &str, kind: &str| scope::builtin(group, kind).or(Some(scope::Scope::Namespaced));
    let variables = spec.variables.as_ref().map(|asked| {
        let mut variables = Variables::new(asked.strict);
        let maps = asked.from.iter().filter_map(|source| referee.config_map(&spec.namespace, &source.name));
        maps.flat_map(data_of).for_each(|(name, value)| variables.set(&name, &value, false));
        asked.values.iter().for_each(|(name, value)| variables.set(name, value, false));
        variables
    });
    let rendered = render(&Request {
        tree,
        path,
        kind,
        environment: &format!("{}/{}", case.application, spec.name).parse().expect("an address"),
        namespace: &spec.namespace,
        scope: &any,
        has_status: &|_, _| None,
        variables: variables.as_ref(),
        files: &spec.files,
        overlay: &spec.kustomize.overlay,
        jsonnet: &spec.jsonnet,
        release: &Release::new(&case.application, spec, &capabilities),
        programs: &ByProgram { renderers: &renderers, scratch: scratch.path(), secrets: &NoSecrets },
    });
    let rendered = rendered.map_err(|error| Failure::of(&error).to_string())?;
    let object = |object: Value| (key_in(&object, &spec.namespace), simple(object));
    let all = rendered.manifests.into_iter().map(|one| object(one.object.into_value()));
    let is_of_folder = case.object.starts_with("Kustomization ");
    Ok(all.filter(|(key, _)| !is_of_folder || !flux::is_imported_by_itself(key)).collect())
}
