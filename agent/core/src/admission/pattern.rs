//! Patterns by which forges say which tags they protect, matched as each forge matches them.
//!
//! | forge | pattern | by |
//! | --- | --- | --- |
//! | Gitea, Forgejo | `push-*`, `{push,build}-*`: `*` is any text, slashes too; between slashes a regular expression | models/git/protected_tag.go, gobwas/glob, RE2 |
//! | GitHub | `refs/tags/push-*`, `~ALL`: `*` ends at a slash, `**/` is any folders | Ruby's `File.fnmatch` with FNM_PATHNAME (docs.github.com, "Using fnmatch syntax") |
//!
//! Where a pattern cannot be read as the forge reads it the tag counts as not protected.

use gix_glob::wildmatch;
use gix_glob::wildmatch::Mode;
use regex::RegexBuilder;

/// The time of a match grows with the length of the name to the power of the stars; people write one or two.
const STARS_MAX: usize = 4;

/// Alternatives of all braces of a pattern together: people write two or three.
const ALTERNATIVES_MAX: usize = 64;

/// Bytes of a compiled expression: hundreds of times what a list of versions needs.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Whether a protection of Gitea is about a tag.
pub fn gitea(pattern: &str, tag: &str) -> bool {
    let expression = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    match expression {
        Some(expression) => {
            let built = RegexBuilder::new(expression).size_limit(REGEX_BYTES_MAX).build();
            built.is_ok_and(|expression| expression.is_match(tag))
        }
        None => alternatives(pattern).iter().any(|pattern| is_plain(pattern) && matches(pattern, tag, Mode::empty())),
    }
}

/// Whether a ruleset of GitHub with these patterns is about a tag.
pub fn github<'p>(
    include: impl IntoIterator<Item = &'p str>,
    exclude: impl IntoIterator<Item = &'p str>,
    tag: &str,
) -> bool {
    let whole = format!("refs/tags/{tag}");
    let is_readable = |pattern: &str| is_plain(pattern) && !pattern.contains('\\');
    let is_about = |pattern: &str| {
        pattern == "~ALL" || is_readable(pattern) && matches(&fnmatch(pattern), &whole, Mode::NO_MATCH_SLASH_LITERAL)
    };
    let included = include.into_iter().any(is_about);
    // What cannot be read may leave it out.
    included
        && !exclude.into_iter().any(|pattern| !pattern.starts_with('~') && !is_readable(pattern) || is_about(pattern))
}

fn matches(pattern: &str, name: &str, mode: Mode) -> bool {
    wildmatch(pattern.into(), name.into(), mode)
}

/// Whether a pattern has few stars, and no set that one matcher reads unlike another: complements with `^`, classes.
fn is_plain(pattern: &str) -> bool {
    let stars = pattern.split(|c| c != '*').filter(|stars| !stars.is_empty()).count();
    stars <= STARS_MAX && !pattern.contains("[^") && !pattern.contains("[[")
}

/// Ruby's `**` is more than `*` before a slash alone; git's, at the end as well.
fn fnmatch(pattern: &str) -> String {
    let cut = pattern.trim_end_matches('*');
    if cut.len() < pattern.len() { format!("{cut}*") } else { pattern.to_owned() }
}

/// The patterns without braces that one with braces stands for; none where they are nested, open or too many.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inside, after)) = after.split_once('}') else { return Vec::new() };
        let choices: Vec<&str> = inside.split(',').collect();
        if inside.contains(['{', '\\']) || before.ends_with('\\') || all.len() * choices.len() > ALTERNATIVES_MAX {
            return Vec::new();
        }
        all = all.iter().flat_map(|one| choices.iter().map(move |choice| format!("{one}{before}{choice}"))).collect();
        rest = after;
    }
    all.iter_mut().for_each(|one| one.push_str(rest));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitea_matches_globs_and_expressions() {
        for (pattern, tag, expected) in [
            ("push-1", "push-1", true),
            ("push-1", "push-10", false),
            ("push-*", "push-1.4.0", true),
            ("push-*", "push-a/b", true),
            ("push-*", "a-push-1", false),
            ("*", "push/1", true),
            ("push-?", "push-1", true),
            ("push-[0-9]", "push-1", true),
            ("push-[!0-9]", "push-1", false),
            ("{push,build}-*", "build-1", true),
            ("{push,build}-*", "test-1", false),
            ("push-{1,2}.{0,1}", "push-2.0", true),
            // Not read as Gitea reads it: it protects nothing.
            ("push-{1,{2,3}}", "push-2", false),
            ("push-[^0-9]", "push-a", false),
            ("a*b*c*d*e*f*", "abcdef", false),
            ("/^push-[0-9]+$/", "push-12", true),
            ("/^push-[0-9]+$/", "push-x", false),
            ("/push/", "a-push-1", true),
            ("/push-(/", "push-1", false),
            ("//", "push-1", true),
            ("/", "push-1", false),
            ("", "push-1", false),
        ] {
            assert_eq!(gitea(pattern, tag), expected, "{pattern} {tag}");
        }
    }

    #[test]
    fn github_matches_what_is_included_and_not_excluded() {
        for (include, exclude, tag, expected) in [
            (&["~ALL"][..], &[][..], "push-1", true),
            (&["refs/tags/push-*"], &[], "push-1", true),
            (&["refs/tags/push-*"], &[], "push-a/b", false),
            (&["refs/tags/*"], &[], "push/1", false),
            (&["refs/tags/**/*"], &[], "push/1", true),
            (&["refs/tags/**/*"], &[], "push-1", true),
            (&["refs/tags/push/**"], &[], "push/1", true),
            (&["refs/tags/push/**"], &[], "push/1/2", false),
            (&["refs/tags/push-[0-9]"], &[], "push-1", true),
            (&["refs/heads/push-*"], &[], "push-1", false),
            (&["push-*"], &[], "push-1", false),
            (&["~DEFAULT_BRANCH"], &[], "push-1", false),
            (&["~ALL"], &["refs/tags/push-*"], "push-1", false),
            (&["~ALL"], &["refs/tags/build-*"], "push-1", true),
            (&["~ALL"], &["~DEFAULT_BRANCH"], "push-1", true),
            (&["~ALL"], &["~ALL"], "push-1", false),
            // What cannot be read protects nothing, and may leave out anything.
            (&["refs/tags/push-\\1"], &[], "push-1", false),
            (&["~ALL"], &["refs/tags/a\\b"], "push-1", false),
            (&[], &[], "push-1", false),
        ] {
            let found = github(include.iter().copied(), exclude.iter().copied(), tag);
            assert_eq!(found, expected, "{include:?} {exclude:?} {tag}");
        }
    }
}
