//! Generators of an ApplicationSet as tables of ours: what each gives, by the names of both.

mod listed;
mod merge_requests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

pub(super) use self::listed::{is_known, repository};

use super::super::source_draft::Generate;
use super::super::{Around, Document};
use super::clusters::{self, SECRET_TYPE};
use super::expression::Expression;
use super::text;
use crate::generate::combine::{merged, product};
use crate::generate::globs::Globs;
use crate::generate::{Element, OF_OPTIONS, files, is_name, is_placeholder};

/// Elements that are compared with what the set makes: as many as a set is expanded to.
pub(super) const ELEMENTS_MAX: usize = 5_000;

/// What is known of a set.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) documents: &'a [Document],
    pub(super) around: &'a Around,
    pub(super) is_go: bool,
}

/// A table of ours, and what it was.
pub(super) struct Table {
    pub(super) written: Generate,
    kind: Kind,
    /// The names of values, there, that are texts with other values in them.
    aliases: BTreeMap<String, String>,
}

enum Kind {
    /// By the names of the keys, there.
    List(BTreeMap<String, String>),
    Folders(Option<String>),
    /// With the names of what is written in the files now.
    Files(Option<String>, BTreeSet<String>),
    /// Whether the one that Argo CD runs in is among them.
    Clusters(bool),
    MergeRequests,
}

/// What stands for a parameter.
pub(super) enum Found {
    /// A placeholder, without braces.
    Placeholder(String),
    /// Another text of the set.
    Text(String),
}

