//! A 401 that a registry gives at a repository, answered with the login.
//!
//! The library asks at `/v2/` who it has to be. A registry that lets anybody pull some repositories has no challenge there, and
//! one before which a proxy stands may have another; docker and BuildKit answer the challenge of whichever request met it.

use oci_client::RegistryOperation;
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::{RegistryToken, RegistryTokenType};
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Method, StatusCode};

use super::RegistryError;
use super::call::Call;

/// Tokens of registries are some kilobytes long.
const TOKEN_BYTES_MAX: u64 = 256 * 1024;

/// What a registry wants to see.
#[derive(Debug, PartialEq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Call {
    /// Asks for this path of the registry's API, as nobody, and answers its challenge: false where there is none, or none
    /// that can be answered.
    pub(super) async fn answer_challenge(&mut self, bare: &reqwest::Client, path: &str) -> Result<bool, RegistryError> {
        let answered = self.answer_challenge_to(Method::GET, bare, path).await?;
        let is_answered = answered.is_some();
        if let Some(token) = answered {
            self.client.tokens.insert(&self.reference, RegistryOperation::Pull, token).await;
        }
        Ok(is_answered)
    }

    /// The same for a request with another method, whose token is for that alone and is not kept; none where there is no challenge.
    pub(super) async fn answer_challenge_to(
        &mut self,
        method: Method,
        bare: &reqwest::Client,
        path: &str,
    ) -> Result<Option<RegistryTokenType>, RegistryError> {
        let answer = bare.request(method, self.url(path)).send().await.map_err(|error| self.error(error.into()))?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let told = answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let all: Vec<Challenge> = told.filter_map(challenge).collect();
        let token = match (&self.auth, all.iter().find(|one| **one != Challenge::Basic).or(all.first())) {
            (RegistryAuth::Basic(user, password), Some(Challenge::Basic)) => {
                RegistryTokenType::Basic(user.clone(), password.clone())
            }
            // A token that is given as it is has been shown already.
            (RegistryAuth::Bearer(_), _) | (_, Some(Challenge::Basic) | None) => return Ok(None),
            // What goes to the registry by TLS does not go to its token server without.
            (_, Some(Challenge::Bearer { realm, .. })) if self.scheme == "https" && !realm.starts_with("https://") => {
                return Ok(None);
            }
            (_, Some(Challenge::Bearer { realm, service, scope })) => {
                let own = format!("repository:{}:pull", self.reference.repository());
                let asked =
                    bare.get(realm).query(&[("scope", scope.as_ref().unwrap_or(&own))]).query(&[("service", service)]);
                let asked = match &self.auth {
                    RegistryAuth::Basic(user, password) => asked.basic_auth(user, Some(password)),
                    _ => asked,
                };
                let answer = asked.send().await.map_err(|error| self.error(error.into()))?;
                match answer.status() {
                    StatusCode::OK => RegistryTokenType::Bearer(self.token(answer).await?),
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                        return Err(self.wrong_login(answer.status().as_str()));
                    }
                    status => return Err(self.answer(&format!("its token server gave no token: {status}"))),
                }
            }
        };
        self.token = match &token {
            RegistryTokenType::Bearer(token) => Some(token.token().to_owned()),
            RegistryTokenType::Basic(..) => None,
        };
        self.has_token |= matches!((&token, &self.auth), (RegistryTokenType::Bearer(_), RegistryAuth::Basic(..)));
        Ok(Some(token))
    }

    async fn token(&self, answer: reqwest::Response) -> Result<RegistryToken, RegistryError> {
        if answer.content_length().is_some_and(|bytes| bytes > TOKEN_BYTES_MAX) {
            return Err(self.answer("its token server answered with something larger than a token"));
        }
        let bytes = answer.bytes().await.map_err(|error| self.error(error.into()))?;
        serde_json::from_slice(&bytes)
            .map_err(|_| self.answer("its token server answered with something other than a token"))
    }
}

/// Reads `Basic realm="…"` or `Bearer realm="…",service="…",scope="…"`.
fn challenge(text: &str) -> Option<Challenge> {
    let (scheme, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    for (name, value) in parameters(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
    }
    Some(Challenge::Bearer { realm: realm?, service, scope })
}

/// `name=value` and `name="quoted, value"`, with commas between them.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let mut value = String::new();
        let end = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut chars = quoted.char_indices();
                loop {
                    match chars.next() {
                        Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| c)),
                        Some((at, '"')) => break &quoted[at + 1..],
                        Some((_, c)) => value.push(c),
                        None => break "",
                    }
                }
            }
            None => {
                let (bare, rest) = after.split_once(',').unwrap_or((after, ""));
                bare.trim().clone_into(&mut value);
                rest
            }
        };
        found.push((name.trim_matches([' ', ',', '\t']).to_owned(), value));
        rest = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_in_every_form() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
        };
        let auth = "https://auth.example/token";
        for (text, expected) in [
            ("Basic realm=\"here\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            ("Bearer realm=\"https://auth.example/token\"", bearer(auth, None, None)),
            (
                "bearer Realm=\"https://auth.example/token\", service=r.example , scope=\"repository:a/b:pull,push\",error=\"x\"",
                bearer(auth, Some("r.example"), Some("repository:a/b:pull,push")),
            ),
            ("Bearer realm=\"a\\\"b\",service=\"\"", bearer("a\"b", Some(""), None)),
            ("Bearer service=\"x\"", None),
            ("Bearer realm=\"open", bearer("open", None, None)),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(challenge(text), expected, "{text}");
        }
    }
}
