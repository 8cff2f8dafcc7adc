//! The kubeconfig: which files it is, which of its contexts is meant, and what that says of server and user.
//!
//! Files and merging are kubectl's. What is missing is told by its name and with what is there instead, since a context
//! that is spelled wrong is the commonest trouble of all.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kube::config::{AuthInfo, Cluster, Kubeconfig};

use crate::config::{CURRENT_CONTEXT, ClusterConfig};

/// A way into a cluster, as one context tells it.
pub(super) struct Way {
    /// Where the server is, and how it is known.
    pub(super) cluster: Cluster,
    /// Who we are to it.
    pub(super) user: AuthInfo,
    /// Every file that it came from; one that changes makes another way.
    pub(super) files: Vec<Seen>,
}

/// A file as it was before it was read: what is written while a credential program runs is a change.
pub(super) struct Seen {
    path: PathBuf,
    stamp: Option<(SystemTime, u64)>,
}

impl Seen {
    pub(super) fn now(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { stamp: stamp_of(&path), path }
    }

    /// Whether it is another now; one that is gone is not.
    pub(super) fn has_changed(&self) -> bool {
        stamp_of(&self.path).is_some_and(|stamp| Some(stamp) != self.stamp)
    }
}

fn stamp_of(path: &Path) -> Option<(SystemTime, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

/// Reads the files, and finds the context that a cluster means.
///
/// # Errors
/// In words: what is missing or wrong, and in which file.
pub(super) fn way(config: &ClusterConfig) -> Result<Way, String> {
    let paths = paths(config);
    let mut files: Vec<Seen> = paths.iter().map(Seen::now).collect();
    let kubeconfig = read(&paths)?;
    let (cluster, user) =
        chosen(config, &kubeconfig).map_err(|words| format!("kubeconfig {}: {words}", list(&paths)))?;
    let named = [&cluster.certificate_authority, &user.client_certificate, &user.client_key, &user.token_file];
    files.extend(named.into_iter().flatten().map(Seen::now));
    Ok(Way { cluster, user, files })
}

fn paths(config: &ClusterConfig) -> Vec<PathBuf> {
    if let Some(path) = &config.kubeconfig {
        return vec![path.clone()];
    }
    if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        return std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect();
    }
    std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect()
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "~/.kube/config".to_owned() } else { paths.join(", ") }
}

/// As kubectl reads a list: files that are not there are passed over, unless none is.
fn read(paths: &[PathBuf]) -> Result<Kubeconfig, String> {
    let mut merged: Option<Kubeconfig> = None;
    let mut current: Option<String> = None;
    for path in paths.iter().filter(|path| path.exists()) {
        let bad = |error: kube::config::KubeconfigError| format!("kubeconfig {}: {error}", path.display());
        if is_blank(path) {
            merged.get_or_insert_default();
            continue;
        }
        let one = Kubeconfig::read_from(path).map_err(bad)?;
        // `kubectl config unset` leaves an empty one, which is none.
        current = current.or_else(|| one.current_context.clone().filter(|name| !name.is_empty()));
        merged = Some(match merged {
            Some(before) => before.merge(one).map_err(bad)?,
            None => one,
        });
    }
    let merged = merged.ok_or_else(|| format!("no kubeconfig at {}", list(paths)))?;
    Ok(Kubeconfig { current_context: current, ..merged })
}

/// A file that holds nothing yet, as `touch` or a first `kubectl config` leaves one.
fn is_blank(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.len() < 4096)
        && std::fs::read_to_string(path).is_ok_and(|text| {
            text.lines().all(|line| line.trim().is_empty() || line.starts_with('#') || line.trim() == "---")
        })
}

/// The cluster and the user of the context that is meant.
fn chosen(config: &ClusterConfig, kubeconfig: &Kubeconfig) -> Result<(Cluster, AuthInfo), String> {
    let name = context(config, kubeconfig)?;
    let named = kubeconfig.contexts.iter().find(|context| context.name == name);
    let context = named.and_then(|named| named.context.clone()).ok_or_else(|| no_context(name, kubeconfig))?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let cluster = cluster
        .and_then(|named| named.cluster.clone())
        .ok_or_else(|| format!("its context {name} names the cluster {:?}, which does not exist", context.cluster))?;
    let user = match context.user.filter(|user| !user.is_empty()) {
        None => AuthInfo::default(),
        Some(user) => {
            let named = kubeconfig.auth_infos.iter().find(|named| named.name == user);
            let named =
                named.ok_or_else(|| format!("its context {name} names the user {user:?}, which does not exist"))?;
            named.auth_info.clone().unwrap_or_default()
        }
    };
    Ok((cluster, user))
}

