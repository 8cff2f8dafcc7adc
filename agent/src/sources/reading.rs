//! What a commit of a source says: its files, or a template and what that is made for, become applications. What did not change
//! since the last commit is not read again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use quarterdeck_core::directories::Pattern;
use quarterdeck_core::generate::combine::{Apart, merged, product};
use quarterdeck_core::generate::globs::Globs;
use quarterdeck_core::generate::{self, Element, Unknown, files};
use quarterdeck_core::tree::{EntryMode, Node, Tree, TreeEntry, TreeFailure};
use quarterdeck_shared::application::{ApplicationName, ApplicationSpec};
use serde_json::Value;

use crate::config::Config;
use crate::config::source::file::{self, FileRead, Held};
use crate::config::source::generate::{Generator, Given};
use crate::config::source::spelled::{FileProblem, Spelled, Syntax};
use crate::config::source::{ApplicationSource, IN_CONFIGURATION, Layout, TemplateAt};

/// Problems that are shown: a person fixes some at a time.
pub(super) const PROBLEMS_SHOWN: usize = 20;

/// Names that are listed where one is not among them: of a file's hundred a person sees how they look.
const NAMES_SHOWN: usize = 20;

/// Applications, what a template is made for, and files of a source: some thousand services in three environments.
pub(super) const COUNT_MAX: usize = 10_000;

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

impl Rules {
    fn held(&self) -> Held<'_> {
        Held { source: &self.source, config: &self.config, base: &self.base }
    }
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
    /// How many files, or elements of a template, were read and not known of the last commit.
    pub(super) fresh: usize,
}

/// What files said by their ids, and what was filled into them. Only what the last commit had is in it.
#[derive(Default)]
pub(super) struct Cache {
    units: HashMap<String, Arc<Unit>>,
    /// What files give a template, by their ids and paths.
    given: HashMap<String, Arc<GivenByFile>>,
}

/// What a file gives a template, or what is wrong with it.
struct GivenByFile {
    elements: Result<Vec<Element>, FileProblem>,
    bytes: u64,
}

/// A file, or a template for one element.
struct Unit {
    said: FileRead,
    bytes: u64,
}

/// What branches and merge requests give, by the place of their generator.
pub(super) type Listed = BTreeMap<usize, Vec<Element>>;

/// Reads the files of a commit.
///
/// # Errors
/// Where they cannot be read.
pub(super) fn read(tree: &dyn Tree, rules: &Rules, listed: &Listed, cache: &mut Cache) -> Result<Reading, TreeFailure> {
    let before = std::mem::take(cache);
    let mut found = Found { tree, rules, listed, before, now: Cache::default(), bytes: 0, fresh: 0 };
    let reading = match rules.source.layout() {
        Some(Layout::Files(path)) => found.files(path),
        Some(Layout::Template(generators, template)) => found.generated(&generators, template),
        None => Ok(Reading::default()),
    };
    let reading = reading.map(|reading| Reading { fresh: found.fresh, ..reading });
    *cache = found.now;
    reading
}

struct Found<'a> {
    tree: &'a dyn Tree,
    rules: &'a Rules,
    listed: &'a Listed,
    before: Cache,
    now: Cache,
    bytes: u64,
    fresh: usize,
}

/// A template as it was read.
struct Template<'t> {
    spelled: Spelled<'t>,
    value: Result<Value, FileProblem>,
}

