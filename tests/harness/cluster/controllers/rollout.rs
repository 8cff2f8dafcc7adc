//! How a Deployment's ReplicaSets grow and shrink during a rollout. Pure.

use serde_json::Value;

use crate::cluster::store::{number, text};

/// What the planner needs to know of one ReplicaSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    /// `spec.replicas`
    pub wanted: i64,
    /// `status.availableReplicas`
    pub available: i64,
    /// Pods that it still has.
    pub present: i64,
}

impl Set {
    /// Reads it off a ReplicaSet.
    pub(super) fn of(set: &Value) -> Set {
        Set {
            wanted: number(set, "/spec/replicas").unwrap_or(0),
            available: number(set, "/status/availableReplicas").unwrap_or(0),
            present: number(set, "/status/replicas").unwrap_or(0),
        }
    }
}

/// How far a rollout may stray from the number asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slack {
    /// Pods above it.
    pub surge: i64,
    /// Pods missing from it.
    pub unavailable: i64,
    /// All old pods go before a new one comes.
    pub recreate: bool,
}

impl Slack {
    /// Reads it off a Deployment.
    pub(super) fn of(deployment: &Value, wanted: i64) -> Slack {
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            return Slack { surge: 0, unavailable: 0, recreate: true };
        }
        let part = |name: &str, up: bool| {
            let given = deployment.pointer(&format!("/spec/strategy/rollingUpdate/{name}"));
            amount(given.unwrap_or(&Value::Null), wanted, up)
        };
        match (part("maxSurge", true), part("maxUnavailable", false)) {
            (0, 0) => Slack { surge: 0, unavailable: 1, recreate: false },
            (surge, unavailable) => Slack { surge, unavailable: unavailable.min(wanted), recreate: false },
        }
    }
}

/// A number, or a share of `whole` in percent.
pub(super) fn amount(given: &Value, whole: i64, up: bool) -> i64 {
    let share = |percent: i64| if up { (whole * percent + 99) / 100 } else { whole * percent / 100 };
    match given {
        Value::String(text) => match text.strip_suffix('%') {
            Some(percent) => percent.parse().map_or(0, share),
            None => text.parse().unwrap_or(0),
        },
        other => other.as_i64().unwrap_or(0),
    }
}

/// The numbers that the new ReplicaSet and the old ones (oldest first) are to have next.
pub(super) fn step(wanted: i64, slack: Slack, new: Set, old: &[Set]) -> (i64, Vec<i64>) {
    let mut after: Vec<i64> = old.iter().map(|set| set.wanted).collect();
    if slack.recreate {
        let gone = old.iter().all(|set| set.wanted == 0 && set.present == 0);
        return (if gone { wanted } else { new.wanted.min(wanted) }, vec![0; old.len()]);
    }
    let total = new.wanted + after.iter().sum::<i64>();
    let room = (wanted + slack.surge - total).max(0);
    let grown = if new.wanted > wanted { wanted } else { new.wanted + room.min(wanted - new.wanted) };
    if grown != new.wanted {
        return (grown, after); // one thing at a time
    }
    let least = wanted - slack.unavailable;
    let mut spare = (total - least - (new.wanted - new.available).max(0)).max(0);
    // Pods that do not serve anyway go first.
    for (after, set) in after.iter_mut().zip(old) {
        let idle = (set.wanted - set.available).clamp(0, spare);
        *after -= idle;
        spare -= idle;
    }
    let serving = new.available + old.iter().zip(&after).map(|(set, after)| set.available.min(*after)).sum::<i64>();
    let mut spare = spare.min((serving - least).max(0));
    for after in &mut after {
        let less = (*after).clamp(0, spare);
        *after -= less;
        spare -= less;
    }
    (grown, after)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(wanted: i64, available: i64) -> Set {
        Set { wanted, available, present: wanted }
    }

    #[test]
    fn percents_round_up_for_more_and_down_for_less() {
        for (given, whole, up, down) in [(json!("25%"), 3, 1, 0), (json!("25%"), 10, 3, 2), (json!(2), 10, 2, 2)] {
            assert_eq!((amount(&given, whole, true), amount(&given, whole, false)), (up, down));
        }
    }

    #[test]
    fn a_rollout_goes_step_by_step() {
        let slack = Slack { surge: 1, unavailable: 0, recreate: false };
        let table = [
            // new, old -> new, old
            (set(0, 0), set(3, 3), 1, 3),
            (set(1, 0), set(3, 3), 1, 3),
            (set(1, 1), set(3, 3), 1, 2),
            (set(1, 1), set(2, 2), 2, 2),
            (set(3, 3), set(1, 1), 3, 0),
            (set(3, 3), set(0, 0), 3, 0),
        ];
        for (new, old, grown, shrunk) in table {
            assert_eq!(step(3, slack, new, &[old]), (grown, vec![shrunk]), "{new:?} {old:?}");
        }
    }

    #[test]
    fn a_broken_new_version_does_not_take_the_old_one_down() {
        let slack = Slack { surge: 1, unavailable: 1, recreate: false };
        assert_eq!(step(4, slack, set(2, 0), &[set(3, 3)]), (2, vec![3]));
        assert_eq!(step(4, slack, set(2, 0), &[set(1, 0), set(3, 3)]), (2, vec![0, 3]));
    }

    #[test]
    fn recreate_waits_until_the_old_pods_are_gone() {
        let slack = Slack { surge: 0, unavailable: 0, recreate: true };
        assert_eq!(step(2, slack, set(0, 0), &[set(2, 2)]), (0, vec![0]));
        let leaving = Set { wanted: 0, available: 0, present: 1 };
        assert_eq!(step(2, slack, set(0, 0), &[leaving]), (0, vec![0]));
        assert_eq!(step(2, slack, set(0, 0), &[set(0, 0)]), (2, vec![0]));
    }
}
