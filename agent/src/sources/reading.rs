//! What a commit of a source says: its files, or the directories that a template is for, become applications. What did not change
//! since the last commit is not read again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use quarterdeck_core::directories::{self, Pattern};
use quarterdeck_core::tree::{EntryMode, Node, Tree, TreeEntry, TreeFailure};
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec};

use crate::config::Config;
use crate::config::source::file::{self, FileProblem, FileRead};
use crate::config::source::{ApplicationSource, Layout};

/// Problems that are shown: a person fixes some at a time.
pub(super) const PROBLEMS_SHOWN: usize = 20;

/// Applications, environments of a template, and files of a source: some thousand services in three environments.
const COUNT_MAX: usize = 10_000;

/// Bytes of a file: some thousand applications.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

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

/// Reads the files of a commit.
///
/// # Errors
/// Where they cannot be read.
pub(super) fn read(tree: &dyn Tree, rules: &Rules, cache: &mut Cache) -> Result<Reading, TreeFailure> {
    let mut found = Found { tree, rules, before: std::mem::take(cache), now: Cache::default(), bytes: 0 };
    let reading = match rules.source.layout() {
        Some(Layout::Files(path)) => found.files(path),
        Some(Layout::Template(pattern, template)) => found.directories(&pattern, template),
        None => Ok(Reading::default()),
    };
    *cache = found.now;
    reading
}

struct Found<'a> {
    tree: &'a dyn Tree,
    rules: &'a Rules,
    before: Cache,
    now: Cache,
    bytes: u64,
}

