//! The applications of one file of a source: read, checked and held against what the source may say. Each problem has its
//! line; an application that has none can be used without the others.

use std::path::Path;

use quarterdeck_core::generate;
use quarterdeck_core::yaml::Part;
use quarterdeck_shared::application::ApplicationSpec;
use serde::Deserialize;
use serde_json::Value;

use super::spelled::{FileProblem, Spelled, Syntax, place_at};
use super::{ApplicationSource, allowed};
use crate::config::Config;
use crate::config::application::{self, Written};
use crate::config::finding::Finding;
use crate::config::locate::{self, Step};

/// A file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    application: Vec<Written>,
}

/// What is in a file.
#[derive(Debug, Default, PartialEq)]
pub struct FileRead {
    /// The applications that are right.
    pub applications: Vec<ApplicationSpec>,
    /// What is wrong with the others, or with all of it.
    pub problems: Vec<FileProblem>,
}

/// What the applications of a file are held against. Relative addresses begin at `base`, as those of the configuration do.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    /// What they may say.
    pub source: &'a ApplicationSource,
    /// What else there is.
    pub config: &'a Config,
    /// Where relative addresses begin.
    pub base: &'a Path,
}

/// Reads the text of a file of a source.
pub fn read(spelled: &Spelled<'_>, held: Held<'_>) -> FileRead {
    match spelled.syntax {
        Syntax::Toml => match toml::from_str(spelled.text) {
            Ok(file) => checked_all(file, spelled, held),
            Err(error) => wrong(spelled.unreadable(&error)),
        },
        Syntax::Yaml => match spelled.value() {
            Ok(value) => read_value(&value, spelled, held),
            Err(problem) => wrong(problem),
        },
    }
}

/// The same of what was made of such a text; problems are shown where they are in the text.
pub fn read_value(value: &Value, spelled: &Spelled<'_>, held: Held<'_>) -> FileRead {
    match written(value) {
        Ok(file) => checked_all(file, spelled, held),
        Err(misspelled) => wrong(misspelled.problem(spelled)),
    }
}

/// What is wrong with the form of a template, whatever is filled in.
pub fn wrong_form(template: &Value, spelled: &Spelled<'_>) -> Option<FileProblem> {
    // Any name will do: it is what a name may be, and fits where a text is wanted.
    let misspelled = written(&generate::with_word(template, "x")).err()?;
    let below = |value: &'_ Value, part: &Part| match part {
        Part::Key(key) => value.get(key).cloned(),
        Part::Index(index) => value.get(index).cloned(),
    };
    let there = misspelled.place.iter().try_fold(template.clone(), |value, part| below(&value, part));
    // What is filled in there may be right.
    let is_filled = there.is_some_and(|value| value.is_string() && generate::with_word(&value, "x") != value);
    (!is_filled || misspelled.is_key).then(|| misspelled.problem(spelled))
}

/// Something that a file cannot say.
struct Misspelled {
    place: Vec<Part>,
    is_key: bool,
    message: String,
}

impl Misspelled {
    fn problem(self, spelled: &Spelled<'_>) -> FileProblem {
        let Self { place, is_key, message } = self;
        if is_key { spelled.problem_of_key(&place, message) } else { spelled.problem(&place, message) }
    }
}

/// A value as a file, or where it is not one.
fn written(value: &Value) -> Result<File, Misspelled> {
    // By way of TOML, so that both say the same of what is wrong, and name its place.
    let text = toml::to_string(value).map_err(|error| {
        let message = format!("not a table of applications: {error}");
        Misspelled { place: Vec::new(), is_key: false, message }
    })?;
    toml::from_str(&text).map_err(|error| {
        let (place, is_key) = place_at(&text, error.span().map_or(0, |span| span.start));
        Misspelled { place, is_key, message: error.message().to_owned() }
    })
}

/// Of a file that says nothing.
pub fn wrong(problem: FileProblem) -> FileRead {
    FileRead { problems: vec![problem], ..FileRead::default() }
}

fn checked_all(file: File, spelled: &Spelled<'_>, Held { source, config, base }: Held<'_>) -> FileRead {
    let (mut applications, mut findings) = (Vec::new(), Vec::new());
    for (index, written) in file.application.into_iter().enumerate() {
        match checked(written, index, source, config, base) {
            Ok(spec) => applications.push(spec),
            Err(more) => findings.extend(more),
        }
    }
    let problem = |Finding { place, message }| spelled.problem(&locate::parts(&place), message);
    FileRead { applications, problems: findings.into_iter().map(problem).collect() }
}

