//! Rules by kind, as data: expressions in CEL over an object, in the form of Flux's health checks (`inProgress`, `failed`,
//! `current`). Ours are in `rules/*.yaml`, a file a family, each written from the documentation and the definitions of
//! the project that it names. A person adds or replaces rules in the configuration.
//!
//! An object is judged in this order, and the first that holds decides:
//! 1. `suspended`, else the usual ways to stop an object on purpose.
//! 2. A status that is about an older generation is Progressing.
//! 3. `health`, a word for kinds that say how they are; then `in_progress`, `failed`, `current`, in the order of Flux.
//! 4. Where the rule has no `current`, the conventions judge the rest. Else it is Progressing: never Healthy.
//!
//! An expression that meets a field that is absent does not hold, which is what makes a short rule a safe one.

mod expression;
mod functions;
mod shipped;

use std::sync::LazyLock;

use quarterdeck_shared::status::Health;
use serde::Deserialize;
use serde_json::Value;

pub use crate::health::rules::expression::ExpressionError;
use crate::health::rules::expression::{Expression, View};
use crate::health::{Verdict, custom, field};

/// A rule as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// The API group: `cert-manager.io`, `*.example.com` for all groups below it, empty for the core group.
    #[serde(default)]
    pub group: String,
    /// The kinds; `*` for all of the group.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The documentation it was written from.
    #[serde(default)]
    pub source: String,
    /// Its objects have no state: they exist, and that is all.
    #[serde(default)]
    pub stateless: bool,
    /// A word that says how it is, for kinds that say so themselves: `Healthy`, `Degraded`, … Other words decide nothing.
    pub health: Option<String>,
    /// When it is stopped on purpose.
    pub suspended: Option<String>,
    /// When work goes on.
    pub in_progress: Option<String>,
    /// When it fails.
    pub failed: Option<String>,
    /// When it does its work.
    pub current: Option<String>,
    /// A text to show.
    pub message: Option<String>,
}

/// Why a rule cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {source}")]
pub struct RuleError {
    /// The field with the expression.
    pub field: &'static str,
    /// What is wrong, and where.
    pub source: ExpressionError,
}

/// A rule whose expressions can be evaluated.
#[derive(Debug)]
pub(super) struct Rule {
    name: String,
    group: String,
    kinds: Vec<String>,
    stateless: bool,
    health: Option<Expression>,
    suspended: Option<Expression>,
    in_progress: Option<Expression>,
    failed: Option<Expression>,
    current: Option<Expression>,
    message: Option<Expression>,
}

/// All rules: those of the configuration, and those that we ship.
#[derive(Debug, Default)]
pub struct Rules {
    configured: Vec<Rule>,
}

static SHIPPED: LazyLock<Vec<Rule>> = LazyLock::new(shipped::all);
static BUILT_IN: LazyLock<Rules> = LazyLock::new(Rules::default);

impl Rules {
    /// Those that we ship alone.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Those of a configuration before those that we ship. Their expressions are compiled, so that a wrong one is told
    /// before anything is judged by it.
    ///
    /// # Errors
    /// Where an expression is not valid: which rule (counted from 0), field and position.
    pub fn configure(texts: impl IntoIterator<Item = RuleText>) -> Result<Self, (usize, RuleError)> {
        let checked = |(at, text)| {
            let rule = Rule::of(text, "configuration: ");
            rule.check().map(|()| rule).map_err(|error| (at, error))
        };
        Ok(Self { configured: texts.into_iter().enumerate().map(checked).collect::<Result<_, _>>()? })
    }

    pub(super) fn configured(&self, group: &str, kind: &str) -> Option<&Rule> {
        find(&self.configured, group, kind)
    }

    pub(super) fn shipped(&self, group: &str, kind: &str) -> Option<&'static Rule> {
        find(&SHIPPED, group, kind)
    }
}

/// `apps/Deployment`, `Pod`.
pub(super) fn name(group: &str, kind: &str) -> String {
    if group.is_empty() { kind.to_owned() } else { format!("{group}/{kind}") }
}

