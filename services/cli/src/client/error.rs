//! Why a call did not do what was asked.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use rocketbridge_model::printable;
use rocketbridge_node::config::quantity::show_duration;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address cannot be used.
    #[error("cannot use {server:?} as a server: {reason}")]
    Address {
        /// The address as given.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error(
        "cannot reach {server}: {reason}; start a server with `rocketbridge standalone`, or name another with --server or ROCKETBRIDGE_SERVER"
    )]
    Unreachable {
        /// The address.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// No answer in time.
    #[error("cannot {what}: no answer from {server} within {}; allow more with --timeout", show_duration(*.timeout))]
    NoAnswer {
        /// The address.
        server: String,
        /// What was attempted.
        what: String,
        /// The time limit.
        timeout: Duration,
    },
    /// The server refused. [`Refusal::violations`] may say why in detail.
    #[error("cannot {what}: {refusal}")]
    Refused {
        /// What was attempted.
        what: String,
        /// What the server says.
        refusal: Refusal,
    },
    /// The server answered without what must be in the answer.
    #[error("cannot {what}: the answer of {server} lacks what was asked for; is it another version of rocketbridge?")]
    Incomplete {
        /// The address.
        server: String,
        /// What was attempted.
        what: String,
    },
}

/// What a server says when it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// The server's words.
    pub message: String,
    /// Field and description of each violation (`google.rpc.BadRequest`).
    pub violations: Vec<(String, String)>,
}

impl Error {
    /// Reads what gRPC answered to an attempt.
    pub(super) fn from_status(server: &str, what: &str, status: &Status) -> Self {
        // A status with a source was made by our side of the connection: there was no answer.
        if let Some(source) = std::error::Error::source(status) {
            return Self::Unreachable { server: server.to_owned(), reason: innermost(source) };
        }
        let violations = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
        let violations = violations.into_iter().map(|violation| (violation.field, violation.description)).collect();
        let refusal = Refusal { code: status.code(), message: status.message().to_owned(), violations };
        Self::Refused { what: what.to_owned(), refusal }
    }

    /// Whether the server answered that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.code == Code::NotFound)
    }

    /// Whether it may be otherwise a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::Refused { refusal, .. } => refusal.code == Code::Unavailable,
            Self::Address { .. } | Self::Incomplete { .. } => false,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() {
            formatter.write_str(self.code.description())?;
        } else {
            formatter.write_str(&printable::line(&self.message))?;
        }
        self.violations.iter().try_for_each(|(field, description)| match field.as_str() {
            "" => write!(formatter, "\n  {}", printable::line(description)),
            field => write!(formatter, "\n  {}: {}", printable::line(field), printable::line(description)),
        })
    }
}

/// The last cause, which is the one that says something.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