impl Found<'_> {
    /// The `.toml` files below a folder.
    fn files(&mut self, path: &str) -> Result<Reading, TreeFailure> {
        if self.tree.lookup(path)? != Some(Node::Folder) {
            return Ok(missing(format!(" there is no folder {path}")));
        }
        let listing = self.tree.entries(path)?;
        let files: Vec<TreeEntry> = listing.entries.into_iter().filter(|one| one.path.ends_with(".toml")).collect();
        if files.len() > COUNT_MAX {
            return Ok(wrong(too_much(path)));
        }
        let (mut reading, mut places) = (Reading::default(), BTreeMap::<ApplicationName, Arc<str>>::new());
        for entry in files {
            if !is_file(&entry) {
                reading.problems.push(format!("{}: a link or a submodule: write the file itself", entry.path));
                continue;
            }
            let unit = self.unit(&entry, &entry.path, |text| text)?;
            reading.problems.extend(unit.said.problems.iter().map(|problem| format!("{}:{problem}", entry.path)));
            let file: Arc<str> = entry.path.into();
            for spec in &unit.said.applications {
                if let Some(other) = places.get(&spec.name) {
                    reading.problems.push(format!("{file}: application {} is defined in {other} too", spec.name));
                    continue;
                }
                places.insert(spec.name.clone(), file.clone());
                reading.applications.push(Placed { spec: spec.clone(), file: file.clone() });
            }
            if self.bytes > BYTES_MAX || reading.applications.len() > COUNT_MAX {
                return Ok(wrong(too_much(path)));
            }
        }
        Ok(reading)
    }

    /// A template for each directory that matches; directories of one application are environments of it.
    fn directories(&mut self, pattern: &Pattern, template: &str) -> Result<Reading, TreeFailure> {
        let root = pattern.root();
        if self.tree.lookup(&root)? != Some(Node::Folder) {
            return Ok(missing(format!(" there is no folder {root}")));
        }
        let entry = match self.tree.lookup(template)? {
            Some(Node::File(entry)) if is_file(&entry) => entry,
            _ => return Ok(missing(format!(" there is no file {template}"))),
        };
        let listing = self.tree.entries(&root)?;
        let (found, misnamed) = pattern.find(listing.entries.iter().map(|entry| entry.path.as_str()));
        if found.len() > COUNT_MAX {
            return Ok(wrong(format!(" {} directories match; the limit is {COUNT_MAX}", found.len())));
        }
        let mut reading = Reading::default();
        reading.problems.extend(misnamed.into_iter().map(|one| format!("{}: {}", one.path, one.why)));
        let file: Arc<str> = template.into();
        let mut merged = BTreeMap::new();
        for directory in found {
            let at = &directory.path;
            let unit = self.unit(&entry, at, |text| directories::fill(&text, &directory))?;
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

    /// What a file says where it is used, with what is filled into it. One that cannot be read as text is a problem of its own.
    fn unit(
        &mut self,
        entry: &TreeEntry,
        used_at: &str,
        filled: impl FnOnce(String) -> String,
    ) -> Result<Arc<Unit>, TreeFailure> {
        let key = format!("{} {used_at}", entry.id);
        let unit = match self.before.0.get(&key).cloned() {
            Some(unit) => unit,
            None => Arc::new(match self.tree.size(entry)? {
                bytes if bytes > FILE_BYTES_MAX => {
                    alone(format!("the file has {bytes} bytes; the limit is {FILE_BYTES_MAX}"))
                }
                _ => self.parsed(self.tree.blob(entry)?, filled),
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

fn is_file(entry: &TreeEntry) -> bool {
    matches!(entry.mode, EntryMode::File | EntryMode::Executable)
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
    use quarterdeck_core::tree::memory::Files;

    const LIMITS: &str = "clusters = ['staging']\nnamespaces = ['*']\n";

    fn rules(layout: &str) -> Rules {
        let source = format!("name = 'teams'\nrepository = 'https://forge/ops/fleet'\n{layout}\n{LIMITS}");
        let source = toml::from_str(&source).unwrap();
        Rules { source, config: Arc::default(), base: PathBuf::from("/etc/qd") }
    }

    fn application(name: &str, environment: &str) -> String {
        format!(
            "[[application]]\nname = '{name}'\n[[application.environment]]\nname = '{environment}'\n\
             repository = 'https://forge/ops/fleet'\ncluster = 'staging'\nnamespace = 'n'\n"
        )
    }

    /// Applications with their environments, and what is wrong.
    fn told(layout: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let reading = read(&Files::new(files), &rules(layout), &mut Cache::default()).unwrap();
        let line = |Placed { spec, file }: &Placed| {
            let environments: Vec<&str> = spec.environments.iter().map(|one| one.name.as_str()).collect();
            format!("{} {} {file}", spec.name, environments.join(","))
        };
        (reading.applications.iter().map(line).collect(), reading.problems)
    }

    #[test]
    fn files_below_a_folder_define_applications() {
        let (shop, cart) = (application("shop", "qa"), application("cart", "qa"));
        let two = format!("{shop}{cart}");
        let of = |files: &[(&str, &str)]| told("path = 'apps'", files);
        let (both, none) = (["cart qa apps/a/cart.toml", "shop qa apps/shop.toml"], Vec::<String>::new());
        let files = [("apps/shop.toml", &*shop), ("apps/a/cart.toml", &cart), ("apps/x.yaml", "a"), ("top.toml", "a")];
        assert_eq!(of(&files), (both.map(str::to_owned).to_vec(), none.clone()));
        let files = [("apps/all.toml", &*two)];
        assert_eq!(of(&files), (vec!["shop qa apps/all.toml".to_owned(), "cart qa apps/all.toml".to_owned()], none));
        for (files, problem) in [
            (vec![("other/a.toml", &*shop)], " there is no folder apps"),
            (
                vec![("apps/a.toml", &*shop), ("apps/b.toml", &shop)],
                "apps/b.toml: application shop is defined in apps/a.toml too",
            ),
            (vec![("apps/a.toml@", "b")], "apps/a.toml: a link or a submodule: write the file itself"),
            (
                vec![("apps/a.toml", "[[application]]\nname = 'A'\n")],
                "apps/a.toml:2:8: \"A\" cannot name an application: use 1 to 53 of a-z, 0-9 and '-', beginning and ending with a letter or digit",
            ),
        ] {
            assert_eq!(of(&files).1, [problem], "{files:?}");
        }
        let long = "#".repeat(FILE_BYTES_MAX as usize + 1);
        let told_of_long = of(&[("apps/a.toml", &long)]).1;
        assert_eq!(told_of_long, ["apps/a.toml:1:1: the file has 1048577 bytes; the limit is 1048576"]);
    }

    #[test]
    fn directories_are_environments_by_a_template() {
        let layout = "pattern = 'apps/{app}/{env}'\ntemplate = 'app.toml'";
        let template = application("{app}", "{env}");
        let directories = ["apps/shop/qa/a.yaml", "apps/shop/prod/a.yaml", "apps/cart/qa/a.yaml"];
        let with = |template: &str| {
            let mut files: Vec<(&str, &str)> = directories.iter().map(|path| (*path, "a")).collect();
            files.push(("app.toml", template));
            told(layout, &files)
        };
        let expected = ["cart qa app.toml", "shop prod,qa app.toml"].map(str::to_owned).to_vec();
        assert_eq!(with(&template), (expected, Vec::new()));
        let (_, problems) = with(&application("{app}", "qa"));
        let twice = "app.toml: environment shop/qa is defined twice: write {env} in its name (for apps/shop/qa)";
        assert_eq!(problems, [twice]);
        let (_, problems) =
            with(&format!("{template}[[application.follow_image]]\nimage = 'a/{{env}}'\nsemver = '1.x'\n"));
        assert!(problems[0].starts_with("app.toml:9:9: image a/qa is not among the images"), "{problems:?}");
        assert!(problems[0].ends_with("(for apps/cart/qa)"), "{problems:?}");
        assert_eq!(told(layout, &[("apps/a/b/c", "")]).1, [" there is no file app.toml"]);
        assert_eq!(told(layout, &[("app.toml", &template)]).1, [" there is no folder apps"]);
    }

    #[test]
    fn an_application_is_the_same_in_each_directory() {
        let spec = |code: &str| {
            let code = format!("[application.code]\nrepository = '{code}'\n[[application.image]]\nname = 'r/a'\n");
            let text = application("shop", "qa").replace("[[application.env", &format!("{code}[[application.env"));
            let rules = rules("path = ''\nimages = ['*']\nrepositories = ['https://forge']");
            file::read(&text, &rules.source, &rules.config, &rules.base).applications.pop().unwrap()
        };
        let mut merged = BTreeMap::new();
        merge(&mut merged, &spec("https://forge/ops/a")).unwrap();
        let told = "application shop is another one in each directory: only its environments may differ";
        assert_eq!(merge(&mut merged, &spec("https://forge/ops/b")), Err(told.to_owned()));
    }
}