/// The context that a person wrote, else the one that is called like the cluster. In a kubeconfig that was named for this
/// cluster the current context will do, as for `kubectl --kubeconfig FILE`; in the user's own it will not: a name that
/// is spelled wrong must not end in whichever cluster was looked at last.
fn context<'a>(config: &'a ClusterConfig, kubeconfig: &'a Kubeconfig) -> Result<&'a str, String> {
    let current = kubeconfig.current_context.as_deref().filter(|name| !name.is_empty());
    let is_there = |name: &str| kubeconfig.contexts.iter().any(|context| context.name == name);
    match &config.context {
        Some(context) => Ok(context),
        None if config.name != CURRENT_CONTEXT && is_there(&config.name) => Ok(&config.name),
        None if config.name == CURRENT_CONTEXT || config.kubeconfig.is_some() => current.ok_or_else(|| {
            format!("it has no current context; set context in [[cluster]] to one of {}", contexts(kubeconfig))
        }),
        None => Err(no_context(&config.name, kubeconfig)),
    }
}

fn no_context(name: &str, kubeconfig: &Kubeconfig) -> String {
    format!("it has no context {name:?}; set context in [[cluster]] to one of {}", contexts(kubeconfig))
}

/// Names to choose from; people with more than these find theirs by kubectl.
fn contexts(kubeconfig: &Kubeconfig) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    match names.len() {
        0 => "those that it should have: there is none".to_owned(),
        more if more > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
current-context: kind-dev
contexts:
- {name: kind-dev, context: {cluster: kind-dev, user: kind-dev}}
- {name: prod, context: {cluster: prod, user: gone}}
- {name: half, context: {cluster: gone, user: kind-dev}}
- {name: nobody, context: {cluster: kind-dev, user: ''}}
clusters:
- {name: kind-dev, cluster: {server: 'https://127.0.0.1:1'}}
- {name: prod, cluster: {server: 'https://127.0.0.1:2'}}
users:
- {name: kind-dev, user: {token: t}}
";

    fn find(name: Option<&str>, context: Option<&str>, file: Option<&str>, text: &str) -> String {
        let mut config = ClusterConfig::named(name);
        config.context = context.map(str::to_owned);
        config.kubeconfig = file.map(PathBuf::from);
        let kubeconfig = Kubeconfig::from_yaml(text).unwrap();
        chosen(&config, &kubeconfig).map_or_else(|words| words, |(cluster, _)| cluster.server.unwrap_or_default())
    }

    #[test]
    fn of_several_files_the_first_current_context_that_says_something_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let entry = |name: &str, current: &str| {
            format!(
                "apiVersion: v1\nkind: Config\n{current}clusters: [{{name: {name}, cluster: {{server: 'https://{name}.example'}}}}]\n\
                 contexts: [{{name: {name}, context: {{cluster: {name}, user: {name}}}}}]\nusers: [{{name: {name}, user: {{token: t}}}}]\n"
            )
        };
        let empty = file("empty", &entry("old", "current-context: \"\"\n"));
        let absent = file("absent", &entry("bare", ""));
        let dev = file("dev", &entry("dev", "current-context: dev\n"));
        let prod = file("prod", &entry("prod", "current-context: prod\n"));
        let blank = file("blank", "# nothing yet\n");
        let missing = folder.path().join("missing");
        for (files, expected) in [
            (vec![&empty, &dev], Some("dev")),
            (vec![&absent, &empty, &dev, &prod], Some("dev")),
            (vec![&missing, &blank, &prod, &dev], Some("prod")),
            (vec![&empty, &absent], None),
            (vec![&blank], None),
        ] {
            let files: Vec<PathBuf> = files.into_iter().cloned().collect();
            let read = read(&files).unwrap();
            assert_eq!(read.current_context.as_deref(), expected, "{files:?}");
        }
        let all = read(&[empty, dev]).unwrap();
        let names: Vec<&str> = all.contexts.iter().map(|context| context.name.as_str()).collect();
        assert_eq!(names, ["old", "dev"], "all of both is there");
    }

    #[test]
    fn the_context_that_is_meant_is_found_or_told_by_name() {
        let dev = "https://127.0.0.1:1";
        let none = "set context in [[cluster]] to one of kind-dev, prod, half, nobody";
        for (name, context, file, found) in [
            (None, None, None, dev),
            (Some("kind-dev"), None, None, dev),
            (Some("dev"), Some("kind-dev"), None, dev),
            (Some("dev"), None, Some("dev.kubeconfig"), dev),
            (Some("dev"), Some("nobody"), None, dev),
            (Some("dev"), None, None, &format!("it has no context \"dev\"; {none}")),
            (Some("dev"), Some("typo"), Some("f"), &format!("it has no context \"typo\"; {none}")),
            (Some("prod"), None, None, "its context prod names the user \"gone\", which does not exist"),
            (Some("half"), None, None, "its context half names the cluster \"gone\", which does not exist"),
        ] {
            assert_eq!(find(name, context, file, TEXT), found, "{name:?} {context:?} {file:?}");
        }
        let unset = TEXT.replace("current-context: kind-dev", "current-context: ''");
        assert_eq!(find(None, None, None, &unset), format!("it has no current context; {none}"));
        assert!(find(Some("a"), None, None, "{}").ends_with("there is none"));
    }
}
