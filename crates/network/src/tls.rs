//! TLS on a connection: certificates of both sides, and what was wrong with them in words.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_model::Secret;
use rocketbridge_model::address::Host;
use rocketbridge_model::resolved::Tls;
use rocketbridge_secrets::Secrets;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connect::reason;
use crate::error::Fault;

/// How long both sides may take to agree.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Speaks TLS to whoever is at the other end. `protocols` are offered by ALPN.
pub(crate) async fn agree(
    socket: TcpStream,
    host: &Host,
    settings: &Tls,
    protocols: &[Vec<u8>],
    secrets: &Arc<Secrets>,
) -> Result<TlsStream<TcpStream>, Fault> {
    let name = server_name(host, settings)?;
    let (settings, protocols, secrets) = (settings.clone(), protocols.to_vec(), Arc::clone(secrets));
    // References are files, and the authorities of the system hundreds of them.
    let reading = tokio::task::spawn_blocking(move || config(&settings, protocols, &secrets));
    let config = reading.await.map_err(|_| Fault::Tls("the certificates were not read to their end".to_owned()))??;
    match timeout(HANDSHAKE, TlsConnector::from(Arc::new(config)).connect(name.clone(), socket)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(explain(&error, &name)),
        Err(_) => Err(Fault::Unreachable(format!("TLS was not agreed upon within {} s", HANDSHAKE.as_secs()))),
    }
}

fn server_name(host: &Host, settings: &Tls) -> Result<ServerName<'static>, Fault> {
    let name = match (&settings.server_name, host) {
        (Some(name), _) => name.clone(),
        (None, Host::Name(name)) => name.clone(),
        (None, Host::Ip(address)) => address.to_string(),
    };
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::IpAddress(address.into())),
        Err(_) => ServerName::try_from(name.clone()).map_err(|_| Fault::Tls(format!("{name} is no name that a certificate can be for"))),
    }
}

/// Reads the certificates. It blocks.
fn config(settings: &Tls, protocols: Vec<Vec<u8>>, secrets: &Secrets) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::Tls(error.to_string()))?;
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TakesAny(provider)))
    } else {
        builder.with_root_certificates(authorities(settings.ca.as_ref(), secrets)?)
    };
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates("tls.client_certificate", &identity.certificate, secrets)?;
            let key = secrets.follow(&identity.key)?;
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                .map_err(|_| Fault::Tls("tls.client_key holds no private key in PEM form".to_owned()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| Fault::Tls(format!("tls.client_certificate and tls.client_key do not go together: {error}")))?
        }
    };
    config.alpn_protocols = protocols;
    Ok(config)
}

fn authorities(ca: Option<&Secret>, secrets: &Secrets) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(ca) => {
            for certificate in certificates("tls.ca", ca, secrets)? {
                roots.add(certificate).map_err(|error| Fault::Tls(format!("tls.ca holds a certificate that cannot be read: {error}")))?;
            }
        }
        // Some of a system's certificates may be unreadable; what matters is that any can be read.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if roots.is_empty() {
        return Err(Fault::Tls("this system trusts no authorities; give tls.ca".to_owned()));
    }
    Ok(roots)
}

fn certificates(field: &str, pem: &Secret, secrets: &Secrets) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let text = secrets.follow(pem)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose().as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Fault::Tls(format!("{field} holds no certificate in PEM form"))),
    }
}

/// What was wrong, and which setting it is about.
fn explain(error: &io::Error, name: &ServerName<'_>) -> Fault {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        // Without a word of TLS the peer may be down as well as speak something else.
        return Fault::Unreachable(format!("TLS: {}", reason(error)));
    };
    let name = name.to_str();
    Fault::Tls(match inner {
        // A signature is bad where an authority of the same name, but with another key, is trusted.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the server's certificate is not from an authority of tls.ca (without tls.ca: one that this system trusts)".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName) => {
            format!("the server's certificate is not for {name}; set tls.server_name to a name that it is for")
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            format!("the server's certificate is for {names}, not for {name}; set tls.server_name to a name that it is for")
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "the server's certificate is not valid yet".to_owned()
        }
        rustls::Error::InvalidCertificate(other) => format!("the server's certificate is refused: {other}"),
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS; remove tls, or dial the port that speaks it".to_owned(),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
            format!("{inner}; the server may want a client certificate: set tls.client_certificate and tls.client_key")
        }
        other => other.to_string(),
    })
}

/// Takes any certificate; only that the peer has its key is still checked.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
