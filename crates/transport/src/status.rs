//! The only place where `tonic::Status` is built, and where the status of a session is read.
//!
//! Every status carries a `google.rpc.ErrorInfo` with a reason that programs can compare; [`StatusBuilder`] adds the other details.
//!
//! A connection that breaks shows as `UNAVAILABLE`, as `UNKNOWN` ("h2 protocol error") or as `CANCELLED`, by chance: all three
//! mean that the session is to be opened again.

use std::collections::HashMap;
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Code, Error};

/// The `domain` of every `google.rpc.ErrorInfo` of this project.
pub const DOMAIN: &str = "rocketbridge";

/// Longest message, bytes in a header, where every byte beyond ASCII takes three.
const MESSAGE: usize = 800;
/// Most bytes of violations. With the message, the other details and base64 a status stays below 8 KiB, which is all that clients in Python and
/// Go take of headers unless told otherwise (`grpc.max_metadata_size`).
const VIOLATIONS: usize = 2_600;
/// Longest value of a detail that is not a violation, bytes.
const VALUE: usize = 200;
/// What a violation takes besides its texts: tags, lengths and its type, bytes.
const PER_VIOLATION: usize = 32;
/// Longest description of one violation, bytes.
const DESCRIPTION: usize = 800;

/// How long a caller should wait before it repeats a call that failed by chance.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A call that is refused: the status in the making.
#[derive(Debug)]
pub struct StatusBuilder {
    code: tonic::Code,
    reason: &'static str,
    message: String,
    metadata: HashMap<String, String>,
    /// Field and description.
    fields: Vec<(String, String)>,
    /// Subject and description.
    preconditions: Vec<(String, String)>,
    details: ErrorDetails,
}

impl StatusBuilder {
    /// A builder with the `reason` of its `ErrorInfo`, and a message for people.
    pub fn new(code: tonic::Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: cut(&message.into(), MESSAGE, |byte| if byte.is_ascii_graphic() || byte == b' ' { 1 } else { 3 }),
            metadata: HashMap::new(),
            fields: Vec::new(),
            preconditions: Vec::new(),
            details: ErrorDetails::new(),
        }
    }

    /// Adds a value that a program may need, so that it does not have to read the message.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), cut(&value.into(), VALUE, |_| 1));
        self
    }

    /// Adds a field of the request that breaks a rule (`BadRequest`).
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.fields.push((field.into(), description.into()));
        self
    }

    /// Adds what must be changed elsewhere before the call can succeed (`PreconditionFailure`). The violation's type is the reason.
    #[must_use]
    pub fn precondition(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.preconditions.push((subject.into(), description.into()));
        self
    }

    /// Names the resource that was not found or exists already (`ResourceInfo`).
    #[must_use]
    pub fn resource(mut self, kind: &str, name: &str) -> Self {
        self.details.set_resource_info(kind, cut(name, VALUE, |_| 1), "", cut(&self.message, VALUE, |_| 1));
        self
    }

    /// Says that the same call may succeed in a moment (`RetryInfo`).
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.details.set_retry_info(Some(RETRY_AFTER));
        self
    }

    /// The status.
    pub fn into_status(mut self) -> Status {
        let mut left = VIOLATIONS;
        for (field, description) in fitting(self.fields, &mut left) {
            self.details.add_bad_request_violation(field, description);
        }
        for (subject, description) in fitting(self.preconditions, &mut left) {
            self.details.add_precondition_failure_violation(self.reason, subject, description);
        }
        self.details.set_error_info(self.reason, DOMAIN, self.metadata);
        Status::with_error_details(self.code, self.message, self.details)
    }
}

/// The first violations, as many as fit into what is left, and behind them how many more there are.
fn fitting(violations: Vec<(String, String)>, left: &mut usize) -> Vec<(String, String)> {
    let total = violations.len();
    let mut kept = Vec::new();
    for (subject, description) in violations {
        let (subject, description) = (cut(&subject, VALUE, |_| 1), cut(&description, DESCRIPTION, |_| 1));
        let Some(rest) = left.checked_sub(subject.len() + description.len() + PER_VIOLATION) else { break };
        *left = rest;
        kept.push((subject, description));
    }
    if kept.len() < total {
        let more = format!("{} more violations are not shown; correct those that are shown first", total - kept.len());
        kept.push((String::new(), more));
    }
    kept
}

/// The beginning of a text that costs at most so much, with … in place of the rest. `cost` is that of one byte.
fn cut(text: &str, most: usize, cost: impl Fn(u8) -> usize) -> String {
    let price = |character: char| character.encode_utf8(&mut [0; 4]).bytes().map(&cost).sum::<usize>();
    let end = text.char_indices().scan(0, |spent, (place, character)| {
        *spent += price(character);
        Some((place, *spent))
    });
    match end.skip_while(|(_, spent)| *spent <= most).map(|(place, _)| place).next() {
        Some(end) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Encodes an error of a session.
pub fn encode(error: Error) -> Status {
    let (code, reason) = match error.code {
        Code::Unavailable => (tonic::Code::Unavailable, "SESSION_UNAVAILABLE"),
        Code::Fenced => (tonic::Code::FailedPrecondition, "SESSION_FENCED"),
        Code::Refused => (tonic::Code::InvalidArgument, "DEFINITION_REFUSED"),
        Code::Protocol => (tonic::Code::Internal, "PROTOCOL_BREACH"),
    };
    let builder = StatusBuilder::new(code, reason, error.message);
    if code == tonic::Code::Unavailable { builder.transient().into_status() } else { builder.into_status() }
}

/// Decodes the status that ended a session. `peer` names the other side in the message.
pub fn decode(status: &Status, peer: &str) -> Error {
    let code = match status.code() {
        tonic::Code::FailedPrecondition => Code::Fenced,
        tonic::Code::InvalidArgument => Code::Refused,
        tonic::Code::Internal | tonic::Code::Unimplemented | tonic::Code::OutOfRange => Code::Protocol,
        _ => Code::Unavailable,
    };
    Error::new(code, format!("session with {peer}: {}", status.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back() {
        for code in [Code::Unavailable, Code::Fenced, Code::Refused, Code::Protocol] {
            assert_eq!(decode(&encode(Error::new(code, "m")), "p").code, code);
        }
    }

    #[test]
    fn a_broken_connection_is_unavailable_whatever_it_looks_like() {
        for status in [Status::unknown("h2 protocol error"), Status::cancelled("operation was canceled"), Status::unavailable("x")] {
            assert_eq!(decode(&status, "p").code, Code::Unavailable);
        }
    }
}
