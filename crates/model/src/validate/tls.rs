//! TLS of a connection.

use super::findings::Findings;
use super::secret;
use crate::address::Address;
use crate::connection::TlsDefinition;
use crate::resolved::{ClientIdentity, Tls};
use crate::secret::{REDACTED, Secret};

/// Maximum length of a PEM text, bytes.
const LONGEST: usize = 65_536;

/// Notes every violation.
pub(super) fn check(definition: &TlsDefinition, findings: &mut Findings) {
    check_pem("tls.ca", &Secret::new(definition.ca.as_str()), "CERTIFICATE-----", findings);
    check_pem("tls.client_certificate", &Secret::new(definition.client_certificate.as_str()), "CERTIFICATE-----", findings);
    check_pem("tls.client_key", &definition.client_key, "PRIVATE KEY-----", findings);
    match (definition.client_certificate.is_empty(), definition.client_key.is_empty()) {
        (true, false) => {
            let fix = "write the certificate, or remove the key";
            findings.add("tls.client_certificate", "", "a private key needs its certificate", fix);
        }
        (false, true) => {
            findings.add("tls.client_key", "", "a certificate needs its private key", "write file:NAME or env:NAME of the key");
        }
        _ => {}
    }
    let name = definition.server_name.as_str();
    if !name.is_empty() && as_host(name).is_none() {
        findings.add(
            "tls.server_name",
            name,
            "a server name is a host name or an address, without a port",
            "write the name that the certificates contain",
        );
    }
    if definition.insecure_skip_verify && !definition.ca.is_empty() {
        let rule = "any certificate is accepted, so authorities would have no effect";
        findings.add("tls.insecure_skip_verify", "true", rule, "remove it, so that certificates are checked, or remove ca");
    }
}

/// The settings of TLS; `None` without TLS. The definition was checked when it was stored.
pub(super) fn read(definition: Option<&TlsDefinition>) -> Option<Tls> {
    let definition = definition.filter(|definition| definition.enabled)?;
    let some = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
    Some(Tls {
        ca: some(&definition.ca),
        identity: some(&definition.client_certificate)
            .map(|certificate| ClientIdentity { certificate, key: definition.client_key.clone() }),
        server_name: (!definition.server_name.is_empty()).then(|| definition.server_name.to_ascii_lowercase()),
        insecure_skip_verify: definition.insecure_skip_verify,
    })
}

fn as_host(name: &str) -> Option<Address> {
    let host = if name.contains(':') { format!("[{name}]:1") } else { format!("{name}:1") };
    host.parse().ok()
}

fn check_pem(field: &str, pem: &Secret, kind: &str, findings: &mut Findings) {
    secret::check(field, pem, findings);
    let text = pem.expose();
    let is_sound = pem.is_empty() || pem.is_reference() || text == REDACTED || (text.contains("-----BEGIN ") && text.contains(kind));
    if text.len() > LONGEST {
        let fix = "write only what is needed, or a reference: file:NAME";
        findings.add(field, "", format!("at most {LONGEST} bytes are allowed"), fix);
    } else if !is_sound {
        let rule = format!("PEM text with BEGIN … {kind}, or a reference to it, is needed");
        findings.add(field, &pem.redacted(), rule, "write the text of the file, or file:NAME or env:NAME");
    }
}
