//! Why the controller does not do what it was asked.

use rocketbridge_codec::definition::{Kind, stored};
use rocketbridge_model::Violation;
use rocketbridge_runtime::Retry;

/// What kind of error it is. The names are the `reason` of `google.rpc.ErrorInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The definition or the request breaks rules.
    DefinitionRefused,
    /// The request's identity was used for another request.
    RequestIdReused,
    /// There is no such definition.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The definition has changed since its etag was read.
    EtagStale,
    /// Other changes kept coming between.
    Contended,
    /// Definitions change faster than the metadata store should take.
    TooFast,
    /// The stream or route was never started.
    NeverStarted,
    /// The stream does not run.
    NotRunning,
    /// Nobody says what the partition is doing now.
    PartitionSilent,
    /// Something refers to the definition.
    InUse,
    /// The process made the definition itself.
    BuiltIn,
    /// A route made the stream, and alone may change it.
    Owned,
    /// The ends of a mirror cannot be compared now.
    NotCompared,
    /// A fail-over or failback would lose or repeat messages, or the route is not in a state for it.
    NotSafe,
    /// A change would break what refers to the definition.
    BreaksDependents,
    /// The stream cannot run as it is.
    CannotRun,
    /// The definition is stored and cannot be read.
    Unreadable,
    /// The metadata store cannot be asked.
    StoreUnavailable,
    /// It is not known whether the change was made.
    OutcomeUnknown,
    /// The metadata store refuses, or holds what this version cannot read.
    StoreFailed,
}

impl Code {
    /// The `reason` of `google.rpc.ErrorInfo`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::DefinitionRefused => "DEFINITION_REFUSED",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::EtagStale => "ETAG_STALE",
            Self::Contended => "CONTENDED",
            Self::TooFast => "TOO_FAST",
            Self::NeverStarted => "NEVER_STARTED",
            Self::NotRunning => "NOT_RUNNING",
            Self::PartitionSilent => "PARTITION_SILENT",
            Self::InUse => "IN_USE",
            Self::BuiltIn => "BUILT_IN",
            Self::Owned => "OWNED",
            Self::NotCompared => "NOT_COMPARED",
            Self::NotSafe => "NOT_SAFE",
            Self::BreaksDependents => "BREAKS_DEPENDENTS",
            Self::CannotRun => "CANNOT_RUN",
            Self::Unreadable => "UNREADABLE",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::StoreFailed => "STORE_FAILED",
        }
    }
}

