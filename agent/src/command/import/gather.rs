//! What is read for an import: the objects of a folder, what its kustomizations build, and what is known of its repository.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use quarterdeck_core::import::{Around, Document, Outcome, Place, Told, builds, files_wanted};
use quarterdeck_core::render::KUSTOMIZATIONS;
use quarterdeck_core::yaml;
use quarterdeck_core::yaml::comments::{self, Comment, Commented};
use quarterdeck_system::file;
use quarterdeck_system::program::{self, Limits};

use super::built::{kustomized, objects};
use super::{From, Import, overlay};
use crate::renderers::confinement::Confinement;
use crate::renderers::programs::Renderers;

/// Files of a folder: the largest repositories of manifests that people publish have some ten thousand.
const FILES_MAX: usize = 100_000;

/// Kustomizations that build kustomizations: a cluster of a platform team has some dozen.
const BUILDS_MAX: usize = 1_000;

/// Files with parameters: one is an application or some, of which a set makes 5,000 at most.
const CONTENTS_MAX: usize = 5_000;

/// Kustomizations of a repository: the largest that people publish have some thousand.
const KUSTOMIZATIONS_MAX: usize = 20_000;

/// What git says about a folder is said at once, in a line.
const GIT: Limits = Limits { time: Duration::from_secs(10), output_bytes: 64 << 10 };

/// What was read.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) documents: Vec<Document>,
    pub(super) around: Around,
    /// Files that could not be read, and are about it.
    pub(super) unread: Vec<Told>,
    /// What people wrote beside the objects of a file, by the place of each.
    pub(super) comments: BTreeMap<Place, Vec<Comment>>,
    /// Whether kustomize may fetch what kustomizations take from elsewhere.
    pub(super) fetches: bool,
}

/// Reads all of it.
///
/// # Errors
/// Where the folder cannot be read, or a kustomization cannot be built.
pub(super) fn gather(asked: &Import, folder: &Path) -> anyhow::Result<Gathered> {
    let around = Around {
        repository: asked.repository.clone(),
        environment: asked.environment.clone(),
        cluster: asked.cluster.clone(),
        automatic: asked.automatic,
        expand: asked.expand,
        ..Around::default()
    };
    let mut gathered = Gathered { around, fetches: asked.fetch, ..Gathered::default() };
    if folder == Path::new("-") {
        let bytes = file::read_up_to(Path::new("/dev/stdin"), yaml::TEXT_BYTES_MAX as u64 + 1)?;
        gathered.documents = objects("-", &bytes).context("standard input")?;
        gathered.comments = commented(&bytes, &gathered.documents);
        return Ok(gathered);
    }
    let root = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
    let git = |arguments: &[&str]| of_git(&root, arguments);
    let top = git(&["rev-parse", "--show-toplevel"]).map_or_else(|| root.clone(), PathBuf::from);
    if gathered.around.repository.is_none() {
        gathered.around.repository = git(&["remote", "get-url", "origin"]);
    }
    let files = walk(&root)?;
    let below_top = |file: &Path| file.strip_prefix(&top).ok().and_then(Path::to_str).map(str::to_owned);
    gathered.around.files = files.iter().filter_map(|file| below_top(file)).collect();
    match (&asked.path, asked.from) {
        (Some(path), From::Flux) => follow(&top, &root.join(path), &mut gathered)?,
        (Some(_), From::Argocd) => anyhow::bail!("--path is for Flux: name the folder itself"),
        (None, _) => {
            for file in files.iter().filter(|file| is_manifest(file)) {
                read(file, &below_top(file).unwrap_or_default(), &mut gathered);
            }
        }
    }
    contents(&top, &mut gathered)?;
    kustomizations(&top, &mut gathered.around);
    Ok(gathered)
}

