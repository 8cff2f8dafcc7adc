//! The path of a route, made of what the route is about and of its query.

use std::fmt::Display;

use serde::Serialize;

use crate::application::{Address, ApplicationName};
use crate::id::TypedId;
use crate::routes::{Route, Row};

/// What a route is about.
pub trait Subject {
    /// Where a path has it.
    const PLACE: &'static str;
}

/// The agent itself.
impl Subject for () {
    const PLACE: &'static str = "";
}

impl Subject for Address {
    const PLACE: &'static str = "{address}";
}

impl Subject for ApplicationName {
    const PLACE: &'static str = "{application}";
}

impl Subject for TypedId {
    const PLACE: &'static str = "{id}";
}

impl Route {
    /// The path of a route that is about the agent and has no query.
    pub const fn path(&self) -> &'static str {
        self.row.path
    }
}

impl<Query: Serialize> Route<(), Query> {
    /// The path with a query.
    pub fn with(&self, query: &Query) -> String {
        with_query(self.row.path, query)
    }
}

impl<Of: Subject + Display> Route<Of> {
    /// The path about one subject.
    pub fn of(&self, subject: &Of) -> String {
        about(self.row, subject)
    }
}

impl<Of: Subject + Display, Query: Serialize> Route<Of, Query> {
    /// The path about one subject, with a query.
    pub fn of_with(&self, subject: &Of, query: &Query) -> String {
        with_query(&about(self.row, subject), query)
    }
}

/// Names and ids have no character that a path would have to escape.
fn about(row: Row, subject: &impl Display) -> String {
    row.path.replace(row.place, &subject.to_string())
}

/// A query comes from people and from git, so each part is escaped: a branch called `a?b` asks for the branch `a?b`.
fn with_query(path: &str, query: &impl Serialize) -> String {
    let query = serde_urlencoded::to_string(query).expect("a query has names, numbers and switches alone");
    // Forms write a space as `+`; everything else understands `%20` as well. A `+` of the value is `%2B` here.
    let query = query.replace('+', "%20");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::id::{EventId, Prefix, RunId};
    use crate::queries::{AtRevision, EventsQuery, Limit, LogOptions, LogQuery, RunsQuery, WatchQuery};
    use crate::resource::ResourceRef;
    use crate::routes::{AGENT_LOG, CANCEL, DIFF, EVENTS, OBJECT, POD_LOG, RUN_LOG, RUNS, WATCH};

    #[test]
    fn what_people_name_is_escaped() {
        let shop: Address = "shop/qa".parse().unwrap();
        let at = |revision: &str| AtRevision { revision: Some(revision.to_owned()) };
        assert_eq!(DIFF.of_with(&shop, &AtRevision::default()), "/v1/environments/shop/qa/diff");
        let only = "shop".parse().unwrap();
        assert_eq!(DIFF.of_with(&only, &AtRevision::default()), "/v1/environments/shop/diff");
        assert_eq!(DIFF.of_with(&shop, &at("release/1.x")), "/v1/environments/shop/qa/diff?revision=release%2F1.x");
        assert_eq!(
            DIFF.of_with(&shop, &at("a?b&c=d e+é")),
            "/v1/environments/shop/qa/diff?revision=a%3Fb%26c%3Dd%20e%2B%C3%A9"
        );
        let resource = ResourceRef::new("apps", "Deployment", Some("prod"), "shop");
        assert_eq!(
            OBJECT.of_with(&shop, &resource),
            "/v1/environments/shop/qa/object?group=apps&kind=Deployment&namespace=prod&name=shop"
        );
        let namespace = ResourceRef::new("", "Namespace", None, "shop");
        assert_eq!(OBJECT.of_with(&shop, &namespace), "/v1/environments/shop/qa/object?kind=Namespace&name=shop");
    }

    #[test]
    fn a_query_holds_what_was_asked_and_no_more() {
        let history = Prefix::of(1);
        let shop: Address = "shop/qa".parse().unwrap();
        let since = WatchQuery { epoch: Some("e-1".to_owned()), since: 7 };
        assert_eq!(WATCH.with(&since), "/v1/watch?epoch=e-1&since=7");
        assert_eq!(POD_LOG.of_with(&shop, &LogQuery::default()), "/v1/environments/shop/qa/logs");
        assert_eq!(
            POD_LOG.of_with(&shop, &every_line()),
            "/v1/environments/shop/qa/logs?pod=shop-7b46-x9k&container=app&follow=true&tail=10&since_seconds=60&previous=true"
        );
        let before = Some(EventId::new(history, 7).into());
        let events = EventsQuery { limit: Some(20), before, ..EventsQuery::about(None) };
        assert_eq!(EVENTS.with(&events), format!("/v1/events?limit=20&before={history}-7"));
        let events = EventsQuery { limit: Some(20), ..EventsQuery::about(Some(shop.clone())) };
        assert_eq!(EVENTS.with(&events), "/v1/events?application=shop&environment=qa&limit=20");
        let typed: TypedId = "17".parse().unwrap();
        let runs = RunsQuery { application: Some(shop.application), limit: Some(20), before: Some(typed) };
        assert_eq!(RUNS.with(&runs), "/v1/runs?application=shop&limit=20&before=17");
        assert_eq!(RUN_LOG.of_with(&typed, &LogOptions::default()), "/v1/runs/17/log");
        assert_eq!(CANCEL.of(&RunId::new(history, 17).into()), format!("/v1/runs/{history}-17/cancel"));
        let log = LogOptions { follow: true, tail: Some(200) };
        assert_eq!(AGENT_LOG.with(&log), "/v1/log?follow=true&tail=200");
    }

    #[test]
    fn a_query_is_read_as_it_was_written() {
        fn check<Query: Serialize + DeserializeOwned + PartialEq + Debug>(query: &Query) {
            let path = with_query("", query);
            let read: Query = serde_urlencoded::from_str(path.trim_start_matches('?')).unwrap();
            assert_eq!(read, *query, "{path}");
        }
        check(&AtRevision::default());
        check(&AtRevision { revision: Some("a?b&c=d e+é~*%".to_owned()) });
        check(&ResourceRef::new("apps", "Deployment", Some("prod"), "shop"));
        check(&ResourceRef::new("", "Namespace", None, "shop"));
        check(&Limit { limit: Some(20) });
        let before = Some("k7x2m-12".parse().unwrap());
        check(&RunsQuery { application: Some("shop".parse().unwrap()), limit: Some(20), before });
        check(&EventsQuery { limit: Some(20), before, ..EventsQuery::about(Some("shop/qa".parse().unwrap())) });
        check(&WatchQuery { epoch: Some("e-1".to_owned()), since: 7 });
        check(&LogQuery::default());
        check(&every_line());
        check(&LogOptions { follow: true, tail: Some(200) });
    }

    fn every_line() -> LogQuery {
        LogQuery {
            pod: Some("shop-7b46-x9k".to_owned()),
            container: Some("app".to_owned()),
            follow: true,
            tail: Some(10),
            since_seconds: Some(60),
            previous: true,
        }
    }
}
