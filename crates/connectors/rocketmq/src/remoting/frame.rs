//! One frame: `length, header length and kind, header, body`; the header is JSON.
//!
//! The body of a response is a slice of the frame as it was read: nothing is copied.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use rocketbridge_connector::Permit;
use rocketbridge_model::session::LARGEST_EVENT;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// Longest frame that is read: the longest event that can travel, alone in the answer to a pull. Brokers answer 256 KiB by default, or one message where
/// that is longer; 4 MiB is the default limit of a message.
pub(crate) const MAX_FRAME: usize = LARGEST_EVENT + MAX_HEADER;
/// Longest header. RocketMQ gives its length 24 bits; what brokers write is some hundred bytes, and in the worst case (the exception of a broker in
/// `remark`) some ten thousand.
pub(crate) const MAX_HEADER: usize = 1 << 20;
/// The 24 bits of the word that hold a header's length.
const HEADER_LENGTH: u32 = 0x00FF_FFFF;
/// Ordinal of `V5_3_1` in `MQVersion`: name servers write standard JSON to clients from 4.9.4 on.
const VERSION: i32 = 475;
const FLAG_RESPONSE: i32 = 1;
const FLAG_ONE_WAY: i32 = 2;

/// A request, before it gets its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) code: i32,
    pub(crate) fields: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) body: Bytes,
    /// Asked right before each write; the request is not written, and not finished, once it no longer holds. `None` for what anybody may ask.
    pub(crate) permit: Option<Permit>,
}

impl Request {
    pub(crate) fn new(code: i32) -> Self {
        Self { code, ..Self::default() }
    }

    pub(crate) fn field(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn number(self, name: &'static str, value: impl ToString) -> Self {
        self.field(name, value.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn permitted(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Everything before the body.
    pub(crate) fn head(&self, opaque: i32) -> Bytes {
        let header = RequestHeader {
            code: self.code,
            language: "OTHER",
            version: VERSION,
            opaque,
            flag: 0,
            remark: None,
            ext_fields: Fields(&self.fields),
            form: "JSON",
        };
        head(&header, self.body.len())
    }
}

/// A response. `code` 0 is success; `remark` says why not.
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) code: i32,
    pub(crate) remark: String,
    pub(crate) fields: HashMap<String, String>,
    pub(crate) body: Bytes,
    /// Whether a Java server of Apache RocketMQ gave it.
    pub(crate) is_java: bool,
}

impl Response {
    /// A number among the fields.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.fields.get(name)?.parse().ok()
    }
}

/// Reads of a frame that is too long whose answer it is, from what of it holds the header; `None` if it is none, or the header is not whole.
pub(crate) fn answers(start: &[u8]) -> Option<i32> {
    let (word, rest) = start.split_first_chunk::<4>()?;
    let word = u32::from_be_bytes(*word);
    let header = rest.get(..(word & HEADER_LENGTH) as usize)?;
    let header: ResponseHeader = serde_json::from_slice(header).ok().filter(|_| word >> 24 == 0)?;
    (header.flag & FLAG_RESPONSE != 0).then_some(header.opaque)
}

/// What a peer sent.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// The answer to request `opaque`.
    Response(i32, Response),
    /// A request of the peer that wants an answer.
    Request(i32),
    /// Something that wants none.
    Notice,
}

/// Reads a frame without its length word.
pub(crate) fn read(mut frame: Bytes) -> Result<Incoming, Malformed> {
    if frame.len() < 4 {
        return Err(Malformed("a frame shorter than its header length"));
    }
    let word = bytes::Buf::get_u32(&mut frame);
    let (kind, length) = (word >> 24, (word & HEADER_LENGTH) as usize);
    if length > MAX_HEADER {
        return Err(Malformed("a header longer than any of RocketMQ"));
    }
    if frame.len() < length {
        return Err(Malformed("a header longer than its frame"));
    }
    let header = frame.split_to(length);
    if kind != 0 {
        // Answers come in the form of the request, JSON; only a broker's own requests may be in RocketMQ's binary form.
        return Ok(Incoming::Notice);
    }
    let header: ResponseHeader<'_> = serde_json::from_slice(&header).map_err(|_| Malformed("a header that is not the expected JSON"))?;
    if header.flag & FLAG_RESPONSE != 0 {
        let response = Response {
            code: header.code,
            remark: header.remark.unwrap_or_default(),
            fields: header.ext_fields.unwrap_or_default(),
            body: frame,
            is_java: header.language == "JAVA",
        };
        return Ok(Incoming::Response(header.opaque, response));
    }
    Ok(if header.flag & FLAG_ONE_WAY != 0 { Incoming::Notice } else { Incoming::Request(header.opaque) })
}

