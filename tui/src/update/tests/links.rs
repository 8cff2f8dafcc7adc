//! The agent comes, changes, goes and comes again.

use quarterdeck_shared::event::EventRecord;
use quarterdeck_shared::id::{EventId, Prefix};
use quarterdeck_shared::protocol::WatchRecord;
use quarterdeck_shared::snapshot::Object;
use quarterdeck_shared::status::Health;

use super::*;
use crate::effect::{Answer, Ask};
use crate::model::link::{LinkState, Problem};
use crate::model::log::{Resume, Stream};
use crate::model::toast::Said;
use crate::screen::Place;

fn put(revision: u64, object: Object) -> WatchRecord {
    WatchRecord::Put { revision, key: object.key(), object: Box::new(object) }
}

fn lost() -> LinkMessage {
    LinkMessage::Lost { attempts: 1, problem: Problem { message: "no agent answers".to_owned(), hints: Vec::new() } }
}

#[test]
fn the_last_state_stays_while_the_agent_is_away() {
    let mut model = console();
    tell(&mut model, lost());
    assert!(matches!(model.world.link.state, LinkState::Lost { attempts: 1, .. }));
    assert_eq!(model.world.fleet.applications().count(), fixture::applications().len());
    assert_eq!(press(&mut model, "r"), [Effect::Reconnect], "who does not want to wait need not");
    update(&mut model, Message::Time(fixture::ago_s(-60)));
    tell(&mut model, LinkMessage::Records(Vec::new()));
    assert!(model.world.link.is_live());
    assert_eq!(model.world.link.heard, fixture::ago_s(-60));
}

#[test]
fn changes_go_where_they_belong_and_the_selection_stays() {
    let mut model = console();
    choose(&mut model, "ledger");
    let degraded = fixture::deployed("aardvark", Health::Degraded);
    let key = degraded[0].key();
    let mut records: Vec<_> = degraded.into_iter().map(|object| put(2, object)).collect();
    records.push(WatchRecord::Bookmark { revision: 2 });
    tell(&mut model, LinkMessage::Records(records));
    assert_eq!(subject(&model), "ledger");
    press(&mut model, "g");
    assert_eq!(subject(&model), "a-very-long-application-name-that-goes-on");
    press(&mut model, "j");
    assert_eq!(subject(&model), "aardvark");
    tell(&mut model, LinkMessage::Records(vec![WatchRecord::Del { revision: 3, key }]));
    assert_eq!(subject(&model), "billing");
}

#[test]
fn many_changes_at_once_are_sorted_as_one_by_one() {
    let state = fixture::fleet(40, 2_000);
    let mut at_once = Model::new(fixture::now(), (80, 24), Capabilities::default());
    let mut one_by_one = Model::new(fixture::now(), (80, 24), Capabilities::default());
    for model in [&mut at_once, &mut one_by_one] {
        let mut empty = state.clone();
        empty.objects.clear();
        tell(model, LinkMessage::State(Box::new(empty)));
        press(model, "3");
    }
    let records = || state.objects.values().rev().cloned().enumerate().map(|(n, object)| put(n as u64, object));
    tell(&mut at_once, LinkMessage::Records(records().collect()));
    records().for_each(|record| drop(tell(&mut one_by_one, LinkMessage::Records(vec![record]))));
    let names = |model: &Model| match &model.screen().place {
        Place::Pods(table) => table.rows().iter().filter_map(|row| model.world.fleet.key(row.slot)).cloned().collect(),
        _ => Vec::new(),
    };
    assert_eq!(names(&at_once).len(), 2_000);
    assert_eq!(names(&at_once), names(&one_by_one));
}

#[test]
fn a_log_that_broke_off_is_taken_up_again() {
    let mut model = console();
    let ticket = tickets(&press(&mut model, "l"))[0];
    update(&mut model, Message::Lines(ticket, fixture::lines()));
    tell(&mut model, lost());
    let problem = Problem { message: "the connection broke".to_owned(), hints: Vec::new() };
    update(&mut model, Message::Ended(ticket, Some(problem)));
    let effects = tell(&mut model, LinkMessage::Records(Vec::new()));
    let [Effect::Follow(again, _, Resume::Since(_))] = effects[..] else { panic!("{effects:?}") };
    let count = |model: &Model| match &model.screen().place {
        Place::Logs(log) => (log.ring.end(), log.stream.clone()),
        _ => (0, Stream::Ended),
    };
    let before = count(&model).0;
    update(&mut model, Message::Lines(ticket, fixture::lines()));
    assert_eq!(count(&model), (before, Stream::Opening), "the old stream says nothing any more");
    update(&mut model, Message::Lines(again, fixture::lines()));
    assert_eq!(
        count(&model),
        (before + 2, Stream::Open),
        "of what is here already only what has no time is told again"
    );
}

