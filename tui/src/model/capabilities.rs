//! What the terminal can show: colours, and signs beyond ASCII. Decided once, from the environment.

use serde::{Deserialize, Serialize};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Whether colours may be used. Without them bold, dim and reverse still carry the meaning.
    pub colour: bool,
    /// Whether signs beyond ASCII may be used.
    pub unicode: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { colour: true, unicode: true }
    }
}

impl Capabilities {
    /// From the environment: `NO_COLOR` (<https://no-color.org>), `TERM`, and the locale in the order of POSIX: `LC_ALL`
    /// over `LC_CTYPE` over `LANG`, an empty one counting as absent. The console of Linux has 256 glyphs and few of ours.
    pub fn detect(ascii: bool, environment: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let term = set("TERM").unwrap_or_default();
        Self {
            colour: set("NO_COLOR").is_none() && term != "dumb",
            unicode: !ascii && utf8 && term != "linux" && term != "dumb",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides() {
        let utf8 = ("LANG", "en_GB.UTF-8");
        for (environment, ascii, colour, unicode) in [
            (vec![utf8, ("TERM", "xterm-256color")], false, true, true),
            (vec![utf8, ("TERM", "xterm-256color")], true, true, false),
            (vec![utf8, ("NO_COLOR", "1")], false, false, true),
            (vec![utf8, ("NO_COLOR", "")], false, true, true),
            (vec![utf8, ("LC_ALL", "C")], false, true, false),
            (vec![("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")], false, true, true),
            (vec![], false, true, false),
            (vec![utf8, ("TERM", "linux")], false, true, false),
            (vec![utf8, ("TERM", "dumb")], false, false, false),
        ] {
            let get = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(Capabilities::detect(ascii, get), Capabilities { colour, unicode }, "{environment:?}");
        }
    }
}
