//! Between session errors and `tonic::Status`.
//!
//! A connection that breaks shows as `UNAVAILABLE`, as `UNKNOWN` ("h2 protocol error") or as `CANCELLED`, by chance: all three
//! mean that the session is to be opened again.

use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Code, Error};

/// The `domain` of every `google.rpc.ErrorInfo` of this project.
pub const DOMAIN: &str = "rocketbridge";

/// To the wire.
pub fn encode(error: Error) -> Status {
    let (code, reason) = match error.code {
        Code::Unavailable => (tonic::Code::Unavailable, "SESSION_UNAVAILABLE"),
        Code::Fenced => (tonic::Code::FailedPrecondition, "SESSION_FENCED"),
        Code::Refused => (tonic::Code::InvalidArgument, "DEFINITION_REFUSED"),
        Code::Protocol => (tonic::Code::Internal, "PROTOCOL_BREACH"),
    };
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, std::collections::HashMap::new());
    if code == tonic::Code::Unavailable {
        details.set_retry_info(Some(Duration::from_millis(200)));
    }
    Status::with_error_details(code, error.message, details)
}

/// From the wire. `peer` names the other side for the message.
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
