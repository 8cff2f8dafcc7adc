//! The paths that code names: with which name each begins, and which modules of its crate they lead to. Code is bare
//! (`super::code`).

use std::collections::BTreeSet;

/// The names from the root of a crate down to a module.
pub(super) type Way = Vec<String>;

/// The names that paths begin with, and what stands behind `use` and `extern crate`; except names that the code brings in
/// from elsewhere itself: after `use axum::http` a path that begins with `http` is one of axum.
pub(super) fn heads(code: &str) -> BTreeSet<String> {
    let words = code.match_indices("::").map(|(at, _)| (&code[..at], last_word(&code[..at])));
    let begun = words.filter(|(before, word)| !is_further(&before[..before.len() - word.len()])).map(|(_, word)| word);
    let behind = ["use ", "extern crate "].into_iter().flat_map(|front| fronts(code, front)).map(first_word);
    let mut heads: BTreeSet<String> = begun.chain(behind).map(str::to_owned).collect();
    for way in fronts(code, "use ").flat_map(|rest| expand(rest, &[])).filter(|way| way.len() > 1) {
        let names: Vec<&String> = way.iter().filter(|name| *name != "self").collect();
        if let [_, .., last] = names[..] {
            heads.remove(last);
        }
    }
    for name in fronts(code, "mod ").map(first_word) {
        heads.remove(name);
    }
    heads
}

/// What code of a module names by `crate::` and `super::`, each from the root down: also each of `super::{room, other::{…}}`.
pub(super) fn named(code: &str, own: &[String]) -> Vec<Way> {
    let mut found: Vec<Way> = fronts(code, "crate::").flat_map(|rest| expand(rest, &[])).collect();
    for rest in fronts(code, "super::") {
        let (mut rest, mut base) = (rest, above(own));
        while let Some(further) = rest.strip_prefix("super::") {
            (rest, base) = (further, above(base));
        }
        found.extend(expand(rest, base));
    }
    found
}

/// What a module passes on from those below it by `pub use`: its name here, and where it is from.
pub(super) fn passed_on(code: &str, own: &[String]) -> Vec<(Way, Way)> {
    let all = ["pub use ", "pub(crate) use ", "pub(super) use "].into_iter().flat_map(|front| fronts(code, front));
    let below = all.flat_map(|rest| expand(rest.strip_prefix("self::").unwrap_or(rest), &[]));
    let passed = |way: Way| Some(([own, &[way.last()?.clone()]].concat(), [own, &way].concat()));
    below.filter_map(passed).collect()
}

fn above(way: &[String]) -> &[String] {
    way.split_last().map_or(way, |(_, above)| above)
}

/// What follows each place where this stands and no path or word is under way.
fn fronts<'a>(code: &'a str, front: &'a str) -> impl Iterator<Item = &'a str> {
    let all = code.match_indices(front).filter(|(at, _)| !is_further(&code[..*at]));
    all.map(move |(at, _)| &code[at + front.len()..])
}

/// Whether a path is under way at the end of this, or a longer word.
fn is_further(code: &str) -> bool {
    code.ends_with(|char: char| is_of_a_word(char) || char == ':')
}

fn is_of_a_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

pub(super) fn first_word(code: &str) -> &str {
    code.split(|char| !is_of_a_word(char)).next().unwrap_or_default()
}

fn last_word(code: &str) -> &str {
    code.rsplit(|char| !is_of_a_word(char)).next().unwrap_or_default()
}

/// Each path that code begins with, behind those names.
fn expand(code: &str, base: &[String]) -> Vec<Way> {
    let code = code.trim_start();
    if let Some(list) = code.strip_prefix('{') {
        return items(list).iter().flat_map(|item| expand(item, base)).collect();
    }
    let word = first_word(code);
    let way = [base, &[word.to_owned()]].concat();
    match code[word.len()..].strip_prefix("::") {
        Some(rest) if !word.is_empty() => expand(rest, &way),
        _ => vec![way],
    }
}

/// The items of a list in braces, up to its end.
fn items(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for char in list.chars() {
        match char {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {
                depth += i32::from(char == '{') - i32::from(char == '}');
                item.push(char);
            }
        }
    }
    items.push(item);
    items
}

/// What code names is read as the compiler reads it, whatever the depth.
#[test]
fn what_a_module_names_is_read() {
    let own = ["watch", "stream"].map(str::to_owned);
    let named = |code: &str| -> Vec<String> { named(code, &own).iter().map(|way| way.join("::")).collect() };
    assert_eq!(named("use crate::{pace, cache::{self, seen::Seen}};"), ["pace", "cache::self", "cache::seen::Seen"]);
    assert_eq!(named("use super::pages; super::super::pace::next()"), ["watch::pages", "pace::next"]);
    assert_eq!(named("pub(super) fn other_crate::x() { mycrate::y(); tokio::super_::z() }"), Vec::<String>::new());
}

/// A name counts as that of a crate where a path begins with it, and nothing else brings it in.
#[test]
fn what_paths_begin_with_is_read() {
    for (code, begins) in [
        ("use kube::Client; pub use http; extern crate tar; f(&hyper::x())", &["http", "hyper", "kube", "tar"][..]),
        ("use axum::{self, http::{self, Method}}; http::StatusCode::OK", &["axum"]),
        ("crate::kube::client(); super::http::x(); axum::http::Method::GET", &["axum", "crate", "super"]),
        ("mod http; http::serve(); #[tokio::test] impl<T: serde::Serialize> X<T>", &["serde", "tokio"]),
    ] {
        let heads = heads(code);
        assert_eq!(heads.iter().map(String::as_str).collect::<Vec<_>>(), begins, "{code}");
    }
}
