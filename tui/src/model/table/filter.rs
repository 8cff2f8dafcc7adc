//! Filters of tables: words that a row must hold, `!word` for those it must not. Case does not matter.

use quarterdeck_shared::snapshot::Object;

/// One word of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    word: String,
    wanted: bool,
}

impl Term {
    /// The word, in lower case.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Whether it is to be held; else it is to be absent.
    pub fn wanted(&self) -> bool {
        self.wanted
    }
}

/// The words of a filter. A lone `!` is still being typed and says nothing.
pub fn terms(filter: &str) -> Vec<Term> {
    let term = |word: &str| match word.strip_prefix('!') {
        Some(word) => Term { word: word.to_lowercase(), wanted: false },
        None => Term { word: word.to_lowercase(), wanted: true },
    };
    filter.split_whitespace().map(term).filter(|term| !term.word.is_empty()).collect()
}

/// Whether objects that make one row hold together all that is wanted and nothing that is not.
pub fn holds(objects: &[&Object], terms: &[Term]) -> bool {
    terms.iter().all(|term| objects.iter().any(|object| mentions(object, &term.word)) == term.wanted)
}

/// Whether one of the texts by which people know an object holds a word.
fn mentions(object: &Object, word: &str) -> bool {
    let any = |texts: &[&str]| texts.iter().any(|text| contains(text, word));
    match object {
        Object::Application(a) => {
            let tag = a.artifact.as_ref().map_or("", |artifact| &artifact.tag);
            any(&[a.name.as_str(), &a.message, tag]) || a.images.iter().any(|image| contains(image, word))
        }
        Object::Environment(e) => {
            let suspended = if e.suspended { "Suspended" } else { "" };
            any(&[&e.environment.to_string(), e.sync.word(), e.health.word(), suspended])
                || any(&[&e.message, &e.spec.cluster, &e.spec.namespace])
                || e.revision
                    .as_ref()
                    .is_some_and(|r| any(&[&r.reference, r.commit.as_str(), r.artifact.as_deref().unwrap_or_default()]))
                || e.images.iter().any(|image| contains(image, word))
        }
        Object::Pod(p) => {
            any(&[&p.name, &p.namespace, &p.environment.to_string(), &p.status, &p.node, &p.cluster, &p.ip])
        }
        Object::Run(r) => {
            any(&[r.application.as_str(), &r.reference, r.commit.as_str(), &r.subject, r.phase.word(), r.goal.word()])
                || contains(&r.cause.describe(), word)
        }
        Object::Connection(c) => any(&[c.to.word(), &c.name, &c.version, c.error.as_deref().unwrap_or("")]),
        Object::Repository(r) => any(&["repository", &r.address, r.error.as_deref().unwrap_or("")]),
        Object::ApplicationSource(s) => {
            any(&["source", s.name.as_str(), &s.repository, s.error.as_deref().unwrap_or_default()])
        }
        Object::FollowedImage(f) => {
            any(&["image", f.application.as_str(), &f.image, &f.policy, f.tag.as_deref().unwrap_or_default()])
                || contains(&f.line(), word)
        }
        Object::Resource(r) => any(&[&r.resource.kind, &r.resource.name, r.health.word()]),
        Object::Agent(a) => any(&[&a.host, &a.version]),
    }
}

/// Whether a text holds a word that is in lower case already.
pub fn contains(text: &str, word: &str) -> bool {
    let (text_bytes, word_bytes) = (text.as_bytes(), word.as_bytes());
    let Some(first) = word_bytes.first() else { return true };
    if text.is_ascii() && word.is_ascii() {
        return text_bytes
            .windows(word_bytes.len())
            .any(|part| part[0].to_ascii_lowercase() == *first && part.eq_ignore_ascii_case(word_bytes));
    }
    text.to_lowercase().contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        for (text, word, found) in [
            ("CrashLoopBackOff", "backoff", true),
            ("shop", "", true),
            ("shop", "shopp", false),
            ("Größe", "grö", true),
            ("GRÖSSE", "grö", true),
            ("", "a", false),
        ] {
            assert_eq!(contains(text, word), found, "{text} {word}");
        }
    }

    #[test]
    fn a_filter_is_words() {
        assert_eq!(terms("  "), []);
        assert_eq!(terms("!"), []);
        let word = |word: &str, wanted| Term { word: word.to_owned(), wanted };
        assert_eq!(terms("Shop !Healthy"), [word("shop", true), word("healthy", false)]);
    }
}
