//! What the stand-in engine makes of a `RUN`: nothing is run.
//!
//! The commands `true`, `false`, `exit`, `echo`, `printf`, `seq`, `sleep` and `yes TEXT | head -c N` (`64M`), joined by `&&` or `;`,
//! do what they say (without redirection or variables); any other is named in the output and passed over.

use std::time::Duration;

use super::dockerfile::Instruction;
use super::output::{Output, Stop};

/// Plays the commands of a `RUN`; the first that fails ends it, in the daemon's words.
pub(super) async fn run(instruction: &Instruction, out: &Output) -> Result<(), Stop> {
    let script = instruction.list().map_or_else(|| instruction.rest.clone(), |list| list.join(" "));
    for command in script.split("&&").flat_map(|part| part.split(';')).map(str::trim) {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let number = || rest.trim().parse::<u64>().unwrap_or(1);
        let code = match word {
            "false" => 1,
            "exit" => i64::try_from(number()).unwrap_or(1),
            _ => 0,
        };
        if code != 0 {
            let message = format!("The command '/bin/sh -c {script}' returned a non-zero code: {code}");
            return Err(Stop::Failed { message, code: Some(code) });
        }
        match word {
            "true" | "exit" | "" => {}
            "sleep" => out.pause(Duration::from_secs_f64(rest.trim().parse().unwrap_or(1.0))).await?,
            "echo" => out.stream(&format!("{}\n", rest.trim_matches(['"', '\'']))).await?,
            "yes" => yes(rest, out).await?,
            "printf" => out.stream(&unescaped(rest.trim_matches(['"', '\'']))).await?,
            "seq" => {
                for number in 1..=number() {
                    out.stream(&format!("{number}\n")).await?;
                }
            }
            _ => out.stream(&format!("(the stand-in engine does not run: {command})\n")).await?,
        }
    }
    Ok(())
}

/// The same line again and again, in pieces of the size in which the daemon copies output.
async fn yes(rest: &str, out: &Output) -> Result<(), Stop> {
    const PIECE: usize = 32 << 10;
    let (text, end) = rest.split_once('|').unwrap_or((rest, ""));
    let number = end.trim().trim_start_matches("head -c").trim();
    let (number, unit) = match number.strip_suffix('M') {
        Some(number) => (number, 1 << 20),
        None => (number, 1),
    };
    let mut left = number.parse::<usize>().unwrap_or(0) * unit;
    let line = format!("{}\n", text.trim().trim_matches(['"', '\'']));
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
