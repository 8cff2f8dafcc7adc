//! Several files of one configuration. Each is read by itself, so that a mistake has its line; together they are one text, of
//! which each part knows its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quarterdeck_core::yaml::Part;
use toml::{Table, Value};

use super::GitFile;
use crate::config::finding::Finding;
use crate::config::locate::{self, Step};
use crate::config::{Config, ConfigError, Problem};

/// What one entry of a list is known by: two files may not have the same one.
const NAMED: [(&str, &[&str]); 7] = [
    ("application", &["name"]),
    ("application_source", &["name"]),
    ("cluster", &["name"]),
    ("forge", &["url"]),
    ("health", &["group", "kind"]),
    ("registry", &["host"]),
    ("repository", &["url"]),
];

/// Files that are one configuration; the first is the local one.
pub(super) struct Merged {
    files: Vec<Read>,
    /// Of the entries of each list: the file, and the place there.
    lists: BTreeMap<String, Vec<(usize, usize)>>,
}

struct Read {
    /// From the root of the repository; nothing for the local file.
    path: Option<String>,
    shown: PathBuf,
    text: String,
    table: Table,
}

impl Merged {
    /// Reads each of them.
    ///
    /// # Errors
    /// Where one of them is wrong by itself.
    pub(super) fn of(path: &Path, text: &str, git: &[GitFile]) -> Result<Self, ConfigError> {
        let mut files = vec![Read::of(None, path.to_owned(), text)?];
        for GitFile { path, shown, text } in git {
            files.push(Read::of(Some(path.clone()), PathBuf::from(shown), text)?);
        }
        Ok(Self { files, lists: BTreeMap::new() })
    }

    /// What they are together.
    ///
    /// # Errors
    /// Where two of them say the same.
    pub(super) fn together(&mut self) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let whole = self.union(&mut problems);
        problems.extend(self.doubles());
        if !problems.is_empty() {
            return Err(ConfigError::Wrong { problems });
        }
        // Each file is right by itself: what is wrong now has no line in any of them.
        whole.try_into().map_err(|error: toml::de::Error| ConfigError::Wrong {
            problems: vec![Problem {
                path: self.files.last().map(|file| file.shown.clone()).unwrap_or_default(),
                line: 1,
                column: 1,
                message: error.message().to_owned(),
            }],
        })
    }

    /// Lists are put together, tables option by option.
    fn union(&mut self, problems: &mut Vec<Problem>) -> Table {
        let (mut whole, mut set_by) = (Table::new(), BTreeMap::<[String; 2], usize>::new());
        for (at, file) in self.files.iter().enumerate() {
            for (key, value) in &file.table {
                match value {
                    Value::Array(entries) => {
                        let places = self.lists.entry(key.clone()).or_default();
                        places.extend((0..entries.len()).map(|index| (at, index)));
                        let list = whole.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new()));
                        if let Value::Array(list) = list {
                            list.extend(entries.iter().cloned());
                        }
                    }
                    Value::Table(options) => {
                        let table = whole.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
                        let Value::Table(table) = table else { continue };
                        for (option, value) in options {
                            let place = [key.clone(), option.clone()];
                            if let Some(other) = set_by.insert(place.clone(), at) {
                                let other = self.files[other].shown_at(&place);
                                let message =
                                    format!("{option} of [{key}] is also set in {other}: leave out one of the two");
                                problems.push(file.problem_at(&place, message));
                            }
                            table.insert(option.clone(), value.clone());
                        }
                    }
                    // No option stands outside of a table: reading it alone says so.
                    _ => {}
                }
            }
        }
        whole
    }

    /// What is defined in two files.
    fn doubles(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (list, keys) in NAMED {
            let mut known: BTreeMap<Vec<String>, (usize, usize)> = BTreeMap::new();
            for (file, index) in self.lists.get(list).into_iter().flatten().copied() {
                let name: Vec<String> = keys.iter().map(|key| self.text_of(file, list, index, key)).collect();
                let other = *known.entry(name.clone()).or_insert((file, index));
                // Of two in one file the checks know.
                if other.0 == file {
                    continue;
                }
                let first = keys.last().copied().unwrap_or_default();
                let place = |index: usize| {
                    [Part::Key(list.to_owned())].into_iter().chain([Part::Index(index), Part::Key(first.to_owned())])
                };
                let other = self.files[other.0].shown_at_part(&place(other.1).collect::<Vec<_>>());
                let what = name.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" ");
                let what = quarterdeck_git::url::redact(&what);
                let message = format!("{} {what} is also defined in {other}: leave out one of the two", spoken(list));
                problems.push(self.files[file].problem(&place(index).collect::<Vec<_>>(), message));
            }
        }
        problems
    }

    fn text_of(&self, file: usize, list: &str, index: usize, key: &str) -> String {
        let entry = self.files[file].table.get(list).and_then(|list| list.get(index));
        let text = entry.and_then(|entry| entry.get(key)).and_then(Value::as_str).unwrap_or_default();
        text.trim_end_matches('/').to_owned()
    }

    /// Nothing wrong, or an error that names each place in its file.
    pub(super) fn judged(&self, findings: Vec<Finding>) -> Result<(), ConfigError> {
        let problem = |Finding { place, message }| {
            let (file, place) = self.origin(&place);
            self.files[file].problem(&locate::parts(&place), message)
        };
        let problems: Vec<Problem> = findings.into_iter().map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Wrong { problems }) }
    }

    /// The file in git that has a place, from the root of the repository; nothing for the local file.
    pub(super) fn git_file(&self, place: &[Step]) -> Option<&str> {
        self.files[self.origin(place).0].path.as_deref()
    }

    /// What the files in git have: each table, with its options and its file's place among the files.
    pub(super) fn git_tables(&self) -> impl Iterator<Item = (usize, &String, &Value)> {
        let in_git = self.files.iter().enumerate().filter(|(_, file)| file.path.is_some());
        in_git.flat_map(|(at, file)| file.table.iter().map(move |(key, value)| (at, key, value)))
    }

    /// Something wrong in one of the files.
    pub(super) fn problem_in(&self, file: usize, place: &[&str], message: String) -> Problem {
        let place: Vec<String> = place.iter().map(|key| (*key).to_owned()).collect();
        self.files[file].problem_at(&place, message)
    }

    /// The file that has a place of the whole, and the place there.
    fn origin(&self, place: &[Step]) -> (usize, Vec<Step>) {
        if let [Step::Key(list), Step::Index(index), rest @ ..] = place
            && let Some((file, own)) = self.lists.get(*list).and_then(|places| places.get(*index))
        {
            let above = [Step::Key(list), Step::Index(*own)];
            return (*file, above.into_iter().chain(rest.iter().cloned()).collect());
        }
        // Of a table that several have, the one that has the option.
        let depths = self.files.iter().enumerate().map(|(at, file)| (file.depth(place), at));
        let deepest = depths.rev().max_by_key(|(depth, _)| *depth).map_or(0, |(_, at)| at);
        (deepest, place.to_vec())
    }
}