/// What an application means, or all that is wrong with it. What it may not say is looked for in what it means.
fn checked(
    written: Written,
    index: usize,
    source: &ApplicationSource,
    config: &Config,
    base: &Path,
) -> Result<ApplicationSpec, Vec<Finding>> {
    let place = [Step::Key("application"), Step::Index(index)];
    let mut findings = Vec::new();
    let mut say = |keys: &[Step], message: String| {
        findings.push(Finding { place: place.iter().chain(keys).cloned().collect(), message });
    };
    application::check_one(&written, config, base, &mut say);
    if !findings.is_empty() {
        return Err(findings);
    }
    let mut say = |keys: &[Step], message: String| {
        findings.push(Finding { place: place.iter().chain(keys).cloned().collect(), message });
    };
    let mut spec = application::read(vec![written], &source.sops, base).pop().ok_or_else(Vec::new)?;
    spec.environments.iter_mut().for_each(|environment| environment.age_keys_only = true);
    allowed::check(&spec, source, base, &mut say);
    if findings.is_empty() { Ok(spec) } else { Err(findings) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_line_and_leaves_the_others() {
        let source: ApplicationSource = toml::from_str(
            "name = 'teams'\nrepository = '/srv/fleet'\npath = ''\nclusters = ['c']\nnamespaces = ['*']\n",
        )
        .unwrap();
        let told = |text: &str| {
            let held = Held { source: &source, config: &Config::default(), base: Path::new("/etc/qd") };
            let read = read(&Spelled::whole(text, Syntax::Toml), held);
            let names: Vec<String> = read.applications.iter().map(|spec| spec.name.to_string()).collect();
            (names, read.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let good = "[[application]]\nname = 'good'\n[[application.environment]]\nname = 'qa'\nrepository = '/srv/fleet'\n\
                    cluster = 'c'\nnamespace = 'n'\n";
        assert_eq!(told(good), (vec!["good".to_owned()], Vec::new()));
        assert_eq!(told(""), (Vec::new(), Vec::new()));
        let (names, problems) = told(&format!("{good}[[application]]\nname = 'idle'\n"));
        assert_eq!(names, ["good"]);
        assert!(problems[0].starts_with("9:8: application idle has nothing to do"), "{problems:?}");
        let (names, problems) = told(&format!("{good}[agent]\nbanner = 'x'\n"));
        assert!(names.is_empty() && problems[0].starts_with("8:2: unknown field `agent`"), "{problems:?}");
        let (names, problems) = told(&format!("{good}protceted = true\n"));
        assert!(names.is_empty() && problems[0].starts_with("8:1: unknown field `protceted`"), "{problems:?}");
        let (_, problems) = told(&good.replace("cluster = 'c'", "cluster = 'd'"));
        assert_eq!(problems, ["6:11: cluster \"d\" is not among the clusters of source teams"]);
    }
    #[test]
    fn yaml_says_the_same_and_a_problem_has_its_line_there() {
        let source: ApplicationSource = toml::from_str(
            "name = 'teams'\nrepository = '/srv/fleet'\npath = ''\nclusters = ['c']\nnamespaces = ['*']\n",
        )
        .unwrap();
        let held = Held { source: &source, config: &Config::default(), base: Path::new("/etc/qd") };
        let of = |text: &str, syntax| read(&Spelled::whole(text, syntax), held);
        let toml = "[[application]]\nname = 'good'\n[[application.environment]]\nname = 'qa'\nrepository = '/srv/fleet'\n\
                    cluster = 'c'\nnamespace = 'shop'\nprotected = true\nvariables.values = { A = '1' }\n";
        let yaml = "# the good one\napplication:\n- name: good\n  environment:\n  - name: qa\n    repository: /srv/fleet\n    cluster: c\n    \
                    namespace: shop\n    protected: true\n    variables: { values: { A: '1' } }\n";
        let read = of(yaml, Syntax::Yaml);
        assert_eq!(read, of(toml, Syntax::Toml));
        assert_eq!((read.applications.len(), &read.problems[..]), (1, &[][..]));
        assert_eq!(of("# nothing\n", Syntax::Yaml), FileRead::default());
        let told = |text: &str| of(text, Syntax::Yaml).problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut wrong = Vec::new();
        for (from, to, problem) in [
            ("cluster: c", "cluster: d", "7:14: cluster \"d\" is not among the clusters of source teams"),
            ("protected: true", "protected: [", "9:16: unclosed bracket"),
            ("protected: true", "protceted: true", "9:5: unknown field `protceted`"),
            ("protected: true", "protected: maybe", "9:16: invalid type: string \"maybe\", expected a boolean"),
            ("protected: true", "protected:", "9:5: nothing is written here"),
            ("name: good", "name: Good", "3:9: \"Good\" cannot name an application"),
            ("# the good one", "agent: {}", "1:1: unknown field `agent`"),
            ("- name: good", "- nmae: good", "3:3: unknown field `nmae`"),
        ] {
            let told = told(&yaml.replace(from, to));
            if told.len() != 1 || !told[0].starts_with(problem) {
                wrong.push(format!("{problem}: {told:?}"));
            }
        }
        assert_eq!(wrong, [""; 0]);
        let two = told(&format!("{yaml}---\n{yaml}"));
        assert!(two[0].ends_with(": a second document: write one, with all applications in its list"), "{two:?}");
        assert!(told("- a\n")[0].starts_with("1:1: not a table of applications"), "{:?}", told("- a\n"));
    }
}
