//! Certificates for tests of TLS.

use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{ClientIdentity, Tls};

/// Writes an authority, and certificates of server and client that it signed: `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let named = |name: &str, addresses: &[&str]| -> Result<CertificateParams> {
        let mut params = CertificateParams::new(addresses.iter().map(|address| (*address).to_owned()).collect::<Vec<_>>())?;
        // Java takes a certificate for its own issuer's if both have one name.
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(params)
    };
    let key = KeyPair::generate()?;
    let mut params = named("authority", &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
    let authority = Issuer::new(params, key);
    for name in ["server", "client"] {
        let key = KeyPair::generate()?;
        std::fs::write(folder.join(format!("{name}.pem")), named(name, &["127.0.0.1"])?.signed_by(&key, &authority)?.pem())?;
        std::fs::write(folder.join(format!("{name}-key.pem")), key.serialize_pem())?;
    }
    Ok(())
}

/// TLS with the authority and the client certificate of a folder.
pub(crate) fn tls(folder: &Path) -> Tls {
    let reference = |name: &str| Secret::new(format!("file:{}", folder.join(name).display()));
    Tls {
        ca: Some(reference("ca.pem")),
        identity: Some(ClientIdentity { certificate: reference("client.pem"), key: reference("client-key.pem") }),
        ..Tls::default()
    }
}
