//! A bare repository under a test's control: branches, tags and hooks, made by the git program; commits are beside it
//! (`change.rs`).
//!
//! git runs with a clean environment and without any configuration of the person or the machine. Times are made up
//! and go up by a second with each commit, so a test sees the same ids in every run.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};

/// The second of the first commit: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// A bare repository. Every method panics with git's words if git fails: then the test itself is wrong.
pub struct Repo {
    path: PathBuf,
    clock: AtomicI64,
}

impl Repo {
    /// Opens the bare repository at `path`, or makes an empty one with the default branch `main`.
    pub fn open_or_init(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if !path.join("HEAD").exists() {
            std::fs::create_dir_all(&path).expect("a folder for the repository");
            let repo = Self { path: path.clone(), clock: AtomicI64::new(BEGINNING) };
            repo.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
            // What `git http-backend` asks for before it takes a push.
            repo.git(&["config", "http.receivepack", "true"]);
        }
        Self { path, clock: AtomicI64::new(BEGINNING) }
    }

    /// Makes an empty bare repository whose ids are SHA-256.
    pub fn init_sha256(path: impl Into<PathBuf>) -> Self {
        let repo = Self { path: path.into(), clock: AtomicI64::new(BEGINNING) };
        std::fs::create_dir_all(&repo.path).expect("a folder for the repository");
        repo.git(&["init", "--quiet", "--bare", "--initial-branch=main", "--object-format=sha256", "."]);
        repo.git(&["config", "http.receivepack", "true"]);
        repo
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets a lightweight tag, moving it if it is there.
    pub fn tag(&self, name: &str, at: &str) {
        self.git(&["tag", "--force", name, at]);
    }

    /// Writes an annotated tag, moving it if it is there; gives the tag object.
    pub fn annotated_tag(&self, name: &str, at: &str, message: &str) -> String {
        self.git(&["tag", "--force", "--annotate", "--message", message, name, at]);
        self.rev(&format!("refs/tags/{name}"))
    }

    /// Deletes a tag.
    pub fn delete_tag(&self, name: &str) {
        self.git(&["update-ref", "-d", &format!("refs/tags/{name}")]);
    }

    /// Sets a branch, wherever it was before: a new one, or what a force-push does.
    pub fn branch(&self, name: &str, at: &str) {
        self.git(&["update-ref", &format!("refs/heads/{name}"), at]);
    }

    /// Deletes a branch.
    pub fn delete_branch(&self, name: &str) {
        self.git(&["update-ref", "-d", &format!("refs/heads/{name}")]);
    }

    /// The id of a revision.
    pub fn rev(&self, revision: &str) -> String {
        self.git(&["rev-parse", "--verify", "--quiet", revision])
    }

    /// The content of a file at a revision.
    pub fn file(&self, revision: &str, path: &str) -> String {
        self.git_raw(&["cat-file", "blob", &format!("{revision}:{path}")], b"")
    }

    /// The subjects of a branch, newest first.
    pub fn subjects(&self, branch: &str) -> Vec<String> {
        self.git(&["log", "--format=%s", branch]).lines().map(str::to_owned).collect()
    }

    /// Installs a hook, a POSIX shell script without its first line.
    pub fn hook(&self, name: &str, script: &str) {
        let hooks = self.path.join("hooks");
        std::fs::create_dir_all(&hooks).expect("a folder for the hook");
        // At once: a push that runs at this moment finds the hook of before, or this one.
        let (new, path) = (hooks.join(format!("{name}.new")), hooks.join(name));
        std::fs::write(&new, format!("#!/bin/sh\n{script}\n")).expect("a place for the hook");
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).expect("a hook of our own");
        std::fs::rename(&new, &path).expect("a hook of our own");
    }

    /// Takes a hook away.
    pub fn remove_hook(&self, name: &str) {
        std::fs::remove_file(self.path.join("hooks").join(name)).expect("the hook is there");
    }

    /// Refuses pushes to a tag or branch by its full name, with the words of a forge.
    pub fn protect(&self, full_name: &str) {
        let script =
            format!("[ \"$1\" = '{full_name}' ] || exit 0\necho 'GitForge: {full_name} is protected.' >&2\nexit 1");
        self.hook("update", &script);
    }

    /// Runs git here and gives what it printed, trimmed.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_raw(arguments, b"").trim_end().to_owned()
    }

    /// Runs git here with `input` and gives what it printed.
    pub fn git_raw(&self, arguments: &[&str], input: &[u8]) -> String {
        self.try_git(arguments, input)
            .unwrap_or_else(|said| panic!("git {arguments:?} in {}: {said}", self.path.display()))
    }

    /// The same, for what may be refused: what git said is the error then.
    pub fn try_git(&self, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git is installed");
        let mut stdin = child.stdin.take().expect("it was piped");
        // Written beside, so that neither side waits for the other with full pipes.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                let _ = stdin.write_all(input);
            });
            child.wait_with_output()
        });
        let output = output.expect("git runs to its end");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
    }

    /// The next made-up second.
    pub(super) fn tick(&self) -> i64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean_git();
        let time = format!("{} +0000", self.tick());
        command.current_dir(&self.path).args(arguments);
        command.env("GIT_AUTHOR_DATE", &time).env("GIT_COMMITTER_DATE", &time);
        command
    }
}

/// `git` that knows nothing of the person or the machine.
pub(super) fn clean_git() -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env("GIT_AUTHOR_NAME", "Ann")
        .env("GIT_AUTHOR_EMAIL", "ann@example.org")
        .env("GIT_COMMITTER_NAME", "Ann")
        .env("GIT_COMMITTER_EMAIL", "ann@example.org");
    command
}