/// The tables of a generator.
///
/// # Errors
/// Why it has none.
pub(super) fn read(generator: &Value, known: Known<'_>) -> Result<Vec<Table>, String> {
    let fields = generator.as_object().into_iter().flatten();
    let named: Vec<(&String, &Value)> = fields.filter(|(key, _)| *key != "template").collect();
    let [(kind, of)] = named[..] else {
        return Err("a selector of a generator has no equal".to_owned());
    };
    let nested = || of["generators"].as_array().map(Vec::as_slice).unwrap_or_default();
    let table = match kind.as_str() {
        "list" => list(of, &[])?,
        "git" => git(of, known)?,
        "clusters" => clusters(of)?,
        "pullRequest" => {
            let written = merge_requests::read(of)?;
            let mut table = Table { written, kind: Kind::MergeRequests, aliases: BTreeMap::new() };
            table.values(&of["values"])?;
            table
        }
        "matrix" => {
            let all = nested().iter().map(|one| {
                if is_of_another(one) {
                    return Err("a generator of the matrix has parameters of the other in it".to_owned());
                }
                self::read(one, known)
            });
            return Ok(all.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
        }
        "merge" => return merge(nested(), &of["mergeKeys"], known),
        other => return Err(format!("generator {other} has no equal")),
    };
    Ok(vec![table])
}

/// Whether a generator goes by parameters of one before it; what it gives itself may be made of its own.
fn is_of_another(generator: &Value) -> bool {
    let mut plain = generator.clone();
    for of in plain.as_object_mut().into_iter().flatten().map(|(_, of)| of) {
        if let Value::Object(of) = of {
            of.remove("template");
            of.remove("values");
            of.remove("generators");
        }
    }
    plain.to_string().contains("{{")
}

fn merge(generators: &[Value], keys: &Value, known: Known<'_>) -> Result<Vec<Table>, String> {
    let keys: Vec<&str> = keys.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some((first, others)) = generators.split_first() else { return Ok(Vec::new()) };
    let mut tables = read(first, known)?;
    for other in others {
        let mut table = match &other["list"] {
            Value::Null => {
                let [table] = <[Table; 1]>::try_from(read(other, known)?)
                    .map_err(|_| "a matrix is merged into another generator".to_owned())?;
                table
            }
            of => list(of, &tables)?,
        };
        let by = keys.iter().map(|key| match table.find(key, false) {
            Some(Found::Placeholder(name)) if !name.contains('|') => Ok(name),
            _ => Err(format!("it is merged by {key}, which has no equal")),
        });
        table.written.merge = by.collect::<Result<_, _>>()?;
        if table.written.merge.is_empty() {
            return Err("it is merged by nothing".to_owned());
        }
        tables.push(table);
    }
    Ok(tables)
}

/// The elements of a list; a key that the tables before it give has their name.
fn list(list: &Value, before: &[Table]) -> Result<Table, String> {
    if !list["elementsYaml"].is_null() {
        return Err("elementsYaml has no equal: write the elements".to_owned());
    }
    let (mut names, mut entries) = (BTreeMap::new(), Vec::new());
    for element in list["elements"].as_array().into_iter().flatten() {
        let mut entry = BTreeMap::new();
        for (key, value) in files::flat(element).map_err(|fault| fault.to_string())? {
            let known = before.iter().rev().find_map(|table| match table.find(&key, false)? {
                Found::Placeholder(name) => Some(name).filter(|name| is_name(name)),
                Found::Text(_) => None,
            });
            let own = || {
                if is_name(&key) { Some(key.clone()) } else { Some(format!("list.{key}")).filter(|name| is_name(name)) }
            };
            let name = known.or_else(own).ok_or_else(|| format!("{key:?} cannot name a value"))?;
            names.insert(key, name.clone());
            entry.insert(name, value);
        }
        entries.push(entry);
    }
    let written = Generate { list: Some(entries), ..Generate::default() };
    Ok(Table { written, kind: Kind::List(names), aliases: BTreeMap::new() })
}

fn git(git: &Value, known: Known<'_>) -> Result<Table, String> {
    let own = text(git, "pathParamPrefix").map(str::to_owned);
    if let Some(prefix) = own.as_ref().filter(|prefix| !is_name(prefix)) {
        return Err(format!("pathParamPrefix {prefix:?} cannot be a prefix"));
    }
    let (rules, is_of_files) = match (&git["files"], &git["directories"]) {
        (Value::Array(rules), _) => (rules, true),
        (_, Value::Array(rules)) => (rules, false),
        _ => return Err("its git generator has neither directories nor files".to_owned()),
    };
    let pattern = |rule: &Value| {
        let path = text(rule, "path").unwrap_or_default();
        if rule["exclude"] == true { format!("!{path}") } else { path.to_owned() }
    };
    let patterns: Vec<String> = rules.iter().map(pattern).collect();
    let globs = Globs::parse(&patterns).map_err(|error| error.to_string())?;
    let mut written = Generate { prefix: own.clone(), ..Generate::default() };
    let kind = if is_of_files {
        written.files = patterns;
        let elements = written_in_files(&globs, known.around)?;
        let names: BTreeSet<String> = elements.into_iter().flat_map(|element| element.values.into_keys()).collect();
        if own.is_none() && names.iter().any(|name| OF_OPTIONS.contains(&name.as_str())) {
            written.prefix = Some("file".to_owned());
        }
        Kind::Files(own, names)
    } else {
        written.directories = patterns;
        Kind::Folders(own)
    };
    let mut table = Table { written, kind, aliases: BTreeMap::new() };
    table.values(&git["values"])?;
    Ok(table)
}

fn clusters(of: &Value) -> Result<Table, String> {
    let selector = &of["selector"];
    if selector["matchExpressions"].as_array().is_some_and(|all| !all.is_empty()) {
        return Err("matchExpressions of a selector have no equal: use matchLabels".to_owned());
    }
    let mut labels = BTreeMap::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        // Each cluster that is one has this label.
        if key != SECRET_TYPE {
            labels.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
        }
    }
    let written = Generate { clusters: Some(labels), ..Generate::default() };
    let mut table = Table {
        written,
        kind: Kind::Clusters(selector.as_object().is_none_or(Map::is_empty)),
        aliases: BTreeMap::new(),
    };
    table.values(&of["values"])?;
    Ok(table)
}

