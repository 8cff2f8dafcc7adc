//! What a commit of a source says: its files, or the directories that a template is for, become applications. What did not change
//! since the last commit is not read again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use quarterdeck_core::directories::{self, Pattern};
use quarterdeck_core::tree::{EntryMode, TreeEntry};
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{CommitId, GitError, ObjectId};
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec};

use crate::config::Config;
use crate::config::source::file::{self, FileProblem, FileRead};
use crate::config::source::{ApplicationSource, Layout};

/// Problems that are shown: a person fixes some at a time.
pub(super) const PROBLEMS_SHOWN: usize = 20;

/// Applications, environments of a template, and files of a source: some thousand services in three environments.
const COUNT_MAX: usize = 10_000;

/// Bytes of a file: some thousand applications.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of all files, which are kept as what they say: 6 KB for each application of the most.
const BYTES_MAX: u64 = 64 << 20;

/// What a source may say.
pub(super) struct Rules {
    pub(super) source: ApplicationSource,
    /// What the configuration file says.
    pub(super) config: Arc<Config>,
    /// Where relative addresses begin.
    pub(super) base: PathBuf,
}

/// An application, and the file that defines it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) spec: ApplicationSpec,
    pub(super) file: Arc<str>,
}

/// What a commit says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The applications that are right.
    pub(super) applications: Vec<Placed>,
    /// What is wrong with the others, each with its file and line.
    pub(super) problems: Vec<String>,
    /// Whether the folder or the template is not there at all.
    pub(super) is_missing: bool,
}

/// What files said by their ids, and the names that were filled into them. Only what the last commit had is in it.
#[derive(Default)]
pub(super) struct Cache(HashMap<String, Arc<Unit>>);

/// A file, or a template for one directory.
struct Unit {
    said: FileRead,
    bytes: u64,
}

/// Reads a commit.
///
/// # Errors
/// Where the mirror cannot be read.
pub(super) fn read(
    mirror: &Mirror,
    commit: &CommitId,
    rules: &Rules,
    cache: &mut Cache,
) -> Result<Reading, GitError> {
    let mut found = Found { mirror, rules, before: std::mem::take(cache), now: Cache::default(), bytes: 0 };
    let reading = match rules.source.layout() {
        Some(Layout::Files(path)) => found.files(commit, path),
        Some(Layout::Template(pattern, template)) => found.directories(commit, &pattern, template),
        None => Ok(Reading::default()),
    };
    *cache = found.now;
    reading
}

struct Found<'a> {
    mirror: &'a Mirror,
    rules: &'a Rules,
    before: Cache,
    now: Cache,
    bytes: u64,
}

impl Found<'_> {
    /// The `.toml` files below a folder.
    fn files(&mut self, commit: &CommitId, path: &str) -> Result<Reading, GitError> {
        if self.mirror.tree_of(commit, path)?.is_none() {
            return Ok(missing(format!(" there is no folder {path}")));
        }
        let listing = self.mirror.entries(commit, path)?;
        let files: Vec<TreeEntry> = listing.entries.into_iter().filter(|one| one.path.ends_with(".toml")).collect();
        if files.len() > COUNT_MAX {
            return Ok(wrong(format!(" {path} has {} files; the limit is {COUNT_MAX}", files.len())));
        }
        let (mut reading, mut places) = (Reading::default(), BTreeMap::<ApplicationName, Arc<str>>::new());
        for entry in files {
            if !matches!(entry.mode, EntryMode::File | EntryMode::Executable) {
                reading.problems.push(format!("{}: a link or a submodule: write the file itself", entry.path));
                continue;
            }
            let unit = self.unit(entry.id.to_string(), &entry.id, |text| text)?;
            reading.problems.extend(unit.said.problems.iter().map(|problem| format!("{}:{problem}", entry.path)));
            let file: Arc<str> = entry.path.into();
            for spec in &unit.said.applications {
                if let Some(other) = places.insert(spec.name.clone(), file.clone()) {
                    reading.problems.push(format!("{file}: application {} is defined in {other} too", spec.name));
                    continue;
                }
                reading.applications.push(Placed { spec: spec.clone(), file: file.clone() });
            }
            if self.bytes > BYTES_MAX || reading.applications.len() > COUNT_MAX {
                return Ok(wrong(too_much(path)));
            }
        }
        Ok(reading)
    }

    /// A template for each directory that matches; directories of one application are environments of it.
    fn directories(&mut self, commit: &CommitId, pattern: &Pattern, template: &str) -> Result<Reading, GitError> {
        let root = pattern.root();
        if self.mirror.tree_of(commit, &root)?.is_none() {
            return Ok(missing(format!(" there is no folder {root}")));
        }
        let entry = self.mirror.entry(commit, template)?;
        let is_file = |one: &TreeEntry| matches!(one.mode, EntryMode::File | EntryMode::Executable);
        let Some(entry) = entry.filter(is_file) else {
            return Ok(missing(format!(" there is no file {template}")));
        };
        let listing = self.mirror.entries(commit, &root)?;
        let (found, misnamed) = pattern.find(listing.entries.iter().map(|entry| entry.path.as_str()));
        if found.len() > COUNT_MAX {
            return Ok(wrong(format!(" {} directories match; the limit is {COUNT_MAX}", found.len())));
        }
        let mut reading = Reading::default();
        reading.problems.extend(misnamed.into_iter().map(|one| format!("{}: {}", one.path, one.why)));
        let file: Arc<str> = template.into();
        let mut merged = BTreeMap::new();
        for directory in found {
            let key = format!("{} {}", entry.id, directory.path);
            let unit = self.unit(key, &entry.id, |text| directories::fill(&text, &directory))?;
            let at = &directory.path;
            reading.problems.extend(unit.said.problems.iter().map(|problem| format!("{file}:{problem} (for {at})")));
            for spec in &unit.said.applications {
                if let Err(why) = merge(&mut merged, spec) {
                    reading.problems.push(format!("{file}: {why} (for {at})"));
                }
            }
        }
        let place = |spec: ApplicationSpec| Placed { spec, file: file.clone() };
        reading.applications = merged.into_values().map(place).collect();
        Ok(reading)
    }

    /// What a file says, with what is filled into it. One that cannot be read as text is a problem of its own.
    fn unit(
        &mut self,
        key: String,
        id: &ObjectId,
        filled: impl FnOnce(String) -> String,
    ) -> Result<Arc<Unit>, GitError> {
        let known = self.now.0.get(&key).or_else(|| self.before.0.get(&key)).cloned();
        let unit = match known {
            Some(unit) => unit,
            None => Arc::new(match self.mirror.blob(id, FILE_BYTES_MAX) {
                Ok(bytes) => self.parsed(bytes, filled),
                Err(GitError::BlobTooBig { size, limit, .. }) => {
                    alone(format!("the file has {size} bytes; the limit is {limit}"))
                }
                Err(error) => return Err(error),
            }),
        };
        self.bytes += unit.bytes;
        self.now.0.insert(key, unit.clone());
        Ok(unit)
    }

    fn parsed(&self, bytes: Vec<u8>, filled: impl FnOnce(String) -> String) -> Unit {
        let Rules { source, config, base } = self.rules;
        let size = bytes.len() as u64;
        match String::from_utf8(bytes) {
            Ok(text) => Unit { said: file::read(&filled(text), source, config, base), bytes: size },
            Err(_) => alone("the file is not UTF-8".to_owned()),
        }
    }
}

