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

/// How long a caller should wait before it repeats a call that failed by chance.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A call that is refused: the status in the making.
#[derive(Debug)]
pub struct StatusBuilder {
    code: tonic::Code,
    reason: &'static str,
    message: String,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl StatusBuilder {
    /// A builder with the `reason` of its `ErrorInfo`, and a message for people.
    pub fn new(code: tonic::Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), metadata: HashMap::new(), details: ErrorDetails::new() }
    }

    /// Adds a value that a program may need, so that it does not have to read the message.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a field of the request that breaks a rule (`BadRequest`).
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.details.add_bad_request_violation(field, description);
        self
    }

    /// Adds what must be changed elsewhere before the call can succeed (`PreconditionFailure`). The violation's type is the reason.
    #[must_use]
    pub fn precondition(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.details.add_precondition_failure_violation(self.reason, subject, description);
        self
    }

    /// Names the resource that was not found or exists already (`ResourceInfo`).
    #[must_use]
    pub fn resource(mut self, kind: &str, name: &str) -> Self {
        self.details.set_resource_info(kind, name, "", self.message.as_str());
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
        self.details.set_error_info(self.reason, DOMAIN, self.metadata);
        Status::with_error_details(self.code, self.message, self.details)
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
