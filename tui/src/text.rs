//! Text for terminals: made harmless, measured, cut, and durations in a person's words. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

mod fit;

pub use self::fit::{broken, cut, shorten};

/// The text with each control character spelled out (`^[`, `<U+202E>`), so that a log line, a commit's subject or a
/// server's message can neither move the cursor nor recolour, retitle or reorder what a person reads. Tabs stay.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\u{0}'..='\u{1f}' if c != '\t' => {
                clean.push('^');
                clean.push(char::from(c as u8 + b'@'));
            }
            '\u{7f}' => clean.push_str("^?"),
            c if is_control(c) => write!(clean, "<U+{:04X}>", u32::from(c)).expect("a String can always be written to"),
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// C0 but for the tab, DEL, C1, the line and paragraph separators, and what reorders text (Unicode TR 9, 2).
pub fn is_control(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{a}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}'
        | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many columns of a terminal a text takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `1 branch`, `2 branches`: a number with its word, by its plural.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Seconds by which a moment may lie ahead and still be now: clocks of machines differ.
const AHEAD_SECONDS: i64 = 60;

/// How long ago, in the largest unit that says it: `12s`, `4m`, `3h`, `2d`. What lies ahead is `in 3h`: a clock was set back,
/// or another machine's is wrong, and who reads `0s` is misled.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs();
    let ahead = if seconds < -AHEAD_SECONDS { "in " } else { "" };
    match if ahead.is_empty() { seconds.max(0) } else { -seconds } {
        seconds @ 0..=119 => format!("{ahead}{seconds}s"),
        seconds @ 120..=7_199 => format!("{ahead}{}m", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{ahead}{}h", seconds / 3_600),
        seconds => format!("{ahead}{}d", seconds / 86_400),
    }
}

/// The same in a sentence: `3h ago`, `in 3h`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let age = age(then, now);
    if age.starts_with("in ") { age } else { format!("{age} ago") }
}

/// How long something took: `0.4s`, `31s`, `1m02s`, `2h05m`.
pub fn took(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        10..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// How long from a beginning to its end, or to now where it goes on; empty where it has not begun.
pub fn span(started: Option<Timestamp>, finished: Option<Timestamp>, now: Timestamp) -> String {
    let Some(started) = started else { return String::new() };
    let duration = finished.unwrap_or(now).duration_since(started);
    took(Duration::try_from(duration).unwrap_or_default())
}

/// Of the images that manifests name, the first that is built for the application; the first where none is.
pub fn own_image<'a>(images: &'a [String], built: &[String]) -> Option<&'a str> {
    let is_built = |image: &&String| {
        let mut rests = built.iter().filter_map(|name| image.strip_prefix(&**name));
        rests.any(|rest| rest.starts_with([':', '@']))
    };
    images.iter().find(is_built).or(images.first()).map(String::as_str)
}

/// The part of an image's name that changes from delivery to delivery: its tag, else the first seven digits of its
/// digest, else `latest`, which is what an engine takes a bare name for.
pub fn image_version(image: &str) -> String {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match (last.split_once(':'), digest) {
        (Some((_, tag)), _) => tag.to_owned(),
        (None, Some(digest)) => {
            let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
            format!("@{}", hex.chars().take(7).collect::<String>())
        }
        (None, None) => "latest".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        for (text, expected) in [
            ("plain, größer, 日本\ttab", "plain, größer, 日本\ttab"),
            ("\u{1b}[31mred\u{1b}[0m", "^[[31mred^[[0m"),
            ("\u{1b}]0;title\u{7}", "^[]0;title^G"),
            ("over\rwritten\nbelow", "over^Mwritten^Jbelow"),
            ("\u{9b}2J", "<U+009B>2J"),
            ("\u{7f}", "^?"),
            ("gpj.\u{202e}exe", "gpj.<U+202E>exe"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "tag", "tags")), ["0 tags", "1 tag", "2 tags"]);
    }

    #[test]
    fn ages_and_durations() {
        let then: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (seconds, expected) in [
            (-10_800, "in 3h"),
            (-61, "in 61s"),
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_800, "2d"),
        ] {
            let now = then + jiff::SignedDuration::from_secs(seconds);
            assert_eq!(age(then, now), expected);
        }
        let ago = |seconds| ago(then, then + jiff::SignedDuration::from_secs(seconds));
        assert_eq!([ago(240), ago(-86_400)], ["4m ago", "in 24h"]);
        for (millis, expected) in
            [(0, "0.0s"), (430, "0.4s"), (9_999, "9.9s"), (31_000, "31s"), (62_000, "1m02s"), (7_500_000, "2h05m")]
        {
            assert_eq!(took(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn an_application_is_known_by_its_own_image() {
        let images =
            ["a.example/busybox:1", "z.example/shop-two:7", "z.example/shop:1.4.0@sha256:00"].map(str::to_owned);
        for (built, expected) in [
            (&["z.example/shop"][..], Some("z.example/shop:1.4.0@sha256:00")),
            (&["z.example/other", "z.example/shop"], Some("z.example/shop:1.4.0@sha256:00")),
            (&["z.example/other"], Some("a.example/busybox:1")),
            (&[], Some("a.example/busybox:1")),
        ] {
            let built: Vec<String> = built.iter().map(ToString::to_string).collect();
            assert_eq!(own_image(&images, &built), expected);
        }
        assert_eq!(own_image(&[], &[]), None);
    }

    #[test]
    fn versions_of_images() {
        for (image, expected) in [
            ("registry.example:5000/ops/shop:1.4.0", "1.4.0"),
            ("registry.example/ops/shop:1.4.0@sha256:5f91f762aa", "1.4.0"),
            ("registry.example:5000/ops/shop@sha256:5f91f762aa", "@5f91f76"),
            ("registry.example:5000/ops/shop", "latest"),
            ("shop", "latest"),
        ] {
            assert_eq!(image_version(image), expected);
        }
    }
}
