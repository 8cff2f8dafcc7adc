//! An ApplicationSet: the Applications that it makes, of what its generators give.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use super::super::{Around, Document, Imported, same};
use super::{clusters, expand, text};
use crate::generate::functions::dns;
use crate::generate::globs;
use crate::tree::paths::{file_name, parent};

/// A set of parameters for the template.
pub(super) type Parameters = Map<String, Value>;

/// Applications of one set: more are no set that a person wrote.
const APPLICATIONS_MAX: usize = 5_000;

/// Generators in generators: Argo CD takes two, a matrix of a matrix.
const DEPTH_MAX: usize = 4;

/// The Applications that a set makes; what it would make that is not known here is told, and why it is no template.
pub(super) fn applications(
    document: &Document,
    documents: &[Document],
    around: &Around,
    why: Option<&str>,
    imported: &mut Imported,
) -> Vec<Document> {
    let fields = &mut Fields::new(&document.object, &document.place, imported);
    let is_go = fields.flag("spec.goTemplate").unwrap_or(false);
    fields.take("spec.goTemplateOptions");
    let generators = fields.list("spec.generators");
    let template = fields.take("spec.template").unwrap_or_default();
    let mut given = Vec::new();
    for generator in &generators {
        let template = template_of(generator, &template);
        match generate(generator, &Given { documents, around, is_go }, 0) {
            Ok(parameters) => given.extend(parameters.into_iter().map(|parameters| (parameters, template.clone()))),
            Err(words) => fields.not("spec.generators", words),
        }
    }
    if given.len() > APPLICATIONS_MAX {
        fields.not(
            "spec.generators",
            format!("{} applications: only the first {APPLICATIONS_MAX} are imported", given.len()),
        );
        given.truncate(APPLICATIONS_MAX);
    }
    if fields.has("spec.templatePatch") {
        fields.not("spec.templatePatch", "only the template is read: apply the patch to the applications manually");
        fields.take("spec.templatePatch");
    }
    let made = given.iter().filter_map(|(parameters, template)| {
        let found = made(template, parameters, is_go, document, documents);
        let not = |expression| format!("{{{{{expression}}}}} is not supported: one application is skipped");
        found.map_err(|expression| fields.not("spec.template", not(expression))).ok()
    });
    let made: Vec<Document> = made.collect();
    if !generators.is_empty() {
        let mut words = format!(
            "{} applications, from the folders, files and elements of today: a new one adds no application by itself",
            made.len()
        );
        words.extend(why.map(|why| format!("; not imported as a template: {why}")));
        fields.otherwise("spec.generators", words);
    }
    fields.tell_rest(&[
        (
            "spec.syncPolicy",
            super::Outcome::Otherwise,
            "objects stay when an application is removed from the configuration",
        ),
        ("spec.strategy", super::Outcome::Not, "applications have no order among each other"),
        ("spec.preservedFields", super::Outcome::Otherwise, "nothing else writes to applications"),
        ("spec.ignoreApplicationDifferences", super::Outcome::Otherwise, "nothing else writes to applications"),
    ]);
    made
}

/// The template of the set, with what a generator says of it in its place: as there, what is written in it counts.
pub(super) fn template_of(generator: &Value, template: &Value) -> Value {
    let own = generator.as_object().into_iter().flatten().find_map(|(_, of)| of.get("template"));
    match own {
        Some(own) => over(template, own),
        None => template.clone(),
    }
}

fn over(below: &Value, above: &Value) -> Value {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            let mut all = below.clone();
            for (key, value) in above {
                let value = below.get(key).map_or_else(|| value.clone(), |known| over(known, value));
                all.insert(key.clone(), value);
            }
            Value::Object(all)
        }
        // What is empty says nothing.
        (below, Value::Null) => below.clone(),
        (below, Value::String(text)) if text.is_empty() => below.clone(),
        (below, Value::Array(items)) if items.is_empty() => below.clone(),
        (below, Value::Bool(false)) => below.clone(),
        (_, above) => above.clone(),
    }
}

/// Fields of an Application that say nothing of what is deployed: what is filled in there may be anything.
pub(super) const SAYS_NOTHING: [&str; 4] =
    ["/metadata/labels", "/metadata/annotations", "/spec/info", "/spec/ignoreDifferences"];

/// The template without what is filled into such fields, and these as they are written.
pub(super) fn without(template: &Value, fields: &[&'static str]) -> (Value, Vec<(&'static str, Value)>) {
    let mut template = template.clone();
    let mut taken = Vec::new();
    for at in fields {
        if let Some(value) = template.pointer_mut(at) {
            taken.push((*at, value.take()));
        }
    }
    (template, taken)
}

