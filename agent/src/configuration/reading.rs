//! The files of a commit that are the configuration: one, or all of a folder in the order of their names.

use quarterdeck_core::tree::{EntryMode, Node, Tree, TreeEntry, TreeFailure};

/// Bytes of a file: some thousand applications.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of all files: they are kept in the data directory, and read whole at each change.
pub(super) const BYTES_MAX: u64 = 8 << 20;

/// Files of a folder: one for each of some hundred teams.
pub(super) const FILES_MAX: usize = 1_000;

/// Files with their paths from the root of the repository.
pub(super) type Files = Vec<(String, String)>;

/// Reads the configuration at `path`; else what is wrong, with its file.
///
/// # Errors
/// Where the commit cannot be read.
pub(super) fn read(tree: &dyn Tree, path: &str) -> Result<Result<Files, String>, TreeFailure> {
    let path = path.trim_end_matches('/');
    let is_folder = path.is_empty() || matches!(tree.lookup(path)?, Some(Node::Folder));
    let entries = match is_folder {
        true => entries(tree, path)?,
        false => match tree.lookup(path)? {
            Some(Node::File(entry)) => vec![entry],
            Some(Node::Folder) | None => return Ok(Err(format!(" there is no file or folder {path}"))),
        },
    };
    if entries.is_empty() {
        return Ok(Err(format!(" there is no .toml file in the folder {path:?}")));
    }
    if entries.len() > FILES_MAX {
        return Ok(Err(format!(" {path} has {} files; the limit is {FILES_MAX}", entries.len())));
    }
    let (mut files, mut bytes) = (Files::new(), 0);
    for entry in entries {
        let path = entry.path.clone();
        if !matches!(entry.mode, EntryMode::File | EntryMode::Executable) {
            return Ok(Err(format!("{path}: a link or a submodule: write the file itself")));
        }
        let size = tree.size(&entry)?;
        bytes += size;
        if size > FILE_BYTES_MAX {
            return Ok(Err(format!("{path}:1:1: the file has {size} bytes; the limit is {FILE_BYTES_MAX}")));
        }
        if bytes > BYTES_MAX {
            return Ok(Err(format!(
                "{path}:1:1: the files up to this one have {bytes} bytes; the limit is {BYTES_MAX}"
            )));
        }
        match String::from_utf8(tree.blob(&entry)?) {
            Ok(text) => files.push((path, text)),
            Err(_) => return Ok(Err(format!("{path}:1:1: the file is not UTF-8"))),
        }
    }
    Ok(Ok(files))
}

/// The `.toml` files of a folder itself, in the order of their names. What is in folders below is something else, for instance
/// the applications of an `[[application_source]]`.
fn entries(tree: &dyn Tree, folder: &str) -> Result<Vec<TreeEntry>, TreeFailure> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let is_own =
        |path: &str| path.strip_prefix(&prefix).is_some_and(|name| !name.contains('/') && name.ends_with(".toml"));
    let mut entries = tree.entries(folder)?.entries;
    entries.retain(|entry| is_own(&entry.path));
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use quarterdeck_core::tree::memory::Files as Memory;

    use super::*;

    #[test]
    fn a_file_or_the_files_of_a_folder_are_read_in_order() {
        let long = "#".repeat(FILE_BYTES_MAX as usize + 1);
        let files = [
            ("fleet/b.toml", "b"),
            ("fleet/a.toml", "a"),
            ("fleet/c.yaml", "c"),
            ("fleet/apps/d.toml", "d"),
            ("one.toml", "1"),
            ("linked/a.toml@", "one.toml"),
            ("long.toml", &long),
            ("empty/a.md", ""),
        ];
        let told = |path: &str| match read(&Memory::new(&files), path).unwrap() {
            Ok(files) => files.into_iter().map(|(path, text)| format!("{path}={text}")).collect::<Vec<_>>().join(" "),
            Err(problem) => problem,
        };
        for (path, expected) in [
            ("one.toml", "one.toml=1"),
            ("fleet", "fleet/a.toml=a fleet/b.toml=b"),
            ("fleet/", "fleet/a.toml=a fleet/b.toml=b"),
            ("two.toml", " there is no file or folder two.toml"),
            ("empty", " there is no .toml file in the folder \"empty\""),
            ("linked", "linked/a.toml: a link or a submodule: write the file itself"),
            ("long.toml", "long.toml:1:1: the file has 1048577 bytes; the limit is 1048576"),
        ] {
            assert_eq!(told(path), expected, "{path}");
        }
        let many: Vec<(String, String)> =
            (0..=FILES_MAX).map(|number| (format!("a/{number}.toml"), String::new())).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(path, text)| (&**path, &**text)).collect();
        assert_eq!(read(&Memory::new(&many), "a").unwrap(), Err(" a has 1001 files; the limit is 1000".to_owned()));
        let full = "#".repeat(FILE_BYTES_MAX as usize);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|name| format!("{name}.toml"));
        let full: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*full)).collect();
        let problem = read(&Memory::new(&full), "").unwrap().unwrap_err();
        assert!(problem.starts_with("i.toml:1:1: the files up to this one have 9437184 bytes"), "{problem}");
    }
}
