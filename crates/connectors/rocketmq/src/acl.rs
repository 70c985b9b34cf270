//! Signs requests as RocketMQ's access control (1.0 and 2.0) wants it, with the keys of the moment. Over remoting: HMAC-SHA1 over the values of all fields
//! in the order of their names, then the body. Over gRPC: HMAC-SHA1 over the date of the call.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rocketbridge_credentials::{Error, Keeper, Token};
use rocketbridge_model::Secret;
use sha1::Sha1;

use crate::remoting::Request;

/// How often a request that was refused is sent again, each time with newer keys.
pub(crate) const NEWER_KEYS: u32 = 3;

/// The keys of a client, which change while it is in use. Cheap to clone; clones share what is issued.
#[derive(Clone)]
pub(crate) struct Keys(Option<Keeper>);

impl Keys {
    /// `None`: requests are not signed.
    pub(crate) fn new(keeper: Option<Keeper>) -> Self {
        Self(keeper)
    }

    /// Whether requests are not signed.
    pub(crate) fn are_none(&self) -> bool {
        self.0.is_none()
    }

    /// What signs a request now; `None` if requests are not signed. It waits while the first keys are asked for.
    pub(crate) async fn signer(&self) -> Result<Option<Signer>, Error> {
        match &self.0 {
            None => Ok(None),
            Some(keeper) => keeper.current().await.map(|token| Some(Signer(token))),
        }
    }

    /// What signs a request again that was refused; `None` if there are no newer keys.
    pub(crate) async fn newer_than(&self, refused: &Signer) -> Option<Signer> {
        self.0.as_ref()?.newer_than(&refused.0).await.map(Signer)
    }

    /// Looks for newer keys: those of the moment were refused.
    pub(crate) fn look(&self) {
        if let Some(keeper) = &self.0 {
            keeper.look();
        }
    }

    /// What will stop requests before long, or does already, for people. `instance` is where they go.
    pub(crate) fn concern(&self, instance: &str) -> Option<String> {
        let concern = self.0.as_ref()?.concern()?;
        Some(format!("credentials for {instance}: {concern}"))
    }
}

/// Signs with the keys of a moment.
#[derive(Clone)]
pub(crate) struct Signer(Arc<Token>);

impl Signer {
    /// The header `authorization` of a gRPC call with this date (`x-mq-date-time`).
    pub(crate) fn authorization(&self, date: &str) -> String {
        let signature = hex::encode_upper(self.mac().chain_update(date).finalize().into_bytes());
        format!("MQv2-HMAC-SHA1 Credential={}, SignedHeaders=x-mq-date-time, Signature={signature}", self.0.access_key)
    }

    /// The token that temporary keys need; empty for none.
    pub(crate) fn token(&self) -> &Secret {
        &self.0.security_token
    }

    fn mac(&self) -> Hmac<Sha1> {
        Hmac::<Sha1>::new_from_slice(self.0.secret_key.expose().as_bytes()).expect("HMAC takes keys of any length")
    }

    /// Adds key, token and signature.
    pub(crate) fn sign(&self, mut request: Request) -> Request {
        request = request.field("AccessKey", self.0.access_key.clone());
        if !self.token().is_empty() {
            request = request.field("SecurityToken", self.token().expose().to_owned());
        }
        let mut fields: Vec<_> = request.fields.iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        let mut mac = self.mac();
        for (_, value) in fields {
            mac.update(value.as_bytes());
        }
        mac.update(&request.body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        request.field("Signature", signature)
    }

    /// One with these keys.
    #[cfg(test)]
    pub(crate) fn with(access_key: &str, secret_key: &str, token: &str) -> Self {
        let (secret_key, security_token) = (Secret::new(secret_key), Secret::new(token));
        Self(Arc::new(Token { access_key: access_key.to_owned(), secret_key, security_token, end: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a request with fields out of order, a body and a token. *Guarantees*: the signature is the HMAC-SHA1 of the values in
    /// name order and the body (computed with `openssl dgst -sha1 -hmac`).
    #[test]
    fn the_signature_is_over_values_in_name_order_and_the_body() {
        let signer = Signer::with("ak", "sk", "tk");
        let signed = signer.sign(Request::new(1).field("topic", "t").field("group", "g").body(&b"body"[..]));
        let value = |name: &str| signed.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.to_string());
        assert_eq!(value("AccessKey").as_deref(), Some("ak"));
        assert_eq!(value("SecurityToken").as_deref(), Some("tk"));
        assert_eq!(value("Signature").as_deref(), Some(EXPECTED));
    }

    /// *Scenario*: the date of a call. *Guarantees*: the HMAC-SHA1 of the date in upper-case digits (computed with `openssl dgst -sha1 -hmac`).
    #[test]
    fn a_call_is_signed_by_its_date() {
        let expected = "MQv2-HMAC-SHA1 Credential=ak, SignedHeaders=x-mq-date-time, Signature=8669E4EC1897E3B315AFD921CC2AA409AFAC7AFC";
        assert_eq!(Signer::with("ak", "sk", "").authorization("20261128T080000Z"), expected);
    }

    const EXPECTED: &str = "LEJOtZjqFRFG95dgHFeRaYBg2CE=";
}
