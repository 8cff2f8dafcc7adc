//! Namespace. One that ends tells what it still waits for; where its end fails (an API that does not answer, say) it
//! stays until somebody helps, and that is Degraded.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{Condition, conditions, text};

pub(super) fn assess(object: &Value) -> Verdict {
    match text(object, "/status/phase") {
        "Active" => Verdict::healthy(),
        "Terminating" => terminating(object),
        _ => Verdict::progressing("not active yet"),
    }
}

fn terminating(object: &Value) -> Verdict {
    let is_failure = |condition: &Condition<'_>| condition.kind().ends_with("Failure");
    let (failures, waits): (Vec<_>, Vec<_>) =
        conditions(object).filter(|condition| condition.is("True")).partition(is_failure);
    let words = |conditions: &[Condition<'_>]| conditions.iter().map(|c| c.message()).collect::<Vec<_>>().join("; ");
    match (failures.as_slice(), waits.as_slice()) {
        ([], []) => Verdict::progressing("it is being deleted"),
        ([], waits) => Verdict::progressing(format!("it is being deleted: {}", words(waits))),
        (failures, _) => Verdict::degraded(format!("it cannot be deleted: {}", words(failures))),
    }
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn the_end_of_a_namespace_is_told() {
        let ending = "phase: Terminating, conditions: [{type: NamespaceDeletionDiscoveryFailure, status: 'False', message: All resources successfully discovered}";
        let remaining = "{type: NamespaceContentRemaining, status: 'True', message: 'Some resources are remaining: pods. has 1 resource instances'}";
        for (metadata, status, expected) in [
            ("", "phase: Active".to_owned(), "Healthy"),
            ("", String::new(), "Progressing: not active yet"),
            ("deletionTimestamp: '2026-01-01T00:00:00Z'", "phase: Active".to_owned(), "Progressing: it is being deleted"),
            ("deletionTimestamp: '2026-01-01T00:00:00Z'", format!("{ending}]"), "Progressing: it is being deleted"),
            (
                "deletionTimestamp: '2026-01-01T00:00:00Z'",
                format!("{ending}, {remaining}]"),
                "Progressing: it is being deleted: Some resources are remaining: pods. has 1 resource instances",
            ),
            (
                "deletionTimestamp: '2026-01-01T00:00:00Z'",
                "phase: Terminating, conditions: [{type: NamespaceDeletionDiscoveryFailure, status: 'True', message: 'Discovery failed for some groups'}]".to_owned(),
                "Degraded: it cannot be deleted: Discovery failed for some groups",
            ),
        ] {
            check(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: a, {metadata}}}, status: {{{status}}}}}"), expected);
        }
    }
}
