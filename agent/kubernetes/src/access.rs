//! How a cluster is entered: server, authority, proxy and credential, from a kubeconfig or from the agent's own pod.
//!
//! `kube` makes the client and is given all of this ready: its own reading of a kubeconfig judges NO_PROXY by the proxy's
//! address instead of the server's, stumbles over a comma at its end, takes a token file with its line feed, and runs a
//! credential program thrice.

use std::net::IpAddr;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use jiff::Timestamp;
use kube::Config;
use kube::config::{AuthInfo, Cluster};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{ClusterConfig, IN_CLUSTER};
use crate::kubeconfig::{self, Seen, Way};
use crate::{exec, proxy};
use quarterdeck_core::secrets::SecretScrubber;
use quarterdeck_system::secret::{self, Place};

/// What a client is made of.
pub(super) struct Access {
    pub(super) config: Config,
    /// Files that it came from; one that changes makes another.
    pub(super) files: Vec<Seen>,
    /// When its credential ends.
    pub(super) until: Option<Timestamp>,
}

/// Finds the way into a cluster.
///
/// # Errors
/// In words, without secrets.
pub(super) async fn find(config: &ClusterConfig) -> Result<Access, String> {
    if config.name == IN_CLUSTER && config.kubeconfig.is_none() && config.context.is_none() {
        return own_pod();
    }
    let Way { cluster, mut user, files } = kubeconfig::way(config)?;
    let server = cluster.server.as_deref().filter(|server| !server.is_empty());
    let server = server.ok_or("the cluster of the kubeconfig's context has no server")?;
    let server: Uri = server.parse().map_err(|error| format!("the kubeconfig's server {server:?}: {error}"))?;
    if server.host().is_none() || server.scheme().is_none() {
        return Err(format!("the kubeconfig's server {server} is not an address; write https://host:port"));
    }
    if let Some(host) = in_clear(&server).filter(|_| !config.insecure && brings_credentials(&user)) {
        return Err(format!(
            "the kubeconfig's server {server} is not encrypted, and the credentials of its user would go to {host} in clear text; use https, or set insecure = true in [[cluster]]"
        ));
    }
    let until = credential(&mut user, &cluster).await?;
    keep_secret(&user);
    // Where nothing is encrypted the system's authorities are not asked for: there may be none.
    let plain = server.scheme_str() == Some("http");
    let mut made = Config::new(server);
    made.root_cert = authority(&cluster)?.or(plain.then(Vec::new));
    made.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or_default();
    made.disable_compression = cluster.disable_compression.unwrap_or_default();
    made.tls_server_name = cluster.tls_server_name.filter(|name| !name.is_empty());
    made.auth_info = user;
    made.proxy_url = proxy(cluster.proxy_url.as_deref(), &made)?;
    Ok(Access { config: made, files, until })
}

/// The host of a server on another machine that is spoken to in plain http.
fn in_clear(server: &Uri) -> Option<&str> {
    let host = server.host().filter(|_| server.scheme_str() == Some("http"))?;
    let address = host.trim_matches(['[', ']']);
    let is_here = address == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    (!is_here).then_some(host)
}

/// Whether the user is known by something that a request carries; a client certificate is nothing without TLS.
fn brings_credentials(user: &AuthInfo) -> bool {
    let AuthInfo { username, password, token, token_file, exec, auth_provider, .. } = user;
    let is_some = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let is_kept = |text: &Option<SecretString>| text.as_ref().is_some_and(|text| !text.expose_secret().is_empty());
    is_some(username)
        || is_kept(password)
        || is_kept(token)
        || is_some(token_file)
        || exec.is_some()
        || auth_provider.is_some()
}

/// The service account of the pod that the agent runs in.
fn own_pod() -> Result<Access, String> {
    let mut made = Config::incluster().map_err(|error| {
        format!("{IN_CLUSTER} is the service account of the agent's own pod, and there is none: {error}")
    })?;
    // The kubelet renews the token, and the authority beside it; like those that a kubeconfig names they are read again
    // when their files change.
    let token_file = made.auth_info.token_file.as_deref().map(Path::new);
    let files = token_file.into_iter().flat_map(|token| [Seen::now(token), Seen::now(token.with_file_name("ca.crt"))]);
    let files = files.collect();
    token(&mut made.auth_info)?;
    keep_secret(&made.auth_info);
    made.proxy_url = proxy(None, &made)?;
    Ok(Access { config: made, files, until: None })
}

fn proxy(named: Option<&str>, config: &Config) -> Result<Option<Uri>, String> {
    proxy::proxy(named, &config.cluster_url, &proxy::Environment::of_this_process())
}

