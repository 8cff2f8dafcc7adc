//! The language of what people read: no text is worded as the table says not to. What is looked at are the string literals of
//! more than one word in code that is no test, the help of both command lines, the guide, the README and the example of the
//! configuration; what is filled in (`{name}`) does not count.

use super::files::of_product;
use super::{CRATES, code, house};

/// What is not written, and what is instead. A `*` at the end stands for the rest of a word, and what follows `unless` may come
/// behind.
const INSTEAD: [(&str, &[&str], &str); 53] = [
    ("is no", &["longer", "more"], "is not a valid …"),
    ("are no", &["longer", "more"], "are not valid …"),
    ("is there", &[], "exists"),
    ("are there", &[], "exist"),
    ("not there", &[], "does not exist"),
    ("nobody", &[], "no user, nothing, or who it is"),
    ("everybody", &[], "all users, all clients"),
    ("somebody", &[], "another client, the field manager, or who it is"),
    ("mend*", &[], "fix"),
    ("last life", &[], "previous run"),
    ("next life", &[], "next run"),
    ("owes", &[], "pending work"),
    ("owed", &[], "pending work"),
    ("taken", &["over"], "accepted, rejected, resumed"),
    ("at once", &[], "immediately, concurrently"),
    ("anew", &[], "again, from scratch"),
    ("by hand", &[], "manually, or the field manager"),
    ("is away", &[], "is unreachable"),
    ("are away", &[], "are unreachable"),
    ("was away", &[], "was unreachable"),
    ("for ever", &[], "indefinitely, without end"),
    ("good", &[], "valid, OK"),
    ("bad", &["gateway", "release", "request"], "invalid, rejected, failed"),
    ("not well", &[], "failed, degraded"),
    ("as it is", &["in"], "unchanged, current"),
    ("as they are", &["in"], "unchanged, current"),
    ("as it was", &["before", "then"], "unchanged"),
    ("as they were", &["before", "then"], "unchanged"),
    ("is otherwise", &["not"], "is different, changed"),
    ("are otherwise", &["not"], "are different, changed"),
    ("otherwise than", &[], "different from"),
    ("are others", &[], "have changed"),
    ("in the words", &[], "the message of, the terms of"),
    ("own words", &[], "its message"),
    ("without a word", &[], "without a message"),
    ("another one s", &[], "the field manager, or who it is"),
    ("who is not", &[], "that is not"),
    ("hammer*", &[], "overloads, is too short"),
    ("means ill", &[], "malicious"),
    ("stands inside", &[], "is inside"),
    ("is so", &[], "is applied, unchanged"),
    ("becomes so", &[], "is applied"),
    ("tells", &[], "reports, shows"),
    ("told", &[], "reported, shown"),
    ("for want of", &[], "requires"),
    ("stands in", &[], "is in"),
    ("stands at", &[], "is at"),
    ("but for", &[], "except"),
    ("asks for the role", &[], "requires role"),
    ("s role", &[], "role viewer, operator or approver"),
    ("in force", &[], "in use, applied"),
    ("it is tried again", &[], "retrying"),
    ("please", &[], "nothing in its place"),
];

