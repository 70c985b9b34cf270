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
    /// The credentials are wrong, or do not allow it.
    Denied,
    /// The peer refuses this very message: too large, illegal property.
    Rejected,
    /// The offset that was asked for is no longer, or not yet, stored.
    OffsetOutOfRange,
    /// Anything else.
    Internal,
}

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Try the same again after a wait; it is likely to pass by itself.
    Soon,
    /// A person must change something first; try now and then.
    AfterRepair,
    /// Trying the same again cannot help.
    Never,
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

    /// What the caller should do.
    pub fn retry(&self) -> Retry {
        match self.code {
            Code::Unavailable | Code::Internal => Retry::Soon,
            Code::NotFound | Code::Denied | Code::OffsetOutOfRange => Retry::AfterRepair,
            Code::Rejected => Retry::Never,
        }
    }
}