#[test]
fn what_was_fetched_is_fetched_again_when_it_is_old() {
    let mut model = console();
    choose(&mut model, "shop");
    let ticket = tickets(&press(&mut model, "h"))[0];
    let images = update(&mut model, Message::Answered(ticket, Ok(Answer::History(fixture::syncs()))));
    assert!(matches!(&images[..], [Effect::Ask(_, Ask::Images(_))]), "{images:?}");
    let ticket = tickets(&images)[0];
    assert!(update(&mut model, Message::Answered(ticket, Ok(Answer::Images(Vec::new())))).is_empty());
    let mut shop = fixture::environment("shop/prod", Health::Healthy);
    shop.last_sync = fixture::syncs().into_iter().next();
    let same = put(2, Object::Environment(Box::new(shop.clone())));
    assert!(tell(&mut model, LinkMessage::Records(vec![same])).is_empty(), "its newest sync is known");
    if let Some(sync) = &mut shop.last_sync {
        sync.message = "2 configure, 8 unchanged".to_owned();
    }
    let newer = put(3, Object::Environment(Box::new(shop)));
    let effects = tell(&mut model, LinkMessage::Records(vec![newer.clone()]));
    assert!(matches!(&effects[..], [Effect::AskSoon(_, Ask::History(_))]), "{effects:?}");
    assert!(tell(&mut model, LinkMessage::Records(vec![newer])).is_empty(), "it is asked for already");
}

#[test]
fn older_events_come_when_one_reaches_the_end() {
    let mut model = console();
    let ticket = tickets(&press(&mut model, "4"))[0];
    update(&mut model, Message::Answered(ticket, Ok(Answer::Events(fixture::events()))));
    let effects = press(&mut model, "G");
    let [Effect::Ask(older, Ask::Events(None, Some(before)))] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(before.number, 201);
    update(&mut model, Message::Answered(older, Ok(Answer::Events(Vec::new()))));
    assert!(press(&mut model, "k j").is_empty(), "there are none");
    let Place::Events(screen) = &model.screen().place else { panic!("the events are seen") };
    assert_eq!(screen.records.len(), fixture::events().len());
}

#[test]
fn events_of_a_history_that_was_exchanged_do_not_mix() {
    let mut model = console();
    let ticket = tickets(&press(&mut model, "4"))[0];
    update(&mut model, Message::Answered(ticket, Ok(Answer::Events(fixture::events()))));
    let seen = |model: &Model| {
        let Place::Events(screen) = &model.screen().place else { panic!("the events are seen") };
        screen.records.all.value.iter().flatten().map(|record| record.id).collect::<Vec<_>>()
    };
    let older: Vec<_> = fixture::events().split_off(6);
    let restored = EventRecord { id: EventId::new(Prefix::of(8), 203), ..fixture::events().remove(0) };
    let answer: Vec<EventRecord> = [restored].into_iter().chain(older).collect();
    let ids: Vec<EventId> = answer.iter().map(|record| record.id).collect();
    let ticket = tickets(&press(&mut model, "r"))[0];
    update(&mut model, Message::Answered(ticket, Ok(Answer::Events(answer))));
    assert_eq!(seen(&model), ids, "what the agent does not know any more is not shown");
    let effects = press(&mut model, "G");
    let [Effect::Ask(ticket, Ask::Events(None, Some(_)))] = effects[..] else { panic!("{effects:?}") };
    let oldest = EventRecord { id: EventId::new(fixture::HISTORY, 1), ..fixture::events().remove(0) };
    update(&mut model, Message::Answered(ticket, Ok(Answer::Events(vec![oldest.clone()]))));
    assert_eq!(seen(&model), [&*ids, &[oldest.id]].concat(), "and what it held before the restore is its past");
}

#[test]
fn a_model_can_be_kept_and_read_again() {
    let mut model = console();
    press(&mut model, "s j enter j j /");
    type_in(&mut model, "sh");
    let kept = serde_json::to_string(&model).expect("a model is JSON");
    let mut read: Model = serde_json::from_str(&kept).expect("and JSON is a model");
    let resize = || Message::Resize(80, 24);
    update(&mut read, resize());
    update(&mut model, resize());
    let again = |model: &Model| serde_json::to_value(model).expect("a model is JSON");
    assert_eq!(again(&read), again(&model));
    assert_eq!(press(&mut read, "enter j l").len(), press(&mut model, "enter j l").len());
}

/// An hour back, a day forward.
#[test]
fn a_clock_that_jumps_leaves_no_toast_for_an_hour() {
    let mut model = console();
    for seconds in [3_600, -86_400] {
        model.toast(Said::Note, "done");
        update(&mut model, Message::Time(fixture::ago_s(seconds)));
        assert!(model.toasts.is_empty(), "{:?}", model.toasts);
        // The next one is shown as long as ever.
        model.toast(Said::Note, "again");
        update(&mut model, Message::Time(fixture::ago_s(seconds - 3)));
        assert_eq!(model.toasts.len(), 1);
        update(&mut model, Message::Time(fixture::ago_s(seconds - 5)));
        assert!(model.toasts.is_empty());
    }
}
