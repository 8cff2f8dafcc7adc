//! The archive of a chart: a gzipped tar with one folder. It is read in memory within bounds, and what is no plain file in that
//! folder is refused: no file is ever written by a name that an archive says.

use std::io::{self, Read as _};

use flate2::read::GzDecoder;
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;
use quarterdeck_core::yaml;
use tar::{Archive as Tar, EntryType};

/// An archive of more bytes is not fetched: the largest public charts, with all that they depend on, have some 2 MB.
pub const ARCHIVE_BYTES_MAX: u64 = 20 << 20;

/// Bytes of all files together, and of the tar around them: three times what Helm lets an archive have of files in use.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// Bytes of one file; Helm takes 5 MiB.
const FILE_BYTES_MAX: u64 = 5 << 20;

/// Entries of one archive; kube-prometheus-stack has some 400.
const ENTRIES_MAX: usize = 5_000;

/// A chart as it is in its archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packaged {
    /// What `Chart.yaml` calls it.
    pub name: String,
    /// The version that it says.
    pub version: String,
    /// Its files, by their paths below its folder.
    pub files: Files,
}

/// An archive that is not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no gzipped tar, or a part of one.
    #[error("it is not a whole gzipped tar archive")]
    Read(#[source] io::Error),
    /// It is too much.
    #[error("it holds more than {what}")]
    TooLarge {
        /// Which bound.
        what: String,
    },
    /// A file would be outside of its folder.
    #[error("it names a file outside of the folder of the chart: {path:?}")]
    Outside {
        /// As it is written.
        path: String,
    },
    /// Something that is no plain file.
    #[error("{path:?} in it is {what}, and only files are read")]
    NoFile {
        /// Its path.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// There is no chart in it.
    #[error("it is not a chart: {0}")]
    NoChart(String),
}

/// Reads an archive.
///
/// # Errors
/// Where it is none, is too large, or holds what no chart needs.
pub fn read(bytes: &[u8]) -> Result<Packaged, ArchiveError> {
    let unpacked = GzDecoder::new(bytes).take(UNPACKED_BYTES_MAX);
    let mut tar = Tar::new(unpacked);
    let (mut files, mut folder) = (Files::default(), None);
    for (index, entry) in tar.entries().map_err(ArchiveError::Read)?.enumerate() {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        if index >= ENTRIES_MAX {
            return Err(ArchiveError::TooLarge { what: format!("{ENTRIES_MAX} files") });
        }
        let written = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let what = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => None,
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Symlink => Some("a symbolic link"),
            EntryType::Link => Some("a hard link"),
            _ => Some("a device or something else"),
        };
        if let Some(what) = what {
            return Err(ArchiveError::NoFile { path: written, what });
        }
        let path = below(&written, &mut folder).ok_or_else(|| ArchiveError::Outside { path: written.clone() })?;
        let mut content = Vec::new();
        entry.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(ArchiveError::Read)?;
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(ArchiveError::TooLarge { what: format!("{FILE_BYTES_MAX} bytes in {written}") });
        }
        files.files.insert(path, (EntryMode::File, content));
    }
    // What is cut at the bound has no end, and reads like a whole archive where the cut is between two files.
    if tar.into_inner().limit() == 0 {
        return Err(ArchiveError::TooLarge { what: format!("{UNPACKED_BYTES_MAX} bytes") });
    }
    let (name, version) = about(&files)?;
    Ok(Packaged { name, version, files })
}

/// The path below the folder, which is that of the first file; nothing where it leads elsewhere.
fn below(written: &str, folder: &mut Option<String>) -> Option<String> {
    let is_odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', '\0', '\u{fffd}']);
    let (first, rest) = written.strip_prefix("./").unwrap_or(written).split_once('/')?;
    if is_odd(first) || rest.split('/').any(is_odd) {
        return None;
    }
    let is_it = folder.get_or_insert_with(|| first.to_owned()) == first;
    is_it.then(|| rest.to_owned())
}

