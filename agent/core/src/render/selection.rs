//! Which files of a folder are rendered plainly: `include` and `exclude` of the environment, and ignore files in the repository.
//!
//! All of them are patterns as git has them in a `.gitignore`: without a slash a pattern is a name at any depth, with one it
//! begins at the folder of its file; the last pattern that matches decides, and what is below an ignored folder is ignored.

use gix_glob::pattern::Case;
use gix_glob::wildmatch::Mode;
use quarterdeck_shared::application::FilesSpec;

use crate::render::RenderError;
use crate::tree::Tree;
use crate::tree::links::{Followed, resolve_noting};
use crate::tree::paths::{file_name, is_below, join};

/// Files of patterns, in the root of the repository and in the folder that is rendered; the later one overrules. The first is
/// Flux's.
pub const IGNORE_FILES: [&str; 2] = [".sourceignore", ".quarterdeckignore"];

/// Patterns of one ignore file: each is held against each file. The largest that are known have some hundred.
const PATTERNS_MAX: usize = 1_000;

/// What is selected of a folder.
#[derive(Default)]
pub(crate) struct Selection {
    include: Vec<Rule>,
    exclude: Vec<Rule>,
    ignored: Vec<Rule>,
    /// The ignore files that were looked for, and links on the way to them.
    pub(super) inputs: Vec<String>,
}

/// A pattern, and the folder from which it is seen.
struct Rule {
    base: String,
    pattern: gix_glob::Pattern,
}

impl Selection {
    /// What an environment says of a folder, and what its ignore files say.
    pub(crate) fn read(tree: &dyn Tree, folder: &str, files: &FilesSpec) -> Result<Self, RenderError> {
        let rules = |patterns: &[String]| patterns.iter().filter_map(|text| Rule::read(folder, text)).collect();
        let mut selection = Self { include: rules(&files.include), exclude: rules(&files.exclude), ..Self::default() };
        let bases = if folder.is_empty() { vec![""] } else { vec!["", folder] };
        for (base, name) in bases.into_iter().flat_map(|base| IGNORE_FILES.map(|name| (base, name))) {
            let path = join(base, name).unwrap_or_default();
            let read = |source| RenderError::Read { path: path.clone(), source };
            // Also where there is none: one that is added changes what is rendered.
            selection.inputs.push(path.clone());
            let Followed::File(entry) = resolve_noting(tree, &path, &mut selection.inputs).map_err(read)? else {
                continue;
            };
            selection.inputs.push(entry.path.clone());
            let text = tree.blob(&entry).map_err(read)?;
            let text = String::from_utf8_lossy(&text);
            let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#'));
            let count = selection.ignored.len();
            selection.ignored.extend(lines.filter_map(|line| Rule::read(base, line)));
            if selection.ignored.len() - count > PATTERNS_MAX {
                return Err(RenderError::TooManyPatterns { path });
            }
        }
        Ok(selection)
    }

    /// Whether a file is rendered, by its path from the root of the repository.
    pub(super) fn selects(&self, path: &str) -> bool {
        (self.include.is_empty() || covers(&self.include, path)) && !self.leaves_out(path)
    }

    /// Whether what is there is left out, with all that is below it.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        covers(&self.exclude, path) || covers(&self.ignored, path)
    }
}

impl Rule {
    /// Nothing of an empty line.
    fn read(base: &str, line: &str) -> Option<Self> {
        let text = line.trim_end();
        // A space at the end counts behind a backslash.
        let text = if text.ends_with('\\') && text.len() < line.len() { &line[..=text.len()] } else { text };
        Some(Self { base: base.to_owned(), pattern: gix_glob::parse(text)? })
    }

    fn matches(&self, path: &str, is_folder: bool) -> bool {
        if !is_below(path, &self.base) {
            return false;
        }
        let below = path[self.base.len()..].trim_start_matches('/');
        let name = below.rfind('/').map(|slash| slash + 1);
        self.pattern.matches_repo_relative_path(
            below.into(),
            name,
            Some(is_folder),
            Case::Sensitive,
            Mode::NO_MATCH_SLASH_LITERAL,
        )
    }
}

/// Whether rules match a path, or a folder that it is in: from the top, since nothing below an ignored folder is taken back.
fn covers(rules: &[Rule], path: &str) -> bool {
    let last = |path: &str, is_folder: bool| {
        let rule = rules.iter().rev().find(|rule| rule.matches(path, is_folder));
        rule.is_some_and(|rule| !rule.pattern.is_negative())
    };
    !rules.is_empty() && (path.match_indices('/').any(|(end, _)| last(&path[..end], true)) || last(path, false))
}

/// What is wrong with a pattern, where something is.
pub fn fault(pattern: &str) -> Option<&'static str> {
    if pattern.trim().is_empty() {
        return Some("it matches nothing");
    }
    if pattern.contains('\n') {
        return Some("it has several lines: write one pattern for each");
    }
    if pattern.starts_with('/') && pattern.contains("/../") || file_name(pattern) == ".." || pattern.starts_with("../")
    {
        return Some("it leads out of the folder");
    }
    let opened = pattern.rfind('[').is_some_and(|at| !pattern[at..].contains(']'));
    opened.then_some("a [ has no ]")
}

#[cfg(test)]
mod tests;
