//! The tar of a bundle: written once from front to back, and read by the places of its blobs, so that none is ever in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::layout::{Descriptor, Document, Index};
use crate::registry::oci::{MANIFEST_BYTES_MAX, UploadedBlob};

/// `oci-layout`
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

const BLOBS: &str = "blobs/sha256/";

/// Files of one bundle: some hundred images have some thousand blobs.
const FILES_MAX: usize = 200_000;

/// Writes a bundle.
pub struct Writer<W> {
    out: W,
    seen: BTreeSet<String>,
}

impl<W: Write> Writer<W> {
    /// Begins one.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, seen: BTreeSet::new() };
        writer.file("oci-layout", LAYOUT)?;
        Ok(writer)
    }

    /// Whether a blob is in it.
    pub fn has(&self, digest: &str) -> bool {
        self.seen.contains(digest)
    }

    /// A whole blob; nothing happens where it is in it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn blob(&mut self, blob: &Descriptor, bytes: &[u8]) -> io::Result<()> {
        if self.has(&blob.digest) {
            return Ok(());
        }
        self.begin(&blob.digest, blob.size)?.write_all(bytes)?;
        self.end(blob.size)
    }

    /// Begins a blob: exactly so many bytes go into what is answered, and then [`Writer::end`].
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn begin(&mut self, digest: &str, size: u64) -> io::Result<&mut W> {
        self.seen.insert(digest.to_owned());
        self.head(&format!("{BLOBS}{}", digest.trim_start_matches("sha256:")), size)?;
        Ok(&mut self.out)
    }

    /// Ends a blob of so many bytes.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn end(&mut self, size: u64) -> io::Result<()> {
        let rest = (512 - (size % 512) as usize) % 512;
        self.out.write_all(&[0; 512][..rest])
    }

    /// Ends the bundle.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self, index: &Index) -> io::Result<W> {
        self.file("index.json", &serde_json::to_vec(index)?)?;
        self.out.write_all(&[0; 1024])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.head(name, bytes.len() as u64)?;
        self.out.write_all(bytes)?;
        self.end(bytes.len() as u64)
    }

    fn head(&mut self, name: &str, size: u64) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name)?;
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }
}

/// A bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is not a bundle: {why}", path.display())]
    NotALayout {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A blob is not in it.
    #[error("{}: blob {digest} of {of} is missing", path.display())]
    Missing {
        /// The bundle.
        path: PathBuf,
        /// The blob.
        digest: String,
        /// Whose.
        of: String,
    },
    /// A blob has other bytes.
    #[error("{}: blob {digest} of {of} is corrupt", path.display())]
    Corrupt {
        /// The bundle.
        path: PathBuf,
        /// The blob.
        digest: String,
        /// Whose.
        of: String,
    },
}

/// A bundle to be read.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// Where blobs are, and their sizes.
    places: BTreeMap<String, (u64, u64)>,
    /// What is in it.
    pub index: Index,
}

/// A part of a bundle with all that it names.
#[derive(Debug)]
pub struct Part {
    /// Its manifests, each before what names it: what they are, and their bytes.
    pub manifests: Vec<(Descriptor, Vec<u8>)>,
    /// Its blobs, each once.
    pub blobs: Vec<Descriptor>,
    /// The platforms whose manifests are in the bundle.
    pub platforms: Vec<String>,
}

