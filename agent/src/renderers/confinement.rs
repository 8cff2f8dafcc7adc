//! What programs that render are kept from: how far the kernel allows it is found once, when the agent begins, by trying it.
//! What a program is kept from, [`super::launcher`] gives up.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quarterdeck_system::program::{self, Finished, Limits, ProgramError};

/// The first argument with which the agent becomes another program.
pub const WORD: &str = "run-confined";

/// The allocator of the agent begins threads of its own, and who has a second thread gets no namespace of users: not in the moment
/// before the agent is another program, for which this means nothing.
const ONE_THREAD: (&str, &str) = ("_RJEM_MALLOC_CONF", "background_thread:false");

/// The exit code of a start that came to nothing; as of `env` and `timeout`, which become another program as well.
pub(super) const REFUSED: i32 = 125;

/// Nothing is rendered in a trial.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), output_bytes: 64 << 10 };

/// Places that hold what is a person's or a service's: sockets, tokens, keys.
const HIDDEN: &[&str] =
    &["/home", "/root", "/run", "/var/run", "/tmp", "/var/tmp", "/dev/shm", "/srv", "/mnt", "/media"];

/// Places without which no program runs: they are never hidden, even with a configuration in them.
const NEVER_HIDDEN: &[&str] =
    &["/", "/bin", "/dev", "/etc", "/lib", "/nix", "/opt", "/proc", "/sbin", "/sys", "/usr", "/var"];

/// What a program may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// As the agent itself, within limits.
    #[default]
    All,
    /// The same without a network.
    NoNetwork,
    /// Of files its own to write, and those of the system to read.
    OwnFiles,
    /// The same, and of processes its own alone, which end with it.
    Alone,
}

impl Reach {
    const ALL: [Self; 4] = [Self::Alone, Self::OwnFiles, Self::NoNetwork, Self::All];

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::NoNetwork => "no-network",
            Self::OwnFiles => "own-files",
            Self::Alone => "alone",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.name() == name)
    }
}

/// What programs are kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// What starts them; without it they are started as they are.
    launcher: Option<PathBuf>,
    /// How far they reach.
    pub reach: Reach,
    /// Folders that are empty for them.
    hidden: Vec<PathBuf>,
    /// Why they reach further than to themselves.
    pub why: Option<String>,
}

impl Confinement {
    /// What this machine allows, for programs with files below `scratch`; `own` are places of the agent. Without `is_wanted` they
    /// get limits alone. Blocks for moments.
    pub fn find(is_wanted: bool, scratch: &Path, own: &[PathBuf]) -> Self {
        // As it runs, also where the file was replaced meanwhile.
        Self::by(PathBuf::from("/proc/self/exe"), is_wanted, scratch, own)
    }

    /// The same with another agent that becomes the programs.
    pub fn by(launcher: PathBuf, is_wanted: bool, scratch: &Path, own: &[PathBuf]) -> Self {
        let launcher = Some(launcher);
        let hidden = places(HIDDEN.iter().map(PathBuf::from).chain(own.iter().cloned()));
        let limited = Self { launcher, reach: Reach::All, hidden, why: None };
        if !is_wanted {
            return Self { why: Some("agent.confine_renderers is false".to_owned()), ..limited };
        }
        let mut why = None;
        for reach in Reach::ALL {
            let tried = Self { reach, ..limited.clone() };
            match tried.attempt(scratch) {
                Ok(()) => return Self { why, ..tried },
                Err(error) => why = why.or_else(|| Some(words(&error))),
            }
        }
        // Not even limits can be set: programs are started as they are.
        Self { launcher: None, why, ..limited }
    }

    /// The same for one program: what it lies in is not hidden from it.
    #[must_use]
    pub(super) fn of(&self, program: &Path) -> Self {
        let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let needed: Vec<PathBuf> = std::env::split_paths(&path)
            .filter_map(|folder| folder.canonicalize().ok())
            .chain([real, program.to_owned()])
            .collect();
        let hidden = self.hidden.iter().filter(|place| !needed.iter().any(|path| path.starts_with(place)));
        Self { hidden: hidden.cloned().collect(), ..self.clone() }
    }

    /// The same with a folder that is seen, and with it what it lies in.
    #[must_use]
    pub fn showing(mut self, folder: &Path) -> Self {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        self.hidden.retain(|place| !real.starts_with(place));
        self
    }

