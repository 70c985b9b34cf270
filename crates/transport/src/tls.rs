//! Keys and certificates of mutual TLS between services.

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

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
    pub fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(self.identity()).client_ca_root(Certificate::from_pem(&self.authorities))
    }

    /// For a client: it presents its certificate and checks the server's.
    pub fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().identity(self.identity()).ca_certificate(Certificate::from_pem(&self.authorities))
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}
