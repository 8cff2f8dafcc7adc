//! Which tags mean what: the patterns of an application, and what they make of the name of a tag. Pure.

use gix_glob::wildmatch;
use quarterdeck_shared::application::ExistingTags;

use super::TriggerKind;

/// Which tags mean what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRules {
    build: Vec<TagGlob>,
    push: Vec<TagGlob>,
    /// What the tags that are already there mean when a repository is first seen.
    pub(super) existing_tags: ExistingTags,
}

/// A pattern for tags or branches: `*` is any text, slashes too; `?` one character; `[a-z]` one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagGlob(String);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Nothing can match it.
    #[error("an empty pattern matches nothing; leave it out, or write a name")]
    Empty,
    /// It names the ref and not the tag.
    #[error("`{0}` is matched against names such as `build-1.4.0` or `main`: leave `refs/…/` out")]
    WholeRef(String),
    /// A bracket is open.
    #[error("`{0}` opens a `[` that is not closed")]
    OpenBracket(String),
    /// Matching could take for ever.
    #[error("`{0}` has more than {STARS_MAX} stars; a pattern needs one or two")]
    TooManyStars(String),
}

/// The time of a match grows with the length of the name to the power of the stars, and the names are strangers'.
const STARS_MAX: usize = 4;

impl TagRules {
    /// Reads the patterns of an application.
    pub fn new(build: &[String], push: &[String], existing_tags: ExistingTags) -> Result<Self, GlobError> {
        let globs = |texts: &[String]| texts.iter().map(|text| TagGlob::parse(text)).collect::<Result<Vec<_>, _>>();
        Ok(Self { build: globs(build)?, push: globs(push)?, existing_tags })
    }

    /// What a tag asks for. A tag that matches both lists is a push, which builds where that is needed.
    pub fn kind_of(&self, tag: &str) -> Option<TriggerKind> {
        let any = |globs: &[TagGlob]| globs.iter().any(|glob| glob.matches(tag));
        match (any(&self.push), any(&self.build)) {
            (true, _) => Some(TriggerKind::Push),
            (false, true) => Some(TriggerKind::Build),
            (false, false) => None,
        }
    }

    /// The part of a tag from the first wildcard of its pattern on: `1.4.0` of `build-1.4.0`. `None` if its pattern
    /// has no wildcard, or the wildcards matched nothing.
    pub(super) fn suffix<'t>(&self, tag: &'t str) -> Option<&'t str> {
        let globs = match self.kind_of(tag)? {
            TriggerKind::Build => &self.build,
            TriggerKind::Push => &self.push,
        };
        let glob = globs.iter().find(|glob| glob.matches(tag))?;
        tag.strip_prefix(glob.literal()).filter(|suffix| !suffix.is_empty())
    }
}

impl TagGlob {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        let text = text.trim();
        let open = text.rfind('[').is_some_and(|open| !text[open..].contains(']'));
        match () {
            () if text.is_empty() => Err(GlobError::Empty),
            () if text.starts_with("refs/") => Err(GlobError::WholeRef(text.to_owned())),
            () if open => Err(GlobError::OpenBracket(text.to_owned())),
            () if text.matches('*').count() > STARS_MAX => Err(GlobError::TooManyStars(text.to_owned())),
            () => Ok(Self(text.to_owned())),
        }
    }

    /// Whether a name matches.
    pub fn matches(&self, tag: &str) -> bool {
        gix_glob::wildmatch(self.0.as_str().into(), tag.into(), wildmatch::Mode::empty())
    }

    /// What stands before the first wildcard.
    fn literal(&self) -> &str {
        let end = self.0.find(['*', '?', '[', '\\']).unwrap_or(self.0.len());
        &self.0[..end]
    }
}