#[test]
fn texts_are_in_the_language_of_the_field() {
    let mut found = Vec::new();
    for (place, text) in code_texts().into_iter().chain(helps()).chain(pages()) {
        let worded = INSTEAD.iter().filter(|(not, unless, _)| has(&text, not, unless));
        found.extend(worded.map(|(not, _, but)| format!("{place}: {text:?}: not `{not}`: {but}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What the programs may print: the literals of code that is no test, each with its file.
fn code_texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (_, folder, _) in CRATES.iter().filter(|(_, folder, _)| *folder != "tests") {
        for file in of_product(&house().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let literals = literals(&code::without_tests(&text));
            texts.extend(literals.into_iter().map(|literal| (file.display().to_string(), literal)));
        }
    }
    texts
}

/// The help of every command and argument, which clap makes of comments.
fn helps() -> Vec<(String, String)> {
    fn of(command: &clap::Command, texts: &mut Vec<(String, String)>) {
        let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        let about =
            [command.get_about(), command.get_long_about(), command.get_before_help(), command.get_after_help()];
        let arguments = command.get_arguments().flat_map(|argument| [argument.get_help(), argument.get_long_help()]);
        let helps = about.into_iter().chain(arguments).flatten().map(ToString::to_string);
        texts.extend(helps.map(|help| (format!("help of {name}"), help)));
        command.get_subcommands().for_each(|command| of(command, texts));
    }
    let mut texts = Vec::new();
    super::guide::programs().iter().for_each(|program| of(program, &mut texts));
    texts
}

/// The paragraphs of the pages that are written for users. The pages below `reference` are made of the help and the example.
fn pages() -> Vec<(String, String)> {
    let guide = std::fs::read_dir(house().join("shared/guide")).unwrap().map(|entry| entry.unwrap().path());
    let guide = guide.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let all = guide.chain(["README.md", "config.example.toml"].map(|name| house().join(name)));
    let paragraphs = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let paragraphs: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
        paragraphs.into_iter().map(move |paragraph| (path.display().to_string(), paragraph))
    };
    all.flat_map(paragraphs).collect()
}

/// Words that say what to do next: not in the text of an error, where no screen could set them apart, but in its hint.
const TO_DO: [&str; 24] = [
    "add", "check", "correct", "free", "give", "install", "keep", "make", "move", "name", "put", "raise", "remove",
    "rename", "restart", "run", "save", "see", "set", "split", "start", "try", "use", "write",
];

/// Where one value that a person wrote is corrected, which is one sentence: what it is not, and what it may be.
const OF_VALUES: [&str; 3] = ["agent/git/src/url.rs", "agent/git/src/remote.rs", "agent/core/src/trigger/image_tag.rs"];

#[test]
fn what_to_do_is_the_hint_of_an_error_and_not_in_its_text() {
    let mut found = Vec::new();
    for (_, folder, _) in CRATES.iter().filter(|(_, folder, _)| *folder != "tests") {
        for file in of_product(&house().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let of_a_value = OF_VALUES.iter().any(|value| file.ends_with(value));
            for attribute in text.split("#[error(").skip(1).filter(|_| !of_a_value) {
                let attribute = attribute.split(")]").next().unwrap();
                let says = literals(attribute).into_iter().filter(|literal| asks(literal));
                found.extend(says.map(|literal| format!("{}: {literal:?}", file.display())));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(asks("cannot read x; set y") && asks("no x. Use y") && !asks("no x: y is set; and more"));
}

/// Whether a part of a text begins with what to do.
fn asks(text: &str) -> bool {
    let parts = text.split(['.', ';']).skip(1).filter_map(|part| part.split_whitespace().next());
    parts.map(str::to_lowercase).any(|word| TO_DO.contains(&word.as_str()))
}

/// Whether a text has these words, and none of the others behind them.
fn has(text: &str, words: &str, unless: &[&str]) -> bool {
    let mut all: Vec<String> = vec![String::new()];
    let mut depth = 0;
    for char in text.chars() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth > 0 => {}
            char if char.is_alphanumeric() => all.last_mut().unwrap().extend(char.to_lowercase()),
            _ if !all.last().unwrap().is_empty() => all.push(String::new()),
            _ => {}
        }
    }
    // Of a sentence with "there is no" the words are those of the field.
    let words: Vec<&str> = words.split(' ').collect();
    let is = |(word, is): (&&str, &String)| word.strip_suffix('*').map_or(**word == *is, |front| is.starts_with(front));
    let begins = |at: usize| at > 0 && all[at - 1] == "there";
    let of_existence = matches!(words[0], "is" | "are");
    (0..all.len().saturating_sub(words.len() - 1)).any(|at| {
        let next = all.get(at + words.len()).map(String::as_str).unwrap_or_default();
        words.iter().zip(&all[at..]).all(is) && !unless.contains(&next) && !(of_existence && begins(at))
    })
}

/// The string literals of a code that hold more than one word.
fn literals(code: &str) -> Vec<String> {
    code::literals(code).into_iter().filter(|text| text.contains(' ')).collect()
}

#[test]
fn words_are_found_in_a_text() {
    for (text, words, has_them) in [
        ("{a} is no pattern", "is no", true),
        ("it is no longer there", "is no", false),
        ("there is no run", "is no", false),
        ("there are no runs", "are no", false),
        ("the object is not there", "not there", true),
        ("502 Bad Gateway", "bad", false),
        ("a run for every tag", "for ever", false),
        ("the object as it is in git", "as it is", false),
        ("it stays as it is", "as it is", true),
        ("try {by hand}", "by hand", false),
        ("Mended it", "mend*", true),
        ("taken over from it", "taken", false),
    ] {
        let unless = INSTEAD.iter().find(|(not, ..)| *not == words).unwrap().1;
        assert_eq!(has(text, words, unless), has_them, "{text}");
    }
}
