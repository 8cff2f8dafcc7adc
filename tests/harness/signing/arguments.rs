//! Arguments of programs.

/// The value behind an option.
pub(super) fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|one| one == name)?;
    arguments.get(at + 1).map(String::as_str)
}
