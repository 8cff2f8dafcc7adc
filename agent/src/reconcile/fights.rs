//! Who changes back what we revert. Reverts are counted by object; one that comes back again and again is fought over, is
//! left alone for longer and longer, and the message names the fields, who writes them, and what to do.
//!
//! A burst (hundreds of objects deleted in one command) is no fight: each object is reverted once, and those that come
//! while others are reverted are collected for a moment, so that the burst is one sync and not one for each of its parts.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use quarterdeck_shared::change::{Action, Change};
use quarterdeck_shared::resource::ResourceRef;
use tokio::time::Instant;

use quarterdeck_core::backoff::doubled;
use quarterdeck_core::sync::ignore::{self, IGNORE_ANNOTATION};

/// An object that was reverted this often within [`WITHIN`] is fought over. A person who edits and corrects an object does
/// so less often; the slowest controllers (an autoscaler looks every 15 s) come to it in little more than a minute.
pub(super) const HEALS: usize = 5;

/// As above.
pub(super) const WITHIN: Duration = Duration::from_secs(600);

/// The first wait of an object that is fought over; it doubles with each further revert.
pub(super) const WAIT_FIRST: Duration = Duration::from_secs(60);

/// The longest: who made peace sees it within minutes.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(600);

/// A fight is over when nothing had to be reverted for twice the longest wait.
const OVER_AFTER: Duration = Duration::from_secs(1_200);

/// Drift that comes this soon after a revert may be of the same burst.
const BURST: Duration = Duration::from_secs(10);

/// A burst is over when nothing came for this long: the watches tell of hundreds of objects a second.
const QUIET: Duration = Duration::from_millis(500);

/// A burst that does not end is reverted in parts this far apart.
const BURST_MAX: Duration = Duration::from_secs(5);

/// Fields named in one message.
const FIELDS: usize = 3;

/// What was reverted lately, by object: bounded by the objects of the environment, for [`OVER_AFTER`].
#[derive(Debug, Default)]
pub(super) struct Fights {
    objects: HashMap<ResourceRef, Fight>,
    last: Option<Instant>,
}

#[derive(Debug, Default)]
struct Fight {
    /// The last reverts, at most [`HEALS`].
    lately: VecDeque<Instant>,
    /// Reverts since it is fought over.
    further: u32,
}

impl Fight {
    fn is_on(&self, now: Instant) -> bool {
        let often =
            self.lately.len() >= HEALS && self.lately.front().is_some_and(|first| now.duration_since(*first) < WITHIN);
        self.further > 0 || often
    }

    fn is_over(&self, now: Instant) -> bool {
        self.lately.back().is_none_or(|last| now.duration_since(*last) >= OVER_AFTER)
    }

    fn pause(&self) -> Duration {
        doubled(WAIT_FIRST, self.further, WAIT_MAX)
    }
}

impl Fights {
    /// Remembers that an object was reverted.
    pub(super) fn healed(&mut self, resource: &ResourceRef, now: Instant) {
        self.last = Some(now);
        self.objects.retain(|_, fight| !fight.is_over(now));
        let fight = self.objects.entry(resource.clone()).or_default();
        fight.further += u32::from(fight.is_on(now));
        fight.lately.push_back(now);
        if fight.lately.len() > HEALS {
            fight.lately.pop_front();
        }
    }

    /// Git says something else now: who differed from what it said before may be content.
    pub(super) fn forget(&mut self) {
        self.objects.clear();
    }

    /// How long an object is still left alone; nothing where it may be reverted.
    pub(super) fn wait(&self, resource: &ResourceRef, now: Instant) -> Option<Duration> {
        let fight = self.objects.get(resource).filter(|fight| fight.is_on(now) && !fight.is_over(now))?;
        let until = *fight.lately.back()? + fight.pause();
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// How long drift is still collected before it is reverted: not at all, unless something was reverted a moment ago.
    pub(super) fn collects(&self, newest: Option<Instant>, now: Instant) -> Option<Duration> {
        let last = self.last.filter(|last| now.duration_since(*last) < BURST)?;
        let at = (newest? + QUIET).min(last + BURST_MAX);
        at.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Who fights over what, and what to do: `kube-controller-manager keeps changing spec.replicas of Deployment/shop: …`.
    pub(super) fn describe(&self, fought: &[&Change]) -> String {
        let Some(change) = fought.first() else { return String::new() };
        let fight = self.objects.get(&change.resource);
        let further = fight.map_or(0, |fight| fight.further) as usize;
        let often = match further {
            0 => format!("{HEALS} times in {} min", WITHIN.as_secs() / 60),
            further => format!("{} times", HEALS + further),
        };
        let pause = fight.map_or(WAIT_FIRST, Fight::pause).as_secs() / 60;
        let more = match fought.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more objects"),
        };
        format!("{} {often}, next try in {pause}m{}{more}", who(change), remedy(change))
    }
}

fn who(change: &Change) -> String {
    let resource = change.resource.short();
    if change.action == Action::Create {
        return format!("{resource} is deleted each time: created");
    }
    let manager = change.fields.iter().find_map(|field| field.manager.as_deref());
    let manager = manager
        .filter(|manager| *manager != quarterdeck_core::sync::managed_fields::MANAGER)
        .unwrap_or("another client");
    let paths: Vec<&str> = change.fields.iter().take(FIELDS).map(|field| field.path.as_str()).collect();
    let more = match change.fields.len() - paths.len() {
        0 => String::new(),
        more => format!(" and {more} more fields"),
    };
    match paths.is_empty() {
        true => format!("{manager} keeps changing {resource}: reverted"),
        false => format!("{manager} keeps changing {}{more} of {resource}: reverted", paths.join(", ")),
    }
}

fn remedy(change: &Change) -> String {
    let paths: Vec<&str> =
        change.fields.iter().map(|field| field.path.as_str()).filter(|path| ignore::can_be_left(path)).collect();
    if paths.is_empty() || paths.len() < change.fields.len() || paths.len() > FIELDS {
        return String::new();
    }
    format!("; to leave it: {IGNORE_ANNOTATION}: {}", paths.join(" "))
}

#[cfg(test)]
mod tests {
    use quarterdeck_shared::change::FieldChange;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn scaled() -> ResourceRef {
        ResourceRef::new("apps", "Deployment", Some("prod"), "scaled")
    }

