//! Certificates for the stand-ins: an authority, and what it signs, good and bad.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An authority, as a company has its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a server shows: a certificate with its key.
pub struct Certificate {
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
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
        Ok(Certificate { der: signed.der().clone(), key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) })
    }
}

impl Certificate {
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the protocols of today")
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], self.key.clone_key())
            .expect("the key is the certificate's");
        TlsAcceptor::from(Arc::new(config))
    }
}
