//! A registry's refusals, fit for people (pure): without secrets, bounded, with what to do next.
//!
//! Registries and the engines that speak to them word the same refusal in few ways; these are the words of Docker's
//! distribution code, Harbor, GitLab, Gitea and the cloud registries. What is not known is shown as it came.

use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_core::output::{Mask, one_line};

/// The longest message of a registry that is kept; some answer whole HTML pages.
const WORDS_CHARS_MAX: usize = 600;

/// Texts shorter than this behind a `token=` are words, not tokens.
const TOKEN_CHARS_MIN: usize = 8;

/// Where the authority of a registry's certificate is named. The engine, which pushes, has a place of its own for it.
pub(super) const AUTHORITY: &str = "name its authority by `ca_file` under [[registry]], or add it to this machine's, or to a file that SSL_CERT_FILE \
                                    of the agent's environment names, and start the agent again";

/// The pause that a `Retry-After` asks for, and at most the longest: in seconds as registries write it, or until a time as some
/// proxies before them do (RFC 9110, 10.2.3).
pub fn pause(text: &str, now: Timestamp, longest: Duration) -> Option<Duration> {
    let text = text.trim();
    let until = || {
        let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(Duration::try_from(time.duration_since(now)).unwrap_or_default())
    };
    text.parse().ok().map(Duration::from_secs).or_else(until).map(|wait| wait.min(longest))
}

/// A registry's or engine's text as one bounded line without secrets: those of `mask`, and whatever looks like one.
pub fn fit(mask: &Mask, text: &str) -> String {
    let line = redact(&one_line(mask, text));
    match line.char_indices().nth(WORDS_CHARS_MAX) {
        Some((cut, _)) => format!("{} …", &line[..cut]),
        None => line,
    }
}

/// What a person can do about a failed push or pull, where the words are known. Who came without a login is told that first.
pub fn hint(message: &str, with_login: bool) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|part| message.contains(part));
    // A status stands by itself; in a port, an upload's name or a digest its digits mean nothing.
    let inside = |c: char| c.is_ascii_alphanumeric() || "-/._?&%".contains(c);
    let status = |code: &str| message.split(|c| !inside(c)).any(|word| word.trim_end_matches('.') == code);
    if says(&["immutab", "cannot be overwritten", "not allow updating"]) {
        return Some("the tag exists and is immutable: push another version, or change the rule of the registry");
    }
    // Without words: the rules of Harbor are answered so, of tags and of what a project prevents from being pulled.
    if says(&["precondition"]) || status("412") {
        return Some(
            "a rule of the registry does not allow this: look at its immutable tags and at what its project prevents from being pulled",
        );
    }
    if !with_login && says(&["unauthorized", "no basic auth", "authentication required", "denied", "forbidden"]) {
        return Some(
            "no login was found for this registry: set `username` and `password_env` of its host under [[registry]], or `docker login`",
        );
    }
    if says(&["quota"]) {
        return Some("the project's quota in the registry is used up: raise it, or delete old images");
    }
    if says(&["denied", "forbidden", "insufficient_scope"]) || status("403") {
        return Some("this login may not do that there: give it push rights, or check the image's name");
    }
    if says(&["incorrect username", "no basic auth", "unauthorized", "authentication required"]) || status("401") {
        return Some(
            "check the login: `username` and `password_env` of this host under [[registry]], or `docker login`",
        );
    }
    if says(&["name unknown", "name_unknown", "not found"]) || status("404") {
        return Some("the repository or project does not exist: create it in the registry, or check the image's name");
    }
    if says(&["size invalid", "too large"]) || status("413") {
        return Some("the registry, or a proxy before it, takes no upload of that size: raise its limit");
    }
    if says(&["x509", "certificate"]) {
        return Some(
            "the engine does not trust the registry's certificate: put its CA into /etc/docker/certs.d/HOST/ca.crt",
        );
    }
    if says(&["http response to https client"]) {
        return Some("the registry speaks plain http: name it in the engine's insecure-registries");
    }
    None
}

/// Do these words say that nobody known came: of a login that was good a moment ago, that its token ended on the way.
pub fn is_unknown(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["unauthorized", "authentication required"].iter().any(|part| message.contains(part))
}

/// Do these words tell of something that passes: a registry or network that is away, slow or busy?
pub fn is_transient(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    // A command of the Dockerfile failed; its text may hold any word.
    let ran = ["the command '", "executor failed running", "did not complete successfully", "exit status"];
    if ran.iter().any(|part| message.contains(part)) {
        return false;
    }
    let passing = [
        "connection refused",
        "connection reset",
        "broken pipe",
        "closed network connection",
        "timeout",
        "timed out",
        "eof",
        "no such host",
        "temporary failure",
        "unexpected http status: 5",
        "internal server error",
        "bad gateway",
        "service unavailable",
        "gateway timeout",
        "toomanyrequests",
        "too many requests",
        "network is unreachable",
    ];
    passing.iter().any(|part| message.contains(part))
}

/// Replaces what looks like a token, a password in a URL, or a value behind a telling name.
fn redact(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if let Some((kept, secret)) = secret_at(&lower[at..], &text[at..]) {
            out.push_str(&text[at..at + kept]);
            out.push_str("***");
            at += kept + secret;
        } else {
            out.push(character);
            at += character.len_utf8();
        }
    }
    out
}

