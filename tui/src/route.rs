//! The paths of the wire, written once. Names and revisions come from people and from git, so each part is escaped: a
//! branch called `a?b` asks for the branch `a?b`.

use std::fmt::Write as _;

use quarterdeck_shared::application::{Address, ApplicationName};
use quarterdeck_shared::id::{EventId, TypedId};
use quarterdeck_shared::protocol::LogQuery;
use quarterdeck_shared::resource::ResourceRef;

/// Who the agent is.
pub const VERSION: &str = "/v1/version";
/// Every object.
pub const STATE: &str = "/v1/state";
/// What is well and what is not, from the agent's place.
pub const DOCTOR: &str = "/v1/doctor";

/// What changed since a revision of the state.
pub fn watch(epoch: &str, since: u64) -> String {
    Path::new("/v1/watch").query("epoch", Some(epoch)).query("since", Some(since)).done()
}

/// Something to do with an application: `build`, `push`, `refresh`.
pub fn application(name: &ApplicationName, what: &str) -> String {
    format!("/v1/applications/{name}/{what}")
}

/// Something of an environment, or something to do with it: `sync`, `rollback`, `suspend`.
pub fn environment(of: &Address, what: &str) -> String {
    format!("/v1/environments/{of}/{what}")
}

/// What a sync would do.
pub fn diff(of: &Address, revision: Option<&str>) -> String {
    Path::new(&environment(of, "diff")).query("revision", revision).done()
}

/// What is rendered for an environment.
pub fn manifests(of: &Address, revision: Option<&str>) -> String {
    Path::new(&environment(of, "manifests")).query("revision", revision).done()
}

/// A live object of an environment.
pub fn object(of: &Address, resource: &ResourceRef) -> String {
    Path::new(&environment(of, "object"))
        .query("group", Some(&resource.group).filter(|group| !group.is_empty()))
        .query("kind", Some(&resource.kind))
        .query("namespace", resource.namespace.as_ref())
        .query("name", Some(&resource.name))
        .done()
}

/// The syncs of an environment, newest first.
pub fn history(of: &Address, limit: usize) -> String {
    Path::new(&environment(of, "history")).query("limit", Some(limit)).done()
}

/// The commits that an environment could be rolled back to, newest first.
pub fn commits(of: &Address, limit: usize) -> String {
    Path::new(&environment(of, "commits")).query("limit", Some(limit)).done()
}

/// The log of an environment's pods.
pub fn pod_log(of: &Address, log: &LogQuery) -> String {
    let LogQuery { pod, container, follow, tail, since_seconds, previous } = log;
    Path::new(&environment(of, "logs"))
        .query("pod", pod.as_ref())
        .query("container", container.as_ref())
        .query("follow", follow.then_some(true))
        .query("tail", *tail)
        .query("since_seconds", *since_seconds)
        .query("previous", previous.then_some(true))
        .done()
}

/// Runs, newest first.
pub fn runs(application: Option<&ApplicationName>, limit: usize) -> String {
    Path::new("/v1/runs").query("application", application).query("limit", Some(limit)).done()
}

/// One run.
pub fn run(id: impl Into<TypedId>) -> String {
    format!("/v1/runs/{}", id.into())
}

/// Stops a run.
pub fn run_cancel(id: impl Into<TypedId>) -> String {
    format!("/v1/runs/{}/cancel", id.into())
}

/// The log of a run.
pub fn run_log(id: impl Into<TypedId>, follow: bool) -> String {
    Path::new(&format!("/v1/runs/{}/log", id.into())).query("follow", follow.then_some(true)).done()
}

/// Events of an application, of an environment or of all, newest first; those before one of them where it is given.
pub fn events(of: Option<&Address>, limit: usize, before: Option<EventId>) -> String {
    Path::new("/v1/events")
        .query("application", of.map(|of| &of.application))
        .query("environment", of.and_then(|of| of.environment.as_ref()))
        .query("limit", Some(limit))
        .query("before", before)
        .done()
}

/// The agent's own log.
pub fn agent_log(follow: bool, tail: Option<u64>) -> String {
    Path::new("/v1/log").query("follow", follow.then_some(true)).query("tail", tail).done()
}

/// A path and its query.
struct Path(String);

impl Path {
    fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.0.push(if self.0.contains('?') { '&' } else { '?' });
            self.0.push_str(name);
            self.0.push('=');
            escape(&value.to_string(), &mut self.0);
        }
        self
    }

    fn done(self) -> String {
        self.0
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986, 2.3.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("a String can always be written to");
        }
    }
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::id::{Prefix, RunId};

    use super::*;

    #[test]
    fn what_people_name_is_escaped() {
        let shop: Address = "shop/qa".parse().unwrap();
        assert_eq!(diff(&shop, None), "/v1/environments/shop/qa/diff");
        assert_eq!(diff(&"shop".parse().unwrap(), None), "/v1/environments/shop/diff");
        assert_eq!(diff(&shop, Some("release/1.x")), "/v1/environments/shop/qa/diff?revision=release%2F1.x");
        assert_eq!(
            diff(&shop, Some("a?b&c=d e+é")),
            "/v1/environments/shop/qa/diff?revision=a%3Fb%26c%3Dd%20e%2B%C3%A9"
        );
        let resource = ResourceRef::new("apps", "Deployment", Some("prod"), "shop");
        assert_eq!(
            object(&shop, &resource),
            "/v1/environments/shop/qa/object?group=apps&kind=Deployment&namespace=prod&name=shop"
        );
        let secret = ResourceRef::new("", "Namespace", None, "shop");
        assert_eq!(object(&shop, &secret), "/v1/environments/shop/qa/object?kind=Namespace&name=shop");
    }

    #[test]
    fn a_query_holds_what_was_asked_and_no_more() {
        let history = Prefix::of(1);
        let shop: Address = "shop/qa".parse().unwrap();
        assert_eq!(watch("e-1", 7), "/v1/watch?epoch=e-1&since=7");
        assert_eq!(pod_log(&shop, &LogQuery::default()), "/v1/environments/shop/qa/logs");
        let log = LogQuery {
            pod: Some("shop-7b46-x9k".to_owned()),
            container: Some("app".to_owned()),
            follow: true,
            tail: Some(10),
            since_seconds: Some(60),
            previous: true,
        };
        assert_eq!(
            pod_log(&shop, &log),
            "/v1/environments/shop/qa/logs?pod=shop-7b46-x9k&container=app&follow=true&tail=10&since_seconds=60&previous=true"
        );
        assert_eq!(events(None, 20, Some(EventId::new(history, 7))), format!("/v1/events?limit=20&before={history}-7"));
        assert_eq!(events(Some(&shop), 20, None), "/v1/events?application=shop&environment=qa&limit=20");
        assert_eq!(runs(Some(&shop.application), 20), "/v1/runs?application=shop&limit=20");
        let typed: TypedId = "17".parse().unwrap();
        assert_eq!(run_log(typed, false), "/v1/runs/17/log");
        assert_eq!(run_cancel(RunId::new(history, 17)), format!("/v1/runs/{history}-17/cancel"));
        assert_eq!(agent_log(true, Some(200)), "/v1/log?follow=true&tail=200");
    }
}
