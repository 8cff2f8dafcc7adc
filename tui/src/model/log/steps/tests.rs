use super::*;

/// The steps of lines that come a second after one another, and beside each line the number of its step.
fn taken(lines: &[(&str, &str)]) -> (Steps, String) {
    let mut steps = Steps::default();
    let mut shown = String::new();
    for (number, (from, text)) in lines.iter().enumerate() {
        let at = Timestamp::from_second(number as i64).ok();
        let step = steps.take(number as u64, from, text, at, true);
        shown.push_str(&format!("{step} {text}\n"));
    }
    shown.push_str("---\n");
    for step in steps.iter() {
        let Step { line, name, image, lines, is_closed, .. } = step;
        let closed = if *is_closed { "closed" } else { "open" };
        let of = if image.is_empty() { String::new() } else { format!("{image}: ") };
        shown.push_str(&format!("line {line}, {lines} more, {closed}: {of}{name}: {}\n", step.told()));
    }
    (steps, shown)
}

fn of_build<'t>(lines: &[&'t str]) -> Vec<(&'static str, &'t str)> {
    lines.iter().map(|line| ("build", *line)).collect()
}

#[test]
fn steps_of_buildkit_are_told_apart_where_their_lines_are_mixed() {
    let (_, shown) = taken(&of_build(&[
        "#1 [internal] load build definition from Dockerfile",
        "#1 DONE 0.1s",
        "#2 [1/3] FROM docker.io/library/rust:1",
        "#2 CACHED",
        "#3 [2/3] RUN make",
        "#4 [other 1/1] RUN true",
        "#3 cc -c a.c",
        "#4 DONE 61.4s",
        "#3 cc -c b.c",
        "#4 late words",
        "warning: old style",
        "#3 ERROR: process \"make\" did not complete successfully: exit code: 2",
        "error: building registry.example/ops/shop:1 failed",
    ]));
    insta::assert_snapshot!(shown, @r#"
    1 #1 [internal] load build definition from Dockerfile
    1 #1 DONE 0.1s
    2 #2 [1/3] FROM docker.io/library/rust:1
    2 #2 CACHED
    3 #3 [2/3] RUN make
    4 #4 [other 1/1] RUN true
    3 #3 cc -c a.c
    4 #4 DONE 61.4s
    3 #3 cc -c b.c
    4 #4 late words
    0 warning: old style
    3 #3 ERROR: process "make" did not complete successfully: exit code: 2
    0 error: building registry.example/ops/shop:1 failed
    ---
    line 0, 0 more, closed: [internal] load build definition from Dockerfile: 0.1s
    line 2, 0 more, closed: [1/3] FROM docker.io/library/rust:1: cached
    line 4, 2 more, open: [2/3] RUN make: failed 7.0s
    line 5, 1 more, closed: [other 1/1] RUN true: 1m01s
    "#);
}

#[test]
fn steps_of_the_classic_builder_end_with_the_next() {
    let (_, shown) = taken(&of_build(&[
        "Sending build context",
        "Step 1/3 : FROM busybox",
        " ---> 1f3c2a9b",
        "Step 2/3 : RUN make",
        " ---> Running in 0e5d",
        "Step by step",
        "note: it is a line like others",
        "STEP 3/3: CMD [\"x\"]",
        "Successfully built 1f3c2a9b",
        "Successfully tagged shop:1",
    ]));
    insta::assert_snapshot!(shown, @r#"
    0 Sending build context
    1 Step 1/3 : FROM busybox
    1  ---> 1f3c2a9b
    2 Step 2/3 : RUN make
    2  ---> Running in 0e5d
    2 Step by step
    2 note: it is a line like others
    3 STEP 3/3: CMD ["x"]
    3 Successfully built 1f3c2a9b
    0 Successfully tagged shop:1
    ---
    line 1, 1 more, closed: Step 1/3 : FROM busybox: 2.0s
    line 3, 3 more, closed: Step 2/3 : RUN make: 4.0s
    line 7, 0 more, closed: STEP 3/3: CMD ["x"]: 1.0s
    "#);
}

#[test]
fn images_that_are_built_at_once_have_steps_of_their_own() {
    let (_, shown) = taken(&of_build(&[
        "web: #1 [1/1] FROM x",
        "api: #1 [1/1] FROM y",
        "api: #1 DONE 2.0s",
        "web: #1 words",
        "worker: Step 1/2 : FROM z",
        "worker:  ---> 1f3c",
        "old: #1 [1/1] FROM q",
        "worker: error: it broke",
    ]));
    insta::assert_snapshot!(shown, @r"
    1 web: #1 [1/1] FROM x
    2 api: #1 [1/1] FROM y
    2 api: #1 DONE 2.0s
    1 web: #1 words
    3 worker: Step 1/2 : FROM z
    3 worker:  ---> 1f3c
    4 old: #1 [1/1] FROM q
    3 worker: error: it broke
    ---
    line 0, 1 more, open: web: [1/1] FROM x: 
    line 1, 0 more, closed: api: [1/1] FROM y: 2.0s
    line 4, 1 more, open: worker: Step 1/2 : FROM z: failed 3.0s
    line 6, 0 more, open: old: [1/1] FROM q: 
    ");
}

#[test]
fn a_second_build_counts_anew_and_what_a_stage_leaves_is_stopped() {
    let (_, shown) = taken(&[
        ("checkout", "#1 is of no build"),
        ("build", "#1 [1/1] FROM x"),
        ("build", "#1 DONE 1.0s"),
        ("build", "trying again in 5 s: the engine is unreachable"),
        ("build", "#1 [1/1] FROM x"),
        ("test", "test unit: npm test"),
        ("test", "#1 no step: the words of a test"),
        ("test", "#1 [1/1] RUN npm test"),
        ("test", "#1 DONE"),
        ("push", "#1 [1/1] is of no build"),
    ]);
    insta::assert_snapshot!(shown, @r"
    0 #1 is of no build
    1 #1 [1/1] FROM x
    1 #1 DONE 1.0s
    0 trying again in 5 s: the engine is unreachable
    2 #1 [1/1] FROM x
    0 test unit: npm test
    0 #1 no step: the words of a test
    3 #1 [1/1] RUN npm test
    3 #1 DONE
    0 #1 [1/1] is of no build
    ---
    line 1, 0 more, closed: [1/1] FROM x: 1.0s
    line 4, 0 more, open: [1/1] FROM x: stopped 1.0s
    line 7, 0 more, closed: [1/1] RUN npm test: 1.0s
    ");
}

#[test]
fn more_steps_than_are_told_apart_are_lines_of_none() {
    let mut steps = Steps::default();
    for number in 1..=STEPS_MAX + 10 {
        steps.take(number as u64, "build", &format!("#{number} [1/1] RUN x"), None, true);
    }
    assert_eq!(steps.iter().count(), STEPS_MAX);
    assert_eq!(steps.take(0, "build", &format!("#{} words", STEPS_MAX + 3), None, true), 0);
    assert_eq!(usize::from(steps.take(0, "build", &format!("#{STEPS_MAX} words"), None, true)), STEPS_MAX);
}
