use quarterdeck_shared::application::Code;
use serde_json::json;

use super::*;

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

/// Branches and merge requests as `main:1`; merge requests are numbers.
fn refs(branches: &[&str], merge_requests: Option<&[&str]>) -> RefSnapshot {
    let pair = |text: &&str| {
        let (name, digit) = text.split_once(':').unwrap();
        (name.to_owned(), commit(digit.parse().unwrap()))
    };
    let head = |(number, commit): (String, CommitId)| {
        let name = format!("refs/pull/{number}/head");
        (number.parse().unwrap(), MergeRequestRef { name, commit })
    };
    RefSnapshot {
        branches: branches.iter().map(pair).collect(),
        merge_requests: merge_requests.map(|all| all.iter().map(pair).map(head).collect()),
        ..RefSnapshot::default()
    }
}

fn rules(branches: &[&str], merge_requests: bool, forks: &str) -> HeadRules {
    let code: Code = serde_json::from_value(json!({
        "repository": "/srv/shop", "branches": branches, "merge_requests": merge_requests, "forks": forks,
    }))
    .unwrap();
    HeadRules::new(&code).unwrap()
}

/// The owed heads, a word each: `main`, `7`, `7?` of a fork that waits, `7!` of one that may run.
fn labels(decision: &HeadsDecision) -> Vec<String> {
    let word = |owed: &OwedHead| {
        let sign = match owed.permission {
            None => "",
            Some(Permission::Awaited) => "?",
            Some(Permission::Given) => "!",
        };
        match &owed.head {
            Head::Branch(name) => format!("{name}{sign}"),
            Head::MergeRequest(number) => format!("{number}{sign}"),
        }
    };
    decision.owed.iter().map(word).collect()
}

/// What each listing after another owes.
fn story(rules: &HeadRules, listings: &[RefSnapshot]) -> Vec<Vec<String>> {
    let mut seen = SeenRefs::default();
    let turn = |now: &RefSnapshot| {
        let decision = owed_heads(rules, now, Some(&seen));
        let told = labels(&decision);
        seen = SeenRefs { branches: decision.branches, merge_requests: decision.merge_requests, ..seen.clone() };
        told
    };
    listings.iter().map(turn).collect()
}

#[test]
fn each_new_commit_of_a_wanted_branch_is_owed_and_what_was_there_is_not() {
    let told = story(
        &rules(&["main", "release/*"], false, "ask"),
        &[
            refs(&["main:1", "release/1:2", "feature:3"], None),
            refs(&["main:1", "release/1:2", "feature:4"], None),
            refs(&["main:5", "release/1:2", "release/2:2", "feature:4"], None),
            // A branch that goes and comes back by itself is pushed again: it is new.
            refs(&["main:5", "release/1:2", "feature:4"], None),
            refs(&["main:5", "release/1:2", "release/2:2", "feature:4"], None),
        ],
    );
    assert_eq!(told, [vec![], vec![], vec!["main", "release/2"], vec![], vec!["release/2"]] as [Vec<&str>; 5]);
}

#[test]
fn whose_code_a_merge_request_is_decides_whether_it_may_run() {
    let listings = [
        refs(&["main:1", "fix:2"], Some(&["1:9"])),
        refs(&["main:1", "fix:2"], Some(&["1:9", "2:2", "3:8"])),
        // The branch has the new commit, and a fork has another.
        refs(&["main:1", "fix:3"], Some(&["1:9", "2:3", "3:7"])),
    ];
    for (forks, wanted) in [
        ("ask", [vec![], vec!["2", "3?"], vec!["2", "3?"]] as [Vec<&str>; 3]),
        ("run", [vec![], vec!["2", "3!"], vec!["2", "3!"]]),
        ("never", [vec![], vec!["2"], vec!["2"]]),
    ] {
        assert_eq!(story(&rules(&[], true, forks), &listings), wanted, "{forks}");
    }
    assert_eq!(story(&rules(&[], false, "ask"), &listings).concat(), Vec::<String>::new());
}

/// Hundreds of merge requests that were closed long ago are no news, whenever they come to be listed.
#[test]
fn what_is_listed_for_the_first_time_is_not_owed() {
    let told = story(
        &rules(&["main"], true, "run"),
        &[
            refs(&["main:1"], None),
            refs(&["main:2"], None),
            refs(&["main:2"], Some(&["1:7", "2:8"])),
            refs(&["main:2"], Some(&["1:7", "2:8", "3:9"])),
        ],
    );
    assert_eq!(told, [vec![], vec!["main"], vec![], vec!["3!"]] as [Vec<&str>; 4]);
}

#[test]
fn what_a_listing_lost_and_a_later_one_has_again_is_not_owed() {
    let whole = || refs(&["main:1", "release/1:2", "release/2:3"], Some(&["1:7", "2:8"]));
    let told = story(
        &rules(&["*"], true, "run"),
        &[whole(), refs(&[], Some(&[])), whole(), refs(&["main:1"], Some(&["1:7", "2:8"])), whole()],
    );
    assert_eq!(told.concat(), Vec::<String>::new());
}

#[test]
fn what_is_seen_is_read_as_it_was_written_also_by_who_knew_tags_alone() {
    let before: SeenRefs = serde_json::from_value(json!({"there": {"push-1": commit('1')}})).unwrap();
    assert_eq!((before.tags.there.len(), &before.branches), (1, &None));
    let decision = owed_heads(&rules(&["main"], true, "ask"), &refs(&["main:1"], Some(&["4:2"])), Some(&before));
    let seen = SeenRefs { branches: decision.branches, merge_requests: decision.merge_requests, ..before };
    assert_eq!(serde_json::from_value::<SeenRefs>(serde_json::to_value(&seen).unwrap()).unwrap(), seen);
    let old: Seen = serde_json::from_value(serde_json::to_value(&seen).unwrap()).unwrap();
    assert_eq!(old, seen.tags);
}
