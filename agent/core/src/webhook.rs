//! Whether a webhook is of who knows the secret, and which repositories it is about. Pure.
//!
//! A hook only means that a repository is to be polled now, or a registry to be asked. Of what it says beside that only whether it is of a push
//! is read, since some forges let people write the body themselves.
//!
//! | forge | what is verified |
//! | --- | --- |
//! | GitLab with a signing token | `webhook-signature`, by Standard Webhooks, not older than five minutes |
//! | GitLab | `X-Gitlab-Token` |
//! | Forgejo, Gitea | `X-Forgejo-Signature`, `X-Gitea-Signature`: HMAC-SHA256 of the body |
//! | GitHub | `X-Hub-Signature-256`: the same |
//! | Harbor | `Authorization`, word for word: it signs nothing |

pub mod harbor;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// How far the clock of a forge may be from ours (Standard Webhooks).
const OLD_SECONDS: u64 = 300;

/// What a signing token of GitLab begins with.
const SIGNING: &str = "whsec_";

/// The longest name of a delivery that is remembered: forges send a UUID.
const DELIVERY_MAX: usize = 128;

/// Addresses that are read of one hook: a payload names a repository in some ten ways.
const ADDRESSES_MAX: usize = 32;

/// Why a hook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing in it could prove anything.
    #[error("no signature and no token: set the secret in the webhook of the forge")]
    Unsigned,
    /// Somebody else's secret.
    #[error("the signature or token does not match the secret")]
    Wrong,
    /// It may be a copy of an old one.
    #[error("the signature is of another time: the clocks differ by more than 5 minutes, or it is sent again")]
    Stale,
}

/// Verifies a hook by its headers (by name in lower case) and its whole body; what names its delivery, where it has a name.
///
/// # Errors
/// Where nothing proves that it is of who knows the secret.
pub fn verify<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    secret: &str,
    now: Timestamp,
) -> Result<Option<String>, Refusal> {
    let header = |name: &str| header(name).map(str::trim).filter(|value| !value.is_empty() && *value != "sha256=");
    let hex = ["x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256"].into_iter().find_map(&header);
    let token = header("x-gitlab-token").or_else(|| header("authorization"));
    match (header("webhook-signature"), hex, token) {
        (Some(signatures), ..) if secret.starts_with(SIGNING) => {
            let (Some(id), Some(time)) = (header("webhook-id"), header("webhook-timestamp")) else {
                return Err(Refusal::Unsigned);
            };
            let key = BASE64_STANDARD.decode(&secret[SIGNING.len()..]).map_err(|_| Refusal::Wrong)?;
            let text = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
            let is_ours = |one: &str| {
                let given = one.strip_prefix("v1,").and_then(|one| BASE64_STANDARD.decode(one).ok());
                given.is_some_and(|given| is_signed(&key, &text, &given))
            };
            if !signatures.split_whitespace().any(is_ours) {
                return Err(Refusal::Wrong);
            }
            let time: i64 = time.parse().map_err(|_| Refusal::Stale)?;
            if time.abs_diff(now.as_second()) > OLD_SECONDS {
                return Err(Refusal::Stale);
            }
        }
        (_, Some(signature), _) => {
            let given = bytes(signature.strip_prefix("sha256=").unwrap_or(signature));
            if !given.is_some_and(|given| is_signed(secret.as_bytes(), body, &given)) {
                return Err(Refusal::Wrong);
            }
        }
        // By their digests: how long it takes says nothing of how much was right.
        (_, None, Some(token)) if Sha256::digest(token) == Sha256::digest(secret) => {}
        (_, None, Some(_)) => return Err(Refusal::Wrong),
        (_, None, None) => return Err(Refusal::Unsigned),
    }
    let names = ["webhook-id", "idempotency-key", "x-forgejo-delivery", "x-gitea-delivery", "x-github-delivery"];
    let delivery = names.into_iter().find_map(&header);
    Ok(delivery.map(|delivery| delivery.chars().take(DELIVERY_MAX).collect()))
}

fn is_signed(key: &[u8], text: &[u8], given: &[u8]) -> bool {
    // A key of HMAC may have any length.
    Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(text).verify_slice(given).is_ok())
}

/// The bytes of hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

/// What a hook of a forge says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// The addresses that it names its repository by; none where its body is not what forges send.
    pub addresses: BTreeSet<String>,
    /// Whether it is of a push. Forges send such a hook from git's post-receive, which runs after the last ref of the push is
    /// written: who lists the refs now sees all of that push.
    pub is_of_push: bool,
}