/// Reads the files that generators want, and those about charts. One that is not valid is told by the generator, or by helm.
fn contents(top: &Path, into: &mut Gathered) -> anyhow::Result<()> {
    let wanted = files_wanted(&into.documents, &into.around.files);
    anyhow::ensure!(wanted.len() <= CONTENTS_MAX, "generators and charts have more than {CONTENTS_MAX} files to read");
    for name in wanted {
        let path = top.join(&name);
        let bytes = file::read_up_to(&path, yaml::TEXT_BYTES_MAX as u64 + 1);
        let bytes = bytes.with_context(|| format!("cannot read {name}"))?;
        if let Ok([document]) = yaml::parse(&bytes).as_deref() {
            into.around.contents.insert(name, document.value.clone());
        }
    }
    Ok(())
}

/// Reads the kustomizations: they name what a configuration has to allow. One that is not valid is told when it is built.
fn kustomizations(top: &Path, around: &mut Around) {
    let is_kustomization = |name: &&String| KUSTOMIZATIONS.contains(&file_name(name));
    for name in around.files.iter().filter(is_kustomization).take(KUSTOMIZATIONS_MAX) {
        let bytes = file::read_up_to(&top.join(name), yaml::TEXT_BYTES_MAX as u64 + 1);
        if let Some([document]) = bytes.ok().and_then(|bytes| yaml::parse(&bytes).ok()).as_deref() {
            around.kustomizations.insert(name.clone(), document.value.clone());
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What git says about a folder, in a line; nothing without git, or outside of a repository.
fn of_git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    let said = program::run(command, b"", GIT).ok()?.successful().ok()?;
    let line = String::from_utf8(said.stdout).ok()?;
    Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
}

/// Every file below a folder that a renderer reads: YAML, JSON and jsonnet.
fn walk(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let (below, here) = list(&folder)?;
        folders.extend(below);
        files.extend(here);
        anyhow::ensure!(files.len() <= FILES_MAX, "{} has more than {FILES_MAX} files of YAML", root.display());
    }
    files.sort();
    Ok(files)
}

/// The folders, and the files that a renderer reads, of a folder, without what is hidden. Links are not followed.
fn list(folder: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    let cannot = || format!("cannot read {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type().with_context(cannot)? {
            kind if kind.is_dir() => folders.push(path),
            kind if kind.is_file() && is_read(&path) => files.push(path),
            _ => {}
        }
    }
    folders.sort();
    files.sort();
    Ok((folders, files))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| matches!(ending, "yaml" | "yml" | "json"))
}

/// Whether a renderer reads it.
fn is_read(path: &Path) -> bool {
    is_manifest(path) || is_jsonnet(path) || path.file_name().is_some_and(|name| name == "Kustomization")
}

fn is_jsonnet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "jsonnet")
}

/// The comments of documents, each of which begins at a line. Those of a list belong to none of its objects.
fn commented(text: &[u8], documents: &[Document]) -> BTreeMap<Place, Vec<Comment>> {
    let text = String::from_utf8_lossy(text);
    let mut found = BTreeMap::new();
    for Commented { lines, comments } in comments::of(&text) {
        let mut of_it = documents.iter().filter(|document| lines.contains(&document.place.line));
        if let (Some(document), None) = (of_it.next(), of_it.next()) {
            found.insert(document.place.clone(), comments);
        }
    }
    found
}

/// Reads a file. One that is no YAML is told where it seems to be about it: a template of a chart.
fn read(path: &Path, name: &str, into: &mut Gathered) {
    let found = file::read_up_to(path, yaml::TEXT_BYTES_MAX as u64 + 1).map_err(anyhow::Error::from);
    let text = found.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    // Argo has more than one tool.
    let kinds = ["kind: Application", "kind: AppProject", ".toolkit.fluxcd.io/"];
    let is_about_it = kinds.iter().any(|kind| text.contains(kind));
    match found
        .as_deref()
        .map_err(|error| error.to_string())
        .and_then(|bytes| objects(name, bytes).map_err(|error| error.to_string()))
    {
        Ok(documents) => {
            into.comments.extend(commented(text.as_bytes(), &documents));
            into.documents.extend(documents);
        }
        Err(error) if is_about_it => into.unread.push(Told {
            place: Place { file: name.to_owned(), line: 0 },
            object: "a file".to_owned(),
            field: String::new(),
            outcome: Outcome::Not,
            words: format!("{error}: render a chart first: helm template … | qd-agent import … -"),
        }),
        Err(_) => {}
    }
}

