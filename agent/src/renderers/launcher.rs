//! The agent as a program that becomes another one: before it does, it gives up what a renderer does not need. Only a process of
//! one thread can leave its user namespace, and after a fork little may be done safely; so the agent starts itself for this.
//!
//! - limits of memory, open files, file sizes, processes and core dumps, which what it becomes cannot raise;
//! - namespaces of users and of networks: there is no interface, so no address is reached, nor this machine's own;
//! - a namespace of mounts: places of the agent and of people are empty, and all is read-only but the folder of the render;
//! - a namespace of processes: it sees and signals none but its own, and they end with it;
//! - a second namespace of users, without a user: whoever is in it may change nothing of the first one's mounts and networks.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_no_new_privs;
use rustix::process::{
    Resource, Rlimit, Signal, getgid, getuid, kill_process, set_parent_process_death_signal, setrlimit,
};

use super::confinement::{REFUSED, Reach, WORD};

/// What was written and is no memory of files: the heap. Of addresses Go reserves more than it uses, so that a limit of these
/// would say nothing; this one counts what may be written. The largest charts that are known take 400 MiB.
const DATA_MAX: u64 = 2 << 30;
/// A renderer reads its files one after the other.
const OPEN_FILES_MAX: u64 = 1_024;
/// What is written to a file: more than all that a render is given.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Processes and threads of the render's own namespace; Go takes a few for each processor. Root is not held to it.
const PROCESSES_MAX: u64 = 512;

/// Of a file system in memory that hides a place: only folders are made in it.
const EMPTY: &str = "mode=0755,size=1m";

/// In place of how far a program reaches: the first process of a namespace, which has what it needs to give up the rest.
const FIRST: &str = "first-process";

/// Becomes the program where the arguments ask for that; the exit code where it could not, or where the program ended as a process
/// of its own.
pub(crate) fn run(arguments: &[OsString]) -> Option<i32> {
    let (word, rest) = arguments.get(1..)?.split_first()?;
    if word != WORD {
        return None;
    }
    let [reach, own, hidden, program @ ..] = rest else { return Some(REFUSED) };
    let hidden: Vec<PathBuf> = std::env::split_paths(hidden).filter(|place| place.is_absolute()).collect();
    let outcome = match reach.to_str().map(|reach| (reach, Reach::named(reach))) {
        Some((FIRST, _)) => first().and_then(|()| start(program)),
        Some((_, Some(reach @ Reach::Alone))) => {
            enter(reach, Path::new(own), &hidden).and_then(|()| in_its_namespace(own, program))
        }
        Some((_, Some(reach))) => {
            enter(reach, Path::new(own), &hidden).and_then(|()| leave(reach)).and_then(|()| start(program))
        }
        _ => return Some(REFUSED),
    };
    Some(outcome.unwrap_or_else(|(step, error)| {
        let _ = writeln!(io::stderr(), "cannot {step}: {error}");
        REFUSED
    }))
}

/// Becomes a program; without one nothing is left to do.
fn start(program: &[OsString]) -> Result<i32, Refused> {
    match program.split_first() {
        None => Ok(0),
        Some((program, arguments)) => Err(("start it", Command::new(program).arg0(program).args(arguments).exec())),
    }
}

/// Starts the program as the first process of a namespace, with which all others in it end, and ends as it does.
fn in_its_namespace(own: &OsString, program: &[OsString]) -> Result<i32, Refused> {
    // This process repeats the signal that ended the program, and has nothing to tell of it.
    limit_to(Resource::Core, 0)?;
    let mut first = Command::new("/proc/self/exe");
    first.args([WORD, FIRST]).arg(own).arg("").args(program);
    let status = first.status().map_err(to("start a process in its namespace"))?;
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        // So that whoever waits learns of the signal.
        kill_process(rustix::process::getpid(), signal).map_err(to("end as it did"))?;
    }
    Ok(status.code().unwrap_or(REFUSED))
}

/// What the first process of a namespace does: it sees what is in it alone, and ends with whoever started it.
fn first() -> Result<(), Refused> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(to("show its processes"))?;
    leave(Reach::Alone)?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(to("end with the agent"))
}

