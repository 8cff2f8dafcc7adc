//! What a log screen does with what comes in.

use quarterdeck_shared::protocol::LogRecord;

use super::scroll::Room;
use super::*;

const ROOM: Room = Room { columns: 10, lines: 4 };

fn line(at: i64, from: &str, text: &str) -> LogRecord {
    LogRecord::Line { at: Timestamp::from_second(at).ok(), from: from.into(), text: text.into() }
}

fn pods() -> LogScreen {
    let of = "shop/prod".parse().expect("shop/prod is an address");
    LogScreen::new(Source::Pods { of, pod: None, previous: false })
}

fn numbered(count: u64) -> LogScreen {
    let mut log = pods();
    log.take((0..count).map(|n| line(n as i64, "shop-a/app", &n.to_string())).collect());
    log
}

fn texts(log: &LogScreen) -> Vec<String> {
    let text = |shown: &scroll::Shown| log.ring.get(shown.line).map(|line| line.text.to_string()).unwrap_or_default();
    log.shown(ROOM).iter().map(text).collect()
}

#[test]
fn following_shows_the_end() {
    assert_eq!(texts(&pods()), Vec::<String>::new());
    assert_eq!(texts(&numbered(2)), ["0", "1"]);
    assert_eq!(texts(&numbered(9)), ["5", "6", "7", "8"]);
}

#[test]
fn who_scrolls_up_stays_where_they_read() {
    let mut log = numbered(9);
    log.scroll(-2, ROOM);
    assert_eq!(texts(&log), ["3", "4", "5", "6"]);
    log.take((9..21).map(|n| line(n, "shop-a/app", "new")).collect());
    assert_eq!(texts(&log), ["3", "4", "5", "6"]);
    assert_eq!(log.unseen(ROOM), 12);
    log.scroll(100, ROOM);
    assert_eq!(log.position, Position::Follow);
    assert_eq!(log.unseen(ROOM), 0);
}

#[test]
fn scrolling_ends_at_the_oldest_line() {
    let mut log = numbered(9);
    log.scroll(-100, ROOM);
    assert_eq!(texts(&log), ["0", "1", "2", "3"]);
    log.to_top();
    log.scroll(1, ROOM);
    assert_eq!(texts(&log), ["1", "2", "3", "4"]);
}

#[test]
fn broken_lines_scroll_by_their_parts() {
    let mut log = pods();
    log.wrap = true;
    log.take(vec![line(0, "a/c", "short"), line(1, "a/c", &"x".repeat(25)), line(2, "a/c", "last")]);
    let parts: Vec<_> = log.shown(ROOM).iter().map(|s| (s.line, s.part)).collect();
    assert_eq!(parts, [(1, 0), (1, 1), (1, 2), (2, 0)]);
    log.scroll(-1, ROOM);
    let parts: Vec<_> = log.shown(ROOM).iter().map(|s| (s.line, s.part)).collect();
    assert_eq!(parts, [(0, 0), (1, 0), (1, 1), (1, 2)]);
}

#[test]
fn lines_of_one_batch_are_in_order_of_time() {
    let mut log = pods();
    log.take(vec![line(2, "a/c", "second"), line(1, "b/c", "first"), line(3, "a/c", "third")]);
    assert_eq!(texts(&log), ["first", "second", "third"]);
    log.take(vec![
        line(5, "a/c", "five"),
        LogRecord::Gap { lines: Some(7), reason: "slow".into() },
        line(4, "b/c", "four"),
    ]);
    assert_eq!(texts(&log), ["third", "five", "7 lines missing here: slow", "four"], "a gap stays in its place");
}

#[test]
fn names_are_as_short_as_tells_them_apart() {
    let names = |froms: &[&str]| {
        let mut log = pods();
        log.take(froms.iter().map(|from| line(0, from, "x")).collect());
        log.lanes.iter().map(|lane| lane.label.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["shop-7b46-x9k/app", "shop-7b46-p2m/app"]), ["x9k", "p2m"]);
    assert_eq!(names(&["shop-7b46-x9k/app", "shop-7b46-x9k/proxy"]), ["x9k/app", "x9k/proxy"]);
    assert_eq!(names(&["shop-0/app", "cart-0/app"]), ["shop-0", "cart-0"]);
}

