//! Which renderers are on this machine: programs that turn files into manifests, found on the `PATH`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quarterdeck_system::program::{self, Finished, Limits, ProgramError};
use sha2::{Digest as _, Sha256};

use super::confinement::Confinement;

/// Asking for a version takes a moment; a program on a network drive some.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), output_bytes: 64 << 10 };

/// The renderers that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renderers {
    /// In the order of preference: `kustomize` is often newer than what `kubectl` carries.
    pub programs: Vec<Program>,
    /// What they are kept from.
    pub confinement: Confinement,
    /// A folder in memory for their files; without one nothing is decrypted for them.
    pub memory: Option<PathBuf>,
}

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Which.
    pub kind: ProgramKind,
    /// Where.
    pub path: PathBuf,
    /// What it is kept from.
    pub confinement: Confinement,
}

/// The programs that we know how to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// `kustomize build`.
    Kustomize,
    /// `kubectl kustomize`.
    Kubectl,
    /// `helm template`.
    Helm,
    /// `jsonnet`.
    Jsonnet,
    /// `sops decrypt`.
    Sops,
}

impl Renderers {
    /// Looks for them on a `PATH`; on none where there is none.
    pub fn find(path: Option<&OsStr>) -> Self {
        let find = |kind: ProgramKind| {
            Some(Program { kind, path: program::find(kind.name(), path?)?, confinement: Confinement::default() })
        };
        let kinds =
            [ProgramKind::Kustomize, ProgramKind::Kubectl, ProgramKind::Helm, ProgramKind::Jsonnet, ProgramKind::Sops];
        Self { programs: kinds.into_iter().filter_map(find).collect(), ..Self::default() }
    }

    /// The same programs, kept from what this says.
    #[must_use]
    pub fn confined(mut self, confinement: &Confinement) -> Self {
        self.confinement = confinement.clone();
        for program in &mut self.programs {
            program.confinement = confinement.of(&program.path);
        }
        self
    }

    /// The same programs, with files in a folder in memory.
    #[must_use]
    pub fn in_memory(self, memory: Option<PathBuf>) -> Self {
        Self { memory, ..self }
    }

    /// The one that renders kustomizations.
    pub fn kustomize(&self) -> Option<&Program> {
        self.programs.iter().find(|program| matches!(program.kind, ProgramKind::Kustomize | ProgramKind::Kubectl))
    }

    /// The one that renders charts.
    pub fn helm(&self) -> Option<&Program> {
        self.programs.iter().find(|program| program.kind == ProgramKind::Helm)
    }

    /// The one that evaluates jsonnet.
    pub fn jsonnet(&self) -> Option<&Program> {
        self.programs.iter().find(|program| program.kind == ProgramKind::Jsonnet)
    }

    /// The one that decrypts what no key of ours does.
    pub fn sops(&self) -> Option<&Program> {
        self.programs.iter().find(|program| program.kind == ProgramKind::Sops)
    }
}

impl ProgramKind {
    /// The name of the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kustomize => "kustomize",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Jsonnet => "jsonnet",
            Self::Sops => "sops",
        }
    }
}

