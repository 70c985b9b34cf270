//! Whether a request is signed as Alibaba Cloud documents it, from the bytes that came: an implementation apart from the one that signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::http::Request;

/// Parameters of query and form, decoded.
pub(super) fn parameters(request: &Request) -> Vec<(String, String)> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').chain(request.body.split('&')).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decode(name), decode(value))).collect()
}

/// A parameter; empty if it is missing.
pub(super) fn field<'a>(all: &'a [(String, String)], name: &str) -> &'a str {
    all.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}

pub(super) fn is_signed(request: &Request, all: &[(String, String)], secret_key: &str) -> bool {
    let mut pairs: Vec<String> =
        all.iter().filter(|(name, _)| name != "Signature").map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    let text = format!("{}&{}&{}", request.method, encode("/"), encode(&pairs.join("&")));
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(format!("{secret_key}&").as_bytes()) else { return false };
    mac.update(text.as_bytes());
    field(all, "SignatureMethod") == "HMAC-SHA1" && field(all, "Signature") == STANDARD.encode(mac.finalize().into_bytes())
}

fn encode(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8_lossy(&digits).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
