//! `qd-agent import argocd|flux DIR`: what Argo CD or Flux is asked for in a folder, or with `--context` in a cluster, as
//! applications of a configuration.
//!
//! Nothing is changed anywhere: the applications are printed, or written to a new file, and a table says what was carried over
//! otherwise and what was not. What each field becomes is decided by [`quarterdeck_core::import`].

mod built;
mod gather;
mod live;
mod overlay;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use quarterdeck_core::import::{self, Document, Draft, Imported, Outcome, Place, SourceDraft, Told, Tool};
use quarterdeck_core::yaml::comments::Comment;
use serde::Serialize;

/// Whose objects are read.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum From {
    /// Applications and ApplicationSets
    Argocd,
    /// Kustomizations, HelmReleases and their sources
    Flux,
}

/// What is imported, and as what.
#[derive(Args)]
pub(crate) struct Import {
    /// Whose objects are read
    #[arg(value_enum)]
    from: From,
    /// A folder of YAML files; `-` reads standard input, as of `kubectl get applications -A -o yaml`
    #[arg(required_unless_present = "context", conflicts_with = "context")]
    folder: Option<PathBuf>,
    /// Read the objects of the cluster of this context of the kubeconfig, instead of files
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// Of a cluster: read the objects of this namespace only
    #[arg(long, value_name = "NAME", requires = "context")]
    namespace: Option<String>,
    /// Of Flux: read this folder below it, and what its Kustomizations build. Without it, the files are read without building anything
    #[arg(long, value_name = "FOLDER", conflicts_with = "context")]
    path: Option<PathBuf>,
    /// Of Flux: let kustomize fetch what kustomizations take from elsewhere. It has your network and files then
    #[arg(long, requires = "path")]
    fetch: bool,
    /// The name of the environment that each application has
    #[arg(long, value_name = "NAME", default_value = "default")]
    environment: String,
    /// The cluster that they are deployed to, where they mean their own [default: the context, or the agent's default]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The address of the repository that the folder is in [default: its remote "origin"]
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Sync automatically what is synced automatically there. Two that sync the same objects undo each other's work
    #[arg(long)]
    automatic: bool,
    /// Of Argo CD: import the applications that an ApplicationSet makes now, and never as a template
    #[arg(long)]
    expand: bool,
    /// Write the applications to this file, which must not exist, instead of to standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl Import {
    /// What is read, for people.
    fn source(&self) -> String {
        match (&self.context, &self.folder) {
            (Some(context), _) => format!("context {context}"),
            (None, folder) => folder.as_deref().unwrap_or(Path::new("")).display().to_string(),
        }
    }
}

/// What people wrote beside objects, by the objects' places.
type Comments = BTreeMap<Place, Vec<Comment>>;

/// Prints the applications to `out` or a file, and the table to `table` (or to `out`, where a file has the applications).
pub(crate) fn run(asked: &Import, out: &mut dyn Write, table: &mut dyn Write) -> anyhow::Result<()> {
    let gathered = match (&asked.context, &asked.folder) {
        (Some(context), _) => live::gather(asked, context)?,
        (None, Some(folder)) => gather::gather(asked, folder)?,
        (None, None) => anyhow::bail!("name a folder, or a cluster with --context"),
    };
    let tool = match asked.from {
        From::Argocd => Tool::ArgoCd,
        From::Flux => Tool::Flux,
    };
    let Imported { drafts, sources, mut told } = import::import(tool, &gathered.documents, &gathered.around);
    told.extend(gathered.unread);
    anyhow::ensure!(
        !drafts.is_empty() || !sources.is_empty() || !told.is_empty(),
        "nothing of {} is in {}",
        if tool == Tool::Flux { "Flux" } else { "Argo CD" },
        asked.source()
    );
    let mut comments = gathered.comments;
    let mut text = written(&drafts, &told, &mut comments)?;
    text += &written_sources(&sources, &told, &mut comments)?;
    text += &beside(&told, &gathered.documents, &comments);
    match &asked.to {
        None => {
            out.write_all(text.as_bytes())?;
            print(&drafts, &sources, &told, table)?;
        }
        Some(file) => {
            write_new(file, &text)?;
            print(&drafts, &sources, &told, out)?;
            writeln!(
                out,
                "wrote {}\nnext: add it to the configuration, then `qd-agent check`; `qd diff` and `qd sync` for each",
                file.display()
            )?;
        }
    }
    Ok(())
}

fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let mut made = made.with_context(|| format!("cannot write {}", file.display()))?;
    made.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
}