impl Program {
    /// How a render with it is called, for people.
    pub fn command(&self) -> &'static str {
        match self.kind {
            ProgramKind::Kustomize => "kustomize build",
            ProgramKind::Kubectl => "kubectl kustomize",
            ProgramKind::Helm => "helm template",
            ProgramKind::Jsonnet => "jsonnet",
            ProgramKind::Sops => "sops decrypt",
        }
    }

    pub(crate) fn subcommand(&self) -> &'static str {
        match self.kind {
            ProgramKind::Kustomize => "build",
            ProgramKind::Kubectl => "kustomize",
            ProgramKind::Helm => "template",
            ProgramKind::Jsonnet => "",
            ProgramKind::Sops => "decrypt",
        }
    }

    /// What tells it from another one, and from another version in its place; nothing where it is gone. Its version is not asked
    /// for: that would start it. Blocks.
    pub fn identity(&self) -> Option<String> {
        identity(&self.path)
    }

    /// A command that runs it, for files in a folder of their own.
    pub(super) fn confined(&self, own: &Path) -> Command {
        self.confinement.command(&self.path, Some(own))
    }

    /// Whether it is kept from anything.
    pub(super) fn is_confined(&self) -> bool {
        self.confinement != Confinement::default()
    }

    /// A command that runs it with the limits alone: it logs in somewhere, with files of the agent's user.
    pub(crate) fn limited(&self) -> Command {
        self.confinement.command(&self.path, None)
    }

    /// Asks the program for its version: `v5.5.0`. Blocks for as long as the program takes, 10 s at most.
    ///
    /// # Errors
    /// Where it cannot be run, or fails.
    pub fn version(&self) -> Result<String, ProgramError> {
        let arguments = match self.kind {
            ProgramKind::Kustomize => ["version"].as_slice(),
            ProgramKind::Kubectl => &["version", "--client"],
            ProgramKind::Helm => &["version", "--short"],
            ProgramKind::Jsonnet | ProgramKind::Sops => &["--version"],
        };
        let mut command = Command::new(&self.path);
        // It would ask a server for its newest version otherwise.
        command.args(arguments).env("SOPS_DISABLE_VERSION_CHECK", "1");
        let output = program::run(command, b"", LIMITS).and_then(Finished::successful)?;
        Ok(version_in(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// What tells the content of a file from any other: its digest. A file that looks as before is not read again. What a pod mounts has
/// another number and other times after each restart, and a program of a reproducible image has the times of no day.
pub(crate) fn identity(path: &Path) -> Option<String> {
    static KNOWN: Mutex<BTreeMap<PathBuf, (Looks, String)>> = Mutex::new(BTreeMap::new());
    let file = std::fs::metadata(path).ok()?;
    let times = (file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec());
    let looks = (file.dev(), file.ino(), file.size(), times);
    // A few paths: the programs, and the files of age keys that the configuration names.
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, digest)) = known().get(path).filter(|(before, _)| *before == looks) {
        return Some(digest.clone());
    }
    let digest = digest(path).ok()?;
    known().insert(path.to_owned(), (looks, digest.clone()));
    Some(digest)
}

/// Device, number, size and times of a file.
type Looks = (u64, u64, u64, (i64, i64, i64, i64));

fn digest(path: &Path) -> io::Result<String> {
    let (mut file, mut part) = (std::fs::File::open(path)?, vec![0; 64 << 10]);
    let mut digest = Sha256::new();
    loop {
        match file.read(&mut part)? {
            0 => break,
            read => digest.update(&part[..read]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The version in what a program prints, of kustomize for `kubectl`: `v5.5.0`, `{Version:kustomize/v4.1.3 …}`,
/// `Kustomize Version: v5.5.0`, `v3.20.2+gabcdef`.
fn version_in(text: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.starts_with("Kustomize Version:"))
        .or_else(|| text.lines().next())
        .unwrap_or_default();
    let is_version = |word: &&str| word.starts_with('v') && word[1..].starts_with(|c: char| c.is_ascii_digit());
    let mut words = line.split(|c: char| c.is_whitespace() || "{}/:".contains(c));
    words.find(is_version).unwrap_or(line.trim()).to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn programs_are_found_in_the_order_of_preference() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let found = || {
            Renderers::find(Some(folder.path().as_os_str())).programs.into_iter().map(|p| p.kind).collect::<Vec<_>>()
        };
        assert!(found().is_empty());
        place("kubectl", 0o755);
        place("kustomize", 0o644);
        assert_eq!(found(), [ProgramKind::Kubectl], "a file that cannot be run is none");
        place("kustomize", 0o755);
        place("helm", 0o755);
        assert_eq!(found(), [ProgramKind::Kustomize, ProgramKind::Kubectl, ProgramKind::Helm]);
        place("jsonnet", 0o755);
        place("sops", 0o755);
        assert_eq!(found().last(), Some(&ProgramKind::Sops));
        let renderers = Renderers::find(Some(folder.path().as_os_str()));
        let kinds = [renderers.kustomize(), renderers.helm(), renderers.jsonnet(), renderers.sops()]
            .map(|program| program.map(|program| program.kind));
        let expected = [ProgramKind::Kustomize, ProgramKind::Helm, ProgramKind::Jsonnet, ProgramKind::Sops];
        assert_eq!(kinds, expected.map(Some));
        assert!(Renderers::find(None).programs.is_empty());
        assert!(Renderers::find(Some(OsStr::new("relative:"))).programs.is_empty());
    }

    #[test]
    fn a_program_is_told_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("helm");
        let confinement = Confinement::default();
        let program = Program { kind: ProgramKind::Helm, path: path.clone(), confinement };
        assert_eq!(program.identity(), None);
        std::fs::write(&path, "v3.18.1").unwrap();
        let first = program.identity();
        let times = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "v3.18.2").unwrap();
        std::fs::File::open(&path).unwrap().set_modified(times).unwrap();
        assert!(program.identity().is_some_and(|second| Some(second) != first), "of the same size and time");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "v3.18.1").unwrap();
        assert_eq!(program.identity(), first, "another file with the same content is the same program");
    }

    #[test]
    fn versions_are_read() {
        for (text, version) in [
            ("v5.5.0\n", "v5.5.0"),
            ("{Version:kustomize/v4.1.3 GitCommit:0f61 BuildDate:2021}\n", "v4.1.3"),
            ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0\n", "v5.5.0"),
            ("v3.20.2+g05fa379\n", "v3.20.2+g05fa379"),
            ("sops 3.13.3\n", "sops 3.13.3"),
            ("Jsonnet commandline interpreter (Go implementation) v0.21.0\n", "v0.21.0"),
            ("(devel)\n", "(devel)"),
            ("", ""),
        ] {
            assert_eq!(version_in(text), version);
        }
    }
}