    /// A command that runs a program: with its own folder as far as this says and without our environment, without one within
    /// the limits.
    pub(super) fn command(&self, program: &Path, own: Option<&Path>) -> Command {
        let Some(launcher) = &self.launcher else {
            let mut command = Command::new(program);
            if own.is_some() {
                command.env_clear();
            }
            return command;
        };
        let mut command = self.start(launcher, own);
        command.arg(program);
        command
    }

    fn start(&self, launcher: &Path, own: Option<&Path>) -> Command {
        let reach = if own.is_some() { self.reach } else { Reach::All };
        let hidden = std::env::join_paths(outermost(&self.hidden)).unwrap_or_default();
        let mut command = Command::new(launcher);
        command.args([WORD, reach.name()]).arg(own.unwrap_or(Path::new("/"))).arg(hidden);
        if own.is_some() {
            command.env_clear().env(ONE_THREAD.0, ONE_THREAD.1);
        }
        command
    }

    fn attempt(&self, scratch: &Path) -> Result<(), ProgramError> {
        let Some(launcher) = &self.launcher else { return Ok(()) };
        let tried = program::run(self.start(launcher, Some(scratch)), b"", LIMITS).and_then(Finished::successful)?;
        // One that is not the agent knows nothing of all this, and may end well.
        match tried.stdout.is_empty() {
            true => Ok(()),
            false => Err(ProgramError::Start(io::Error::other("it is not the agent"))),
        }
    }

    /// What it keeps programs from, for people.
    pub fn describe(&self) -> String {
        let limits =
            if self.launcher.is_some() { "2 GiB of memory, 1024 open files" } else { "no limits of memory and files" };
        let why = self.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        match self.reach {
            Reach::Alone => {
                format!(
                    "renderers have no network: yes; write to their own folder alone: yes; see no other process: yes; {limits}"
                )
            }
            Reach::OwnFiles => {
                format!(
                    "renderers have no network: yes; write to their own folder alone: yes; see no other process: no{why}; {limits}"
                )
            }
            Reach::NoNetwork => {
                format!("renderers have no network: yes; write to their own folder alone: no{why}; {limits}")
            }
            Reach::All => format!("renderers have no network: no{why}, proxies that lead nowhere alone; {limits}"),
        }
    }
}

/// Folders that exist, by their real paths, each once; also one within another, which may not be hidden from a program in it.
fn places(named: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let real: BTreeSet<PathBuf> = named.filter_map(|place| place.canonicalize().ok()).collect();
    let is_hidden = |place: &&PathBuf| {
        place.is_dir()
            && !NEVER_HIDDEN.iter().any(|never| place.as_path() == Path::new(never))
            && !place.to_string_lossy().contains(':')
    };
    real.iter().filter(is_hidden).cloned().collect()
}

/// Without those in another one, which is empty then.
fn outermost(hidden: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    hidden.iter().filter(|place| !hidden.iter().any(|other| other != *place && place.starts_with(other)))
}

/// What a trial said.
fn words(error: &ProgramError) -> String {
    match error {
        ProgramError::Failed { stderr, .. } => stderr.trim().to_owned(),
        other => other.to_string(),
    }
}

/// Why a program failed: where it never ran, since it is gone or what it was to give up was not to be given up, that it could not
/// be started.
pub fn told(error: ProgramError) -> ProgramError {
    match error {
        ProgramError::Failed { status, stderr } if status.code() == Some(REFUSED) && stderr.starts_with("cannot ") => {
            let why = stderr.trim();
            ProgramError::Start(io::Error::other(why.strip_prefix("cannot start it: ").unwrap_or(why).to_owned()))
        }
        other => other,
    }
}

