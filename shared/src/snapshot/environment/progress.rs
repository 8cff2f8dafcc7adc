//! How far the work on the cluster of an environment is, while there is some.

use serde::{Deserialize, Serialize};

use crate::change::HookMoment;
use crate::resource::{ResourceRef, plural};

/// What is being done to the cluster of an environment right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Progress {
    /// Other environments are synced first: so many run at the same time.
    Queued,
    /// Files of git become manifests.
    Rendering,
    /// Manifests are compared with the cluster.
    Planning {
        /// How many.
        objects: u32,
    },
    /// A plan is executed.
    Applying {
        /// Objects that were written or deleted, and are as their step waits for them.
        done: u32,
        /// Objects to write or delete.
        of: u32,
        /// What was written and is waited for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waiting: Vec<Awaited>,
        /// The hook that runs and is waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<Box<AwaitedHook>>,
    },
    /// All objects are deleted.
    Deleting {
        /// Objects that are gone.
        done: u32,
        /// Objects to delete.
        of: u32,
        /// The hook that runs and is waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<Box<AwaitedHook>>,
    },
    /// The tests of the chart run.
    Testing {
        /// Tests that passed.
        done: u32,
        /// Tests to run.
        of: u32,
        /// The one that runs and is waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<Box<AwaitedHook>>,
    },
}

/// A hook that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedHook {
    /// The object that is run.
    pub resource: ResourceRef,
    /// When in the release it runs.
    pub moment: HookMoment,
    /// How it is: `running: 1 active`.
    pub message: String,
}

/// Objects of a kind that are waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Which.
    pub kind: String,
    /// How many.
    pub count: u32,
}

impl Progress {
    /// `applying 12 of 80, waiting for 9 CRDs`, `applying 0 of 3, waiting for hook Job/migrate (pre-upgrade, weight 0): running: 1 active`.
    pub fn describe(&self) -> String {
        match self {
            Self::Queued => "waiting for other syncs".to_owned(),
            Self::Rendering => "rendering".to_owned(),
            Self::Planning { objects: 1 } => "planning 1 object".to_owned(),
            Self::Planning { objects } => format!("planning {objects} objects"),
            Self::Applying { done, of, waiting, hook } => {
                let hook = hook.iter().map(|hook| hook.describe());
                let waiting: Vec<String> = waiting.iter().map(Awaited::describe).chain(hook).collect();
                let waits = if waiting.is_empty() { "" } else { ", waiting for " };
                format!("applying {done} of {of}{waits}{}", waiting.join(", "))
            }
            Self::Deleting { done, of, hook } => {
                let waits = hook.as_ref().map(|hook| format!(", waiting for {}", hook.describe()));
                format!("deleting {done} of {of}{}", waits.unwrap_or_default())
            }
            Self::Testing { done, of, hook } => {
                let waits = hook.as_ref().map(|hook| format!(", waiting for {}", hook.describe_test()));
                format!("testing {done} of {of}{}", waits.unwrap_or_default())
            }
        }
    }
}

impl Awaited {
    fn describe(&self) -> String {
        let kind = if self.kind == "CustomResourceDefinition" { "CRD" } else { &self.kind };
        if self.count == 1 { format!("1 {kind}") } else { format!("{} {}", self.count, plural(kind)) }
    }
}

impl AwaitedHook {
    fn describe(&self) -> String {
        format!("hook {}: {}", self.moment.describe(&self.resource), self.message)
    }

    /// The same of a test.
    fn describe_test(&self) -> String {
        format!("{}: {}", self.resource.short(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_takes_a_few_words() {
        let applying = |waiting: &[(&str, u32)]| Progress::Applying {
            done: 12,
            of: 80,
            waiting: waiting.iter().map(|(kind, count)| Awaited { kind: (*kind).to_owned(), count: *count }).collect(),
            hook: None,
        };
        let hook = Progress::Applying {
            done: 0,
            of: 3,
            waiting: Vec::new(),
            hook: Some(Box::new(AwaitedHook {
                resource: ResourceRef::new("batch", "Job", Some("shop"), "migrate"),
                moment: HookMoment { phase: "pre-upgrade".to_owned(), weight: 0 },
                message: "running: 1 active".to_owned(),
            })),
        };
        let test = Progress::Testing {
            done: 0,
            of: 2,
            hook: Some(Box::new(AwaitedHook {
                resource: ResourceRef::new("", "Pod", Some("shop"), "probe"),
                moment: HookMoment { phase: "test".to_owned(), weight: 0 },
                message: "running".to_owned(),
            })),
        };
        for (progress, words) in [
            (Progress::Planning { objects: 80 }, "planning 80 objects"),
            (applying(&[]), "applying 12 of 80"),
            (applying(&[("CustomResourceDefinition", 9)]), "applying 12 of 80, waiting for 9 CRDs"),
            (hook, "applying 0 of 3, waiting for hook Job/migrate (pre-upgrade, weight 0): running: 1 active"),
            (applying(&[("Ingress", 2), ("Job", 1)]), "applying 12 of 80, waiting for 2 Ingresses, 1 Job"),
            (Progress::Deleting { done: 1, of: 9, hook: None }, "deleting 1 of 9"),
            (Progress::Testing { done: 1, of: 2, hook: None }, "testing 1 of 2"),
            (test, "testing 0 of 2, waiting for Pod/probe: running"),
        ] {
            assert_eq!(progress.describe(), words);
            let text = serde_json::to_string(&progress).unwrap();
            assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress, "{text}");
        }
    }
}