/// Reads a folder, and the folders of the Kustomizations in it, and so on: each as Flux has it in the cluster.
fn follow(top: &Path, first: &Path, into: &mut Gathered) -> anyhow::Result<()> {
    let renderers = asked_renderers(top, into.fetches);
    let mut seen = BTreeSet::new();
    let mut next = VecDeque::from([(first.to_owned(), None::<Document>)]);
    while let Some((folder, by)) = next.pop_front() {
        let spec = by.as_ref().map(|by| by.object["spec"].to_string());
        if !seen.insert((folder.clone(), spec)) {
            continue;
        }
        anyhow::ensure!(seen.len() <= BUILDS_MAX, "more than {BUILDS_MAX} kustomizations are built by one another");
        if !folder.is_dir() {
            continue;
        }
        let mut here = Gathered::default();
        build(&renderers, top, &folder, &mut here)?;
        into.comments.extend(here.comments);
        let mut documents = here.documents;
        if let Some(by) = &by {
            let asked = overlay::Asked { by, folder: &folder, renderers: &renderers };
            into.unread.extend(overlay::apply(&asked, &mut documents, &into.documents)?);
        }
        let name = below(top, &folder);
        into.around.built.entry(name).or_default().extend(kinds(&documents));
        into.documents.extend(documents);
        // What one names may be made by an object that was read after it.
        let found = into.documents.iter().filter_map(|document| Some((document, builds(document, &into.documents)?)));
        next.extend(found.map(|(document, folder)| (top.join(folder), Some(document.clone()))));
    }
    Ok(())
}

/// The programs that build kustomizations of a repository that somebody else may have written: without a network and with no files but
/// its own, as far as the kernel allows, unless they may fetch.
fn asked_renderers(top: &Path, fetches: bool) -> Renderers {
    let renderers = Renderers::find(std::env::var_os("PATH").as_deref());
    match fetches {
        true => renderers,
        false => renderers.confined(&Confinement::find(true, &std::env::temp_dir(), &[]).showing(top)),
    }
}

/// A path from the root of the repository.
fn below(top: &Path, path: &Path) -> String {
    path.strip_prefix(top).unwrap_or(path).to_string_lossy().into_owned()
}

/// What Flux makes of a folder: a kustomization is built, and of another folder each file is taken, and each folder in turn.
fn build(renderers: &Renderers, top: &Path, folder: &Path, into: &mut Gathered) -> anyhow::Result<()> {
    if KUSTOMIZATIONS.iter().any(|file| folder.join(file).is_file()) {
        let name = below(top, folder);
        into.documents.extend(kustomized(renderers, folder, &name)?);
        return Ok(());
    }
    let mut here = Gathered::default();
    let (folders, files) = list(folder)?;
    files.iter().filter(|file| is_manifest(file)).for_each(|file| read(file, &below(top, file), &mut here));
    into.documents.append(&mut here.documents);
    into.comments.append(&mut here.comments);
    folders.iter().try_for_each(|folder| build(renderers, top, folder, into))
}

/// The kinds, as `apps/Deployment`.
fn kinds(documents: &[Document]) -> BTreeSet<String> {
    let kind = |document: &Document| {
        let text = |key: &str| document.object[key].as_str().unwrap_or_default();
        let group = text("apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
        format!("{group}/{}", text("kind"))
    };
    documents.iter().map(kind).collect()
}
