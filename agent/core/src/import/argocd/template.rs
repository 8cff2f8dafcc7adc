//! An ApplicationSet as a source with a template: what it makes later is made, too.
//!
//! ```text
//! generators ─ tables ─► elements ─ fill ─► applications ─┐
//!     └ expand ─► Applications ─► applications ────────────┴─ equal? ─► the template, else what it makes now
//! ```
//! Invariant: a template is only given for a set where it makes the applications that the set makes, as far as they are known:
//! whatever is not equal, and why, is said instead.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::draft::{Draft, Environment, label};
use super::super::fields::Fields;
use super::super::source_draft::SourceDraft;
use super::super::{Around, Document, Imported, Outcome, Told, same};
use super::expression::Expression;
use super::set::{self, Given};
use super::tables::{self, Found, Known, Table};
use super::{cluster_of, clusters, expand, text};
use crate::generate::{Unknown, fill};

/// Texts that values of a generator stand for, one in another.
const TEXTS_DEEP: usize = 4;

/// The sources of a set, one for each of its generators, and what is to be known about them.
///
/// # Errors
/// Why it is no template.
pub(super) fn read(document: &Document, documents: &[Document], around: &Around) -> Result<Imported, String> {
    let mut imported = Imported::default();
    let spec = &document.object["spec"];
    if !spec["templatePatch"].is_null() {
        return Err("templatePatch has no equal".to_owned());
    }
    let generators = spec["generators"].as_array().map(Vec::as_slice).unwrap_or_default();
    if generators.is_empty() {
        return Err("it has no generators".to_owned());
    }
    let known = Known { documents, around, is_go: spec["goTemplate"] == true };
    let name = label(document.object["metadata"]["name"].as_str().unwrap_or_default());
    for (index, generator) in generators.iter().enumerate() {
        let name = if index == 0 { name.clone() } else { label(&format!("{name}-{}", index + 1)) };
        let mut reading = Reading { document, generator, known, words: Vec::new() };
        let source = reading.source(name, &mut imported)?;
        imported.sources.push(source);
    }
    tell(document, &mut imported);
    Ok(imported)
}

/// A generator that is read.
struct Reading<'a> {
    document: &'a Document,
    generator: &'a Value,
    known: Known<'a>,
    /// What stands for each placeholder until it is written.
    words: Vec<String>,
}