/// The applications as TOML, each with what it was, what people wrote beside it, and what of it was not carried over.
fn written(drafts: &[Draft], told: &[Told], comments: &mut Comments) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct File<'a> {
        application: [&'a Draft; 1],
    }
    let mut text = String::new();
    for draft in drafts {
        text += &format!("# {} of {}\n", draft.object, draft.place);
        // Of the many that a set makes, the first has them.
        text += &lines(&comments.remove(&draft.place).unwrap_or_default());
        let is_of_it = |one: &&Told| one.object == draft.object && one.place == draft.place;
        for one in told.iter().filter(is_of_it).filter(|one| one.outcome == Outcome::Not) {
            text += &format!("# not imported: {}: {}\n", one.field, one.words.replace('\n', " "));
        }
        text += &toml::to_string(&File { application: [draft] }).with_context(|| draft.object.clone())?;
        text.push('\n');
    }
    Ok(text)
}

/// The sources as TOML, each with what it was, and what of it was not carried over.
fn written_sources(sources: &[SourceDraft], told: &[Told], comments: &mut Comments) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct File<'a> {
        application_source: [&'a SourceDraft; 1],
    }
    let mut text = String::new();
    for source in sources {
        text += &format!("# {} of {}\n", source.object, source.place);
        text += &lines(&comments.remove(&source.place).unwrap_or_default());
        let not = told.iter().filter(|one| one.place == source.place && one.outcome == Outcome::Not);
        // What is told of each of its applications is written once.
        let not: BTreeSet<String> =
            not.map(|one| format!("# not imported: {}: {}\n", one.field, one.words.replace('\n', " "))).collect();
        text.extend(not);
        let toml = toml::to_string(&File { application_source: [source] }).with_context(|| source.object.clone())?;
        text += &source.with_placeholders(&toml);
        text.push('\n');
    }
    Ok(text)
}

/// What people wrote beside other objects that were read.
fn beside(told: &[Told], documents: &[Document], comments: &Comments) -> String {
    let mut text = String::new();
    let is_told = |place: &Place| told.iter().any(|one| one.place == *place);
    for (place, comments) in comments.iter().filter(|(place, _)| is_told(place)) {
        let object = documents.iter().find(|document| document.place == *place);
        let object = object.map(|document| import::name_of(&document.object)).unwrap_or_default();
        text += &format!("# {object} of {place}\n{}\n", lines(comments));
    }
    text
}

/// Comments as TOML has them, each with the field that it was written beside.
fn lines(comments: &[Comment]) -> String {
    let line = |Comment { about, text }: &Comment| match about.is_empty() {
        true => format!("# {text}\n"),
        false => format!("# {about}: {text}\n"),
    };
    comments.iter().map(line).collect()
}

/// A row for each thing that is told, however many objects it is told of.
fn alike(told: &[Told]) -> Vec<[String; 5]> {
    let mut rows: BTreeMap<(Outcome, &str, &str), (&Told, usize)> = BTreeMap::new();
    for one in told {
        rows.entry((one.outcome, &one.field, &one.words)).or_insert((one, 0)).1 += 1;
    }
    let row = |((outcome, field, words), (first, count)): ((Outcome, &str, &str), (&Told, usize))| {
        let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
        let object = format!("{}{more}", first.object);
        [outcome.to_string(), first.place.to_string(), object, field.to_owned(), words.to_owned()]
    };
    rows.into_iter().map(row).collect()
}

/// A line for each application, and for each thing that did not become one as it was.
fn print(drafts: &[Draft], sources: &[SourceDraft], told: &[Told], out: &mut dyn Write) -> io::Result<()> {
    let head = ["OUTCOME", "WHERE", "OBJECT", "FIELD", "WHY"].map(str::to_owned);
    let carried = drafts.iter().map(|draft| {
        let environments = draft.environment.iter().map(|environment| format!("{}/{}", draft.name, environment.name));
        let whose = environments.collect::<Vec<_>>().join(", ");
        [Outcome::Carried.to_string(), draft.place.to_string(), draft.object.clone(), String::new(), whose]
    });
    let templates = sources.iter().map(|source| {
        let made = match &source.made[..] {
            [] => "a template".to_owned(),
            [one] => format!("a template, which makes {one} now"),
            all => format!("a template, which makes {} applications now", all.len()),
        };
        let what = format!("[[application_source]] {}: {made}", source.name);
        [Outcome::Carried.to_string(), source.place.to_string(), source.object.clone(), String::new(), what]
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(carried).chain(templates).chain(alike(told)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [outcome, place, object, field] = [0, 1, 2, 3].map(width);
    for [a, b, c, d, why] in &rows {
        let line = format!("{a:outcome$}  {b:place$}  {c:object$}  {d:field$}  {why}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