/// Adds what a template says of a directory to what it says of the others of the same application.
fn merge(merged: &mut BTreeMap<ApplicationName, ApplicationSpec>, spec: &ApplicationSpec) -> Result<(), String> {
    let name = &spec.name;
    let known = match merged.entry(name.clone()) {
        Entry::Vacant(free) => {
            free.insert(spec.clone());
            return Ok(());
        }
        Entry::Occupied(known) => known.into_mut(),
    };
    let ApplicationSpec { name: _, delivery, environments, followed } = spec;
    if (delivery, followed) != (&known.delivery, &known.followed) {
        return Err(format!("application {name} is another one in each directory: only its environments may differ"));
    }
    for environment in environments {
        if known.environments.iter().any(|other| other.name == environment.name) {
            return Err(format!("environment {name}/{} is defined twice: write {{env}} in its name", environment.name));
        }
    }
    known.environments.extend(environments.iter().cloned());
    Ok(())
}

fn alone(message: String) -> Unit {
    let problems = vec![FileProblem { line: 1, column: 1, message }];
    Unit { said: FileRead { problems, ..FileRead::default() }, bytes: 0 }
}

fn wrong(problem: String) -> Reading {
    Reading { problems: vec![problem], ..Reading::default() }
}

fn missing(problem: String) -> Reading {
    Reading { is_missing: true, ..wrong(problem) }
}

fn too_much(path: &str) -> String {
    format!(" {path} has more than {COUNT_MAX} applications, or {BYTES_MAX} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarterdeck_shared::application::EnvironmentSpec;

    #[test]
    fn environments_of_a_template_are_one_application() {
        let spec = |environment: &str| ApplicationSpec {
            name: "shop".parse().unwrap(),
            delivery: None,
            environments: vec![EnvironmentSpec::new(environment.parse().unwrap(), "/d".to_owned(), "n".to_owned())],
            followed: Vec::new(),
        };
        let mut merged = BTreeMap::new();
        assert_eq!(merge(&mut merged, &spec("qa")), Ok(()));
        assert_eq!(merge(&mut merged, &spec("prod")), Ok(()));
        let names: Vec<&str> = merged.values().flat_map(|one| &one.environments).map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["qa", "prod"]);
        let twice = "environment shop/qa is defined twice: write {env} in its name";
        assert_eq!(merge(&mut merged, &spec("qa")), Err(twice.to_owned()));
        let follow = quarterdeck_shared::application::FollowSpec {
            image: "a/b".to_owned(),
            policy: quarterdeck_shared::application::TagPolicy::Tag("stable".to_owned()),
            environments: Vec::new(),
        };
        let other = ApplicationSpec { followed: vec![follow], ..spec("dev") };
        let told = "application shop is another one in each directory: only its environments may differ";
        assert_eq!(merge(&mut merged, &other), Err(told.to_owned()));
    }
}
