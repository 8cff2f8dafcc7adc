//! A client that another user can be: it asks what stands on its input, a line a request, and prints a line an answer.
//!
//! The tests run it under other user ids, since the agent knows its peers by what the kernel says of them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Asks each `METHOD PATH` of standard input; prints the status and, where it is no success, the body.
pub(crate) fn ask(socket: &Path) -> i32 {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let answer = answer(socket, &line).unwrap_or_else(|error| format!("000 {error}"));
        if writeln!(std::io::stdout(), "{answer}").is_err() {
            return 1;
        }
    }
    0
}

fn answer(socket: &Path, request: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let head = format!("{request} HTTP/1.1\r\nhost: qd\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let status = first.split(' ').nth(1).unwrap_or("000").to_owned();
    if status.starts_with('2') {
        // A stream would go on for ever.
        return Ok(status);
    }
    let mut rest = String::new();
    reader.read_to_string(&mut rest)?;
    let body = rest.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(format!("{status} {body}"))
}