impl Table {
    /// Values of its own: what is fixed is one of ours, and what is made of others stands for that text.
    fn values(&mut self, values: &Value) -> Result<(), String> {
        for (name, value) in values.as_object().into_iter().flatten() {
            let name = format!("values.{name}");
            let value = value.as_str().ok_or_else(|| format!("{name} is not a text"))?;
            if value.contains("{{") {
                self.aliases.insert(name, value.to_owned());
            } else if is_name(&name) {
                self.written.values.insert(name, value.to_owned());
            } else {
                return Err(format!("{name:?} cannot name a value"));
            }
        }
        Ok(())
    }

    /// What stands for a parameter, which is one of Go or not; nothing where it gives no such parameter.
    pub(super) fn find(&self, key: &str, is_go: bool) -> Option<Found> {
        if let Some(text) = self.aliases.get(key) {
            return Some(Found::Text(text.clone()));
        }
        let name = if self.written.values.contains_key(key) { key.to_owned() } else { self.own(key, is_go)? };
        Some(Found::Placeholder(match &self.written.prefix {
            Some(prefix) => format!("{prefix}.{name}"),
            None => name,
        }))
    }

    fn own(&self, key: &str, is_go: bool) -> Option<String> {
        let name = match &self.kind {
            Kind::List(names) => names.get(key)?.clone(),
            Kind::Folders(prefix) => of_path(key, prefix.as_deref(), is_go, false)?,
            Kind::Files(prefix, names) => of_path(key, prefix.as_deref(), is_go, true).or_else(|| {
                let is_written = names.is_empty() || names.contains(key);
                let is_ours = is_placeholder(key) && (self.written.prefix.is_some() || !OF_OPTIONS.contains(&key));
                (is_written && is_ours).then(|| key.to_owned())
            })?,
            Kind::Clusters(_) => match key {
                "name" => "cluster".to_owned(),
                "nameNormalized" => "cluster|dns".to_owned(),
                _ => format!("cluster.{}", key.strip_prefix("metadata.labels.")?),
            },
            Kind::MergeRequests => match key {
                "number" => "merge_request",
                "branch" => "merge_request.branch",
                "branch_slug" => "merge_request.slug",
                "target_branch" => "merge_request.target",
                "head_sha" => "merge_request.commit",
                "head_short_sha" => "merge_request.commit|first:8",
                "head_short_sha_7" => "merge_request.commit|first:7",
                _ => return None,
            }
            .to_owned(),
        };
        let plain = name.split('|').next().unwrap_or_default();
        is_placeholder(plain).then_some(name)
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_))
    }

    pub(super) fn is_of_clusters(&self) -> bool {
        matches!(self.kind, Kind::Clusters(_))
    }

    pub(super) fn is_of_files(&self) -> bool {
        matches!(self.kind, Kind::Files(..))
    }

    pub(super) fn is_of_git(&self) -> bool {
        matches!(self.kind, Kind::Files(..) | Kind::Folders(_))
    }

    pub(super) fn is_of_merge_requests(&self) -> bool {
        matches!(self.kind, Kind::MergeRequests)
    }

    /// The clusters that it selects now; nothing where it selects none.
    pub(super) fn selected(&self, known: Known<'_>, own_cluster: &str) -> Option<BTreeSet<String>> {
        let Kind::Clusters(has_own) = self.kind else { return None };
        let own = has_own.then_some(own_cluster);
        let labels = self.written.clusters.clone().unwrap_or_default();
        Some(selected(&labels, known.documents, own).into_iter().map(|(name, _)| name).collect())
    }

    /// What it gives now, as the agent has it.
    fn elements(&self, known: Known<'_>, own_cluster: &str) -> Result<Vec<Element>, String> {
        let Generate { list, directories, files, clusters, values, prefix, .. } = &self.written;
        let elements: Vec<Element> = if let Some(entries) = list {
            entries.iter().enumerate().map(|(index, values)| Element::of_list(index + 1, values)).collect()
        } else if !directories.is_empty() {
            let globs = Globs::parse(directories).map_err(|error| error.to_string())?;
            let folders = globs.folders(known.around.files.iter().map(String::as_str));
            folders.iter().map(|folder| Element::of_folder(folder)).collect()
        } else if !files.is_empty() {
            written_in_files(&Globs::parse(files).map_err(|error| error.to_string())?, known.around)?
        } else if let Some(labels) = clusters {
            let own = matches!(self.kind, Kind::Clusters(true)).then_some(own_cluster);
            let all = selected(labels, known.documents, own);
            all.iter().map(|(name, labels)| Element::of_cluster(name, labels)).collect()
        } else {
            Vec::new()
        };
        let with = |element: Element| {
            let element = element.with(values);
            prefix.as_ref().map_or_else(|| element.clone(), |prefix| element.clone().prefixed(prefix))
        };
        Ok(elements.into_iter().map(with).collect())
    }
}

