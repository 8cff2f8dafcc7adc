//! What a test came to: by its exit code and by what its reports count. Pure.

use quarterdeck_shared::application::{ContainerLimits, TestName};
use quarterdeck_shared::error::chain;
use quarterdeck_shared::snapshot::TestResult;
use quarterdeck_shared::status::Phase;

use quarterdeck_container::engine::BuildError;
use quarterdeck_container::engine::testing::TestOutcome;
use quarterdeck_core::junit::{self, Case, Outcome};
use quarterdeck_core::output::{Mask, one_line};

/// This image passed it before.
pub(super) fn passed_before(name: &TestName) -> TestResult {
    TestResult { name: name.clone(), phase: Phase::Skipped, message: "passed before".to_owned(), cases: None }
}

/// Of a stage of the Dockerfile that was built, or could not be.
pub(super) fn of_target(name: &TestName, target: &str, failed: Option<&BuildError>) -> TestResult {
    let (phase, message) = match failed {
        None => (Phase::Succeeded, format!("stage {target} was built")),
        Some(error) => (Phase::Failed, chain(error)),
    };
    TestResult { name: name.clone(), phase, message, cases: None }
}

/// Of a command, with lines for the log of the run. It passed where it exits with 0 and its reports name no case that failed:
/// a runner whose exit code is lost in a pipe does not lie so.
pub(super) fn of_command(name: &TestName, outcome: &TestOutcome, limits: ContainerLimits) -> (TestResult, Vec<String>) {
    let (mut cases, mut lines) = (Vec::new(), Vec::new());
    for report in &outcome.reports {
        match junit::cases(&report.bytes) {
            Ok(more) => cases.extend(more),
            Err(error) => lines.push(format!("warning: {} is not read: {}", report.path, chain(&error))),
        }
    }
    // What the process keeps secret is masked by every mask.
    let mask = Mask::default();
    cases.iter().for_each(|case| tell(case, &mask, &mut lines));
    let counted = (!cases.is_empty()).then(|| junit::count(&cases, &mask));
    let told = counted.as_ref().map(|cases| cases.describe());
    let failed = counted.as_ref().is_some_and(|cases| cases.failed > 0);
    let (phase, message) = match (outcome.exit_code, told) {
        (0, None) => (Phase::Succeeded, "passed".to_owned()),
        (0, Some(told)) if !failed => (Phase::Succeeded, told),
        (0, Some(told)) => (Phase::Failed, format!("{told}, although it exits with 0")),
        _ if outcome.out_of_memory => {
            let mebibytes = limits.memory_bytes >> 20;
            (Phase::Failed, format!("it needed more than its {mebibytes} MiB of memory (memory_bytes)"))
        }
        (_, Some(told)) if failed => (Phase::Failed, told),
        (code, Some(told)) => (Phase::Failed, format!("exit code {code}, with {told}")),
        (code, None) => (Phase::Failed, format!("exit code {code}")),
    };
    (TestResult { name: name.clone(), phase, message, cases: counted }, lines)
}

/// A case that failed, with what it wrote.
fn tell(case: &Case, mask: &Mask, lines: &mut Vec<String>) {
    let Outcome::Failed { message, output } = &case.outcome else { return };
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    lines.push(one_line(mask, &format!("failed: {}{message}", case.name)));
    let written = output.lines().filter(|line| !line.trim().is_empty());
    lines.extend(written.map(|line| format!("    {}", one_line(mask, line))));
}

#[cfg(test)]
mod tests {
    use quarterdeck_container::engine::testing::ReportFile;

    use super::*;

    const ONE_OF_TWO: &str = "<testsuite><testcase name='adds'/><testcase classname='cart' name='pays'>\
         <failure message='3 is not 4'>at cart.rs:7\n\nin pays</failure></testcase></testsuite>";

    fn told(exit_code: i64, out_of_memory: bool, reports: &[&str]) -> (Phase, String, Vec<String>) {
        let report = |text: &&str| ReportFile { path: "/r/a.xml".to_owned(), bytes: text.as_bytes().to_vec() };
        let outcome = TestOutcome { exit_code, out_of_memory, reports: reports.iter().map(report).collect() };
        let limits = ContainerLimits { memory_bytes: 64 << 20, processes: 10 };
        let (result, lines) = of_command(&"unit".parse().unwrap(), &outcome, limits);
        (result.phase, result.message, lines)
    }

    #[test]
    fn exit_code_and_reports_both_have_to_be_right() {
        let good = "<testsuite><testcase name='adds'/><testcase name='later'><skipped/></testcase></testsuite>";
        for (code, memory, reports, phase, message) in [
            (0, false, &[][..], Phase::Succeeded, "passed"),
            (0, false, &[good], Phase::Succeeded, "1 passed, 1 skipped"),
            (0, false, &[good, ONE_OF_TWO], Phase::Failed, "1 of 3 failed, 1 skipped, although it exits with 0"),
            (1, false, &[ONE_OF_TWO], Phase::Failed, "1 of 2 failed"),
            (2, false, &[good], Phase::Failed, "exit code 2, with 1 passed, 1 skipped"),
            (127, false, &[], Phase::Failed, "exit code 127"),
            (137, true, &[], Phase::Failed, "it needed more than its 64 MiB of memory (memory_bytes)"),
        ] {
            let (found, text, _) = told(code, memory, reports);
            assert_eq!((found, &*text), (phase, message));
        }
    }

    #[test]
    fn what_failed_is_told_with_its_output_and_a_bad_report_by_its_name() {
        let (_, _, lines) = told(1, false, &[ONE_OF_TWO, "ok 1 - adds"]);
        assert_eq!(lines[0], "warning: /r/a.xml is not read: it is not valid XML: unknown token at 1:1");
        assert_eq!(lines[1..], ["failed: cart pays: 3 is not 4", "    at cart.rs:7", "    in pays"]);
    }
}
