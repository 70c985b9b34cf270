//! From errors of the controller to `tonic::Status`, with `google.rpc` details.
//!
//! Every status carries an `ErrorInfo`; a refused definition also a `BadRequest` with all its violations, what may be tried again a
//! `RetryInfo`, what was not found or exists a `ResourceInfo`, and what must be changed elsewhere first a `PreconditionFailure`.

use rocketbridge_codec::definition::Kind;
use rocketbridge_runtime::{Chain, Retry};
use rocketbridge_transport::status::StatusBuilder;
use tonic::{Code as Grpc, Status};

use crate::error::{Code, Error};

/// Encodes an error. Failures of the store are logged here, where they end.
pub(super) fn encode(error: Error) -> Status {
    let code = error.code();
    let message = match &error {
        // What the store says is for operators: it names places, never values.
        Error::Store(_) | Error::Record(_) => Chain(&error).to_string(),
        _ => error.to_string(),
    };
    let builder = metadata(&error)
        .into_iter()
        .fold(StatusBuilder::new(grpc(code), code.reason(), message), |builder, (key, value)| builder.metadata(key, value));
    let builder = match &error {
        Error::Refused(violations) => {
            violations.iter().fold(builder, |builder, violation| builder.field(violation.field.as_str(), violation.description()))
        }
        Error::RequestIdReused(id) => {
            builder.field("request_id", format!("found {id:?}; it was used for another request; write a new UUID"))
        }
        Error::NotFound { kind, name } | Error::AlreadyExists { kind, name } => builder.resource(resource_type(*kind), name),
        Error::NotRunning(name)
        | Error::NeverStarted { name, .. }
        | Error::Owned { name, .. }
        | Error::NotCompared { name, .. }
        | Error::NotSafe { name, .. }
        | Error::PartitionSilent { name, .. }
        | Error::InUse { name, .. }
        | Error::Unreadable { name, .. }
        | Error::BuiltIn { name, .. } => builder.precondition(name, error.to_string()),
        Error::BreaksDependents { dependent: subject, violations } | Error::CannotRun { name: subject, violations } => {
            violations.iter().fold(builder, |builder, violation| builder.precondition(subject, violation.to_string()))
        }
        Error::EtagStale { .. } | Error::Contended | Error::TooFast => builder,
        Error::Store(_) | Error::Record(_) => {
            tracing::warn!(error = %Chain(&error), "a request of the API failed");
            builder
        }
    };
    if error.retry() == Retry::Again { builder.transient().into_status() } else { builder.into_status() }
}

fn grpc(code: Code) -> Grpc {
    match code {
        Code::DefinitionRefused | Code::RequestIdReused => Grpc::InvalidArgument,
        Code::NotFound => Grpc::NotFound,
        Code::AlreadyExists => Grpc::AlreadyExists,
        Code::EtagStale | Code::Contended => Grpc::Aborted,
        Code::TooFast => Grpc::ResourceExhausted,
        Code::NeverStarted
        | Code::NotRunning
        | Code::PartitionSilent
        | Code::InUse
        | Code::Unreadable
        | Code::BuiltIn
        | Code::Owned
        | Code::NotCompared
        | Code::NotSafe
        | Code::BreaksDependents
        | Code::CannotRun => Grpc::FailedPrecondition,
        Code::StoreUnavailable | Code::OutcomeUnknown => Grpc::Unavailable,
        Code::StoreFailed => Grpc::Internal,
    }
}

fn resource_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "rocketbridge.network.v1.Network",
        Kind::Connection => "rocketbridge.connection.v1.Connection",
        Kind::Stream => "rocketbridge.stream.v1.Stream",
        Kind::Route => "rocketbridge.route.v1.Route",
    }
}

/// What a program may want of an error without reading its message.
fn metadata(error: &Error) -> Vec<(&'static str, &str)> {
    match error {
        Error::NotFound { name, .. }
        | Error::AlreadyExists { name, .. }
        | Error::InUse { name, .. }
        | Error::Unreadable { name, .. }
        | Error::BuiltIn { name, .. } => vec![("name", name)],
        Error::EtagStale { name, current, .. } => vec![("name", name), ("etag", current)],
        Error::NeverStarted { name, .. }
        | Error::NotCompared { name, .. }
        | Error::NotSafe { name, .. }
        | Error::NotRunning(name)
        | Error::CannotRun { name, .. } => {
            vec![("name", name)]
        }
        Error::Owned { name, route } => vec![("name", name), ("route", route)],
        Error::PartitionSilent { name, partition, .. } => vec![("name", name), ("partition", partition)],
        Error::RequestIdReused(id) => vec![("request_id", id)],
        _ => Vec::new(),
    }
}