/// If a secret begins here: how many bytes lead up to it and are kept, and how long it is.
fn secret_at(lower: &str, text: &str) -> Option<(usize, usize)> {
    if text.starts_with("eyJ") && run(text) >= 20 {
        return Some((0, run(text)));
    }
    if let Some(rest) = lower.strip_prefix("://") {
        let host_end = rest.find(['/', ' ', '"']).unwrap_or(rest.len());
        return rest[..host_end].rfind('@').map(|at| (3, at));
    }
    for scheme in ["bearer ", "basic "] {
        if let Some(rest) = lower.strip_prefix(scheme) {
            return (run(rest) >= TOKEN_CHARS_MIN).then(|| (scheme.len(), run(rest)));
        }
    }
    for name in ["token", "password", "passwd", "secret", "authorization", "signature", "credential"] {
        let Some(rest) = lower.strip_prefix(name) else { continue };
        let gap = rest.find(|c: char| !matches!(c, '"' | '\'' | ' ' | ':' | '=' | '\\')).unwrap_or(rest.len());
        let value = run(&rest[gap..]);
        let names_a_scheme = ["bearer", "basic"].contains(&&rest[gap..gap + value]);
        let assigned = rest[..gap].contains([':', '=']);
        return (assigned && value >= TOKEN_CHARS_MIN && !names_a_scheme).then_some((name.len() + gap, value));
    }
    None
}

/// How many bytes from here could be one token.
fn run(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && !"._~+/=-%".contains(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        for (text, want) in [
            ("unauthorized: incorrect username or password", "unauthorized: incorrect username or password"),
            ("Authorization: Bearer abcdefghij", "Authorization: Bearer ***"),
            ("sent \"authorization\":\"Basic dXNlcjpwYXNz\"", "sent \"authorization\":\"Basic ***\""),
            ("token=abcdefgh&x=1", "token=***&x=1"),
            ("{\"access_token\": \"abcdefghijkl\", \"b\": 1}", "{\"access_token\": \"***\", \"b\": 1}"),
            ("token expired yesterday", "token expired yesterday"),
            ("Bearer realm=\"https://r/token\"", "Bearer realm=\"https://r/token\""),
            ("Get \"https://bot:hunter2@registry.example/v2/\": EOF", "Get \"https://***@registry.example/v2/\": EOF"),
            ("got eyJhbGciOiJSUzI1NiIsInR5cCI6.x.y", "got ***"),
            ("denied: ünïcode\u{1b}[31m password = correcthorse", "denied: ünïcode password = ***"),
        ] {
            assert_eq!(fit(&Mask::default(), text), want);
        }
        let long = fit(&Mask::default(), &"ü".repeat(5000));
        assert_eq!(long.chars().count(), WORDS_CHARS_MAX + 2);
    }

    #[test]
    fn what_passes_is_known() {
        for (message, passes) in [
            ("received unexpected HTTP status: 503 Service Unavailable", true),
            ("Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused", true),
            ("Patch \"http://r/v2/x\": EOF", true),
            ("toomanyrequests: slow down", true),
            ("denied: requested access to the resource is denied", false),
            ("The command '/bin/sh -c curl --timeout 3' returned a non-zero code: 28", false),
            ("executor failed running [/bin/sh -c curl --timeout 3]: exit code: 28", false),
            ("process \"/bin/sh -c timeout 1 x\" did not complete successfully: exit code: 1", false),
        ] {
            assert_eq!(is_transient(message), passes, "{message}");
        }
        for (message, unknown) in [
            ("unauthorized: authentication required", true),
            ("unauthorized: unauthorized to access repository: ops/shop, action: push", true),
            ("denied: requested access to the resource is denied", false),
            ("toomanyrequests: slow down", false),
        ] {
            assert_eq!(is_unknown(message), unknown, "{message}");
        }
        let denied = "denied: requested access to the resource is denied";
        for (message, with_login, part) in [
            ("unauthorized: authentication required", true, "check the login"),
            ("errors:; denied: requested access is denied; unauthorized", true, "push rights"),
            (denied, true, "push rights"),
            (denied, false, "no login was found"),
            ("no basic auth credentials", false, "no login was found"),
            ("x509: certificate signed by unknown authority", true, "ca.crt"),
            ("unexpected status code 403: no", true, "push rights"),
            ("error parsing HTTP 401 response body", true, "check the login"),
            ("received unexpected HTTP status: 404.", true, "create it"),
            ("status:413", true, "raise its limit"),
            // Harbor, Amazon ECR, Google's Artifact Registry, Nexus.
            (
                "unknown: Failed to process request due to 'shop:1.4.0' configured as immutable.",
                true,
                "tag exists and is immutable",
            ),
            (
                "tag invalid: The image tag '1' already exists in the 'shop' repository and cannot be overwritten",
                true,
                "immutable",
            ),
            ("manifest invalid: cannot update tag 1. The repository has enabled tag immutability", true, "immutable"),
            ("denied: Repository does not allow updating assets: docker", true, "immutable"),
            ("received unexpected HTTP status: 412 Precondition Failed", true, "a rule of the registry"),
        ] {
            assert!(hint(message, with_login).is_some_and(|hint| hint.contains(part)), "{message}");
        }
        // What passes is tried again, and digits in an address are no status.
        for message in [
            "something else",
            "Patch \"http://127.0.0.1:35403/v2/ops/shop/blobs/uploads/9-401-a?state=here\": EOF",
            "Put \"http://r:404/v2/x/manifests/sha256:413f429\": EOF",
            "toomanyrequests: slow down",
        ] {
            assert_eq!(hint(message, true), None, "{message}");
        }
    }
}
