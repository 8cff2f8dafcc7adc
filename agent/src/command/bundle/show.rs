//! `qd-agent bundle show`: what a bundle holds.

use std::io::Write;
use std::path::Path;

use quarterdeck_container::bundle::archive::Archive;
use quarterdeck_container::bundle::layout::{ENVIRONMENT, REVISION};
use serde::Serialize;

use super::Output;

#[derive(Serialize)]
struct Shown {
    environment: Option<String>,
    revision: Option<String>,
    parts: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    part: String,
    name: String,
    digest: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
}

pub(super) fn show(file: &Path, output: Output, out: &mut dyn Write) -> anyhow::Result<()> {
    let archive = Archive::open(file)?;
    let row = |root| -> anyhow::Result<Row> {
        let part = archive.part(root)?;
        let blobs = part.blobs.iter().map(|blob| blob.size);
        let bytes = blobs.chain(part.manifests.iter().map(|(_, bytes)| bytes.len() as u64)).sum();
        let (name, digest) = (root.name().to_owned(), root.digest.clone());
        Ok(Row { part: root.part().to_owned(), name, digest, bytes, platforms: part.platforms })
    };
    let parts = archive.index.manifests.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?;
    let said = |name: &str| archive.index.annotations.get(name).cloned();
    let shown = Shown { environment: said(ENVIRONMENT), revision: said(REVISION), parts };
    if output == Output::Json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?);
    }
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    writeln!(out, "environment  {}\nrevision     {}\n", or_dash(shown.environment), or_dash(shown.revision))?;
    let width = shown.parts.iter().map(|row| row.name.len()).max().unwrap_or_default().max(4);
    writeln!(out, "{:9}  {:width$}  {:71}  {:>9}  PLATFORMS", "PART", "NAME", "DIGEST", "KIB")?;
    for Row { part, name, digest, bytes, platforms } in &shown.parts {
        let (kib, platforms) = (bytes.div_ceil(1024), platforms.join(", "));
        let line = format!("{part:9}  {name:width$}  {digest:71}  {kib:>9}  {platforms}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
