//! CustomResourceDefinition. Its objects can be made once it is established, under names that nobody else has.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{condition, condition_that_is, text};

pub(super) fn assess(object: &Value) -> Verdict {
    names(object).about(text(object, "/spec/names/kind"))
}

fn names(object: &Value) -> Verdict {
    if let Some(refused) = condition_that_is(object, "NamesAccepted", "False") {
        return Verdict::degraded(refused.summary());
    }
    for (kind, bad) in [("NonStructuralSchema", "True"), ("KubernetesAPIApprovalPolicyConformant", "False")] {
        if let Some(wrong) = condition_that_is(object, kind, bad) {
            return Verdict::degraded(wrong.summary());
        }
    }
    if let Some(ending) = condition_that_is(object, "Terminating", "True") {
        return Verdict::progressing(ending.summary());
    }
    match condition(object, "Established") {
        Some(established) if established.is("True") => Verdict::healthy(),
        Some(failed) if failed.is("False") && !matches!(failed.reason(), "Installing" | "") => {
            Verdict::degraded(failed.summary())
        }
        Some(waits) => Verdict::progressing(waits.summary()),
        None => Verdict::progressing("not established yet"),
    }
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn a_definition_is_well_once_its_objects_can_be_made() {
        let accepted = "{type: NamesAccepted, status: 'True', reason: NoConflicts, message: no conflicts found}";
        for (conditions, expected) in [
            (format!("{accepted}, {{type: Established, status: 'True', reason: InitialNamesAccepted}}"), "Healthy [Shop]"),
            (
                "{type: NamesAccepted, status: 'False', reason: ListKindConflict, message: '\"ShopList\" is already in use'}, \
                 {type: Established, status: 'False', reason: NotAccepted, message: not all names are accepted}"
                    .to_owned(),
                "Degraded: ListKindConflict: \"ShopList\" is already in use [Shop]",
            ),
            (
                format!("{accepted}, {{type: Established, status: 'False', reason: Installing, message: the initial names have been accepted}}"),
                "Progressing: Installing: the initial names have been accepted [Shop]",
            ),
            (
                format!("{accepted}, {{type: Established, status: 'True'}}, {{type: Terminating, status: 'True', reason: InstanceDeletionInProgress}}"),
                "Progressing: InstanceDeletionInProgress [Shop]",
            ),
            (
                format!("{accepted}, {{type: Established, status: 'True'}}, {{type: NonStructuralSchema, status: 'True', reason: Violations, message: 'spec.x: Required value'}}"),
                "Degraded: Violations: spec.x: Required value [Shop]",
            ),
            (String::new(), "Progressing: not established yet [Shop]"),
        ] {
            check(
                &format!("{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {{names: {{kind: Shop}}}}, status: {{conditions: [{conditions}]}}}}"),
                expected,
            );
        }
    }
}
