//! Keys and certificates of mutual TLS between services.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// What is spoken within TLS (ALPN, RFC 7301).
const HTTP2: &[u8] = b"h2";

/// PEM texts cannot be used for a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The authorities cannot be read, or there are none.
    #[error("the authorities (tls.ca): {0}")]
    Authorities(String),
    /// The certificate cannot be read, or the key does not belong to it.
    #[error("the certificate (tls.cert) with its key (tls.key): {0}")]
    Certificate(String),
    /// The key cannot be read.
    #[error("the key (tls.key): {0}")]
    Key(String),
}

/// PEM texts of a process: the authorities that it trusts, and its own identity.
#[derive(Clone)]
pub struct Tls {
    /// Certificates of the authorities that peers are checked against.
    pub authorities: Vec<u8>,
    /// The process's certificate chain.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl Tls {
    /// For a server: it presents its certificate and demands one of every client.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, Unusable> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let authorities = |error: &dyn std::fmt::Display| Unusable::Authorities(error.to_string());
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.authorities).map_err(|error| authorities(&error))? {
            roots.add(authority).map_err(|error| authorities(&error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let chain = certificates(&self.certificate).map_err(|error| Unusable::Certificate(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| Unusable::Key(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Unusable::Certificate(error.to_string()))?
            .with_client_cert_verifier(verifier.map_err(|error| authorities(&error))?)
            .with_single_cert(chain, key)
            .map_err(|error| Unusable::Certificate(error.to_string()))?;
        config.alpn_protocols.push(HTTP2.to_vec());
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// For a client: it presents its certificate and checks the server's.
    pub fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().identity(self.identity()).ca_certificate(Certificate::from_pem(&self.authorities))
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}
