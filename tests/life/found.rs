//! What was found: lives of few steps that went wrong once, each under the name of what was wrong.

use futures::StreamExt as _;

use crate::acts::Step::{self, Breathe, Look, Rest};
use crate::acts::{Agent, Cluster, Files, Forge, Operator, Person};
use crate::things::{App, Thing};
use crate::walk::{PATIENCE, walk};

/// The lives that went wrong once.
fn lives() -> Vec<(&'static str, Vec<Step>)> {
    let (c, p, f, o) = (Step::Cluster, Step::Person, Step::Forge, Step::Operator);
    let (d, a) = (Step::Files, Step::Agent);
    vec![
        ("another cluster is behind the address", vec![c(Cluster::Recreate), Rest]),
        (
            "etcd is set back to before a commit",
            vec![
                c(Cluster::Backup),
                p(Person::Commit(Thing::Chart, 2)),
                p(Person::Give(Thing::Rope)),
                Rest,
                c(Cluster::SetBack),
                Rest,
            ],
        ),
        (
            "a namespace is deleted by hand",
            vec![c(Cluster::DeleteNamespace(App::Tea)), c(Cluster::DeleteNamespace(App::Sea)), Rest],
        ),
        ("the definition is deleted, and what it defines with it", vec![c(Cluster::DeleteDefinition), Rest]),
        (
            "the API server starts and knows no rules yet",
            vec![c(Cluster::Restart(6)), c(Cluster::Delete(Thing::Chart)), c(Cluster::DeletePods), Rest],
        ),
        (
            "watching is forbidden and allowed again",
            vec![c(Cluster::ForbidWatch), Look, c(Cluster::Delete(Thing::Pot)), c(Cluster::Allow), Rest],
        ),
        ("the cluster is away", vec![c(Cluster::Away), Look, c(Cluster::Back), Rest]),
        (
            "the cluster goes, or answers nobody, while the agent starts",
            vec![
                a(Agent::Restart),
                c(Cluster::Away),
                Look,
                c(Cluster::Back),
                Rest,
                c(Cluster::Forbid),
                a(Agent::Restart),
                Look,
                Rest,
            ],
        ),
        (
            "the cluster answers nobody while the agent starts, and an application is suspended",
            vec![o(Operator::Suspend(App::Pier)), c(Cluster::Forbid), a(Agent::Restart), Look, Rest],
        ),
        ("the forge is away", vec![f(Forge::Away), Look, f(Forge::Back), Rest]),
        (
            "the inventory is lost, and an object leaves git while the agent is down",
            vec![
                c(Cluster::DeleteInventory(App::Sea)),
                p(Person::Commit(Thing::Chart, 3)),
                Breathe,
                a(Agent::Leave),
                p(Person::Take(Thing::Log)),
                a(Agent::Start),
                Rest,
            ],
        ),
        (
            "a part of what waits is synced by hand, and something drifts",
            vec![
                p(Person::Take(Thing::Cup)),
                p(Person::Commit(Thing::Leaf, 2)),
                Rest,
                o(Operator::SyncOnly(Thing::Leaf)),
                Rest,
                c(Cluster::Edit(Thing::Pot)),
                Breathe,
                Rest,
            ],
        ),
        (
            "a claim moves to another application",
            vec![p(Person::Move(Thing::Hold)), Rest, p(Person::Move(Thing::Hold)), Rest],
        ),
        (
            "what left git is held by a finalizer",
            vec![c(Cluster::Hold(Thing::Log)), p(Person::Take(Thing::Log)), Breathe, Breathe, Rest],
        ),
        (
            "the agent is killed while tags wait",
            vec![p(Person::TagsAtOnce(6)), Breathe, a(Agent::KillTwice), p(Person::TagPush), a(Agent::Restart), Rest],
        ),
        (
            "an application leaves the configuration while its tags wait, and comes back",
            vec![p(Person::TagsAtOnce(6)), Breathe, o(Operator::Remove(App::Shop)), Breathe, Rest],
        ),
        ("tags of one second", vec![p(Person::TagsAtOnce(8)), p(Person::TagsTied(6)), Rest]),
        (
            "the tags vanish and return",
            vec![p(Person::TagsAtOnce(3)), Rest, f(Forge::TagsVanish), Breathe, f(Forge::TagsReturn), Rest],
        ),
        (
            "a person takes a version back, and the agent loses all it kept",
            vec![p(Person::TagPush), Rest, p(Person::Revert), Rest, d(Files::LoseData), Rest],
        ),
        (
            "the socket is removed, and its folder",
            vec![d(Files::RemoveSocket), Rest, d(Files::RemoveSocketFolder), Rest],
        ),
        ("mirrors are cut short", vec![d(Files::CutPacks), p(Person::Commit(Thing::Chart, 4)), Rest]),
        (
            "an application is held back, and its inventory is lost before the agent dies",
            vec![
                o(Operator::Suspend(App::Shop)),
                p(Person::Commit(Thing::Greeting, 3)),
                c(Cluster::DeleteInventory(App::Shop)),
                Breathe,
                a(Agent::Kill),
                Rest,
            ],
        ),
        (
            "an object left git, its inventory is deleted and the agent loses all it kept",
            vec![
                p(Person::Take(Thing::Leaf)),
                c(Cluster::DeleteInventory(App::Tea)),
                d(Files::LoseData),
                Look,
                o(Operator::Full(App::Tea)),
                Rest,
            ],
        ),
        (
            "an application leaves the configuration, and its neighbour takes over what moved",
            vec![p(Person::Move(Thing::Rope)), o(Operator::Remove(App::Pier)), Breathe, Breathe, Rest],
        ),
        (
            "etcd is set back to before something left git, while the agent stands still",
            vec![
                c(Cluster::Backup),
                p(Person::Take(Thing::Log)),
                p(Person::Take(Thing::Greeting)),
                Breathe,
                Breathe,
                c(Cluster::SetBack),
                a(Agent::Freeze),
                Rest,
            ],
        ),
        ("mirrors are removed", vec![d(Files::RemoveMirrors), p(Person::Commit(Thing::Chart, 5)), Rest]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_once() {
    let only = std::env::var("QD_LIFE_FOUND").unwrap_or_default();
    let wanted = lives().into_iter().filter(|(name, _)| name.contains(&only));
    let lived = futures::stream::iter(wanted).map(|(name, life)| async move {
        let begun = std::time::Instant::now();
        let outcome = walk(&life, PATIENCE).await;
        let how = if outcome.is_ok() { "came right" } else { "went wrong" };
        eprintln!("{name}: {how} in {} s", begun.elapsed().as_secs());
        let told = format!("{name}:\n{}", crate::report(0, &life, &outcome.err()?));
        eprintln!("{told}");
        Some(told)
    });
    let failed: Vec<String> = lived.buffer_unordered(crate::AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