    /// A controller that writes every 15 s against an agent that reverts whatever it may, for four hours.
    #[test]
    fn a_slow_and_steady_fight_is_seen_and_left_alone_for_longer_and_longer() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        let mut healed = Vec::new();
        for second in (0..4 * 3_600).step_by(15) {
            let now = start + SECOND * second;
            if fights.wait(&scaled(), now).is_none() {
                fights.healed(&scaled(), now);
                healed.push(second);
            }
        }
        assert_eq!(healed[..9], [0, 15, 30, 45, 60, 120, 240, 480, 960]);
        let apart: Vec<u32> = healed[8..].windows(2).map(|two| two[1] - two[0]).collect();
        assert!(apart.iter().all(|apart| *apart == 600), "{apart:?}");
    }

    #[test]
    fn a_fight_ends_when_nothing_has_to_be_reverted() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        (0..HEALS).for_each(|_| fights.healed(&scaled(), start));
        assert_eq!(fights.wait(&scaled(), start), Some(WAIT_FIRST));
        assert_eq!(fights.wait(&scaled(), start + WAIT_FIRST), None);
        let later = start + OVER_AFTER;
        fights.healed(&scaled(), later);
        assert_eq!(fights.wait(&scaled(), later), None, "it begins anew");
        fights.healed(&ResourceRef::new("", "ConfigMap", Some("prod"), "b"), later + OVER_AFTER);
        assert_eq!(fights.objects.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn edits_that_are_far_apart_are_no_fight_and_a_burst_of_many_objects_is_none() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        for round in 0..20 {
            let now = start + SECOND * round * 160;
            assert_eq!(fights.wait(&scaled(), now), None, "{round}");
            fights.healed(&scaled(), now);
        }
        for number in 0..2_000 {
            let one = ResourceRef::new("", "ConfigMap", Some("prod"), &format!("big-{number}"));
            assert_eq!(fights.wait(&one, start), None);
            fights.healed(&one, start);
        }
    }

    #[test]
    fn the_first_drift_is_reverted_without_a_wait_and_a_burst_is_collected() {
        let ms = Duration::from_millis;
        let (mut fights, start) = (Fights::default(), Instant::now());
        assert_eq!(fights.collects(Some(start), start), None);
        fights.healed(&scaled(), start);
        assert_eq!(fights.collects(None, start), None, "no drift, no wait");
        let now = start + ms(100);
        assert_eq!(fights.collects(Some(now), now), Some(QUIET));
        assert_eq!(fights.collects(Some(now), now + ms(300)), Some(ms(200)), "nothing more came meanwhile");
        assert_eq!(fights.collects(Some(now), now + QUIET), None);
        let late = start + ms(4_900);
        assert_eq!(fights.collects(Some(late), late), Some(ms(100)), "one that does not end is not waited for");
        let after = start + BURST;
        assert_eq!(fights.collects(Some(after), after), None);
    }

    #[test]
    fn the_words_name_field_manager_and_remedy() {
        let field = |path: &str, manager: Option<&str>| FieldChange {
            path: path.to_owned(),
            live: None,
            desired: None,
            manager: manager.map(str::to_owned),
            default: false,
        };
        let change = |action, fields| Change { resource: scaled(), action, fields, reason: None };
        let hpa = Some("kube-controller-manager");
        let (mut fights, now) = (Fights::default(), Instant::now());
        (0..HEALS).for_each(|_| fights.healed(&scaled(), now));
        for (change, words) in [
            (
                change(Action::Configure, vec![field("spec.replicas", hpa)]),
                "kube-controller-manager keeps changing spec.replicas of Deployment/scaled: reverted 5 times in 10 min, next try in 1m; \
                 to leave it: quarterdeck.dev/ignore: spec.replicas",
            ),
            (
                change(Action::Configure, vec![field("spec.replicas", hpa), field("spec.paused", None)]),
                "kube-controller-manager keeps changing spec.replicas, spec.paused of Deployment/scaled: reverted 5 times in 10 min, \
                 next try in 1m; to leave it: quarterdeck.dev/ignore: spec.replicas spec.paused",
            ),
            (
                change(Action::Configure, vec![field("metadata.labels[quarterdeck.dev/application]", None)]),
                "another client keeps changing metadata.labels[quarterdeck.dev/application] of Deployment/scaled: reverted 5 times in \
                 10 min, next try in 1m",
            ),
            (
                change(Action::Create, vec![]),
                "Deployment/scaled is deleted each time: created 5 times in 10 min, next try in 1m",
            ),
        ] {
            assert_eq!(fights.describe(&[&change]), words);
        }
        fights.healed(&scaled(), now + WAIT_FIRST);
        let change = change(Action::Configure, vec![]);
        assert_eq!(
            fights.describe(&[&change, &change]),
            "another client keeps changing Deployment/scaled: reverted 6 times, next try in 2m; and 1 more objects"
        );
    }
}
