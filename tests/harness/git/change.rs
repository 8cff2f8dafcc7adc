//! One commit in the making: files, links, submodules and removals, written in one `git fast-import`.
//!
//! Paths and contents are bytes, so that a test can write what no editor would.

use super::Repo;

impl Repo {
    /// A change to the tip of `branch`, or the first commit of it.
    pub fn change(&self, branch: &str) -> Change<'_> {
        Change { repo: self, branch: branch.to_owned(), from: branch.to_owned(), commands: Vec::new() }
    }

    /// The first change of a new branch, to the tip of another: nobody sees the branch without it.
    pub fn branch_off(&self, branch: &str, from: &str) -> Change<'_> {
        Change { repo: self, branch: branch.to_owned(), from: from.to_owned(), commands: Vec::new() }
    }

    /// Commits these files on top of `branch`; gives the commit.
    pub fn commit(&self, branch: &str, files: &[(&str, &str)], message: &str) -> String {
        let change = self.change(branch);
        files.iter().fold(change, |change, (path, content)| change.write(path, content)).commit(message)
    }
}

/// A change to the tip of a branch; nothing happens before [`Change::commit`].
#[must_use = "a change is nothing before it is committed"]
pub struct Change<'r> {
    repo: &'r Repo,
    branch: String,
    from: String,
    commands: Vec<u8>,
}

impl<'r> Change<'r> {
    /// Writes a plain file.
    pub fn write(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry("100644", path.as_ref(), content.as_ref())
    }

    /// Writes an executable file.
    pub fn executable(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry("100755", path.as_ref(), content.as_ref())
    }

    /// Makes a symbolic link.
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry("120000", path.as_ref(), target.as_ref())
    }

    /// Sets a submodule to a commit of another repository.
    pub fn submodule(mut self, path: impl AsRef<[u8]>, commit: &str) -> Self {
        self.commands.extend(format!("M 160000 {commit} ").bytes());
        self.path(path.as_ref());
        self
    }

    /// Removes a file or a directory.
    pub fn remove(mut self, path: impl AsRef<[u8]>) -> Self {
        self.commands.extend(b"D ");
        self.path(path.as_ref());
        self
    }

    /// Commits; gives the commit.
    pub fn commit(self, message: &str) -> String {
        let Self { repo, branch, from, commands } = self;
        let [tip, from] = [branch, from].map(|branch| format!("refs/heads/{branch}"));
        let known = !repo.git(&["for-each-ref", "--format=%(objectname)", &from]).is_empty();
        let mut script = format!("commit {tip}\ncommitter Ann <ann@example.org> {} +0000\n", repo.tick()).into_bytes();
        script.extend(format!("data {}\n{message}\n", message.len()).bytes());
        if known {
            script.extend(format!("from {from}^0\n").bytes());
        }
        script.extend(commands);
        script.extend(b"\n");
        // Whoever pushes at the same time loses nothing: then it is made again, on top of that.
        let mut made = Err(String::new());
        for _ in 0..20 {
            made = repo.try_git(&["fast-import", "--quiet"], &script);
            if made.is_ok() {
                break;
            }
        }
        made.unwrap_or_else(|said| panic!("no commit on {tip}: others are faster, or it cannot be made: {said}"));
        repo.rev(&tip)
    }

    fn entry(mut self, mode: &str, path: &[u8], content: &[u8]) -> Self {
        self.commands.extend(format!("M {mode} inline ").bytes());
        self.path(path);
        self.commands.extend(format!("data {}\n", content.len()).bytes());
        self.commands.extend(content);
        self.commands.push(b'\n');
        self
    }

    /// A path in C quotes, so that any byte may be in it.
    fn path(&mut self, path: &[u8]) {
        self.commands.push(b'"');
        for byte in path {
            match byte {
                b'"' | b'\\' => self.commands.extend([b'\\', *byte]),
                0x20..=0x7e => self.commands.push(*byte),
                byte => self.commands.extend(format!("\\{byte:03o}").bytes()),
            }
        }
        self.commands.extend(b"\"\n");
    }
}
