//! What a transform reads from an event.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rocketbridge_pattern::JsonEvent;
use rocketbridge_pattern::json::{Reader, is_json};

use crate::error::ApplyError;
use crate::output::Writer;
use crate::path::{self, Path};

/// An event that transforms can read.
pub trait Readable {
    /// The value at `path`; `None` if the event has none there. The path `$` leads to the whole event as JSON.
    ///
    /// # Errors
    /// The event itself cannot be read.
    fn find(&self, path: &Path) -> Result<Option<Found<'_>>, ApplyError>;
}

/// A value as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// The JSON text of any other value.
    Json(Cow<'a, str>),
    /// The JSON text of a value inside a body: a part of the body's own bytes.
    Part(Bytes),
    /// A body: the very bytes, whatever they are.
    Body(Bytes),
}

impl<'a> Found<'a> {
    /// The value whose JSON text is `text`.
    pub(crate) fn from_json(text: &'a str) -> Self {
        let mut reader = Reader::new(text);
        match reader.peek() {
            Some(b'"') => match reader.string() {
                Ok(string) => Self::Text(string.decode()),
                Err(_) => Self::Json(text.into()),
            },
            _ => Self::Json(text.into()),
        }
    }
}

impl Found<'_> {
    /// The characters of a string, the bytes of a body, the JSON text of anything else.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Json(text) => text.as_bytes(),
            Self::Part(bytes) | Self::Body(bytes) => bytes,
        }
    }

    /// The same as text. A body that is not UTF-8 is in base64.
    pub(crate) fn as_text(&self) -> Cow<'_, str> {
        match std::str::from_utf8(self.as_bytes()) {
            Ok(text) => text.into(),
            Err(_) => STANDARD.encode(self.as_bytes()).into(),
        }
    }

    /// Writes the value as JSON: a body as it is if it is JSON, and else as a string.
    pub(crate) fn write_json(&self, out: &mut Writer) {
        let text = self.as_text();
        match self {
            Self::Json(_) | Self::Part(_) => out.push(text.as_bytes()),
            Self::Body(_) if is_json(&text) => out.push(text.as_bytes()),
            Self::Text(_) | Self::Body(_) => out.string(&text),
        }
    }

    /// What it is and how long, for errors: never the value.
    pub(crate) fn shape(&self) -> String {
        let bytes = self.as_bytes();
        let kind = match (self, bytes.first()) {
            (Self::Text(_), _) => "a string",
            (Self::Body(_), _) => "a body",
            (_, Some(b'{')) => "an object",
            (_, Some(b'[')) => "an array",
            (_, Some(b't' | b'f')) => "a boolean",
            (_, Some(b'n')) => "null",
            _ => "a number",
        };
        format!("{kind} of {} bytes", bytes.len())
    }
}

impl Readable for JsonEvent<'_> {
    fn find(&self, path: &Path) -> Result<Option<Found<'_>>, ApplyError> {
        path::find(self.text(), path.steps()).map(|found| found.map(Found::from_json)).map_err(|fault| ApplyError {
            expression: path.to_string(),
            place: "$".to_owned(),
            what: format!("{fault}, in an event of {} bytes", self.text().len()),
        })
    }
}
