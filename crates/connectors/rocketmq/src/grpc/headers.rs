//! What goes with every call: who calls, and the signature of the moment.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use uuid::Uuid;

use crate::acl::Signer;

/// The version of the protocol's own clients whose habits are kept here: proxies answer older ones with coarser codes.
const CLIENT_VERSION: &str = "5.0.8";

/// Writes the headers of one call; without a signer it is not signed.
pub(crate) fn write(metadata: &mut MetadataMap, client_id: &str, namespace: &str, signer: Option<&Signer>) {
    let moment = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut put = |name: &'static str, value: &str| {
        // What no header can hold cannot be known to a proxy either: it refuses the call by name.
        if let Ok(value) = MetadataValue::<Ascii>::try_from(value) {
            metadata.insert(name, value);
        }
    };
    put("x-mq-client-id", client_id);
    put("x-mq-language", "RUST");
    put("x-mq-protocol", "v2");
    put("x-mq-client-version", CLIENT_VERSION);
    put("x-mq-request-id", &Uuid::new_v4().to_string());
    put("x-mq-date-time", &moment);
    if !namespace.is_empty() {
        put("x-mq-namespace", namespace);
    }
    if let Some(signer) = signer {
        put("authorization", &signer.authorization(&moment));
        if !signer.token().is_empty() {
            put("x-mq-session-token", signer.token().expose());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(signer: Option<&Signer>, namespace: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        write(&mut metadata, "client", namespace, signer);
        metadata
    }

    fn value<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
        metadata.get(name).and_then(|value| value.to_str().ok())
    }

    /// *Scenario*: a call with keys, token and namespace, and one without. *Guarantees*: the date of the header is the one that was signed; nothing is
    /// said that is not there.
    #[test]
    fn a_call_is_signed_for_its_moment() {
        let metadata = written(Some(&Signer::with("ak", "sk", "tk")), "ns");
        let moment = value(&metadata, "x-mq-date-time").expect("a date");
        assert!(moment.len() == 16 && moment.ends_with('Z') && moment.as_bytes()[8] == b'T', "{moment}");
        let signature = value(&metadata, "authorization").expect("signed");
        assert!(signature.starts_with("MQv2-HMAC-SHA1 Credential=ak, SignedHeaders=x-mq-date-time, Signature="), "{signature}");
        assert_eq!((value(&metadata, "x-mq-session-token"), value(&metadata, "x-mq-namespace")), (Some("tk"), Some("ns")));
        let metadata = written(None, "");
        assert_eq!((value(&metadata, "x-mq-client-id"), value(&metadata, "x-mq-protocol")), (Some("client"), Some("v2")));
        for absent in ["authorization", "x-mq-session-token", "x-mq-namespace"] {
            assert_eq!(value(&metadata, absent), None);
        }
    }
}
