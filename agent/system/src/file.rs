//! Files that a person names and that may be any file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads a file up to one byte beyond `bytes_max`: a longer answer says that it is longer, without the rest in memory.
///
/// # Errors
/// Where it cannot be read.
pub fn read_up_to(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
