//! Kinds that are watched namespace by namespace since watching all namespaces is forbidden, and when that is tried
//! again: an API server refuses in the first seconds after its start what it allows afterwards, and permissions are given.
//! Pure: the time is passed in.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::watch_set::{Narrow, What};

/// The first try comes when an API server that was starting has read its roles.
const FIRST: Duration = Duration::from_secs(10);

/// Each pause is twice the one before, so these are three quarters of an hour. Who has a role in a few namespaces keeps it: such an agent
/// asks no more after that, until the cluster was away or the configuration is read anew.
const TRIES: u32 = 8;

/// A kind and what it is watched for.
type Key = (What, String, String);

/// Kinds that were refused over all namespaces.
#[derive(Debug, Default)]
pub(super) struct NamespacedFallback(BTreeMap<Key, Kind>);

#[derive(Debug)]
struct Kind {
    /// Whether it is watched over all namespaces again, to see whether that is allowed now.
    wide: bool,
    tries: u32,
    next: Option<Instant>,
}

impl NamespacedFallback {
    /// What is watched namespace by namespace.
    pub(super) fn kinds(&self) -> Narrow {
        self.0.iter().filter(|(_, kind)| !kind.wide).map(|(key, _)| key.clone()).collect()
    }

    /// A kind was refused over all namespaces.
    pub(super) fn refused(&mut self, key: Key, now: Instant) {
        let kind = self.0.entry(key).or_insert(Kind { wide: false, tries: 0, next: None });
        kind.wide = false;
        kind.next = (kind.tries < TRIES).then(|| now + FIRST * 2u32.pow(kind.tries));
        kind.tries += 1;
    }

    /// The kinds whose time has come are tried over all namespaces. True where there are some.
    pub(super) fn widen(&mut self, now: Instant) -> bool {
        let mut some = false;
        for kind in self.0.values_mut().filter(|kind| kind.next.is_some_and(|next| next <= now)) {
            (kind.wide, kind.next) = (true, None);
            some = true;
        }
        some
    }

    /// Permissions may be others: what is refused is tried as if it were refused now for the first time.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        for kind in self.0.values_mut() {
            kind.tries = 0;
            if !kind.wide {
                kind.next = Some(now + FIRST);
            }
        }
    }

    /// When the next try is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(|kind| kind.next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_once_is_tried_again_and_not_for_ever() {
        let pods = || (What::Pods, String::new(), "Pod".to_owned());
        let mut now = Instant::now();
        let start = now;
        let mut narrowed = NamespacedFallback::default();
        narrowed.refused(pods(), now);
        let mut tries = 0;
        while let Some(next) = narrowed.next() {
            assert!(!narrowed.widen(now) && narrowed.kinds().len() == 1, "not before its time");
            now = next;
            assert!(narrowed.widen(now) && narrowed.kinds().is_empty());
            narrowed.refused(pods(), now);
            tries += 1;
        }
        assert_eq!(tries, TRIES);
        assert!(now - start < Duration::from_secs(4_000), "{:?}", now - start);

        narrowed.begin_anew(now);
        assert_eq!(narrowed.next(), Some(now + FIRST));
        assert!(narrowed.widen(now + FIRST));
        narrowed.begin_anew(now + FIRST);
        assert!(narrowed.next().is_none() && narrowed.kinds().is_empty(), "it is allowed now");
    }
}
