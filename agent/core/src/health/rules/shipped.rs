//! The rules that we ship: one file a family, with its cases beside them.

use crate::health::rules::{Rule, RuleText};

macro_rules! families {
    ($($name:literal),* $(,)?) => {
        const RULES: &[(&str, &str)] = &[$(($name, include_str!(concat!($name, ".yaml")))),*];
        /// States of objects and what they should be called, by the family of their rules.
        #[cfg(test)]
        pub(super) const CASES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../cases/", $name, ".yaml")))),*];
    };
}

families!["argo", "delivery", "security", "cloud", "cluster", "network", "data", "workloads"];

/// All of them. A file that does not read is a fault of this build, which the tests find.
pub(super) fn all() -> Vec<Rule> {
    texts().into_iter().map(|text| Rule::of(text, "")).collect()
}

/// All of them, as they are written.
pub(super) fn texts() -> Vec<RuleText> {
    RULES.iter().flat_map(|(name, text)| read(name, text)).collect()
}

/// The rules of one file. A rule without a source is written from that of the rule before it.
fn read(name: &str, text: &str) -> Vec<RuleText> {
    let documents = crate::yaml::parse(text.as_bytes()).unwrap_or_else(|error| panic!("rules/{name}.yaml: {error}"));
    let mut rules: Vec<RuleText> = Vec::new();
    for document in documents {
        let more = serde_json::from_value(document.value);
        rules.extend::<Vec<_>>(more.unwrap_or_else(|error| panic!("rules/{name}.yaml: {error}")));
    }
    let mut source = String::new();
    for rule in &mut rules {
        if rule.source.is_empty() {
            rule.source.clone_from(&source);
        }
        source.clone_from(&rule.source);
    }
    rules
}