impl Read {
    fn of(path: Option<String>, shown: PathBuf, text: &str) -> Result<Self, ConfigError> {
        let unreadable = |error: toml::de::Error| ConfigError::unreadable(&shown, text, &error);
        toml::from_str::<Config>(text).map_err(unreadable)?;
        let table = toml::from_str::<Table>(text).map_err(unreadable)?;
        Ok(Self { path, shown: shown.clone(), text: text.to_owned(), table })
    }

    /// How many steps of the way to a place are there.
    fn depth(&self, place: &[Step]) -> usize {
        let mut here: Option<&Value> = None;
        for (taken, step) in place.iter().enumerate() {
            let next = match (step, here) {
                (Step::Key(key), None) => self.table.get(*key),
                (Step::Key(key), Some(value)) => value.get(*key),
                (Step::Index(index), Some(value)) => value.get(*index),
                (Step::Index(_), None) => None,
            };
            match next {
                Some(value) => here = Some(value),
                None => return taken,
            }
        }
        place.len()
    }

    fn problem(&self, place: &[Part], message: String) -> Problem {
        let (line, column) = locate::locate_part(&self.text, place);
        Problem { path: self.shown.clone(), line, column, message }
    }

    fn problem_at(&self, place: &[String], message: String) -> Problem {
        self.problem(&keys(place), message)
    }

    fn shown_at(&self, place: &[String]) -> String {
        self.shown_at_part(&keys(place))
    }

    fn shown_at_part(&self, place: &[Part]) -> String {
        let (line, column) = locate::locate_part(&self.text, place);
        format!("{}:{line}:{column}", self.shown.display())
    }
}

fn keys(place: &[String]) -> Vec<Part> {
    place.iter().cloned().map(Part::Key).collect()
}

/// What an entry of a list is called.
fn spoken(list: &str) -> &str {
    match list {
        "application_source" => "source",
        "health" => "the health rule of",
        other => other,
    }
}