impl Reading<'_> {
    fn source(&mut self, name: String, imported: &mut Imported) -> Result<SourceDraft, String> {
        let Known { around, .. } = self.known;
        let own_cluster = around.cluster.clone().unwrap_or_else(|| "in-cluster".to_owned());
        let template = set::template_of(self.generator, &self.document.object["spec"]["template"]);
        let mut tables = tables::of(self.generator, self.known)?;
        let object = self.object(&template, &mut tables, &own_cluster)?;
        let mut scratch = Imported::default();
        let document = Document { place: self.document.place.clone(), object };
        let mut draft = self.draft(&document, &own_cluster, &mut scratch)?;
        self.commits(&mut draft);
        self.drop_unused(&mut tables);

        let is_known = tables::is_known(self.generator, around, same);
        let filled =
            if is_known { self.compared(&template, &tables, &draft, &own_cluster, &mut scratch)? } else { Vec::new() };
        let (object, place) = (super::super::name_of(&self.document.object), self.document.place.clone());
        scratch.told.iter_mut().for_each(|told| self.show(told));
        let stays = |told: &Told| {
            told.field != "metadata.finalizers" && !(told.field == "spec.destination" && told.words.contains("{{"))
        };
        imported.told.extend(scratch.told.into_iter().filter(stays));

        let (repository, branch) = self.repository(&draft)?;
        let environment = &draft.environment[0];
        let clusters = self.clusters(environment, &tables, &filled)?;
        let repositories = self.repositories(&draft, &repository, &filled)?;
        let namespaces = self.namespaces(environment, &tables, &filled);
        let made = filled.iter().map(|(name, _)| name.clone()).collect();
        let placeholders =
            self.words.iter().enumerate().map(|(index, inner)| (word(index), format!("{{{inner}}}"))).collect();
        self.tell_of(&tables, is_known, &clusters, imported);
        Ok(SourceDraft {
            name,
            repository,
            branch,
            prune: prunes(&self.document.object["spec"]["syncPolicy"]),
            clusters,
            namespaces,
            repositories,
            generate: tables.into_iter().map(|table| table.written).collect(),
            application: vec![draft],
            object,
            place,
            made,
            placeholders,
        })
    }

    /// The Application of the template, with a word for each expression.
    fn object(&mut self, template: &Value, tables: &mut [Table], own_cluster: &str) -> Result<Value, String> {
        let mut template = template.clone();
        // What is only told of is told as it is written.
        let told_of =
            ["/metadata/labels", "/metadata/annotations", "/spec/project", "/spec/info", "/spec/ignoreDifferences"];
        let plain: Vec<(&str, Value)> =
            told_of.iter().filter_map(|at| Some((*at, template.pointer(at)?.clone()))).collect();
        for (at, _) in &plain {
            *template.pointer_mut(at).unwrap_or(&mut Value::Null) = Value::Null;
        }
        self.destination(&mut template, tables, own_cluster);
        let mut object = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application" });
        for part in ["metadata", "spec"] {
            object[part] = self.worded(&template[part], tables, 0)?;
        }
        for (at, value) in plain {
            *object.pointer_mut(at).unwrap_or(&mut Value::Null) = value;
        }
        Ok(object)
    }

    /// A value with a word for each expression.
    fn worded(&mut self, value: &Value, tables: &[Table], depth: usize) -> Result<Value, String> {
        let is_go = self.known.is_go;
        let found = expand::with(value, &mut |text| {
            let expression = Expression::read(text, is_go)?;
            match tables::find(tables, &expression, is_go)? {
                Found::Placeholder(inner) => Some(self.word(inner)),
                Found::Text(_) if depth >= TEXTS_DEEP => None,
                Found::Text(text) => {
                    let text = self.worded(&Value::String(text), tables, depth + 1).ok()?;
                    text.as_str().map(str::to_owned)
                }
            }
        });
        found.map_err(|expression| format!("{{{{{expression}}}}} has no equal in a template"))
    }

    fn word(&mut self, inner: String) -> String {
        let known = self.words.iter().position(|other| *other == inner);
        word(known.unwrap_or_else(|| {
            self.words.push(inner);
            self.words.len() - 1
        }))
    }

    /// A cluster goes by its name here. Of a list the names are written beside the addresses.
    fn destination(&mut self, template: &mut Value, tables: &mut [Table], own_cluster: &str) {
        let destination = &template["spec"]["destination"];
        let Some(written) = text(destination, "name").or(text(destination, "server")).map(str::to_owned) else {
            return;
        };
        let Some(expression) = written.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) else {
            return;
        };
        let Some(expression) = Expression::read(expression.trim(), self.known.is_go) else { return };
        let key = expression.key();
        let (documents, is_go) = (self.known.documents, self.known.is_go);
        for table in tables.iter_mut().rev() {
            if table.is_of_clusters() && matches!(key.as_str(), "name" | "server") {
                let Some(Found::Placeholder(inner)) = table.find("name", is_go) else { return };
                template["spec"]["destination"] = self.named(template, inner);
                return;
            }
            let Some(Found::Placeholder(name)) = table.find(&key, is_go).filter(|_| table.is_list()) else { continue };
            let mut is_other = false;
            let mut entries = table.written.list.clone().unwrap_or_default();
            for entry in &mut entries {
                let Some(there) = entry.get(&name).cloned() else { continue };
                let cluster = match clusters::name_of(&there, documents) {
                    Some(name) => label(&name),
                    None if matches!(there.as_str(), "in-cluster" | "https://kubernetes.default.svc") => {
                        own_cluster.to_owned()
                    }
                    None => cluster_of(&there),
                };
                is_other |= cluster != there;
                entry.insert("destination".to_owned(), cluster);
            }
            if is_other {
                table.written.list = Some(entries);
                template["spec"]["destination"] = self.named(template, "destination".to_owned());
            }
            return;
        }
    }

    fn named(&mut self, template: &Value, inner: String) -> Value {
        json!({ "name": self.word(inner), "namespace": template["spec"]["destination"]["namespace"] })
    }

    /// The application of an object, in the cluster that it is in.
    fn draft(&self, document: &Document, own_cluster: &str, into: &mut Imported) -> Result<Draft, String> {
        let Known { documents, around, .. } = self.known;
        let before = into.drafts.len();
        super::application(document, documents, around, into);
        let draft = into.drafts.get_mut(before).map(|draft| {
            for environment in &mut draft.environment {
                environment.cluster.get_or_insert_with(|| own_cluster.to_owned());
                if !around.automatic {
                    environment.wait();
                }
            }
            draft.clone()
        });
        let why = || {
            let told = into.told.iter().rev().find(|told| told.outcome == Outcome::Not).or(into.told.last());
            told.map_or_else(|| "it makes no application".to_owned(), |told| format!("{}: {}", told.field, told.words))
        };
        draft.ok_or_else(why)
    }

    /// A commit is not a branch: only its value would say so.
    fn commits(&self, draft: &mut Draft) {
        for environment in &mut draft.environment {
            let inner = environment
                .branch
                .as_ref()
                .and_then(|branch| (0..self.words.len()).find(|index| word(*index) == *branch));
            if inner.is_some_and(|index| self.words[index].ends_with(".commit")) {
                environment.commit = environment.branch.take();
            }
        }
    }

    /// What no text of the template asks for is not written.
    fn drop_unused(&self, tables: &mut [Table]) {
        let mut used: BTreeSet<&str> = self.words.iter().filter_map(|inner| inner.split('|').next()).collect();
        let merged: Vec<String> = tables.iter().flat_map(|table| table.written.merge.clone()).collect();
        used.extend(merged.iter().map(String::as_str));
        for table in tables {
            let prefix = table.written.prefix.clone().map(|prefix| prefix + ".").unwrap_or_default();
            let is_used = |name: &String| used.contains(format!("{prefix}{name}").as_str());
            table.written.values.retain(|name, _| is_used(name));
            for entry in table.written.list.iter_mut().flatten() {
                entry.retain(|name, _| is_used(name));
            }
        }
    }

    /// What the template makes now, by name; or the first that is another one than what the set makes.
    fn compared(
        &self,
        template: &Value,
        tables: &[Table],
        draft: &Draft,
        own_cluster: &str,
        scratch: &mut Imported,
    ) -> Result<Vec<(String, Value)>, String> {
        let Known { documents, around, is_go } = self.known;
        let given = set::generate(self.generator, &Given { documents, around, is_go }, 0)?;
        let (mut theirs, mut told) = (BTreeMap::new(), Vec::new());
        for parameters in &given {
            let made = set::made(template, parameters, is_go, self.document, documents);
            let made = made.map_err(|expression| format!("{{{{{expression}}}}} is not known of all that it makes"))?;
            let mut one = Imported::default();
            let value = value(&self.draft(&made, own_cluster, &mut one)?);
            told.append(&mut one.told);
            theirs.insert(value["name"].as_str().unwrap_or_default().to_owned(), value);
        }
        let written = self.with_placeholders(&value(draft));
        let mut ours = BTreeMap::new();
        for element in tables::elements(tables, self.known, own_cluster)? {
            let filled = fill(&written, &element).map_err(|unknown: Vec<Unknown>| {
                let placeholder = unknown.first().map(|one| one.placeholder.clone()).unwrap_or_default();
                format!("nothing gives {placeholder} for {}", element.of)
            })?;
            ours.insert(filled["name"].as_str().unwrap_or_default().to_owned(), filled);
        }
        if let Some(name) = theirs.keys().find(|name| !ours.contains_key(*name)) {
            return Err(format!("a template would not make {name}"));
        }
        for (name, ours) in &ours {
            let theirs = theirs.get(name).ok_or_else(|| format!("a template would make {name}, too"))?;
            if let Some((field, there, here)) = difference(theirs, ours, "") {
                return Err(format!("{field} of {name} is {there}, and would be {here}"));
            }
        }
        // What is told of each is told instead of what would be told of the template.
        if !given.is_empty() {
            scratch.told = told;
        }
        Ok(ours.into_iter().collect())
    }

    fn with_placeholders(&self, value: &Value) -> Value {
        let text = |text: &String| {
            self.words
                .iter()
                .enumerate()
                .fold(text.clone(), |text, (index, inner)| text.replace(&word(index), &format!("{{{inner}}}")))
        };
        match value {
            Value::String(one) => Value::String(text(one)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.with_placeholders(item)).collect()),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (text(key), self.with_placeholders(value))).collect())
            }
            other => other.clone(),
        }
    }

    /// What is told of the template names its placeholders.
    fn show(&self, told: &mut Told) {
        for (index, inner) in self.words.iter().enumerate() {
            for text in [&mut told.object, &mut told.words, &mut told.field] {
                *text = text.replace(&word(index), &format!("{{{{{inner}}}}}"));
            }
        }
    }

    /// Where the folders and files are that are listed; else where the manifests are.
    fn repository(&self, draft: &Draft) -> Result<(String, Option<String>), String> {
        if let Some((repository, revision)) = tables::repository(self.generator) {
            let branch = match revision.as_deref() {
                None | Some("HEAD") => None,
                Some(revision) => {
                    let revision = revision.strip_prefix("refs/heads/").unwrap_or(revision);
                    let is_version = semver::Version::parse(revision.strip_prefix('v').unwrap_or(revision)).is_ok();
                    let is_commit = revision.len() >= 7 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
                    if is_version || is_commit || revision.starts_with("refs/") {
                        return Err(format!("revision {revision} of its generator is not a branch"));
                    }
                    Some(revision.to_owned())
                }
            };
            return Ok((repository, branch));
        }
        let environment = &draft.environment[0];
        let is_fixed = |address: &&String| !address.is_empty() && !self.is_worded(address);
        let own = Some(&environment.repository).filter(is_fixed).or(self.known.around.repository.as_ref());
        own.cloned()
            .map(|repository| (repository, None))
            .ok_or_else(|| "a source is in a repository, and none is known: import with --repository URL".to_owned())
    }

    fn is_worded(&self, text: &str) -> bool {
        (0..self.words.len()).any(|index| text.contains(&word(index)))
    }

    /// The clusters that the source may use: those of what is made now, and those that are to be selected.
    fn clusters(
        &self,
        environment: &Environment,
        tables: &[Table],
        filled: &[(String, Value)],
    ) -> Result<Vec<String>, String> {
        let of = |(_, value): &(String, Value)| value["environment"][0]["cluster"].as_str().map(str::to_owned);
        let mut all: BTreeSet<String> = filled.iter().filter_map(of).collect();
        let own = environment.cluster.clone().unwrap_or_default();
        if !self.is_worded(&own) {
            all.insert(own);
        }
        if all.is_empty() {
            return Err("which clusters it may use is not known: it makes nothing now".to_owned());
        }
        // A cluster that it does not select is none that it may use.
        let is_selecting = tables.iter().any(Table::is_of_clusters);
        if is_selecting && filled.is_empty() {
            return Err("no cluster is selected now".to_owned());
        }
        Ok(all.into_iter().collect())
    }

    /// The namespaces: those that are written, or a pattern with what is filled in.
    fn namespaces(&self, environment: &Environment, tables: &[Table], filled: &[(String, Value)]) -> Vec<String> {
        let of = |(_, value): &(String, Value)| value["environment"][0]["namespace"].as_str().map(str::to_owned);
        if tables.iter().all(Table::is_list) && !filled.is_empty() {
            return filled.iter().filter_map(of).collect::<BTreeSet<String>>().into_iter().collect();
        }
        let any =
            (0..self.words.len()).fold(environment.namespace.clone(), |text, index| text.replace(&word(index), "*"));
        vec![any]
    }

    /// The repositories beside its own that are written, or that what is made now uses.
    fn repositories(&self, draft: &Draft, own: &str, filled: &[(String, Value)]) -> Result<Vec<String>, String> {
        let mut all = BTreeSet::new();
        addresses(&value(draft), &mut all);
        let is_any = all.iter().any(|address| self.is_worded(address));
        all.retain(|address| !self.is_worded(address));
        filled.iter().for_each(|(_, value)| addresses(value, &mut all));
        all.retain(|address| !same(address, own));
        if is_any && filled.is_empty() {
            return Err("which repositories it may use is not known: it makes nothing now".to_owned());
        }
        Ok(all.into_iter().collect())
    }

    /// What a person has to know of this generator.
    fn tell_of(&self, tables: &[Table], is_known: bool, clusters: &[String], imported: &mut Imported) {
        let fields = &mut Fields::new(&self.document.object, &self.document.place, imported);
        if !is_known {
            let words = "what it makes is not known here: compare it with `qd-agent check --source`, and `qd diff` before a sync";
            fields.otherwise("spec.generators", words);
        }
        if tables.iter().any(|table| table.is_of_git() || table.is_of_clusters()) {
            let words = "clusters, namespaces and repositories of the source are those of now: add what a new application needs";
            fields.otherwise("spec.generators", words);
        }
        for labels in tables.iter().filter_map(|table| table.written.clusters.as_ref()) {
            let of_words = self.words.iter().filter_map(|inner| inner.split('|').next()?.strip_prefix("cluster."));
            let names: BTreeSet<&str> = labels.keys().map(String::as_str).chain(of_words).collect();
            let names: Vec<&str> = names.into_iter().collect();
            let with = if names.is_empty() { String::new() } else { format!(" with the labels {}", names.join(", ")) };
            fields.otherwise("spec.generators", format!("add a [[cluster]] for each of {}{with}", clusters.join(", ")));
        }
        for table in tables.iter().filter(|table| table.is_of_merge_requests()) {
            let repository = table.written.repository.as_deref().unwrap_or_default();
            fields.otherwise(
                "spec.generators",
                format!("add a [[forge]] with a token that may list merge requests of {repository}"),
            );
            fields.otherwise("spec.generators", "merge requests of forks are left out: forks = true lists them, and whoever may fork runs code in the cluster then");
        }
        if self.words.iter().any(|inner| inner.starts_with("merge_request.slug")) {
            fields.otherwise("spec.template", "the slug of a branch whose name is not a DNS label ends with a hash");
        }
    }
}

