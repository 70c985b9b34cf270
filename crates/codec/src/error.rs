//! A message that cannot be read.

/// A field that is absent, or has a value that no sender of this protocol writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}.{field}: {problem}")]
pub struct Error {
    /// The message.
    pub message: &'static str,
    /// The field.
    pub field: &'static str,
    /// What is wrong.
    pub problem: String,
}

impl Error {
    pub(crate) fn new(message: &'static str, field: &'static str, problem: impl Into<String>) -> Self {
        Self { message, field, problem: problem.into() }
    }

    pub(crate) fn absent(message: &'static str, field: &'static str) -> Self {
        Self::new(message, field, "absent")
    }
}
