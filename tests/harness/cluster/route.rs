//! What a request asks for, read off its method, path and query. Pure.

use std::collections::HashMap;

/// A request for an object or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// `apps`; empty for the core group.
    pub(super) group: String,
    /// `v1`
    pub(super) version: String,
    /// `deployments`
    pub(super) plural: String,
    /// Empty for all of them, and for kinds without.
    pub(super) namespace: String,
    /// Empty for a list.
    pub(super) name: String,
    /// `status`, `scale`, `log`; empty for the object itself.
    pub(super) subresource: String,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `/version`
    Version,
    /// `/livez`, `/readyz`, `/healthz`
    Health,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/G`
    Group(String),
    /// `/api/v1`, `/apis/G/V`
    Resources {
        /// Empty for the core group.
        group: String,
        /// `v1`
        version: String,
    },
    /// `/openapi/v3` and below it; the rest of the path.
    OpenApi(String),
    /// Below a group's version.
    Target(Target),
    /// Nothing that is served here.
    Nowhere,
}

impl Place {
    /// Reads a path.
    pub(super) fn of(path: &str) -> Place {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts[..] {
            ["version"] => Place::Version,
            ["livez" | "readyz" | "healthz", ..] => Place::Health,
            ["api"] => Place::CoreVersions,
            ["apis"] => Place::Groups,
            ["apis", group] => Place::Group(group.to_owned()),
            ["openapi", "v3", ref rest @ ..] => Place::OpenApi(rest.join("/")),
            ["api", version, ref rest @ ..] => below("", version, rest),
            ["apis", group, version, ref rest @ ..] => below(group, version, rest),
            _ => Place::Nowhere,
        }
    }
}

fn below(group: &str, version: &str, rest: &[&str]) -> Place {
    let (group, version) = (group.to_owned(), version.to_owned());
    let (namespace, rest) = match *rest {
        [] => return Place::Resources { group, version },
        // The namespaces themselves.
        ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, ..] => (namespace, &rest[2..]),
        _ => ("", rest),
    };
    let [plural, more @ ..] = rest else { return Place::Nowhere };
    let (name, subresource) = match *more {
        [] => ("", ""),
        [name] => (name, ""),
        [name, subresource] => (name, subresource),
        _ => return Place::Nowhere,
    };
    Place::Target(Target {
        group,
        version,
        plural: (*plural).to_owned(),
        namespace: decode(namespace),
        name: decode(name),
        subresource: subresource.to_owned(),
    })
}

impl Target {
    /// `deployments.apps`
    pub(super) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The verb of the API for a method here.
    pub(super) fn verb(&self, method: &str, query: &Query) -> &'static str {
        match (method, self.name.is_empty()) {
            ("GET" | "HEAD", _) if query.flag("watch") => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "unknown",
        }
    }
}

/// The parameters behind the question mark. The first of a name counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(HashMap<String, String>);

impl Query {
    /// Reads them.
    pub(super) fn parse(text: &str) -> Query {
        let mut map = HashMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            map.entry(decode(name)).or_insert_with(|| decode(&value.replace('+', " ")));
        }
        Query(map)
    }

    /// The value of a parameter, or nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether a parameter is set and true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| ["", "1", "true"].contains(&value.as_str()))
    }

    /// A parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok()
    }
}

/// Undoes percent encoding.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'%').then(|| bytes.clone().take(2).collect::<Vec<u8>>());
        let value = escaped.as_deref().and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                bytes.nth(1);
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let target = |group: &str, namespace: &str, plural: &str, name: &str, subresource: &str| {
            Place::Target(Target {
                group: group.into(),
                version: "v1".into(),
                plural: plural.into(),
                namespace: namespace.into(),
                name: name.into(),
                subresource: subresource.into(),
            })
        };
        let table = [
            ("/version", Place::Version),
            ("/livez/ping", Place::Health),
            ("/api/v1/", Place::Resources { group: "".into(), version: "v1".into() }),
            ("/api/v1/namespaces/a", target("", "", "namespaces", "a", "")),
            ("/api/v1/namespaces/a/status", target("", "", "namespaces", "a", "status")),
            ("/api/v1/namespaces/a/pods", target("", "a", "pods", "", "")),
            ("/api/v1/namespaces/a/pods/b/log", target("", "a", "pods", "b", "log")),
            ("/apis/apps/v1/deployments", target("apps", "", "deployments", "", "")),
            ("/apis/rbac/v1/namespaces/a/roles/system%3Ax", target("rbac", "a", "roles", "system:x", "")),
            ("/apis/apps/v1/namespaces/a/deployments/b/scale/c", Place::Nowhere),
            ("/metrics", Place::Nowhere),
        ];
        for (path, place) in table {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }

    #[test]
    fn queries() {
        let query = Query::parse("labelSelector=app%3Dweb,b+in+(c)&watch&limit=5&x=%zz");
        assert_eq!(query.get("labelSelector"), "app=web,b in (c)");
        assert!(query.flag("watch") && !query.flag("follow"));
        assert_eq!((query.number("limit"), query.get("x")), (Some(5), "%zz"));
    }
}