/// Name and version, as `Chart.yaml` says them.
fn about(files: &Files) -> Result<(String, String), ArchiveError> {
    let no_chart = |why: &str| ArchiveError::NoChart(why.to_owned());
    let (_, content) = files.files.get("Chart.yaml").ok_or_else(|| no_chart("it has no Chart.yaml"))?;
    let documents = yaml::parse(content).map_err(|error| ArchiveError::NoChart(format!("Chart.yaml: {error}")))?;
    let about = documents.into_iter().next().map(|document| document.value).unwrap_or_default();
    let text = |key: &str| about[key].as_str().map(str::to_owned);
    let name = text("name").ok_or_else(|| no_chart("its Chart.yaml has no `name`"))?;
    Ok((name, text("version").ok_or_else(|| no_chart("its Chart.yaml has no `version`"))?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    const CHART: (&str, &[u8]) = ("podinfo/Chart.yaml", b"apiVersion: v2\nname: podinfo\nversion: 6.7.1\n");

    /// The path is written as it is, which the library itself refuses to do.
    fn header(path: &str, kind: EntryType, bytes: usize) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(bytes as u64);
        header.set_cksum();
        header
    }

    fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind, content) in entries {
            tar.append(&header(path, *kind, content.len()), *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn chart_and(path: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
        packed(&[(CHART.0, EntryType::Regular, CHART.1), (path, kind, content)])
    }

    #[test]
    fn the_files_of_a_chart_are_read() {
        let read = read(&packed(&[
            ("podinfo/", EntryType::Directory, b""),
            (CHART.0, EntryType::Regular, CHART.1),
            ("./podinfo/templates/a.yaml", EntryType::Regular, b"a: b\n"),
        ]))
        .unwrap();
        assert_eq!((read.name.as_str(), read.version.as_str()), ("podinfo", "6.7.1"));
        assert_eq!(read.files.files.keys().collect::<Vec<_>>(), ["Chart.yaml", "templates/a.yaml"]);
    }

    #[test]
    fn what_no_chart_needs_is_refused() {
        use EntryType::{Char, Link, Regular, Symlink};
        let large = vec![0; FILE_BYTES_MAX as usize + 1];
        for (archive, words) in [
            (
                chart_and("podinfo/../../etc/passwd", Regular, b"x"),
                "outside of the folder of the chart: \"podinfo/../../etc/passwd\"",
            ),
            (chart_and("/etc/passwd", Regular, b"x"), "outside of the folder of the chart: \"/etc/passwd\""),
            (
                chart_and("other/values.yaml", Regular, b"x"),
                "outside of the folder of the chart: \"other/values.yaml\"",
            ),
            (chart_and("values.yaml", Regular, b"x"), "outside of the folder of the chart: \"values.yaml\""),
            (chart_and("podinfo/a\\..\\b", Regular, b"x"), "outside of the folder of the chart"),
            (
                chart_and("podinfo/link", Symlink, b""),
                "\"podinfo/link\" in it is a symbolic link, and only files are read",
            ),
            (chart_and("podinfo/link", Link, b""), "\"podinfo/link\" in it is a hard link"),
            (chart_and("podinfo/null", Char, b""), "is a device or something else"),
            (chart_and("podinfo/large", Regular, &large), "it holds more than 5242880 bytes in podinfo/large"),
            (packed(&[("podinfo/values.yaml", Regular, b"x")]), "it is not a chart: it has no Chart.yaml"),
            (packed(&[(CHART.0, Regular, b"name: a\n")]), "it is not a chart: its Chart.yaml has no `version`"),
            (packed(&[(CHART.0, Regular, b"- [")]), "it is not a chart: Chart.yaml: "),
            (b"<html>".to_vec(), "it is not a whole gzipped tar archive"),
            (chart_and("podinfo/a", Regular, b"x")[..60].to_vec(), "it is not a whole gzipped tar archive"),
        ] {
            let error = read(&archive).unwrap_err().to_string();
            assert!(error.contains(words), "{error}, not {words}");
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 4 << 20];
        let mut part = 0;
        while part * zeros.len() < 2 * UNPACKED_BYTES_MAX as usize {
            packed.write_all(header(&format!("podinfo/{part}"), EntryType::Regular, zeros.len()).as_bytes()).unwrap();
            packed.write_all(&zeros).unwrap();
            part += 1;
        }
        let bomb = packed.finish().unwrap();
        assert!(bomb.len() < 2 << 20, "{}", bomb.len());
        let error = read(&bomb).unwrap_err();
        assert!(matches!(error, ArchiveError::TooLarge { .. } | ArchiveError::Read(_)), "{error}");
    }

    proptest! {
        #[test]
        fn no_path_leads_out(path in "[./\\\\a-c]{0,12}") {
            if let Some(inner) = below(&path, &mut Some("a".to_owned())) {
                prop_assert!(!inner.starts_with('/') && !inner.split('/').any(|part| part == ".." || part.is_empty()));
            }
        }
    }
}
