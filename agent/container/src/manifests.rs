//! The layer of an artifact with manifests: a tar, gzipped or not, as `flux push artifact` and others pack a folder. It is read in
//! memory within bounds: no file is ever written by a name that it says, and links stay links.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;
use tar::{Archive as Tar, EntryType};

/// A layer of more bytes is not fetched. Manifests of some thousand objects have one or two MB, gzipped.
pub const LAYER_BYTES_MAX: u64 = 20 << 20;

/// Bytes of all files together, and of the tar around them: more than three times those of the layer would be a bomb.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// Bytes of one file: as much as is rendered of one in git.
const FILE_BYTES_MAX: u64 = 5 << 20;

/// Entries of one layer: a deploy repository of a thousand applications has some ten thousand.
const ENTRIES_MAX: usize = 20_000;

/// Bytes of what a link points to: the longest path that Linux takes.
const LINK_BYTES_MAX: usize = 4_096;

/// The first bytes of gzip, and of Zstandard.
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A layer that is not read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// It is no tar, or a part of one.
    #[error("it is not a whole tar archive, gzipped or not")]
    Read(#[source] io::Error),
    /// It is packed in another way.
    #[error("it is packed with Zstandard, and only gzip is unpacked")]
    Zstandard,
    /// There is nothing in it.
    #[error("it holds no files")]
    Empty,
    /// It is too much.
    #[error("it holds more than {what}")]
    TooLarge {
        /// Which bound.
        what: String,
    },
    /// A file would be outside of it, or cannot be in git.
    #[error("it names a file that leads out of it, or that git cannot have: {path:?}")]
    Outside {
        /// As it is written.
        path: String,
    },
    /// Something that is neither a file nor a symbolic link.
    #[error("{path:?} in it is {what}, and only files and symbolic links are read")]
    NoFile {
        /// Its path.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// One path is two things.
    #[error("{path:?} in it is a file and a folder")]
    Both {
        /// Which.
        path: String,
    },
}

/// Reads the files of a layer. Of two entries of one path the later one counts, as with tar.
///
/// # Errors
/// Where it is no tar, is too large, or holds what no manifests need.
pub fn read(bytes: &[u8]) -> Result<Files, LayerError> {
    match bytes {
        _ if bytes.starts_with(ZSTD) => Err(LayerError::Zstandard),
        _ if bytes.starts_with(GZIP) => unpack(GzDecoder::new(bytes)),
        _ => unpack(bytes),
    }
}

fn unpack(packed: impl Read) -> Result<Files, LayerError> {
    let mut tar = Tar::new(packed.take(UNPACKED_BYTES_MAX));
    let mut files = Files::default();
    for (index, entry) in tar.entries().map_err(LayerError::Read)?.enumerate() {
        let mut entry = entry.map_err(LayerError::Read)?;
        if index >= ENTRIES_MAX {
            return Err(LayerError::TooLarge { what: format!("{ENTRIES_MAX} files") });
        }
        let written = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        let no_file = |what| LayerError::NoFile { path: written.clone(), what };
        let mode = match kind {
            EntryType::Regular | EntryType::Continuous if is_executable(entry.header()) => EntryMode::Executable,
            EntryType::Regular | EntryType::Continuous => EntryMode::File,
            EntryType::Symlink => EntryMode::Symlink,
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Link => return Err(no_file("a hard link")),
            _ => return Err(no_file("a device or something else")),
        };
        let path = sound(&written).ok_or_else(|| LayerError::Outside { path: written.clone() })?;
        let content = match mode {
            EntryMode::Symlink => entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default(),
            _ => {
                let mut content = Vec::new();
                entry.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(LayerError::Read)?;
                content
            }
        };
        if content.len() as u64 > FILE_BYTES_MAX || mode == EntryMode::Symlink && content.len() > LINK_BYTES_MAX {
            return Err(LayerError::TooLarge { what: format!("{FILE_BYTES_MAX} bytes in {written}") });
        }
        files.files.insert(path, (mode, content));
    }
    // What is cut at the bound has no end, and reads like a whole archive where the cut is between two files.
    if tar.into_inner().limit() == 0 {
        return Err(LayerError::TooLarge { what: format!("{UNPACKED_BYTES_MAX} bytes") });
    }
    if files.files.is_empty() {
        return Err(LayerError::Empty);
    }
    for path in files.files.keys() {
        let above = path.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| &path[..at]);
        if let Some(both) = above.into_iter().find(|above| files.files.contains_key(*above)) {
            return Err(LayerError::Both { path: both.to_owned() });
        }
    }
    Ok(files)
}

fn is_executable(header: &tar::Header) -> bool {
    header.mode().is_ok_and(|mode| mode & 0o111 != 0)
}