/// What to do where a program met what it is kept from, by what it says.
pub(super) fn hint(stderr: &str) -> &'static str {
    let text = stderr.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["out of memory", "cannot allocate memory", "memory exhausted"]) {
        "a renderer has 2 GiB of memory: render less in one environment"
    } else if says(&["read-only file system", "file too large"]) {
        "a renderer writes to its own folder alone, files of 256 MiB at most; `confine_renderers = false` in [agent] lifts the first"
    } else if says(&["cannot fork", "can't fork", "resource temporarily unavailable", "failed to create new os thread"])
    {
        "a renderer has 512 processes and threads: look for what starts them"
    } else if says(&["network is unreachable", "no such host", "name resolution", "connection refused"]) {
        "nothing is fetched while rendering: copy it into the repository"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_lies_in_is_not_hidden_from_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = root.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder.canonicalize().unwrap()
        };
        let (people, data) = (folder("people"), folder("data"));
        let hidden =
            places([people.clone(), data.clone(), root.path().join("missing"), "/etc".into(), "/".into()].into_iter());
        assert_eq!(hidden, [data.clone(), people.clone()]);
        let confinement = Confinement { hidden, ..Confinement::default() };
        assert_eq!(confinement.of(&people.join("bin/helm")).hidden, std::slice::from_ref(&data));
        assert_eq!(confinement.of(Path::new("/usr/bin/helm")).hidden, [data.clone(), people.clone()]);
        assert_eq!(confinement.showing(&people.join("fleet")).hidden, [data]);
    }

    #[test]
    fn a_program_is_started_through_what_confines_it_or_as_it_is() {
        let shown = |command: &Command| format!("{command:?}").replace('"', "");
        let program = Path::new("/usr/bin/helm");
        assert_eq!(
            shown(&Confinement::default().command(program, Some(Path::new("/scratch/a")))),
            "env -i /usr/bin/helm"
        );
        let confinement = Confinement {
            launcher: Some("/proc/self/exe".into()),
            reach: Reach::Alone,
            hidden: vec!["/home".into(), "/home/quarterdeck/data".into(), "/run".into()],
            why: None,
        };
        assert_eq!(
            shown(&confinement.command(program, Some(Path::new("/scratch/a")))),
            "env -i _RJEM_MALLOC_CONF=background_thread:false /proc/self/exe run-confined alone /scratch/a /home:/run /usr/bin/helm"
        );
        assert_eq!(
            shown(&confinement.command(program, None)),
            "/proc/self/exe run-confined all / /home:/run /usr/bin/helm"
        );
    }

    #[test]
    fn how_far_it_goes_is_told() {
        let told = |reach, why: Option<&str>, launcher: Option<&str>| {
            let why = why.map(str::to_owned);
            Confinement { launcher: launcher.map(PathBuf::from), reach, hidden: Vec::new(), why }.describe()
        };
        let (why, launcher) = (Some("cannot make a namespace: EPERM"), Some("/proc/self/exe"));
        assert_eq!(
            [
                told(Reach::Alone, None, launcher),
                told(Reach::OwnFiles, why, launcher),
                told(Reach::NoNetwork, why, launcher),
                told(Reach::All, why, launcher),
                told(Reach::All, why, None)
            ],
            [
                "renderers have no network: yes; write to their own folder alone: yes; see no other process: yes; 2 GiB of memory, 1024 open files",
                "renderers have no network: yes; write to their own folder alone: yes; see no other process: no (cannot make a namespace: EPERM); 2 GiB of memory, 1024 open files",
                "renderers have no network: yes; write to their own folder alone: no (cannot make a namespace: EPERM); 2 GiB of memory, 1024 open files",
                "renderers have no network: no (cannot make a namespace: EPERM), proxies that lead nowhere alone; 2 GiB of memory, 1024 open files",
                "renderers have no network: no (cannot make a namespace: EPERM), proxies that lead nowhere alone; no limits of memory and files",
            ]
        );
    }

    #[test]
    fn a_start_that_came_to_nothing_is_told_from_a_program_that_failed() {
        let told = |code: i32, stderr: &str| {
            let status = std::os::unix::process::ExitStatusExt::from_raw(code << 8);
            quarterdeck_shared::error::chain(&told(ProgramError::Failed { status, stderr: stderr.to_owned() }))
        };
        for (code, stderr, wanted) in [
            (
                125,
                "cannot start it: No such file or directory (os error 2)\n",
                "cannot start it: No such file or directory (os error 2)",
            ),
            (125, "cannot make a namespace: EPERM\n", "cannot start it: cannot make a namespace: EPERM"),
            (125, "Error: accumulating resources", "exit status: 125: Error: accumulating resources"),
            (1, "cannot start it: by itself", "exit status: 1: cannot start it: by itself"),
        ] {
            assert_eq!(told(code, stderr), wanted);
        }
    }

    #[test]
    fn what_a_program_met_is_read_from_its_words() {
        for (words, begin) in [
            ("dd: memory exhausted by input buffer", "a renderer has 2 GiB"),
            ("sh: 1: cannot create /x: Read-only file system", "a renderer writes to its own folder"),
            ("sh: 1: Cannot fork", "a renderer has 512 processes"),
            ("dial tcp: lookup a: no such host", "nothing is fetched"),
            ("Error: host is required", ""),
        ] {
            assert!(hint(words).starts_with(begin) && (begin.is_empty() == hint(words).is_empty()), "{words}");
        }
    }
}