/// Puts them back.
pub(super) fn put_back(object: &mut Value, fields: Vec<(&'static str, Value)>) {
    for (at, value) in fields {
        if let Some(place) = object.pointer_mut(at) {
            *place = value;
        }
    }
}

/// The Application that a template makes of parameters.
///
/// # Errors
/// The expression that is not known.
pub(super) fn made(
    template: &Value,
    parameters: &Parameters,
    is_go: bool,
    document: &Document,
    documents: &[Document],
) -> Result<Document, String> {
    let mut object = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application" });
    let (template, plain) = without(template, &SAYS_NOTHING);
    object["metadata"] = expand::expand(&template["metadata"], parameters, is_go)?;
    object["spec"] = expand::expand(&template["spec"], parameters, is_go)?;
    put_back(&mut object, plain);
    // A cluster whose Secret is known goes by its name.
    let server = object["spec"]["destination"]["server"].as_str().map(str::to_owned);
    if let Some(name) = server.and_then(|server| clusters::name_of(&server, documents)) {
        object["spec"]["destination"]["name"] = name.into();
    }
    if object["metadata"]["namespace"].is_null() && document.object["metadata"]["namespace"].is_string() {
        object["metadata"]["namespace"] = document.object["metadata"]["namespace"].clone();
    }
    Ok(Document { place: document.place.clone(), object })
}

/// What generators go by.
pub(super) struct Given<'a> {
    pub(super) documents: &'a [Document],
    pub(super) around: &'a Around,
    pub(super) is_go: bool,
}

/// The patterns of files whose content generators of this set want.
pub(crate) fn file_patterns(set: &Value) -> Vec<String> {
    let mut patterns = Vec::new();
    collect(&set["spec"]["generators"], 0, &mut patterns);
    patterns
}

fn collect(generators: &Value, depth: usize, into: &mut Vec<String>) {
    for generator in generators.as_array().into_iter().flatten().filter(|_| depth <= DEPTH_MAX) {
        let files = generator["git"]["files"].as_array().into_iter().flatten();
        into.extend(files.filter_map(|file| text(file, "path")).map(str::to_owned));
        ["matrix", "merge"].iter().for_each(|key| collect(&generator[*key]["generators"], depth + 1, into));
    }
}

