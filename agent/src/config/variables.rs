//! `[application.environment.variables]`: what `${name}` in manifests means.

use std::collections::BTreeMap;

use quarterdeck_core::variables::is_name;
use quarterdeck_shared::application::{VariableSource, VariablesSpec};
use serde::Deserialize;

/// The variables as they are written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenVariables {
    values: BTreeMap<String, String>,
    from: Vec<VariableSource>,
    strict: bool,
}

impl Default for WrittenVariables {
    fn default() -> Self {
        Self { values: BTreeMap::new(), from: Vec::new(), strict: true }
    }
}

impl WrittenVariables {
    /// What they mean.
    pub(super) fn read(self) -> VariablesSpec {
        let Self { values, from, strict } = self;
        VariablesSpec { values, from, strict }
    }

    /// Everything that is wrong with them.
    pub(super) fn check(&self, say: &mut impl FnMut(&[&'static str], String)) {
        for name in self.values.keys().filter(|name| !is_name(name)) {
            let rule = "write letters, digits and _, and begin with a letter";
            say(&["variables", "values"], format!("{name:?} is not a valid name of a variable: {rule}"));
        }
        for (place, source) in self.from.iter().enumerate() {
            let VariableSource { kind, name, optional: _ } = source;
            let kind = kind.name();
            if name.is_empty() || name.contains('/') {
                let rule = "write that of one in the environment's namespace";
                say(&["variables", "from"], format!("{name:?} is not a valid name of a {kind}: {rule}"));
            }
            if self.from[..place].iter().any(|other| other.kind.name() == kind && other.name == *name) {
                say(&["variables", "from"], format!("{kind} {name} is named twice: leave out one"));
            }
        }
    }
}
