//! From errors of the controller to `tonic::Status`, with `google.rpc` details.
//!
//! Every status carries an `ErrorInfo`; a refused definition also a `BadRequest` with all its violations, what may be tried again a
//! `RetryInfo`, what was not found or exists a `ResourceInfo`, and what must be changed elsewhere first a `PreconditionFailure`.

use std::collections::HashMap;
use std::time::Duration;

use rocketbridge_codec::definition::Kind;
use rocketbridge_model::Violation;
use rocketbridge_runtime::{Chain, Retry};
use tonic::{Code as Grpc, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

use crate::error::{Code, Error};

/// The `domain` of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "rocketbridge";

/// When something that failed by chance may be tried again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// To the wire. Failures of the store are logged here, where they end.
pub(super) fn encode(error: Error) -> Status {
    let code = error.code();
    let mut details = ErrorDetails::with_error_info(code.reason(), DOMAIN, metadata(&error));
    match &error {
        Error::Refused(violations) => drop(details.set_bad_request(fields(violations))),
        Error::RequestIdReused(id) => {
            let description = format!("found {id:?}; it was used for another request; write a new UUID");
            details.set_bad_request(vec![FieldViolation::new("request_id", description)]);
        }
        Error::NotFound { kind, name } | Error::AlreadyExists { kind, name } => {
            details.set_resource_info(resource_type(*kind), name.as_str(), "", error.to_string());
        }
        Error::NeverStarted(name) => precondition(&mut details, code, name, error.to_string()),
        Error::InUse { name, .. } => precondition(&mut details, code, name, error.to_string()),
        Error::BreaksDependents { dependent, violations } => {
            violations.iter().for_each(|violation| precondition(&mut details, code, dependent, violation.to_string()));
        }
        Error::CannotRun { name, violations } => {
            violations.iter().for_each(|violation| precondition(&mut details, code, name, violation.to_string()));
        }
        Error::EtagStale { .. } | Error::Contended => {}
        Error::Store(_) | Error::Record(_) => tracing::warn!(error = %Chain(&error), "a request of the API failed"),
    }
    if error.retry() == Retry::Again {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    let message = match &error {
        // What the store says is for operators: it names places, never values.
        Error::Store(_) | Error::Record(_) => Chain(&error).to_string(),
        _ => error.to_string(),
    };
    Status::with_error_details(grpc(code), message, details)
}

fn grpc(code: Code) -> Grpc {
    match code {
        Code::DefinitionRefused | Code::RequestIdReused => Grpc::InvalidArgument,
        Code::NotFound => Grpc::NotFound,
        Code::AlreadyExists => Grpc::AlreadyExists,
        Code::EtagStale | Code::Contended => Grpc::Aborted,
        Code::NeverStarted | Code::InUse | Code::BreaksDependents | Code::CannotRun => Grpc::FailedPrecondition,
        Code::StoreUnavailable | Code::OutcomeUnknown => Grpc::Unavailable,
        Code::StoreFailed => Grpc::Internal,
    }
}

fn fields(violations: &[Violation]) -> Vec<FieldViolation> {
    violations.iter().map(|violation| FieldViolation::new(violation.field.as_str(), violation.description())).collect()
}

fn precondition(details: &mut ErrorDetails, code: Code, subject: &str, description: String) {
    let mut violations = details.precondition_failure().map(|failure| failure.violations.clone()).unwrap_or_default();
    violations.push(PreconditionViolation::new(code.reason(), subject, description));
    details.set_precondition_failure(violations);
}

fn resource_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "rocketbridge.network.v1.Network",
        Kind::Connection => "rocketbridge.connection.v1.Connection",
        Kind::Stream => "rocketbridge.stream.v1.Stream",
    }
}

/// What a program may want of an error without reading its message.
fn metadata(error: &Error) -> HashMap<String, String> {
    let pairs: &[(&str, &str)] = match error {
        Error::NotFound { name, .. } | Error::AlreadyExists { name, .. } | Error::InUse { name, .. } => &[("name", name)],
        Error::EtagStale { name, current, .. } => &[("name", name), ("etag", current)],
        Error::NeverStarted(name) | Error::CannotRun { name, .. } => &[("name", name)],
        Error::RequestIdReused(id) => &[("request_id", id)],
        _ => &[],
    };
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
