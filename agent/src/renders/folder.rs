//! A bounded folder of sealed files. Which there are is read once; the files themselves are read when they are asked for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use quarterdeck_core::render::kept::surplus::{Bounds, Item, surplus};

use super::seal::Seal;
use super::{Amount, seconds};

/// One file may take this part of all: a render that is larger would push out a whole fleet's.
const SHARE: u64 = 16;

/// The largest render that is read back, in bytes before compression: what programs may write, escaped, with its places.
const CONTENT_BYTES_MAX: u64 = 1 << 30;

/// The last use is noted in the time of a file this often: a fleet that starts writes nothing for what it read an hour ago.
const NOTED_EVERY: u64 = 3600;

/// What is too old is looked for this often, in seconds.
const TIDIED_EVERY: u64 = 3600;

/// The files.
pub(super) struct Folder {
    path: PathBuf,
    index: Mutex<Index>,
    /// Whether it was told that nothing can be written.
    told: AtomicBool,
}

#[derive(Default)]
struct Index {
    files: BTreeMap<String, Known>,
    bytes: u64,
    tidied: u64,
}

#[derive(Clone, Copy)]
struct Known {
    bytes: u64,
    used: u64,
    /// The time that the file has.
    noted: u64,
}

impl Index {
    fn insert(&mut self, name: String, known: Known) {
        self.bytes += known.bytes;
        if let Some(before) = self.files.insert(name, known) {
            self.bytes -= before.bytes;
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(gone) = self.files.remove(name) {
            self.bytes -= gone.bytes;
        }
    }
}

impl Folder {
    /// What is there now; what a write left that was cut off is removed. One that cannot be read is empty.
    pub(super) fn open(path: PathBuf) -> Self {
        let mut index = Index::default();
        for file in fs::read_dir(&path).into_iter().flatten().flatten() {
            let (name, metadata) = (file.file_name().to_string_lossy().into_owned(), file.metadata());
            if name.starts_with('.') {
                let _ = fs::remove_file(file.path());
            } else if let Ok(metadata) = metadata.as_ref().map_err(drop)
                && metadata.is_file()
            {
                let used = metadata.modified().map_or(0, seconds);
                index.insert(name, Known { bytes: metadata.len(), used, noted: used });
            }
        }
        Self { path, index: Mutex::new(index), told: AtomicBool::default() }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn amount(&self) -> Amount {
        let index = self.index();
        Amount { count: index.files.len(), bytes: index.bytes }
    }

    /// The names that begin so, the last used first.
    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let index = self.index();
        let from = index.files.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let mut names: Vec<(u64, String)> = from
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, known)| (known.used, name.clone()))
            .collect();
        names.sort_by(|a, b| b.cmp(a));
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// What is in a file. One that is damaged goes, and is as if it had not been there.
    pub(super) fn read(&self, seal: &Seal, name: &str) -> Option<Vec<u8>> {
        let path = self.path.join(name);
        let why = match fs::read(&path) {
            Ok(sealed) => match seal.open(name, &sealed).map(|packed| unpacked(&packed)) {
                Some(Ok(content)) => return Some(content),
                Some(Err(error)) => error.to_string(),
                None => "it is not what was written".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!(path = %path.display(), why, "a render that is kept is damaged; it is removed, and made again when it is needed");
        self.remove(&[name.to_owned()]);
        None
    }

    /// Notes that a file is used; says whether there is one.
    pub(super) fn used(&self, name: &str, now: u64) -> bool {
        let mut index = self.index();
        let Some(known) = index.files.get_mut(name) else { return false };
        known.used = now;
        if now.abs_diff(known.noted) >= NOTED_EVERY {
            known.noted = now;
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            // On a disk that is only read it is as old as it is.
            let _ = File::open(self.path.join(name)).and_then(|file| file.set_modified(time));
        }
        true
    }

    /// Keeps something, whole or not at all, where it is not too much.
    pub(super) fn write(&self, seal: &Seal, name: &str, content: &[u8], bounds: Bounds, now: u64) {
        let sealed = packed(content).ok().and_then(|packed| seal.seal(name, packed));
        let Some(sealed) = sealed.filter(|sealed| sealed.len() as u64 <= bounds.bytes / SHARE) else { return };
        match self.put(name, &sealed) {
            Ok(()) => {
                let known = Known { bytes: sealed.len() as u64, used: now, noted: now };
                self.told.store(false, Ordering::Relaxed);
                let mut index = self.index();
                index.insert(name.to_owned(), known);
                let group = name.split('-').next().unwrap_or_default();
                let of_group = index.files.range::<str, _>((Bound::Included(group), Bound::Unbounded));
                let is_crowded = of_group.take_while(|(name, _)| name.starts_with(group)).count() > bounds.of_a_group;
                let is_due = index.bytes > bounds.bytes || is_crowded || now.abs_diff(index.tidied) > TIDIED_EVERY;
                drop(index);
                if is_due {
                    self.tidy(bounds, now);
                }
            }
            // A full disk is told once, not with each render.
            Err(error) if !self.told.swap(true, Ordering::Relaxed) => {
                tracing::warn!(folder = %self.path.display(), %error, "cannot keep renders; they are made again when they are needed");
            }
            Err(_) => {}
        }
    }

    fn put(&self, name: &str, sealed: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let mut file = tempfile::Builder::new().prefix(".").tempfile_in(&self.path)?;
        file.write_all(sealed)?;
        file.persist(self.path.join(name)).map(drop).map_err(|error| error.error)
    }

    /// Removes what is too much or too old.
    pub(super) fn tidy(&self, bounds: Bounds, now: u64) {
        let mut index = self.index();
        index.tidied = now;
        let item = |(name, known): (&String, &Known)| Item { name: name.clone(), bytes: known.bytes, used: known.used };
        let items = index.files.iter().map(item).collect();
        drop(index);
        self.remove(&surplus(items, bounds, now));
    }

    /// Removes all of it.
    pub(super) fn clear(&self) {
        let all: Vec<String> = self.index().files.keys().cloned().collect();
        self.remove(&all);
    }

    fn remove(&self, names: &[String]) {
        let mut index = self.index();
        for name in names {
            // One that stays is found again at the next start.
            let _ = fs::remove_file(self.path.join(name));
            index.remove(name);
        }
    }
}

/// Manifests repeat themselves: what is fastest makes a tenth of them.
fn packed(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content)?;
    encoder.finish()
}

fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(packed).take(CONTENT_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}