#[test]
fn a_stream_is_taken_up_where_it_broke_off() {
    let mut log = numbered(3);
    assert_eq!(log.reopen(2), Resume::Since(Timestamp::from_second(2).expect("a time")));
    log.take(vec![line(2, "shop-a/app", "2"), line(1, "shop-b/app", "of another pod"), line(3, "shop-a/app", "3")]);
    assert_eq!(texts(&log), ["1", "2", "of another pod", "3"], "what is here is not taken twice");
    log.source =
        Source::Run { of: "shop".parse().expect("a name"), run: RunId::new(crate::model::fixture::HISTORY, 7) };
    assert_eq!(log.reopen(3), Resume::After(6));
}

fn of_run(lines: &[&str]) -> LogScreen {
    let run = RunId::new(crate::model::fixture::HISTORY, 7);
    let mut log = LogScreen::new(Source::Run { of: "shop".parse().expect("a name"), run });
    log.take(lines.iter().enumerate().map(|(at, text)| line(at as i64, "build", text)).collect());
    log
}

const BUILD: [&str; 7] =
    ["#1 [1/2] FROM x", "#1 pulling", "#1 DONE 2.0s", "#2 [2/2] RUN y", "#2 one", "#2 two", "#2 ERROR: exit code: 1"];

#[test]
fn a_step_that_is_done_hides_its_lines_and_one_that_failed_does_not() {
    let mut log = of_run(&BUILD);
    assert_eq!(texts(&log), ["#2 [2/2] RUN y", "#2 one", "#2 two", "#2 ERROR: exit code: 1"]);
    log.to_top();
    assert_eq!(texts(&log), ["#1 [1/2] FROM x", "#2 [2/2] RUN y", "#2 one", "#2 two"]);
    log.scroll(1, ROOM);
    assert_eq!(texts(&log)[0], "#2 [2/2] RUN y", "what is hidden is no line to scroll over");
    assert_eq!(log.position, Position::Follow);
    log.fold(5);
    assert_eq!(texts(&log), ["#1 [1/2] FROM x", "#2 [2/2] RUN y"]);
    log.fold_all();
    assert_eq!(texts(&log)[3], "#2 ERROR: exit code: 1", "where all are closed they open");
    log.fold_all();
    assert_eq!(texts(&log), ["#1 [1/2] FROM x", "#2 [2/2] RUN y"]);
}

#[test]
fn who_reads_above_the_end_keeps_the_lines_of_a_step_that_ends() {
    let mut log = of_run(&BUILD[..2]);
    log.to_top();
    log.take(vec![line(3, "build", "#1 DONE 2.0s")]);
    assert_eq!(texts(&log), &BUILD[..3]);
    log.position = Position::At { line: 1, skip: 0, end: 3 };
    log.fold(1);
    assert_eq!(texts(&log), ["#1 [1/2] FROM x"], "the line at the top was hidden: its step is shown");
}

#[test]
fn a_line_that_is_found_comes_out_of_its_step() {
    let mut log = of_run(&BUILD);
    log.show_line(1, ROOM);
    assert_eq!(texts(&log)[..2], ["#1 [1/2] FROM x", "#1 pulling"]);
}

#[test]
fn steps_are_gone_through_from_one_to_the_next() {
    let log = of_run(&BUILD);
    assert_eq!([0, 1, 4].map(|from| log.next_step(from, true)), [Some(0), Some(3), None]);
    assert_eq!([0, 1, 9].map(|from| log.next_step(from, false)), [None, Some(0), Some(3)]);
}

#[test]
fn a_step_whose_first_line_was_let_go_hides_nothing() {
    let mut log = of_run(&["#1 [1/1] RUN yes"]);
    let text = format!("#1 {}", "y".repeat(10_000));
    log.take((0..1_000).map(|at| line(at, "build", &text)).collect());
    log.take(vec![line(1_001, "build", "#1 DONE 9.0s")]);
    assert!(log.ring.first() > 0);
    assert_eq!(texts(&log)[3], "#1 DONE 9.0s");
}

#[test]
fn what_looks_like_a_step_in_the_log_of_a_pod_is_none() {
    let mut log = pods();
    log.take(vec![line(0, "build", "#1 [1/1] FROM x"), line(1, "build", "#1 DONE 1.0s")]);
    assert!(log.steps.is_empty());
}