/// The path from the root of the layer; nothing where it leads elsewhere, or git cannot have it.
fn sound(written: &str) -> Option<String> {
    let path = written.strip_prefix("./").unwrap_or(written);
    let is_odd = |part: &str| {
        let is_out = matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git");
        is_out || part.contains(['\\', '\u{fffd}']) || part.chars().any(char::is_control)
    };
    (!path.split('/').any(is_odd)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// The path is written as it is, which the library itself refuses to do.
    fn header(path: &str, kind: EntryType, mode: u32, bytes: usize) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes as u64);
        if kind == EntryType::Symlink {
            header.as_old_mut().linkname[..5].copy_from_slice(b"../a\0");
        }
        header.set_cksum();
        header
    }

    fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            tar.append(&header(path, *kind, 0o644, content.len()), *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn the_files_of_a_layer_are_read_gzipped_or_not() {
        use EntryType::{Directory, Regular, Symlink};
        let tar = packed(&[
            ("./", Directory, b""),
            ("./apps/", Directory, b""),
            ("./apps/a.yaml", Regular, b"a: b\n"),
            ("b.yaml", Regular, b"old"),
            ("b.yaml", Regular, b"new"),
            ("apps/link", Symlink, b""),
        ]);
        for bytes in [tar.clone(), gzipped(&tar)] {
            let files = read(&bytes).unwrap().files;
            let content = |path: &str| files.get(path).map(|(mode, content)| (*mode, &**content));
            assert_eq!(files.len(), 3);
            assert_eq!(content("apps/a.yaml"), Some((EntryMode::File, &b"a: b\n"[..])));
            assert_eq!(content("b.yaml"), Some((EntryMode::File, &b"new"[..])));
            assert_eq!(content("apps/link"), Some((EntryMode::Symlink, &b"../a"[..])));
        }
        let mut tar = tar::Builder::new(Vec::new());
        tar.append(&header("run", Regular, 0o755, 1), &b"x"[..]).unwrap();
        let files = read(&tar.into_inner().unwrap()).unwrap().files;
        assert_eq!(files["run"].0, EntryMode::Executable);
    }

    #[test]
    fn what_no_manifests_need_is_refused() {
        use EntryType::{Char, Link, Regular, Symlink};
        let large = vec![0; FILE_BYTES_MAX as usize + 1];
        let file = |path: &'static str| packed(&[(path, Regular, b"x")]);
        for (layer, words) in [
            (file("../../etc/passwd"), "leads out of it, or that git cannot have: \"../../etc/passwd\""),
            (file("/etc/passwd"), "leads out of it"),
            (file("a//b"), "leads out of it"),
            (file("a\\..\\b"), "leads out of it"),
            (file("a/.GIT/config"), "leads out of it, or that git cannot have: \"a/.GIT/config\""),
            (file("a\nb"), "leads out of it"),
            (packed(&[("link", Link, b"")]), "\"link\" in it is a hard link"),
            (packed(&[("null", Char, b"")]), "\"null\" in it is a device or something else"),
            (packed(&[("large", Regular, &large)]), "it holds more than 5242880 bytes in large"),
            (packed(&[("a", Symlink, b""), ("a/b", Regular, b"x")]), "\"a\" in it is a file and a folder"),
            (packed(&[]), "it holds no files"),
            (b"apiVersion: v1\n".to_vec(), "it is not a whole tar archive, gzipped or not"),
            (gzipped(b"apiVersion: v1\n"), "it is not a whole tar archive, gzipped or not"),
            (gzipped(&file("a"))[..20].to_vec(), "it is not a whole tar archive, gzipped or not"),
            ([ZSTD, b"more"].concat(), "it is packed with Zstandard, and only gzip is unpacked"),
        ] {
            let error = read(&layer).map(|files| format!("{files:?}")).unwrap_err().to_string();
            assert!(error.contains(words), "{error}, not {words}");
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 4 << 20];
        for part in 0..2 * UNPACKED_BYTES_MAX as usize / zeros.len() {
            let header = header(&part.to_string(), EntryType::Regular, 0o644, zeros.len());
            packed.write_all(header.as_bytes()).unwrap();
            packed.write_all(&zeros).unwrap();
        }
        let bomb = packed.finish().unwrap();
        assert!(bomb.len() < 2 << 20, "{}", bomb.len());
        let error = read(&bomb).unwrap_err();
        assert!(matches!(error, LayerError::TooLarge { .. } | LayerError::Read(_)), "{error}");
        let entries: Vec<u8> = (0..=ENTRIES_MAX)
            .flat_map(|file| header(&file.to_string(), EntryType::Regular, 0o644, 0).as_bytes().to_vec())
            .collect();
        let error = read(&gzipped(&entries)).unwrap_err().to_string();
        assert_eq!(error, format!("it holds more than {ENTRIES_MAX} files"));
    }

    proptest! {
        #[test]
        fn no_path_leads_out(path in "[./\\\\a-c]{0,12}") {
            if let Some(inner) = sound(&path) {
                prop_assert!(!inner.starts_with('/') && !inner.split('/').any(|part| part == ".." || part.is_empty()));
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = read(&bytes);
        }
    }
}
