//! What can go wrong with a metadata store, and what to do then.

use std::time::Duration;

use rocketbridge_runtime::Retry;

use crate::entry::LeaseId;

/// The underlying error, kept out of the message.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The store could not be reached, or did not answer. Nothing was changed.
    Unavailable,
    /// The store may or may not have done what was asked.
    OutcomeUnknown,
    /// The lease expired or was revoked; so did its keys.
    LeaseLost,
    /// The watch ended, events may have been missed: list again.
    Resync,
    /// The request can never succeed.
    Invalid,
    /// The store does not let this process do that.
    Denied,
    /// The store is damaged, full, or closed.
    Storage,
}

/// An error of a metadata store. `place` is the endpoint or the file.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what each field is")]
pub enum Error {
    /// No endpoint answered in time. Only for calls that change nothing, or that never left this process.
    #[error("{step} on {place}: unavailable for {waited:?}")]
    Unavailable {
        step: &'static str,
        place: String,
        waited: Duration,
        #[source]
        source: BoxError,
    },
    /// The connection broke, or time ran out, after a change was sent.
    #[error("{step} on {place}: it may or may not have happened")]
    OutcomeUnknown {
        step: &'static str,
        place: String,
        #[source]
        source: BoxError,
    },
    /// The server understood and refused.
    #[error("{step} on {place}: refused")]
    Refused {
        step: &'static str,
        place: String,
        #[source]
        source: BoxError,
    },
    /// The server wants other credentials or permissions.
    #[error("{step} on {place}: not permitted")]
    Denied {
        step: &'static str,
        place: String,
        #[source]
        source: BoxError,
    },
    /// The lease expired or was revoked.
    #[error("lease {lease} on {place}: lost")]
    LeaseLost { lease: LeaseId, place: String },
    /// The store no longer keeps the revisions that the watch needs.
    #[error("watch of {prefix:?} on {place}: compacted up to revision {revision}, resync")]
    Compacted { prefix: String, place: String, revision: u64 },
    /// The server ended the watch, or its connection broke.
    #[error("watch of {prefix:?} on {place}: ended, resync")]
    WatchEnded {
        prefix: String,
        place: String,
        #[source]
        source: Option<BoxError>,
    },
    /// The server sent nothing, not even a requested progress report.
    #[error("watch of {prefix:?} on {place}: silent for {silence:?}, resync")]
    WatchSilent { prefix: String, place: String, silence: Duration },
    /// A transaction over the limit.
    #[error("transaction has {given} operations, the limit is {limit}")]
    TooManyOperations { given: usize, limit: usize },
    /// A transaction over the limit.
    #[error("transaction has {given} bytes, the limit is {limit}")]
    TooLarge { given: usize, limit: usize },
    /// Two operations of one transaction touch the same key.
    #[error("transaction touches {key:?} twice")]
    DuplicateKey { key: String },
    /// A setting that cannot work.
    #[error("configuration {key}: {reason}")]
    Configuration { key: &'static str, reason: String },
    /// The file cannot be read or written.
    #[error("{step} on {place}: storage failed")]
    Storage {
        step: &'static str,
        place: String,
        #[source]
        source: BoxError,
    },
    /// The store was closed by this process.
    #[error("{place}: closed")]
    Closed { place: String },
}

impl Error {
    /// What kind of error it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::Unavailable,
            Self::OutcomeUnknown { .. } => Code::OutcomeUnknown,
            Self::LeaseLost { .. } => Code::LeaseLost,
            Self::Compacted { .. } | Self::WatchEnded { .. } | Self::WatchSilent { .. } => Code::Resync,
            Self::Refused { .. }
            | Self::TooManyOperations { .. }
            | Self::TooLarge { .. }
            | Self::DuplicateKey { .. }
            | Self::Configuration { .. } => Code::Invalid,
            Self::Denied { .. } => Code::Denied,
            Self::Storage { .. } | Self::Closed { .. } => Code::Storage,
        }
    }

    /// What to do next. After [`Code::OutcomeUnknown`] read back first.
    pub fn retry(&self) -> Retry {
        match self.code() {
            Code::Unavailable | Code::OutcomeUnknown | Code::Resync => Retry::Again,
            Code::LeaseLost => Retry::Fenced,
            Code::Invalid | Code::Denied | Code::Storage => Retry::GiveUp,
        }
    }
}
