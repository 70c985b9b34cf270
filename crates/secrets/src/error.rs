//! A secret that cannot be had.

/// A reference that leads nowhere, or where it must not lead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the secret {reference}: {reason}")]
pub struct Unresolvable {
    /// The reference as written.
    pub reference: String,
    /// Why it could not be followed, and what to do.
    pub reason: String,
}
