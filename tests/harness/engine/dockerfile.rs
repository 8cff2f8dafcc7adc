//! Reads a Dockerfile into stages and instructions, and expands variables (pure).
//!
//! Of the language it does NOT know: parser directives (`# syntax=`, `# escape=`), heredocs, `ONBUILD`, and the string
//! operators of newer BuildKit (`${a#b}`). Messages are those of the classic builder.

/// The instructions that the stand-in knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Word {
    From, Arg, Env, Label, Copy, Add, Run, Cmd, Entrypoint, Expose, User, Workdir, Volume, Shell, Stopsignal, Healthcheck, Maintainer,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) word: Word,
    /// The instruction as progress lines show it: continued lines joined.
    pub(super) text: String,
    /// `--name=value` in front of the arguments.
    pub(super) flags: Vec<(String, String)>,
    /// All after the word and the flags.
    pub(super) rest: String,
}

/// From one `FROM` to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) from: Instruction,
    pub(super) base: String,
    pub(super) name: Option<String>,
    pub(super) instructions: Vec<Instruction>,
}

/// A whole file: the `ARG`s before the first `FROM`, and the stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dockerfile {
    pub(super) arguments: Vec<Instruction>,
    pub(super) stages: Vec<Stage>,
}

impl Dockerfile {
    /// Parses `text`; the error is what the daemon would answer.
    pub(super) fn parse(text: &str, path: &str) -> Result<Self, String> {
        let mut file = Dockerfile { arguments: Vec::new(), stages: Vec::new() };
        let lines = logical_lines(text);
        if lines.is_empty() {
            return Err(format!("failed to parse {path}: file with no instructions"));
        }
        for (number, line) in lines {
            let instruction =
                Instruction::parse(&line).map_err(|what| format!("dockerfile parse error line {number}: {what}"))?;
            match (instruction.word, file.stages.last_mut()) {
                (Word::From, _) => file.stages.push(Stage::open(instruction, number)?),
                (Word::Arg, None) => file.arguments.push(instruction),
                (_, None) => return Err("no build stage in current context".to_owned()),
                (_, Some(stage)) => stage.instructions.push(instruction),
            }
        }
        if file.stages.is_empty() { Err("no build stage in current context".to_owned()) } else { Ok(file) }
    }

    /// Drops the stages after `target`; all stay if it is empty.
    pub(super) fn up_to(mut self, target: &str) -> Result<Self, String> {
        if target.is_empty() {
            return Ok(self);
        }
        let named = self.stages.iter().position(|s| s.name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(target)));
        let index = named.or_else(|| target.parse().ok().filter(|index| *index < self.stages.len()));
        let index = index.ok_or_else(|| format!("failed to reach build target {target} in Dockerfile"))?;
        self.stages.truncate(index + 1);
        Ok(self)
    }

    /// How many steps the progress lines count.
    pub(super) fn steps(&self) -> usize {
        self.arguments.len() + self.stages.iter().map(|stage| 1 + stage.instructions.len()).sum::<usize>()
    }
}

impl Stage {
    fn open(from: Instruction, line: usize) -> Result<Self, String> {
        let words: Vec<&str> = from.rest.split_whitespace().collect();
        let (base, name) = match words[..] {
            [base] => (base, None),
            [base, keyword, name] if keyword.eq_ignore_ascii_case("as") => (base, Some(name.to_lowercase())),
            _ => {
                return Err(format!("dockerfile parse error line {line}: FROM requires either one or three arguments"));
            }
        };
        Ok(Stage { base: base.to_owned(), name, from, instructions: Vec::new() })
    }
}

impl Instruction {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let (word, mut rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let word = word_of(word).ok_or_else(|| format!("unknown instruction: {}", word.to_uppercase()))?;
        let mut flags = Vec::new();
        rest = rest.trim_start();
        while let Some(flag) = rest.strip_prefix("--").filter(|_| word != Word::Cmd) {
            let (flag, tail) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            flags.push((name.to_owned(), value.to_owned()));
            rest = tail.trim_start();
        }
        if rest.is_empty() {
            return Err(format!("{} requires at least one argument", format!("{word:?}").to_uppercase()));
        }
        Ok(Self { word, text: line.to_owned(), flags, rest: rest.to_owned() })
    }

    pub(super) fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The arguments: a JSON list, or words with quotes taken off.
    pub(super) fn words(&self) -> Vec<String> {
        self.list().unwrap_or_else(|| split_words(&self.rest))
    }

