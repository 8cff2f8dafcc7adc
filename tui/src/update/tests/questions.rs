//! Commands: what is asked before they are sent, and that only a yes sends them.

use quarterdeck_shared::protocol::{Accepted, DeliverRequest, RollbackRequest, SuspendRequest, SyncRequest};
use quarterdeck_shared::snapshot::RunId;

use super::*;
use crate::effect::{Answer, Ask};
use crate::model::act::Act;
use crate::model::diff;
use crate::model::link::Problem;
use crate::model::overlay::Overlay;
use crate::model::toast::Said;

fn sent(effects: &[Effect]) -> Vec<Act> {
    let send = |effect: &Effect| if let Effect::Send(_, send) = effect { Some(send.clone()) } else { None };
    effects.iter().filter_map(send).collect()
}

fn plan(model: &mut Model, ticket: Ticket) {
    let document = diff::document(fixture::diff());
    update(model, Message::Answered(ticket, Ok(Answer::Diff(Box::new(document)))));
}

#[test]
fn a_sync_shows_its_plan_and_waits_for_a_yes() {
    let mut model = console();
    choose(&mut model, "shop");
    let asked = press(&mut model, "S");
    assert!(
        matches!(&asked[..], [Effect::Ask(_, Ask::Diff(id, None))] if *id == fixture::id("shop/prod")),
        "{asked:?}"
    );
    plan(&mut model, tickets(&asked)[0]);
    let Some(Overlay::Confirm(confirm)) = &model.overlay else { panic!("a question is open") };
    assert!(confirm.plan.as_ref().is_some_and(|plan| plan.value.is_some()));
    assert_eq!(sent(&press(&mut model, "y")), [Act::Sync(fixture::id("shop/prod"), SyncRequest::default())]);
    assert!(model.overlay.is_none());
}

#[test]
fn every_other_key_is_a_no() {
    for key in ["n", "N", "enter", "esc", "q", "space", "s", "S", "ctrl-y", "alt-y", "x"] {
        let mut model = console();
        choose(&mut model, "shop");
        let asked = tickets(&press(&mut model, "S"))[0];
        let effects = press(&mut model, key);
        assert_eq!(effects, [Effect::Drop(asked)], "{key}: the plan is not waited for any more, and nothing is sent");
        assert!(model.overlay.is_none(), "{key}");
    }
}

#[test]
fn the_plan_of_a_question_becomes_a_screen() {
    let mut model = console();
    let asked = tickets(&press(&mut model, "S"))[0];
    plan(&mut model, asked);
    assert!(press(&mut model, "d").is_empty(), "it is there already");
    assert_eq!(model.place().name(), "Diff");
    press(&mut model, "esc");
    let asked = press(&mut model, "S d");
    assert!(matches!(&asked[1..], [Effect::Drop(_), Effect::Ask(_, Ask::Diff(_, None))]), "{asked:?}");
}

#[test]
fn a_rollback_is_chosen_confirmed_and_explained() {
    let mut model = console();
    choose(&mut model, "shop");
    let asked = tickets(&press(&mut model, "R"))[0];
    assert_eq!(model.place().name(), "History", "first one chooses to what");
    update(&mut model, Message::Answered(asked, Ok(Answer::History(fixture::syncs()))));
    let asked = press(&mut model, "j j R");
    let commit = fixture::commit('3').to_string();
    assert!(matches!(&asked[..], [Effect::Ask(_, Ask::Diff(_, Some(to)))] if *to == commit), "{asked:?}");
    plan(&mut model, tickets(&asked)[0]);
    assert!(sent(&press(&mut model, "y")).is_empty(), "a reason is asked for first");
    type_in(&mut model, "1.4 loses orders");
    let request =
        RollbackRequest { to: Some(format!("{}-41", fixture::HISTORY)), reason: "1.4 loses orders".to_owned() };
    assert_eq!(sent(&press(&mut model, "enter")), [Act::Rollback(fixture::id("shop/prod"), request)]);
}

#[test]
fn commands_with_words() {
    let deliver = |reference: Option<&str>| DeliverRequest { reference: reference.map(str::to_owned), rebuild: false };
    let shop = || fixture::name("shop");
    for (key, words, send) in [
        ("b", "build-1.4.0", Act::Build(shop(), deliver(Some("build-1.4.0")))),
        ("b", "", Act::Build(shop(), deliver(None))),
        ("p", " main ", Act::Push(shop(), deliver(Some("main")))),
        ("z", "a fire", Act::Suspend(fixture::id("shop/prod"), SuspendRequest { reason: "a fire".to_owned() })),
    ] {
        let mut model = console();
        choose(&mut model, "shop");
        press(&mut model, key);
        type_in(&mut model, words);
        assert_eq!(sent(&press(&mut model, "enter")), [send]);
        press(&mut model, key);
        type_in(&mut model, words);
        assert!(press(&mut model, "esc").is_empty());
    }
}

#[test]
fn what_is_held_is_let_go_after_a_yes() {
    for (key, send) in [("z", Act::Resume(fixture::id("billing/prod"))), ("u", Act::Unpin(fixture::id("billing/prod")))]
    {
        let mut model = console();
        choose(&mut model, "billing");
        assert!(press(&mut model, key).is_empty());
        assert_eq!(sent(&press(&mut model, "y")), [send]);
    }
    let mut model = console();
    choose(&mut model, "ledger");
    press(&mut model, "u");
    assert!(model.overlay.is_none(), "what is not pinned cannot be unpinned");
    assert_eq!(model.toasts.len(), 1);
}

#[test]
fn a_run_that_goes_is_cancelled_and_one_that_ended_is_not() {
    let mut model = console();
    press(&mut model, "2 j");
    assert_eq!(sent(&press(&mut model, "x y")), [Act::Cancel(RunId::new(fixture::HISTORY, 57))]);
    assert!(sent(&press(&mut model, "j x y")).is_empty());
    assert_eq!(model.toasts.len(), 1);
}

#[test]
fn answers_are_told_with_what_to_do() {
    let mut model = console();
    choose(&mut model, "ledger");
    let ticket = tickets(&press(&mut model, "r"))[0];
    let accepted = Accepted {
        message: "polled".to_owned(),
        run: None,
        revision: None,
        after_sync: None,
        tests: None,
        deletion: None,
    };
    update(&mut model, Message::Answered(ticket, Ok(Answer::Accepted(accepted))));
    let ticket = tickets(&press(&mut model, "r"))[0];
    let problem = Problem { message: "refresh of ledger: forbidden".to_owned(), hints: vec!["ask alice".to_owned()] };
    update(&mut model, Message::Answered(ticket, Err(problem)));
    let told: Vec<_> = model.toasts.iter().map(|toast| (toast.said, &*toast.text, &*toast.hints)).collect();
    assert_eq!(
        told,
        [
            (Said::Done, "polled", &[][..]),
            (Said::Problem, "refresh of ledger: forbidden", &["ask alice".to_owned()][..]),
        ]
    );
    update(&mut model, Message::Time(fixture::ago_s(-5)));
    assert_eq!(model.toasts.len(), 1, "what is well is told shorter");
    press(&mut model, "esc");
    assert!(model.toasts.is_empty());
    assert_eq!(model.place().name(), "Applications");
}
