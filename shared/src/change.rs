//! Plans: what a sync will do, line by line, and the record of what it did.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::resource::ResourceRef;
use crate::revision::Revision;

/// What a sync does to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is in git and not in the cluster.
    Create,
    /// It is in both and differs.
    Configure,
    /// It is in both and alike.
    Unchanged,
    /// It left git and is ours: delete it.
    Prune,
    /// It is left alone; the reason says why.
    Skip,
}

impl Action {
    /// The sign that stands before a line: `+ ~ = - ·`.
    pub fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Configure => '~',
            Self::Unchanged => '=',
            Self::Prune => '-',
            Self::Skip => '·',
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Configure => "configure",
            Self::Unchanged => "unchanged",
            Self::Prune => "prune",
            Self::Skip => "skip",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One field that differs. Values of Secrets are masked before they get here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// `spec.template.spec.containers[name=shop].image`.
    pub path: String,
    /// In the cluster; absent where the field is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// As git wants it; absent where the field goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Value>,
    /// The field manager that set the live value, where the API server tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub resource: ResourceRef,
    /// What happens to it.
    pub action: Action,
    /// The fields that differ, for [`Action::Configure`]; bounded, see [`Change::MAX_FIELDS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Why, where the action does not say it all: "pruning is off", "no longer in git".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Change {
    /// Fields listed for one object: what a person reads; the full difference is fetched on demand.
    pub const MAX_FIELDS: usize = 50;
}

/// What a sync of an application to a revision will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The revision that it would bring.
    pub revision: Revision,
    /// Every object, in the order in which it is applied; prunes last.
    pub changes: Vec<Change>,
}

impl Plan {
    /// How many lines have this action.
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    /// Whether a sync would write anything.
    pub fn differs(&self) -> bool {
        self.changes.iter().any(|c| matches!(c.action, Action::Create | Action::Configure | Action::Prune))
    }

    /// `2 configure, 1 create, 1 prune, 9 unchanged`; only what is there.
    pub fn summary(&self) -> String {
        summarise(self.changes.iter().map(|change| change.action))
    }
}

/// Counts actions into words: `2 configure, 1 create`; "nothing" for none.
pub fn summarise(actions: impl Iterator<Item = Action> + Clone) -> String {
    let order = [Action::Create, Action::Configure, Action::Prune, Action::Skip, Action::Unchanged];
    let parts: Vec<String> = order
        .into_iter()
        .filter_map(|action| match actions.clone().filter(|a| *a == action).count() {
            0 => None,
            n => Some(format!("{n} {action}")),
        })
        .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_is_there() {
        use Action::*;
        assert_eq!(summarise([].into_iter()), "nothing");
        assert_eq!(summarise([Create, Unchanged, Create, Prune].into_iter()), "2 create, 1 prune, 1 unchanged");
    }
}
