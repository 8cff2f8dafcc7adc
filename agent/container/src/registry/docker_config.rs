//! Logins as Docker's `config.json` has them, for others to read (pure): the nodes of a cluster, by a Secret of type
//! `kubernetes.io/dockerconfigjson`, and programs that run beside us.
//!
//! The kubelet reads names and passwords, and no tokens: what only an engine or a token server knows how to use is refused
//! here, since pods would meet it as "unauthorized" hours later.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::credentials::{Login, server_name};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::secrets::SecretScrubber;

/// The login to this registry is a token, which no node of a cluster knows how to use.
#[derive(Debug, thiserror::Error)]
#[error("the login of registry {registry} is a token, which a cluster cannot pull with")]
pub struct TokenLogin {
    registry: String,
}

/// The logins by host, for a cluster. It is masked from then on in all texts.
///
/// # Errors
/// Where one of them is a token.
pub fn for_cluster(logins: &BTreeMap<String, Login>) -> Result<SecretString, TokenLogin> {
    let mut auths = serde_json::Map::new();
    for (registry, login) in logins {
        let Login::Password { username, password } = login else {
            return Err(TokenLogin { registry: registry.clone() });
        };
        let password = password.expose_secret();
        let auth = BASE64_STANDARD.encode(format!("{username}:{password}"));
        SecretScrubber::global().keep(&auth);
        let entry = json!({"username": username, "password": password, "auth": auth});
        auths.insert(server_name(registry).to_owned(), entry);
    }
    Ok(json!({ "auths": auths }).to_string().into())
}

/// This login for the registry of an image and no other, for a program.
pub fn for_program(image: &ImageRef, login: Option<&Login>) -> SecretString {
    for_each(login.map(|login| (image.registry(), login)))
}

/// These logins by host, for a program.
pub fn for_programs(logins: &BTreeMap<String, Login>) -> SecretString {
    for_each(logins.iter().map(|(registry, login)| (registry.as_str(), login)))
}

fn for_each<'l>(logins: impl IntoIterator<Item = (&'l str, &'l Login)>) -> SecretString {
    let entry = |login: &Login| match login {
        Login::Password { username, password } => {
            json!({ "auth": BASE64_STANDARD.encode(format!("{username}:{}", password.expose_secret())) })
        }
        Login::IdentityToken(token) => json!({ "identitytoken": token.expose_secret() }),
        Login::RegistryToken(token) => json!({ "registrytoken": token.expose_secret() }),
    };
    let auths = logins.into_iter().map(|(registry, login)| (server_name(registry).to_owned(), entry(login)));
    json!({ "auths": auths.collect::<serde_json::Map<_, _>>() }).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_written_as_docker_writes_them() {
        let password = |username: &str| Login::Password { username: username.to_owned(), password: "pässword".into() };
        let logins = [("registry.example:5000", password("robot$shop")), ("docker.io", password("me"))];
        let logins: BTreeMap<String, Login> =
            logins.into_iter().map(|(host, login)| (host.to_owned(), login)).collect();
        let config: serde_json::Value = serde_json::from_str(for_cluster(&logins).unwrap().expose_secret()).unwrap();
        let entry = &config["auths"]["registry.example:5000"];
        assert_eq!((&entry["username"], &entry["password"]), (&json!("robot$shop"), &json!("pässword")));
        assert_eq!(BASE64_STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap(), "robot$shop:pässword".as_bytes());
        assert_eq!(config["auths"]["https://index.docker.io/v1/"]["username"], "me");
    }

    #[test]
    fn a_token_is_refused_without_being_shown() {
        for token in [Login::IdentityToken("t0ken-of-a-test".into()), Login::RegistryToken("t0ken-of-a-test".into())] {
            let logins = BTreeMap::from([("a.example".to_owned(), token)]);
            let error = for_cluster(&logins).unwrap_err().to_string();
            assert_eq!(error, "the login of registry a.example is a token, which a cluster cannot pull with");
        }
    }
}