/// What was tried, and why it failed.
type Refused = (&'static str, io::Error);

fn to<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> Refused {
    move |error| (step, error.into())
}

/// Enters namespaces, and hides what is not for the program.
fn enter(reach: Reach, own: &Path, hidden: &[PathBuf]) -> Result<(), Refused> {
    let network = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET;
    let namespaces = match reach {
        Reach::All => return Ok(()),
        Reach::NoNetwork => network,
        Reach::OwnFiles => network | CloneFlags::CLONE_NEWNS,
        Reach::Alone => network | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID,
    };
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // Who is another user than root loses what it may do in a namespace with the program that it becomes, and the first process has
    // something to do yet.
    let (as_user, as_group) = if reach == Reach::Alone { (0, 0) } else { (user, group) };
    unshare(namespaces).map_err(to("make a namespace"))?;
    let write = |path: &str, text: String| std::fs::write(path, text).map_err(to("keep its user"));
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{as_user} {user} 1"))?;
    write("/proc/self/gid_map", format!("{as_group} {group} 1"))?;
    if matches!(reach, Reach::OwnFiles | Reach::Alone) {
        hide(own, hidden)?;
    }
    Ok(())
}

/// Gives up what it may do in its namespaces, and takes its limits.
fn leave(reach: Reach) -> Result<(), Refused> {
    if reach != Reach::All {
        unshare(CloneFlags::CLONE_NEWUSER).map_err(to("leave its namespace"))?;
    }
    set_no_new_privs().map_err(to("give up privileges"))?;
    limit(reach != Reach::All)
}

fn limit(counts_processes: bool) -> Result<(), Refused> {
    let limits = [
        (Resource::Data, DATA_MAX),
        (Resource::Nofile, OPEN_FILES_MAX),
        (Resource::Fsize, FILE_BYTES_MAX),
        (Resource::Core, 0),
        // Outside of a namespace of its own all processes of the agent's user would count.
        (Resource::Nproc, PROCESSES_MAX),
    ];
    for (resource, most) in limits.into_iter().take(if counts_processes { 5 } else { 4 }) {
        limit_to(resource, most)?;
    }
    Ok(())
}

fn limit_to(resource: Resource, most: u64) -> Result<(), Refused> {
    let maximum = rustix::process::getrlimit(resource).maximum.map_or(most, |before| before.min(most));
    let limit = Rlimit { current: Some(maximum), maximum: Some(maximum) };
    setrlimit(resource, limit).map_err(to("limit it"))
}

/// Empties the places that are hidden, and makes all read-only but its own folder.
fn hide(own: &Path, hidden: &[PathBuf]) -> Result<(), Refused> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(to("part its mounts"))?;
    let kept = File::open(own).map_err(to("open its folder"))?;
    for place in hidden {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(EMPTY)).map_err(to("hide a folder"))?;
    }
    std::fs::create_dir_all(own).map_err(to("make its folder"))?;
    let kept = format!("/proc/self/fd/{}", kept.as_raw_fd());
    mount(Some(kept.as_str()), own, none, MsFlags::MS_BIND, none).map_err(to("show its folder"))?;
    let mounts = std::fs::read("/proc/self/mountinfo").map_err(to("list its mounts"))?;
    for (place, flags) in mounts.split(|byte| *byte == b'\n').filter_map(mounted) {
        if place == own {
            continue;
        }
        let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        match mount(none, &place, none, flags, none) {
            // Below another mount, or closed to us: it cannot be reached by its path.
            Ok(()) | Err(Errno::ENOENT | Errno::EINVAL | Errno::EACCES | Errno::ENOTDIR) => {}
            Err(error) => return Err(("make a folder read-only", error.into())),
        }
    }
    // Where it is now is the folder as it was mounted before.
    std::env::set_current_dir(own).map_err(to("enter its folder"))
}

/// Where a line of `mountinfo` says that something is mounted, and what has to stay as it is.
fn mounted(line: &[u8]) -> Option<(PathBuf, MsFlags)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(4);
    let (place, options) = (fields.next()?, fields.next()?);
    let flag = |option: &[u8]| match option {
        b"nosuid" => MsFlags::MS_NOSUID,
        b"nodev" => MsFlags::MS_NODEV,
        b"noexec" => MsFlags::MS_NOEXEC,
        b"noatime" => MsFlags::MS_NOATIME,
        b"nodiratime" => MsFlags::MS_NODIRATIME,
        b"relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    };
    let flags = options.split(|byte| *byte == b',').map(flag).fold(MsFlags::empty(), |all, one| all | one);
    Some((unescaped(place), flags))
}

/// A path with its `\040` as the space that it stands for.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn what_is_mounted_is_read() {
        let line = b"36 35 98:0 /a /mnt/a\\040b\\134c rw,nosuid,relatime shared:1 - ext4 /dev/x rw";
        let (place, flags) = mounted(line).unwrap();
        assert_eq!(place.as_os_str().as_bytes(), b"/mnt/a b\\c");
        assert_eq!(flags, MsFlags::MS_NOSUID | MsFlags::MS_RELATIME);
        assert_eq!(mounted(b"36 35 98:0 /"), None);
        assert_eq!(mounted(b""), None);
    }

    #[test]
    fn only_its_own_word_is_heard() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(run(&words(&["qd-agent", "run"])), None);
        assert_eq!(run(&words(&["qd-agent"])), None);
        assert_eq!(run(&words(&["qd-agent", WORD])), Some(REFUSED));
    }
}
