//! The secrets that the agent holds, so that they can be masked wherever text leaves it.
//!
//! Whoever reads a secret (a token, a password, a key) tells it to [`SecretScrubber::keep`]. This is the second line of
//! defence; the first is that secrets are not put into texts. It is there for what others put into theirs: a registry
//! that answers with the token it refuses, a library that logs the headers it sends, a git server that echoes a URL.
//!
//! Each secret is known as it is, and as it looks percent-encoded, within base64 and inside a JSON string, since that is
//! how it travels. A password in a URL is masked also where nobody told it.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// A secret is found by its first bytes. What is shorter is masked nowhere: `abc` is no secret, and masking it would
/// garble every text that holds these letters.
const HEAD: usize = 6;

/// Secrets that are known at once: four for each of a thousand applications. Tokens are renewed, so the oldest goes.
const SECRETS_MAX: usize = 4_096;

/// The set of known secrets.
#[derive(Debug, Default)]
pub struct SecretScrubber {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Every form of every secret, by its first bytes, the longest first.
    forms: HashMap<[u8; HEAD], Vec<Arc<str>>>,
    /// Which two bytes a form may begin with, by their number: most places in a text are passed by this alone, and only
    /// the others cost a hash. Empty until there is a form; what goes leaves its mark, which costs a hash at most.
    begins: Vec<bool>,
    /// The secrets in the order in which they came, each with its forms.
    order: VecDeque<Vec<Arc<str>>>,
}

/// A set of secrets is told by its size alone.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.order.len())
    }
}

impl SecretScrubber {
    /// The one of this process: a secret that one part of it reads may turn up in a text of any other.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<SecretScrubber> = LazyLock::new(SecretScrubber::default);
        &GLOBAL
    }

    /// Makes a secret known. A secret of several lines (a key) is known line by line, since texts quote lines.
    pub fn keep(&self, secret: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for line in secret.lines().map(str::trim) {
            known.add(line);
        }
    }

    /// The text with every known secret masked.
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.masked(text) {
            None => urls_masked(text),
            Some(masked) => Cow::Owned(urls_masked(&masked).into_owned()),
        }
    }
}

impl Known {
    fn add(&mut self, secret: &str) {
        let whole: Arc<str> = secret.into();
        let Some(head) = head(&whole) else { return };
        if self.forms.get(&head).is_some_and(|forms| forms.contains(&whole)) {
            return;
        }
        if self.order.len() == SECRETS_MAX {
            self.drop_oldest();
        }
        let mut forms: Vec<Arc<str>> = vec![whole];
        let quoted = serde_json::Value::from(secret).to_string();
        let in_json = quoted[1..quoted.len() - 1].to_owned();
        for form in [percent_encoded(secret), in_json].into_iter().chain(in_base64(secret)) {
            if !forms.iter().any(|known| **known == *form) {
                forms.push(form.into());
            }
        }
        for form in &forms {
            if let Some(head) = self::head(form) {
                let alike = self.forms.entry(head).or_default();
                let at = alike.partition_point(|other| other.len() >= form.len());
                alike.insert(at, form.clone());
                self.begins.resize(1 << 16, false);
                self.begins[pair(head)] = true;
            }
        }
        self.order.push_back(forms);
    }

    fn drop_oldest(&mut self) {
        for form in self.order.pop_front().unwrap_or_default() {
            let Some(head) = head(&form) else { continue };
            if let Some(alike) = self.forms.get_mut(&head) {
                // Another secret may have the same form: one of the two goes, the other stays.
                if let Some(at) = alike.iter().position(|other| *other == form) {
                    alike.remove(at);
                }
                if alike.is_empty() {
                    self.forms.remove(&head);
                }
            }
        }
    }

    /// One look a byte, however many secrets there are; `None` where there is nothing to mask.
    fn masked(&self, text: &str) -> Option<String> {
        if self.forms.is_empty() {
            return None;
        }
        let mut masked: Option<String> = None;
        let (mut at, mut copied) = (0, 0);
        // By bytes: where a form fits, a character begins, and one ends behind it.
        while let Some(head) = text.as_bytes()[at..].first_chunk() {
            match self.form_at(*head, &text.as_bytes()[at..]) {
                Some(form) => {
                    let masked = masked.get_or_insert_default();
                    masked.push_str(&text[copied..at]);
                    masked.push_str(MASK);
                    at += form.len();
                    copied = at;
                }
                None => at += 1,
            }
        }
        masked.map(|masked| masked + &text[copied..])
    }

    fn form_at(&self, head: [u8; HEAD], text: &[u8]) -> Option<&str> {
        if !self.begins[pair(head)] {
            return None;
        }
        let mut alike = self.forms.get(&head)?.iter();
        alike.find(|form| text.starts_with(form.as_bytes())).map(|form| &**form)
    }
}

fn head(text: &str) -> Option<[u8; HEAD]> {
    text.as_bytes().first_chunk().copied()
}

fn pair([first, second, ..]: [u8; HEAD]) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

