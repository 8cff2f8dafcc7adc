//! Which tags of a project of Harbor may not be overwritten, by the rules that the project has for it. (pure)
//!
//! A rule counts as Harbor counts it (`pkg/immutable/match/rule`): not when it is disabled, and of its selectors the first for
//! repositories and the first for tags. A selector's pattern is one of doublestar; the console of Harbor writes a list as
//! `{web,api}`. What cannot be read as a pattern holds nothing here: the push finds it out.

use std::collections::BTreeMap;

use gix_glob::wildmatch;
use serde::Deserialize;

/// Patterns that the braces of one come to. Harbor limits a pattern to some hundred characters, which are fifty names.
const ALTERNATIVES_MAX: usize = 256;

/// The rules of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Rule {
    #[serde(default)]
    disabled: bool,
    tag_selectors: Option<Vec<Selector>>,
    scope_selectors: Option<BTreeMap<String, Vec<Selector>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Selector {
    /// `matches`, `repoExcludes`
    #[serde(default)]
    decoration: String,
    #[serde(default)]
    pattern: String,
}

impl Rules {
    /// The rules in the answer of Harbor.
    ///
    /// # Errors
    /// Where it is no list of rules.
    pub fn read(answer: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(answer).map(|rules: Option<Vec<Rule>>| Self(rules.unwrap_or_default()))
    }

    /// Whether no tag can be immutable.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|rule| rule.disabled)
    }

    /// The rule by which a tag of a repository, named without its project, is immutable, as people read it.
    pub fn holding(&self, repository: &str, tag: &str) -> Option<String> {
        let holds = |rule: &&Rule| !rule.disabled && rule.selects(repository, tag).is_some_and(|selects| selects);
        let rule = self.0.iter().find(holds)?;
        let (repositories, tags) = rule.selectors()?;
        Some(format!("tags {tags} of repositories {repositories}"))
    }
}

impl Rule {
    /// Those that count: for repositories, and for tags.
    fn selectors(&self) -> Option<(&Selector, &Selector)> {
        let repositories = self.scope_selectors.as_ref()?.get("repository")?.first()?;
        Some((repositories, self.tag_selectors.as_ref()?.first()?))
    }

    fn selects(&self, repository: &str, tag: &str) -> Option<bool> {
        let (repositories, tags) = self.selectors()?;
        Some(repositories.selects(repository) && tags.selects(tag))
    }
}

impl Selector {
    fn selects(&self, text: &str) -> bool {
        let Some(patterns) = alternatives(&self.pattern) else { return false };
        // One without a pattern is one for all.
        let is_matched = self.pattern.is_empty()
            || patterns.iter().any(|pattern| {
                gix_glob::wildmatch(pattern.as_str().into(), text.into(), wildmatch::Mode::NO_MATCH_SLASH_LITERAL)
            });
        match self.decoration.as_str() {
            "matches" | "repoMatches" => is_matched,
            "excludes" | "repoExcludes" => !is_matched,
            _ => false,
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = if self.decoration.ends_with("xcludes") { "excluding" } else { "matching" };
        write!(f, "{verb} {:?}", self.pattern)
    }
}

/// A pattern without its braces, once for each of the alternatives in them; none where they do not close, or where there are too
/// many.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let length = if next == '\\' { 1 + rest.chars().nth(1)?.len_utf8() } else { next.len_utf8() };
        if next != '{' {
            all.iter_mut().for_each(|one| one.push_str(&rest[..length]));
            rest = &rest[length..];
            continue;
        }
        let (parts, behind) = braces(&rest[length..])?;
        let mut inner = Vec::new();
        for part in parts {
            inner.extend(alternatives(part)?);
        }
        if all.len() * inner.len() > ALTERNATIVES_MAX {
            return None;
        }
        all = all.iter().flat_map(|before| inner.iter().map(move |part| format!("{before}{part}"))).collect();
        rest = behind;
    }
    Some(all)
}

