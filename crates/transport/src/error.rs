//! Why a session failed.

/// A session that could not be opened or has ended.
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
    /// The member cannot be reached, is stopping, or the connection broke: try again.
    Unavailable,
    /// The epoch is too low, or the shard is not the member's: look again who owns what.
    Fenced,
    /// The other side cannot work with the definition: nothing changes until the definition does.
    Refused,
    /// The other side broke the protocol, or this one did.
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

    /// Whether a wait may mend it without anybody doing anything.
    pub fn passes(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::Fenced)
    }
}

impl From<rocketbridge_codec::Error> for Error {
    fn from(error: rocketbridge_codec::Error) -> Self {
        Self::new(Code::Protocol, format!("cannot read a message: {error}"))
    }
}
