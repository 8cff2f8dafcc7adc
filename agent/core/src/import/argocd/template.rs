//! An ApplicationSet as a source with a template: what it makes later is made, too.
//!
//! ```text
//! generators ─ tables ─► elements ─ fill ─► applications ─┐
//!     └ expand ─► Applications ─► applications ────────────┴─ equal? ─► the template, else what it makes now
//! ```
//! Invariant: a template is only given for a set where it makes the applications that the set makes, as far as they are known:
//! whatever is not equal, and why, is said instead.

mod compare;
mod limits;
mod told;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::told::{prunes, tell};
use super::super::draft::{Draft, label};
use super::super::source_draft::SourceDraft;
use super::super::{Around, Document, Imported, Outcome, Told, same};
use super::expression::Expression;
use super::set;
use super::tables::{self, Found, Known, Table};
use super::{cluster_of, clusters, expand, text};
use crate::generate;

/// Texts that values of a generator stand for, one in another.
const TEXTS_DEEP: usize = 4;

/// What the cluster that Argo CD runs in is called where nothing else is said.
const OWN_CLUSTER: &str = "in-cluster";

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
        let own_cluster = around.cluster.clone().unwrap_or_else(|| OWN_CLUSTER.to_owned());
        let template = set::template_of(self.generator, &self.document.object["spec"]["template"]);
        let mut tables = tables::read(self.generator, self.known)?;
        let object = self.object(&template, &mut tables, &own_cluster)?;
        let mut scratch = Imported::default();
        let document = Document { place: self.document.place.clone(), object };
        let mut draft = self.draft(&document, &own_cluster, &mut scratch)?;
        if document.object["metadata"]["name"] != draft.name.as_str() {
            return Err("the name in its template is not a DNS label, or too long".to_owned());
        }
        if generate::with_word(&value(&draft), "") != value(&draft) {
            return Err("a text of its template is written like a placeholder of ours".to_owned());
        }
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
        self.tell_of(&tables, is_known && !filled.is_empty(), &clusters, imported);
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
        // What is only told of is told as it is written.
        let told_of: Vec<&str> = set::SAYS_NOTHING.into_iter().chain(["/spec/project"]).collect();
        let (mut template, plain) = set::without(template, &told_of);
        self.destination(&mut template, tables, own_cluster);
        let mut object = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application" });
        for part in ["metadata", "spec"] {
            object[part] = self.worded(&template[part], tables, 0)?;
        }
        set::put_back(&mut object, plain);
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

    /// What is told of the template names its placeholders.
    fn show(&self, told: &mut Told) {
        for (index, inner) in self.words.iter().enumerate() {
            for text in [&mut told.object, &mut told.words, &mut told.field] {
                *text = text.replace(&word(index), &format!("{{{{{inner}}}}}"));
            }
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
