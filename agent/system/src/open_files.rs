//! The limit of open files: each socket, pipe and file of the agent counts, and what meets it is nobody else's fault.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Whether an error is the limit of this process, or of the machine.
pub fn is_reached(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

/// Whether an error in a library's words is that: they hold the number that the system gave.
pub fn is_reached_in(message: &str) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|code| message.contains(&format!("(os error {})", code.raw_os_error())))
        || message.contains("Too many open files")
}

/// What is reached, and how it is raised.
pub fn limit_reached() -> String {
    let limit = getrlimit(Resource::Nofile).current.map(|limit| format!(" ({limit})")).unwrap_or_default();
    format!("the limit of open files{limit} is reached: raise it with `ulimit -n`, or LimitNOFILE= of the service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_known_by_its_number_and_by_its_words() {
        assert!(is_reached(&io::Error::from_raw_os_error(24)) && is_reached(&io::Error::from_raw_os_error(23)));
        assert!(!is_reached(&io::Error::from_raw_os_error(2)));
        assert!(is_reached_in(&format!("opening a pack: {}", io::Error::from_raw_os_error(24))));
        assert!(is_reached_in("error: cannot create pipe for upload-pack: Too many open files"));
        assert!(!is_reached_in("No such file or directory (os error 2)"));
        let message = limit_reached();
        assert!(message.starts_with("the limit of open files (") && message.contains("ulimit -n"), "{message}");
    }
}
