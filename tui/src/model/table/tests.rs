//! Tables that follow a fleet in motion.

use super::*;
use crate::model::fixture;

const LINES: u16 = 5;

/// Applications, each as its environments are.
#[derive(Debug)]
struct All;

impl Lists for All {
    fn lists(&self, object: &Object) -> bool {
        matches!(object, Object::Application(_))
    }

    fn head(&self, fleet: &Store, slot: Slot, object: &Object) -> Option<Slot> {
        match object {
            Object::Environment(environment) => fleet.application_slot(&environment.environment.application),
            _ => Some(slot),
        }
    }

    fn rows(&self, fleet: &Store, slot: Slot, object: &Object, terms: &[Term], rows: &mut Vec<Slot>) {
        let Object::Application(application) = object else { return };
        let environments = fleet.environments(application).filter_map(|(slot, _)| fleet.object(slot));
        let objects: Vec<_> = std::iter::once(object).chain(environments).collect();
        if holds(&objects, terms) {
            rows.push(slot);
        }
    }
}

fn put(fleet: &mut Store, table: &mut Table<All>, name: &str, health: Health) {
    for object in fixture::deployed(name, health) {
        let slot = fleet.put(object.key(), object);
        table.changed(fleet, slot);
    }
    table.keep_selected(fleet, LINES);
}

fn del(fleet: &mut Store, table: &mut Table<All>, name: &str) {
    let slot = fleet.del(&fixture::key(name)).expect("it was there");
    table.changed(fleet, slot);
    table.keep_selected(fleet, LINES);
}

fn names(fleet: &Store, table: &Table<All>) -> Vec<String> {
    let name = |row: &Row| match fleet.object(row.slot) {
        Some(Object::Application(application)) => application.name.to_string(),
        other => panic!("a table of applications holds {other:?}"),
    };
    table.rows().iter().map(name).collect()
}

fn selected(table: &Table<All>) -> &str {
    table.selected.as_ref().map(|key| key.0.trim_start_matches("application/")).unwrap_or_default()
}

fn world(names: &str) -> (Store, Table<All>) {
    let (mut fleet, mut table) = (Store::default(), Table::new(All));
    for name in names.split(' ') {
        put(&mut fleet, &mut table, name, Health::Healthy);
    }
    (fleet, table)
}

#[test]
fn rows_are_in_order_however_they_came() {
    let (fleet, table) = world("m c x a q b");
    assert_eq!(names(&fleet, &table), ["a", "b", "c", "m", "q", "x"]);
}

#[test]
fn the_selection_is_the_object_and_not_its_place() {
    let (mut fleet, mut table) = world("d f h");
    table.select(&fleet, 1, LINES);
    assert_eq!(selected(&table), "f");
    put(&mut fleet, &mut table, "a", Health::Healthy);
    assert_eq!((selected(&table), table.cursor), ("f", 2));
    del(&mut fleet, &mut table, "d");
    assert_eq!((selected(&table), table.cursor), ("f", 1));
    del(&mut fleet, &mut table, "f");
    assert_eq!((selected(&table), table.cursor), ("h", 1), "what took its place is selected");
    del(&mut fleet, &mut table, "h");
    assert_eq!((selected(&table), table.cursor), ("a", 0));
}

#[test]
fn an_object_moves_to_where_it_belongs() {
    let (mut fleet, mut table) = world("a b c");
    table.order = Order::Trouble;
    table.rebuild(&fleet, 80);
    put(&mut fleet, &mut table, "b", Health::Degraded);
    assert_eq!(names(&fleet, &table), ["b", "a", "c"]);
    put(&mut fleet, &mut table, "b", Health::Healthy);
    assert_eq!(names(&fleet, &table), ["a", "b", "c"]);
}

#[test]
fn the_screen_stands_still_around_the_selection() {
    let (mut fleet, mut table) = world("b c d e f g h i j k l m");
    table.select(&fleet, 7, LINES);
    let line = table.cursor - table.top;
    put(&mut fleet, &mut table, "a", Health::Healthy);
    assert_eq!((selected(&table), table.cursor - table.top), ("i", line));
}

#[test]
fn a_filter_holds_for_what_comes_later() {
    let (mut fleet, mut table) = world("shop cart");
    table.filter = "sho".to_owned();
    table.rebuild(&fleet, 80);
    put(&mut fleet, &mut table, "shoes", Health::Healthy);
    put(&mut fleet, &mut table, "coat", Health::Healthy);
    assert_eq!(names(&fleet, &table), ["shoes", "shop"]);
    table.filter = "!healthy".to_owned();
    table.rebuild(&fleet, 80);
    assert_eq!(names(&fleet, &table), Vec::<String>::new());
    put(&mut fleet, &mut table, "cart", Health::Degraded);
    assert_eq!(names(&fleet, &table), ["cart"]);
}

#[test]
fn a_selection_that_a_filter_hides_comes_back_with_it() {
    let (fleet, mut table) = world("a b c");
    table.select(&fleet, 1, LINES);
    table.filter = "zzz".to_owned();
    table.rebuild(&fleet, 80);
    table.keep_selected(&fleet, LINES);
    table.filter.clear();
    table.rebuild(&fleet, 80);
    table.keep_selected(&fleet, LINES);
    assert_eq!((selected(&table), table.cursor), ("b", 1));
}
