//! Which proxy leads to an API server: the kubeconfig's `proxy-url`, else what the environment says, by the rules of Go's
//! programs, kubectl among them.
//!
//! The environment's proxy is for HTTPS_PROXY (HTTP_PROXY for a server without TLS), never for this machine itself, and
//! not for what NO_PROXY lists: addresses, networks, domains with what is below them, each with a port or without. A
//! `proxy-url` was written for this very cluster and counts whatever NO_PROXY says.

use std::net::IpAddr;

use http::Uri;

/// What the environment says of proxies.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    https: Option<String>,
    http: Option<String>,
    none: String,
}

impl Environment {
    /// That of this process.
    pub(super) fn of_this_process() -> Self {
        let variable = |names: [&str; 2]| {
            names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        };
        Self {
            https: variable(["HTTPS_PROXY", "https_proxy"]),
            http: variable(["HTTP_PROXY", "http_proxy"]),
            none: variable(["NO_PROXY", "no_proxy"]).unwrap_or_default(),
        }
    }
}

/// The proxy for a server; none where it is reached directly.
///
/// # Errors
/// In words, where what names a proxy is no address of one. Without its text, which may hold a password.
pub(super) fn proxy(named: Option<&str>, server: &Uri, environment: &Environment) -> Result<Option<Uri>, String> {
    if let Some(named) = named.map(str::trim).filter(|named| !named.is_empty()) {
        return parse(named, "proxy-url of the kubeconfig").map(Some);
    }
    let is_tls = server.scheme_str() == Some("https");
    let (found, who) = if is_tls { (&environment.https, "HTTPS_PROXY") } else { (&environment.http, "HTTP_PROXY") };
    match found {
        Some(found) if !is_direct(server, &environment.none) => parse(found.trim(), who).map(Some),
        _ => Ok(None),
    }
}

fn parse(text: &str, who: &str) -> Result<Uri, String> {
    let bad = || format!("{who} is not a proxy address; write http://host:port, https:// or socks5://");
    // Without a scheme it is http, and the two kinds of SOCKS 5 are one here: names are looked up by the proxy.
    let text =
        if text.contains("://") { text.replacen("socks5h://", "socks5://", 1) } else { format!("http://{text}") };
    let uri: Uri = text.parse().map_err(|_| bad())?;
    let is_known = matches!(uri.scheme_str(), Some("http" | "https" | "socks5"));
    if is_known && uri.host().is_some_and(|host| !host.is_empty()) { Ok(uri) } else { Err(bad()) }
}

/// Whether NO_PROXY, or that it is this machine, spares a server the proxy.
fn is_direct(server: &Uri, none: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_lowercase();
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("https") { 443 } else { 80 });
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    none.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| spares(&entry, &host, address, port))
}

/// Whether one entry of NO_PROXY means this host and port.
fn spares(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return match (network.parse(), bits.parse(), address) {
            (Ok(network), Ok(bits), Some(address)) => is_in(address, network, bits),
            _ => false,
        };
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        // An address of IPv6 has colons of its own, and a port only behind brackets.
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (entry, None),
    };
    if name.is_empty() || wanted.is_some_and(|wanted| wanted.parse() != Ok(port)) {
        return false;
    }
    if let Ok(entry) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return address == Some(entry);
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same =
        |a: u128, b: u128, width: u32| bits <= width && (bits == 0 || a >> (width - bits) == b >> (width - bits));
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same(a.to_bits().into(), n.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => same(a.to_bits(), n.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(named: Option<&str>, server: &str, https: &str, none: &str) -> String {
        let environment =
            Environment { https: Some(https.to_owned()), http: Some("plain:1".to_owned()), none: none.to_owned() };
        match proxy(named, &server.parse().unwrap(), &environment) {
            Ok(proxy) => proxy.map_or("direct".to_owned(), |proxy| proxy.to_string()),
            Err(words) => words,
        }
    }

    #[test]
    fn no_proxy_is_about_the_server() {
        for (server, none, direct) in [
            ("https://k8s.corp:6443", "", false),
            ("https://k8s.corp:6443", "*", true),
            ("https://k8s.corp:6443", "proxy.corp", false),
            ("https://k8s.corp:6443", "k8s.corp", true),
            ("https://k8s.corp:6443", " other , K8S.corp, ", true),
            ("https://k8s.corp:6443", "corp", true),
            ("https://k8s.corp:6443", ".corp", true),
            ("https://k8s.corp:6443", "*.corp", true),
            ("https://corp", ".corp", false),
            ("https://notcorp", "corp", false),
            ("https://k8s.corp:6443", "k8s.corp:443", false),
            ("https://k8s.corp:6443", "k8s.corp:6443,,", true),
            ("https://k8s.corp", "k8s.corp:443", true),
            ("https://10.1.2.3:6443", "10.0.0.0/8", true),
            ("https://10.1.2.3:6443", "10.1.2.2/31", true),
            ("https://10.1.2.3:6443", "11.0.0.0/8, 10.1.2.4", false),
            ("https://10.1.2.3:6443", "10.1.2.3", true),
            ("https://10.1.2.3:6443", "10.1.2.3:443", false),
            ("https://10.1.2.3:6443", "0.0.0.0/0", true),
            ("https://10.1.2.3:6443", "10.0.0.0/99, fd00::/8, no/host, :, ::", false),
            ("https://[fd00::1]:6443", "fd00::/8", true),
            ("https://[fd00::1]:6443", "fd00::1", true),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", true),
            ("https://[fd00::1]:6443", "[fd00::1]:1", false),
            ("https://127.0.0.1:6443", "", true),
            ("https://[::1]:6443", "", true),
            ("https://localhost:6443", "", true),
        ] {
            let wanted = if direct { "direct" } else { "http://proxy.corp:3128/" };
            assert_eq!(through(None, server, "http://proxy.corp:3128", none), wanted, "{server} {none:?}");
        }
    }

    #[test]
    fn the_kubeconfigs_proxy_counts_always_and_a_bad_one_is_told_without_its_text() {
        let server = "https://k8s.corp:6443";
        assert_eq!(through(Some("socks5://near:1080"), server, "far:1", "*"), "socks5://near:1080/");
        assert_eq!(through(Some(" "), server, "far:1", ""), "http://far:1/");
        assert_eq!(through(None, server, "socks5h://far:1", ""), "socks5://far:1/");
        assert_eq!(through(None, "http://10.1.1.1:80", "far:1", ""), "http://plain:1/");
        for bad in ["ftp://me:secret@far:1", "http://me:sec ret@far", "http://"] {
            let words = through(None, server, bad, "");
            assert!(words.starts_with("HTTPS_PROXY is not a proxy address"), "{bad}: {words}");
            assert!(!words.contains("sec"), "{words}");
        }
    }
}