/// The answer to any request of a peer: this client serves none.
pub(crate) fn not_supported(opaque: i32) -> Bytes {
    let header = RequestHeader {
        code: super::code::response::REQUEST_CODE_NOT_SUPPORTED,
        language: "OTHER",
        version: VERSION,
        opaque,
        flag: FLAG_RESPONSE,
        remark: None,
        ext_fields: Fields(&[]),
        form: "JSON",
    };
    head(&header, 0)
}

/// A peer that does not speak the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestHeader<'a> {
    code: i32,
    language: &'static str,
    version: i32,
    opaque: i32,
    flag: i32,
    remark: Option<()>,
    ext_fields: Fields<'a>,
    // The Rust broker insists on it.
    #[serde(rename = "serializeTypeCurrentRPC")]
    form: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseHeader<'h> {
    code: i32,
    #[serde(default, borrow)]
    language: Cow<'h, str>,
    opaque: i32,
    #[serde(default)]
    flag: i32,
    #[serde(default)]
    remark: Option<String>,
    #[serde(default)]
    ext_fields: Option<HashMap<String, String>>,
}

struct Fields<'a>(&'a [(&'static str, Cow<'static, str>)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn head(header: &RequestHeader<'_>, body: usize) -> Bytes {
    let mut buffer = BytesMut::with_capacity(512);
    buffer.put_u64(0);
    let mut writer = buffer.writer();
    serde_json::to_writer(&mut writer, header).expect("a header of texts and numbers is always JSON");
    let mut buffer = writer.into_inner();
    let header_length = buffer.len() - 8;
    let length = u32::try_from(4 + header_length + body).unwrap_or(u32::MAX);
    let header_length = u32::try_from(header_length).unwrap_or(HEADER_LENGTH) & HEADER_LENGTH;
    buffer[..4].copy_from_slice(&length.to_be_bytes());
    buffer[4..8].copy_from_slice(&header_length.to_be_bytes());
    buffer.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(header: &str, body: &[u8]) -> Bytes {
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(header.len()).expect("short"));
        frame.put_slice(header.as_bytes());
        frame.put_slice(body);
        frame.freeze()
    }

    /// *Scenario*: a response with a body of every byte. *Guarantees*: code, remark, fields and body are read; the body is not copied.
    #[test]
    fn a_response_keeps_its_body() {
        let body: Vec<u8> = (0..=255).collect();
        let header = r#"{"code":21,"flag":1,"language":"JAVA","opaque":7,"remark":"moved","extFields":{"minOffset":"5"},"version":1}"#;
        let frame = frame(header, &body);
        let Ok(Incoming::Response(7, response)) = read(frame.clone()) else { panic!("a response") };
        assert_eq!((response.code, response.remark.as_str(), response.number::<u64>("minOffset")), (21, "moved", Some(5)));
        assert_eq!(response.body, body);
        assert_eq!(response.body.as_ptr(), frame[frame.len() - 256..].as_ptr());
    }

    /// *Scenario*: what a broker may send by itself, and what is no frame. *Guarantees*: told apart, never a panic.
    #[test]
    fn requests_notices_and_nonsense() {
        assert!(matches!(read(frame(r#"{"code":307,"flag":0,"opaque":3}"#, b"")), Ok(Incoming::Request(3))));
        assert!(matches!(read(frame(r#"{"code":40,"flag":2,"opaque":3}"#, b"")), Ok(Incoming::Notice)));
        assert!(read(frame("nonsense", b"")).is_err());
        assert!(read(Bytes::from_static(&[0, 0, 1, 0, 1])).is_err());
        assert!(read(Bytes::from_static(&[1])).is_err());
    }

    /// *Scenario*: a request. *Guarantees*: its lengths say where header and body are.
    #[test]
    fn a_request_is_framed() {
        let head = Request::new(11).field("topic", "t\"\u{1}").number("queueId", 3).body(vec![1, 2, 3]).head(9);
        let length = u32::from_be_bytes(head[..4].try_into().expect("four bytes"));
        assert_eq!(length as usize, head.len() - 4 + 3);
        let header: serde_json::Value = serde_json::from_slice(&head[8..]).expect("JSON");
        assert_eq!(header["extFields"]["topic"], "t\"\u{1}");
        assert_eq!((header["code"].as_i64(), header["opaque"].as_i64()), (Some(11), Some(9)));
    }
}