/// The rule that names the kind, else one for all kinds of the group; a group by name before a pattern.
fn find<'a>(rules: &'a [Rule], group: &str, kind: &str) -> Option<&'a Rule> {
    let rank = |rule: &&Rule| match (rule.group == group, rule.kinds.iter().any(|own| own == kind)) {
        (true, true) => Some(0),
        (false, true) => rule.has_group(group).then_some(1),
        (true, false) => rule.has_all_kinds().then_some(2),
        (false, false) => (rule.has_all_kinds() && rule.has_group(group)).then_some(3),
    };
    rules.iter().filter_map(|rule| Some((rank(&rule)?, rule))).min_by_key(|(rank, _)| *rank).map(|(_, rule)| rule)
}

impl Rule {
    fn of(text: RuleText, from: &str) -> Self {
        let RuleText { group, kinds, source: _, stateless, health, suspended, in_progress, failed, current, message } =
            text;
        let of = |text: Option<String>| text.map(Expression::new);
        Self {
            name: format!("{from}{}", name(&group, &kinds.join(","))),
            health: of(health),
            suspended: of(suspended),
            in_progress: of(in_progress),
            failed: of(failed),
            current: of(current),
            message: of(message),
            group,
            kinds,
            stateless,
        }
    }

    fn check(&self) -> Result<(), RuleError> {
        let fields = [
            ("health", &self.health),
            ("suspended", &self.suspended),
            ("in_progress", &self.in_progress),
            ("failed", &self.failed),
            ("current", &self.current),
            ("message", &self.message),
        ];
        let compile = |(field, expression): (&'static str, &Option<Expression>)| {
            expression.as_ref().map_or(Ok(()), Expression::check).map_err(|source| RuleError { field, source })
        };
        fields.into_iter().try_for_each(compile)
    }

    fn has_group(&self, group: &str) -> bool {
        match self.group.strip_prefix('*') {
            Some(end) => group.ends_with(end),
            None => self.group == group,
        }
    }

    fn has_all_kinds(&self) -> bool {
        self.kinds.iter().any(|kind| kind == "*")
    }

    /// Judges an object of this rule's kind.
    pub(super) fn judge(&self, object: &Value) -> Verdict {
        let kind = field::text(object, "/kind");
        let rule = if self.kinds.len() == 1 && !self.has_all_kinds() {
            self.name.clone()
        } else {
            let from = if self.name.starts_with("configuration: ") { "configuration: " } else { "" };
            format!("{from}{}", name(&self.group, kind))
        };
        self.verdict(object).by(rule)
    }

    fn verdict(&self, object: &Value) -> Verdict {
        if self.stateless {
            return Verdict::healthy();
        }
        let view = View::of(object);
        let holds = |expression: &Option<Expression>| expression.as_ref().is_some_and(|e| e.holds(&view));
        let words = || self.message.as_ref().and_then(|e| e.text(&view)).filter(|text| !text.is_empty());
        let words = |otherwise: &str| words().unwrap_or_else(|| custom::summary(object, otherwise));
        if self.suspended.is_some() && holds(&self.suspended) {
            return Verdict::suspended(words("suspended"));
        }
        if self.suspended.is_none()
            && let Some(why) = custom::paused(object)
        {
            return Verdict::suspended(why);
        }
        if let Some(why) = field::observed_is_stale(object) {
            return Verdict::progressing(why);
        }
        if let Some(health) = self.health.as_ref().and_then(|e| e.text(&view)).and_then(|word| health_of(&word)) {
            let reason = if health == Health::Healthy { String::new() } else { words("") };
            return Verdict::new(health, reason);
        }
        if holds(&self.in_progress) {
            return Verdict::progressing(words("in progress"));
        }
        if holds(&self.failed) {
            return Verdict::degraded(words("failed"));
        }
        match &self.current {
            Some(current) if current.holds(&view) => Verdict::healthy(),
            Some(_) if is_silent(object) => {
                Verdict::progressing("its controller has reported no status yet").waits_for_status()
            }
            Some(_) => Verdict::new(Health::Progressing, words("not ready yet")),
            None => custom::assess(object, Some(true)),
        }
    }
}

fn health_of(word: &str) -> Option<Health> {
    serde_json::from_value(Value::from(word)).ok()
}

fn is_silent(object: &Value) -> bool {
    object.get("status").is_none_or(|status| status.is_null() || status.as_object().is_some_and(|s| s.is_empty()))
}

#[cfg(test)]
mod tests;