/// What one generator gives.
pub(super) fn generate(generator: &Value, given: &Given<'_>, depth: usize) -> Result<Vec<Parameters>, String> {
    if depth > DEPTH_MAX {
        return Err("generators are nested too deeply".to_owned());
    }
    let below = |key: &str| generator[key]["generators"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known =
        generator.as_object().and_then(|fields| fields.keys().find(|key| *key != "selector" && *key != "template"));
    if !generator["selector"].is_null() {
        return Err("selectors are not supported: use a list".to_owned());
    }
    match known.map(String::as_str) {
        Some("list") if !generator["list"]["elementsYaml"].is_null() => {
            Err("elementsYaml is not supported: write the elements".to_owned())
        }
        Some("list") => Ok(list(&generator["list"])),
        Some("git") => git(&generator["git"], given.around, given.is_go),
        Some("matrix") => matrix(below("matrix"), given, depth),
        Some("merge") => {
            let all = below("merge").iter().map(|one| generate(one, given, depth + 1)).collect::<Result<_, _>>()?;
            Ok(merged(all, &generator["merge"]["mergeKeys"]))
        }
        Some("clusters") => clusters::generate(&generator["clusters"], given.documents, given.is_go),
        Some("pullRequest") => {
            Err("which merge requests are open is only known to the forge: merge_requests of an [[application_source]] lists them".to_owned())
        }
        Some(other) => Err(format!("generator {other} is not supported: use a list")),
        None => Ok(Vec::new()),
    }
}

fn list(list: &Value) -> Vec<Parameters> {
    list["elements"].as_array().into_iter().flatten().filter_map(|element| element.as_object().cloned()).collect()
}

/// Each of what one gives with each of what the next gives, which may have parameters of the former in it.
fn matrix(generators: &[Value], given: &Given<'_>, depth: usize) -> Result<Vec<Parameters>, String> {
    let mut sets = vec![Parameters::new()];
    for generator in generators {
        let mut crossed = Vec::new();
        for set in sets {
            let generator = expand::expand(generator, &set, given.is_go)
                .map_err(|expression| format!("{{{{{expression}}}}} is not supported"))?;
            let next = generate(&generator, given, depth + 1)?;
            crossed.extend(next.into_iter().map(|next| set.clone().into_iter().chain(next).collect::<Parameters>()));
        }
        sets = crossed;
    }
    Ok(sets)
}

/// What the first gives, with what the others give for the same keys.
fn merged(mut all: Vec<Vec<Parameters>>, keys: &Value) -> Vec<Parameters> {
    let keys: Vec<&str> = keys.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut first = if all.is_empty() { Vec::new() } else { all.remove(0) };
    for one in &mut first {
        for other in all.iter().flatten() {
            if keys.iter().all(|key| one.get(*key) == other.get(*key)) {
                one.extend(other.clone());
            }
        }
    }
    first
}

/// Folders or files of the repository that is imported.
fn git(git: &Value, around: &Around, is_go: bool) -> Result<Vec<Parameters>, String> {
    let wanted = text(git, "repoURL").unwrap_or_default();
    let is_own = around.repository.as_deref().is_some_and(|own| same(own, wanted));
    if !is_own {
        return Err(format!("{wanted} is another repository: import it from a clone of that one"));
    }
    let given = match git["files"].as_array() {
        Some(rules) => of_files(rules, git, around, is_go)?,
        None => {
            let rules = git["directories"].as_array().map(Vec::as_slice).unwrap_or_default();
            // What is hidden is no folder, as there.
            let is_hidden = |folder: &&String| folder.split('/').any(|part| part.starts_with('.'));
            let folders = folders(&around.files);
            let meant = folders.iter().filter(|folder| !is_hidden(folder) && is_meant(rules, folder));
            meant.map(|folder| of_folder(folder, git, is_go)).collect()
        }
    };
    Ok(given.into_iter().map(|parameters| expand::with_values(parameters, &git["values"], is_go)).collect())
}

/// Whether one of the patterns means a path, and none excludes it.
fn is_meant(rules: &[Value], path: &str) -> bool {
    let matches = |rule: &&Value| text(rule, "path").is_some_and(|pattern| globs::matches(pattern, path));
    let mut rules = rules.iter().filter(matches).peekable();
    rules.peek().is_some() && rules.all(|rule| rule["exclude"] != true)
}

/// What is written in files: each is a set of parameters, or a list of them.
fn of_files(rules: &[Value], git: &Value, around: &Around, is_go: bool) -> Result<Vec<Parameters>, String> {
    let mut all = Vec::new();
    for path in around.files.iter().filter(|path| is_meant(rules, path)) {
        let content = around.contents.get(path).ok_or_else(|| format!("{path} is not valid YAML or JSON"))?;
        let items = match content {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        for item in items {
            let fields = item.as_object().ok_or_else(|| format!("{path} is not a map of parameters"))?;
            let mut parameters = of_folder(parent(path), git, is_go);
            let (name, prefix) = (file_name(path), text(git, "pathParamPrefix"));
            let own = [("filename", name.to_owned()), ("filenameNormalized", dns(name))];
            for (key, value) in own {
                if !is_go {
                    let prefix = prefix.map(|prefix| format!("{prefix}.")).unwrap_or_default();
                    parameters.insert(format!("{prefix}path.{key}"), value.into());
                    continue;
                }
                let at = match prefix {
                    Some(prefix) => parameters.get_mut(prefix).and_then(|below| below.get_mut("path")),
                    None => parameters.get_mut("path"),
                };
                if let Some(at) = at {
                    at[key] = value.into();
                }
            }
            all.extend([fields.clone().into_iter().chain(parameters).collect::<Parameters>()]);
        }
    }
    Ok(all)
}

/// The folders that files are in, at any depth.
fn folders(files: &BTreeSet<String>) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for file in files {
        let mut folder = parent(file);
        while !folder.is_empty() && folders.insert(folder.to_owned()) {
            folder = parent(folder);
        }
    }
    folders
}

/// The parameters of a folder, by the names of both kinds of template.
fn of_folder(folder: &str, git: &Value, is_go: bool) -> Parameters {
    let prefix = text(git, "pathParamPrefix").map(|prefix| format!("{prefix}.")).unwrap_or_default();
    let segments: Vec<&str> = folder.split('/').collect();
    let base = file_name(folder);
    let mut parameters = Parameters::new();
    if is_go {
        let path = json!({ "path": folder, "basename": base, "basenameNormalized": dns(base), "segments": segments });
        match prefix.strip_suffix('.') {
            Some(prefix) => parameters.insert(prefix.to_owned(), json!({ "path": path })),
            None => parameters.insert("path".to_owned(), path),
        };
    } else {
        let mut set = |name: String, value: &str| parameters.insert(format!("{prefix}{name}"), Value::from(value));
        set("path".to_owned(), folder);
        set("path.basename".to_owned(), base);
        set("path.basenameNormalized".to_owned(), &dns(base));
        for (place, segment) in segments.iter().enumerate() {
            set(format!("path[{place}]"), segment);
        }
    }
    parameters
}