    /// The arguments if they are written as a JSON list.
    pub(super) fn list(&self) -> Option<Vec<String>> {
        serde_json::from_str(&self.rest).ok()
    }

    /// `K=V` pairs, or the old form `K V` with the rest of the line as value.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let words = split_words(&self.rest);
        if words.first().is_some_and(|first| first.contains('=')) {
            return words.iter().filter_map(|w| w.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        }
        let (key, value) = self.rest.split_once(char::is_whitespace).unwrap_or((&self.rest, ""));
        vec![(key.to_owned(), value.trim().to_owned())]
    }
}

/// Replaces `$name`, `${name}`, `${name:-word}` and `${name:+word}`; `\$` stays a dollar.
pub(super) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if rest[at..].starts_with('\\') {
            let kept = tail.chars().next().map_or(0, char::len_utf8);
            if !tail.starts_with('$') {
                out.push('\\');
            }
            out.push_str(&tail[..kept]);
            rest = &tail[kept..];
        } else if let Some((inside, after)) = tail.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            out.push_str(&match inside.split_once(':') {
                Some((name, word)) if word.starts_with('-') => {
                    lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| expand(&word[1..], lookup))
                }
                Some((name, word)) if word.starts_with('+') => lookup(name)
                    .filter(|value| !value.is_empty())
                    .map(|_| expand(&word[1..], lookup))
                    .unwrap_or_default(),
                _ => lookup(inside).unwrap_or_default(),
            });
            rest = after;
        } else {
            let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
            out.push_str(&if end == 0 { "$".to_owned() } else { lookup(&tail[..end]).unwrap_or_default() });
            rest = &tail[end..];
        }
    }
    out + rest
}

fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        // Comments and empty lines vanish, also between two parts of a continued line.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, goes_on) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| open) {
            Some((_, whole)) => whole.push_str(part),
            None => lines.push((index + 1, part.to_owned())),
        }
        open = goes_on;
    }
    lines
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut any = false;
    for character in text.chars() {
        match (character, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => (quote, any) = (Some(character), true),
            (c, None) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (c, _) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

fn word_of(word: &str) -> Option<Word> {
    Some(match word.to_ascii_uppercase().as_str() {
        "FROM" => Word::From,
        "ARG" => Word::Arg,
        "ENV" => Word::Env,
        "LABEL" => Word::Label,
        "COPY" => Word::Copy,
        "ADD" => Word::Add,
        "RUN" => Word::Run,
        "CMD" => Word::Cmd,
        "ENTRYPOINT" => Word::Entrypoint,
        "EXPOSE" => Word::Expose,
        "USER" => Word::User,
        "WORKDIR" => Word::Workdir,
        "VOLUME" => Word::Volume,
        "SHELL" => Word::Shell,
        "STOPSIGNAL" => Word::Stopsignal,
        "HEALTHCHECK" => Word::Healthcheck,
        "MAINTAINER" => Word::Maintainer,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_continued_lines() {
        let text =
            "ARG V=1\n# a comment\nFROM scratch AS base\nCOPY a \\\n  # in between\n  b /\nFROM base\nRUN true\n";
        let file = Dockerfile::parse(text, "Dockerfile").unwrap();
        assert_eq!((file.steps(), file.stages[0].name.as_deref()), (5, Some("base")));
        assert_eq!(file.stages[0].instructions[0].words(), ["a", "b", "/"]);
        assert_eq!(file.clone().up_to("base").unwrap().stages.len(), 1);
        assert_eq!(file.up_to("nope").unwrap_err(), "failed to reach build target nope in Dockerfile");
    }

    #[test]
    fn mistakes_are_told_in_the_daemons_words() {
        let unknown = Dockerfile::parse("FROM scratch\nFOO bar\n", "Dockerfile").unwrap_err();
        assert_eq!(unknown, "dockerfile parse error line 2: unknown instruction: FOO");
        assert_eq!(Dockerfile::parse("RUN x", "D").unwrap_err(), "no build stage in current context");
        assert_eq!(Dockerfile::parse("# no\n", "D").unwrap_err(), "failed to parse D: file with no instructions");
    }

    #[test]
    fn variables_expand() {
        let lookup = |name: &str| (name == "V").then(|| "1.4".to_owned());
        for (text, want) in [
            ("v$V-x", "v1.4-x"),
            ("${V}/${W:-none}", "1.4/none"),
            ("${V:+yes}${W:+no}", "yes"),
            ("\\$V $", "$V $"),
            ("$W.", "."),
        ] {
            assert_eq!(expand(text, &lookup), want, "{text}");
        }
    }
}