impl Found<'_> {
    /// The files below a folder.
    fn files(&mut self, path: &str) -> Result<Reading, TreeFailure> {
        if self.tree.lookup(path)? != Some(Node::Folder) {
            return Ok(missing(format!(" there is no folder {path}")));
        }
        let listing = self.tree.entries(path)?;
        let has_yaml = self.rules.source.yaml;
        let syntax = |path: &str| Syntax::of(path).filter(|syntax| has_yaml || *syntax == Syntax::Toml);
        let files = listing.entries.into_iter().filter_map(|one| syntax(&one.path).map(|syntax| (one, syntax)));
        let files: Vec<(TreeEntry, Syntax)> = files.collect();
        if files.len() > COUNT_MAX {
            return Ok(wrong(too_much(path)));
        }
        let (mut reading, mut places) = (Reading::default(), BTreeMap::<ApplicationName, Arc<str>>::new());
        for (entry, syntax) in files {
            if !is_file(&entry) {
                reading.problems.push(format!("{}: a link or a submodule: write the file itself", entry.path));
                continue;
            }
            let held = self.rules.held();
            let unit = self.unit(&entry, &entry.path, |text| file::read(&Spelled::whole(text, syntax), held))?;
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

    /// A template for each element; what is said of one application are environments of it.
    fn generated(&mut self, given: &[Given], template: TemplateAt<'_>) -> Result<Reading, TreeFailure> {
        let mut reading = Reading::default();
        let elements = match self.all_elements(given, &mut reading)? {
            Ok(elements) => elements,
            Err(wrong) => return Ok(wrong),
        };
        let entry = match template {
            TemplateAt::Configuration => None,
            TemplateAt::File(file) => match self.tree.lookup(file)? {
                Some(Node::File(entry)) if is_file(&entry) => Some(entry),
                _ => return Ok(missing(format!(" there is no file {file}"))),
            },
        };
        let (file, mut merged): (Arc<str>, _) = match template {
            TemplateAt::File(file) => (file.into(), BTreeMap::new()),
            TemplateAt::Configuration => (IN_CONFIGURATION.into(), BTreeMap::new()),
        };
        // What is not in a file of the source begins with a blank, as what is about all of it.
        let shown = if entry.is_some() { file.to_string() } else { format!(" {file}") };
        for element in elements {
            let unit = match &entry {
                Some(entry) => self.filled(entry, &file, &element)?,
                None => self.filled_inline(&element),
            };
            let of = &element.of;
            reading.problems.extend(unit.said.problems.iter().map(|problem| format!("{shown}:{problem} (for {of})")));
            for spec in &unit.said.applications {
                if let Err(why) = merge(&mut merged, spec) {
                    reading.problems.push(format!("{shown}: {why} (for {of})"));
                }
            }
        }
        let place = |spec: ApplicationSpec| Placed { spec, file: file.clone() };
        reading.applications = merged.into_values().map(place).collect();
        Ok(reading)
    }

    /// What a template is made for, or why that is not known. What is wrong with single folders and files is added to `reading`.
    fn all_elements(
        &mut self,
        given: &[Given],
        reading: &mut Reading,
    ) -> Result<Result<Vec<Element>, Reading>, TreeFailure> {
        let mut all: Option<Vec<Element>> = None;
        for (index, given) in given.iter().enumerate() {
            let some = match &given.generator {
                Generator::Directories(pattern) => self.directories(pattern, reading)?,
                Generator::Folders(globs) => self.folders(globs)?,
                Generator::Files(globs) => self.written_in_files(globs, reading)?,
                other => Ok(self.elements(index, other)),
            };
            let some = match some {
                Ok(some) => given.of(some),
                Err(why) => return Ok(Err(missing(why))),
            };
            let together = match all {
                Some(before) if given.merge.is_empty() => product(&before, &some, COUNT_MAX),
                Some(before) => merged(before, &some, &given.merge),
                None if some.len() > COUNT_MAX => Err(Apart::TooMany { count: some.len(), max: COUNT_MAX }),
                None => Ok(some),
            };
            match together {
                Ok(together) => all = Some(together),
                Err(why) => return Ok(Err(wrong(format!(" {why}")))),
            }
        }
        Ok(Ok(all.unwrap_or_default()))
    }

    /// What a template of a file says of an element.
    fn filled(&mut self, entry: &TreeEntry, file: &str, element: &Element) -> Result<Arc<Unit>, TreeFailure> {
        let held = self.rules.held();
        let syntax = Syntax::of(file).unwrap_or(Syntax::Toml);
        self.unit(entry, &values(element), |text| {
            let spelled = Spelled::whole(text, syntax);
            Template { value: spelled.value(), spelled }.of(element, held)
        })
    }

    /// The same of a template in the configuration.
    fn filled_inline(&mut self, element: &Element) -> Arc<Unit> {
        let key = values(element);
        let known = self.before.units.get(&key).cloned();
        let unit = known.unwrap_or_else(|| {
            self.fresh += 1;
            let Rules { source, .. } = self.rules;
            let said = source.inline().map(|(value, spelled)| {
                let template = Template { value: Ok(value), spelled };
                template.of(element, self.rules.held())
            });
            // Its text is the configuration's: what it says is what is kept.
            Arc::new(Unit { said: said.unwrap_or_default(), bytes: 0 })
        });
        self.now.units.insert(key, unit.clone());
        unit
    }

    /// The directories that match; why there can be none.
    fn directories(
        &self,
        pattern: &Pattern,
        reading: &mut Reading,
    ) -> Result<Result<Vec<Element>, String>, TreeFailure> {
        let root = pattern.root();
        if self.tree.lookup(&root)? != Some(Node::Folder) {
            return Ok(Err(format!(" there is no folder {root}")));
        }
        let listing = self.tree.entries(&root)?;
        let (found, misnamed) = pattern.find(listing.entries.iter().map(|entry| entry.path.as_str()));
        reading.problems.extend(misnamed.into_iter().map(|one| format!("{}: {}", one.path, one.why)));
        Ok(Ok(found.iter().map(Element::of_directory).collect()))
    }

    /// The folders that match, whatever they are called; why there can be none.
    fn folders(&self, globs: &Globs) -> Result<Result<Vec<Element>, String>, TreeFailure> {
        let root = globs.root();
        if self.tree.lookup(&root)? != Some(Node::Folder) {
            return Ok(Err(format!(" there is no folder {root}")));
        }
        let listing = self.tree.entries(&root)?;
        let folders = globs.folders(listing.entries.iter().map(|entry| entry.path.as_str()));
        Ok(Ok(folders.iter().map(|folder| Element::of_folder(folder)).collect()))
    }

    /// What is written in the files that match; why there can be nothing.
    fn written_in_files(
        &mut self,
        globs: &Globs,
        reading: &mut Reading,
    ) -> Result<Result<Vec<Element>, String>, TreeFailure> {
        let root = globs.root();
        if self.tree.lookup(&root)? != Some(Node::Folder) {
            return Ok(Err(format!(" there is no folder {root}")));
        }
        let listing = self.tree.entries(&root)?;
        let files: Vec<TreeEntry> = listing.entries.into_iter().filter(|entry| globs.matches(&entry.path)).collect();
        if files.len() > COUNT_MAX {
            return Ok(Err(too_much(&root)));
        }
        let mut all = Vec::new();
        for entry in files {
            if !is_file(&entry) {
                reading.problems.push(format!("{}: a link or a submodule: write the file itself", entry.path));
                continue;
            }
            match &self.given_by(&entry)?.elements {
                Ok(elements) => all.extend(elements.iter().cloned()),
                Err(problem) => reading.problems.push(format!("{}:{problem}", entry.path)),
            }
            if self.bytes > BYTES_MAX {
                return Ok(Err(too_much(&root)));
            }
        }
        Ok(Ok(all))
    }

    /// What a file gives.
    fn given_by(&mut self, entry: &TreeEntry) -> Result<Arc<GivenByFile>, TreeFailure> {
        let key = format!("{} {}", entry.id, entry.path);
        let given = match self.before.given.get(&key).cloned() {
            Some(given) => given,
            None => {
                self.fresh += 1;
                let bytes = self.tree.size(entry)?;
                let elements = match bytes {
                    bytes if bytes > FILE_BYTES_MAX => Err(at_the_beginning(too_long(bytes))),
                    _ => match std::str::from_utf8(&self.tree.blob(entry)?) {
                        Ok(text) => given_by_text(&entry.path, text),
                        Err(_) => Err(at_the_beginning("the file is not UTF-8".to_owned())),
                    },
                };
                Arc::new(GivenByFile { elements, bytes })
            }
        };
        self.bytes += given.bytes;
        self.now.given.insert(key, given.clone());
        Ok(given)
    }

    /// What a generator gives that needs no file.
    fn elements(&self, index: usize, generator: &Generator) -> Vec<Element> {
        let Rules { source, config, .. } = self.rules;
        match generator {
            Generator::List(entries) => {
                let entries = entries.iter().enumerate();
                entries.map(|(index, values)| Element::of_list(index + 1, values)).collect()
            }
            Generator::Clusters(labels) => {
                let has_all =
                    |own: &BTreeMap<String, String>| labels.iter().all(|(key, value)| own.get(key) == Some(value));
                let allowed = config.cluster.iter().filter(|cluster| source.clusters.contains(&cluster.name));
                let selected = allowed.filter(|cluster| has_all(&cluster.labels));
                selected.map(|cluster| Element::of_cluster(&cluster.name, &cluster.labels)).collect()
            }
            Generator::Branches { .. }
            | Generator::MergeRequests { .. }
            | Generator::Directories(_)
            | Generator::Folders(_)
            | Generator::Files(_) => self.listed.get(&index).cloned().unwrap_or_default(),
        }
    }

    /// What a file says where it is used, with what is filled into it. One that cannot be read as text is a problem of its own.
    fn unit(
        &mut self,
        entry: &TreeEntry,
        used_at: &str,
        read: impl FnOnce(&str) -> FileRead,
    ) -> Result<Arc<Unit>, TreeFailure> {
        let key = format!("{} {used_at}", entry.id);
        let unit = match self.before.units.get(&key).cloned() {
            Some(unit) => unit,
            None => {
                self.fresh += 1;
                Arc::new(match self.tree.size(entry)? {
                    bytes if bytes > FILE_BYTES_MAX => alone(too_long(bytes)),
                    bytes => match std::str::from_utf8(&self.tree.blob(entry)?) {
                        Ok(text) => Unit { said: read(text), bytes },
                        Err(_) => alone("the file is not UTF-8".to_owned()),
                    },
                })
            }
        };
        self.bytes += unit.bytes;
        self.now.units.insert(key, unit.clone());
        Ok(unit)
    }
}

impl Template<'_> {
    /// What it says of an element.
    fn of(&self, element: &Element, held: Held<'_>) -> FileRead {
        let value = match &self.value {
            Ok(value) => value,
            Err(problem) => return file::wrong(problem.clone()),
        };
        match generate::fill(value, element) {
            Ok(filled) => file::read_value(&filled, &self.spelled, held),
            Err(unknown) => {
                let known: Vec<String> =
                    element.values.keys().take(NAMES_SHOWN).map(|name| format!("{{{name}}}")).collect();
                let more = if element.values.len() > NAMES_SHOWN { ", …" } else { "" };
                let problem = |Unknown { at, placeholder }: Unknown| {
                    let message = format!("nothing gives {placeholder}: there are {}{more}", known.join(", "));
                    self.spelled.problem(&at, message)
                };
                FileRead { problems: unknown.into_iter().map(problem).collect(), ..FileRead::default() }
            }
        }
    }
}

