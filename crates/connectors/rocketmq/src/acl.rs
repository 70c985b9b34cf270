//! Signs requests as RocketMQ's access control (1.0 and 2.0) wants it. Over remoting: HMAC-SHA1 over the values of all fields in the order of their
//! names, then the body. Over gRPC: HMAC-SHA1 over the date of the call.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::Credentials;
use rocketbridge_model::secret::Unresolvable;
use sha1::Sha1;
use tokio::time::Instant;

use crate::remoting::Request;

/// How long keys that were looked up are used before the references to them are followed again.
const LIFE: Duration = Duration::from_secs(10);

/// The keys of a client whose calls are signed one by one. What replaces credentials over time (a file, a service that issues tokens) is asked here.
pub(crate) struct Keys {
    credentials: Option<Credentials>,
    known: Mutex<Option<(Instant, Signer)>>,
}

impl Keys {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, known: Mutex::new(None) }
    }

    /// The keys to sign a call with now; `None` if calls are not signed.
    pub(crate) fn signer(&self) -> Result<Option<Signer>, Unresolvable> {
        let Some(credentials) = &self.credentials else { return Ok(None) };
        let mut known = self.known.lock();
        if let Some((until, signer)) = &*known
            && *until > Instant::now()
        {
            return Ok(Some(signer.clone()));
        }
        let signer = Signer::resolve(credentials)?;
        *known = Some((Instant::now() + LIFE, signer.clone()));
        Ok(Some(signer))
    }

    /// Looks the keys up anew at the next call: these were refused, and may have been replaced.
    pub(crate) fn forget(&self) {
        *self.known.lock() = None;
    }
}

/// Keys that were looked up.
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

    /// The header `authorization` of a gRPC call with this date (`x-mq-date-time`).
    pub(crate) fn authorization(&self, date: &str) -> String {
        let signature = hex::encode_upper(self.mac().chain_update(date).finalize().into_bytes());
        format!("MQv2-HMAC-SHA1 Credential={}, SignedHeaders=x-mq-date-time, Signature={signature}", self.access_key)
    }

    /// The token that temporary keys need; empty for none.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    fn mac(&self) -> Hmac<Sha1> {
        Hmac::<Sha1>::new_from_slice(self.secret_key.expose().as_bytes()).expect("HMAC takes keys of any length")
    }

    /// Adds key, token and signature.
    pub(crate) fn sign(&self, mut request: Request) -> Request {
        request = request.field("AccessKey", self.access_key.clone());
        if !self.token.is_empty() {
            request = request.field("SecurityToken", self.token.expose().to_owned());
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

    /// *Scenario*: the date of a call. *Guarantees*: the HMAC-SHA1 of the date in upper-case digits (computed with `openssl dgst -sha1 -hmac`).
    #[test]
    fn a_call_is_signed_by_its_date() {
        let signer = Signer { access_key: "ak".into(), secret_key: Secret::new("sk"), token: Secret::default() };
        let expected = "MQv2-HMAC-SHA1 Credential=ak, SignedHeaders=x-mq-date-time, Signature=8669E4EC1897E3B315AFD921CC2AA409AFAC7AFC";
        assert_eq!(signer.authorization("20261128T080000Z"), expected);
    }

    /// *Scenario*: a secret in a file that is replaced. *Guarantees*: a refusal has the file read again; without one it is read now and then.
    #[tokio::test(start_paused = true)]
    async fn refused_keys_are_looked_up_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        write("one");
        let reference = Secret::new(format!("file:{}", path.display()));
        let keys = Keys::new(Some(Credentials { access_key: "ak".into(), secret_key: reference, security_token: Secret::default() }));
        let secret = || keys.signer().expect("readable").expect("signed").secret_key.expose().to_owned();
        assert_eq!(secret(), "one");
        write("two");
        assert_eq!(secret(), "one");
        keys.forget();
        assert_eq!(secret(), "two");
        write("three");
        tokio::time::advance(LIFE).await;
        assert_eq!(secret(), "three");
        assert!(Keys::new(None).signer().expect("nothing to look up").is_none());
    }

    const EXPECTED: &str = "LEJOtZjqFRFG95dgHFeRaYBg2CE=";
}
