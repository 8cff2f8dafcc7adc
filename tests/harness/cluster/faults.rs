//! Faults that a test switches on, and the count of what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A fault: which requests it hits and what happens to them.
///
/// ```ignore
/// cluster.fault(Fault::status(503).on("patch", "deployments.apps").times(2));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    verb: Option<String>,
    resource: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    left: Option<u32>,
    /// What happens.
    pub harm: Harm,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Harm {
    /// It is answered with this status, and this message if there is one.
    Status(u16, Option<String>),
    /// It is answered this much later.
    Slow(Duration),
    /// Its connection closes without an answer; a watch ends.
    Cut,
    /// It is never answered.
    Hang,
    /// It is answered with 403, in the words of a server whose rules do not allow it.
    Forbid,
}

impl Fault {
    fn new(harm: Harm) -> Fault {
        Fault { verb: None, resource: None, name: None, namespace: None, left: None, harm }
    }

    /// Answers with this status.
    pub fn status(code: u16) -> Fault {
        Fault::new(Harm::Status(code, None))
    }

    /// Answers with this status and these words.
    pub fn words(code: u16, message: &str) -> Fault {
        Fault::new(Harm::Status(code, Some(message.to_owned())))
    }

    /// Refuses with 403 and these words, as an admission policy does.
    pub fn refused(message: &str) -> Fault {
        Fault::words(403, message)
    }

    /// Refuses with 403, as a server does whose rules do not allow it, or that did not read its rules yet.
    pub fn forbidden() -> Fault {
        Fault::new(Harm::Forbid)
    }

    /// Answers later.
    pub fn slow(by: Duration) -> Fault {
        Fault::new(Harm::Slow(by))
    }

    /// Closes the connection.
    pub fn cut() -> Fault {
        Fault::new(Harm::Cut)
    }

    /// Never answers.
    pub fn hang() -> Fault {
        Fault::new(Harm::Hang)
    }

    /// Only for this verb (`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`; `*` for all) and resource
    /// (`deployments.apps`, `pods`; `*` for all).
    #[must_use]
    pub fn on(mut self, verb: &str, resource: &str) -> Fault {
        self.verb = (verb != "*").then(|| verb.to_owned());
        self.resource = (resource != "*").then(|| resource.to_owned());
        self
    }

    /// Only for the object of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Fault {
        self.name = Some(name.to_owned());
        self
    }

    /// Only in this namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Fault {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only for the next `n` of these requests.
    #[must_use]
    pub fn times(mut self, n: u32) -> Fault {
        self.left = Some(n);
        self
    }

    fn hits(&self, hit: &Hit) -> bool {
        let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        self.left != Some(0)
            && fits(&self.verb, hit.verb)
            && fits(&self.resource, hit.resource)
            && fits(&self.name, hit.name)
            && fits(&self.namespace, hit.namespace)
    }
}

/// A request as faults and counts see it.
#[derive(Debug, Clone, Copy)]
pub struct Hit<'a> {
    /// `patch`; `get` for what is no resource.
    pub verb: &'a str,
    /// `deployments.apps`, with a subresource behind a slash; the path for what is no resource.
    pub resource: &'a str,
    /// Empty where none is named.
    pub namespace: &'a str,
    /// Empty where none is named.
    pub name: &'a str,
    /// Whether it only pretends to write.
    pub dry_run: bool,
}

impl Hit<'_> {
    /// What a server says to somebody who may not do this.
    pub fn denial(&self) -> String {
        const USER: &str = "system:serviceaccount:quarterdeck:agent";
        let Hit { verb, resource, namespace, name, .. } = self;
        if resource.starts_with('/') {
            return format!("forbidden: User {USER:?} cannot {verb} path {resource:?}");
        }
        let (whole, below) = resource.split_once('/').unwrap_or((resource, ""));
        let (plural, group) = whole.split_once('.').unwrap_or((whole, ""));
        let slash = if below.is_empty() { "" } else { "/" };
        let object = if name.is_empty() { whole.to_owned() } else { format!("{whole} {name:?}") };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {namespace:?}")
        };
        format!(
            "{object} is forbidden: User {USER:?} cannot {verb} resource \"{plural}{slash}{below}\" in API group {group:?} {place}"
        )
    }
}

/// The faults that are on.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Switches one on, beside those that are.
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Switches one off, however often it struck.
    pub fn lift(&mut self, fault: &Fault) {
        let counted = |one: &Fault| Fault { left: None, ..one.clone() };
        self.0.retain(|one| counted(one) != counted(fault));
    }

    /// Switches all off.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether this request would be answered with 403. Uses up nothing.
    pub fn forbids(&self, hit: &Hit) -> bool {
        self.0.iter().any(|fault| fault.hits(hit) && matches!(fault.harm, Harm::Status(403, _) | Harm::Forbid))
    }

    /// What happens to this request; uses up one of a fault's times. A server that is slow for all does what it does to some
    /// all the same.
    pub fn strike(&mut self, hit: &Hit) -> Option<Harm> {
        let is_slow = |fault: &Fault| matches!(fault.harm, Harm::Slow(_));
        let worse = self.0.iter().position(|fault| fault.hits(hit) && !is_slow(fault));
        let at = worse.or_else(|| self.0.iter().position(|fault| fault.hits(hit)))?;
        let fault = &mut self.0[at];
        fault.left = fault.left.map(|left| left - 1);
        let harm = fault.harm.clone();
        self.0.retain(|fault| fault.left != Some(0));
        Some(harm)
    }
}

