//! `qd` as a process: what only a process has, which is its arguments, its signals and its exit code.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};

use quarterdeck_shared::protocol::ErrorAnswer;
use rustix::process::{Pid, Signal, kill_process};

/// `qd` that looks for its agent at a socket in this folder, and finds nothing else of this machine's.
fn qd(folder: &tempfile::TempDir, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qd"));
    command.args(line.split_whitespace()).env_clear().env("QD_SOCKET", folder.path().join("agent.sock"));
    command
}

fn run(line: &str) -> Output {
    qd(&tempfile::tempdir().unwrap(), line).output().unwrap()
}

/// An agent whose pod log has a line and then goes on for ever, as long as the listener lives.
fn agent_with_a_log(folder: &tempfile::TempDir) {
    let listener = UnixListener::bind(folder.path().join("agent.sock")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let record = "{\"type\":\"line\",\"from\":\"pod/app\",\"text\":\"words\"}\n";
        let head = "HTTP/1.1 200 OK\r\nx-quarterdeck-wire: 1\r\ntransfer-encoding: chunked\r\n\r\n";
        while write!(stream, "{head}{:x}\r\n{record}\r\n", record.len()).is_ok() {
            // Reading ends when the other side is gone.
            if stream.read(&mut [0; 4096]).is_ok() {
                return;
            }
        }
    });
}

#[test]
fn exit_codes_reach_the_shell() {
    for (line, code) in [
        ("--help", 0),
        ("--version", 0),
        ("completions bash", 0),
        ("nosuch", 2),
        ("status Shop", 2),
        ("sync shop --timeout 1m", 2),
        ("runs -n 0", 2),
        ("api PUT /v1/state", 2),
    ] {
        assert_eq!(run(line).status.code(), Some(code), "{line}");
    }
    let away = run("status");
    assert_eq!(away.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&away.stderr).contains("start one: qd-agent run"));
    assert!(away.stdout.is_empty());
}

/// What a script reads of a failure: the kind, the message and the hint, as the socket answers, and the same exit code.
#[test]
fn an_error_of_a_json_command_is_json() {
    for line in ["status -o json", "sync shop --wait --output=json", "runs show 1 -ojson"] {
        let away = run(line);
        assert_eq!(away.status.code(), Some(3), "{line}");
        assert!(away.stdout.is_empty(), "{line}");
        let error: ErrorAnswer = serde_json::from_slice(&away.stderr).unwrap();
        assert_eq!(error.error, "unavailable", "{line}");
        assert!(error.message.starts_with("no agent answers: "), "{line}: {error:?}");
        assert!(error.hint.starts_with("start one: qd-agent run"), "{line}: {error:?}");
        assert_eq!(String::from_utf8_lossy(&away.stderr).lines().count(), 1, "{line}: the last line is the error");
    }
}

#[test]
fn help_tells_the_exit_codes_and_goes_to_standard_output() {
    let help = run("--help");
    assert!(String::from_utf8_lossy(&help.stdout).contains("130  interrupted (Ctrl-C)"));
    assert!(help.stderr.is_empty());
    let wrong = run("sync shop --dry-run --wait");
    assert!(wrong.stdout.is_empty() && !wrong.stderr.is_empty());
}

#[test]
fn an_interrupt_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    agent_with_a_log(&folder);
    let mut child = qd(&folder, "logs shop -f").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "pod/app words\n");

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn a_full_disk_below_the_answer_is_told() {
    for line in ["--help", "--version", "completions bash"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ended = qd(&folder, line).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{line}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "qd: cannot write: no space left on device\n", "{line}");
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    agent_with_a_log(&folder);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = qd(&folder, "logs shop -f").stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