impl Archive {
    /// Reads where everything is.
    ///
    /// # Errors
    /// Where it is not a bundle.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let read = |source| BundleError::Read { path: path.to_owned(), source };
        let wrong = |why: String| BundleError::NotALayout { path: path.to_owned(), why };
        let file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let mut tar = tar::Archive::new(file);
        let broken = |_| wrong("it is not a whole tar archive".to_owned());
        let (mut places, mut layout, mut index) = (BTreeMap::new(), None, None);
        for (number, entry) in tar.entries_with_seek().map_err(broken)?.enumerate() {
            let mut entry = entry.map_err(broken)?;
            let (place, size) = (entry.raw_file_position(), entry.size());
            if number >= FILES_MAX || place.checked_add(size).is_none_or(|end| end > length) {
                return Err(wrong("it is cut off, or holds too many files".to_owned()));
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.strip_prefix("./").unwrap_or(&name);
            match name.strip_prefix(BLOBS) {
                Some(hex) => drop(places.insert(format!("sha256:{hex}"), (place, size))),
                None if matches!(name, "index.json" | "oci-layout") => {
                    let mut bytes = Vec::new();
                    entry.by_ref().take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).map_err(read)?;
                    if name == "index.json" { index = Some(bytes) } else { layout = Some(bytes) }
                }
                None => {}
            }
        }
        let (Some(_), Some(index)) = (layout, index) else {
            return Err(wrong("it has no oci-layout and index.json".to_owned()));
        };
        Ok(Self { path: path.to_owned(), places, index: Index::read(&index).map_err(wrong)? })
    }

    /// Reads the manifests of a part; of an index those that the bundle has, where it says that it does not have all.
    ///
    /// # Errors
    /// Where one is missing, corrupt, or not a manifest.
    pub fn part(&self, root: &Descriptor) -> Result<Part, BundleError> {
        let (of, is_partial) = (root.name(), root.annotations.contains_key(super::layout::PLATFORMS));
        let bytes = self.read(root, of)?;
        let document = self.document(&bytes, root)?;
        let mut part = Part { manifests: Vec::new(), blobs: Vec::new(), platforms: Vec::new() };
        for one in &document.manifests {
            if is_partial && !self.places.contains_key(&one.digest) {
                continue;
            }
            let bytes = self.read(one, of)?;
            let below = self.document(&bytes, one)?;
            part.blobs.extend(below.blobs().into_iter().cloned());
            part.platforms.extend(one.platform.as_ref().map(super::layout::Platform::name));
            part.manifests.push((Descriptor { media_type: below.media_type().to_owned(), ..one.clone() }, bytes));
        }
        part.platforms.retain(|name| name != "unknown/unknown");
        part.blobs.extend(document.blobs().into_iter().cloned());
        if let (false, Some(config)) = (document.is_index(), document.config()) {
            let platform = self.read(config, of).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let platform = platform.filter(|platform: &super::layout::Platform| !platform.os.is_empty());
            part.platforms.extend(platform.map(|platform| platform.name()));
        }
        let mut seen = BTreeSet::new();
        part.blobs.retain(|blob| seen.insert(blob.digest.clone()));
        part.manifests.push((Descriptor { media_type: document.media_type().to_owned(), ..root.clone() }, bytes));
        Ok(part)
    }

    /// Holds every blob of a part against its digest.
    ///
    /// # Errors
    /// Where one is missing or corrupt.
    pub fn verify(&self, part: &Part, of: &str) -> Result<(), BundleError> {
        part.blobs.iter().try_for_each(|blob| {
            let (mut hash, mut content, mut piece) = (Sha256::new(), self.content(blob, of)?, vec![0; 128 << 10]);
            loop {
                match content.read(&mut piece).map_err(|source| self.unread(source))? {
                    0 => return self.held(blob, &hash.finalize(), of),
                    read => hash.update(&piece[..read]),
                }
            }
        })
    }

    /// The blobs of a part, for an upload.
    pub fn uploaded(&self, part: &Part) -> Vec<UploadedBlob> {
        let place = |blob: &Descriptor| self.places.get(&blob.digest).map(|(place, _)| *place);
        let one = |blob: &Descriptor| {
            let (digest, size, path) = (blob.digest.clone(), blob.size, self.path.clone());
            Some(UploadedBlob { digest, size, path, offset: place(blob)? })
        };
        part.blobs.iter().filter_map(one).collect()
    }

    fn document(&self, bytes: &[u8], of: &Descriptor) -> Result<Document, BundleError> {
        Document::read(bytes, &of.digest).map_err(|why| BundleError::NotALayout { path: self.path.clone(), why })
    }

    fn read(&self, blob: &Descriptor, of: &str) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        self.content(blob, of)?.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| self.unread(error))?;
        self.held(blob, &Sha256::digest(&bytes), of)?;
        Ok(bytes)
    }

    fn content(&self, blob: &Descriptor, of: &str) -> Result<impl Read + use<>, BundleError> {
        let (path, digest, of) = (self.path.clone(), blob.digest.clone(), of.to_owned());
        let Some(&(place, size)) = self.places.get(&blob.digest) else {
            return Err(BundleError::Missing { path, digest, of });
        };
        if size != blob.size {
            return Err(BundleError::Corrupt { path, digest, of });
        }
        let mut file = File::open(&self.path).map_err(|error| self.unread(error))?;
        file.seek(SeekFrom::Start(place)).map_err(|error| self.unread(error))?;
        Ok(file.take(size))
    }

    fn held(&self, blob: &Descriptor, hash: &[u8], of: &str) -> Result<(), BundleError> {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if blob.digest == format!("sha256:{hex}") {
            return Ok(());
        }
        Err(BundleError::Corrupt { path: self.path.clone(), digest: blob.digest.clone(), of: of.to_owned() })
    }

    fn unread(&self, source: io::Error) -> BundleError {
        BundleError::Read { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::layout::{MANIFEST, NAME, PLATFORMS};
    use super::*;

    /// A bundle with an index of two platforms, of which the second is left out, and with these blobs.
    fn written(is_partial: bool, blobs: &[&Descriptor]) -> (tempfile::NamedTempFile, Descriptor) {
        let manifest = json!({ "config": layer(), "layers": [layer()] }).to_string();
        let one = Descriptor::of(MANIFEST, manifest.as_bytes());
        let other = Descriptor::of(MANIFEST, b"of another platform");
        let index = json!({ "manifests": [one, other] }).to_string();
        let mut root = Descriptor::of("", index.as_bytes());
        root.annotations.insert(NAME.to_owned(), "registry.example/shop".to_owned());
        if is_partial {
            root.annotations.insert(PLATFORMS.to_owned(), "linux/amd64".to_owned());
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = Writer::new(file.reopen().unwrap()).unwrap();
        for blob in blobs {
            writer.blob(blob, b"layer").unwrap();
        }
        writer.blob(&one, manifest.as_bytes()).unwrap();
        writer.blob(&root, index.as_bytes()).unwrap();
        writer.finish(&Index::new(vec![root.clone()], BTreeMap::new())).unwrap();
        (file, root)
    }

    fn layer() -> Descriptor {
        Descriptor::of("a/layer", b"layer")
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_missing_is_named() {
        let (file, _) = written(true, &[&layer(), &layer()]);
        let archive = Archive::open(file.path()).unwrap();
        let part = archive.part(&archive.index.manifests[0]).unwrap();
        archive.verify(&part, "shop").unwrap();
        assert_eq!((part.manifests.len(), part.blobs.len(), archive.uploaded(&part).len()), (2, 1, 1));

        let told = |error: BundleError| error.to_string().replace(&file.path().display().to_string(), "FILE");
        let (file_of_other, root) = written(false, &[&layer()]);
        let error = Archive::open(file_of_other.path()).unwrap().part(&root).unwrap_err();
        assert!(matches!(&error, BundleError::Missing { of, .. } if of == "registry.example/shop"), "{error}");
        let (without, root) = written(true, &[]);
        let archive = Archive::open(without.path()).unwrap();
        let part = archive.part(&root).unwrap();
        let error = archive.verify(&part, "shop").unwrap_err();
        assert!(error.to_string().ends_with(&format!("blob {} of shop is missing", layer().digest)), "{error}");
        std::fs::write(file.path(), "words").unwrap();
        let told = told(Archive::open(file.path()).unwrap_err());
        assert!(told.starts_with("FILE is not a bundle: it is"), "{told}");
        std::fs::write(file.path(), [0; 1024]).unwrap();
        let error = Archive::open(file.path()).unwrap_err();
        assert!(error.to_string().ends_with("it has no oci-layout and index.json"), "{error}");
    }
}
