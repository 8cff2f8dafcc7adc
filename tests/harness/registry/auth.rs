//! Who may do what in the stand-in registry: nobody asks, Basic, or tokens from its own endpoint.
//!
//! The rules are those of the big registries: whoever is not known is told 401 with a challenge; whoever is known but may not
//! push gets a token without `push`, and learns of it by `insufficient_scope` (tokens) or 403 (Basic).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

/// How people log in.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Everybody may do everything.
    #[default]
    None,
    /// User and password with each request.
    Basic(Vec<User>),
    /// User and password are changed for a token at `/token`, for one repository and its actions.
    Token(Vec<User>),
}

/// Someone with a password.
#[derive(Debug, Clone)]
pub struct User {
    name: String,
    password: String,
    may_push: bool,
}

impl User {
    /// May pull and push.
    pub fn new(name: &str, password: &str) -> Self {
        Self { name: name.to_owned(), password: password.to_owned(), may_push: true }
    }

    /// May pull only.
    pub fn read_only(name: &str, password: &str) -> Self {
        Self { may_push: false, ..Self::new(name, password) }
    }
}

/// The name under which tokens are asked for.
const SERVICE: &str = "stand-in-registry";

/// Decides about requests, and gives out tokens.
pub(super) struct Gate {
    auth: Auth,
    /// The version check asks nobody.
    pub(super) open_version: bool,
    /// What each token lets its bearer do: repository to actions.
    tokens: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    given: u64,
}

/// Why a request does not get in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// 401 with this `WWW-Authenticate`.
    Challenge(String),
    /// 403: known, but not allowed.
    Denied,
}

impl Gate {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, open_version: false, tokens: BTreeMap::new(), given: 0 }
    }

    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Whether a request comes with the name and password of somebody.
    pub(super) fn knows(&self, authorization: Option<&str>) -> bool {
        match &self.auth {
            Auth::None => true,
            Auth::Basic(users) | Auth::Token(users) => {
                authorization.and_then(basic).is_some_and(|login| find(users, &login).is_some())
            }
        }
    }

    /// May a request with this `Authorization` do `action` (`pull`, `push`, `delete`) in `repository` (none: the version check)?
    pub(super) fn check(
        &self,
        address: &str,
        authorization: Option<&str>,
        repository: Option<&str>,
        action: &str,
    ) -> Result<(), Refusal> {
        if repository.is_none() && self.open_version {
            return Ok(());
        }
        match &self.auth {
            Auth::None => Ok(()),
            Auth::Basic(users) => match authorization.and_then(basic).and_then(|login| find(users, &login)) {
                Some(user) if action == "pull" || user.may_push => Ok(()),
                Some(_) => Err(Refusal::Denied),
                None => Err(Refusal::Challenge("Basic realm=\"stand-in\"".to_owned())),
            },
            Auth::Token(_) => {
                let grant =
                    authorization.and_then(|value| value.strip_prefix("Bearer ")).and_then(|t| self.tokens.get(t));
                let known = grant.is_some();
                let allowed = grant.is_some_and(|grant| {
                    repository.is_none_or(|name| grant.get(name).is_some_and(|actions| actions.contains(action)))
                });
                if allowed { Ok(()) } else { Err(Refusal::Challenge(challenge(address, repository, action, known))) }
            }
        }
    }

    /// Answers the token endpoint: a token with the actions that this login may have, or none for a wrong login.
    /// Nobody in particular gets a token that is good for nothing, as Harbor does it.
    pub(super) fn token(&mut self, authorization: Option<&str>, scopes: &[String]) -> Option<String> {
        let Auth::Token(users) = &self.auth else { return None };
        let user = match authorization {
            Some(value) => Some(find(users, &basic(value)?)?),
            None => None,
        };
        let mut grant: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for scope in scopes {
            // repository:NAME:ACTIONS, where the name may hold a port and so a colon.
            let Some((name, actions)) = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':')) else {
                continue;
            };
            let allowed = actions.split(',').filter(|action| match user {
                Some(user) => user.may_push || *action == "pull",
                None => false,
            });
            grant.entry(name.to_owned()).or_default().extend(allowed.map(str::to_owned));
        }
        self.given += 1;
        let token = hex(&Sha256::digest(format!("token {} of {:p}", self.given, self)));
        self.tokens.insert(token.clone(), grant);
        Some(token)
    }
}

fn challenge(address: &str, repository: Option<&str>, action: &str, known: bool) -> String {
    let mut challenge = format!("Bearer realm=\"http://{address}/token\",service=\"{SERVICE}\"");
    if let Some(repository) = repository {
        let actions = if action == "push" { "pull,push" } else { action };
        challenge.push_str(&format!(",scope=\"repository:{repository}:{actions}\""));
    }
    if known {
        challenge.push_str(",error=\"insufficient_scope\"");
    }
    challenge
}

pub(super) fn basic(authorization: &str) -> Option<(String, String)> {
    let decoded = BASE64_STANDARD.decode(authorization.strip_prefix("Basic ")?).ok()?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn find<'a>(users: &'a [User], (name, password): &(String, String)) -> Option<&'a User> {
    users.iter().find(|user| user.name == *name && user.password == *password)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
