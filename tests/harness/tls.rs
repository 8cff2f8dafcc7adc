//! Certificates for the stand-ins: an authority, and what it signs, good and bad.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority, as a company has its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a server shows: a certificate with its key.
pub struct Certificate {
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: String,
    key_pem: String,
    /// Who comes has to show one that this authority signed.
    asks: Option<CertificateDer<'static>>,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut about = CertificateParams::new(Vec::new())?;
        about.distinguished_name.push(DnType::CommonName, name);
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        about.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(about, KeyPair::generate()?)? })
    }

    /// Itself, as an operator names it.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A good certificate for a host: a name or an address.
    pub fn sign(&self, host: &str) -> anyhow::Result<Certificate> {
        self.signed(host, |_| {})
    }

    /// One that ended long ago.
    pub fn sign_ended(&self, host: &str) -> anyhow::Result<Certificate> {
        self.signed(host, |about| {
            (about.not_before, about.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 2, 3));
        })
    }

    fn signed(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> anyhow::Result<Certificate> {
        let mut about = CertificateParams::new([host.to_owned()])?;
        about.distinguished_name.push(DnType::CommonName, host);
        change(&mut about);
        let key = KeyPair::generate()?;
        let signed = about.signed_by(&key, &self.issuer)?;
        Ok(Certificate {
            der: signed.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            pem: signed.pem(),
            key_pem: key.serialize_pem(),
            asks: None,
        })
    }
}

impl Certificate {
    /// A certificate for a host that is its own authority (CA:TRUE), as `openssl req -x509` makes one by itself.
    pub fn of_its_own(host: &str) -> anyhow::Result<Self> {
        let mut about = CertificateParams::new([host.to_owned()])?;
        about.distinguished_name.push(DnType::CommonName, host);
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let signed = about.self_signed(&key)?;
        Ok(Self {
            der: signed.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            pem: signed.pem(),
            key_pem: key.serialize_pem(),
            asks: None,
        })
    }

    /// Who comes has to show a certificate that this authority signed, too.
    #[must_use]
    pub fn asking(self, authority: &Authority) -> Self {
        Self { asks: Some(authority.issuer.der().clone()), ..self }
    }

    /// Itself, as a client shows it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its key.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(default_provider());
        let verifier = match &self.asks {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.clone()).expect("an authority of ours is one");
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
                builder.build().expect("there is an authority")
            }
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the protocols of today")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.der.clone()], self.key.clone_key())
            .expect("the key is the certificate's");
        TlsAcceptor::from(Arc::new(config))
    }
}
