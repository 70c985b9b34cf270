//! A message written as the whole event's JSON.
//!
//! The shape is that of Alibaba Cloud EventBridge's RocketMQ event, with fields of our own in `data`. A body that is JSON is
//! written as it is, other text as a string. Bytes that are not UTF-8 are written in base64, and `data.bodyEncoding` says so.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocketbridge_pattern::{Body, Message, Scalar, Value, is_system, property_value};

/// The whole event.
pub(crate) fn event(message: &Message<'_>) -> String {
    let mut out = String::with_capacity(1_024 + message.body.len());
    let mut object = Object::open(&mut out);
    for name in message.envelope.attribute_names() {
        if let Some(value) = message.envelope.attribute(&name) {
            string(&value, object.key(&name));
        }
    }
    write_data(message, object.key("data"));
    object.close();
    out
}

/// The event's `data`.
pub(crate) fn data(message: &Message<'_>) -> String {
    let mut out = String::with_capacity(512 + message.body.len());
    write_data(message, &mut out);
    out
}

/// The system properties, or the user properties, as an object.
pub(crate) fn properties(message: &Message<'_>, system: bool) -> String {
    let mut out = String::new();
    write_properties(message, system, &mut out);
    out
}

fn write_data(message: &Message<'_>, out: &mut String) {
    let mut object = Object::open(out);
    string(message.topic, object.key("topic"));
    write_properties(message, true, object.key("systemProperties"));
    write_properties(message, false, object.key("userProperties"));
    for name in message.envelope.field_names() {
        match message.envelope.field(&name) {
            Some(Scalar::Text(text)) => string(&text, object.key(&name)),
            Some(Scalar::Integer(number)) => object.key(&name).push_str(&number.to_string()),
            None => {}
        }
    }
    match message.classify_body() {
        Body::Json(text) => object.key("body").push_str(text.trim_matches([' ', '\t', '\n', '\r'])),
        Body::Text(text) => string(text, object.key("body")),
        Body::Binary(bytes) => {
            string("base64", object.key("bodyEncoding"));
            string(&STANDARD.encode(bytes), object.key("body"));
        }
    }
    object.close();
}

fn write_properties(message: &Message<'_>, system: bool, out: &mut String) {
    // RocketMQ reads its wire text into a map: of equal names the last value counts.
    let mut last: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for (name, value) in message.properties.iter().filter(|(name, _)| is_system(name) == system) {
        match last.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => last.push((name, value)),
        }
    }
    let mut object = Object::open(out);
    for (name, value) in last {
        match property_value(&name, value) {
            Value::Number(text) => object.key(&name).push_str(&text),
            Value::String(text) => string(&text, object.key(&name)),
            Value::Null | Value::Bool(_) | Value::Opaque | Value::Composite => object.key(&name).push_str("null"),
        }
    }
    object.close();
}

/// An object that is being written.
struct Object<'o> {
    out: &'o mut String,
    empty: bool,
}

impl<'o> Object<'o> {
    fn open(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Writes a key; the value is to be written next.
    fn key(&mut self, key: &str) -> &mut String {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        string(key, self.out);
        self.out.push(':');
        self.out
    }

    fn close(self) {
        self.out.push('}');
    }
}

/// Writes `text` as a JSON string.
pub(crate) fn string(text: &str, out: &mut String) {
    out.push('"');
    escaped(text, out);
    out.push('"');
}

/// Writes `text` as it stands between the quotes of a JSON string.
pub(crate) fn escaped(text: &str, out: &mut String) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x8 => "\\b",
            0xc => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + 1;
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[plain..]);
}
