//! What a transform gives, and the buffer it is written into.

use std::fmt;

use bytes::Bytes;

use crate::render;

/// The value of a target's parameter for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// These bytes.
    Value(Bytes),
    /// The path is not in the event. The target decides whether it can do without.
    Absent,
}

impl Output {
    /// The bytes, if there are any.
    #[must_use]
    pub fn into_value(self) -> Option<Bytes> {
        match self {
            Self::Value(bytes) => Some(bytes),
            Self::Absent => None,
        }
    }
}

/// Output in the making. It may pass [`Writer::LIMIT`] by one value before that is noticed.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Bytes of output, at most: the default largest message of RocketMQ.
    pub(crate) const LIMIT: usize = 4 * 1024 * 1024;

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A JSON string.
    pub(crate) fn string(&mut self, text: &str) {
        self.push(b"\"");
        self.escaped(text);
        self.push(b"\"");
    }

    /// Characters between the quotes of a JSON string.
    pub(crate) fn escaped(&mut self, text: &str) {
        let mut escaped = String::with_capacity(text.len());
        render::escaped(text, &mut escaped);
        self.push(escaped.as_bytes());
    }

    pub(crate) fn is_over_limit(&self) -> bool {
        self.bytes.len() > Self::LIMIT
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Text is taken until the limit is passed; whoever writes it ends there.
impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        if self.is_over_limit() { Err(fmt::Error) } else { Ok(()) }
    }
}
