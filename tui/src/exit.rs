//! What the exit codes of `qd` say; `qd --help` ends with the same table.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is done.
    Done = 0,
    /// It did not go well; for `diff`, there are differences.
    Failed = 1,
    /// The command line is wrong; for `diff`, what is [`Exit::Failed`] elsewhere.
    Usage = 2,
    /// There is no agent to talk to.
    NoAgent = 3,
    /// What was waited for ended, and not well.
    WaitFailed = 4,
    /// What was waited for did not end well in time.
    WaitTimeout = 5,
    /// SIGINT: 128 and the signal's number, as shells have it.
    Interrupted = 130,
    /// A closed pipe: what a program killed by SIGPIPE gives.
    PipeClosed = 141,
}
