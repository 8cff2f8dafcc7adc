//! Files as the layer of an artifact: a gzipped tar without owners and times, so that the same files are the same bytes.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use quarterdeck_core::tree::EntryMode;
use quarterdeck_core::tree::memory::Files;

/// Packs files; submodules are left out, since their files are in another repository.
///
/// # Errors
/// Where a path is one that tar cannot have.
pub fn pack(files: &Files) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::default()));
    for (path, (mode, content)) in &files.files {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_mode(if *mode == EntryMode::Executable { 0o755 } else { 0o644 });
        match mode {
            EntryMode::Submodule => {}
            EntryMode::Symlink => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, path, &*String::from_utf8_lossy(content))?;
            }
            EntryMode::File | EntryMode::Executable => {
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, path, &**content)?;
            }
        }
    }
    let mut packed = tar.into_inner()?;
    packed.flush()?;
    packed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests;

    #[test]
    fn what_is_packed_is_read_back_and_the_same_files_are_the_same_bytes() {
        let long = format!("apps/{}/a.yaml", "deep/".repeat(60).trim_end_matches('/'));
        let files = Files::new(&[("README.md", "words"), (&long, "a: 1\n"), ("empty", "")])
            .with("bin/run", EntryMode::Executable, "#!/bin/sh\n")
            .with("link", EntryMode::Symlink, "README.md");
        let packed = pack(&files).unwrap();
        assert_eq!(packed, pack(&files).unwrap());
        let read = manifests::read(&packed).unwrap();
        assert_eq!(read.files, files.files);
    }
}
