//! What went wrong in a connector.

use std::sync::Arc;

/// A failed step of a connector: what was attempted on what, and why it failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{attempt}: {reason}")]
pub struct Error {
    /// The kind of failure.
    pub code: Code,
    /// What was attempted, on what: `pull from topic orders, broker b-a, queue 3 at 127.0.0.1:9876`.
    pub attempt: String,
    /// The peer's answer or the client's reason, without secrets.
    pub reason: String,
    /// The client library's error, for logs.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Kinds of failure that callers treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The peer cannot be reached, does not answer, or is starting or stopping.
    Unavailable,
    /// The topic, group or queue does not exist.
    NotFound,
    /// The credentials are wrong or do not allow it, or a rule of ours forbids to dial the peer.
    Denied,
    /// The peer refuses this very message: too large, illegal property.
    Rejected,
    /// The offset that was asked for is no longer, or not yet, stored.
    OffsetOutOfRange,
    /// Anything else.
    Internal,
}

/// What it takes for the same to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Time: it is likely to pass by itself. Try again after a wait.
    Time,
    /// Repair: a person must change something first. Try now and then. It holds for everything that is sent to the same place.
    Repair,
    /// Nothing: trying the same again cannot help.
    Nothing,
}

impl Error {
    /// A failure without an error of a library behind it.
    pub fn new(code: Code, attempt: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { code, attempt: attempt.into(), reason: reason.into(), source: None }
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What it takes for the same to succeed.
    pub fn retry(&self) -> Remedy {
        match self.code {
            Code::Unavailable | Code::Internal => Remedy::Time,
            Code::NotFound | Code::Denied | Code::OffsetOutOfRange => Remedy::Repair,
            Code::Rejected => Remedy::Nothing,
        }
    }
}