/// What an element gives, in a line: the same line is the same application.
fn values(element: &Element) -> String {
    element.values.iter().map(|(name, value)| format!(" {name}={value:?}")).collect()
}

/// What the text of a file gives: JSON is YAML, too.
fn given_by_text(path: &str, text: &str) -> Result<Vec<Element>, FileProblem> {
    let syntax = Syntax::of(path).unwrap_or(Syntax::Yaml);
    let content = Spelled::whole(text, syntax).value_with_nothing()?;
    files::elements(path, &content).map_err(|fault| at_the_beginning(fault.to_string()))
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

fn at_the_beginning(message: String) -> FileProblem {
    FileProblem { line: 1, column: 1, message }
}

fn too_long(bytes: u64) -> String {
    format!("the file has {bytes} bytes; the limit is {FILE_BYTES_MAX}")
}

fn alone(message: String) -> Unit {
    let problems = vec![at_the_beginning(message)];
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
    use quarterdeck_shared::application::EnvironmentSpec;
    use sha2::{Digest as _, Sha256};

    const LIMITS: &str = "clusters = ['staging']\nnamespaces = ['*']\n";

    fn rules(layout: &str) -> Rules {
        let source = format!("name = 'teams'\nrepository = 'https://forge/ops/fleet'\n{layout}\n{LIMITS}");
        let source = toml::from_str(&source).unwrap();
        Rules { source, config: Arc::default(), base: PathBuf::from("/etc/qd") }
    }

    /// The same with tables behind the limits.
    fn rules_with(layout: &str) -> Rules {
        let source = format!("name = 'teams'\nrepository = 'https://forge/ops/fleet'\n{LIMITS}{layout}");
        Rules { source: toml::from_str(&source).unwrap(), config: Arc::default(), base: PathBuf::from("/etc/qd") }
    }

    fn application(name: &str, environment: &str) -> String {
        format!(
            "[[application]]\nname = '{name}'\n[[application.environment]]\nname = '{environment}'\n\
             repository = 'https://forge/ops/fleet'\ncluster = 'staging'\nnamespace = 'n'\n"
        )
    }

    /// Applications with their environments, and what is wrong.
    fn told(layout: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let reading = read(&Files::new(files), &rules(layout), &Listed::new(), &mut Cache::default()).unwrap();
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
            file::read(&Spelled::whole(&text, Syntax::Toml), rules.held()).applications.pop().unwrap()
        };
        let mut merged = BTreeMap::new();
        merge(&mut merged, &spec("https://forge/ops/a")).unwrap();
        let told = "application shop is another one in each directory: only its environments may differ";
        assert_eq!(merge(&mut merged, &spec("https://forge/ops/b")), Err(told.to_owned()));
    }
    #[test]
    fn yaml_files_are_read_where_that_is_asked_and_a_name_is_defined_once() {
        let yaml = "application:\n- name: shop\n  environment:\n  - name: qa\n    repository: https://forge/ops/fleet\n    \
                    cluster: staging\n    namespace: shop\n";
        let cart = application("cart", "qa");
        let files = [("apps/cart.toml", &*cart), ("apps/shop.yaml", yaml)];
        let both = ["cart qa apps/cart.toml", "shop qa apps/shop.yaml"].map(str::to_owned);
        assert_eq!(told("path = 'apps'\nyaml = true", &files), (both.to_vec(), Vec::new()));
        assert_eq!(told("path = 'apps'", &files).0, ["cart qa apps/cart.toml"]);
        let shop = application("shop", "qa");
        let files = [("apps/shop.toml", &*shop), ("apps/shop.yml", yaml), ("apps/x.yaml", "kind: ConfigMap\n")];
        let (_, problems) = told("path = 'apps'\nyaml = true", &files);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(problems[0], "apps/shop.yml: application shop is defined in apps/shop.toml too");
        assert!(problems[1].starts_with("apps/x.yaml:1:1: unknown field `kind`"), "{problems:?}");
    }

    #[test]
    fn a_template_is_made_for_a_list_for_clusters_and_for_each_with_each() {
        let list = "template = 'app.toml'\n[[generate]]\nlist = [{ app = 'shop', tier = 'web' }, { app = 'cart', tier = 'db' }]\n";
        let template = application("{app}", "{tier}");
        let expected = ["cart db app.toml", "shop web app.toml"].map(str::to_owned).to_vec();
        let of = |layout: &str, template: &str| {
            let mut rules = rules_with(layout);
            let clusters = "[[cluster]]\nname = 'staging'\nlabels = { region = 'eu' }\n[[cluster]]\nname = 'other'\nlabels = { region = 'eu' }\n\
                            [[cluster]]\nname = 'us'\nlabels = { region = 'us' }\n";
            rules.config = Arc::new(toml::from_str(clusters).unwrap());
            rules.source.clusters.push("us".to_owned());
            let reading =
                read(&Files::new(&[("app.toml", template)]), &rules, &Listed::new(), &mut Cache::default()).unwrap();
            let line = |Placed { spec, file }: &Placed| {
                let environments: Vec<&str> = spec.environments.iter().map(|one| one.name.as_str()).collect();
                format!("{} {} {file}", spec.name, environments.join(","))
            };
            (reading.applications.iter().map(line).collect::<Vec<_>>(), reading.problems)
        };
        assert_eq!(of(list, &template), (expected, Vec::new()));
        let per_cluster = application("web", "{cluster}").replace("'staging'", "'{cluster}'");
        let clusters = "template = 'app.toml'\n[[generate]]\nclusters = {}\n";
        assert_eq!(of(clusters, &per_cluster).0, ["web staging,us app.toml"], "a cluster that is not allowed is none");
        let eu = "template = 'app.toml'\n[[generate]]\nclusters = { region = 'eu' }\n";
        assert_eq!(of(eu, &per_cluster).0, ["web staging app.toml"]);
        let both = application("{app}", "{cluster}-{cluster.region}").replace("'staging'", "'{cluster}'");
        let product = format!("{list}[[generate]]\nclusters = {{}}\n");
        assert_eq!(of(&product, &both).0, ["cart staging-eu,us-us app.toml", "shop staging-eu,us-us app.toml"]);

        let (_, problems) = of(list, &template.replace("{tier}", "{tyre}"));
        assert_eq!(
            problems[0],
            "app.toml:4:8: nothing gives {tyre}: there are {app}, {tier} (for number 1 of the list)"
        );
        let (_, problems) = of(list, &template.replace("namespace", "namspace"));
        assert!(problems[0].starts_with("app.toml:7:1: unknown field `namspace`"), "{problems:?}");
        let (_, problems) = of(list, &template.replace("'{tier}'", "'a\"\\nb'"));
        assert!(problems[0].starts_with("app.toml:4:8: "), "{problems:?}");
        let many = vec!["{ app = 'a' }"; COUNT_MAX + 1].join(", ");
        let (_, problems) = of(&format!("template = 'app.toml'\n[[generate]]\nlist = [{many}]\n"), &template);
        assert_eq!(problems, [" the template is made for 10001; the limit is 10000"]);
    }

    #[test]
    fn folders_and_files_give_a_template_in_the_configuration_what_they_are() {
        let of = |generators: &str, files: &[(&str, &str)]| {
            let text = format!(
                "[[application_source]]\nname = 'teams'\nrepository = 'https://forge/ops/fleet'\n{LIMITS}{generators}\
                 [[application_source.application]]\nname = '{{path.1|dns}}'\n[[application_source.application.environment]]\n\
                 name = '{{path.basename|dns}}'\nrepository = 'https://forge/ops/fleet'\ncluster = 'staging'\nnamespace = '{{tier}}'\n"
            );
            let config = Config::parse(std::path::Path::new("/etc/qd/config.toml"), &text).unwrap();
            let source = config.application_source[0].clone();
            let rules = Rules { source, config: Arc::default(), base: PathBuf::from("/etc/qd") };
            let reading = read(&Files::new(files), &rules, &Listed::new(), &mut Cache::default()).unwrap();
            let line = |Placed { spec, file }: &Placed| {
                let of = |one: &EnvironmentSpec| format!("{}:{}", one.name, one.namespace);
                format!("{} {} {file}", spec.name, spec.environments.iter().map(of).collect::<Vec<_>>().join(","))
            };
            (reading.applications.iter().map(line).collect::<Vec<_>>(), reading.problems)
        };
        let table = "[[application_source.generate]]\n";
        let files = [
            ("apps/shop/qa/a.yaml", "a"),
            ("apps/shop/Pro_d/a.yaml", "a"),
            ("apps/shop/old/a.yaml", "a"),
            ("apps/.x/qa/a", "a"),
        ];
        let folders = format!("{table}directories = ['apps/*/*', '!apps/*/old']\nvalues = {{ tier = 'web' }}\n");
        let both = vec!["shop pro-d:web,qa:web configuration".to_owned()];
        assert_eq!(of(&folders, &files), (both, Vec::new()));
        let of_one = format!("{folders}{table}list = [{{ path = 'apps/shop/qa', tier = 'db' }}]\nmerge = ['path']\n");
        assert_eq!(of(&of_one, &files).0, ["shop pro-d:web,qa:db configuration"]);
        let missing = of(&folders.replace("apps/*/*", "none/*"), &files).1;
        assert_eq!(missing, [" there is no folder none"]);

        let in_files = format!("{table}files = ['envs/**/*.*']\n");
        let yaml = ("envs/shop/qa/a.yaml", "tier: web\nnone:\n");
        let json = ("envs/cart/qa/b.json", "[{ \"tier\": \"db\" }]");
        let toml = ("envs/cart/eu/c.toml", "tier = 'x'\n");
        let all = ["cart eu:x,qa:db configuration", "shop qa:web configuration"].map(str::to_owned).to_vec();
        assert_eq!(of(&in_files, &[yaml, json, toml]), (all, Vec::new()));
        for (text, wrong) in [
            ("tier: [", "envs/shop/eu/d.yaml:1:"),
            ("just a text", "envs/shop/eu/d.yaml:1:1: not a map of values, nor a list of such maps"),
            (
                "tear: web",
                " configuration:14:13: nothing gives {tier}: there are {path}, {path.0}, {path.1}, {path.2}, {path.basename}, {path.file}, {tear} (for envs/shop/eu/d.yaml)",
            ),
            ("tier: web\n---\ntier: db", "envs/shop/eu/d.yaml:"),
        ] {
            let (_, problems) = of(&in_files, &[yaml, ("envs/shop/eu/d.yaml", text)]);
            assert!(problems[0].starts_with(wrong), "{text}: {problems:?}");
        }
        let link = of(&in_files, &[yaml, ("envs/shop/eu/d.yaml@", "a")]).1;
        assert_eq!(link, ["envs/shop/eu/d.yaml: a link or a submodule: write the file itself"]);
        let clash = format!("{in_files}{table}list = [{{ tier = 'a' }}]\n");
        assert_eq!(of(&clash, &[yaml]).1, [" two generators give {tier}: set prefix in one of them"]);
        let not_there = format!("{in_files}{table}list = [{{ a = 'a' }}]\nmerge = ['tier']\n");
        assert_eq!(of(&not_there, &[yaml]).1, [" number 1 of the list has no {tier} to merge by"]);
    }

    #[test]
    fn a_commit_that_changes_one_of_many_files_that_give_something_reads_one() {
        let layout = "template = 'app.toml'\n[[generate]]\nfiles = ['envs/*.yaml']\n";
        let (rules, mut cache) = (rules_with(layout), Cache::default());
        let mut files: Vec<(String, String)> =
            (0..200).map(|number| (format!("envs/{number}.yaml"), format!("name: app-{number}\n"))).collect();
        files.push(("app.toml".to_owned(), application("{name}", "qa")));
        let mut fresh = |files: &[(String, String)]| {
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
            let reading = read(&Hashed(Files::new(&files)), &rules, &Listed::new(), &mut cache).unwrap();
            (reading.applications.len(), reading.fresh)
        };
        assert_eq!(fresh(&files), (200, 400), "each file, and the template for each");
        assert_eq!(fresh(&files), (200, 0));
        files[7].1 = "name: other\n".to_owned();
        assert_eq!(fresh(&files), (200, 2));
    }

    #[test]
    fn a_value_with_quotes_stays_a_value() {
        let layout =
            "template = 'app.toml'\n[[generate]]\nlist = [{ app = 'shop', ns = \"n'\\nprotected = true\\nx = '\" }]\n";
        let template = application("{app}", "qa").replace("'n'", "'{ns}'");
        let rules = rules_with(layout);
        let reading =
            read(&Files::new(&[("app.toml", &*template)]), &rules, &Listed::new(), &mut Cache::default()).unwrap();
        let environment = &reading.applications[0].spec.environments[0];
        assert_eq!((environment.namespace.as_str(), environment.protected), ("n'\nprotected = true\nx = '", false));
    }

    /// Files whose ids are those of their content, as in a commit.
    struct Hashed(Files);

    impl Hashed {
        fn with_id(&self, mut entry: TreeEntry) -> TreeEntry {
            let content = self.0.blob(&entry).unwrap();
            let digest = Sha256::digest(&content);
            let hex: String = digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
            entry.id = hex.parse().unwrap();
            entry
        }
    }

    impl Tree for Hashed {
        fn lookup(&self, path: &str) -> Result<Option<Node>, TreeFailure> {
            Ok(self.0.lookup(path)?.map(|node| match node {
                Node::File(entry) => Node::File(self.with_id(entry)),
                Node::Folder => Node::Folder,
            }))
        }

        fn entries(&self, folder: &str) -> Result<quarterdeck_core::tree::TreeListing, TreeFailure> {
            let mut listing = self.0.entries(folder)?;
            listing.entries = listing.entries.into_iter().map(|entry| self.with_id(entry)).collect();
            Ok(listing)
        }

        fn size(&self, entry: &TreeEntry) -> Result<u64, TreeFailure> {
            self.0.size(entry)
        }

        fn blob(&self, entry: &TreeEntry) -> Result<Vec<u8>, TreeFailure> {
            self.0.blob(entry)
        }
    }

    #[test]
    fn a_commit_that_changes_one_of_many_reads_one() {
        let (rules, mut cache) = (rules("path = 'apps'"), Cache::default());
        let names: Vec<String> = (0..500).map(|number| format!("app-{number}")).collect();
        let mut files: Vec<(String, String)> =
            names.iter().map(|name| (format!("apps/{name}.toml"), application(name, "qa"))).collect();
        let mut fresh = |files: &[(String, String)]| {
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
            let tree = Hashed(Files::new(&files));
            let reading = read(&tree, &rules, &Listed::new(), &mut cache).unwrap();
            (reading.applications.len(), reading.fresh)
        };
        assert_eq!(fresh(&files), (500, 500));
        assert_eq!(fresh(&files), (500, 0));
        files[7].1.push_str("protected = true\n");
        assert_eq!(fresh(&files), (500, 1));
        files.remove(9);
        assert_eq!(fresh(&files), (499, 0));
    }
}
