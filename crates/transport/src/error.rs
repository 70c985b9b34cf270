//! The errors of sessions.

/// A session could not be opened, or ended with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind of failure.
    pub code: Code,
    /// What was attempted, on what, and why it failed.
    pub message: String,
}

/// Kinds of failure that the ends of a session treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The member cannot be reached or is stopping, or the connection broke: try again.
    Unavailable,
    /// The epoch is too low, or the member does not own the shard: look up the owner again.
    Fenced,
    /// The other side cannot work with the definition: retrying helps only after the definition has changed.
    Refused,
    /// One of the two sides broke the protocol.
    Protocol,
}

impl Error {
    /// An error of a kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether the error may pass by itself after a wait.
    pub fn passes(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::Fenced)
    }
}

impl From<rocketbridge_codec::Error> for Error {
    fn from(error: rocketbridge_codec::Error) -> Self {
        Self::new(Code::Protocol, format!("cannot read a message: {error}"))
    }
}
