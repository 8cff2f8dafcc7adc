//! `qd api METHOD PATH [BODY]`: ask the agent anything, as it is on the wire. For what has no command, and for scripts.
//!
//! JSON is what the agent answers, laid out for people; with `-o json`, a value a line, as it came. A stream is written
//! as it comes. Where the answer is not 2xx it is written all the same, and the exit is 1.

use std::io::Read as _;
use std::path::PathBuf;

use bytes::Bytes;
use http::Method;
use quarterdeck_shared::protocol::REQUEST_BYTES_MAX;
use serde_json::Value;

use crate::command::{CommandError, Context, Format};
use crate::exit::Exit;

/// Send a request to the agent's API.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// GET or POST.
    #[arg(value_name = "METHOD", value_parser = method)]
    pub method: Method,

    /// The path with its query: /v1/state.
    #[arg(value_name = "PATH", value_parser = path)]
    pub path: String,

    /// JSON; @FILE for what is in a file, - for standard input.
    #[arg(value_name = "BODY")]
    pub body: Option<String>,

    /// The output format; indented JSON by default. json: a value per line.
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Format>,
}

fn method(text: &str) -> Result<Method, String> {
    match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        _ => Err("the wire has GET and POST".to_owned()),
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("a path begins with /: /v1/state".to_owned()) }
}

/// Runs it.
pub async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let body = args.body.as_deref().map(body).transpose()?;
    let answer = context.client.send(args.method.clone(), &args.path, body).await?;
    let status = answer.status();
    if answer.is_stream() {
        // Whoever reads a stream by hand is there to end it by hand.
        let mut records = context.client.records::<Value>(answer, None);
        while let Some(record) = records.next().await? {
            context.output.json_line(&record)?;
            context.output.flush()?;
        }
    } else {
        let bytes = context.client.whole(answer).await?;
        write(&bytes, args.output, context)?;
    }
    if !status.is_success() {
        context.output.note(&format!("the agent answered {status}"))?;
    }
    Ok(if status.is_success() { Exit::Done } else { Exit::Failed })
}

fn write(bytes: &Bytes, format: Option<Format>, context: &mut Context) -> Result<(), CommandError> {
    match (serde_json::from_slice::<Value>(bytes), format) {
        (Ok(value), None) => context.output.json(&value)?,
        (Ok(value), Some(Format::Json)) => context.output.json_line(&value)?,
        (Err(_), _) => {
            String::from_utf8_lossy(bytes).lines().try_for_each(|line| context.output.line(line))?;
        }
    }
    Ok(())
}

/// The body that an argument names.
fn body(text: &str) -> Result<Bytes, CommandError> {
    // One byte more than allowed shows that it is too much.
    let limit = REQUEST_BYTES_MAX as u64 + 1;
    let mut read = Vec::new();
    let outcome = match text.strip_prefix('@').map(PathBuf::from) {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut read)),
        None if text == "-" => std::io::stdin().take(limit).read_to_end(&mut read),
        None => {
            read.extend_from_slice(text.as_bytes());
            Ok(read.len())
        }
    };
    outcome.map_err(|error| usage(format!("cannot read the body from {text}: {error}")))?;
    match read.len() {
        n if n > REQUEST_BYTES_MAX => Err(usage(format!("the body is longer than {REQUEST_BYTES_MAX} bytes"))),
        _ => Ok(read.into()),
    }
}

fn usage(message: String) -> CommandError {
    CommandError::Usage { message, hint: String::new() }
}