/// A word that a name, an address and a value may be, for a placeholder.
fn word(index: usize) -> String {
    format!("qdparam{index}x")
}

fn value(draft: &Draft) -> Value {
    serde_json::to_value(draft).unwrap_or_default()
}

/// The addresses of repositories, charts and artifacts.
fn addresses(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "values") {
                match value {
                    Value::String(address) if key == "repository" && !address.is_empty() => {
                        into.insert(address.clone());
                    }
                    other => addresses(other, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| addresses(item, into)),
        _ => {}
    }
}

/// The first place at which two are not the same, and both.
fn difference(one: &Value, other: &Value, at: &str) -> Option<(String, String, String)> {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| difference(&one[key.as_str()], &other[key.as_str()], &below(key)))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(index, (a, b))| difference(a, b, &below(&index.to_string())))
        }
        (one, other) if one == other => None,
        (one, other) => Some((at.replace("environment.0.", ""), shown(one), shown(other))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        other => other.to_string(),
    }
}

/// Whether Argo CD deletes the objects of an application that the set no longer makes.
fn prunes(policy: &Value) -> bool {
    let deletes = matches!(policy["applicationsSync"].as_str(), None | Some("sync" | "create-delete"));
    deletes && policy["preserveResourcesOnDeletion"] != true
}

/// What a person has to know of the set as a whole.
fn tell(document: &Document, imported: &mut Imported) {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    for read in ["goTemplate", "goTemplateOptions", "generators", "template"] {
        fields.take(&format!("spec.{read}"));
    }
    let policy = fields.take("spec.syncPolicy").unwrap_or_default();
    let words = match prunes(&policy) {
        true => {
            "prune = true, as there: objects of what leaves are deleted where sync.automatic and sync.prune are on, of at most prune_max = 10 at the same time"
        }
        false => "prune is off, as there: objects of what leaves stay",
    };
    fields.otherwise("spec.syncPolicy", words);
    if let Some(sync) =
        policy["applicationsSync"].as_str().filter(|sync| matches!(*sync, "create-only" | "create-delete"))
    {
        let words =
            format!("{sync}: applications change with their template: pin one, or define it in the configuration");
        fields.not("spec.syncPolicy.applicationsSync", words);
    }
    fields.tell_rest(&[
        ("spec.strategy", Outcome::Not, "applications have no order among each other"),
        ("spec.preservedFields", Outcome::Otherwise, "nothing else writes to applications"),
        ("spec.ignoreApplicationDifferences", Outcome::Otherwise, "nothing else writes to applications"),
    ]);
}
