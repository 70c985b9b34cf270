//! Why a text is no filter.

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {character}: {reason}")]
pub struct Malformed {
    /// Where, in characters, the first is 1.
    pub character: usize,
    /// What was found, what the rule is, and what to write instead.
    pub reason: String,
}