/// The parts up to the brace that closes, and what is behind it.
fn braces(text: &str) -> Option<(Vec<&str>, &str)> {
    let (mut parts, mut start, mut depth, mut is_escaped) = (Vec::new(), 0, 0, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&text[start..at]);
                return Some((parts, &text[at + 1..]));
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rules(repositories: (&str, &str), tags: (&str, &str), disabled: bool) -> Rules {
        let selector =
            |(decoration, pattern)| json!({ "kind": "doublestar", "decoration": decoration, "pattern": pattern });
        let rule = json!({
            "id": 1, "priority": 0, "disabled": disabled, "action": "immutable", "template": "immutable_template",
            "tag_selectors": [selector(tags), selector(("matches", "**"))],
            "scope_selectors": { "repository": [selector(repositories)] },
        });
        Rules::read(json!([rule]).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_rule_holds_what_its_first_selectors_select() {
        for (repositories, tags, held, free) in [
            (("repoMatches", "**"), ("matches", "**"), vec![("web", "1.4.0"), ("team/web", "a")], vec![]),
            (("repoMatches", "*"), ("matches", "v*"), vec![("web", "v1")], vec![("web", "1"), ("team/web", "v1")]),
            (
                ("repoMatches", "team/**"),
                ("matches", "*"),
                vec![("team/web", "1"), ("team/a/b", "1")],
                vec![("web", "1")],
            ),
            (
                ("repoMatches", "{web,api}"),
                ("matches", "{v*,1.?}"),
                vec![("api", "v2"), ("web", "1.4")],
                vec![("db", "v2"), ("web", "1.40")],
            ),
            (
                ("repoMatches", "web{,-{a,b}}"),
                ("matches", ""),
                vec![("web", "1"), ("web-b", "1")],
                vec![("web-", "1"), ("web-c", "1")],
            ),
            (
                ("repoExcludes", "test-*"),
                ("excludes", "*-{rc,beta}*"),
                vec![("web", "1.4.0")],
                vec![("test-web", "1.4.0"), ("web", "1.4.0-rc1")],
            ),
            (
                ("repoMatches", "w[a-f]b"),
                ("matches", "[^0-9]*"),
                vec![("web", "v1")],
                vec![("wxb", "v1"), ("web", "1")],
            ),
            // What is not a pattern, or of a kind that nobody knows, is left to the push.
            (("repoMatches", "{web"), ("matches", "**"), vec![], vec![("web", "1"), ("{web", "1")]),
            (("repoMatches", "**"), ("matches", "v\\"), vec![], vec![("web", "v\\")]),
            (("repoMatches", "**"), ("withLabels", "**"), vec![], vec![("web", "1")]),
        ] {
            let rules = rules(repositories, tags, false);
            for (repository, tag) in held {
                assert!(rules.holding(repository, tag).is_some(), "{repositories:?} {tags:?} holds {repository}:{tag}");
            }
            for (repository, tag) in free {
                assert_eq!(rules.holding(repository, tag), None, "{repositories:?} {tags:?} {repository}:{tag}");
            }
        }
        let read = rules(("repoExcludes", "test-*"), ("matches", "v*"), false).holding("web", "v1");
        assert_eq!(read.as_deref(), Some("tags matching \"v*\" of repositories excluding \"test-*\""));
    }

    #[test]
    fn a_rule_that_is_disabled_or_empty_holds_nothing() {
        let disabled = rules(("repoMatches", "**"), ("matches", "**"), true);
        assert_eq!((disabled.is_empty(), disabled.holding("web", "1")), (true, None));
        for text in ["null", "[]", r#"[{"id":1}]"#, r#"[{"tag_selectors":null,"scope_selectors":{"repository":[]}}]"#] {
            assert_eq!(Rules::read(text.as_bytes()).unwrap().holding("web", "1"), None, "{text}");
        }
        for text in ["", "{}", "[1]", r#"[{"disabled":"no"}]"#, r#"[{"tag_selectors":{}}]"#] {
            assert!(Rules::read(text.as_bytes()).is_err(), "{text}");
        }
        // Braces beyond all measure.
        assert_eq!(alternatives(&"{a,b}".repeat(8)).map(|all| all.len()), Some(256));
        assert_eq!(alternatives(&"{a,b}".repeat(9)), None);
    }

    proptest! {
        #[test]
        fn no_pattern_panics_and_matching_excludes_excluding(pattern in "[ab*?{},\\[\\]\\\\/^-]{0,16}", text in "[ab/]{0,6}") {
            let selects = |decoration: &str| Selector { decoration: decoration.to_owned(), pattern: pattern.clone() }.selects(&text);
            if alternatives(&pattern).is_some() {
                prop_assert_ne!(selects("matches"), selects("excludes"));
            } else {
                prop_assert!(!selects("matches") && !selects("excludes"));
            }
        }
    }
}
