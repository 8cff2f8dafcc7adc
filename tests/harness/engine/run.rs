//! What the stand-in engine makes of a `RUN`, and of the command of a container: nothing is run.
//!
//! The commands `true`, `false`, `exit`, `echo`, `printf`, `seq`, `sleep` and `yes TEXT | head -c N` (`64M`), joined by `&&` or `;`,
//! do what they say (without redirection or variables), and `cat FILE` in a build prints what is mounted there; any other is named
//! in the output and passed over.

use std::time::Duration;

use super::dockerfile::Instruction;
use super::mounts::Mounted;
use super::output::{Output, Stop};

/// What a command does.
pub(super) enum Act {
    /// It ends, with this code; 0 goes on.
    Exit(i64),
    Sleep(Duration),
    Print(String),
    /// The same line again and again, to so many bytes.
    Fill(String, usize),
    /// It is not known here.
    Other(String),
}

/// What the commands of a script do, in their order.
pub(super) fn acts(script: &str) -> Vec<Act> {
    script.split("&&").flat_map(|part| part.split(';')).map(|command| act(command.trim())).collect()
}

fn act(command: &str) -> Act {
    let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
    let number = || rest.trim().parse::<u64>().unwrap_or(1);
    match word {
        "true" | "" => Act::Exit(0),
        "false" => Act::Exit(1),
        "exit" => Act::Exit(i64::try_from(number()).unwrap_or(1)),
        "sleep" => Act::Sleep(Duration::from_secs_f64(rest.trim().parse().unwrap_or(1.0))),
        "echo" => Act::Print(format!("{}\n", rest.trim_matches(['"', '\'']))),
        "yes" => yes(rest),
        "printf" => Act::Print(unescaped(rest.trim_matches(['"', '\'']))),
        "seq" => Act::Print((1..=number()).map(|number| format!("{number}\n")).collect()),
        _ => Act::Other(command.to_owned()),
    }
}

fn yes(rest: &str) -> Act {
    let (text, end) = rest.split_once('|').unwrap_or((rest, ""));
    let number = end.trim().trim_start_matches("head -c").trim();
    let (number, unit) = match number.strip_suffix('M') {
        Some(number) => (number, 1 << 20),
        None => (number, 1),
    };
    let line = format!("{}\n", text.trim().trim_matches(['"', '\'']));
    Act::Fill(line, number.parse::<usize>().unwrap_or(0) * unit)
}

/// Plays the commands of a `RUN`; the first that fails ends it, in the daemon's words.
pub(super) async fn run(instruction: &Instruction, mounted: &Mounted, out: &Output) -> Result<(), Stop> {
    let script = instruction.list().map_or_else(|| instruction.rest.clone(), |list| list.join(" "));
    let failed = |code: i64| {
        let message = format!("The command '/bin/sh -c {script}' returned a non-zero code: {code}");
        Stop::Failed { message, code: Some(code) }
    };
    for act in acts(&script) {
        match act {
            Act::Exit(0) => {}
            Act::Exit(code) => return Err(failed(code)),
            Act::Sleep(time) => out.pause(time).await?,
            // A line at a time, as a program writes them.
            Act::Print(text) => {
                for line in text.split_inclusive('\n') {
                    out.stream(line).await?;
                }
            }
            Act::Fill(line, bytes) => fill(&line, bytes, out).await?,
            Act::Other(command) if command.starts_with("cat ") => {
                let path = command.trim_start_matches("cat ").trim();
                let Some(bytes) = mounted.get(path) else {
                    out.stream(&format!("cat: {path}: No such file or directory\n")).await?;
                    return Err(failed(1));
                };
                for line in String::from_utf8_lossy(bytes).split_inclusive('\n') {
                    out.stream(line).await?;
                }
            }
            Act::Other(command) => out.stream(&format!("(the stand-in engine does not run: {command})\n")).await?,
        }
    }
    Ok(())
}

/// In pieces of the size in which the daemon copies output.
async fn fill(line: &str, mut left: usize, out: &Output) -> Result<(), Stop> {
    const PIECE: usize = 32 << 10;
    // Of whole lines, so that each piece goes on where the one before ended.
    let piece = line.repeat((PIECE / line.len()).max(1));
    while left > 0 {
        let length = piece.len().min(left);
        out.stream(&piece[..length]).await?;
        left -= length;
    }
    Ok(())
}

fn unescaped(text: &str) -> String {
    text.replace("\\033", "\u{1b}")
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\\t", "\t")
        .replace("\\a", "\u{7}")
}