/// Puts tokens and certificates where the client looks for them. When they end, where somebody says so.
async fn credential(user: &mut AuthInfo, cluster: &Cluster) -> Result<Option<Timestamp>, String> {
    if let Some(provider) = user.auth_provider.as_ref().filter(|provider| provider.name != "oidc") {
        let name = &provider.name;
        return Err(format!(
            "the kubeconfig logs in by auth-provider {name}, which Kubernetes gave up: renew it, so that it names a credential program"
        ));
    }
    token(user)?;
    let Some(exec) = user.exec.take() else { return Ok(None) };
    if user.token.is_some() || user.client_certificate.is_some() || user.client_certificate_data.is_some() {
        return Ok(None);
    }
    let handed = exec::ask(&exec, cluster).await?;
    user.token = handed.token.filter(|token| !token.is_empty()).map(SecretString::from);
    user.client_certificate_data = handed.client_certificate_data.map(|pem| BASE64_STANDARD.encode(pem));
    user.client_key_data = handed.client_key_data.map(|pem| BASE64_STANDARD.encode(pem).into());
    Ok(handed.until)
}

/// Whoever quotes what proves who we are (a server, a proxy, a library's log) is masked from now on.
fn keep_secret(user: &AuthInfo) {
    for secret in [&user.token, &user.password, &user.client_key_data].into_iter().flatten() {
        SecretScrubber::global().keep(secret.expose_secret());
    }
}

/// The token of a file outranks one that is written down, which may be an old copy of it. It is read as every secret is; spaces
/// around it go as well, as with kubectl.
fn token(user: &mut AuthInfo) -> Result<(), String> {
    user.token = user.token.take().filter(|token| !token.expose_secret().is_empty());
    let Some(path) = user.token_file.take().filter(|path| !path.is_empty()) else { return Ok(()) };
    let token = secret::read(&Place::file(&path)).map_err(|error| format!("no token to log in with: {error}"))?;
    user.token = Some(token.expose_secret().trim().into());
    Ok(())
}

/// The certificates that the server's is judged by; the system's where none are named.
fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, String> {
    let filled = |text: &&String| !text.is_empty();
    let (pem, who) = match (
        cluster.certificate_authority_data.as_ref().filter(filled),
        cluster.certificate_authority.as_ref().filter(filled),
    ) {
        (Some(data), _) => {
            let who = "certificate-authority-data of the kubeconfig".to_owned();
            (BASE64_STANDARD.decode(data).map_err(|error| format!("{who}: {error}"))?, who)
        }
        (None, Some(path)) => {
            let who = format!("the certificate authority {}", Path::new(path).display());
            (std::fs::read(path).map_err(|error| format!("cannot read {who}: {error}"))?, who)
        }
        (None, None) => return Ok(None),
    };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&pem).map(|one| one.map(|der| der.to_vec())).collect();
    let certificates = certificates.map_err(|error| format!("{who}: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("{who} holds no certificate in PEM"));
    }
    Ok(Some(certificates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_read_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token").display().to_string();
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let mut user = AuthInfo { token_file: Some(path.clone()), ..AuthInfo::default() };
            token(&mut user).map(|()| user.token.unwrap().expose_secret().to_owned())
        };
        assert_eq!(read(b" token-of-a-test \r\n").as_deref(), Ok("token-of-a-test"));
        for (content, why) in [
            (&b" \n"[..], "is empty"),
            (&b"\xff"[..], "is not UTF-8"),
            (&[b'x'; 65_537][..], "has more than 65536 bytes"),
        ] {
            assert_eq!(read(content), Err(format!("no token to log in with: the file {path} {why}")));
        }
    }

    #[tokio::test]
    async fn a_credential_over_plain_http_to_another_machine_needs_leave() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let enter = async |server: &str, user: &str, insecure: bool| {
            let text = format!(
                "current-context: c\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n\
                 contexts: [{{name: c, context: {{cluster: c, user: c}}}}]\nusers: [{{name: c, user: {user}}}]\n"
            );
            std::fs::write(&file, text).unwrap();
            let config = ClusterConfig { kubeconfig: Some(file.clone()), insecure, ..ClusterConfig::named(Some("c")) };
            find(&config).await.map(|_| ()).err()
        };
        let exec = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /no/such/program}}";
        for user in ["{token: t}", "{username: u, password: p}", "{tokenFile: /no/such/file}", exec] {
            for server in ["http://cluster.example:8080", "http://10.0.0.1", "http://127.0.0.1.example"] {
                let refused = enter(server, user, false).await.unwrap();
                assert!(
                    refused.contains("would go to ") && refused.contains("insecure = true"),
                    "{server} {user}: {refused}"
                );
            }
        }
        for (server, user, insecure) in [
            ("http://cluster.example:8080", "{token: t}", true),
            ("http://cluster.example:8080", "{}", false),
            ("http://cluster.example:8080", "{token: ''}", false),
            ("http://localhost:8080", "{token: t}", false),
            ("http://127.8.8.8", "{token: t}", false),
            ("http://[::1]:8080", "{token: t}", false),
        ] {
            assert_eq!(enter(server, user, insecure).await, None, "{server} {user}");
        }
    }
}
