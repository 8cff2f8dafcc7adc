//! Text for terminals: made harmless, measured, cut, and durations in a person's words. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

mod fit;

pub use self::fit::{broken, cut, paragraphs, shorten, with_hint};

/// The text with each control character spelled out (`^[`, `<U+202E>`), so that a log line, a commit's subject or a
/// server's message can neither move the cursor nor recolour, retitle or reorder what a person reads. Tabs stay. Marks that
/// make one emoji of several, or another of one, are left out, with what they join to the first: terminals disagree on the
/// columns of what they make, and what a terminal draws wider than we count is left behind when rows scroll. A clean text
/// without control characters is never wider than it was.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| is_control(c) || is_disputed(c)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // Between letters it shapes them, as in Persian or Malayalam.
            '\u{200d}' if chars.peek().is_some_and(|next| next.is_alphabetic()) => clean.push(c),
            '\u{200d}' if clean.ends_with(is_symbol) => drop(chars.next_if(|next| is_symbol(*next))),
            c if is_disputed(c) => {}
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

/// The joiner, the choices between text and emoji, and the tones of skin (Unicode TR 51).
fn is_disputed(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// What may be an emoji: no letter, and behind the marks of the alphabets.
fn is_symbol(c: char) -> bool {
    c >= '\u{2000}' && !c.is_alphabetic()
}

/// How many columns of a terminal a text takes: as it is drawn, one grapheme cluster after the other.
pub fn columns(text: &str) -> usize {
    if text.is_ascii() { text.width() } else { text.graphemes(true).map(of_cluster).sum() }
}

/// The choice of a text for an emoji does not make it narrower: few terminals know it.
fn of_cluster(cluster: &str) -> usize {
    const AS_TEXT: char = '\u{fe0e}';
    if cluster.contains(AS_TEXT) { cluster.replace(AS_TEXT, "").width() } else { cluster.width() }
}

/// `1 branch`, `2 branches`: a number with its word, by its plural.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `12.3 MB`, `4.5 GB`: bytes as registries and `docker images` tell them.
pub fn size(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1000.0 { format!("{megabytes:.1} MB") } else { format!("{:.1} GB", megabytes / 1000.0) }
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

/// An image as people call it: `ops/shop:1.4.0`, without its registry and digest.
pub fn image_short(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => rest,
        _ => name,
    }
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
    use proptest::prelude::*;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Style;
    use unicode_width::UnicodeWidthChar;

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
            ("\u{1f469}\u{200d}\u{1f680}\u{2601}\u{fe0f}\u{1f44d}\u{1f3fd}", "\u{1f469}\u{2601}\u{1f44d}"),
            ("\u{645}\u{6cc}\u{200d}\u{634}", "\u{645}\u{6cc}\u{200d}\u{634}"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    /// Of what Unicode's tests of emoji and combining sequences are made.
    fn unicode() -> impl Strategy<Value = String> {
        let parts = prop_oneof![
            Just("a"),
            Just(" "),
            Just("\u{1f468}"),
            Just("\u{1f469}\u{1f3fd}"),
            Just("\u{2601}"),
            Just("\u{2764}\u{fe0f}"),
            Just("\u{231a}\u{fe0e}"),
            Just("\u{200d}"),
            Just("\u{fe0f}"),
            Just("\u{fe0e}"),
            Just("\u{1f3fb}"),
            Just("\u{2640}"),
            Just("\u{1f1e9}"),
            Just("\u{1f1ea}"),
            Just("1\u{fe0f}\u{20e3}"),
            Just("\u{20e3}"),
            Just("e\u{301}"),
            Just("\u{301}"),
            Just("\u{65e5}"),
            Just("\u{ff76}\u{ff9e}"),
            Just("\u{1100}"),
            Just("\u{1161}"),
            Just("\u{11a8}"),
            Just("\u{ac00}"),
            Just("\u{915}\u{94d}"),
            Just("\u{937}"),
            Just("\u{644}"),
            Just("\u{627}"),
            Just("\u{e33}"),
            Just("\u{1f3f4}\u{e0067}\u{e007f}"),
            Just("\u{200b}"),
            Just("\u{ad}"),
            Just("\u{1f441}\u{fe0f}\u{200d}\u{1f5e8}\u{fe0f}"),
            Just("\u{a9}"),
        ];
        proptest::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_text_is_wider_than_it_is_cut_to(text in unicode(), columns_max in 0_usize..16) {
            for text in [text.as_str(), &clean(&text)] {
                prop_assert!(columns(&cut(text, columns_max)) <= columns_max, "{text:?} cut to {columns_max}");
                prop_assert!(columns(&shorten(text, columns_max)) <= columns_max, "{text:?} shortened to {columns_max}");
                let lines = broken(text, u16::try_from(columns_max).unwrap());
                for line in &lines {
                    let is_one = line.graphemes(true).filter(|cluster| cluster.width() > 0).count() <= 1;
                    prop_assert!(columns(line) <= columns_max.max(1) || is_one, "{text:?} broken at {columns_max}: {lines:?}");
                }
            }
        }

        #[test]
        fn a_clean_text_is_not_wider_than_it_was(text in unicode()) {
            prop_assert!(columns(&clean(&text)) <= columns(&text), "{:?}", text);
        }

        #[test]
        fn a_text_is_drawn_as_wide_as_it_is_counted(text in unicode()) {
            // ratatui counts the halfwidth voiced mark itself, and once more with unicode-width 0.2.3.
            let text = clean(&text).replace('\u{ff9e}', "");
            let mut buffer = Buffer::empty(Rect::new(0, 0, 60, 1));
            let (end, _) = buffer.set_stringn(0, 0, &text, 60, Style::new());
            prop_assert_eq!(usize::from(end), columns(&text), "{:?}", text);
        }

        /// Terminals count by character or by cluster: where both come to the same, no row keeps a part of another.
        #[test]
        fn terminals_agree_on_a_clean_text(text in unicode()) {
            let text = clean(&text);
            let by_character: usize = text.chars().filter_map(UnicodeWidthChar::width).sum();
            prop_assert_eq!(by_character, columns(&text), "{:?}", text);
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
        for (image, expected) in [
            ("registry.example:5000/ops/shop:1.4.0@sha256:5f91f762aa", "ops/shop:1.4.0"),
            ("registry.example/ops/shop", "ops/shop"),
            ("localhost/shop:1", "shop:1"),
            ("ops/shop:1", "ops/shop:1"),
            ("shop@sha256:5f91f762aa", "shop"),
        ] {
            assert_eq!(image_short(image), expected);
        }
    }
}
