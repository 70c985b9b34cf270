//! Requests to Alibaba Cloud in the RPC style, signed with HMAC-SHA1 (signature version 1.0).
//!
//! <https://www.alibabacloud.com/help/en/sdk/product-overview/rpc-mechanism>: parameters of query and form together, sorted by name, percent-encoded
//! (RFC 3986), joined; the method, `/` and that text, encoded once more, are what is signed, with the secret key and a `&` behind it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rocketbridge_model::Secret;
use sha1::Sha1;

/// Parameters of a request, by name.
pub(crate) type Parameters = Vec<(&'static str, String)>;

/// Parameters as a query or a form.
pub(crate) fn form(parameters: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        if !text.is_empty() {
            text.push('&');
        }
        encode(name, &mut text);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

/// The signature of a request with these parameters in query and form.
pub(crate) fn signature(method: &str, query: &[(&'static str, String)], fields: &[(&'static str, String)], secret_key: &Secret) -> String {
    let mut all: Parameters = query.iter().chain(fields).cloned().collect();
    all.sort_by_key(|(name, _)| *name);
    let mut signed = format!("{method}&%2F&");
    encode(&form(&all), &mut signed);
    let key = format!("{}&", secret_key.expose());
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Percent-encodes everything but the unreserved characters (RFC 3986, 2.3).
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            into.push(byte.into());
        } else {
            write!(into, "%{byte:02X}").expect("a text takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(all: &[(&'static str, &str)]) -> Parameters {
        all.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// *Scenario*: the worked example of the documentation. *Guarantees*: its signature.
    #[test]
    fn the_documented_request_gets_the_documented_signature() {
        let query = parameters(&[
            ("Timestamp", "2016-02-23T12:46:24Z"),
            ("Format", "XML"),
            ("AccessKeyId", "testid"),
            ("Action", "DescribeRegions"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
            ("Version", "2014-05-26"),
            ("SignatureVersion", "1.0"),
        ]);
        assert_eq!(signature("GET", &query, &[], &Secret::new("testsecret")), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
    }

    /// *Scenario*: `AssumeRole` with all that must be encoded, parameters in query and form. *Guarantees*: the signature of an implementation of its own:
    ///
    /// ```python
    /// q = '&'.join(quote(k, safe='-_.~') + '=' + quote(v, safe='-_.~') for k, v in sorted(parameters.items()))
    /// b64encode(hmac.new(b's+/k=&', ('POST&%2F&' + quote(q, safe='-_.~')).encode(), sha1).digest())
    /// ```
    #[test]
    fn query_and_form_are_signed_together() {
        let query = parameters(&[
            ("Action", "AssumeRole"),
            ("Version", "2015-04-01"),
            ("Format", "JSON"),
            ("Timestamp", "2026-11-28T03:00:00Z"),
            ("SignatureNonce", "nonce-1"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("AccessKeyId", "ak"),
        ]);
        let fields = parameters(&[
            ("RoleArn", "acs:ram::1:role/bridge"),
            ("RoleSessionName", "rocketbridge"),
            ("DurationSeconds", "3600"),
            ("Policy", r#"{"Statement": [{"Effect":"Allow","Action":"mq:*~+"}]}"#),
            ("ExternalId", "e 1/é"),
        ]);
        assert_eq!(signature("POST", &query, &fields, &Secret::new("s+/k=")), "Z9lePDP/NslAXaSL2DNQ9Cgetxw=");
        assert_eq!(form(&parameters(&[("ExternalId", "e 1/é"), ("A", "~*")])), "ExternalId=e%201%2F%C3%A9&A=~%2A");
    }
}
