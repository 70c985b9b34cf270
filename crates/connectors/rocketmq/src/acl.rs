//! Signs requests as RocketMQ's access control (1.0 and 2.0) wants it: HMAC-SHA1 over the values of all fields in the order of their
//! names, then the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::Credentials;
use rocketbridge_model::secret::Unresolvable;
use sha1::Sha1;

use crate::remoting::Request;

/// Keys that were looked up when the connection was dialled.
#[derive(Clone)]
pub(crate) struct Signer {
    access_key: String,
    secret_key: Secret,
    token: Secret,
}

impl Signer {
    /// Follows the references to secrets.
    pub(crate) fn resolve(credentials: &Credentials) -> Result<Self, Unresolvable> {
        Ok(Self {
            access_key: credentials.access_key.clone(),
            secret_key: credentials.secret_key.resolve()?,
            token: credentials.security_token.resolve()?,
        })
    }

    /// Adds key, token and signature.
    pub(crate) fn sign(&self, mut request: Request) -> Request {
        request = request.field("AccessKey", self.access_key.clone());
        if !self.token.is_empty() {
            request = request.field("SecurityToken", self.token.expose().to_owned());
        }
        let mut fields: Vec<_> = request.fields.iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        let mut mac = Hmac::<Sha1>::new_from_slice(self.secret_key.expose().as_bytes()).expect("HMAC takes keys of any length");
        for (_, value) in fields {
            mac.update(value.as_bytes());
        }
        mac.update(&request.body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        request.field("Signature", signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a request with fields out of order, a body and a token. *Guarantees*: the signature is the HMAC-SHA1 of the values in
    /// name order and the body (computed with `openssl dgst -sha1 -hmac`).
    #[test]
    fn the_signature_is_over_values_in_name_order_and_the_body() {
        let signer = Signer { access_key: "ak".into(), secret_key: Secret::new("sk"), token: Secret::new("tk") };
        let signed = signer.sign(Request::new(1).field("topic", "t").field("group", "g").body(&b"body"[..]));
        let value = |name: &str| signed.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.to_string());
        assert_eq!(value("AccessKey").as_deref(), Some("ak"));
        assert_eq!(value("SecurityToken").as_deref(), Some("tk"));
        assert_eq!(value("Signature").as_deref(), Some(EXPECTED));
    }

    const EXPECTED: &str = "LEJOtZjqFRFG95dgHFeRaYBg2CE=";
}