/// The clusters with these labels: those that have a Secret, and where all are meant the one that Argo CD runs in.
fn selected(
    labels: &BTreeMap<String, String>,
    documents: &[Document],
    own_cluster: Option<&str>,
) -> Vec<(String, BTreeMap<String, String>)> {
    let has_all = |own: &BTreeMap<String, String>| labels.iter().all(|(key, value)| own.get(key) == Some(value));
    let mut all = clusters::known(documents);
    if let Some(own) = own_cluster.filter(|own| !all.iter().any(|(name, _)| name == own)) {
        all.push((own.to_owned(), BTreeMap::new()));
    }
    all.retain(|(_, own)| has_all(own));
    all
}

/// All that the tables give together now.
///
/// # Errors
/// Why they cannot be put together.
pub(super) fn elements(tables: &[Table], known: Known<'_>, own_cluster: &str) -> Result<Vec<Element>, String> {
    let mut all: Option<Vec<Element>> = None;
    for table in tables {
        let some = table.elements(known, own_cluster)?;
        all = Some(match all {
            None => some,
            Some(before) if table.written.merge.is_empty() => {
                product(&before, &some, ELEMENTS_MAX).map_err(|why| why.to_string())?
            }
            Some(before) => merged(before, &some, &table.written.merge).map_err(|why| why.to_string())?,
        });
    }
    Ok(all.unwrap_or_default())
}

fn written_in_files(globs: &Globs, around: &Around) -> Result<Vec<Element>, String> {
    let mut all = Vec::new();
    for path in around.files.iter().filter(|path| globs.matches(path)) {
        // What cannot be read is told where the set is expanded.
        let Some(content) = around.contents.get(path) else { return Err(format!("{path} is not valid YAML or JSON")) };
        all.extend(files::elements(path, content).map_err(|fault| format!("{path}: {fault}"))?);
    }
    Ok(all)
}

/// What a parameter of a path is called here.
fn of_path(key: &str, prefix: Option<&str>, is_go: bool, is_of_file: bool) -> Option<String> {
    let key = match prefix {
        Some(prefix) => key.strip_prefix(prefix)?.strip_prefix('.')?,
        None => key,
    };
    let name = match key {
        "path" if !is_go => "path",
        "path.path" if is_go => "path",
        "path.basename" => "path.basename",
        "path.basenameNormalized" => "path.basename|dns",
        "path.filename" if is_of_file => "path.file",
        "path.filenameNormalized" if is_of_file => "path.file|dns",
        _ => {
            let number = match is_go {
                true => key.strip_prefix("path.segments.")?,
                false => key.strip_prefix("path[")?.strip_suffix(']')?,
            };
            return number.parse::<usize>().ok().map(|number| format!("path.{number}"));
        }
    };
    Some(name.to_owned())
}

/// What stands for an expression: that of the last table that gives it, and what is written in files only where no other does.
pub(super) fn find(tables: &[Table], expression: &Expression, is_go: bool) -> Option<Found> {
    let key = expression.key();
    let (of_files, others): (Vec<&Table>, Vec<&Table>) = tables.iter().rev().partition(|table| table.is_of_files());
    let found = others.into_iter().chain(of_files).find_map(|table| table.find(&key, is_go))?;
    match found {
        Found::Placeholder(name) => {
            let functions =
                expression.functions.iter().map(|function| function.can_be_written().then(|| format!("|{function}")));
            let functions = functions.collect::<Option<String>>()?;
            Some(Found::Placeholder(name + &functions))
        }
        text @ Found::Text(_) => expression.functions.is_empty().then_some(text),
    }
}
