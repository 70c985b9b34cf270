//! The protocol of an instance: what is said, and what follows from its type.

use super::choice;
use super::endpoint;
use super::findings::Findings;
use super::instance::InstanceType;
use crate::resolved::Protocol;

/// Protocols, as definitions write them.
const WORDS: &[&str] = &["Remoting", "Grpc"];

/// Reads the protocol; where nothing is said the type of instance decides. An unknown word or type is noted once, and read as nothing.
pub(super) fn read(field: &str, text: &str, kind: Option<InstanceType>, findings: &mut Findings) -> Protocol {
    choice::one_of(field, text, WORDS, findings);
    let protocol = said(text, kind);
    if kind == Some(InstanceType::Cloud4) && protocol == Protocol::Grpc {
        let fix = "write Remoting, or leave the field out; an instance with proxies is of type Cloud_5 or SelfBuilt";
        findings.add(field, text, "an instance of type Cloud_4 supports remoting only", fix);
    }
    protocol
}

/// The protocol of a word and a type.
pub(super) fn said(text: &str, kind: Option<InstanceType>) -> Protocol {
    match (text, kind) {
        ("Remoting", _) => Protocol::Remoting,
        ("Grpc", _) => Protocol::Grpc,
        (_, Some(InstanceType::Cloud4)) => Protocol::Remoting,
        (_, Some(InstanceType::Cloud5)) => Protocol::Grpc,
        (_, Some(InstanceType::SelfBuilt) | None) => Protocol::Detected,
    }
}

/// What an endpoint is called where this protocol is spoken.
pub(super) fn role(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "proxy",
        Protocol::Remoting | Protocol::Detected => "name server",
    }
}

/// One endpoint in its plain form. The error is the fix.
pub(super) fn plain(text: &str, protocol: Protocol) -> Result<String, String> {
    match protocol {
        Protocol::Grpc => endpoint::proxy(text),
        Protocol::Remoting | Protocol::Detected => endpoint::endpoint(text),
    }
}