/// Why the controller does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The definition or the request breaks rules: all of them are named.
    #[error("{} refused: {}", if .0.len() == 1 { "one field is" } else { "several fields are" }, join(.0))]
    Refused(Vec<Violation>),
    /// The request's identity was used for another request.
    #[error("request_id {0} was used for another request; use a new UUID for each request")]
    RequestIdReused(String),
    /// There is no such definition.
    #[error("there is no {} named {name:?}", word(*kind))]
    NotFound {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The name is taken.
    #[error("there is already a {} named {name:?}", word(*kind))]
    AlreadyExists {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The definition has changed since its etag was read.
    #[error("{} {name:?} has changed: its etag is {current}, not {given}; read it again", word(*kind))]
    EtagStale {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// The etag of the request.
        given: String,
        /// The etag that is stored; empty if nothing is.
        current: String,
    },
    /// Other changes kept coming between.
    #[error("other changes kept coming between; try again")]
    Contended,
    /// Definitions change faster than the metadata store should take.
    #[error("definitions change too fast for the metadata store; try again in a moment")]
    TooFast,
    /// The stream or route was never started.
    #[error("{} {name:?} was never started; start it first", word(*kind))]
    NeverStarted {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The stream does not run.
    #[error("stream {0:?} does not run; start it first")]
    NotRunning(String),
    /// Nobody says what the partition is doing now.
    #[error("what partition {partition} of stream {name:?} is doing is not known now: {reason}; try again")]
    PartitionSilent {
        /// The stream.
        name: String,
        /// The partition.
        partition: String,
        /// Why it is not known.
        reason: String,
    },
    /// Something refers to the definition.
    #[error("{} {name:?} is used by {}; change or delete them first", word(*kind), .users.join(", "))]
    InUse {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// What refers to it.
        users: Vec<String>,
    },
    /// The process made the definition itself.
    #[error("{} {name:?} is built in and cannot be changed or deleted; define one of your own under another name", word(*kind))]
    BuiltIn {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A route made the stream, and alone may change it.
    #[error("stream {name:?} belongs to route {route:?}; change, start, pause or delete the route instead")]
    Owned {
        /// The stream.
        name: String,
        /// The route.
        route: String,
    },
    /// The ends of a mirror cannot be compared now.
    #[error("the ends of stream {name:?} cannot be compared: {reason}")]
    NotCompared {
        /// The stream.
        name: String,
        /// Why.
        reason: String,
    },
    /// A fail-over or failback would lose or repeat messages, or the route is not in a state for it.
    #[error("{verb} of route {name:?} is refused: {reason}")]
    NotSafe {
        /// The route.
        name: String,
        /// `failover` or `failback`.
        verb: &'static str,
        /// Why, and the way out.
        reason: String,
    },
    /// A change would break what refers to the definition.
    #[error("the change would break {dependent}: {}", join(.violations))]
    BreaksDependents {
        /// What would break.
        dependent: String,
        /// How.
        violations: Vec<Violation>,
    },
    /// The stream cannot run as it is stored.
    #[error("stream {name:?} cannot run: {}", join(.violations))]
    CannotRun {
        /// Its name.
        name: String,
        /// Why.
        violations: Vec<Violation>,
    },
    /// The definition is stored and cannot be read, but it can be deleted.
    #[error("{} {name:?} is stored, but {source}; delete it to define it anew", word(*kind))]
    Unreadable {
        /// Its kind.
        kind: Kind,
        /// Its name, by its key.
        name: String,
        /// Why.
        source: stored::Error,
    },
    /// The metadata store failed.
    #[error("the metadata store failed")]
    Store(#[from] rocketbridge_metastore::Error),
    /// A stored record cannot be read.
    #[error("a stored record cannot be read")]
    Record(#[from] stored::Error),
}

impl Error {
    /// One violation of a request's field.
    pub fn refused(field: &str, value: &str, rule: &str, fix: &str) -> Self {
        Self::Refused(vec![Violation::new(field, value, rule, fix)])
    }

    /// What kind of error it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(_) => Code::DefinitionRefused,
            Self::RequestIdReused(_) => Code::RequestIdReused,
            Self::NotFound { .. } => Code::NotFound,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::EtagStale { .. } => Code::EtagStale,
            Self::Contended => Code::Contended,
            Self::TooFast => Code::TooFast,
            Self::NeverStarted { .. } => Code::NeverStarted,
            Self::NotRunning(_) => Code::NotRunning,
            Self::PartitionSilent { .. } => Code::PartitionSilent,
            Self::InUse { .. } => Code::InUse,
            Self::BuiltIn { .. } => Code::BuiltIn,
            Self::Owned { .. } => Code::Owned,
            Self::NotCompared { .. } => Code::NotCompared,
            Self::NotSafe { .. } => Code::NotSafe,
            Self::BreaksDependents { .. } => Code::BreaksDependents,
            Self::CannotRun { .. } => Code::CannotRun,
            Self::Unreadable { .. } => Code::Unreadable,
            Self::Store(error) => match error.code() {
                rocketbridge_metastore::Code::Unavailable | rocketbridge_metastore::Code::Resync => Code::StoreUnavailable,
                rocketbridge_metastore::Code::OutcomeUnknown => Code::OutcomeUnknown,
                _ => Code::StoreFailed,
            },
            Self::Record(_) => Code::StoreFailed,
        }
    }

    /// What to do next.
    pub fn retry(&self) -> Retry {
        match self.code() {
            Code::Contended | Code::TooFast | Code::PartitionSilent | Code::NotCompared | Code::StoreUnavailable | Code::OutcomeUnknown => {
                Retry::Again
            }
            _ => Retry::GiveUp,
        }
    }
}

/// A kind within a sentence.
pub(crate) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "network",
        Kind::Connection => "connection",
        Kind::Stream => "stream",
        Kind::Route => "route",
    }
}

fn join(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