/// As it looks within the base64 of a longer text (`user:password` in a header): three bytes become four characters, so
/// it may begin at any of three places, and the characters that it shares with its neighbours are left out.
fn in_base64(secret: &str) -> impl Iterator<Item = String> {
    let at = |before: usize, engine: &dyn Fn(&[u8]) -> String| {
        let encoded = engine(&[&vec![0; before][..], secret.as_bytes()].concat());
        let shared = usize::from(!(before + secret.len()).is_multiple_of(3));
        encoded[[0, 2, 3][before]..encoded.len() - shared].to_owned()
    };
    let both = move |before| {
        [at(before, &|bytes| STANDARD_NO_PAD.encode(bytes)), at(before, &|bytes| URL_SAFE_NO_PAD.encode(bytes))]
    };
    (0..3).flat_map(both)
}

/// As RFC 3986 has it: all but the unreserved characters.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// `https://user:password@host` becomes `https://***@host`. A user alone (`ssh://git@host`) is no secret.
fn urls_masked(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        rest = after;
        let authority =
            &after[..after.find(|c: char| c == '/' || c.is_whitespace() || c == '"').unwrap_or(after.len())];
        if let Some((userinfo, _)) = authority.rsplit_once('@')
            && userinfo.contains(':')
        {
            masked.push_str(MASK);
            rest = &after[userinfo.len()..];
        }
    }
    if masked.is_empty() {
        return Cow::Borrowed(text);
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrubber(secrets: &[&str]) -> SecretScrubber {
        let scrubber = SecretScrubber::default();
        secrets.iter().for_each(|secret| scrubber.keep(secret));
        scrubber
    }

    #[test]
    fn secrets_are_masked_in_every_form_they_travel_in() {
        let scrubber = scrubber(&["pä$$ \"word\"", "ghp_0123456789", "ghp_0123456789abcdef", "short"]);
        for (text, expected) in [
            ("nothing to hide", "nothing to hide"),
            ("with pä$$ \"word\" inside", "with *** inside"),
            ("ghp_0123456789 ghp_0123456789abcdef", "*** ***"),
            ("xghp_0123456789y", "x***y"),
            ("?token=p%C3%A4%24%24%20%22word%22&a=b", "?token=***&a=b"),
            (r#"{"password":"pä$$ \"word\""}"#, r#"{"password":"***"}"#),
            ("Basic cMOkJCQgIndvcmQi", "Basic ***"),
            // alice:…, bob:…, me:…x: what is left of it is the neighbours' own.
            ("Basic YWxpY2U6cMOkJCQgIndvcmQi", "Basic YWxpY2U6***"),
            ("Basic Ym9iOnDDpCQkICJ3b3JkIg==", "Basic Ym9iOn***g=="),
            ("Basic eDpww6QkJCAid29yZCJ5eg==", "Basic eDp***J5eg=="),
            ("Basic bWU6cMOkJCQgIndvcmQieA==", "Basic bWU6***eA=="),
            ("too short to be one", "too short to be one"),
        ] {
            assert_eq!(scrubber.scrub(text), expected);
        }
    }

    #[test]
    fn passwords_in_urls_are_masked_though_nobody_told_them() {
        let none = scrubber(&[]);
        for (text, expected) in [
            ("https://alice:s3cret@forge/x.git", "https://***@forge/x.git"),
            ("from http://a:b@h and ssh://git@forge:22/x", "from http://***@h and ssh://git@forge:22/x"),
            ("https://forge/a@b:c", "https://forge/a@b:c"),
            ("https://a:p@ss@forge", "https://***@forge"),
            ("://", "://"),
        ] {
            assert_eq!(none.scrub(text), expected);
        }
    }

    #[test]
    fn a_key_is_known_line_by_line() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\n  Bgkqhkig\n-----END KEY-----\n";
        assert_eq!(scrubber(&[key]).scrub("read MIIEvQIBADAN, Bgkqhkig"), "read ***, ***");
    }

    #[test]
    fn the_set_is_bounded_and_forgets_the_oldest() {
        let scrubber = SecretScrubber::default();
        (0..SECRETS_MAX + 1).for_each(|number| scrubber.keep(&format!("secret-{number:05}")));
        assert_eq!(scrubber.scrub("secret-00000 secret-00001 secret-04096"), "secret-00000 *** ***");
        assert_eq!(scrubber.known.read().unwrap().order.len(), SECRETS_MAX);
        assert_eq!(
            format!("{scrubber:?}"),
            "SecretScrubber { known: RwLock { data: 4096 secrets, poisoned: false, .. } }"
        );
    }

    #[test]
    fn a_secret_that_is_told_twice_is_kept_once() {
        let scrubber = scrubber(&["hunter22", "hunter22"]);
        assert_eq!(scrubber.known.read().unwrap().order.len(), 1);
    }

    proptest! {
        #[test]
        fn no_known_secret_is_left(
            secrets in proptest::collection::vec("[a-cä]{6,9}", 1..4),
            parts in proptest::collection::vec("[a-cä ]{0,12}", 0..6),
        ) {
            let scrubber = SecretScrubber::default();
            secrets.iter().for_each(|secret| scrubber.keep(secret));
            let text = parts.iter().zip(secrets.iter().cycle()).map(|(a, b)| format!("{a}{b}")).collect::<String>();
            let scrubbed = scrubber.scrub(&text).into_owned();
            for secret in secrets.iter().filter(|secret| secret.len() >= HEAD) {
                prop_assert!(!scrubbed.contains(secret.as_str()), "{secret:?} in {scrubbed:?}");
            }
        }
    }
}