/// Reads a body. That of a push or of a new tag names one ref at its top, with the commit that it has now (`after`) or with
/// what it is (`ref_type`, of `create`); those of merge requests, comments and releases do not.
pub fn read(body: &[u8]) -> Hook {
    let Ok(payload) = serde_json::from_slice::<Value>(body) else { return Hook::default() };
    let parts = ["repository", "project"].into_iter().filter_map(|part| payload.get(part)?.as_object());
    let named = parts.flatten().filter(|(key, _)| key.ends_with("url") || *key == "homepage");
    let addresses = named.filter_map(|(_, value)| value.as_str().map(str::to_owned)).take(ADDRESSES_MAX).collect();
    let has = |name: &str| payload.get(name).is_some_and(Value::is_string);
    Hook { addresses, is_of_push: has("ref") && (has("after") || has("ref_type")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of GitHub's documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    /// The example of Standard Webhooks.
    const SIGNING_TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: &[u8] = br#"{"test": 2432232314}"#;
    const STANDARD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn checked(headers: &[(&str, &str)], body: &[u8], secret: &str, seconds: i64) -> Result<Option<String>, Refusal> {
        let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| *value);
        verify(header, body, secret, Timestamp::from_second(seconds).unwrap())
    }

    #[test]
    fn a_hook_is_believed_by_what_its_forge_signs() {
        let github = format!("sha256={SIGNATURE}");
        for (headers, result) in [
            (vec![("x-hub-signature-256", &*github), ("x-github-delivery", "a-b")], Ok(Some("a-b".to_owned()))),
            (vec![("x-gitea-signature", SIGNATURE)], Ok(None)),
            (vec![("x-forgejo-signature", SIGNATURE), ("x-hub-signature-256", "sha256=00")], Ok(None)),
            (vec![("x-gitlab-token", SECRET), ("idempotency-key", "k")], Ok(Some("k".to_owned()))),
            (vec![("x-gitlab-token", "It's a Secret to Everybod")], Err(Refusal::Wrong)),
            (vec![("x-gitea-signature", "757107ea")], Err(Refusal::Wrong)),
            (vec![("x-gitea-signature", "no hex, ü")], Err(Refusal::Wrong)),
            // A wrong signature is not made good by a right token.
            (vec![("x-gitea-signature", "00"), ("x-gitlab-token", SECRET)], Err(Refusal::Wrong)),
            // What Gitea sends without a secret.
            (vec![("x-gitea-signature", ""), ("x-hub-signature-256", "sha256=")], Err(Refusal::Unsigned)),
            // Of Harbor. Where a forge sends it beside its own, that counts.
            (vec![("authorization", SECRET)], Ok(None)),
            (vec![("authorization", "Basic YTpi")], Err(Refusal::Wrong)),
            (vec![("authorization", "")], Err(Refusal::Unsigned)),
            (vec![("authorization", SECRET), ("x-gitlab-token", "guessed")], Err(Refusal::Wrong)),
            (vec![("authorization", SECRET), ("x-gitea-signature", "00")], Err(Refusal::Wrong)),
            (vec![("authorization", "Basic YTpi"), ("x-gitlab-token", SECRET)], Ok(None)),
            (vec![], Err(Refusal::Unsigned)),
        ] {
            assert_eq!(checked(&headers, BODY, SECRET, 0), result, "{headers:?}");
        }
        assert_eq!(checked(&[("x-gitea-signature", SIGNATURE)], b"Hello, World?", SECRET, 0), Err(Refusal::Wrong));
    }

    #[test]
    fn a_signature_of_standard_webhooks_is_of_its_id_its_time_and_its_body() {
        let at = 1_614_265_330;
        let time = at.to_string();
        let headers = |signature| {
            [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", &*time),
                ("webhook-signature", signature),
            ]
        };
        let several = format!("v1,AAAA v2,xyz {STANDARD}");
        let id = Ok(Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()));
        for (signature, body, now, result) in [
            (STANDARD, SIGNED, at, id.clone()),
            (&*several, SIGNED, at + 300, id),
            (STANDARD, SIGNED, at + 301, Err(Refusal::Stale)),
            (STANDARD, SIGNED, at - 301, Err(Refusal::Stale)),
            (STANDARD, b"{}", at, Err(Refusal::Wrong)),
            ("v1,AAAA", SIGNED, at, Err(Refusal::Wrong)),
        ] {
            assert_eq!(checked(&headers(signature), body, SIGNING_TOKEN, now), result, "{signature} {now}");
        }
        let bare = [("webhook-signature", STANDARD)];
        assert_eq!(checked(&bare, SIGNED, SIGNING_TOKEN, at), Err(Refusal::Unsigned));
    }

    #[test]
    fn a_body_names_its_repository_in_many_ways_or_in_none() {
        let gitlab = json!({ "project": { "git_ssh_url": "git@forge:ops/shop.git", "id": 7, "homepage": "https://forge/ops/shop" } });
        let github = json!({ "repository": { "clone_url": "https://forge/ops/shop.git", "name": "shop", "url": 3 } });
        for (body, wanted) in [
            (gitlab.to_string(), vec!["git@forge:ops/shop.git", "https://forge/ops/shop"]),
            (github.to_string(), vec!["https://forge/ops/shop.git"]),
            ("payload=%7B%7D".to_owned(), vec![]),
            ("[1, 2]".to_owned(), vec![]),
        ] {
            let found: Vec<String> = read(body.as_bytes()).addresses.into_iter().collect();
            assert_eq!(found, wanted, "{body}");
        }
    }

    #[test]
    fn a_push_names_its_ref() {
        let (commit, none) = ("1f3c2a9".repeat(5), "0".repeat(40));
        for (body, wanted) in [
            // GitLab, GitHub, Gitea and Forgejo: a tag that is pushed, a branch, a tag that goes.
            (json!({ "object_kind": "tag_push", "ref": "refs/tags/v1", "before": none, "after": commit }), true),
            (json!({ "ref": "refs/heads/main", "before": commit, "after": commit, "pusher": {} }), true),
            (json!({ "ref": "refs/tags/v1", "before": commit, "after": none, "deleted": true }), true),
            (json!({ "ref": "v1", "ref_type": "tag", "sha": commit }), true),
            // A merge request, a comment on one, a release, a pipeline of GitLab; a body that somebody made.
            (json!({ "object_kind": "merge_request", "object_attributes": { "oldrev": commit } }), false),
            (json!({ "action": "synchronize", "before": none, "after": commit, "pull_request": {} }), false),
            (json!({ "action": "created", "comment": { "body": "refs/tags/v1" } }), false),
            (json!({ "object_kind": "pipeline", "object_attributes": { "ref": "main" } }), false),
            (json!({ "ref": "main", "text": "a build has ended" }), false),
            (json!({ "ref": 4, "after": 5 }), false),
        ] {
            assert_eq!(read(body.to_string().as_bytes()).is_of_push, wanted, "{body}");
        }
    }
}
