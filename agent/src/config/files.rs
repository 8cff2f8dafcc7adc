//! Which files are rendered plainly, and what jsonnet is given, as it is written.

use quarterdeck_core::render::selection;
use quarterdeck_shared::application::{FilesSpec, JsonnetSpec, RenderKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::values::{escapes, has_date};

/// Patterns of one environment: each is held against each file.
const PATTERNS_MAX: usize = 1_000;

/// `include` and `exclude` of an environment.
pub(super) fn check(files: &FilesSpec, render: RenderKind, say: &mut impl FnMut(&[&'static str], String)) {
    for (option, patterns) in [("include", &files.include), ("exclude", &files.exclude)] {
        if patterns.is_empty() {
            continue;
        }
        if !matches!(render, RenderKind::Auto | RenderKind::Plain) {
            let message = format!(
                "{option} is for manifests that are rendered plain, and render is not: leave out one of the two"
            );
            say(&[option], message);
        }
        if patterns.len() > PATTERNS_MAX {
            say(&[option], format!("{} patterns are more than {PATTERNS_MAX}: name folders instead", patterns.len()));
        }
        for pattern in patterns {
            if let Some(fault) = selection::fault(pattern) {
                let rule = "write as in a .gitignore in the folder of the manifests, e.g. docs/ or *_test.yaml";
                say(&[option], format!("{pattern:?} is not a valid pattern, {fault}: {rule}"));
            } else if option == "include" && pattern.starts_with('!') {
                say(&[option], format!("{pattern:?} takes nothing back here: write {:?} in exclude", &pattern[1..]));
            }
        }
    }
}

/// `[application.environment.jsonnet]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenJsonnet {
    tla: Map<String, Value>,
    ext: Map<String, Value>,
    pub(super) libs: Vec<String>,
}

impl WrittenJsonnet {
    /// What it means.
    pub(super) fn read(self) -> JsonnetSpec {
        let Self { tla, ext, libs } = self;
        JsonnetSpec { tla, ext, libs }
    }

    /// Everything that is wrong with it.
    pub(super) fn check(&self, render: RenderKind, say: &mut impl FnMut(&[&'static str], String)) {
        if *self != Self::default() && render != RenderKind::Jsonnet {
            say(
                &["jsonnet"],
                "settings of jsonnet, and render is not \"jsonnet\": write it, or leave them out".to_owned(),
            );
        }
        for (option, values) in [("tla", &self.tla), ("ext", &self.ext)] {
            for (name, value) in values {
                // `ext` is looked up by any text, and given to the program as `name=file`.
                let is_valid =
                    if option == "tla" { is_identifier(name) } else { !name.is_empty() && !name.contains('=') };
                if !is_valid {
                    let rule = if option == "tla" {
                        "write letters, digits and _, and begin with no digit"
                    } else {
                        "write it without ="
                    };
                    say(&["jsonnet", option], format!("{name:?} is not a valid name of an argument: {rule}"));
                }
                if has_date(value) {
                    say(
                        &["jsonnet", option],
                        format!("{name} is a date, which jsonnet does not know: write it in quotes"),
                    );
                }
            }
        }
        for lib in self.libs.iter().filter(|lib| lib.is_empty() || escapes(lib)) {
            say(&["jsonnet", "libs"], format!("the folder {lib:?} must be inside the repository"));
        }
    }
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
