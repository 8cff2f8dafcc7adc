//! A server's certificate that was rejected: why, and what to do, in words for the person who has to fix it.
//!
//! rustls says it at the bottom of three libraries' errors, in words that count the seconds and so are others each time.
//! Git remotes, registries and clusters ask here.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

/// Why a certificate was rejected. The same words each time, so that a failure that lasts is told once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Signed by somebody unknown, or by itself.
    #[error("it is signed by an unknown authority")]
    Authority,
    /// Somebody else's.
    #[error("it is for {}, not for {host}", list(.names))]
    OtherName {
        /// Who was asked.
        host: String,
        /// Whom it is for.
        names: Vec<String>,
    },
    /// Its time is over.
    #[error("it expired at {at}")]
    Ended {
        /// When it ended.
        at: Timestamp,
    },
    /// Its time is to come.
    #[error("it is not valid before {at}")]
    NotBegun {
        /// When it begins.
        at: Timestamp,
    },
    /// It is an authority's, and shown as a server's: what `openssl req -x509` makes by itself.
    #[error("it is the certificate of an authority (CA:TRUE), shown as that of a server")]
    AuthoritysOwn,
    /// Anything else, in the words of who looked at it.
    #[error("{0}")]
    Other(String),
}

impl Distrust {
    /// What to do. `trust` says where an authority is named, for who knows that the certificate is right.
    pub fn remedy(&self, trust: &str) -> String {
        match self {
            Distrust::Authority | Distrust::Other(_) => format!("if it is the right one, {trust}"),
            Distrust::OtherName { host, .. } => {
                format!("use an address with a name that it has, or have one made for {host}")
            }
            Distrust::AuthoritysOwn => {
                "make one for the server with -addext basicConstraints=critical,CA:FALSE, and name that one or its authority"
                    .to_owned()
            }
            Distrust::Ended { .. } | Distrust::NotBegun { .. } => {
                "have it renewed, or see that this machine's clock is right".to_owned()
            }
        }
    }
}

/// What is wrong with the server's certificate, if that is what an error comes down to.
pub fn distrust(error: &(dyn Error + 'static)) -> Option<Distrust> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(rejection(why));
        }
        // As its source an io::Error names the source of what it wraps, and so passes over that itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn rejection(why: &CertificateError) -> Distrust {
    match why {
        CertificateError::UnknownIssuer => Distrust::Authority,
        CertificateError::NotValidForNameContext { expected, presented } => Distrust::OtherName {
            host: expected.to_str().into_owned(),
            names: presented.iter().map(|name| bare(name).to_owned()).collect(),
        },
        CertificateError::ExpiredContext { not_after, .. } => Distrust::Ended { at: moment(*not_after) },
        CertificateError::NotValidYetContext { not_before, .. } => Distrust::NotBegun { at: moment(*not_before) },
        // Of rustls-webpki, which rustls hands on without a name of its own.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => Distrust::AuthoritysOwn,
        other => Distrust::Other(other.to_string()),
    }
}

fn moment(at: UnixTime) -> Timestamp {
    i64::try_from(at.as_secs()).ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or(Timestamp::MAX)
}

/// `shop.example` of `DnsName("shop.example")`.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').map_or(name, |(_, inside)| inside.trim_end_matches(')'));
    inside.trim_matches('"')
}

fn list(names: &[String]) -> String {
    /// A certificate of a big host has hundreds.
    const SHOWN: usize = 5;
    match names {
        [] => "no name".to_owned(),
        names if names.len() > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wrapped(why: CertificateError) -> io::Error {
        // As hyper and reqwest hand it on.
        io::Error::other(io::Error::other(rustls::Error::InvalidCertificate(why)))
    }

    #[test]
    fn what_is_wrong_is_found_below_other_errors_and_has_the_same_words_each_time() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let mut said = Vec::new();
        for time in [1_700_000_000, 1_700_000_060] {
            let why = CertificateError::ExpiredContext { time: at(time), not_after: at(1_600_000_000) };
            said.push(distrust(&wrapped(why)).unwrap().to_string());
        }
        assert_eq!(said, ["it expired at 2020-09-13T12:26:40Z"; 2]);
        let name = CertificateError::NotValidForNameContext {
            expected: "forge.example".try_into().unwrap(),
            presented: vec!["DnsName(\"old.example\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()],
        };
        let name = distrust(&wrapped(name)).unwrap();
        assert_eq!(name.to_string(), "it is for old.example, 127.0.0.1, not for forge.example");
        assert!(name.remedy("").ends_with("have one made for forge.example"));
        assert_eq!(distrust(&wrapped(CertificateError::UnknownIssuer)), Some(Distrust::Authority));
        assert_eq!(distrust(&io::Error::other("connection refused")), None);
        let many: Vec<String> = (0..9).map(|n| format!("{n}.example")).collect();
        assert!(list(&many).ends_with("4.example and 4 more"));
    }
}
