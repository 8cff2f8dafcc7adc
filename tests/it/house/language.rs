//! The language of what people read: no text of the programs is worded as the table says not to. What is looked at are the
//! string literals of more than one word in code that is no test; what is filled in (`{name}`) does not count.

use super::files::of_product;
use super::{CRATES, code, house};

/// What is not written, and what is instead. A `*` at the end stands for the rest of a word, and what follows `unless` may come
/// behind.
const INSTEAD: [(&str, &[&str], &str); 27] = [
    ("is no", &["longer", "more"], "is not a valid …"),
    ("are no", &["longer", "more"], "are not valid …"),
    ("is there twice", &[], "is defined twice"),
    ("nobody", &[], "no user, nothing, or who it is"),
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
    ("is so", &[], "is applied, unchanged"),
    ("becomes so", &[], "is applied"),
    ("tells", &[], "reports, shows"),
    ("told", &[], "reported, shown"),
    ("for want of", &[], "requires"),
    ("stands in", &[], "is in"),
    ("stands at", &[], "is at"),
    ("but for", &[], "except"),
    ("asks for the role", &[], "requires the role"),
    ("in force", &[], "in use, applied"),
    ("it is tried again", &[], "retrying"),
    ("please", &[], "nothing in its place"),
];

#[test]
fn texts_are_in_the_language_of_the_field() {
    let mut found = Vec::new();
    for (_, folder, _) in CRATES.iter().filter(|(_, folder, _)| *folder != "tests") {
        for file in of_product(&house().join(folder)) {
            for literal in literals(&code::without_tests(&std::fs::read_to_string(&file).unwrap())) {
                let worded = INSTEAD.iter().filter(|(not, unless, _)| has(&literal, not, unless));
                found
                    .extend(worded.map(|(not, _, but)| format!("{}: {literal:?}: not `{not}`: {but}", file.display())));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
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
    (0..all.len().saturating_sub(words.len() - 1)).any(|at| {
        let next = all.get(at + words.len()).map(String::as_str).unwrap_or_default();
        words.iter().zip(&all[at..]).all(is) && !unless.contains(&next) && !(words[0] == "is" && begins(at))
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
        ("try {by hand}", "by hand", false),
        ("Mended it", "mend*", true),
        ("taken over from it", "taken", false),
    ] {
        let unless = INSTEAD.iter().find(|(not, ..)| *not == words).unwrap().1;
        assert_eq!(has(text, words, unless), has_them, "{text}");
    }
}