/// The verbs that write.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// What was asked since the counts were last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By verb and resource: `("patch", "deployments.apps")`.
    pub requests: BTreeMap<(String, String), u64>,
    /// Dry runs among them, by verb and resource.
    pub dry_runs: BTreeMap<(String, String), u64>,
    /// Writes that were meant, by object: `deployments.apps shop/shop`.
    pub written: BTreeMap<String, u64>,
    /// The patches among them.
    pub patched: BTreeMap<String, u64>,
    /// Requests other than watches, by namespace; empty for what is in none.
    pub namespaces: BTreeMap<String, u64>,
    /// Looks whether it is still the same cluster, which are in none of the others: when they come depends on the time.
    pub looks: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers.
    pub bytes_out: u64,
    /// Bearer tokens that were brought, let in or not.
    pub tokens: BTreeSet<String>,
}

impl Counts {
    /// Notes a request.
    pub fn note(&mut self, hit: &Hit) {
        let at = (hit.verb.to_owned(), hit.resource.to_owned());
        *self.requests.entry(at.clone()).or_default() += 1;
        if hit.dry_run {
            *self.dry_runs.entry(at).or_default() += 1;
        } else if WRITES.contains(&hit.verb) {
            let object = format!("{} {}/{}", hit.resource, hit.namespace, hit.name);
            if hit.verb == "patch" {
                *self.patched.entry(object.clone()).or_default() += 1;
            }
            *self.written.entry(object).or_default() += 1;
        }
        if hit.verb != "watch" {
            *self.namespaces.entry(hit.namespace.to_owned()).or_default() += 1;
        }
    }

    fn sum(map: &BTreeMap<(String, String), u64>, verbs: &[&str]) -> u64 {
        map.iter().filter(|((verb, _), _)| verbs.contains(&verb.as_str())).map(|(_, count)| count).sum()
    }

    /// All requests.
    pub fn all(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests of this verb and resource; `*` for all.
    pub fn of(&self, verb: &str, resource: &str) -> u64 {
        let fits = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        self.requests.iter().filter(|((v, r), _)| fits(verb, v) && fits(resource, r)).map(|(_, count)| count).sum()
    }

    /// Gets and lists.
    pub fn reads(&self) -> u64 {
        Counts::sum(&self.requests, &["get", "list"])
    }

    /// Watches opened.
    pub fn watches(&self) -> u64 {
        Counts::sum(&self.requests, &["watch"])
    }

    /// Dry runs.
    pub fn dry_runs(&self) -> u64 {
        self.dry_runs.values().sum()
    }

    /// Writes that were meant.
    pub fn writes(&self) -> u64 {
        Counts::sum(&self.requests, &WRITES) - Counts::sum(&self.dry_runs, &WRITES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_what_it_names_and_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.add(Fault::status(503).on("patch", "deployments.apps").times(2));
        faults.add(Fault::cut().on("*", "pods").named("a"));
        let hit = |verb, resource, name| Hit { verb, resource, namespace: "", name, dry_run: false };
        assert_eq!(faults.strike(&hit("get", "deployments.apps", "x")), None);
        for _ in 0..2 {
            assert_eq!(faults.strike(&hit("patch", "deployments.apps", "x")), Some(Harm::Status(503, None)));
        }
        assert_eq!(faults.strike(&hit("patch", "deployments.apps", "x")), None);
        assert_eq!(faults.strike(&hit("get", "pods", "b")), None);
        assert_eq!(faults.strike(&hit("get", "pods", "a")), Some(Harm::Cut));
        faults.add(Fault::forbidden().on("get", "pods").times(3));
        faults.lift(&Fault::cut().on("*", "pods").named("a"));
        assert_eq!(faults.strike(&hit("get", "pods", "a")), Some(Harm::Forbid));
        faults.lift(&Fault::forbidden().on("get", "pods").times(3));
        assert_eq!(faults.strike(&hit("get", "pods", "a")), None);
    }

    #[test]
    fn a_denial_names_who_may_not_do_what_to_what_and_where() {
        let hit = |verb, resource, namespace, name| Hit { verb, resource, namespace, name, dry_run: false };
        let user = "User \"system:serviceaccount:quarterdeck:agent\" cannot";
        let table = [
            (
                hit("list", "pods", "", ""),
                format!("pods is forbidden: {user} list resource \"pods\" in API group \"\" at the cluster scope"),
            ),
            (
                hit("patch", "deployments.apps", "shop", "web"),
                format!(
                    "deployments.apps \"web\" is forbidden: {user} patch resource \"deployments\" in API group \"apps\" in the namespace \"shop\""
                ),
            ),
            (
                hit("get", "pods/log", "shop", "a"),
                format!(
                    "pods \"a\" is forbidden: {user} get resource \"pods/log\" in API group \"\" in the namespace \"shop\""
                ),
            ),
            (hit("get", "/apis", "", ""), format!("forbidden: {user} get path \"/apis\"")),
        ];
        for (hit, words) in table {
            assert_eq!(hit.denial(), words);
        }
    }

    #[test]
    fn counts() {
        let mut counts = Counts::default();
        let hit = |verb, resource, dry_run| Hit { verb, resource, namespace: "", name: "", dry_run };
        counts.note(&hit("patch", "services", true));
        counts.note(&hit("patch", "services", false));
        counts.note(&hit("list", "pods", false));
        counts.note(&hit("watch", "pods", false));
        assert_eq!((counts.all(), counts.reads(), counts.watches()), (4, 1, 1));
        assert_eq!((counts.writes(), counts.dry_runs(), counts.of("patch", "*")), (1, 1, 2));
        assert_eq!(counts.written, [("services /".to_owned(), 1)].into());
        assert_eq!(counts.namespaces, [(String::new(), 3)].into());
    }
}
